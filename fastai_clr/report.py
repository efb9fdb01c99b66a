"""The result of a comparison: table, sentence and picture. It unpickles where fastai is not installed."""

from collections.abc import Callable, Sequence
from functools import partial
from math import nan, sqrt
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student

from . import plot
from .scores import best_value, is_lower_better

__all__ = ["Comparison", "Run"]

NOISE = 0.05  # family-wise false-positive rate of "larger than noise"


class Run:
    """One training run, and what it recorded.

    name: name of the schedule. seed: seed of the run. seconds: its duration. learn: the Learner after the run.

    lrs, losses: one float per batch. epochs: a pandas table of losses and metrics, one row per epoch.
    lower_is_better: for each column of `epochs`, whether smaller is better.
    """

    name: str
    seed: int
    seconds: float
    lrs: np.ndarray
    losses: np.ndarray
    epochs: pd.DataFrame
    lower_is_better: dict[str, bool]

    def __init__(self, name: str, seed: int, seconds: float, learn: Any):
        self.name, self.seed, self.seconds = name, seed, seconds
        self.lrs, self.losses = np.array(learn.sched.lrs), np.array(learn.sched.losses)
        names = _distinct(list(learn.recorder.metric_names)[1:])
        rows = [dict(zip(names, map(_as_float, values))) for values in learn.recorder.values]
        self.epochs = pd.DataFrame(rows, index=range(1, len(rows) + 1)).dropna(axis=1, how="all")
        if "valid_loss" not in self.epochs and "train_loss" not in self.epochs:
            self.epochs["train_loss"] = nan  # diverged from the first batch on
        metrics = dict(zip(_distinct([o.name for o in learn.metrics]), learn.metrics))
        self.lower_is_better = {o: is_lower_better(o, metrics.get(o)) for o in self.epochs}


def _distinct(names: list[str]) -> list[str]:
    """The names with a number after the second, third, ... of a kind: 'accuracy', 'accuracy 2'."""
    counts = [names[: i + 1].count(name) for i, name in enumerate(names)]
    return [name if n == 1 else f"{name} {n}" for name, n in zip(names, counts)]


def _as_float(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return nan  # the metric is not a number


class Comparison:
    """What `learn.compare_schedules` measured; print it, or look at `table` and `plot()`.

    runs: the finished runs. baseline: the name of the schedule that the others are compared with.
    target: value of `score`; the table reports the first epoch that reaches it. None: the baseline's mean final value.

    names: of the schedules. quantities: the columns that are compared: losses and metrics.
    score: the column that decides: the first metric, or the loss if there is none.
    """

    runs: list[Run]
    baseline: str
    names: list[str]
    quantities: list[str]
    score: str
    target: float | None

    def __init__(self, runs: Sequence[Run], baseline: str, target: float | None = None):
        self.runs, self.baseline = list(runs), baseline
        self.names = list(dict.fromkeys(run.name for run in runs))
        recorded = dict.fromkeys(o for run in runs for o in run.epochs)
        self.quantities = [o for o in recorded if o != "train_loss"] or ["train_loss"]
        self.score = next((o for o in self.quantities if o != "valid_loss"), self.quantities[0])
        self.target = target
        if target is None and baseline in self.names:
            self.target = float(np.mean(self._of_runs(partial(_final, self.score))[baseline]))

    @property
    def history(self) -> pd.DataFrame:
        """Losses and metrics of every epoch of every run, by schedule, seed and epoch."""
        keys = [(run.name, run.seed) for run in self.runs]
        return pd.concat([run.epochs for run in self.runs], keys=keys, names=["schedule", "seed", "epoch"])

    @property
    def table(self) -> pd.DataFrame:
        """A row for each schedule.

        Columns: of the final and the best value of the loss and each metric, the mean and sd over the seeds, and the
        paired difference to the baseline with its standard error; epochs to the target; seconds.
        """
        columns: dict[tuple[str, str], dict[str, Any]] = {}
        for name in self.quantities:
            for which, of in (("final", _final), ("best", _best)):
                columns |= self._columns(f"{which} {name}", self._of_runs(partial(of, name)))
        epochs = self._of_runs(self._epochs_to_target)
        columns[f"epochs to {self.score}", "mean"] = {
            k: np.nanmean(o) if any(o > 0) else nan for k, o in epochs.items()
        }
        columns[f"epochs to {self.score}", "reached"] = {k: f"{(o > 0).sum()} of {len(o)}" for k, o in epochs.items()}
        columns["seconds", "mean"] = {k: o.mean() for k, o in self._of_runs(lambda run: run.seconds).items()}
        return pd.DataFrame(columns, index=pd.Index(self.names, name="schedule"))

    def _of_runs(self, of: Callable[[Run], float]) -> dict[str, np.ndarray]:
        """The values of a function of the runs, by schedule, one for each of its seeds."""
        return {name: np.array([of(r) for r in self.runs if r.name == name], dtype=float) for name in self.names}

    def _columns(self, quantity: str, values: dict[str, np.ndarray]) -> dict[tuple[str, str], dict[str, float]]:
        columns = {
            (quantity, "mean"): {k: o.mean() for k, o in values.items()},
            (quantity, "sd"): {k: _sd(o) for k, o in values.items()},
        }
        if self.baseline in self.names:
            differences = {k: self._difference(values, k) for k in self.names}
            columns[quantity, "diff"] = {k: o.mean() for k, o in differences.items()}
            columns[quantity, "se"] = {k: _sd(o) / sqrt(len(o)) for k, o in differences.items()}
        return columns

    def _difference(self, values: dict[str, np.ndarray], name: str) -> np.ndarray:
        """Difference to the baseline, for each seed that both have; an interruption may leave a seed to one alone."""
        seeds = {k: [r.seed for r in self.runs if r.name == k] for k in (name, self.baseline)}
        both = [seed for seed in seeds[name] if seed in seeds[self.baseline]]
        a, b = (values[k][[seeds[k].index(seed) for seed in both]] for k in (name, self.baseline))
        return a - b

    def _epochs_to_target(self, run: Run) -> float:
        values = run.epochs[self.score] if self.score in run.epochs else pd.Series(dtype=float)
        reached = values <= self.target if run.lower_is_better.get(self.score) else values >= self.target
        return reached.idxmax() if self.target is not None and reached.any() else nan

    def __str__(self) -> str:
        """Which differences to the baseline are larger than noise, by the final value of what counts."""
        values = self._of_runs(partial(_final, self.score))
        others = [name for name in self.names if name != self.baseline]
        if self.baseline not in self.names or not others:
            return "Nothing to compare: only " + ", ".join(self.names) + " finished."
        base = values[self.baseline]
        larger, not_larger, diverged = [], [], []
        for name in others:
            difference = self._difference(values, name)
            n, mean, sd = len(difference), difference.mean(), _sd(difference)
            words = f"{name} {mean:+.4g}" + (f" ± {sd / sqrt(n):.2g}" if n > 1 else "")
            if np.isnan(mean):
                diverged.append(f"{name} in {np.isnan(values[name]).sum()} of {len(values[name])} runs")
            elif (
                n > 1
                and sd > 1e-9 * abs(mean)
                and abs(mean) > student.ppf(1 - NOISE / len(others) / 2, n - 1) * sd / sqrt(n)
            ):
                larger.append(words)
            else:
                not_larger.append(words)
        n = len(base)
        seeds = f"{n} seed{'s' * (n > 1)}"
        said = [f"Final {self.score} against {self.baseline} ({base.mean():.4g}), {seeds}, ± standard error."]
        for what, names in (
            ("Larger than noise", larger),
            ("Not larger than noise", not_larger),
            ("Diverged", diverged),
        ):
            if names:
                said.append(f"{what}: {', '.join(names)}.")
        if n == 1:
            said.append("One seed does not tell a difference from noise: try seeds=3.")
        else:
            said.append(f"Noise is what a paired t-test at {NOISE:.0%} over all comparisons does not exclude.")
        return " ".join(said)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<p>{self}</p>{self.table.to_html(float_format='{:.4g}'.format)}"

    def plot(self, axes: Any = None) -> Any:
        """Draw rates, losses and `score`, a colour per schedule; bands are ± sd over the seeds. Returns the three axes.

        axes: three axes to draw on; None makes a figure.
        """

        def over_seeds(name: str, of: Callable[[Run], Any]) -> np.ndarray:
            runs = [of(r) for r in self.runs if r.name == name]
            n = min(map(len, runs))
            return np.array([o[:n] for o in runs], dtype=float)

        curves = {
            name: (
                next(r.lrs for r in self.runs if r.name == name),
                over_seeds(name, lambda r: r.losses),
                over_seeds(name, lambda r: r.epochs[self.score] if self.score in r.epochs else []),
            )
            for name in self.names
        }
        return plot.comparison(curves, self.score, self.target, axes)


def _final(name: str, run: Run) -> float:
    return run.epochs[name].iloc[-1] if name in run.epochs and len(run.epochs) else nan


def _best(name: str, run: Run) -> float:
    if name not in run.epochs or not len(run.epochs):
        return nan
    values = run.epochs[name].dropna()
    return best_value(values, run.lower_is_better[name]) if len(values) else nan


def _sd(values: np.ndarray) -> float:
    return values.std(ddof=1) if len(values) > 1 else nan
