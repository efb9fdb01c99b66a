import numpy as np
import pytest
import torch
from fastai.callback.schedule import ParamScheduler, SchedCos

from fastai_clr import CircularLR, CircularLRBeta, Constant, CosAnneal
from fastai_clr.learner.calls.call07 import is_07_style, translate


def call(*args, **kwargs):
    return args, kwargs


@pytest.mark.parametrize(
    "given, is_07",
    [
        (call(3), False),
        (call(3, 1e-2), False),
        (call(np.int64(3), 1e-2), False),
        (call(3, slice(1e-4, 1e-2), 0.1), False),
        (call(n_epoch=3, lr=1e-2), False),
        (call(3, lr=1e-2, wd=0.1, cbs=None, reset_opt=True, start_epoch=1), False),
        (call(1e-2, 3), True),
        (call(1.0, 3), True),
        (call(np.float32(1e-2), 3), True),
        (call(torch.tensor(1e-2), 3), True),
        (call([1e-3, 1e-2], 3), True),
        (call(np.array([1e-3, 1e-2]), 3), True),
        (call(slice(1e-3, 1e-2), 3), True),
        (call("3"), True),
        (call(3, 1, cycle_len=2), True),
        (call(3, 1, use_clr=None), True),
        (call(3, 1, wds=0.1), True),
        (call(3, 1, metrics=[]), True),
        (call(3, 1, callbacks=[]), True),
        (call(3, 1, reg_fn=print), True),
        (call(lrs=1e-2, n_cycle=3), True),
        (call(lr=1e-2, n=3), True),
        (call(1e-2, cbs=ParamScheduler({"lr": SchedCos(1e-2, 1e-4)})), False),  # as `fit_one_cycle(1e-2, 1)` calls it
        (call(1e-2, 3, cbs=ParamScheduler({"mom": SchedCos(0.9, 0.8)})), True),
        (call(1e-2, n_cycle=3, cbs=[ParamScheduler({"mom": SchedCos(0.9, 0.8)})]), True),
    ],
)
def test_which_calls_are_meant_as_0_7_meant_them(given, is_07):
    assert is_07_style(*given) is is_07


@pytest.mark.parametrize(
    "given, fields",
    [
        (call(1e-2, 3), dict(lrs=1e-2, n_cycle=3, cycle_len=1, cycle_mult=1, schedule=Constant())),
        (call(1e-2, 3, cycle_len=2, cycle_mult=2), dict(cycle_len=2, cycle_mult=2, schedule=CosAnneal())),
        (call(1e-2, 1, cycle_len=3, use_clr=(32, 5)), dict(cycle_len=3, schedule=CircularLR(32, 5))),
        (call(1e-2, 1, 3, use_clr=(32, 5)), dict(cycle_len=3, wds=None, schedule=CircularLR(32, 5))),
        (call(1e-2, 1, cycle_len=3, use_clr=[32, 5]), dict(schedule=CircularLR(32, 5))),
        (call(1e-2, 1, cycle_len=3, use_clr=np.array([32, 5])), dict(schedule=CircularLR(32, 5))),
        (call(1e-2, 1, cycle_len=3, use_clr=(32, 5, 0.9, 0.8)), dict(schedule=CircularLR(32, 5, 0.9, 0.8))),
        (call(1e-2, 1, cycle_len=3, use_clr=(10, 4, 0.85, 0.95)), dict(schedule=CircularLR(10, 4, 0.85, 0.95))),
        (call(1e-2, 1, cycle_len=3, use_clr_beta=(10, 13.68)), dict(schedule=CircularLRBeta(10, 13.68))),
        (call(1e-2, 1, cycle_len=3, use_clr_beta=(10, 10, 0.95, 0.85)), dict(schedule=CircularLRBeta(10, 10, 0.95, 0.85))),
        (call(1e-2, 1, cycle_len=3, use_clr=CosAnneal()), dict(schedule=CosAnneal())),
        (call(1e-2, 1, cycle_len=3, use_clr=None, use_clr_beta=None), dict(schedule=CosAnneal())),
        (call(1e-2, 1, cycle_len=None), dict(schedule=Constant())),
        (call(1e-2, 45, 1e-4), dict(wds=1e-4, cycle_len=1, n_cycle=45)),
        (call(1e-2, 5, [0, 1e-4], cycle_len=2), dict(wds=[0, 1e-4], cycle_len=2)),
        (call(1e-2, 5, 0, cycle_len=2), dict(wds=0, cycle_len=2)),
        (call(lr=1e-2, n=2, wd=0.1, cycle_len=1), dict(lrs=1e-2, n_cycle=2, wds=0.1)),
        (call(1e-2, 1, callbacks=["a"], cbs="b"), dict(callbacks=["a", "b"])),
        (call(1e-2, 1, start_epoch=1, reset_opt=True), dict(start_epoch=1, reset_opt=True)),
        (call(1e-2, 1, use_swa=False, norm_wds=False, loss_scale=1, swa_start=1, reg_fn=None, sampler=None), dict(n_cycle=1)),
        (call(1e-2, 1, use_swa=0, loss_scale=1.0, use_wd_sched=None), dict(use_wd_sched=False)),
    ],
)  # fmt: skip
def test_what_a_0_7_style_call_asks_for(given, fields):
    translated = translate(*given)
    assert {name: translated[name] for name in fields} == fields


CLR = dict(cycle_len=3, use_clr=(32, 5))


@pytest.mark.parametrize(
    "given, error, match",
    [
        (call(12, 0.2, cycle_len=3), TypeError, r"n_cycle .* given 0.2.* try learn.fit\(0.2, 12, cycle_len=3\)"),
        (call(3, 1e-2, use_clr=(32, 5)), TypeError,
         r"try learn.fit_clr\(3, 0.01, div=32, cut_div=5\) or learn.fit\(0.01, 1, cycle_len=3, use_clr=\(32, 5\)\)"),
        (call(3, 1e-2, use_clr_beta=(10, 10)), TypeError, r"try learn.fit\(0.01, 1, cycle_len=3, use_clr_beta=\(10, 10\)\)"),
        (call(3, 1e-2, metrics=[]), TypeError, r"try learn.fit\(0.01, 3, metrics=\[\]\)"),
        (call(3, 1e-2, cycle_len=1, cycle_mult=2), TypeError, r"try learn.fit\(0.01, 3, cycle_len=1, cycle_mult=2\)"),
        (call(3, lr=1e-2, use_clr=(32, 5)), TypeError, r"try learn.fit_clr\(3, 0.01, div=32, cut_div=5\)"),
        (call(3, 1e-2, use_clr=(20, 10, 0.95, 0.85)), TypeError, r"try learn.fit_clr\(3, 0.01, div=20, cut_div=10, moms=\(0.95, 0.85\)\)"),
        (call(3, slice(1e-4, 1e-2), use_clr=(32, 5)), TypeError,
         r"n_cycle should be an integer, but given slice\(0.0001, 0.01, None\).* try learn.fit_clr\(3, slice\(0.0001, 0.01, None\), div=32, cut_div=5\) or "
         r"learn.fit\(slice\(0.0001, 0.01, None\), 1, cycle_len=3, use_clr=\(32, 5\)\)$"),
        (call(3, lr=slice(1e-2), use_clr=(32, 5)), TypeError, r"try learn.fit_clr\(3, slice\(None, 0.01, None\), div=32, cut_div=5\)"),
        (call(3, [1e-4, 1e-2], use_clr=(32, 5)), TypeError, r"try learn.fit_clr\(3, \[0.0001, 0.01\], div=32, cut_div=5\)"),
        (call(3, np.array([0.25, 0.5]), use_clr_beta=(10, 10)), TypeError, r"try learn.fit\(\[0.25, 0.5\], 1, cycle_len=3, use_clr_beta="),
        (call(3, (0.25, 0.5), cycle_len=1), TypeError, r"try learn.fit\(\[0.25, 0.5\], 3, cycle_len=1\)"),
        (call(3, torch.tensor(0.25), use_clr=(32, 5)), TypeError, r"try learn.fit_clr\(3, 0.25, div=32, cut_div=5\)"),
        (call(3, torch.tensor([0.25, 0.5]), use_clr=(32, 5)), TypeError, r"try learn.fit_clr\(3, \[0.25, 0.5\], div=32, cut_div=5\)"),
        (call(torch.tensor(3), 1e-2, use_clr=(32, 5)), TypeError, r"try learn.fit_clr\(3, 0.01, div=32, cut_div=5\)"),
        (call([1e-4, 1e-2], [3], use_clr=(32, 5)), TypeError, r"use_clr needs cycle_len|n_cycle should be an integer"),
        (call(1, 2.0, cycle_len=1), TypeError, r"n_cycle should be an integer, but given 2.0$"),
        (call(1e-2, 1, div=32), TypeError, r"div is an argument of fit_clr: try learn.fit_clr\(n_epoch, lr, div=...\)"),
        (call(1e-2, 1, cycle_len=1, use_clr=b"ab"), TypeError, r"use_clr should be a tuple"),
        (call(1e-2, 1, cycle_len=10**400), ValueError, r"cycle_len should be finite"),
        (call(1e-2, 1.5, **CLR), TypeError, r"n_cycle should be an integer, but given 1.5"),
        (call(1e-2, 0, **CLR), ValueError, r"n_cycle should be at least 1, but given 0"),
        (call(1e-2, "1", **CLR), TypeError, r"n_cycle should be an integer, but given '1'"),
        (call(1e-2, True, **CLR), TypeError, r"n_cycle should be an integer, but given True"),
        (call(1e-2, **CLR), TypeError, r"n_cycle is missing: write learn.fit\(lrs, n_cycle, cycle_len="),
        (call(None, 1, **CLR), TypeError, r"lrs is missing"),
        (call(n_epoch=3, lr=1e-2, **CLR), TypeError, r"n_epoch does not go with 0.7's arguments: write learn.fit_clr"),
        (call(1e-2, 1, 3, 4), TypeError, r"at most 3 arguments without a name"),
        (call(1e-2, 1, 3, cycle_len=3), TypeError, r"cycle_len should be given once, but given 3 and 3"),
        (call(1e-2, 1, lr=1e-2), TypeError, r"lrs should be given once"),
        (call(1e-2, 1, wd=1e-2, wds=1), TypeError, r"wds should be given once"),
        (call(1e-2, 1, use_clr=(32, 5)), TypeError,
         r"use_clr needs cycle_len.*try learn.fit\(0.01, 1, cycle_len=3, use_clr=\(32, 5\)\)"),
        (call(1e-2, 1, use_clr_beta=(10, 10)), TypeError, r"use_clr_beta needs cycle_len"),
        (call(1e-2, 1, cycle_len=1, use_clr=(32, 5), use_clr_beta=(10, 10)), ValueError, r"not be given both"),
        (call(1e-2, 1, cycle_len=1, use_clr=32), TypeError, r"use_clr should be a tuple \(div, cut_div\), but given 32"),
        (call(1e-2, 1, cycle_len=1, use_clr="32"), TypeError, r"use_clr should be a tuple"),
        (call(1e-2, 1, cycle_len=1, use_clr={32: 5, 1: 2}), TypeError, r"use_clr should be a tuple"),
        (call(1e-2, 1, cycle_len=1, use_clr=()), ValueError, r"use_clr should be \(div, cut_div\) or"),
        (call(1e-2, 1, cycle_len=1, use_clr=(32, 5, 0.9)), ValueError, r"\(div, cut_div, mom_a, mom_b\), but given \(32, 5, 0.9\)"),
        (call(1e-2, 1, cycle_len=1, use_clr=(32, "5")), TypeError, r"cut_div should be a number, but given '5'"),
        (call(1e-2, 1, cycle_len=1, use_clr=(32, 0.5)), ValueError, r"cut_div should be at least 1, but given 0.5"),
        (call(1e-2, 1, cycle_len=1, use_clr_beta=CircularLR()), TypeError, r"use_clr_beta should be a tuple \(div, pct\)"),
        (call(1e-2, 1, cycle_len=1, use_clr_beta=(10, 100)), ValueError, r"pct should be less than 100, but given 100"),
        (call(1e-2, 1, cycle_len=0), ValueError, r"cycle_len should be greater than 0, but given 0"),
        (call(1e-2, 1, cycle_len=float("nan")), ValueError, r"cycle_len should be finite, but given nan"),
        (call(1e-2, 1, cycle_len="3"), TypeError, r"cycle_len should be a number, but given '3'"),
        (call(1e-2, 1, use_crl=(32, 5)), TypeError, r"fit has no argument 'use_crl': did you mean use_clr\?"),
        (call(1e-2, 1, cycle_length=3), TypeError, r"did you mean cycle_len\?"),
        (call(1e-2, 1, best_save="x"), TypeError, r"did you mean best_save_name\?"),
        (call(1e-2, 1, use_swa=True), TypeError, r"use_swa has no counterpart in fastai 2: .*AveragedModel"),
        (call(1e-2, 1, norm_wds=True), TypeError, r"norm_wds has no counterpart"),
        (call(1e-2, 1, wds_sched_mult=len), TypeError, r"wds_sched_mult has no counterpart.*ParamScheduler"),
        (call(1e-2, 1, reg_fn=len), TypeError, r"reg_fn has no counterpart.*RNNRegularizer"),
        (call(1e-2, 1, stepper=object), TypeError, r"stepper has no counterpart.*Callback"),
        (call(1e-2, 1, sampler=[0]), TypeError, r"sampler has no counterpart.*data loader"),
        (call(1e-2, 1, loss_scale=512), TypeError, r"loss_scale has no counterpart.*to_fp16"),
        (call(1e-2, 1, get_ep_vals=True), TypeError, r"get_ep_vals has no counterpart.*learn.recorder.values"),
    ],
)  # fmt: skip
def test_a_call_that_cannot_be_meant_is_told_what_to_type(given, error, match):
    with pytest.raises(error, match=match):
        translate(*given)


def test_a_rate_that_is_no_number_is_no_rate_to_swap():
    with pytest.raises(TypeError) as error:
        translate(*call([1e-4, 1e-2], [3], use_clr=(32, 5)))
    assert "try learn.fit(0" not in str(error.value)


def test_nobodys_lists_change():
    callbacks, lrs = ["a"], [1e-3, 1e-2]
    translate(*call(lrs, 1, callbacks=callbacks, cbs=["b"]))
    assert callbacks == ["a"] and lrs == [1e-3, 1e-2]
