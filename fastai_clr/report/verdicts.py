"""What may be said of schedules whose runs were measured: which differences are larger than noise."""

from collections.abc import Callable
from dataclasses import dataclass
from math import floor, isfinite, log10, nan, sqrt

import numpy as np
from scipy.stats import t as student

from .run import Run

__all__ = ["Verdict", "pairs", "standard_error", "verdicts"]

NOISE = 0.05  # family-wise false-positive rate of "better" and "worse"


@dataclass(frozen=True)
class Verdict:
    """What the runs of a schedule say of it.

    name: of the schedule. n_seeds: number of its runs, or, beside a baseline, of the seeds that both have.
    mean: of the final values. difference, error: mean paired difference to the baseline and its standard error; nan
    without a baseline. words: 'better', 'worse', 'within noise', or what is wrong with the values.
    """

    name: str
    n_seeds: int
    mean: float
    difference: float
    error: float
    words: str

    @property
    def difference_in_words(self) -> str:
        """The difference with its standard error, to two digits of the latter."""
        if not isfinite(self.difference):
            return ""
        if not isfinite(self.error):
            return f"{self.difference:+.4g}"
        n_decimals = 4 if self.error == 0 else min(max(1 - floor(log10(self.error)), 0), 12)
        return f"{self.difference:+.{n_decimals}f} ± {self.error:.{n_decimals}f}"


def verdicts(runs: list[Run], names: list[str], baseline: str, score: str) -> list[Verdict]:
    """A verdict for each schedule but the baseline, by the final value of `score`, the largest difference first."""
    others = [name for name in names if name != baseline]
    found = [_verdict(runs, name, baseline, score, len(others)) for name in others]
    return sorted(found, key=lambda o: (not isfinite(o.difference), -abs(o.difference)))


def _verdict(runs: list[Run], name: str, baseline: str, score: str, n_compared: int) -> Verdict:
    own = [run for run in runs if run.name == name]
    base = [run for run in runs if run.name == baseline]
    values = np.array([run.final(score) for run in own])
    words = trouble(own, score)
    if words or not base or trouble(base, score):
        return Verdict(name, len(own), nan if words else values.mean(), nan, nan, words)
    differences = pairs(runs, name, baseline, lambda run: run.final(score))
    n = len(differences)
    if n < 2:
        words = "" if n else f"no seed in common with {baseline}"
        return Verdict(name, n, values.mean(), differences.mean() if n else nan, nan, words)
    difference, error = float(differences.mean()), standard_error(differences)
    noise = student.ppf(1 - NOISE / n_compared / 2, n - 1) * error
    if abs(difference) <= noise or error < 1e-9 * abs(difference):  # equal differences say nothing of noise
        words = "within noise"
    else:
        words = "better" if (difference < 0) == own[0].lower_is_better[score] else "worse"
    return Verdict(name, n, values.mean(), difference, error, words)


def pairs(runs: list[Run], name: str, baseline: str, of: Callable[[Run], float]) -> np.ndarray:
    """The differences of a function of the runs to the baseline, for each seed that both schedules have."""
    a, b = ({run.seed: of(run) for run in runs if run.name == o} for o in (name, baseline))
    return np.array([a[seed] - b[seed] for seed in a if seed in b], dtype=float)


def standard_error(values: np.ndarray) -> float:
    """The standard error of the mean; nan for a single value."""
    return float(values.std(ddof=1) / sqrt(len(values))) if len(values) > 1 else nan


def trouble(runs: list[Run], score: str) -> str:
    """What is wrong with the final values: 'diverged in 2 of 3 runs', or '' if all are finite."""
    found = [o for run in runs if (o := run.trouble(score))]
    counts = [f"{what} in {found.count(what)}" for what in dict.fromkeys(found)]
    return f"{', '.join(counts)} of {len(runs)} run{'s' * (len(runs) > 1)}" if found else ""
