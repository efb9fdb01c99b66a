"""The runs as one table, and what is computed from its columns."""

from math import isnan, nan

import numpy as np
import pandas as pd
import pytest

from fastai_clr.report.table import by_schedule, differences, runs_table
from helpers import run_of, run_of_rows, runs_of

A, B = (0.80, 0.82, 0.78), (0.90, 0.93, 0.87)


def finals(**values):
    """Final values by schedule, a dict by seed for each."""
    index = pd.MultiIndex.from_tuples([(k, seed) for k, o in values.items() for seed in o], names=["schedule", "seed"])
    return pd.Series([v for o in values.values() for v in o.values()], index)


def test_a_row_for_each_run_with_what_can_be_said_of_it():
    runs = [run_of("b", 4, [0.5, 0.9, 0.8], lr=slice(1e-3, 1e-2), seconds=2.5), run_of("a", 3, [0.6], lr=[0.1, 0.2])]
    table = runs_table(runs, ["accuracy", "valid_loss"], "accuracy", target=0.7)
    assert table.index.tolist() == [("b", 4), ("a", 3)] and table.index.names == ["schedule", "seed"]
    assert table["run"].tolist() == runs and table["peak"].tolist() == [slice(1e-3, 1e-2), [0.1, 0.2]]
    assert table["seconds"].tolist() == [2.5, 1.0] and table["trouble"].tolist() == ["", ""]
    assert table["final accuracy"].tolist() == [0.8, 0.6] and table["best accuracy"].tolist() == [0.9, 0.6]
    assert table["best valid_loss"].tolist() == pytest.approx([0.1, 0.4])
    assert table["epochs to accuracy"].iloc[0] == 2 and isnan(table["epochs to accuracy"].iloc[1])


def test_a_run_that_failed_says_why():
    runs = [run_of_rows("a", 0, [], losses=[nan], n_epoch=1), run_of("a", 1, [0.5]), run_of("a", 2, [nan])]
    table = runs_table(runs, ["accuracy"], "accuracy")
    assert table["trouble"].tolist() == ["diverged", "", "nan"] and isnan(table["final accuracy"].iloc[0])
    assert table["epochs to accuracy"].isna().all()  # no target


def test_of_no_runs_it_is_empty():
    assert runs_table([], ["accuracy"], "accuracy").empty


def test_a_difference_is_to_the_same_seed_whatever_the_order_of_the_runs():
    values = finals(b={2: 5.0, 0: 3.0}, a={0: 1.0, 1: 9.0, 2: 2.0}, c={1: 4.0, 7: 6.0}, d={8: 1.0})
    assert differences(values, "a").to_dict() == {
        ("b", 2): 3, ("b", 0): 2, ("a", 0): 0, ("a", 1): 0, ("a", 2): 0, ("c", 1): -5,
    }  # fmt: skip


def test_a_seed_without_a_finite_value_on_one_side_has_a_difference_of_nan():
    values = finals(a={0: 1.0, 1: nan}, b={0: nan, 1: 2.0, 2: 3.0})
    assert differences(values, "a").loc["b"].isna().tolist() == [True, True]


@pytest.mark.parametrize("statistic, of", [
    ("mean", np.mean), ("std", lambda o: np.std(o, ddof=1)), ("sem", lambda o: np.std(o, ddof=1) / np.sqrt(len(o))),
])  # fmt: skip
def test_a_statistic_of_each_schedule(statistic, of):
    table = runs_table(runs_of(b=B, a=A), ["accuracy"], "accuracy")
    found = by_schedule(table["final accuracy"], statistic)
    assert list(found.index) == ["b", "a"] and found.to_dict() == pytest.approx({"b": of(B), "a": of(A)})


def test_a_statistic_of_values_with_nan_is_nan_and_so_is_the_spread_of_one():
    values = finals(a={0: 1.0, 1: nan}, b={0: 1.0})
    assert by_schedule(values, "mean").isna().tolist() == [True, False]
    assert by_schedule(values, "std").isna().all() and by_schedule(values, "sem").isna().all()
