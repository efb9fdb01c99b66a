"""`learn.plot_schedule`: what a call of `fit` would do, without training."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from fastai.learner import Learner

from . import call07
from .fit import check_native_names, fit
from .fit_clr import check_names, fit_clr
from .plan import FitPlan
from .short_errors import plan_then_run

__all__ = ["plan_of", "plot_schedule"]


@plan_then_run
def plot_schedule(
    self: Learner,
    *args: Any,
    show_moms: bool = True,
    show_text: bool = True,
    ax: Any = None,
    log: bool = False,
    **kwargs: Any,
) -> Callable[[], Any]:
    """Draw the learning rates that a call of `fit` with these arguments would train with; trains and changes nothing.

    n_epoch, ..., moms: the arguments of `fit`, in either style; `cbs=` counts if it sets the rate. If `div`, `cut_div`,
    `n_cycles` or `moms` is among them, the arguments of `fit_clr`.
    show_moms, show_text, ax, log: as in `learn.sched.plot_lr`.

    The picture is that of `learn.sched.plot_lr()` after the call: a point for each batch of the Learner's data loader,
    a line for each of its parameter groups. Returns the axes of the rate; raises what the call would raise.

    >>> ax = learn.plot_schedule(1e-2, 1, cycle_len=2, use_clr=(32, 5))
    """
    record = plan_of(self, args, kwargs).preview()
    return partial(record.plot_lr, show_moms=show_moms, show_text=show_text, ax=ax, log=log)


def plan_of(learn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> FitPlan:
    """The fit that a call of `fit` or `fit_clr` with these arguments would be."""
    if call07.ONLY_FIT_CLR & set(kwargs):
        check_names(kwargs)
        call = inspect.signature(fit_clr).bind(learn, *args, **kwargs)
        call.apply_defaults()
        return FitPlan.from_clr(*call.arguments.values())
    if call07.is_07_style(args, kwargs):
        return FitPlan.from_07(learn, args, kwargs)
    check_native_names(kwargs)
    return FitPlan.from_native(learn, *args, **kwargs)


def _signature() -> inspect.Signature:
    """The arguments of `fit`, those that only `fit_clr` has, and those of the picture, for completion and help."""
    own = inspect.signature(plot_schedule).parameters.values()
    of_fit = inspect.signature(fit).parameters.values()
    of_clr = inspect.signature(fit_clr).parameters.values()
    named = [
        *(p for p in of_fit if p.kind is not p.VAR_KEYWORD),
        *(p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in of_clr if p.name in call07.ONLY_FIT_CLR),
        *(p for p in own if p.kind is p.KEYWORD_ONLY),
    ]
    return inspect.Signature(named, return_annotation=Any)


plot_schedule.__signature__ = _signature()
