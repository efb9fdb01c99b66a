"""What is drawn before the training is what the optimizer then holds."""

from functools import partial
from itertools import cycle

import numpy as np
import pytest
from fastai.callback.schedule import ParamScheduler, SchedCos, combined_cos
from fastai.callback.tracker import ReduceLROnPlateau
from fastai.optimizer import SGD, Adam

from fastai_clr.all import CircularLR, CLRCallback, CosAnneal
from fastai_clr.learner.calls.plot_schedule import plan_of, preview
from fastai_clr.schedules.checks import as_list
from helpers import OPTIMIZERS, Probe, state_of

LRS = np.array([1e-4, 1e-3, 1e-2])


def one_cycle(lrs):
    return ParamScheduler({"lr": combined_cos(0.25, lrs / 25, lrs, lrs / 1e5), "mom": SchedCos(0.95, 0.85)})


def call(*args, **kwargs):
    return args, kwargs


FITS = {
    "use_clr": call(1e-2, 1, cycle_len=3, use_clr=(32, 5)),
    "discriminative, with momentum": call(LRS, 2, cycle_len=1, use_clr=(20, 10, 0.95, 0.85)),
    "a slice": call(slice(1e-4, 1e-2), 1, cycle_len=2, use_clr_beta=(10, 10, 0.95, 0.85)),
    "restarts": call(1e-2, 3, cycle_len=1, cycle_mult=2),
    "part of an epoch": call(1e-2, 3, cycle_len=0.35, use_clr=(10, 10)),
    "resumed": call(1e-2, 2, cycle_len=2, use_clr=(32, 5), start_epoch=1),
    "0.7's constant": call(1e-2, 2),
    "lr by name": call(lr=1e-2, n=1, cycle_len=1, use_clr=(32, 5)),
    "fastai 2's constant": call(2, 1e-2),
    "the Learner's own rate": call(2),
    "our callback": call(4, slice(1e-4, 1e-2), cbs=CLRCallback(CosAnneal(), n_cycles=2, cycle_mult=3)),
    "our callback, ending early": call(4, 1e-2, cbs=[CLRCallback(CircularLR(4, 2, 0.9, 0.8), 2, 0.6)]),
    "fastai's scheduler": call(3, cbs=one_cycle(LRS)),
    "fastai's scheduler, resumed": call(3, cbs=one_cycle(LRS), start_epoch=1),
    "fastai's scheduler, of the momentum alone": call(2, 1e-2, cbs=ParamScheduler({"mom": SchedCos(0.95, 0.85)})),
    "a new optimizer": call(1e-2, 1, cycle_len=1, use_clr=(32, 5), reset_opt=True),
}


def assert_trained_as_planned(learn, args, kwargs):
    before = state_of(learn)
    plan, ax = preview(plan_of(learn, args, kwargs)), learn.plot_schedule(*args, **kwargs)
    assert state_of(learn) == before
    probe = Probe()
    learn.fit(*args, **{**kwargs, "cbs": [*as_list(kwargs.get("cbs")), probe]})
    from_position = any(isinstance(cb, ParamScheduler) for cb in as_list(kwargs.get("cbs")))
    tolerance = 1e-9 if from_position else 0  # fastai adds the position up batch by batch
    np.testing.assert_allclose(plan.all_lrs, probe.probed_lrs, rtol=0, atol=tolerance)
    np.testing.assert_allclose(plan.momentums, learn.sched.momentums, rtol=0, atol=tolerance)
    assert plan.cycle_ends == learn.sched.cycle_ends and repr(plan.schedule) == repr(learn.sched.schedule)
    for line, rates in zip(ax.lines, np.transpose(probe.probed_lrs)):
        np.testing.assert_array_equal(line.get_xdata(), learn.sched.iterations)
        np.testing.assert_allclose(line.get_ydata(), rates, rtol=0, atol=tolerance)
    title = learn.sched.plot_lr().get_title(loc="left")  # of a fit of its own fastai records the last group alone
    assert title == (
        ax.get_title(loc="left") if learn.sched.schedule else ax.get_title(loc="left").replace("group 2 ", "")
    )


@pytest.mark.parametrize("fit, trained", list(zip(FITS, cycle([False, True]))))
def test_the_plan_is_what_the_fit_does(learner, fit, trained):
    args, kwargs = FITS[fit]
    learn = learner(n_batches=7, n_groups=3, opt_func=partial(Adam, lr=0.02))
    if trained:
        learn.fit(1, 0.03)
    assert_trained_as_planned(learn, args, kwargs)


@pytest.mark.parametrize("opt_func", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_the_plan_of_fit_clr(learner, opt_func):
    learn = learner(n_batches=7, n_groups=3, opt_func=opt_func)
    args, kwargs = call(4, slice(1e-4, 1e-2), div=20, cut_div=5, n_cycles=2, moms=(0.95, 0.85))
    before = state_of(learn)
    plan, probe = preview(plan_of(learn, args, kwargs)), Probe()
    assert state_of(learn) == before
    learn.fit_clr(*args, **kwargs, cbs=probe)
    np.testing.assert_array_equal(plan.all_lrs, probe.probed_lrs)
    np.testing.assert_array_equal(plan.momentums, np.array(probe.probed_moms)[:, -1])


def test_a_callback_that_the_learner_has_already_counts(learn):
    learn.add_cb(CLRCallback(CircularLR(32, 5)))
    plan = preview(plan_of(learn, (2, 1e-2), {}))
    learn.fit(2, 1e-2)
    np.testing.assert_array_equal(plan.all_lrs, learn.sched.all_lrs)


def test_every_group_of_a_plan_is_drawn(learn):
    ax = learn.plot_schedule(LRS, 1, cycle_len=2, use_clr=(20, 10, 0.95, 0.85))
    factors = ax.lines[2].get_ydata() / 1e-2
    for line, peak in zip(ax.lines, LRS):
        np.testing.assert_allclose(line.get_ydata(), factors * peak, rtol=1e-12)
    assert len(ax.figure.axes) == 2 and len(ax.lines[0].get_xdata()) == 40
    ax = learn.plot_schedule(1e-2, 1, cycle_len=2, use_clr=(20, 10, 0.95, 0.85), show_moms=False, show_text=False)
    assert len(ax.figure.axes) == 1 and ax.get_title(loc="left") == ""


@pytest.mark.parametrize(
    "args, kwargs, error, match",
    [
        (*call(12, 0.2, cycle_len=3), TypeError, r"try learn.fit\(0.2, 12, cycle_len=3\)"),
        (*call(1e-2, 1, cycle_len=1, use_crl=(32, 5)), TypeError, "use_clr"),
        (*call(3, 1e-2, div=0.5), ValueError, "div should be at least 1, but given 0.5"),
        (*call(3, -1.0, div=5), ValueError, "lr should be greater than 0, but given -1.0"),
        (*call(3, 1e-2, cut=5), TypeError, "cut"),
        (*call(0, 1e-2), ValueError, "n_epoch should be at least 1, but given 0"),
        (*call(2, 1e-2, start_epoch=2), ValueError, "start_epoch should be less than 2, but given 2"),
        (*call(2, 1e-2, cbs=5), TypeError, "callbacks should be fastai 2 callbacks"),
        (*call(2, 1e-2, cbs=ReduceLROnPlateau()), ValueError, "by the training's losses"),
    ],
)
def test_a_call_that_would_be_refused_is_not_drawn(learn, args, kwargs, error, match):
    before = state_of(learn)
    with pytest.raises(error, match=match):
        learn.plot_schedule(*args, **kwargs)
    assert state_of(learn) == before


def test_momentum_that_the_optimizer_does_not_have_is_refused(learner):
    learn = learner(opt_func=SGD)
    with pytest.raises(ValueError, match="has none to cycle"):
        learn.plot_schedule(2, 1e-2, cbs=CLRCallback(CircularLR(32, 5, 0.95, 0.85)))


def test_where_nothing_would_be_trained_nothing_is_drawn(learn):
    fit = call(3, 1e-2, start_epoch=2, cbs=CLRCallback(CosAnneal(), cycle_len=1))
    assert not preview(plan_of(learn, *fit)).lrs
    learn.fit(*fit[0], **fit[1])
    assert not learn.sched.lrs
