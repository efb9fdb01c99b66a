"""What a run of a comparison keeps of a fit: which columns, which of them decides, and what is wrong with a value."""

from math import inf, nan
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from fastai_clr.report import Comparison
from helpers import run_of, run_of_rows


def test_it_keeps_what_the_recorder_had():
    run = run_of_rows("a", 3, [(0.9, 0.8, torch.tensor(0.5)), (0.7, 0.6, torch.tensor(0.75))], seconds=2.5, lr=0.1)
    assert (run.name, run.seed, run.seconds, run.lr, run.diverged) == ("a", 3, 2.5, 0.1, False)
    assert run.lrs.tolist() == [0.1] * 4 and run.losses.tolist() == [0.5] * 4
    assert run.epochs.to_dict() == {
        "train_loss": {1: 0.9, 2: 0.7}, "valid_loss": {1: 0.8, 2: 0.6}, "accuracy": {1: 0.5, 2: 0.75},
    }  # fmt: skip


VALID, BOTH = (
    ["train_loss", "valid_loss"],
    ["train_loss", "train_f1", "train_dice", "valid_loss", "valid_f1", "valid_dice"],
)


@pytest.mark.parametrize(
    "metric_names, row, recorder, compared, score",
    [
        (VALID, (0.5, 0.6), {}, ["valid_loss"], "valid_loss"),
        ([*VALID, "f1", "dice"], (0.5, 0.6, 0.7, 0.8), {}, ["valid_loss", "f1", "dice"], "f1"),
        # Recorder(train_metrics=True): the validation decides all the same
        (BOTH, (0.1, 0.2, 0.3, 0.4, 0.5, 0.6), dict(train_metrics=True), ["valid_loss", "valid_f1", "valid_dice"], "valid_f1"),
        (BOTH[:1] + BOTH[3:4], (0.1, 0.4), dict(train_metrics=True), ["valid_loss"], "valid_loss"),
        # ... but where nothing is validated the training does
        (BOTH, (0.1, 0.2, 0.3, None, None, None), dict(train_metrics=True), ["train_loss", "train_f1", "train_dice"], "train_f1"),
        (["train_loss", "f1"], (0.1, 0.2), dict(train_metrics=True, valid_metrics=False), ["train_loss", "f1"], "f1"),
        (["train_loss", "f1"], (0.1,), dict(valid_metrics=False), ["train_loss"], "train_loss"),
        ([*VALID, "f1"], (0.5, None, None), {}, ["train_loss"], "train_loss"),
        # a metric that is not a number has no column
        ([*VALID, "word", "f1"], (0.5, 0.6, "0.9", 0.8), {}, ["valid_loss", "f1"], "f1"),
        ([*VALID, "matrix", "f1"], (0.5, 0.6, torch.eye(2), 0.8), {}, ["valid_loss", "f1"], "f1"),
        ([*VALID, "none"], (0.5, 0.6, None), {}, ["valid_loss"], "valid_loss"),
        # nan and inf are numbers, and of two metrics with one name the second gets a number
        ([*VALID, "f1"], (0.5, 0.6, nan), {}, ["valid_loss", "f1"], "f1"),
        ([*VALID, "f1", "f1"], (0.5, 0.6, 0.7, 0.8), {}, ["valid_loss", "f1", "f1 2"], "f1"),
    ],
)  # fmt: skip
def test_the_first_metric_of_the_validation_decides_and_without_one_the_loss(
    metric_names, row, recorder, compared, score
):
    comparison = Comparison([run_of_rows("a", 0, [row], metric_names, **recorder)], "a")
    assert (comparison.quantities, comparison.score) == (compared, score)


def test_runs_without_numbers_do_not_change_what_decides():
    diverged = run_of_rows("a", 0, [], [*VALID, "f1", "dice"], losses=[nan], n_epoch=1)
    unlucky = run_of_rows("a", 1, [(0.5, 0.6, None, 0.8)], [*VALID, "f1", "dice"])
    fine = run_of_rows("a", 2, [(0.5, 0.6, 0.7, 0.8)], [*VALID, "f1", "dice"])
    assert Comparison([diverged, unlucky, fine], "a").score == Comparison([diverged], "a").score == "f1"


@pytest.mark.parametrize(
    "names, metrics, lower",
    [
        (["train_loss", "valid_loss", "error_rate", "f1"], ["error_rate", "f1"], ["train_loss", "valid_loss", "error_rate"]),
        (["train_loss", "valid_loss", "depth"], [("depth", True)], ["train_loss", "valid_loss", "depth"]),
        (["train_loss", "valid_loss", "cost"], [("cost", False)], ["train_loss", "valid_loss"]),
        (["train_loss", "train_depth", "valid_loss", "valid_depth"], [("depth", True)],
         ["train_loss", "train_depth", "valid_loss", "valid_depth"]),
        (["train_loss", "train_cost", "valid_loss", "valid_cost"], [("cost", False)], ["train_loss", "valid_loss"]),
        (["train_loss", "valid_loss", "m", "m"], [("m", False), ("m", True)], ["train_loss", "valid_loss", "m 2"]),
    ],
)  # fmt: skip
def test_which_way_a_column_is_better_is_what_its_own_metric_says(names, metrics, lower):
    metrics = [SimpleNamespace(name=o) if isinstance(o, str) else SimpleNamespace(name=o[0], lower_is_better=o[1]) for o in metrics]  # fmt: skip
    run = run_of_rows("a", 0, [range(len(names))], names, metrics, train_metrics=names[1].startswith("train"))
    assert [name for name, is_lower in run.lower_is_better.items() if is_lower] == sorted(lower, key=list(run.lower_is_better).index)  # fmt: skip


@pytest.mark.parametrize(
    "rows, losses, n_epoch, trouble",
    [
        ([(0.5, 0.6, 0.7)], [0.5], 1, None),
        ([(nan, nan, 0.1)], [nan], 1, "diverged"),  # the metric of a model of nan is a number all the same
        ([(inf, inf, 0.1)], [inf], 1, "diverged"),
        ([(0.5, 0.6, 0.7)], [0.5, nan], 2, "diverged"),  # TerminateOnNaN: the second epoch has no row
        ([], [nan], 1, "diverged"),
        ([(inf, 0.6, 0.7)], [inf], 1, None),  # a batch that mixed precision skipped
        ([(0.5, 0.6, None)], [0.5], 1, "no value"),
        ([(0.5, 0.6, "high")], [0.5], 1, "no value"),
        ([(0.5, 0.6, 0.7), (0.5,)], [0.5], 2, "no value"),  # the validation was cancelled
        ([(0.5, 0.6, 0.7), (0.6, 0.7)], [0.5], 2, "no value"),  # the training was
        ([], [0.5], 1, "no value"),
        ([(0.5, 0.6, nan)], [0.5], 1, "nan"),
        ([(0.5, inf, inf)], [0.5], 1, "inf"),
        ([(0.5, 0.6, -inf)], [0.5], 1, "-inf"),
    ],
)
def test_divergence_is_told_from_a_metric_without_a_finite_value(rows, losses, n_epoch, trouble):
    run = run_of_rows("a", 0, rows, losses=losses, n_epoch=n_epoch)
    assert run.trouble("accuracy") == trouble and run.diverged == (trouble == "diverged")
    assert np.isfinite(run.final("accuracy")) == (trouble is None)


@pytest.mark.parametrize(
    "names, row, recorder",
    [
        (["train_loss", "valid_loss", "f1"], (0.6, 0.7), {}),  # the training was cancelled
        (
            ["train_loss", "train_f1", "valid_loss", "valid_f1"],
            (0.6, 0.7),
            dict(train_metrics=True),
        ),  # which half is it?
    ],
)
def test_the_values_of_an_epoch_that_was_cut_short_go_under_no_wrong_name(names, row, recorder):
    assert run_of_rows("a", 0, [row], names, **recorder).epochs.empty


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
    metrics = [SimpleNamespace(name=metric, lower_is_better=True if metric == "depth" else None)]
    run = run_of("a", 0, values, metric_names=["train_loss", "valid_loss", metric], metrics=metrics)
    row = Comparison([run], "a", target=0.5).table.loc["a"]
    assert row[f"final {metric}", "mean"] == values[-1] and row[f"best {metric}", "mean"] == best
    assert row[f"epochs to {metric}", "mean"] == pytest.approx(epochs, nan_ok=True)
    assert row[f"epochs to {metric}", "reached"] == f"{int(epochs > 0)} of 1"
