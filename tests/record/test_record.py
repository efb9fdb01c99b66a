import copy
import csv
import pickle
import re
import sys
from array import array
from functools import partial
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from fastai.callback.core import Callback, CancelBatchException, CancelEpochException, CancelFitException
from fastai.learner import Recorder
from fastai.metrics import accuracy, error_rate
from fastai.optimizer import SGD, OptimWrapper

from fastai_clr.all import CircularLR, Constant, Cycles, Record
from fastai_clr.schedules import Timetable
from helpers import DATA, Probe, make_learner

SCHED_CALLS = [row[1] for row in csv.reader((DATA / "sched_calls_2018.tsv").open(), delimiter="\t")][1:]


def train(learn):
    """60 batches in 3 epochs, one cycle."""
    learn.fit([1e-4, 1e-3, 1e-2], 1, cycle_len=3, use_clr=(32, 5, 0.95, 0.85))
    return learn


@pytest.fixture
def trained(learn):
    return train(learn)


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory):
    """For tests that only look."""
    return train(make_learner(tmp_path_factory.mktemp("trained"), n_groups=3, metrics=[accuracy]))


def test_a_record_of_each_batch_and_epoch(trained):
    sched, recorder = trained.sched, trained.recorder
    assert sched.all_lrs.shape == (60, 3) and list(sched.lrs) == sched.all_lrs[:, -1].tolist()
    assert list(sched.iterations) == list(range(1, 61))
    assert list(sched.losses) == [float(o) for o in recorder.losses]
    assert sched.val_losses == [row[1] for row in recorder.values]
    assert sched.rec_metrics == [row[2] for row in recorder.values]
    assert sched.momentums[12] == 0.85 and sched.lrs[12] == 1e-2
    assert sched.cycle_ends == [60] and sched.schedule == CircularLR(32, 5, 0.95, 0.85)
    assert repr(sched) == (
        "Record(CircularLR(div=32, cut_div=5, mom_a=0.95, mom_b=0.85): 60 batches, 3 epochs validated)"
    )


def test_losses_are_smoothed_with_098_as_in_both_libraries(learner):
    class KeepLoss(Callback):
        run_valid, raw = False, []

        def after_loss(self):
            self.raw.append(self.learn.loss.item())

    learn, average, smooth = learner(10), 0.0, []
    learn.fit(1e-2, 1, cycle_len=2, use_clr=(10, 4), cbs=KeepLoss())
    for batch, loss in enumerate(KeepLoss.raw, 1):  # 0.7.0's own arithmetic
        average = average * 0.98 + loss * 0.02
        smooth.append(average / (1 - 0.98**batch))
    assert list(learn.sched.losses) == pytest.approx(smooth, rel=1e-5)


@pytest.mark.parametrize("metrics, kind", [([accuracy], float), ([accuracy, error_rate], list)])
def test_one_metric_is_a_number_and_several_are_a_list(learner, metrics, kind):
    learn = learner(5)
    learn.fit(1e-2, 2, metrics=metrics)
    assert [type(o) for o in learn.sched.rec_metrics] == [kind, kind]
    learn.fit(1e-2, 1)
    assert learn.sched.rec_metrics == [] and len(learn.sched.val_losses) == 1


def test_a_learner_without_recorder_or_validation(learner):
    learn = learner(5, default_cbs=True, metrics=[accuracy])
    learn.recorder.train_metrics = True
    learn.fit(1e-2, 1, cycle_len=1)
    assert len(learn.sched.val_losses) == len(learn.sched.rec_metrics) == 1
    learn.recorder.valid_metrics = False
    learn.fit(1e-2, 1, cycle_len=1)
    assert learn.sched.val_losses == [] and len(learn.sched.losses) == 5
    learn.remove_cb(learn.recorder)
    learn.fit(1e-2, 1, cycle_len=1)
    assert len(learn.sched.lrs) == 5 and not learn.sched.losses
    with pytest.raises(ValueError, match="nothing to plot, no losses: the Learner had no Recorder"):
        learn.sched.plot_loss()


def test_nothing_to_validate_on(learner):
    learn = learner(5, n_valid=0, metrics=[accuracy])
    learn.fit(1e-2, 1, cycle_len=2, best_save_name="best")
    assert len(learn.sched.lrs) == 10 and learn.sched.val_losses == [] == learn.sched.rec_metrics


def test_before_the_first_fit_each_learner_has_an_empty_record_of_its_own(learner):
    one, two = learner(), learner()
    one.sched.val_losses.append(1)
    assert two.sched.val_losses == []


def test_plot_lr_draws_what_was_recorded(trained):
    ax = trained.sched.plot_lr()
    for line, rates in zip(ax.lines, trained.sched.all_lrs.T):
        np.testing.assert_array_equal(line.get_data(), [trained.sched.iterations, rates])
    moms_ax = ax.figure.axes[1]
    np.testing.assert_array_equal(moms_ax.lines[0].get_ydata(), trained.sched.momentums)
    assert [line.get_xdata() for line in ax.lines[3:]] == [[60, 60]]
    assert ax.get_title(loc="left").startswith(
        "CircularLR(div=32, cut_div=5, mom_a=0.95, mom_b=0.85)\ngroup 2 starts at 0.000313"
    )


def test_what_plot_lr_can_leave_out(trained):
    assert len(trained.sched.plot_lr(show_moms=False).figure.axes) == 1
    assert trained.sched.plot_lr(show_text=False).get_title(loc="left") == ""
    trained.fit(1e-2, 1, cycle_len=1, use_clr=(32, 5))
    assert len(trained.sched.plot_lr().figure.axes) == 1  # momentum was not cycled


def test_the_recorder_has_the_same_plot(trained):
    for line, same in zip(trained.recorder.plot_lr().lines, trained.sched.plot_lr().lines):
        np.testing.assert_array_equal(line.get_data(), same.get_data())
    assert len(trained.recorder.plot_lr(show_moms=False).figure.axes) == 1


@pytest.mark.parametrize(
    "skips, part",
    [
        ({}, slice(10, 55)),
        (dict(n_skip=0, n_skip_end=0), slice(0, 60)),
        (dict(n_skip_end=1), slice(10, 59)),
        (dict(n_skip=5), slice(5, 55)),
        (dict(n_skip=1300), slice(0, 60)),  # leaves nothing, so nothing is skipped
    ],
)
def test_plots_of_the_loss(trained, skips, part):
    sched = trained.sched
    ax = sched.plot_loss(**skips)
    np.testing.assert_array_equal(ax.lines[0].get_data(), [sched.iterations[part], sched.losses[part]])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("iteration (batches)", "training loss (smoothed)")
    ax = sched.plot(**skips)
    np.testing.assert_array_equal(ax.lines[0].get_data(), [sched.lrs[part], sched.losses[part]])
    assert (ax.get_xlabel(), ax.get_xscale()) == ("learning rate (log scale)", "log")
    assert sched.plot(linear=True).get_xscale() == "linear"


@pytest.mark.slow
@pytest.mark.parametrize("call", SCHED_CALLS)
def test_what_people_did_with_learn_sched_in_2018(trained_once, call):
    sched = trained_once.sched
    names = dict(
        i=2,
        sma=1,
        ind=105,
        save="x",
        fs=SimpleNamespace(path_to_lr_plot="lr.png"),
        sched=sched,
        self=SimpleNamespace(learn=trained_once),
    )
    names.update(dict.fromkeys(["learn", "learner", "learn1", "m", "learn_adam", "rnn_learner"], trained_once))
    refused = {
        "layer_opt": "the optimizer is `learn.opt`",
        "save_path": r"plt.savefig\(.lr.png.\)",
        "epoch": "`learn.epoch`|`learn.n_epoch`",
        "path_to_lr_plot": "n_skip should be an integer, but given 'lr.png'",
    }
    for name, why in refused.items():
        if name in call:
            with pytest.raises((AttributeError, TypeError), match=why):
                eval(call, {}, names)
            return
    assert eval(call, {}, names) is not None


def test_nothing_to_plot_before_the_first_fit(learn):
    for plot in (learn.sched.plot_lr, learn.sched.plot_loss, learn.sched.plot, learn.recorder.plot_lr):
        with pytest.raises(ValueError, match=r"holds nothing yet: train first, say learn.fit\(1e-2, 1, cycle_len=3"):
            plot()


@pytest.mark.parametrize("n_skip, error", [(-1, ValueError), (1.5, TypeError), ("a.png", TypeError), (None, TypeError)])
def test_a_wrong_number_to_skip(trained, n_skip, error):
    for plot in (trained.sched.plot, trained.sched.plot_loss):
        with pytest.raises(error, match="n_skip should be"):
            plot(n_skip)
        with pytest.raises(error, match="n_skip_end should be"):
            plot(1, n_skip)


def test_unknown_attributes_list_the_known_ones(trained):
    with pytest.raises(
        AttributeError, match=r"learn.sched has no 'unknown': it has .*all_lrs,.* lrs, metric_names, momentums,"
    ):
        trained.sched.unknown  # noqa: B018
    with pytest.raises(AttributeError, match="learn.sched has no 'lr': did you mean lrs?"):
        trained.sched.lr  # noqa: B018


@pytest.mark.parametrize("twin_of", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))], ids=["copy", "pickle"])
def test_it_copies_and_pickles_and_knows_no_learner(trained, twin_of):
    sched, twin = trained.sched, twin_of(trained.sched)
    assert twin.to_frame().equals(sched.to_frame()) and twin.cycles.equals(sched.cycles)
    for name in "cycle_ends iterations lower_is_better metric_names rec_metrics schedule val_losses".split():
        assert getattr(twin, name) == getattr(sched, name)
    assert not re.search(b"fastai\\.|torch", pickle.dumps(sched))


def test_a_pickle_holds_the_rates_that_were_held_not_only_the_formula(learner, monkeypatch):
    learn = learner(10)
    learn.fit(1e-2, 1, cycle_len=1, use_clr=(10, 5, 0.95, 0.85))
    table, pickled = learn.sched.to_frame(), pickle.dumps(learn.sched)
    monkeypatch.setattr(CircularLR, "factor", lambda self, i, cycle: i * 0.0)  # as if a later release computed it so
    assert pickle.loads(pickled).to_frame().equals(table) and learn.sched.to_frame().equals(table)


def fit_with_changes(learner, change, rates=(1e-4, 1e-3, 1e-2), n_batches=10):
    """The probed and the recorded rates of a fit in which another callback says `change(hypers)` in batches 4 to 6."""

    class Change(Callback):
        order, run_valid = 60, False

        def before_batch(self):
            if 4 <= self.learn.iter <= 6:
                change(self.learn.opt.hypers)

    learn, probe = learner(n_batches, len(rates)), Probe()
    learn.fit(list(rates), 1, cycle_len=1, use_clr=(32, 5, 0.95, 0.85), cbs=[Change(), probe])
    return probe.probed_lrs, learn.sched


def thirds(*groups):
    def change(hypers):
        for k in groups:
            hypers[k]["lr"] /= 3

    return change


@pytest.mark.parametrize(
    "change, rates",
    [
        (lambda hypers: None, (1e-4, 1e-3, 1e-2)),
        (lambda hypers: None, (1e-3, 1.1e-3, 1e-2) * 30),
        (thirds(0), (1e-4, 1e-3, 1e-2)),
        (thirds(0, 1), (1e-4, 1e-3, 1e-2)),
        (thirds(2), (1e-4, 1e-3, 1e-2)),
        (thirds(0, 1, 2), (1e-2, 1e-2, 1e-2)),
        (thirds(2), (0.1, 0.2, 1.0)),
        (thirds(0), (1e-2,)),
    ],
)
def test_the_rates_are_what_the_optimizer_held_bit_for_bit(learner, change, rates):
    held, sched = fit_with_changes(learner, change, rates)
    for record in (sched, pickle.loads(pickle.dumps(sched))):
        np.testing.assert_array_equal(record.all_lrs, held)
        np.testing.assert_array_equal(record.lrs, [o[-1] for o in held])


@pytest.mark.parametrize("n_groups, every", [(1, None), (100, None), (3, 10), (3, 1)])
@pytest.mark.parametrize("schedule", [Constant(), CircularLR(10, 5), CircularLR(10, 5, 0.95, 0.85)])
def test_12_bytes_per_batch_and_8_for_each_rate_that_is_not_the_schedules(n_groups, every, schedule):
    n, peaks = 10_000, np.geomspace(1e-4, 1e-2, n_groups).tolist()
    record = Record(timetable := Timetable(schedule, Cycles(1, 2 * n), peaks))
    for i in range(n):
        timetable.row(i)
        if every is not None and i % every == 0:
            record.note_rates([1e-5] * n_groups)
        record.add_batch(i, 1.0)
    record.trim()
    expected = 12 * n + (0 if every is None else n // every * 8 * (1 + n_groups))
    assert sum(sys.getsizeof(o) for o in vars(record).values() if isinstance(o, array)) <= expected + 1000
    rates = schedule.at(5001, Cycles(1, 2 * n))[0] * np.array(peaks)
    np.testing.assert_array_equal(record.all_lrs[5001], np.full(n_groups, 1e-5) if every == 1 else rates)
    rows = 16 if schedule.cycles_momentum else 0 if schedule == Constant() else 8  # the values of the rows trained
    one_block = 2**17 if schedule == Constant() else 0  # and its part that was trained
    assert len(pickle.dumps(record)) <= expected + rows * n + one_block + 3000


def test_of_a_fit_that_was_stopped_no_more_is_kept_than_was_trained(learner):
    learn = learner(10)
    learn.fit(1e-2, 1, cycle_len=10**5, use_clr=(10, 5), cbs=stop_in_batch(7))
    assert len(pickle.dumps(learn.sched)) < 3000 and len(learn.sched.lrs) == 8


def stop_in_batch(n):
    class Stop(Callback):
        order, run_valid = 90, False  # after the record

        def after_batch(self):
            if self.iter == n:
                raise CancelFitException

    return Stop()


def test_a_finished_fit_has_no_spare_capacity(learner):
    learn = learner(100)
    learn.fit(1e-2, 1, cycle_len=1, use_clr=(10, 5))
    columns = [o for o in vars(learn.sched).values() if isinstance(o, array)]
    assert [sys.getsizeof(o) for o in columns] == [sys.getsizeof(o[:]) for o in columns]


def test_batches_that_are_skipped_before_the_schedule_keep_the_rates_of_the_last_one(learner):
    class Skip(Callback):
        order, run_valid = 0, False

        def before_batch(self):
            if self.learn.iter in (0, 5):
                raise CancelBatchException

    learn = learner(10, 2)
    learn.fit([1e-3, 1e-2], 1, cycle_len=1, use_clr=(10, 5), cbs=Skip())
    factors = CircularLR(10, 5).at(np.arange(10), Cycles(1, 10))[0]
    factors[[0, 5]] = 1, factors[4]
    np.testing.assert_array_equal(learn.sched.all_lrs, factors[:, None] * [1e-3, 1e-2])


class EachBatch(Callback):
    """Does something with `learn.sched` after each batch of the training."""

    order, run_valid = 90, False

    def __init__(self, act):
        self.act = act

    def after_batch(self):
        self.act(self.learn.sched)


@pytest.mark.parametrize("moms", [(), (0.95, 0.85)])
def test_a_loop_over_the_batches_reads_each_once(learner, monkeypatch, moms):
    seen, read, values = [], [], Timetable.values
    monkeypatch.setattr(Timetable, "values", lambda self, rows: read.append(len(rows)) or values(self, rows))
    learn = learner(50, 3)
    look = EachBatch(lambda sched: seen.append((sched.lrs[-1], sched.momentums[-1], sched.losses[-1])))
    learn.fit(1e-2, 1, cycle_len=2, use_clr=(10, 5, *moms), cbs=look)
    assert sum(read) <= 2 * 100  # the rates and the momentums
    for i in range(100):
        assert seen[i] == (learn.sched.lrs[i], learn.sched.momentums[i], learn.sched.losses[i])
    assert sum(read) <= 2 * 100 and {type(o) for row in seen for o in row} == {float}


@pytest.mark.parametrize("column", ["losses", "lrs", "momentums", "all_lrs"])
def test_an_array_that_somebody_holds_does_not_disturb_the_fit(learner, column):
    held, learn = [], learner(10)
    look = EachBatch(lambda sched: held.append(np.asarray(getattr(sched, column))))
    learn.fit(1e-2, 1, cycle_len=2, use_clr=(10, 5, 0.95, 0.85), cbs=look)
    whole = np.asarray(getattr(learn.sched, column))
    assert len(whole) == 20
    for n, part in enumerate(held, 1):
        np.testing.assert_array_equal(part, whole[:n])


@pytest.mark.parametrize("moms", [(), (0.95, 0.85)])
def test_a_momentum_that_another_callback_sets_is_what_is_recorded(learner, moms):
    class Change(Callback):
        order, run_valid = 60, False

        def before_batch(self):
            if self.iter in (3, 4, 7):
                self.learn.opt.set_hyper("mom", 0.1 * self.iter)

    learn, probe = learner(10), Probe()
    learn.fit(1e-2, 1, cycle_len=1, use_clr=(10, 5, *moms), cbs=[Change(), probe])
    assert list(learn.sched.momentums) == [o[0] for o in probe.probed_moms]
    assert learn.sched.momentums[5] == (learn.sched.schedule.at(5, Cycles(1, 10))[1] or 0.4)


def test_it_looks_empty_before_anything_ran():
    record = Record()
    assert list(record.lrs) == list(record.losses) == list(record.iterations) == []
    assert record.all_lrs.shape == (0, 1)


def test_the_end_of_a_cycle_of_skipped_batches_is_recorded(learner):
    class Skip(Callback):
        order, run_valid = 0, False

        def before_batch(self):
            raise CancelBatchException

    learn = learner(2050, bs=1, n_valid=4)
    learn.fit(1e-2, 1024 + 2, cycle_len=1 / 2050, use_clr=(10, 5), cbs=Skip())
    assert learn.sched.cycle_ends == list(range(1, 1027))


def test_momentum_that_did_not_change_is_not_drawn(learner):
    learn = learner(10)
    learn.fit(1e-2, 1, cycle_len=1, use_clr=(10, 5, 0.9, 0.9))
    assert len(learn.sched.plot_lr().figure.axes) == 1


@pytest.mark.parametrize(
    "n_batches, n_epoch, words",
    [(1, 1, "1 batch, 1 epoch"), (2, 1, "2 batches, 1 epoch"), (1, 2, "2 batches, 2 epochs")],
)
def test_it_counts_in_the_singular_too(learner, n_batches, n_epoch, words):
    learn = learner(n_batches)
    learn.fit(1e-2, n_epoch)
    assert repr(learn.sched) == f"Record(Constant(): {words} validated)"


def test_a_logarithmic_axis_for_groups_far_apart(trained):
    assert trained.sched.plot_lr(log=True).get_yscale() == trained.recorder.plot_lr(log=True).get_yscale() == "log"
    assert trained.plot_schedule(1e-2, 1, cycle_len=1, log=True).get_yscale() == "log"


# -- as a table, in words, in a cell --------------------------------------------------------------------------------------


FITS = {  # how to fit a Learner of 10 batches per epoch: rates of the last group, epochs of the batches
    "one group": (1, lambda o: o.fit(1e-2, 1, cycle_len=2, use_clr=(32, 5)), ["lr"], [0, 1]),
    "three groups": (3, lambda o: o.fit([1e-4, 1e-3, 1e-2], 2), ["lr_0", "lr_1", "lr_2"], [0, 1]),
    "resumed": (1, lambda o: o.fit(1e-2, 1, cycle_len=3, use_clr=(32, 5), start_epoch=1), ["lr"], [1, 2]),
    "fit_one_cycle": (3, lambda o: o.fit_one_cycle(2, 1e-2), ["lr"], [0, 1]),
    "fastai's own, resumed": (1, lambda o: o.fit(3, 1e-2, start_epoch=1), ["lr"], [1, 2]),
}


@pytest.mark.parametrize("fit", FITS)
def test_as_a_table(learner, fit):
    n_groups, train, rates, epochs = FITS[fit]
    learn = learner(10, n_groups)
    train(learn)
    table, sched = learn.sched.to_frame(), learn.sched
    assert list(table.columns) == ["batch", "epoch", *rates, "momentum", "loss"]
    assert list(table.batch) == list(range(1, 21)) and list(table.epoch) == 10 * epochs[:1] + 10 * epochs[1:]
    np.testing.assert_array_equal(table[rates], sched.all_lrs)
    np.testing.assert_array_equal(table.loss, sched.losses)
    if sched.momentums:
        np.testing.assert_array_equal(table.momentum, sched.momentums)
    else:
        assert table.momentum.isna().all()


def test_the_table_of_epochs_that_end_early(learner):
    learn = learner(10)
    learn.fit(1e-2, 1, cycle_len=1.5, use_clr=(32, 5))
    assert learn.sched.to_frame().epoch.tolist() == 10 * [0] + 5 * [1]

    class Short(Callback):
        order = 90  # after the record

        def after_batch(self):
            if self.training and self.iter == 3:
                raise CancelEpochException

    learn.fit(1e-2, 1, cycle_len=3, use_clr=(32, 5), cbs=Short())
    assert learn.sched.to_frame().epoch.tolist() == 4 * [0] + 4 * [1] + 4 * [2]


def test_the_table_where_little_was_recorded(learner):
    assert Record().to_frame().shape == (0, 5)
    learn = learner(5)
    learn.remove_cb(Recorder)
    learn.fit(1e-2, 1)
    assert learn.sched.to_frame().loss.isna().all() and len(learn.sched.to_frame()) == 5


@pytest.mark.parametrize(
    "fit, words",
    [
        (
            lambda o: o.fit(1e-2, 1, cycle_len=3, use_clr=(20, 5)),
            "starts at 0.0005 (0.01/20), rises for 6 batches (1/5 of the cycle) to 0.01, falls for 24 batches to 0.000896",
        ),
        (
            lambda o: o.fit(1e-2, 1, cycle_len=2, use_clr_beta=(10, 10)),
            "starts at 0.001 (0.01/10), rises for 9 batches (45% of the cycle) to 0.01, falls for 9 batches (45% of the "
            "cycle) to 0.001, falls for 2 batches to 0.000505",
        ),
        (
            lambda o: o.fit(1e-2, 2, cycle_len=1, use_clr=(20, 5, 0.95, 0.75)),
            "starts at 0.0005 (0.01/20), rises for 2 batches (1/5 of the cycle) to 0.01, falls for 8 batches to 0.00169; "
            "momentum starts at 0.95, falls for 2 batches (1/5 of the cycle) to 0.75, rises for 8 batches to 0.925; "
            "2 cycles of 10 batches each, with peaks of 0.01 each",
        ),
        (  # a part of the cycle is not said of a cycle that began in another fit
            lambda o: o.fit(1e-2, 1, cycle_len=3, use_clr=(20, 2), start_epoch=1),
            "starts at 0.00683 (0.01/1.463), rises for 5 batches to 0.01, falls for 15 batches to 0.00113",
        ),
        (lambda o: o.fit(2, 1e-2), "starts at 0.01, stays for 20 batches"),
    ],
    ids=["one cycle", "a corner", "two cycles with momentum", "resumed", "fastai's own"],
)
def test_in_words(learner, fit, words):
    learn = learner(10, opt_func=partial(SGD, mom=0.9))
    fit(learn)
    assert learn.sched.describe() == words


def test_an_interrupted_fit_in_words(learner):
    class Stops(Callback):
        order = 90  # after the record

        def after_batch(self):
            if self.training and self.iter == 7:
                raise CancelFitException

    learn = learner(10)
    learn.fit(1e-2, 1, cycle_len=1, use_clr=(20, 2), cbs=Stops())
    assert (
        learn.sched.describe()
        == "starts at 0.0005 (0.01/20), rises for 5 batches to 0.01, falls for 3 batches to 0.0062"
    )


def test_nothing_to_say_before_the_first_fit(learn):
    with pytest.raises(ValueError, match="holds nothing yet: train first"):
        learn.sched.describe()
    assert repr(learn.sched) == "Record(nothing recorded yet)"
    assert learn.sched._repr_html_() == "<p><code>Record(nothing recorded yet)</code></p>"


def test_a_cell_shows_the_words_and_one_picture(trained):
    html = trained.sched._repr_html_()
    assert html.startswith(f"<p><code>{trained.sched!r}</code></p><p>The learning rate {trained.sched.describe()}.</p>")
    assert html.count("data:image/png") == 1 and plt.get_fignums() == []
    trained.fit(1, 1e-2)
    assert "<code>Record(fastai&#x27;s own fit: 20 batches, 1 epoch validated)</code>" in trained.sched._repr_html_()


def test_momentum_that_begins_in_the_middle_stands_beside_its_batches(learner):
    class Change(Callback):
        order, run_valid = 0, False

        def before_batch(self):
            if self.iter == 2:
                self.learn.opt_func = partial(SGD, mom=0.9)
                self.learn.create_opt()

    learn = learner(5, opt_func=partial(OptimWrapper, opt=torch.optim.Adagrad))
    learn.fit(1e-2, 1, cycle_len=1, use_clr=(10, 5), cbs=Change())
    np.testing.assert_array_equal(learn.sched.to_frame().momentum, [np.nan, np.nan, 0.9, 0.9, 0.9])


def test_momentum_that_ends_in_the_middle_is_not_recorded_any_more(learner):
    class Change(Callback):
        order, run_valid = 0, False

        def before_batch(self):
            if self.iter == 2:
                self.learn.opt_func = partial(OptimWrapper, opt=torch.optim.Adagrad)
                self.learn.create_opt()

    learn = learner(5, opt_func=partial(SGD, mom=0.9))
    learn.fit(1e-2, 1, cycle_len=1, use_clr=(10, 5), cbs=Change())
    np.testing.assert_array_equal(learn.sched.momentums, [0.9, 0.9, np.nan, np.nan, np.nan])


def test_completion_leaves_out_what_writes_a_record_alone():
    ours = [o for o in Record.__mro__ if o.__module__.startswith("fastai_clr")]
    members = {name for o in ours for name in [*vars(o), *vars(o).get("__annotations__", ())] if name[0] != "_"}
    writes = "add_batch add_epoch begin_epoch end_cycle note_momentum note_rates of_arrays of_plan of_recorder trim "
    writes = [*writes.split(), "values_at_cycle_ends"]
    assert {o for o in dir(Record()) if o[0] != "_"} == members - set(writes)


def test_completion_offers_what_users_use(trained):
    names = [o for o in dir(trained.sched) if not o.startswith("__")]
    assert {"plot_lr", "plot_metrics", "lrs", "losses", "cycles", "to_frame"} <= set(names)
    assert not {o for o in names if o.startswith("_")} | {"add_batch", "add_epoch", "of_recorder", "trim"} & set(names)
    for name in names:
        getattr(trained.sched, name)
