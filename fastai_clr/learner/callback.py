"""The callback that puts a schedule to work: ask the loop where it is, ask the schedule, write, record."""

import inspect
from collections.abc import Sequence
from contextlib import nullcontext
from math import inf
from typing import Any

from fastai.callback.core import Callback, CancelFitException
from torch._C import DisableTorchFunctionSubclass

from ..schedules.cycles import Cycles
from ..schedules.schedule import Schedule
from .batches import FirstBatches, batches_per_epoch
from .checks import check_folder, is_callback
from .running import RunningFit
from .scope import FitScope, current_scope
from .selective import SelectiveCallback

__all__ = ["CLRCallback", "running_fit"]


class CLRCallback(SelectiveCallback):
    """Set learning rate and momentum of every parameter group before each training batch.

    schedule: say `CircularLR(32, 5)`; in each group its peak is the rate that the fit was called with.
    n_cycles: cycles in the fit. cycle_mult: each cycle is this many times as long as the one before.
    cycle_len: epochs in the first cycle, fractions allowed; training ends with the last cycle. None: the cycles share
    the epochs of the fit.
    cycle_save_name: save the model as `<name>_cyc_0`, `<name>_cyc_1`, ... at each cycle's end.
    best_save_name: save the model as `<name>` after each epoch with the best first metric so far; without metrics the
    loss decides.

    After the fit `learn.sched` holds what it did, and the optimizer has its own momentum back. In a fit that another
    callback starts inside this one, the schedule pauses.

    Raises TypeError or ValueError for an argument of the wrong kind or out of range. When a fit begins, it raises
    ValueError, before the first batch, for an optimizer without a momentum to cycle, a second callback that sets the
    rate, cycles that need more epochs than the fit has, and a file name in a folder that does not exist.
    Source: 0.7.0's `use_clr`; there momentum was set one batch ahead of the rate, here they go in phase.

    >>> cb = CLRCallback(CircularLR(32, 5))     # then learn.fit(3, 1e-2, cbs=cb)
    """

    schedule: Schedule
    n_cycles: int
    cycle_len: float | None
    cycle_mult: float
    cycle_save_name: str | None
    best_save_name: str | None
    order = 55  # after Recorder, whose loss it copies; before ProgressCallback, which asks how long the epoch is
    run_valid = False

    _stateattrs = ("_fit", *SelectiveCallback._stateattrs)

    _fit: RunningFit | None = None
    _fits_left: float = inf  # a plan's callback has 1: in a copy of the Learner, made during the fit, it is spent

    def __init__(
        self,
        schedule: Schedule,
        n_cycles: int = 1,
        cycle_len: float | None = None,
        cycle_mult: float = 1,
        cycle_save_name: str | None = None,
        best_save_name: str | None = None,
    ):
        if not isinstance(schedule, Schedule):
            raise TypeError(f"schedule should be a schedule such as CircularLR(32, 5), but given {schedule!r}")
        Cycles(n_cycles, 1 if cycle_len is None else cycle_len, cycle_mult)  # checks the numbers
        for name, value in dict(cycle_save_name=cycle_save_name, best_save_name=best_save_name).items():
            if value is not None and not (isinstance(value, str) and value):
                raise TypeError(f"{name} should be the name of a file, but given {value!r}")
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

    def cycles(self, n_iter: int, n_epoch: int | None = None) -> Cycles:
        """The cycles of a fit.

        n_iter: batches per epoch. n_epoch: epochs of the fit; None for as many as the cycles need.

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
        """Raise ValueError if this schedule cannot run on the optimizer `opt`, beside the callbacks `cbs`."""
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
            check_folder(learn, name, getattr(self, name))

    def _sets_the_same(self, cb: Callback) -> bool:
        if isinstance(cb, CLRCallback):
            return not cb.is_spent and not cb.is_paused  # a paused one belongs to a fit around this one
        if is_callback(cb, "schedule", "ParamScheduler") and not is_callback(cb, "schedule", "LRFinder"):
            return "lr" in cb.scheds or ("mom" in cb.scheds and self.schedule.cycles_momentum)
        return is_callback(cb, "tracker", "ReduceLROnPlateau")

    @property
    def is_spent(self) -> bool:
        """Whether it was for one fit, which began."""
        return not self._fits_left

    def schedule_one_fit(self) -> None:
        """Schedule the next fit and none after it."""
        self._fits_left = 1

    def before_fit(self) -> None:
        super().before_fit()
        scope = current_scope(self.learn)
        if scope is None and not self.learn.lock.locked():  # `validate` and `get_preds` hold the lock
            self._end()  # a fit that did not go through our `Learner.fit` may have ended in an exception
        if self._fit is not None:
            self._fit.validating = True
        elif scope is not None:
            self._begin(scope)

    def _begin(self, scope: FitScope | None) -> None:
        learn = self.learn
        is_lr_find = any(is_callback(cb, "schedule", "LRFinder") for cb in learn.cbs)
        if learn.opt is None or is_lr_find or self.is_spent:
            return
        self._fits_left -= 1
        self.check(learn, learn.opt, learn.cbs)
        cycles = self.cycles(batches_per_epoch(learn.dls), learn.n_epoch)  # anew: a `before_fit` may shrink loaders
        self._fit = RunningFit.begin(learn, self.schedule, cycles)
        learn.sched = self._fit.record
        if scope is not None:
            scope.is_scheduled, self._fit.epoch = True, scope.first_epoch
            scope.callback(self._end)
            scope.callback(setattr, learn, "sched", self._fit.record)  # also after a fit inside this one

    def _end(self) -> None:
        """End the fit and forget it; safe to repeat."""
        if self._fit is not None:
            self._fit.end()
            self._fit = None

    def before_epoch(self) -> None:
        fit = self._fit
        if fit is not None and not fit.validating:
            fit.epoch = self.learn.epoch
            if fit.epoch * fit.n_iter >= fit.cycles.n_batches:
                raise CancelFitException  # the cycles ended with the epoch before

    def before_train(self) -> None:
        if self._fit is None and current_scope(self.learn) is None:
            self._begin(None)  # not in `before_fit`, which `learn.tta` fires, too
        if (fit := self._fit) is None:
            return
        fit.validating = False
        done = self.learn.epoch * fit.n_iter
        if not fit.record.iterations:
            fit.skip_to(done)
        fit.record.begin_epoch(self.learn.epoch)
        left = fit.cycles.n_batches - done
        if self.cycle_len is not None and left < len(self.learn.dl):
            self.learn.dl = FirstBatches(self.learn.dl, left)

    def before_batch(self) -> None:
        if (fit := self._fit) is None:
            return
        learn, reader = self.learn, fit.reader
        if learn.opt is not fit.opt:
            fit.change_optimizer(learn)
        reader.read(learn.epoch * fit.n_iter + learn.iter)
        fit.hypers.write(learn.opt, reader.rates, reader.momentum)

    def after_batch(self) -> None:
        if (fit := self._fit) is None:
            return
        learn, reader, recorder, loss = self.learn, fit.reader, fit.recorder, None
        rates, momentum = fit.hypers.read(learn.opt)
        if recorder is not None and (losses := recorder.losses):
            with DisableTorchFunctionSubclass():  # the loss is a fastai TensorBase: `float` takes 0.5 µs here, 4.4 else
                loss = float(losses[-1])
        fit.record.add_batch(reader.factor, momentum, loss, None if rates == reader.rates else rates)
        done = learn.epoch * fit.n_iter + learn.iter + 1
        if done >= fit.next_end:
            self._end_cycles(fit, done)

    def after_train(self) -> None:
        self._end_cycles_of_epoch()

    def _end_cycles_of_epoch(self) -> None:
        # An epoch may train fewer batches than it announced (ShortEpochCallback, a process's share of the data with
        # drop_last, CancelEpochException). A cycle that was to end in the missing batches ends with the epoch.
        if self._fit is not None:
            self._end_cycles(self._fit, self._fit.batches_in(self.learn.epoch + 1))

    def _end_cycles(self, fit: RunningFit, done: int) -> None:
        """End the cycles whose last batch is among the first `done`."""
        for number in fit.end_cycles(done):
            if self.cycle_save_name:
                self._save(fit, f"{self.cycle_save_name}_cyc_{number}")

    def after_epoch(self) -> None:
        fit = self._fit
        if fit is None or fit.validating:
            return
        self._end_cycles_of_epoch()
        fit.epoch = self.learn.epoch + 1
        if fit.recorder is None or not fit.record.iterations:
            return
        fit.end_epoch(self.learn.final_record)
        if self.best_save_name and fit.last_epoch_improves():
            self._save(fit, self.best_save_name)

    def _save(self, fit: RunningFit, name: str) -> None:
        with nullcontext() if fit.momentum_loan is None else fit.momentum_loan.set_aside():  # if no scope does
            self.learn.save(name)

    def after_fit(self) -> None:
        if self._fit is None:
            return
        if self._fit.validating:
            self._fit.validating, self.learn.epoch = False, self._fit.epoch  # fastai has set it to 0
            return
        self._fit.end()
        if current_scope(self.learn) is None:
            self._end()  # else with the scope: a fit in another callback's `after_fit` is still inside this one


def running_fit(learn: Any) -> RunningFit | None:
    """The fit that a schedule of ours drives, the innermost of several; None if there is none."""
    running = (cb._fit for cb in learn.cbs if isinstance(cb, CLRCallback) and not cb.is_paused)
    return next((fit for fit in running if fit is not None), None)
