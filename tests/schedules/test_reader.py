"""A schedule read step by step: the values of `Schedule.at`, in any order, as plain Python floats."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastai_clr import CircularLR, Constant, Cycles
from fastai_clr.schedules import ScheduleReader
from fastai_clr.schedules.reader import BLOCK
from strategies import cycles, schedules

TRIANGLE, LONG = CircularLR(32, 5, 0.95, 0.85), Cycles(2, 2000)


def values_of(reader):
    return reader.factor, reader.rates, reader.momentum


@given(schedules, cycles, st.lists(st.integers(0, 6000), min_size=1, max_size=5))
def test_a_step_has_the_values_of_the_schedule(schedule, fit, steps):
    reader = ScheduleReader(schedule, fit, [1e-4, 1e-2])
    for step in steps:
        reader.read(step)
        factor, momentum = schedule.at(step, fit)
        assert values_of(reader) == (factor, [factor * 1e-4, factor * 1e-2], momentum)


@pytest.mark.parametrize(
    "steps",
    [
        range(BLOCK - 2, BLOCK + 2),  # from one block into the next
        [BLOCK, 0, BLOCK - 1],  # back, as a fit that starts anew
        [1500, 1501, 1500 + BLOCK, 1499],  # a resumed fit
        [3999, 4000, 10**6],  # past the last step
    ],
    ids=str,
)
def test_steps_may_be_read_in_any_order(steps):
    reader = ScheduleReader(TRIANGLE, LONG, [1e-2])
    for step in steps:
        reader.read(step)
        factor, momentum = TRIANGLE.at(step, LONG)
        assert values_of(reader) == (factor, [factor * 1e-2], momentum)


def test_a_step_may_be_read_twice():
    reader = ScheduleReader(TRIANGLE, LONG, [1e-2])
    reader.read(400)
    reader.read(400)
    assert values_of(reader) == (1, [1e-2], 0.85)


def test_before_the_first_step_the_rates_are_the_peaks():
    assert values_of(ScheduleReader(TRIANGLE, LONG, [1e-4, 1e-2])) == (1, [1e-4, 1e-2], None)


def test_without_peaks_there_are_no_rates():
    reader = ScheduleReader(TRIANGLE, LONG)
    reader.read(400)
    assert values_of(reader) == (1, [], 0.85)


def test_the_peaks_are_those_of_the_beginning():
    peaks = [1e-2]
    reader = ScheduleReader(Constant(), LONG, peaks)
    peaks[0] = reader.rates[0] = 1.0  # whoever is given a list may change it
    for step in (0, BLOCK):
        reader.read(step)
        assert reader.rates == [1e-2]


@pytest.mark.parametrize(
    "peaks", [[1e-4, 1e-2], [1, 10], (1, 0.1), np.array([1e-4, 1e-2]), np.float32([1, 2])], ids=repr
)
@pytest.mark.parametrize("schedule", [TRIANGLE, Constant()], ids=repr)
def test_what_is_read_are_python_floats(schedule, peaks):
    reader = ScheduleReader(schedule, LONG, peaks)
    reader.read(np.int64(7))
    moms = [] if reader.momentum is None else [reader.momentum]
    assert type(reader.rates) is list and {type(o) for o in [reader.factor, *reader.rates, *moms]} == {float}


@pytest.mark.parametrize("n, blocks", [(1, 1), (BLOCK, 1), (BLOCK + 1, 2), (4000, 4)])
def test_steps_in_a_row_are_evaluated_a_block_at_a_time(monkeypatch, n, blocks):
    evaluated, at = [], CircularLR.at
    monkeypatch.setattr(CircularLR, "at", lambda self, step, fit: evaluated.append(len(step)) or at(self, step, fit))
    reader = ScheduleReader(TRIANGLE, LONG, [1e-2])
    for step in range(n):
        reader.read(step)
    assert evaluated == [BLOCK] * blocks
