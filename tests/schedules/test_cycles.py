"""The cycles of a fit: where each ends, and which of them a batch lies in."""

import pickle

import numpy as np
import pytest
from hypothesis import given

from fastai_clr import Cycles
from strategies import cycles


@pytest.mark.parametrize(
    "fit, ends",
    [
        (Cycles(1, 3, n_iter=20), [60]),
        (Cycles(3, 1, 2, n_iter=10), [10, 30, 70]),
        (Cycles(3, 4, 0.5, n_iter=10), [40, 60, 70]),
        (Cycles(4, 0.25, n_iter=10), [3, 5, 8, 10]),  # floor(2.5 + .5), floor(5 + .5), floor(7.5 + .5), ...
        (Cycles(1, 0.005, n_iter=4), [1]),  # never shorter than a batch
        (Cycles(5, 0.1, n_iter=4), [1, 2, 3, 4, 5]),
        (Cycles(7, 0.1, n_iter=5), [1, 2, 3, 4, 5, 6, 7]),
        (Cycles(2, 1.5, n_iter=3), [5, 9]),
        (Cycles(4, 1.5, 0.3, n_iter=7), [11, 14, 15, 16]),  # the first one is floor(10.5 + .5) to the bit
        (Cycles.of_epochs(3, 1, n_iter=7), [21]),
        (Cycles.of_epochs(3, 2, n_iter=7), [11, 21]),
        (Cycles.of_epochs(300, 2, 2), [100, 300]),
    ],
)
def test_the_batch_at_which_each_cycle_ends(fit, ends):
    assert fit.ends.tolist() == ends
    assert fit.n_batches == ends[-1]
    assert fit.n_epoch == -(-ends[-1] // fit.n_iter)


@given(cycles)
def test_every_batch_lies_in_one_cycle(fit):
    i, cycle = fit.locate(np.arange(fit.n_batches))
    assert ((0 <= i) & (i < cycle.length)).all() and (cycle.start + i == np.arange(fit.n_batches)).all()
    assert (np.diff(cycle.number) >= 0).all() and cycle.number[-1] == fit.n_cycles - 1
    assert cycle.first_length == fit.ends[0] and np.unique(cycle.start + cycle.length).tolist() == fit.ends.tolist()


@given(cycles)
def test_cycles_compare_hash_pickle_and_print(fit):
    assert fit.ends is not None
    twins = [pickle.loads(pickle.dumps(fit)), eval(repr(fit))]
    assert all(o == fit and hash(o) == hash(fit) for o in twins)


@pytest.mark.parametrize(
    "build, error, match",
    [
        (lambda: Cycles(0), ValueError, r"n_cycles should be at least 1, but given 0"),
        (lambda: Cycles(1.5), TypeError, r"n_cycles should be an integer, but given 1.5"),
        (lambda: Cycles(1, 0), ValueError, r"cycle_len should be greater than 0, but given 0"),
        (lambda: Cycles(1, 1, -2), ValueError, r"cycle_mult should be greater than 0, but given -2"),
        (lambda: Cycles(100, 1, 10), ValueError, r"should give a fit that can end, but given 100, 1 and 10"),
        (lambda: Cycles(10**6, 1, 2), ValueError, r"should give a fit that can end"),
        (lambda: Cycles.of_epochs(3, 70, n_iter=20), ValueError, r"n_cycles should be at most the number of batches, 60, .*70"),
        (lambda: Cycles.of_epochs(5, 5, 0.1), ValueError, r"each cycle should have at least 1 of the 5 batches"),
        (lambda: Cycles(10**10), ValueError, r"should give a fit that can end"),
    ],
)  # fmt: skip
def test_bad_cycles_are_refused_where_they_are_built(build, error, match):
    with pytest.raises(error, match=match):
        build()
