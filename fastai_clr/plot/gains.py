"""The score of each epoch, and the gain of each cycle."""

from collections.abc import Sequence
from math import inf, isnan
from typing import TYPE_CHECKING, Any

import numpy as np

from .axes import MANY_CYCLES, draw_line, figure_of, label_axes, lay_out, mark_cycles, one_axes

if TYPE_CHECKING:
    from .axes import Axes, GivenAxes

MANY_EPOCHS = 60  # more points than this are drawn as a line alone
ABOVE, BESIDE = 3, 5  # points between the axes and the labels above them, and between two labels


def metrics(
    epochs: Sequence[float],
    values: Sequence[float],
    name: str,
    cycles: Sequence[tuple[int, float, float]] = (),
    ax: "GivenAxes" = None,
) -> "Axes":
    """Draw a score against epochs, the end of each cycle dotted, and above it the cycle's number and gain.

    Parameters
    ----------
    epochs, values
        Epochs trained so far, and the score then.
    name
        Name of the score.
    cycles
        For each finished cycle its number, the epochs so far, and its gain; nan if it has none.
    ax
        Axes to draw on; None makes a figure.
    """
    ax = one_axes(ax)
    (line,) = draw_line(ax, epochs, values, marker="." if len(values) <= MANY_EPOCHS else None)
    ends = [end for _, end, _ in cycles]
    mark_cycles(ax, ends)
    if len(ends) <= MANY_CYCLES:
        at_ends = np.isin(epochs, ends)
        ax.plot(np.asarray(epochs)[at_ends], np.asarray(values)[at_ends], "o", color=line.get_color())
    label_axes(ax, "epoch", name)
    if ax.get_yscale() == "linear":
        ax.ticklabel_format(axis="y", style="plain", useOffset=False)  # matplotlib writes an offset above the axes
    if 0 < len(ends) <= MANY_CYCLES:
        _label_cycles(ax, cycles)
    return ax


def _label_cycles(ax: "Axes", cycles: Sequence[tuple[int, float, float]]) -> None:
    """Write the number and gain of each cycle above its end; where they do not fit the number, or nothing.

    The later cycles go first: cycles usually grow, so the early ones are close together.
    """
    lay_out(ax)
    style: dict[str, Any] = dict(ha="center", va="bottom", fontsize="small", annotation_clip=False)
    space = BESIDE / 72 * figure_of(ax).dpi  # in pixels
    has_gains, right = False, inf  # right: where the next label has to end, in pixels
    for number, end, gain in reversed(cycles):
        gained = "" if isnan(gain) else f"{float(f'{gain:.2g}'):+g}\n"
        for label in dict.fromkeys([f"{gained}{number}", f"{number}"]):
            text = ax.annotate(label, (end, 1), (0, ABOVE), ax.get_xaxis_transform(), "offset points", **style)
            half = text.get_window_extent().width / 2
            x = ax.transData.transform((end, 0))[0]
            if ax.bbox.x0 <= x - half and x + half <= right:
                has_gains, right = has_gains or "\n" in label, x - half - space
                break
            text.remove()
    heading = ax.secondary_xaxis("top")  # a title that the user sets stands above the label of an axis
    heading.set_xticks([])
    heading.set_xlabel("gain\ncycle" if has_gains else "cycle", x=0, ha="right", fontsize="small", labelpad=ABOVE)
