"""The state of a running fit, in one object that is closed when the fit ends, however it ends.

fastai skips `after_fit` after an exception, and a callback has no `finally`. So `Learner.fit` opens a `RunningFit`, and
code that changes the Learner registers the undo there. The running fits are kept outside the Learners: a copy, pickle
or export of a Learner during a fit holds none.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from math import inf
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from fastai.callback.core import CancelEpochException, CancelFitException

from ...record import Record
from ...schedules.checks import as_list
from ...schedules.timetable import Timetable
from ...scores import BestEpoch
from ..fastai2 import as_float, instance_attribute, is_silent, write_hyper
from .ending import keep_fit_end
from .hypers import GroupHypers, SavedHyper, read_hyper


class RunningFit(ExitStack):
    """A fit while it runs. `callback(undo, ...)` registers a function for its end; they run in reverse order.

    Attributes
    ----------
    planned
        The timetable of the fit's plan, if there is one.
    saved
        The optimizer's own hyper-parameters.
    timetable
        What the schedule sets; this and the following are there once a schedule of ours has begun (`has_begun`).
    record
        What the fit did.
    recorder
        fastai's `Recorder`, if any.
    opt, hypers
        The optimizer, and access to its learning rates and momentum.
    epoch
        The epoch that runs or comes next.
    first_epoch
        The plan leaves earlier epochs out.
    next_cycle
        Number of the cycle that ends next, from 0.
    next_end
        End of that cycle as a place in the timetable.
    n_skipped
        Batches before the first one that this fit trains.
    best
        The best epoch so far, for `best_save_name`.
    n_validated
        Number of validated epochs that `best` was given.
    """

    planned: Timetable | None = None
    has_begun = False
    timetable: Timetable
    record: Record
    recorder: Any
    opt: Any
    hypers: GroupHypers

    def __init__(self) -> None:
        super().__init__()
        self.saved: list[SavedHyper] = []
        self.best, self.n_validated = BestEpoch(), 0
        self.epoch = self.first_epoch = self.n_skipped = 0
        self.row: int = 0  # written last
        self.rates: list[float] | None = None  # written last
        self.momentum: float | None = None  # written last; if the schedule does not cycle it, held by the last batch
        self.next_cycle, self.next_end = 0, inf

    def save_hyper(self, opt: Any, name: str) -> None:
        """Save the hyper-parameter `name`, which the fit will change; the end of the fit restores it."""
        saved = SavedHyper(opt, name)
        self.saved.append(saved)
        self.callback(saved.restore)

    def begin(self, learn: Any, timetable: Timetable) -> None:
        """Begin the schedule with `timetable`, or with the plan's if they are equal."""
        if self.planned is not None and self.planned == timetable:
            timetable = self.planned
        self.timetable, self.has_begun = timetable, True
        self.record, self.recorder = Record(timetable), instance_attribute(learn, "recorder")
        self.opt, self.hypers = learn.opt, GroupHypers(learn.opt)
        if timetable.schedule.cycles_momentum:
            self.save_hyper(learn.opt, "mom")
        self.callback(self._keep_end, learn)

    def _keep_end(self, learn: Any) -> None:
        if n := len(self.record.iterations):
            keep_fit_end(learn, self.timetable.peaks[-1], n / self.timetable.cycles.n_iter)

    def change_optimizer(self, new: Any) -> None:
        """Continue with an optimizer that a callback made during the fit; give it the values that the fit has set."""
        if new is None:
            raise ValueError("a schedule needs the optimizer until the fit ends, but learn.opt is None now")
        for name in [saved.name for saved in self.saved if saved.opt is self.opt]:
            if name not in new.hypers[0]:
                raise ValueError(f"this fit sets {name!r} of the optimizer until it ends, but learn.opt has none now")
            self.save_hyper(new, name)
            write_hyper(new, name, read_hyper(self.opt, name))
        self.opt, self.hypers = new, GroupHypers(new)

    def end(self) -> None:
        """Restore the momentum before callbacks of a higher order handle the end of the fit; safe to repeat."""
        for saved in self.saved:
            if saved.name == "mom":
                saved.restore()

    # -- epochs and batches ------------------------------------------------------------------------------------------

    def come_to_epoch(self, number: int) -> None:
        """Leave an epoch before the first one out, and end the fit if its cycles ended with the epoch before."""
        self.epoch = number
        if number < self.first_epoch:
            raise CancelEpochException  # another plugin has replaced our `Learner._do_fit`
        if self.done_after(number) == self.done_after(number + 1):
            raise CancelFitException

    def begin_epoch(self, number: int, n_batches: int) -> int:
        """Begin an epoch whose data loader has `n_batches` batches; returns how many of them the cycles need.

        The batches are spread evenly over the epoch's rows of the timetable: the loader's length may have changed.
        """
        self._n_batches, self._n_iter = max(n_batches, 1), self.timetable.cycles.n_iter
        self._start, rows = number * self._n_iter, min(self.timetable.n_batches - number * self._n_iter, self._n_iter)
        self._last = self._start + rows - 1
        if self.rates is None:
            self.row = self._start
        if not self.record.iterations:
            self.n_skipped = self._start
            self._set_next_cycle(int(np.searchsorted(self.timetable.cycles.ends, self._start, "right")))
        self.epoch = number
        self.record.begin_epoch(number)
        return -(-rows * self._n_batches // self._n_iter)

    def write_batch(self, i: int) -> None:
        """Write the row of the epoch's batch `i` into the optimizer."""
        row = self._start + i * self._n_iter // self._n_batches
        if row > self._last:  # more batches than the loader's length, or a last cycle that ends inside a batch
            row = self._last
        factor, momentum = self.timetable.row(row)
        rates = [factor * peak for peak in self.timetable.peaks]
        self.hypers.write(self.opt, rates, momentum)
        self.row, self.rates = row, rates
        if momentum is not None:
            self.momentum = momentum

    def record_batch(self, i: int) -> int:
        """Record the epoch's batch `i` as read from the optimizer; returns how many rows of the timetable are done."""
        record, recorder, loss = self.record, self.recorder, None
        rates, momentum = self.hypers.read(self.opt)
        if rates != self.rates:
            record.note_rates(rates[: len(self.timetable.peaks)])  # a group may have been added in this batch
        if momentum != self.momentum:
            record.note_momentum(momentum)
            if not self.timetable.schedule.cycles_momentum:
                self.momentum = momentum
        if recorder is not None and (losses := recorder.losses):
            loss = as_float(losses[-1])
        record.add_batch(self.row, loss)
        done = (i + 1) * self._n_iter // self._n_batches
        return self._start + (done if done < self._n_iter else self._n_iter)

    def done_after(self, n_epoch: int) -> int:
        """Rows of the timetable that are done after `n_epoch` epochs; the last cycle may end inside an epoch."""
        return min(n_epoch * self.timetable.cycles.n_iter, self.timetable.n_batches)

    def end_epoch(self, values: Sequence[Any]) -> None:
        """Record the epoch before `self.epoch`, with the values that fastai's `Recorder` has of it."""
        epochs = self.done_after(self.epoch) / self._n_iter
        self.record.add_epoch(self.recorder, values, epochs, len(self.record.iterations))

    def last_epoch_improves(self) -> bool:
        """Whether the last recorded epoch is better than all before it. Call it once per epoch."""
        record = self.record
        is_validated = len(record.val_losses) > self.n_validated
        self.n_validated = len(record.val_losses)
        if not (losses := record.val_losses if is_validated else record.losses):
            return False
        if not is_validated or not record.rec_metrics:
            return self.best.improves(losses[-1], is_validated=is_validated)
        lower_is_better = record.lower_is_better[record.metric_names[0]]
        return self.best.improves(losses[-1], as_list(record.rec_metrics[-1])[0], lower_is_better)

    # -- cycles ------------------------------------------------------------------------------------------------------

    def end_cycles(self, done: int) -> Sequence[int]:
        """End the cycles that end within the first `done` rows of the timetable; returns their numbers, from 0."""
        first = self.next_cycle
        while done >= self.next_end:
            self._set_next_cycle(self.next_cycle + 1)
            n_recorded = len(self.record.iterations)
            self.record.end_cycle(self.next_cycle, done / self._n_iter, n_recorded, self.n_skipped)
        return range(first, self.next_cycle)

    def _set_next_cycle(self, number: int) -> None:
        self.next_cycle = number
        self.next_end = inf if number >= self.timetable.cycles.n_cycles else int(self.timetable.cycles.ends[number])


_running: WeakKeyDictionary[Any, list[RunningFit]] = WeakKeyDictionary()  # of each Learner, outermost first


def running_fits(learn: Any) -> list[RunningFit]:
    """The running fits of `learn`, each inside the one before it."""
    return _running.get(learn, [])


def is_in_a_fit(learn: Any) -> bool:
    """Whether a fit of `learn` is running: a new one would be inside it."""
    return bool(running_fits(learn))


@contextmanager
def running(learn: Any) -> Iterator[RunningFit]:
    """Open a `RunningFit` of `learn`. Inside another fit, it starts with the optimizer's own hyper-parameters."""
    with RunningFit() as fit:
        fit.enter_context(hypers_before_fit(learn))
        fits = _running.setdefault(learn, [])
        fits.append(fit)
        fit.callback(fits.remove, fit)
        yield fit


@contextmanager
def hypers_before_fit(learn: Any) -> Iterator[None]:
    """Inside the block the optimizer holds its values from before all running fits, after it the fits' values."""
    with ExitStack() as stack:
        for fit in reversed(running_fits(learn)):
            for saved in reversed(fit.saved):
                stack.enter_context(saved.restored())
        yield


_LOOP = "epoch n_epoch n_iter iter dl xb yb pred loss loss_grad training train_iter pct_train".split()


def keep_loop(learn: Any, fit: RunningFit) -> None:
    """Save the position of the outer fit's loop, which fastai keeps in the Learner; the end of `fit` restores it."""
    fit.callback(vars(learn).update, {name: vars(learn)[name] for name in _LOOP if name in vars(learn)})
    if learn.opt is not None:
        fit.callback(write_hyper, learn.opt, "lr", read_hyper(learn.opt, "lr"))


def say(learn: Any, line: str) -> None:
    """Print a line about a fit, unless the Learner is silent."""
    if not is_silent(learn):
        print(line)
