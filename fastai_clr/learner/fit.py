"""`learn.fit`: the calls of fastai 0.7 and of fastai 2."""

import inspect
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from fastai.callback.core import Callback
from fastai.learner import Learner

from ..record import Record
from ..schedules.checks import as_list
from . import call07
from .checks import instance_attribute, is_callback
from .native import NATIVE
from .plan import FitPlan
from .scope import is_in_a_fit, keep_loop, open_scope
from .selective import SelectiveCallback
from .short_errors import short_errors
from .stopping import StopAtCycleEnd

__all__ = ["check_native_names", "fit", "native_fit"]

native_fit: Callable[..., Any] = NATIVE["fit"]


@short_errors
def fit(self: Learner, *args: Any, **kwargs: Any) -> None:
    """Train, by a call in the style of fastai 0.7 or of fastai 2.

    fastai 0.7's style, the rate first: `fit(lrs, n_cycle, cycle_len=..., use_clr=(div, cut_div))`. A call is read so if
    it has an argument that only 0.7 had, or if its first argument is not an integer.

    lrs (or lr): peak learning rate: a number, one for each parameter group, or a slice.
    n_cycle (or n): cycles, an integer of at least 1. Without cycle_len it is epochs at a constant rate.
    cycle_len: epochs in the first cycle, fractions allowed. Without use_clr the rate falls along half a cosine.
    cycle_mult: each cycle is this many times as long as the one before.
    use_clr: (div, cut_div), a slanted triangle: from lr/div up to lr in 1/cut_div of the cycle, and down in the rest.
    (div, cut_div, mom_a, mom_b) moves momentum, too, from mom_a down to mom_b and back. A schedule, say
    `CircularLR(25, 4, cosine=True)`, is taken as it is.
    use_clr_beta: (div, pct) or (div, pct, mom_a, mom_b), Leslie Smith's 1cycle: up, down, and pct per cent of the cycle
    below lr/div.
    wds (or wd): weight decay of this fit, a number or one for each parameter group; None is `learn.wd`.
    metrics: of this fit, in place of the Learner's. callbacks, cbs: fastai 2 callbacks, as instances or classes.
    clip: largest norm of the gradients; 0 is none.
    cycle_save_name: save the model as `<name>_cyc_0`, `<name>_cyc_1`, ... at each cycle's end.
    best_save_name: save the model as `<name>` after each epoch with the best first metric, else loss, so far.
    use_wd_sched: accepted where the optimizer decouples weight decay, and changes nothing there.
    reset_opt: make a new optimizer. start_epoch: resume; epochs before it are left out.

    fastai 2's style: `fit(n_epoch, lr, wd, cbs, reset_opt, start_epoch)`, fastai's own, for example
    `fit(3, 1e-2, cbs=CLRCallback(CircularLR(32, 5)))`.

    n_epoch: epochs. lr: learning rate; None is `learn.lr`. wd: weight decay; None is `learn.wd`.
    cbs: callbacks of this fit. reset_opt: as above. start_epoch: epochs before it run empty.

    After any fit `learn.sched` holds what it did. Raises TypeError or ValueError for an argument of the wrong kind or
    out of range, before anything changes.
    Source: 0.7.0's `fit`; fastai 2's `Learner.fit`.

    >>> learn.fit(1e-2, 1, cycle_len=3, use_clr=(32, 5))
    >>> ax = learn.sched.plot_lr()
    """
    if call07.is_07_style(args, kwargs):
        FitPlan.from_07(self, args, kwargs).run(partial(_fit_natively, self))
    else:
        check_native_names(kwargs)
        _check_schedules(self, args, kwargs)
        _fit_natively(self, *args, **kwargs)


def _signature() -> inspect.Signature:
    """The arguments of both styles, for completion and help."""
    native = inspect.signature(native_fit)
    named = [p for p in native.parameters.values() if p.kind is not p.VAR_KEYWORD]
    rest = [p for p in native.parameters.values() if p.kind is p.VAR_KEYWORD]
    of_07 = [
        inspect.Parameter(k, inspect.Parameter.KEYWORD_ONLY, default=o)
        for k, o in call07.ARGUMENTS.items()
        if k not in native.parameters
    ]
    return native.replace(parameters=[*named, *of_07, *rest])


fit.__signature__ = _signature()


def _fit_natively(learn: Learner, *args: Any, **kwargs: Any) -> None:
    """Call fastai 2's own `fit`. However it ends, its scope is closed and `learn.sched` tells what it did."""
    recorder, own_sched = instance_attribute(learn, "recorder"), instance_attribute(learn, "sched")
    lrs, hps = [getattr(recorder, o, None) for o in ("lrs", "hps")]
    outer = [cb for cb in learn.cbs if isinstance(cb, SelectiveCallback)] if is_in_a_fit(learn) else []
    given = [cb for o in (*args, *kwargs.values()) for cb in as_list(o)]
    with open_scope(learn, given) as scope:
        if outer:
            keep_loop(learn, scope)
        for cb in outer:
            scope.enter_context(cb.paused())
        has_ended = False
        try:
            native_fit(learn, *args, **kwargs)
            has_ended = True
        finally:
            if not scope.is_scheduled and not isinstance(own_sched, Callback):
                if getattr(recorder, "lrs", None) is not lrs:
                    is_new = getattr(recorder, "hps", None) is not hps  # `ParamScheduler` makes them
                    learn.sched = Record.of_recorder(recorder, recorder.hps.get("mom", ()) if is_new else ())
                elif has_ended:
                    learn.sched = Record()  # it was cancelled before anything was recorded


def _check_schedules(learn: Learner, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Raise what callbacks of ours in the fit would raise when it begins: now, while nothing has changed."""
    try:
        given = inspect.signature(native_fit).bind(learn, *args, **kwargs).arguments
    except TypeError:
        return  # fastai's own `fit` says what is wrong
    cbs = [*learn.cbs, *as_list(given.get("cbs"))]
    if any(is_callback(cb, "schedule", "LRFinder") for cb in cbs) or "n_epoch" not in given:
        return
    if any(isinstance(cb, SelectiveCallback) or cb is StopAtCycleEnd for cb in cbs):
        known = inspect.signature(FitPlan.from_native).parameters
        FitPlan.from_native(learn, **{name: value for name, value in given.items() if name in known})


def check_native_names(names: Iterable[str]) -> None:
    """Raise TypeError for an argument that fastai 2's own `fit` does not have."""
    native = inspect.signature(native_fit).parameters
    open_ended = any(p.kind is p.VAR_KEYWORD for p in native.values())
    for name in names:
        if not open_ended and name not in native:
            raise call07.unknown_argument(name, native)
