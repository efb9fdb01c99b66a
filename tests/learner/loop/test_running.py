"""What a fit changes holds while it runs, also around other fits inside it, and nothing of it outlives the fit."""

import copy
import gc
import pickle
import weakref
from itertools import cycle, product

import numpy as np
import pytest
from fastai.callback.core import Callback, CancelFitException, CancelValidException
from fastai.learner import Learner
from fastai.metrics import accuracy

from fastai_clr.all import CircularLR, CLRCallback, Cycles
from forked import run_forked
from helpers import OPTIMIZERS, Probe, make_learner, make_tabular, once

MOMS = (0.95, 0.85)
TRIANGLE = CircularLR(10, 5, *MOMS)


def mse_of_epoch(predictions, targets):
    """Lower after each call."""
    mse_of_epoch.calls -= 1
    return float(mse_of_epoch.calls)


mse_of_epoch.calls = 10**6
FITS = {
    "0.7": lambda learn, cbs=(): learn.fit(1e-2, 1, cycle_len=2, use_clr=(10, 5, *MOMS), wds=0.7, cbs=list(cbs)),
    "fit_clr": lambda learn, cbs=(): learn.fit_clr(2, 1e-2, 10, 5, moms=MOMS, wd=0.7, cbs=list(cbs)),
    "native": lambda learn, cbs=(): learn.fit(2, 1e-2, cbs=[CLRCallback(TRIANGLE), *cbs]),
}


def assert_whole(learn, probe, wd):
    """The optimizer held the schedule's values and the fit's weight decay in all batches, and has its own back."""
    factors, momentums = TRIANGLE.at(np.arange(10), Cycles.of_batches(10))
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
    "lr_find": lambda learn: learn.lr_find(num_it=10, show_plot=False, suggest_funcs=None),
    "suggest_clr": lambda learn: learn.suggest_clr(1),
    "validate": lambda learn: learn.validate(),
}


class Fails(Callback):
    def before_batch(self):
        raise ValueError("no")


def in_turn(*lists):
    """The combinations of the lists' items, each with one of the forms of a fit in turn."""
    return [(*items, form) for items, form in zip(product(*lists), cycle(FITS))]


@pytest.mark.parametrize("inside, form", in_turn(INSIDE))
def test_what_happens_inside_a_fit_does_not_change_it(learner, inside, form):
    learn, held = learner(5, wd=0.01), Held()
    learn.elsewhere = False
    learn.create_opt()
    FITS[form](learn, [once(elsewhere(INSIDE[inside])), held])
    assert_whole(learn, held, 0.01 if form == "native" else 0.7)


def test_a_fit_inside_another_one_is_recorded_as_it_ran(learner):
    records, probe, learn = [], Probe(), learner(5, wd=None)

    def inner(learn):
        learn.fit(1e-5, 1, cycle_len=1, use_clr=(5, 5), cbs=probe)
        records.append(learn.sched)

    FITS["0.7"](learn, [once(inner)])
    assert max(records[0].lrs) == 1e-5 and len(records[0].lrs) == 5
    assert probe.probed_moms == [[0.9]] * 5 and probe.probed_wds == [[0.01]] * 5  # the optimizer's own
    assert max(learn.sched.lrs) == 1e-2 and len(learn.sched.lrs) == 10


def test_start_epoch_is_for_one_fit(learner):
    class Epochs(Callback):
        seen = []

        def before_epoch(self):
            Epochs.seen.append((self.learn.n_epoch, self.learn.epoch))

    learn = learner(5)
    copies = []

    def inside(learn):
        learn.fit(1, 1e-5)
        copies.append(copy.deepcopy(learn))

    learn.fit_clr(3, start_epoch=1, cbs=[once(inside), Epochs()])
    assert [epoch for _, epoch in Epochs.seen] == [1, 0, 2]
    twin = copies[0]
    twin.remove_cbs([cb for cb in twin.cbs if isinstance(cb, (CLRCallback, Epochs))])
    twin.fit(1, 1e-2)
    assert len(twin.sched.lrs) == 5


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_loaded_file_brings_the_optimizers_own_values(learner, optimizer):
    learn = learner(5, opt_func=OPTIMIZERS[optimizer])
    learn.create_opt()
    learn.opt.set_hypers(mom=0.6, wd=0.02)
    learn.save("other")
    learn.opt.set_hypers(mom=0.9, wd=0.01)
    probe = Probe()
    FITS["0.7"](learn, [once(lambda learn: learn.load("other")), probe])
    assert {o for row in probe.probed_wds for o in row} == {0.7}
    assert [(h["mom"], h["wd"]) for h in learn.opt.hypers] == [(0.6, 0.02)]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_file_loaded_when_the_fit_has_ended_brings_the_optimizers_own_values(learner, optimizer):
    class LoadAtTheEnd(Callback):
        order = 60

        def after_fit(self):
            self.learn.load("other")

    learn = learner(5, opt_func=OPTIMIZERS[optimizer])
    learn.create_opt()
    learn.opt.set_hypers(mom=0.6, wd=0.02)
    learn.save("other")
    learn.opt.set_hypers(mom=0.9, wd=0.01)
    FITS["0.7"](learn, [LoadAtTheEnd()])
    assert [(h["mom"], h["wd"]) for h in learn.opt.hypers] == [(0.6, 0.02)]


EVENTS = {  # where a callback may start another fit, and the batches of its fit that are done by then
    "after_epoch": (0, 80), "after_train": (0, 80), "before_epoch": (1, 80), "before_epoch, early": (1, -20),
    "after_epoch, early": (0, -20), "after_batch": (0, 80),
}  # fmt: skip


SOME = ["a fit of fastai's own", "a 0.7-style fit", "lr_find", "a fit that fails"]


@pytest.mark.parametrize("event, inside, form", in_turn(EVENTS, SOME))
def test_a_fit_at_any_event_leaves_the_loop_around_it_where_it_was(learner, event, inside, form):
    learn, held, (epoch, order) = learner(5, wd=0.01), Held(), EVENTS[event]
    other = once(elsewhere(INSIDE[inside]), event.split(",")[0], epoch, order)
    learn.elsewhere = False
    learn.create_opt()
    FITS[form](learn, [other, held])
    assert other.done
    assert_whole(learn, held, 0.01 if form == "native" else 0.7)
    assert learn.sched.cycle_ends == [10]


@pytest.mark.parametrize("inside, order, form", in_turn([*INSIDE, "a resumed fit"], [-20, 80]))
def test_what_happens_in_before_fit_does_not_change_the_fit(learner, inside, order, form):
    act = INSIDE | {"a resumed fit": lambda learn: learn.fit(1e-5, 2, cycle_len=1, start_epoch=1)}
    learn, held = learner(5, wd=0.01), Held()
    other = once(elsewhere(act[inside]), "before_fit", order=order)
    learn.elsewhere = False
    learn.create_opt()
    FITS[form](learn, [other, held])
    assert other.done
    assert_whole(learn, held, 0.01 if form == "native" else 0.7)


@pytest.mark.parametrize("order", [-20, 80])
def test_a_validation_before_the_first_epoch_of_a_resumed_fit(learner, order):
    learn, other = learner(5), once(lambda learn: learn.validate(), "before_epoch", epoch=1, order=order)
    learn.fit(1e-2, 1, cycle_len=2, use_clr=(10, 5), start_epoch=1, cbs=other)
    assert other.done
    factors = CircularLR(10, 5).at(np.arange(5, 10), Cycles.of_batches(10))[0]
    assert learn.sched.lrs.tolist() == (factors * 1e-2).tolist()


@pytest.mark.parametrize("inside, order, form", in_turn(INSIDE, [-20, 60]))
def test_what_happens_in_after_fit_is_inside_the_fit_too(learner, inside, order, form):
    learn, callback = learner(5, wd=0.01), once(INSIDE[inside], "after_fit", epoch=1, order=order)
    FITS[form](learn, [callback])
    assert callback.done and len(learn.sched.lrs) == 10 and max(learn.sched.lrs) == 1e-2
    assert learn.opt.hypers[0]["mom"] == 0.9


@pytest.mark.parametrize("form", FITS)
def test_a_preview_inside_a_fit_is_that_of_a_fit_of_its_own(learner, form):
    found = []

    def look(learn):
        found.append(learn.plot_schedule(1e-3, 1, cycle_len=1, use_clr=(5, 5)).lines[0].get_ydata())
        found.append(learn.plot_schedule(1, 1e-3).lines[0].get_ydata())
        found.append(learn.compare_schedules(1, 1e-3, ["constant"], seeds=1).runs[0].lrs)

    FITS[form](learner(5), [once(look)])
    triangle, flat, run = found
    assert len(triangle) == 5 and max(triangle) == 1e-3 and set(flat) == set(run) == {1e-3}


@pytest.mark.parametrize("optimizer, form", in_turn(OPTIMIZERS))
def test_a_new_optimizer_inside_a_fit_goes_on_with_its_momentum_and_weight_decay(learner, optimizer, form):
    for action in (
        lambda learn: learn.fit(1, 1e-5, reset_opt=True),
        lambda learn: learn.create_opt(),
    ):
        learn, held = learner(5, opt_func=OPTIMIZERS[optimizer]), Held()
        learn.elsewhere = False
        learn.create_opt()
        before = [(h["mom"], h["wd"]) for h in learn.opt.hypers]
        FITS[form](learn, [once(elsewhere(action)), held])
        momentums = TRIANGLE.at(np.arange(10), Cycles.of_batches(10))[1]
        np.testing.assert_array_equal(np.array(held.probed_moms)[:, 0], momentums)
        assert {o for row in held.probed_wds for o in row} == {before[0][1] if form == "native" else 0.7}
        assert [(h["mom"], h["wd"]) for h in learn.opt.hypers] == before


@pytest.mark.parametrize("optimizer, form", in_turn(OPTIMIZERS))
def test_an_export_inside_a_fit_leaves_its_optimizer_alone(tmp_path, optimizer, form):
    learn, _ = make_tabular(tmp_path, opt_func=OPTIMIZERS[optimizer])
    learn.create_opt()
    own, before, probe = learn.opt, [(h["mom"], h["wd"]) for h in learn.opt.hypers], Probe()
    FITS[form](learn, [export := once(lambda learn: learn.remove_cb(export) and learn.export("x.pkl")), probe])
    assert learn.opt is own and [(h["mom"], h["wd"]) for h in own.hypers] == before
    assert {o for row in probe.probed_wds for o in row} == {before[0][1] if form == "native" else 0.7}
    assert (tmp_path / "x.pkl").exists()


@pytest.mark.parametrize("twin_of", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))], ids=["copy", "pickle"])
def test_a_permanent_schedule_runs_in_a_copy_made_during_a_fit(learner, twin_of):
    twins, learn = [], learner(5, wd=0.01, cbs=CLRCallback(TRIANGLE))

    def act(learn):
        learn.remove_cb(keep)
        twins.append(twin_of(learn))

    learn.fit(2, 1e-2, cbs=(keep := once(act)))
    probe = Probe()
    twins[0].opt = None
    twins[0].fit(2, 1e-2, cbs=probe)
    assert_whole(twins[0], probe, 0.01)


@pytest.mark.parametrize("form", FITS)
def test_the_schedule_of_one_fit_has_ended_in_a_copy_made_during_it(learner, form):
    twins, learn = [], learner(5)
    FITS[form](learn, [once(lambda learn: twins.append(copy.deepcopy(learn)))])
    for twin in (copy.deepcopy(copy.deepcopy(twins[0])), twins[0]):
        twin.fit(1, 1e-3)
        assert set(twin.recorder.lrs) == {1e-3}
    FITS[form](twins[0])
    assert max(twins[0].sched.lrs) == 1e-2


def test_looking_and_predicting_is_no_fit(learner):
    learn = learner(5, wd=0.01, cbs=CLRCallback(TRIANGLE, cycle_len=2))
    learn.create_opt()
    with learn:  # as `learn.tta` does
        pass
    probe = Probe()
    learn.fit(2, 1e-2, cbs=probe)
    done = learn.sched
    with learn:
        pass
    assert learn.sched is done
    assert_whole(learn, probe, 0.01)


def test_a_subclass_that_fits_first_does_not_take_what_was_meant_for_the_fit(tmp_path):
    class Careful(Learner):
        def fit(self, *args, **kwargs):
            if not hasattr(self, "found"):
                self.found = True
                super().fit(1, 1e-6)
            return super().fit(*args, **kwargs)

    learn, probe = make_learner(tmp_path, 5), Probe()
    learn.__class__ = Careful
    learn.fit_clr(3, 1e-2, start_epoch=1, moms=MOMS, wd=0.7, cbs=probe)
    assert len(learn.sched.lrs) == 10 and {o for row in probe.probed_wds for o in row} == {0.7}
    assert [(h["mom"], h["wd"]) for h in learn.opt.hypers] == [(0.9, 0.01)]


@pytest.mark.parametrize("form", ["fit_clr", "0.7"])
def test_a_subclass_that_fits_twice_keeps_what_was_meant_for_the_fit_in_both(tmp_path, form):
    class Twice(Learner):
        def fit(self, *args, **kwargs):
            super().fit(*args, **kwargs)
            return super().fit(*args, **kwargs)

    class Both(Probe):
        fits = []

        def after_fit(self):
            self.fits.append(
                (self.probed_wds, self.probed_moms, self.learn.sched.metric_names, list(self.learn.sched.lrs))
            )

    learn = make_learner(tmp_path, 5, metrics=[accuracy], wd=0.01)
    learn.__class__ = Twice
    FITS[form](learn, [Both()])
    factors, momentums = TRIANGLE.at(np.arange(10), Cycles.of_batches(10))
    for wds, moms, names, lrs in Both.fits:
        assert {o for row in wds for o in row} == {0.7} and names == ["accuracy"]
        np.testing.assert_array_equal(np.array(moms)[:, 0], momentums)
        np.testing.assert_array_equal(lrs, factors * 1e-2)
    assert len(Both.fits) == 2 and [(h["mom"], h["wd"]) for h in learn.opt.hypers] == [(0.9, 0.01)]


@pytest.mark.parametrize("form", FITS)
def test_another_plugin_may_pass_any_arguments_through(learner, monkeypatch, form):
    ours = Learner.fit

    def theirs(self, *args, **kwargs):
        return ours(self, *args, **kwargs)

    monkeypatch.setattr(Learner, "fit", theirs)
    learn, probe = learner(5, wd=0.01), Probe()
    FITS[form](learn, [probe])
    assert_whole(learn, probe, 0.01 if form == "native" else 0.7)


def test_a_callback_given_for_one_fit_may_be_given_for_the_next(learner):
    learn, callback = learner(5), CLRCallback(TRIANGLE)
    for _ in range(2):
        learn.fit(2, 1e-2, cbs=callback)
        assert max(learn.sched.lrs) == 1e-2 and len(learn.sched.lrs) == 10 and callback.plan is None
    learn.fit(3, 1e-2, cbs=callback, start_epoch=1)  # fastai's own way to skip epochs
    assert len(learn.sched.lrs) == 10


def test_a_fit_that_fails_keeps_no_rows_that_it_did_not_train(learner):
    learn = learner(5)
    with pytest.raises(ZeroDivisionError):
        learn.fit(1e-2, 1, cycle_len=10**4, use_clr=(10, 5), cbs=once(lambda learn: 1 / 0, "after_step"))
    assert len(pickle.dumps(learn.sched)) < 3000


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
def test_a_plugin_that_copies_the_schedule_of_one_fit_is_told(learner, monkeypatch, copied):
    ours, learn = Learner.fit, learner(5)
    monkeypatch.setattr(Learner, "fit", lambda self, n, cbs, **o: ours(self, n, cbs=[copied(cb) for cb in cbs], **o))
    with pytest.raises(ValueError, match="was for one fit, it schedules no other: give a new CLRCallback"):
        FITS["fit_clr"](learn)
    assert not learn.sched.lrs


def test_a_callback_of_another_learner_is_refused(learner):
    callback = CLRCallback(TRIANGLE)
    one, two = learner(5, cbs=callback), learner(5)
    with pytest.raises(ValueError, match=r"CLRCallback\(.*\) belongs to another Learner: give each its own"):
        two.fit(2, 1e-2, cbs=callback)
    one.fit(2, 1e-2)
    assert max(one.sched.lrs) == 1e-2


def test_a_callback_named_clip_is_no_number_to_clip_at(learner):
    class ClipCallback(Callback):
        pass

    learn = learner(5, cbs=ClipCallback())
    learn.fit(1e-2, 1, cycle_len=1)
    assert len(learn.sched.lrs) == 5


@pytest.mark.parametrize("metrics, saved", [([mse_of_epoch], [1, 3, 5]), ([], [1, 3, 5])])
def test_the_best_epoch_is_one_that_was_validated(learner, monkeypatch, metrics, saved):
    class EverySecond(Callback):
        def before_validate(self):
            if self.learn.epoch % 2 == 0:
                raise CancelValidException

    learn, epochs = learner(5, metrics=metrics), []
    monkeypatch.setattr(type(learn), "save", lambda self, file, **_: epochs.append(self.epoch))
    learn.fit(1e-2, 6, cycle_len=1, best_save_name="best", cbs=EverySecond())
    assert [o for o in epochs if o] == saved


# -- what is left --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [None, CancelFitException, KeyboardInterrupt, lambda: ValueError("no")])
def test_a_used_callback_keeps_no_learner_alive(tmp_path, how):
    learn, callback = make_learner(tmp_path, 5), CLRCallback(TRIANGLE)
    fresh = len(pickle.dumps(CLRCallback(TRIANGLE)))

    def end(learn):
        if how is not None:
            raise how()

    try:
        learn.fit(2, 1e-2, cbs=[callback, once(end)])
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

    learn, cancel, probe = learner(5, wd=0.01), Cancel(), Probe()
    cancel.order = order
    FITS[form](learn, [cancel])
    assert [(h["mom"], h["wd"]) for h in learn.opt.hypers] == [(0.9, 0.01)]
    FITS[form](learn, [probe])
    assert_whole(learn, probe, 0.01 if form == "native" else 0.7)


def test_a_permanent_callback_before_the_first_fit(learner):
    learn = learner(5, wd=0.01, cbs=CLRCallback(TRIANGLE))
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

    learn = learner(5, wd=0.01, cbs=CLRCallback(TRIANGLE))
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
from helpers import once
from test_running import FITS
def interrupt(learn):
    raise KeyboardInterrupt
for name, fit in FITS.items():
    learn = make_learner(sys.argv[2], 5, wd=0.01)
    try:
        fit(learn, [once(interrupt, "before_step")])
    except KeyboardInterrupt:
        print(name, learn.opt.hypers[0]["mom"], learn.opt.hypers[0]["wd"])
"""


@pytest.mark.slow
def test_ctrl_c_where_another_plugin_wrapped_fit_first(tmp_path):
    here = __file__.rpartition("/")[0]
    code = f"import sys; sys.path.insert(0, {here!r})\n{WRAPPED}"
    lines = run_forked(code, here.rpartition("/learner/")[0], tmp_path).splitlines()
    assert lines == [f"{form} 0.9 0.01" for form in FITS]
