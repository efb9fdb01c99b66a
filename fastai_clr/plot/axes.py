"""What all plots share: axes, labels, colours, lines of many points."""

from textwrap import fill
from typing import Any

import numpy as np

__all__ = [
    "as_axes",
    "BATCHES",
    "CHARACTER",
    "distinct_colors",
    "draw_line",
    "label_axes",
    "label_rates",
    "legend_below",
    "mark_cycles",
    "axes_or_new",
]

BATCHES = "iteration (batches)"
MANY_CYCLES = 40  # more dotted cycle ends than this would hide the curve
MANY_POINTS = 10_000  # a line of more is thinned: 1e6 points take 20 times as long to draw and look the same
MANY_COLORS = 10  # matplotlib's own; after them they repeat
CHARACTER = 0.08  # inches, of the text in titles and legends


def axes_or_new(ax: Any, two: bool) -> tuple[Any, Any]:
    """The axes to draw on and, if there are `two`, the second ones (else None)."""
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.subplots(1, 1 + two, figsize=(11, 4) if two else (6.4, 4), layout="constrained")[1]
    pair = as_axes("ax", ax, 1)
    return pair[0], pair[1] if two and len(pair) > 1 else None


def as_axes(name: str, given: Any, least: int) -> Any:
    """The matplotlib axes that were given, as an array of at least that many."""
    axes = np.asarray(given, dtype=object).ravel()
    if len(axes) < least or not all(hasattr(o, "axvline") for o in axes):
        raise TypeError(
            f"{name} should be {'matplotlib axes' if least == 1 else f'{least} matplotlib axes'}, but given {given!r}"
        )
    return axes


def draw_line(ax: Any, x: Any, y: Any, **style: Any) -> Any:
    """Plot a line: thinned if it has many points, a dot if it has one."""
    style.setdefault("marker", "o" if len(y) == 1 else None)  # a line of one point cannot be seen
    return ax.plot(*_thinned(x, y), **style)


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


def label_axes(ax: Any, xlabel: str, ylabel: str) -> None:
    """Name the axes of something that is counted: whole numbers, and room around a single one."""
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.xaxis.get_major_locator().set_params(integer=True)
    if max((len(line.get_xdata()) for line in ax.lines), default=0) == 1:
        ax.set(xlim=(0.5, 1.5), xticks=[1])


def label_rates(ax: Any, log: bool = False) -> None:
    """Name the axes of rates against batches. log: a logarithmic axis for the rates."""
    label_axes(ax, BATCHES, "learning rate")
    if log:
        ax.set(yscale="log", ylabel="learning rate (log scale)")
    else:
        ax.set_ylim(bottom=0)


def distinct_colors(n: int) -> list[Any]:
    """A colour for each of `n` lines, none of them twice; None is the axes' next one."""
    if n <= MANY_COLORS:
        return [None] * max(n, 1)
    from matplotlib import colormaps

    return [colormaps["viridis"](k / (n - 1)) for k in range(n)]


def legend_below(ax: Any) -> None:
    """A legend of the lines of `ax` below the figure, in as many columns as fit; long names go on in a second line."""
    figure, (lines, names) = ax.figure, ax.get_legend_handles_labels()
    room = int(figure.get_figwidth() / CHARACTER) - 8  # characters, beside the line
    names = [fill(name, room) for name in names]
    n_columns = max(1, min(4, len(names), room // (max(len(o) for name in names for o in name.splitlines()) + 8)))
    n_rows = sum(name.count("\n") + 1 for name in names) / n_columns
    figure.set_figheight(figure.get_figheight() + 0.2 * max(n_rows - 2, 0))
    figure.legend(lines, names, loc="outside lower center", ncols=n_columns, fontsize="small")


def mark_cycles(panels: list[Any], cycle_ends: Any) -> None:
    """Dot the ends of the cycles, unless there are too many."""
    if len(cycle_ends) <= MANY_CYCLES:
        for panel in panels:
            for end in cycle_ends:
                panel.axvline(end, color="grey", linestyle=":", linewidth=1)
