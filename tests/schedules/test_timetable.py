"""A fit written out: the rows of `Schedule.at`, in any order, as plain Python floats, and as arrays."""

import copy
import pickle
import re
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fastai_clr.all import CircularLR, CLRCallback, Constant, Cycles, Schedule
from fastai_clr.lr_scheduler import CLRScheduler
from fastai_clr.schedules import Timetable
from fastai_clr.schedules.timetable import BLOCK
from helpers import state_of
from strategies import cycles, schedules

TRIANGLE, LONG = CircularLR(32, 5, 0.95, 0.85), Cycles(2, 2 * BLOCK)


@given(schedules, cycles, st.data())
def test_a_row_has_the_values_of_the_schedule(schedule, fit, data):
    timetable = Timetable(schedule, fit, [1e-4, 1e-2])
    numbers = data.draw(st.lists(st.integers(0, fit.n_batches - 1), min_size=1, max_size=5))
    assert [timetable.row(o) for o in numbers] == [schedule.at(o, fit) for o in numbers]
    factors, momentums = timetable.values(numbers)
    assert factors.tolist() == [schedule.at(o, fit)[0] for o in numbers]
    assert schedule.mom_a is None or momentums.tolist() == [schedule.at(o, fit)[1] for o in numbers]


@given(schedules, cycles)
def test_the_arrays_are_the_rows(schedule, fit):
    timetable = Timetable(schedule, fit, [1e-4, 1e-2])
    rows = [timetable.row(o) for o in range(fit.n_batches)]
    assert timetable.factors.tolist() == [factor for factor, _ in rows]
    np.testing.assert_array_equal(timetable.rates, [[factor * 1e-4, factor * 1e-2] for factor, _ in rows])
    if schedule.mom_a is None:
        assert timetable.momentums is None and {momentum for _, momentum in rows} == {None}
    else:
        assert timetable.momentums.tolist() == [momentum for _, momentum in rows]
    assert timetable.ends == fit.ends.tolist() and timetable.n_batches == fit.n_batches


@pytest.mark.parametrize(
    "numbers",
    [
        range(BLOCK - 2, BLOCK + 2),  # from one block into the next
        [BLOCK, 0, BLOCK - 1],  # back, as a fit that starts anew
        [3 * BLOCK + 7, 3 * BLOCK + 8, 3 * BLOCK + 6],  # a resumed fit
        [4 * BLOCK - 1],  # the last one
    ],
    ids=str,
)
def test_rows_may_be_read_in_any_order(numbers):
    timetable = Timetable(TRIANGLE, LONG)
    assert [timetable.row(o) for o in numbers] == [TRIANGLE.at(o, LONG) for o in numbers]


def test_there_is_no_row_after_the_last():
    with pytest.raises(IndexError):
        Timetable(TRIANGLE, LONG).row(4 * BLOCK)


@pytest.mark.parametrize(
    "peaks", [[1e-4, 1e-2], [1, 10], (1, 0.1), np.array([1e-4, 1e-2]), np.float32([1, 2])], ids=repr
)
@pytest.mark.parametrize("schedule", [TRIANGLE, Constant()], ids=repr)
def test_what_is_read_are_python_floats(schedule, peaks):
    timetable = Timetable(schedule, LONG, peaks)
    factor, momentum = timetable.row(7)
    moms = [] if momentum is None else [momentum]
    assert {type(o) for o in [factor, *moms, *timetable.peaks]} == {float}


def test_it_is_a_value():
    one, same = (
        Timetable(TRIANGLE, LONG, [1, 10]),
        Timetable(CircularLR(32, 5, 0.95, 0.85), Cycles(2, 2 * BLOCK), (1.0, 10.0)),
    )
    one.row(0)
    assert one == same and hash(one) == hash(same)
    for other in (
        Timetable(CircularLR(32, 6), LONG, [1, 10]),
        Timetable(TRIANGLE, Cycles(3, 5), [1, 10]),
        Timetable(TRIANGLE, LONG, [1]),
    ):
        assert one != other
    with pytest.raises(AttributeError):
        one.peaks = (1.0,)
    peaks = [1.0]
    timetable = Timetable(Constant(), LONG, peaks)
    peaks[0] = 2.0
    assert timetable.peaks == (1.0,)


@dataclass(frozen=True, repr=False)
class Counting(Schedule):
    """Counts the rows that it is asked for; `factor` is what the test says at the time."""

    asked = []
    now = [1.0]

    def factor(self, i, cycle):
        self.asked.append(len(i))
        return i * 0 + self.now[0]


@pytest.fixture
def counting():
    Counting.asked.clear()
    Counting.now[0] = 1.0
    return Counting()


@dataclass(frozen=True, repr=False)
class Strange(Schedule):
    """The factor, or the height, of batch 3 is strange."""

    value: float
    mom_a: float | None = None
    mom_b: float | None = None

    def factor(self, i, cycle):
        return np.where(i == 3, self.value, 1.0) if self.mom_a is None else i * 0 + 1.0

    def height(self, i, cycle):
        return np.where(i == 3, self.value, 0.5)


@pytest.mark.parametrize(
    "schedule, message",
    [
        (Strange(np.nan), "the factor of Strange(value=nan) should be finite and at least 0, but is nan in batch 3"),
        (Strange(np.inf), "the factor of Strange(value=inf) should be finite and at least 0, but is inf in batch 3"),
        (Strange(-0.5), "the factor of Strange(value=-0.5) should be finite and at least 0, but is -0.5 in batch 3"),
        (Strange(np.nan, 0.95, 0.85), "should be at least 0 and less than 1, but is nan in batch 3"),
        (Strange(-1, 0.95, 0.85), "the momentum of Strange(value=-1, mom_a=0.95, mom_b=0.85) should be at least 0 and less than 1, but is 1.0"),
    ],
)  # fmt: skip
def test_values_that_no_optimizer_should_get_are_an_error(schedule, message, learn):
    timetable, before = Timetable(schedule, Cycles.of_batches(60)), state_of(learn)
    optimizer = torch.optim.SGD(learn.model.parameters(), lr=0.1, momentum=0.9)
    for ask in (
        lambda: timetable.row(50),
        lambda: timetable.rates,
        lambda: schedule.plot(n_batches=60),
        lambda: learn.fit(3, 1e-2, cbs=CLRCallback(schedule)),
        lambda: CLRScheduler(optimizer, schedule, 60),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            ask()
    assert state_of(learn) == before and optimizer.param_groups[0]["lr"] == 0.1


@pytest.mark.parametrize(
    "n, sizes", [(1, [BLOCK]), (BLOCK, [BLOCK]), (BLOCK + 1, [BLOCK, BLOCK]), (4 * BLOCK, [BLOCK] * 4)]
)
def test_rows_are_evaluated_a_block_at_a_time_when_they_are_first_read(counting, n, sizes):
    timetable = Timetable(counting, LONG)
    assert counting.asked == []
    for _ in range(2):
        for number in range(n):
            timetable.row(number)
    assert counting.asked == sizes


def test_of_a_fit_without_end_only_what_is_read_is_evaluated(counting):
    timetable = Timetable(counting, Cycles(1, 10**12))
    timetable.row(5 * 10**11)
    assert counting.asked == [BLOCK]


@pytest.mark.parametrize("twin_of", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))], ids=["copy", "pickle"])
def test_a_copy_holds_the_values_that_were_read(counting, twin_of):
    timetable = Timetable(counting, Cycles(1, 10))
    timetable.row(0)
    twin = twin_of(timetable)
    counting.now[0] = 0.5  # as if a later release computed something else
    assert twin == timetable and twin.row(7) == (1.0, None) and twin.values([7])[0].tolist() == [1.0]
    assert Timetable(counting, Cycles(1, 10)).row(7) == (0.5, None)


@pytest.mark.parametrize("last", [0, 5, BLOCK - 1, BLOCK, 2 * BLOCK + 3])
def test_it_forgets_the_rows_that_were_not_trained(counting, last):
    timetable = Timetable(TRIANGLE, LONG)
    timetable.values(np.arange(4 * BLOCK))
    timetable.forget_after(last)
    assert sum(len(factors) for factors, _ in timetable._blocks.values()) == last + 1
    assert sum(len(momentums) for _, momentums in timetable._blocks.values()) == last + 1
    numbers = [last, 0, 4 * BLOCK - 1, min(last + 1, 4 * BLOCK - 1)]  # and evaluates them anew when asked
    assert (
        timetable.values(numbers)[0].tolist()
        == [timetable.row(o)[0] for o in numbers]
        == [TRIANGLE.at(o, LONG)[0] for o in numbers]
    )


def test_a_constant_rate_takes_one_block_however_long_it_is():
    timetable = Timetable(Constant(), Cycles(1, 100 * BLOCK))
    timetable.values(np.arange(100 * BLOCK))
    assert len({id(factors) for factors, _ in timetable._blocks.values()}) == 1
