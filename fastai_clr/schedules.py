"""Schedules as pure functions of the batch: which share of the peak rate, and which momentum, a batch gets."""

from dataclasses import KW_ONLY, dataclass, fields
from typing import Any

import numpy as np

from .checks import check_bool, check_number, set_number
from .cycles import Cycles, Place

__all__ = ["CircularLR", "CircularLRBeta", "Constant", "CosAnneal", "Cycles", "Place", "Schedule"]

MANY_STEPS = 2**14  # more are evaluated piece by piece, in the processor's cache: 1e7 steps in a third of the time


class Schedule:
    """What every schedule can do. A new shape is a frozen dataclass (repr=False) that defines `factor`, and `height` if
    it cycles momentum between its fields `mom_a` and `mom_b`.
    """

    mom_a = mom_b = None

    def __repr__(self):
        values = [(o, getattr(self, o.name)) for o in fields(self)]
        given = [
            f"{o.name}={value!r}" for o, value in values if value is not None and (not o.kw_only or value != o.default)
        ]
        return f"{type(self).__name__}({', '.join(given)})"

    def factor(self, i, cycle: Place):
        """The learning rate of batch `i` (from 0; a number or an array) of `cycle`, as a share of the peak rate."""
        raise NotImplementedError

    def height(self, i, cycle: Place):
        """Where batch `i` of `cycle` lies between the lowest rate (0) and the peak (1)."""
        raise NotImplementedError

    def corners(self, cycle: Place):
        """The batches of `cycle` at which one straight line follows another in the same direction."""
        return ()

    def at(self, step, cycles: Cycles) -> tuple[Any, Any]:
        """The share of the peak rate and the momentum (None if it is not cycled) at `step` of a whole fit.

        step: batches from 0; a number gives numbers, an array gives arrays of the same values.
        cycles: the fit's cycles, say `Cycles(n_cycles=1, cycle_len=3, n_iter=100)`.

        >>> CircularLR(div=10, cut_div=5, mom_a=0.95, mom_b=0.85).at(20, Cycles(cycle_len=100))
        (1.0, 0.85)
        """
        if np.size(step) > MANY_STEPS:
            pieces = np.array_split(np.ravel(step), -(-np.size(step) // MANY_STEPS))
            factors, momentums = zip(*[self.at(o, cycles) for o in pieces])
            shape = np.shape(step)
            return tuple(None if o[0] is None else np.concatenate(o).reshape(shape) for o in (factors, momentums))
        i, cycle = cycles.place(step)
        values = self.factor(i, cycle), self._momentum(i, cycle)
        full = [None if v is None else np.full(np.shape(step), v, float) for v in values]
        return tuple(full) if np.ndim(step) else tuple(None if v is None else v.item() for v in full)

    def _momentum(self, i, cycle):
        if self.mom_a is None:
            return None
        height = self.height(i, cycle)
        return (1 - height) * self.mom_a + height * self.mom_b  # exact at both ends

    def plot(self, lr=1.0, n_iter=100, n_cycles=1, cycle_mult=1, *, show_moms=True, show_text=True, ax=None):
        """Draw the schedule before any training; returns the axes of the learning rate.

        lr: peak learning rate, or one for each parameter group.
        n_iter: batches in all; n_cycles cycles share them, each `cycle_mult` times as long as the one before.
        show_moms: draw the momentum beside the rate, where the schedule cycles it.
        show_text: say in a title what is drawn.
        ax: axes for the rates, or a pair of axes for rates and momentum; None makes a figure.

        >>> ax = CircularLR(32, 5).plot(lr=1e-2, n_iter=300)
        """
        from . import plot

        peaks, cycles = _peaks(lr), Cycles.of_batches(n_iter, n_cycles, cycle_mult)
        factors, momentums = self.at(np.arange(cycles.n_batches), cycles)
        return plot.rates(
            [factors * peak for peak in peaks],
            momentums if show_moms else None,
            cycles.ends,
            repr(self) if show_text else None,
            ax,
        )

    plot_lr = plot

    def describe(self, lr=1.0, n_iter=100, n_cycles=1, cycle_mult=1) -> str:
        """What `plot` draws, in plain words; the arguments are those of `plot`.

        >>> CircularLR(20, 5).describe(lr=0.01, n_iter=300)
        'starts at 0.0005 (0.01/20), rises for 60 batches (1/5 of the cycle) to 0.01, falls for 240 batches to 0.00054'
        """
        from .words import in_words

        peaks, cycles = _peaks(lr), Cycles.of_batches(n_iter, n_cycles, cycle_mult)
        factors, momentums = self.at(np.arange(cycles.n_batches), cycles)
        corners = self.corners(cycles.place(0)[1])
        return in_words(factors * peaks[-1], peaks, momentums, cycles.ends.tolist(), corners)


@dataclass(frozen=True, repr=False)
class CircularLR(Schedule):
    """Slanted triangle: up from the peak divided by `div` to the peak, then down again, both linearly.

    div: the largest rate divided by the smallest, at least 1.
    cut_div: 1/cut_div of the cycle rises and the rest falls; at least 1, where 1 only rises.
    mom_a, mom_b: momentum where the rate is lowest and where it peaks; both or neither.

    The shapes of the papers, by name:
    cosine: rise and fall along half a cosine each instead of a line.
    div_final: the cycle falls towards the peak/div_final instead of the peak/div; at least 1.
    gamma: the height above the lowest rate shrinks by this factor with each batch of the fit; above 0, at most 1.
    cycle_gamma: the same with each cycle.

    A cycle of fewer than `cut_div` batches starts at its peak. Raises TypeError or ValueError for a value of the wrong
    kind or out of its range. Source: 0.7.0's `use_clr`; Howard & Ruder 2018, whose slanted triangle is
    `CircularLR(32, 10)`; Smith 2015, whose triangular policy is `CircularLR(4, 2)`, triangular2 that with
    `cycle_gamma=0.5`, exp_range with `gamma=0.99994`; fastai 2, whose `fit_one_cycle` is the last one here, with the
    peak on a batch where a quarter of the batches is not a whole number.

    >>> CircularLR(32, 5)
    CircularLR(div=32, cut_div=5)
    >>> CircularLR(4, 2, cycle_gamma=0.5)
    CircularLR(div=4, cut_div=2, cycle_gamma=0.5)
    >>> CircularLR(25, 4, 0.95, 0.85, cosine=True, div_final=1e5)
    CircularLR(div=25, cut_div=4, mom_a=0.95, mom_b=0.85, cosine=True, div_final=100000.0)
    """

    div: float = 10
    cut_div: float = 10
    mom_a: float | None = None
    mom_b: float | None = None
    _: KW_ONLY
    cosine: bool = False
    div_final: float | None = None
    gamma: float = 1
    cycle_gamma: float = 1

    def __post_init__(self):
        set_number(self, "div", least=1)
        set_number(self, "cut_div", least=1)
        _set_momentum(self)
        check_bool("cosine", self.cosine)
        if self.div_final is not None:
            set_number(self, "div_final", least=1)
        set_number(self, "gamma", above=0, most=1)
        set_number(self, "cycle_gamma", above=0, most=1)

    def _triangle(self, i, cycle):
        """From 0 at the start of the cycle to 1 at the cut and back towards 0."""
        cut = cycle.nb // self.cut_div
        rising = np.where(cut > 0, i / np.maximum(cut, 1), 1)
        falling = 1 - (i - cut) / np.maximum(cycle.nb - cut, 1)
        triangle = np.minimum(rising, falling)  # the lines cross at the cut, where both are 1
        return (1 - np.cos(np.pi * triangle)) / 2 if self.cosine else triangle

    def _shrunk(self, triangle, i, cycle):
        """A power of 2, for numpy's `**` takes 12 times as long where the result is too small for a float."""
        return triangle * np.exp2(np.log2(self.cycle_gamma) * cycle.number + np.log2(self.gamma) * (cycle.before + i))

    def height(self, i, cycle):
        return self._shrunk(self._triangle(i, cycle), i, cycle)

    def factor(self, i, cycle):
        triangle, lowest = self._triangle(i, cycle), 1
        if self.div_final is not None:
            falls = i > cycle.nb // self.cut_div
            lowest = np.where(falls, triangle + (1 - triangle) * self.div / self.div_final, 1)
        share = (lowest + self._shrunk(triangle, i, cycle) * (self.div - 1)) / self.div
        return share if self.div_final is None else np.minimum(share, 1)  # rounding may take div_final=1 above it


@dataclass(frozen=True, repr=False)
class CircularLRBeta(Schedule):
    """Leslie Smith's 1cycle: up, down in as many batches, then far below where it started, all linearly.

    div: the peak rate divided by the rate at the start, at least 1.
    pct: per cent of the cycle for the last phase, from the peak/div towards the peak/(100*div); 0 <= pct < 100.
    mom_a, mom_b: momentum at the start and where the rate peaks; both or neither. The last phase keeps mom_a.

    Raises TypeError or ValueError for a value of the wrong kind or out of its range.
    Source: 0.7.0's `use_clr_beta`; Smith 2018 (a disciplined approach to neural network hyper-parameters).

    >>> CircularLRBeta(10, 10, 0.95, 0.85)
    CircularLRBeta(div=10, pct=10, mom_a=0.95, mom_b=0.85)
    """

    div: float = 10
    pct: float = 10
    mom_a: float | None = None
    mom_b: float | None = None

    def __post_init__(self):
        set_number(self, "div", least=1)
        set_number(self, "pct", least=0, below=100)
        _set_momentum(self)

    def _half(self, cycle):
        return np.floor(cycle.nb * (1 - self.pct / 100) / 2)

    def height(self, i, cycle):
        half = self._half(cycle)
        return np.maximum(1 - np.abs(i - half) / np.maximum(half, 1), 0)

    def corners(self, cycle):
        return (int(2 * self._half(cycle)),)

    def factor(self, i, cycle):
        start = 2 * self._half(cycle)
        last = (i - start) / np.maximum(cycle.nb - start, 1)
        triangle = 1 + self.height(i, cycle) * (self.div - 1)
        return np.where(i > start, 1 - 0.99 * last, triangle) / self.div


@dataclass(frozen=True, repr=False)
class CosAnneal(Schedule):
    """Half a cosine from the peak towards 0 in each cycle, after a hundredth of the peak for the fit's first batches.

    The first batches are those with an index below 1/20 of the first cycle's length, so the peak itself is reached from
    the second cycle on. slow_start=False leaves them out: the cosine as published.

    Raises TypeError for a slow_start that is not True or False. Source: 0.7.0, what `cycle_len` without `use_clr` does;
    SGDR (Loshchilov & Hutter 2016).
    """

    _: KW_ONLY
    slow_start: bool = True

    def __post_init__(self):
        check_bool("slow_start", self.slow_start)

    def factor(self, i, cycle):
        nb, _, before, first = cycle
        cosine = (np.cos(np.pi * i / nb) + 1) / 2
        return np.where(before + i < first / 20, 0.01, cosine) if self.slow_start else cosine


@dataclass(frozen=True, repr=False)
class Constant(Schedule):
    """The peak rate at every batch. Source: 0.7.0, what a fit without `cycle_len` does."""

    def factor(self, i, cycle):
        return 1.0


def _peaks(lr):
    peaks = [check_number("lr", o, above=0) for o in np.atleast_1d(np.asarray(lr, dtype=object))]
    if not peaks:
        raise ValueError(f"lr should have at least 1 value, but given {lr!r}")
    return peaks


def _set_momentum(o):
    if (o.mom_a is None) != (o.mom_b is None):
        raise ValueError(f"mom_a and mom_b should be given both or neither, but given {o.mom_a!r} and {o.mom_b!r}")
    if o.mom_a is not None:
        set_number(o, "mom_a", least=0, below=1)
        set_number(o, "mom_b", least=0, below=1)
