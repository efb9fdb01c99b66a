"""Several fits in two processes that share the data: `test_distributed.py` launches it, once for each rank.

There is no GPU on the machines that run the tests. fastai's `DistributedDL` sends the shuffled indices from rank 0 to the
others through CUDA, as nccl asks for; that one call is supplied here for gloo. All the rest is fastai's `distrib_ctx`.
"""

import os
import sys
import time
from pathlib import Path

import torch
from fastai.callback.core import Callback, CancelFitException
from fastai.data.load import DataLoader
from fastai.distributed import DistributedDL
from fastai.learner import ValueMetric
from fastai.metrics import accuracy
from fastai.torch_core import rank_distrib

from fastai_clr.all import CircularLR, CLRCallback, StopAtCycleEnd
from fastai_clr.learner.loop import running
from helpers import Probe, make_learner

MOMS = (0.95, 0.85)
FITS = {  # the training items, in batches of 4 for each process; what is done with them
    "even": (80, False, lambda o, **k: o.fit(1e-2, 1, cycle_len=2, use_clr=(32, 5, *MOMS), **k)),
    "uneven": (85, False, lambda o, **k: o.fit([1e-3, 1e-2], 2, cycle_len=1, use_clr=(10, 4, *MOMS), **k)),
    "fractional cycles": (85, False, lambda o, **k: o.fit(1e-2, 3, cycle_len=0.5, use_clr=(10, 4), **k)),
    "last batch dropped": (76, True, lambda o, **k: o.fit(1e-2, 2, cycle_len=1, use_clr_beta=(10, 10), **k)),
    "resumed": (85, False, lambda o, **k: o.fit(1e-2, 1, cycle_len=3, use_clr=(32, 5), start_epoch=1, **k)),
    "native": (85, False, lambda o, cbs, **k: o.fit(2, 1e-2, cbs=[CLRCallback(CircularLR(32, 5, *MOMS), **k), *cbs])),
}


STOPS = {  # the metric of each rank in each epoch: rank 0 decides
    "rank 0 stops": [[0.5, 0.6, 0.6, 0.7], [0.1, 0.2, 0.3, 0.4]],
    "rank 0 goes on": [[0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.6, 0.7]],
    "both stop": [[0.5, 0.5, 0.6, 0.7]] * 2,
}


def broadcast(self, t, rank):
    t = torch.tensor(t)
    torch.distributed.broadcast(t, rank)
    return t.tolist()


class Count(Callback):
    """How many batches this rank trained in each epoch, and how many it was told it would."""

    run_valid = False

    def before_train(self):
        self.counted = [*getattr(self, "counted", []), 0]
        self.told = len(self.learn.dl)

    def after_step(self):
        self.counted[-1] += 1


def run(path, name):
    n_items, drop_last, fit = FITS[name]
    learn, probe, count, written = make_learner(path / name, 20, 2, metrics=[accuracy]), Probe(), Count(), []
    learn.dls.loaders[0] = DataLoader(learn.dls.train.dataset * 2, bs=4, shuffle=True, drop_last=drop_last)
    learn.dls.train.n = n_items
    own_save, torch.save = torch.save, lambda o, file, **k: written.append(Path(file).name) or own_save(o, file, **k)
    with learn.distrib_ctx(cpu=True):
        fit(learn, cbs=[probe, count], cycle_save_name="x", best_save_name="best")
        try:
            learn.suggest_clr(1)
        except ValueError as e:
            refused = str(e)
    torch.save = own_save
    sched = learn.sched
    torch.save(
        dict(
            lrs=probe.probed_lrs, moms=probe.probed_moms, counted=count.counted, told=count.told, written=written,
            recorded=sched.all_lrs.tolist(), cycle_ends=sched.cycle_ends, schedule=sched.schedule,
            left=[h["mom"] for h in learn.opt.hypers], model=type(learn.model).__name__, refused=refused,
            weights=[p.detach() for p in learn.model.parameters()],
        ),
        path / f"{name}_{rank_distrib()}.pt",
    )  # fmt: skip


def run_to_a_stop(path, name):
    learn, printed = make_learner(path / name, 20), []
    learn.metrics = [ValueMetric(lambda: STOPS[name][rank_distrib()][learn.epoch], "accuracy")]
    learn.logger = lambda row: None
    running.print = printed.append
    with learn.distrib_ctx(cpu=True):
        learn.fit(1e-2, 4, cycle_len=1, use_clr=(10, 4), cbs=StopAtCycleEnd())
    weights = [p.detach() for p in learn.model.parameters()]
    torch.save(
        dict(cycle_ends=learn.sched.cycle_ends, printed=printed, weights=weights), path / f"{name}_{rank_distrib()}.pt"
    )


class Stop(Callback):
    run_valid = False

    def after_batch(self):
        if self.learn.train_iter == 15:
            raise CancelFitException


def run_cooldowns(path):
    """Fits that a callback ends after 10 + 5 batches of each rank, of fastai's and in our style, and their cooldowns."""
    learn, probes = make_learner(path / "cooldown", 20, 2), [Probe(), Probe()]
    with learn.distrib_ctx(cpu=True):
        learn.fit(3, [1e-3, 1e-2], cbs=Stop())
        learn.fit_cooldown(cbs=probes[0])
        learn.fit([1e-3, 1e-2], 3, cbs=Stop())
        learn.fit_cooldown(cbs=probes[1])
    weights = [p.detach() for p in learn.model.parameters()]
    torch.save(dict(lrs=[o.probed_lrs for o in probes], weights=weights), path / f"cooldown_{rank_distrib()}.pt")


if __name__ == "__main__":
    DistributedDL._broadcast = broadcast
    for name in FITS:
        run(Path(sys.argv[1]), name)
    for name in STOPS:
        run_to_a_stop(Path(sys.argv[1]), name)
    run_cooldowns(Path(sys.argv[1]))
    torch.distributed.barrier()
    time.sleep(0.5)  # a rank that leaves while the other still talks to it aborts that one
    os._exit(0)  # all is written; on a busy machine gloo's own threads sometimes abort at a regular exit
