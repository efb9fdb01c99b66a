"""Two processes that share the data hold the same rates: the schedule over the batches that each of them trains."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import fastai.distributed  # noqa: F401  (it gives the Learner to_parallel)
import numpy as np
import pytest
import torch

from fastai_clr.all import CircularLR, Cycles
from helpers import ROOT, Probe, assert_same_rates

EXPECTED = {  # batches announced to each rank and trained in an epoch, epochs trained, cycles, peaks
    "even": (10, 10, [0, 1], Cycles(1, 2, n_iter=10), [1e-2, 1e-2]),
    "uneven": (11, 11, [0, 1], Cycles(2, 1, n_iter=11), [1e-3, 1e-2]),
    "fractional cycles": (11, 11, [0, 1], Cycles(3, 0.5, n_iter=11), [1e-2, 1e-2]),
    "last batch dropped": (10, 9, [0, 1], Cycles(2, 1, n_iter=10), [1e-2, 1e-2]),
    "resumed": (11, 11, [1, 2], Cycles(1, 3, n_iter=11), [1e-2, 1e-2]),
    "native": (11, 11, [0, 1], Cycles(1, 2, n_iter=11), [1e-2, 1e-2]),
}


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """What each rank says of each fit; one launch for all of them."""
    path, script = tmp_path_factory.mktemp("ranks"), Path(__file__).parent / "training_ranks.py"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", script, path]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=120,
        env={
            **os.environ,
            "FASTAI_CLR_DEVICE": "cpu",
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
        },
    )
    assert done.returncode == 0, done.stderr
    return lambda name: [torch.load(path / f"{name}_{rank}.pt", weights_only=False) for rank in (0, 1)]


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPECTED)
def test_both_ranks_hold_the_schedule_over_their_own_batches(ranks, name):
    announced, trained, epochs, cycles, peaks = EXPECTED[name]
    steps = np.concatenate([epoch * announced + np.arange(trained) for epoch in epochs])
    steps = steps[steps < cycles.n_batches]
    for rank in ranks(name):
        factors, momentums = rank["schedule"].at(steps, cycles)
        assert rank["counted"][0] == trained and sum(rank["counted"]) == len(steps)
        assert_same_rates(rank["lrs"], factors[:, None] * peaks, peaks)
        assert rank["recorded"] == rank["lrs"]
        if momentums is not None:
            np.testing.assert_array_equal(rank["moms"], np.stack([momentums, momentums], axis=1))
        ends = [int((steps < end).sum()) for end in cycles.ends if end > epochs[0] * announced]
        assert rank["cycle_ends"] == ends
        assert rank["left"] == [0.9, 0.9] and rank["model"] == "Sequential"


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPECTED)
def test_both_ranks_train_the_same_weights_and_one_of_them_writes_them(ranks, name):
    first, second = ranks(name)
    assert all(torch.equal(a, b) for a, b in zip(first["weights"], second["weights"]))
    written = Counter(first["written"])
    n_cycles = EXPECTED[name][3].n_cycles
    assert {o: n for o, n in written.items() if o != "best.pth"} == {f"x_cyc_{k}.pth": 1 for k in range(n_cycles)}
    assert 1 <= written["best.pth"] <= 2 and second["written"] == []


@pytest.mark.slow
@pytest.mark.parametrize("name, n_cycles", [("rank 0 stops", 3), ("rank 0 goes on", 4), ("both stop", 2)])
def test_all_ranks_stop_at_the_end_of_the_same_cycle_and_one_of_them_says_so(ranks, name, n_cycles):
    first, second = ranks(name)
    assert first["cycle_ends"] == second["cycle_ends"] == [10 * (k + 1) for k in range(n_cycles)]
    assert all(torch.equal(a, b) for a, b in zip(first["weights"], second["weights"]))
    assert [len(o["printed"]) for o in (first, second)] == [n_cycles < 4, 0]


@pytest.mark.slow
def test_a_cooldown_takes_a_fifth_of_what_each_rank_has_trained(ranks):
    first, second = ranks("cooldown")
    for of_native, of_ours in (first["lrs"], second["lrs"]):
        assert_same_rates(of_native, np.array([[0.7], [0.4], [0.1]]) * [1e-3, 1e-2], 1e-2)
        assert_same_rates(of_ours, of_native, 1e-2)
    assert all(torch.equal(a, b) for a, b in zip(first["weights"], second["weights"]))


@pytest.mark.slow
def test_nothing_is_measured_in_several_processes(ranks):
    for rank in ranks("even"):
        assert rank["refused"] == "an experiment on copies of a Learner should run in one process, not in several"


def test_data_parallel_too(learner):
    learn, probe = learner(10, 2), Probe()
    learn.to_parallel()
    learn.fit(1e-2, 1, cycle_len=2, use_clr=(32, 5, 0.95, 0.85), cycle_save_name="x", cbs=probe)
    factors, momentums = CircularLR(32, 5, 0.95, 0.85).at(np.arange(20), Cycles(1, 20))
    np.testing.assert_array_equal(probe.probed_lrs, np.stack([factors * 1e-2] * 2, axis=1))
    np.testing.assert_array_equal(np.array(probe.probed_moms)[:, 1], momentums)
    learn.detach_parallel().load("x_cyc_0")
    assert type(learn.model).__name__ == "Sequential" and learn.opt.hypers[0]["mom"] == 0.9
