"""What goes onto fastai's `Learner` and `Recorder`: the table at the end shows all of it."""

import inspect
from collections.abc import Callable, Iterable
from functools import partial, update_wrapper
from typing import Any

from fastai.callback.core import Callback, CancelEpochException
from fastai.learner import Learner, Recorder
from fastcore.foundation import L

from ..record import Record
from ..schedules.checks import as_list
from . import call07, gone07
from .checks import instance_attribute, is_callback
from .compare import compare_schedules
from .fit_clr import check_names, fit_clr
from .plan import FitPlan
from .scope import current_scope, hypers_before_fit, is_in_a_fit, keep_loop, open_scope
from .selective import SelectiveCallback
from .stopping import StopAtCycleEnd
from .suggest import suggest_clr

__all__ = ["PATCHES", "install", "plan_of", "plot_schedule"]

_native: dict[str, Callable[..., Any]] = getattr(Learner, "_before_fastai_clr", None) or {
    name: getattr(Learner, name)
    for name in ("fit", "_do_fit", "save", "load", "export", "lr_find", "__getattr__")
    if hasattr(Learner, name)  # `lr_find` comes with fastai.callback.schedule
}  # kept on the class, so that loading this module again does not take our own methods for fastai's
native_fit: Callable[..., Any] = _native["fit"]


def fit(self: Learner, *args: Any, **kwargs: Any) -> None:
    if call07.is_07_style(args, kwargs):
        FitPlan.from_07(self, args, kwargs).run(partial(_fit_natively, self))
    else:
        _check_native_names(kwargs)
        _check_schedules(self, args, kwargs)
        _fit_natively(self, *args, **kwargs)


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


def _check_native_names(names: Iterable[str]) -> None:
    """Raise TypeError for an argument that fastai 2's own `fit` does not have."""
    native = inspect.signature(native_fit).parameters
    open_ended = any(p.kind is p.VAR_KEYWORD for p in native.values())
    for name in names:
        if not open_ended and name not in native:
            raise call07.unknown_argument(name, native)


def plot_schedule(
    self: Learner,
    *args: Any,
    show_moms: bool = True,
    show_text: bool = True,
    ax: Any = None,
    log: bool = False,
    **kwargs: Any,
) -> Any:
    """Draw the learning rates that a call of `fit` with these arguments would train with; trains and changes nothing.

    args, kwargs: the arguments of `fit`, in either style; `cbs=` counts if it sets the rate. If `div`, `cut_div`,
    `n_cycles` or `moms` is among them, the arguments of `fit_clr`.
    show_moms, show_text, ax, log: as in `learn.sched.plot_lr`.

    The picture is that of `learn.sched.plot_lr()` after the call: a point for each batch of the Learner's data loader,
    a line for each of its parameter groups. Returns the axes of the rate; raises what the call would raise.

    >>> ax = learn.plot_schedule(1e-2, 1, cycle_len=2, use_clr=(32, 5))
    """
    plan = plan_of(self, args, kwargs)
    return plan.preview().plot_lr(show_moms=show_moms, show_text=show_text, ax=ax, log=log)


def plan_of(learn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> FitPlan:
    """The fit that a call of `fit` or `fit_clr` with these arguments would be."""
    if call07.ONLY_FIT_CLR & set(kwargs):
        check_names(kwargs)
        call = inspect.signature(fit_clr).bind(learn, *args, **kwargs)
        call.apply_defaults()
        return FitPlan.from_clr(*call.arguments.values())
    if call07.is_07_style(args, kwargs):
        return FitPlan.from_07(learn, args, kwargs)
    _check_native_names(kwargs)
    return FitPlan.from_native(learn, *args, **kwargs)


def _do_fit(self: Learner) -> None:
    scope = current_scope(self)
    if scope is None or not scope.first_epoch:
        return _native["_do_fit"](self)
    # fastai's own shows the epochs before `start_epoch` to every callback, and some of them save.
    if progress := instance_attribute(self, "progress"):
        progress("before_epoch")  # a progress bar has to begin at 0
    for epoch in range(scope.first_epoch, self.n_epoch):
        self.epoch = epoch
        self._with_events(self._do_epoch, "epoch", CancelEpochException)


def save(self: Learner, *args: Any, **kwargs: Any) -> Any:
    with hypers_before_fit(self):  # a fit that is resumed from the file takes its momentum for the optimizer's own
        return _native["save"](self, *args, **kwargs)


def load(self: Learner, *args: Any, **kwargs: Any) -> Any:
    with hypers_before_fit(self):  # the file holds the optimizer's own values, and a running fit keeps the fit's
        return _native["load"](self, *args, **kwargs)


def export(self: Learner, *args: Any, **kwargs: Any) -> Any:
    # The file should load where fastai_clr is not installed, also one that a callback writes during a fit.
    cbs, opt = self.cbs, self.opt
    ours = {name: o for name, o in vars(self).items() if isinstance(o, (Record, SelectiveCallback))}
    self.cbs = L(cb for cb in cbs if not isinstance(cb, SelectiveCallback))
    for name in ours:
        del self.__dict__[name]
    try:
        return _native["export"](self, *args, **kwargs)
    finally:
        if is_in_a_fit(self):
            self.opt = opt  # fastai makes a new one, with the values of this batch
        self.cbs = cbs
        self.__dict__.update(ours)


def load_cycle(self: Learner, name: str, cycle: int, **kwargs: Any) -> Any:
    """Load what a fit with `cycle_save_name=name` saved at the end of `cycle` (from 0). kwargs: as in `learn.load`.

    Source: 0.7.0's `load_cycle`.
    """
    return self.load(f"{name}_cyc_{cycle}", **kwargs)


def getattr_07(self: Learner, name: str) -> Any:
    try:
        return _native["__getattr__"](self, name)  # the model's attribute, say
    except AttributeError:
        if name not in gone07.METHODS:
            raise
    raise AttributeError(f"learn.{name} was fastai 0.7's: {gone07.METHODS[name]}")


def lr_find(self: Learner, *args: Any, **kwargs: Any) -> Any:
    for name in kwargs:
        if name in gone07.LR_FIND_ARGUMENTS:
            raise TypeError(f"lr_find has no argument {name!r}: {gone07.LR_FIND_ARGUMENTS[name]}")
    return _native["lr_find"](self, *args, **kwargs)


class NoFitYet:
    """`learn.sched` before the first fit: an empty record, whose plots say so."""

    def __get__(self, learn: Any, owner: type) -> Record:
        return Record()


def plot_lr(self: Any, show_moms: bool = True, show_text: bool = True, ax: Any = None, **others: Any) -> Any:
    """Draw the learning rate of the last fit, as `learn.sched.plot_lr` does, with its arguments."""
    return self.learn.sched.plot_lr(show_moms=show_moms, show_text=show_text, ax=ax, **others)


PATCHES: dict[type, dict[str, Any]] = {
    Learner: {
        "fit": fit,  # both styles
        "fit_clr": fit_clr,
        "load_cycle": load_cycle,
        "plot_schedule": plot_schedule,
        "suggest_clr": suggest_clr,
        "compare_schedules": compare_schedules,
        "sched": NoFitYet(),  # a fit sets it on the instance
        "_do_fit": _do_fit,  # leaves epochs out
        "save": save,  # with the optimizer's own hyper-parameters
        "load": load,  # keeps what the running fit has set
        "export": export,  # without anything of ours
        "lr_find": lr_find,  # says what became of 0.7's arguments
        "__getattr__": getattr_07,  # says what became of 0.7's methods
    },
    Recorder: {"plot_lr": plot_lr},
}


def install() -> None:
    """Put the patches on fastai's classes; a second call changes nothing."""
    if "_before_fastai_clr" in vars(Learner):
        return
    Learner._before_fastai_clr = _native
    for name, native in _native.items():
        _show_as(PATCHES[Learner][name], native)
    for cls, names in PATCHES.items():
        for name, o in names.items():
            if name != "lr_find" or "lr_find" in _native:
                setattr(cls, name, o)


def _show_as(ours: Any, native: Callable[..., Any]) -> None:
    """Give `ours` the name, help and arguments of fastai's method; `fit` has the arguments of both styles."""
    update_wrapper(ours, native)
    del ours.__wrapped__  # else `learn.fit??` would show fastai's source
    ours.__signature__ = signature = inspect.signature(native)
    if ours is fit:
        named = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        rest = [p for p in signature.parameters.values() if p.kind is p.VAR_KEYWORD]
        of_07 = [inspect.Parameter(k, inspect.Parameter.KEYWORD_ONLY, default=o) for k, o in call07.ARGUMENTS.items()]
        ours.__signature__ = signature.replace(parameters=[*named, *of_07, *rest])
        ours.__doc__ = f"{native.__doc__}\n\nOr as in fastai 0.7: fit(lrs, n_cycle, cycle_len=3, use_clr=(32, 5))."
