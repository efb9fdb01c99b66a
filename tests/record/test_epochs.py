"""`learn.sched.cycles`: a row for each finished cycle, as the user would read it off fastai's table."""

import pickle
from functools import partial
from math import nan

import numpy as np
import pytest
from fastai.callback.core import Callback, CancelFitException
from fastai.callback.training import ShortEpochCallback
from fastai.learner import Recorder
from fastai.metrics import accuracy, error_rate

from fastai_clr.all import CircularLR, CLRCallback, Constant
from helpers import modules_loaded_by, scripted


def stop(event, error, epoch, batch=None):
    def act(self):
        if self.learn.epoch == epoch and batch in (None, self.learn.iter):
            raise error

    return type("Stop", (Callback,), {event: act})()


GROWING = dict(cycle_len=1, cycle_mult=2, use_clr=(10, 5))  # 10 batches per epoch: cycles end after 10, 30 and 70
CYCLES = {  # the fit; of each finished cycle its number, the epochs so far, and the epoch whose values it has
    "one": (lambda o: o.fit(1e-2, 1, cycle_len=2, use_clr=(10, 5)), [1], [2], [2]),
    "several": (lambda o: o.fit(1e-2, 3, cycle_len=1, use_clr=(10, 5)), [1, 2, 3], [1, 2, 3], [1, 2, 3]),
    "growing": (lambda o: o.fit(1e-2, 3, **GROWING), [1, 2, 3], [1, 3, 7], [1, 3, 7]),
    "restarts": (lambda o: o.fit(1e-2, 2, cycle_len=2), [1, 2], [2, 4], [2, 4]),
    "fit_clr": (lambda o: o.fit_clr(4, 1e-2, n_cycles=2), [1, 2], [2, 4], [2, 4]),
    "native": (lambda o: o.fit(4, 1e-2, cbs=CLRCallback(CircularLR(), 2)), [1, 2], [2, 4], [2, 4]),
    "native, ending early": (lambda o: o.fit(5, 1e-2, cbs=CLRCallback(CircularLR(), 2, 1)), [1, 2], [1, 2], [1, 2]),
    "half epochs": (lambda o: o.fit(1e-2, 4, cycle_len=0.5), [1, 2, 3, 4], [0.5, 1, 1.5, 2], [nan, 1, nan, 2]),
    "the last one inside an epoch": (lambda o: o.fit(1e-2, 2, cycle_len=0.7), [1, 2], [0.7, 1.4], [nan, 2]),
    "resumed": (lambda o: o.fit(1e-2, 3, start_epoch=1, **GROWING), [2, 3], [3, 7], [3, 7]),
    "resumed inside a cycle": (lambda o: o.fit(1e-2, 3, start_epoch=2, **GROWING), [2, 3], [3, 7], [3, 7]),
    "resumed, native": (lambda o: o.fit(4, 1e-2, cbs=CLRCallback(CircularLR(), 2), start_epoch=2), [2], [4], [4]),
    "cancelled": (lambda o: o.fit(1e-2, 3, cbs=stop("after_step", CancelFitException, 4, 3), **GROWING), [1, 2], [1, 3], [1, 3]),
    "before the first end": (lambda o: o.fit(1e-2, 1, cycle_len=2, cbs=stop("after_step", CancelFitException, 1, 3)), [], [], []),
    "ctrl-c": (lambda o: pytest.raises(KeyboardInterrupt, o.fit, 1e-2, 3, cbs=stop("after_step", KeyboardInterrupt, 2, 3), **GROWING), [1], [1], [1]),
    "ctrl-c in the validation": (lambda o: pytest.raises(KeyboardInterrupt, o.fit, 1e-2, 3, cbs=stop("before_validate", KeyboardInterrupt, 2), **GROWING), [1, 2], [1, 3], [1, nan]),
}  # fmt: skip


@pytest.mark.parametrize("fit", CYCLES)
def test_a_row_for_each_finished_cycle(learner, fit):
    call, numbers, epochs, of_epochs = CYCLES[fit]
    accuracies, errors = np.linspace(0.1, 0.8, 8), np.linspace(0.9, 0.2, 8)
    learn = learner(10)
    learn.metrics = [scripted(learn, accuracies), scripted(learn, errors, "error_rate")]
    call(learn)
    table = learn.sched.cycles
    assert table.index.tolist() == numbers and table.index.name == "cycle"
    assert list(table) == ["epochs", "batches", "valid_loss", "accuracy", "error_rate", "gain"]
    assert table.epochs.tolist() == epochs and table.batches.tolist() == [o * 10 for o in epochs]
    has_value = ~np.isnan(of_epochs)
    at = np.nan_to_num(of_epochs, nan=1).astype(int) - 1
    np.testing.assert_array_equal(table.accuracy, np.where(has_value, accuracies[at], nan))
    np.testing.assert_array_equal(table.error_rate, np.where(has_value, errors[at], nan))
    np.testing.assert_array_equal(table.valid_loss.isna(), ~has_value)
    np.testing.assert_allclose(table.gain, np.diff(table.accuracy, prepend=nan))


def test_the_values_are_those_of_fastais_table(learn):
    learn.fit(1e-2, 3, cycle_len=1, cycle_mult=2, use_clr=(10, 5))
    rows = [learn.recorder.values[epoch] for epoch in (0, 2, 6)]
    assert learn.sched.cycles[["valid_loss", "accuracy"]].values.tolist() == [row[1:] for row in rows]


def test_epochs_cut_short_count_as_whole_ones_without_values(learner):
    learn = learner(10, metrics=[accuracy])
    learn.fit(1e-2, 2, cycle_len=1, cbs=ShortEpochCallback(0.5))  # fastai's Recorder then leaves out the training loss
    table = learn.sched.cycles
    assert table.epochs.tolist() == [1, 2] and table.batches.tolist() == [5, 10] and table.valid_loss.isna().all()


def test_a_resumed_fits_rows_are_those_of_the_whole_fit(learner):
    tables = []
    for start_epoch in (0, 2):
        learn = learner(10)
        learn.fit(1e-2, 3, start_epoch=start_epoch, **GROWING)
        tables.append(learn.sched.cycles[["epochs", "batches"]])
    assert tables[0].iloc[1:].equals(tables[1])


VALUES = [0.5, 0.6, 0.4]
GAINS = {  # the metrics: name, what they say of themselves, values; the column that decides, its gains
    "higher is better": ([("accuracy", None, VALUES)], "accuracy", [nan, 0.1, -0.2]),
    "lower is better": ([("error_rate", None, VALUES)], "error_rate", [nan, -0.1, 0.2]),
    "the metric says so": ([("brier_score", True, VALUES)], "brier_score", [nan, -0.1, 0.2]),
    "the metric says so against its name": ([("error_rate", False, VALUES)], "error_rate", [nan, 0.1, -0.2]),
    "the first decides": ([("accuracy", None, VALUES), ("error_rate", None, [1, 2, 3])], "accuracy", [nan, 0.1, -0.2]),
    "two of a name": ([("accuracy", None, VALUES), ("accuracy", True, [1, 2, 3])], "accuracy", [nan, 0.1, -0.2]),
    "nan": ([("accuracy", None, [0.5, nan, 0.4])], "accuracy", [nan, nan, nan]),
}


@pytest.mark.parametrize("case", GAINS)
@pytest.mark.parametrize("train_metrics", [False, True])
def test_the_gain_is_of_the_first_metric_of_the_validation(learner, case, train_metrics):
    metrics, name, gains = GAINS[case]
    learn = learner(2)
    learn.metrics = [scripted(learn, values, name, says) for name, says, values in metrics]
    learn.recorder.train_metrics = train_metrics
    learn.fit(1e-2, 3, cycle_len=1, use_clr=(4, 2))
    table, prefix = learn.sched.cycles, "valid_" if train_metrics else ""
    assert learn.sched.score == prefix + name
    assert list(table) == ["epochs", "batches", "valid_loss", *(prefix + o for o, *_ in metrics), "gain"]
    np.testing.assert_allclose(table.gain, gains, atol=1e-12)


@pytest.mark.parametrize("metrics", [[], [lambda learn: scripted(learn, ["a", "b", "c"], "words")]])
def test_without_a_metric_that_is_a_number_it_is_the_gain_of_the_validation_loss(learner, metrics):
    learn = learner(2)
    learn.metrics = [make(learn) for make in metrics]
    learn.fit(1e-2, 3, cycle_len=1, use_clr=(4, 2))
    table = learn.sched.cycles
    np.testing.assert_array_equal(table.gain, -np.diff(learn.sched.val_losses, prepend=nan))
    assert list(table.valid_loss) == learn.sched.val_losses and learn.sched.score == "valid_loss"


@pytest.mark.parametrize("train_metrics", [False, True])
@pytest.mark.parametrize("why", ["no validation data", "no validation metrics", "no Recorder"])
def test_without_validation_the_cycles_have_no_values(learner, why, train_metrics):
    learn = learner(10, n_valid=0 if why == "no validation data" else 32, metrics=[accuracy])
    learn.recorder.train_metrics, learn.recorder.valid_metrics = train_metrics, why != "no validation metrics"
    if why == "no Recorder":
        learn.remove_cb(learn.recorder)
    learn.fit(1e-2, 2, cycle_len=1, use_clr=(10, 5))
    table = learn.sched.cycles
    assert table.epochs.tolist() == [1, 2] and table.batches.tolist() == [10, 20]
    assert table.drop(columns=["epochs", "batches"]).isna().all(axis=None) and "gain" in table and "valid_loss" in table
    with pytest.raises(
        ValueError, match="no metrics to plot, no epoch was validated: train first, and on a Learner with"
    ):
        learn.sched.plot_metrics()


WITHOUT_CYCLES = {
    "before the first fit": lambda o: None,
    "fastai's own constant": lambda o: o.fit(2, 1e-2),
    "fit_one_cycle": lambda o: o.fit_one_cycle(2, 1e-2),
    "fit_sgdr": lambda o: o.fit_sgdr(2, 1, 1e-2),
    "lr_find": lambda o: o.lr_find(show_plot=False),
    "0.7's constant": lambda o: o.fit(1e-2, 2),
    "our Constant": lambda o: o.fit(2, 1e-2, cbs=CLRCallback(Constant(), n_cycles=2)),
}


@pytest.mark.parametrize("fit", WITHOUT_CYCLES)
def test_without_cycles_of_ours_the_table_is_empty_and_the_plot_shows_the_epochs(learner, fit):
    learn = learner(30, metrics=[accuracy])
    WITHOUT_CYCLES[fit](learn)
    table = learn.sched.cycles
    assert len(table) == 0 and {"epochs", "batches", "valid_loss", "gain"} <= set(table)
    assert table.index.name == "cycle" and (table.gain > 0).sum() == 0
    if learn.sched.val_losses:
        (line,) = [o for o in learn.sched.plot_metrics().lines if len(o.get_xdata())]
        np.testing.assert_array_equal(line.get_ydata(), learn.sched.rec_metrics)
        assert line.get_xdata()[-1] == len(learn.sched.val_losses)


def test_the_picture_shows_the_table(learn):
    learn.fit(1e-2, 3, cycle_len=1, cycle_mult=2, use_clr=(10, 5))
    ax = learn.sched.plot_metrics()
    np.testing.assert_array_equal(ax.lines[0].get_data(), [range(1, 8), learn.sched.rec_metrics])
    assert [o.get_xdata()[0] for o in ax.lines if o.get_linestyle() == ":"] == [1, 3, 7]
    np.testing.assert_array_equal(ax.lines[-1].get_data(), learn.sched.cycles[["epochs", "accuracy"]].values.T)
    assert sorted(o.get_text().splitlines()[-1] for o in ax.texts) == ["1", "2", "3"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "accuracy")
    learn.metrics = [error_rate]
    learn.fit(1e-2, 1, cycle_len=1)
    assert learn.sched.plot_metrics(ax).get_ylabel() == "error_rate (lower is better)"


def test_an_epoch_that_ends_with_the_last_cycle_is_drawn_at_its_end(learner):
    learn = learner(10, metrics=[accuracy])
    learn.fit(1e-2, 2, cycle_len=0.7)
    assert learn.sched.plot_metrics().lines[0].get_xdata().tolist() == [1, 1.4]


def test_a_whole_fit_pickles_with_its_table(learn):
    learn.fit(1e-2, 2, cycle_len=1)
    twin = pickle.loads(pickle.dumps(learn.sched))
    assert twin.cycles.equals(learn.sched.cycles) and twin.plot_metrics()


def test_a_metric_without_a_name_does_not_disturb(learner):
    learn = learner(2)
    learn.metrics = [partial(accuracy, axis=-1)]
    del learn.metrics[0].func
    learn.metrics[0].func = type("Nameless", (), {"__call__": lambda self, *args: accuracy(*args)})()
    learn.fit(1e-2, 2, cycle_len=1)
    assert len(learn.sched.cycles) == 2 and learn.sched.cycles.gain.notna().tolist() == [False, True]


def test_pandas_is_imported_by_the_table_alone():
    assert modules_loaded_by("import fastai_clr.record", among=("pandas",)) == []


def test_the_recorder_as_the_user_builds_it(learner):
    learn = learner(5, cbs=[], metrics=[accuracy])
    learn.remove_cb(learn.recorder)
    learn.add_cb(Recorder(add_time=False, train_metrics=True))
    learn.fit(1e-2, 2, cycle_len=1, use_clr=(10, 5))
    assert list(learn.sched.cycles) == ["epochs", "batches", "valid_loss", "valid_accuracy", "gain"]


def test_the_picture_of_another_metric(learner):
    learn = learner(4)
    learn.metrics = [scripted(learn, [0.1, 0.2, 0.3]), scripted(learn, [0.5, 0.25, 0.125], "error_rate")]
    learn.fit(1e-2, 3, cycle_len=1, use_clr=(4, 2))
    ax = learn.sched.plot_metrics(name="error_rate")
    assert ax.lines[0].get_ydata().tolist() == [0.5, 0.25, 0.125] and ax.get_ylabel() == "error_rate (lower is better)"
    assert "+0.25" in " ".join(o.get_text() for o in ax.texts)
    assert learn.sched.plot_metrics(name="train_loss").get_ylabel() == "train_loss (lower is better)"
    with pytest.raises(
        ValueError,
        match=r"name should be one of \['train_loss', 'valid_loss', 'accuracy', 'error_rate'\], but given 'f1'",
    ):
        learn.sched.plot_metrics(name="f1")
