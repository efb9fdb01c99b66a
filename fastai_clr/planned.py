"""What a call of `fit` would do, before anything is trained: `learn.plot_schedule`."""

import inspect

import numpy as np
from fastai.callback.schedule import ParamScheduler
from fastai.callback.tracker import ReduceLROnPlateau
from fastai.learner import Learner

from . import fit07
from .arguments import as_callbacks, lr_to_be, optimizer_to_be
from .callback import CLRCallback
from .checks import check_number
from .learner import check_native_names, checked_07, checked_clr, native_fit
from .loop import batches_per_epoch
from .preview import at_positions
from .record import Record

__all__ = ["plot_schedule"]

_ONLY_FIT_CLR = {"div", "cut_div", "n_cycles", "moms"}


def plot_schedule(self: Learner, *args, show_moms=True, show_text=True, ax=None, **kwargs):
    """Draw the learning rates that a call of `fit` with these arguments would train with; trains and changes nothing.

    args, kwargs: those of `fit`, in 0.7's style or fastai 2's, with `cbs=` if they set the rate; or, where `div`,
    `cut_div`, `n_cycles` or `moms` is among them, those of `fit_clr`.
    show_moms, show_text, ax: as in `learn.sched.plot_lr`.

    Each batch of the Learner's own data loader gets a point, each of its parameter groups a line: the picture that
    `learn.sched.plot_lr()` gives after the call. Returns the axes of the rate; raises what the call would raise.

    >>> ax = learn.plot_schedule(1e-2, 1, cycle_len=2, use_clr=(32, 5))
    """
    return planned(self, args, kwargs).plot_lr(show_moms=show_moms, show_text=show_text, ax=ax)


def planned(learn, args, kwargs) -> Record:
    """What `learn.sched` would be after a call with these arguments, without its losses."""
    if _ONLY_FIT_CLR & set(kwargs):
        fit = checked_clr(learn, *args, **kwargs)
    elif fit07.is_07_style(args, kwargs):
        fit = checked_07(learn, args, kwargs)
    else:
        return _native(learn, args, kwargs)
    return _record(learn, fit.lr, fit.n_epoch, fit.start_epoch, fit.reset_opt, [fit.callback])


def _native(learn, args, kwargs):
    check_native_names(kwargs)
    call = inspect.signature(native_fit).bind(learn, *args, **kwargs)
    call.apply_defaults()
    n_epoch, lr, cbs, reset_opt, start = (
        call.arguments[o] for o in ("n_epoch", "lr", "cbs", "reset_opt", "start_epoch")
    )
    n_epoch = check_number("n_epoch", n_epoch, least=1, integer=True)
    start = check_number("start_epoch", start, least=0, below=n_epoch, integer=True)
    cbs = [*learn.cbs, *as_callbacks(fit07.as_list(cbs))]
    for cb in cbs:
        if isinstance(cb, CLRCallback):
            cb.check(optimizer_to_be(learn, reset_opt), cbs)
            cb.check_files(learn)
        if isinstance(cb, ReduceLROnPlateau):
            raise ValueError(f"{cb!r} sets the rate by the losses of the training, so it cannot be drawn before it")
    return _record(learn, lr, n_epoch, start, reset_opt, cbs)


def _record(learn, lr, n_epoch, start_epoch, reset_opt, cbs):
    opt = optimizer_to_be(learn, reset_opt)
    peaks = _peaks(opt, lr_to_be(learn, reset_opt) if lr is None else lr)
    n_iter = batches_per_epoch(learn.dls)
    steps = np.arange(start_epoch * n_iter, n_epoch * n_iter)
    record, lrs, momentums = Record(None, len(peaks)), np.ones((len(steps), 1)) * peaks, None
    for cb in cbs:
        if isinstance(cb, CLRCallback):
            cycles = cb.cycles(n_iter, n_epoch)
            record = Record(cb.schedule, len(peaks))
            record.cycle_ends = [end - int(steps[0]) for end in cycles.ends.tolist() if end > steps[0]]
            factors, momentums = cb.schedule.at(steps[steps < cycles.n_batches], cycles)
            lrs = factors[:, None] * peaks
            if momentums is None and "mom" in opt.hypers[-1]:
                momentums = np.full(len(factors), opt.hypers[-1]["mom"])
        elif isinstance(cb, ParamScheduler):
            if "lr" in cb.scheds:
                lrs = at_positions(cb.scheds["lr"], n_epoch * n_iter)[steps] * np.ones(len(peaks))
            if "mom" in cb.scheds:
                momentums = at_positions(cb.scheds["mom"], n_epoch * n_iter)[steps, -1]
    momentums = [None] * len(lrs) if momentums is None else momentums.tolist()
    for batch, momentum in zip(lrs.tolist(), momentums):
        record.add_batch(batch, momentum, None)
    return record


def _peaks(opt, lr):
    """The rate of each parameter group after fastai has set `lr`: it alone knows what a slice or a list means."""
    own = [h["lr"] for h in opt.hypers]
    try:
        opt.set_hyper("lr", lr)
        return [h["lr"] for h in opt.hypers]
    finally:
        opt.set_hyper("lr", own)


Learner.plot_schedule = plot_schedule
