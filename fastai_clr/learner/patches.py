"""What goes onto fastai's `Learner` and `Recorder`: the table at the end shows all of it."""

import inspect
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

from fastai.callback.core import CancelEpochException
from fastai.learner import Learner, Recorder
from fastcore.foundation import L

from ..record import Record
from . import call07
from .callback import CLRCallback
from .checks import own_attribute
from .compare import compare_schedules
from .plan import FitPlan
from .scope import current_scope, own_hypers, running_fit
from .suggest import suggest_clr

__all__ = ["PATCHES", "fit_clr", "install", "plan_of", "plot_schedule"]

_before: dict[str, Callable[..., Any]] = getattr(Learner, "_before_fastai_clr", None) or {
    name: getattr(Learner, name) for name in ("fit", "_do_fit", "save", "load", "export")
}  # kept on the class, so that loading this module again does not take our own methods for fastai's
native_fit: Callable[..., Any] = _before["fit"]


@wraps(_before["fit"])
def fit(self: Learner, *args: Any, **kwargs: Any) -> None:
    if call07.is_07_style(args, kwargs):
        FitPlan.from_07(self, args, kwargs).run(lambda *args, **kwargs: _fit_natively(self, *args, **kwargs))
    else:
        _check_native_names(kwargs)
        _fit_natively(self, *args, **kwargs)


def _fit_natively(learn: Learner, *args: Any, **kwargs: Any) -> None:
    """Call fastai 2's own `fit`. However it ends, its scope is closed and `learn.sched` tells what it did."""
    recorder, own_sched = own_attribute(learn, "recorder"), own_attribute(learn, "sched")
    before = [getattr(recorder, o, None) for o in ("lrs", "hps")]
    with running_fit(learn) as scope:
        for cb in learn.cbs:
            if isinstance(cb, CLRCallback) and cb.is_running:
                scope.enter_context(cb.paused())
        try:
            native_fit(learn, *args, **kwargs)
        finally:
            lrs, hps = [getattr(recorder, o, None) for o in ("lrs", "hps")]
            if own_attribute(learn, "sched") is own_sched and lrs and lrs is not before[0]:
                moms = hps.get("mom", ()) if hps and hps is not before[1] else ()
                learn.sched = Record.of_recorder(recorder, moms)


def _check_native_names(names: Iterable[str]) -> None:
    """Raise TypeError for an argument that fastai 2's own `fit` does not have."""
    native = inspect.signature(native_fit).parameters
    open_ended = any(p.kind is p.VAR_KEYWORD for p in native.values())
    for name in names:
        if not open_ended and name not in native:
            raise call07.unknown_argument(name, native)


def _show_arguments(fit: Any) -> None:
    """Let notebooks complete the arguments of both styles, and `fit?` name both."""
    native = inspect.signature(native_fit)
    named = [p for p in native.parameters.values() if p.kind is not p.VAR_KEYWORD]
    rest = [p for p in native.parameters.values() if p.kind is p.VAR_KEYWORD]
    ours = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=o) for name, o in call07.ARGUMENTS.items()]
    fit.__signature__ = native.replace(parameters=[*named, *ours, *rest])
    fit.__doc__ = f"{native_fit.__doc__}\n\nOr as in fastai 0.7: fit(lrs, n_cycle, cycle_len=3, use_clr=(32, 5))."


_show_arguments(fit)


def fit_clr(
    self: Learner,
    n_epoch: int,
    lr: Any = None,
    div: float = 10,
    cut_div: float = 10,
    n_cycles: int = 1,
    moms: Any = None,
    wd: Any = None,
    cbs: Any = None,
    reset_opt: bool = False,
    start_epoch: int = 0,
) -> None:
    """Train with a slanted triangular learning rate (`CircularLR`), in fastai 2's own style.

    n_epoch: epochs in all, an integer of at least 1; the `n_cycles` cycles share them equally.
    lr: peak learning rate: a number, one for each parameter group, or a slice; None is `learn.lr`.
    div: the largest rate divided by the smallest. cut_div: 1/cut_div of each cycle rises, the rest falls.
    moms: momentum where the rate is lowest and where it peaks, as a pair; None leaves momentum alone.
    wd: weight decay for this fit, a number or one for each parameter group; None is `learn.wd`.
    cbs, reset_opt: as in `Learner.fit`. start_epoch: earlier epochs are left out, not run empty as in `Learner.fit`.

    Raises TypeError or ValueError for an argument of the wrong kind or out of range, before anything changes.
    Source: 0.7.0's `use_clr`; Smith 2015; Howard & Ruder 2018.

    >>> learn.fit_clr(3, 1e-2, div=32, cut_div=5)
    """
    plan = FitPlan.from_clr(self, n_epoch, lr, div, cut_div, n_cycles, moms, wd, cbs, reset_opt, start_epoch)
    plan.run(self.fit)  # a subclass may have a `fit` of its own


_ONLY_FIT_CLR = {"div", "cut_div", "n_cycles", "moms"}


def plot_schedule(
    self: Learner, *args: Any, show_moms: bool = True, show_text: bool = True, ax: Any = None, **kwargs: Any
) -> Any:
    """Draw the learning rates that a call of `fit` with these arguments would train with; trains and changes nothing.

    args, kwargs: the arguments of `fit`, in either style; `cbs=` counts if it sets the rate. If `div`, `cut_div`,
    `n_cycles` or `moms` is among them, the arguments of `fit_clr`.
    show_moms, show_text, ax: as in `learn.sched.plot_lr`.

    The picture is that of `learn.sched.plot_lr()` after the call: a point for each batch of the Learner's data loader,
    a line for each of its parameter groups. Returns the axes of the rate; raises what the call would raise.

    >>> ax = learn.plot_schedule(1e-2, 1, cycle_len=2, use_clr=(32, 5))
    """
    plan = plan_of(self, args, kwargs)
    return plan.record().plot_lr(show_moms=show_moms, show_text=show_text, ax=ax)


def plan_of(learn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> FitPlan:
    """The fit that a call of `fit` or `fit_clr` with these arguments would be."""
    if _ONLY_FIT_CLR & set(kwargs):
        return FitPlan.from_clr(learn, *args, **kwargs)
    if call07.is_07_style(args, kwargs):
        return FitPlan.from_07(learn, args, kwargs)
    _check_native_names(kwargs)
    return FitPlan.from_native(learn, *args, **kwargs)


@wraps(_before["_do_fit"])
def _do_fit(self: Learner) -> None:
    scope = current_scope(self)
    if scope is None or not scope.first_epoch:
        return _before["_do_fit"](self)
    # fastai's own shows the epochs before `start_epoch` to every callback, and some of them save.
    if progress := own_attribute(self, "progress"):
        progress("before_epoch")  # a progress bar has to begin at 0
    for epoch in range(scope.first_epoch, self.n_epoch):
        self.epoch = epoch
        self._with_events(self._do_epoch, "epoch", CancelEpochException)


@wraps(_before["save"])
def save(self: Learner, *args: Any, **kwargs: Any) -> Any:
    with own_hypers(self):  # a fit that is resumed from the file takes its momentum for the optimizer's own
        return _before["save"](self, *args, **kwargs)


@wraps(_before["load"])
def load(self: Learner, *args: Any, **kwargs: Any) -> Any:
    with own_hypers(self):  # the file holds the optimizer's own values; a running fit goes on with those of the fit
        return _before["load"](self, *args, **kwargs)


@wraps(_before["export"])
def export(self: Learner, *args: Any, **kwargs: Any) -> Any:
    # The file should load where fastai_clr is not installed, also one that a callback writes during a fit.
    cbs = self.cbs
    ours = {name: o for name, o in vars(self).items() if isinstance(o, (Record, CLRCallback))}
    self.cbs = L(cb for cb in cbs if not isinstance(cb, CLRCallback))
    for name in ours:
        del self.__dict__[name]
    try:
        return _before["export"](self, *args, **kwargs)
    finally:
        self.cbs = cbs
        self.__dict__.update(ours)


class NoFitYet:
    """`learn.sched` before the first fit: an empty record, whose plots say so."""

    def __get__(self, learn: Learner | None, owner: type) -> Record:
        return Record()


def plot_lr(self: Recorder, show_moms: bool = True, show_text: bool = True, ax: Any = None) -> Any:
    """Draw the learning rate of the last fit, as `learn.sched.plot_lr` does."""
    return self.learn.sched.plot_lr(show_moms=show_moms, show_text=show_text, ax=ax)


PATCHES: dict[type, dict[str, Any]] = {
    Learner: {
        "fit": fit,  # both styles
        "fit_clr": fit_clr,
        "plot_schedule": plot_schedule,
        "suggest_clr": suggest_clr,
        "compare_schedules": compare_schedules,
        "sched": NoFitYet(),  # a fit sets it on the instance
        "_do_fit": _do_fit,  # leaves epochs out
        "save": save,  # with the optimizer's own hyper-parameters
        "load": load,  # and back to those of the running fit
        "export": export,  # without anything of ours
    },
    Recorder: {"plot_lr": plot_lr},
}


def install() -> None:
    """Put the patches on fastai's classes; a second call changes nothing."""
    if "_before_fastai_clr" not in vars(Learner):
        Learner._before_fastai_clr = _before
        for cls, names in PATCHES.items():
            for name, o in names.items():
                setattr(cls, name, o)
