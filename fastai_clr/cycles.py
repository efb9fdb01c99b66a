"""The cycles of a fit: which cycle a step lies in, and a schedule read over them step by step."""

from dataclasses import dataclass
from functools import cached_property
from struct import calcsize, unpack_from
from typing import Any, NamedTuple

import numpy as np

from .checks import check_number, set_number

__all__ = ["Cycles", "Place", "Steps"]

BLOCK = 1024  # steps evaluated at a time: all of them cost as much as 3 evaluated one by one


class Place(NamedTuple):
    """Where a cycle lies in its fit, in batches; each field may be an array, one value for each step.

    nb: batches in the cycle. number: how many cycles came before it. before: how many batches came before it.
    first: batches in the fit's first cycle.
    """

    nb: Any
    number: Any = 0
    before: Any = 0
    first: Any = None


@dataclass(frozen=True)
class Cycles:
    """The cycles of a fit and the batch at which each ends.

    n_cycles: how many, at least 1.
    cycle_len: length of the first, in epochs; fractions are allowed, and no cycle is shorter than a batch.
    cycle_mult: each cycle is this many times as long as the one before.
    n_iter: batches in an epoch; left at 1, `cycle_len` counts batches.

    Raises TypeError or ValueError for a value of the wrong kind or out of its range.
    Source: 0.7.0's `cycle_len` and `cycle_mult`, there whole epochs only.
    """

    n_cycles: int = 1
    cycle_len: float = 1
    cycle_mult: float = 1
    n_iter: int = 1

    def __post_init__(self):
        set_number(self, "n_cycles", least=1, integer=True)
        set_number(self, "cycle_len", above=0)
        set_number(self, "cycle_mult", above=0)
        set_number(self, "n_iter", least=1, integer=True)
        if self.n_cycles > 10**8 or not self._lengths_sum(self.n_cycles) * self.n_iter < 2**53:
            raise ValueError(
                f"n_cycles, cycle_len and cycle_mult should give a fit that can end, but given {self.n_cycles}, "
                f"{self.cycle_len} and {self.cycle_mult}"
            )

    @classmethod
    def share(cls, total, n_cycles=1, cycle_mult=1, n_iter=1) -> "Cycles":
        """The `n_cycles` cycles that share `total` epochs (of `n_iter` batches) among them."""
        unit = cls(n_cycles, 1, cycle_mult)
        if unit.n_cycles > total * n_iter:
            raise ValueError(
                f"n_cycles should be at most the number of batches, {total * n_iter}, but given {n_cycles}"
            )
        cycles = cls(n_cycles, total / unit._lengths_sum(unit.n_cycles), cycle_mult, n_iter)
        if cycles.n_batches > total * n_iter:
            raise ValueError(
                f"each cycle should have at least 1 of the {total * n_iter} batches, but given n_cycles={n_cycles} and "
                f"cycle_mult={cycle_mult}"
            )
        return cycles

    @classmethod
    def of_batches(cls, n_iter, n_cycles=1, cycle_mult=1) -> "Cycles":
        """The `n_cycles` cycles that share `n_iter` batches among them."""
        return cls.share(check_number("n_iter", n_iter, least=1, integer=True), n_cycles, cycle_mult)

    def _lengths_sum(self, k):
        """Epochs in the first `k` cycles; `k` may be an array."""
        if self.cycle_mult == 1:
            return self.cycle_len * k
        with np.errstate(over="ignore"):
            return self.cycle_len * ((np.float64(self.cycle_mult) ** k - 1) / (self.cycle_mult - 1))  # exact for k=1

    @cached_property
    def ends(self) -> np.ndarray:
        """For each cycle the number of batches trained when it ends: its length in batches added to those before."""
        k = np.arange(1, self.n_cycles + 1)
        nearest = np.floor(self._lengths_sum(k) * self.n_iter + 0.5).astype(np.int64)
        return np.maximum.accumulate(np.maximum(nearest - k, 0)) + k  # each end at least 1 after the one before

    @property
    def n_batches(self) -> int:
        """Batches in all cycles together."""
        return int(self.ends[-1])

    @property
    def n_epoch(self) -> int:
        """Epochs that hold all the cycles, the last of them perhaps in part."""
        return -(-self.n_batches // self.n_iter)

    def place(self, step) -> tuple[Any, Place]:
        """The step within its cycle, and the cycle's place, for a `step` of the fit (from 0; a number or an array).

        A step past the end counts as the last one, one before the start as the first.
        """
        step = np.clip(step, 0, self.n_batches - 1)
        number = np.searchsorted(self.ends, step, side="right")
        before = np.where(number > 0, self.ends[number - 1], 0)
        return step - before, Place(self.ends[number] - before, number, before, self.ends[0])


class Steps:
    """A schedule over the cycles of a fit, read one step at a time.

    peaks: the peak rate of each parameter group.
    last: what was read last; before that, the peaks.
    cycle_ends: of the steps evaluated last and of as many after them, for those may be skipped unread, the number of
    each cycle by the batches done when it ends.
    """

    def __init__(self, schedule, cycles: Cycles, peaks=()):
        self.schedule, self.cycles, self.peaks = schedule, cycles, peaks
        self.last = 1.0, list(peaks), None
        self._row = f"{len(peaks)}d"
        self._row_size = calcsize(self._row)
        self._evaluate(range(BLOCK))

    def at(self, step: int) -> tuple[float, list[float], float | None]:
        """The share of the peak rate, the rate of each group and the momentum (None if it is not cycled) at `step`."""
        if step not in self._block:
            self._evaluate(range(step, step + BLOCK))
        i = step - self._block.start
        rates = [*unpack_from(self._row, self._rates, i * self._row_size)]  # at 100 groups faster than numpy's `tolist`
        self.last = self._factors[i], rates, self._momentums[i]
        return self.last

    def _evaluate(self, block):
        factors, momentums = self.schedule.at(np.array(block), self.cycles)
        self._factors = factors.tolist()  # Python floats: numpy's make a checkpoint that a safe load refuses
        self._momentums = [None] * len(block) if momentums is None else momentums.tolist()
        self._rates = np.multiply.outer(factors, self.peaks).tobytes()
        ends = self.cycles.ends
        first, last = np.searchsorted(ends, [block.start + 1, block.stop + BLOCK + 1])
        self.cycle_ends = {int(ends[k]): k for k in range(first, last)}
        self._block = block
