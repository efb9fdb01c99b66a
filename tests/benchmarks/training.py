"""Do the schedules train better? `python tests/benchmarks/training.py`, or with `--fashion-mnist FOLDER`.

Constant, 0.7's cosine, a plain cosine, fastai's one-cycle and some of ours, from the same weights on the same batches for
each seed: all at one peak, and each at its own best peak of a grid, chosen on seeds of their own (`lr_grid`).

The data are scikit-learn's digits. For Fashion-MNIST unpack Debian's package (`apt-get download dataset-fashion-mnist`,
`dpkg-deb -x *.deb FOLDER`); torchvision reads its files.
"""

import argparse
import gzip
import os
import tempfile
from pathlib import Path

import torch
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Learner
from fastai.losses import CrossEntropyLossFlat
from fastai.metrics import accuracy
from sklearn.datasets import load_digits
from torch import nn
from torchvision.datasets import FashionMNIST

import fastai_clr.all  # noqa: F401  (installs compare_schedules)

SCHEDULES = ["constant", "cosine_07", "cosine", "one_cycle", "clr(10,10)", "clr(10,5)", "clr(32,10)", "clr_beta(10,10)"]
PEAKS = [1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1]
ONE_PEAK = 1e-2
GRID_SEEDS, SEEDS = list(range(100, 110)), list(range(10))


def digits():
    """1,797 digits of 8 x 8 pixels, 1,397 of them for training; one hidden layer; 5 epochs of 44 batches."""
    data = load_digits()
    pixels, targets = torch.tensor(data.data, dtype=torch.float32) / 16, torch.tensor(data.target)
    net = nn.Sequential(nn.Linear(64, 100), nn.ReLU(), nn.Linear(100, 10))
    return pixels, targets, 1397, 32, net, 5


def fashion(folder):
    """12,000 images of clothes for training and 10,000 for validation; three convolutions; 3 epochs of 188 batches."""
    with tempfile.TemporaryDirectory() as root:  # torchvision wants the four files in a folder of this name
        raw = Path(root) / "FashionMNIST" / "raw"
        raw.mkdir(parents=True)
        for file in Path(folder).rglob("*-ubyte*"):
            (raw / file.name).symlink_to(file.resolve())
        for file in raw.glob("*.gz"):
            if not (raw / file.stem).exists():
                (raw / file.stem).write_bytes(gzip.decompress(file.read_bytes()))
        train, test = (FashionMNIST(root, train=o, download=False) for o in (True, False))
        images = torch.cat([train.data[:12_000], test.data])[:, None].float().sub(72.9).div(90.0)
        targets = torch.cat([train.targets[:12_000], test.targets])
    channels = [1, 8, 16, 32]
    layers = [
        nn.Sequential(nn.Conv2d(a, b, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU())
        for a, b in zip(channels, channels[1:])
    ]
    net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))
    return images, targets, 12_000, 64, net, 3


def new_weights(net):
    for layer in net.modules():
        if hasattr(layer, "reset_parameters"):
            layer.reset_parameters()


def main(data, seeds, grid_seeds):
    images, targets, n_train, bs, net, n_epoch = data
    items = list(zip(images, targets))
    dls = DataLoaders(
        DataLoader(items[:n_train], bs=bs, shuffle=True), DataLoader(items[n_train:], bs=1000), device="cpu"
    )
    learn = Learner(dls, net, loss_func=CrossEntropyLossFlat(), metrics=accuracy)
    learn.remove_cb(learn.progress)

    def compare(**peaks):
        return learn.compare_schedules(
            n_epoch, schedules=SCHEDULES, seeds=seeds, baseline="one_cycle", init=new_weights, **peaks
        )

    def show(title, comparison):
        print(f"\n{title}\n")
        wanted = comparison.table[["final accuracy", "final valid_loss", "epochs to accuracy"]]
        print(wanted.to_string(float_format="{:.4f}".format))
        print(f"\n{comparison}", flush=True)

    show(f"All at a peak of {ONE_PEAK}", compare(lr=ONE_PEAK))
    best = compare(lr_grid=PEAKS, grid_seeds=grid_seeds)
    print(f"\nFinal accuracy by peak, on seeds {grid_seeds}\n\n{best.grid.to_string(float_format='{:.4f}'.format)}")
    show("Each at its own best peak", best)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fashion-mnist", metavar="FOLDER", help="folder that Debian's package was unpacked to")
    folder = parser.parse_args().fashion_mnist
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 1)))
    torch.manual_seed(0)
    main(fashion(folder) if folder else digits(), SEEDS, GRID_SEEDS)
