"""One training run of a comparison, as plain data."""

from math import isfinite, nan
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from ..record.columns import EpochColumns
from ..scores import best_value, is_lower_better

Peak: TypeAlias = float | slice | list[float] | tuple[float, ...]  # a peak rate, as `fit` takes it


class Run:
    """One training run, and what it recorded.

    Parameters
    ----------
    name
        Name of the schedule.
    seed
        Seed of the random numbers.
    seconds
        Duration of the training.
    learn
        The Learner after the run.
    lr
        The peak rate, as `fit` takes it.

    Attributes
    ----------
    lrs, losses
        One float per batch.
    epochs
        Losses and metrics, one row per epoch; a metric that is never a number has no column.
    diverged
        Whether the loss was no longer finite at the end.
    columns
        Names of the loss and the metrics, of the validation first, then of the training.
    lower_is_better
        For each of these names, whether smaller is better.
    """

    name: str
    seed: int
    seconds: float
    lr: Peak
    lrs: np.ndarray
    losses: np.ndarray
    epochs: pd.DataFrame
    diverged: bool
    columns: list[list[str]]
    lower_is_better: dict[str, bool]

    def __init__(self, name: str, seed: int, seconds: float, learn: Any, lr: Peak):
        self.name, self.seed, self.seconds, self.lr = name, seed, seconds, lr
        self.lrs, self.losses = np.array(learn.sched.lrs), np.array(learn.sched.losses)
        columns = EpochColumns.of(learn.recorder, learn.metrics)
        names, n_trained = _distinct(columns.names), len(columns.trained)
        self.columns = [o for o in (names[n_trained:], names[:n_trained]) if o]
        rows = [list(map(_number, columns.row(values))) for values in learn.recorder.values]
        index = pd.Index(names, dtype=object)  # an older pandas cannot read the strings of pandas 3
        epochs = pd.DataFrame(rows, index=range(1, len(rows) + 1), columns=index, dtype=object)
        self.epochs = epochs.loc[:, [any(o is not None for o in epochs[name]) for name in names]].astype(float)
        self._without_number = {name for name in names if not rows or rows[-1][names.index(name)] is None}
        self.lower_is_better = {
            column: is_lower_better(name, metric)
            for columns in self.columns
            for column, name, metric in zip(columns, ["loss", *(o.name for o in learn.metrics)], [None, *learn.metrics])
        }
        self.diverged = self._diverged(learn.n_epoch)

    def _diverged(self, n_epoch: int) -> bool:
        if not len(self.losses) or isfinite(self.losses[-1]):
            return False
        # Mixed precision skips a batch whose loss is inf. The smoothed loss stays inf, the validation loss does not.
        went_on = len(self.epochs) == n_epoch and "valid_loss" in self.epochs
        return not (went_on and isfinite(self.epochs["valid_loss"].iloc[-1]))

    def final(self, name: str) -> float:
        """The last value of a loss or metric; nan if there is none, or if the run diverged."""
        return nan if self.diverged or name in self._without_number else float(self.epochs[name].iloc[-1])

    def best(self, name: str) -> float:
        """The best value of a loss or metric; nan if there is none."""
        values = self.epochs[name].dropna() if name in self.epochs else []
        return best_value(values, self.lower_is_better[name]) if len(values) else nan

    def epochs_to(self, name: str, target: float) -> float:
        """The first epoch whose value is as good as `target`; nan if there is none."""
        values = self.epochs[name] if name in self.epochs else pd.Series(dtype=float)
        reached = values <= target if self.lower_is_better[name] else values >= target
        return float(reached.idxmax()) if reached.any() else nan

    def trouble(self, name: str) -> str | None:
        """Why its last value is not finite: 'diverged', 'no value', 'nan', 'inf' or '-inf'; None if it is."""
        if self.diverged:
            return "diverged"
        if name in self._without_number:
            return "no value"
        value = self.final(name)
        return None if isfinite(value) else str(value)


def _distinct(names: list[str]) -> list[str]:
    """The names, numbered where the same one comes again: 'accuracy', 'accuracy 2'."""
    counts = [names[: i + 1].count(name) for i, name in enumerate(names)]
    return [name if n == 1 else f"{name} {n}" for name, n in zip(names, counts)]


def _number(value: Any) -> float | None:
    if value is None or isinstance(value, str):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):  # the last is torch's, for several numbers
        return None
