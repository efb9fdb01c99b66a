"""What each epoch and each cycle reached."""

from collections.abc import Sequence
from math import ceil, isnan
from typing import Any

import numpy as np

from .axes import MANY_CYCLES, axes_or_new, draw_line, label_axes

__all__ = ["metrics"]

MANY_EPOCHS = 60  # more points than this are drawn as a line alone
ABOVE = 14  # points between the axes and the labels above them
CHARACTER, SPACE = 0.07, 0.08  # inches, of a label's text and between two labels
WIDEST, LOOSE = 11, 1.2  # inches, of a figure that becomes wider for its labels; times their own width if there is room


def metrics(
    epochs: Sequence[float],
    values: Sequence[float],
    name: str,
    cycles: Sequence[tuple[int, float, float]] = (),
    ax: Any = None,
) -> Any:
    """Draw a score against epochs, the end of each cycle dotted, and above it the cycle's number and gain.

    epochs, values: trained so far and the score then. name: of the score.
    cycles: for each finished one its number, the epochs so far, and its gain; nan if it has none.
    ax: axes to draw on; None makes a figure.
    """
    new_figure = ax is None
    ax, _ = axes_or_new(ax, False)
    (line,) = draw_line(ax, epochs, values, marker="." if len(values) <= MANY_EPOCHS else None)
    ends = [end for _, end, _ in cycles]
    if len(ends) <= MANY_CYCLES:
        for end in ends:
            ax.axvline(end, color="grey", linestyle=":", linewidth=1)
        at_ends = [(x, y) for x, y in zip(epochs, values) if x in ends]
        ax.plot([x for x, _ in at_ends], [y for _, y in at_ends], "o", color=line.get_color())
    label_axes(ax, "epoch", name)
    if ax.get_yscale() == "linear":
        ax.ticklabel_format(axis="y", style="plain", useOffset=False)  # an offset would stand where the labels are
    low, high = ax.get_xlim()
    if high - low < 1:  # a single epoch: matplotlib would count in fractions
        ax.set(xlim=(low - 0.5, high + 0.5), xticks=[ceil(low - 0.5)])
    if 0 < len(ends) <= MANY_CYCLES:
        _label_cycles(ax, cycles, new_figure)
    return ax


def _label_cycles(ax: Any, cycles: Sequence[tuple[int, float, float]], may_widen: bool) -> None:
    """Number and gain above the axes, moved apart where cycles end close together; without gains if there are many.

    may_widen: whether the figure may be made wider for them.
    """
    from matplotlib.transforms import ScaledTranslation

    figure = ax.figure
    numbers = [str(number) for number, *_ in cycles]
    gains = ["" if isnan(gain) else f"{float(f'{gain:.2g}'):+g}" for *_, gain in cycles]
    labels = [f"{gain}\n{number}" if gain else number for number, gain in zip(numbers, gains)]
    wider = figure.get_figwidth() * _widths(labels).sum() / (ax.bbox.width / figure.dpi)
    if may_widen and figure.get_figwidth() < LOOSE * wider and wider <= WIDEST:
        figure.set_figwidth(min(LOOSE * wider, WIDEST + 0.01))
    room = ax.bbox.width / figure.dpi
    if _widths(labels).sum() > room:
        labels, gains = numbers, []
    step = ceil(_widths(labels).sum() / room)
    shown = range(len(cycles))[::-1][::step][::-1]  # the last one among them
    low, high = ax.get_xlim()
    inch = (high - low) / room  # in epochs
    ends, labels = [cycles[k][1] for k in shown], [labels[k] for k in shown]
    axis, above = ax.get_xaxis_transform(), ScaledTranslation(0, ABOVE / 72, figure.dpi_scale_trans)
    for label, end, x in zip(labels, ends, low + inch * _apart((np.array(ends) - low) / inch, _widths(labels), room)):
        ax.annotate(
            label, xy=(end, 1), xycoords=axis, xytext=(x, 1), textcoords=axis + above, ha="center", va="bottom",
            fontsize="small", annotation_clip=False,
            arrowprops=dict(arrowstyle="-", color="grey", linewidth=0.8, shrinkA=0, shrinkB=0, relpos=(0.5, 0)),
        )  # fmt: skip
    heading = ax.secondary_xaxis("top")  # a title that the user sets stands above the label of an axis
    heading.set_xticks([])
    heading.set_xlabel("gain\ncycle" if any(gains) else "cycle", x=0, ha="right", fontsize="small", labelpad=ABOVE)


def _widths(labels: Sequence[str]) -> np.ndarray:
    """In inches, with the space between two labels."""
    return np.array([max(map(len, label.splitlines())) * CHARACTER + SPACE for label in labels])


def _apart(x: np.ndarray, widths: np.ndarray, room: float) -> np.ndarray:
    """Centres near `x`, which rises, for labels of these widths that do not overlap, between 0 and `room`."""
    places = np.cumsum(widths) - widths / 2  # side by side from 0 on
    free = x - places  # to be made rising: halfway between moving to the right alone and to the left alone
    free = (np.maximum.accumulate(free) + np.minimum.accumulate(free[::-1])[::-1]) / 2
    return np.clip(free, 0, max(0, room - widths.sum())) + places
