"""What the tests share: learners on real digits, with as many batches and groups as asked, and other processes."""

import importlib.util
import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import matplotlib
import numpy as np
import pandas as pd
import torch
from fastai.callback.core import Callback
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Learner, ValueMetric
from fastai.optimizer import SGD, Adam, OptimWrapper
from fastai.tabular.all import CategoryBlock, Normalize, TabularDataLoaders, tabular_learner
from fastai.torch_core import to_np
from fastcore.imports import noop
from sklearn.datasets import load_digits
from torch import nn

import fastai_clr.all  # noqa: F401  (installs the patches)
from fastai_clr.report import Run

matplotlib.use("agg")
os.environ.setdefault("OMP_NUM_THREADS", "1")
torch.set_num_threads(1)

DEVICE = os.environ.get("FASTAI_CLR_DEVICE", "cpu")  # of all learners here
ROOT = Path(__file__).parents[1]
DATA, NOTEBOOKS = ROOT / "tests" / "data", ROOT / "notebooks"
TRACES = json.loads((DATA / "fastai07_traces.json").read_text())["cases"]
OPTIMIZERS = {
    "fastai SGD": partial(SGD, mom=0.9),
    "fastai Adam": Adam,
    "torch SGD": partial(OptimWrapper, opt=partial(torch.optim.SGD, momentum=0.9)),
    "torch AdamW": partial(OptimWrapper, opt=torch.optim.AdamW),
}
_digits = load_digits()
PIXELS, DIGITS = torch.tensor(_digits.data, dtype=torch.float32) / 16, torch.tensor(_digits.target)


def each_layer(model):
    return [list(layer.parameters()) for layer in model]


def make_learner(
    path, n_batches=20, n_groups=1, opt_func=Adam, bs=4, n_valid=32, metrics=(), shuffle=True, loss_func=None, **kwargs
):  # fmt: skip
    """A learner with `n_batches` batches per epoch and `n_groups` parameter groups, one for each layer."""
    torch.manual_seed(0)
    items = [(PIXELS[i % len(PIXELS)], DIGITS[i % len(DIGITS)]) for i in range(n_batches * bs + n_valid)]
    split = n_batches * bs
    dls = DataLoaders(
        DataLoader(items[:split], bs=bs, shuffle=shuffle), DataLoader(items[split:], bs=bs * 4), device=DEVICE
    )
    sizes = [64] + [8] * (n_groups - 1) + [10]
    model = nn.Sequential(*[nn.Linear(a, b) for a, b in zip(sizes, sizes[1:])]).to(DEVICE)
    loss_func = loss_func or nn.CrossEntropyLoss()  # with fastai's own a fit takes a fifth longer
    learn = Learner(
        dls, model, loss_func=loss_func, opt_func=opt_func, metrics=list(metrics), path=path,
        splitter=each_layer, **kwargs,
    )  # fmt: skip
    learn.logger = print
    learn.remove_cb(learn.progress)
    learn.logger = noop
    return learn


def make_tabular(path, **kwargs):
    """The digits as a table of 64 columns: 5 batches per epoch, and data that `export` can leave out."""
    torch.manual_seed(0)
    pixels = [f"pixel {i}" for i in range(64)]
    df = pd.DataFrame(PIXELS[:200].numpy(), columns=pixels).assign(digit=DIGITS[:200].numpy())
    dls = TabularDataLoaders.from_df(
        df, procs=[Normalize], cont_names=pixels, y_names="digit", y_block=CategoryBlock(), bs=32, device=DEVICE,
        valid_idx=range(160, 200),
    )  # fmt: skip
    learn = tabular_learner(dls, layers=[16], path=path, **kwargs)
    learn.remove_cb(learn.progress)
    learn.logger = noop
    return learn, df


class Probe(Callback):
    """What the optimizer holds in the middle of each training batch, read by fastai's own `hypers`."""

    run_valid = False

    def before_fit(self):
        self.probed_lrs, self.probed_moms, self.probed_wds = [], [], []

    def before_step(self):
        hypers = self.learn.opt.hypers
        self.probed_lrs.append([h["lr"] for h in hypers])
        self.probed_moms.append([h.get("mom") for h in hypers])
        self.probed_wds.append([h.get("wd") for h in hypers])


def once(action, event="after_epoch", epoch=None, order=80):
    """A callback that calls `action(learn)` once: at the first such event of the training, or at that of an epoch."""

    class Once(Callback):
        run_valid, done = False, False

    def act(self):
        if not self.done and (epoch is None or self.learn.epoch == epoch):
            self.done = True
            action(self.learn)

    setattr(Once, event, act)
    callback = Once()
    callback.order = order
    return callback


def scripted(learn, values, name="accuracy", lower_is_better=None):
    """A metric whose value in each epoch of `learn` is given."""
    metric = ValueMetric(lambda: values[learn.epoch], name)
    if lower_is_better is not None:
        metric.lower_is_better = lower_is_better
    return metric


def state_of(learn):
    """All that a refused call may not change, in a form that compares."""
    opt = learn.opt
    return dict(
        weights=[to_np(p).tobytes() for p in learn.model.parameters()],
        opt=id(opt),
        hypers=[dict(h) for h in opt.hypers] if opt else None,
        cbs=[id(cb) for cb in learn.cbs],
        metrics=[id(m) for m in learn.metrics],
        sched=id(learn.__dict__.get("sched")),
        attributes=sorted(learn.__dict__),
        lr=learn.lr,
    )


def assert_same_rates(values, expected, peak):
    """Equal to 1e-12 of the peak."""
    values, expected = np.asarray(values, dtype=float), np.asarray(expected, dtype=float)
    assert values.shape == expected.shape
    assert np.abs(values - expected).max() <= 1e-12 * np.max(peak)


def types_in(o):
    """The value with the type of each number in it, since 1 == 1.0 == np.float64(1)."""
    if isinstance(o, list):
        return [types_in(item) for item in o]
    if isinstance(o, slice):
        return slice, types_in(o.start), types_in(o.stop), o.step
    return type(o), o


def assert_same(value, expected):
    assert types_in(value) == types_in(expected)


# -- runs of a comparison ------------------------------------------------------------------------------------------------


def run_of_rows(
    name, seed, rows, metric_names=("train_loss", "valid_loss", "accuracy"), metrics=None, seconds=1.0, lr=0.01,
    losses=(0.5,) * 4, n_epoch=None, train_metrics=False, valid_metrics=True,
):  # fmt: skip
    """A run of as many epochs as there are rows, in the form in which a Learner's Recorder keeps them."""
    recorder = SimpleNamespace(
        metric_names=["epoch", *metric_names, "time"], values=list(rows), add_time=True, train_metrics=train_metrics,
        valid_metrics=valid_metrics,
    )  # fmt: skip
    if metrics is None:
        names = [o for o in metric_names if o not in ("train_loss", "valid_loss")]
        if train_metrics and valid_metrics:
            names = [o.removeprefix("valid_") for o in names if o.startswith("valid_")]
        metrics = [SimpleNamespace(name=o) for o in names]
    sched = SimpleNamespace(lrs=[lr] * len(losses), losses=losses)
    n_epoch = len(recorder.values) if n_epoch is None else n_epoch
    return Run(
        name, seed, seconds, SimpleNamespace(sched=sched, recorder=recorder, metrics=metrics, n_epoch=n_epoch), lr
    )


def run_of(name, seed, values, **kwargs):
    """A run with one value of the metric for each epoch."""
    return run_of_rows(name, seed, [(0.5, 1 - v, v) for v in values], **kwargs)


def runs_of(**finals):
    """Runs of three epochs: by schedule, the final accuracy for each seed from 0 on."""
    return [run_of(name, seed, [0.5, 0.7, v]) for name, o in finals.items() for seed, v in enumerate(o)]


# -- other processes -----------------------------------------------------------------------------------------------------

WITHOUT_THE_PLUGIN = """
import sys, warnings
warnings.simplefilter("ignore")
class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "fastai_clr":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, NotInstalled())
"""


def run_code(code, *arguments):
    """What a new Python process prints that runs `code`; an error there is one here."""
    command = [sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def modules_loaded_by(statement, among=("fastai", "torch", "matplotlib")):
    """Which of the packages `among` are loaded after `statement`."""
    return run_code(f"import sys; {statement}; print(*[m for m in {among!r} if m in sys.modules])").split()


# -- notebooks -----------------------------------------------------------------------------------------------------------


def load_run():
    """notebooks/run.py as a module of its own, whose names a test may change."""
    spec = importlib.util.spec_from_file_location("notebooks_run", NOTEBOOKS / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def outputs(nb):
    return [o for cell in nb.cells for o in cell.get("outputs", [])]


def typed_before(learn):
    """The names that examples use, as in a notebook after the star imports."""
    names = {"learn": learn, "lr": 1e-2, "lrs": np.array([1e-4, 1e-3, 1e-2]), "wd": 0.1}
    exec("from fastai.vision.all import *\nfrom fastai_clr.all import *", star_imports := {})
    return star_imports | names
