"""A fit that was checked and has not begun: run it, or look at what it would do."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import numpy as np
from fastai.callback.core import Callback
from fastai.learner import Learner

from ..record import Record
from ..schedules.checks import check_bool, check_number, check_peaks, is_several
from ..schedules.drawing import at_positions
from ..schedules.shapes import CircularLR
from ..schedules.timetable import Timetable
from . import call07
from .attributes07 import check_left_over
from .batches import batches_per_epoch
from .callback import CLRCallback
from .checks import (
    as_callbacks,
    as_metrics,
    check_events,
    check_lr,
    check_per_group,
    default_lr,
    instance_attribute,
    is_callback,
    makes_optimizer,
    optimizer_for_fit,
)
from .hypers import decouples_weight_decay, rates_of_groups
from .running import RunningFit, is_in_a_fit
from .selective import SelectiveCallback, Stage
from .short_errors import users_code
from .stopping import StopAtCycleEnd

__all__ = ["FitPlan"]


@dataclass
class FitPlan:
    """A fit of `learn` that was checked and has not begun.

    n_epoch: epochs in all. start_epoch: earlier epochs are left out.
    lr, wd, metrics: None takes the Learner's. cbs: the callbacks of this fit.
    callback: the one among them that was made for this fit alone; None in a fit of fastai's own.
    timetable: what the fit sets in each batch; None if no schedule of ours takes part.

    Making one changes nothing of the Learner; it raises a TypeError or ValueError that says what to type instead.
    """

    learn: Any
    n_epoch: int
    lr: Any
    wd: Any
    cbs: list[Any]
    metrics: Any = None
    reset_opt: bool = False
    start_epoch: int = 0
    callback: CLRCallback | None = None
    timetable: Timetable | None = None

    @classmethod
    def from_07(cls, learn: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> "FitPlan":
        """The fit that a call in 0.7's style asks for."""
        given = call07.translate(args, kwargs)
        names = "n_cycle", "cycle_len", "cycle_mult", "cycle_save_name", "best_save_name"
        callback = CLRCallback(given["schedule"], *(given[name] for name in names))
        plan = cls(
            learn=learn,
            n_epoch=callback.cycles(batches_per_epoch(learn.dls)).n_epoch,
            lr=given["lrs"],
            wd=given["wds"],
            cbs=[*as_callbacks(given["callbacks"]), *_clipping(learn, given["clip"])],
            metrics=None if given["metrics"] is None else as_metrics(given["metrics"]),
            reset_opt=given["reset_opt"],
            start_epoch=given["start_epoch"],
        )
        check_bool("use_wd_sched", given["use_wd_sched"])
        plan._take(callback, lr_name="lrs", wd_name="wds", use_wd_sched=given["use_wd_sched"])
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
        cbs = [*as_callbacks(cbs), *_clipping(learn)]
        plan = cls(learn, n_epoch, lr, wd, cbs, reset_opt=reset_opt, start_epoch=start_epoch)
        plan._take(callback)
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
        """The fit that a call of fastai 2's own `fit` asks for; a `CLRCallback` in it has to be able to run."""
        n_epoch = check_number("n_epoch", n_epoch, least=1, integer=True)
        start_epoch = check_number("start_epoch", start_epoch, least=0, below=n_epoch, integer=True)
        plan = cls(learn, n_epoch, lr, wd, as_callbacks(cbs), reset_opt=reset_opt, start_epoch=start_epoch)
        for callback in plan._all_cbs():
            if isinstance(callback, CLRCallback):
                opt = optimizer_for_fit(learn, reset_opt)
                callback.check(learn, opt, plan._all_cbs())
                callback.cycles(batches_per_epoch(learn.dls), n_epoch)  # raises if the epochs are too few
                check_lr("lr", lr, len(opt.hypers))
                plan._make_timetable(callback, opt)
        plan._check_stops()
        return plan

    def _take(
        self, callback: CLRCallback, lr_name: str = "lr", wd_name: str = "wd", use_wd_sched: bool = False
    ) -> None:
        """Take the callback that schedules this fit alone, and check what depends on the optimizer.

        lr_name, wd_name: what the user calls these arguments.
        """
        self.callback = callback
        self.cbs.append(callback)
        self.start_epoch = check_number("start_epoch", self.start_epoch, least=0, below=self.n_epoch, integer=True)
        check_bool("reset_opt", self.reset_opt)
        check_left_over(self.learn)
        check_events(self._all_cbs())
        opt = optimizer_for_fit(self.learn, self.reset_opt)
        callback.check(self.learn, opt, self._all_cbs())
        self.lr = check_lr(lr_name, self.lr, len(opt.hypers))
        self._make_timetable(callback, opt)
        self._check_stops()
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
        callback.plan = self

    def _all_cbs(self) -> list[Callback]:
        """The callbacks of the fit, without those that have ended, and without ours of a fit around it, which pause."""
        own = [cb for cb in self.learn.cbs if not isinstance(cb, CLRCallback) or not cb.has_ended]
        if is_in_a_fit(self.learn):
            own = [cb for cb in own if not isinstance(cb, SelectiveCallback)]
        return [*own, *self.cbs]

    def _peaks(self, opt: Any) -> list[float]:
        lr = default_lr(self.learn, self.reset_opt) if self.lr is None else self.lr
        return rates_of_groups(lr, len(opt.hypers))

    def _make_timetable(self, callback: CLRCallback, opt: Any) -> None:
        peaks = check_peaks(self._peaks(opt))
        self.timetable = callback.timetable(batches_per_epoch(self.learn.dls), self.n_epoch, peaks)
        with users_code():  # an error in a schedule of the user's comes now, not in the training
            self.timetable.row(self._rows(self.timetable).start)

    def _rows(self, timetable: Timetable) -> range:
        """The batches of the timetable that the fit trains."""
        n_iter, end = timetable.cycles.n_iter, timetable.n_batches
        return range(min(self.start_epoch * n_iter, end - 1), min(self.n_epoch * n_iter, end))

    def _check_stops(self) -> None:
        """Raise what a `StopAtCycleEnd` in the fit would raise when it begins."""
        for cb in self._all_cbs():
            if isinstance(cb, StopAtCycleEnd):
                cb.check(self.learn, self.learn.metrics if self.metrics is None else self.metrics, self.timetable)

    def run(self, fit: Callable[..., Any]) -> None:
        """Train. fit: the function that trains, called as fastai 2's `learn.fit`."""
        if makes_optimizer(self.learn, self.reset_opt):
            self.learn.create_opt()
        try:
            fit(self.n_epoch, lr=self.lr, wd=self.wd, cbs=self.cbs)
        finally:
            if self.callback is not None:
                self.callback.plan = None
                self.callback.enter(Stage.ENDED)

    def begin(self, fit: RunningFit) -> None:
        """Let `fit` be this plan's. Weight decay and metrics are for it alone; then the Learner has its own again."""
        fit.planned, learn = self.timetable, self.learn
        if self.callback is None:
            return
        if "wd" in learn.opt.hypers[0]:
            fit.save_hyper(learn.opt, "wd")
        if self.metrics is not None:
            fit.callback(setattr, learn, "_metrics", learn.metrics)
            learn._metrics = self.metrics
        fit.callback(_name_callbacks, learn)

    def preview(self) -> Record:
        """What `learn.sched` would be after the fit, without its losses."""
        opt, n_iter = optimizer_for_fit(self.learn, self.reset_opt), batches_per_epoch(self.learn.dls)
        rows, rates, momentums = range(self.start_epoch * n_iter, self.n_epoch * n_iter), None, None
        for cb in self._all_cbs():
            if is_callback(cb, "tracker", "ReduceLROnPlateau"):
                raise ValueError(f"{cb!r} sets the rate by the losses of the training, so it is not known before it")
            if is_callback(cb, "schedule", "ParamScheduler"):
                if "lr" in cb.scheds:
                    rates = at_positions(cb.scheds["lr"], rows.stop)[rows.start :] * np.ones(len(opt.hypers))
                if "mom" in cb.scheds:
                    momentums = at_positions(cb.scheds["mom"], rows.stop)[rows.start :, -1]
        if self.timetable is None:
            rates = np.tile(self._peaks(opt), (len(rows), 1)) if rates is None else rates
            record = Record.of_arrays(rates, [] if momentums is None else momentums)
        else:
            if momentums is None and not self.timetable.schedule.cycles_momentum:
                momentums = repeat(opt.hypers[-1].get("mom"))
            record = Record.of_plan(self.timetable, self._rows(self.timetable), momentums)
        for epoch in range(self.start_epoch, self.n_epoch):
            record.begin_epoch(epoch, n_iter * (epoch - self.start_epoch))
        return record


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
