"""Runs side by side in worker processes: the numbers of one after the other, and what a user hears when it goes wrong."""

import multiprocessing
import os
import subprocess
import sys
import threading

import joblib
import pandas as pd
import pytest
import torch
from fastai.callback.core import Callback
from fastai.callback.progress import CSVLogger, ProgressCallback
from fastai.callback.schedule import SchedCos

from fastai_clr.all import CircularLR, CLRCallback
from fastai_clr.learner.trials.jobs import Recipe, Settings, Task, number_of_jobs, train_in_worker
from helpers import state_of

pytestmark = pytest.mark.slow  # dozens of fits: a third of the time of all tests

SCHEDULES = {
    "one_cycle": "one_cycle",
    "restarts": CLRCallback(CircularLR(4, 2), n_cycles=2),
    "fastai": SchedCos(1e-2, 0),
}
GRID = dict(schedules=SCHEDULES, lr_grid=[1e-3, 1e-2], grid_seeds=1, seeds=[3])


def new_weights(model):
    for layer in model:
        layer.reset_parameters()


class Noise(Callback):
    """Draws random numbers, and saves the model into the copy's folder."""

    def before_batch(self):
        if self.training:
            self.learn.xb = tuple(x + torch.randn_like(x) / 10 for x in self.xb)

    def after_fit(self):
        self.learn.save("noise")


class Fails(Callback):
    def __init__(self, error, *arguments):
        self.error, self.arguments = error, arguments

    def before_batch(self):
        if self.iter == 3:
            raise self.error(*self.arguments)


class Strange(Exception):
    def __init__(self, what, why):
        super().__init__(f"{what} is {why}")


def assert_same_numbers(comparison, expected):
    """Of every run, to the last bit."""
    for a, b in zip(comparison.runs + comparison.grid_runs, expected.runs + expected.grid_runs, strict=True):
        assert (a.name, a.seed, a.lr) == (b.name, b.seed, b.lr)
        assert a.losses.tolist() == b.losses.tolist() and a.lrs.tolist() == b.lrs.tolist()
        pd.testing.assert_frame_equal(a.epochs, b.epochs, check_exact=True)


# -- two workers -----------------------------------------------------------------------------------------------------------


def test_numbers_bar_and_learner(learn, capsys):
    """One test: a worker takes seconds to start."""
    learn.fit(1, 1e-2)
    learn.dls.loaders[0] = learn.dls.train.new(num_workers=1)
    learn.add_cbs([ProgressCallback(), CSVLogger(), Noise()])
    before = state_of(learn), torch.get_rng_state().tolist()
    expected = learn.compare_schedules(2, **GRID, init=new_weights)
    files = sorted(learn.path.rglob("*"))
    capsys.readouterr()
    comparison = learn.compare_schedules(2, **GRID, init=new_weights, n_jobs=2)
    assert_same_numbers(comparison, expected)
    assert len(comparison.runs) == 3 and len(comparison.grid_runs) == 6 and comparison.peaks == expected.peaks
    bar = capsys.readouterr().out
    assert "[4/18 " in bar and "2 runs at a time" in bar and "[18/18 " in bar and bar.endswith("]\n")
    assert (state_of(learn), torch.get_rng_state().tolist()) == before and sorted(learn.path.rglob("*")) == files
    two = dict(n_epoch=1, lr=1e-2, schedules=["constant", "cosine"], seeds=1)
    with joblib.parallel_config(n_jobs=2), learn.no_bar():
        assert_same_numbers(learn.compare_schedules(**two), learn.compare_schedules(**two, n_jobs=1))
    assert capsys.readouterr().out == ""


def run_that_failed(learn, n_jobs, *error):
    with pytest.raises(Exception) as raised:
        learn.compare_schedules(1, 1e-2, ["constant"], seeds=2, cbs=Fails(*error), n_jobs=n_jobs)
    return raised.value


def test_an_error_is_the_same_and_says_which_run_it_was(learn):
    here, there = (run_that_failed(learn, n_jobs, ValueError, "no good") for n_jobs in (1, 2))
    assert type(here) is type(there) is ValueError and str(here) == str(there) and str(here).endswith("no good")
    if sys.version_info >= (3, 11):
        assert here.__notes__ == ["The run that raised this: constant, seed 0"]
        assert there.__notes__ in (here.__notes__, ["The run that raised this: constant, seed 1"])


def test_an_error_that_cannot_be_unpickled_is_told_by_one_that_can(learn):
    recipe = Recipe(learn, {"constant": ("fit", [Fails(Strange, "this", "odd")])}, 1, None, None)
    payload, settings = recipe.pickled(recipe.sandbox()), Settings("/nowhere", 1, multiprocessing.get_start_method())
    with pytest.raises(RuntimeError, match=r"(?s)Strange: .*this is odd \(constant, seed 0\)"):
        train_in_worker(payload, settings, 0, Task("constant", 0, 1e-2, "constant, seed 0"))


IN_MAIN = """
import os, signal, sys, tempfile, threading, time
from pathlib import Path
import torch
from fastai.callback.core import Callback
from torch import nn
from helpers import make_learner

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 10)

    def forward(self, x):
        return self.layer(x)

class Loss:
    def __call__(self, x, y):
        return nn.functional.cross_entropy(x, y)

class Slow(Callback):
    def __init__(self, finished):
        self.finished = finished

    def before_batch(self):
        time.sleep(.1)

    def after_fit(self):
        self.finished.touch()

def right(x, y):
    return (x.argmax(1) == y).float().mean()

def new_weights(model):
    model.layer.reset_parameters()

def schedule(position):
    return 1e-2 * (1 - position)

tempfile.tempdir = sys.argv[1]
learn = make_learner(Path(sys.argv[1]), metrics=[right])
learn.model, learn.loss_func, learn.splitter = Net(), Loss(), lambda model: [list(model.parameters())]
schedules = {"mine": schedule, "clr": "clr(4,2)"}
here, there = (learn.compare_schedules(1, 1e-2, schedules, 2, init=new_weights, n_jobs=n) for n in (1, 2))
print(*(a.losses.tolist() == b.losses.tolist() for a, b in zip(here.runs, there.runs)))
learn.logger = print
finished = Path(sys.argv[2])

def interrupt():
    while not finished.exists():
        time.sleep(.1)
    time.sleep(1)
    os.killpg(os.getpgid(0), signal.SIGINT)  # as a terminal and Jupyter do

threading.Thread(target=interrupt).start()
try:
    learn.compare_schedules(1, 1e-2, schedules, 200, cbs=Slow(finished), n_jobs=2)
except KeyboardInterrupt:
    print(0 < len(learn.interrupted.runs) < 400, [path.name for path in Path(sys.argv[1]).iterdir()])
"""


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="Windows has no process groups")
def test_classes_of_a_script_and_ctrl_c(tmp_path, ctrl_c):
    (tmp_path / "temporary").mkdir()
    arguments = [str(tmp_path / o) for o in ("temporary", "finished")]
    command = [sys.executable, "-W", "ignore", "-c", IN_MAIN, *arguments]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, start_new_session=True)
    said = "Interrupted: learn.interrupted is the Comparison of what has finished."
    assert done.stdout.splitlines() == ["True True True True", said, "True []"], done.stderr
    assert "KeyboardInterrupt" not in done.stderr


def test_a_cluster_of_dask(learn):
    import dask
    from distributed import Client, LocalCluster

    learn.dls.loaders[0] = learn.dls.train.new(num_workers=1)
    arguments = dict(n_epoch=1, **GRID)
    expected = learn.compare_schedules(**arguments)
    with (
        dask.config.set({"distributed.worker.daemon": False}),  # for the processes of the data loader
        LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address=None) as cluster,
        Client(cluster),
    ):
        with joblib.parallel_config(backend="dask"):
            assert_same_numbers(learn.compare_schedules(**arguments), expected)  # and n_jobs is that of the cluster
            assert str(run_that_failed(learn, 2, ValueError, "no good")).endswith("no good")
            with pytest.raises(KeyboardInterrupt):
                learn.compare_schedules(**arguments, cbs=Fails(KeyboardInterrupt), n_jobs=2)
            assert learn.interrupted is None
            assert_same_numbers(learn.compare_schedules(**arguments, n_jobs=2), expected)


# -- how many --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "n_jobs, n_runs, config, expected",
    [
        (None, 8, {}, 1),
        (1, 8, {}, 1),
        (3, 8, {}, 3),
        (3, 2, {}, 2),  # a worker without work would take its time to start
        (-1, 99, {}, joblib.cpu_count()),
        (None, 8, dict(n_jobs=4), 4),
        (2, 8, dict(n_jobs=4), 2),
        (4, 8, dict(backend="threading"), 1),  # the threads of a process share its random numbers
    ],
)
def test_how_many_runs_train_at_a_time(n_jobs, n_runs, config, expected):
    with joblib.parallel_config(**config):
        assert number_of_jobs(n_jobs, n_runs) == expected


@pytest.mark.parametrize(
    "n_jobs, error, match",
    [
        (0, ValueError, "n_jobs should be at least 1, or -1 for all cores, but given 0"),
        (1.5, TypeError, "n_jobs should be an integer, but given 1.5"),
        ("2", TypeError, "n_jobs should be an integer, but given '2'"),
        (True, TypeError, "n_jobs should be an integer, but given True"),
    ],
)
def test_bad_numbers(learn, n_jobs, error, match):
    with pytest.raises(error, match=match):
        learn.compare_schedules(1, 1e-2, n_jobs=n_jobs)


# -- what stands in the way ------------------------------------------------------------------------------------------------


class Logs(Callback):
    def __init__(self, path):
        self.file = open(path / "log", "w")


def lock_in_the_model(learn):
    learn.model[1].locks = [threading.Lock()]


def lock_in_init(learn):
    lock = threading.Lock()
    return dict(init=lambda model: lock and None)


def lock_in_the_loss(learn):
    lock, loss_func = threading.Lock(), learn.loss_func
    learn.loss_func = lambda *args: lock and loss_func(*args)


@pytest.mark.parametrize(
    "change, what",
    [
        (lock_in_the_model, r"learn\.model\._modules\['1'\]\.locks\[0\] is not: cannot pickle '_thread.lock' object"),
        (lock_in_the_loss, r"learn\.loss_func is not: cannot pickle"),
        (lambda learn: learn.add_cb(Logs(learn.path)), r"the callback Logs\.file is not: "),
        (lambda learn: dict(cbs=Logs(learn.path)), r"the callback Logs\.file is not: "),
        (lock_in_init, "init is not: cannot pickle"),
    ],
)
def test_a_learner_that_cannot_be_pickled(learn, change, what):
    arguments = change(learn)
    arguments = arguments if isinstance(arguments, dict) else {}
    before = state_of(learn)
    with pytest.raises(ValueError, match=f"n_jobs sends the Learner to other processes, .* but {what}"):
        learn.compare_schedules(1, 1e-2, **arguments, n_jobs=2)
    assert state_of(learn) == before
    assert len(learn.compare_schedules(1, 1e-2, ["constant"], seeds=1, **arguments).runs) == 1


def test_a_model_compiled_in_place_would_not_be_so_in_a_worker(learn):
    learn.model.compile(backend="aot_eager")
    with pytest.raises(ValueError, match=r"try learn.model = torch.compile\(learn.model\)"):
        learn.compare_schedules(1, 1e-2, n_jobs=2)


def test_what_is_sent_is_small_and_without_what_does_not_take_part(learn):
    logs = Logs(learn.path)
    logs.take_part = False
    learn.add_cb(logs)
    recipe = Recipe(learn, {"flat": ("fit", [logs])}, 1, None, None)
    # Each item is a view of all the digits: `pickle` would write their 460 kB for each of 112 items.
    assert len(recipe.pickled(recipe.sandbox())) < 1e6
