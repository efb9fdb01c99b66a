"""The result of `learn.compare_schedules`: the runs, and what can be read from them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from .. import plot
from ..plot.axes import GivenAxes
from .peaks import grid_table
from .run import Peak, Run
from .sentences import as_html, as_text
from .table import by_schedule, differences, runs_table
from .verdicts import Verdict, verdicts


class Comparison:
    """What `learn.compare_schedules` measured; print it, or look at `table` and `plot()`.

    Parameters
    ----------
    runs
        The finished runs.
    baseline
        Name of the schedule that the others are compared with.
    target
        Value of `score`; the table reports the first epoch that reaches it. None is the baseline's mean final value.
    settings
        By name, what another comparison must share to be added, say the epochs; plain data.
    grid_runs
        The runs by which each schedule chose its peak; none if the peaks were given.

    Attributes
    ----------
    names
        Of the schedules.
    quantities
        The columns that are compared: losses and metrics, of the validation if there is one.
    score
        The column that decides: the first metric, or the loss if there is none.

    Notes
    -----
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
        self._target = self.target = target
        if target is None and baseline in self.names:
            self.target = by_schedule(self._by_run()[f"final {self.score}"], "mean").to_dict()[baseline]

    def __add__(self, other: "Comparison") -> "Comparison":
        """The comparison by the runs of both.

        Raises
        ------
        ValueError
            For a run that both have, and for comparisons of other settings.
        """
        if not isinstance(other, Comparison):
            return NotImplemented
        ours, theirs = self._shared(), other._shared()
        for name in ours | theirs:
            a, b = ours.get(name), theirs.get(name)
            if a != b:
                raise ValueError(f"comparisons can be added if they share the {name}, but given {a} and {b}")
        if both := {(r.name, r.seed) for r in self.runs} & {(r.name, r.seed) for r in other.runs}:
            name, seed = min(both)
            raise ValueError(
                f"comparisons can be added if no run is in both, but both have {name!r} with seed {seed}: "
                "give the second other seeds=[...]"
            )
        known = {(r.name, r.seed, repr(r.lr)) for r in self.grid_runs}
        grid = self.grid_runs + [r for r in other.grid_runs if (r.name, r.seed, repr(r.lr)) not in known]
        runs = self.runs + other.runs
        return Comparison(runs, self.baseline, self._target, settings=self.settings, grid_runs=grid)

    def __radd__(self, other: object) -> "Comparison":
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
    def peaks(self) -> dict[str, Peak]:
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
        runs, columns = self._by_run(), {}
        for name in sorted(self.quantities, key=lambda name: name != self.score):  # the score comes first
            for column in (f"final {name}", f"best {name}"):
                values = runs[column]
                columns[column, "mean"] = by_schedule(values, "mean")
                columns[column, "sd"] = by_schedule(values, "std")
                if self.baseline in self.names:
                    paired = differences(values, self.baseline)
                    columns[column, "diff"] = by_schedule(paired, "mean")
                    columns[column, "se"] = by_schedule(paired, "sem")
        to_target = f"epochs to {self.score}"
        epochs = runs[to_target].groupby(level="schedule")
        columns[to_target, "mean"] = epochs.mean()  # of the runs that reach it
        columns[to_target, "reached"] = epochs.agg(lambda o: f"{o.count()} of {len(o)}")
        columns["seconds", "mean"] = by_schedule(runs["seconds"], "mean")
        return pd.DataFrame(columns, index=pd.Index(self.names, name="schedule"))

    def _by_run(self) -> pd.DataFrame:
        return runs_table(self.runs, self.quantities, self.score, self.target)

    @property
    def _lower_is_better(self) -> bool:
        return self.runs[0].lower_is_better[self.score]

    def _findings(self) -> tuple[list[Verdict], str, str, list[Peak]]:
        """What the sentences are about."""
        found = verdicts(self._by_run(), self.baseline, self.score, self._lower_is_better)
        return found, self.baseline, self.score, [run.lr for run in self.grid_runs]

    def __str__(self) -> str:
        return as_text(*self._findings())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return as_html(*self._findings()) + plot.cell(self.plot)

    def plot(self, axes: "GivenAxes" = None) -> np.ndarray:
        """Draw rates, losses and `score`, a colour per schedule; bands are ± sd over the seeds.

        Parameters
        ----------
        axes
            Three axes to draw on; None makes a figure. Axes too small for the legend have none:
            `figure.legend(*axes[0].get_legend_handles_labels())` puts it elsewhere.

        Returns
        -------
        The three axes.

        Raises
        ------
        TypeError
            If `axes` are not three matplotlib axes.
        """
        curves = {}
        for name, runs in self._by_run()["run"].groupby(level="schedule", sort=False):
            scores = [run.epochs.get(self.score, pd.Series(dtype=float)).to_numpy() for run in runs]
            curves[name] = runs.iloc[0].lrs, _same_length([run.losses for run in runs]), _same_length(scores)
        return plot.comparison(curves, self.score, self._lower_is_better, self.target, axes)


def _same_length(curves: Sequence[np.ndarray]) -> np.ndarray:
    """The curves as rows, as long as the shortest."""
    n = min(map(len, curves))
    return np.array([curve[:n] for curve in curves], dtype=float)


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
