"""The quick guess: which rate it reads off the curves of lr_find."""

import numpy as np
import pytest

from fastai_clr.learner.trials.finder import find_curve, peak_of
from fastai_clr.learner.trials.sandbox import Sandbox

RATES = np.geomspace(1e-5, 10, 61)  # ten batches per decade


def curve(fall_at, low=0.5, rise_at=1.0, noise=0.0, seed=0, rates=RATES):
    """A loss of 2.5 that falls in one decade below `fall_at` to `low`, and rises from `rise_at` on."""
    down = np.clip(np.log10(rates / fall_at) + 1, 0, 1)
    up = np.clip(np.log10(rates / rise_at), 0, None) * 5
    return rates.tolist(), (
        2.5 - (2.5 - low) * down + up + noise * np.random.default_rng(seed).normal(size=len(rates))
    ).tolist()


@pytest.mark.parametrize("fall_at", [3e-3, 1e-2, 1e-1])
@pytest.mark.parametrize("low", [0.5, -3.0])
def test_it_is_a_quarter_of_the_rate_at_which_nine_tenths_of_the_fall_are_done(fall_at, low):
    assert peak_of([curve(fall_at, low)]) == pytest.approx(
        fall_at / 10**0.1 / 4, rel=0.26
    )  # a batch is a tenth of a decade


def test_several_curves_are_averaged():
    noisy = [curve(1e-2, noise=0.3, seed=k) for k in range(30)]
    assert peak_of(noisy) == pytest.approx(1e-2 / 10**0.1 / 4, rel=0.3)
    assert peak_of([curve(1e-2), curve(1e-2)]) == peak_of([curve(1e-2)])


def test_the_shortest_curve_and_the_first_nan_end_the_mean():
    rates, losses = curve(1e-2)
    assert peak_of([(rates, losses), (rates[:45], losses[:45])]) == peak_of([(rates, losses)])
    assert peak_of([(rates, losses[:-3] + [float("nan")] * 3)]) == peak_of([(rates, losses)])


@pytest.mark.parametrize(
    "curves",
    [
        [(RATES.tolist(), [2.5] * 61)],  # flat
        [(RATES.tolist(), np.geomspace(2, 9, 61).tolist())],  # rising
        [curve(1e-2, low=2.5, noise=0.1)],  # noise alone
        [(RATES[:5].tolist(), [2.5, 2.4, 2.3, 2.2, 2.1])],  # over at once
        [([], [])],
        [(RATES.tolist(), [float("nan")] * 61)],
    ],
    ids=["flat", "rising", "noise", "short", "empty", "nan"],
)
def test_without_a_fall_there_is_no_guess(curves):
    assert peak_of(curves) is None


def test_a_curve_is_lr_finds(learn):
    with Sandbox(learn) as box:
        (rates, losses), again, other = (find_curve(box, seed) for seed in (3, 3, 4))
        with box.copy(3) as (twin, _):
            twin.lr_find(start_lr=1e-5, show_plot=False, suggest_funcs=None)
            assert (rates, losses) == (twin.recorder.lrs, [float(o) for o in twin.recorder.losses])
    assert again == (rates, losses) != other and rates[0] == pytest.approx(1e-5)
