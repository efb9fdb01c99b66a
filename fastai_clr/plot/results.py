"""Losses, races, comparisons of schedules, and pictures for notebook cells."""

from base64 import b64encode
from collections.abc import Callable, Mapping
from io import BytesIO
from math import ceil, isfinite
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from .axes import (
    BATCHES,
    TICK_LABEL,
    distinct_colors,
    draw_line,
    given_axes,
    label_axes,
    label_rates,
    lay_out,
    legend_below,
    legend_inside,
    log_rates,
    new_axes,
    one_axes,
    width_of,
)

if TYPE_CHECKING:
    from .axes import Axes, GivenAxes

SCREEN_DPI = 72  # of a picture in a notebook cell, as in Jupyter's own
OFF_THE_PICTURE = 20  # times as far above the lowest loss of a race as their median


def comparison(
    curves: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]],
    score: str,
    lower_is_better: bool,
    target: float | None = None,
    axes: "GivenAxes" = None,
) -> np.ndarray:
    """Draw rates, training losses and scores of several schedules, one colour each; returns the three axes.

    Parameters
    ----------
    curves
        By name, the rates (one per batch), the losses (runs x batches) and the scores (runs x epochs). Of several runs
        it draws the mean in a band of one standard deviation.
    score
        Name of the scores.
    lower_is_better
        Whether smaller scores are better.
    target
        A score to mark.
    axes
        Three axes; None makes a figure.
    """
    new_figure = axes is None
    axes = new_axes(3) if axes is None else given_axes("axes", axes, "3 matplotlib axes", 3)
    colors = distinct_colors(axes[0], len(curves))
    for k, (name, (lrs, losses, scores)) in enumerate(curves.items()):
        (line,) = draw_line(axes[0], np.arange(1, len(lrs) + 1), lrs, label=name, color=colors[k])
        for ax, runs in zip(axes[1:], (losses, scores)):
            mean, x = runs.mean(0), np.arange(1.0, runs.shape[1] + 1)
            if len(x) == 1:
                x += 0.05 * (k - (len(curves) - 1) / 2)  # side by side, so that the bars can be told apart
            draw_line(ax, x, mean, color=line.get_color(), label=name)
            if len(runs) == 1:
                continue
            sd = runs.std(0, ddof=1)
            if len(x) == 1:
                ax.errorbar(x, mean, sd, color=line.get_color(), capsize=3)
            else:
                ax.fill_between(x, mean - sd, mean + sd, color=line.get_color(), alpha=0.15, linewidth=0)
    label_rates(axes[0])
    label_axes(axes[1], BATCHES, "training loss (smoothed)")
    label_axes(axes[2], "epoch", f"{score} (lower is better)" if lower_is_better else score)
    if target is not None:
        axes[2].axhline(target, color="grey", linestyle=":", linewidth=1)
        where = axes[2].get_yaxis_transform()
        axes[2].text(0.01, target, "target", transform=where, va="bottom", fontsize="small", color="grey")
    (legend_below if new_figure else legend_inside)(axes[0])
    return axes


def curve(x: ArrayLike, y: ArrayLike, xlabel: str, ylabel: str, log: bool = False, ax: "GivenAxes" = None) -> "Axes":
    """Draw `y` against `x`, batches or rates, with labelled axes; with `log` the rates have a logarithmic one."""
    ax = one_axes(ax)
    draw_line(ax, x, y)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    if log:
        log_rates(ax)
    elif xlabel == BATCHES:
        label_axes(ax, xlabel, ylabel)
    return ax


def race(peaks: ArrayLike, losses: ArrayLike, chosen: float, ylabel: str, ax: "GivenAxes" = None) -> "Axes":
    """Draw the loss after each short cycle against its peak rate, with a line through the means; mark the choice.

    There is one loss per peak, nan for a cycle that diverged. A loss too high for the picture is written at its edge.
    """
    ax = one_axes(ax)
    peaks, losses = np.asarray(peaks, dtype=float), np.asarray(losses, dtype=float)
    tried = np.unique(peaks)
    means = np.array([np.mean(losses[peaks == o]) for o in tried])
    finite = means[np.isfinite(means)]
    top = finite.min() + OFF_THE_PICTURE * (np.median(finite) - finite.min()) if len(finite) > 2 else finite.max()
    drawn = means <= top
    (mean,) = ax.plot(tried[drawn], means[drawn], linewidth=1)
    ax.plot(peaks, np.where(np.isin(peaks, tried[drawn]), losses, np.nan), "o", color=mean.get_color())
    edges = tried[0] / 1.5, tried[-1] * 1.5  # room for the words at a peak without a point
    ax.set(xscale="log", xlim=edges, xlabel="peak learning rate (log scale)", ylabel=ylabel)
    lay_out(ax)
    labelled = tried[:: ceil(len(tried) * TICK_LABEL / width_of(ax))]
    ax.set_xticks(labelled, [f"{peak:.2g}" for peak in labelled])
    ax.minorticks_off()
    for peak, loss in zip(tried[~drawn], means[~drawn]):
        words = f"{loss:.2g}" if isfinite(loss) else "diverged"
        ax.text(peak, 0.97, words, rotation=90, ha="center", va="top", transform=ax.get_xaxis_transform())
    ax.axvline(chosen, color="grey", linestyle="--", linewidth=1)
    ax.set_title(f"suggested peak {chosen:.3g}", loc="left", fontsize="medium")
    return ax


def cell(draw: Callable[[], Any]) -> str:
    """An HTML image, for a notebook cell, of the figure whose axes `draw` returns; no figure is left open."""
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
