"""What all plots share: axes, labels, colours, legends, lines of many points."""

from collections.abc import Sequence
from math import ceil, floor, log, log10
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    GivenAxes = Axes | Sequence[Axes] | np.ndarray | None
else:  # matplotlib is imported when something is drawn; tools that read types need the names
    Axes = GivenAxes = object

BATCHES = "iteration (batches)"
FIGURES = {1: (6.4, 4), 2: (11, 4), 3: (13, 4)}  # inches, by the number of axes
MANY_CYCLES = 40  # more dotted cycle ends than this would hide the curve
MANY_POINTS = 10_000  # a line of more is thinned: 1e6 points take 20 times as long to draw and look the same
CHARACTER = 0.08  # inches, of the text in titles and legends
TICK_LABEL = 0.65  # inches, of a rate's tick label with the space beside it


def one_axes(ax: "GivenAxes") -> "Axes":
    """The given axes of a single picture, or the axes of a new figure."""
    return new_axes(1)[0] if ax is None else given_axes("ax", ax, "matplotlib axes", 1)[0]


def pair_of_axes(ax: "GivenAxes", has_second: bool) -> "tuple[Axes, Axes | None]":
    """The axes for rates and those for momentum; None for the latter if there is no momentum or no room for it."""
    expected = "matplotlib axes, or a pair of them for rates and momentum"
    axes = new_axes(1 + has_second) if ax is None else given_axes("ax", ax, expected, 1, 2)
    return axes[0], axes[1] if has_second and len(axes) > 1 else None


def new_axes(n: int) -> np.ndarray:
    """`n` axes side by side on a new figure."""
    import matplotlib.pyplot as plt

    return plt.subplots(1, n, figsize=FIGURES[n], layout="constrained", squeeze=False)[1].ravel()


def given_axes(name: str, given: Any, expected: str, *numbers: int) -> np.ndarray:
    """The axes that were given, as an array; TypeError if they are not matplotlib axes, or not one of these numbers."""
    axes = np.asarray(given, dtype=object).ravel()
    are_axes = len(axes) > 0 and all(hasattr(o, "axvline") for o in axes)
    if not are_axes or len(axes) not in numbers:
        raise TypeError(f"{name} should be {expected}, but given {f'{len(axes)} axes' if are_axes else repr(given)}")
    return axes


def figure_of(ax: "Axes") -> "Figure":
    """The whole figure, even if the axes are in a part of it."""
    figure: Any = ax.figure
    return figure.figure


def lay_out(ax: "Axes") -> None:
    """Let the figure arrange its axes, so that their sizes are known before it is drawn."""
    if figure_of(ax).get_layout_engine() is not None:
        figure_of(ax).draw_without_rendering()


def width_of(ax: "Axes") -> float:
    """The width of the axes in inches."""
    return ax.bbox.width / figure_of(ax).dpi


def draw_line(ax: "Axes", x: Any, y: Any, **style: Any) -> "list[Line2D]":
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


def label_axes(ax: "Axes", xlabel: str, ylabel: str) -> None:
    """Name the axes of something that is counted: ticks at whole numbers, also where less than one is shown."""
    from matplotlib.ticker import MaxNLocator

    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 2.5, 5, 10]))
    low, high = ax.get_xlim()
    if high - low < 1:
        whole = round((low + high) / 2)
        ax.set_xticks([whole])
        ax.set_xlim(min(low, whole - 0.5), max(high, whole + 0.5), auto=None)  # None: a later line may go further


def label_rates(ax: "Axes", log: bool = False) -> None:
    """Name the axes of rates against batches; with `log` the rates have a logarithmic one."""
    label_axes(ax, BATCHES, "learning rate")
    if log:
        ax.set(yscale="log", ylabel="learning rate (log scale)")
    else:
        ax.set_ylim(bottom=0, auto=None)


def log_rates(ax: "Axes") -> None:
    """Make the x axis a logarithmic one of rates, with labels as people type them, as many as fit side by side."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

    ax.set_xscale("log")
    lay_out(ax)
    low, high = ax.get_xlim()
    n_labels, decade = width_of(ax) / TICK_LABEL, width_of(ax) / log10(high / low)  # the latter in inches
    # the ticks closest to each other are 1 and 2 (0.3 decades), or 1 and 3 (0.48)
    steps = (1, 2, 5) if 0.3 * decade > TICK_LABEL else (1, 3) if 0.47 * decade > TICK_LABEL else (1,)
    ticks = [step * 10.0**k for k in range(floor(log10(low)), ceil(log10(high)) + 1) for step in steps]
    if sum(low <= tick <= high for tick in ticks) >= min(len(steps), 2):
        ax.xaxis.set_major_locator(LogLocator(subs=steps, numticks=max(int(n_labels), 2)))
    else:
        n_steps = n_labels * (1 - low / high) / log(high / low)  # equal steps are closest to each other at the top
        ax.xaxis.set_major_locator(MaxNLocator(max(int(n_steps), 1), steps=[1, 2, 5, 10], min_n_ticks=1))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter(NullFormatter())


def distinct_colors(ax: "Axes", n: int) -> list[Any]:
    """A colour for each of `n` lines, none of them twice; None is the axes' next one.

    The colours of the style in use, if it has enough; else shades that stand out from the background.
    """
    from matplotlib import colormaps, rcParams
    from matplotlib.colors import to_rgb

    own = {to_rgb(o) for o in rcParams["axes.prop_cycle"].by_key().get("color", ())}
    if n <= max(len(own), 1):
        return [None] * n
    is_gray = all(red == green == blue for red, green, blue in own)
    shades = colormaps["gray" if is_gray else "viridis"](np.linspace(0, 1, 256))
    luminance = np.array([0.2126, 0.7152, 0.0722])
    contrast = np.abs(shades[:, :3] @ luminance - to_rgb(ax.get_facecolor()) @ luminance)
    shades = shades[contrast > 0.3]
    return [tuple(o) for o in shades[np.linspace(0, len(shades) - 1, n).astype(int)]]


def wrapped(text: str, inches: float) -> str:
    """The text in lines of that width."""
    return fill(text, max(int(inches / CHARACTER), 12))


def legend_below(ax: "Axes") -> None:
    """A legend of the lines of `ax` below the figure, in as many columns as fit; long names go on in a second line."""
    figure, (lines, names) = figure_of(ax), ax.get_legend_handles_labels()
    room = int(figure.get_figwidth() / CHARACTER) - 8  # characters, beside the line
    names = [fill(name, room) for name in names]
    n_columns = max(1, min(4, len(names), room // (max(len(o) for name in names for o in name.splitlines()) + 8)))
    n_rows = sum(name.count("\n") + 1 for name in names) / n_columns
    figure.set_figheight(figure.get_figheight() + 0.2 * max(n_rows - 2, 0))
    figure.legend(lines, names, loc="outside lower center", ncols=n_columns, fontsize="small")


def legend_inside(ax: "Axes") -> None:
    """A small legend inside axes of the user's, with room for it above the lines; none on axes too small for it."""
    lay_out(ax)
    lines, names = ax.get_legend_handles_labels()
    names = [wrapped(name, width_of(ax) - 4 * CHARACTER) for name in names]
    for n_columns in range(min(len(names), 4), 0, -1):
        legend = ax.legend(
            lines, names, loc="upper left", ncols=n_columns, fontsize="x-small", handlelength=1, handletextpad=0.5,
            columnspacing=1, labelspacing=0.3, borderaxespad=0.3,
        )  # fmt: skip
        box = legend.get_window_extent()
        share = (ax.bbox.y1 - box.y0) / ax.bbox.height + 0.05
        if box.x1 <= ax.bbox.x1 and share <= 0.6:
            scale = ax.yaxis.get_transform()
            low, high = scale.transform(ax.get_ylim())
            ax.set_ylim(top=scale.inverted().transform([low + (high - low) / (1 - share)])[0], auto=None)
            return
        legend.remove()


def mark_cycles(ax: "Axes", cycle_ends: Sequence[float] | np.ndarray) -> None:
    """Dot the ends of the cycles, unless there are too many."""
    if len(cycle_ends) <= MANY_CYCLES:
        for end in cycle_ends:
            ax.axvline(end, color="grey", linestyle=":", linewidth=1)
