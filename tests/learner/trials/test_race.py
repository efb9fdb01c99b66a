"""The race of short cycles: which peak comes next, which wins, and how long the cycles are."""

from math import inf

import pytest

from fastai_clr.learner.trials.race import best_step, cycle_length, half_decade, next_step, scaled


@pytest.mark.parametrize(
    "losses, step",
    [
        ({0: [0.5]}, 1),  # first upwards
        ({0: [0.5], 1: [0.4]}, 2),  # ... as long as it gets better
        ({0: [0.5], 1: [0.6]}, -1),  # then downwards
        ({0: [0.5], 1: [0.6], -1: [0.4]}, -2),
        ({0: [inf]}, -1),  # a peak at which the loss diverges is too high
        ({0: [inf], -1: [inf]}, -2),
        ({0: [0.5], 1: [inf]}, -1),
        # between two worse ones: again the best, or its rival, whichever has fewer runs
        ({-1: [0.7], 0: [0.5], 1: [0.6]}, 0),
        ({-1: [0.7], 0: [0.5, 0.5], 1: [0.6]}, 1),
        ({-1: [0.6], 0: [0.5, 0.5], 1: [0.7]}, -1),
        ({-1: [0.7], 0: [0.5, 0.5], 1: [0.6, 0.6]}, 0),
        ({-1: [0.7], 0: [0.5, 0.9], 1: [0.6]}, 2),  # the second run of the best changes which is the best
        ({-1: [-0.7], 0: [-0.9], 1: [-0.8]}, 0),  # a loss may be negative
    ],
)
def test_what_is_trained_next(losses, step):
    assert next_step(losses) == step


@pytest.mark.parametrize(
    "losses, step",
    [
        ({0: [0.5]}, 0),
        ({0: [0.5], 1: [0.4], 2: [0.45]}, 1),
        ({0: [0.5], 1: [0.4, 0.7]}, 0),  # the mean of the runs
        ({1: [0.5], 0: [0.5]}, 0),  # the lower of equals
        ({0: [0.5], 1: [0.1, inf]}, 0),  # a peak that may diverge is none
    ],
)
def test_the_lowest_mean_wins(losses, step):
    assert best_step(losses) == step


@pytest.mark.parametrize(
    "budget, n_batches, first_cycle, length",
    [
        (5000, 5000, 5000, 1000),  # five cycles of a fifth
        (4900, 5000, 5000, 980),
        (300, 300, 300, 100),  # of a third where a fifth would be fewer than 100 batches
        (90, 90, 90, 30),
        (400, 400, 400, 100),
        (600, 300, 300, 100),
        (900, 300, 300, 150),  # longer ones where the budget has room for more than six
        (1800, 300, 300, 300),
        (9000, 300, 300, 300),  # never longer than the fit
        (5000, 5000, 500, 500),  # ... or than one of its cycles
        (30, 5000, 5000, 10),  # a small budget: three short ones
        (40, 20, 20, 10),  # a short fit: fewer cycles than six, that none is shorter than ten
    ],
)
def test_how_long_a_cycle_is(budget, n_batches, first_cycle, length):
    assert cycle_length(budget, n_batches, first_cycle) == length


@pytest.mark.parametrize(
    "lr, factor, peak",
    [
        (0.01, 10**0.5, 0.032),
        (0.02, 0.1, 0.002),
        (slice(0.1), 10, slice(None, 1.0)),
        (slice(1e-3, 1e-2), 10**-0.5, slice(0.00032, 0.0032)),
        ([1e-3, 1e-2], 10, [0.01, 0.1]),
    ],
)
def test_the_groups_of_a_peak_keep_their_ratio(lr, factor, peak):
    assert scaled(lr, factor) == peak


@pytest.mark.parametrize("lr, nearest", [(0.012, 0.01), (0.019, 0.032), (0.05, 0.032), (0.06, 0.1), (3e-5, 3.2e-5)])
def test_a_race_starts_at_a_round_peak(lr, nearest):
    assert half_decade(lr) == nearest
