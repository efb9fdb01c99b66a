"""Draw several schedules on the same axes: ours, and fastai's functions of the position in the fit."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .. import plot
from ..plot.axes import Axes, GivenAxes
from .checks import check_number
from .cycles import Cycles
from .names import named_schedules
from .schedule import Schedule
from .timetable import Timetable


def plot_schedules(
    schedules: "Mapping[str, Any] | Sequence[Any] | Schedule",
    lr: float = 1.0,
    n_batches: int = 100,
    n_cycles: int = 1,
    cycle_mult: float = 1,
    *,
    show_moms: bool = True,
    ax: "GivenAxes" = None,
    log: bool = False,
) -> "Axes":
    """Draw several schedules on the same axes, before any training.

    Parameters
    ----------
    schedules
        A list, or a dict whose keys are the names in the legend. An item is one of our schedules, a name of `by_name`
        ('constant', 'cosine', 'one_cycle', 'clr(32,5)', ...), or what fastai 2's `ParamScheduler` takes: a function
        from the position in the fit (0 to 1) to the learning rate, such as `SchedCos(lr, 0)` or
        `combined_cos(0.25, lr/25, lr, lr/1e5)`, or a dict {'lr': function, 'mom': function}.
    lr
        Peak learning rate of our schedules; fastai's functions give the rate itself.
    n_batches
        Batches in all.
    n_cycles
        Cycles that share the batches.
    cycle_mult
        Each cycle is this many times as long as the one before.
    show_moms
        Whether to draw momentum in a second panel, if a schedule cycles it.
    ax
        Axes for the rates, or a pair of axes for rates and momentum; None makes a figure.
    log
        Whether to use a logarithmic axis for the rates.

    Returns
    -------
    The matplotlib axes of the learning rate.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of range.

    Examples
    --------
    >>> ax = plot_schedules({"0.7": CircularLR(32, 5), "fastai 2": "one_cycle"}, lr=1e-2, n_batches=300)
    """
    lr = check_number("lr", lr, above=0)
    cycles = Cycles.of_batches(n_batches, n_cycles, cycle_mult)
    curves = {}
    for name, schedule in named_schedules(schedules).items():
        if isinstance(schedule, Schedule):
            timetable = Timetable(schedule, cycles, [lr])
            curves[name] = timetable.rates[:, 0], timetable.momentums
        else:
            functions = position_functions(name, schedule)
            curves[name] = tuple(
                at_positions(functions[o], cycles.n_batches)[:, -1] if o in functions else None for o in ("lr", "mom")
            )
    return plot.several(curves, cycles.ends[:-1], show_moms, ax, log)


def position_functions(name: str, schedule: Any) -> dict[str, Callable[[float], Any]]:
    """The argument of fastai's `ParamScheduler`: for each hyper-parameter, a function of the position in the fit.

    Parameters
    ----------
    name
        Name of the schedule, for the message.
    schedule
        Such a dict, or the function for the learning rate alone.

    Raises
    ------
    TypeError
        If it is neither.

    Examples
    --------
    >>> position_functions("flat", lambda position: 1e-2)["lr"](0.5)
    0.01
    """
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


def at_positions(function: Callable[[float], Any], n_batches: int) -> np.ndarray:
    """The values that `ParamScheduler` sets in `n_batches` batches: batches x 1, or batches x parameter groups."""
    return np.array([np.ravel(function(i / n_batches)) for i in range(n_batches)], dtype=float)
