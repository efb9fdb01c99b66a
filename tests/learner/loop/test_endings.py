"""However a fit ends, nothing is left behind and nothing is lost: each row of the tables below ends one in its own way."""

from functools import partial
from itertools import cycle

import numpy as np
import pytest
import torch
from fastai.callback.core import Callback, CancelEpochException, CancelFitException, CancelTrainException
from fastai.callback.tracker import SaveModelCallback
from fastai.callback.training import ShortEpochCallback
from fastai.data.load import DataLoader
from fastai.metrics import accuracy
from torch import nn

from fastai_clr.all import CircularLR, CLRCallback, Cycles
from fastai_clr.learner.fastai2 import NATIVE
from forked import run_forked
from helpers import OPTIMIZERS, WITHOUT_THE_PLUGIN, Probe, make_tabular

# Two cycles of 15 batches over three epochs of 10, so that one cycle ends in the middle of the second epoch.
TRIANGLE, CYCLES = CircularLR(10, 5, 0.95, 0.85), Cycles(2, 1.5, n_iter=10)
FITS = {
    "0.7": lambda learn, cbs=(): learn.fit(
        1e-2, 2, cycle_len=1.5, use_clr=(10, 5, 0.95, 0.85), wds=0.3, metrics=[], clip=1, cbs=list(cbs)
    ),
    "fit_clr": lambda learn, cbs=(): learn.fit_clr(
        3, 1e-2, 10, 5, n_cycles=2, moms=(0.95, 0.85), wd=0.3, cbs=list(cbs)
    ),
    "native": lambda learn, cbs=(): learn.fit(3, 1e-2, cbs=[CLRCallback(TRIANGLE, n_cycles=2), *cbs]),
}


def at(event, error, epoch, batch=None):
    """A callback that raises `error` at an event of an epoch."""

    def end(self):
        if self.learn.epoch == epoch and batch in (None, getattr(self.learn, "iter", None)):
            raise error

    return type("End", (Callback,), {event: end, "order": 70})()


class Broken(nn.Module):
    """A model that fails in its `n`-th forward pass of training."""

    def __init__(self, model, n):
        super().__init__()
        self.model, self.n = model, n

    def forward(self, x):
        self.n -= self.training
        if self.n < 0:
            raise ZeroDivisionError("the model")
        return self.model(x)


def broken_model(learn):
    own, learn.model = learn.model, Broken(learn.model, 17)
    return lambda: setattr(learn, "model", own)


class Items(list):
    def __getitem__(self, i):
        if i == len(self) - 1:
            raise OSError("the data")
        return super().__getitem__(i)


def with_train(learn, dl):
    own, learn.dls.loaders[0] = learn.dls.train, dl
    return lambda: learn.dls.loaders.__setitem__(0, own)


def broken_data(learn):
    return with_train(learn, DataLoader(Items(learn.dls.train.dataset), bs=4))


def broken_indices(learn, num_workers):
    """The last index of the epoch is out of range; so is that of a data set that shrank on disk."""
    own = learn.dls.train

    class Indices(DataLoader):
        def get_idxs(self):
            return [*range(self.n - 1), self.n + 5]

    return with_train(learn, Indices(own.dataset, bs=4, num_workers=num_workers))


class BrokenMetric:
    def __init__(self, n):
        self.n = n

    def __call__(self, predictions, targets):
        self.n -= 1
        if self.n < 0:
            raise ValueError("the metric")
        return 0.0


ENDINGS = {  # what ends the fit: callbacks or a change to the learner (which gives its undoing), the error, batches done
    "normally": ([], None, 30),
    "cancelled fit": ([at("before_step", CancelFitException(), 1, 7)], None, 17),
    "cancelled fit between epochs": ([at("after_epoch", CancelFitException(), 1)], None, 20),
    "cancelled epoch": ([at("before_batch", CancelEpochException(), 1, 7)], None, 27),
    "cancelled training": ([at("before_batch", CancelTrainException(), 1, 7)], None, 27),
    "ctrl-c": ([at("after_backward", KeyboardInterrupt(), 1, 7)], KeyboardInterrupt, 17),
    "ctrl-c in validation": ([at("after_pred", KeyboardInterrupt(), 2, 1)], KeyboardInterrupt, 21),
    "ctrl-c at the start of validation": ([at("before_validate", KeyboardInterrupt(), 1)], KeyboardInterrupt, 20),
    "exit": ([at("after_loss", SystemExit(1), 1, 7)], SystemExit, 17),
    "out of memory": ([at("after_pred", torch.OutOfMemoryError("CUDA out of memory"), 1, 7)], RuntimeError, 17),
    "the model": (broken_model, ZeroDivisionError, 17),
    "the data": (broken_data, OSError, 9),
    "the indices": (partial(broken_indices, num_workers=0), IndexError, 9),
    "the indices in a worker": (partial(broken_indices, num_workers=1), IndexError, 9),
    "the metric": (lambda learn: setattr(learn, "metrics", [BrokenMetric(3)]), ValueError, 20),
}  # fmt: skip


# Each ending in fit_clr, with the optimizers in turn, and three of them in the other forms, which clean up in one place.
CASES = [("fit_clr", *o) for o in zip(ENDINGS, cycle(OPTIMIZERS))]
CASES += [(f, e, "fastai Adam") for f in ("0.7", "native") for e in ("normally", "cancelled epoch", "ctrl-c")]


@pytest.mark.slow
@pytest.mark.parametrize("form, ending, optimizer", CASES)
def test_however_a_fit_ends(learner, form, ending, optimizer):
    how, error, n_done = ENDINGS[ending]
    learn = learner(10, 2, OPTIMIZERS[optimizer], metrics=[accuracy])
    learn.create_opt()
    undo = how(learn) if callable(how) else None
    before = [(h["mom"], h["wd"]) for h in learn.opt.hypers]
    cbs, metrics, attributes = list(learn.cbs), list(learn.metrics), set(learn.__dict__)
    fit = partial(FITS[form], learn, [] if callable(how) else how)
    if error is None:
        fit()
    else:
        with pytest.raises(error):
            fit()
    assert [(h["mom"], h["wd"]) for h in learn.opt.hypers] == before
    assert list(learn.cbs) == cbs and list(learn.metrics) == metrics
    new = {name: o for name, o in vars(learn).items() if name not in attributes}
    assert not [name for name, o in new.items() if isinstance(o, Callback) or name in ("_do_fit", "_metrics", "cbs")]
    check_record(learn.sched, ending, n_done)
    check_plots(learn.sched)
    if undo:
        undo()
    learn.metrics = []
    FITS[form](learn)
    check_record(learn.sched, "normally", 30)


def check_record(sched, ending, n_done):
    """It holds the batches that ran, at the schedule's rates, and the cycles that ended."""
    steps = np.r_[:17, 20:30] if n_done == 27 else np.arange(n_done)
    factors, momentums = TRIANGLE.at(steps, CYCLES)
    np.testing.assert_array_equal(sched.lrs, factors * 1e-2)
    np.testing.assert_array_equal(sched.momentums, momentums)
    assert sched.cycle_ends == [k for k in (15, n_done if n_done > 26 else 30) if k <= n_done]
    assert len(sched.losses) == n_done


def check_plots(sched):
    ax = sched.plot_lr()
    np.testing.assert_array_equal(ax.lines[0].get_data(), [np.arange(1, len(sched.lrs) + 1), sched.lrs])
    assert sched.plot_loss() and sched.plot()


def test_an_interrupted_lr_find_does_not_switch_a_permanent_callback_off(learner):
    learn = learner(10, cbs=CLRCallback(TRIANGLE, n_cycles=2))
    learn.add_cb(stop := at("before_step", KeyboardInterrupt(), 0, 5))
    with pytest.raises(KeyboardInterrupt):
        learn.lr_find(show_plot=False)
    learn.remove_cb(stop)
    learn.fit(3, 1e-2)
    check_record(learn.sched, "normally", 30)


def test_a_permanent_callback_that_does_not_suit_the_last_fit_leaves_validation_alone(learner):
    learn = learner(10, cbs=CLRCallback(TRIANGLE, n_cycles=2, cycle_len=1.5), metrics=[accuracy])
    with pytest.raises(ValueError, match="n_epoch should be at least 3 for n_cycles=2, cycle_len=1.5"):
        learn.fit(2, 1e-2)
    assert len(learn.validate()) == 2 and len(learn.get_preds()) == 2
    learn.fit(3, 1e-2)
    check_record(learn.sched, "normally", 30)


# -- what is written to disk during a fit --------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer, form", list(zip(OPTIMIZERS, cycle(FITS))))
def test_a_checkpoint_holds_the_optimizers_own_momentum_and_weight_decay(learner, optimizer, form):
    learn, probe = learner(10, opt_func=OPTIMIZERS[optimizer]), Probe()
    learn.create_opt()
    own = [(h["mom"], h["wd"]) for h in learn.opt.hypers]
    FITS[form](learn, [SaveModelCallback(every_epoch=True, with_opt=True), probe])
    factors, momentums = TRIANGLE.at(np.arange(30), CYCLES)
    np.testing.assert_array_equal(probe.probed_moms, momentums[:, None])  # saving does not disturb the fit
    assert {o for row in probe.probed_wds for o in row} == {own[0][1] if form == "native" else 0.3}
    for epoch in range(3):
        twin = learner(10, opt_func=OPTIMIZERS[optimizer]).load(f"model_{epoch}")
        assert [(h["mom"], h["wd"]) for h in twin.opt.hypers] == own
        assert twin.opt.hypers[0]["lr"] == factors[epoch * 10 + 9] * 1e-2


@pytest.mark.parametrize("form", FITS)
def test_a_save_that_fails_does_not_change_the_fits_momentum(learner, form, monkeypatch):
    class Try(Callback):
        run_valid = False

        def after_step(self):
            with pytest.raises(OSError, match="full"):
                self.learn.save("x")

    learn, probe = learner(10), Probe()
    monkeypatch.setitem(NATIVE, "save", lambda *_, **__: (_ for _ in ()).throw(OSError("disk full")))
    FITS[form](learn, [Try(), probe])
    np.testing.assert_array_equal(learn.sched.momentums, TRIANGLE.at(np.arange(30), CYCLES)[1])


LOAD = f"""
{WITHOUT_THE_PLUGIN}
from fastai.learner import load_learner
for file in sys.argv[1:]:
    print("loaded", load_learner(file).model.__class__.__name__)
"""


@pytest.mark.slow
def test_what_is_exported_during_a_fit_loads_where_the_plugin_is_not_installed(tmp_path):
    class WriteFile(Callback):
        order = 99

        def __init__(self, name):
            self.file = name

        def after_epoch(self):
            if self.learn.epoch == 1:
                learn = self.learn
                learn.remove_cb(self)  # a class of this file does not load elsewhere either
                cbs, sched = list(learn.cbs), learn.sched
                learn.export(self.file)
                assert list(learn.cbs) == cbs and learn.sched is sched
                learn.add_cb(self)

    files = []
    for form, fit in FITS.items():
        learn, _ = make_tabular(tmp_path)
        fit(learn, [WriteFile(f"{form}.pkl")])
        np.testing.assert_array_equal(learn.sched.momentums, TRIANGLE.at(np.arange(15), Cycles(2, 1.5, n_iter=5))[1])
        learn.fit_clr(3, 1e-2, start_epoch=1, cbs=WriteFile(f"{form} resumed.pkl"))
        learn.add_cb(CLRCallback(CircularLR()))
        learn.export(f"{form} permanent.pkl")
        files += [tmp_path / f"{form}{kind}.pkl" for kind in ("", " resumed", " permanent")]
    assert run_forked(LOAD, *files).splitlines() == ["loaded TabularModel"] * 9


@pytest.mark.parametrize("name", ["cycle_save_name", "best_save_name"])
def test_a_file_that_could_not_be_written_is_refused_before_training(learner, tmp_path, name):
    learn = learner(4)
    weights = learn.model[0].weight.detach().clone()
    for fit in (
        lambda file: learn.fit(1e-2, 1, cycle_len=1, use_clr=(10, 4), **{name: file}),
        lambda file: learn.fit(1, 1e-2, cbs=CLRCallback(CircularLR(), **{name: file})),
    ):
        for file in ("missing/x", str(tmp_path / "missing" / "x")):
            with pytest.raises(ValueError, match=f"{name} should be in a folder that exists, but given .*missing/x"):
                fit(file)
        assert torch.equal(learn.model[0].weight, weights) and not (tmp_path / "models").exists()
    (tmp_path / "models" / "there").mkdir(parents=True)
    for file in ("there/x", str(tmp_path / "x"), "x"):
        learn.fit(1e-2, 1, cycle_len=1, use_clr=(10, 4), **{name: file})
        saved = f"{file}_cyc_0.pth" if name == "cycle_save_name" else f"{file}.pth"
        assert (tmp_path / "models" / saved).exists()


# -- epochs that are not as long as they were announced ------------------------------------------------------------------


@pytest.mark.parametrize(
    "cycle_len, n_cycle, cycle_ends",
    [(1, 2, [5, 10]), (0.5, 4, [5, 5, 10, 10]), (0.4, 5, [4, 5, 7, 10, 10]), (1.8, 1, [9]), (2, 1, [10])],
)
def test_a_cycle_that_was_to_end_in_batches_left_out_ends_with_the_epoch(
    learner, tmp_path, cycle_len, n_cycle, cycle_ends
):
    learn = learner(10)  # ShortEpochCallback ends each epoch in its 6th batch, before anything records that one
    learn.fit(1e-2, n_cycle, cycle_len=cycle_len, use_clr=(10, 4), cycle_save_name="x", cbs=ShortEpochCallback(0.5))
    assert learn.sched.cycle_ends == cycle_ends
    files = sorted(p.name for p in (tmp_path / "models").iterdir())
    assert files == [f"x_cyc_{k}.pth" for k in range(n_cycle)]


def test_a_cycle_ends_once_where_an_epoch_has_more_batches_than_announced(learner):
    class Grow(Callback):
        def before_epoch(self):
            self.learn.dls.loaders[0] = (long, short)[self.learn.epoch]

    learn = learner(10)
    short, long = learn.dls.train, learner(15).dls.train
    learn.fit(2, 1e-2, cbs=[CLRCallback(CircularLR(), n_cycles=5), Grow()])
    assert learn.sched.cycle_ends == [6, 12, 17, 21, 25]
