"""`learn.plot_schedule`: draw the rates of a call of `fit`, without training."""

import inspect
from collections.abc import Callable
from functools import partial
from itertools import repeat
from typing import Any

import numpy as np
from fastai.learner import Learner

from ...plot.axes import Axes, GivenAxes
from ...record import Record
from ...schedules.checks import rate_of
from ...schedules.drawing import at_positions
from ..fastai2 import is_callback
from ..loop.loaders import batches_per_epoch
from . import call07
from .arguments import optimizer_for_fit
from .fit import check_native_names, fit, plan_of_native
from .fit_clr import check_names, fit_clr, plan_of_clr
from .plan import FitPlan
from .short_errors import plan_then_run


@plan_then_run
def plot_schedule(
    self: Learner,
    *args: Any,
    show_moms: bool = True,
    show_text: bool = True,
    ax: "GivenAxes" = None,
    log: bool = False,
    **kwargs: Any,
) -> Callable[[], "Axes"]:
    """Draw the learning rates of a call of `fit`, without training or changing anything.

    The plot is that of `learn.sched.plot_lr()` after the call: one point per batch, one line per parameter group.
    If a callback in the call sets the rate, the plot shows the rates that it sets. If you give `div`, `cut_div`,
    `n_cycles` or `moms`, the call is read as one of `fit_clr`, otherwise as one of `fit`.

    Parameters
    ----------
    n_epoch, lr, wd, cbs, reset_opt, start_epoch
        As in `fit`, in either style.
    lrs, n_cycle, cycle_len, cycle_mult, use_clr, use_clr_beta, wds, metrics, callbacks, clip
        As in `fit`, in 0.7's style.
    cycle_save_name, best_save_name, use_wd_sched
        As in `fit`, in 0.7's style.
    div, cut_div, n_cycles, moms
        As in `fit_clr`.
    show_moms
        Whether to draw the momentum beside the rate, if the call cycles it.
    show_text
        Whether to show the schedule, and the rates at its start, peak and end, in a title.
    ax
        Axes for the rates, or a pair of axes for rates and momentum; None makes a figure.
    log
        Whether to use a logarithmic axis, which separates groups with very different rates.

    Returns
    -------
    The matplotlib axes of the learning rate.

    Raises
    ------
    TypeError, ValueError
        If the call would raise one.

    Examples
    --------
    >>> ax = learn.plot_schedule(1e-2, 1, cycle_len=2, use_clr=(32, 5))
    """
    record = preview(plan_of(self, args, kwargs))
    return partial(record.plot_lr, show_moms=show_moms, show_text=show_text, ax=ax, log=log)


def preview(plan: FitPlan) -> Record:
    """The record that `learn.sched` would be after the fit of `plan`, without losses."""
    opt, n_iter = optimizer_for_fit(plan.learn, plan.reset_opt), batches_per_epoch(plan.learn.dls)
    rows, rates, momentums = range(plan.start_epoch * n_iter, plan.n_epoch * n_iter), None, None
    for cb in plan.all_cbs():
        if is_callback(cb, "tracker", "ReduceLROnPlateau"):
            raise ValueError(f"{cb!r} sets the rate by the training's losses, so the rate is not known before")
        if is_callback(cb, "schedule", "ParamScheduler"):
            if "lr" in cb.scheds:
                rates = at_positions(cb.scheds["lr"], rows.stop)[rows.start :] * np.ones(len(opt.hypers))
            if "mom" in cb.scheds:
                momentums = at_positions(cb.scheds["mom"], rows.stop)[rows.start :, -1]
    if plan.timetable is None:
        rates = np.tile(plan.peaks(opt), (len(rows), 1)) if rates is None else rates
        record = Record.of_arrays(rates, [] if momentums is None else momentums)
    else:
        if momentums is None and not plan.timetable.schedule.cycles_momentum:
            momentums = repeat(opt.hypers[-1].get("mom"))
        record = Record.of_plan(plan.timetable, plan.rows(plan.timetable), momentums)
    for epoch in range(plan.start_epoch, plan.n_epoch):
        record.begin_epoch(epoch, n_iter * (epoch - plan.start_epoch))
    return record


def plan_of(learn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> FitPlan:
    """The fit that a call of `fit` or `fit_clr` with these arguments would be."""
    if call07.ONLY_FIT_CLR & set(kwargs):
        check_names(kwargs)
        call = inspect.signature(fit_clr).bind(learn, *args, **kwargs)
        call.apply_defaults()
        given = {name: o for name, o in call.arguments.items() if name not in ("self", "unknown")}
        return plan_of_clr(learn, **given)
    args, kwargs = tuple(map(rate_of, args)), {name: rate_of(o) for name, o in kwargs.items()}
    if call07.is_07_style(args, kwargs):
        return call07.plan_of_07(learn, args, kwargs)
    check_native_names(kwargs)
    return plan_of_native(learn, *args, **kwargs)


def _signature() -> inspect.Signature:
    """All arguments of `fit`, `fit_clr` and the plot, for completion and help."""
    own = inspect.signature(plot_schedule).parameters.values()
    of_fit = inspect.signature(fit).parameters.values()
    of_clr = inspect.signature(fit_clr).parameters.values()
    named = [
        *(p for p in of_fit if p.kind is not p.VAR_KEYWORD),
        *(p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in of_clr if p.name in call07.ONLY_FIT_CLR),
        *(p for p in own if p.kind is p.KEYWORD_ONLY),
    ]
    return inspect.Signature(named, return_annotation="Axes")


plot_schedule.__signature__ = _signature()
