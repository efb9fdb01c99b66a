"""`learn.fit_cooldown`: where it continues, how long it takes, and where there is nothing to continue."""

import copy
import pickle
import re

import numpy as np
import pytest
import torch
from fastai.callback.core import Callback, CancelFitException
from fastai.callback.schedule import ParamScheduler  # its module gives the Learner fit_one_cycle, fit_flat_cos, lr_find
from fastai.callback.tracker import EarlyStoppingCallback, SaveModelCallback
from fastai.learner import Learner, load_learner
from fastai.metrics import accuracy
from fastai.optimizer import SGD

from fastai_clr.all import CircularLR, CLRCallback, Cooldown
from fastai_clr.learner.fastai2 import NATIVE
from helpers import OPTIMIZERS, Probe, assert_same_rates, make_tabular, scripted, state_of


class Stop(Callback):
    """Raise `error` after batch `n` of the training."""

    order = 70  # after the batch is recorded
    run_valid = False

    def __init__(self, n, error):
        self.n, self.error = n, error

    def after_batch(self):
        if self.learn.train_iter == self.n:
            raise self.error


def stop(learn, fit, n, error=KeyboardInterrupt):
    try:
        fit(learn, cbs=Stop(n, error))
    except KeyboardInterrupt:
        pass


FITS = {
    "0.7": lambda o, **k: o.fit(1e-2, 1, cycle_len=3, use_clr=(10, 5), **k),
    "0.7, constant": lambda o, **k: o.fit(1e-2, 3, **k),
    "fit_clr": lambda o, **k: o.fit_clr(3, [1e-4, 1e-3, 1e-2], **k),
    "callback": lambda o, cbs=None: o.fit(3, slice(1e-4, 1e-2), cbs=[CLRCallback(CircularLR()), *([cbs] if cbs else [])]),
    "constant": lambda o, **k: o.fit(3, [1e-4, 1e-3, 1e-2], **k),
    "fit_one_cycle": lambda o, **k: o.fit_one_cycle(3, slice(1e-4, 1e-2), **k),
    "fit_flat_cos": lambda o, **k: o.fit_flat_cos(3, 1e-2, **k),
}  # fmt: skip


def fall(held, n, div=10):
    """The rates of a cooldown, batches x groups, by the formula of the paper's linear fall with our ends."""
    return np.linspace(1, 1 / div, n + 1)[1:, None] * held


@pytest.mark.parametrize("error", [KeyboardInterrupt, CancelFitException, None], ids=str)
@pytest.mark.parametrize("form", FITS)
def test_every_group_falls_from_the_rate_of_the_last_batch_for_a_fifth_of_what_was_trained(learn, form, error):
    probe = Probe()
    learn.add_cb(probe)
    if error is None:
        FITS[form](learn)
    else:
        stop(learn, FITS[form], 37, error)
    held, n = probe.probed_lrs[-1], {37: 7, 60: 12}[len(probe.probed_lrs)]
    learn.fit_cooldown()
    assert_same_rates(probe.probed_lrs, fall(held, n), held)
    np.testing.assert_array_equal(learn.sched.all_lrs, probe.probed_lrs)
    assert learn.sched.schedule == Cooldown(10) and len(learn.sched.val_losses) == 1


def test_after_an_exception_too(learn):
    with pytest.raises(ZeroDivisionError):
        FITS["fit_clr"](learn, cbs=Stop(37, ZeroDivisionError("the model")))
    held = [h["lr"] for h in learn.opt.hypers]
    learn.fit_cooldown()
    assert_same_rates(learn.sched.all_lrs, fall(held, 7), held)


def test_after_early_stopping_it_continues_the_weights_that_are_there(learner):
    learn = learner(20, metrics=[])
    learn.metrics = [scripted(learn, [0.5, 0.4, 0.3, 0.2, 0.1])]
    learn.fit_one_cycle(5, 1e-2, cbs=EarlyStoppingCallback("accuracy", patience=1))
    held = learn.opt.hypers[0]["lr"]
    assert len(learn.sched.lrs) == 40 and held == learn.sched.lrs[-1]
    learn.fit_cooldown()
    assert_same_rates(learn.sched.all_lrs, fall([held], 8), [held])


def test_the_rates_are_those_of_the_weights_that_a_callback_has_put_back(learner):
    learn, probe = learner(20), Probe()
    learn.metrics = [scripted(learn, [0.5, 0.9, 0.3])]
    learn.fit_one_cycle(3, 1e-2, cbs=[probe, SaveModelCallback("accuracy", with_opt=True)])
    learn.fit_cooldown()
    assert_same_rates(learn.sched.all_lrs, fall(probe.probed_lrs[39], 12), [1e-2])


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_with_every_optimizer(learner, optimizer):
    learn, probe = learner(20, 2, opt_func=OPTIMIZERS[optimizer]), Probe()
    learn.add_cb(probe)
    stop(learn, lambda o, **k: o.fit(1e-2, 1, cycle_len=3, use_clr=(10, 5, 0.95, 0.85), wds=0.3, **k), 30)
    learn.fit_cooldown()
    held = [(1 + (1 - (29 - 12) / 48) * 9) / 1000] * 2
    assert_same_rates(probe.probed_lrs, fall(held, 6), held)
    assert {tuple(o) for o in probe.probed_moms} == {(0.9, 0.9)}  # the optimizer's own
    assert {tuple(o) for o in probe.probed_wds} == {(0.3, 0.3)}  # that of the fit it continues
    assert {h["wd"] for h in learn.opt.hypers} != {0.3}


def test_weight_decay_may_be_given(learn):
    probe = Probe()
    learn.fit(1, 1e-2, wd=0.3)
    learn.fit_cooldown(wd=[0.1, 0.2, 0.4], cbs=probe)
    assert probe.probed_wds[0] == [0.1, 0.2, 0.4]


@pytest.mark.parametrize(
    "n_epoch, div, n", [(2, 10, 40), (0.35, 10, 7), (1e-9, 10, 1), (np.float64(0.5), 100, 10), (1, 1, 20), (1, 2.5, 20)]
)
def test_length_and_depth(learn, n_epoch, div, n):
    learn.fit(1, [1e-4, 1e-3, 1e-2])
    assert learn.fit_cooldown(n_epoch, div) is None
    assert_same_rates(learn.sched.all_lrs, fall([1e-4, 1e-3, 1e-2], n, div), [1e-2])


def test_epochs_that_start_epoch_skipped_do_not_count(learn):
    learn.fit_clr(3, 1e-2, start_epoch=2)
    learn.fit_cooldown()
    assert len(learn.sched.lrs) == 4
    learn.fit(3, 1e-2, start_epoch=2)
    learn.fit_cooldown()
    assert len(learn.sched.lrs) == 4


def test_a_group_that_is_not_trained_stays_untrained(learn):
    learn.freeze()
    frozen = learn.model[0].weight.detach().clone()
    stop(learn, lambda o, **k: o.fit([0, 0, 1e-2], 1, cycle_len=1, use_clr=(10, 5), **k), 10)
    learn.fit_cooldown()
    held = (1 + (1 - (9 - 4) / 16) * 9) / 1000
    assert_same_rates(learn.sched.all_lrs, fall([0, 0, held], 2), [1e-2])
    assert torch.equal(learn.model[0].weight, frozen)


def test_what_comes_between_the_fit_and_its_cooldown(learn, tmp_path):
    stop(learn, FITS["fit_clr"], 37)
    held = [h["lr"] for h in learn.opt.hypers]
    learn.lr_find(show_plot=False)
    assert [h["lr"] for h in learn.opt.hypers] == held  # a checkpoint saved now holds them
    learn.validate()
    learn.get_preds()
    learn.compare_schedules(1, 1e-2, ["constant"], seeds=1)
    learn.freeze()
    learn.unfreeze()
    with pytest.raises(ZeroDivisionError):  # a fit that trained nothing
        learn.fit(1, 0.5, cbs=type("Broken", (Callback,), {"before_batch": lambda self: 1 / 0})())
    learn.fit_cooldown()
    assert_same_rates(learn.sched.all_lrs, fall(held, 7), held)


def test_lr_find_of_a_fastai_that_was_imported_after_the_plugin(learn, monkeypatch):
    """fastai.callback.schedule puts its own `lr_find` onto the class."""
    monkeypatch.setattr(Learner, "lr_find", NATIVE["lr_find"])
    stop(learn, FITS["fit_clr"], 37)
    held = [h["lr"] for h in learn.opt.hypers]
    learn.lr_find(show_plot=False)
    assert [h["lr"] for h in learn.opt.hypers] == held


def test_exporting_comes_between_too(tmp_path):
    learn, _ = make_tabular(tmp_path)
    learn.fit(2, 1e-2)
    learn.export()
    learn.fit_cooldown()
    assert_same_rates(learn.sched.all_lrs, fall([1e-2], 2), [1e-2])
    with pytest.raises(ValueError, match="fit_cooldown continues a fit, but learn.opt is new, or"):
        load_learner(tmp_path / "export.pkl").fit_cooldown()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))], ids=["copy", "pickle"])
def test_a_copy_of_the_learner_continues_where_the_learner_would(learner, copied):
    learn = learner(20)
    learn.fit(1, 1e-2)
    twin = copied(learn)
    twin.fit_cooldown(div=100)
    assert_same_rates(twin.sched.all_lrs, fall([1e-2], 4, 100), [1e-2])
    learn.fit_cooldown()
    assert_same_rates(learn.sched.all_lrs, fall([1e-2], 4), [1e-2])


# -- files ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_in_a_new_process_it_continues_the_loaded_optimizer(learner, optimizer):
    learn = learner(20, 2, opt_func=OPTIMIZERS[optimizer])
    stop(learn, lambda o, **k: o.fit_clr(3, [1e-3, 1e-2], **k), 37)
    learn.lr_find(show_plot=False)
    held = [h["lr"] for h in learn.opt.hypers]
    learn.save("stopped")
    new = learner(20, 2, opt_func=OPTIMIZERS[optimizer]).load("stopped")
    with pytest.raises(ValueError, match="n_epoch should be given with a loaded checkpoint"):
        new.fit_cooldown()
    new.fit_cooldown(0.5)
    assert_same_rates(new.sched.all_lrs, fall(held, 10), held)


@pytest.mark.parametrize("saved, loaded", [({"with_opt": False}, {}), ({}, {"with_opt": False})])
@pytest.mark.filterwarnings("ignore:Saved file doesn't contain an optimizer state")
def test_weights_without_their_optimizer_are_nothing_to_continue(learn, saved, loaded):
    learn.fit(1, 1e-2)
    learn.save("x", **saved)
    learn.load("x", **loaded)
    with pytest.raises(ValueError, match="learn.opt is new, or the weights were loaded without their optimizer"):
        learn.fit_cooldown(1)


@pytest.mark.parametrize("new_process", [False, True])
def test_a_cooldown_resumes_from_its_checkpoint(learner, new_process):
    whole, probe = learner(10, 2, shuffle=False), Probe()
    whole.fit(2, [1e-3, 1e-2])
    every_epoch = SaveModelCallback(every_epoch=True, with_opt=True)
    whole.fit_cooldown(3, cbs=[every_epoch, probe])
    learn = learner(10, 2, shuffle=False) if new_process else whole
    again = Probe()
    learn.load("model_1").fit_cooldown(3, start_epoch=2, cbs=again)
    assert_same_rates(again.probed_lrs, probe.probed_lrs[20:], 1e-2)


# -- nothing to continue -------------------------------------------------------------------------------------------------

NEW_OPTIMIZER = {
    "no fit yet": lambda o: setattr(o, "opt", None),
    "create_opt": lambda o: o.create_opt(),
    "opt_fn": lambda o: setattr(o, "opt_fn", SGD),
    "opt_fn, made": lambda o: (setattr(o, "opt_fn", SGD), o.create_opt()),
}


@pytest.mark.parametrize("how", NEW_OPTIMIZER)
def test_a_new_optimizer_has_nothing_to_continue(learn, how):
    learn.fit(1, 1e-2)
    NEW_OPTIMIZER[how](learn)
    before = state_of(learn)
    with pytest.raises(ValueError, match="fit_cooldown continues a fit, but learn.opt is new, or"):
        learn.fit_cooldown()
    assert state_of(learn) == before


def test_a_fit_that_resets_the_optimizer_is_itself_a_fit_to_continue(learn):
    learn.fit(1, 1e-2)
    learn.fit_clr(2, 1e-3, reset_opt=True)
    learn.fit_cooldown()
    assert len(learn.sched.lrs) == 8


def test_weights_that_are_not_finite_need_a_checkpoint(learn):
    learn.fit(1, 1e-2)
    with torch.no_grad():
        learn.model[1].bias[0] = np.nan
    before = state_of(learn)
    with pytest.raises(
        ValueError, match="weights should be finite, but 1.bias has values that are not: .* load a checkpoint"
    ):
        learn.fit_cooldown()
    assert state_of(learn) == before


def test_a_fit_that_ended_at_a_rate_of_0_has_nothing_to_lower(learn):
    learn.fit(1, 1e-2, cbs=ParamScheduler({"lr": lambda position: 1e-2 * (position < 0.5)}))
    with pytest.raises(ValueError, match="fit_cooldown lowers the rates, but the last fit ended at 0: train first"):
        learn.fit_cooldown()


@pytest.mark.parametrize(
    "arguments, error, match",
    [
        (dict(n_epoch=0), ValueError, "n_epoch should be greater than 0, but given 0"),
        (dict(n_epoch=-1), ValueError, "n_epoch should be greater than 0, but given -1"),
        (dict(n_epoch=np.nan), ValueError, "n_epoch should be finite, but given nan"),
        (dict(n_epoch="1"), TypeError, "n_epoch should be a number, but given '1'"),
        (dict(n_epoch=True), TypeError, "n_epoch should be a number, but given True"),
        (dict(div=0.9), ValueError, "div should be at least 1, but given 0.9"),
        (dict(div=None), TypeError, "div should be a number, but given None"),
        (dict(wd=-1), ValueError, "wd should be at least 0, but given -1"),
        (dict(cbs="x"), TypeError, "callbacks should be fastai 2 callbacks"),
        (dict(n_epoch=2, start_epoch=2), ValueError, "start_epoch should be less than 2, but given 2"),
        (dict(start_epoch=1), ValueError, "n_epoch should be given with start_epoch"),
        (dict(lr=1e-2), TypeError, "unexpected keyword argument 'lr'"),
    ],
)
def test_bad_arguments_are_refused_before_anything_changes(learn, arguments, error, match):
    learn.fit(1, 1e-2)
    before = state_of(learn)
    with pytest.raises(error, match=match):
        learn.fit_cooldown(**arguments)
    assert state_of(learn) == before


# -- what is said --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FITS)
def test_an_interrupted_fit_says_in_a_line_how_to_finish_it(learn, capsys, form):
    learn.logger = lambda row: None
    stop(learn, FITS[form], 37)
    rate = f"{learn.opt.hypers[-1]['lr']:.3g}"
    assert capsys.readouterr().out == (
        f"Interrupted in epoch 2 of 3, at a learning rate of {rate}: learn.fit_cooldown() would finish the fit.\n"
    )


def test_where_nothing_is_said(learn, capsys):
    learn.logger = lambda row: None
    stop(learn, FITS["fit_clr"], 37, CancelFitException)
    FITS["fit_clr"](learn)
    with learn.no_logging():
        stop(learn, FITS["fit_clr"], 37)
    stop(learn, lambda o, cbs: o.fit(1, 1e-2, cbs=cbs), 0)  # nothing was trained
    with pytest.raises(KeyboardInterrupt):  # a copy is interrupted, not the fit
        learn.add_cb(Stop(5, KeyboardInterrupt))
        learn.compare_schedules(1, 1e-2, ["constant"], seeds=1)
    with pytest.raises(KeyboardInterrupt):
        learn.lr_find(show_plot=False)
    assert "fit_cooldown" not in capsys.readouterr().out


def test_a_fit_inside_a_fit_says_it_once(learn, capsys):
    class Inner(Callback):
        run_valid = False

        def after_epoch(self):
            if self.learn.n_epoch == 3 and self.learn.epoch == 1:
                self.learn.fit_clr(1, 1e-3, cbs=Stop(7, KeyboardInterrupt))

    learn.logger = lambda row: None
    with pytest.raises(KeyboardInterrupt):
        FITS["fit_clr"](learn, cbs=Inner())
    assert capsys.readouterr().out.count("Interrupted in epoch 2 of 3") == 1


def test_after_a_low_rate_it_runs_and_says_that_there_is_little_to_gain(learn, capsys):
    learn.logger = lambda row: None
    learn.fit_clr(1, 1e-2)
    learn.fit_cooldown()
    low = r"The last fit ended at a low rate, 0.0015, 1/6.67 of its peak: there is little to cool down."
    assert re.fullmatch(low + "\n", capsys.readouterr().out)
    assert_same_rates(learn.sched.all_lrs, fall([0.0015] * 3, 4), 1e-2)
    learn.fit_cooldown()  # twice: it continues the first
    assert "ended at a low rate, 0.00015, 1/10 of its peak" in capsys.readouterr().out
    assert_same_rates(learn.sched.all_lrs, fall([0.00015] * 3, 1), 1e-2)
    stop(learn, FITS["fit_clr"], 20)
    capsys.readouterr()
    learn.fit_cooldown()
    assert capsys.readouterr().out == ""


def test_it_says_what_it_did(learn):
    learn.metrics = [accuracy]
    learn.fit(1, 1e-2)
    learn.fit_cooldown(0.5)
    assert learn.sched.describe().startswith("starts at 0.0091, falls for 10 batches to 0.001")
    assert repr(learn.sched) == "Record(Cooldown(div=10): 10 batches, 1 epoch validated)"
