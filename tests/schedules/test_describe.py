"""A schedule in words: each shape's sentence, and that the numbers in it add up."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastai_clr import CircularLR, CircularLRBeta, Constant, CosAnneal, Cycles
from fastai_clr.schedules.describe import describe


@pytest.mark.parametrize(
    "schedule, fit, words",
    [
        (
            CircularLR(20, 5), dict(lr=0.01, n_batches=300),
            "starts at 0.0005 (0.01/20), rises for 60 batches (1/5 of the cycle) to 0.01, falls for 240 batches to 0.00054",
        ),
        (Constant(), dict(lr=0.01, n_batches=300), "starts at 0.01, stays for 300 batches"),
        (
            CosAnneal(), dict(lr=1, n_batches=300),
            "starts at 0.01 (1/100), stays for 15 batches (1/20 of the cycle), jumps to 0.994, falls for 285 batches to 2.74e-05",
        ),
        (
            CosAnneal(slow_start=False), dict(lr=1, n_batches=300, n_cycles=2),
            "starts at 1, falls for 150 batches to 0.00011; 2 cycles of 150 batches each, with peaks of 1 each",
        ),
        (
            CircularLRBeta(10, 10, 0.95, 0.85), dict(lr=0.1, n_batches=100),
            "starts at 0.01 (0.1/10), rises for 45 batches (45% of the cycle) to 0.1, falls for 45 batches (45% of the "
            "cycle) to 0.01, falls for 10 batches to 0.00109; momentum starts at 0.95, falls for 45 "
            "batches (45% of the cycle) to 0.85, rises for 45 batches (45% of the cycle) to 0.95, stays for 10 batches",
        ),
        (
            CircularLR(4, 2, cycle_gamma=0.5), dict(lr=1, n_batches=400, n_cycles=3, cycle_mult=2),
            "starts at 0.25 (1/4), rises for 28 batches (1/2 of the cycle) to 1, falls for 29 batches to 0.276; 3 cycles of "
            "57, 114 and 229 batches, with peaks of 1, 0.625 and 0.438",
        ),
        (
            CircularLR(32, 5), dict(lr=[1e-4, 1e-3, 1e-2], n_batches=20),
            "starts at 0.000313 (0.01/32), rises for 4 batches (1/5 of the cycle) to 0.01, falls for 16 batches to 0.000918; "
            "the other parameter groups do the same with peaks of 0.0001 and 0.001",
        ),
        (CircularLR(32, 1), dict(lr=1, n_batches=10), "starts at 0.0312 (1/32), rises for 10 batches to 0.903"),
        (CircularLR(32, 5), dict(lr=1, n_batches=1), "starts at 1, stays for 1 batch"),
    ],
    ids=lambda o: repr(o)[:40],
)  # fmt: skip
def test_in_words(schedule, fit, words):
    assert schedule.describe(**fit) == words


@settings(deadline=None)
@given(st.floats(1.01, 60), st.floats(1, 60), st.integers(1, 2000), st.floats(1e-6, 10))
def test_the_words_add_up(div, cut_div, n_batches, lr):
    schedule = CircularLR(div, cut_div)
    words = schedule.describe(lr, n_batches)
    rates = schedule.at(np.arange(n_batches), Cycles(cycle_len=n_batches))[0] * lr
    assert sum(map(int, re.findall(r"for (\d+) batch", words))) == n_batches
    assert float(re.match(r"starts at (\S+?)[, ]", words)[1]) == pytest.approx(rates[0], rel=6e-3)
    assert "stays" in words or float(words.rsplit(" to ", 1)[-1]) == pytest.approx(rates[-1], rel=6e-3)


@pytest.mark.parametrize(
    "schedule, n_batches, words",
    [
        (
            CircularLR(10, 5, 0.9, 0.9), 100,
            "starts at 0.1 (1/10), rises for 20 batches (1/5 of the cycle) to 1, falls for 80 batches to 0.111; momentum "
            "starts at 0.9, stays for 100 batches",
        ),
        (CircularLR(10, 5, div_final=1), 100, "starts at 0.1 (1/10), rises for 20 batches (1/5 of the cycle) to 1, stays for 80 batches"),
        (Constant(), 10**6, "starts at 1, stays for 1000000 batches"),
        (
            CircularLR(10, 5, cosine=True), 10**6,
            "starts at 0.1 (1/10), rises for 200000 batches (1/5 of the cycle) to 1, falls for 800000 batches to 0.1",
        ),
        (
            CircularLRBeta(10, 0.1), 2001,
            "starts at 0.1 (1/10), rises for 999 batches (50% of the cycle) to 1, falls for 999 batches (50% of the cycle) "
            "to 0.1, falls for 3 batches to 0.034",
        ),
    ],
    ids=lambda o: repr(o)[:40],
)  # fmt: skip
def test_rounding_errors_are_no_events(schedule, n_batches, words):
    assert schedule.describe(1, n_batches) == words


@pytest.mark.parametrize("gamma", [0.5, 0.9, 0.99, 0.999])
def test_a_decay_that_ends_in_rounding_errors_is_one_stretch(gamma):
    words = CircularLR(4, 2, gamma=gamma).describe(1, 20_000)
    assert len(re.findall("rises|falls|stays", words)) <= 3


def test_a_small_part_of_a_cycle_is_not_0_per_cent():
    assert "falls for 273 batches (1/73 of the cycle)" in CircularLR(4, 2, gamma=0.9).describe(1, 20_000)
    assert "(0.2% of the cycle)" in CircularLR(4, 2, gamma=0.5).describe(1, 20_000)


def test_a_rate_that_underflows_has_no_ratio():
    assert CircularLR(1e308, 2).describe(1e-300, 4).startswith("starts at 0, rises for 2 batches")


def test_a_ratio_that_nobody_thinks_of_is_not_said():
    rates = np.geomspace(1e-7, 1, 100)
    assert describe(rates, [1.0], None, [100], is_whole=False) == "starts at 1e-07, rises for 100 batches to 1"


@pytest.mark.parametrize(
    "peaks, said",
    [
        ([0.1], ""),
        ([0.1, 0.1], "; the other parameter group does the same"),
        ([0.01, 0.1], "; the other parameter group does the same with a peak of 0.01"),
        ([0.1, 0.1, 0.1], "; the other parameter groups do the same"),
        ([0.001, 0.01, 0.1], "; the other parameter groups do the same with peaks of 0.001 and 0.01"),
        ([0.01, 0.01, 0.1], "; the other parameter groups do the same with peaks of 0.01 each"),
        ([k / 100 for k in range(1, 8)] + [0.1], "; the other parameter groups do the same with peaks of 0.01 to 0.07"),
    ],
)
def test_what_is_said_of_the_other_groups(peaks, said):
    assert Constant().describe(lr=peaks, n_batches=5) == f"starts at 0.1, stays for 5 batches{said}"


def test_rates_without_a_shape_are_not_told_stretch_by_stretch():
    rates = np.random.default_rng(0).uniform(0.1, 0.9, 1000)
    assert re.fullmatch(
        r"starts at [\d.]+ \([\d.]+/[\d.]+\), goes up and down in \d+ stretches, between 0.1\d* and 0.(9|89\d)",
        describe(rates, [rates.max()], None, [1000]),
    )


def test_parts_of_a_cycle_that_is_not_whole_are_not_said():
    rates = CircularLR(20, 5).at(np.arange(200), Cycles(cycle_len=300))[0]
    assert describe(rates, [1.0], None, [200], is_whole=False) == (
        "starts at 0.05 (1/20), rises for 60 batches to 1, falls for 140 batches to 0.45"
    )
