"""Schedules side by side before any training, and the names of the usual ones."""

import re

import numpy as np

from . import plot
from .checks import check_number
from .cycles import Cycles
from .schedules import CircularLR, CircularLRBeta, Constant, CosAnneal, Schedule

__all__ = ["by_name", "plot_schedules"]

_USUAL = {
    "constant": Constant(),
    "cosine": CosAnneal(slow_start=False),
    "cosine_07": CosAnneal(),
    "one_cycle": CircularLR(25, 4, 0.95, 0.85, cosine=True, div_final=1e5),
}
_WITH_NUMBERS = {"clr": CircularLR, "clr_beta": CircularLRBeta}
_FORM = re.compile(r"(?:use_)?(clr|clr_beta)\s*=?\s*\(([^()]*)\)")


def by_name(name: str) -> Schedule:
    """The schedule named 'constant', 'cosine', 'cosine_07', 'one_cycle', 'clr(32,5)', 'clr_beta(10,10)'.

    'cosine' falls from the peak along half a cosine, 'cosine_07' is what 0.7 did with `cycle_len` alone, 'one_cycle'
    is fastai 2's `fit_one_cycle`; 'clr(20,10,.95,.85)' cycles momentum, too. Raises ValueError for another name and
    TypeError for what is no str.

    >>> by_name("clr(32,5)")
    CircularLR(div=32, cut_div=5)
    """
    if not isinstance(name, str):
        raise TypeError(f"name should be a str such as 'clr(32,5)', but given {name!r}")
    if name in _USUAL:
        return _USUAL[name]
    if form := _FORM.fullmatch(name.strip()):
        try:
            numbers = [float(o) if re.search(r"[.e]", o) else int(o) for o in form[2].split(",")]
        except ValueError:
            pass
        else:
            return _WITH_NUMBERS[form[1]](*numbers)
    usual = ", ".join(map(repr, _USUAL))
    raise ValueError(f"a schedule by name should be {usual}, 'clr(32,5)' or 'clr_beta(10,10)', but given {name!r}")


def as_dict(schedules, resolve=True) -> dict:
    """The schedules under the names that people see; a list of them is named by what it holds.

    resolve: put the schedule in the place of its name.
    """
    if isinstance(schedules, (str, Schedule)):
        schedules = [schedules]
    if not isinstance(schedules, (dict, list, tuple)):
        raise TypeError(f"schedules should be a dict or a list of schedules, but given {schedules!r}")
    if not isinstance(schedules, dict):
        names = [o if isinstance(o, str) else repr(o) for o in schedules]
        if twice := {o for o in names if names.count(o) > 1}:
            raise ValueError(
                f"schedules in a list should differ in their names, but given {twice.pop()} twice: give a dict"
            )
        schedules = dict(zip(names, schedules))
    if not schedules:
        raise ValueError(f"schedules should hold at least 1 schedule, but given {schedules!r}")
    return {str(name): by_name(o) if resolve and isinstance(o, str) else o for name, o in schedules.items()}


def plot_schedules(schedules, lr=1.0, n_iter=100, n_cycles=1, cycle_mult=1, *, show_moms=True, ax=None):
    """Draw several schedules on the same axes before any training; returns the axes of the learning rate.

    schedules: a dict of them by the names in the legend, or a list. Each is a schedule of ours, a name for one
    ('constant', 'cosine', 'one_cycle', 'clr(32,5)', see `by_name`), or what fastai 2's `ParamScheduler` takes: a
    function from the position in the fit (0 to 1) to the learning rate, say `combined_cos(0.25, lr/25, lr, lr/1e5)`
    or `SchedCos(lr, 0)`, or a dict {'lr': function, 'mom': function}.
    lr: peak learning rate of our schedules; one of fastai's has its own.
    n_iter: batches in all; n_cycles cycles share them, each `cycle_mult` times as long as the one before.
    show_moms: draw momentum in a second panel, where a schedule cycles it.
    ax: axes for the rates, or a pair of axes for rates and momentum; None makes a figure.

    Raises TypeError or ValueError for an argument of the wrong kind or out of its range.

    >>> ax = plot_schedules({"0.7": CircularLR(32, 5), "fastai 2": "one_cycle"}, lr=1e-2, n_iter=300)
    """
    lr = check_number("lr", lr, above=0)
    cycles = Cycles.of_batches(n_iter, n_cycles, cycle_mult)
    curves = {}
    for name, schedule in as_dict(schedules).items():
        if isinstance(schedule, Schedule):
            factors, momentums = schedule.at(np.arange(cycles.n_batches), cycles)
            curves[name] = factors * lr, momentums
        else:
            functions = position_functions(name, schedule)
            curves[name] = tuple(
                at_positions(functions[o], cycles.n_batches)[:, -1] if o in functions else None for o in ("lr", "mom")
            )
    return plot.several(curves, cycles.ends[:-1], show_moms, ax)


def position_functions(name, schedule) -> dict:
    """What `ParamScheduler` takes: functions of the position in the fit by hyper-parameter."""
    functions = schedule if isinstance(schedule, dict) else {"lr": schedule}
    try:
        functions["lr"]
        for function in functions.values():
            at_positions(function, 1)
    except Exception as e:
        raise TypeError(
            f"schedules[{name!r}] should be a schedule, a name such as 'one_cycle', a function of the position in the "
            f"fit or a dict of them such as {{'lr': SchedCos(1e-2, 0)}}, but given {schedule!r}"
        ) from e
    return functions


def at_positions(function, n_batches) -> np.ndarray:
    """The values that `ParamScheduler` sets: batches x 1, or batches x parameter groups."""
    return np.array([np.ravel(function(i / n_batches)) for i in range(n_batches)], dtype=float)
