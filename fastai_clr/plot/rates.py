"""Rates and momentum of each batch, of one schedule or of several."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from .axes import (
    BATCHES,
    distinct_colors,
    draw_line,
    figure_of,
    label_axes,
    label_rates,
    legend_below,
    legend_inside,
    mark_cycles,
    pair_of_axes,
    width_of,
    wrapped,
)

if TYPE_CHECKING:
    from .axes import Axes, GivenAxes

HIDDEN = "0 (no place on a log axis)"
MANY_GROUPS = 12  # more names than this do not fit beside the curves


def rates(
    groups: Sequence[ArrayLike],
    momentums: ArrayLike | None = None,
    cycle_ends: Sequence[float] | np.ndarray = (),
    title: str | None = None,
    ax: "GivenAxes" = None,
    log: bool = False,
) -> "Axes":
    """Draw learning rate against batch, a line per parameter group, with the momentum beside it and cycle ends dotted.

    Parameters
    ----------
    groups
        The rates of each parameter group, one per batch.
    momentums
        One per batch, or None for no second panel.
    cycle_ends
        Batches, from 1.
    title
        First line of the title; a second gives the rates in numbers. None leaves both out.
    ax
        Axes, or a pair of axes for rates and momentum; on single axes momentum is not drawn.
    log
        Whether to use a logarithmic axis for the rates.
    """
    new_figure = ax is None
    ax, moms_ax = pair_of_axes(ax, momentums is not None)
    groups = [np.asarray(o, dtype=float) for o in groups]
    iterations = np.arange(1, len(groups[-1]) + 1)
    differ = any(not np.array_equal(o, groups[-1]) for o in groups)
    lines, colors = [], distinct_colors(ax, len(groups) if differ else 1)
    for k, o in enumerate(groups):
        lines += draw_line(ax, iterations, o, color=colors[k] if differ or not lines else lines[0].get_color())
    if moms_ax is not None:
        draw_line(moms_ax, iterations, momentums, color=moms_ax.xaxis.label.get_color())  # of the text, on any style
    _label(ax, moms_ax, cycle_ends, log)
    if title is not None:
        numbers = (f"group {len(groups) - 1} " if differ else "") + _in_numbers(groups[-1])
        # on a figure of its own it may go on above a legend beside the axes
        inches, size = (figure_of(ax).get_figwidth() - 1, "medium") if new_figure else (width_of(ax), "small")
        ax.set_title("\n".join(wrapped(o, inches) for o in (title, numbers) if o), loc="left", fontsize=size)
    if differ:
        n_named = MANY_GROUPS if new_figure else MANY_GROUPS // 2
        for k in np.unique(np.linspace(0, len(lines) - 1, n_named).astype(int)):  # first and last among them
            is_hidden = log and not groups[k].any()
            lines[k].set_label(f"group {k}, " + (f"peak {groups[k].max():.3g}" if not is_hidden else HIDDEN))
        if new_figure:
            beside = ax if moms_ax is None else moms_ax
            beside.legend(*ax.get_legend_handles_labels(), fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
        else:
            legend_inside(ax)
    return ax


def _label(ax: "Axes", moms_ax: "Axes | None", cycle_ends: Sequence[float] | np.ndarray, log: bool = False) -> None:
    """Label both axes, and dot the cycle ends."""
    label_rates(ax, log)
    mark_cycles(ax, cycle_ends)
    if moms_ax is not None:
        label_axes(moms_ax, BATCHES, "momentum")
        mark_cycles(moms_ax, cycle_ends)


def _in_numbers(rates: np.ndarray) -> str:
    """Where the rate starts, peaks and ends."""
    batch, first, last = int(np.argmax(rates)), f"{rates[0]:.3g}", f"{rates[-1]:.3g}"
    peak = f"{rates[batch]:.3g}"
    if np.ptp(rates) <= 1e-9 * rates[batch]:
        return f"stays at {first}"
    if first == peak:
        return f"starts at its peak of {peak}, ends at {last}"
    if last == peak:
        return f"starts at {first}, ends at its peak of {peak}"
    return f"starts at {first}, peaks at {peak} in batch {batch + 1}, ends at {last}"


def several(
    curves: Mapping[str, tuple[ArrayLike, ArrayLike | None]],
    cycle_ends: Sequence[float] | np.ndarray = (),
    show_moms: bool = True,
    ax: "GivenAxes" = None,
    log: bool = False,
) -> "Axes":
    """Draw schedules on the same axes, one colour each, with their momentum beside them if any of them cycles it.

    Parameters
    ----------
    curves
        By the name in the legend, a pair of rates and momentums, one per batch; momentums None if not cycled.
    cycle_ends
        Batches, from 1.
    show_moms
        Whether to draw the momentum.
    ax
        Axes, or a pair of axes for rates and momentum; on single axes momentum is not drawn.
    log
        Whether to use a logarithmic axis for the rates.
    """
    new_figure = ax is None
    ax, moms_ax = pair_of_axes(ax, show_moms and any(moms is not None for _, moms in curves.values()))
    for (name, (lrs, moms)), color in zip(curves.items(), distinct_colors(ax, len(curves))):
        iterations = np.arange(1, np.size(lrs) + 1)
        (line,) = draw_line(ax, iterations, lrs, label=name, color=color)
        if moms_ax is not None and moms is not None:
            draw_line(moms_ax, iterations, moms, color=line.get_color())
    _label(ax, moms_ax, cycle_ends, log)
    (legend_below if new_figure else legend_inside)(ax)
    return ax
