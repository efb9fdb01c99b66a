"""`learn.sched`: what a fit did, batch by batch and epoch by epoch, and its plots."""

import inspect
from array import array
from collections.abc import Iterable
from difflib import get_close_matches
from functools import partial
from html import escape
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import plot
from ..plot.axes import Axes, GivenAxes
from ..schedules.checks import check_number
from ..schedules.cycles import Cycles
from ..schedules.describe import describe
from ..schedules.timetable import Timetable
from .batches import BatchRecord
from .epochs import EpochRecord

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
    "all_lrs cycle_ends cycles describe iterations losses lower_is_better lrs metric_names momentums plot plot_loss "
    "plot_lr plot_metrics rec_metrics schedule score to_frame val_losses"
).split()


class Record(BatchRecord, EpochRecord):
    """What the last fit did in each batch, as read from the optimizer: `learn.sched`.

    It is plain data without a reference to the Learner. A notebook cell shows it as a plot.

    Parameters
    ----------
    timetable
        The rows that the fit sets; None for a fit of fastai's own.

    Attributes
    ----------
    schedule
        The schedule that ran; None for a fit of fastai's own.
    lrs
        Learning rate of the last parameter group, one float per batch.
    momentums
        Momentum of the last parameter group, one float per batch; empty if none was recorded.
    all_lrs
        Learning rates, batches x parameter groups; after a fit of fastai's own one column, the last group's.
    losses
        Smoothed training loss, one float per batch.
    iterations
        The batches, from 1.
    cycle_ends
        The batches, from 1, at which a cycle ended.
    val_losses
        Validation loss, one per epoch.
    rec_metrics
        Metrics, one item per epoch: a number for one metric, a list for several.
    metric_names
        Names of the metrics.
    cycles
        A table of the finished cycles, with losses, metrics and gains.
    score
        The loss or metric that decides: the first metric if it is a number, else 'valid_loss'.
    lower_is_better
        For each loss and metric by its name, whether smaller is better.

    Notes
    -----
    fastai's `AvgSmoothLoss` smooths the losses, by a debiased exponential moving average: after k batches
    `m / (1 - 0.98**k)` with `m = 0.98*m + 0.02*loss`.

    References
    ----------
    fastai 0.7.0, `learn.sched`.
    """

    def __init__(self, timetable: Timetable | None = None):
        EpochRecord.__init__(self, None if timetable is None else timetable.schedule)
        BatchRecord.__init__(self, timetable)

    @classmethod
    def of_arrays(cls, rates: NDArray[Any], momentums: Iterable[Any] = (), losses: Iterable[Any] = ()) -> "Record":
        """The record of a fit without a schedule of ours.

        Parameters
        ----------
        rates
            Learning rates, batches x parameter groups.
        momentums, losses
            One per batch, or none.

        Returns
        -------
        The record.
        """
        record = cls()
        record._rates, record._momentums = rates, array("d", map(float, momentums))
        record.losses = array("d", map(float, losses))
        return record

    @classmethod
    def of_recorder(cls, recorder: Any, momentums: Iterable[Any] = ()) -> "Record":
        """The record of a fit without a schedule of ours, from fastai's `Recorder` after it.

        Parameters
        ----------
        recorder
            The Recorder.
        momentums
            One per batch, if a `ParamScheduler` recorded them.

        Returns
        -------
        The record.
        """
        kept = vars(recorder)  # an interruption may have left it without some of its lists
        rates = np.array([float(o) for o in kept.get("lrs", ())]).reshape(-1, 1)
        record = cls.of_arrays(rates, momentums, kept.get("losses", ()))
        for epoch, values in enumerate(kept.get("values", ()), 1):
            record.add_epoch(recorder, values, epoch, 0)
        record._epoch_starts = list(enumerate([0, *kept.get("iters", ())]))
        return record

    @classmethod
    def of_plan(cls, timetable: Timetable, rows: range, momentums: Iterable[float | None] | None) -> "Record":
        """The record that a planned fit would leave, without its losses.

        Parameters
        ----------
        timetable
            What the fit sets.
        rows
            The rows of the timetable that the fit trains.
        momentums
            One per batch; None takes those of the timetable.

        Returns
        -------
        The record.
        """
        record, latest = cls(timetable), None
        for row, momentum in zip(rows, repeat(None) if momentums is None else momentums):
            if momentum != latest:
                record.note_momentum(latest := momentum)
            record.add_batch(row, None)
        record.cycle_ends = [end - rows.start for end in timetable.ends if rows.start < end]
        return record

    def describe(self) -> str:
        """Say in words what the learning rate and the momentum did, as `describe` of a schedule does before a fit.

        Returns
        -------
        A sentence without its full stop.

        Raises
        ------
        ValueError
            If nothing was recorded yet.

        Examples
        --------
        >>> learn.fit(1e-2, 1, cycle_len=2, use_clr=(20, 5))
        >>> learn.sched.describe()
        'starts at 0.0005 (0.01/20), rises for 4 batches (1/5 of the cycle) to 0.01, falls for 16 batches to 0.00109'
        """
        self._check_recorded()
        rates, n = self.all_lrs, self._n_batches
        ends = [*(end for end in self.cycle_ends if end < n), n]
        corners: tuple[int, ...] = ()
        is_whole = self.schedule is not None and self._first_cycle_is_whole()
        if self.schedule is not None and is_whole:
            corners = self.schedule.corners(Cycles.of_batches(ends[0]).locate(0)[1])
        return describe(
            rates[:, -1], rates.max(0).tolist(), self._changing_momentums(), ends, corners, is_whole=is_whole
        )

    def _repr_html_(self) -> str:
        if not self.iterations:
            return f"<p><code>{escape(repr(self))}</code></p>"
        words = escape(f"The learning rate {self.describe()}.")
        return (
            f"<p><code>{escape(repr(self))}</code></p><p>{words}</p>{plot.cell(partial(self.plot_lr, show_text=False))}"
        )

    def __repr__(self) -> str:
        if not self.iterations:
            return "Record(nothing recorded yet)"
        n, n_epoch = self._n_batches, len(self.val_losses)
        batches, epochs = "batch" if n == 1 else "batches", "epoch" if n_epoch == 1 else "epochs"
        schedule = "fastai's own fit" if self.schedule is None else repr(self.schedule)
        return f"Record({schedule}: {n} {batches}, {n_epoch} {epochs} validated)"

    def __getattr__(self, name: str) -> Any:
        near = get_close_matches(name, _FOR_USERS, n=1, cutoff=0.75)
        why = _GONE.get(name, f"did you mean {near[0]}?" if near else f"it has {', '.join(_FOR_USERS)}")
        raise AttributeError(f"learn.sched has no {name!r}: {why}")

    def __dir__(self) -> list[str]:
        return [*(o for o in super().__dir__() if o.startswith("__")), *_FOR_USERS]  # what completion offers

    def plot_lr(
        self, show_moms: bool = True, show_text: bool = True, ax: "GivenAxes" = None, *, log: bool = False, **gone: Any
    ) -> "Axes":
        """Draw the learning rate of each batch, one line per parameter group.

        Dotted lines mark the ends of cycles.

        Parameters
        ----------
        show_moms
            Whether to draw the momentum beside it, if it changed during the fit.
        show_text
            Whether to show the schedule, and the rates at its start, peak and end, in a title.
        ax
            Axes for the rates, or a pair of axes for rates and momentum; None makes a figure.
        log
            Whether to use a logarithmic axis, which separates groups with very different rates.
        **gone
            Arguments of 0.7 raise a TypeError that says what to type instead.

        Returns
        -------
        The matplotlib axes of the learning rate.

        Raises
        ------
        ValueError
            If nothing was recorded yet.

        References
        ----------
        fastai 0.7.0, `learn.sched.plot_lr`.
        """
        _check_gone("plot_lr", gone)
        self._check_recorded()
        moms = self._changing_momentums() if show_moms else None
        title = (repr(self.schedule) if self.schedule else "") if show_text else None
        return plot.rates(self.all_lrs.T, moms, self.cycle_ends, title, ax, log)

    def plot_loss(self, n_skip: int = 10, n_skip_end: int = 5, ax: "GivenAxes" = None, **gone: Any) -> "Axes":
        """Draw the smoothed training loss of each batch.

        Parameters
        ----------
        n_skip
            Batches to leave out at the start.
        n_skip_end
            Batches to leave out at the end. Nothing is left out if nothing would remain.
        ax
            Axes to draw on; None makes a figure.
        **gone
            Arguments of 0.7 raise a TypeError that says what to type instead.

        Returns
        -------
        The matplotlib axes.

        Raises
        ------
        TypeError, ValueError
            If nothing was recorded yet, or if a number to skip is wrong.
        """
        _check_gone("plot_loss", gone)
        part = self._part(n_skip, n_skip_end)
        return plot.curve(self.iterations[part], self.losses[part], plot.BATCHES, "training loss (smoothed)", ax=ax)

    def plot(
        self, n_skip: int = 10, n_skip_end: int = 5, linear: bool = False, ax: "GivenAxes" = None, **gone: Any
    ) -> "Axes":
        """Draw the smoothed training loss against the learning rate, as after `lr_find`.

        Parameters
        ----------
        n_skip
            Batches to leave out at the start.
        n_skip_end
            Batches to leave out at the end. Nothing is left out if nothing would remain.
        linear
            Whether to use a linear axis for the rate, not a logarithmic one.
        ax
            Axes to draw on; None makes a figure.
        **gone
            Arguments of 0.7 raise a TypeError that says what to type instead.

        Returns
        -------
        The matplotlib axes.

        Raises
        ------
        TypeError, ValueError
            If nothing was recorded yet, or if a number to skip is wrong.
        """
        _check_gone("plot", gone)
        part = self._part(n_skip, n_skip_end)
        label = "learning rate" if linear else "learning rate (log scale)"
        return plot.curve(self.lrs[part], self.losses[part], label, "training loss (smoothed)", log=not linear, ax=ax)

    def _changing_momentums(self) -> Any:
        return self.momentums if len(self.momentums) and np.ptp(self.momentums) > 1e-9 else None

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
                "learn.sched holds nothing yet: train first, say learn.fit(1e-2, 1, cycle_len=3, use_clr=(32, 5))"
            )


def _check_gone(function: str, arguments: dict[str, Any]) -> None:
    for name in arguments:
        known = inspect.signature(getattr(Record, function)).parameters.values()
        takes = ", ".join(o.name for o in known if o.name != "self" and o.kind is not o.VAR_KEYWORD)
        raise TypeError(f"{function} has no argument {name!r}: {_GONE[name] if name in _GONE else f'it takes {takes}'}")
