"""A callback that has 0.7's events alone: fastai 2 would never call it."""

import re

import numpy as np
import pytest
from fastai.callback.core import Callback, CancelFitException
from fastai.callback.tracker import TrackerCallback

from fastai_clr import CircularLR
from fastai_clr.all import CLRCallback, StopAtCycleEnd
from fastai_clr.learner.calls.arguments import check_events
from fastai_clr.learner.calls.gone07 import EVENTS
from helpers import state_of


class EarlyStopping(Callback):
    """That of the ULMFiT scripts, as it stands."""

    def __init__(self, learner, save_path, enc_path=None, patience=5):
        super().__init__()
        self.learner = learner
        self.save_path = save_path
        self.enc_path = enc_path
        self.patience = patience

    def on_train_begin(self):
        self.best_val_loss = 100
        self.num_epochs_no_improvement = 0

    def on_epoch_end(self, metrics):
        val_loss = metrics[0]
        if val_loss < self.best_val_loss:
            self.best_val_loss = val_loss
            self.num_epochs_no_improvement = 0
            self.learner.save(self.save_path)
        else:
            self.num_epochs_no_improvement += 1
        if self.num_epochs_no_improvement > self.patience:
            print(f"Stopping - no improvement after {self.patience + 1} epochs")
            return True

    def on_train_end(self):
        print(f"Loading best model from {self.save_path}")
        self.learner.load(self.save_path)


class OfFastai1(Callback):
    def on_backward_end(self, **kwargs):
        pass


class OnlyInherits(OfFastai1):
    pass


class Doubled(Callback):
    """Works in both."""

    def on_batch_end(self, loss):
        pass

    def after_batch(self):
        self.on_batch_end(self.learn.loss)


class InheritsAnEvent(TrackerCallback):
    def on_epoch_end(self, metrics):
        pass


class CalledByName(Callback):
    """Passes fastai 2's events on by itself."""

    def __call__(self, event_name):
        if event_name == "after_batch":
            self.on_batch_end(self.learn.loss)

    def on_batch_end(self, loss):
        pass


def function_of_07():
    cb = Callback()
    cb.on_batch_end = print
    return cb


NEVER_CALLED = {
    "EarlyStopping": lambda: EarlyStopping(None, "x"),
    "OfFastai1": OfFastai1,
    "OnlyInherits": OnlyInherits,
    "set on an instance": function_of_07,
}
CALLED = {
    "both": Doubled,
    "inherited": InheritsAnEvent,
    "by __call__": CalledByName,
    "a function": lambda: Callback(after_batch=lambda cb: None),
    "of neither": Callback,
    "ours": lambda: CLRCallback(CircularLR(10, 5)),
    "ours, too": StopAtCycleEnd,
}


@pytest.mark.parametrize("make", NEVER_CALLED.values(), ids=NEVER_CALLED)
def test_a_callback_that_would_never_be_called_is_refused(make):
    with pytest.raises(TypeError, match="would never be called, it has events of fastai 0.7: in fastai 2 write "):
        check_events([Callback(), make()])


@pytest.mark.parametrize("make", CALLED.values(), ids=CALLED)
def test_any_other_callback_is_not(make):
    check_events([make()])


def test_a_learner_whose_model_has_fastai_2s_names_does_not_save_it(learn):
    learn.model.after_batch = print  # fastai's Callback asks the Learner for what it has not, and that its model
    cb = OfFastai1()
    learn.add_cb(cb)
    assert hasattr(cb, "after_batch")
    with pytest.raises(TypeError, match="never be called"):
        check_events(learn.cbs)


def test_the_message_says_the_new_names():
    with pytest.raises(TypeError) as error:
        check_events([EarlyStopping(None, "x")])
    assert re.findall(r"\w+ for \w+", str(error.value)) == [
        "before_fit for on_train_begin", "after_epoch for on_epoch_end", "after_fit for on_train_end"
    ]  # fmt: skip


def test_the_new_names_are_called_in_the_order_of_the_old_ones(learn):
    seen = []
    learn.fit(1, 1e-2, cbs=Callback(**{new: lambda cb, new=new: seen.append(new) for new in EVENTS.values()}))
    assert list(dict.fromkeys(seen)) == list(dict.fromkeys(EVENTS.values()))
    assert seen.count("after_batch") == 20 + 2 and seen[-1] == "after_fit"  # training and validation


def test_as_rewritten_by_the_message_it_stops_the_fit(learn):
    class Rewritten(Callback):
        def before_fit(self):
            self.n = 0

        def after_epoch(self):
            self.n += 1
            if self.n == 2:
                raise CancelFitException

    learn.fit(1e-2, 4, cbs=Rewritten)
    assert len(learn.sched.lrs) == 40


@pytest.mark.parametrize("where", ["cbs", "learner"])
def test_a_comparison_refuses_it_before_it_trains(learn, where):
    cb = OfFastai1()
    if where == "learner":
        learn.add_cb(cb)
    before = state_of(learn)
    with pytest.raises(TypeError, match="OfFastai1 would never be called"):
        learn.compare_schedules(1, 1e-2, ["constant"], seeds=1, cbs=cb if where == "cbs" else None)
    assert state_of(learn) == before


@pytest.mark.parametrize("train", [lambda o: o.fit(1, 1e-2), lambda o: o.fit_one_cycle(1, 1e-2)])
def test_fastais_own_fits_are_left_alone(learn, train):
    learn.add_cb(OfFastai1())
    train(learn)
    assert np.isfinite(learn.sched.losses).all()


OUR_FITS = {
    "fit in 0.7's style": lambda o, cbs: o.fit(1e-2, 1, callbacks=cbs),
    "the same, cbs=": lambda o, cbs: o.fit(1e-2, 1, cycle_len=1, use_clr=(10, 5), cbs=cbs),
    "fit_clr": lambda o, cbs: o.fit_clr(1, 1e-2, cbs=cbs),
    "plot_schedule": lambda o, cbs: o.plot_schedule(1e-2, 1, cycle_len=1, cbs=cbs),
}


@pytest.mark.parametrize("where", ["callbacks", "learner"])
@pytest.mark.parametrize("how", OUR_FITS)
def test_our_fits_refuse_it_before_anything_changes(learn, how, where):
    cb = EarlyStopping(learn, "x")
    if where == "learner":
        learn.add_cb(cb)
    before = state_of(learn)
    with pytest.raises(TypeError, match="EarlyStopping would never be called"):
        OUR_FITS[how](learn, [cb] if where == "callbacks" else None)
    assert state_of(learn) == before
    OUR_FITS[how](learn.remove_cb(cb), [Doubled()])


def test_a_class_is_refused_as_its_instance_is(learn):
    with pytest.raises(TypeError, match="OfFastai1 would never be called"):
        learn.fit(1e-2, 1, callbacks=[Doubled, OfFastai1])
