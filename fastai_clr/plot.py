"""Arrays onto matplotlib axes: each function takes `ax` (None makes a figure) and returns the axes it drew on."""

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from textwrap import fill
from typing import Any

import numpy as np

__all__ = ["cell", "comparison", "curve", "rates", "several"]

BATCHES = "iteration (batches)"
MANY_CYCLES = 40  # more dotted cycle ends than this would hide the curve
MANY_POINTS = 10_000  # a line of more is thinned: 1e6 points take 20 times as long to draw and look the same
MANY_GROUPS = 12  # more names than this do not fit beside the curves
MANY_COLORS = 10  # matplotlib's own; after them they repeat
CHARACTER = 0.08  # inches, of the text in titles and legends


def rates(
    groups: Sequence[Any],
    momentums: Any = None,
    cycle_ends: Any = (),
    title: str | None = None,
    ax: Any = None,
    log: bool = False,
) -> Any:
    """Draw learning rate against batch, a line per parameter group, with the momentum beside it and cycle ends dotted.

    groups: the rates of each parameter group, one per batch. momentums: one per batch, or None for no second panel.
    cycle_ends: batches, from 1.
    title: a first line for the title; a second gives the rates in numbers. None leaves both out.
    ax: axes, or a pair of axes for rates and momentum; on single axes momentum is not drawn.
    log: a logarithmic axis for the rates.
    """
    new_figure = ax is None
    ax, moms_ax = _panels(ax, momentums is not None)
    iterations = np.arange(1, len(groups[-1]) + 1)
    differ = any(not np.array_equal(o, groups[-1]) for o in groups)
    lines = []
    for o, color in zip(groups, _colors(len(groups)) if differ else [None] * len(groups)):
        lines += _line(ax, iterations, o, color=lines[0].get_color() if lines and not differ else color)
    _label_rates(ax, log)
    if differ:
        _name_groups(ax, lines, [np.max(o) for o in groups], beside=new_figure)
    panels = [ax]
    if moms_ax is not None:
        _line(moms_ax, iterations, momentums, color=moms_ax.xaxis.label.get_color())  # of the text, on any style
        _label(moms_ax, BATCHES, "momentum")
        if np.ptp(momentums) < 1e-9:
            moms_ax.set_ylim(np.mean(momentums) - 0.05, np.mean(momentums) + 0.05)  # not an axis of rounding errors
        panels.append(moms_ax)
    _mark_cycles(panels, cycle_ends)
    if title is not None:
        whose = f"group {len(groups) - 1} " if differ else ""
        numbers = f"{whose}{_in_numbers(np.asarray(groups[-1]))}"
        width = int((ax.figure.get_figwidth() - 1) / CHARACTER) if new_figure else 70
        text = "\n".join(fill(o, width) for o in (title, numbers) if o)
        ax.set_title(text, loc="left", fontsize="medium")  # from the left it may go on above a legend or neighbour
    return ax


def several(curves: Mapping[str, Any], cycle_ends: Any = (), show_moms: bool = True, ax: Any = None) -> Any:
    """Draw schedules on the same axes, one colour each, with their momentum beside them if any of them cycles it.

    curves: by the name in the legend, a pair of rates and momentums, one per batch; momentums None if not cycled.
    cycle_ends: batches, from 1.
    ax: axes, or a pair of axes for rates and momentum; on single axes momentum is not drawn.
    """
    new_figure = ax is None
    ax, moms_ax = _panels(ax, show_moms and any(moms is not None for _, moms in curves.values()))
    for (name, (lrs, moms)), color in zip(curves.items(), _colors(len(curves))):
        iterations = np.arange(1, len(lrs) + 1)
        (line,) = _line(ax, iterations, lrs, label=name, color=color)
        if moms_ax is not None and moms is not None:
            _line(moms_ax, iterations, moms, color=line.get_color())
    _label_rates(ax)
    if moms_ax is not None:
        _label(moms_ax, BATCHES, "momentum")
    _mark_cycles([o for o in (ax, moms_ax) if o is not None], cycle_ends)
    if new_figure:
        _legend_below(ax)
    else:
        ax.legend(fontsize="small")
    return ax


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
    axes = _as_axes("axes", axes, 3)
    for (name, (lrs, losses, scores)), color in zip(curves.items(), _colors(len(curves))):
        (line,) = _line(axes[0], np.arange(1, len(lrs) + 1), lrs, label=name, color=color)
        for ax, runs in zip(axes[1:], (losses, scores)):
            mean, x = runs.mean(0), np.arange(1, runs.shape[1] + 1)
            _line(ax, x, mean, color=line.get_color(), label=name)
            sd = runs.std(0, ddof=1) if len(runs) > 1 else 0 * mean
            if len(runs) > 1 and len(mean) == 1:
                ax.errorbar(x, mean, sd, color=line.get_color(), capsize=3)
            elif len(runs) > 1:
                ax.fill_between(x, mean - sd, mean + sd, color=line.get_color(), alpha=0.15, linewidth=0)
    _label_rates(axes[0])
    _label(axes[1], BATCHES, "training loss (smoothed)")
    _label(axes[2], "epoch", score)
    if target is not None:
        axes[2].axhline(target, color="grey", linestyle=":", linewidth=1)
    if new_figure:
        _legend_below(axes[0])
    else:
        axes[0].legend(fontsize="small")
    return axes


def curve(x: Any, y: Any, xlabel: str, ylabel: str, log: bool = False, ax: Any = None) -> Any:
    """Draw `y` against `x` with labelled axes, x logarithmic if `log`."""
    ax, _ = _panels(ax, False)
    _line(ax, x, y)
    ax.set(xlabel=xlabel, ylabel=ylabel, xscale="log" if log else "linear")
    if xlabel == BATCHES:
        _label(ax, xlabel, ylabel)
    return ax


def cell(draw: Callable[[], Any]) -> str:
    """The picture for a notebook cell, as HTML, of what `draw` draws on a new figure; no figure is left open.

    draw: a function that returns its axes.
    """
    import matplotlib.pyplot as plt

    with plt.ioff():  # no window, and no second picture below the cell
        figure, file = np.ravel(draw())[0].figure, BytesIO()
        figure.savefig(file, format="png", dpi=100)
        plt.close(figure)
    return f'<img style="max-width: 100%" src="data:image/png;base64,{b64encode(file.getvalue()).decode()}">'


def _colors(n: int) -> list[Any]:
    """A colour for each of `n` lines, none of them twice; None is the axes' next one."""
    if n <= MANY_COLORS:
        return [None] * max(n, 1)
    from matplotlib import colormaps

    return [colormaps["viridis"](k / (n - 1)) for k in range(n)]


def _label_rates(ax: Any, log: bool = False) -> None:
    _label(ax, BATCHES, "learning rate")
    if log:
        ax.set(yscale="log", ylabel="learning rate (log scale)")
    else:
        ax.set_ylim(bottom=0)


def _label(ax: Any, xlabel: str, ylabel: str) -> None:
    """Name the axes of something that is counted: whole numbers, and room around a single one."""
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.xaxis.get_major_locator().set_params(integer=True)
    if max((len(line.get_xdata()) for line in ax.lines), default=0) == 1:
        ax.set(xlim=(0.5, 1.5), xticks=[1])


def _legend_below(ax: Any) -> None:
    """A legend of the lines of `ax` below the figure, in as many columns as fit; long names go on in a second line."""
    figure, (lines, names) = ax.figure, ax.get_legend_handles_labels()
    room = int(figure.get_figwidth() / CHARACTER) - 8  # characters, beside the line
    names = [fill(name, room) for name in names]
    n_columns = max(1, min(4, len(names), room // (max(len(o) for name in names for o in name.splitlines()) + 8)))
    n_rows = sum(name.count("\n") + 1 for name in names) / n_columns
    figure.set_figheight(figure.get_figheight() + 0.2 * max(n_rows - 2, 0))
    figure.legend(lines, names, loc="outside lower center", ncols=n_columns, fontsize="small")


def _mark_cycles(panels: list[Any], cycle_ends: Any) -> None:
    if len(cycle_ends) <= MANY_CYCLES:
        for panel in panels:
            for end in cycle_ends:
                panel.axvline(end, color="grey", linestyle=":", linewidth=1)


def _panels(ax: Any, two: bool) -> tuple[Any, Any]:
    """The axes to draw on and, if there are `two`, the second ones (else None)."""
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.subplots(1, 1 + two, figsize=(11, 4) if two else (6.4, 4), layout="constrained")[1]
    pair = _as_axes("ax", ax, 1)
    return pair[0], pair[1] if two and len(pair) > 1 else None


def _as_axes(name: str, given: Any, least: int) -> Any:
    axes = np.asarray(given, dtype=object).ravel()
    if len(axes) < least or not all(hasattr(o, "axvline") for o in axes):
        raise TypeError(
            f"{name} should be {'matplotlib axes' if least == 1 else f'{least} matplotlib axes'}, but given {given!r}"
        )
    return axes


def _line(ax: Any, x: Any, y: Any, **style: Any) -> Any:
    marker = "o" if len(y) == 1 else None  # a line of one point cannot be seen
    return ax.plot(*_thinned(x, y), marker=marker, **style)


def _thinned(x: Any, y: Any) -> tuple[Any, Any]:
    """At most MANY_POINTS of the points, chosen so that the line looks the same.

    A long line is cut into bins; each keeps the points with its smallest and largest x and y, in their order.
    """
    if len(y) <= MANY_POINTS:
        return x, y
    x, y = np.asarray(x), np.asarray(y)
    width = -(-len(y) // (MANY_POINTS // 4))
    starts = np.arange(0, len(y), width)
    bins = [np.pad(o, (0, len(starts) * width - len(o)), mode="edge").reshape(-1, width) for o in (x, y)]
    seen = np.stack([starts + o for b in bins for o in (b.argmin(1), b.argmax(1))])
    kept = np.unique(np.minimum(seen, len(y) - 1))  # the last bin was filled up with the last point
    return x[kept], y[kept]


def _name_groups(ax: Any, lines: list[Any], peaks: list[Any], beside: bool) -> None:
    named = np.unique(np.linspace(0, len(lines) - 1, MANY_GROUPS).astype(int))  # first and last among them
    names = [f"group {k}, at most {peaks[k]:.3g}" for k in named]
    where = dict(loc="center left", bbox_to_anchor=(1, 0.5)) if beside else {}  # a neighbour may be beside given axes
    ax.legend([lines[k] for k in named], names, fontsize="small", **where)


def _in_numbers(rates: Any) -> str:
    peak = int(np.argmax(rates))
    return f"starts at {rates[0]:.3g}, peaks at {rates[peak]:.3g} in batch {peak + 1}, ends at {rates[-1]:.3g}"
