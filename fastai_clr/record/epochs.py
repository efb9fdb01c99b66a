"""What a fit reached in each epoch, and at the end of each cycle."""

from collections.abc import Sequence
from math import nan
from numbers import Real
from typing import TYPE_CHECKING, Any

from .. import plot
from ..plot.axes import Axes, GivenAxes
from ..schedules.schedule import Schedule
from ..schedules.shapes import Constant
from ..scores import gains, is_lower_better
from .columns import EpochColumns

if TYPE_CHECKING:
    from pandas import DataFrame
else:  # imported when a table is made; tools that read types need the name
    DataFrame = object


class EpochRecord:
    """The part of `learn.sched` that has one entry per epoch or cycle; `Record` describes its attributes."""

    schedule: Schedule | None
    cycle_ends: list[int]
    val_losses: list[float]
    rec_metrics: list[Any]
    metric_names: list[str]
    lower_is_better: dict[str, bool]

    def __init__(self, schedule: Schedule | None = None):
        self.schedule = schedule
        self.cycle_ends, self.val_losses, self.rec_metrics, self.metric_names = [], [], [], []
        self.lower_is_better = {}
        self._columns: list[str] = []  # names of fastai's losses and metrics
        self._epochs: list[tuple[float, int, list[Any]]] = []  # epochs so far, batches recorded, one value per column
        self._finished: list[tuple[int, float, int]] = []  # number of a cycle, from 1; epochs and batches so far

    def add_epoch(self, recorder: Any, values: Sequence[Any], epochs: float, n_batches: int) -> None:
        """Append an epoch: the values that fastai's `Recorder` has of it, and epochs and batches recorded so far."""
        columns = EpochColumns.of(recorder, recorder.metrics)
        if len(values) != len(columns.names):
            return  # a part of this epoch was cancelled
        if not self._columns:
            self._columns, self.lower_is_better = columns.names, _directions(columns.names, recorder.metrics)
        self._epochs.append((epochs, n_batches, list(values)))
        loss, *metrics = list(values)[len(columns.trained) :] or [None]
        if loss is None:
            return  # there was nothing to validate on
        self.val_losses.append(loss)
        self.metric_names = columns.validated[1:]
        if metrics:
            self.rec_metrics.append(metrics if len(metrics) > 1 else metrics[0])

    def end_cycle(self, number: int, epochs: float, n_batches: int, n_skipped: int = 0) -> None:
        """Append a finished cycle, counted from 1. `n_skipped` batches of an earlier fit came before those here."""
        self.cycle_ends.append(n_batches)
        self._finished.append((number, epochs, n_skipped + n_batches))

    @property
    def score(self) -> str:
        """The loss or metric that decides: the first validation metric if it is a number, else 'valid_loss'."""
        first = self.metric_names[:1]
        return first[0] if first and any(isinstance(o, Real) for _, o in self._by_epoch(first[0])) else "valid_loss"

    def values_at_cycle_ends(self, name: str) -> list[Any]:
        """The loss or metric `name` at the end of each finished cycle; None for a cycle that ended inside an epoch."""
        at = self._index(name)
        values = {n_batches: row[at] for _, n_batches, row in self._epochs} if at is not None else {}
        return [values.get(end) for end in self.cycle_ends]

    @property
    def cycles(self) -> "DataFrame":
        """The finished cycles as a pandas table, one row per cycle, indexed by its number from 1.

        Returns
        -------
        A table with the columns epochs, batches, valid_loss, one per validation metric, and gain.

        Notes
        -----
        - epochs, batches: trained when the cycle ended, with those that `start_epoch` skipped; epochs may be a
          fraction.
        - valid_loss and the metrics: their values at the cycle's end.
        - gain: improvement of the first metric over the cycle before; without metrics, of the validation loss. Positive
          is better: the metric's name, or its attribute `lower_is_better`, says whether lower values are better.

        fastai validates after each epoch, so a cycle that ends inside an epoch has nan for its values, its gain and the
        gain of the next cycle. The first cycle of a fit has no gain, also if the fit is resumed. The table is empty if
        there are no cycles: after fits of fastai's own, and at a constant rate.

        Examples
        --------
        >>> learn.fit(1e-2, 3, cycle_len=1, cycle_mult=2, use_clr=(10, 10))
        >>> learn.sched.cycles.epochs.tolist()
        [1.0, 3.0, 7.0]
        """
        import pandas as pd

        finished = self._finished_cycles()
        names = ["valid_loss", *self.metric_names]
        columns = [[nan if o is None else o for o in self.values_at_cycle_ends(name)] for name in names]
        rows = zip([o for _, o, _ in finished], [o for *_, o in finished], *columns, self._gains(self.score))
        numbers = pd.Index([o for o, *_ in finished], name="cycle", dtype=int)
        table = pd.DataFrame(list(rows), numbers, ["epochs", "batches", *names, "gain"])
        return table if finished else table.astype(float)

    def plot_metrics(self, ax: "GivenAxes" = None, *, name: str | None = None) -> "Axes":
        """Draw a metric of each epoch, with the end and the gain of each cycle.

        A dotted line marks the end of each cycle. Above it stand the cycle's number and its gain over the cycle before,
        in the metric's units; positive is better. The table `learn.sched.cycles` has the same numbers.

        Parameters
        ----------
        ax
            Axes to draw on; None makes a figure.
        name
            A loss or metric, as fastai's table names it. None is the first metric, or the validation loss if there are
            no metrics.

        Returns
        -------
        The matplotlib axes.

        Raises
        ------
        ValueError
            If no epoch was validated, or if there is no such loss or metric.

        Examples
        --------
        >>> learn.fit(1e-2, 3, cycle_len=1, cycle_mult=2, use_clr=(10, 10))
        >>> ax = learn.sched.plot_metrics()
        """
        score = self.score if name is None else name
        points = self._by_epoch(score)
        if name is not None and name not in self._columns:
            raise ValueError(f"name should be one of {self._columns}, but given {name!r}")
        if not points:
            raise ValueError(
                "learn.sched has no metrics to plot, no epoch was validated: train first, and on a Learner with "
                "validation data"
            )
        cycles = [(k, epochs, gain) for (k, epochs, _), gain in zip(self._finished_cycles(), self._gains(score))]
        label = f"{score} (lower is better)" if self.lower_is_better[score] else score
        return plot.metrics([o for o, _ in points], [o for _, o in points], label, cycles, ax)

    def _index(self, name: str) -> int | None:
        return self._columns.index(name) if name in self._columns else None

    def _by_epoch(self, name: str) -> list[tuple[float, Any]]:
        """Epochs so far and the value of `name`, for each epoch that has one."""
        at = self._index(name)
        return [] if at is None else [(epochs, row[at]) for epochs, _, row in self._epochs if row[at] is not None]

    def _finished_cycles(self) -> list[tuple[int, float, int]]:
        return [] if isinstance(self.schedule, Constant) else self._finished

    def _first_cycle_is_whole(self) -> bool:
        """Whether the record begins with a complete cycle; after a resumed or interrupted fit it may not."""
        return any(number == 1 and batches == self.cycle_ends[0] for number, _, batches in self._finished[:1])

    def _gains(self, score: str) -> list[float]:
        """The gain of each finished cycle over the one before, in a loss or metric."""
        return gains(self.values_at_cycle_ends(score), self.lower_is_better.get(score, True))


def _directions(columns: list[str], metrics: Any) -> dict[str, bool]:
    """For each column of the Recorder, whether smaller is better."""
    known = {}
    for metric in reversed(list(metrics)):  # of two with the same name the first one counts
        name = getattr(metric, "name", None)  # a callable object may have no name
        known |= {f"{prefix}{name}": metric for prefix in ("", "train_", "valid_")}
    return {name: is_lower_better(str(name), known.get(str(name))) for name in columns}
