"""The boundary with users: `Learner.fit` as 0.7 had it, `Learner.fit_clr`, and `learn.sched` after every fit."""

import inspect
from contextlib import ExitStack
from functools import partial, wraps
from typing import Any, NamedTuple

from fastai.callback.core import CancelEpochException
from fastai.callback.training import GradientClip
from fastai.learner import Learner, Recorder
from fastcore.foundation import L

from . import fit07
from .arguments import as_callbacks, as_metrics, decouples_weight_decay, optimizer_to_be, per_group
from .callback import CLRCallback
from .checks import check_number
from .loop import batches_per_epoch
from .record import Record
from .schedules import CircularLR

__all__ = ["fit_clr"]


def fit_clr(
    self: Learner, n_epoch: int, lr=None, div=10, cut_div=10, n_cycles=1, moms=None, wd=None, cbs=None,
    reset_opt=False, start_epoch=0,
):  # fmt: skip
    """Train with a slanted triangular learning rate (`CircularLR`), in fastai 2's own style.

    n_epoch: epochs in all, an integer of at least 1; the `n_cycles` cycles share them equally.
    lr: peak learning rate: a number, one for each parameter group, or a slice; None is `learn.lr`.
    div: the largest rate divided by the smallest. cut_div: 1/cut_div of each cycle rises, the rest falls.
    moms: momentum where the rate is lowest and where it peaks, as a pair; None leaves momentum alone.
    wd: weight decay for this fit, a number or one for each parameter group; None is `learn.wd`.
    cbs, reset_opt, start_epoch: as in `Learner.fit`, but an epoch before `start_epoch` is left out, not run empty.

    Raises TypeError or ValueError for an argument of the wrong kind or out of its range, before anything changes.
    Source: 0.7.0's `use_clr`; Smith 2015; Howard & Ruder 2018.

    >>> learn.fit_clr(3, 1e-2, div=32, cut_div=5)
    """
    _run(self, checked_clr(self, n_epoch, lr, div, cut_div, n_cycles, moms, wd, cbs, reset_opt, start_epoch))


class _Fit(NamedTuple):
    """A fit that was checked and has not begun."""

    callback: CLRCallback
    n_epoch: int
    lr: Any
    wd: Any
    cbs: list
    metrics: Any
    reset_opt: bool
    start_epoch: int


def checked_clr(
    learn, n_epoch, lr=None, div=10, cut_div=10, n_cycles=1, moms=None, wd=None, cbs=None, reset_opt=False,
    start_epoch=0,
) -> _Fit:  # fmt: skip
    """A call of `fit_clr`, or the error that it deserves."""
    n_epoch = check_number("n_epoch", n_epoch, least=1, integer=True)
    if moms is not None and not (fit07.is_several(moms) and len(moms) == 2):
        error = ValueError if fit07.is_several(moms) else TypeError
        raise error(f"moms should be a pair, momentum at the lowest rate and at the peak, but given {moms!r}")
    callback = CLRCallback(CircularLR(div, cut_div, *([] if moms is None else moms)), n_cycles)
    return _checked(
        learn, callback, {"lr": lr}, {"wd": wd}, fit07.as_list(cbs),
        reset_opt=reset_opt, start_epoch=start_epoch, n_epoch=n_epoch,
    )  # fmt: skip


def checked_07(learn, args, kwargs) -> _Fit:
    """A 0.7-style call of `fit`, or the error that it deserves."""
    call = fit07.translate(args, kwargs)
    callback = CLRCallback(
        call.schedule, call.n_cycle, call.cycle_len, call.cycle_mult, call.cycle_save_name, call.best_save_name
    )
    fit07.check_off("reg_fn", learn.__dict__.get("reg_fn"))
    return _checked(
        learn, callback, {"lrs": call.lrs}, {"wds": call.wds}, call.callbacks, call.clip,
        call.metrics, call.use_wd_sched, call.reset_opt, call.start_epoch,
    )  # fmt: skip


def _checked(
    learn, callback, lr, wd, cbs, clip=None, metrics=None, use_wd_sched=False, reset_opt=False, start_epoch=0,
    n_epoch=None,
) -> _Fit:  # fmt: skip
    """What both kinds of call check against the learner.

    lr, wd: a dict of one item, the name that the user knows the argument by and its value.
    """
    cycles = callback.cycles(batches_per_epoch(learn.dls), n_epoch)
    start_epoch = check_number("start_epoch", start_epoch, least=0, below=cycles.n_epoch, integer=True)
    for name, value in dict(use_wd_sched=use_wd_sched, reset_opt=reset_opt).items():
        if not isinstance(value, bool):
            raise TypeError(f"{name} should be True or False, but given {value!r}")
    cbs = as_callbacks(cbs)
    clip = learn.__dict__.get("clip") if clip is None else clip
    if clip is not None and (clip := check_number("clip", clip, least=0)):
        cbs.append(GradientClip(clip))
    metrics = None if metrics is None else as_metrics(metrics)
    opt = optimizer_to_be(learn, reset_opt)
    callback.check(opt, [*learn.cbs, *cbs])
    callback.check_files(learn)
    lr = per_group(lr, len(opt.hypers), above=0)
    wd = per_group(wd, len(opt.hypers), least=0)
    if "wd" not in opt.hypers[0] and (wd is not None or learn.wd is not None):
        given = f"wds={wd!r}" if wd is not None else f"learn.wd={learn.wd!r}"
        raise ValueError(f"weight decay needs an optimizer that has it, but given {given} for one without")
    if use_wd_sched and not decouples_weight_decay(opt):
        raise TypeError(
            "use_wd_sched=True needs an optimizer that decouples weight decay, but this one adds it to the gradient: "
            "give the Learner opt_func=Adam or OptimWrapper around torch's AdamW, or leave use_wd_sched out"
        )
    return _Fit(callback, cycles.n_epoch, lr, wd, cbs, metrics, reset_opt, start_epoch)


def _run(learn, fit: _Fit):
    """Train, and put back what was for this fit alone."""
    if fit.reset_opt or not learn.opt:
        learn.create_opt()
    if "wd" in learn.opt.hypers[0]:
        fit.callback.keep("wd", learn.opt)
    own_metrics = learn.metrics
    if fit.metrics is not None:
        learn._metrics = fit.metrics
    if fit.start_epoch:
        learn._do_fit = partial(_epochs_from, learn, fit.start_epoch)
    try:
        _fit_2(learn, fit.n_epoch, lr=fit.lr, wd=fit.wd, cbs=[*fit.cbs, fit.callback])
    finally:
        if fit.metrics is not None:
            learn._metrics = own_metrics
        learn.__dict__.pop("_do_fit", None)
        for cb in learn.cbs:
            learn.__dict__.setdefault(cb.name, cb)  # removing a callback takes the name from another one of its class


def _fit_2(learn, *args, **kwargs):
    """fastai 2's own fit, untouched; however it ends, `learn.sched` is there and momentum is what it was."""
    recorder = learn.__dict__.get("recorder")
    before = [getattr(recorder, o, None) for o in ("lrs", "hps")]
    own_sched = learn.__dict__.get("sched")
    given = inspect.signature(native_fit).bind_partial(learn, *args, **kwargs).arguments.get("cbs")
    schedules = [cb for cb in [*learn.cbs, *fit07.as_list(given)] if isinstance(cb, CLRCallback)]
    try:
        return native_fit(learn, *args, **kwargs)
    finally:
        for cb in schedules:
            cb.release(learn.opt)
        lrs, hps = [getattr(recorder, o, None) for o in ("lrs", "hps")]
        if learn.__dict__.get("sched") is own_sched and lrs and lrs is not before[0]:
            moms = hps.get("mom", ()) if hps and hps is not before[1] else ()
            learn.sched = Record.of_recorder(recorder, moms)


def _epochs_from(learn, start):
    """`Learner._do_fit` from epoch `start` on: fastai's own shows earlier epochs to every callback, and some save."""
    if "progress" in learn.__dict__:
        learn.progress("before_epoch")  # a progress bar has to begin at 0
    for epoch in range(start, learn.n_epoch):
        learn.epoch = epoch
        learn._with_events(learn._do_epoch, "epoch", CancelEpochException)


def _plot_lr(self: Recorder, show_moms=True, show_text=True, ax=None):
    """The learning rate of the last fit, as `learn.sched.plot_lr` draws it."""
    return self.learn.sched.plot_lr(show_moms=show_moms, show_text=show_text, ax=ax)


def check_native_names(names):
    """Raise TypeError for an argument that fastai 2's own fit does not know."""
    native = inspect.signature(native_fit).parameters
    open_ended = any(p.kind is p.VAR_KEYWORD for p in native.values())
    for name in names:
        if not open_ended and name not in native:
            raise fit07.unknown_argument(name, native)


class _NoFitYet:
    """`learn.sched` before the first fit: an empty record, whose plots say so."""

    def __get__(self, learn, owner):
        return Record()


def _install():
    """Put the patches on fastai's classes, each around what was there before."""

    @wraps(native_fit)
    def fit(self, *args, **kwargs):
        if fit07.is_07_style(args, kwargs):
            return _run(self, checked_07(self, args, kwargs))
        check_native_names(kwargs)
        return _fit_2(self, *args, **kwargs)

    @wraps(native_export)
    def export(self, *args, **kwargs):
        # The file should load where fastai_clr is not installed, also one that a callback writes during a fit.
        cbs = self.cbs
        ours = {k: o for k, o in vars(self).items() if isinstance(o, (Record, CLRCallback)) or k == "_do_fit"}
        self.cbs = L(cb for cb in cbs if not isinstance(cb, CLRCallback))
        for name in ours:
            del self.__dict__[name]
        try:
            return native_export(self, *args, **kwargs)
        finally:
            self.cbs = cbs
            self.__dict__.update(ours)

    @wraps(native_save)
    def save(self, *args, **kwargs):
        # A fit that is resumed from this file takes the momentum in it for the optimizer's own.
        with ExitStack() as stack:
            for cb in self.cbs:
                if isinstance(cb, CLRCallback):
                    stack.enter_context(cb.set_aside())
            return native_save(self, *args, **kwargs)

    signature = inspect.signature(native_fit)
    native = signature.parameters
    fit.__signature__ = signature.replace(
        parameters=[p for p in native.values() if p.kind is not p.VAR_KEYWORD]
        + [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=o) for name, o in fit07.ARGUMENTS.items()]
        + [p for p in native.values() if p.kind is p.VAR_KEYWORD]
    )  # so that a notebook completes use_clr=
    fit.__doc__ = f"{native_fit.__doc__}\n\nOr as in fastai 0.7: fit(lrs, n_cycle, cycle_len=3, use_clr=(32, 5))."
    fit._fastai_clr = native_fit, native_export, native_save
    Learner.fit, Learner.export, Learner.save = fit, export, save
    Learner.fit_clr, Recorder.plot_lr = fit_clr, _plot_lr
    Learner.sched = _NoFitYet()


if hasattr(Learner.fit, "_fastai_clr"):  # this module was loaded before
    native_fit, native_export, native_save = Learner.fit._fastai_clr
else:
    native_fit, native_export, native_save = Learner.fit, Learner.export, Learner.save
    _install()
