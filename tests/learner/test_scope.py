"""What a fit changes holds while it runs, also around other fits inside it, and nothing of it outlives the fit."""

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest
from fastai.callback.core import Callback, CancelFitException

from fastai_clr.all import CircularLR, CLRCallback, Cycles
from helpers import OPTIMIZERS, Probe, make_learner, run_code

MOMS = (0.95, 0.85)
TRIANGLE = CircularLR(10, 5, *MOMS)
FITS = {
    "0.7": lambda learn, cbs=(): learn.fit(1e-2, 1, cycle_len=2, use_clr=(10, 5, *MOMS), wds=0.7, cbs=list(cbs)),
    "fit_clr": lambda learn, cbs=(): learn.fit_clr(2, 1e-2, 10, 5, moms=MOMS, wd=0.7, cbs=list(cbs)),
    "native": lambda learn, cbs=(): learn.fit(2, 1e-2, cbs=[CLRCallback(TRIANGLE), *cbs]),
}


def after_first_epoch(action, event="after_epoch"):
    """A callback that calls `action(learn)` once, at the end of the first epoch."""

    class Act(Callback):
        order, run_valid, done = 80, False, False

    def act(self):
        if not self.done:
            self.done = True
            action(self.learn)

    setattr(Act, event, act)
    return Act()


def assert_whole(learn, probe, wd):
    """The optimizer held the schedule's values and the fit's weight decay in all batches, and has its own back."""
    factors, momentums = TRIANGLE.at(np.arange(20), Cycles.of_batches(20))
    np.testing.assert_array_equal(np.array(probe.probed_lrs)[:, 0], factors * 1e-2)
    np.testing.assert_array_equal(np.array(probe.probed_moms)[:, 0], momentums)
    assert {o for row in probe.probed_wds for o in row} == {wd}
    np.testing.assert_array_equal(learn.sched.lrs, factors * 1e-2)
    assert [(h["mom"], h["wd"]) for h in learn.opt.hypers] == [(0.9, 0.01)]


class Held(Probe):
    """A `Probe` that other fits and validations inside the fit do not reset."""

    def before_fit(self):
        if "probed_lrs" not in vars(self):
            super().before_fit()

    def before_step(self):
        if not self.learn.elsewhere:
            super().before_step()


def elsewhere(action):
    def act(learn):
        learn.elsewhere = True
        action(learn)
        learn.elsewhere = False

    return act


def save_and_load(learn):
    learn.save("x")
    learn.load("x")


INSIDE = {
    "save and load": save_and_load,
    "a fit of fastai's own": lambda learn: learn.fit(1, 1e-5),
    "a 0.7-style fit": lambda learn: learn.fit(1e-5, 1, cycle_len=1, use_clr=(5, 5, 0.8, 0.7), wds=0.2),
    "fit_clr": lambda learn: learn.fit_clr(1, 1e-5, moms=(0.8, 0.7), wd=0.2),
    "a fit that fails": lambda learn: pytest.raises(ValueError, learn.fit, 1e-5, 1, wds=0.2, cbs=Fails()),
    "lr_find": lambda learn: learn.lr_find(show_plot=False),
    "suggest_clr": lambda learn: learn.suggest_clr(1),
    "validate": lambda learn: learn.validate(),
}


class Fails(Callback):
    def before_batch(self):
        raise ValueError("no")


@pytest.mark.parametrize("form", FITS)
@pytest.mark.parametrize("inside", INSIDE)
def test_what_happens_inside_a_fit_does_not_change_it(learner, form, inside):
    learn, held = learner(10, wd=0.01), Held()
    learn.elsewhere = False
    learn.create_opt()
    FITS[form](learn, [after_first_epoch(elsewhere(INSIDE[inside])), held])
    assert_whole(learn, held, 0.01 if form == "native" else 0.7)


def test_a_fit_inside_another_one_is_recorded_as_it_ran(learner):
    records, probe, learn = [], Probe(), learner(10, wd=None)

    def inner(learn):
        learn.fit(1e-5, 1, cycle_len=1, use_clr=(5, 5), cbs=probe)
        records.append(learn.sched)

    FITS["0.7"](learn, [after_first_epoch(inner)])
    assert max(records[0].lrs) == 1e-5 and len(records[0].lrs) == 10
    assert probe.probed_moms == [[0.9]] * 10 and probe.probed_wds == [[0.01]] * 10  # the optimizer's own
    assert max(learn.sched.lrs) == 1e-2 and len(learn.sched.lrs) == 20


def test_start_epoch_is_for_one_fit(learner):
    class Epochs(Callback):
        seen = []

        def before_epoch(self):
            Epochs.seen.append((self.learn.n_epoch, self.learn.epoch))

    learn = learner(10)
    copies = []

    def inside(learn):
        learn.fit(1, 1e-5)
        copies.append(copy.deepcopy(learn))

    learn.fit_clr(3, start_epoch=1, cbs=[after_first_epoch(inside), Epochs()])
    assert [epoch for _, epoch in Epochs.seen] == [1, 0, 2]
    twin = copies[0]
    twin.remove_cbs([cb for cb in twin.cbs if isinstance(cb, (CLRCallback, Epochs))])
    twin.fit(1, 1e-2)
    assert len(twin.sched.lrs) == 10


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_loaded_file_brings_the_optimizers_own_values(learner, optimizer):
    learn = learner(10, opt_func=OPTIMIZERS[optimizer])
    learn.create_opt()
    learn.opt.set_hypers(mom=0.6, wd=0.02)
    learn.save("other")
    learn.opt.set_hypers(mom=0.9, wd=0.01)
    probe = Probe()
    FITS["0.7"](learn, [after_first_epoch(lambda learn: learn.load("other")), probe])
    assert {o for row in probe.probed_wds for o in row} == {0.7}
    assert [(h["mom"], h["wd"]) for h in learn.opt.hypers] == [(0.6, 0.02)]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_file_loaded_when_the_fit_has_ended_brings_the_optimizers_own_values(learner, optimizer):
    class LoadAtTheEnd(Callback):
        order = 60

        def after_fit(self):
            self.learn.load("other")

    learn = learner(10, opt_func=OPTIMIZERS[optimizer])
    learn.create_opt()
    learn.opt.set_hypers(mom=0.6, wd=0.02)
    learn.save("other")
    learn.opt.set_hypers(mom=0.9, wd=0.01)
    FITS["0.7"](learn, [LoadAtTheEnd()])
    assert [(h["mom"], h["wd"]) for h in learn.opt.hypers] == [(0.6, 0.02)]


# -- what is left --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [None, CancelFitException, KeyboardInterrupt, lambda: ValueError("no")])
def test_a_used_callback_keeps_no_learner_alive(tmp_path, how):
    learn, callback = make_learner(tmp_path, 10), CLRCallback(TRIANGLE)
    fresh = len(pickle.dumps(CLRCallback(TRIANGLE)))

    def end(learn):
        if how is not None:
            raise how()

    try:
        learn.fit(2, 1e-2, cbs=[callback, after_first_epoch(end)])
    except (KeyboardInterrupt, ValueError):
        pass
    assert len(pickle.dumps(callback)) < fresh + 500
    alive = weakref.ref(learn)
    del learn
    gc.collect()
    assert alive() is None


@pytest.mark.parametrize("form", FITS)
@pytest.mark.parametrize("order", [-20, 54, 56])
def test_a_fit_that_is_cancelled_before_it_begins_ends_quietly(learner, form, order):
    class Cancel(Callback):
        def before_fit(self):
            raise CancelFitException

    learn, cancel, probe = learner(10, wd=0.01), Cancel(), Probe()
    cancel.order = order
    FITS[form](learn, [cancel])
    assert [(h["mom"], h["wd"]) for h in learn.opt.hypers] == [(0.9, 0.01)]
    FITS[form](learn, [probe])
    assert_whole(learn, probe, 0.01 if form == "native" else 0.7)


def test_a_permanent_callback_before_the_first_fit(learner):
    learn = learner(10, wd=0.01, cbs=CLRCallback(TRIANGLE))
    learn.save("init")
    learn.load("init")
    probe = Probe()
    learn.fit(2, 1e-2, cbs=probe)
    assert_whole(learn, probe, 0.01)


def test_a_validation_that_fails_does_not_switch_a_permanent_callback_off(learner):
    class Refuse(Callback):
        order = 80

        def before_fit(self):
            raise ValueError("no validation")

    learn = learner(10, wd=0.01, cbs=CLRCallback(TRIANGLE))
    learn.fit(1, 1e-3)
    with pytest.raises(ValueError, match="no validation"):
        learn.validate(cbs=Refuse())
    probe = Probe()
    learn.fit(2, 1e-2, cbs=probe)
    assert_whole(learn, probe, 0.01)


WRAPPED = """
import sys
from fastai.learner import Learner
own = Learner.fit
def fit(self, *args, **kwargs):
    return own(self, *args, **kwargs)
Learner.fit = fit  # another plugin, imported before ours
sys.path.insert(0, sys.argv[1])
from helpers import make_learner
from test_scope import FITS, after_first_epoch
def interrupt(learn):
    raise KeyboardInterrupt
for name, fit in FITS.items():
    learn = make_learner(sys.argv[2], 10, wd=0.01)
    try:
        fit(learn, [after_first_epoch(interrupt, "before_step")])
    except KeyboardInterrupt:
        print(name, learn.opt.hypers[0]["mom"], learn.opt.hypers[0]["wd"])
"""


def test_ctrl_c_where_another_plugin_wrapped_fit_first(tmp_path):
    here = __file__.rpartition("/")[0]
    code = f"import sys; sys.path.insert(0, {here!r})\n{WRAPPED}"
    lines = run_code(code, here.rpartition("/")[0], tmp_path).splitlines()
    assert lines == [f"{form} 0.9 0.01" for form in FITS]
