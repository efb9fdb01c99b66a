"""Next to every other callback: the rates are the schedule's, and the other one does what it is there for."""

from functools import partial
from itertools import cycle, product
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from fastai.callback.core import Callback
from fastai.callback.mixup import MixUp
from fastai.callback.progress import CSVLogger, ProgressCallback, ShowGraphCallback
from fastai.callback.rnn import RNNRegularizer
from fastai.callback.schedule import ParamScheduler, SchedLin
from fastai.callback.tensorboard import TensorBoardCallback
from fastai.callback.tracker import EarlyStoppingCallback, ReduceLROnPlateau, SaveModelCallback
from fastai.callback.training import GradientAccumulation, GradientClip, ShortEpochCallback
from fastai.data.core import DataLoaders
from fastai.losses import CrossEntropyLossFlat
from fastai.metrics import accuracy
from fastai.text.all import AWD_LSTM, LMDataLoader, awd_lstm_lm_config, language_model_learner
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fastai_clr.all import CircularLR, CLRCallback, Cycles
from helpers import DEVICE, Probe, make_learner, make_tabular

TRIANGLE, PEAKS = CircularLR(10, 4, 0.95, 0.85), [1e-3, 1e-2]
FITS = {
    "0.7": lambda learn, cbs=(), lr=PEAKS: learn.fit(lr, 1, cycle_len=3, use_clr=(10, 4, 0.95, 0.85), cbs=list(cbs)),
    "native": lambda learn, cbs=(), lr=PEAKS: learn.fit(3, lr, cbs=[*cbs, CLRCallback(TRIANGLE)]),
}


def scheduled(n_iter=10, steps=None, peaks=PEAKS):
    factors, momentums = TRIANGLE.at(np.arange(3 * n_iter) if steps is None else steps, Cycles(1, 3, n_iter=n_iter))
    return factors[:, None] * peaks, np.stack([momentums] * len(peaks), axis=1)


def assert_scheduled(learn, probe, n_iter=10, steps=None, peaks=PEAKS, recorded=None):
    """The rates and momenta that the optimizer held in each step, and those on record, are the schedule's."""
    rates, momentums = scheduled(n_iter, steps, peaks)
    np.testing.assert_array_equal(probe.probed_lrs, rates)
    np.testing.assert_array_equal(probe.probed_moms, momentums)
    np.testing.assert_array_equal(learn.sched.all_lrs, rates if recorded is None else rates[recorded])
    assert [h["mom"] for h in learn.opt.hypers] == [0.9] * len(peaks)


class Steps(Callback):
    """Counts what the optimizer really did, and what it did it with."""

    run_valid, order = False, 80

    def before_fit(self):
        self.n_steps, self.norms = 0, []

    def before_step(self):
        self.norms.append(float(torch.stack([p.grad.norm() for p in self.learn.model.parameters()]).norm()))

    def after_step(self):
        self.n_steps += 1

    def after_cancel_step(self):
        self.n_steps -= 1  # after_step follows all the same


def early(o):
    assert len(o.learn.sched.val_losses) == 2


def saves(o):
    losses = o.learn.sched.val_losses
    assert o.learn.validate()[0] == pytest.approx(min(losses)) and (o.path / "models" / "model.pth").exists()


def logs(o):
    table = pd.read_csv(o.path / "history.csv")
    assert table.valid_loss.tolist() == pytest.approx(o.learn.sched.val_losses, rel=1e-4)


def tensorboard_logs(o):
    events = EventAccumulator(str(o.path / "logs"), {"scalars": 0}).Reload()
    rates, momentums = scheduled()
    for name, values in (("lr_0", rates[:, 0]), ("lr_1", rates[:, 1]), ("mom_1", momentums[:, 1])):
        np.testing.assert_array_equal(
            list({e.step: e.value for e in events.Scalars(name)}.values()), values.astype(np.float32)
        )


def mixes(o):
    assert len(o.cb.lam) == 4 and o.cb.lam.min() >= 0.5


def clips(o):
    assert max(o.steps.norms) <= 0.0101 and o.steps.n_steps == 30


def accumulates(o):
    assert o.steps.n_steps == 10  # every third batch of 4 items


def draws(o):
    assert o.cb.nb_batches == [10, 20, 30]


def shows(o):
    assert o.shown == [10, 10, 10]


EARLY = partial(EarlyStoppingCallback, monitor="train_loss", min_delta=100)
TOGETHER = {  # the callbacks, the steps that run (None for all) and which of them are recorded, what else holds
    "GradientAccumulation": (lambda path: GradientAccumulation(12), None, None, accumulates),
    "GradientClip": (lambda path: GradientClip(0.01), None, None, clips),
    "MixUp": (lambda path: MixUp(), None, None, mixes),
    "EarlyStoppingCallback": (lambda path: EARLY(), np.arange(20), None, early),
    "SaveModelCallback": (lambda path: SaveModelCallback(), None, None, saves),
    "SaveModelCallback(with_opt)": (lambda path: SaveModelCallback(with_opt=True), None, None, saves),
    "ShortEpochCallback": (lambda path: ShortEpochCallback(0.5), np.r_[0:6, 10:16, 20:26], np.r_[0:5, 6:11, 12:17], lambda o: None),
    "ProgressCallback": (lambda path: ProgressCallback(), None, None, shows),
    "ShowGraphCallback": (lambda path: ShowGraphCallback(), None, None, draws),
    "CSVLogger": (lambda path: CSVLogger(), None, None, logs),
    "TensorBoardCallback": (lambda path: TensorBoardCallback(path / "logs", False, False), None, None, tensorboard_logs),
}  # fmt: skip


def learner_for_all(path):
    return make_learner(path, 10, 2, metrics=[accuracy], loss_func=CrossEntropyLossFlat())  # MixUp asks what it takes


@pytest.mark.parametrize("name, form", list(zip(TOGETHER, cycle(FITS))))
def test_the_rates_are_the_schedules_next_to(tmp_path, monkeypatch, name, form):
    build, steps, recorded, holds = TOGETHER[name]
    learn, probe, count = learner_for_all(tmp_path), Probe(), Steps()
    o = SimpleNamespace(learn=learn, path=tmp_path, steps=count, cb=build(tmp_path), shown=[])
    own = ProgressCallback._launch_pbar
    monkeypatch.setattr(ProgressCallback, "_launch_pbar", lambda cb: own(cb) or o.shown.append(cb.pbar.total) if cb.training else None)  # fmt: skip
    FITS[form](learn, [*([ProgressCallback()] if name == "ShowGraphCallback" else []), o.cb, count, probe])
    assert_scheduled(learn, probe, steps=steps, recorded=recorded)
    holds(o)


def test_all_of_them_together(tmp_path):
    learn, probe = learner_for_all(tmp_path), Probe()
    cbs = [build(tmp_path) for name, (build, steps, *_) in TOGETHER.items() if steps is None and "with_opt" not in name]
    FITS["0.7"](learn, [*cbs, probe])
    assert_scheduled(learn, probe)
    tensorboard_logs(SimpleNamespace(path=tmp_path))
    logs(SimpleNamespace(learn=learn, path=tmp_path))


# -- mixed precision -----------------------------------------------------------------------------------------------------


@pytest.fixture
def autocast_here(monkeypatch):
    """fastai asks for autocast on CUDA; the same on the device of the tests."""
    monkeypatch.setattr("fastai.callback.fp16.autocast", lambda *device, **kwargs: torch.autocast(DEVICE, **kwargs))
    monkeypatch.setattr("fastai.callback.fp16.GradScaler", lambda *device, **kw: torch.amp.GradScaler(DEVICE, **kw))


class Precision(Callback):
    order = 0  # before MixedPrecision turns the predictions into float32

    def after_pred(self):
        self.predicted_dtype = self.learn.pred.dtype


PRECISIONS = [("to_fp16", torch.float16), ("to_bf16", torch.bfloat16)]
OTHERS = [(), (GradientAccumulation, GradientClip)]


@pytest.mark.parametrize(
    "others, to, dtype, form",
    [(o, *p, form) for (o, p), form in zip(product(OTHERS, PRECISIONS), [*FITS, *reversed(FITS)])],
)
def test_mixed_precision(learner, autocast_here, others, to, dtype, form):
    learn, probe, precision, steps = learner(10, 2), Probe(), Precision(), Steps()
    getattr(learn, to)()
    FITS[form](learn, [probe, precision, steps, *(o(12) for o in others)])
    assert precision.predicted_dtype == dtype and steps.n_steps == (10 if others else 30)
    assert_scheduled(learn, probe)


@pytest.mark.parametrize("form", FITS)
def test_steps_that_overflow_do_not_shift_the_schedule(learner, autocast_here, form):
    learn, probe, steps = learner(10, 2), Probe(), Steps()
    learn.to_fp16(init_scale=2.0**24, growth_interval=10**6)
    FITS[form](learn, [probe, steps])
    assert 0 < steps.n_steps < 30  # the scaler skipped some
    assert_scheduled(learn, probe)


# -- other learners and data ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FITS)
def test_a_tabular_learner(tmp_path, form):
    (learn, _), probe = make_tabular(tmp_path, metrics=accuracy), Probe()
    FITS[form](learn, [probe], lr=1e-2)
    assert_scheduled(learn, probe, n_iter=5, peaks=[1e-2])


@pytest.mark.parametrize("form", FITS)
def test_a_language_model_with_its_regularizer(tmp_path, form):
    tokens = [torch.arange(200) % 20] * 2
    dls = DataLoaders(LMDataLoader(tokens, bs=4, seq_len=10), LMDataLoader(tokens, bs=4, seq_len=10), device=DEVICE)
    dls.vocab = [str(i) for i in range(20)]
    config = {**awd_lstm_lm_config, "emb_sz": 8, "n_hid": 8, "n_layers": 2}
    learn = language_model_learner(dls, AWD_LSTM, config=config, pretrained=False, path=tmp_path)
    learn.remove_cb(learn.progress)
    learn.logger = print
    probe, n_groups = Probe(), len(learn.splitter(learn.model))
    if not any(isinstance(cb, RNNRegularizer) for cb in learn.cbs):  # fastai 2.8.1 forgets it
        learn.add_cb(RNNRegularizer(alpha=2, beta=1))
    FITS[form](learn, [probe], lr=slice(1e-3, 1e-2))
    peaks = learn.sched.all_lrs.max(0)
    np.testing.assert_allclose(peaks, np.geomspace(1e-3, 1e-2, n_groups), rtol=1e-12)
    rates, momentums = scheduled(len(dls.train), peaks=peaks)
    np.testing.assert_allclose(probe.probed_lrs, rates, rtol=1e-12)
    np.testing.assert_array_equal(probe.probed_moms, momentums)


@pytest.mark.parametrize("form", FITS)
def test_a_data_loader_of_torch(learner, form):
    learn, probe = learner(10, 2), Probe()
    plain = [torch.utils.data.DataLoader(dl.dataset, batch_size=4, shuffle=True) for dl in learn.dls.loaders]
    learn.dls = DataLoaders(*plain)
    FITS[form](learn, [probe])
    assert_scheduled(learn, probe)


@pytest.mark.parametrize("form", FITS)
def test_frozen_layers_between_fits(learner, form):
    learn, probe = learner(10, 2), Probe()
    learn.freeze_to(-1)
    before = [p.detach().clone() for p in learn.model.parameters()]
    FITS[form](learn, [probe])
    assert_scheduled(learn, probe)
    same = [torch.equal(a, b) for a, b in zip(before, learn.model.parameters())]
    assert same == [True, True, False, False]
    learn.unfreeze()
    FITS[form](learn, [again := Probe()])
    assert_scheduled(learn, again)
    assert not any(torch.equal(a, b) for a, b in zip(before, learn.model.parameters()))


# -- a second schedule ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fit",
    [
        lambda o: o.fit_one_cycle(2, 1e-2),
        lambda o: o.fit_flat_cos(2, 1e-2),
        lambda o: o.fit_sgdr(1, 2, 1e-2),
        lambda o: o.fine_tune(1),
        lambda o: o.fit(2, 1e-2, cbs=ReduceLROnPlateau()),
        lambda o: o.fit(1e-2, 1, cycle_len=2),
        lambda o: o.fit_clr(2, 1e-2),
    ],
)
def test_a_permanent_schedule_and_another_one_are_an_error_before_training(learner, fit):
    learn = learner(10, 2, cbs=CLRCallback(TRIANGLE))
    weights = [p.detach().clone() for p in learn.model.parameters()]
    with pytest.raises(ValueError, match="would both set the optimizer's hyper-parameters: use one of them"):
        fit(learn)
    assert all(torch.equal(a, b) for a, b in zip(weights, learn.model.parameters())) and not learn.sched.lrs


def test_a_schedule_of_something_else_goes_along(learner):
    learn, probe = learner(10, 2), Probe()
    FITS["0.7"](learn, [ParamScheduler({"eps": SchedLin(1e-5, 1e-3)}), probe])
    assert_scheduled(learn, probe)
    assert learn.recorder.hps["eps"][-1] > 9e-4
