"""Rates and momentum of each batch, of one schedule or of several."""

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

import numpy as np

from .axes import (
    BATCHES,
    CHARACTER,
    axes_or_new,
    distinct_colors,
    draw_line,
    label_axes,
    label_rates,
    legend_below,
    mark_cycles,
)

__all__ = ["rates", "several"]

MANY_GROUPS = 12  # more names than this do not fit beside the curves


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
    ax, moms_ax = axes_or_new(ax, momentums is not None)
    iterations = np.arange(1, len(groups[-1]) + 1)
    differ = any(not np.array_equal(o, groups[-1]) for o in groups)
    lines = []
    for o, color in zip(groups, distinct_colors(len(groups)) if differ else [None] * len(groups)):
        lines += draw_line(ax, iterations, o, color=lines[0].get_color() if lines and not differ else color)
    label_rates(ax, log)
    if differ:
        last = moms_ax if new_figure and moms_ax is not None else ax
        _name_groups(last, lines, [np.max(o) for o in groups], beside=new_figure)
    panels = [ax]
    if moms_ax is not None:
        draw_line(moms_ax, iterations, momentums, color=moms_ax.xaxis.label.get_color())  # of the text, on any style
        label_axes(moms_ax, BATCHES, "momentum")
        if np.ptp(momentums) < 1e-9:
            moms_ax.set_ylim(np.mean(momentums) - 0.05, np.mean(momentums) + 0.05)  # not an axis of rounding errors
        panels.append(moms_ax)
    mark_cycles(panels, cycle_ends)
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
    ax, moms_ax = axes_or_new(ax, show_moms and any(moms is not None for _, moms in curves.values()))
    for (name, (lrs, moms)), color in zip(curves.items(), distinct_colors(len(curves))):
        iterations = np.arange(1, len(lrs) + 1)
        (line,) = draw_line(ax, iterations, lrs, label=name, color=color)
        if moms_ax is not None and moms is not None:
            draw_line(moms_ax, iterations, moms, color=line.get_color())
    label_rates(ax)
    if moms_ax is not None:
        label_axes(moms_ax, BATCHES, "momentum")
    mark_cycles([o for o in (ax, moms_ax) if o is not None], cycle_ends)
    if new_figure:
        legend_below(ax)
    else:
        ax.legend(fontsize="small")
    return ax


def _name_groups(ax: Any, lines: list[Any], peaks: list[Any], beside: bool) -> None:
    named = np.unique(np.linspace(0, len(lines) - 1, MANY_GROUPS).astype(int))  # first and last among them
    names = [f"group {k}, at most {peaks[k]:.3g}" for k in named]
    where = dict(loc="center left", bbox_to_anchor=(1, 0.5)) if beside else {}  # a neighbour may be beside given axes
    ax.legend([lines[k] for k in named], names, fontsize="small", **where)


def _in_numbers(rates: Any) -> str:
    peak = int(np.argmax(rates))
    return f"starts at {rates[0]:.3g}, peaks at {rates[peak]:.3g} in batch {peak + 1}, ends at {rates[-1]:.3g}"
