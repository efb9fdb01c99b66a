"""One training run, for a process of its own that may be killed in the middle: `test_resume.py` starts it."""

import os
import signal

import torch
from fastai.callback.core import Callback
from fastai.callback.tracker import SaveModelCallback
from torch import nn

from fastai_clr.all import CircularLR, CLRCallback
from helpers import OPTIMIZERS, Probe, make_learner

MOMS = (0.95, 0.85)
FITS = {  # each line is typed twice, the second time with start_epoch
    "use_clr": lambda o, **k: o.fit([1e-3, 1e-2], 1, wds=0.1, cycle_len=4, use_clr=(20, 5, *MOMS), **k),
    "use_clr_beta": lambda o, **k: o.fit(1e-2, 1, cycle_len=4, use_clr_beta=(10, 20, *MOMS), **k),
    "cycle_mult": lambda o, **k: o.fit(1e-2, 2, cycle_len=1, cycle_mult=2, **k),
    "several cycles": lambda o, **k: o.fit(1e-2, 2, cycle_len=2, use_clr=(10, 4, *MOMS), clip=0.1, **k),
    "fractional cycles": lambda o, **k: o.fit(1e-2, 4, cycle_len=0.7, use_clr=(10, 4, *MOMS), **k),
    "fit_clr": lambda o, **k: o.fit_clr(4, slice(1e-3, 1e-2), 32, 5, n_cycles=2, moms=MOMS, wd=0.2, **k),
    "native": lambda o, cbs, **k: o.fit(3, 1e-2, cbs=[CLRCallback(CircularLR(20, 5, *MOMS)), *cbs], **k),
}


class Data(Callback):
    """Seeded data: an epoch is shuffled, and its units dropped, by its number."""

    def before_train(self):
        self.learn.dls.train.rng.seed(self.learn.epoch)
        torch.manual_seed(self.learn.epoch)


class Kill(Callback):
    """No Python code runs after this, no buffer is flushed, nothing is put back."""

    def __init__(self, epoch, batch):
        self.place = epoch, batch

    def before_step(self):
        if (self.learn.epoch, self.learn.iter) == self.place:
            os.kill(os.getpid(), signal.SIGKILL)


def train(path, fit, optimizer, start_epoch=0, killed_at=None, n_batches=10):
    """Train, save every epoch in `path`, and at the end what happened in `path/end.pt`."""
    torch.set_num_threads(1)
    learn, probe = make_learner(path, n_batches, 2, OPTIMIZERS[optimizer]), Probe()
    learn.model.insert(1, nn.Dropout(0.2))
    learn.splitter = lambda model: [list(model[0].parameters()), list(model[1:].parameters())]
    cbs = [Data(), probe, SaveModelCallback(every_epoch=True, with_opt=True)]
    if start_epoch:
        learn.load(f"model_{start_epoch - 1}")
    if killed_at:
        cbs.append(Kill(*killed_at))
    FITS[fit](learn, cbs=cbs, start_epoch=start_epoch)
    weights = [p.detach().clone() for p in learn.model.parameters()]
    left = [(h["mom"], h["wd"]) for h in learn.opt.hypers]
    torch.save((probe.probed_lrs, probe.probed_moms, probe.probed_wds, weights, left), path / "end.pt")
