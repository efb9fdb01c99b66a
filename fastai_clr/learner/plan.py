"""A fit that was checked and has not begun: run it, or look at what it would do."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
from fastai.callback.core import Callback
from fastai.learner import Learner
from fastai.optimizer import _BaseOptimizer

from ..record import Record
from ..schedules.checks import check_bool, check_number, is_several
from ..schedules.drawing import at_positions
from ..schedules.shapes import CircularLR
from . import call07, gone07
from .batches import batches_per_epoch
from .callback import CLRCallback
from .checks import (
    as_callbacks,
    as_metrics,
    check_per_group,
    default_lr,
    instance_attribute,
    is_callback,
    makes_optimizer,
    optimizer_for_fit,
)
from .hypers import decouples_weight_decay
from .scope import is_in_a_fit, prepare_scope
from .selective import SelectiveCallback
from .stopping import StopAtCycleEnd

__all__ = ["FitPlan"]


@dataclass
class FitPlan:
    """A fit of `learn` that was checked and has not begun.

    n_epoch: epochs in all. start_epoch: earlier epochs are left out.
    lr, wd, metrics: None takes the Learner's. cbs: the callbacks of this fit, ours last.

    Making one changes nothing; it raises the TypeError or ValueError that the call deserves.
    """

    learn: Any
    n_epoch: int
    lr: Any
    wd: Any
    cbs: list[Any]
    metrics: Any = None
    reset_opt: bool = False
    start_epoch: int = 0

    @classmethod
    def from_07(cls, learn: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> "FitPlan":
        """The fit that a call in 0.7's style asks for."""
        call = call07.translate(args, kwargs)
        gone07.check_attributes(vars(learn))
        callback = CLRCallback(
            call.schedule, call.n_cycle, call.cycle_len, call.cycle_mult, call.cycle_save_name, call.best_save_name
        )
        plan = cls(
            learn=learn,
            n_epoch=callback.cycles(batches_per_epoch(learn.dls)).n_epoch,
            lr=call.lrs,
            wd=call.wds,
            cbs=[*as_callbacks(call.callbacks), *_clipping(learn, call.clip), callback],
            metrics=None if call.metrics is None else as_metrics(call.metrics),
            reset_opt=call.reset_opt,
            start_epoch=call.start_epoch,
        )
        check_bool("use_wd_sched", call.use_wd_sched)
        plan._check(callback, lr_name="lrs", wd_name="wds", use_wd_sched=call.use_wd_sched)
        return plan

    @classmethod
    def from_clr(
        cls,
        learn: Any,
        n_epoch: Any,
        lr: Any,
        div: Any,
        cut_div: float,
        n_cycles: int,
        moms: Any,
        wd: Any,
        cbs: Any,
        reset_opt: bool,
        start_epoch: int,
    ) -> "FitPlan":
        """The fit that a call of `fit_clr` asks for."""
        if isinstance(n_epoch, float) and isinstance(lr, int):
            raise TypeError(f"n_epoch should be an integer, but given {n_epoch}: try learn.fit_clr({lr}, {n_epoch})")
        n_epoch = check_number("n_epoch", n_epoch, least=1, integer=True)
        if is_several(div) and len(div) == 2:
            raise TypeError(f"div should be a number, but given {div!r}: try div={div[0]!r}, cut_div={div[1]!r}")
        if moms is not None and not (is_several(moms) and len(moms) == 2):
            error = ValueError if is_several(moms) else TypeError
            raise error(f"moms should be a pair, momentum at the lowest rate and at the peak, but given {moms!r}")
        callback = CLRCallback(CircularLR(div, cut_div, *([] if moms is None else moms)), n_cycles)
        callback.cycles(batches_per_epoch(learn.dls), n_epoch)  # raises if a cycle would have no batch
        cbs = [*as_callbacks(cbs), *_clipping(learn), callback]
        plan = cls(learn, n_epoch, lr, wd, cbs, reset_opt=reset_opt, start_epoch=start_epoch)
        plan._check(callback)
        return plan

    @classmethod
    def from_native(
        cls,
        learn: Any,
        n_epoch: int,
        lr: Any = None,
        wd: Any = None,
        cbs: Any = None,
        reset_opt: bool = False,
        start_epoch: int = 0,
    ) -> "FitPlan":
        """The fit that a call of fastai 2's own `fit` would be, for a preview or to refuse it before it begins."""
        n_epoch = check_number("n_epoch", n_epoch, least=1, integer=True)
        start_epoch = check_number("start_epoch", start_epoch, least=0, below=n_epoch, integer=True)
        plan = cls(learn, n_epoch, lr, wd, as_callbacks(cbs), reset_opt=reset_opt, start_epoch=start_epoch)
        for cb in plan._all_cbs():
            if isinstance(cb, CLRCallback):
                opt = optimizer_for_fit(learn, reset_opt)
                cb.check(learn, opt, plan._all_cbs())
                cb.cycles(batches_per_epoch(learn.dls), n_epoch)  # raises if the epochs are too few
                for peak in plan._peaks(opt):
                    check_number("lr", peak, above=0)
        plan._check_stops()
        return plan

    def _all_cbs(self) -> list[Callback]:
        """The callbacks of the fit, without schedules that are spent and ours of a fit around it, which pause."""
        own = self.learn.cbs
        if is_in_a_fit(self.learn):
            own = [cb for cb in own if not isinstance(cb, SelectiveCallback)]
        return [*(cb for cb in own if not isinstance(cb, CLRCallback) or not cb.is_spent), *self.cbs]

    def _check_stops(self) -> None:
        """Raise what a `StopAtCycleEnd` in the fit would raise when it begins."""
        cbs = self._all_cbs()
        schedule = cycles = None
        for cb in cbs:
            if isinstance(cb, CLRCallback):
                schedule, cycles = cb.schedule, cb.cycles(batches_per_epoch(self.learn.dls), self.n_epoch)
        for cb in cbs:
            if isinstance(cb, StopAtCycleEnd):
                cb.check(self.learn, self.learn.metrics if self.metrics is None else self.metrics, schedule, cycles)

    def _peaks(self, opt: Any) -> list[Any]:
        """The rate of each parameter group after `fit` has set it: fastai knows what a slice or a list means."""
        n_groups, peaks = len(opt.hypers), []
        stand_in: Any = SimpleNamespace(
            param_lists=range(n_groups), hypers=range(n_groups), _set_hyper=lambda _, values: peaks.extend(values)
        )
        lr = default_lr(self.learn, self.reset_opt) if self.lr is None else self.lr
        _BaseOptimizer.set_hyper(stand_in, "lr", lr)
        return peaks

    def _check(
        self, callback: CLRCallback, lr_name: str = "lr", wd_name: str = "wd", use_wd_sched: bool = False
    ) -> None:
        """Check what depends on the optimizer. lr_name, wd_name: what the user calls these arguments."""
        self.start_epoch = check_number("start_epoch", self.start_epoch, least=0, below=self.n_epoch, integer=True)
        check_bool("reset_opt", self.reset_opt)
        opt = optimizer_for_fit(self.learn, self.reset_opt)
        callback.check(self.learn, opt, self._all_cbs())
        self._check_stops()
        self.lr = check_per_group(lr_name, self.lr, len(opt.hypers), above=0, allow_slice=True)
        self.wd = check_per_group(wd_name, self.wd, len(opt.hypers), least=0)
        if "wd" not in opt.hypers[0] and (self.wd is not None or self.learn.wd is not None):
            given = f"wds={self.wd!r}" if self.wd is not None else f"learn.wd={self.learn.wd!r}"
            raise ValueError(f"weight decay needs an optimizer that has it, but given {given} for one without")
        if use_wd_sched and not decouples_weight_decay(opt):
            raise TypeError(
                "use_wd_sched=True needs an optimizer that decouples weight decay, but this one adds it to the "
                "gradient: give the Learner opt_func=Adam or OptimWrapper around torch's AdamW, or leave use_wd_sched "
                "out"
            )

    def run(self, fit: Callable[..., Any]) -> None:
        """Train. fit: the function that trains, called as fastai 2's `learn.fit`.

        Weight decay and metrics hold for this fit; when it ends, the Learner has its own back.
        """
        learn = self.learn
        callback = self.cbs[-1]  # ours
        callback.schedule_one_fit()
        with prepare_scope(learn, self.start_epoch, callback) as scope:
            if makes_optimizer(learn, self.reset_opt):
                learn.create_opt()
            if "wd" in learn.opt.hypers[0]:
                scope.borrow(learn.opt, "wd")
            if self.metrics is not None:
                scope.callback(setattr, learn, "_metrics", learn.metrics)
                learn._metrics = self.metrics
            scope.callback(_name_callbacks, learn)
            fit(self.n_epoch, lr=self.lr, wd=self.wd, cbs=self.cbs)

    def preview(self) -> Record:
        """What `learn.sched` would be after the fit, without its losses."""
        for cb in self._all_cbs():
            if is_callback(cb, "tracker", "ReduceLROnPlateau"):
                raise ValueError(f"{cb!r} sets the rate by the losses of the training, so it is not known before it")
        opt = optimizer_for_fit(self.learn, self.reset_opt)
        peaks = self._peaks(opt)
        n_iter = batches_per_epoch(self.learn.dls)
        steps = np.arange(self.start_epoch * n_iter, self.n_epoch * n_iter)
        schedule, cycle_ends = None, []
        rates, momentums = np.ones((len(steps), 1)) * peaks, None
        for cb in self._all_cbs():
            if isinstance(cb, CLRCallback):
                cycles, schedule = cb.cycles(n_iter, self.n_epoch), cb.schedule
                cycle_ends = [end - int(steps[0]) for end in cycles.ends.tolist() if end > steps[0]]
                factors, momentums = schedule.at(steps[steps < cycles.n_batches], cycles)
                rates = factors[:, None] * peaks
                if momentums is None and "mom" in opt.hypers[-1]:
                    momentums = np.full(len(factors), opt.hypers[-1]["mom"])
            elif is_callback(cb, "schedule", "ParamScheduler"):
                if "lr" in cb.scheds:
                    rates = at_positions(cb.scheds["lr"], self.n_epoch * n_iter)[steps] * np.ones(len(peaks))
                if "mom" in cb.scheds:
                    momentums = at_positions(cb.scheds["mom"], self.n_epoch * n_iter)[steps, -1]
        epoch_starts = [(epoch, n_iter * (epoch - self.start_epoch)) for epoch in range(self.start_epoch, self.n_epoch)]
        return Record.of_rates(rates, momentums, schedule, cycle_ends, epoch_starts)


def _clipping(learn: Learner, clip: Any = None) -> list[Callback]:
    """The callback that clips gradients at `clip`, or at a `learn.clip` that the user set; none at 0 or None."""
    clip = instance_attribute(learn, "clip") if clip is None else clip
    if isinstance(clip, Callback):
        return []  # `learn.clip` is a callback of that name
    clip = 0 if clip is None else check_number("clip", clip, least=0)
    if not clip:
        return []
    from fastai.callback.training import GradientClip  # not before it is needed: see `is_callback`

    return [GradientClip(clip)]


def _name_callbacks(learn: Learner) -> None:
    """Restore `learn.<name>` of each callback: fastai deletes it together with another callback of the class."""
    for cb in learn.cbs:
        learn.__dict__.setdefault(cb.name, cb)
