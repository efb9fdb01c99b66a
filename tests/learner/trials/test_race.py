"""The race of short cycles: which peak comes next, which wins, how long the cycles are, and what is said of it."""

from math import inf

import pytest

from fastai_clr.learner.trials.race import Race, best_step, cycle_length, next_step, scaled, step_to_repeat
from fastai_clr.report import Trial


@pytest.mark.parametrize(
    "losses, stride, step",
    [
        ({0: [0.5]}, 2, 2),  # first in the direction of the stride
        ({0: [0.5]}, -1, -1),
        ({0: [0.5], 2: [0.4]}, 2, 4),  # ... as long as it gets better
        ({0: [0.5], 2: [0.6]}, 2, -2),  # then in the other
        ({0: [0.5], -1: [0.6]}, -1, 1),
        ({0: [0.5], -1: [0.499]}, -1, -2),  # a small gain is one
        ({0: [inf]}, 2, -2),  # a peak at which the loss diverges is too high
        ({0: [inf], -2: [inf]}, 2, -4),
        ({0: [0.5], 1: [inf]}, -1, -1),
        ({-2: [0.7], 0: [0.5], 2: [0.6]}, 2, None),
        ({-1: [0.7], 0: [0.5], 1: [0.6]}, -1, None),
        ({-1: [0.7], 0: [0.5, 0.9], 1: [0.6]}, -1, 2),  # the second run of the best changes which is the best
        ({-1: [-0.7], 0: [-0.9], 1: [-0.8]}, -1, None),  # a loss may be negative
    ],
)
def test_what_is_trained_next(losses, stride, step):
    assert next_step(losses, stride) == step


@pytest.mark.parametrize(
    "losses, step",
    [
        ({0: [2.94], -1: [2.98]}, -2),  # a loss that is no worse is a reason to go on
        ({0: [2.94], -1: [2.98], -2: [2.7]}, -3),
        ({0: [0.5], -1: [0.505], -2: [0.6]}, 1),
        ({0: [0.5], -1: [0.52]}, 1),
        ({0: [0.5], -1: [0.505], -2: [0.6], 1: [0.6]}, None),
    ],
)
def test_between_the_decades_a_tie_leads_downwards(losses, step):
    assert next_step(losses, -1, 0.02) == step


@pytest.mark.parametrize(
    "losses, step",
    [
        ({-1: [0.7], 0: [0.5], 1: [0.6]}, 0),
        ({-1: [0.7], 0: [0.5, 0.5], 1: [0.6]}, 1),
        ({-1: [0.6], 0: [0.5, 0.5], 1: [0.7]}, -1),
        ({-1: [0.7], 0: [0.5, 0.5], 1: [0.6, 0.6]}, 0),
    ],
)
def test_between_two_worse_peaks_the_best_or_its_rival_is_repeated(losses, step):
    assert step_to_repeat(losses) == step


@pytest.mark.parametrize(
    "losses, step",
    [
        ({0: [0.5]}, 0),
        ({0: [0.5], 1: [0.4], 2: [0.45]}, 1),
        ({0: [0.5], 1: [0.4, 0.7]}, 0),  # the mean of the runs
        ({0: [0.5], 1: [0.1, inf]}, 0),  # a peak that may diverge is none
        ({0: [0.509], 1: [0.5], 2: [0.6]}, 0),  # within 2 % of the lowest: the lower peak
        ({0: [0.511], 1: [0.5], 2: [0.6]}, 1),
        ({0: [2.32], 1: [2.3], 2: [2.29]}, 2),  # all are within 2 %
        ({0: [-0.99], 1: [-1.0], 2: [-0.5]}, 0),
        ({0: [inf]}, 0),
    ],
)
def test_which_peak_wins(losses, step):
    assert best_step(losses, 0.02) == step


@pytest.mark.parametrize(
    "budget, n_batches, length",
    [
        (270, 5000, 90),  # a third of the budget
        (270, 400, 90),
        (270, 150, 75),  # but half a cycle of the fit
        (900, 150, 150),  # more cycles than six are longer, up to a cycle of the fit
        (600, 150, 100),
        (9000, 150, 150),
        (270, inf, 90),
    ],
)
def test_how_long_a_cycle_is(budget, n_batches, length):
    assert cycle_length(budget, n_batches) == length


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


def said(losses, n_batches=60, is_whole=True, n_trials=4):
    race = Race(1e-2, 0, lambda *_: None, n_batches=60, losses=losses)
    race.trials = [Trial(0.01, 0, 60, 0.5, 0.5, False)] * n_trials
    return race.why(n_batches, is_whole)


@pytest.mark.parametrize(
    "losses, words",
    [
        ({0: [0.5]}, "the validation loss is lowest at this peak: 0.5."),
        ({0: [0.5], 1: [0.6], -1: [0.7]}, "lowest at this peak: 0.5 (0.7 at 0.0032, 0.6 at 0.032)."),
        ({0: [0.5], 1: [inf], -1: [0.7]}, "(0.7 at 0.0032, diverged at 0.032)."),
        ({0: [0.404], 1: [0.4], -1: [0.7]}, "the validation loss is 0.404 at this peak, within 2 % of the lowest (0.7 at 0.0032, 0.4 at 0.032), and a lower peak is safer."),
    ],
)  # fmt: skip
def test_why_says_what_was_measured(losses, words):
    assert said(losses).startswith("After a cycle of 60 batches the validation loss is ") and words in said(losses)


NOT_TOLD, OPEN_ABOVE, OPEN_BELOW = "one run at each peak does not tell the noise", "no higher peak was tried", "no lower peak was tried"  # fmt: skip
NEAR, TOO_SHORT = "as good within noise", "the losses lie within 2 %: the cycles were too short, or the peak matters little"  # fmt: skip


@pytest.mark.parametrize(
    "losses, doubts",
    [
        ({0: [0.5], 1: [0.6], -1: [0.7]}, [NOT_TOLD]),
        ({0: [0.5]}, [NOT_TOLD, "no other peak was tried"]),
        ({0: [0.5], 1: [0.4]}, [NOT_TOLD, OPEN_ABOVE]),
        ({0: [0.4], 1: [0.5]}, [NOT_TOLD, OPEN_BELOW]),
        ({0: [0.5, 0.52], 1: [0.52, 0.54], -1: [0.7]}, [f"0.032 is {NEAR}"]),
        ({0: [0.5, 0.52], 1: [0.52, 0.54], -1: [0.525]}, [f"0.0032 and 0.032 are {NEAR}"]),
        ({0: [0.5, 0.501], 1: [0.6], -1: [0.7]}, ["the peaks beside it are worse by more than noise"]),
        ({0: [2.3], 1: [2.293], 2: [2.316]}, [TOO_SHORT, NOT_TOLD]),  # near ln 10: ten classes, guessed
        ({0: [2.3], 1: [2.293]}, [NOT_TOLD, OPEN_ABOVE]),  # too few to say
        ({0: [-0.99], 1: [-1.0], 2: [-0.985]}, [TOO_SHORT, NOT_TOLD]),
    ],
)
def test_why_says_how_sure_it_is(losses, doubts):
    assert f" How sure: {'; '.join(doubts)}." in said(losses)


def test_why_doubts_a_race_of_few_batches():
    few = "How sure: of races with fewer than 150 batches one in ten picks a peak that fails, and this had {}; "
    losses = {0: [0.5], 1: [0.6], -1: [0.7]}
    assert few.format(120) in said(losses, n_trials=2) and "fewer than" not in said(losses, n_trials=3)


def test_why_says_how_far_the_race_looked_ahead():
    losses = {0: [0.5], 1: [0.6], -1: [0.7]}
    assert "stands for" not in said(losses, 599)
    assert (
        "It stands for a cycle of 2,340 batches, 39 times as long, which may want a lower peak; budget=0.5 looks nearer."
        in said(losses, 2340)
    )
    assert "the race was interrupted" in said(losses, is_whole=False)
