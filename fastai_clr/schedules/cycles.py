"""The cycles of a fit: where each ends, and which cycle a step of the fit lies in."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import check_number, set_number

Numbers: TypeAlias = float | NDArray[Any]  # a number for one step, an array for several


class Cycle(NamedTuple):
    """One cycle of a fit. Each field may be an array with one value per step.

    Parameters
    ----------
    length
        Batches in the cycle.
    number
        Number of the cycle, from 0.
    start
        Number of its first batch in the fit, from 0.
    first_length
        Batches in the first cycle of the fit.
    """

    length: "Numbers"
    number: "Numbers"
    start: "Numbers"
    first_length: "Numbers"


@dataclass(frozen=True)
class Cycles:
    """The cycles of a fit and the batch at which each ends.

    Parameters
    ----------
    n_cycles
        Number of cycles, at least 1.
    cycle_len
        Length of the first cycle in epochs; fractions are allowed. No cycle is shorter than one batch.
    cycle_mult
        Each cycle is this many times as long as the one before.
    n_iter
        Batches per epoch. With the default of 1, `cycle_len` counts batches.

    Raises
    ------
    TypeError, ValueError
        If a value is of the wrong kind or out of range.

    Notes
    -----
    Cycle k (from 0) is `cycle_len * cycle_mult**k` epochs long. It ends after
    `max(previous end + 1, floor(epochs up to its end * n_iter + 0.5))` batches.

    References
    ----------
    fastai 0.7.0, `cycle_len` and `cycle_mult`. There a cycle had whole epochs only.

    Examples
    --------
    >>> Cycles(n_cycles=3, cycle_len=1, cycle_mult=2, n_iter=100).ends
    array([100, 300, 700])
    """

    n_cycles: int = 1
    cycle_len: float = 1
    cycle_mult: float = 1
    n_iter: int = 1

    def __post_init__(self) -> None:
        set_number(self, "n_cycles", least=1, integer=True)
        set_number(self, "cycle_len", above=0)
        set_number(self, "cycle_mult", above=0)
        set_number(self, "n_iter", least=1, integer=True)
        if self.n_cycles > 10**8 or not self._epochs_after(self.n_cycles) * self.n_iter < 2**53:
            raise ValueError(
                f"n_cycles, cycle_len and cycle_mult should give a fit that can end, but given {self.n_cycles}, "
                f"{self.cycle_len} and {self.cycle_mult}: at most 10**8 cycles and 2**53 batches"
            )

    @classmethod
    def of_epochs(cls, n_epoch: int, n_cycles: int = 1, cycle_mult: float = 1, n_iter: int = 1) -> "Cycles":
        """Divide epochs into cycles.

        Parameters
        ----------
        n_epoch
            Epochs in all, an integer of at least 1.
        n_cycles
            Number of cycles.
        cycle_mult
            Each cycle is this many times as long as the one before.
        n_iter
            Batches per epoch.

        Returns
        -------
        The cycles.

        Raises
        ------
        ValueError
            If a cycle would have no batch.

        Examples
        --------
        >>> Cycles.of_epochs(3, n_cycles=2, n_iter=100).ends
        array([150, 300])
        """
        n_epoch = check_number("n_epoch", n_epoch, above=0)
        n_batches = n_epoch * n_iter
        unit = cls(n_cycles, 1, cycle_mult)
        if unit.n_cycles > n_batches:
            raise ValueError(f"n_cycles should be at most the number of batches, {n_batches}, but given {n_cycles}")
        cycles = cls(n_cycles, n_epoch / unit._epochs_after(unit.n_cycles), cycle_mult, n_iter)
        if cycles.n_batches > n_batches:
            raise ValueError(
                f"each cycle should have at least 1 of the {n_batches} batches, but given n_cycles={n_cycles} and "
                f"cycle_mult={cycle_mult}"
            )
        return cycles

    @classmethod
    def of_batches(cls, n_batches: int, n_cycles: int = 1, cycle_mult: float = 1) -> "Cycles":
        """Divide batches into cycles.

        Parameters
        ----------
        n_batches
            Batches in all.
        n_cycles
            Number of cycles.
        cycle_mult
            Each cycle is this many times as long as the one before.

        Returns
        -------
        The cycles.

        Raises
        ------
        ValueError
            If a cycle would have no batch.

        Examples
        --------
        >>> Cycles.of_batches(300, n_cycles=2, cycle_mult=2).ends
        array([100, 300])
        """
        return cls.of_epochs(check_number("n_batches", n_batches, least=1, integer=True), n_cycles, cycle_mult)

    def _epochs_after(self, k: Any) -> Any:
        """Epochs in the first `k` cycles; `k` may be an array."""
        if self.cycle_mult == 1:
            return self.cycle_len * k
        with np.errstate(over="ignore"):
            return self.cycle_len * ((np.float64(self.cycle_mult) ** k - 1) / (self.cycle_mult - 1))  # exact for k=1

    @cached_property
    def ends(self) -> np.ndarray:
        """For each cycle, the number of batches trained when it ends."""
        k = np.arange(1, self.n_cycles + 1)
        nearest = np.floor(self._epochs_after(k) * self.n_iter + 0.5).astype(np.int64)
        return np.maximum.accumulate(np.maximum(nearest - k, 0)) + k  # each end at least 1 after the one before

    @property
    def n_batches(self) -> int:
        """Batches in all cycles together."""
        return int(self.ends[-1])

    @property
    def n_epoch(self) -> int:
        """Epochs that hold all cycles; the last epoch may end early."""
        return -(-self.n_batches // self.n_iter)

    def locate(self, step: ArrayLike) -> tuple[Any, Cycle]:
        """The place of a step of the fit within its cycle, and the cycle.

        Parameters
        ----------
        step
            A batch of the fit, from 0: a number or an array. A step outside the fit is clipped to its first or last
            batch.

        Returns
        -------
        The batch within its cycle, from 0, and the `Cycle`.

        Examples
        --------
        >>> i, cycle = Cycles.of_batches(300, n_cycles=2).locate(160)
        >>> int(i), int(cycle.number), int(cycle.length)
        (10, 1, 150)
        """
        step = np.clip(step, 0, self.n_batches - 1)
        number = np.searchsorted(self.ends, step, side="right")
        start = np.where(number > 0, self.ends[number - 1], 0)
        return step - start, Cycle(self.ends[number] - start, number, start, self.ends[0])
