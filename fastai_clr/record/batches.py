"""What a fit did in each batch."""

from array import array
from math import nan
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..schedules.timetable import Timetable

if TYPE_CHECKING:
    from pandas import DataFrame
else:  # imported when a table is made; tools that read types need the name
    DataFrame = object


class BatchRecord:
    """The part of `learn.sched` that has one entry per batch; `Record` describes its attributes."""

    # A batch takes 12 bytes: the number of its row in the timetable, and the loss. If the optimizer held another value
    # than the row's, that is kept, too: `_other_rates` has the number of the batch and the rate of each group,
    # `_other_momentums` the number of the batch and the momentum (nan if there was none). If the schedule does not
    # cycle momentum, an entry there holds until the next one. A fit without a schedule of ours has arrays instead.

    losses: "array[float]"

    def __init__(self, timetable: Timetable | None = None):
        self._timetable = timetable
        self._rows = array("Q" if timetable is not None and timetable.n_batches > 2**32 else "I")
        self._other_rates, self._other_momentums = array("d"), array("d")
        self._rates: NDArray[Any] = np.empty((0, 1))  # batches x groups, without a timetable
        self._lrs, self._momentums = array("d"), array("d")  # filled when they are read
        self._epoch_starts: list[tuple[int, int]] = []  # number of an epoch, from 0; batches recorded before it
        self.losses = array("d")

    @property
    def _n_batches(self) -> int:
        return len(self._rates) if self._timetable is None else len(self._rows)

    def begin_epoch(self, number: int, n_before: int | None = None) -> None:
        """Begin epoch `number`, from 0, after `n_before` batches; None means all that are recorded so far."""
        self._epoch_starts.append((number, self._n_batches if n_before is None else n_before))

    def add_batch(self, row: int, loss: float | None) -> None:
        """Append a batch that had the values of `row` in the timetable, and its loss if there is one."""
        self._rows.append(row)
        if loss is not None:
            try:
                self.losses.append(loss)
            except BufferError:  # a numpy array shares this memory, so it cannot grow
                self.losses = self.losses[:]
                self.losses.append(loss)

    def note_rates(self, rates: "list[float]") -> None:
        """Record the rates of the next batch, where they differ from its row."""
        self._other_rates.extend([self._n_batches, *rates])

    def note_momentum(self, momentum: float | None) -> None:
        """Record the momentum of the next batch, if it is not that of its row; None if the optimizer has none.

        If the schedule does not cycle momentum, the later batches have it, too.
        """
        self._other_momentums.extend([self._n_batches, nan if momentum is None else momentum])

    def trim(self) -> None:
        """Release the spare capacity of the arrays, and the rows of the timetable that were not trained."""
        for name in ("_rows", "losses", "_other_rates", "_other_momentums"):
            setattr(self, name, getattr(self, name)[:])
        if self._timetable is not None:
            self._timetable.forget_after(int(np.asarray(self._rows, np.int64).max(initial=-1)))

    def __getstate__(self) -> dict[str, Any]:
        without = {"_lrs": array("d")} if self._timetable is None else {"_lrs": array("d"), "_momentums": array("d")}
        return vars(self) | without  # computed again when they are read

    def __setstate__(self, state: dict[str, Any]) -> None:
        BatchRecord.__init__(self)
        if "_factors" in state:  # a pickle of 1.0.0: factors, peaks, and rates that differ from factor x peak
            state = dict(state)
            self._rates = np.multiply.outer(np.array(state.pop("_factors")), state.pop("_peaks"))
            held = np.array(state.pop("_held")).reshape(-1, 1 + self._rates.shape[1])
            self._rates[held[:, 0].astype(int)] = held[:, 1:]
            self._momentums = state.pop("momentums")
        vars(self).update(state)

    @property
    def lrs(self) -> "array[float]":
        """Learning rate of the last parameter group, one float per batch."""
        if len(self._lrs) < self._n_batches:
            self._lrs = _extended(self._lrs, self._rates_from(len(self._lrs))[:, -1])
        return self._lrs

    @property
    def momentums(self) -> "array[float]":
        """Momentum of the last parameter group, one float per batch; empty if none was recorded."""
        if self._timetable is not None and len(self._momentums) < self._n_batches:
            self._momentums = _extended(self._momentums, self._momentums_from(len(self._momentums)))
        return self._momentums

    @property
    def all_lrs(self) -> np.ndarray:
        """Learning rates, batches x parameter groups."""
        return self._rates_from(0)

    def _rates_from(self, first: int) -> NDArray[Any]:
        """The rates from batch `first` on, batches x parameter groups."""
        if self._timetable is None:
            return self._rates[first:].copy()
        rates = np.multiply.outer(self._timetable.values(self._rows[first:])[0], self._timetable.peaks)
        others = _entries_from(self._other_rates, rates.shape[1], first)
        rates[others[:, 0].astype(int) - first] = others[:, 1:]
        return rates

    def _momentums_from(self, first: int) -> NDArray[Any]:
        """The momentum from batch `first` on; empty if none was recorded."""
        assert self._timetable is not None
        momentums = self._timetable.values(self._rows[first:])[1]
        if momentums is not None:
            others = _entries_from(self._other_momentums, 1, first)
            momentums[others[:, 0].astype(int) - first] = others[:, 1]
            return momentums
        changes = _entries_from(self._other_momentums, 1, 0)
        if not np.isfinite(changes[:, 1]).any():
            return np.array([])
        latest = np.searchsorted(changes[:, 0], np.arange(first, self._n_batches), "right") - 1
        return np.where(latest < 0, nan, changes[latest, 1])

    @property
    def iterations(self) -> range:
        """The batches, from 1."""
        return range(1, self._n_batches + 1)

    def to_frame(self) -> "DataFrame":
        """The fit as a pandas table, one row per batch, for `to_csv` or an experiment log.

        Returns
        -------
        A table with the columns batch, epoch, lr, momentum and loss.

        Notes
        -----
        - batch: number of the batch, from 1.
        - epoch: number of the epoch, from 0, as fastai prints it.
        - lr: learning rate. With several parameter groups the columns are lr_0, lr_1, ...; after a fit of fastai's own
          there is the last group's alone.
        - momentum: momentum of the last parameter group; nan where none was recorded.
        - loss: smoothed training loss; nan where none was recorded.

        Examples
        --------
        >>> learn.fit(1e-2, 1, cycle_len=2, use_clr=(32, 5))
        >>> list(learn.sched.to_frame().columns)
        ['batch', 'epoch', 'lr', 'momentum', 'loss']
        """
        import pandas as pd

        n, rates = self._n_batches, self.all_lrs.T
        numbers, starts = np.transpose(self._epoch_starts or [(0, 0)])
        columns: dict[str, Any] = {
            "batch": self.iterations,
            "epoch": numbers[np.searchsorted(starts, np.arange(n), "right") - 1],
            **{"lr" if len(rates) == 1 else f"lr_{k}": o for k, o in enumerate(rates)},
        }
        for name, values in (("momentum", self.momentums), ("loss", self.losses)):
            columns[name] = np.append(values[:n], np.full(max(n - len(values), 0), nan))
        return pd.DataFrame(columns)


def _extended(column: "array[float]", values: NDArray[Any]) -> "array[float]":
    """Append the values to the column; returns it, or a copy if a numpy array shares its memory."""
    try:
        column.frombytes(values.tobytes())
    except BufferError:
        column = column[:]
        column.frombytes(values.tobytes())
    return column


def _entries_from(entries: "array[float]", n_values: int, first: int) -> NDArray[Any]:
    """The entries from batch `first` on, one per row: the number of a batch, and `n_values` values."""
    table = np.frombuffer(entries).reshape(-1, 1 + n_values) if entries else np.empty((0, 1 + n_values))
    return table[np.searchsorted(table[:, 0], first) :].copy()
