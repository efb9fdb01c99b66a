"""The callback that puts a schedule to work: ask the loop where it is, ask the schedule, write, record."""

import re
from contextlib import contextmanager
from math import isnan
from numbers import Real
from operator import itemgetter
from pathlib import Path

import numpy as np
from fastai.callback.core import Callback, CancelFitException, event
from fastai.callback.schedule import LRFinder, ParamScheduler
from fastai.callback.tracker import ReduceLROnPlateau
from torch._C import DisableTorchFunctionSubclass

from .checks import check_number
from .cycles import Cycles, Steps
from .loop import FirstBatches, batches_per_epoch, hyper_dicts_getter, hyper_key, split_key
from .record import Record
from .schedules import Schedule

__all__ = ["CLRCallback"]

LOWER_IS_BETTER = re.compile(r"loss|error|mse|mae|perplexity|(^|_)l[12](_|$)", re.IGNORECASE)


class CLRCallback(Callback):
    """Set learning rate and momentum of every parameter group before each training batch, as `schedule` says.

    schedule: say `CircularLR(32, 5)`; its peak is the rate that the fit was called with, in each group.
    n_cycles: cycles in the fit. cycle_mult: each is this many times as long as the one before.
    cycle_len: epochs in the first cycle, fractions allowed; training ends with the last cycle. None: the cycles share
    the epochs of the fit.
    cycle_save_name: save the model as `<name>_cyc_0`, `<name>_cyc_1`, ... at each cycle's end.
    best_save_name: save the model as `<name>` whenever the first metric, or without one the loss, is the best so far.

    After the fit `learn.sched` holds what it did and the optimizer has its own momentum back. Raises TypeError or
    ValueError for an argument of the wrong kind or out of its range and, before the first batch, for an optimizer
    without a momentum to cycle, a second callback that sets the rate, cycles that need more epochs than the fit has,
    and a file name in a folder that does not exist.
    Source: 0.7.0's `use_clr`; there momentum was set one batch ahead of the rate, here they go in phase.

    >>> cb = CLRCallback(CircularLR(32, 5))     # then learn.fit(3, 1e-2, cbs=cb)
    """

    order = 55  # after Recorder, whose loss it copies; before ProgressCallback, which asks how long the epoch is
    run_valid = False
    _idle = frozenset()  # the events that need no call; known when a fit begins

    def __init__(
        self, schedule: Schedule, n_cycles=1, cycle_len=None, cycle_mult=1, cycle_save_name=None, best_save_name=None
    ):
        if not isinstance(schedule, Schedule):
            raise TypeError(f"schedule should be a schedule such as CircularLR(32, 5), but given {schedule!r}")
        Cycles(n_cycles, 1 if cycle_len is None else cycle_len, cycle_mult)  # checks the numbers
        for name, value in dict(cycle_save_name=cycle_save_name, best_save_name=best_save_name).items():
            if value is not None and not (isinstance(value, str) and value):
                raise TypeError(f"{name} should be the name of a file, but given {value!r}")
        self.schedule, self.n_cycles, self.cycle_len, self.cycle_mult = schedule, n_cycles, cycle_len, cycle_mult
        self.cycle_save_name, self.best_save_name = cycle_save_name, best_save_name
        self._own, self._running = {}, False

    def cycles(self, n_iter: int, n_epoch: int | None = None) -> Cycles:
        """The cycles of a fit with `n_iter` batches in an epoch and `n_epoch` epochs, None for as many as they need."""
        if self.cycle_len is None:
            return Cycles.share(n_epoch, self.n_cycles, self.cycle_mult, n_iter)
        cycles = Cycles(self.n_cycles, self.cycle_len, self.cycle_mult, n_iter)
        if n_epoch is not None and cycles.n_epoch > n_epoch:
            raise ValueError(
                f"n_epoch should be at least {cycles.n_epoch} for n_cycles={self.n_cycles}, cycle_len={self.cycle_len} "
                f"and cycle_mult={self.cycle_mult}, but given {n_epoch}"
            )
        return cycles

    def check(self, opt, cbs):
        """Raise ValueError if this schedule cannot run on the optimizer `opt` or beside the callbacks `cbs`."""
        if self.schedule.mom_a is not None and not all(h.get("mom") for h in opt.hypers):
            raise ValueError(
                f"{self.schedule!r} cycles momentum, but the optimizer has none to cycle: leave mom_a and mom_b out, "
                "or give the Learner one that has, say opt_func=Adam or opt_func=partial(SGD, mom=0.9)"
            )
        for cb in cbs:
            if cb is not self and self._sets_the_same(cb):
                raise ValueError(
                    f"{cb!r} and {self.schedule!r} would both set the optimizer's hyper-parameters: use one of them"
                )

    def check_files(self, learn):
        """Raise ValueError if `learn.save` could not write the file of a cycle's end or of the best epoch."""
        for name in ("cycle_save_name", "best_save_name"):
            file = Path(getattr(self, name) or "")
            folder = learn.path / learn.model_dir / file.parent
            if len(file.parts) > 1 and not folder.is_dir():  # fastai makes model_dir, and no folder in it
                raise ValueError(f"{name} should be in a folder that exists, but given {str(file)!r}: no {folder}")

    def _sets_the_same(self, cb):
        if isinstance(cb, ParamScheduler) and not isinstance(cb, LRFinder):
            return "lr" in cb.scheds or ("mom" in cb.scheds and self.schedule.mom_a is not None)
        return isinstance(cb, (CLRCallback, ReduceLROnPlateau))

    @property
    def training(self):  # fastai asks twice an event; by way of `Callback.__getattr__` that takes 1.9 µs, here 0.1
        return self.learn.training

    def __call__(self, event_name):
        if event_name not in self._idle:  # fastai takes 7 µs to call an event that is not defined, 6 times a batch
            return super().__call__(event_name)

    def before_fit(self):
        defined = {*dir(type(self)), *self.__dict__}  # a subclass or the user may have added some
        self._idle = frozenset(o for o in vars(event) if o not in defined)
        opt = self.learn.opt
        if self._running:  # `validate` in the middle of a fit begins with this event, too
            return
        if opt is None or self.learn.lock.locked() or "lr_finder" in self.learn.__dict__:
            self.run = False  # no fit at all (`validate` and `get_preds` hold the lock), or not ours
            return
        self.check(opt, self.learn.cbs)
        self.check_files(self.learn)
        peaks = [check_number("lr", h["lr"], above=0) for h in opt.hypers]
        self._n_iter = batches_per_epoch(self.learn.dls)
        self._cycles = self.cycles(self._n_iter, self.learn.n_epoch)
        self._steps = Steps(self.schedule, self._cycles, peaks)
        self._best, self._next_cycle = None, 0
        self._record = Record(self.schedule, peaks=peaks)
        hyper_dicts, key = hyper_dicts_getter(opt), hyper_key(opt, "lr")
        name, i = split_key(hyper_key(opt, "mom"))
        recorder = self.learn.__dict__.get("recorder")
        # one attribute an event: a callback has a `__getattr__`, with which Python takes 30 ns for each, 1 % of a batch
        self._to_write = self._steps, self._n_iter, hyper_dicts, key, name, i
        self._to_record = self._steps, self._n_iter, hyper_dicts, itemgetter(key), name, i, self._record, recorder

    def before_epoch(self):
        if self.learn.epoch * self._n_iter >= self._cycles.n_batches:
            raise CancelFitException  # the cycles ended with the epoch before

    def before_train(self):
        if not self._running:
            self._running, self.learn.sched = True, self._record
            if self.schedule.mom_a is not None:
                self.keep("mom", self.learn.opt)
        left = self._cycles.n_batches - self.learn.epoch * self._n_iter
        if self.cycle_len is not None and left < len(self.learn.dl):
            self.learn.dl = FirstBatches(self.learn.dl, left)

    def before_batch(self):
        learn, (steps, n_iter, hyper_dicts, key, name, i) = self.learn, self._to_write
        _, rates, momentum = steps.at(learn.epoch * n_iter + learn.iter)
        groups = zip(hyper_dicts(learn.opt), rates)
        if momentum is None:  # asked once, not in each group: a tenth of the time of 100 groups
            for group, rate in groups:
                group[key] = rate
        elif i is None:
            for group, rate in groups:
                group[key] = rate
                group[name] = momentum
        else:  # fastai's `set_item_pg` does the same in 1.3 µs a group instead of 0.2
            for group, rate in groups:
                group[key] = rate
                group[name] = (*group[name][:i], momentum, *group[name][i + 1 :])

    def after_batch(self):
        learn, (steps, n_iter, hyper_dicts, rate, name, i, record, recorder) = self.learn, self._to_record
        groups, (factor, rates, _), loss = hyper_dicts(learn.opt), steps.last, None
        momentum = name and (groups[-1][name] if i is None else groups[-1][name][i])
        if recorder is not None and (losses := recorder.losses):
            with DisableTorchFunctionSubclass():  # the loss is a fastai TensorBase: `float` takes 0.5 µs here, 4.4 else
                loss = float(losses[-1])
        lrs = list(map(rate, groups))
        record.add_batch(None if lrs == rates else lrs, momentum, loss, factor)
        done = learn.epoch * n_iter + learn.iter + 1
        if done in steps.cycle_ends:
            self._end_cycle(steps.cycle_ends[done])

    def after_train(self):
        # An epoch may train fewer batches than it announced (ShortEpochCallback, a process's share of the data with
        # drop_last): the cycles that were to end in those left out end with it.
        start = self.learn.epoch * self._n_iter
        first, last = np.searchsorted(self._cycles.ends, [start + 1, start + self._n_iter + 1])
        for number in range(first, last):
            self._end_cycle(number)

    def _end_cycle(self, number):
        if number < self._next_cycle:
            return
        self._next_cycle = number + 1
        self._record.cycle_ends.append(len(self._record.iterations))
        if self.cycle_save_name:
            self._save(f"{self.cycle_save_name}_cyc_{number}")

    def after_epoch(self):
        if not self._record.iterations or not hasattr(self.learn, "recorder"):
            return
        names = self.learn.recorder.metric_names
        self._record.add_epoch(names, self.learn.final_record)
        if self.best_save_name:
            score = self._score(names)
            if not any(map(isnan, score)) and (self._best is None or score > self._best):
                self._best = score
                self._save(self.best_save_name)

    def _score(self, names):
        """What the epoch reached, larger is better: the first metric if there is one, then the loss."""
        record = self._record
        score = [-(record.val_losses or record.losses)[-1]]
        if record.rec_metrics:
            name = names[list(names).index("valid_loss") + 1]
            metric = record.rec_metrics[-1]
            metric = metric[0] if isinstance(metric, list) else metric
            if isinstance(metric, Real):
                score.insert(0, -metric if LOWER_IS_BETTER.search(name) else metric)
        return score

    def _save(self, name):
        with self.set_aside():
            self.learn.save(name)

    @contextmanager
    def set_aside(self):
        """Give the optimizer its own hyper-parameters for a moment: a file should not hold those of this batch."""
        opt = self.learn.opt
        running = {name: [h[name] for h in opt.hypers] for name in self._own}
        opt.set_hypers(**self._own)
        try:
            yield
        finally:
            opt.set_hypers(**running)

    def keep(self, name, opt):
        """Remember the hyper-parameter `name` of each parameter group, to be put back when the fit ends."""
        self._own[name] = [h[name] for h in opt.hypers]

    def after_fit(self):
        if not self.learn.lock.locked():  # `validate` in the middle of a fit ends with this event, and holds the lock
            self.learn.opt.set_hypers(**self._own)
            self._running = False
            self._record.trim()

    def release(self, opt):
        """After the fit, also one that an exception ended: give the optimizer back what it had; safe to repeat."""
        if self._own:
            opt.set_hypers(**self._own)
        self._own, self._running = {}, False
        self.run = True  # fastai does that in `after_fit`, which an `lr_find` that was interrupted does not reach
