"""What a fit did: the rates and momenta that the optimizer held, the losses, and their plots."""

from array import array

import numpy as np

from . import plot
from .checks import check_number
from .schedules import Schedule

__all__ = ["Record"]

_GONE = {
    "layer_opt": "the optimizer is `learn.opt`: read `learn.opt.hypers`, set with `learn.opt.set_hyper('lr', ...)`",
    "save_path": "a plot is not written to a file by itself: call `plt.savefig(path)` after it",
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


class Record:
    """`learn.sched`: what the last fit did, batch by batch, as the optimizer really held it.

    lrs, momentums: of the last parameter group, one float a batch; momentums is empty where none was recorded.
    all_lrs: batches x parameter groups. losses: training loss of each batch, smoothed with 0.98.
    iterations: the batches, from 1. cycle_ends: the batches (from 1) at which a cycle ended.
    val_losses: validation loss, one an epoch. rec_metrics: metrics, one an epoch: a number for one metric, a list for
    several. schedule: the schedule that ran, None for a fit of fastai's own.

    Plain data: it holds no reference to the learner. Source: 0.7.0's `learn.sched`.
    """

    def __init__(self, schedule: Schedule | None = None, n_groups: int = 1):
        self.schedule = schedule
        self.group_lrs = [array("d") for _ in range(n_groups)]
        self.momentums, self.losses = array("d"), array("d")
        self.cycle_ends: list[int] = []
        self.val_losses: list[float] = []
        self.rec_metrics: list = []

    @classmethod
    def of_recorder(cls, recorder, momentums=()) -> "Record":
        """The record of a fit that had no schedule of ours, from what fastai's `Recorder` kept of it."""
        record = cls()
        record.group_lrs = [array("d", map(float, recorder.lrs))]
        record.losses = array("d", map(float, recorder.losses))
        record.momentums = array("d", map(float, momentums))
        for values in recorder.values:
            record.add_epoch(recorder.metric_names, values)
        return record

    def add_batch(self, lrs, momentum, loss):
        """One batch: the rate of each parameter group, and momentum and loss where there are any (else None)."""
        for column, lr in zip(self.group_lrs, lrs):
            column.append(lr)
        if momentum is not None:
            self.momentums.append(momentum)
        if loss is not None:
            self.losses.append(loss)

    def add_epoch(self, names, values):
        """One epoch, as fastai's `Recorder` keeps it: `values` go with the `names` between 'epoch' and 'time'."""
        names = [o for o in names if o not in ("epoch", "time")]
        if "valid_loss" not in names or len(values) != len(names):
            return  # this epoch was not validated
        loss, *metrics = list(values)[names.index("valid_loss") :]
        if loss is None:
            return  # there was nothing to validate on
        self.val_losses.append(loss)
        if metrics:
            self.rec_metrics.append(metrics if len(metrics) > 1 else metrics[0])

    @property
    def lrs(self) -> array:
        return self.group_lrs[-1]

    @property
    def all_lrs(self) -> np.ndarray:
        return np.stack([np.array(o) for o in self.group_lrs], axis=1)

    @property
    def iterations(self) -> range:
        return range(1, len(self.lrs) + 1)

    def __repr__(self):
        return f"Record({self.schedule!r}: {len(self.lrs)} batches, {len(self.val_losses)} epochs validated)"

    def __getattr__(self, name):
        why = _GONE.get(name, f"it has {', '.join(o for o in dir(self) if o[0] != '_')}")
        raise AttributeError(f"learn.sched has no {name!r}: {why}")

    def plot_lr(self, show_moms=True, show_text=True, ax=None):
        """Learning rate against batch, a line for each parameter group, cycle ends dotted; returns the rate's axes.

        show_moms: draw the momentum beside it, where it changed during the fit.
        show_text: say in a title which schedule ran and where it started, peaked and ended.
        ax: axes for the rates, or a pair of axes for rates and momentum; None makes a figure.

        Raises ValueError where nothing was recorded yet.
        """
        self._check_recorded(self.lrs)
        moms = self.momentums if show_moms and self.momentums and min(self.momentums) < max(self.momentums) else None
        title = (repr(self.schedule) if self.schedule else "") if show_text else None
        return plot.rates(self.group_lrs, moms, self.cycle_ends, title, ax)

    def plot_loss(self, n_skip=10, n_skip_end=5, ax=None, **gone):
        """Smoothed training loss against batch; returns the axes.

        n_skip, n_skip_end: batches left out at the start and at the end; where that would leave nothing, none are.
        ax: axes to draw on; None makes a figure.

        Raises ValueError where nothing was recorded yet, TypeError or ValueError for a wrong number to skip.
        """
        for name in gone:
            raise TypeError(f"plot_loss has no argument {name!r}" + (f": {_GONE[name]}" if name in _GONE else ""))
        part = self._part(n_skip, n_skip_end)
        return plot.curve(self.iterations[part], self.losses[part], plot.BATCHES, "training loss (smoothed)", ax=ax)

    def plot(self, n_skip=10, n_skip_end=5, linear=False, ax=None):
        """Smoothed training loss against learning rate, on a logarithmic axis, as after `lr_find`; returns the axes.

        n_skip, n_skip_end: batches left out at the start and at the end; where that would leave nothing, none are.
        linear: a linear axis instead. ax: axes to draw on; None makes a figure.

        Raises ValueError where nothing was recorded yet, TypeError or ValueError for a wrong number to skip.
        """
        part = self._part(n_skip, n_skip_end)
        label = "learning rate" if linear else "learning rate (log scale)"
        return plot.curve(self.lrs[part], self.losses[part], label, "training loss (smoothed)", log=not linear, ax=ax)

    def _part(self, n_skip, n_skip_end):
        self._check_recorded(self.lrs)
        if not self.losses:
            raise ValueError("learn.sched has nothing to plot, no losses: the Learner had no Recorder")
        first = check_number("n_skip", n_skip, least=0, integer=True)
        last = len(self.losses) - check_number("n_skip_end", n_skip_end, least=0, integer=True)
        return slice(first, last) if last - first > 1 else slice(None)

    @staticmethod
    def _check_recorded(values):
        if not values:
            raise ValueError(
                "learn.sched has nothing to plot yet: train first, say learn.fit(1e-2, 1, cycle_len=3, use_clr=(32, 5))"
            )
