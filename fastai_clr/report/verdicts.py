"""What the runs say of each schedule: which differences to the baseline are larger than noise."""

from dataclasses import dataclass
from math import floor, isfinite, log10, nan, sqrt

import numpy as np
import pandas as pd
from scipy.stats import t as student

from .run import Peak
from .table import differences

NOISE = 0.05  # family-wise false-positive rate of "better" and "worse"


@dataclass(frozen=True)
class Verdict:
    """What the runs of a schedule say of it.

    Parameters
    ----------
    name
        Name of the schedule.
    peak
        Peak rate of its runs.
    seconds
        Mean duration of a run.
    n_runs
        Number of its runs.
    n_seeds
        Number of the seeds that it shares with the baseline, where both have finite values, else of its runs.
    mean
        Mean of the final values; nan if one of them is not finite.
    difference, error
        Mean paired difference to the baseline and its standard error; nan where there is none.
    words
        'better', 'worse', 'within noise', or what is wrong with the values: 'diverged in 2 of 3 runs'.
    """

    name: str
    peak: Peak
    seconds: float
    n_runs: int
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


def verdicts(runs: pd.DataFrame, baseline: str, score: str, lower_is_better: bool) -> list[Verdict]:
    """A verdict for each schedule, by the final value of `score`: the baseline, then the largest difference first.

    Parameters
    ----------
    runs
        What `runs_table` returns.
    baseline
        A schedule, with runs or without.
    score
        The loss or metric that decides.
    lower_is_better
        Whether its smaller values are better.
    """
    finals: pd.Series = runs[f"final {score}"]
    by_name = {str(name): own for name, own in runs.groupby(level="schedule", sort=False)}
    troubles = {name: _trouble(own["trouble"]) for name, own in by_name.items()}
    n_others = len(by_name.keys() - {baseline})
    has_differences = baseline in by_name and not troubles[baseline]
    by_seed = differences(finals, baseline) if has_differences else finals.head(0)
    pairs = {str(name): own.to_numpy() for name, own in by_seed.groupby(level="schedule")}
    found = []
    for name, own in by_name.items():
        words, n_seeds, difference, error = troubles[name], len(own), nan, nan
        mean = nan if words else float(own[finals.name].mean())
        if has_differences and name != baseline and not words:
            if name in pairs:
                n_seeds, difference, error = len(pairs[name]), float(pairs[name].mean()), _error(pairs[name])
                words = judge(pairs[name], n_others, lower_is_better)
            else:
                n_seeds, words = 0, f"no seed in common with {baseline}"
        peak, seconds = own["peak"].iloc[-1], float(own["seconds"].mean())
        found.append(Verdict(name, peak, seconds, len(own), n_seeds, mean, difference, error, words))
    return sorted(found, key=lambda o: (o.name != baseline, not isfinite(o.difference), -abs(o.difference)))


def judge(paired: np.ndarray, n_compared: int, lower_is_better: bool) -> str:
    """'better' or 'worse' where a t-test tells the differences to the baseline from noise, else 'within noise'.

    Parameters
    ----------
    paired
        A difference for each seed; a single one cannot be judged, and gives ''.
    n_compared
        Number of schedules that are compared with the baseline; they share the false-positive rate.
    lower_is_better
        Whether a difference below 0 is better.
    """
    n = len(paired)
    if n < 2:
        return ""
    difference, error = paired.mean(), _error(paired)
    noise = student.ppf(1 - NOISE / n_compared / 2, n - 1) * error
    if abs(difference) <= noise or error < 1e-9 * abs(difference):  # equal differences say nothing of noise
        return "within noise"
    return "better" if (difference < 0) == lower_is_better else "worse"


def _error(values: np.ndarray) -> float:
    """The standard error of the mean; nan for a single value."""
    return float(values.std(ddof=1)) / sqrt(len(values)) if len(values) > 1 else nan


def _trouble(troubles: pd.Series) -> str:
    """What is wrong with the final values: 'diverged in 2 of 3 runs', or '' if all are finite."""
    counts = troubles.loc[troubles != ""].value_counts(sort=False)
    n = len(troubles)
    said = ", ".join(f"{what} in {count}" for what, count in counts.items())
    return f"{said} of {n} run{'s' * (n > 1)}" if said else ""
