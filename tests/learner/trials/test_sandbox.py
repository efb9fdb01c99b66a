"""Copies of a Learner to experiment on: alike among themselves, and nothing of the Learner is touched."""

import contextlib
import gc
import pickle
import random
import signal
import sys
import tempfile
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from functools import partial, wraps
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
import torch
from fastai.callback.core import Callback
from fastai.callback.mixup import MixUp
from fastai.callback.progress import CSVLogger, ProgressCallback
from fastai.callback.tracker import EarlyStoppingCallback, SaveModelCallback
from fastai.data.core import DataLoaders, Datasets
from fastai.data.load import DataLoader
from fastai.learner import Learner
from fastai.losses import CrossEntropyLossFlat
from fastai.metrics import accuracy
from fastai.optimizer import SGD, Adam, OptimWrapper, ranger
from fastai.text.all import AWD_LSTM, LMDataLoader, awd_lstm_lm_config, language_model_learner
from fastai.torch_core import to_np
from fastcore.imports import noop
from torch import nn
from torch.autograd import grad_mode
from torch.utils.data import BatchSampler, RandomSampler, TensorDataset, WeightedRandomSampler

from fastai_clr.all import CircularLR, CLRCallback
from fastai_clr.learner.trials import compare, progress
from fastai_clr.learner.trials.reach import reachable
from fastai_clr.learner.trials.sandbox import Sandbox
from helpers import DEVICE, DIGITS, OPTIMIZERS, PIXELS, make_learner, make_tabular

pytestmark = pytest.mark.slow  # dozens of fits: a third of the time of all tests

TWO = {"a": CircularLR(10, 5, 0.95, 0.85), "b": CircularLR(10, 5, 0.95, 0.85)}


# -- learners of every kind ------------------------------------------------------------------------------------------------


def language_model(path):
    tokens = [torch.randint(0, 20, (100,), generator=torch.Generator().manual_seed(i)) for i in range(4)]
    dls = DataLoaders(
        LMDataLoader(tokens, bs=4, seq_len=10, shuffle=True), LMDataLoader(tokens, bs=4, seq_len=10), device=DEVICE
    )
    dls.vocab = [str(i) for i in range(20)]
    config = {**awd_lstm_lm_config, "emb_sz": 8, "n_hid": 8, "n_layers": 2}
    learn = language_model_learner(dls, AWD_LSTM, config=config, pretrained=False, path=path, metrics=accuracy)
    learn.remove_cb(ProgressCallback)
    learn.logger = lambda *_: None
    return learn


def with_torch_loader(path, **kwargs):
    learn = make_learner(path, 10, metrics=[accuracy])
    data = TensorDataset(PIXELS[:80], DIGITS[:80])
    learn.dls = DataLoaders(torch.utils.data.DataLoader(data, 8, **kwargs), torch.utils.data.DataLoader(data, 40))
    return learn


class Counter(Callback):
    """State of its own, in every form."""

    def __init__(self):
        self.n, self.seen, self.rng, self.draws = 0, [], random.Random(3), np.random.default_rng(3)

    def before_batch(self):
        self.n += 1
        self.seen.append(self.rng.random() + self.draws.random())
        if self.training and self.n > 12:
            self.learn.xb = tuple(x + self.seen[-1] for x in self.learn.xb)


def with_batch_norm(path):
    learn = make_learner(path, 10, metrics=[accuracy])
    learn.model = nn.Sequential(nn.Linear(64, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 10))
    learn.splitter = lambda model: [list(model[:2].parameters()), list(model[2:].parameters())]
    return learn


class Noisy(torch.utils.data.Dataset):
    """Random numbers in the data set itself."""

    def __init__(self):
        self.rng, self.generator, self.numbers = (
            random.Random(1),
            torch.Generator().manual_seed(1),
            np.random.RandomState(1),
        )
        self.more_numbers = np.random.default_rng(1)

    def __len__(self):
        return 80

    def __getitem__(self, i):
        noise = (
            self.rng.random()
            + float(torch.rand(1, generator=self.generator))
            + self.numbers.rand()
            + self.more_numbers.random()
        )
        return PIXELS[i] + noise / 10, DIGITS[i]


def with_noisy_data(path):
    learn, data = make_learner(path, 10, metrics=[accuracy]), Noisy()
    learn.dls = DataLoaders(DataLoader(data, bs=8, shuffle=True, num_workers=0), DataLoader(data, bs=40, num_workers=0))
    return learn


def with_weights(path):
    learn, generator = make_learner(path, 10, metrics=[accuracy]), torch.Generator().manual_seed(7)
    data, weights = TensorDataset(PIXELS[:80], DIGITS[:80]), torch.linspace(1, 2, 80)
    sampler = BatchSampler(WeightedRandomSampler(weights, 80, generator=generator), 8, drop_last=True)
    learn.dls = DataLoaders(
        torch.utils.data.DataLoader(data, sampler=sampler, batch_size=None), torch.utils.data.DataLoader(data, 40)
    )
    return learn


def lazy(path):
    learn = make_learner(path, 10, metrics=[accuracy])
    learn.model = nn.Sequential(nn.LazyLinear(8), nn.LazyLinear(10))
    learn.model(PIXELS[:2])
    return learn


def half_precision(path):
    learn = make_learner(path, 10, metrics=[accuracy])
    return learn.to_bf16()


def add(learn, *cbs):
    learn.add_cbs(cbs)
    return learn


LEARNERS = {
    "a plain one": partial(make_learner, n_batches=10, metrics=[accuracy]),
    **{f"{o}": partial(make_learner, n_batches=10, n_groups=3, opt_func=f) for o, f in OPTIMIZERS.items()},
    "a language model": language_model,
    "persistent workers": partial(with_torch_loader, num_workers=1, persistent_workers=True, shuffle=True),
    "a sampler with a generator": lambda path: with_torch_loader(
        path, sampler=RandomSampler(PIXELS[:80], generator=torch.Generator().manual_seed(7))
    ),
    "weighted": with_weights,
    "batch norm and dropout": with_batch_norm,
    "random numbers in the data": with_noisy_data,
    "lazy modules": lazy,
    "bf16": half_precision,
    "tabular": lambda path: make_tabular(path, metrics=accuracy)[0],
    "a callback with state": lambda path: add(make_learner(path, 10), Counter()),
    "early stopping": lambda path: add(
        make_learner(path, 10), EarlyStoppingCallback(monitor="train_loss", min_delta=9, patience=1, reset_on_fit=False)
    ),
    "MixUp": lambda path: add(make_learner(path, 10, loss_func=CrossEntropyLossFlat()), MixUp()),
    "frozen": lambda path: make_learner(path, 10, 3).freeze() or make_learner(path, 10, 3),
}  # fmt: skip


def fresh(path, name):
    random.seed(5), np.random.seed(5), torch.manual_seed(5)
    return LEARNERS[name](path)


def weights_of(learn):
    return [to_np(t.float()).tobytes() for t in [*learn.model.parameters(), *learn.model.buffers()]]


@pytest.fixture(autouse=True)
def autocast_here(monkeypatch):
    """fastai asks for autocast on CUDA; the same on the device of the tests."""
    monkeypatch.setattr("fastai.callback.fp16.autocast", lambda *device, **kwargs: torch.autocast(DEVICE, **kwargs))


def next_fit(learn):
    random.seed(6), np.random.seed(6), torch.manual_seed(6)
    learn.fit(1e-2, 1, cycle_len=2, use_clr=(10, 5))
    return weights_of(learn), list(learn.sched.losses)


@pytest.mark.parametrize("name, trained", [*zip(LEARNERS, cycle([False, True]))])
def test_identical_schedules_give_identical_runs_and_the_next_fit_is_that_of_a_twin(tmp_path, name, trained):
    learn, twin = fresh(tmp_path / "a", name), fresh(tmp_path / "b", name)
    if trained:
        assert next_fit(learn) == next_fit(twin)
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    before, sched, cbs = weights_of(learn), learn.sched, list(learn.cbs)
    comparison = learn.compare_schedules(2, 1e-2, TWO, seeds=2)
    assert states == (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())
    for seed in (0, 1):
        first, second = [run for run in comparison.runs if run.seed == seed]
        assert second.losses.tolist() == first.losses.tolist() and second.epochs.equals(first.epochs)
    assert comparison.runs[0].losses.tolist() != comparison.runs[-1].losses.tolist()
    assert weights_of(learn) == before and list(learn.cbs) == cbs and (learn.sched is sched or not trained)
    assert not (tmp_path / "a" / "models").exists()
    assert next_fit(learn) == next_fit(twin)
    for o in learn, twin:
        vars(o.dls.train).pop("_iterator", None)  # torch waits 5 s for persistent workers of a loader in a cycle


def test_a_recurrent_state_stays(tmp_path):
    learn = fresh(tmp_path, "a language model")
    next_fit(learn)
    before = pickle.dumps(learn.model[0].hidden)
    learn.compare_schedules(1, 1e-2, TWO, seeds=1)
    assert pickle.dumps(learn.model[0].hidden) == before


# -- what is copied, shared and left out ------------------------------------------------------------------------------------


def test_the_data_are_shared_and_the_rest_is_not(learn):
    with Sandbox(learn) as box, box.copy(0) as (twin, _):
        assert twin.dls.train.dataset[0][0] is learn.dls.train.dataset[0][0]
        assert twin.dls.train is not learn.dls.train and twin.dls.train.rng is not learn.dls.train.rng
        assert twin.model is not learn.model and twin.metrics[0] is not learn.metrics[0]
        assert not {id(o) for o in twin.model.parameters()} & {id(o) for o in learn.model.parameters()}
        assert all(cb.learn is twin for cb in twin.cbs)


class Example:
    """An item of a data set: not an array, and not a tuple."""

    def __init__(self, pixels, digit, **attributes):
        self.pixels, self.digit = pixels, digit
        vars(self).update(attributes)


class OfExamples:
    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i].pixels, self.items[i].digit


def pipelines(items):
    return Datasets(items, [lambda o: o.pixels, lambda o: o.digit])


def example_learner(tmp_path, make, items):
    learn = make_learner(tmp_path, 4, metrics=[accuracy])
    collate = {"before_batch": lambda b: [(o.pixels, o.digit) for o in b]} if make is list else {}
    loaders = (DataLoader(make(items), bs=16, shuffle=shuffle, **collate) for shuffle in (True, False))
    learn.dls = DataLoaders(*loaders, device=DEVICE)
    return learn


@pytest.mark.parametrize("make", [list, OfExamples, pipelines])
def test_the_items_of_a_data_set_are_data(tmp_path, make, monkeypatch):
    """A copy of each for every run would take longer than the training. A user's code may sort the list itself."""
    items = [Example(*o) for o in zip(PIXELS[:64], DIGITS[:64])]
    learn, seen = example_learner(tmp_path, make, items), []
    monkeypatch.setattr(Example, "__deepcopy__", lambda self, memo: seen.append(self), raising=False)
    with Sandbox(learn) as box, box.copy(0) as (twin, _):
        dataset = twin.dls.train.dataset
        copied = dataset if make is list else dataset.items
        assert not seen and copied is not items and all(a is b for a, b in zip(copied, items, strict=True))
        twin.fit(1, 1e-2)


@pytest.mark.parametrize("make", [list, OfExamples])
def test_an_item_that_draws_random_numbers_is_copied(tmp_path, make):
    items = [Example(*o, rng=np.random.default_rng(0)) for o in zip(PIXELS[:64], DIGITS[:64])]
    with Sandbox(example_learner(tmp_path, make, items)) as box:
        draws = []
        for seed in (0, 0, 1):
            with box.copy(seed) as (twin, _):
                dataset = twin.dls.train.dataset
                draws.append((dataset if make is list else dataset.items)[3].rng.random())
    assert draws[0] == draws[1] != draws[2]
    assert items[3].rng.random() == np.random.default_rng(0).random()


class Steps:
    """Transforms that a data set holds, as many as it has items."""

    def __init__(self, n):
        self.steps = [Shift(i) for i in range(n)]

    def __len__(self):
        return len(self.steps)

    def __getitem__(self, i):
        return self.steps[i]


class Shift:
    def __init__(self, by):
        self.by, self.n_calls = by, 0

    def __call__(self, x):
        self.n_calls += 1
        return x + self.by


def test_what_a_data_set_calls_is_no_item(tmp_path):
    learn = example_learner(tmp_path, OfExamples, [Example(*o) for o in zip(PIXELS[:64], DIGITS[:64])])
    learn.dls.train.dataset.steps = Steps(64)
    with Sandbox(learn) as box, box.copy(0) as (twin, _):
        twin.dls.train.dataset.steps[3](1)
    assert learn.dls.train.dataset.steps[3].n_calls == 0


def test_an_optimizer_that_the_user_built_trains_the_copy(learner):
    learn = learner(10)
    learn.opt_func = OptimWrapper(opt=torch.optim.AdamW(learn.model.parameters(), lr=1e-3))
    learn.fit(1, 1e-3)
    before, state = weights_of(learn), str(learn.opt.state_dict())
    with Sandbox(learn) as box, box.copy(0) as (twin, _):
        twin.fit(1, 1e-2)
        assert weights_of(twin) != before
    assert weights_of(learn) == before and str(learn.opt.state_dict()) == state and learn.opt is learn.opt_func


def stop_a_fit(learn, error, how):
    """End a fit of a Learner that shows a bar and logs to a file by an exception, as a user would see it."""
    learn.logger = print
    learn.add_cbs([ProgressCallback(), CSVLogger()])

    class Stops(Callback):
        def after_batch(self):
            if self.learn.iter == 1 and self.training == (how != "in validation"):
                raise error("in a batch")

    fits = {
        "ours": lambda: learn.fit(1e-2, 1, cycle_len=1, use_clr=(10, 5), cbs=Stops()),
        "fastai's": lambda: learn.fit(1, 1e-2, cbs=Stops()),
        "one cycle": lambda: learn.fit_one_cycle(1, 1e-2, cbs=Stops()),
        "in validation": lambda: learn.fit(1, 1e-2, cbs=Stops()),
    }
    with pytest.raises(error):
        fits[how]()


@pytest.mark.parametrize(
    "how, error",
    [
        ("ours", KeyboardInterrupt),
        ("fastai's", ZeroDivisionError),
        ("one cycle", KeyboardInterrupt),
        ("in validation", ZeroDivisionError),
    ],
)
def test_experiments_after_a_fit_that_did_not_end(learn, error, how, capsys):
    stop_a_fit(learn, error, how)
    logger, written = learn.logger, (learn.path / "history.csv").read_text()
    capsys.readouterr()
    with learn.no_bar():
        learn.compare_schedules(1, 1e-2, TWO, seeds=1)
        learn.suggest_clr(3, 1e-2, budget=1)
    assert learn.logger == logger and (learn.path / "history.csv").read_text() == written
    assert capsys.readouterr().out == ""
    learn.suggest_clr(3, 1e-2, budget=1)


class Holds(Callback):
    """Holds what belongs to another callback, and uses it."""

    def __init__(self, log):
        self.log = log

    def after_epoch(self):
        assert self.log is None or self.log([self.epoch]) is None


HELD_OF = {
    "the callback": lambda cb: cb,
    "a method": lambda cb: cb._write_line,
    "a partial": lambda cb: partial(cb._write_line),
    "a partial of its class": lambda cb: partial(type(cb)._write_line, cb),
    "a nested partial": lambda cb: partial(partial(print, file=cb), cb._write_line),
    "a closure": lambda cb: lambda log: cb._write_line(log),
    "a closure over a method": lambda cb: (lambda write: lambda log: write(log))(cb._write_line),
    "a default": lambda cb: lambda log, cb=cb: cb._write_line(log),
}


@pytest.mark.parametrize("what", HELD_OF)
def test_what_the_learner_holds_of_a_callback_that_is_left_out_is_left_out(what, learn):
    logger = CSVLogger()
    learn.add_cb(logger)
    held = HELD_OF[what](logger)
    learn.logger, learn.write = held if callable(held) else learn.logger, held
    if what != "the callback":
        learn.add_cb(Holds(held))
        learn.model[0].register_forward_hook(held)
    with Sandbox(learn) as box, box.copy(0) as (twin, _):
        twin.fit(1, 1e-2)
        assert "write" not in vars(twin) and twin.logger is noop
        assert not any(isinstance(o, CSVLogger) for o in reachable(twin))
    assert learn.write is held and not (learn.path / "history.csv").exists()


class TakesNoPart(Callback):
    take_part = False

    def after_epoch(self):
        (self.path / "mine.txt").write_text("x")


class TakesPart(Callback):
    def after_epoch(self):
        seen.append(self.epoch)


class Again(TakesNoPart):
    take_part = True

    def after_epoch(self):
        seen.append("again")


seen = []


@pytest.mark.parametrize("given", [True, False], ids=["to the experiment", "to the Learner"])
def test_a_callback_says_whether_it_takes_part(learn, given):
    seen.clear()
    learn.take_part = learn.model.take_part = False  # a callback hands on what it does not know
    cbs = [TakesNoPart(), TakesPart(), Again(), TakesPart()]
    cbs[-1].take_part = False
    learn.add_cbs([] if given else cbs)
    learn.compare_schedules(1, 1e-2, ["constant"], seeds=1, cbs=cbs if given else None)
    assert seen == [0, "again"] or seen == ["again", 0]
    assert not list(learn.path.rglob("mine.txt")) and (given or learn.takes_no_part in learn.cbs)
    if not given:
        learn.fit(1, 1e-2)
        assert (learn.path / "mine.txt").exists() and seen.count(0) == 3


# -- the optimizer -----------------------------------------------------------------------------------------------------------


def groups_by_hand(learn):
    """Three groups where the splitter makes one."""
    learn.splitter = lambda model: list(model.parameters())
    learn.opt = Adam([list(o.parameters()) for o in learn.model], lr=1e-3, eps=1e-3)


def the_head_alone(learn):
    learn.opt = SGD([list(learn.model[2].parameters())], lr=1e-3, mom=0.5)


def wrapped(learn, make, **kwargs):
    learn.opt = OptimWrapper(opt=make(learn.model.parameters(), **kwargs))


OPTIMIZERS_SET = {
    "none": lambda learn: None,
    "torch's SGD": partial(wrapped, make=torch.optim.SGD, lr=0.1, momentum=0.8, nesterov=True, weight_decay=0.01),
    "torch's AdamW": partial(wrapped, make=torch.optim.AdamW, lr=0.1, betas=(0.8, 0.9), eps=1e-2),
    "torch's Adagrad": partial(wrapped, make=torch.optim.Adagrad, lr=0.1, initial_accumulator_value=0.5),
    "torch's RMSprop": partial(wrapped, make=torch.optim.RMSprop, lr=0.1, centered=True),
    "groups of torch's": lambda learn: setattr(learn, "opt", OptimWrapper(opt=torch.optim.SGD(
        [{"params": o.parameters(), "weight_decay": i / 10} for i, o in enumerate(learn.model)], lr=0.1))),
    "groups by hand": groups_by_hand,
    "the head alone": the_head_alone,
    "eps": lambda learn: learn.create_opt() or learn.opt.set_hyper("eps", 1.0),
    "eps of each group": lambda learn: learn.create_opt() or learn.opt.set_hyper("eps", [1.0, 0.1, 0.01]),
    "weight decay": lambda learn: learn.create_opt() or learn.opt.set_hyper("wd", 0.5),
    "momentum": lambda learn: learn.create_opt() or learn.opt.set_hyper("mom", 0.2),
    "Lookahead": lambda learn: setattr(learn, "opt", ranger(learn.splitter(learn.model), lr=1e-3, mom=0.7)),
    "one that opt_func is": lambda learn: setattr(learn, "opt_func", OptimWrapper(
        opt=torch.optim.SGD(learn.model.parameters(), lr=0.1, momentum=0.7))),
}  # fmt: skip


@pytest.mark.parametrize("trained", [False, True], ids=["new", "trained"])
@pytest.mark.parametrize("name", OPTIMIZERS_SET)
def test_a_copy_trains_with_the_optimizer_that_the_learner_has(learner, tmp_path, name, trained):
    """As `learn.fit` does, but for the optimizer's state."""
    learn = learner(5, n_groups=3, shuffle=False)
    OPTIMIZERS_SET[name](learn)
    if trained:
        learn.fit(1, 1e-2)
    before = None if learn.opt is None else pickle.dumps(learn.opt.state_dict())
    with Sandbox(learn) as box, box.copy(0) as (twin, _):
        twin.fit(1, 1e-3)
        assert not any(p is q for g in twin.opt.param_lists for p in g for q in learn.model.parameters())
        assert type(twin.opt) is type(learn.opt) or learn.opt is None
    assert before is None or (learn.opt is not None and pickle.dumps(learn.opt.state_dict()) == before)
    if learn.opt is not None:
        clear_state(learn.opt)
    torch.manual_seed(0)
    learn.fit(1, 1e-3)
    assert weights_of(learn) == weights_of(twin)


def clear_state(opt):
    inner = vars(opt).get("opt")
    if isinstance(inner, torch.optim.Adagrad):
        opt.opt = type(inner)(inner.param_groups, initial_accumulator_value=0.5)
    else:
        opt.clear_state()


def test_weight_decay_of_batch_norm_and_what_is_frozen_stay_as_they_are(learner):
    """fastai keeps both in the optimizer's state."""
    learn = learner(n_groups=2, shuffle=False, wd_bn_bias=False, wd=0.5)
    learn.model.insert(1, nn.BatchNorm1d(8))
    learn.freeze()
    learn.fit(1, 1e-2)
    flags = [
        {k: v for k, v in learn.opt.state[p].items() if k in ("do_wd", "force_train")}
        for p, *_ in learn.opt.all_params()
    ]
    assert {"force_train": True, "do_wd": False} in flags
    with Sandbox(learn) as box, box.copy(0) as (twin, _):
        assert [twin.opt.state[p] for p, *_ in twin.opt.all_params()] == flags
        twin.opt.freeze_to(-1)
        assert [p.requires_grad for p in twin.model.parameters()] == [p.requires_grad for p in learn.model.parameters()]


def test_an_experiment_inside_a_fit_has_the_hyper_parameters_from_before_it(learner):
    learn, moms = learner(), []

    class Inside(Callback):
        def after_epoch(self):
            with Sandbox(self.learn) as box, box.copy(0) as (twin, _):
                moms.append((self.opt.hypers[0]["mom"], twin.opt.hypers[0]["mom"]))

    learn.fit(1e-2, 1, cycle_len=2, use_clr=(10, 5, 0.95, 0.85), cbs=Inside())
    assert [mom for _, mom in moms] == [0.9, 0.9] and moms[0][0] != 0.9


def test_the_state_is_not_copied(learner):
    """It is twice as large as the model; the copies of a large model would need the memory."""
    learn = learner()
    learn.fit(1, 1e-3)
    with Sandbox(learn) as box, box.copy(0) as (twin, _):
        assert not any(isinstance(o, torch.Tensor) for state in twin.opt.state.values() for o in state.values())


def replace_all(model):
    for i, layer in enumerate(model):
        model[i] = nn.Linear(layer.in_features, layer.out_features)


@pytest.mark.parametrize("name", ["eps", "eps of each group", "weight decay", "momentum"])
def test_an_optimizer_for_new_layers_has_the_learners_hyper_parameters(learner, name):
    learn = learner(n_groups=3)
    OPTIMIZERS_SET[name](learn)
    with Sandbox(learn) as box, box.copy(0, replace_all) as (twin, _):
        assert [dict(h) for h in twin.opt.hypers] == [dict(h) for h in learn.opt.hypers]
        assert [id(p) for g in twin.opt.param_lists for p in g] == [id(p) for p in twin.model.parameters()]


def test_a_torch_optimizer_for_new_layers_has_the_learners_hyper_parameters(learner):
    learn = learner(n_groups=3, opt_func=partial(OptimWrapper, opt=torch.optim.AdamW))
    learn.create_opt()
    learn.opt.set_hyper("eps", [1.0, 0.1, 0.01])
    learn.opt.set_hyper("mom", 0.5)
    with Sandbox(learn) as box, box.copy(0, replace_all) as (twin, _):
        assert [g["eps"] for g in twin.opt.opt.param_groups] == [1.0, 0.1, 0.01]
        assert twin.opt.opt.param_groups[0]["betas"] == (0.5, 0.99) or twin.opt.hypers[0]["mom"] == 0.5


@pytest.mark.parametrize(
    "name", ["torch's SGD", "groups by hand", "the head alone", "one that opt_func is", "Lookahead"]
)
@pytest.mark.parametrize(
    "init", [replace_all, lambda model: model.append(nn.Linear(10, 10))], ids=["replaced", "added"]
)
def test_new_layers_are_refused_where_opt_func_makes_another_optimizer(learner, name, init):
    learn = learner(5, n_groups=3)
    OPTIMIZERS_SET[name](learn)
    learn.fit(1, 1e-3)
    before = weights_of(learn)
    with pytest.raises(
        ValueError, match="opt_func should make an optimizer like learn.opt, .* since init replaces parameters"
    ):
        learn.compare_schedules(1, 1e-2, TWO, seeds=1, init=init)
    assert weights_of(learn) == before


@pytest.mark.parametrize("name", OPTIMIZERS_SET)
def test_new_values_in_place_keep_the_optimizer(learner, name):
    learn = learner(5, n_groups=3)
    OPTIMIZERS_SET[name](learn)
    with Sandbox(learn) as box, box.copy(0, lambda model: [o.reset_parameters() for o in model]) as (twin, _):
        twin.fit(1, 1e-3)


def test_an_optimizer_of_an_earlier_model_is_found_out(learner):
    learn = learner(n_groups=3)
    learn.fit(1, 1e-3)
    learn.model = nn.Sequential(nn.Linear(64, 10))
    with pytest.raises(ValueError, match="learn.opt hold those of learn.model"):
        learn.compare_schedules(1, 1e-2, ["constant"], seeds=1)


class NeedsMore(torch.optim.SGD):
    """An optimizer whose class wants more than the parameters, as SAM does."""

    def __init__(self, params, lr, base):
        super().__init__(params, lr)
        self.base = base


def test_an_optimizer_that_its_class_cannot_make_anew_is_made_by_opt_func(learner):
    learn = learner(n_groups=3, opt_func=partial(OptimWrapper, opt=partial(NeedsMore, base=1)))
    learn.fit(1, 1e-3)
    learn.opt.set_hyper("wd", 0.3)
    with Sandbox(learn) as box, box.copy(0) as (twin, _):
        assert type(twin.opt.opt) is NeedsMore and twin.opt.opt.base == 1 and twin.opt.hypers[2]["wd"] == 0.3
    learn.opt_func = Adam
    with pytest.raises(ValueError, match="opt_func should make .* like learn.opt, .* since its class wants more"):
        learn.suggest_clr(3, 1e-2, budget=1)


# -- compiled models -----------------------------------------------------------------------------------------------------------


def compiled(learn, how, graphs):
    """Compile the Learner's model with a backend that keeps the graphs which it is given."""

    def backend(graph, example):
        graphs.append(graph)
        return graph.forward

    if how == "torch.compile":
        learn.model = torch.compile(learn.model, backend=backend)
    elif how == "in place":
        learn.model.compile(backend=backend)
    elif how == "a layer":
        learn.model[1] = torch.compile(learn.model[1], backend=backend)
    elif how == "a layer in place":
        learn.model[1].compile(backend=backend)
    else:
        learn.loss_func = torch.compile(cross_entropy, backend=backend)


def cross_entropy(predictions, targets):
    return nn.functional.cross_entropy(predictions, targets)


HOW_COMPILED = ["torch.compile", "in place", "a layer", "a layer in place", "the loss"]


@pytest.mark.parametrize("how, trained", list(zip(HOW_COMPILED, cycle([False, True]))))
def test_what_is_compiled_trains_as_such_in_fits_and_copies(learner, how, trained):
    torch.compiler.reset()
    graphs = []
    learn, plain = [learner(4, n_groups=3, shuffle=False, metrics=[accuracy]) for _ in range(2)]
    learn.splitter = plain.splitter = lambda model: [list(model.parameters())]
    plain.loss_func = learn.loss_func = cross_entropy
    compiled(learn, how, graphs)
    counts = torch.__version__ >= "2.6" or "place" not in how  # 2.5 compiles no layer of its own in place
    for o in (learn, plain) if trained else ():
        o.fit(1e-2, 1, cycle_len=1, use_clr=(10, 5))
    assert bool(graphs) is (trained and counts)
    before, weights = len(graphs), weights_of(learn)
    results = [o.compare_schedules(1, 1e-2, TWO, seeds=1) for o in (learn, plain)]
    assert results[0].runs[0].losses.tolist() == pytest.approx(results[1].runs[0].losses.tolist(), rel=1e-5)
    assert weights_of(learn) == weights
    assert trained or len(graphs) > before or not counts  # the copies share what is compiled
    with Sandbox(learn) as box, box.copy(0) as (twin, _):
        for o, copied in zip(learn.model.modules(), twin.model.modules()):
            assert type(o) is type(copied)
            assert (o._compiled_call_impl is None) == (copied._compiled_call_impl is None)
        twin.fit(1, 1e-2)
        assert weights_of(twin) != weights
    assert weights_of(learn) == weights
    assert learn.suggest_clr(3, 1e-2, budget=3).lr == plain.suggest_clr(3, 1e-2, budget=3).lr
    learn.fit(1e-2, 1, cycle_len=1, use_clr=(10, 5))
    assert weights_of(learn) != weights


def test_a_copy_of_a_compiled_model_is_collected(learner):
    learn, copies = learner(2), []
    learn.splitter = lambda model: list(model.parameters())
    compiled(learn, "torch.compile", [])
    with Sandbox(learn) as box:
        for seed in range(3):
            with box.copy(seed) as (twin, _):
                assert [o() for o in copies] == [None] * seed
                copies.append(weakref.ref(twin.model))
                twin.fit(1, 1e-2)
            del twin, _


def test_a_compiled_function_may_not_refer_to_the_learner(learn):
    f = in_a_notebook(learn, METRIC + "learn.epoch")["metric"]
    learn.metrics = [torch.compile(f, backend="eager")]
    with pytest.raises(ValueError, match=r"metrics\[0\] should not refer .* function metric uses 'learn'"):
        Sandbox(learn)


# -- what takes part -----------------------------------------------------------------------------------------------------------


class MyLogger(CSVLogger):
    pass


class MySaver(SaveModelCallback):
    pass


def test_nothing_is_shown_logged_or_saved(learn, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    learn.add_cbs([MyLogger(), MySaver()])
    names = {"saved": CLRCallback(CircularLR(), cycle_save_name="x", best_save_name="best")}
    learn.compare_schedules(1, 1e-2, names, seeds=1)
    assert capsys.readouterr().out == "" and not list(tmp_path.rglob("*"))
    assert names["saved"].best_save_name == "best" and isinstance(learn.my_logger, MyLogger)


def test_what_cannot_be_copied_is_shared(learn, tmp_path):
    class WithFile(Callback):
        def __init__(self, file):
            self.file = file

        def after_batch(self):
            self.file.write(".")

    file = (tmp_path / "dots").open("w")
    learn.compare_schedules(1, 1e-2, ["constant"], seeds=1, cbs=WithFile(file))
    file.flush()
    assert (tmp_path / "dots").read_text()


def test_one_copy_at_a_time(learn):
    copies = []
    with Sandbox(learn) as box:
        for seed in range(3):
            with box.copy(seed) as (twin, _):
                assert [o() for o in copies] == [None] * seed
                copies.append(weakref.ref(twin.model))
                twin.fit(1, 1e-2)
            del twin, _
    gc.collect()
    assert [o() for o in copies] == [None] * 3


def test_new_layers_of_init_are_trained(learn):
    seen = []

    def init(model):
        model[1] = nn.Linear(8, 8)
        seen.append(model[1])

    before = weights_of(learn)
    with Sandbox(learn) as box, box.copy(0, init) as (twin, _):
        first = seen[0].weight.detach().clone()
        twin.fit(1, 1e-2)
        assert twin.model[1] is seen[0] and not torch.equal(seen[0].weight, first)
    assert weights_of(learn) == before


# -- what refers to the original is found out -----------------------------------------------------------------------------


def refers(learn):
    """Changes to a Learner, each of which makes something refer to the Learner or its model by name."""
    model = learn.model

    class UsesLearn(Callback):
        def after_epoch(self):
            learn.validate()

    def hook(module, args, output):
        return output + 0 * model[0].bias.sum()

    return {
        "splitter": lambda: setattr(learn, "splitter", lambda _: [list(model.parameters())]),
        "loss_func": lambda: setattr(learn, "loss_func", lambda p, y: nn.functional.cross_entropy(p, y) + model[0].weight.sum() * 0),
        r"metrics\[0\]": lambda: setattr(learn, "metrics", [lambda p, y: float(learn.epoch)]),
        "opt_func": lambda: setattr(learn, "opt_func", lambda _, lr: OptimWrapper(opt=torch.optim.SGD(model.parameters(), lr=lr))),
        "callback UsesLearn": lambda: learn.add_cb(UsesLearn()),
        "model": lambda: model[0].register_forward_hook(hook),
    }  # fmt: skip


@pytest.mark.parametrize("what", ["splitter", "loss_func", r"metrics\[0\]", "opt_func", "callback UsesLearn", "model"])
@pytest.mark.parametrize(
    "experiment", [lambda o: o.compare_schedules(1, 1e-2, ["constant"]), lambda o: o.suggest_clr(1)]
)
def test_a_function_that_uses_the_original_by_name_is_named_before_training(learn, what, experiment):
    refers(learn)[what]()
    before, learn.interrupted = weights_of(learn), "an earlier result"
    with pytest.raises(
        ValueError,
        match=f"{what} should not refer to the Learner or its model by name, but its function .* uses '(learn|model)'",
    ):
        experiment(learn)
    assert weights_of(learn) == before and learn.interrupted == "an earlier result"


def test_a_global_counts_as_a_name(learn, monkeypatch):
    monkeypatch.setitem(globals(), "the_learner", learn)
    learn.metrics = [uses_a_global]
    with pytest.raises(ValueError, match="uses 'the_learner'"):
        learn.compare_schedules(1, 1e-2, TWO)


def uses_a_global(predictions, targets):
    return float(the_learner.epoch)  # noqa: F821


def test_a_loss_with_weights_counts_as_part_of_the_model(learn):
    loss = learn.loss_func = nn.CrossEntropyLoss(weight=torch.ones(10, device=DEVICE))
    learn.metrics = [lambda predictions, targets: float(loss.weight.sum())]
    with pytest.raises(ValueError, match="uses 'loss'"):
        learn.compare_schedules(1, 1e-2, TWO)


def test_a_splitter_that_takes_other_parameters_is_found_out(learn):
    hidden = {"parameters": lambda: list(learn.model.parameters())}
    learn.splitter = Splitter(hidden)
    with pytest.raises(ValueError, match="(splitter or opt_func should take the parameters|splitter should not refer)"):
        learn.compare_schedules(1, 1e-2, TWO)


class Splitter:
    def __init__(self, hidden):
        self.hidden = hidden

    def __call__(self, model):
        return [self.hidden["parameters"]()]


def in_a_notebook(learn, source):
    """The names that a notebook has after the cell `source`."""
    names = {"__name__": "__main__", "learn": learn, "model": learn.model, "dls": learn.dls, "Callback": Callback}
    exec("import random; from types import SimpleNamespace; from functools import partial, lru_cache\n" + source, names)
    return names


METRIC = "def metric(predictions, targets): return "
REFERENCES = {
    "a generator": METRIC + "sum(learn.epoch for _ in range(2))",
    "a comprehension": METRIC + "max([learn.epoch for _ in range(2)])",
    "a lambda inside": METRIC + "(lambda: learn.epoch)()",
    "a function inside": METRIC + "f()\ndef metric(p, y):\n  def f(): return learn.epoch\n  return f()",
    "a class inside": "def metric(p, y):\n  class A:\n    epoch = learn.epoch\n  return A.epoch",
    "a helper": "def helper(): return learn.epoch\n" + METRIC + "helper()",
    "a helper's helper": "def one(): return learn.epoch\ndef two(): return one()\n" + METRIC + "two()",
    "a helper passed on": "def helper(_): return learn.epoch\n" + METRIC + "max(map(helper, [1]))",
    "a cached helper": "@lru_cache\ndef helper(): return learn.epoch\n" + METRIC + "helper()",
    "a helper class": "class Helper:\n  def __init__(self): self.n = learn.epoch\n" + METRIC + "Helper().n",
    "a helper object": "class Helper:\n  def n(self): return learn.epoch\nhelper = Helper()\n" + METRIC + "helper.n()",
    "a property": "class Helper:\n  @property\n  def n(self): return learn.epoch\nhelper = Helper()\n" + METRIC + "helper.n",
    "a static method": "class Helper:\n  @staticmethod\n  def n(): return learn.epoch\n" + METRIC + "Helper.n()",
    "a class method": "class Helper:\n  @classmethod\n  def n(cls): return learn.epoch\n" + METRIC + "Helper.n()",
    "a list": "box = [learn]\n" + METRIC + "box[0].epoch",
    "a dict in a list": "box = [{'a': (learn,)}]\n" + METRIC + "box[0]['a'][0].epoch",
    "a namespace": "box = SimpleNamespace(learn=learn)\n" + METRIC + "box.learn.epoch",
    "an object": "class Box: pass\nbox = Box(); box.learn = learn\n" + METRIC + "box.learn.epoch",
    "a class attribute": "class Box: learn = learn\n" + METRIC + "Box.learn.epoch",
    "a function's attribute": "def box(): pass\nbox.learn = learn\n" + METRIC + "box.learn.epoch",
    "a module": "from types import ModuleType\nbox = ModuleType('box'); box.learn = learn\n" + METRIC + "box.learn.epoch",
    "a partial by name": "def f(o): return o.epoch\nf = partial(f, learn)\n" + METRIC + "f()",
    "a bound method": "validate = learn.validate\n" + METRIC + "len(validate())",
    "a default": "def metric(predictions, targets, o=learn): return o.epoch",
    "a keyword default": "def metric(predictions, targets, *, o=[learn]): return o[0].epoch",
    "a default inside": "def helper(o=learn): return o.epoch\n" + METRIC + "helper()",
    "a layer": "layer = model[0]\n" + METRIC + "float(layer.bias.sum())",
    "a parameter": "weight = model[0].weight\n" + METRIC + "float(weight.sum())",
    "the Recorder": "recorder = learn.recorder\n" + METRIC + "len(recorder.values)",
    "the data loaders": METRIC + "len(list(dls.valid))",
    "a loader": "train = dls.train\n" + METRIC + "len(list(train))",
    "a decorated metric": "def twice(f):\n  def g(*o): return 2 * f(*o)\n  return g\n@twice\n" + METRIC + "learn.epoch",
}  # fmt: skip


@pytest.mark.parametrize("how", REFERENCES)
def test_a_metric_may_not_refer_to_the_learner_by(how, learn):
    learn.metrics = [in_a_notebook(learn, REFERENCES[how])["metric"]]
    with pytest.raises(ValueError, match=r"metrics\[0\] should not refer to the Learner or its model by name"):
        Sandbox(learn)


CALLBACK = "class Cb(Callback):\n  def __init__(self): self.seen = []\n  def after_epoch(self): "
CALLBACKS = {
    "a generator": CALLBACK + "self.seen.append(sum(learn.epoch for _ in range(2)))",
    "a helper": "def helper(): return model\n" + CALLBACK + "helper()",
    "a list": "box = [learn]\n" + CALLBACK + "self.seen.append(box[0].epoch)",
    "a base class": "class Base(Callback):\n  def before_fit(self): learn\nclass Cb(Base): pass",
    "an object it has": "class A:\n  def n(self): return learn.epoch\nclass Cb(Callback):\n  def __init__(self): self.a = A()",
    "a closure it has": "class Cb(Callback):\n  def __init__(self): self.f = (lambda o: lambda: o.epoch)(learn)",
    "itself": "class Cb(Callback):\n  def after_epoch(self): cb.seen = 1\ncb = Cb(); learn.add_cb(cb)",
}  # fmt: skip


@pytest.mark.parametrize("how", CALLBACKS)
def test_a_callback_may_not_refer_to_the_learner_by(how, learn):
    names = in_a_notebook(learn, CALLBACKS[how])
    if "cb" not in names:
        learn.add_cb(names["Cb"]())
    with pytest.raises(ValueError, match="callback Cb should not refer to the Learner or its model by name"):
        Sandbox(learn)


def test_a_transform_may_not_refer_to_the_learner(learn):
    learn.dls.train.after_batch = in_a_notebook(learn, "def f(b): return b[0] * learn.epoch, b[1]")["f"]
    with pytest.raises(ValueError, match="dls should not refer to the Learner or its model by name"):
        Sandbox(learn)


NO_REFERENCES = {
    "attributes": "class Cb(Callback):\n  def after_epoch(self): self.learn.model, self.model, self.dls.train, self.learn",
    "attributes inside": "class Cb(Callback):\n  def after_epoch(self): [self.learn.epoch for _ in range(2)]; (lambda: self.model)()",
    "local variables": "class Cb(Callback):\n  def after_epoch(self): learn = self.learn; model = learn.model; return [model for _ in [1]]",
    "arguments": "def f(learn, model=None): return learn.epoch\nclass Cb(Callback):\n  def after_epoch(self): f(self.learn, model=1)",
    "keywords": "class Cb(Callback):\n  def after_epoch(self): dict(learn=self.epoch)['learn']",
    "what __init__ names": "class Cb(Callback):\n  def __init__(self): self.n = len(learn.dls.train); super().__init__()",
    "an __init__ of a base": "class A(Callback):\n  def __init__(self): self.n = learn.lr\nclass Cb(A):\n  def after_epoch(self): super().__repr__()",
    "its class's attribute": "class Cb(Callback):\n  seen = []\n  def __init__(self): learn\n  def after_epoch(self): Cb.seen.append(1)",
    "the vocabulary": "dls.vocab = ['a']\nclass Cb(Callback):\n  def after_epoch(self): dls.vocab[0]",
    "an import": "import torch\nclass Cb(Callback):\n  def after_epoch(self): torch.nn.functional.relu(torch.zeros(1))",
    "what nobody calls": "def f(): return learn\nclass Cb(Callback):\n  def after_epoch(self): self.f = 1",
}  # fmt: skip


@pytest.mark.parametrize("what", NO_REFERENCES)
def test_no_reference_are(what, learn):
    learn.add_cb(in_a_notebook(learn, NO_REFERENCES[what])["Cb"]())
    assert len(learn.compare_schedules(1, 1e-2, ["constant"], seeds=1).runs) == 1


def test_a_partial_or_bound_method_that_is_held_is_copied(learn):
    """It holds the Learner, but looks nothing up."""
    epochs = []
    learn.metrics = [partial(lambda o, p, y: epochs.append(o.epoch) or 0.0, learn)]
    learn.on_end = learn.validate
    with Sandbox(learn) as box, box.copy(0) as (twin, _):
        twin.fit(2, 1e-2)
        assert epochs == [0, 0, 1, 1] and twin.on_end.__self__ is twin


def test_the_notebook_itself_is_no_reference(learn):
    """`get_ipython` is a method of the shell, which holds all names of the notebook."""
    shell = type("Shell", (), {"__module__": "ipykernel.zmqshell", "get_ipython": lambda self: self})()
    shell.user_ns = in_a_notebook(learn, "class Cb(Callback):\n  def after_epoch(self): get_ipython()")
    shell.user_ns["get_ipython"] = shell.get_ipython
    learn.add_cb(shell.user_ns["Cb"]())
    assert Sandbox(learn)


def test_a_callback_that_takes_the_learner_from_self_gets_that_of_its_copy(learn):
    source = """
class Cb(Callback):
    def after_epoch(self):
        sums.append(sum(float(p.detach().abs().sum()) for p in self.model.parameters()))
        epochs.append(self.learn.epoch)
sums, epochs = [], []
"""
    names = in_a_notebook(learn, source)
    learn.compare_schedules(
        2, {"low": 1e-3, "high": 1e-1}, {"low": "constant", "high": "constant"}, seeds=1, cbs=names["Cb"]()
    )
    low, high = names["sums"][:2], names["sums"][2:]
    assert names["epochs"] == [0, 1, 0, 1] and high[1] > high[0] > low[0] and high[0] > 2 * low[1]


class ChangesTheOriginal(Callback):
    def after_epoch(self):
        from test_sandbox import HIDDEN  # by an import, which is no name

        with torch.no_grad():
            next(HIDDEN["learn"].model.parameters()).add_(0)


HIDDEN = {}


def test_a_change_of_the_original_that_nothing_foretold_is_an_error(learn, monkeypatch):
    monkeypatch.setitem(HIDDEN, "learn", learn)
    monkeypatch.setitem(sys.modules, "test_sandbox", sys.modules[__name__])
    with pytest.raises(RuntimeError, match="training a copy changed the Learner's own model"):
        learn.compare_schedules(1, 1e-2, ["constant"], cbs=ChangesTheOriginal())


def test_several_processes_are_refused(learn, monkeypatch):
    monkeypatch.setattr("fastai_clr.learner.trials.sandbox.num_distrib", lambda: 2)
    with pytest.raises(ValueError, match="should run in one process, not in several"):
        learn.compare_schedules(1, 1e-2, ["constant"])
    for arguments in ({}, {"budget": 2}, {"lr": 1e-2, "budget": 2}):
        with pytest.raises(ValueError, match="should run in one process, not in several"):
            learn.suggest_clr(1, **arguments)


@pytest.mark.parametrize(
    "experiment", [lambda o: o.compare_schedules(1, 1e-2, ["constant"]), lambda o: o.suggest_clr(1)]
)
def test_a_learner_without_a_recorder_is_refused(learn, experiment):
    learn.remove_cb(learn.recorder)
    with pytest.raises(ValueError, match="reads fastai's Recorder, but this Learner has none"):
        experiment(learn)


def test_slots_are_reached():
    class Base:
        __slots__ = "one"

    class Held(Base):
        __slots__ = ("_two", "not_set", "__dict__")

        def __init__(self):
            self.one, self._two, self.three = [1], [2], [3]

        def __getattr__(self, name):
            raise RuntimeError(name)

    assert sorted(o for o in reachable(Held()) if isinstance(o, list)) == [[1], [2], [3]]


# -- interrupted -----------------------------------------------------------------------------------------------------------


def shared_state():
    """What all fits of a process share."""
    return (
        random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist(), torch.is_grad_enabled(),
        gc.get_freeze_count() > 10_000,  # not 0: Python 3.12 keeps some hundred objects there, that live for ever
        len(list(Path(tempfile.gettempdir()).iterdir())),
    )  # fmt: skip


def interrupted_at(place, run, files):
    """Run with Ctrl-C at the line of this number among the lines of the files; how many lines were run.

    With place=0 nothing is interrupted, and each file must have run.
    """
    n_lines, ran = 0, set()

    def trace(frame, event, argument):
        nonlocal n_lines
        if frame.f_code.co_filename not in files:
            return None
        n_lines += 1
        ran.add(frame.f_code.co_filename)
        if n_lines == place:
            raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        run()
    except KeyboardInterrupt as error:
        return n_lines, error  # with all its frames, as a notebook keeps them
    finally:
        sys.settrace(before)
    assert place or ran == set(files)
    return n_lines, None


def in_a_thread(test):
    """Run a test in a thread that ends with it: an error that a trace raises in an `except` stays handled for good."""

    @wraps(test)
    def run(*args, **kwargs):
        with ThreadPoolExecutor(1) as pool:
            pool.submit(test, *args, **kwargs).result()

    return run


AT_THE_END = (sys.modules[Sandbox.__module__].__file__, random.__file__, contextlib.__file__, grad_mode.__file__)


@in_a_thread
def test_ctrl_c_at_any_line_of_the_sandbox_leaves_what_all_fits_share(learner, tmp_path, monkeypatch):
    learn = learner(1, n_valid=4)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def run():
        with Sandbox(learn) as box, box:
            with box.copy(0):
                torch.set_grad_enabled(False)
                random.random(), np.random.rand(), torch.rand(1)

    gc.unfreeze()
    before = shared_state()
    n_lines, _ = interrupted_at(0, run, AT_THE_END)
    assert shared_state() == before
    n_interrupted = 0
    for place in [*range(1, n_lines - 100, 29), *range(n_lines - 100, n_lines + 1)]:
        _, error = interrupted_at(place, run, AT_THE_END)
        assert shared_state() == before, place
        n_interrupted += error is not None
    assert n_interrupted > 100


@in_a_thread
def test_ctrl_c_at_lines_of_an_experiment_leaves_what_all_fits_share(learner, tmp_path, monkeypatch):
    learn = learner(2, n_valid=4)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    files = (*AT_THE_END, compare.__file__, progress.__file__)

    def run():
        learn.compare_schedules(1, 1e-2, ["constant"], seeds=1)

    gc.unfreeze()
    before, weights = shared_state(), weights_of(learn)
    n_lines, _ = interrupted_at(0, run, files)
    for place in [*range(1, n_lines - 40, n_lines // 40), *range(n_lines - 40, n_lines + 1)]:
        interrupted_at(place, run, files)
        assert shared_state() == before and weights_of(learn) == weights, place


def test_ctrl_c_at_any_moment_leaves_the_learner_as_it_was(tmp_path):
    """50 signals at random times of a comparison, also between its runs."""
    items = list(zip(PIXELS[:32], DIGITS[:32]))
    dls = DataLoaders(DataLoader(items, bs=8, shuffle=True), DataLoader(items, bs=32), device=DEVICE)
    learn = Learner(dls, nn.Linear(64, 10), CrossEntropyLossFlat(), metrics=accuracy, path=tmp_path)
    learn.remove_cb(ProgressCallback)
    learn.logger = lambda *_: None
    learn.fit(1, 1e-2)
    before, cbs, opt = weights_of(learn), list(learn.cbs), str(learn.opt.state_dict())
    attributes, rng, interrupted = {k: id(v) for k, v in vars(learn).items()}, random.Random(0), 0
    elsewhere = 0
    began = time.perf_counter()
    learn.compare_schedules(1, 1e-2, ["constant", "clr(10,5)"], seeds=2)
    duration = time.perf_counter() - began
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    for _ in range(50):
        try:
            try:
                signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-3, duration))  # once
                learn.compare_schedules(1, 1e-2, ["constant", "clr(10,5)"], seeds=2)
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        except KeyboardInterrupt:
            interrupted += 1
        except Exception:  # of a library in whose `except` or `__del__` the signal fell
            elsewhere += 1
        assert weights_of(learn) == before and list(learn.cbs) == cbs and str(learn.opt.state_dict()) == opt
        vars(learn).pop("interrupted", None)
        assert {k: id(v) for k, v in vars(learn).items()} == attributes
        assert all(p.requires_grad for p in learn.model.parameters())
        assert torch.is_grad_enabled()
    assert interrupted > 10 and elsewhere <= 1
