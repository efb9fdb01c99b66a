"""The runs of a comparison as one table, which verdicts, sentences, summaries and the picture read."""

from collections.abc import Sequence
from math import nan
from typing import Literal

import pandas as pd

from .run import Run


def runs_table(runs: Sequence[Run], quantities: Sequence[str], score: str, target: float | None = None) -> pd.DataFrame:
    """A row for each run, by schedule and seed, in the order of the runs.

    Parameters
    ----------
    runs
        The runs.
    quantities
        Losses and metrics, each with a column 'final ...' and a column 'best ...'.
    score
        The one that decides. 'trouble' says why its last value is not finite, '' if it is.
    target
        'epochs to ...' is the first epoch whose score reaches it, nan if none does.

    Notes
    -----
    The other columns: run, the `Run` itself; peak, as `fit` takes it; seconds.
    """
    columns = {
        "run": list(runs),
        "peak": [run.lr for run in runs],
        "seconds": [run.seconds for run in runs],
        "trouble": [run.trouble(score) or "" for run in runs],
        f"epochs to {score}": [nan if target is None else run.epochs_to(score, target) for run in runs],
        **{f"final {name}": [run.final(name) for run in runs] for name in quantities},
        **{f"best {name}": [run.best(name) for run in runs] for name in quantities},
    }
    index = pd.MultiIndex.from_arrays([[run.name for run in runs], [run.seed for run in runs]])
    return pd.DataFrame(columns, index=index.set_names(["schedule", "seed"]))


def by_schedule(values: pd.Series, statistic: Literal["mean", "std", "sem"]) -> pd.Series:
    """The mean, standard deviation or standard error of each schedule's values; nan if one of them is nan."""
    groups = values.groupby(level="schedule", sort=False)
    return pd.Series({name: getattr(own, statistic)(skipna=False) for name, own in groups}, dtype=float)


def differences(values: pd.Series, baseline: str) -> pd.Series:
    """The values minus the baseline's of the same seed, for the seeds that both schedules have.

    Parameters
    ----------
    values
        A column of `runs_table`.
    baseline
        Name of the baseline.
    """
    of_baseline = values.xs(baseline, level="schedule")
    paired = values.loc[values.index.get_level_values("seed").isin(of_baseline.index)]
    return paired - of_baseline.loc[paired.index.get_level_values("seed")].to_numpy()
