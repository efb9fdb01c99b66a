"""Schedules side by side on the same axes, ours and fastai's, before any training."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from fastai.callback.schedule import SchedCos, combined_cos

from fastai_clr import CircularLR, CosAnneal, Cycles, plot_schedules
from helpers import assert_same_rates, make_learner


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


def test_a_logarithmic_axis():
    ax = plot_schedules(["one_cycle", "clr(32,5)"], log=True)
    assert (ax.get_yscale(), ax.get_ylabel()) == ("log", "learning rate (log scale)")


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
