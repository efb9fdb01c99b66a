"""The shapes of fastai 0.7: its values, batch by batch, and what each shape promises."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import find, given
from hypothesis import strategies as st

import fastai_clr.all
from fastai_clr import CircularLR, CircularLRBeta, Constant, Cooldown, CosAnneal, Cycles, Schedule
from fastai_clr.schedules import shapes
from helpers import TRACES, assert_same_rates
from strategies import betas, cycles, schedules, triangles


def schedule_of(case):
    if "use_clr" in case:
        return CircularLR(*case["use_clr"])
    if "use_clr_beta" in case:
        return CircularLRBeta(*case["use_clr_beta"])
    return CosAnneal() if "cycle_len" in case else Constant()


@pytest.mark.parametrize("case", TRACES, ids=lambda c: str({k: v for k, v in c.items() if k not in ("lr", "mom")}))
def test_the_values_of_fastai_0_7(case):
    fit = Cycles(case["n_cycle"], case.get("cycle_len", 1), case.get("cycle_mult", 1), case["n_batches"])
    factors, momentums = schedule_of(case).at(np.arange(fit.n_batches), fit)
    peaks = np.atleast_1d(case["lrs"])
    assert_same_rates(factors[:, None] * peaks, case["lr"], peaks)
    if case["mom"] is None:
        assert momentums is None
    else:
        assert_same_rates(momentums, case["mom"], 1)


@pytest.mark.parametrize(
    "schedule, nb, factors",
    [
        (CircularLR(4, 2), 8, [1 / 4, 7 / 16, 10 / 16, 13 / 16, 1, 13 / 16, 10 / 16, 7 / 16]),
        (CircularLR(4, 1), 4, [1 / 4, 7 / 16, 10 / 16, 13 / 16]),  # rises only, one batch short of the peak
        (CircularLR(4, 10), 4, [1, 13 / 16, 10 / 16, 7 / 16]),  # shorter than cut_div: starts at the peak (issue #727)
        (CircularLR(1, 5), 5, [1, 1, 1, 1, 1]),
        (CircularLRBeta(4, 0), 4, [1 / 4, 5 / 8, 1, 5 / 8]),
        (CircularLRBeta(4, 50), 8, [1 / 4, 5 / 8, 1, 5 / 8, 1 / 4] + [(1 - 0.99 * k / 4) / 4 for k in (1, 2, 3)]),
        (CircularLRBeta(4, 99), 4, [1] + [(1 - 0.99 * k / 4) / 4 for k in (1, 2, 3)]),  # no room to rise
        (CosAnneal(), 4, [0.01, (2**-0.5 + 1) / 2, 0.5, (1 - 2**-0.5) / 2]),
        (Constant(), 3, [1, 1, 1]),
        (Cooldown(10), 4, [1 - 0.9 / 4, 1 - 0.9 / 2, 1 - 0.9 * 3 / 4, 0.1]),  # from one step below the rate held
        (Cooldown(4), 1, [1 / 4]),
        (Cooldown(1), 3, [1, 1, 1]),
    ],
)
def test_the_factor_of_each_batch(schedule, nb, factors):
    assert schedule.at(np.arange(nb), Cycles(1, nb))[0] == pytest.approx(factors, abs=1e-15)


def test_only_the_fits_first_batches_wait_for_the_cosine():
    factors = CosAnneal().at(np.arange(310), Cycles(2, 10, 30))[0]
    assert factors[0] == 0.01 and factors[10] == 1


@given(schedules, cycles)
def test_rates_are_positive_and_never_above_the_peak(schedule, fit):
    factors, momentums = schedule.at(np.arange(fit.n_batches), fit)
    assert ((factors > 0) & (factors <= 1)).all()
    if momentums is not None:
        low, high = sorted((schedule.mom_a, schedule.mom_b))
        assert (momentums >= low - 1e-15).all() and (momentums <= high + 1e-15).all()


@given(triangles.filter(lambda s: s.div > 1.001 and s.cut_div > 1), st.integers(1, 500), st.integers(1, 3))
def test_a_triangle_rises_to_its_peak_and_falls(schedule, nb, n_cycles):
    factors = schedule.at(np.arange(nb * n_cycles), Cycles(n_cycles, nb))[0].reshape(n_cycles, nb)
    cut = int(nb // schedule.cut_div)
    for cycle in factors:
        assert cycle.argmax() == cut and cycle[cut] == 1
        assert (np.diff(cycle[: cut + 1]) >= 0).all() and (np.diff(cycle[cut:]) <= 0).all()
        assert cut == 0 or cycle[0] == pytest.approx(1 / schedule.div)


@given(betas.filter(lambda s: s.div > 1.001), st.integers(1, 500))
def test_1cycle_peaks_halfway_to_its_last_phase_and_ends_below_its_start(schedule, nb):
    factors, momentums = schedule.at(np.arange(nb), Cycles(1, nb))
    half = int(nb * (1 - schedule.pct / 100) / 2)
    assert factors.argmax() == half and factors[half] == 1
    last = factors[2 * half + 1 :]
    assert (last < 1 / schedule.div).all() and (np.diff(last) < 0).all()
    if momentums is not None:
        assert (momentums[2 * half + 1 :] == schedule.mom_a).all() and momentums[half] == schedule.mom_b


@given(triangles.filter(lambda s: s.mom_a is not None and s.cut_div > 1), st.integers(1, 500))
def test_momentum_goes_in_phase_with_the_rate(schedule, nb):
    momentums = schedule.at(np.arange(nb), Cycles(1, nb))[1]
    cut = int(nb // schedule.cut_div)
    assert momentums[cut] == schedule.mom_b
    assert cut == 0 or momentums[0] == schedule.mom_a


def test_numbers_of_numpy_become_python_numbers():
    assert repr(CircularLR(np.float64(32), np.int64(5))) == "CircularLR(div=32.0, cut_div=5)"
    assert CircularLR(32, 5) == CircularLR(np.array(32), 5.0) != CircularLR(32, 10)


@pytest.mark.parametrize(
    "build, error, match",
    [
        (lambda: CircularLR("32", 5), TypeError, r"div should be a number, but given '32'"),
        (lambda: CircularLR(None, 5), TypeError, r"div should be a number, but given None"),
        (lambda: CircularLR(True, 5), TypeError, r"div should be a number, but given True"),
        (lambda: CircularLR((32, 5)), TypeError, r"div should be a number, but given \(32, 5\)"),
        (lambda: CircularLR(0.5, 5), ValueError, r"div should be at least 1, but given 0.5"),
        (lambda: CircularLR(32, 0), ValueError, r"cut_div should be at least 1, but given 0"),
        (lambda: CircularLR(float("nan"), 5), ValueError, r"div should be finite, but given nan"),
        (lambda: CircularLR(32, float("inf")), ValueError, r"cut_div should be finite, but given inf"),
        (lambda: CircularLR(32, 5, 0.95), ValueError, r"mom_a and mom_b should be given both or neither"),
        (lambda: CircularLR(32, 5, 0.95, 1), ValueError, r"mom_b should be less than 1, but given 1"),
        (lambda: CircularLR(32, 5, -0.1, 0.8), ValueError, r"mom_a should be at least 0, but given -0.1"),
        (lambda: CircularLRBeta(0, 10), ValueError, r"div should be at least 1, but given 0"),
        (lambda: CircularLRBeta(10, 100), ValueError, r"pct should be less than 100, but given 100"),
        (lambda: CircularLRBeta(10, -1), ValueError, r"pct should be at least 0, but given -1"),
        (lambda: CircularLR(10**400), ValueError, r"div should be finite"),
        (lambda: CircularLR(4, 2, cosine=1), TypeError, "cosine should be True or False, but given 1"),
        (lambda: CircularLR(4, 2, div_final=0.5), ValueError, "div_final should be at least 1, but given 0.5"),
        (lambda: CircularLR(4, 2, div_final="x"), TypeError, "div_final should be a number, but given 'x'"),
        (lambda: CircularLR(4, 2, gamma=0), ValueError, "gamma should be greater than 0, but given 0"),
        (lambda: CircularLR(4, 2, gamma=1.1), ValueError, "gamma should be at most 1, but given 1.1"),
        (lambda: CircularLR(4, 2, cycle_gamma=2), ValueError, "cycle_gamma should be at most 1, but given 2"),
        (lambda: CosAnneal(slow_start=None), TypeError, "slow_start should be True or False, but given None"),
    ],
)  # fmt: skip
def test_bad_numbers_are_refused_where_the_object_is_built(build, error, match):
    with pytest.raises(error, match=match):
        build()


SHAPES = [o for o in vars(shapes).values() if isinstance(o, type) and issubclass(o, Schedule) and o is not Schedule]


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_where_people_look_for_it_and_among_those_that_are_tested(shape):
    for package in (fastai_clr, fastai_clr.schedules, fastai_clr.all):
        assert shape.__name__ in package.__all__
    assert find(schedules, lambda schedule: type(schedule) is shape)


@pytest.mark.parametrize("momentum, missing", [({}, "factor"), (dict(mom_a=0.9, mom_b=0.8), "height")])
def test_a_shape_that_lacks_a_method_says_which(momentum, missing):
    @dataclass(frozen=True, repr=False)
    class Half(Schedule):
        mom_a: float | None = None
        mom_b: float | None = None

    if missing == "height":
        Half.factor = lambda self, i, cycle: 0.5
    with pytest.raises(NotImplementedError, match=rf"Half should define {missing}\(i, cycle\)"):
        Half(**momentum).at(0, Cycles.of_batches(10))
