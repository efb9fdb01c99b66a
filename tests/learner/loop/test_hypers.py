"""Where an optimizer keeps its hyper-parameters: what is written there is what fastai's own `opt.hypers` reads."""

import copy
from functools import partial

import numpy as np
import pytest
import torch
from fastai.optimizer import SGD, Adam, Lamb, Optimizer, OptimWrapper, RMSProp, sgd_step
from torch import nn

from fastai_clr import CircularLR, Cycles
from fastai_clr.learner.fastai2 import write_hyper
from fastai_clr.learner.loop.hypers import GroupHypers, SavedHyper, decouples_weight_decay, read_hyper
from fastai_clr.schedules import Timetable
from helpers import OPTIMIZERS

WITHOUT_MOMENTUM = {
    "fastai, its step alone": partial(Optimizer, cbs=[sgd_step]),
    "torch Adagrad": partial(OptimWrapper, opt=torch.optim.Adagrad),
}
RATES, MOMENTUMS = [1e-4, 1e-3, 1e-2], [0.7, 0.8, 0.6]
each_optimizer = pytest.mark.parametrize("opt_func", OPTIMIZERS.values(), ids=OPTIMIZERS)
each_number_of_groups = pytest.mark.parametrize("n_groups", [1, 3])


def make_opt(opt_func, n_groups):
    torch.manual_seed(0)
    return opt_func([list(nn.Linear(2, 2).parameters()) for _ in range(n_groups)], lr=0.1)


def dicts_of(opt):
    """The dicts that the optimizer itself reads in its step."""
    return opt.opt.param_groups if isinstance(opt, OptimWrapper) else opt.hypers


def hypers_of(opt):
    """All of the optimizer's hyper-parameters, in a form that compares."""
    return [dict(o) for o in opt.hypers], [{k: v for k, v in o.items() if k != "params"} for o in dicts_of(opt)]


# -- batch after batch ---------------------------------------------------------------------------------------------------


@each_optimizer
@each_number_of_groups
@pytest.mark.parametrize("momentum", [None, 0.85])
def test_rates_and_momentum_are_written_where_fastai_writes_them(opt_func, n_groups, momentum):
    opt, twin = make_opt(opt_func, n_groups), make_opt(opt_func, n_groups)
    GroupHypers(opt).write(opt, RATES[-n_groups:], momentum)
    twin.set_hypers(lr=RATES[-n_groups:], **({} if momentum is None else {"mom": momentum}))
    assert [h["lr"] for h in opt.hypers] == RATES[-n_groups:]
    assert [h["mom"] for h in opt.hypers] == [0.9 if momentum is None else momentum] * n_groups
    assert hypers_of(opt) == hypers_of(twin)  # weight decay and the rest, too


@each_optimizer
@each_number_of_groups
def test_each_rate_is_read_and_the_momentum_of_the_last_group(opt_func, n_groups):
    opt = make_opt(opt_func, n_groups)
    opt.set_hypers(lr=RATES[:n_groups], mom=MOMENTUMS[:n_groups])
    rates, momentum = GroupHypers(opt).read(opt)
    assert rates == [h["lr"] for h in opt.hypers] == RATES[:n_groups]
    assert momentum == opt.hypers[-1]["mom"] == MOMENTUMS[n_groups - 1]


@each_optimizer
@each_number_of_groups
def test_what_is_written_is_read(opt_func, n_groups):
    opt = make_opt(opt_func, n_groups)
    hypers = GroupHypers(opt)
    hypers.write(opt, RATES[:n_groups], 0.85)
    assert hypers.read(opt) == (RATES[:n_groups], 0.85)


@each_optimizer
@each_number_of_groups
def test_what_a_schedule_writes_are_python_floats(opt_func, n_groups):
    opt = make_opt(opt_func, n_groups)
    timetable = Timetable(CircularLR(32, 5, 0.95, 0.85), Cycles(1, 10), np.array(RATES[:n_groups]))
    factor, momentum = timetable.row(3)
    GroupHypers(opt).write(opt, [factor * peak for peak in timetable.peaks], momentum)
    values = [
        o[name] for o in [*opt.hypers, *dicts_of(opt)] for name in ("lr", "mom", "momentum", "betas") if name in o
    ]
    assert {type(item) for o in values for item in (o if isinstance(o, tuple) else [o])} == {float}


@each_optimizer
@each_number_of_groups
def test_a_checkpoint_that_replaces_the_dicts_is_noticed(opt_func, n_groups):
    opt = make_opt(opt_func, n_groups)
    hypers, before = GroupHypers(opt), dicts_of(opt)[0]
    opt.load_state_dict(copy.deepcopy(opt.state_dict()))
    assert dicts_of(opt)[0] is not before
    hypers.write(opt, RATES[:n_groups], 0.85)
    assert [(h["lr"], h["mom"]) for h in opt.hypers] == [(rate, 0.85) for rate in RATES[:n_groups]]
    assert hypers.read(opt) == (RATES[:n_groups], 0.85)


@pytest.mark.parametrize("opt_func", WITHOUT_MOMENTUM.values(), ids=WITHOUT_MOMENTUM)
@each_number_of_groups
def test_an_optimizer_without_momentum(opt_func, n_groups):
    opt = make_opt(opt_func, n_groups)
    GroupHypers(opt).write(opt, RATES[:n_groups], None)
    assert [h["lr"] for h in opt.hypers] == RATES[:n_groups] and "mom" not in opt.hypers[0]
    assert GroupHypers(opt).read(opt) == (RATES[:n_groups], None)


@each_optimizer
@pytest.mark.parametrize("rates", [RATES[:1], RATES])
@pytest.mark.parametrize("momentum", [None, 0.85])
def test_another_number_of_groups_is_an_error_and_nothing_is_written(opt_func, rates, momentum):
    opt = make_opt(opt_func, 2)
    before = hypers_of(opt)
    with pytest.raises(
        ValueError, match=f"should keep its {len(rates)} parameter groups until the fit ends, but it has 2 now"
    ):
        GroupHypers(opt).write(opt, rates, momentum)
    assert hypers_of(opt) == before


# -- saved for a while ----------------------------------------------------------------------------------------------------


OWN, RUNNING, OTHERS = [0.5, 0.25, 0.125], [0.75, 0.375, 0.25], [0.0625, 0.03125, 0.5]


def for_each_hyper(test):
    return each_optimizer(each_number_of_groups(pytest.mark.parametrize("name", ["lr", "mom", "wd"])(test)))


@pytest.fixture
def opt(opt_func, n_groups, name):
    """An optimizer with values of its own in each group."""
    opt = make_opt(opt_func, n_groups)
    opt.set_hyper(name, OWN[:n_groups])
    return opt


@pytest.fixture
def saved(opt, n_groups, name):
    """The saved values of a hyper-parameter that the fit has changed."""
    saved = SavedHyper(opt, name)
    opt.set_hyper(name, RUNNING[:n_groups])
    return saved


def held(opt, name):
    return [h[name] for h in opt.hypers]


@for_each_hyper
def test_a_hyper_parameter_is_read_and_written_by_fastais_name(opt, n_groups, name):
    assert read_hyper(opt, name) == held(opt, name) == OWN[:n_groups]
    write_hyper(opt, name, RUNNING[:n_groups])
    assert read_hyper(opt, name) == held(opt, name) == RUNNING[:n_groups]


@for_each_hyper
def test_saving_changes_nothing(opt, name):
    before = hypers_of(opt)
    SavedHyper(opt, name)
    assert hypers_of(opt) == before


@for_each_hyper
def test_the_optimizer_gets_its_own_values_back(opt, name):
    before, saved = hypers_of(opt), SavedHyper(opt, name)
    opt.set_hyper(name, 0.75)
    for _ in range(2):  # twice does no harm
        saved.restore()
        assert hypers_of(opt) == before


@for_each_hyper
def test_its_own_values_are_there_while_a_file_is_written(opt, saved, n_groups, name):
    with saved.restored():
        assert held(opt, name) == OWN[:n_groups]
    assert held(opt, name) == RUNNING[:n_groups]
    saved.restore()
    assert held(opt, name) == OWN[:n_groups]


@for_each_hyper
def test_a_fit_goes_on_after_a_file_that_could_not_be_written(opt, saved, n_groups, name):
    with pytest.raises(OSError), saved.restored():
        raise OSError("no space left")
    assert held(opt, name) == RUNNING[:n_groups]
    saved.restore()
    assert held(opt, name) == OWN[:n_groups]


@for_each_hyper
def test_values_from_a_file_become_the_optimizers_own(opt, saved, opt_func, n_groups, name):
    other = make_opt(opt_func, n_groups)
    other.set_hyper(name, OTHERS[:n_groups])
    with saved.restored():
        opt.load_state_dict(copy.deepcopy(other.state_dict()))
    assert held(opt, name) == RUNNING[:n_groups]
    saved.restore()
    assert held(opt, name) == OTHERS[:n_groups]


def test_a_group_that_was_added_since_keeps_its_values():
    opt = make_opt(OPTIMIZERS["torch SGD"], 1)
    saved = SavedHyper(opt, "mom")
    opt.opt.add_param_group({"params": list(nn.Linear(2, 2).parameters()), "momentum": 0.5})
    opt.set_hyper("mom", [0.7, 0.6])
    saved.restore()
    assert [h["mom"] for h in opt.hypers] == [0.9, 0.6]


# -- weight decay --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "opt_func, decoupled",
    [
        (Adam, True),  # fastai's own decouple it unless they are told not to
        (SGD, True),
        (RMSProp, True),
        (Lamb, True),
        (partial(Adam, decouple_wd=False), False),
        (partial(SGD, decouple_wd=False), False),
        (partial(OptimWrapper, opt=torch.optim.AdamW), True),
        (partial(OptimWrapper, opt=torch.optim.Adam), False),
        (partial(OptimWrapper, opt=torch.optim.SGD), False),
    ],
)
def test_who_subtracts_weight_decay_from_the_weights(opt_func, decoupled):
    assert decouples_weight_decay(make_opt(opt_func, 1)) is decoupled
