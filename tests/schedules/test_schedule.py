"""What every schedule can do: give its values at any step, draw itself, compare and print."""

import json
import pickle
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given

import fastai_clr
from fastai_clr import CircularLR, CosAnneal, Cycles, Schedule
from fastai_clr.schedules import Timetable
from strategies import cycles, schedules


@pytest.mark.parametrize(
    "of_batch, factors",
    [
        (lambda i, cycle: 0.5, [0.5, 0.5, 0.5, 0.5]),  # the same at every batch
        (lambda i, cycle: 1 + 0 * i, [1.0, 1.0, 1.0, 1.0]),  # whole numbers
        (lambda i, cycle: np.float32(1) / (1 + i).astype("float32"), [1, 0.5, np.float32(1 / 3), 0.25]),
        (lambda i, cycle: 1 - i / cycle.length, [1, 0.75, 0.5, 0.25]),
    ],
    ids=["a constant", "integers", "float32", "float64"],
)
def test_a_new_shape_needs_no_more_than_its_factor(of_batch, factors):
    @dataclass(frozen=True, repr=False)
    class Shape(Schedule):
        def factor(self, i, cycle):
            return of_batch(i, cycle)

    fit = Cycles(1, 4)
    values, momentums = Shape().at(np.arange(4), fit)
    assert values.tolist() == factors and values.dtype == np.float64 and momentums is None
    timetable = Timetable(Shape(), fit, [1, 10])  # peaks that are whole numbers, too
    for step, factor in enumerate(factors):
        assert Shape().at(step, fit) == (factor, None)
        assert timetable.row(step) == (factor, None)
        assert timetable.rates[step].tolist() == [factor, 10 * factor]


@given(schedules, cycles)
def test_a_number_and_an_array_give_the_same_values(schedule, fit):
    steps = np.arange(fit.n_batches)
    factors, momentums = schedule.at(steps, fit)
    for step in {0, fit.n_batches // 3, fit.n_batches - 1}:
        factor, momentum = schedule.at(step, fit)
        assert type(factor) is float and factor == factors[step]
        assert momentum is None if momentums is None else type(momentum) is float and momentum == momentums[step]


@pytest.mark.parametrize("schedule", [CircularLR(32, 5), CircularLR(25, 4, 0.95, 0.85, cosine=True), CosAnneal()])
def test_a_table_of_steps_gives_a_table_of_values(schedule):
    steps, cycles = np.arange(4000), Cycles(3, 1500)
    for values, table in zip(schedule.at(steps, cycles), schedule.at(steps.reshape(4, 1000), cycles)):
        if values is None:
            assert table is None and schedule.mom_a is None
        else:
            np.testing.assert_array_equal(values.reshape(4, 1000), table)


@given(schedules, cycles)
def test_a_step_past_the_end_counts_as_the_last(schedule, fit):
    assert schedule.at(fit.n_batches + 5, fit) == schedule.at(fit.n_batches - 1, fit)
    assert schedule.at(-3, fit) == schedule.at(0, fit)


@given(schedules)
def test_schedules_compare_hash_pickle_and_print(schedule):
    twins = [pickle.loads(pickle.dumps(schedule)), eval(repr(schedule), vars(fastai_clr))]
    assert all(o == schedule and hash(o) == hash(schedule) for o in twins)


def test_a_schedule_draws_itself_before_any_training():
    ax = CircularLR(20, 5, 0.95, 0.85).plot(lr=[1e-4, 1e-2], n_batches=100, n_cycles=2)
    moms_ax = ax.figure.axes[1]
    fit = Cycles(2, 50)
    factors, momentums = CircularLR(20, 5, 0.95, 0.85).at(np.arange(100), fit)
    for line, peak in zip(ax.lines, (1e-4, 1e-2)):
        np.testing.assert_array_equal(line.get_data(), [np.arange(1, 101), factors * peak])
    np.testing.assert_array_equal(moms_ax.lines[0].get_data(), [np.arange(1, 101), momentums])
    assert [line.get_xdata()[0] for line in ax.lines[2:]] == [50, 100]
    assert len(CircularLR(20, 5, 0.95, 0.85).plot(show_moms=False).figure.axes) == 1


@pytest.mark.parametrize(
    "build, error, match",
    [
        (lambda: CircularLR().plot(lr=[]), ValueError, r"lr should have at least 1 value"),
        (lambda: CircularLR().plot(lr=0), ValueError, r"lr should be greater than 0, but given 0"),
        (lambda: CircularLR().plot(lr=[0.1, "a"]), TypeError, r"lr should be a number, but given 'a'"),
        (lambda: CircularLR().plot(n_batches=0), ValueError, r"n_batches should be at least 1, but given 0"),
        (lambda: CircularLR().plot(n_batches=1.5), TypeError, r"n_batches should be an integer, but given 1.5"),
        (lambda: CircularLR().plot(n_batches=10, n_cycles=11), ValueError, r"n_cycles should be at most"),
    ],
)  # fmt: skip
def test_bad_arguments_of_plot_are_refused(build, error, match):
    with pytest.raises(error, match=match):
        build()


# -- as plain values, and in a cell ---------------------------------------------------------------------------------------


@given(schedules)
def test_it_goes_to_json_and_back(schedule):
    assert Schedule.from_dict(json.loads(json.dumps(schedule.to_dict()))) == schedule


def test_its_plain_values():
    assert CircularLR(32, 5, cosine=True).to_dict() == {
        "schedule": "CircularLR", "div": 32, "cut_div": 5, "mom_a": None, "mom_b": None, "cosine": True,
        "div_final": None, "gamma": 1, "cycle_gamma": 1,
    }  # fmt: skip
    assert json.dumps(CircularLR(np.float32(4), np.int64(2)).to_dict())


def test_a_shape_of_ones_own_comes_back_too():
    @dataclass(frozen=True, repr=False)
    class Falls(Schedule):
        power: float = 1

        def factor(self, i, cycle):
            return (1 - i / cycle.length) ** self.power

    assert Schedule.from_dict(Falls(2).to_dict()) == Falls(2)


@pytest.mark.parametrize(
    "values, error, words",
    [
        ({"div": 32}, ValueError, "'schedule' should be one of CircularLR, CircularLRBeta, .*but given None"),
        ({"schedule": "Circular"}, ValueError, "but given 'Circular'"),
        ({"schedule": "CosAnneal", "div": 3}, ValueError, "CosAnneal has no setting 'div': it has slow_start"),
        ({"schedule": "Constant", "div": 3}, ValueError, "Constant has no setting 'div': it has none"),
        ({"schedule": "CircularLR", "div": 0}, ValueError, "div should be at least 1, but given 0"),
        ("CircularLR", TypeError, "values should be a dict as to_dict"),
    ],
)
def test_values_that_make_no_schedule(values, error, words):
    before = dict(values) if isinstance(values, dict) else values
    with pytest.raises(error, match=words):
        Schedule.from_dict(values)
    assert values == before


def test_a_cell_shows_the_words_and_one_picture():
    html = CircularLR(32, 5, 0.95, 0.85)._repr_html_()
    assert html.startswith("<p><code>CircularLR(div=32, cut_div=5, mom_a=0.95, mom_b=0.85)</code></p>")
    assert "<p>With a peak of 1, over 100 batches, the learning rate starts at 0.0312 (1/32), rises for 20" in html
    assert html.count("data:image/png") == 1 and plt.get_fignums() == []


def test_ours_counts_of_two_shapes_with_the_same_name():
    @dataclass(frozen=True, repr=False)
    class Constant(Schedule):
        def factor(self, i, cycle):
            return 0.5

    assert Schedule.from_dict(Constant().to_dict()) == fastai_clr.Constant() != Constant()
