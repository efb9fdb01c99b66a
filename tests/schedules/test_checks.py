"""Arguments checked: what is right comes back as plain Python, what is wrong is named in one sentence."""

from decimal import Decimal
from enum import IntEnum
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import torch
from fastcore.foundation import L

from fastai_clr.schedules.checks import as_list, check_bool, check_number, check_peaks, is_several
from helpers import assert_same

NAN, INF = float("nan"), float("inf")


class Size(IntEnum):
    SMALL = 8


# -- one number ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value, ranges, number",
    [
        (32, {}, 32),
        (0.5, {}, 0.5),
        (-3, {}, -3),
        (10**30, {}, 10**30),
        (Fraction(1, 4), {}, 0.25),
        (Size.SMALL, {}, 8),
        (np.int64(5), {}, 5),
        (np.float64(0.1), {}, 0.1),
        (np.float32(0.5), {}, 0.5),
        (np.array(5), {}, 5),
        (np.array(0.5), {}, 0.5),
        (torch.tensor(5), {}, 5),
        (torch.tensor(0.5), {}, 0.5),
        (1, dict(least=1), 1),
        (1, dict(most=1), 1),
        (1e-9, dict(above=0), 1e-9),
        (0.999, dict(least=0, below=1), 0.999),
        (7, dict(least=1, integer=True), 7),
        (np.int32(7), dict(integer=True), 7),
        (torch.tensor(7), dict(integer=True), 7),
    ],
    ids=repr,
)  # fmt: skip
def test_a_number_becomes_a_python_number(value, ranges, number):
    assert_same(check_number("div", value, **ranges), number)


@pytest.mark.parametrize(
    "value, ranges, error, match",
    [
        (None, {}, TypeError, r"div should be a number, but given None"),
        ("32", {}, TypeError, r"div should be a number, but given '32'"),
        (True, {}, TypeError, r"div should be a number, but given True"),
        (np.True_, {}, TypeError, r"div should be a number, but given (np\.)?True_?"),
        (torch.tensor(True), {}, TypeError, r"div should be a number, but given tensor\(True\)"),
        (1j, {}, TypeError, r"div should be a number, but given 1j"),
        (Decimal(1), {}, TypeError, r"div should be a number, but given Decimal\('1'\)"),
        ([32], {}, TypeError, r"div should be a number, but given \[32\]"),
        (np.array([32]), {}, TypeError, r"div should be a number, but given array\(\[32\]\)"),
        (slice(1), {}, TypeError, r"div should be a number, but given slice\(None, 1, None\)"),
        (1.5, dict(integer=True), TypeError, r"div should be an integer, but given 1\.5"),
        (3.0, dict(integer=True), TypeError, r"div should be an integer, but given 3\.0"),
        (True, dict(integer=True), TypeError, r"div should be an integer, but given True"),
        (NAN, {}, ValueError, r"div should be finite, but given nan"),
        (-INF, {}, ValueError, r"div should be finite, but given -inf"),
        (torch.tensor(NAN), {}, ValueError, r"div should be finite, but given tensor\(nan\)"),
        (10**400, {}, ValueError, r"div should be finite, but given 10{400}"),
        (INF, dict(most=1), ValueError, r"div should be finite, but given inf"),
        (0.5, dict(least=1), ValueError, r"div should be at least 1, but given 0\.5"),
        (0, dict(above=0), ValueError, r"div should be greater than 0, but given 0"),
        (1, dict(below=1), ValueError, r"div should be less than 1, but given 1"),
        (1.1, dict(most=1), ValueError, r"div should be at most 1, but given 1\.1"),
        (-1, dict(least=0, below=1), ValueError, r"div should be at least 0, but given -1"),
    ],
    ids=lambda o: repr(o)[:40],
)  # fmt: skip
def test_what_is_no_such_number_is_named(value, ranges, error, match):
    with pytest.raises(error, match=f"^{match}$"):
        check_number("div", value, **ranges)


@pytest.mark.parametrize("value", [True, False])
def test_true_and_false_pass(value):
    check_bool("cosine", value)


@pytest.mark.parametrize("value", [None, 0, 1, "True", np.True_])
def test_what_is_neither_true_nor_false_is_named(value):
    with pytest.raises(TypeError, match=f"^cosine should be True or False, but given {value!r}$"):
        check_bool("cosine", value)


# -- one or several ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "o, several, items",
    [
        (None, False, []),
        (3, False, [3]),
        ("ab", False, ["ab"]),
        (b"ab", False, [b"ab"]),
        ({"a": 1}, False, [{"a": 1}]),
        (slice(1, 2), False, [slice(1, 2)]),
        (len, False, [len]),
        (torch.tensor(3.0), False, [torch.tensor(3.0)]),
        (np.array(3), False, [np.array(3)]),
        ([], True, []),
        ([3, 4], True, [3, 4]),
        ((3, 4), True, [3, 4]),
        (range(3), True, [0, 1, 2]),
        (L(3, 4), True, [3, 4]),
        (np.array([3, 4]), True, [3, 4]),
        (torch.tensor([3, 4]), True, [3, 4]),
        (pd.Series([3, 4]), True, [3, 4]),
    ],
    ids=repr,
)  # fmt: skip
def test_one_value_or_several(o, several, items):
    assert is_several(o) is several
    assert type(as_list(o)) is list and as_list(o) == items


def test_the_list_is_a_new_one():
    given = [1, 2]
    as_list(given).append(3)
    assert given == [1, 2]


# -- learning rates and weight decay -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lr, peaks",
    [
        (1e-2, [1e-2]),
        (1, [1]),
        ([1e-4, 1e-2], [1e-4, 1e-2]),
        ((1, 0.1), [1, 0.1]),
        (np.array([1e-4, 1e-2]), [1e-4, 1e-2]),
        (np.array(1e-2), [1e-2]),
        (torch.tensor([0.25, 0.5]), [0.25, 0.5]),
    ],
    ids=repr,
)
def test_peaks_are_a_list_of_python_numbers(lr, peaks):
    assert_same(check_peaks(lr), peaks)


@pytest.mark.parametrize(
    "lr, error, match",
    [
        ([], ValueError, r"lr should have at least 1 value, but given \[\]"),
        (0, ValueError, r"lr should be greater than 0, but given 0"),
        ([0], ValueError, r"lr should be greater than 0, but given 0"),
        ([0, 0.0], ValueError, r"lr should have at least 1 value that is greater than 0, but given \[0, 0\.0\]"),
        ([1e-2, -1], ValueError, r"lr should be at least 0, but given -1"),
        ([1e-2, NAN], ValueError, r"lr should be finite, but given nan"),
        (None, TypeError, r"lr should be a number, but given None"),
        ("high", TypeError, r"lr should be a number, but given 'high'"),
        ([1e-2, None], TypeError, r"lr should be a number, but given None"),
        (slice(1e-4, 1e-2), TypeError, r"lr should be a number, but given slice\(0\.0001, 0\.01, None\)"),
    ],
    ids=lambda o: repr(o)[:40],
)  # fmt: skip
def test_what_are_no_peaks_is_named(lr, error, match):
    with pytest.raises(error, match=f"^{match}$"):
        check_peaks(lr)
