"""What is said of measured schedules: table, sentence and picture, from runs whose values are given."""

import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.stats import ttest_rel

from fastai_clr.report import Comparison, Run
from helpers import run_code

A, B, C = (0.80, 0.82, 0.78), (0.90, 0.93, 0.87), (0.79, 0.84, 0.78)


def run_of_rows(name, seed, rows, metric_names=("train_loss", "valid_loss", "accuracy"), metrics=(), seconds=1.0):
    """A run of as many epochs as there are rows, in the form in which a Learner's Recorder keeps them."""
    sched = SimpleNamespace(lrs=[1.0] * 4, losses=[0.5] * 4)
    recorder = SimpleNamespace(metric_names=["epoch", *metric_names, "time"], values=list(rows))
    return Run(name, seed, seconds, SimpleNamespace(sched=sched, recorder=recorder, metrics=metrics))


def run_of(name, seed, values, **kwargs):
    return run_of_rows(name, seed, [(0.5, 1 - v, v) for v in values], **kwargs)


def compared(**values):
    return [run_of(name, seed, [0.5, 0.7, v]) for name, o in values.items() for seed, v in enumerate(o)]


# -- a run ---------------------------------------------------------------------------------------------------------------


def test_a_run_keeps_what_the_recorder_had():
    run = run_of_rows("a", 3, [(0.9, 0.8, torch.tensor(0.5)), (0.7, 0.6, torch.tensor(0.75))], seconds=2.5)
    assert (run.name, run.seed, run.seconds) == ("a", 3, 2.5)
    assert run.lrs.tolist() == [1.0] * 4 and run.losses.tolist() == [0.5] * 4
    assert run.epochs.to_dict() == {
        "train_loss": {1: 0.9, 2: 0.7}, "valid_loss": {1: 0.8, 2: 0.6}, "accuracy": {1: 0.5, 2: 0.75},
    }  # fmt: skip


def test_a_metric_that_is_not_a_number_is_left_out():
    run = run_of_rows(
        "a", 0, [(0.9, 0.8, "high", 0.5), (0.7, 0.6, None, 0.75)], ["train_loss", "valid_loss", "word", "f1"]
    )
    assert list(run.epochs) == ["train_loss", "valid_loss", "f1"] and Comparison([run], "a").score == "f1"


@pytest.mark.parametrize(
    "metric_names, row, quantities, score",
    [
        (["train_loss"], (0.5,), ["train_loss"], "train_loss"),
        (["train_loss", "valid_loss"], (0.5, 0.6), ["valid_loss"], "valid_loss"),
        (["train_loss", "valid_loss", "f1", "dice"], (0.5, 0.6, 0.7, 0.8), ["valid_loss", "f1", "dice"], "f1"),
    ],
)
def test_the_first_metric_decides_and_without_one_the_loss(metric_names, row, quantities, score):
    comparison = Comparison([run_of_rows("a", 0, [row], metric_names)], "a")
    assert (comparison.quantities, comparison.score) == (quantities, score)
    assert comparison.target == dict(zip(metric_names, row))[score]


# -- the table -----------------------------------------------------------------------------------------------------------


def test_the_history_is_by_schedule_seed_and_epoch():
    history = Comparison(compared(a=A, b=B), "a").history
    assert history.index.names == ["schedule", "seed", "epoch"] and len(history) == 2 * 3 * 3
    assert history.loc["b", 1, 3].to_dict() == pytest.approx(dict(train_loss=0.5, valid_loss=0.07, accuracy=0.93))


def test_the_table():
    comparison = Comparison(compared(a=A, b=B, c=C), "a")
    assert comparison.target == pytest.approx(0.8) and comparison.score == "accuracy"
    table = Comparison(compared(a=A, b=B, c=C), "a", target=0.795).table
    row = table.loc["b"]
    assert row["final accuracy"].to_dict() == pytest.approx(
        dict(mean=0.9, sd=np.std(B, ddof=1), diff=0.1, se=np.std(np.subtract(B, A), ddof=1) / np.sqrt(3))
    )
    assert row["final valid_loss", "diff"] == pytest.approx(-0.1)
    assert row["best valid_loss", "mean"] == pytest.approx(0.1)
    assert row["epochs to accuracy"].to_dict() == {"mean": 3, "reached": "3 of 3"}
    assert table.loc["a"]["epochs to accuracy"].to_dict() == {"mean": 3, "reached": "2 of 3"}
    assert table.loc["a", ("final accuracy", "diff")] == 0 and table["seconds", "mean"].tolist() == [1, 1, 1]
    assert Comparison(compared(a=A, b=B), "a", target=0.6).table.loc["b", ("epochs to accuracy", "mean")] == 2


@pytest.mark.parametrize(
    "metric, values, best, epochs",
    [
        ("accuracy", [0.3, 0.8, 0.6], 0.8, 2),  # the target of 0.5 is reached from below
        ("error_rate", [0.8, 0.3, 0.6], 0.3, 2),  # and here from above
        ("depth", [0.8, 0.3, 0.6], 0.3, 2),  # a metric that says that lower is better
        ("accuracy", [0.3, np.nan, 0.6], 0.6, 3),
        ("accuracy", [np.nan, 0.3, 0.6], 0.6, 3),
        ("accuracy", [0.3, 0.2, 0.1], 0.3, np.nan),
        ("error_rate", [0.5, 0.4, 0.3], 0.3, 1),
    ],
)
def test_the_best_value_and_the_epochs_to_a_target(metric, values, best, epochs):
    metrics = [
        SimpleNamespace(name="depth", lower_is_better=True),
        SimpleNamespace(name="accuracy", lower_is_better=None),
    ]
    run = run_of("a", 0, values, metric_names=["train_loss", "valid_loss", metric], metrics=metrics)
    row = Comparison([run], "a", target=0.5).table.loc["a"]
    assert row[f"final {metric}", "mean"] == values[-1] and row[f"best {metric}", "mean"] == best
    assert row[f"epochs to {metric}", "mean"] == pytest.approx(epochs, nan_ok=True)
    assert row[f"epochs to {metric}", "reached"] == f"{int(epochs > 0)} of 1"


# -- the sentence --------------------------------------------------------------------------------------------------------


def test_the_sentence():
    words = str(Comparison(compared(a=A, b=B, c=C), "a"))
    assert words == (
        "Final accuracy against a (0.8), 3 seeds, ± standard error. Larger than noise: b +0.1 ± 0.0058. Not larger than "
        "noise: c +0.003333 ± 0.0088. Noise is what a paired t-test at 5% over all comparisons does not exclude."
    )
    assert ttest_rel(B, A).pvalue < 0.05 / 2 < ttest_rel(C, A).pvalue


@pytest.mark.parametrize("shift", np.linspace(0.001, 0.05, 15))
def test_larger_than_noise_is_what_the_t_test_says(shift):
    b = np.array(A) + shift + [0.002, -0.002, 0.001]
    words = str(Comparison(compared(a=A, b=b), "a"))
    assert (" Larger than noise: b" in words) == (ttest_rel(b, A).pvalue < 0.05)


def test_no_difference_and_one_seed_and_divergence():
    assert "Not larger than noise: b +0 ± 0." in str(Comparison(compared(a=A, b=A), "a"))
    alike = Comparison(compared(a=(0.5, 0.625), b=(0.625, 0.75)), "a")  # as of 8 items: the seeds say nothing of noise
    assert "Not larger than noise: b +0.125 ± 0." in str(alike)
    one = str(Comparison(compared(a=A[:1], b=B[:1]), "a"))
    assert "Not larger than noise: b +0.1." in one and "One seed does not tell a difference from noise" in one
    diverged = Comparison(compared(a=A, b=(0.9, np.nan, 0.9)), "a")
    assert "Diverged: b in 1 of 3 runs." in str(diverged)
    assert np.isnan(diverged.table.loc["b", ("final accuracy", "mean")])


def test_a_run_without_an_epoch_diverged():
    runs = [*compared(a=A[:2]), run_of("b", 0, [0.9]), run_of("b", 1, [])]
    comparison = Comparison(runs, "a")
    assert list(runs[-1].epochs) == ["train_loss"] and "Diverged: b in 1 of 2 runs." in str(comparison)


@pytest.mark.parametrize("a, b", [(A, B[:2]), (A[:2], B)])
def test_what_an_interruption_leaves_is_compared_by_the_seeds_of_both(a, b):
    comparison = Comparison(compared(a=a, b=b), "a")
    differences = np.subtract(B[:2], A[:2])
    row = comparison.table.loc["b", "final accuracy"]
    assert (row["mean"], row["diff"]) == pytest.approx((np.mean(b), differences.mean()))
    assert row["se"] == pytest.approx(np.std(differences, ddof=1) / np.sqrt(2))
    assert "b +0.105 ± 0.005." in str(comparison)


@pytest.mark.parametrize(
    "runs, words",
    [
        (compared(a=A), "Nothing to compare: only a finished."),
        (compared(b=B, c=C), "Nothing to compare: only b, c finished."),  # not the baseline
    ],
)
def test_without_a_baseline_or_another_there_is_nothing_to_compare(runs, words):
    comparison = Comparison(runs, "a")
    assert str(comparison) == repr(comparison) == words and len(comparison.table) == len(comparison.names)


# -- elsewhere -----------------------------------------------------------------------------------------------------------


def test_in_a_notebook():
    html = Comparison(compared(flat=A, triangle=B), "flat")._repr_html_()
    assert "<table" in html and "Final accuracy against flat" in html and "<th>triangle</th>" in html


def test_it_unpickles_in_a_process_that_has_not_imported_fastai(tmp_path):
    runs = [run_of(name, seed, torch.tensor(o)) for name in "ab" for seed, o in enumerate([(0.5, 0.7), (0.6, 0.9)])]
    comparison, file = Comparison(runs, "a"), tmp_path / "comparison.pkl"
    file.write_bytes(pickle.dumps(comparison))
    printed = run_code(
        "import pickle, sys; o = pickle.load(open(sys.argv[1], 'rb')); print(o); print(o.table.to_json()); "
        "print([m for m in ('fastai', 'torch', 'fastai_clr.learner') if m in sys.modules])",
        file,
    )
    assert printed.splitlines() == [str(comparison), comparison.table.to_json(), "[]"]
