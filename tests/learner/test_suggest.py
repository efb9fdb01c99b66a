"""The first guess: fast.ai's rule of thumb at the lengths of a cycle that the docstring names."""

import pytest
from fastai.learner import Learner

from fastai_clr.learner.suggest import Suggestion


@pytest.mark.parametrize(
    "n_batches, n_epoch, n_cycles, numbers",
    [
        (20, 9, 1, (10, 5)),
        (199, 1, 1, (10, 5)),
        (200, 1, 1, (10, 10)),
        (20, 10, 1, (10, 10)),
        (20, 20, 2, (10, 10)),
        (20, 19, 2, (10, 5)),
        (100, 14, 1, (10, 10)),
        (100, 15, 1, (40, 10)),
        (500, 30, 10, (40, 10)),
    ],
)
def test_the_rule_of_thumb_by_batches_in_a_cycle(learner, n_batches, n_epoch, n_cycles, numbers):
    guess = learner(n_batches=n_batches).suggest_clr(n_epoch, 1e-2, n_cycles)
    assert guess[1:3] == numbers and guess.lr == 1e-2
    assert f"with {n_batches * n_epoch // n_cycles} batches in a cycle" in guess.why


def test_the_peak_is_lr_finds_valley(learn, monkeypatch):
    class Found:
        valley = 0.0123

    monkeypatch.setattr(Learner, "lr_find", lambda self, show_plot: Found)
    lr, div, cut_div, why = learn.suggest_clr(3)
    assert (lr, div, cut_div) == (0.0123, 10, 5)
    assert why == (
        "lr: lr_find's loss falls fastest around 0.012; div: 10 with 60 batches in a cycle (fewer than 1500); "
        "cut_div: 5 with 60 batches in a cycle (fewer than 200)"
    )


def test_it_can_be_passed_on(learner):
    learn = learner(n_batches=100, bs=8)
    guess = learn.suggest_clr(2)
    assert isinstance(guess, Suggestion) and 1e-6 < guess.lr < 10
    learn.fit_clr(2, *guess[:3])
    assert max(learn.sched.lrs) == guess.lr and learn.sched.schedule.cut_div == guess.cut_div


@pytest.mark.parametrize(
    "arguments, error, match",
    [
        ((0,), ValueError, "n_epoch should be at least 1, but given 0"),
        ((1.5,), TypeError, "n_epoch should be an integer"),
        ((1, -1), ValueError, "lr should be greater than 0, but given -1"),
        ((1, 1e-2, 21), ValueError, "n_cycles should be at most the number of batches, 20, but given 21"),
    ],
)
def test_bad_arguments(learn, arguments, error, match):
    with pytest.raises(error, match=match):
        learn.suggest_clr(*arguments)
