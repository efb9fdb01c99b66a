"""`learn.sched`: what a fit did, batch by batch and epoch by epoch, and its plots."""

from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import plot
from ..schedules.checks import check_number
from ..schedules.schedule import Schedule
from .epochs import EpochRecord

__all__ = ["Record"]

_GONE = {
    "layer_opt": "the optimizer is `learn.opt`: read `learn.opt.hypers`, set with `learn.opt.set_hyper('lr', ...)`",
    "save_path": "a plot is not written to a file by itself: call `plt.savefig('lr.png')` after it",
    "epoch": "the epoch is `learn.epoch`, and the number of epochs done is `len(learn.sched.val_losses)`",
    "epochs": "the number of epochs is `learn.n_epoch`",
    "iteration": "the number of batches is `len(learn.sched.iterations)`",
    "init_lrs": "the peak rates are `learn.sched.all_lrs.max(0)`",
    "metrics": "the metrics are `learn.metrics`, their names `learn.recorder.metric_names`",
    "record_mom": "momentum was recorded where `learn.sched.momentums` is not empty",
    "div": "the numbers of the schedule are in `learn.sched.schedule`",
    "cut_div": "the numbers of the schedule are in `learn.sched.schedule`",
    "pct": "the numbers of the schedule are in `learn.sched.schedule`",
    "moms": "the numbers of the schedule are in `learn.sched.schedule`",
    "nb": "the batches at which cycles ended are in `learn.sched.cycle_ends`",
    "cycle_iter": "the batches at which cycles ended are in `learn.sched.cycle_ends`",
    "cycle_count": "the number of cycles done is `len(learn.sched.cycle_ends)`",
    "best": "the lowest loss is `min(learn.sched.losses)`",
}


_FOR_USERS = (
    "all_lrs cycle_ends cycles iterations losses lower_is_better lrs metric_names momentums plot plot_loss plot_lr "
    "plot_metrics rec_metrics schedule score val_losses"
).split()


class Record(EpochRecord):
    """`learn.sched`: what the last fit did, batch by batch, as the optimizer really held it.

    schedule: the schedule that ran; None for a fit of fastai's own.
    lrs, momentums: learning rate and momentum of the last parameter group, one float per batch. momentums is empty if
    none was recorded.
    all_lrs: learning rates, batches x parameter groups; after a fit of fastai's own one column, the last group's.
    losses: training loss of each batch, smoothed with 0.98.
    iterations: the batches, from 1. cycle_ends: the batches (from 1) at which a cycle ended.
    val_losses: validation loss, one per epoch.
    rec_metrics: metrics, one item per epoch: a number for one metric, a list for several. metric_names: their names.
    cycles: a table of what each finished cycle reached and gained.
    lower_is_better: for each loss and metric by its name, whether smaller is better.

    It is plain data without a reference to the Learner. Source: 0.7.0's `learn.sched`.
    """

    # 24 bytes per batch: a factor, a momentum and a loss. The rates of all groups are factor x peaks. Batches in which
    # the optimizer held other rates are rows in `_held`, the number of the batch and then the rates.

    momentums: "array[float]"
    losses: "array[float]"

    def __init__(self, schedule: Schedule | None = None, peaks: Sequence[float] = (1.0,)):
        super().__init__(schedule)
        self._peaks, self._factors, self._held = list(peaks), array("d"), array("d")
        self.momentums, self.losses = array("d"), array("d")

    @classmethod
    def of_recorder(cls, recorder: Any, momentums: Sequence[float] = ()) -> "Record":
        """The record of a fit without a schedule of ours, from fastai's `Recorder` after it.

        momentums: one per batch, if a `ParamScheduler` recorded them.
        """
        record, kept = cls(), vars(recorder)  # an interruption may have left it without some of its lists
        record._factors = array("d", map(float, kept.get("lrs", ())))
        record.losses = array("d", map(float, kept.get("losses", ())))
        record.momentums = array("d", map(float, momentums))
        for epoch, values in enumerate(kept.get("values", ()), 1):
            record.add_epoch(recorder, values, epoch, 0)
        return record

    @classmethod
    def of_rates(
        cls, rates: np.ndarray, momentums: np.ndarray | None, schedule: Schedule | None, cycle_ends: list[int]
    ) -> "Record":
        """The record of a fit that has not run.

        rates: batches x parameter groups. momentums: one per batch, or None.
        """
        record = cls(schedule, [1.0] * rates.shape[1])
        for factor, held in zip(rates[:, -1].tolist(), rates.tolist()):
            record.add_batch(factor, None, None, held)
        record.momentums = array("d", [] if momentums is None else momentums.tolist())
        record.cycle_ends = cycle_ends
        return record

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

    def __repr__(self) -> str:
        n, n_epoch = len(self._factors), len(self.val_losses)
        batches, epochs = "batch" if n == 1 else "batches", "epoch" if n_epoch == 1 else "epochs"
        return f"Record({self.schedule!r}: {n} {batches}, {n_epoch} {epochs} validated)"

    def __getattr__(self, name: str) -> Any:
        why = _GONE.get(name, f"it has {', '.join(_FOR_USERS)}")
        raise AttributeError(f"learn.sched has no {name!r}: {why}")

    def plot_lr(
        self, show_moms: bool = True, show_text: bool = True, ax: Any = None, *, log: bool = False, **gone: Any
    ) -> Any:
        """Draw the learning rate of each batch, a line per parameter group, cycle ends dotted; returns the rate's axes.

        show_moms: draw the momentum beside it, if it changed during the fit.
        show_text: say in a title which schedule ran and where it started, peaked and ended.
        ax: axes for the rates, or a pair of axes for rates and momentum; None makes a figure.
        log: use a logarithmic axis, to tell groups with very different rates apart.

        Raises ValueError if nothing was recorded yet.
        """
        _check_gone("plot_lr", gone)
        self._check_recorded()
        moms = self.momentums if show_moms and self.momentums and np.ptp(self.momentums) > 1e-9 else None
        title = (repr(self.schedule) if self.schedule else "") if show_text else None
        return plot.rates(self._group_lrs(), moms, self.cycle_ends, title, ax, log)

    def plot_loss(self, n_skip: int = 10, n_skip_end: int = 5, ax: Any = None, **gone: Any) -> Any:
        """Draw the smoothed training loss of each batch; returns the axes.

        n_skip, n_skip_end: batches to leave out at the start and at the end; none if that would leave nothing.
        ax: axes to draw on; None makes a figure.

        Raises ValueError if nothing was recorded yet, TypeError or ValueError for a wrong number to skip.
        """
        _check_gone("plot_loss", gone)
        part = self._part(n_skip, n_skip_end)
        return plot.curve(self.iterations[part], self.losses[part], plot.BATCHES, "training loss (smoothed)", ax=ax)

    def plot(self, n_skip: int = 10, n_skip_end: int = 5, linear: bool = False, ax: Any = None, **gone: Any) -> Any:
        """Draw the smoothed training loss against the learning rate, as after `lr_find`; returns the axes.

        n_skip, n_skip_end: batches to leave out at the start and at the end; none if that would leave nothing.
        linear: use a linear axis for the rate, not a logarithmic one. ax: axes to draw on; None makes a figure.

        Raises ValueError if nothing was recorded yet, TypeError or ValueError for a wrong number to skip.
        """
        _check_gone("plot", gone)
        part = self._part(n_skip, n_skip_end)
        label = "learning rate" if linear else "learning rate (log scale)"
        return plot.curve(self.lrs[part], self.losses[part], label, "training loss (smoothed)", log=not linear, ax=ax)

    def _part(self, n_skip: int, n_skip_end: int) -> slice:
        self._check_recorded()
        if not self.losses:
            raise ValueError("learn.sched has nothing to plot, no losses: the Learner had no Recorder")
        first = check_number("n_skip", n_skip, least=0, integer=True)
        last = len(self.losses) - check_number("n_skip_end", n_skip_end, least=0, integer=True)
        return slice(first, last) if last - first > 1 else slice(None)

    def _check_recorded(self) -> None:
        if not self.iterations:
            raise ValueError(
                "learn.sched has nothing to plot yet: train first, say learn.fit(1e-2, 1, cycle_len=3, use_clr=(32, 5))"
            )


def _check_gone(function: str, arguments: dict[str, Any]) -> None:
    for name in arguments:
        raise TypeError(f"{function} has no argument {name!r}" + (f": {_GONE[name]}" if name in _GONE else ""))
