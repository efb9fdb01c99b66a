"""learn.suggest_clr: what it trains, within which budget, what it answers, and what it says of that."""

import re

import numpy as np
import pandas as pd
import pytest
import torch
from fastai.callback.core import Callback
from fastai.callback.progress import ProgressCallback
from fastai.data.block import CategoryBlock, DataBlock, TransformBlock
from fastai.data.core import DataLoaders
from fastai.data.transforms import IndexSplitter
from fastai.learner import Learner
from fastai.losses import CrossEntropyLossFlat
from fastai.metrics import accuracy
from fastprogress.fastprogress import ProgressBar
from torch import nn

from fastai_clr.all import CircularLR, CLRCallback, CLRScheduler, Constant, Suggestion
from fastai_clr.learner.trials import suggest
from helpers import make_tabular


@pytest.fixture
def trained(monkeypatch):
    """How many batches each fit of any Learner trained, in order."""
    counts = []
    do_one_batch = suggest.Learner._do_one_batch
    create_opt = suggest.Learner.create_opt

    def count(self):
        if self.training:
            counts[-1] += 1
        do_one_batch(self)

    monkeypatch.setattr(suggest.Learner, "_do_one_batch", count)
    monkeypatch.setattr(suggest.Learner, "create_opt", lambda self: (counts.append(0), create_opt(self))[1])
    return counts


# -- without a budget ----------------------------------------------------------------------------------------------------


def test_lr_find_alone(learner, trained):
    learn = learner(60)
    suggestion = learn.suggest_clr(3)
    assert len(trained) == 3 and max(trained) <= 101  # and no more
    lr, div, cut_div, why = suggestion
    assert (div, cut_div) == (10, 10) and 1e-3 < lr < 0.3 and lr == float(f"{lr:.2g}") and why == suggestion.why
    assert suggestion.trials.empty and len(suggestion.finders) == 3
    assert re.match(
        r"The loss of lr_find has done nine tenths of its fall at 0\.\d+; the peak is a quarter of that", why
    )


def test_a_given_peak_is_taken_as_it_is(learner, trained):
    learn = learner(n_groups=3)
    for lr in (1e-2, slice(1e-3, 1e-2), [1e-3, 1e-3, 1e-2]):
        suggestion = learn.suggest_clr(3, lr)
        assert suggestion.lr == lr and suggestion.why.startswith("The peak is the one you gave.")
    assert trained == []


def test_a_loss_that_does_not_fall_is_told(learner):
    learn = learner()
    for p in learn.model.parameters():
        p.requires_grad_(False)
    learn.model.append(nn.Linear(10, 10))
    learn.loss_func = lambda x, y: (0 * x).sum() + torch.rand(())  # there is nothing to learn
    with pytest.raises(
        ValueError,
        match="lr_find.s loss does not fall at any rate .is the model trained already..: give lr=, or budget=1",
    ):
        learn.suggest_clr(3)


# -- the race ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "n_iter, n_epoch, arguments, finder, length, n_cycles",
    [
        (60, 3, dict(lr=1e-2, budget=1), 0, 60, 3),
        (60, 3, dict(budget=1), 0, 60, 3),  # no batches to spare for lr_find
        (60, 3, dict(lr=1e-2, budget=2), 0, 60, 6),
        (60, 3, dict(lr=1e-2, budget=6), 0, 180, 6),
        (60, 3, dict(lr=1e-2, budget=0.5), 0, 30, 3),
        (60, 3, dict(lr=1e-2, budget=1, n_cycles=6), 0, 30, 6),  # not longer than a cycle of the fit
        (150, 4, dict(budget=1), 100, 125, 4),
    ],
)
def test_what_is_trained_stays_within_the_budget(
    learner, trained, n_iter, n_epoch, arguments, finder, length, n_cycles
):
    learn = learner(n_iter, n_valid=200, metrics=[accuracy])
    trials = learn.suggest_clr(n_epoch, **arguments).trials
    assert sum(trained) <= arguments["budget"] * n_epoch * n_iter
    assert trials["batches"].tolist() == [length] * n_cycles and not trials["diverged"].any()
    assert trained[-n_cycles:] == trials["batches"].tolist() and 0.9 * finder <= sum(trained[:-n_cycles]) <= finder + 1


def test_the_race_goes_towards_the_better_side_and_then_repeats(learner):
    trials = learner(60, n_valid=200).suggest_clr(3, 1e-3, budget=3).trials
    losses = {}
    for peak, seed, loss in trials[["peak", "seed", "valid_loss"]].itertuples(index=False):
        losses.setdefault(peak, []).append((seed, loss))
    assert list(losses) == [0.001, 0.0032, 0.01, 0.032, 0.1, 0.32][: len(losses)]
    assert all([seed for seed, _ in runs] == list(range(len(runs))) for runs in losses.values())


def test_a_cycle_is_what_fit_would_train(learner):
    learn = learner(60, n_valid=200)
    trial = learn.suggest_clr(3, 1e-2, budget=1, seed=5).trials.iloc[0]
    with suggest.Sandbox(learn) as box, box.copy(5) as (twin, _):
        twin.fit(1e-2, 1, cycle_len=1, use_clr=(10, 10))
        assert (trial.peak, trial.seed, trial.batches) == (1e-2, 5, 60)
        assert (trial.valid_loss, trial.train_loss) == (twin.sched.val_losses[-1], twin.sched.losses[-1])


def test_a_cycle_that_diverges_ends_at_once(learner):
    suggestion = learner(60).suggest_clr(3, 1e8, budget=1)
    first = suggestion.trials.iloc[0]
    assert first.diverged and first.batches < 60 and pd.isna(first.valid_loss)
    assert suggestion.trials["peak"].tolist()[:2] == [1e8, 3.2e7]  # downwards


def test_divergence_at_every_peak_is_told(learner):
    learn = learner(60)
    learn.loss_func = lambda x, y: x.sum() * float("nan")
    with pytest.raises(ValueError, match=r"the loss diverged at every peak, the lowest was \S+: give a lower lr="):
        learn.suggest_clr(3, 1e-2, budget=0.5)


def test_the_ratio_of_discriminative_rates_is_kept(learner):
    trials = learner(60, n_groups=3).suggest_clr(3, slice(1e-4, 1e-2), budget=1).trials
    assert trials["peak"].tolist()[:2] == [slice(1e-4, 1e-2), slice(0.00032, 0.032)]
    lists = learner(60, n_groups=3).suggest_clr(3, [1e-4, 1e-3, 1e-2], budget=1)
    assert lists.trials["peak"].tolist()[1] == [0.00032, 0.0032, 0.032] and isinstance(lists.lr, list)


def test_without_a_validation_the_training_loss_decides(learner):
    for change in (
        lambda o: setattr(o, "dls", DataLoaders(o.dls.train, [])),
        lambda o: setattr(o.recorder, "valid_metrics", False),
    ):
        learn = learner(60)
        change(learn)
        suggestion = learn.suggest_clr(3, 1e-2, budget=1)
        assert "the training loss is lowest" in suggestion.why and suggestion.trials["valid_loss"].isna().all()
        best = suggestion.trials["train_loss"].idxmin()
        assert suggestion.trials["peak"][best] == suggestion.lr and suggestion.plot().get_ylabel().startswith(
            "training"
        )


@pytest.mark.parametrize("budget", [0, 1])
def test_the_same_seed_gives_the_same_suggestion(learner, budget):
    learn = learner(60)
    first, again, other = (learn.suggest_clr(3, budget=budget, seed=seed) for seed in (0, 0, 1))
    assert str(first) == str(again) != str(other) and first.trials.equals(again.trials)


# -- what it says --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "losses, said",
    [
        ({0: [0.5]}, ["lowest at this peak: 0.5; no other peak was tried.", "One run each does not tell the noise: a larger budget repeats the best."]),
        ({0: [0.5], 1: [0.6], -1: [0.7]}, ["lowest at this peak: 0.5 (0.7 at 0.0032, 0.6 at 0.032). One run each"]),
        ({0: [0.5], 1: [np.inf], -1: [0.7]}, ["(0.7 at 0.0032, diverged at 0.032)."]),
        ({0: [0.5, 0.52], 1: [0.52, 0.54], -1: [0.7]}, ["0.51 (0.7 at 0.0032, 0.53 at 0.032). Runs at one peak differ by 0.014 (sd).", "0.032 is as good within noise.", ]),
        ({0: [0.5], 1: [0.4]}, ["No higher peak was tried: a larger budget would."]),
        ({0: [0.4], 1: [0.5]}, ["No lower peak was tried: a larger budget would."]),
    ],
)  # fmt: skip
def test_why_says_what_was_measured_how_sure_it_is_and_what_is_open(losses, said):
    race = suggest.Race(1e-2, 60, 20, 0, losses=losses)
    race.trials = [suggest.Trial(0.01, 0, 60, 0.5, 0.5, False)]
    words = race.why()
    assert words.startswith("After a cycle of 60 batches the validation loss is ")
    assert all(o in words for o in said), words
    assert ("within noise" in words) == any("within noise" in o for o in said)
    assert ("was tried: a larger" in words) == any("was tried: a larger" in o for o in said)


@pytest.mark.parametrize(
    "losses, is_said",
    [
        ({0: [2.293], 1: [2.3], 2: [2.316]}, True),  # near ln 10: ten classes, guessed
        ({0: [2.293], 1: [2.3], 2: [2.35]}, False),
        ({0: [2.293], 1: [2.3]}, False),  # too few to say
        ({0: [2.293], 1: [2.3], 2: [np.inf]}, False),
        ({0: [-1.0], 1: [-0.99], 2: [-0.985]}, True),
    ],
)
def test_why_says_when_the_losses_hardly_tell_the_peaks_apart(losses, is_said):
    words = suggest.Race(1e-2, 60, 20, 0, losses=losses).why()
    assert ("These losses lie within 2%, so they hardly tell the peaks apart: " in words) == is_said


def test_it_says_what_to_type(learner):
    learn = learner(60, n_groups=3)
    assert str(learn.suggest_clr(3, 1e-2)).startswith("learn.fit_clr(3, 0.01, div=10, cut_div=10)\n")
    suggestion = learn.suggest_clr(2, slice(1e-3, 1e-2), 2)
    assert suggestion.call == "learn.fit_clr(2, slice(0.001, 0.01), div=10, cut_div=10, n_cycles=2)"
    eval(suggestion.call)
    assert learn.sched.all_lrs.max(0).tolist() == pytest.approx([1e-3, 10**-2.5, 1e-2])


# -- around it -----------------------------------------------------------------------------------------------------------


def test_the_bar_names_the_peak(learner, capsys):
    learn = learner(60)
    learn.add_cb(ProgressCallback())
    learn.suggest_clr(3, 1e-2, budget=1)
    printed = capsys.readouterr().out
    assert printed.endswith("]\n") and "peak 0.01" in printed and "100.00% [180/180" in printed
    learn.suggest_clr(3)
    assert "lr_find 3 of 3" in capsys.readouterr().out
    with learn.no_bar():
        learn.suggest_clr(3)
    assert capsys.readouterr().out == ""


class Bar(ProgressBar):
    """A bar that keeps what it shows, as a terminal's and a notebook's do."""

    shown, begun = [], 0

    def on_iter_begin(self):
        Bar.begun += 1

    def on_update(self, value, text, **kwargs):
        Bar.shown.append((value, text.strip()))


@pytest.fixture
def bar(monkeypatch):
    Bar.shown, Bar.begun = [], 0
    Bar.update_every = 0  # seconds between two updates
    monkeypatch.setattr("fastai_clr.learner.trials.progress.progress_bar", Bar)
    return Bar


@pytest.mark.parametrize(
    "arguments, names",
    [
        (dict(lr=1e-2, budget=1), ["peak 0.01", "peak 0.032"]),
        (dict(lr=1e-2, budget=3), ["peak 0.01"]),
        (dict(), ["lr_find 1 of 3", "lr_find 2 of 3", "lr_find 3 of 3"]),
        (dict(budget=10), ["lr_find", "peak 0."]),
        (dict(lr=1e20, budget=3), ["peak 1e+20"]),  # each cycle diverges after a few batches
    ],
)
def test_one_bar_shows_the_batches_of_all_runs(learner, bar, trained, arguments, names):
    learn = learner(20)
    learn.add_cb(ProgressCallback())
    try:
        learn.suggest_clr(3, **arguments)
    except ValueError as error:
        assert "diverged at every peak" in str(error)
    values = [value for value, _ in bar.shown]
    total = arguments.get("budget", 5) * 60
    assert bar.begun == 1 and values == sorted(values) and values[0] == 0 and values[-1] == total
    assert values.count(total) == 1 and len(set(values)) >= sum(trained)
    assert all(any(name in text for _, text in bar.shown) for name in names)
    assert all("peak" in text or "lr_find" in text for _, text in bar.shown[:-1])
    assert (
        "peak" not in bar.shown[-1][1]
        and "lr_find" not in bar.shown[-1][1]
        and f"[{total}/{total} " in bar.shown[-1][1]
    )
    halfway = next(text for value, text in bar.shown if value >= total / 2)
    assert re.search(r"<(;)?\d\d:\d\d", halfway)  # the time left


@pytest.mark.parametrize("batch", [3, 25, 47])
def test_an_interruption_inside_a_run_leaves_the_bar_where_it_is(learner, bar, batch):
    """Cycles of 20 batches."""
    learn = learner(20)

    class Stops(Callback):
        n, run_valid = 0, False

        def after_batch(self):
            Stops.n += 1
            if Stops.n == batch:
                raise KeyboardInterrupt

    learn.add_cbs([ProgressCallback(), Stops()])
    try:
        learn.suggest_clr(3, 1e-2, budget=1)
    except KeyboardInterrupt:
        pass
    value, text = bar.shown[-1]
    assert bar.begun == 1 and batch - 2 <= value <= batch and "stopped" in text and "peak" not in text


def test_the_bar_in_a_terminal_is_one_line(learner, capsys):
    learn = learner(20)
    learn.add_cb(ProgressCallback())
    learn.suggest_clr(3, 1e-2, budget=1)
    printed = capsys.readouterr().out
    lines = printed.split("\r")[1:]
    assert printed.count("\n") == 1 and printed.endswith("]\n") and printed.count("100.00%") == 1
    assert lines[-2].isspace() and len(lines[-2]) >= 79  # nothing of a longer line is left
    assert re.search(r"peak \S+ *\]$", lines[-3]) and re.search(r"\d\d:\d\d\]\n$", lines[-1])


class Interrupts(Callback):
    """Interrupts the fit after so many of them."""

    fits = 0

    def __init__(self, after):
        self.after = after

    def before_train(self):
        Interrupts.fits += 1
        if Interrupts.fits > self.after:
            raise KeyboardInterrupt


@pytest.mark.parametrize("budget, n_finished", [(0, 1), (0, 2), (1, 1), (1, 2)])
def test_an_interruption_answers_from_what_has_finished(learner, budget, n_finished):
    learn, Interrupts.fits = learner(60 if budget else 120), 0
    learn.add_cb(Interrupts(n_finished))
    with pytest.raises(KeyboardInterrupt):
        learn.suggest_clr(3, budget=budget)
    suggestion = learn.interrupted
    assert len(suggestion.trials if budget else suggestion.finders) == n_finished and suggestion.lr > 0
    if budget:
        assert suggestion.lr == suggestion.trials["peak"][suggestion.trials["valid_loss"].idxmin()]


@pytest.mark.parametrize("budget", [0, 1])
def test_before_anything_has_finished_an_interruption_is_one(learner, budget):
    learn, Interrupts.fits = learner(), 0
    learn.add_cb(Interrupts(0))
    with pytest.raises(KeyboardInterrupt):
        learn.suggest_clr(3, budget=budget)


def test_a_frozen_and_a_tabular_learner(learner, tmp_path):
    learn = learner(60, n_groups=3)
    learn.freeze_to(-1)
    assert learn.suggest_clr(3, budget=1).lr > 0 and learn.opt is None or learn.opt.frozen_idx == 2
    assert len(make_tabular(tmp_path, metrics=accuracy)[0].suggest_clr(10, budget=1).trials) >= 3


def test_its_columns_can_be_read_by_an_older_pandas(learner):
    learn = learner(10, metrics=[accuracy])
    run = learn.compare_schedules(1, 1e-2, ["constant"], seeds=1).runs[0]
    assert learn.suggest_clr(2, 1e-2, budget=2).trials.columns.dtype == run.epochs.columns.dtype == object


def test_the_smallest_budget_that_the_error_names_is_enough(learner):
    assert len(learner(20).suggest_clr(1, budget=1.5).trials) == 3
    assert len(learner(10).suggest_clr(2, budget=2).trials) == 4


def test_a_learner_of_a_data_block_with_functions():
    block = DataBlock(
        blocks=(TransformBlock, CategoryBlock),
        get_x=lambda i: torch.full((4,), i % 10 / 10),
        get_y=[lambda i: i % 10],
        splitter=IndexSplitter(range(200, 300)),
    )
    dls = block.dataloaders(list(range(300)), bs=10, num_workers=0)
    learn = Learner(dls, nn.Linear(4, 10), loss_func=CrossEntropyLossFlat())
    learn.remove_cb(learn.progress)
    assert len(learn.suggest_clr(3, 1e-2, budget=1).trials) == 3


@pytest.mark.parametrize(
    "arguments, error, match",
    [
        ((0,), ValueError, "n_epoch should be at least 1, but given 0"),
        ((1.5,), TypeError, "n_epoch should be an integer"),
        ((1, -1), ValueError, "lr should be greater than 0, but given -1"),
        ((1, 1e-2, 21), ValueError, "n_cycles should be at most the number of batches, 20, but given 21"),
        ((1, None, 1, -1), ValueError, "budget should be at least 0, but given -1"),
        ((1, None, 1, "1"), TypeError, "budget should be a number"),
        (
            (1, None, 1, 1),
            ValueError,
            "budget should be at least 1.5 here, which is 3 cycles of 10 batches, but given 1",
        ),
        (
            (1, None, 4, 9),
            ValueError,
            "a race needs cycles of at least 10 batches, .* of this fit has 5: leave budget out",
        ),
    ],
)
def test_bad_arguments(learn, arguments, error, match):
    with pytest.raises(error, match=match):
        learn.suggest_clr(*arguments)


# -- passed on ---------------------------------------------------------------------------------------------------------------


def suggestion(lr=0.05, div=20, cut_div=4):
    return Suggestion(lr, div, cut_div, "Because.", "learn.fit_clr(3, 0.05)", pd.DataFrame())


PASSED_ON = {  # the call, the peaks of three groups and the schedule that it trains with
    "fit_clr": (lambda o, s: o.fit_clr(2, s), [0.05] * 3, CircularLR(20, 4)),
    "fit_clr, by name": (lambda o, s: o.fit_clr(2, lr=s), [0.05] * 3, CircularLR(20, 4)),
    "fit_clr, with a div": (lambda o, s: o.fit_clr(2, s, div=10), [0.05] * 3, CircularLR(10, 4)),
    "fit_clr, with a cut_div": (lambda o, s: o.fit_clr(2, s, cut_div=10), [0.05] * 3, CircularLR(20, 10)),
    "fit_clr, unpacked": (lambda o, s: o.fit_clr(2, *s[:3]), [0.05] * 3, CircularLR(20, 4)),
    "fit_clr, its rate": (lambda o, s: o.fit_clr(2, s[0]), [0.05] * 3, CircularLR(10, 10)),
    "0.7's fit": (lambda o, s: o.fit(s, 1, cycle_len=2, use_clr=(32, 5)), [0.05] * 3, CircularLR(32, 5)),
    "0.7's fit, by name": (lambda o, s: o.fit(lrs=s, n_cycle=1, cycle_len=2, use_clr=(32, 5)), [0.05] * 3, CircularLR(32, 5)),
    "0.7's fit, constant": (lambda o, s: o.fit(s, 2), [0.05] * 3, Constant()),
    "a callback": (lambda o, s: o.fit(2, s, cbs=CLRCallback(CircularLR(32, 5))), [0.05] * 3, CircularLR(32, 5)),
    "fastai's own": (lambda o, s: o.fit(2, s), [0.05], None),
    "fastai's own, by name": (lambda o, s: o.fit(2, lr=s), [0.05], None),
    "a slice": (lambda o, s: o.fit_clr(2, suggestion(slice(1e-4, 1e-2))), [1e-4, 1e-3, 1e-2], CircularLR(20, 4)),
    "a list": (lambda o, s: o.fit_clr(2, suggestion([0, 1e-3, 1e-2])), [0, 1e-3, 1e-2], CircularLR(20, 4)),
    "a list, in 0.7's fit": (lambda o, s: o.fit(suggestion([0, 1e-3, 1e-2]), 2), [0, 1e-3, 1e-2], Constant()),
}  # fmt: skip


@pytest.mark.parametrize("call", PASSED_ON)
def test_a_suggestion_stands_for_its_rate(learner, call):
    train, peaks, schedule = PASSED_ON[call]
    learn = learner(20, 3)
    train(learn, suggestion())
    assert learn.sched.all_lrs.max(0).tolist() == pytest.approx(peaks) and learn.sched.schedule == schedule


def test_a_preview_and_a_comparison_take_it_too(learner):
    learn = learner(20)
    assert learn.plot_schedule(2, suggestion(), n_cycles=1).lines[0].get_ydata().max() == 0.05
    assert learn.plot_schedule(suggestion(), 1, cycle_len=2, use_clr=(32, 5)).lines[0].get_ydata().max() == 0.05
    assert learn.plot_schedule(2, suggestion()).lines[0].get_ydata().tolist() == [0.05] * 40
    for lr in (suggestion(), {"constant": suggestion()}):
        assert set(learn.compare_schedules(1, lr, ["constant"], seeds=1).runs[0].lrs) == {0.05}


def test_so_does_the_scheduler_of_plain_torch():
    opt = torch.optim.SGD([{"params": [torch.nn.Parameter(torch.zeros(1))]} for _ in range(2)], lr=1.0)
    assert CLRScheduler(opt, CircularLR(), 10, suggestion([1e-3, 1e-2])).base_lrs == [1e-3, 1e-2]


def test_swapped_it_is_told_what_to_type(learner):
    with pytest.raises(TypeError, match=r"try learn.fit_clr\(3, 0.05, div=32, cut_div=5\)"):
        learner(20).fit(3, suggestion(), use_clr=(32, 5))
