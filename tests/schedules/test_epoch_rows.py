"""The rows of an epoch's batches, by the formulas of the contract, whatever the length of the data loader."""

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastai_clr import Cycles
from fastai_clr.schedules.epoch_rows import EpochRows


@pytest.mark.parametrize(
    "cycles, number, n_batches, rows, done, n_needed",
    [
        (Cycles(1, 2, n_iter=4), 0, 4, [0, 1, 2, 3], [1, 2, 3, 4], 4),  # as the timetable expects
        (Cycles(1, 2, n_iter=4), 1, 4, [4, 5, 6, 7], [5, 6, 7, 8], 4),
        (Cycles(1, 2, n_iter=4), 1, 2, [4, 6], [6, 8], 2),  # a loader that has shrunk
        (Cycles(1, 2, n_iter=4), 0, 6, [0, 0, 1, 2, 2, 3], [0, 1, 2, 2, 3, 4], 6),  # one that has grown
        (Cycles(1, 2, n_iter=4), 0, 1, [0], [4], 1),
        (Cycles(1, 2, n_iter=4), 1, 0, [4], [8], 1),  # an empty one: fastai trains nothing
        (Cycles(1, 1.5, n_iter=4), 1, 4, [4, 5, 5, 5], [5, 6, 7, 8], 2),  # the last cycle ends inside the epoch
        (Cycles(1, 1.5, n_iter=4), 1, 3, [4, 5, 5], [5, 6, 8], 2),
    ],
)
def test_where_the_batches_of_an_epoch_fall(cycles, number, n_batches, rows, done, n_needed):
    epoch = EpochRows.of(cycles, number, n_batches)
    assert [epoch.row(i) for i in range(len(rows))] == rows
    assert [epoch.done(i) for i in range(len(rows))] == done
    assert epoch.n_needed == n_needed


@given(st.integers(1, 50), st.integers(1, 200), st.integers(1, 4), st.floats(0.1, 3), st.data())
def test_the_place_is_that_of_the_formula(n_iter, m, n_cycles, cycle_len, data):
    cycles = Cycles(n_cycles, cycle_len, n_iter=n_iter)
    number = data.draw(st.integers(0, cycles.n_epoch - 1))
    epoch, start = EpochRows.of(cycles, number, m), number * n_iter
    left = min(cycles.n_batches - start, n_iter)
    for i in range(2 * m):  # beyond its length, too
        assert epoch.row(i) == min(start + min(i * n_iter // m, n_iter - 1), cycles.n_batches - 1)
        assert epoch.done(i) == start + min((i + 1) * n_iter // m, n_iter)
    assert epoch.n_needed == ceil(left * m / n_iter)
