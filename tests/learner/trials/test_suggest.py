"""learn.suggest_clr: what it trains, within which budget, what it answers, and what it says of that."""

import re
import time

import pandas as pd
import pytest
import torch
from fastai.callback.core import Callback
from fastai.callback.progress import ProgressCallback
from fastai.data.block import CategoryBlock, DataBlock, TransformBlock
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.data.transforms import IndexSplitter
from fastai.learner import Learner
from fastai.losses import CrossEntropyLossFlat, MSELossFlat
from fastai.metrics import accuracy
from fastai.optimizer import SGD
from fastprogress.fastprogress import ProgressBar
from torch import nn

from fastai_clr.all import CircularLR, CLRCallback, CLRScheduler, Constant, Suggestion
from fastai_clr.learner.trials import suggest
from helpers import make_tabular

pytestmark = pytest.mark.slow  # dozens of fits: a third of the time of all tests


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


# -- what it trains ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "n_iter, n_epoch, arguments, most",
    [
        (60, 10, {}, 300),
        (20, 1, {}, 120),  # six fits
        (20, 1, dict(n_cycles=4), 120),  # whose cycles have 5 batches: the race trains cycles of 10
        (10, 1, {}, 60),
        (4, 3, {}, 72),  # cycles of 10 batches go over several epochs
        (2, 1, {}, 30),  # three cycles of 10 batches
        (60, 3, dict(budget=1), 180),
        (60, 3, dict(budget=0.2), 36),
        (60, 2, dict(budget=2), 240),
        (60, 3, dict(budget=1, lr=1e-3), 180),
    ],
)
def test_what_is_trained_stays_within_the_budget(learner, trained, n_iter, n_epoch, arguments, most):
    suggestion = learner(n_iter, metrics=[accuracy]).suggest_clr(n_epoch, **arguments)
    assert 30 <= sum(trained) <= most and sum(trained) > most - max(trained)
    assert suggestion.trials["batches"].tolist() == trained and min(trained) == 10
    assert max(trained) <= max(n_iter * n_epoch / arguments.get("n_cycles", 1), 10)
    assert suggestion.lr in suggestion.trials["peak"].tolist() and suggestion.n_epoch == n_epoch


def test_it_begins_with_short_cycles_a_decade_apart_and_upwards(learner):
    trials = learner(60, n_valid=200).suggest_clr(5).trials
    coarse, fine = trials[trials["batches"] == 10], trials[trials["batches"] > 10]
    assert coarse["peak"].tolist() == [0.01, 0.1, 1.0, 0.001][: len(coarse)] and set(fine["batches"]) == {90}
    best = coarse["peak"][coarse["valid_loss"].idxmin()]
    assert fine["peak"].tolist()[:2] == [best, float(f"{best / 10**0.5:.2g}")]
    assert trials["seed"].tolist() == [0] * len(trials)


def test_with_more_to_spend_it_repeats_the_best(learner):
    trials = learner(20, n_valid=200).suggest_clr(3, budget=6).trials
    fine = trials[trials["batches"] > 10]
    assert fine.groupby("peak")["seed"].apply(list).map(lambda o: o == list(range(len(o)))).all()
    assert fine["seed"].max() >= 1


def test_a_cycle_is_what_fit_would_train(learner):
    learn = learner(60, n_valid=200)
    trial = learn.suggest_clr(3, 1e-2, budget=1, seed=5).trials.iloc[-1]
    with suggest.Sandbox(learn) as box, box.copy(int(trial.seed)) as (twin, _):
        twin.fit(trial.peak, 1, cycle_len=trial.batches / 60, use_clr=(10, 10))
        assert (trial.valid_loss, trial.train_loss) == (twin.sched.val_losses[-1], twin.sched.losses[-1])


@pytest.mark.parametrize("scale, peak", [(1e4, 1e-5), (1, 1), (0.3, 10)])
def test_it_finds_peaks_far_from_where_it_starts(learner, scale, peak):
    """The outputs of a linear layer times `scale`: the larger they are, the lower the best rate of SGD."""
    learn, loss = learner(60, opt_func=SGD, n_valid=200), CrossEntropyLossFlat()
    learn.loss_func = lambda x, y: loss(scale * x, y)
    suggestion = learn.suggest_clr(5)
    assert peak / 4 < suggestion.lr < peak * 4 and suggestion.trials["batches"].sum() <= 300


# -- losses that are not finite, and losses that only rise ---------------------------------------------------------------


def test_a_cycle_whose_loss_is_not_finite_ends_at_once(learner):
    suggestion = learner(60).suggest_clr(3, 1e9, budget=1)
    first = suggestion.trials.iloc[0]
    assert first.diverged and first.batches < 10 and pd.isna(first.valid_loss)
    assert suggestion.trials["peak"].tolist()[:2] == [1e9, 1e8]  # downwards


def test_divergence_at_every_peak_is_told(learner):
    learn = learner(60)
    learn.loss_func = lambda x, y: x.sum() * float("nan")
    with pytest.raises(ValueError, match=r"the loss diverged at every peak, the lowest was \S+: give a lower lr="):
        learn.suggest_clr(3, 1e-2, budget=0.5)


@pytest.mark.parametrize("seed", range(5))  # in each of them the loss exceeds ten times that of its first batch
def test_an_easy_first_batch_ends_no_cycle(seed):
    """A regression in which most items are nearly 0: so is the loss of a first batch without any other."""
    torch.manual_seed(seed)
    x = torch.randn(200, 4)
    x[torch.rand(200) < 0.9] *= 1e-3
    items = list(zip(x, x.sum(1, keepdim=True)))
    dls = DataLoaders(DataLoader(items[:150], bs=4, shuffle=True), DataLoader(items[150:], bs=50), device="cpu")
    learn = Learner(dls, nn.Linear(4, 1, bias=False), loss_func=MSELossFlat())
    learn.remove_cb(learn.progress)
    suggestion = learn.suggest_clr(3, 0.1, budget=1, seed=seed)
    untrained = float(learn.validate()[0])
    assert not suggestion.trials["diverged"].any() and suggestion.trials["valid_loss"].min() < untrained


# -- learners of all kinds -----------------------------------------------------------------------------------------------


def test_the_ratio_of_discriminative_rates_is_kept(learner):
    trials = learner(20, n_groups=3).suggest_clr(3, slice(1e-4, 1e-2), budget=1).trials
    assert trials["peak"].tolist()[:2] == [slice(1e-4, 1e-2), slice(1e-3, 1e-1)]
    lists = learner(20, n_groups=3).suggest_clr(3, [1e-4, 1e-3, 1e-2], budget=1)
    assert lists.trials["peak"].tolist()[1] == [1e-3, 1e-2, 1e-1] and isinstance(lists.lr, list)


def test_without_a_validation_the_training_loss_decides(learner):
    for change in (
        lambda o: setattr(o, "dls", DataLoaders(o.dls.train, [])),
        lambda o: setattr(o.recorder, "valid_metrics", False),
    ):
        learn = learner(20)
        change(learn)
        suggestion = learn.suggest_clr(3, 1e-2)
        assert "the training loss is " in suggestion.why and suggestion.trials["valid_loss"].isna().all()
        assert suggestion.plot().get_ylabel() == "training loss (smoothed)"


def test_the_same_seed_gives_the_same_suggestion(learner):
    learn = learner(20)
    first, again, other = (learn.suggest_clr(3, seed=seed) for seed in (0, 0, 1))
    assert first == again and first.trials.equals(again.trials) and not first.trials.equals(other.trials)


def test_a_frozen_a_tabular_and_a_trained_learner(learner, tmp_path):
    learn = learner(20, n_groups=3)
    learn.freeze_to(-1)
    assert learn.suggest_clr(3).lr > 0 and learn.opt.frozen_idx == 2
    learn.fit_clr(3, 1e-2)
    assert learn.suggest_clr(3).lr > 0
    assert len(make_tabular(tmp_path, metrics=accuracy)[0].suggest_clr(10).trials) >= 3


# -- what it says --------------------------------------------------------------------------------------------------------


def test_it_says_what_to_type(learner):
    learn = learner(20, n_groups=3)
    suggestion = learn.suggest_clr(2, slice(1e-3, 1e-2), 2)
    assert str(suggestion).startswith(f"{suggestion.call}\n")
    assert suggestion.call == f"learn.fit_clr(2, {suggestion.lr!r}, div=10, cut_div=10, n_cycles=2)".replace(
        ", None)", ")"
    )
    eval(suggestion.call)
    assert learn.sched.all_lrs.max(0)[[0, 2]].tolist() == pytest.approx([suggestion.lr.start, suggestion.lr.stop])
    lr, div, cut_div, why = suggestion
    assert (lr, div, cut_div, why) == (suggestion.lr, 10, 10, suggestion.why)


class Slow(Callback):
    """Sleeps in each batch, of the training and the validation."""

    def __init__(self, seconds):
        self.seconds = seconds

    def after_batch(self):
        time.sleep(self.seconds)


def test_it_says_how_long_the_fit_takes(learner):
    learn = learner(30, cbs=Slow(0.01))
    suggestion = learn.suggest_clr(2)
    began = time.perf_counter()
    learn.fit_clr(2, suggestion)
    assert suggestion.seconds == pytest.approx(time.perf_counter() - began, rel=0.4)  # the machine may be busy
    assert re.search(r"A fit of 2 epochs takes about [\d.]+ s here\.", suggestion.why)


@pytest.mark.parametrize("n_iter, minutes, n_cycles", [(10, 0.08, 1), (200, 0.08, 2)])
def test_as_many_epochs_as_fit_into_the_minutes(learner, n_iter, minutes, n_cycles):
    learn = learner(n_iter, cbs=Slow(0.01))
    began = time.perf_counter()
    suggestion = learn.suggest_clr(minutes=minutes, n_cycles=n_cycles)
    assert time.perf_counter() - began < 60 * minutes / 2
    eval(suggestion.call)
    assert time.perf_counter() - began == pytest.approx(60 * minutes, rel=0.4)
    n_batches = len(learn.sched.lrs)
    assert n_batches == pytest.approx(suggestion.n_epoch * n_iter, abs=1) and len(learn.sched.cycle_ends) == n_cycles
    assert n_iter == 200 or isinstance(suggestion.n_epoch, int)


@pytest.mark.parametrize(
    "seconds, words",
    [
        (0.123, "0.12 s"),
        (0.5, "0.5 s"),
        (119.4, "120 s"),
        (120, "2 min"),
        (250, "4.2 min"),
        (7199, "120 min"),
        (9000, "2.5 h"),
    ],
)
def test_a_duration_has_two_digits(seconds, words):
    assert suggest._in_words(seconds) == words


@pytest.mark.parametrize(
    "n_epoch, n_cycles, call",
    [
        (3, 1, "learn.fit_clr(3, 0.01, div=10, cut_div=10)"),
        (4.0, 2, "learn.fit_clr(4, 0.01, div=10, cut_div=10, n_cycles=2)"),
        (0.5, 1, "learn.fit(0.01, 1, cycle_len=0.5, use_clr=(10, 10))"),
        (2.5, 2, "learn.fit(0.01, 2, cycle_len=1.25, use_clr=(10, 10))"),
    ],
)
def test_the_call_of_whole_and_of_other_epochs(n_epoch, n_cycles, call):
    assert suggest._call(n_epoch, "0.01", n_cycles) == call


def test_too_few_minutes_are_told(learner):
    learn = learner(30, cbs=Slow(0.01))
    with pytest.raises(
        ValueError, match=r"minutes should be at least 0\.0\d+ here, but given 0\.001: choosing the peak took"
    ):
        learn.suggest_clr(minutes=0.001)


# -- around it -----------------------------------------------------------------------------------------------------------


def test_the_bar_names_the_peak(learner, capsys):
    learn = learner(60)
    learn.add_cb(ProgressCallback())
    learn.suggest_clr(3, 1e-2, budget=1)
    printed = capsys.readouterr().out
    assert printed.endswith("]\n") and "peak 0.01" in printed and "100.00% [180/180" in printed
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
        (dict(lr=1e-2, budget=1), ["peak 0.01", "peak 0.1"]),
        (dict(), ["peak 0.01"]),
        (dict(lr=1e30, budget=3), ["peak 1e+30", "peak 1e+29"]),  # each cycle diverges after a few batches
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
    assert all("peak" in text for _, text in bar.shown[:-1])
    assert "peak" not in bar.shown[-1][1] and f"[{total}/{total} " in bar.shown[-1][1]
    halfway = next(text for value, text in bar.shown if value >= total / 2)
    assert re.search(r"<(;)?\d\d:\d\d", halfway)  # the time left


@pytest.mark.parametrize("batch", [3, 25, 47])
def test_an_interruption_inside_a_run_leaves_the_bar_where_it_is(learner, bar, batch):
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


@pytest.mark.parametrize("n_finished", [1, 2, 3])
def test_an_interruption_answers_from_what_has_finished(learner, n_finished):
    learn, Interrupts.fits = learner(60), 0
    learn.add_cb(Interrupts(n_finished))
    with pytest.raises(KeyboardInterrupt):
        learn.suggest_clr(3)
    suggestion = learn.interrupted
    assert len(suggestion.trials) == n_finished and suggestion.lr in suggestion.trials["peak"].tolist()
    assert "the race was interrupted" in suggestion.why and suggestion.seconds > 0


def test_before_anything_has_finished_an_interruption_is_one(learner):
    learn, Interrupts.fits = learner(), 0
    learn.add_cb(Interrupts(0))
    with pytest.raises(KeyboardInterrupt):
        learn.suggest_clr(3)
    assert learn.interrupted is None


def test_its_columns_can_be_read_by_an_older_pandas(learner):
    learn = learner(10, metrics=[accuracy])
    run = learn.compare_schedules(1, 1e-2, ["constant"], seeds=1).runs[0]
    assert learn.suggest_clr(2, 1e-2, budget=2).trials.columns.dtype == run.epochs.columns.dtype == object


def test_the_smallest_budget_that_the_error_names_is_enough(learner):
    assert len(learner(20).suggest_clr(1, budget=1.5).trials) == 3


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
    assert len(learn.suggest_clr(3).trials) >= 3


@pytest.mark.parametrize(
    "arguments, error, match",
    [
        ((0,), ValueError, "n_epoch should be at least 1, but given 0"),
        ((1.5,), TypeError, "n_epoch should be an integer"),
        ((1, -1), ValueError, "lr should be greater than 0, but given -1"),
        ((1, 1e-2, 21), ValueError, "n_cycles should be at most the number of batches, 20, but given 21"),
        ((1, None, 1, -1), ValueError, "budget should be greater than 0, but given -1"),
        ((1, None, 1, "1"), TypeError, "budget should be a number"),
        (
            (1, None, 1, 0),
            ValueError,
            "budget should be greater than 0, but given 0: .* in 1.0.0 is gone; leave it out",
        ),
        (
            (1, None, 1, 1),
            ValueError,
            "budget should be at least 1.5 here, which is 3 cycles of 10 batches, but given 1",
        ),
        ((), TypeError, "suggest_clr should be given n_epoch or minutes, but given neither"),
        ((1, dict(minutes=5)), TypeError, "suggest_clr should be given n_epoch or minutes, but given both"),
        ((dict(minutes=0),), ValueError, "minutes should be greater than 0, but given 0"),
        ((dict(minutes="5"),), TypeError, "minutes should be a number"),
        (
            (dict(minutes=5, budget=1),),
            TypeError,
            "budget counts fits of n_epoch, so it should be left out with minutes",
        ),
        ((dict(minutes=5, n_cycles=0),), ValueError, "n_cycles should be at least 1, but given 0"),
    ],
)
def test_bad_arguments(learn, arguments, error, match):
    keywords = arguments[-1] if arguments and isinstance(arguments[-1], dict) else {}
    with pytest.raises(error, match=match):
        learn.suggest_clr(*arguments[: len(arguments) - bool(keywords)], **keywords)


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
