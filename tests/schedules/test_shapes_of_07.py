import pickle
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastai_clr import CircularLR, CircularLRBeta, Constant, CosAnneal, Cycles, Schedule
from fastai_clr.schedules import ScheduleReader
from helpers import TRACES, assert_same_rates

whole_or_fraction = st.one_of(st.integers(1, 60), st.floats(1, 60))
moms = st.one_of(st.tuples(), st.tuples(st.floats(0, 0.999), st.floats(0, 0.999)))
triangles = st.builds(lambda a, b, m: CircularLR(a, b, *m), whole_or_fraction, whole_or_fraction, moms)
betas = st.builds(lambda a, b, m: CircularLRBeta(a, b, *m), whole_or_fraction, st.floats(0, 99.9), moms)
schedules = st.one_of(triangles, betas, st.just(CosAnneal()), st.just(Constant()))
cycles = st.builds(Cycles, st.integers(1, 5), st.floats(0.01, 4), st.sampled_from([0.5, 1, 1.5, 2]), st.integers(1, 40))


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
    ],
)
def test_the_factor_of_each_batch(schedule, nb, factors):
    assert schedule.at(np.arange(nb), Cycles(1, nb))[0] == pytest.approx(factors, abs=1e-15)


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
    reader = ScheduleReader(Shape(), fit, [1, 10])  # peaks that are whole numbers, too
    for step, factor in enumerate(factors):
        assert Shape().at(step, fit) == (factor, None)
        reader.read(step)
        assert (reader.factor, reader.rates, reader.momentum) == (factor, [factor, 10 * factor], None)


def test_only_the_fits_first_batches_wait_for_the_cosine():
    factors = CosAnneal().at(np.arange(310), Cycles(2, 10, 30))[0]
    assert factors[0] == 0.01 and factors[10] == 1


@given(schedules, cycles)
def test_a_number_and_an_array_give_the_same_values(schedule, fit):
    steps = np.arange(fit.n_batches)
    factors, momentums = schedule.at(steps, fit)
    for step in {0, fit.n_batches // 3, fit.n_batches - 1}:
        factor, momentum = schedule.at(step, fit)
        assert type(factor) is float and factor == factors[step]
        assert momentum is None if momentums is None else type(momentum) is float and momentum == momentums[step]


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


@given(schedules, cycles)
def test_a_step_past_the_end_counts_as_the_last(schedule, fit):
    assert schedule.at(fit.n_batches + 5, fit) == schedule.at(fit.n_batches - 1, fit)
    assert schedule.at(-3, fit) == schedule.at(0, fit)


@given(schedules)
def test_schedules_compare_hash_pickle_and_print(schedule):
    twins = [pickle.loads(pickle.dumps(schedule)), eval(repr(schedule))]
    assert all(o == schedule and hash(o) == hash(schedule) for o in twins)


@given(cycles)
def test_cycles_compare_hash_pickle_and_print(fit):
    assert fit.ends is not None
    twins = [pickle.loads(pickle.dumps(fit)), eval(repr(fit))]
    assert all(o == fit and hash(o) == hash(fit) for o in twins)


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
        (lambda: Cycles(0), ValueError, r"n_cycles should be at least 1, but given 0"),
        (lambda: Cycles(1.5), TypeError, r"n_cycles should be an integer, but given 1.5"),
        (lambda: Cycles(1, 0), ValueError, r"cycle_len should be greater than 0, but given 0"),
        (lambda: Cycles(1, 1, -2), ValueError, r"cycle_mult should be greater than 0, but given -2"),
        (lambda: Cycles(100, 1, 10), ValueError, r"should give a fit that can end, but given 100, 1 and 10"),
        (lambda: Cycles(10**6, 1, 2), ValueError, r"should give a fit that can end"),
        (lambda: Cycles.of_epochs(3, 70, n_iter=20), ValueError, r"n_cycles should be at most the number of batches, 60, .*70"),
        (lambda: Cycles.of_epochs(5, 5, 0.1), ValueError, r"each cycle should have at least 1 of the 5 batches"),
        (lambda: Cycles(10**10), ValueError, r"should give a fit that can end"),
        (lambda: CircularLR(10**400), ValueError, r"div should be finite"),
        (lambda: CircularLR().plot(lr=[]), ValueError, r"lr should have at least 1 value"),
        (lambda: CircularLR().plot(lr=0), ValueError, r"lr should be greater than 0, but given 0"),
        (lambda: CircularLR().plot(lr=[0.1, "a"]), TypeError, r"lr should be a number, but given 'a'"),
        (lambda: CircularLR().plot(n_batches=0), ValueError, r"n_batches should be at least 1, but given 0"),
        (lambda: CircularLR().plot(n_batches=1.5), TypeError, r"n_batches should be an integer, but given 1.5"),
        (lambda: CircularLR().plot(n_batches=10, n_cycles=11), ValueError, r"n_cycles should be at most"),
    ],
)  # fmt: skip
def test_bad_numbers_are_refused_where_the_object_is_built(build, error, match):
    with pytest.raises(error, match=match):
        build()


def test_a_schedule_draws_itself_before_any_training():
    ax = CircularLR(20, 5, 0.95, 0.85).plot(lr=[1e-4, 1e-2], n_batches=100, n_cycles=2)
    moms_ax = ax.figure.axes[1]
    fit = Cycles(2, 50)
    factors, momentums = CircularLR(20, 5, 0.95, 0.85).at(np.arange(100), fit)
    for line, peak in zip(ax.lines, (1e-4, 1e-2)):
        np.testing.assert_array_equal(line.get_data(), [np.arange(1, 101), factors * peak])
    np.testing.assert_array_equal(moms_ax.lines[0].get_data(), [np.arange(1, 101), momentums])
    assert [line.get_xdata()[0] for line in ax.lines[2:]] == [50, 100]
    assert CircularLR.plot_lr is CircularLR.plot
    assert len(CircularLR(20, 5, 0.95, 0.85).plot(show_moms=False).figure.axes) == 1


@pytest.mark.parametrize("schedule", [CircularLR(32, 5), CircularLR(25, 4, 0.95, 0.85, cosine=True), CosAnneal()])
def test_a_table_of_steps_gives_a_table_of_values(schedule):
    steps, cycles = np.arange(4000), Cycles(3, 1500)
    for values, table in zip(schedule.at(steps, cycles), schedule.at(steps.reshape(4, 1000), cycles)):
        if values is None:
            assert table is None and schedule.mom_a is None
        else:
            np.testing.assert_array_equal(values.reshape(4, 1000), table)
