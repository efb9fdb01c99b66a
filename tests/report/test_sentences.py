"""What a comparison says: true sentences about differences, noise, divergence and seeds."""

from math import inf, nan

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy.stats import ttest_rel

from fastai_clr.report import Comparison
from fastai_clr.report.verdicts import judge
from helpers import run_of, run_of_rows, runs_of

A, B, C = (0.80, 0.82, 0.78), (0.90, 0.93, 0.87), (0.79, 0.84, 0.78)
NOISE = '"better" and "worse" are larger than noise by '
ONE_SEED = "One seed does not tell a difference from noise: try seeds=5."


def diverged(name, seed):
    return run_of_rows(name, seed, [(nan, nan, 0.1)], losses=[nan])


def said_of(runs, baseline="a"):
    """The lines that a comparison says."""
    comparison = Comparison(runs, baseline)
    assert str(comparison) == repr(comparison) and max(map(len, str(comparison).splitlines())) <= 120
    return str(comparison).splitlines()


@pytest.mark.parametrize(
    "runs, said",
    [
        (  # the largest difference first, whichever way
            runs_of(a=A, c=C, b=B, d=np.subtract(A, [0.199, 0.201, 0.2])),
            ["Final accuracy, 3 seeds, difference to a (0.8) ± standard error:",
             "  d  -0.20000 ± 0.00058  worse",
             "  b  +0.1000 ± 0.0058    better",
             "  c  +0.0033 ± 0.0088    within noise",
             NOISE + "paired t-tests at 5 % over all 3 comparisons."],
        ),
        (
            runs_of(a=A, b=B),
            ["Final accuracy, 3 seeds, difference to a (0.8) ± standard error:",
             "  b  +0.1000 ± 0.0058  better",
             NOISE + "a paired t-test at 5 %."],
        ),
        (  # a lower error is better
            [run_of(name, k, [v], metric_names=["train_loss", "valid_loss", "error_rate"]) for name, o in dict(a=A, b=B).items() for k, v in enumerate(o)],
            ["Final error_rate, 3 seeds, difference to a (0.8) ± standard error:",
             "  b  +0.1000 ± 0.0058  worse",
             NOISE + "a paired t-test at 5 %."],
        ),
        (runs_of(a=A, b=A), ["Final accuracy, 3 seeds, difference to a (0.8) ± standard error:", "  b  +0.0000 ± 0.0000  within noise"]),
        (  # equal differences, as of 8 items, say nothing of noise
            runs_of(a=(0.5, 0.625), b=(0.625, 0.75)),
            ["Final accuracy, 2 seeds, difference to a (0.5625) ± standard error:", "  b  +0.1250 ± 0.0000  within noise"],
        ),
        (runs_of(a=A[:1], b=B[:1]), ["Final accuracy, 1 seed, difference to a (0.8) ± standard error:", "  b  +0.1", ONE_SEED]),
        # divergence, also of the baseline, and what is none
        (
            [*runs_of(a=A), *runs_of(b=B[:2]), diverged("b", 2)],
            ["Final accuracy, 3 seeds, difference to a (0.8) ± standard error:", "  b  diverged in 1 of 3 runs"],
        ),
        (
            [*runs_of(b=B, c=C), *(diverged("a", k) for k in range(3))],
            ["Final accuracy, 3 seeds; the baseline a diverged in 3 of 3 runs, so there are no differences to it:",
             "  b  0.9", "  c  0.8033"],
        ),
        (
            [*runs_of(a=A), run_of("b", 0, [nan]), run_of("b", 1, [inf]), run_of_rows("b", 2, [(0.5, 0.6, None)])],
            ["Final accuracy, 3 seeds, difference to a (0.8) ± standard error:", "  b  nan in 1, inf in 1, no value in 1 of 3 runs"],
        ),
        (
            [*runs_of(a=A[:1]), run_of_rows("b", 0, [])],
            ["Final accuracy, 1 seed, difference to a (0.8) ± standard error:", "  b  no value in 1 of 1 run"],
        ),
        # what an interruption leaves
        (
            runs_of(a=A, b=B[:2]),
            ["Final accuracy, 2 to 3 seeds, difference to a (0.8) ± standard error:",
             "  b  +0.1050 ± 0.0050  better, 2 seeds", NOISE + "a paired t-test at 5 %."],
        ),
        (runs_of(a=A[:2], b=B[:2], c=C[:1]),
            ["Final accuracy, 1 to 2 seeds, difference to a (0.81) ± standard error:",
             "  b  +0.1050 ± 0.0050  within noise, 2 seeds", "  c  -0.01             1 seed", ONE_SEED],
        ),
        ([run_of("a", 0, [0.8]), run_of("b", 1, [0.9])],
            ["Final accuracy, 1 seed, difference to a (0.8) ± standard error:", "  b  0.9  no seed in common with a"],
        ),
        (runs_of(a=A), ["Final accuracy, 3 seeds: a 0.8."]),
        (runs_of(b=B, c=C), ["Final accuracy, 3 seeds; no run of the baseline a has finished:", "  b  0.9", "  c  0.8033"]),
    ],
)  # fmt: skip
def test_the_lines(runs, said):
    assert said_of(runs) == said


@pytest.mark.parametrize("shift", np.linspace(0.001, 0.05, 15))
def test_better_is_what_the_t_test_says(shift):
    b = np.array(A) + shift + [0.002, -0.002, 0.001]
    assert said_of(runs_of(a=A, b=b))[1].endswith("better") == (ttest_rel(b, A).pvalue < 0.05)


@pytest.mark.parametrize("n_seeds", [3, 10])
def test_schedules_that_do_not_differ_are_called_different_in_5_percent_of_the_comparisons(n_seeds):
    rng, n = np.random.default_rng(0), 2000
    wrong = sum(
        any(judge(other - baseline, n_compared=3, lower_is_better=False) != "within noise" for other in others)
        for baseline, *others in rng.normal(size=(n, 4, n_seeds))
    )
    assert 0.03 < wrong / n < 0.055


# -- peaks ---------------------------------------------------------------------------------------------------------------


def with_grid(peaks, grid=(0.01, 0.03, 0.1)):
    runs = [run_of(name, k, [v], lr=peaks[name]) for name, o in dict(a=A, b=B).items() for k, v in enumerate(o)]
    return Comparison(runs, "a", grid_runs=[run_of(name, 9, [0.5], lr=lr) for name in "ab" for lr in grid])


@pytest.mark.parametrize(
    "peaks, notes",
    [
        (dict(a=0.03, b=0.03), []),
        (dict(a=0.1, b=0.1), ["a and b chose the highest peak of lr_grid: try higher ones, too."]),
        (dict(a=0.01, b=0.03), ["a chose the lowest peak of lr_grid: try lower ones, too."]),
        (dict(a=0.03, b=0.1), ["b chose the highest peak of lr_grid: try higher ones, too."]),
    ],
)
def test_a_choice_at_the_edge_of_the_grid_is_told(peaks, notes):
    lines = str(with_grid(peaks)).splitlines()
    assert lines[0] == f"Final accuracy, 3 seeds, difference to a at peak {peaks['a']} (0.8) ± standard error:"
    assert lines[1] == f"  b  peak {peaks['b']}  +0.1000 ± 0.0058  better" and lines[3:] == notes


def test_a_grid_that_differs_in_other_groups_alone_has_no_edge():
    grid = [slice(1e-4, 1e-2), slice(1e-3, 1e-2)]
    runs = [run_of(name, 0, [v], lr=grid[0]) for name, v in [("a", 0.8), ("b", 0.9)]]
    comparison = Comparison(runs, "a", grid_runs=[run_of(name, 9, [0.5], lr=lr) for name in "ab" for lr in grid])
    assert "lr_grid" not in str(comparison) and "b  peak slice(0.0001, 0.01)  +0.1" in str(comparison)


# -- a cell --------------------------------------------------------------------------------------------------------------


def test_a_cell_shows_the_sentence_a_narrow_table_and_the_picture():
    plt.plot([1, 2])
    figure, backend = plt.gcf(), plt.get_backend()
    html = Comparison([*runs_of(flat=A), *runs_of(**{"<b>": B})], "flat")._repr_html_()
    assert "<p>Final accuracy, 3 seeds, difference to flat (0.8) ± standard error:</p>" in html
    assert (
        "<th>&lt;b&gt;</th>" in html and "+0.1000 ± 0.0058" in html and "<td>better</td>" in html and "<b>" not in html
    )
    assert "<b>" not in Comparison([*runs_of(a=A), *runs_of(**{"<b>": B})], "<b>")._repr_html_()
    assert html.index("<table") < html.index('"better" and "worse"'.replace('"', "&quot;")) < html.index("<img")
    assert html.count('src="data:image/png;base64,') == 1
    assert plt.get_fignums() == [figure.number] and plt.gcf() is figure and plt.get_backend() == backend


def test_a_cell_says_the_seeds_of_each_schedule_where_they_differ():
    html = Comparison(runs_of(a=A, b=B[:2]), "a")._repr_html_()
    assert "<td>baseline, 3 seeds</td>" in html and "<td>better, 2 seeds</td>" in html


def test_a_cell_says_the_peaks_and_what_diverged():
    html = with_grid(dict(a=0.03, b=0.1))._repr_html_()
    assert "<th>peak</th>" in html and "<td>0.03</td>" in html and "try higher ones, too.</p>" in html
    html = Comparison([*runs_of(a=A[:1]), diverged("b", 0)], "a")._repr_html_()
    assert (
        "<td>baseline</td>" in html and "<td>diverged in 1 of 1 run</td>" in html and "nan" not in html.split("<img")[0]
    )
    assert "<img" in Comparison([diverged("a", 0)], "a")._repr_html_()
