"""The shapes: learning rate and momentum in each batch of a cycle."""

from dataclasses import KW_ONLY, dataclass

import numpy as np

from .checks import check_bool, set_number
from .cycles import Cycle, Numbers
from .schedule import Schedule


@dataclass(frozen=True, repr=False)
class CircularLR(Schedule):
    """Slanted triangle: a linear rise from peak/div to the peak, then a linear fall towards peak/div.

    Parameters
    ----------
    div
        The peak rate divided by the rate at the start, at least 1.
    cut_div
        1/cut_div of the cycle rises, the rest falls; at least 1. With 1 the rate only rises.
    mom_a
        Momentum where the rate is lowest (Adam's beta1), from 0 to less than 1. None, with mom_b, leaves momentum
        alone.
    mom_b
        Momentum where the rate peaks.
    cosine
        Whether to rise and fall along half a cosine: `(1 - cos(pi*height)) / 2` takes the place of the height.
    div_final
        Fall towards peak/div_final instead of peak/div; at least 1.
    gamma
        Decay per batch: in batch k of the fit (from 0) the height is multiplied by `gamma**k`; above 0, at most 1.
    cycle_gamma
        Decay per cycle: in cycle k of the fit (from 0) the height is multiplied by `cycle_gamma**k`; above 0, at most
        1.

    Raises
    ------
    TypeError, ValueError
        If a value is of the wrong kind or out of range.

    Notes
    -----
    Batch i (from 0) of a cycle of n batches has the rate `peak * (1 + height*(div - 1)) / div` and the momentum
    `mom_a + height*(mom_b - mom_a)`. With `cut = n // cut_div`, the height is `i / cut` up to batch cut, and
    `1 - (i - cut) / (n - cut)` after it. A cycle of fewer than cut_div batches starts at its peak.

    `CircularLR(25, 4, 0.95, 0.85, cosine=True, div_final=1e5)` is fastai 2's `fit_one_cycle`, except that it peaks on a
    batch even if a quarter of the batches is not a whole number.

    References
    ----------
    fastai 0.7.0, `use_clr`.

    Howard & Ruder 2018, arXiv 1801.06146: the slanted triangle is `CircularLR(32, 10)`.

    Smith 2015, arXiv 1506.01186: triangular is `CircularLR(4, 2)`, triangular2 adds `cycle_gamma=0.5`, exp_range adds
    `gamma=0.99994`.

    Examples
    --------
    >>> CircularLR(32, 5)
    CircularLR(div=32, cut_div=5)
    >>> CircularLR(4, 2, cycle_gamma=0.5)
    CircularLR(div=4, cut_div=2, cycle_gamma=0.5)
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

    def __post_init__(self) -> None:
        set_number(self, "div", least=1)
        set_number(self, "cut_div", least=1)
        self.check_momentum()
        check_bool("cosine", self.cosine)
        if self.div_final is not None:
            set_number(self, "div_final", least=1)
        set_number(self, "gamma", above=0, most=1)
        set_number(self, "cycle_gamma", above=0, most=1)

    def _triangle(self, i: Numbers, cycle: Cycle) -> Numbers:
        """The height without decay: from 0 at the start of the cycle to 1 at the cut, and back towards 0."""
        cut = cycle.length // self.cut_div
        rising = np.where(cut > 0, i / np.maximum(cut, 1), 1)
        falling = 1 - (i - cut) / np.maximum(cycle.length - cut, 1)
        triangle = np.minimum(rising, falling)  # the lines cross at the cut, where both are 1
        return (1 - np.cos(np.pi * triangle)) / 2 if self.cosine else triangle

    def _shrunk(self, triangle: Numbers, i: Numbers, cycle: Cycle) -> Numbers:
        """`triangle` after the decay by `gamma` and `cycle_gamma`."""
        # numpy's `**` takes 12 times as long as `exp2` if the result underflows
        return triangle * np.exp2(np.log2(self.cycle_gamma) * cycle.number + np.log2(self.gamma) * (cycle.start + i))

    def height(self, i: "Numbers", cycle: Cycle) -> "Numbers":
        return self._shrunk(self._triangle(i, cycle), i, cycle)

    def factor(self, i: "Numbers", cycle: Cycle) -> "Numbers":
        triangle, floor = self._triangle(i, cycle), 1  # floor: the rate at height 0, in units of peak/div
        if self.div_final is not None:
            falls = i > cycle.length // self.cut_div
            floor = np.where(falls, triangle + (1 - triangle) * self.div / self.div_final, 1)
        factor = (floor + self._shrunk(triangle, i, cycle) * (self.div - 1)) / self.div
        return factor if self.div_final is None else np.minimum(factor, 1)  # with div_final=1 rounding may exceed 1


@dataclass(frozen=True, repr=False)
class CircularLRBeta(Schedule):
    """Leslie Smith's 1cycle: a linear rise, a fall of the same length, then a linear fall far below the start.

    Parameters
    ----------
    div
        The peak rate divided by the rate at the start, at least 1.
    pct
        Per cent of the cycle for the last phase, from peak/div towards peak/(100*div); from 0 to less than 100.
    mom_a
        Momentum at the start and in the last phase (Adam's beta1), from 0 to less than 1. None, with mom_b, leaves
        momentum alone.
    mom_b
        Momentum where the rate peaks.

    Raises
    ------
    TypeError, ValueError
        If a value is of the wrong kind or out of range.

    Notes
    -----
    A cycle of n batches rises for `r = int(n * (1 - pct/100) / 2)` of them. Batch i (from 0) has the rate
    `peak * (1 + height*(div - 1)) / div` up to batch 2*r, with the height `1 - |i - r| / r`; after it the rate is
    `peak/div * (1 - 0.99 * (i - 2*r) / (n - 2*r))`, and the height 0. The momentum is `mom_a + height*(mom_b - mom_a)`.
    If r is 0, batch 0 is the peak.

    References
    ----------
    fastai 0.7.0, `use_clr_beta`.

    Smith 2018, arXiv 1803.09820: a disciplined approach to neural network hyper-parameters.

    Examples
    --------
    >>> CircularLRBeta(10, 10, 0.95, 0.85)
    CircularLRBeta(div=10, pct=10, mom_a=0.95, mom_b=0.85)
    """

    div: float = 10
    pct: float = 10
    mom_a: float | None = None
    mom_b: float | None = None

    def __post_init__(self) -> None:
        set_number(self, "div", least=1)
        set_number(self, "pct", least=0, below=100)
        self.check_momentum()

    def _rise(self, cycle: Cycle) -> Numbers:
        """Batches of the rise; the fall back to peak/div has as many."""
        return np.floor(cycle.length * (1 - self.pct / 100) / 2)

    def height(self, i: "Numbers", cycle: Cycle) -> "Numbers":
        rise = self._rise(cycle)
        return np.maximum(1 - np.abs(i - rise) / np.maximum(rise, 1), 0)

    def corners(self, cycle: Cycle) -> tuple[int, ...]:
        return (int(2 * self._rise(cycle)),)

    def factor(self, i: "Numbers", cycle: Cycle) -> "Numbers":
        start = 2 * self._rise(cycle)
        last = (i - start) / np.maximum(cycle.length - start, 1)
        triangle = 1 + self.height(i, cycle) * (self.div - 1)
        return np.where(i > start, 1 - 0.99 * last, triangle) / self.div


@dataclass(frozen=True, repr=False)
class CosAnneal(Schedule):
    """Half a cosine from the peak towards 0 in each cycle.

    Parameters
    ----------
    slow_start
        Whether to begin the fit, as 0.7.0 did, with peak/100 in the batches whose number (from 0) is below 1/20 of the
        first cycle's length; the cycles from the second on reach the peak. False gives the cosine as published.

    Raises
    ------
    TypeError
        If slow_start is not True or False.

    Notes
    -----
    Batch i (from 0) of a cycle of n batches has the rate `peak/2 * (1 + cos(pi * i/n))`.

    References
    ----------
    fastai 0.7.0, `cycle_len` without `use_clr`.

    Loshchilov & Hutter 2016, arXiv 1608.03983: SGDR.

    Examples
    --------
    >>> CosAnneal(slow_start=False).at(50, Cycles.of_batches(100))[0]
    0.5
    """

    _: KW_ONLY
    slow_start: bool = True

    def __post_init__(self) -> None:
        check_bool("slow_start", self.slow_start)

    def factor(self, i: "Numbers", cycle: Cycle) -> "Numbers":
        cosine = (np.cos(np.pi * i / cycle.length) + 1) / 2
        if not self.slow_start:
            return cosine
        return np.where(cycle.start + i < cycle.first_length / 20, 0.01, cosine)


@dataclass(frozen=True, repr=False)
class Cooldown(Schedule):
    """A linear fall from the peak to peak/div, to end a fit that was stopped at a high rate.

    Parameters
    ----------
    div
        The rate before the fall divided by the rate of the last batch, at least 1.

    Raises
    ------
    TypeError, ValueError
        If a value is of the wrong kind or out of range.

    Notes
    -----
    Batch i (from 0) of a cycle of n batches has the rate `peak * (1 - (1 - 1/div) * (i + 1)/n)`: the first batch is one
    step below the peak, the rate that was held before, and the last one is at peak/div.

    References
    ----------
    Zhai et al. 2022, Scaling Vision Transformers; Hägele et al. 2024, arXiv 2405.18392.

    Examples
    --------
    >>> Cooldown(10).describe(lr=0.01, n_batches=90)
    'starts at 0.0099 (0.01/1.01), falls for 90 batches to 0.001'
    """

    div: float = 10

    def __post_init__(self) -> None:
        set_number(self, "div", least=1)

    def factor(self, i: "Numbers", cycle: Cycle) -> "Numbers":
        return 1 - (1 - 1 / self.div) * (i + 1) / cycle.length


@dataclass(frozen=True, repr=False)
class Constant(Schedule):
    """The peak rate in every batch.

    References
    ----------
    fastai 0.7.0, `fit` without `cycle_len`.

    Examples
    --------
    >>> Constant().at(50, Cycles.of_batches(100))[0]
    1.0
    """

    def factor(self, i: "Numbers", cycle: Cycle) -> "Numbers":
        return 1.0
