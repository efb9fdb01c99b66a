"""Choose a peak rate for each schedule, by runs of their own, and write peak rates as people type them."""

from collections.abc import Sequence
from math import inf

import pandas as pd

from .run import Peak, Run
from .table import by_schedule, runs_table


def best_peaks(runs: Sequence[Run], score: str) -> dict[str, Peak]:
    """For each schedule the peak rate with the best mean final `score`; one at which a run failed comes last."""
    means, peaks = _means(runs, score)
    losses = (means if runs[0].lower_is_better[score] else -means).fillna(inf)
    return {name: peaks[key] for name, key in losses.idxmin(axis=1).items()}  # of equals the first, which is the lowest


def grid_table(runs: Sequence[Run], score: str) -> pd.DataFrame:
    """Mean final `score` by schedule and peak rate, from the lowest peak to the highest."""
    means, peaks = _means(runs, score)
    return means.set_axis([peak_in_words(peaks[key]) for key in means], axis=1)


def _means(runs: Sequence[Run], score: str) -> tuple[pd.DataFrame, dict[str, Peak]]:
    """Mean final `score` by schedule and peak, from the lowest peak to the highest; and the peaks by their labels."""
    table = runs_table(runs, [score], score)
    keys = table["peak"].map(repr)  # a list cannot be a label
    peaks = {repr(run.lr): run.lr for run in sorted(runs, key=lambda run: highest_rate(run.lr))}
    means = {key: by_schedule(table.loc[keys == key, f"final {score}"], "mean") for key in peaks}
    names = pd.Index(table.index.unique("schedule"), name="schedule")
    return pd.DataFrame(means, index=names, columns=list(peaks)), peaks


def highest_rate(lr: Peak) -> float:
    """The highest rate of a peak as `fit` takes it: a number, a slice, or a list with one for each parameter group."""
    return lr.stop if isinstance(lr, slice) else max(lr) if isinstance(lr, (list, tuple)) else lr


def peak_in_words(lr: Peak) -> str:
    """A peak as people type it.

    >>> peak_in_words(slice(0.001, 0.01))
    'slice(0.001, 0.01)'
    """
    if isinstance(lr, slice):
        return f"slice({lr.stop:g})" if lr.start is None else f"slice({lr.start:g}, {lr.stop:g})"
    return f"[{', '.join(f'{o:g}' for o in lr)}]" if isinstance(lr, (list, tuple)) else f"{lr:g}"
