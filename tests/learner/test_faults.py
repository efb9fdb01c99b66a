"""Calls and callbacks that once broke a fit, or were half done: each is right now, or refused before anything changes."""

import importlib
from functools import partial
from itertools import cycle
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import torch
from fastai.callback.core import Callback, CancelFitException
from fastai.callback.schedule import ParamScheduler, SchedLin
from fastai.callback.tracker import ReduceLROnPlateau
from fastai.learner import Learner, Metric
from fastai.metrics import accuracy
from fastai.optimizer import OptimWrapper

from fastai_clr.all import CircularLR, CLRCallback, Cycles
from helpers import OPTIMIZERS, Probe, make_learner, run_code, state_of

TRIANGLE = CircularLR(10, 5, 0.95, 0.85)
FITS = {
    "0.7": lambda learn, cbs=(): learn.fit(1e-2, 1, cycle_len=2, use_clr=TRIANGLE, wds=0.7, cbs=list(cbs)),
    "fit_clr": lambda learn, cbs=(): learn.fit_clr(2, 1e-2, 10, 5, moms=(0.95, 0.85), wd=0.7, cbs=list(cbs)),
    "native": lambda learn, cbs=(): learn.fit(2, 1e-2, cbs=[CLRCallback(TRIANGLE), *cbs]),
}


# -- the optimizer changes in the middle of a fit ------------------------------------------------------------------------


def in_batch(n, action):
    class Act(Callback):
        order, run_valid = 0, False

        def before_batch(self):
            if (self.learn.epoch, self.learn.iter) == (0, n):
                action(self.learn)

    return Act()


def add_group(learn):
    extra = torch.nn.Parameter(torch.zeros(1))
    if isinstance(learn.opt, OptimWrapper):
        learn.opt.opt.add_param_group({"params": [extra], "lr": 1e-3})
    else:
        learn.opt.param_lists.append([extra])
        learn.opt.hypers.append(dict(learn.opt.hypers[-1]))


def another_splitter(learn):
    learn.splitter = lambda model: [list(model.parameters())]
    learn.create_opt()


def no_optimizer(learn):
    learn.opt = None


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("form", FITS)
@pytest.mark.parametrize(
    "change, match",
    [
        (add_group, "should keep its 2 parameter groups until the fit ends, but it has 3 now"),
        (another_splitter, "should keep its 2 parameter groups until the fit ends, but it has 1 now"),
        (no_optimizer, "needs the optimizer until the fit ends, but learn.opt is None now"),
    ],
)
def test_other_parameter_groups_are_an_error_at_that_batch(learner, optimizer, form, change, match):
    learn = learner(10, 2, OPTIMIZERS[optimizer])
    learn.create_opt()
    own, before = learn.opt, [(h["mom"], h["wd"]) for h in learn.opt.hypers]
    with pytest.raises(ValueError, match=match):
        FITS[form](learn, [in_batch(3, change)])
    assert len(learn.sched.lrs) == 3
    assert [(h["mom"], h["wd"]) for h in own.hypers][:2] == before


@pytest.mark.parametrize("fit, name", [("native", "mom"), ("0.7", "wd")])
def test_another_optimizer_without_what_the_fit_sets_is_an_error(learner, fit, name):
    def without(learn):
        learn.opt = OptimWrapper(learn.splitter(learn.model), torch.optim.LBFGS)

    learn = learner(10, opt_func=partial(OptimWrapper, opt=torch.optim.AdamW))
    with pytest.raises(ValueError, match=f"this fit sets '{name}' of the optimizer until it ends"):
        FITS[fit](learn, [in_batch(3, without)])
    assert len(learn.sched.lrs) == 3


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_another_optimizer_of_as_many_groups_goes_on_with_the_schedule(learner, optimizer):
    learn, probe = learner(10, 2, OPTIMIZERS[optimizer]), Probe()
    FITS["native"](learn, [in_batch(3, Learner.create_opt), probe])
    factors, momentums = TRIANGLE.at(np.arange(20), Cycles.of_batches(20))
    np.testing.assert_array_equal(np.array(probe.probed_lrs)[:, 0], factors * 1e-2)
    np.testing.assert_array_equal(np.array(probe.probed_moms)[:, 0], momentums)
    assert [h["mom"] for h in learn.opt.hypers] == [0.9, 0.9]


# -- refused before anything changes --------------------------------------------------------------------------------------


def everything(learn):
    return {**state_of(learn), "recorder": [id(o) for o in vars(learn.recorder).values()]}


@pytest.mark.parametrize(
    "cbs, match",
    [
        ([CLRCallback(TRIANGLE), ReduceLROnPlateau()], "would both set"),
        ([ParamScheduler({"lr": SchedLin(0, 1)}), CLRCallback(TRIANGLE)], "would both set"),
        ([CLRCallback(TRIANGLE)] * 2, "is among the callbacks of this fit twice"),
        ([CLRCallback(TRIANGLE, cycle_len=3)], "n_epoch should be at least 3"),
        ([CLRCallback(TRIANGLE, n_cycles=100)], "n_cycles should be at most the number of batches, 40, but given 100"),
        ([CLRCallback(TRIANGLE, best_save_name="no/x")], "best_save_name should be in a folder that exists"),
    ],
)
def test_a_refused_fit_of_fastais_own_changes_nothing(learn, cbs, match):
    learn.fit(1e-3, 1, cycle_len=1, use_clr=(20, 10))
    before = everything(learn)
    with pytest.raises(ValueError, match=match):
        learn.fit(2, 1e-2, wd=0.7, cbs=cbs)
    with pytest.raises(ValueError, match="lr should be greater than 0, but given -1"):
        learn.fit(2, -1, wd=0.7, cbs=CLRCallback(TRIANGLE))
    assert everything(learn) == before


def test_a_callback_that_the_learner_has_and_the_fit_is_given_is_refused(learner):
    callback = CLRCallback(TRIANGLE)
    learn = learner(10, cbs=callback)
    with pytest.raises(ValueError, match="is among the callbacks of this fit twice: give it once"):
        learn.fit(2, 1e-2, cbs=callback)
    learn.fit(2, 1e-2)
    assert len(learn.sched.lrs) == 20


@pytest.mark.parametrize(
    "call, match",
    [
        (lambda o: o.fit(1e-2, 1, crit=1), "fit has no argument 'crit'$"),
        (lambda o: o.fit(1e-2, 1, ignored=1), "fit has no argument 'ignored'$"),
        (lambda o: o.fit(1e-2, 1, cycle_length=1), r"fit has no argument 'cycle_length': did you mean cycle_len\?"),
        (lambda o: o.fit_clr(1, use_clr=(32, 5)), r"use_clr is an argument of 0.7's fit.*fit_clr\(n_epoch, lr, div="),
        (lambda o: o.fit_clr(3, cycle_len=3), r"cycle_len is an argument of 0.7's fit"),
        (lambda o: o.fit_clr(1, cut_dvi=5), r"fit_clr has no argument 'cut_dvi': did you mean cut_div\?"),
        (lambda o: o.fit_clr(1, lr_max=1), r"fit_clr has no argument 'lr_max': did you mean lr\?"),
        (lambda o: o.plot_schedule(1, div=10, cut_dvi=5), r"did you mean cut_div\?"),
        (lambda o: o.sched.plot_lr(save_path="x"), r"plot_lr has no argument 'save_path': .*plt.savefig"),
        (lambda o: o.sched.plot(save_path="x"), r"plot has no argument 'save_path': .*plt.savefig"),
        (lambda o: o.recorder.plot_lr(save_path="x"), r"plot_lr has no argument 'save_path': .*plt.savefig"),
        (
            lambda o: o.sched.plot(0, 85, smoothed=False),
            "plot has no argument 'smoothed': it takes n_skip, n_skip_end, linear, ax$",
        ),
        (
            lambda o: o.sched.plot_loss(smoothed=False),
            "plot_loss has no argument 'smoothed': it takes n_skip, n_skip_end, ax$",
        ),
        (lambda o: o.sched.plot_lr(axes=1), "plot_lr has no argument 'axes': it takes show_moms, show_text, ax, log$"),
        (
            lambda o: o.recorder.plot_lr(n_skip=1),
            "plot_lr has no argument 'n_skip': it takes show_moms, show_text, ax, log$",
        ),
        (lambda o: o.fit(1e-2, 3, use_clr=(32, 5)), r"try learn.fit\(0.01, 1, cycle_len=3, use_clr=\(32, 5\)\)"),
        (lambda o: o.fit(1e-2, 1, use_clr=(32, 5)), r"try learn.fit\(0.01, 1, cycle_len=3, use_clr=\(32, 5\)\)"),
    ],
)
def test_a_slip_is_told_what_to_type(learn, call, match):
    learn.fit(1e-3, 1, cycle_len=1, use_clr=(20, 10))
    with pytest.raises(TypeError, match=match):
        call(learn)


def test_a_callback_named_sched_is_refused_beside_a_schedule_and_left_alone_elsewhere(learn):
    class SchedCallback(Callback):
        pass

    for fit in FITS.values():
        with pytest.raises(
            ValueError, match="SchedCallback would take the place of learn.sched: give its class another"
        ):
            fit(learn, [SchedCallback()])
    learn.add_cb(own := SchedCallback())
    learn.fit(1, 1e-2)
    assert learn.sched is own


@pytest.mark.parametrize("name", [Path("b"), PurePosixPath("b"), "b"])
@pytest.mark.parametrize("argument", ["best_save_name", "cycle_save_name"])
def test_the_name_of_a_file_may_be_a_path(learner, tmp_path, argument, name):
    learner(4).fit(1e-2, 1, cycle_len=1, **{argument: name})
    assert (tmp_path / "models" / {"best_save_name": "b.pth", "cycle_save_name": "b_cyc_0.pth"}[argument]).exists()
    assert getattr(CLRCallback(CircularLR(), **{argument: name}), argument) == "b"


# -- subclasses, other plugins, reloads -----------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FITS)
def test_a_fit_passes_through_a_subclass_once(tmp_path, form):
    class Own(Learner):
        calls = 0

        def fit(self, *args, **kwargs):
            Own.calls += 1
            return super().fit(*args, **kwargs)

    learn = make_learner(tmp_path, 10)
    learn.__class__ = Own
    FITS[form](learn)
    assert Own.calls == 1 and len(learn.sched.lrs) == 20


def test_a_reloaded_callback_class_puts_the_momentum_of_the_old_one_back(learner):
    import fastai_clr.learner.loop.callback as module

    learn, old = learner(10, cbs=CLRCallback(TRIANGLE)), module.CLRCallback
    try:
        importlib.reload(module)
        learn.fit(2, 1e-2)
        with pytest.raises(KeyboardInterrupt):
            learn.fit(2, 1e-2, cbs=in_batch(5, lambda learn: (_ for _ in ()).throw(KeyboardInterrupt)))
    finally:
        module.CLRCallback = old
    assert learn.opt.hypers[0]["mom"] == 0.9


BARE = """
from fastai.learner import *
from fastai.learner import defaults
before = list(defaults.callbacks)
import fastai_clr.all
print(before == list(defaults.callbacks), hasattr(Learner, "fit_clr"))
from fastai.callback.all import *
print(ProgressCallback in defaults.callbacks)
"""


@pytest.mark.slow
def test_importing_the_plugin_adds_no_callback_to_fastais_defaults():
    assert run_code(BARE).split() == ["True", "True", "True"]


# -- records ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FITS)
@pytest.mark.parametrize("order", [-20, 52, 60])
def test_a_fit_cancelled_before_its_first_batch_has_an_empty_record(learner, form, order):
    class Cancel(Callback):
        def before_fit(self):
            raise CancelFitException

    learn, cancel = learner(10), Cancel()
    cancel.order = order
    learn.fit(1e-3, 1, cycle_len=1)
    FITS[form](learn, [cancel])
    assert list(learn.sched.lrs) == [] == learn.sched.val_losses


def test_without_a_recorder(learner):
    learn = learner(10)
    learn.recorder = None
    learn.fit(1e-2, 1, cycle_len=2, use_clr=TRIANGLE, best_save_name="best")
    assert len(learn.sched.lrs) == 20


def named(name):
    def metric(predictions, targets):
        return accuracy(predictions, targets)

    metric.__name__ = name
    return metric


NAMES = [["time"], ["epoch"], ["time", "accuracy", "epoch"], ["accuracy", "accuracy"]]


@pytest.mark.parametrize("names, form", list(zip(NAMES, cycle(FITS))))
def test_metrics_may_have_any_name(learner, names, form):
    learn = learner(10, metrics=[named(name) for name in names])
    FITS[form](learn)
    assert learn.sched.metric_names == names and len(learn.sched.val_losses) == 2
    for values, row in zip(learn.sched.rec_metrics, learn.recorder.values):
        assert (values if len(names) > 1 else [values]) == list(row)[2:]


def test_metrics_of_one_name_are_told_apart_in_a_comparison(learner):
    learn = learner(10, metrics=[named("accuracy"), lambda p, t: 1 - accuracy(p, t)])
    learn.metrics[1].func.__name__ = "accuracy"
    run = learn.compare_schedules(1, 1e-2, ["constant"], seeds=1).runs[0]
    assert run.epochs["accuracy"].iloc[0] == pytest.approx(1 - run.epochs["accuracy 2"].iloc[0])


class Epoch(Metric):
    """Its value is the number of the epoch."""

    name, value = "goodness", None

    def reset(self):
        pass

    def accumulate(self, learn):
        self.value = learn.epoch


@pytest.mark.parametrize("lower", [True, False])
def test_a_user_can_say_which_way_a_metric_is_better(learner, monkeypatch, lower):
    learn, saved, metric = learner(10), [], Epoch()
    metric.lower_is_better = lower
    learn.metrics = [metric]
    monkeypatch.setattr(type(learn), "save", lambda self, file, **_: saved.append(self.epoch))
    learn.fit(1e-2, 3, cycle_len=1, best_save_name="best")
    assert saved == ([0] if lower else [0, 1, 2])
    comparison = learn.compare_schedules(2, 1e-2, ["constant"], seeds=1)
    assert comparison.table["best goodness", "mean"].tolist() == ([0] if lower else [1])
