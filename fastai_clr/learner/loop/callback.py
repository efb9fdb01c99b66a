"""The callback that applies a schedule: in each batch, write a row of the timetable, then record the batch."""

import inspect
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path, PurePath
from typing import Any

from fastai.callback.core import Callback

from ...schedules.checks import check_peaks
from ...schedules.cycles import Cycles
from ...schedules.schedule import Schedule
from ...schedules.timetable import Timetable
from ..fastai2 import is_callback
from .hypers import read_hyper
from .loaders import FirstBatches, batches_per_epoch
from .running import RunningFit, hypers_before_fit, running, running_fits, say
from .selective import SelectiveCallback, Stage


class CLRCallback(SelectiveCallback):
    """Set learning rate and momentum of every parameter group before each training batch.

    After the fit `learn.sched` is its record, and the optimizer has its own momentum back. The schedule pauses while
    another callback runs a fit inside this one.

    Parameters
    ----------
    schedule
        Such as `CircularLR(32, 5)`; the peak of each group is the rate that the fit was called with.
    n_cycles
        Cycles in the fit.
    cycle_len
        Epochs in the first cycle; fractions are allowed, and training ends with the last cycle. None: the cycles share
        the epochs of the fit.
    cycle_mult
        Each cycle is this many times as long as the one before.
    cycle_save_name
        Save the model as `<name>_cyc_0`, `<name>_cyc_1`, ... at each cycle's end.
    best_save_name
        Save the model as `<name>` after each epoch with the best first metric so far; without metrics the loss decides.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of range. When a fit begins, before its first batch, for an optimizer
        without a momentum to cycle, a second callback that sets the rate, cycles that need more epochs than the fit
        has, and a file name in a folder that does not exist.

    References
    ----------
    fastai 0.7.0, `use_clr`. 0.7.0 set the momentum one batch ahead of the rate; here they are in phase.

    Examples
    --------
    >>> learn.fit(3, 1e-2, cbs=CLRCallback(CircularLR(32, 5)))
    """

    schedule: Schedule
    n_cycles: int
    cycle_len: float | None
    cycle_mult: float
    cycle_save_name: str | None
    best_save_name: str | None
    order = 55  # after Recorder, whose loss it copies; before ProgressCallback, which reads the epoch's length
    run_valid = False

    _stateattrs = ("_fit", "_own_fit", "plan", *SelectiveCallback._stateattrs)

    plan: Any = None  # of the fit that it is for alone; None if the Learner has it, and between fits
    _fit: RunningFit | None = None
    _own_fit: ExitStack | None = None  # a fit that did not come through our `Learner.fit`

    def __init__(
        self,
        schedule: Schedule,
        n_cycles: int = 1,
        cycle_len: float | None = None,
        cycle_mult: float = 1,
        cycle_save_name: "str | PurePath | None" = None,
        best_save_name: "str | PurePath | None" = None,
    ):
        if not isinstance(schedule, Schedule):
            raise TypeError(f"schedule should be a schedule such as CircularLR(32, 5), but given {schedule!r}")
        Cycles(n_cycles, 1 if cycle_len is None else cycle_len, cycle_mult)  # checks the numbers
        cycle_save_name = _checked_file("cycle_save_name", cycle_save_name)
        best_save_name = _checked_file("best_save_name", best_save_name)
        self.schedule, self.n_cycles, self.cycle_len, self.cycle_mult = schedule, n_cycles, cycle_len, cycle_mult
        self.cycle_save_name, self.best_save_name = cycle_save_name, best_save_name
        arguments = {name: getattr(self, name) for name in inspect.signature(CLRCallback).parameters}
        arguments["schedule"] = schedule.to_dict()  # plain values: fastai's `WandbCallback` logs them
        self.__stored_args__ = getattr(self, "__stored_args__", {}) | arguments  # a subclass may have stored its own

    def __repr__(self) -> str:
        parameters = inspect.signature(CLRCallback).parameters.values()
        values = [(p.name, getattr(self, p.name), p.default) for p in parameters if p.default is not p.empty]
        given = "".join(f", {name}={value!r}" for name, value, default in values if value != default)
        return f"{type(self).__name__}({self.schedule!r}{given})"

    def __str__(self) -> str:
        return type(self).__name__  # the key under which `WandbCallback` logs the arguments

    def __getstate__(self) -> dict[str, Any]:
        is_inert = self.plan is not None or self.has_ended  # what was for one fit must not run in a copy's fits
        return super().__getstate__() | ({"_stage": Stage.ENDED, "_called_for": ()} if is_inert else {})

    def timetable(self, n_iter: int, n_epoch: int | None, peaks: Sequence[float]) -> Timetable:
        """The timetable of a fit with these peaks, one per parameter group; the rest as in `cycles`."""
        return Timetable(self.schedule, self.cycles(n_iter, n_epoch), peaks)

    def cycles(self, n_iter: int, n_epoch: int | None = None) -> Cycles:
        """The cycles of a fit of `n_epoch` epochs of `n_iter` batches; None is as many epochs as the cycles need.

        Raises ValueError if the cycles need more epochs than the fit has.
        """
        if self.cycle_len is None:
            return Cycles.of_epochs(n_epoch or 1, self.n_cycles, self.cycle_mult, n_iter)
        cycles = Cycles(self.n_cycles, self.cycle_len, self.cycle_mult, n_iter)
        if n_epoch is not None and cycles.n_epoch > n_epoch:
            raise ValueError(
                f"n_epoch should be at least {cycles.n_epoch} for n_cycles={self.n_cycles}, cycle_len={self.cycle_len} "
                f"and cycle_mult={self.cycle_mult}, but given {n_epoch}"
            )
        return cycles

    def check(self, learn: Any, opt: Any, cbs: Sequence[Any]) -> None:
        """Raise ValueError if this schedule cannot run with the optimizer `opt` and the callbacks `cbs`."""
        if self.schedule.cycles_momentum and not all(h.get("mom") for h in opt.hypers):
            raise ValueError(
                f"{self.schedule!r} cycles momentum, but the optimizer has none to cycle: leave mom_a and mom_b out, "
                "or give the Learner one that has, say opt_func=Adam or opt_func=partial(SGD, mom=0.9)"
            )
        if self.learn is not None and self.learn is not learn:
            raise ValueError(f"{self!r} belongs to another Learner: give each its own")
        if sum(cb is self for cb in cbs) > 1:
            raise ValueError(f"{self!r} is among the callbacks of this fit twice: give it once")
        for cb in cbs:
            if cb is not self and self._sets_the_same(cb):
                raise ValueError(
                    f"{cb!r} and {self.schedule!r} would both set the optimizer's hyper-parameters: use one of them"
                )
            if cb.name == "sched":
                raise ValueError(f"{cb!r} would take the place of learn.sched: give its class another name")
        for name in ("cycle_save_name", "best_save_name"):
            _check_folder(learn, name, getattr(self, name))

    def _sets_the_same(self, cb: Callback) -> bool:
        if isinstance(cb, CLRCallback):
            return not cb.has_ended and not cb.is_paused  # a paused one belongs to an outer fit
        if is_callback(cb, "schedule", "ParamScheduler") and not is_callback(cb, "schedule", "LRFinder"):
            return "lr" in cb.scheds or ("mom" in cb.scheds and self.schedule.cycles_momentum)
        return is_callback(cb, "tracker", "ReduceLROnPlateau")

    @property
    def is_planned(self) -> bool:
        """Whether a call of ours made it, for the fit of its plan."""
        return self.plan is not None and self.plan.callback is self

    def before_fit(self) -> None:
        super().before_fit()
        fits = running_fits(self.learn)
        if self._own_fit is not None and not self.learn.lock.locked():  # `validate` and `get_preds` hold the lock
            self._own_fit.close()  # the last fit ended in an exception
        if self._stage is Stage.TRAINING:
            self.enter(Stage.VALIDATING)
        elif fits and not fits[-1].has_begun:
            self._begin(fits[-1])

    def _begin(self, fit: RunningFit) -> None:
        """Take part in `fit`. Makes the timetable anew: a `before_fit` may have changed loaders or rates."""
        learn = self.learn
        if learn.opt is None or any(is_callback(cb, "schedule", "LRFinder") for cb in learn.cbs):
            return
        self.check(learn, learn.opt, learn.cbs)
        peaks = check_peaks(read_hyper(learn.opt, "lr"))
        fit.begin(learn, self.timetable(batches_per_epoch(learn.dls), learn.n_epoch, peaks))
        fit.callback(self._leave)
        fit.callback(fit.record.trim)
        fit.callback(setattr, learn, "sched", fit.record)  # also after a fit inside this one
        self._fit, learn.sched = fit, fit.record
        self.enter(Stage.TRAINING)

    def _leave(self) -> None:
        """Return to the state before the fit."""
        self._fit = self._own_fit = None
        if self._stage is not Stage.ENDED:
            self.enter(Stage.WAITING)

    def before_epoch(self) -> None:
        if self._fit is not None and self._stage is Stage.TRAINING:
            self._fit.come_to_epoch(self.learn.epoch)

    def before_train(self) -> None:
        if self._fit is None and not running_fits(self.learn):  # another plugin has replaced our `Learner.fit`
            with ExitStack() as stack:  # not in `before_fit`, which `learn.tta` fires, too
                self._begin(stack.enter_context(running(self.learn)))
                self._own_fit = stack.pop_all() if self._fit is not None else None  # None: it is `lr_find`'s
                self.before_epoch()  # which had no fit yet
        if (fit := self._fit) is None:
            return
        if self._stage is Stage.VALIDATING:
            self.enter(Stage.TRAINING)
        n_batches = len(self.learn.dl)
        n_needed = fit.begin_epoch(self.learn.epoch, n_batches)
        if n_needed < n_batches:
            self.learn.dl = FirstBatches(self.learn.dl, n_needed)

    def before_batch(self) -> None:
        if (fit := self._fit) is not None:
            learn = self.learn
            if learn.opt is not fit.opt:
                fit.change_optimizer(learn.opt)
            fit.write_batch(learn.iter)

    def after_batch(self) -> None:
        if (fit := self._fit) is not None:
            done = fit.record_batch(self.learn.iter)
            if done >= fit.next_end:
                self._end_cycles(fit, done)

    def after_train(self) -> None:
        self._end_cycles_of_epoch()

    def _end_cycles_of_epoch(self) -> None:
        # An epoch may train fewer batches than it announced (ShortEpochCallback, a process's share of the data with
        # drop_last, CancelEpochException). A cycle that should end in a missing batch ends with the epoch.
        if self._fit is not None:
            self._end_cycles(self._fit, self._fit.done_after(self.learn.epoch + 1))

    def _end_cycles(self, fit: RunningFit, done: int) -> None:
        """End the cycles that end within the first `done` rows of the timetable."""
        for number in fit.end_cycles(done):
            if self.cycle_save_name:
                self._save(f"{self.cycle_save_name}_cyc_{number}")

    def after_epoch(self) -> None:
        fit = self._fit
        if fit is None or self._stage is Stage.VALIDATING:
            return
        self._end_cycles_of_epoch()
        fit.epoch = self.learn.epoch + 1
        if fit.recorder is None or not fit.record.iterations:
            return
        fit.end_epoch(self.learn.final_record)
        if self.best_save_name and fit.last_epoch_improves():
            self._save(self.best_save_name)

    def _save(self, name: str) -> None:
        with hypers_before_fit(self.learn):  # as our `Learner.save`, which another plugin may have replaced
            self.learn.save(name)

    def after_fit(self) -> None:
        if self._fit is None:
            return
        if self._stage is Stage.VALIDATING:
            self.enter(Stage.TRAINING)
            self.learn.epoch = self._fit.epoch  # fastai has set it to 0
            return
        self._fit.end()
        if self.best_save_name and self._fit.n_validated and not self._fit.best.is_known:
            scores = " or ".join([*self._fit.record.metric_names[:1], "valid_loss"])
            say(self.learn, f"Nothing was saved as {self.best_save_name!r}: in every epoch {scores} was nan.")
        if self._own_fit is not None:
            self._own_fit.close()


def _checked_file(name: str, file: str | PurePath | None) -> str | None:
    """The name of a file as a str, None if there is none."""
    if file is None or (isinstance(file, (str, PurePath)) and str(file)):
        return None if file is None else str(file)
    raise TypeError(f"{name} should be the name of a file, but given {file!r}")


def _check_folder(learn: Any, name: str, file: str | None) -> None:
    """Raise ValueError if the folder of `learn.save(file)` does not exist; `name` is the argument's."""
    path = Path(file or "")
    folder = learn.path / learn.model_dir / path.parent
    if len(path.parts) > 1 and not folder.is_dir():  # fastai makes model_dir, and no folder in it
        raise ValueError(f"{name} should be in a folder that exists, but given {file!r}: no {folder}")
