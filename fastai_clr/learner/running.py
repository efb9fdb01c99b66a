"""All that a fit with a schedule needs while it runs, in one object that is dropped when the fit ends."""

from dataclasses import dataclass, field
from math import inf
from typing import Any

from ..record import Record
from ..schedules.checks import as_list
from ..schedules.cycles import Cycles
from ..schedules.reader import ScheduleReader
from ..scores import BestEpoch
from .hypers import GroupHypers, Loan

__all__ = ["RunningFit"]


@dataclass(slots=True)
class RunningFit:
    """All that a fit needs while it runs.

    next_cycle: number of the cycle that ends next. next_end: batches done when it ends.
    validating: whether the events are those of a `validate` or `get_preds` in the middle of the fit.
    """

    n_iter: int
    cycles: Cycles
    reader: ScheduleReader
    hypers: GroupHypers
    record: Record
    recorder: Any
    momentum: Loan | None
    best: BestEpoch = field(default_factory=BestEpoch)
    next_cycle: int = 0
    next_end: float = inf
    validating: bool = False

    def await_cycle(self, number: int) -> None:
        """Make cycle `number` the one that ends next; past the last none does."""
        self.next_cycle = number
        self.next_end = int(self.cycles.ends[number]) if number < self.cycles.n_cycles else inf

    def last_epoch_is_best(self) -> bool:
        """Whether the last recorded epoch is better than all before it; ask once per epoch."""
        loss = (self.record.val_losses or self.record.losses)[-1]
        if not self.record.rec_metrics:
            return self.best.is_last(loss)
        return self.best.is_last(loss, self.record.metric_names[0], as_list(self.record.rec_metrics[-1])[0])
