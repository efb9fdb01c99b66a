import copy
import csv
import importlib
import inspect
import pickle
import re
from functools import partial
from itertools import cycle
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fastai.callback.core import Callback
from fastai.callback.progress import ProgressCallback
from fastai.callback.schedule import ParamScheduler, SchedLin
from fastai.callback.tracker import ReduceLROnPlateau
from fastai.callback.training import GradientClip
from fastai.data.core import DataLoaders
from fastai.learner import AvgMetric, Learner
from fastai.metrics import accuracy, error_rate
from fastai.optimizer import SGD, Adam, OptimWrapper

import fastai_clr.all
from fastai_clr.all import CircularLR, CircularLRBeta, CLRCallback, Constant, CosAnneal, Cycles
from fastai_clr.learner.calls.plot_schedule import plan_of, preview
from forked import run_forked
from helpers import DATA, OPTIMIZERS, WITHOUT_THE_PLUGIN, Probe, assert_same_rates, make_learner, make_tabular, state_of

CLR = dict(cycle_len=2, use_clr=(32, 5))


def rates(schedule, fit, peaks):
    return schedule.at(np.arange(fit.n_batches), fit)[0][:, None] * np.atleast_1d(peaks)


# -- the forms of a call ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fit, schedule, cycles, peaks",
    [
        (lambda o: o.fit(1e-2, 1, cycle_len=3, use_clr=(32, 5)), CircularLR(32, 5), Cycles(1, 3, n_iter=10), [1e-2] * 3),
        (lambda o: o.fit(1e-2, 1, 3, use_clr=(32, 5)), CircularLR(32, 5), Cycles(1, 3, n_iter=10), [1e-2] * 3),
        (lambda o: o.fit(lr=1e-2, n=1, **CLR), CircularLR(32, 5), Cycles(1, 2, n_iter=10), [1e-2] * 3),
        (lambda o: o.fit(lrs=[1e-2], n_cycle=2, **CLR), CircularLR(32, 5), Cycles(2, 2, n_iter=10), [1e-2] * 3),
        (lambda o: o.fit(2, 1, **CLR), CircularLR(32, 5), Cycles(1, 2, n_iter=10), [2] * 3),
        (lambda o: o.fit([1e-4, 1e-3, 1e-2], 1, **CLR), CircularLR(32, 5), Cycles(1, 2, n_iter=10), [1e-4, 1e-3, 1e-2]),
        (lambda o: o.fit(np.array([1e-4, 1e-3, 1e-2]), 1, **CLR), CircularLR(32, 5), Cycles(1, 2, n_iter=10), [1e-4, 1e-3, 1e-2]),
        (lambda o: o.fit(torch.tensor([0.25, 0.5, 1]), 1, **CLR), CircularLR(32, 5), Cycles(1, 2, n_iter=10), [0.25, 0.5, 1]),
        (lambda o: o.fit(slice(1e-4, 1e-2), 1, **CLR), CircularLR(32, 5), Cycles(1, 2, n_iter=10), [1e-4, 1e-3, 1e-2]),
        (lambda o: o.fit(slice(1e-2), 1, **CLR), CircularLR(32, 5), Cycles(1, 2, n_iter=10), [1e-3, 1e-3, 1e-2]),
        (lambda o: o.fit(1e-2, 2, cycle_len=1, cycle_mult=2, use_clr=(10, 10)), CircularLR(), Cycles(2, 1, 2, 10), [1e-2] * 3),
        (lambda o: o.fit(1e-2, 1, cycle_len=0.35, use_clr=(10, 4)), CircularLR(10, 4), Cycles(1, 4), [1e-2] * 3),
        (lambda o: o.fit(1e-2, 1, cycle_len=2, use_clr_beta=(10, 20)), CircularLRBeta(10, 20), Cycles(1, 20), [1e-2] * 3),
        (lambda o: o.fit(1e-2, 1, cycle_len=2, use_clr=CosAnneal()), CosAnneal(), Cycles(1, 20), [1e-2] * 3),
        (lambda o: o.fit(1e-2, 3, cycle_len=1, cycle_mult=2), CosAnneal(), Cycles(3, 1, 2, n_iter=10), [1e-2] * 3),
        (lambda o: o.fit(1e-2, 2), Constant(), Cycles(2, 10), [1e-2] * 3),
        (lambda o: o.fit(1e-2, 2, cycle_mult=2), Constant(), Cycles(1, 30), [1e-2] * 3),
        (lambda o: o.fit_clr(3), CircularLR(10, 10), Cycles(1, 30), [1e-3] * 3),
        (lambda o: o.fit_clr(3, 1e-2, div=32, cut_div=5), CircularLR(32, 5), Cycles(1, 30), [1e-2] * 3),
        (lambda o: o.fit_clr(3, slice(1e-4, 1e-2), n_cycles=2), CircularLR(), Cycles(2, 15), [1e-4, 1e-3, 1e-2]),
        (lambda o: o.fit_clr(1, [1e-4, 1e-3, 1e-2]), CircularLR(), Cycles(1, 10), [1e-4, 1e-3, 1e-2]),
        (lambda o: o.fit(2, 1e-2, cbs=CLRCallback(CircularLR(32, 5))), CircularLR(32, 5), Cycles(1, 20), [1e-2] * 3),
    ],
)  # fmt: skip
def test_every_form_of_a_call_trains_what_it_says(learner, fit, schedule, cycles, peaks):
    learn, probe = learner(10, 3), Probe()
    learn.add_cb(probe)
    assert fit(learn) is None
    assert_same_rates(probe.probed_lrs, rates(schedule, cycles, peaks), peaks)
    np.testing.assert_array_equal(learn.sched.all_lrs, probe.probed_lrs)


# names that the calls of 2018 use: where they were read from a command line or a notebook's variables
OLD_CALLBACK = type(
    "OldCallback", (), {"__init__": lambda self, *_, **__: None, "on_batch_end": lambda self, loss: None}
)
NAMES = dict(
    lr=1e-2, λr=1e-2, lrs=np.array([1e-4, 1e-3, 1e-2]), lr_list=[1e-4, 1e-3, 1e-2], wd=1e-4, wds=1e-4, weight_decay=1e-4, cl=2,
    cycle_len=2, cycle_mult=2, cycle_count=2, num_cycles=2, n_cycles=1, num_eps=2, epochs=2, n=1, use_wd_sched=True, uwds=True,
    norm_wds=True, wds_sched_mult=len, use_clr=True, clr=(20, 10), clip=0.25, callbacks=[], metrics=[accuracy],
    accuracy=accuracy, accuracy_np=accuracy, accuracytop3=accuracy, exp_rmspe=accuracy, RMSE=accuracy, macro=error_rate,
    args=SimpleNamespace(lr=1e-2, epochs=1, cycle_len=2, weight_decay=1e-4, use_clr=(20, 10, 0.95, 0.85), loss_scale=512),
    sargs={}, train_sampler=[0], reg_fn=len, stepper=object, Seq2SeqStepper=object, LoggingCallback=OLD_CALLBACK,
    visc=OLD_CALLBACK(), tb_logger=OLD_CALLBACK(), StopAtVal=OLD_CALLBACK, SaveBestValAcc=OLD_CALLBACK, learn=None,
    pickle_path="p", save="s", cycle_save_name=None, best_model_path="best", metric_list=[], only_validation=False,
    training=SimpleNamespace(wds=0), cycle=SimpleNamespace(len=1, mult=1), open=lambda *_: object(), training_log_file="f",
)  # fmt: skip
REFUSED = {  # which argument is refused, by what the call holds; any other call has to run
    "sampler=train_sampler": "sampler has no counterpart", "train_sampler=": "train_sampler has no counterpart",
    "reg_fn=": "reg_fn has no counterpart", "stepper=": "stepper has no counterpart", "loss_scale=": "loss_scale has no counterpart",
    "stepper_fn=": "stepper_fn has no counterpart", "norm_wds=": "norm_wds has no counterpart",
    "use_clr1=": "'use_clr1': did you mean use_clr", "particle=": "particle has no counterpart",
    "fit(12, 0.2": r"n_cycle .* try learn.fit\(0.2, 12, cycle_len=3\)", "get_ep_vals=": "get_ep_vals has no counterpart",
    "[LoggingCallback": "fastai 2 callbacks", "[visc]": "fastai 2 callbacks", "[tb_logger]": "fastai 2 callbacks",
    "[StopAtVal": "fastai 2 callbacks", "[SaveBestValAcc": "fastai 2 callbacks",
}  # fmt: skip
FIT_CALLS = [
    row[1] for row in csv.reader((DATA / "fit_calls_2018.tsv").open(), delimiter="\t", quoting=csv.QUOTE_NONE)
][1:]


def why_refused(call):
    return next((why for mark, why in REFUSED.items() if mark in call), None)


REFUSED_CALLS = [call for call in FIT_CALLS if why_refused(call)]
OTHER_CALLS = [call for call in FIT_CALLS if not why_refused(call)]


def test_how_many_of_the_calls_of_2018_run():
    assert (len(FIT_CALLS), len(REFUSED_CALLS)) == (192, 30)


def arguments_of(call):
    names = {**NAMES, "given": lambda *args, **kwargs: (args, kwargs)}
    return eval("given" + call[call.index(".fit(") + 4 :], names)


@pytest.mark.parametrize("call", REFUSED_CALLS)
def test_the_calls_of_2018_that_are_refused(learner, call):
    learn, (args, kwargs) = learner(4, 3), arguments_of(call)
    before = state_of(learn)
    with pytest.raises(TypeError, match=why_refused(call)):
        learn.fit(*args, **kwargs)
    assert state_of(learn) == before


@pytest.mark.slow
@pytest.mark.parametrize("call", OTHER_CALLS)
def test_the_calls_of_2018_mean_as_many_batches_and_no_higher_rate(learner, call):
    """The plan decides both, and the checks are its own; every thirteenth call is trained as well."""
    learn, (args, kwargs) = learner(4, 3, bs=2, n_valid=2), arguments_of(call)
    sched = preview(plan_of(learn, args, kwargs))
    if OTHER_CALLS.index(call) % 13 == 0:
        learn.fit(*args, **kwargs)
        np.testing.assert_array_equal(learn.sched.all_lrs, sched.all_lrs)
    n_cycle = kwargs["n_cycle"] if "n_cycle" in kwargs else args[len(args) > 1]
    cycle_len, mult = kwargs.get("cycle_len") or 1, kwargs.get("cycle_mult", 1)
    epochs = sum(cycle_len * mult**k for k in range(n_cycle))
    assert len(sched.lrs) == max(int(epochs * 4 + 0.5), n_cycle)
    assert max(sched.lrs) <= np.max(kwargs.get("lrs", args and args[0]))


# -- refused calls ------------------------------------------------------------------------------------------------------


class NoLength(torch.utils.data.IterableDataset):
    def __iter__(self):
        return iter([(torch.zeros(64), torch.tensor(0))] * 8)


def without_length(learn):
    learn.dls = DataLoaders(torch.utils.data.DataLoader(NoLength()), learn.dls.valid)


def without_batches(learn):
    learn.dls = DataLoaders(learn.dls.train.new(bs=999, drop_last=True), learn.dls.valid)


def without_weight_decay(learn):
    learn.opt_func, learn.opt = partial(OptimWrapper, opt=torch.optim.Rprop), None


def with_sgd(learn):
    learn.opt_func, learn.opt = partial(OptimWrapper, opt=torch.optim.SGD), None


nan, inf = float("nan"), float("inf")
BAD_CALLS = [
    (lambda o: o.fit(-1e-2, 1, **CLR), ValueError, r"lrs should be greater than 0, but given -0.01"),
    (lambda o: o.fit(0.0, 1, **CLR), ValueError, r"lrs should be greater than 0, but given 0.0"),
    (lambda o: o.fit(nan, 1, **CLR), ValueError, r"lrs should be finite, but given nan"),
    (lambda o: o.fit([1e-2, inf, 1e-2], 1, **CLR), ValueError, r"lrs\[1\] should be finite, but given inf"),
    (lambda o: o.fit("1e-2", 1, **CLR), TypeError, r"lrs should be a number, but given '1e-2'"),
    (lambda o: o.fit([1e-2, "a", 1], 1, **CLR), TypeError, r"lrs\[1\] should be a number, but given 'a'"),
    (lambda o: o.fit([[1e-2]], 1, **CLR), TypeError, r"lrs\[0\] should be a number"),
    (lambda o: o.fit([1e-3, 1e-2], 1, **CLR), ValueError, r"lrs should have 1 value or 3, one for each .*but given 2"),
    (lambda o: o.fit([], 1, **CLR), ValueError, r"lrs should have 1 value .*but given 0"),
    (lambda o: o.fit(slice(None), 1, **CLR), TypeError, r"the stop of lrs should be a number, but given None"),
    (lambda o: o.fit(slice(-1, 1e-2), 1, **CLR), ValueError, r"the start of lrs should be greater than 0, but given -1"),
    (lambda o: o.fit(slice(1e-4, 1e-2, 2), 1, **CLR), TypeError, r"lrs should be a number, but given slice"),
    (lambda o: o.fit({1e-2: 1}, 1, **CLR), TypeError, r"lrs should be a number, but given \{"),
    (lambda o: o.fit(1e-2, 1, cycle_mult=0, **CLR), ValueError, r"cycle_mult should be greater than 0, but given 0"),
    (lambda o: o.fit(1e-2, 1, cycle_mult=nan, **CLR), ValueError, r"cycle_mult should be finite, but given nan"),
    (lambda o: o.fit(1e-2, 1, wds=-1, **CLR), ValueError, r"wds should be at least 0, but given -1"),
    (lambda o: o.fit(1e-2, 1, wds=[0, 1], **CLR), ValueError, r"wds should have 1 value or 3, one for each"),
    (lambda o: o.fit(1e-2, 1, wds=slice(0, 1), **CLR), TypeError, r"wds should be a number, but given slice"),
    (lambda o: o.fit(1e-2, 1, wds="a", **CLR), TypeError, r"wds should be a number, but given 'a'"),
    (lambda o: o.fit(1e-2, 1, wds=inf, **CLR), ValueError, r"wds should be finite, but given inf"),
    (lambda o: o.fit(1e-2, 1, clip=-1, **CLR), ValueError, r"clip should be at least 0, but given -1"),
    (lambda o: o.fit(1e-2, 1, clip="a", **CLR), TypeError, r"clip should be a number, but given 'a'"),
    (lambda o: o.fit(1e-2, 1, start_epoch=-1, **CLR), ValueError, r"start_epoch should be at least 0, but given -1"),
    (lambda o: o.fit(1e-2, 1, start_epoch=0.5, **CLR), TypeError, r"start_epoch should be an integer, but given 0.5"),
    (lambda o: o.fit(1e-2, 1, reset_opt="no", **CLR), TypeError, r"reset_opt should be True or False, but given 'no'"),
    (lambda o: o.fit(1e-2, 1, use_wd_sched=2, **CLR), TypeError, r"use_wd_sched should be True or False, but given 2"),
    (lambda o: o.fit(1e-2, 1, metrics=["accuracy"], **CLR), TypeError, r"metrics should be functions .* given 'accuracy'"),
    (lambda o: o.fit(1e-2, 1, callbacks=[print], **CLR), TypeError, r"callbacks should be fastai 2 callbacks.* given <built-in"),
    (lambda o: o.fit(1e-2, 1, callbacks=OLD_CALLBACK(), **CLR), TypeError, r"0.7's on_batch_end is after_batch"),
    (lambda o: o.fit(3e-2, 1, cbs=ReduceLROnPlateau, **CLR), ValueError, r"would both set"),
    (lambda o: o.fit(3e-2, 1, cbs=[Probe, ParamScheduler], **CLR), TypeError, r"missing 1 required positional argument"),
    (lambda o: o.fit(b"a", 1, **CLR), TypeError, r"lrs should be a number, but given b'a'"),
    (lambda o: o.fit(1e-2, 1, cbs=int, **CLR), TypeError, r"callbacks should be fastai 2 callbacks"),
    (lambda o: o.fit(1e-2, 1, cycle_save_name=1, **CLR), TypeError, r"cycle_save_name should be the name of a file, but given 1"),
    (lambda o: o.fit(1e-2, 1, best_save_name=[], **CLR), TypeError, r"best_save_name should be the name of a file"),
    (lambda o: o.fit(1e-2, 1, cycle_save_name="no/x", **CLR), ValueError, r"cycle_save_name should be in a folder that exists, .*'no/x'"),
    (lambda o: o.fit(1e-2, 1, best_save_name="no/x", **CLR), ValueError, r"best_save_name should be in a folder that exists"),
    (lambda o: o.fit(1e-2, 1, start_epoch=2, **CLR), ValueError, r"start_epoch should be less than 2, but given 2"),
    (lambda o: o.fit_clr(1, start_epoch=1), ValueError, r"start_epoch should be less than 1, but given 1"),
    (lambda o: o.fit(1e-2, 100, cycle_mult=9, **CLR), ValueError, r"should give a fit that can end"),
    (lambda o: o.fit(12, 0.2, cycle_len=3), TypeError, r"try learn.fit\(0.2, 12, cycle_len=3\)"),
    (lambda o: o.fit(3, 1e-2, use_clr=(32, 5)), TypeError, r"try learn.fit_clr\(3, 0.01, div=32, cut_div=5\)"),
    (lambda o: o.fit(3, 1e-2, use_crl=(32, 5)), TypeError, r"fit has no argument 'use_crl': did you mean use_clr\?"),
    (lambda o: o.fit(3, lr_max=1e-2), TypeError, r"fit has no argument 'lr_max': did you mean lr\?"),
    (lambda o: o.fit(3, 1e-2, reset_op=True), TypeError, r"did you mean reset_opt\?"),
    (lambda o: o.fit_clr(0), ValueError, r"n_epoch should be at least 1, but given 0"),
    (lambda o: o.fit_clr(1e-2, 3), TypeError, r"n_epoch should be an integer, but given 0.01"),
    (lambda o: o.fit_clr(1, -1), ValueError, r"lr should be greater than 0, but given -1"),
    (lambda o: o.fit_clr(1, [1, 2]), ValueError, r"lr should have 1 value"),
    (lambda o: o.fit_clr(1, wd=-1), ValueError, r"wd should be at least 0, but given -1"),
    (lambda o: o.fit_clr(1, div=0), ValueError, r"div should be at least 1, but given 0"),
    (lambda o: o.fit_clr(1, cut_div="a"), TypeError, r"cut_div should be a number, but given 'a'"),
    (lambda o: o.fit_clr(1, n_cycles=21), ValueError, r"n_cycles should be at most the number of batches, 20, but given 21"),
    (lambda o: o.fit_clr(1, n_cycles=0), ValueError, r"n_cycles should be at least 1, but given 0"),
    (lambda o: o.fit_clr(1, moms=0.9), TypeError, r"moms should be a pair.*but given 0.9"),
    (lambda o: o.fit_clr(1, moms=(0.95, 0.85, 0.95)), ValueError, r"moms should be a pair"),
    (lambda o: o.fit_clr(1, moms=(0.95, 1)), ValueError, r"mom_b should be less than 1, but given 1"),
    (lambda o: o.fit_clr(1, cbs=[print]), TypeError, r"callbacks should be fastai 2 callbacks"),
    (lambda o: setattr(o, "reg_fn", len) or o.fit(1e-2, 1), TypeError, r"reg_fn has no counterpart.*RNNRegularizer"),
    (lambda o: setattr(o, "clip", -1) or o.fit(1e-2, 1), ValueError, r"clip should be at least 0, but given -1"),
    (lambda o: without_length(o) or o.fit(1e-2, 1, **CLR), TypeError, r"data loader should have a length"),
    (lambda o: without_length(o) or o.fit_clr(1), TypeError, r"data loader should have a length"),
    (lambda o: without_batches(o) or o.fit(1e-2, 1, **CLR), ValueError, r"data loader should have at least 1 batch, but given 0"),
    (lambda o: without_weight_decay(o) or o.fit(1e-2, 1, wds=0.1), ValueError, r"wds=0.1 needs an optimizer with weight decay, but this one has none"),
    (lambda o: o.fit(1e-2, 1, metrics=[accuracy, AvgMetric], **CLR), TypeError, r"func"),  # a class that needs arguments
    (lambda o: with_sgd(o) or o.fit(1e-2, 1, use_wd_sched=True, **CLR), TypeError, r"use_wd_sched=True needs an optimizer"),
    (lambda o: with_sgd(o) or o.fit(1e-2, 1, cycle_len=1, use_clr=(10, 10, 0.9, 0.8)), ValueError, r"has none to cycle"),
]  # fmt: skip


@pytest.mark.parametrize(
    "call, error, match, trained", [(*o, trained) for o, trained in zip(BAD_CALLS, cycle([True, False]))]
)
def test_a_refused_call_changes_nothing(learn, call, error, match, trained, tmp_path):
    if trained:
        learn.fit(1e-3, 1, cycle_len=0.1, use_clr=(20, 10))
    before = state_of(learn)
    with pytest.raises(error, match=match):
        call(learn)
    after = state_of(learn)
    own = {"reg_fn", "clip"} & set(learn.__dict__)  # what the call of the table itself set
    after["attributes"] = [o for o in after["attributes"] if o not in own]
    if learn.opt is None and before["opt"] != id(None):  # with_sgd took the optimizer away
        after.update(opt=before["opt"], hypers=before["hypers"])
    assert after == before
    assert not (tmp_path / "models").exists()


def test_a_refused_call_keeps_no_optimizer_it_made_for_a_check(learn):
    with pytest.raises(ValueError, match="but given 2"):
        learn.fit([1e-3, 1e-2], 1, **CLR)
    assert learn.opt is None
    learn.fit(1e-3, 1, **CLR)
    own = learn.opt
    with pytest.raises(ValueError, match="but given 2"):
        learn.fit([1e-3, 1e-2], 1, reset_opt=True, **CLR)
    assert learn.opt is own


# -- what a call means for this fit alone -------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(
    "learner_wd, arguments, expected",
    [
        (None, {}, "default"),
        (0.3, {}, [0.3, 0.3]),
        (0.3, dict(wds=0.5), [0.5, 0.5]),
        (None, dict(wds=[0.1, 0.2]), [0.1, 0.2]),
        (0.3, dict(wds=np.array([0.1, 0.2])), [0.1, 0.2]),
        (None, dict(wds=0), [0, 0]),
    ],
)
def test_weight_decay_is_for_one_fit(learner, optimizer, learner_wd, arguments, expected):
    learn, probe = learner(2, 2, OPTIMIZERS[optimizer], wd=learner_wd), Probe()
    learn.create_opt()
    default = [h["wd"] for h in learn.opt.hypers]
    learn.fit(1e-2, 1, wds=0.7)
    learn.fit(1e-2, 1, cbs=probe, **arguments)
    assert probe.probed_wds == [default if expected == "default" else expected] * 2
    assert [h["wd"] for h in learn.opt.hypers] == default


@pytest.mark.parametrize(
    "optimizer, decoupled", [("fastai SGD", True), ("fastai Adam", True), ("torch SGD", False), ("torch AdamW", True)]
)
def test_use_wd_sched_where_weight_decay_is_decoupled(learner, optimizer, decoupled):
    learn = learner(2, opt_func=OPTIMIZERS[optimizer])
    if decoupled:
        learn.fit(1e-2, 1, cycle_len=1, wds=0.1, use_wd_sched=True)
        assert len(learn.sched.lrs) == 2
    else:
        with pytest.raises(TypeError, match="use_wd_sched=True needs an optimizer that decouples"):
            learn.fit(1e-2, 1, cycle_len=1, wds=0.1, use_wd_sched=True)


@pytest.mark.parametrize("opt_func", [partial(SGD, decouple_wd=False), partial(Adam, decouple_wd=False)])
def test_use_wd_sched_is_refused_where_fastai_adds_l2(learner, opt_func):
    with pytest.raises(TypeError, match="use_wd_sched=True needs an optimizer that decouples"):
        learner(2, opt_func=opt_func).fit(1e-2, 1, cycle_len=1, wds=0.1, use_wd_sched=True)


def test_metrics_are_for_one_fit(learn):
    own = learn.metrics[0]
    learn.fit(1e-2, 1, metrics=[error_rate, accuracy])
    assert [*learn.recorder.metric_names] == ["epoch", "train_loss", "valid_loss", "error_rate", "accuracy", "time"]
    assert list(learn.metrics) == [own]
    learn.fit(1e-2, 1, metrics=error_rate)
    assert [*learn.recorder.metric_names][3:] == ["error_rate", "time"]
    learn.fit(1e-2, 1)
    assert [*learn.recorder.metric_names][3:] == ["accuracy", "time"]


class Norms(Callback):
    order = GradientClip.order + 1

    def before_fit(self):
        self.gradient_norms = []

    def before_step(self):
        self.gradient_norms.append(float(torch.stack([p.grad.norm() for p in self.learn.model.parameters()]).norm()))


@pytest.mark.parametrize(
    "arguments, own_clip, clipped",
    [({}, None, False), (dict(clip=0.01), None, True), ({}, 0.01, True), (dict(clip=0), 0.01, False)],
)
def test_clip_clips_gradients_in_one_fit(learn, arguments, own_clip, clipped):
    norms = Norms()
    if own_clip is not None:
        learn.clip = own_clip
    learn.fit(1e-2, 1, cycle_len=1, use_clr=(10, 10), cbs=norms, **arguments)
    assert (max(norms.gradient_norms) <= 0.0101) is clipped
    assert not hasattr(learn, "gradient_clip")


def test_fit_clr_clips_too_and_the_users_own_clipper_stays(learn):
    norms, own = Norms(), GradientClip(1.0)
    learn.clip = 0.01
    learn.add_cb(own)
    learn.fit_clr(1, cbs=norms)
    assert max(norms.gradient_norms) <= 0.0101
    assert learn.gradient_clip is own and own in learn.cbs


def test_metrics_that_a_callback_sets_stay(learn):
    class SetMetrics(Callback):
        def after_fit(self):
            self.learn.metrics = [error_rate]

    learn.fit(1e-2, 1, cbs=SetMetrics())
    assert [m.name for m in learn.metrics] == ["error_rate"]


def test_the_rate_of_the_opt_func_is_the_learners_from_the_first_fit_on(learner):
    learn = learner(5, opt_func=partial(Adam, lr=5e-3))
    for _ in range(2):
        learn.fit_clr(1)
        assert max(learn.sched.lrs) == 5e-3


def test_reset_opt_makes_a_new_optimizer_and_nothing_else_does(learn):
    learn.fit(1e-2, 1, **CLR)
    own = learn.opt
    learn.fit(1e-2, 1, **CLR)
    assert learn.opt is own
    learn.fit(1e-2, 1, reset_opt=True, **CLR)
    assert learn.opt is not own
    own = learn.opt
    learn.fit_clr(1, reset_opt=True)
    assert learn.opt is not own


def test_an_optimizer_that_the_user_built_is_used(learner):
    learn = learner(4)
    built = OptimWrapper(opt=torch.optim.Adam(learn.model.parameters(), lr=0.1))
    learn.opt_func = built
    learn.fit(1e-2, 1, **CLR)
    assert learn.opt is built and max(learn.sched.lrs) == 1e-2


@pytest.mark.parametrize(
    "fit, progress",
    [
        (lambda o, **k: o.fit(1e-2, 1, cycle_len=4, use_clr=(20, 5, 0.95, 0.85), **k), False),
        (lambda o, **k: o.fit_clr(4, 1e-2, 20, 5, moms=(0.95, 0.85), **k), True),
    ],
)
def test_start_epoch_leaves_the_earlier_epochs_out(learn, fit, progress, capsys):
    class Epochs(Callback):
        seen = []

        def after_epoch(self):
            self.seen.append(self.learn.epoch)

    Epochs.seen, whole, rest = [], Probe(), Probe()
    fit(learn, cbs=whole)
    if progress:
        learn.add_cb(ProgressCallback())
    fit(learn, cbs=[rest, Epochs()], start_epoch=2)
    assert rest.probed_lrs == whole.probed_lrs[40:] and rest.probed_moms == whole.probed_moms[40:]
    assert Epochs.seen == [2, 3]
    with pytest.raises(ValueError, match="start_epoch should be less than 4, but given 4"):
        fit(learn, start_epoch=4)


def test_nobodys_lists_change(learn):
    lrs, wds, cbs, metrics = [1e-4, 1e-3, 1e-2], [0, 0, 0.1], [Probe()], [accuracy]
    copies = [list(o) for o in (lrs, wds, cbs, metrics)]
    learn.fit(lrs, 1, wds=wds, callbacks=cbs, metrics=metrics, clip=1, **CLR)
    learn.fit_clr(1, lrs, wd=wds, cbs=cbs)
    assert [lrs, wds, cbs, metrics] == copies


# -- fastai's own calls -------------------------------------------------------------------------------------------------

NATIVE = """
import sys, hashlib, warnings
from pathlib import Path
warnings.simplefilter("ignore")
with_plugin, path = sys.argv[1] == "with", Path(sys.argv[2])
import torch
from fastai.vision.all import *
if with_plugin:
    from fastai_clr.all import *
assert hasattr(Learner, "fit_clr") is with_plugin
from sklearn.datasets import load_digits
torch.set_num_threads(1)
digits = load_digits()
items = list(zip(torch.tensor(digits.data, dtype=torch.float32) / 16, torch.tensor(digits.target)))
def learner():
    set_seed(3, reproducible=True)
    dls = DataLoaders(DataLoader(items[:300], bs=16, shuffle=True), DataLoader(items[300:400], bs=64))
    model = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.BatchNorm1d(16), nn.Linear(16, 10))
    learn = Learner(dls, model, loss_func=CrossEntropyLossFlat(), metrics=accuracy, path=path,
                    splitter=lambda m: [params(m[:2]), params(m[2:])])
    learn.remove_cb(ProgressCallback); learn.logger = noop
    return learn
fits = dict(
    fit=lambda o: o.fit(2, 1e-2), positional=lambda o: o.fit(2, slice(1e-3, 1e-2), 0.1, None, True, 0),
    named=lambda o: o.fit(n_epoch=3, lr=[1e-3, 1e-2], start_epoch=1), one_cycle=lambda o: o.fit_one_cycle(2, 1e-2),
    flat_cos=lambda o: o.fit_flat_cos(2, 1e-2), sgdr=lambda o: o.fit_sgdr(2, 1), fine_tune=lambda o: o.fine_tune(1),
    lr_find=lambda o: print(o.lr_find(show_plot=False)),
)
for name, fit in fits.items():
    o = learner()
    fit(o)
    weights = b"".join(p.cpu().numpy().tobytes() for p in o.model.state_dict().values())
    hypers = [dict(h) for h in o.opt.hypers]
    print(name, hashlib.sha256(weights).hexdigest(), hypers, o.recorder.lrs[-1], o.recorder.values, [type(c).__name__ for c in o.cbs])
"""


@pytest.mark.slow
def test_fastais_own_fits_train_bit_for_bit_as_without_the_plugin(tmp_path):
    outputs = [run_forked(NATIVE, which, tmp_path) for which in ("with", "without")]
    assert len(re.findall("[0-9a-f]{64}", outputs[0])) == 8
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize("call", ["fit_one_cycle", "fit_flat_cos"])
def test_a_slip_in_a_call_of_fastais_own_gets_fastais_own_words(learn, call):
    with pytest.raises(TypeError, match="'float' object cannot be interpreted as an integer"):
        getattr(learn, call)(5e-2, 1)


def test_fastais_own_fit_gets_its_own_arguments(learn, monkeypatch):
    given = []
    monkeypatch.setattr("fastai_clr.learner.calls.fit.native_fit", lambda *args, **kwargs: given.append((args, kwargs)))
    cbs = [Probe()]
    learn.fit(2, 1e-2, 0.1, cbs, reset_opt=True)
    learn.fit(n_epoch=2)
    assert given == [((learn, 2, 1e-2, 0.1, cbs), dict(reset_opt=True)), ((learn,), dict(n_epoch=2))]


@pytest.mark.parametrize(
    "fit, momentums",
    [
        (lambda o: o.fit(2, 1e-2), False),
        (lambda o: o.fit_one_cycle(2, 1e-2), True),
        (lambda o: o.fit_flat_cos(2, 1e-2), False),
        (lambda o: o.fit_sgdr(1, 2), False),
        (lambda o: o.fit(2, 1e-2, cbs=ParamScheduler({"mom": SchedLin(0.9, 0.8)})), True),
    ],
)
def test_sched_after_fastais_own_fits(learn, fit, momentums):
    learn.fit_one_cycle(1, 1e-3)  # its momenta are not those of the next fit
    probe = Probe()
    learn.add_cb(probe)
    fit(learn)
    sched = learn.sched
    assert list(sched.lrs) == [o[-1] for o in probe.probed_lrs] and len(sched.lrs) == 40
    assert list(sched.momentums) == ([o[-1] for o in probe.probed_moms] if momentums else [])
    assert list(sched.losses) == [float(o) for o in learn.recorder.losses]
    assert len(sched.val_losses) == len(sched.rec_metrics) == 2 and sched.schedule is None
    assert len(sched.plot_lr().figure.axes) == 1 + momentums


def test_sched_after_lr_find_is_what_people_plotted(learn):
    learn.lr_find(show_plot=False)
    ax = learn.sched.plot(n_skip=0, n_skip_end=0)
    np.testing.assert_array_equal(
        ax.lines[0].get_data(), [learn.recorder.lrs, [float(o) for o in learn.recorder.losses]]
    )


def test_a_fit_of_fastais_own_that_fails_keeps_the_last_sched(learn):
    learn.fit(1e-2, 1, **CLR)
    own = learn.sched
    with pytest.raises(TypeError):
        learn.fit(1, 1e-2, 0.1, None, False, 0, "one too many")
    with pytest.raises(AssertionError):
        learn.fit(1, [1e-2, 1e-2])
    assert learn.sched is own


# -- the learner as an object -------------------------------------------------------------------------------------------


def test_a_notebook_can_complete_what_both_styles_take():
    parameters = inspect.signature(Learner.fit).parameters
    assert list(parameters)[:7] == ["self", "n_epoch", "lr", "wd", "cbs", "reset_opt", "start_epoch"]
    assert {"cycle_len", "use_clr", "use_clr_beta", "cycle_mult", "wds"} <= set(parameters)
    assert Learner.fit.__name__ == "fit" and "use_clr=(32, 5)" in Learner.fit.__doc__
    assert all(o.annotation is not o.empty for name, o in parameters.items() if name != "self")
    assert list(inspect.signature(Learner.fit_clr).parameters)[1:] == (
        ["n_epoch", "lr", "div", "cut_div", "n_cycles", "moms", "wd", "cbs", "reset_opt", "start_epoch"]
    )


def test_a_preview_shows_the_arguments_of_both_fits():
    parameters = inspect.signature(Learner.plot_schedule).parameters
    both = {*inspect.signature(Learner.fit).parameters, *inspect.signature(Learner.fit_clr).parameters}
    assert both | {"show_moms", "show_text", "ax", "log"} == set(parameters)


def test_public_properties_have_docstrings():
    for name in fastai_clr.all.__all__:
        for attribute, o in inspect.getmembers(getattr(fastai_clr.all, name), lambda o: isinstance(o, property)):
            module = getattr(o.fget, "__module__", None) or ""
            assert attribute.startswith("_") or not module.startswith("fastai_clr") or o.__doc__, (name, attribute)


@pytest.mark.parametrize(
    "fit",
    [lambda o: o.fit(1e-2, 1, **CLR), lambda o: o.fit_one_cycle(1), lambda o: o.fit_clr(1)],
    ids=["0.7", "native", "fit_clr"],
)
def test_copies_and_pickles_keep_their_sched(tmp_path, fit):
    learn = make_learner(tmp_path)
    fit(learn)
    for twin in (copy.deepcopy(learn), pickle.loads(pickle.dumps(learn))):
        assert list(twin.sched.lrs) == list(learn.sched.lrs) and twin.sched is not learn.sched
        fit(twin)


PREDICT = f"""
{WITHOUT_THE_PLUGIN}
from fastai.tabular.all import *
learn = load_learner(sys.argv[1])
print(learn.predict(pd.read_csv(sys.argv[2]).iloc[0])[1].item())
"""


@pytest.mark.parametrize(
    "fit",
    [lambda o: o.fit(1e-2, 1, **CLR), lambda o: o.fit_one_cycle(1), lambda o: o.fit_clr(1)],
    ids=["0.7", "native", "fit_clr"],
)
def test_an_exported_learner_loads_where_the_plugin_is_not_installed(tmp_path, fit):
    learn, df = make_tabular(tmp_path)
    fit(learn)
    own = learn.sched
    learn.export("model.pkl")
    assert learn.sched is own
    df.to_csv(tmp_path / "digits.csv")
    expected = learn.predict(df.iloc[0])[1].item()
    assert run_forked(PREDICT, tmp_path / "model.pkl", tmp_path / "digits.csv").strip().endswith(str(expected))


def test_a_second_import_changes_nothing():
    before = dict(vars(Learner))
    importlib.reload(fastai_clr.learner.fastai2)
    importlib.reload(fastai_clr.learner.patches)
    importlib.reload(fastai_clr.learner)
    assert dict(vars(Learner)) == before
    assert inspect.getsourcefile(fastai_clr.learner.fastai2.NATIVE["fit"]) == inspect.getsourcefile(Learner)


def test_another_plugin_may_wrap_fit_too(learn, monkeypatch):
    ours, seen = Learner.fit, []

    def theirs(self, *args, **kwargs):
        seen.append(kwargs)
        return ours(self, *args, **kwargs)

    monkeypatch.setattr(Learner, "fit", theirs)
    learn.fit(1e-2, 1, **CLR)
    learn.fit_one_cycle(1)
    assert seen[0] == CLR and len(seen) == 2 and len(learn.sched.lrs) == 20
