"""A learning rate or weight decay for each parameter group: right ones come back as plain Python, wrong ones are named."""

import numpy as np
import pytest
import torch

from fastai_clr.learner.checks import check_per_group
from helpers import assert_same

NAN = float("nan")


@pytest.mark.parametrize(
    "name, value, ranges, checked",
    [
        ("lr", None, dict(above=0), None),
        ("lr", 1e-2, dict(above=0), 1e-2),
        ("lr", np.float64(1e-2), dict(above=0), 1e-2),
        ("lr", torch.tensor(0.5), dict(above=0), 0.5),
        ("lrs", [1e-2], dict(above=0), [1e-2]),
        ("lrs", [1e-4, 1e-3, 1e-2], dict(above=0), [1e-4, 1e-3, 1e-2]),
        ("lrs", np.array([1e-4, 1e-3, 1e-2]), dict(above=0), [1e-4, 1e-3, 1e-2]),
        ("lrs", (1, np.int64(2), np.float32(0.5)), dict(above=0), [1, 2, 0.5]),
        ("lr", slice(1e-2), dict(above=0), slice(None, 1e-2)),
        ("lrs", slice(np.float64(1e-4), np.array(1e-2)), dict(above=0), slice(1e-4, 1e-2)),
        ("wd", 0, dict(least=0), 0),
        ("wds", torch.tensor([0.0, 0.25, 0.5]), dict(least=0), [0.0, 0.25, 0.5]),
    ],
    ids=repr,
)  # fmt: skip
def test_a_value_for_all_of_three_groups_or_one_for_each(name, value, ranges, checked):
    assert_same(check_per_group(name, value, 3, allow_slice=name.startswith("lr"), **ranges), checked)


@pytest.mark.parametrize(
    "name, value, error, match",
    [
        ("lrs", [1e-3, 1e-2], ValueError, r"lrs should have 1 value or one for each of the optimizer's 3 parameter groups .*, but given 2: \[0\.001, 0\.01\]"),
        ("lrs", [], ValueError, r"lrs should have 1 value or one for each of the optimizer's 3 parameter groups .*, but given 0: \[\]"),
        ("lrs", [1e-3, 0, 1e-2], ValueError, r"lrs\[1\] should be greater than 0, but given 0"),
        ("lrs", [1e-3, 1e-2, "a"], TypeError, r"lrs\[2\] should be a number, but given 'a'"),
        ("lrs", np.ones((3, 1)), TypeError, r"lrs\[0\] should be a number, but given array\(\[1\.\]\)"),
        ("lr", 0, ValueError, r"lr should be greater than 0, but given 0"),
        ("lr", {"a": 1}, TypeError, r"lr should be a number, but given {'a': 1}"),
        ("lr", slice(-1, 1e-2), ValueError, r"the start of lr should be greater than 0, but given -1"),
        ("lr", slice(1e-4, NAN), ValueError, r"the stop of lr should be finite, but given nan"),
        ("lr", slice(None), TypeError, r"the stop of lr should be a number, but given None"),
        ("lr", slice(1e-4, 1e-2, 3), TypeError, r"lr should be a number, but given slice\(0\.0001, 0\.01, 3\)"),
        ("wd", slice(0.1, 0.2), TypeError, r"wd should be a number, but given slice\(0\.1, 0\.2, None\)"),
    ],
    ids=lambda o: repr(o)[:40],
)  # fmt: skip
def test_what_is_no_value_for_three_groups_is_named(name, value, error, match):
    with pytest.raises(error, match=f"^{match}$"):
        check_per_group(name, value, 3, allow_slice=name.startswith("lr"), above=0)
