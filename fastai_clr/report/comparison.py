"""The result of a comparison: table, sentences and picture."""

from collections.abc import Callable, Sequence
from math import nan
from typing import Any

import numpy as np
import pandas as pd

from .. import plot
from .peaks import grid_table
from .run import Run
from .sentences import as_html, as_text
from .verdicts import pairs, standard_error

__all__ = ["Comparison"]


class Comparison:
    """What `learn.compare_schedules` measured; print it, or look at `table` and `plot()`.

    runs: the finished runs. baseline: the name of the schedule that the others are compared with.
    target: value of `score`; the table reports the first epoch that reaches it. None: the baseline's mean final value.
    settings: by name, what another comparison must share to be added, say the epochs; plain data.
    grid_runs: the runs by which each schedule chose its peak; none if the peaks were given.

    names: of the schedules. quantities: the columns that are compared: losses and metrics, of the validation if there
    is one. score: the column that decides: the first metric, or the loss if there is none.

    `a + b`, or `sum(parts)`, holds the runs of both comparisons.
    """

    runs: list[Run]
    baseline: str
    target: float | None
    settings: dict[str, Any]
    grid_runs: list[Run]
    names: list[str]
    quantities: list[str]
    score: str

    def __init__(
        self,
        runs: Sequence[Run],
        baseline: str,
        target: float | None = None,
        *,
        settings: dict[str, Any] | None = None,
        grid_runs: Sequence[Run] = (),
    ):
        self.runs, self.baseline = list(runs), baseline
        self.settings, self.grid_runs = dict(settings or {}), list(grid_runs)
        self.names = list(dict.fromkeys(run.name for run in self.runs))
        self.quantities, self.score = compared_columns(self.runs)
        self._target = target
        self.target = target
        if target is None and baseline in self.names:
            self.target = float(np.mean(self._of_runs(lambda run: run.final(self.score))[baseline]))

    def __add__(self, other: Any) -> "Comparison":
        """The comparison by the runs of both.

        Raises ValueError for a run that both have, and for comparisons of other settings.
        """
        if not isinstance(other, Comparison):
            return NotImplemented
        for name in dict.fromkeys([*self._shared(), *other._shared()]):
            a, b = self._shared().get(name), other._shared().get(name)
            if a != b:
                raise ValueError(f"comparisons can be added if they share the {name}, but given {a} and {b}")
        if both := {(r.name, r.seed) for r in self.runs} & {(r.name, r.seed) for r in other.runs}:
            name, seed = min(both)
            raise ValueError(
                f"comparisons can be added if no run is in both, but both have {name!r} with seed {seed}: "
                "give the second other seeds=[...]"
            )
        known = {(r.name, r.seed, repr(r.lr)) for r in self.grid_runs}
        more = [r for r in other.grid_runs if (r.name, r.seed, repr(r.lr)) not in known]
        return Comparison(
            self.runs + other.runs,
            self.baseline,
            self._target,
            settings=self.settings,
            grid_runs=self.grid_runs + more,
        )

    def __radd__(self, other: Any) -> "Comparison":
        return self if other == 0 else NotImplemented  # `sum` begins with 0

    def _shared(self) -> dict[str, Any]:
        return self.settings | {"baseline": self.baseline, "score": self.score}

    @property
    def history(self) -> pd.DataFrame:
        """Losses and metrics of every epoch of every run, by schedule, seed and epoch."""
        keys = [(run.name, run.seed) for run in self.runs]
        table = pd.concat([run.epochs for run in self.runs], keys=keys, names=["schedule", "seed", "epoch"])
        return table.sort_index()  # pandas finds rows faster, and does not warn

    @property
    def peaks(self) -> dict[str, Any]:
        """The peak rate of each schedule, as `fit` takes it."""
        return {run.name: run.lr for run in self.runs}

    @property
    def grid(self) -> pd.DataFrame:
        """Mean final `score` by schedule and peak rate, of the runs by which the schedules chose their peaks."""
        return grid_table(self.grid_runs, self.score)

    @property
    def table(self) -> pd.DataFrame:
        """A row for each schedule.

        It has the final and the best value of what decides, then of the other metrics and the loss: mean and sd over
        the seeds, the paired difference to the baseline (diff) and its standard error (se). After them come the epochs
        to the target, and the seconds of a run.
        """
        columns: dict[tuple[str, str], dict[str, Any]] = {}
        for name in sorted(self.quantities, key=lambda name: name != self.score):  # the score comes first
            columns |= self._columns(f"final {name}", lambda run, name=name: run.final(name))
            columns |= self._columns(f"best {name}", lambda run, name=name: run.best(name))
        target = nan if self.target is None else self.target
        epochs = self._of_runs(lambda run: run.epochs_to(self.score, target))
        columns[f"epochs to {self.score}", "mean"] = {
            k: np.nanmean(o) if any(o > 0) else nan for k, o in epochs.items()
        }
        columns[f"epochs to {self.score}", "reached"] = {k: f"{(o > 0).sum()} of {len(o)}" for k, o in epochs.items()}
        columns["seconds", "mean"] = {k: o.mean() for k, o in self._of_runs(lambda run: run.seconds).items()}
        return pd.DataFrame(columns, index=pd.Index(self.names, name="schedule"))

    def _of_runs(self, of: Callable[[Run], float]) -> dict[str, np.ndarray]:
        """The values of a function of the runs, by schedule, one for each of its seeds."""
        return {name: np.array([of(r) for r in self.runs if r.name == name], dtype=float) for name in self.names}

    def _columns(self, quantity: str, of: Callable[[Run], float]) -> dict[tuple[str, str], dict[str, float]]:
        values = self._of_runs(of)
        columns = {
            (quantity, "mean"): {k: o.mean() for k, o in values.items()},
            (quantity, "sd"): {k: o.std(ddof=1) if len(o) > 1 else nan for k, o in values.items()},
        }
        if self.baseline in self.names:
            differences = {k: pairs(self.runs, k, self.baseline, of) for k in self.names}
            columns[quantity, "diff"] = {k: o.mean() if len(o) else nan for k, o in differences.items()}
            columns[quantity, "se"] = {k: standard_error(o) for k, o in differences.items()}
        return columns

    def __str__(self) -> str:
        return as_text(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return as_html(self)

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


def compared_columns(runs: Sequence[Run]) -> tuple[list[str], str]:
    """The columns to compare, and the one that decides: the first metric with numbers, else the loss.

    Of the validation; of the training where no run was validated.
    """
    numeric = {name for run in runs for name in run.epochs}
    for columns in runs[0].columns:
        if found := [name for name in columns if name in numeric]:
            return found, next((name for name in columns[1:] if name in numeric), found[0])
    columns = runs[0].columns[0]  # no epoch was finished
    return columns, columns[1] if len(columns) > 1 else columns[0]
