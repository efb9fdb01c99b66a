"""What a batch costs, counted: function calls, which are the same on every machine. `benchmarks` has the times."""

import sys

import numpy as np
import pytest
from fastai.callback.core import Callback, CancelFitException

from fastai_clr.all import CircularLR, CLRCallback
from helpers import OPTIMIZERS

EVENTS = "before_batch after_pred after_loss before_backward after_backward before_step after_step after_batch".split()


def calls_in_a_batch(learn, schedule_callback, n_epoch=1, at=3, lr=1e-2, start_epoch=0):
    """The functions called for the events of a batch, Python's and C's together: of 10 batches from `at` on, each."""
    counted = []

    class Count(Callback):
        order, run_valid = 100, False

        def after_batch(self):
            if self.learn.epoch * self.n_iter + self.learn.iter < at:
                return
            state = self.learn.__dict__
            sys.setprofile(lambda frame, kind, arg: counted.append(kind) if kind in ("call", "c_call") else None)
            for _ in range(10):
                state["iter"] += 1
                for event in EVENTS:
                    schedule_callback(event)
            sys.setprofile(None)
            raise CancelFitException

    learn.fit(n_epoch, lr, cbs=[schedule_callback, Count()], start_epoch=start_epoch)
    return (len(counted) - 1) / 10  # the last is `setprofile` itself


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_batch_takes_few_calls_whatever_the_number_of_groups(learner, optimizer):
    calls = [
        calls_in_a_batch(
            learner(5, n_groups, OPTIMIZERS[optimizer]), CLRCallback(CircularLR(32, 5, 0.95, 0.85)), lr=lrs
        )
        for n_groups, lrs in ((1, 1e-2), (2, [1e-3, 1e-2]), (30, list(np.geomspace(1e-4, 1e-2, 30))))
    ]
    assert calls[0] == calls[1] == calls[2] <= 34  # fastai's ParamScheduler: 400 to 20,000


def test_a_batch_takes_as_many_calls_late_in_a_long_fit_of_many_cycles(learner):
    few = calls_in_a_batch(learner(5), CLRCallback(CircularLR()), 20)
    late = dict(at=1234, start_epoch=1234 // 5)
    assert calls_in_a_batch(learner(5), CLRCallback(CircularLR(), n_cycles=100), 2000, **late) == few


def test_events_that_a_subclass_or_the_user_added_are_called(learner):
    class Own(CLRCallback):
        def after_pred(self):
            seen.append("after_pred")

    seen, callback = [], Own(CircularLR())
    callback.after_step = lambda: seen.append("after_step")
    learner(2).fit(1, 1e-2, cbs=callback)
    assert seen == ["after_pred", "after_step"] * 2


def test_a_schedule_that_is_switched_off_for_a_while_leaves_the_optimizer_alone(learner):
    class Switch(Callback):
        order = 0

        def before_batch(self):
            callback.run = self.learn.iter != 3

    learn, callback = learner(6), CLRCallback(CircularLR(10, 2))
    learn.fit(1, 1e-2, cbs=[callback, Switch()])
    rates = [float(o) for o in learn.recorder.lrs]
    assert rates[3] == rates[2] and len(learn.sched.lrs) == 5
    assert callback.run
