"""A fit that is checked and has not begun."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fastai.callback.core import Callback

from ...schedules.checks import check_bool, check_number, check_peaks
from ...schedules.timetable import Timetable
from ..loop.callback import CLRCallback
from ..loop.hypers import decouples_weight_decay, rates_of_groups
from ..loop.loaders import batches_per_epoch
from ..loop.running import RunningFit, is_in_a_fit
from ..loop.selective import SelectiveCallback, Stage
from ..loop.stopping import StopAtCycleEnd
from .arguments import (
    check_events,
    check_lr,
    check_per_group,
    default_lr,
    makes_optimizer,
    optimizer_for_fit,
)
from .attributes07 import check_left_over
from .short_errors import users_code


@dataclass
class FitPlan:
    """A fit of `learn` that is checked and has not begun.

    Making one does not change the Learner. A call that makes no sense raises TypeError or ValueError.

    Parameters
    ----------
    learn
        The Learner.
    n_epoch
        Epochs in all.
    lr, wd
        As fastai's `fit` takes them; None takes the Learner's.
    cbs
        The callbacks of this fit.
    metrics
        The metrics of this fit; None takes the Learner's.
    reset_opt
        Whether the fit makes a new optimizer.
    start_epoch
        Epochs before it are skipped.
    callback
        The `CLRCallback` among `cbs` that was made for this fit alone; None in a fit of fastai's own.
    timetable
        Factor and momentum of each batch; None if the fit has no schedule of ours.
    """

    learn: Any
    n_epoch: int
    lr: Any
    wd: Any = None
    cbs: list[Any] = field(default_factory=list)
    metrics: Any = None
    reset_opt: bool = False
    start_epoch: int = 0
    callback: CLRCallback | None = None
    timetable: Timetable | None = None

    def take(self, callback: CLRCallback, lr_name: str = "lr", wd_name: str = "wd", use_wd_sched: bool = False) -> None:
        """Add the callback that schedules this fit alone, and check the arguments that depend on the optimizer.

        Parameters
        ----------
        callback
            The callback.
        lr_name, wd_name
            The arguments' names in the user's call, for messages.
        use_wd_sched
            Whether the user asked for it; the optimizer then has to decouple weight decay.
        """
        self.callback = callback
        self.cbs.append(callback)
        self.start_epoch = check_number("start_epoch", self.start_epoch, least=0, below=self.n_epoch, integer=True)
        check_bool("reset_opt", self.reset_opt)
        check_left_over(self.learn)
        check_events(self.all_cbs())
        opt = self.make_timetable(callback, lr_name)
        self.check_stops()
        self.wd = check_per_group(wd_name, self.wd, len(opt.hypers), least=0)
        if "wd" not in opt.hypers[0] and (self.wd is not None or self.learn.wd is not None):
            given = f"{wd_name}={self.wd!r}" if self.wd is not None else f"learn.wd={self.learn.wd!r}"
            raise ValueError(f"{given} needs an optimizer with weight decay, but this one has none")
        if use_wd_sched and not decouples_weight_decay(opt):
            raise TypeError(
                "use_wd_sched=True needs an optimizer that decouples weight decay, but this one adds it to the "
                "gradient: give the Learner opt_func=Adam or OptimWrapper around torch's AdamW, or leave use_wd_sched "
                "out"
            )
        callback.plan = self

    def all_cbs(self) -> list[Callback]:
        """The callbacks of the fit, without our callbacks that have ended or that pause during it."""
        own = [cb for cb in self.learn.cbs if not isinstance(cb, CLRCallback) or not cb.has_ended]
        if is_in_a_fit(self.learn):
            own = [cb for cb in own if not isinstance(cb, SelectiveCallback)]
        return [*own, *self.cbs]

    def peaks(self, opt: Any) -> list[float]:
        """The rate that fastai's `fit` sets in each parameter group."""
        lr = default_lr(self.learn, self.reset_opt) if self.lr is None else self.lr
        return rates_of_groups(lr, len(opt.hypers))

    def make_timetable(self, callback: CLRCallback, lr_name: str = "lr") -> Any:
        """Make the timetable of the fit that `callback` schedules, with checks of the rates and the optimizer.

        Returns the optimizer. Raises if the callback cannot run with it; `lr_name` is the argument's name.
        """
        opt = optimizer_for_fit(self.learn, self.reset_opt)
        callback.check(self.learn, opt, self.all_cbs())
        self.lr = check_lr(lr_name, self.lr, len(opt.hypers))
        peaks = check_peaks(self.peaks(opt))
        self.timetable = callback.timetable(batches_per_epoch(self.learn.dls), self.n_epoch, peaks)
        with users_code():  # a user's schedule that raises does so now, not in the training
            self.timetable.row(min(self.rows(self.timetable).start, self.timetable.n_batches - 1))
        return opt

    def rows(self, timetable: Timetable) -> range:
        """The rows of the timetable that the fit trains."""
        n_iter = timetable.cycles.n_iter
        return range(self.start_epoch * n_iter, min(self.n_epoch * n_iter, timetable.n_batches))

    def check_stops(self) -> None:
        """Raise what a `StopAtCycleEnd` in the fit would raise when it begins."""
        for cb in self.all_cbs():
            if isinstance(cb, StopAtCycleEnd):
                cb.check(self.learn, self.learn.metrics if self.metrics is None else self.metrics, self.timetable)

    def run(self, fit: Callable[..., Any]) -> None:
        """Train with `fit`, which is called as fastai 2's `learn.fit`."""
        if makes_optimizer(self.learn, self.reset_opt):
            self.learn.create_opt()
        try:
            fit(self.n_epoch, lr=self.lr, wd=self.wd, cbs=self.cbs)
        finally:
            if self.callback is not None:
                self.callback.plan = None
                self.callback.enter(Stage.ENDED)

    def begin(self, fit: RunningFit) -> None:
        """Let `fit` be this plan's, and its callbacks of ours be for it alone.

        Weight decay and metrics of a plan with a callback of its own are for this fit, too.
        """
        fit.planned, learn = self.timetable, self.learn
        for cb in self.cbs:
            if isinstance(cb, CLRCallback):
                fit.callback(setattr, cb, "plan", cb.plan)
                cb.plan = self
        if self.callback is None:
            return
        fit.epoch = fit.first_epoch = self.start_epoch
        if "wd" in learn.opt.hypers[0]:
            fit.save_hyper(learn.opt, "wd")
        if self.metrics is not None:
            fit.callback(setattr, learn, "metrics", learn.metrics)
            learn.metrics = self.metrics
        fit.callback(_name_callbacks, learn)


def _name_callbacks(learn: Any) -> None:
    """Restore `learn.<name>` of each callback: fastai deletes it if it removes another callback of the class."""
    for cb in learn.cbs:
        learn.__dict__.setdefault(cb.name, cb)
