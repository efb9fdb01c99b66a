"""All that a fit with a schedule needs while it runs, in one object that is dropped when the fit ends."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any

import numpy as np

from ..record import Record
from ..schedules.checks import as_list, check_number
from ..schedules.cycles import Cycles
from ..schedules.reader import ScheduleReader
from ..schedules.schedule import Schedule
from ..scores import BestEpoch
from .checks import instance_attribute
from .hypers import GroupHypers, Loan, read_hyper
from .scope import current_scope

__all__ = ["RunningFit"]


@dataclass(slots=True)
class RunningFit:
    """All that a fit needs while it runs.

    opt, hypers: the optimizer, and the way to its learning rates and momentum. n_iter: batches per epoch.
    cycles, reader: the schedule over the whole fit. record: what the fit did. recorder: fastai's `Recorder`, if any.
    momentum_loan: the optimizer's own momentum, if the schedule cycles it.
    epoch: the epoch that runs or comes next.
    best: judges epochs for `best_save_name`. n_validated: epochs that it has seen with a validation.
    next_cycle: number of the cycle that ends next, from 0. next_end: batches done when it ends.
    n_skipped: batches before the first one that this fit trains.
    validating: whether a `validate` or `get_preds` in the middle of the fit fires the events.
    """

    opt: Any
    n_iter: int
    cycles: Cycles
    reader: ScheduleReader
    hypers: GroupHypers
    record: Record
    recorder: Any
    momentum_loan: Loan | None = None
    epoch: int = 0
    best: BestEpoch = field(default_factory=BestEpoch)
    next_cycle: int = 0
    next_end: float = inf
    n_skipped: int = 0
    validating: bool = False
    n_validated: int = 0

    @classmethod
    def begin(cls, learn: Any, schedule: Schedule, cycles: Cycles) -> "RunningFit":
        """A fit of `learn` whose optimizer holds the peak rates; raises ValueError for a rate out of range."""
        peaks = [check_number("lr", lr, above=0) for lr in read_hyper(learn.opt, "lr")]
        fit = cls(
            opt=learn.opt,
            n_iter=cycles.n_iter,
            cycles=cycles,
            reader=ScheduleReader(schedule, cycles, peaks),
            hypers=GroupHypers(learn.opt),
            record=Record(schedule, peaks),
            recorder=instance_attribute(learn, "recorder"),
        )
        if schedule.cycles_momentum:
            scope = current_scope(learn)
            fit.momentum_loan = Loan(learn.opt, "mom") if scope is None else scope.borrow(learn.opt, "mom")
        return fit

    def change_optimizer(self, learn: Any) -> None:
        """Go on with another optimizer, which a callback made in the middle of the fit."""
        if learn.opt is None:
            raise ValueError("a schedule needs the optimizer until the fit ends, but learn.opt is None now")
        scope = current_scope(learn)
        loans = {} if scope is None else scope.carry_over(self.opt, learn.opt)
        self.opt, self.hypers = learn.opt, GroupHypers(learn.opt)
        if self.hypers.read(self.opt)[1] is not None:
            self.record.begin_momentum()
        if self.momentum_loan is not None:
            self.momentum_loan = loans.get("mom") or Loan(self.opt, "mom")

    def end(self) -> None:
        """Put momentum back; safe to repeat."""
        self.record.trim()
        if self.momentum_loan is not None:
            self.momentum_loan.put_back()

    def skip_to(self, done: int) -> None:
        """Start after the first `done` batches of the schedule."""
        self.n_skipped = done
        self._set_next_cycle(int(np.searchsorted(self.cycles.ends, done, "right")))

    def _set_next_cycle(self, number: int) -> None:
        self.next_cycle = number
        self.next_end = int(self.cycles.ends[number]) if number < self.cycles.n_cycles else inf

    def batches_in(self, n_epoch: int) -> int:
        """Batches in the first `n_epoch` epochs. The epoch in which the last cycle ends is over with it."""
        return min(n_epoch * self.n_iter, self.cycles.n_batches)

    def end_cycles(self, done: int) -> Sequence[int]:
        """End the cycles whose last batch is among the first `done`; returns their numbers, from 0."""
        first, epochs = self.next_cycle, done / self.n_iter
        while done >= self.next_end:
            n_recorded = len(self.record.iterations)
            self._set_next_cycle(self.next_cycle + 1)
            self.record.end_cycle(self.next_cycle, epochs, n_recorded, self.n_skipped)
        return range(first, self.next_cycle)

    def end_epoch(self, values: Sequence[Any]) -> None:
        """Record the epoch before `self.epoch`. values: what fastai's `Recorder` kept of it."""
        epochs = self.batches_in(self.epoch) / self.n_iter
        self.record.add_epoch(self.recorder, values, epochs, len(self.record.iterations))

    def last_epoch_improves(self) -> bool:
        """Judge the last recorded epoch; True if it is better than all before it. Call it once per epoch."""
        record = self.record
        is_validated = len(record.val_losses) > self.n_validated
        self.n_validated = len(record.val_losses)
        if not (losses := record.val_losses if is_validated else record.losses):
            return False
        if not is_validated or not record.rec_metrics:
            return self.best.improves(losses[-1], is_validated=is_validated)
        lower_is_better = record.lower_is_better[record.metric_names[0]]
        return self.best.improves(losses[-1], as_list(record.rec_metrics[-1])[0], lower_is_better)
