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

    # The rates of group k are `_base` times `_scales[k]`, or where that is not exact its column in `_own`: 24 bytes a
    # batch for rate, momentum and loss, and 8 for each group that did not follow the last one. That is never in `_own`.

    def __init__(self, schedule: Schedule | None = None, n_groups: int = 1, peaks=None):
        self.schedule = schedule
        self._peaks = [1.0] * n_groups if peaks is None else list(peaks)
        self._base, self._scales, self._own, self._apart = array("d"), self._peaks, {}, False
        self.momentums, self.losses = array("d"), array("d")
        self.cycle_ends: list[int] = []
        self.val_losses: list[float] = []
        self.rec_metrics: list = []

    @classmethod
    def of_recorder(cls, recorder, momentums=()) -> "Record":
        """The record of a fit that had no schedule of ours, from what fastai's `Recorder` kept of it."""
        record = cls()
        record._set_columns([array("d", map(float, recorder.lrs))])
        record.losses = array("d", map(float, recorder.losses))
        record.momentums = array("d", map(float, momentums))
        for values in recorder.values:
            record.add_epoch(recorder.metric_names, values)
        return record

    def add_batch(self, lrs, momentum, loss, share=None):
        """One batch: the rate of each parameter group, and momentum and loss where there are any (else None).

        lrs: None if the rate of each group was exactly `share` times its peak.
        """
        if self._apart or lrs is not None:
            share = self._add_apart(lrs, share)
        self._base.append(share)
        if momentum is not None:
            self.momentums.append(momentum)
        if loss is not None:
            self.losses.append(loss)

    def _add_apart(self, lrs, share):
        """What to add to `_base`, from the first batch on in which a group did not have its share of the peak."""
        self._apart = True
        if lrs is None:
            lrs = [share * peak for peak in self._peaks]
        if share is None or share * self._scales[-1] != lrs[-1]:  # then the last group's own rates are the base
            if self._scales[-1] != 1:
                self._set_columns(self.group_lrs)
            share = lrs[-1]
        for k, (scale, lr) in enumerate(zip(self._scales, lrs)):
            if k not in self._own and share * scale != lr:
                self._own[k] = self._column(k)
            if k in self._own:
                self._own[k].append(lr)
        return share

    def _set_columns(self, columns):
        """Hold the rates as the last group's, and those of each group that differs from it."""
        self._base, self._scales = columns[-1], [1.0] * len(columns)
        self._own = {k: o for k, o in enumerate(columns) if o != columns[-1]}

    def _column(self, k):
        """The rates of group `k`, bit for bit: numpy multiplies floats as Python does."""
        return self._own[k] if k in self._own else array("d", np.multiply(self._base, self._scales[k]).tobytes())

    def trim(self):
        """Give back the room to grow that an array keeps, up to a sixteenth of it."""
        self._base, self.momentums, self.losses = self._base[:], self.momentums[:], self.losses[:]
        self._own = {k: o[:] for k, o in self._own.items()}

    def __setstate__(self, state):
        self.__dict__.update(state)
        if columns := self.__dict__.pop("group_lrs", None):  # a file of release 0.1.0: a column for each group
            self._peaks, self._apart = [1.0] * len(columns), True
            self._set_columns(columns)

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
        return self._column(len(self._scales) - 1)

    @property
    def group_lrs(self) -> list[array]:
        return [self._column(k) for k in range(len(self._scales))]

    @property
    def all_lrs(self) -> np.ndarray:
        return np.stack([np.array(o) for o in self.group_lrs], axis=1)

    @property
    def iterations(self) -> range:
        return range(1, len(self._base) + 1)

    def __repr__(self):
        return f"Record({self.schedule!r}: {len(self._base)} batches, {len(self.val_losses)} epochs validated)"

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
        self._check_recorded(self.iterations)
        moms = self.momentums if show_moms and self.momentums and np.ptp(self.momentums) > 0 else None
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
        self._check_recorded(self.iterations)
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
