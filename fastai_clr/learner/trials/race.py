"""A race of short whole cycles at several peak rates, on copies of a Learner."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, isfinite, log10
from typing import Any

import numpy as np
from fastai.callback.core import Callback, CancelFitException

from ...report.peaks import peak_in_words
from ...report.suggestion import Trial
from .progress import ExperimentBar
from .sandbox import Sandbox

FEWEST = 10  # batches in a cycle
# Losses that differ by less say little. With budget=1 they do so in one of the 20 tasks in tests/benchmarks/advice.py,
# where the suggestion costs most.
TELLING = 0.02

Losses = Mapping[int, Sequence[float]]  # of the cycles at each step of half a decade; inf where one diverged


def best_step(losses: Losses) -> int:
    """The step of the lowest mean loss, the lower one of equals.

    >>> best_step({-1: [0.9], 0: [0.5], 1: [0.4, 0.8]})
    0
    """
    return min(sorted(losses), key=lambda step: np.mean(losses[step]))


def next_step(losses: Losses) -> int:
    """The step to train next.

    Towards the better side until the best step has a worse one on either side. Then again the best one or its rival,
    the better of the two beside it, whichever has fewer runs.

    >>> next_step({0: [0.5], 1: [0.6]}), next_step({-1: [0.7], 0: [0.5], 1: [0.6]})
    (-1, 0)
    """
    best = best_step(losses)
    if not isfinite(np.mean(losses[best])):
        return min(losses) - 1
    for step in (best + 1, best - 1):
        if step not in losses:
            return step
    rival = min((best - 1, best + 1), key=lambda step: np.mean(losses[step]))
    return min((best, rival), key=lambda step: len(losses[step]))


@dataclass
class Race:
    """Cycles of `n_batches` each, at peaks half a decade apart.

    center: the peak of step 0, as `fit` takes it. n_iter: batches per epoch. seed: of the first cycle at each peak.
    losses: what decides, the validation losses or, without a validation, the training losses. trials: what was trained.
    """

    center: Any
    n_batches: int
    n_iter: int
    seed: int
    losses: dict[int, list[float]] = field(default_factory=dict)
    trials: list[Trial] = field(default_factory=list)

    def run(self, box: Sandbox, bar: ExperimentBar, budget: int, n_done: int = 0) -> None:
        """Train until another cycle would be more than `budget` batches. n_done: batches on the bar before the race."""
        left = budget
        while left >= self.n_batches:
            self._train(box, bar, next_step(self.losses) if self.losses else 0, n_done + budget - left)
            left -= self.trials[-1].batches

    def peak(self, step: int) -> Any:
        """The peak of a step, in the form of `center`."""
        return scaled(self.center, 10 ** (step / 2)) if step else self.center

    def _train(self, box: Sandbox, bar: ExperimentBar, step: int, n_done: int) -> None:
        peak, seed = self.peak(step), self.seed + len(self.losses.get(step, []))
        with box.copy(seed) as (twin, _):
            bar.begin(f"peak {peak_in_words(peak)}", n_done)
            stops = _StopsIfLost()
            twin.fit(peak, 1, cycle_len=self.n_batches / self.n_iter, use_clr=(10, 10), cbs=[stops, bar])
            losses, valid_losses = list(twin.sched.losses), list(twin.sched.val_losses)
        valid_loss = float(valid_losses[-1]) if valid_losses else None
        loss = losses[-1] if valid_loss is None else valid_loss
        diverged = stops.is_lost or not isfinite(loss)
        self.losses.setdefault(step, []).append(inf if diverged else loss)
        self.trials.append(Trial(peak, seed, len(losses), valid_loss, losses[-1], diverged))

    def why(self, is_whole: bool = True) -> str:
        """What the race has measured, how sure it is, and what it leaves open. is_whole: whether it has ended."""
        best, tried = best_step(self.losses), sorted(self.losses)
        means = {step: float(np.mean(self.losses[step])) for step in tried}
        in_words = {step: f"{mean:.4g}" if isfinite(mean) else "diverged" for step, mean in means.items()}
        others = ", ".join(f"{in_words[o]} at {peak_in_words(self.peak(o))}" for o in tried if o != best)
        which = "validation" if any(o.valid_loss is not None for o in self.trials) else "training"

        def if_larger(what: str) -> str:
            return f": a larger budget {what}." if is_whole else "."

        said = f"After a cycle of {self.n_batches} batches the {which} loss is lowest at this peak: {means[best]:.4g}"
        said += f" ({others})." if others else "; no other peak was tried."
        if len(tried) > 2 and max(means.values()) - means[best] < TELLING * abs(means[best]):
            said += f" These losses lie within {TELLING:.0%}, so they hardly tell the peaks apart:"
            said += " the peak matters little, or the cycles were too short to learn anything."
            said += " A much larger budget makes them longer." if is_whole else ""
        said += "" if is_whole else " The race was interrupted."
        noise = self._noise()
        if noise is None:
            said += " One run each does not tell the noise" + if_larger("repeats the best")
        else:
            said += f" Runs at one peak differ by {noise:.2g} (sd)."
            for step in (best - 1, best + 1):
                if step in means and means[step] - means[best] < 2 * noise * self._share_of_noise(best, step):
                    said += f" {peak_in_words(self.peak(step))} is as good within noise."
        if best in (tried[0], tried[-1]) and len(tried) > 1:
            said += f" No {'lower' if best == tried[0] else 'higher'} peak was tried" + if_larger("would")
        return said

    def _noise(self) -> float | None:
        """The standard deviation of the losses at one peak, from all that were repeated; None if none was."""
        repeated = [o for o in self.losses.values() if len(o) > 1 and isfinite(sum(o))]
        return float(np.sqrt(np.mean([np.var(o, ddof=1) for o in repeated]))) if repeated else None

    def _share_of_noise(self, *steps: int) -> float:
        return float(np.sqrt(sum(1 / len(self.losses[step]) for step in steps)))


def cycle_length(budget: int, n_batches: int, first_cycle: int) -> int:
    """Batches in a cycle of a race of `budget` batches, for a fit of `n_batches` whose first cycle has `first_cycle`.

    A fifth of the fit, or 100 batches where these are at most a third of it. Longer where the budget has room for more
    than six such cycles, and where they would be too short; never longer than a cycle of the fit.
    """
    wanted = max(n_batches / 5, min(100, n_batches / 3))
    n_cycles = max(min(round(budget / wanted), 6, budget // FEWEST), 3)
    return min(budget // n_cycles, first_cycle)


def half_decade(peak: float) -> float:
    """The nearest of 0.01, 0.032, 0.1 and so on."""
    return two_digits(10 ** (round(2 * log10(peak)) / 2))


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


class _StopsIfLost(Callback):
    """Ends the fit if its loss diverges: the rest of the cycle would cost time and say nothing."""

    is_lost = False
    run_valid, order = False, 56  # after the batch is recorded

    def after_batch(self) -> None:
        first, last = self.learn.sched.losses[0], self.learn.sched.losses[-1]
        if not isfinite(last) or last > 10 * first > 0:
            self.is_lost = True
            raise CancelFitException
