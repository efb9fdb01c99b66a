"""What runs with different schedules measured: the table, the picture, and what is larger than noise."""

from functools import partial
from math import nan, sqrt

import numpy as np
import pandas as pd
from scipy.stats import t as student

from . import plot
from .callback import LOWER_IS_BETTER

__all__ = ["Comparison", "Run"]

NOISE = 0.05  # how often a difference may be called larger than noise where there is none, over all comparisons


class Run:
    """One training: the `name` of its schedule, its `seed`, its `seconds`, and what it recorded.

    lrs, losses: one a batch. epochs: a pandas table of losses and metrics, one row an epoch.
    """

    def __init__(self, name, seed, seconds, learn):
        self.name, self.seed, self.seconds = name, seed, seconds
        self.lrs, self.losses = np.array(learn.sched.lrs), np.array(learn.sched.losses)
        names = list(learn.recorder.metric_names)[1:]
        rows = [dict(zip(names, map(_as_float, values))) for values in learn.recorder.values]
        self.epochs = pd.DataFrame(rows, index=range(1, len(rows) + 1)).dropna(axis=1, how="all")
        if "valid_loss" not in self.epochs and "train_loss" not in self.epochs:
            self.epochs["train_loss"] = nan  # diverged from the first batch on


def _as_float(value):
    try:
        return float(value)
    except (TypeError, ValueError):
        return nan  # a metric that is no number


class Comparison:
    """What `learn.compare_schedules` measured; print it, or look at `table` and `plot()`.

    runs: those that finished. baseline: the name of the schedule that the others are compared with.
    score: the name of the quantity that counts, the first metric, else the loss. target: its value to be reached.
    """

    def __init__(self, runs, baseline, target=None):
        self.runs, self.baseline = runs, baseline
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
        return pd.concat({(r.name, r.seed): r.epochs for r in self.runs}, names=["schedule", "seed", "epoch"])

    @property
    def table(self) -> pd.DataFrame:
        """A row for each schedule: mean and sd over the seeds, and the paired difference to the baseline with its
        standard error, of the final and the best loss and of each metric; epochs to the target; seconds.
        """
        columns = {}
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

    def _of_runs(self, of) -> dict:
        """The values of a function of the runs, by schedule, one for each of its seeds."""
        return {name: np.array([of(r) for r in self.runs if r.name == name], dtype=float) for name in self.names}

    def _columns(self, quantity, values):
        columns = {
            (quantity, "mean"): {k: o.mean() for k, o in values.items()},
            (quantity, "sd"): {k: _sd(o) for k, o in values.items()},
        }
        if self.baseline in self.names:
            differences = {k: self._difference(values, k) for k in self.names}
            columns[quantity, "diff"] = {k: o.mean() for k, o in differences.items()}
            columns[quantity, "se"] = {k: _sd(o) / sqrt(len(o)) for k, o in differences.items()}
        return columns

    def _difference(self, values, name):
        """To the baseline, seed by seed; an interruption may have left a seed without one of the two."""
        seeds = {k: [r.seed for r in self.runs if r.name == k] for k in (name, self.baseline)}
        both = [seed for seed in seeds[name] if seed in seeds[self.baseline]]
        a, b = (values[k][[seeds[k].index(seed) for seed in both]] for k in (name, self.baseline))
        return a - b

    def _epochs_to_target(self, run):
        values = run.epochs[self.score] if self.score in run.epochs else pd.Series(dtype=float)
        reached = values <= self.target if LOWER_IS_BETTER.search(self.score) else values >= self.target
        return reached.idxmax() if self.target is not None and reached.any() else nan

    def __str__(self):
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

    def _repr_html_(self):
        return f"<p>{self}</p>{self.table.to_html(float_format='{:.4g}'.format)}"

    def plot(self, axes=None):
        """Rates, losses and what counts, one colour a schedule; bands are ± sd over the seeds. Returns the three axes.

        axes: three axes to draw on; None makes a figure.
        """

        def over_seeds(name, of):
            runs = [of(r) for r in self.runs if r.name == name]
            n = min(map(len, runs))
            return np.array([o[:n] for o in runs], dtype=float)

        curves = {
            name: (
                next(r.lrs for r in self.runs if r.name == name),
                over_seeds(name, lambda r: r.losses),
                over_seeds(name, lambda r: r.epochs.get(self.score, pd.Series(dtype=float)).to_numpy()),
            )
            for name in self.names
        }
        return plot.comparison(curves, self.score, self.target, axes)


def _final(name, run):
    return run.epochs[name].iloc[-1] if name in run.epochs and len(run.epochs) else nan


def _best(name, run):
    if name not in run.epochs or not len(run.epochs):
        return nan
    return run.epochs[name].min() if LOWER_IS_BETTER.search(name) else run.epochs[name].max()


def _sd(values):
    return values.std(ddof=1) if len(values) > 1 else nan
