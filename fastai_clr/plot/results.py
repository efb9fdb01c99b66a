"""What trainings gave: losses, comparisons, and the picture of a notebook cell."""

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np

from .axes import BATCHES, as_axes, axes_or_new, distinct_colors, draw_line, label_axes, label_rates, legend_below

__all__ = ["cell", "comparison", "curve", "finders", "race"]

SCREEN_DPI = 72  # of a picture in a notebook cell, as in Jupyter's own


def comparison(curves: Mapping[str, Any], score: str, target: float | None = None, axes: Any = None) -> Any:
    """Draw rates, training losses and scores of several schedules, one colour each; returns the three axes.

    curves: by name, the rates (one per batch), the losses (runs x batches) and the scores (runs x epochs). Of several
    runs it draws the mean in a band of one standard deviation.
    score: name of the scores. target: a score to mark. axes: three axes; None makes a figure.
    """
    new_figure = axes is None
    if new_figure:
        import matplotlib.pyplot as plt

        axes = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")[1]
    axes = as_axes("axes", axes, 3)
    for k, ((name, (lrs, losses, scores)), color) in enumerate(zip(curves.items(), distinct_colors(len(curves)))):
        (line,) = draw_line(axes[0], np.arange(1, len(lrs) + 1), lrs, label=name, color=color)
        for ax, runs in zip(axes[1:], (losses, scores)):
            mean, x = runs.mean(0), np.arange(1.0, runs.shape[1] + 1)
            if len(x) == 1:
                x += 0.05 * (k - (len(curves) - 1) / 2)  # side by side, so that the bars can be told apart
            draw_line(ax, x, mean, color=line.get_color(), label=name)
            sd = runs.std(0, ddof=1) if len(runs) > 1 else 0 * mean
            if len(runs) > 1 and len(mean) == 1:
                ax.errorbar(x, mean, sd, color=line.get_color(), capsize=3)
            elif len(runs) > 1:
                ax.fill_between(x, mean - sd, mean + sd, color=line.get_color(), alpha=0.15, linewidth=0)
    label_rates(axes[0])
    label_axes(axes[1], BATCHES, "training loss (smoothed)")
    label_axes(axes[2], "epoch", score)
    if target is not None:
        axes[2].axhline(target, color="grey", linestyle=":", linewidth=1)
        where = axes[2].get_yaxis_transform()
        axes[2].text(0.01, target, "target", transform=where, va="bottom", fontsize="small", color="grey")
    if new_figure:
        legend_below(axes[0])
    else:
        axes[0].legend(fontsize="small")
    return axes


def curve(x: Any, y: Any, xlabel: str, ylabel: str, log: bool = False, ax: Any = None) -> Any:
    """Draw `y` against `x` with labelled axes, x logarithmic if `log`."""
    ax, _ = axes_or_new(ax, False)
    draw_line(ax, x, y)
    ax.set(xlabel=xlabel, ylabel=ylabel, xscale="log" if log else "linear")
    if xlabel == BATCHES:
        label_axes(ax, xlabel, ylabel)
    return ax


def finders(curves: Sequence[Any], chosen: float, ax: Any = None) -> Any:
    """Draw the loss of each run of `lr_find` against the rate, and mark the rate that was chosen.

    curves: pairs of rates and losses, one per batch.
    """
    ax, _ = axes_or_new(ax, False)
    for rates, losses in curves:
        draw_line(ax, rates, losses, linewidth=1.2)
    finite = np.concatenate([np.asarray(losses)[np.isfinite(losses)] for _, losses in curves])
    low, high = finite.min(), np.percentile([losses[0] for _, losses in curves], 100)
    ax.set(xscale="log", xlabel="learning rate (log scale)", ylabel="training loss (smoothed)")
    ax.set_ylim(low - 0.05 * (high - low), high + 0.25 * (high - low))  # not as far as it diverges
    _mark_chosen(ax, chosen)
    return ax


def race(peaks: Any, losses: Any, chosen: float, ylabel: str, ax: Any = None) -> Any:
    """Draw the loss after each short cycle against its peak rate, with a line through the means; mark the choice.

    losses: one for each of the peaks, nan for a cycle that diverged.
    """
    ax, _ = axes_or_new(ax, False)
    peaks, losses = np.asarray(peaks, dtype=float), np.asarray(losses, dtype=float)
    tried = np.unique(peaks)
    means = np.array([np.mean(losses[peaks == o]) for o in tried])
    (mean,) = ax.plot(tried[np.isfinite(means)], means[np.isfinite(means)], linewidth=1)
    ax.plot(peaks, losses, "o", color=mean.get_color())
    ax.set(xscale="log", xlabel="peak learning rate (log scale)", ylabel=ylabel)
    ax.set_xticks(tried, [f"{peak:.2g}" for peak in tried])
    ax.minorticks_off()
    for peak in np.unique(peaks[~np.isfinite(losses)]):
        ax.text(peak, 0.97, "diverged", rotation=90, ha="center", va="top", transform=ax.get_xaxis_transform())
    _mark_chosen(ax, chosen)
    return ax


def _mark_chosen(ax: Any, chosen: float) -> None:
    ax.axvline(chosen, color="grey", linestyle="--", linewidth=1)
    ax.set_title(f"suggested peak {chosen:.3g}", loc="left", fontsize="medium")


def cell(draw: Callable[[], Any]) -> str:
    """The picture for a notebook cell, as HTML, of what `draw` draws on a new figure; no figure is left open.

    draw: a function that returns its axes.
    """
    import matplotlib.pyplot as plt

    plt.draw_if_interactive()  # loads the backend: Jupyter's switches `ion` on, and `ioff` should put that back
    with plt.ioff():  # no window, and no second picture below the cell
        before, file = set(plt.get_fignums()), BytesIO()
        try:
            figure = np.ravel(draw())[0].figure
            figure.savefig(file, format="png", dpi=2 * SCREEN_DPI)  # twice, for screens with small pixels
        finally:
            for number in set(plt.get_fignums()) - before:
                plt.close(number)
    style = f"width: {SCREEN_DPI * figure.get_figwidth():.0f}px; max-width: 100%"
    return f'<img style="{style}" src="data:image/png;base64,{b64encode(file.getvalue()).decode()}">'
