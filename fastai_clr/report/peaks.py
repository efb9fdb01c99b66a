"""Which of several peak rates suits a schedule: chosen by runs of their own."""

from collections.abc import Sequence
from math import inf, isnan
from typing import Any

import numpy as np
import pandas as pd

from .run import Run

__all__ = ["best_peaks", "grid_table", "highest_rate", "peak_in_words"]


def best_peaks(runs: Sequence[Run], score: str) -> dict[str, Any]:
    """For each schedule the peak rate with the best mean final `score`; one at which a run failed comes last."""
    names = dict.fromkeys(run.name for run in runs)
    return {name: _best([run for run in runs if run.name == name], score) for name in names}


def _best(runs: list[Run], score: str) -> Any:
    by_peak = {repr(run.lr): run.lr for run in runs}

    def loss(peak: str) -> float:
        mean = float(np.mean([run.final(score) for run in runs if repr(run.lr) == peak]))
        return inf if isnan(mean) else mean if runs[0].lower_is_better[score] else -mean

    return by_peak[min(by_peak, key=lambda peak: (loss(peak), highest_rate(by_peak[peak])))]


def grid_table(runs: Sequence[Run], score: str) -> pd.DataFrame:
    """Mean final `score` by schedule and peak rate, from the lowest peak to the highest."""
    peaks = {repr(run.lr): run.lr for run in sorted(runs, key=lambda run: highest_rate(run.lr))}
    names = dict.fromkeys(run.name for run in runs)
    means = {
        peak_in_words(lr): [
            np.mean([run.final(score) for run in runs if run.name == name and repr(run.lr) == peak]) for name in names
        ]
        for peak, lr in peaks.items()
    }
    return pd.DataFrame(means, index=pd.Index(names, name="schedule"))


def highest_rate(lr: Any) -> float:
    """The highest rate of a peak as `fit` takes it: a number, a slice, or a list with one for each parameter group."""
    return lr.stop if isinstance(lr, slice) else max(lr) if isinstance(lr, (list, tuple)) else lr


def peak_in_words(lr: Any) -> str:
    """A peak as people type it.

    >>> peak_in_words(slice(0.001, 0.01))
    'slice(0.001, 0.01)'
    """
    if isinstance(lr, slice):
        return f"slice({lr.stop:g})" if lr.start is None else f"slice({lr.start:g}, {lr.stop:g})"
    return f"[{', '.join(f'{o:g}' for o in lr)}]" if isinstance(lr, (list, tuple)) else f"{lr:g}"
