"""Writes X.pickle and X_scheduler.pickle for release X, what users keep of it, for later releases to read.

It was run once on each release:  python tests/data/make_pickle.py
pandas reads the pickles of older versions only, so the oldest that these releases ran with made them: 2.2.3.
"""

import pickle
from pathlib import Path

import torch
from fastai.vision.all import CrossEntropyLossFlat, DataLoaders, Learner, accuracy, nn, set_seed, tensor
from sklearn.datasets import load_digits

import fastai_clr
from fastai_clr.all import CircularLR, CircularLRBeta, CLRScheduler, Constant, CosAnneal, Cycles

SAMPLE = Path(__file__).with_name(f"{fastai_clr.__version__}.pickle")


def each_layer(net):
    return [list(layer.parameters()) for layer in (net[0], net[2])]


def make_sample():
    set_seed(0)
    digits = load_digits()
    items = list(zip(tensor(digits.data).float() / 16, tensor(digits.target)))
    dls = DataLoaders.from_dsets(items[:640], items[1400:], bs=32, num_workers=0)
    net = nn.Sequential(nn.Linear(64, 100), nn.ReLU(), nn.Linear(100, 10))
    learn = Learner(dls, net, loss_func=CrossEntropyLossFlat(), metrics=accuracy, splitter=each_layer)
    suggestions = learn.suggest_clr(2), learn.suggest_clr(2, budget=1)
    comparison = learn.compare_schedules(2, 1e-2, ["clr(10,10)", "constant"], seeds=3)
    learn.fit([1e-3, 1e-2], 2, cycle_len=1, cycle_mult=2, use_clr=(32, 5, 0.95, 0.85))
    return {
        "schedules": [
            CircularLR(32, 5),
            CircularLR(4, 2, 0.95, 0.85, cosine=True, div_final=100, gamma=0.99, cycle_gamma=0.5),
            CircularLRBeta(10, 10, 0.95, 0.85),
            CosAnneal(slow_start=False),
            Constant(),
        ],
        "cycles": Cycles(n_cycles=3, cycle_len=1, cycle_mult=2, n_iter=10),
        "sched": learn.sched,
        "comparison": comparison,
        "suggestions": suggestions,
    }


def make_scheduler():
    """After 7 batches of two cycles of 10; with the oldest torch that this release ran with, 2.5.0."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(2))], lr=0.1, momentum=0.9)
    scheduler = CLRScheduler(optimizer, CircularLR(10, 5, 0.95, 0.85), Cycles(2, 1, n_iter=10))
    for _ in range(7):
        optimizer.step()
        scheduler.step()
    del optimizer.step  # torch's wrapper, which no pickle holds
    return scheduler


if __name__ == "__main__":
    assert not SAMPLE.exists(), "a later release reads these files, it does not write them"
    SAMPLE.write_bytes(pickle.dumps(make_sample(), protocol=4))
    SAMPLE.with_name(f"{SAMPLE.stem}_scheduler.pickle").write_bytes(pickle.dumps(make_scheduler(), protocol=4))
