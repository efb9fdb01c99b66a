"""Schedules side by side, by name and in words, before any training."""

import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
from fastai.callback.schedule import SchedCos, combined_cos
from hypothesis import given, settings
from hypothesis import strategies as st

from fastai_clr import CircularLR, CircularLRBeta, Constant, CosAnneal, Cycles, plot_schedules
from fastai_clr.schedules import by_name
from helpers import assert_same_rates, make_learner

ONE_CYCLE = CircularLR(25, 4, 0.95, 0.85, cosine=True, div_final=1e5)


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
    "name, schedule",
    [
        ("constant", Constant()),
        ("cosine", CosAnneal(slow_start=False)),
        ("cosine_07", CosAnneal()),
        ("one_cycle", ONE_CYCLE),
        ("clr(32,5)", CircularLR(32, 5)),
        ("clr(32, 5)", CircularLR(32, 5)),
        ("use_clr(20, 10, .95, .85)", CircularLR(20, 10, 0.95, 0.85)),
        ("clr_beta(10,10)", CircularLRBeta(10, 10)),
        ("use_clr_beta(1e1,10)", CircularLRBeta(10.0, 10)),
        ("use_clr=(32, 5)", CircularLR(32, 5)),
    ],
)
def test_by_name(name, schedule):
    assert by_name(name) == schedule


@pytest.mark.parametrize("name", ["", "clr", "clr()", "clr(32,five)", "clr(32", "CLR 32 5", "onecycle"])
def test_another_name_is_refused(name):
    with pytest.raises(ValueError, match="a schedule by name should be 'constant', .* or 'clr_beta.10,10.', but given"):
        by_name(name)


def test_the_numbers_in_a_name_are_checked():
    with pytest.raises(ValueError, match="div should be at least 1, but given 0"):
        by_name("clr(0,5)")
    with pytest.raises(ValueError, match="should be 2 or 4 numbers|mom_a and mom_b should be given both"):
        by_name("clr(32,5,.9)")


def test_our_schedules_and_fastais_on_one_axis(tmp_path):
    lr, n = 1e-2, 80
    cosine = combined_cos(0.25, lr / 25, lr, lr / 1e5)
    ax = plot_schedules(
        {"ours": CircularLR(32, 5), "by name": "one_cycle", "fastai": cosine, "cosine": SchedCos(lr, 0)},
        lr,
        n_batches=n,
    )
    ours, by_its_name, fastais, sched_cos = [line.get_ydata() for line in ax.lines[:4]]
    assert_same_rates(ours, CircularLR(32, 5).at(np.arange(n), Cycles(1, n))[0] * lr, lr)
    np.testing.assert_allclose(by_its_name, fastais, atol=1e-9)
    np.testing.assert_allclose(sched_cos, lr * CosAnneal(slow_start=False).at(np.arange(n), Cycles(1, n))[0], atol=1e-9)
    learn = make_learner(tmp_path, n)
    learn.fit_one_cycle(1, lr)
    np.testing.assert_allclose(fastais, learn.sched.lrs, atol=1e-9)
    assert [t.get_text() for t in ax.figure.legends[0].get_texts()] == ["ours", "by name", "fastai", "cosine"]
    assert len({line.get_color() for line in ax.lines[:4]}) == 4


def test_momentum_is_drawn_beside_in_the_same_colour():
    ax = plot_schedules(
        {"a": "constant", "b": CircularLR(20, 5, 0.95, 0.85), "c": {"lr": SchedCos(1, 0), "mom": SchedCos(0.9, 0.8)}}
    )
    rates, moms = ax.figure.axes
    assert [line.get_color() for line in moms.lines[:2]] == [rates.lines[k].get_color() for k in (1, 2)]
    np.testing.assert_array_equal(
        moms.lines[0].get_ydata(), CircularLR(20, 5, 0.95, 0.85).at(np.arange(100), Cycles(1, 100))[1]
    )
    assert len(plot_schedules(["one_cycle"], show_moms=False).figure.axes) == 1
    assert len(plot_schedules(["clr(32,5)"]).figure.axes) == 1


def test_cycles_are_shared_and_marked():
    ax = plot_schedules([CircularLR(32, 5), "cosine"], n_batches=300, n_cycles=2, cycle_mult=2)
    assert np.argmax(ax.lines[0].get_ydata()[100:]) == 40
    assert ax.lines[1].get_ydata()[100] == 1
    assert [line.get_xdata()[0] for line in ax.lines[2:]] == [100]


@pytest.mark.parametrize("n", [1, 3, 7])
def test_the_legend_hides_nothing(n):
    ax = plot_schedules([f"clr({div},5)" for div in range(2, 2 + n)], lr=1e-2, n_batches=300)
    ax.figure.canvas.draw()
    renderer = ax.figure.canvas.get_renderer()
    legend = ax.figure.legends[0].get_window_extent(renderer)
    assert not legend.overlaps(ax.get_tightbbox(renderer))
    assert ax.figure.bbox.x0 <= legend.x0 and legend.x1 <= ax.figure.bbox.x1


def test_on_given_axes():
    figure, (left, right) = plt.subplots(1, 2)
    assert plot_schedules("one_cycle", ax=(left, right)) is left and len(right.lines) == 1
    assert left.get_legend() and not figure.legends


@pytest.mark.parametrize(
    "arguments, error, match",
    [
        (({},), ValueError, "schedules should hold at least 1 schedule"),
        ((["sgdr"],), ValueError, "a schedule by name should be"),
        ((["one_cycle"], 0), ValueError, "lr should be greater than 0, but given 0"),
        ((["one_cycle"], [1e-2, 1e-3]), TypeError, "lr should be a number"),
        ((["one_cycle"], 1, 0), ValueError, "n_batches should be at least 1, but given 0"),
        (({"a": 5},), TypeError, r"schedules\['a'\] should be a schedule, a name such as 'one_cycle', a function"),
        (({"a": {"mom": SchedCos(1, 0)}},), TypeError, r"schedules\['a'\] should be a schedule"),
        (({"a": len},), TypeError, r"schedules\['a'\] should be a schedule, a name such as 'one_cycle', a function"),
        ((["one_cycle", "cosine", "one_cycle"],), ValueError, "should differ in their names, but given one_cycle twice"),
        ((5,), TypeError, "schedules should be"),
    ],
)  # fmt: skip
def test_what_is_no_schedule_is_refused(arguments, error, match):
    with pytest.raises(error, match=match):
        plot_schedules(*arguments)
