"""A fit as a table: factor (share of the peak rate) and momentum of each of its batches."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .cycles import Cycles

if TYPE_CHECKING:
    from .schedule import Schedule
else:  # which imports this module; tools that read types need the name
    Schedule = object

BLOCK = 8192  # rows that are evaluated at once, in about 1 ms

Block = tuple["array[float]", "array[float] | None"]  # factors and momentums of its rows


@dataclass(frozen=True)
class Timetable:
    """What a fit with a schedule sets: one row per batch, with a factor and a momentum.

    Parameters
    ----------
    schedule
        The schedule.
    cycles
        The cycles of the fit.
    peaks
        Peak learning rate of each parameter group. The rate of a group is factor x peak.

    Notes
    -----
    A new timetable has evaluated nothing yet: rows are evaluated in blocks, when one is first read, and kept. A copy or
    a pickle holds the values that were read, not only the formula.

    Examples
    --------
    >>> timetable = Timetable(CircularLR(10, 5, 0.95, 0.85), Cycles.of_batches(100), [1e-3, 1e-2])
    >>> timetable.row(20)
    (1.0, 0.85)
    >>> timetable.rates[20].tolist()
    [0.001, 0.01]
    """

    schedule: "Schedule"
    cycles: Cycles
    peaks: Sequence[float] = (1.0,)
    _blocks: dict[int, Block] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "peaks", tuple(map(float, self.peaks)))  # a frozen dataclass refuses `setattr`

    @property
    def n_batches(self) -> int:
        """Batches in the fit."""
        return self.cycles.n_batches

    @property
    def ends(self) -> list[int]:
        """For each cycle, the number of batches trained when it ends."""
        return self.cycles.ends.tolist()

    def row(self, number: int) -> tuple[float, float | None]:
        """The values of one batch.

        Parameters
        ----------
        number
            Number of the batch in the fit, from 0.

        Returns
        -------
        Factor and momentum as plain Python floats; the momentum is None if the schedule does not cycle it.
        """
        block, i = number // BLOCK, number % BLOCK
        try:
            factors, momentums = self._blocks[block]
            factor = factors[i]
        except (KeyError, IndexError):  # not read yet, or removed by `forget_after`
            factors, momentums = self._fill(block)
            factor = factors[i]
        return factor, None if momentums is None else momentums[i]

    def values(self, rows: "array[int]") -> tuple[NDArray[Any], NDArray[Any] | None]:
        """The values of several batches, as `row` gives them.

        Parameters
        ----------
        rows
            Numbers of the batches in the fit, from 0.

        Returns
        -------
        Factors and momentums, one per row; the momentums are None if the schedule does not cycle momentum.
        """
        numbers = np.asarray(rows, dtype=np.int64)
        blocks, which = np.unique(numbers // BLOCK, return_inverse=True)
        offsets, furthest = numbers % BLOCK, np.zeros(len(blocks), int)
        np.maximum.at(furthest, which, offsets)
        factors, momentums = np.empty((2, len(blocks), BLOCK))
        for k, block in enumerate(blocks.tolist()):
            columns = self._blocks.get(block)
            if columns is None or len(columns[0]) <= furthest[k]:
                columns = self._fill(block)
            factors[k, : len(columns[0])] = columns[0]
            if columns[1] is not None:
                momentums[k, : len(columns[1])] = columns[1]
        return factors[which, offsets], momentums[which, offsets] if self.schedule.cycles_momentum else None

    def _fill(self, block: int) -> Block:
        """Evaluate the rows of a block."""
        factors, momentums = self._evaluate(block * BLOCK, min((block + 1) * BLOCK, self.n_batches))
        columns = array("d", factors.tobytes()), None if momentums is None else array("d", momentums.tobytes())
        for last in [*self._blocks.values()][-1:]:
            columns = last if columns == last else columns  # equal blocks are kept once: a constant rate needs one
        self._blocks[block] = columns
        return columns

    def _evaluate(self, start: int, end: int) -> tuple[NDArray[Any], NDArray[Any] | None]:
        factors, momentums = self.schedule.at(np.arange(start, end), self.cycles)
        self._check("factor", "finite and at least 0", factors, np.isfinite(factors) & (factors >= 0), start)
        if momentums is not None:
            self._check("momentum", "at least 0 and less than 1", momentums, (momentums >= 0) & (momentums < 1), start)
        return factors, momentums

    def _check(self, name: str, what: str, values: NDArray[Any], good: NDArray[Any], start: int) -> None:
        if not good.all():
            i = int(np.argmin(good))
            raise ValueError(
                f"the {name} of {self.schedule} should be {what}, but is {float(values[i])!r} in batch {start + i}"
            )

    def forget_after(self, number: int) -> None:
        """Remove the rows after a batch: a fit that was stopped does not need them.

        Parameters
        ----------
        number
            Number of the last batch to keep, from 0.
        """
        last = number // BLOCK
        for block in [o for o in self._blocks if o >= last]:
            factors, momentums = self._blocks.pop(block)
            if block == last:
                n = number % BLOCK + 1
                self._blocks[block] = factors[:n], None if momentums is None else momentums[:n]

    @property
    def factors(self) -> NDArray[Any]:
        """The factor of each batch of the fit."""
        return self._evaluate(0, self.n_batches)[0]

    @property
    def momentums(self) -> NDArray[Any] | None:
        """The momentum in each batch of the fit; None if the schedule does not cycle it."""
        return self._evaluate(0, self.n_batches)[1]

    @property
    def rates(self) -> NDArray[Any]:
        """The learning rate of each batch and parameter group: batches x groups."""
        return np.multiply.outer(self.factors, self.peaks)
