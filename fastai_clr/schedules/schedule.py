"""What every schedule can do: give its values at any step, draw itself, say itself in words."""

from dataclasses import fields
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from .. import plot
from .checks import check_peaks
from .cycles import Cycle, Cycles
from .describe import describe

__all__ = ["Schedule"]


class Schedule:
    """A learning rate schedule: a pure function of the batch.

    A new shape is a frozen dataclass (repr=False) that defines `factor`. One that cycles momentum between its fields
    `mom_a` and `mom_b` defines `height`, too.
    """

    mom_a: float | None = None
    mom_b: float | None = None

    def __repr__(self) -> str:
        shape: Any = self  # a dataclass
        values = [(o, getattr(self, o.name)) for o in fields(shape)]
        given = [
            f"{o.name}={value!r}" for o, value in values if value is not None and (not o.kw_only or value != o.default)
        ]
        return f"{type(self).__name__}({', '.join(given)})"

    def factor(self, i: Any, cycle: Cycle) -> Any:
        """The learning rate of batch `i` (from 0; a number or an array) of `cycle`, as a share of the peak rate."""
        raise NotImplementedError

    def height(self, i: Any, cycle: Cycle) -> Any:
        """Where the rate of batch `i` of `cycle` lies between the lowest (0) and the peak (1)."""
        raise NotImplementedError

    def corners(self, cycle: Cycle) -> tuple[int, ...]:
        """The batches of `cycle` where the slope changes but not its sign; `describe` begins a new phrase there."""
        return ()

    @overload
    def at(self, step: int, cycles: Cycles) -> tuple[float, float | None]: ...
    @overload
    def at(self, step: NDArray[Any], cycles: Cycles) -> tuple[NDArray[Any], NDArray[Any] | None]: ...
    def at(self, step: Any, cycles: Cycles) -> tuple[Any, Any]:
        """The factor (share of the peak rate) and the momentum at `step` of a fit.

        step: batches from 0; a number gives numbers, an array gives arrays of its shape.
        cycles: the fit's cycles, say `Cycles(n_cycles=1, cycle_len=3, n_iter=100)`.

        The momentum is None if the schedule does not cycle it.

        >>> CircularLR(div=10, cut_div=5, mom_a=0.95, mom_b=0.85).at(20, Cycles(cycle_len=100))
        (1.0, 0.85)
        """
        i, cycle = cycles.locate(step)
        momentum = self._momentum(i, cycle)
        values = [np.full(np.shape(step), o, float) for o in (self.factor(i, cycle), momentum) if o is not None]
        if not np.ndim(step):
            values = [o.item() for o in values]
        return values[0], None if momentum is None else values[1]

    def _momentum(self, i: Any, cycle: Cycle) -> Any:
        if self.mom_a is None or self.mom_b is None:
            return None
        height = self.height(i, cycle)
        return (1 - height) * self.mom_a + height * self.mom_b  # exact at both ends

    def plot(
        self,
        lr: Any = 1.0,
        n_batches: int = 100,
        n_cycles: int = 1,
        cycle_mult: float = 1,
        *,
        show_moms: bool = True,
        show_text: bool = True,
        ax: Any = None,
        log: bool = False,
    ) -> Any:
        """Draw the schedule before any training; returns the matplotlib axes of the learning rate.

        lr: peak learning rate: a number, or one for each parameter group.
        n_batches: batches in all. n_cycles: cycles that share them.
        cycle_mult: each cycle is this many times as long as the one before.
        show_moms: draw the momentum beside the rate, if the schedule cycles it.
        show_text: give the schedule and its numbers in a title.
        ax: axes for the rates, or a pair of axes for rates and momentum; None makes a figure.
        log: use a logarithmic axis for the rates.

        Raises TypeError or ValueError for an argument of the wrong kind or out of range.

        >>> ax = CircularLR(32, 5).plot(lr=1e-2, n_batches=300)
        """
        peaks, cycles = check_peaks(lr), Cycles.of_batches(n_batches, n_cycles, cycle_mult)
        factors, momentums = self.at(np.arange(cycles.n_batches), cycles)
        return plot.rates(
            [factors * peak for peak in peaks],
            momentums if show_moms else None,
            cycles.ends,
            repr(self) if show_text else None,
            ax,
            log,
        )

    plot_lr = plot

    def describe(self, lr: Any = 1.0, n_batches: int = 100, n_cycles: int = 1, cycle_mult: float = 1) -> str:
        """What `plot` draws, in words; the arguments are those of `plot`.

        >>> CircularLR(20, 5).describe(lr=0.01, n_batches=300)
        'starts at 0.0005 (0.01/20), rises for 60 batches (1/5 of the cycle) to 0.01, falls for 240 batches to 0.00054'
        """
        peaks, cycles = check_peaks(lr), Cycles.of_batches(n_batches, n_cycles, cycle_mult)
        factors, momentums = self.at(np.arange(cycles.n_batches), cycles)
        corners = self.corners(cycles.locate(0)[1])
        return describe(factors * peaks[-1], peaks, momentums, cycles.ends.tolist(), corners)
