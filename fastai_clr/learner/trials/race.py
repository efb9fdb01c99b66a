"""A race of short whole cycles at several peak rates: which comes next, which wins, and how sure that is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, isfinite
from typing import Any

import numpy as np

from ...report.peaks import peak_in_words
from ...report.suggestion import Trial

FEWEST = 10  # batches in a cycle
DECADE = 2  # steps
FARTHEST = 3 * DECADE  # steps from the start, while the race looks in decades
TELLING = 0.02  # losses that differ by less do not tell two peaks apart; measured by tests/benchmarks/advice.py
IN_PER_CENT = f"{100 * TELLING:g} %"
FAR = 10  # times as long as the race's cycles: a fit that they may misjudge
FEW = 150  # batches of a race: of 123 such races of the benchmark 11 ended in a peak that loses more than 3 sd

Losses = Mapping[int, Sequence[float]]  # of the cycles at each step of half a decade; inf where one diverged


def near_steps(losses: Losses, telling: float) -> list[int]:
    """The steps whose mean loss exceeds the lowest by at most a share of it."""
    means = {step: float(np.mean(own)) for step, own in losses.items()}
    lowest = min(means.values())
    limit = lowest * (1 + telling if lowest > 0 else 1 - telling)
    return sorted(step for step in means if means[step] <= limit)


def best_step(losses: Losses, telling: float = 0) -> int:
    """The lowest step that is near the lowest loss; if all steps are near, the step of the lowest loss itself.

    >>> best_step({-1: [0.9], 0: [0.404], 1: [0.4]}, 0.02), best_step({0: [0.404], 1: [0.4]}, 0.02)
    (0, 1)
    """
    near = near_steps(losses, telling)
    return near[0] if telling == 0 or len(near) < len(losses) else best_step(losses)


def next_step(losses: Losses, stride: int, telling: float = 0) -> int | None:
    """The step to train next; None if the best has a worse one on either side.

    Towards the better side, first in the direction of `stride`. After nothing but divergence, downwards.

    >>> next_step({0: [0.5], 1: [0.6]}, stride=1)
    -1
    """
    near = near_steps(losses, telling)
    if not isfinite(np.mean(losses[near[0]])):
        return min(losses) - abs(stride)
    up, down = near[-1] + abs(stride), near[0] - abs(stride)
    return next((step for step in ((up, down) if stride > 0 else (down, up)) if step not in losses), None)


def step_to_repeat(losses: Losses) -> int:
    """The step of the lowest loss or the next one, whichever has fewer runs.

    >>> step_to_repeat({-1: [0.7], 0: [0.5, 0.4], 1: [0.6]})
    1
    """
    first, second = sorted(losses, key=lambda step: np.mean(losses[step]))[:2]
    return min((first, second), key=lambda step: len(losses[step]))


def cycle_length(budget: int, n_batches: float) -> int:
    """Batches in a cycle of the finer part of a race that has `budget` left, for a fit whose cycles have `n_batches`.

    A third of the budget, or half a cycle of the fit; longer ones where the budget has room for more than six.
    """
    return int(min(budget // 3, max(n_batches // 2, budget // 6), n_batches))


@dataclass
class Race:
    """Whole cycles at peaks a decade apart, as short as can be, then longer ones half a decade apart.

    Short cycles like a high peak: the race first looks upwards, and then, from the best of them, downwards.

    Parameters
    ----------
    center
        The peak of step 0, as `fit` takes it.
    seed
        Seed of the first cycle at each peak.
    train
        Trains a cycle, given its peak, seed and number of batches.
    has_time
        Whether there is time for so many batches.
    n_batches
        Batches in the longest cycles so far.
    losses
        Losses of these cycles by step: of the validation or, without one, of the training.
    trials
        All cycles so far.
    """

    center: Any
    seed: int
    train: Callable[[Any, int, int], Trial]
    has_time: Callable[[int], bool] = lambda n_batches: True
    n_batches: int = FEWEST
    losses: dict[int, list[float]] = field(default_factory=dict)
    trials: list[Trial] = field(default_factory=list)

    def run(self, budget: int, n_batches: float) -> None:
        """Train at most `budget` batches, for a fit with cycles of `n_batches`."""
        self._budget = budget
        step: int | None = 0
        while step is not None and self._has_room(FEWEST):
            self._add(step, FEWEST)
            step = next_step(self.losses, DECADE)
            if step is not None and abs(step) > FARTHEST and self.best is not None:
                step = None
        length = cycle_length(budget - self.n_done, n_batches)
        while length > FEWEST and not self.has_time(3 * length):
            length //= 2
        length = max(length, FEWEST)
        if length > FEWEST and self.best is not None:
            step = best_step(self.losses)
        while self._has_room(length):
            self._add(step_to_repeat(self.losses) if step is None else step, length)
            step = next_step(self.losses, -1, TELLING)

    def peak(self, step: int) -> Any:
        """The peak of a step, in the form of `center`."""
        return scaled(self.center, 10 ** (step / DECADE)) if step else self.center

    @property
    def n_done(self) -> int:
        """Batches trained so far."""
        return sum(o.batches for o in self.trials)

    @property
    def best_step(self) -> int:
        """The step that wins. Of the shortest cycles, which tell little, the one of the lowest loss."""
        return best_step(self.losses, TELLING if self.n_batches > FEWEST else 0)

    @property
    def best(self) -> Any:
        """The peak that wins; None if every cycle diverged."""
        if not self.losses or not isfinite(np.mean(self.losses[self.best_step])):
            return None
        return self.peak(self.best_step)

    def _has_room(self, n_batches: int) -> bool:
        return n_batches <= self._budget - self.n_done and self.has_time(n_batches)

    def _add(self, step: int, n_batches: int) -> None:
        is_longer = n_batches > self.n_batches
        repeats = 0 if is_longer else len(self.losses.get(step, []))
        trial = self.train(self.peak(step), self.seed + repeats, n_batches)
        if is_longer:
            self.n_batches, self.losses = n_batches, {}
        loss = trial.train_loss if trial.valid_loss is None else trial.valid_loss
        self.losses.setdefault(step, []).append(inf if trial.diverged else loss)
        self.trials.append(trial)

    def why(self, n_batches: int, is_whole: bool = True) -> str:
        """What the race measured, how sure it is, and how far it looked ahead.

        Parameters
        ----------
        n_batches
            Batches in a cycle of the fit.
        is_whole
            Whether the race has ended.
        """
        best, tried = self.best_step, sorted(self.losses)
        means = {step: float(np.mean(self.losses[step])) for step in tried}
        in_words = {step: f"{mean:.4g}" if isfinite(mean) else "diverged" for step, mean in means.items()}
        others = ", ".join(f"{in_words[o]} at {peak_in_words(self.peak(o))}" for o in tried if o != best)
        which = "validation" if any(o.valid_loss is not None for o in self.trials) else "training"
        if best == best_step(self.losses):
            measured = f"lowest at this peak: {means[best]:.4g}" + f" ({others})" * bool(others)
        else:
            measured = f"{means[best]:.4g} at this peak, within {IN_PER_CENT} of the lowest ({others}), "
            measured += "and a lower peak is safer"
        doubts = self._doubts(best, means) + ["the race was interrupted"] * (not is_whole)
        said = f"After a cycle of {self.n_batches} batches the {which} loss is {measured}. "
        said += f"How sure: {'; '.join(doubts) or 'the peaks beside it are worse by more than noise'}."
        if n_batches >= FAR * self.n_batches:
            said += f" It stands for a cycle of {n_batches:,} batches, {n_batches / self.n_batches:.0f} times as long, "
            said += "which may want a lower peak; budget=0.5 looks nearer."
        return said

    def _doubts(self, best: int, means: dict[int, float]) -> list[str]:
        doubts, noise, tried = [], self._noise(), list(means)
        if self.n_done < FEW:
            doubts.append(
                f"of races with fewer than {FEW} batches one in ten picks a peak that fails, and this had {self.n_done}"
            )
        if len(tried) > 2 and max(means.values()) - min(means.values()) < TELLING * abs(means[best]):
            doubts.append(f"the losses lie within {IN_PER_CENT}: the cycles were too short, or the peak matters little")
        if noise is None:
            doubts.append("one run at each peak does not tell the noise")
        else:
            i, n = tried.index(best), {step: len(own) for step, own in self.losses.items()}
            beside = [step for step in tried[max(i - 1, 0) : i + 2] if step != best]
            near = [o for o in beside if means[o] - means[best] < 2 * noise * (1 / n[o] + 1 / n[best]) ** 0.5]
            if near:
                names = " and ".join(peak_in_words(self.peak(o)) for o in near)
                doubts.append(f"{names} {'are' if len(near) > 1 else 'is'} as good within noise")
        if len(tried) == 1 or best in (tried[0], tried[-1]):
            which = "other" if len(tried) == 1 else "lower" if best == tried[0] else "higher"
            doubts.append(f"no {which} peak was tried")
        return doubts

    def _noise(self) -> float | None:
        """The standard deviation of the losses at one peak, from all that were repeated; None if none was."""
        repeated = [o for o in self.losses.values() if len(o) > 1 and isfinite(sum(o))]
        return float(np.sqrt(np.mean([np.var(o, ddof=1) for o in repeated]))) if repeated else None


def two_digits(peak: float) -> float:
    """The rate as people write it."""
    return float(f"{peak:.2g}")


def scaled(lr: Any, factor: float) -> Any:
    """A peak rate, as `fit` takes it, times a factor, to two digits."""
    if isinstance(lr, slice):
        return slice(None if lr.start is None else scaled(lr.start, factor), scaled(lr.stop, factor))
    if isinstance(lr, (list, tuple)):
        return [scaled(o, factor) for o in lr]
    return two_digits(lr * factor)
