"""What a fit did in each batch."""

from array import array
from collections.abc import Sequence
from math import nan
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["BatchRecord"]


class BatchRecord:
    """What a fit did in each batch: the part of `learn.sched` that counts batches.

    momentums, losses: see `Record`.
    """

    # 24 bytes per batch: a factor, a momentum and a loss. The rates of all groups are factor x peaks. Batches in which
    # the optimizer held other rates are rows in `_held`, the number of the batch and then the rates.

    momentums: "array[float]"
    losses: "array[float]"

    def __init__(self, peaks: Sequence[float] = (1.0,)):
        self._peaks, self._factors, self._held = list(peaks), array("d"), array("d")
        self._epoch_starts: list[tuple[int, int]] = []  # an epoch, from 0, and the batches recorded before it
        self.momentums, self.losses = array("d"), array("d")

    def begin_epoch(self, number: int) -> None:
        """Let the next batches belong to epoch `number`, from 0."""
        self._epoch_starts.append((number, len(self._factors)))

    def add_batch(
        self, factor: float, momentum: float | None, loss: float | None, held: Sequence[float] | None = None
    ) -> None:
        """Append a batch.

        factor: share of the peak rate. momentum, loss: None if there is none.
        held: the rate of each parameter group, if it is not factor x peak.
        """
        if held is not None:
            self._held.append(len(self._factors))
            self._held.extend(held)
        self._factors.append(factor)
        if momentum is not None:
            self.momentums.append(momentum)
        if loss is not None:
            self.losses.append(loss)

    def begin_momentum(self) -> None:
        """Let momentum begin with the next batch: an optimizer that has it took the place of one that has not."""
        self.momentums.extend([nan] * (len(self._factors) - len(self.momentums)))

    def trim(self) -> None:
        """Release the arrays' spare capacity."""
        self._factors, self._held = self._factors[:], self._held[:]
        self.momentums, self.losses = self.momentums[:], self.losses[:]

    @property
    def lrs(self) -> "array[float]":
        """Learning rate of the last parameter group, one float per batch."""
        return array("d", self._group_lrs()[-1].tobytes())

    @property
    def all_lrs(self) -> np.ndarray:
        """Learning rates, batches x parameter groups."""
        return np.stack(self._group_lrs(), axis=1)

    def _group_lrs(self) -> list[np.ndarray]:
        factors, rows = np.array(self._factors), np.array(self._held).reshape(-1, 1 + len(self._peaks))
        rates = [factors * peak for peak in self._peaks]
        for k, group_rates in enumerate(rates, 1):
            group_rates[rows[:, 0].astype(int)] = rows[:, k]
        return rates

    @property
    def iterations(self) -> range:
        """The batches, from 1."""
        return range(1, len(self._factors) + 1)

    def to_frame(self) -> "DataFrame":
        """The fit as a pandas table with a row per batch, ready for `to_csv` or an experiment log.

        batch: from 1. epoch: from 0, as fastai prints it.
        lr: learning rate; with several parameter groups lr_0, lr_1, ... (after a fit of fastai's own the last one's).
        momentum: of the last parameter group. loss: smoothed training loss. Both are nan where none was recorded.

        >>> learn.fit(1e-2, 1, cycle_len=2, use_clr=(32, 5))
        >>> list(learn.sched.to_frame().columns)
        ['batch', 'epoch', 'lr', 'momentum', 'loss']
        """
        import pandas as pd

        n, rates = len(self._factors), self._group_lrs()
        numbers, starts = np.transpose(self._epoch_starts or [(0, 0)])
        columns: dict[str, Any] = {
            "batch": self.iterations,
            "epoch": numbers[np.searchsorted(starts, np.arange(n), "right") - 1],
            **{"lr" if len(rates) == 1 else f"lr_{k}": o for k, o in enumerate(rates)},
        }
        for name, values in (("momentum", self.momentums), ("loss", self.losses)):
            columns[name] = np.append(values[:n], np.full(max(n - len(values), 0), nan))
        return pd.DataFrame(columns)
