"""Which peak a schedule chooses by the runs of a grid."""

from math import isnan, nan

import pytest

from fastai_clr.report.peaks import best_peaks, grid_table, highest_rate, peak_in_words
from helpers import run_of


def grid(metric="accuracy", **finals):
    """Runs at peaks 0.1, 0.2, ...: for each schedule and peak, the final values by seed."""
    return [
        run_of(name, seed, [v], lr=(k + 1) / 10, metric_names=["train_loss", "valid_loss", metric])
        for name, by_peak in finals.items()
        for k, values in enumerate(by_peak)
        for seed, v in enumerate(values)
    ]


@pytest.mark.parametrize(
    "runs, score, chosen",
    [
        (grid(a=[[0.5], [0.7], [0.6]], b=[[0.9], [0.8], [0.1]]), "accuracy", dict(a=0.2, b=0.1)),
        (grid(a=[[0.5], [0.7], [0.6]]), "valid_loss", dict(a=0.2)),  # 1 - accuracy
        (grid("error_rate", a=[[0.5], [0.7], [0.6]]), "error_rate", dict(a=0.1)),
        (grid(a=[[0.9, 0.1], [0.6, 0.6]]), "accuracy", dict(a=0.2)),  # the mean over the seeds
        (
            grid(a=[[0.5, 0.5], [0.9, nan], [0.4, 0.4]]),
            "accuracy",
            dict(a=0.1),
        ),  # where one run fails, the peak is too high
        (grid(a=[[nan], [nan]]), "accuracy", dict(a=0.1)),
        (grid(a=[[0.5], [0.5]]), "accuracy", dict(a=0.1)),  # the lowest of equals
    ],
)
def test_the_best_mean_is_chosen(runs, score, chosen):
    assert best_peaks(runs, score) == best_peaks(runs[::-1], score) == chosen


@pytest.mark.parametrize(
    "lr, highest, words",
    [(0.001, 0.001, "0.001"), (slice(0.01), 0.01, "slice(0.01)"), (slice(1e-4, 1e-3), 1e-3, "slice(0.0001, 0.001)"), ([0.1, 0.02], 0.1, "[0.1, 0.02]")],
)  # fmt: skip
def test_a_peak_may_be_all_that_fit_takes(lr, highest, words):
    assert highest_rate(lr) == highest and peak_in_words(lr) == words
    runs = [run_of("a", 0, [0.5], lr=lr), run_of("a", 0, [0.4], lr=1e-5)]
    assert best_peaks(runs, "accuracy") == {"a": lr}


def test_a_peak_that_a_schedule_has_not_tried_is_never_its_best():
    runs = [*grid(a=[[0.5], [0.7]]), *grid(b=[[0.6]])]
    assert best_peaks(runs, "accuracy") == dict(a=0.2, b=0.1)
    table = grid_table(runs, "accuracy")
    assert table.loc["a"].tolist() == [0.5, 0.7] and table.loc["b", "0.1"] == 0.6 and isnan(table.loc["b", "0.2"])


def test_peaks_of_the_same_words_have_columns_of_their_own():
    runs = [run_of("a", 0, [v], lr=lr) for v, lr in [(0.5, 0.01), (0.7, 0.0100000001)]]
    assert grid_table(runs, "accuracy").to_numpy().tolist() == [[0.5, 0.7]]
    assert best_peaks(runs, "accuracy") == {"a": 0.0100000001}
