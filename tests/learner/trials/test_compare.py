"""Measuring schedules on real digits: what is compared, and that the learner never notices."""

import copy
import pickle
import random
import re
import time
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from fastai.callback.core import Callback
from fastai.callback.progress import CSVLogger, ProgressCallback
from fastai.callback.schedule import SchedCos
from fastai.callback.tracker import SaveModelCallback
from fastai.data.core import DataLoaders
from fastai.metrics import accuracy
from fastai.optimizer import Adam, OptimWrapper
from torch import nn
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset

from fastai_clr.all import CircularLR, CLRCallback, Comparison, Suggestion
from fastai_clr.learner.trials.sandbox import Sandbox
from forked import run_forked
from helpers import DIGITS, OPTIMIZERS, PIXELS, WITHOUT_THE_PLUGIN, Probe, make_tabular, state_of

pytestmark = pytest.mark.slow  # dozens of fits: a third of the time of all tests

TWO = {"flat": "constant", "triangle": CircularLR(32, 5)}


class First(Callback):
    """What the runs begin with: a weight, and the batches that they see; kept by the class, for the runs get copies."""

    run_valid = False

    def __init__(self):
        First.weights, First.batches, First.draws = [], [], []

    def before_train(self):
        self.weights.append(self.learn.model[0].weight[0, 0].item())
        self.draws.append((random.random(), np.random.rand(), float(torch.rand(1))))

    def before_batch(self):
        self.batches.append(float(self.learn.xb[0].sum()))


def everything_of(learn):
    """All that may not change behind the user's back, in a form that compares."""
    opt = learn.opt
    return dict(
        state_of(learn),
        opt_state=None if opt is None else str(opt.state_dict()),
        modes=[m.training for m in learn.model.modules()],
        grads=[
            (p.requires_grad, None if p.grad is None else p.grad.numpy().tobytes()) for p in learn.model.parameters()
        ],
        random=(random.getstate(), str(np.random.get_state()), torch.get_rng_state().numpy().tobytes()),
        order=learn.dls.train.rng.getstate(),
        cb_attributes=[{k: str(v) for k, v in vars(cb).items()} for cb in learn.cbs],
        metric_values=[str(vars(o)) for o in [*learn.metrics, learn.recorder.loss, learn.recorder.smooth_loss]],
        files=sorted(map(str, learn.path.rglob("*"))),
    )


@pytest.fixture
def used(learn):
    """A learner that has trained, has a callback of its own and is frozen but for its last layer."""
    learn.add_cb(Probe())
    learn.fit(1e-2, 1, cycle_len=1, use_clr=(32, 5))
    learn.freeze_to(-1)
    return learn


def what_people_run(learn):
    yield lambda: learn.compare_schedules(1, 1e-2, TWO, seeds=2)
    yield lambda: learn.suggest_clr(3, budget=1)


@pytest.mark.parametrize("which", [0, 1], ids=["compare_schedules", "suggest_clr"])
@pytest.mark.parametrize("opt_func", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("trained", [False, True], ids=["new", "trained"])
def test_the_learner_is_what_it_was(learner, opt_func, which, trained):
    learn = learner(n_groups=3, metrics=[accuracy], opt_func=opt_func)
    if trained:
        learn.add_cb(Probe())
        learn.fit(1e-2, 1, cycle_len=1, use_clr=(32, 5))
        learn.freeze_to(-1)
    before = everything_of(learn)
    list(what_people_run(learn))[which]()
    after = everything_of(learn)
    for name in before:
        assert after[name] == before[name], name


def test_the_learner_is_what_it_was_after_an_error_too(used):
    class Fails(Callback):
        def after_batch(self):
            if self.learn.epoch == 1:
                raise RuntimeError("out of memory")

    before = everything_of(used)
    with pytest.raises(RuntimeError):
        used.compare_schedules(2, 1e-2, TWO, cbs=Fails())
    assert everything_of(used) == before


def test_an_optimizer_that_the_user_built_keeps_its_state(learner):
    learn = learner()
    learn.opt_func = OptimWrapper(learn.model.parameters(), torch.optim.AdamW, lr=1e-3)
    learn.fit(1, 1e-3)
    before = everything_of(learn)
    table = learn.compare_schedules(1, 1e-2, TWO, seeds=2).table
    assert everything_of(learn) == before and "exp_avg" in before["opt_state"]
    drop = dict(columns="seconds", level=0)
    pd.testing.assert_frame_equal(table.drop(**drop), learn.compare_schedules(1, 1e-2, TWO, seeds=2).table.drop(**drop))


def test_what_the_fit_after_it_trains_does_not_depend_on_it(learner):
    weights = []
    for compared in (False, True):
        random.seed(1)
        learn = learner(n_groups=3)
        if compared:
            learn.compare_schedules(1, 1e-2, TWO, seeds=2)
        learn.fit(1e-2, 1, cycle_len=2, use_clr=(32, 5))
        weights.append(state_of(learn)["weights"])
    assert weights[0] == weights[1]


def test_generators_of_torchs_own_loaders_are_seeded_and_put_back(learner):
    learn, generator = learner(metrics=[accuracy]), torch.Generator().manual_seed(7)
    data = TensorDataset(PIXELS[:80], DIGITS[:80])
    sampler = BatchSampler(RandomSampler(data, generator=generator), 4, drop_last=True)
    learn.dls = DataLoaders(DataLoader(data, sampler=sampler, batch_size=None), DataLoader(data, 16))
    before, seen = generator.get_state(), First()
    learn.compare_schedules(1, 1e-2, TWO, seeds=2, cbs=seen)
    batches = np.reshape(seen.batches, (4, 20))
    assert (batches[0] == batches[1]).all() and (batches[0] != batches[2]).any()
    assert torch.equal(generator.get_state(), before)


def test_each_seed_gives_every_schedule_the_same_start(learn):
    seen = First()
    learn.compare_schedules(1, 1e-2, TWO, seeds=[3, 5], cbs=seen)
    batches = np.reshape(seen.batches, (4, 20))
    assert (batches[0] == batches[1]).all() and (batches[2] == batches[3]).all() and (batches[0] != batches[2]).any()
    assert seen.draws[0] == seen.draws[1] != seen.draws[2] == seen.draws[3]
    assert len(set(seen.weights)) == 1


def test_new_weights_for_each_seed(learn):
    seen = First()
    learn.compare_schedules(1, 1e-2, TWO, seeds=2, cbs=seen, init=lambda model: [o.reset_parameters() for o in model])
    assert seen.weights[0] == seen.weights[1] != seen.weights[2] == seen.weights[3]


def test_the_same_seeds_give_the_same_table(used):
    tables = [used.compare_schedules(2, 1e-2, ["constant", "one_cycle", "clr(32,5)"]).table for _ in range(2)]
    pd.testing.assert_frame_equal(*[o.drop(columns="seconds", level=0) for o in tables])


def test_a_run_is_what_fit_would_have_trained(learner):
    learn = learner(metrics=[accuracy])
    schedules = {
        "constant": "constant",
        "one_cycle": "one_cycle",
        "restarts": CLRCallback(CircularLR(4, 2), n_cycles=2),
        "fastai": SchedCos(1e-2, 0),
    }
    comparison = learn.compare_schedules(2, {k: 1e-2 for k in schedules}, schedules, seeds=1)
    rates = {r.name: r.lrs for r in comparison.runs}
    for name, fit in [
        ("constant", lambda twin: twin.fit(2, 1e-2)),
        ("one_cycle", lambda twin: twin.fit_one_cycle(2, 1e-2)),
        ("restarts", lambda twin: twin.fit_clr(2, 1e-2, 4, 2, n_cycles=2)),
    ]:
        with Sandbox(learn) as box, box.copy(0) as (twin, _):
            fit(twin)
            np.testing.assert_array_equal(rates[name], twin.sched.lrs)
            last = comparison.history.loc[(name, 0, 2)]
            assert last.tolist() == pytest.approx(twin.final_record, abs=0)
    np.testing.assert_allclose(rates["fastai"], [SchedCos(1e-2, 0)(i / 40) for i in range(40)], atol=1e-9)


def test_each_schedule_may_have_its_own_peak(learn):
    comparison = learn.compare_schedules(1, {"flat": 1e-3, "triangle": [1e-4, 1e-3, 1e-2]}, TWO, seeds=1)
    assert [run.lrs.max() for run in comparison.runs] == [1e-3, 1e-2]


def test_a_rate_far_too_high_is_said_to_diverge(learner):
    comparison = learner().compare_schedules(1, {"flat": 1e-3, "triangle": 1e30}, TWO, seeds=2)
    assert str(comparison).splitlines()[1] == "  triangle  diverged in 2 of 2 runs"
    comparison.plot()


@pytest.mark.parametrize("finished", [1, 3])
def test_an_interruption_keeps_what_is_finished(used, finished):
    class Interrupts(Callback):
        fits = 0

        def before_train(self):
            Interrupts.fits += 1
            if Interrupts.fits > finished:
                raise KeyboardInterrupt

    before = everything_of(used)
    with pytest.raises(KeyboardInterrupt):
        used.compare_schedules(1, 1e-2, TWO, seeds=3, cbs=Interrupts())
    comparison = used.interrupted
    assert len(comparison.runs) == finished
    del used.interrupted
    assert everything_of(used) == before
    assert len(comparison.table) == min(finished, 2) and str(comparison)
    comparison.plot()


def test_an_interruption_of_the_first_run_is_one(used):
    class Interrupts(Callback):
        def before_train(self):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        used.compare_schedules(1, 1e-2, TWO, cbs=Interrupts())
    assert used.interrupted is None


def test_without_lr_the_peak_is_that_of_a_fit(learner):
    learn = learner(4, opt_func=partial(Adam, lr=0.05))
    run = learn.compare_schedules(1, schedules=["constant"], seeds=1).runs[0]
    assert set(run.lrs) == {0.05}
    learn.fit(1)
    assert set(learn.sched.lrs) == {0.05}


class InterruptsRun(Callback):
    """Interrupts the run of this number, from 1. The copies share a count."""

    begun = 0

    def __init__(self, number):
        self.number = number

    def before_train(self):
        InterruptsRun.begun += 1
        if InterruptsRun.begun == self.number:
            raise KeyboardInterrupt


def interrupt(experiment, after):
    InterruptsRun.begun = 0
    with pytest.raises(KeyboardInterrupt):
        experiment(InterruptsRun(after + 1))


def compare(learn):
    return lambda cb: learn.compare_schedules(1, 1e-2, TWO, seeds=2, cbs=cb)


def suggest(learn):
    def run(cb):
        learn.add_cb(cb)
        try:
            learn.suggest_clr(3, 1e-2, budget=1)
        finally:
            learn.remove_cb(cb)

    return run


@pytest.mark.parametrize("experiment, kind", [(compare, Comparison), (suggest, Suggestion)])
def test_what_an_interrupted_experiment_leaves(learner, capsys, experiment, kind):
    learn = learner(20, metrics=[accuracy])
    learn.logger = lambda row: None
    assert learn.interrupted is None
    interrupt(experiment(learn), 2)
    assert isinstance(learn.interrupted, kind)
    assert capsys.readouterr().out == f"Interrupted: learn.interrupted is the {kind.__name__} of what has finished.\n"
    for twin in (copy.deepcopy(learn.interrupted), pickle.loads(pickle.dumps(learn.interrupted))):
        assert repr(twin) == repr(learn.interrupted)
    assert repr(copy.deepcopy(learn).interrupted) == repr(learn.interrupted)
    interrupt(experiment(learn), 0)  # another one begins, and nothing of it has finished
    assert learn.interrupted is None and capsys.readouterr().out == ""
    interrupt(experiment(learn), 1)
    with learn.no_logging():
        learn.compare_schedules(1, 1e-2, ["constant"], seeds=1)
    assert learn.interrupted is None


def test_an_interrupted_comparison_of_one_run_says_what_there_is(learner):
    learn = learner(20, metrics=[accuracy])
    interrupt(compare(learn), 1)
    assert "nothing to compare" not in str(learn.interrupted) and len(learn.interrupted.runs) == 1


def test_an_export_leaves_it_out(tmp_path):
    learn, _ = make_tabular(tmp_path, metrics=accuracy)
    interrupt(compare(learn), 1)
    kept = learn.interrupted
    learn.export("x.pkl")
    assert learn.interrupted is kept
    code = f"{WITHOUT_THE_PLUGIN}\nfrom fastai.learner import load_learner\nprint(load_learner(sys.argv[1]).model.__class__.__name__)"
    assert run_forked(code, tmp_path / "x.pkl").strip() == "TabularModel"


# -- the bar -------------------------------------------------------------------------------------------------------------


def test_the_bar_says_what_trains_now_and_how_long_it_will_take(learner, capsys):
    learn = learner()
    learn.add_cbs([ProgressCallback(), CSVLogger(), SaveModelCallback()])
    said = []

    class Slow(Callback):
        def before_train(self):
            said.append(capsys.readouterr().out.split("\r")[-1])
            time.sleep(0.25)

    learn.compare_schedules(2, 1e-2, TWO, seeds=2, cbs=Slow())
    assert [re.search(r"\[(\d)/8", o)[1] for o in said] == list("01234567")
    runs = ["flat, seed 0", "triangle, seed 0", "flat, seed 1", "triangle, seed 1"]
    assert [re.search(r"(flat|triangle), seed \d", o)[0] for o in said] == [o for o in runs for _ in range(2)]
    elapsed, left = re.search(r"00:(\d\d)<00:(\d\d)", said[4]).groups()
    assert int(left) == pytest.approx(int(elapsed), abs=1) and int(left)  # after 4 of 8 epochs
    assert not list(learn.path.iterdir())
    end = capsys.readouterr().out
    assert end.endswith("]\n") and "100.00%" in end and len(set(map(len, said[2:]))) == 1


def test_the_bar_ends_its_line_after_an_interruption_too(learner, capsys):
    class Interrupts(Callback):
        def after_epoch(self):
            if self.learn.epoch == 1:
                raise KeyboardInterrupt

    learn = learner()
    learn.add_cb(ProgressCallback())
    with pytest.raises(KeyboardInterrupt):
        learn.compare_schedules(2, 1e-2, TWO, seeds=2, cbs=Interrupts())
    assert capsys.readouterr().out.endswith("]\n")


def test_without_a_bar_nothing_is_printed(learner, capsys):
    learn = learner()
    learn.add_cb(ProgressCallback())
    with learn.no_bar():
        learn.compare_schedules(1, 1e-2, TWO, seeds=2)
    assert capsys.readouterr().out == "" and learn.progress is not None


# -- each at its best peak -----------------------------------------------------------------------------------------------


def test_each_schedule_chooses_its_own_peak_on_other_seeds(learner):
    learn = learner(40, metrics=[accuracy])
    grid = [1e-4, 3e-2, 1e4]
    comparison = learn.compare_schedules(1, schedules=TWO, seeds=2, lr_grid=grid, grid_seeds=2)
    tried = [(run.name, run.seed, run.lr) for run in comparison.grid_runs]
    assert tried == [(name, seed, lr) for seed in (10000, 10001) for name in TWO for lr in grid]
    assert [(run.name, run.seed) for run in comparison.runs] == [
        ("flat", 0),
        ("triangle", 0),
        ("flat", 1),
        ("triangle", 1),
    ]
    assert comparison.peaks == {"flat": 3e-2, "triangle": 3e-2} and "b  peak" not in str(comparison)
    for run in comparison.runs:
        assert run.lrs.max() == 3e-2
    alone = learn.compare_schedules(1, 3e-2, TWO, seeds=2)
    drop = dict(columns="seconds", level=0)
    pd.testing.assert_frame_equal(comparison.table.drop(**drop), alone.table.drop(**drop))
    for lr in grid:
        at_lr = learn.compare_schedules(1, lr, TWO, seeds=[10000, 10001])
        means = at_lr.table["final accuracy", "mean"]
        np.testing.assert_array_equal(comparison.grid[f"{lr:g}"], means)


def test_an_entry_of_the_grid_may_be_what_lr_may_be(learner):
    learn = learner(n_groups=3, metrics=[accuracy])
    grid = [1e-3, slice(1e-4, 1e-2), [1e-5, 1e-5, 1e-5]]
    comparison = learn.compare_schedules(1, schedules=TWO, seeds=[4], lr_grid=grid, grid_seeds=[7])
    assert list(comparison.grid) == ["[1e-05, 1e-05, 1e-05]", "0.001", "slice(0.0001, 0.01)"]
    assert all(peak in grid for peak in comparison.peaks.values())


# -- parts ---------------------------------------------------------------------------------------------------------------


def test_the_parts_of_several_machines_make_the_whole(learn):
    whole = learn.compare_schedules(1, 1e-2, TWO, seeds=4)
    parts = [learn.compare_schedules(1, 1e-2, TWO, seeds=seeds) for seeds in ([0, 1], [2, 3])]
    drop = dict(columns="seconds", level=0)
    pd.testing.assert_frame_equal(sum(parts).table.drop(**drop), whole.table.drop(**drop))
    assert str(sum(parts)) == str(whole)


@pytest.mark.parametrize(
    "other, match",
    [
        (dict(n_epoch=2), "n_epoch, but given 1 and 2"),
        (dict(lr=1e-3), "peaks, but given"),
        (dict(schedules={"flat": "constant", "triangle": CircularLR(32, 10)}), "schedules, but given"),
        (dict(schedules={"flat": "constant", "triangle": CLRCallback(CircularLR(32, 5), n_cycles=2)}), "schedules"),
        (dict(wd=0.1), "wd, but given None and 0.1"),
        (dict(init=lambda model: None), "init, but given False and True"),
        (dict(baseline="triangle"), "baseline, but given flat and triangle"),
    ],
)
def test_parts_with_other_settings_are_told(learn, other, match):
    first = learn.compare_schedules(1, 1e-2, TWO, seeds=[0])
    second = learn.compare_schedules(**dict(dict(n_epoch=1, lr=1e-2, schedules=TWO, seeds=[1]), **other))
    with pytest.raises(ValueError, match=f"comparisons can be added if they share the {match}"):
        first + second


def test_parts_of_other_learners_are_told(learner):
    first = learner(20).compare_schedules(1, 1e-2, TWO, seeds=[0])
    deeper = learner(20)
    deeper.model.append(nn.Linear(10, 10))
    for other, what in ((learner(21), "number of batches per epoch"), (deeper, "number of weights")):
        with pytest.raises(ValueError, match=f"share the {what}"):
            first + other.compare_schedules(1, 1e-2, TWO, seeds=[1])


def test_a_comparison_holds_no_learner(learn):
    comparison = learn.compare_schedules(1, 1e-2, TWO, seeds=2)
    assert b"Learner" not in pickle.dumps(comparison) and str(pickle.loads(pickle.dumps(comparison))) == str(comparison)


def test_the_picture_shows_the_history(learn):
    comparison = learn.compare_schedules(2, 1e-2, TWO, seeds=2)
    rates, losses, scores = comparison.plot()
    np.testing.assert_array_equal(rates.lines[1].get_ydata(), comparison.runs[1].lrs)
    np.testing.assert_allclose(losses.lines[0].get_ydata(), np.mean([r.losses for r in comparison.runs[::2]], axis=0))
    history = comparison.history["accuracy"].loc["triangle"].groupby("epoch").mean()
    np.testing.assert_allclose(scores.lines[1].get_ydata(), history)
    assert scores.get_ylabel() == "accuracy" and scores.lines[2].get_ydata()[0] == comparison.target
    assert [o.get_color() for o in rates.lines] == [o.get_color() for o in scores.lines[:2]]
    figure = rates.figure
    figure.canvas.draw()
    legend = figure.legends[0].get_window_extent()
    assert not any(legend.overlaps(ax.get_tightbbox()) for ax in figure.axes)


@pytest.mark.parametrize(
    "arguments, error, match",
    [
        (dict(n_epoch=0), ValueError, "n_epoch should be at least 1, but given 0"),
        (dict(n_epoch=1, lr=-1), ValueError, "lr should be greater than 0, but given -1"),
        (dict(n_epoch=1, lr={"flat": 1e-2}, schedules=TWO), ValueError, "lr should have a value for each of"),
        (dict(n_epoch=1, schedules={}), ValueError, "schedules should hold at least 1"),
        (dict(n_epoch=1, schedules=["sgdr"]), ValueError, "a schedule by name should be"),
        (dict(n_epoch=1, schedules={"a": 5}), TypeError, r"schedules\['a'\] should be a schedule"),
        (dict(n_epoch=1, schedules=[CLRCallback(CircularLR())] * 2), ValueError, "schedules in a list should differ"),
        (dict(n_epoch=1, seeds=0), ValueError, "seeds should be at least 1, but given 0"),
        (dict(n_epoch=1, seeds=[1, 1]), ValueError, "seeds should have at least 1 seed, each given once"),
        (dict(n_epoch=1, seeds="3"), TypeError, "seeds should be an integer"),
        (dict(n_epoch=1, baseline="cosin"), ValueError, "baseline should be one of .*'cosine'.*, but given 'cosin'"),
        (dict(n_epoch=1, target="high"), TypeError, "target should be a number"),
        (dict(n_epoch=1, init=5), TypeError, "init should be a function of the model"),
        (dict(n_epoch=1, wd=-1), ValueError, "wd should be at least 0"),
        (
            dict(n_epoch=1, lr=1e-2, lr_grid=[1e-2, 1e-1]),
            ValueError,
            "lr_grid should be given without lr, but given both",
        ),
        (dict(n_epoch=1, lr_grid=1e-2), TypeError, "lr_grid should be a list of peak rates, say"),
        (dict(n_epoch=1, lr_grid=[1e-2]), ValueError, "lr_grid should have at least 2 peak rates"),
        (dict(n_epoch=1, lr_grid=[1e-2, 1e-2]), ValueError, "lr_grid should have .* each given once"),
        (dict(n_epoch=1, lr_grid=[1e-2, None]), ValueError, "lr_grid should have at least 2 peak rates"),
        (dict(n_epoch=1, lr_grid=[1e-2, -1]), ValueError, r"lr_grid\[1\] should be greater than 0, but given -1"),
        (dict(n_epoch=1, lr_grid=[1e-2, 1e-1], grid_seeds=0), ValueError, "grid_seeds should be at least 1"),
        (
            dict(n_epoch=1, lr_grid=[1e-2, 1e-1], seeds=[3, 7], grid_seeds=[7]),
            ValueError,
            "grid_seeds should be others than seeds, but given 7",
        ),
        (dict(n_epoch=1, cbs=5), TypeError, "callbacks should be fastai 2 callbacks"),
    ],
)
def test_bad_arguments(used, arguments, error, match):
    before = everything_of(used)
    with pytest.raises(error, match=match):
        used.compare_schedules(**arguments)
    assert everything_of(used) == before


def test_without_validation_the_training_loss_counts(learner):
    learn = learner()
    learn.dls = DataLoaders(learn.dls.train, [])
    comparison = learn.compare_schedules(2, 1e-2, TWO, seeds=2)
    assert str(comparison).startswith("Final train_loss, 2 seeds, difference to flat")
    assert (
        "epochs to train_loss" in comparison.table
        and comparison.plot()[2].get_ylabel() == "train_loss (lower is better)"
    )


def test_a_learner_with_a_dropout_and_a_batch_norm_gets_its_statistics_back(learn):
    learn.model = nn.Sequential(learn.model[0], nn.BatchNorm1d(8), nn.Dropout(), learn.model[1], learn.model[2])
    learn.splitter = lambda model: [list(model.parameters())]
    before = {k: v.clone() for k, v in learn.model.state_dict().items()}
    learn.compare_schedules(1, 1e-2, TWO, seeds=1)
    assert all(torch.equal(v, before[k]) for k, v in learn.model.state_dict().items())
