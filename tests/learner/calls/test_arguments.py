"""A learning rate or weight decay for each parameter group: right ones come back as plain Python, wrong ones are named."""

import numpy as np
import pytest
import torch

from fastai_clr.all import CircularLR, CLRCallback, Cycles
from fastai_clr.learner.calls.arguments import check_lr, check_per_group
from helpers import OPTIMIZERS, Probe, assert_same

NAN = float("nan")


def check(name, value):
    return check_lr(name, value, 3) if name.startswith("lr") else check_per_group(name, value, 3, least=0)


@pytest.mark.parametrize(
    "name, value, checked",
    [
        ("lr", None, None),
        ("lr", 1e-2, 1e-2),
        ("lr", np.float64(1e-2), 1e-2),
        ("lr", torch.tensor(0.5), 0.5),
        ("lrs", [1e-2], [1e-2]),
        ("lrs", [1e-4, 1e-3, 1e-2], [1e-4, 1e-3, 1e-2]),
        ("lrs", [0, 1e-3, 1e-2], [0, 1e-3, 1e-2]),
        ("lrs", np.array([1e-4, 1e-3, 1e-2]), [1e-4, 1e-3, 1e-2]),
        ("lrs", (1, np.int64(2), np.float32(0.5)), [1, 2, 0.5]),
        ("lr", slice(1e-2), slice(None, 1e-2)),
        ("lrs", slice(np.float64(1e-4), np.array(1e-2)), slice(1e-4, 1e-2)),
        ("wd", None, None),
        ("wd", 0, 0),
        ("wds", torch.tensor([0.0, 0.25, 0.5]), [0.0, 0.25, 0.5]),
        ("wds", [0, 0, 0], [0, 0, 0]),
    ],
    ids=repr,
)
def test_a_value_for_all_of_three_groups_or_one_for_each(name, value, checked):
    assert_same(check(name, value), checked)


@pytest.mark.parametrize(
    "name, value, error, match",
    [
        ("lrs", [1e-3, 1e-2], ValueError, r"lrs should have 1 value or 3, one for each parameter group .*, but given 2: \[0\.001, 0\.01\]"),
        ("lrs", [], ValueError, r"lrs should have 1 value or 3, one for each parameter group .*, but given 0: \[\]"),
        ("lrs", [1e-3, -1, 1e-2], ValueError, r"lrs\[1\] should be at least 0, but given -1"),
        ("lrs", [0, 0, 0], ValueError, r"lrs should have at least 1 value that is greater than 0, but given \[0, 0, 0\]"),
        ("lrs", [0], ValueError, r"lrs\[0\] should be greater than 0, but given 0"),
        ("lrs", [1e-3, 1e-2, "a"], TypeError, r"lrs\[2\] should be a number, but given 'a'"),
        ("lrs", np.ones((3, 1)), TypeError, r"lrs\[0\] should be a number, but given array\(\[1\.\]\)"),
        ("lr", 0, ValueError, r"lr should be greater than 0, but given 0"),
        ("lr", {"a": 1}, TypeError, r"lr should be a number, but given {'a': 1}"),
        ("lr", slice(-1, 1e-2), ValueError, r"the start of lr should be greater than 0, but given -1"),
        ("lr", slice(0, 1e-2), ValueError, r"the start of lr should be greater than 0, but given 0"),
        ("lr", slice(1e-4, NAN), ValueError, r"the stop of lr should be finite, but given nan"),
        ("lr", slice(None), TypeError, r"the stop of lr should be a number, but given None"),
        ("lr", slice(1e-4, 1e-2, 3), TypeError, r"lr should be a number, but given slice\(0\.0001, 0\.01, 3\)"),
        ("wd", slice(0.1, 0.2), TypeError, r"wd should be a number, but given slice\(0\.1, 0\.2, None\)"),
        ("wds", [0, -1, 0], ValueError, r"wds\[1\] should be at least 0, but given -1"),
    ],
    ids=lambda o: repr(o)[:40],
)  # fmt: skip
def test_what_is_no_value_for_three_groups_is_named(name, value, error, match):
    with pytest.raises(error, match=f"^{match}$"):
        check(name, value)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(
    "fit",
    [
        lambda o, cbs: o.fit([0, 1e-3, 1e-2], 1, cycle_len=1, use_clr=(10, 5), cbs=cbs),
        lambda o, cbs: o.fit_clr(1, [0, 1e-3, 1e-2], cut_div=5, cbs=cbs),
        lambda o, cbs: o.fit(1, [0, 1e-3, 1e-2], cbs=[CLRCallback(CircularLR(10, 5)), cbs]),
    ],
)
def test_a_group_at_rate_0_stands_still(learner, fit, optimizer):
    learn, probe = learner(10, 3, OPTIMIZERS[optimizer]), Probe()
    before = [p.detach().clone() for p in learn.model.parameters()]
    fit(learn, probe)
    factors = CircularLR(10, 5).at(np.arange(10), Cycles(1, 10))[0]
    np.testing.assert_array_equal(learn.sched.all_lrs, factors[:, None] * [0, 1e-3, 1e-2])
    np.testing.assert_array_equal(probe.probed_lrs, learn.sched.all_lrs)
    assert [torch.equal(p, o) for p, o in zip(learn.model.parameters(), before)] == [True, True] + 4 * [False]
    assert "with peaks of 0 and 0.001" in learn.sched.describe()
