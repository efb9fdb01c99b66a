"""A schedule read one step at a time, as a training loop does."""

from collections.abc import Sequence

import numpy as np

from .cycles import Cycles
from .schedule import Schedule

__all__ = ["ScheduleReader"]

BLOCK = 1024  # steps evaluated at once: evaluating 1,024 costs as much as evaluating 3 one by one


class ScheduleReader:
    """Looks up step after step of a schedule in blocks that are evaluated at once.

    schedule, cycles: what `Schedule.at` takes. peaks: the peak learning rate of each parameter group.

    factor, rates, momentum: what the schedule sets at the step that was read last: the share of the peak, the learning
    rate of each parameter group, and the momentum (None if the schedule does not cycle it). Before the first `read`
    they are 1, the peaks and None. All are plain Python floats: numpy's make a checkpoint that a safe load refuses.

    >>> reader = ScheduleReader(CircularLR(10, 5), Cycles.of_batches(100), peaks=[1e-3, 1e-2])
    >>> reader.read(20)
    >>> reader.rates
    [0.001, 0.01]
    """

    __slots__ = (
        "factor", "momentum", "rates", "_block", "_cycles", "_factors", "_momentums", "_peaks", "_rates", "_schedule",
    )  # fmt: skip

    factor: float
    rates: list[float]
    momentum: float | None

    def __init__(self, schedule: Schedule, cycles: Cycles, peaks: Sequence[float] = ()):
        self._schedule, self._cycles, self._peaks = schedule, cycles, list(map(float, peaks))
        self.factor, self.rates, self.momentum = 1.0, list(self._peaks), None
        self._evaluate(range(BLOCK))

    def read(self, step: int) -> None:
        """Set `factor`, `rates` and `momentum` for `step` (batches from 0)."""
        if step not in self._block:
            self._evaluate(range(step, step + BLOCK))
        i = step - self._block.start
        self.factor, self.rates, self.momentum = self._factors[i], self._rates[i].tolist(), self._momentums[i]

    def _evaluate(self, block: range) -> None:
        factors, momentums = self._schedule.at(np.array(block), self._cycles)
        self._factors = factors.tolist()
        self._momentums = [None] * len(block) if momentums is None else momentums.tolist()
        self._rates = np.multiply.outer(factors, self._peaks)
        self._block = block
