"""Schedules as pure functions of the batch: which share of the peak rate, and which momentum, a batch gets."""

from dataclasses import KW_ONLY, dataclass, fields
from functools import cached_property
from math import isfinite
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np

__all__ = ["CircularLR", "CircularLRBeta", "Constant", "CosAnneal", "Cycles", "Place", "Schedule", "Steps"]

BLOCK = 1024  # steps evaluated at a time: an array costs little more than a number


def check_number(name: str, value, *, least=None, above=None, below=None, most=None, integer=False):
    """`value` as a plain Python number, or an error of one sentence that names the argument and its range."""
    number = value.item() if getattr(value, "ndim", None) == 0 else value
    kind, a_kind = (Integral, "an integer") if integer else (Real, "a number")
    if not isinstance(number, kind) or isinstance(number, bool):
        raise TypeError(f"{name} should be {a_kind}, but given {value!r}")
    ranges = [
        ("finite", _is_finite(number)),
        (f"at least {least}", least is None or number >= least),
        (f"greater than {above}", above is None or number > above),
        (f"less than {below}", below is None or number < below),
        (f"at most {most}", most is None or number <= most),
    ]
    for should_be, holds in ranges:
        if not holds:
            raise ValueError(f"{name} should be {should_be}, but given {value!r}")
    return int(number) if isinstance(number, Integral) else float(number)


def _is_finite(number):
    try:
        return isfinite(number)
    except OverflowError:  # an integer beyond what a float can hold
        return False


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
        _set(self, "n_cycles", least=1, integer=True)
        _set(self, "cycle_len", above=0)
        _set(self, "cycle_mult", above=0)
        _set(self, "n_iter", least=1, integer=True)
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
        """The learning rate of batch `i` (from 0) of `cycle`, as a share of the peak rate."""
        raise NotImplementedError

    def height(self, i, cycle: Place):
        """Where batch `i` of `cycle` lies between the lowest rate (0) and the peak (1)."""
        raise NotImplementedError

    def at(self, step, cycles: Cycles) -> tuple[Any, Any]:
        """The share of the peak rate and the momentum (None if it is not cycled) at `step` of a whole fit.

        step: batches from 0; a number gives numbers, an array gives arrays of the same values.
        cycles: the fit's cycles, say `Cycles(n_cycles=1, cycle_len=3, n_iter=100)`.

        >>> CircularLR(div=10, cut_div=5, mom_a=0.95, mom_b=0.85).at(20, Cycles(cycle_len=100))
        (1.0, 0.85)
        """
        i, cycle = cycles.place(step)
        values = self.factor(i, cycle), self._momentum(i, cycle)
        return values if np.ndim(step) else tuple(None if v is None else float(v) for v in values)

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

        peaks = [check_number("lr", o, above=0) for o in np.atleast_1d(np.asarray(lr, dtype=object))]
        if not peaks:
            raise ValueError(f"lr should have at least 1 value, but given {lr!r}")
        cycles = Cycles.share(check_number("n_iter", n_iter, least=1, integer=True), n_cycles, cycle_mult)
        factors, momentums = self.at(np.arange(cycles.n_batches), cycles)
        return plot.rates(
            [factors * peak for peak in peaks],
            momentums if show_moms else None,
            cycles.ends,
            repr(self) if show_text else None,
            ax,
        )

    plot_lr = plot


class Steps:
    """A schedule over the cycles of a fit, read one step at a time; a block of steps is evaluated as an array.

    cycle_ends: of the block that was read last, the number of each cycle by the batches done when it ends.
    """

    def __init__(self, schedule: Schedule, cycles: Cycles):
        self.schedule, self.cycles = schedule, cycles
        self._block = range(0)

    def at(self, step: int) -> tuple[float, float | None]:
        """The share of the peak rate and the momentum (None if it is not cycled) at `step`."""
        if step not in self._block:
            self._evaluate(range(step, step + BLOCK))
        i = step - self._block.start
        return self._factors[i], self._momentums[i]

    def _evaluate(self, block):
        factors, momentums = self.schedule.at(np.array(block), self.cycles)
        self._factors = factors.tolist()  # Python floats: numpy's make a checkpoint that a safe load refuses
        self._momentums = [None] * len(block) if momentums is None else momentums.tolist()
        ends = self.cycles.ends
        first, last = np.searchsorted(ends, [block.start + 1, block.stop + 1])
        self.cycle_ends = {int(ends[k]): k for k in range(first, last)}
        self._block = block


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
        _set(self, "div", least=1)
        _set(self, "cut_div", least=1)
        _set_momentum(self)
        _check_bool("cosine", self.cosine)
        if self.div_final is not None:
            _set(self, "div_final", least=1)
        _set(self, "gamma", above=0, most=1)
        _set(self, "cycle_gamma", above=0, most=1)

    def _triangle(self, i, cycle):
        """From 0 at the start of the cycle to 1 at the cut and back towards 0."""
        cut = cycle.nb // self.cut_div
        rising = np.where(cut > 0, i / np.maximum(cut, 1), 1)
        falling = 1 - (i - cut) / np.maximum(cycle.nb - cut, 1)
        triangle = np.minimum(rising, falling)  # the lines cross at the cut, where both are 1
        return (1 - np.cos(np.pi * triangle)) / 2 if self.cosine else triangle

    def height(self, i, cycle):
        return self._triangle(i, cycle) * self.cycle_gamma**cycle.number * self.gamma ** (cycle.before + i)

    def factor(self, i, cycle):
        lowest = 1
        if self.div_final is not None:
            falls, triangle = i > cycle.nb // self.cut_div, self._triangle(i, cycle)
            lowest = np.where(falls, triangle + (1 - triangle) * self.div / self.div_final, 1)
        return (lowest + self.height(i, cycle) * (self.div - 1)) / self.div


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
        _set(self, "div", least=1)
        _set(self, "pct", least=0, below=100)
        _set_momentum(self)

    def _half(self, cycle):
        return np.floor(cycle.nb * (1 - self.pct / 100) / 2)

    def height(self, i, cycle):
        half = self._half(cycle)
        return np.maximum(1 - np.abs(i - half) / np.maximum(half, 1), 0)

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
        _check_bool("slow_start", self.slow_start)

    def factor(self, i, cycle):
        nb, _, before, first = cycle
        cosine = (np.cos(np.pi * i / nb) + 1) / 2
        return np.where(before + i < first / 20, 0.01, cosine) if self.slow_start else cosine


@dataclass(frozen=True, repr=False)
class Constant(Schedule):
    """The peak rate at every batch. Source: 0.7.0, what a fit without `cycle_len` does."""

    def factor(self, i, cycle):
        return np.ones_like(i, dtype=float)


def _set(o, name, **ranges):
    object.__setattr__(o, name, check_number(name, getattr(o, name), **ranges))  # the way into a frozen dataclass


def _check_bool(name, value):
    if not isinstance(value, bool):
        raise TypeError(f"{name} should be True or False, but given {value!r}")


def _set_momentum(o):
    if (o.mom_a is None) != (o.mom_b is None):
        raise ValueError(f"mom_a and mom_b should be given both or neither, but given {o.mom_a!r} and {o.mom_b!r}")
    if o.mom_a is not None:
        _set(o, "mom_a", least=0, below=1)
        _set(o, "mom_b", least=0, below=1)
