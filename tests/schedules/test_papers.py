"""The shapes of the papers, against the libraries that have them: fastai 2's fit_one_cycle and torch's CyclicLR."""

import fastai.callback.schedule
import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from fastai_clr import CircularLR, CosAnneal, Cycles
from helpers import Probe, assert_same_rates, make_learner

ONE_CYCLE = CircularLR(25, 4, 0.95, 0.85, cosine=True, div_final=1e5)
shapes = st.builds(
    lambda a, b, cosine, end, gamma, cycle_gamma: CircularLR(
        a, b, 0.95, 0.85, cosine=cosine, div_final=end, gamma=gamma, cycle_gamma=cycle_gamma
    ),
    st.floats(1.01, 60),
    st.floats(1.01, 60),
    st.booleans(),
    st.one_of(st.none(), st.floats(1, 1e6)),
    st.floats(0.9, 1),
    st.floats(0.1, 1),
)


def rates_of_fit_one_cycle(path, n_batches, n_epoch):
    learn, probe = make_learner(path, n_batches, n_groups=2), Probe()
    learn.fit_one_cycle(n_epoch, slice(1e-4, 1e-2), cbs=probe)
    return np.array(probe.probed_lrs), np.array(probe.probed_moms)[:, -1]


@pytest.mark.parametrize("n_batches, n_epoch", [(4, 1), (20, 3), (25, 4), (64, 1)])
def test_fit_one_cycle_is_one_setting(tmp_path, monkeypatch, n_batches, n_epoch):
    factors, momentums = ONE_CYCLE.at(np.arange(n_batches * n_epoch), Cycles(1, n_epoch, n_iter=n_batches))
    expected = factors[:, None] * [1e-4, 1e-2]
    rates, moms = rates_of_fit_one_cycle(tmp_path, n_batches, n_epoch)
    assert np.abs(rates - expected).max() < 1e-7 * 1e-2  # fastai computes the position in single precision

    def in_double_precision(o):
        return torch.tensor(list(o), dtype=torch.float64)

    monkeypatch.setattr(fastai.callback.schedule, "tensor", in_double_precision)
    rates, moms = rates_of_fit_one_cycle(tmp_path, n_batches, n_epoch)
    assert_same_rates(rates, expected, 1e-2)
    assert_same_rates(moms, momentums, 1)


def test_where_a_quarter_is_no_whole_number_the_peak_still_falls_on_a_batch():
    factors = ONE_CYCLE.at(np.arange(30), Cycles(1, 30))[0]
    assert factors.argmax() == 7 and factors[7] == 1


@pytest.mark.parametrize(
    "mode, shape",
    [
        ("triangular", {}),
        ("triangular2", {"cycle_gamma": 0.5}),
        ("exp_range", {"gamma": 0.99}),
    ],
)
@pytest.mark.parametrize("up, down", [(10, 10), (5, 20), (1, 3)])
def test_smiths_policies_are_those_of_torchs_cyclic_lr(mode, shape, up, down):
    n = 4 * (up + down)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1e-2, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.CyclicLR(
        optimizer, 1e-2 / 4, 1e-2, up, down, mode, shape.get("gamma", 1), base_momentum=0.85, max_momentum=0.95
    )
    rates, momentums = [], []
    for _ in range(n):
        rates.append(optimizer.param_groups[0]["lr"])
        momentums.append(optimizer.param_groups[0]["momentum"])
        optimizer.step()
        scheduler.step()
    ours = CircularLR(4, (up + down) / up, 0.95, 0.85, **shape)
    factors, moms = ours.at(np.arange(n), Cycles(4, up + down))
    assert_same_rates(factors * 1e-2, rates, 1e-2)
    assert_same_rates(moms, momentums, 1)


def test_the_cosine_as_published_starts_at_its_peak():
    factors = CosAnneal(slow_start=False).at(np.arange(20), Cycles(2, 10))[0]
    half = (np.cos(np.pi * np.arange(10) / 10) + 1) / 2
    assert_same_rates(factors, [*half, *half], 1)


@given(shapes, st.integers(1, 300), st.integers(1, 4))
@example(CircularLR(1.5, 4, 0.95, 0.85, div_final=1), 3, 1)
def test_every_shape_stays_between_its_lowest_rate_and_its_peak(schedule, nb, n_cycles):
    factors, momentums = schedule.at(np.arange(nb * n_cycles), Cycles(n_cycles, nb))
    lowest = min(1 / schedule.div, 1 / (schedule.div_final or schedule.div))
    assert (factors >= lowest * (1 - 1e-12)).all() and (factors <= 1).all()
    assert (momentums >= 0.85 - 1e-12).all() and (momentums <= 0.95 + 1e-12).all()
    heights = (factors.reshape(n_cycles, nb)[:, int(nb // schedule.cut_div)] * schedule.div - 1) / (schedule.div - 1)
    peaks = nb * np.arange(n_cycles) + int(nb // schedule.cut_div)
    assert heights == pytest.approx(schedule.cycle_gamma ** np.arange(n_cycles) * schedule.gamma**peaks, abs=1e-9)


def test_the_last_batch_is_on_its_way_to_the_final_rate():
    factors = CircularLR(10, 5, div_final=1000).at(np.arange(100), Cycles(1, 100))[0]
    assert factors[[0, 20, 99]] == pytest.approx([1 / 10, 1, 1 / 1000 + (1 - 1 / 1000) / 80])


@given(shapes)
def test_shapes_print_as_they_are_typed(schedule):
    assert eval(repr(schedule)) == schedule
