"""What is said of measured schedules: tables, sums and the picture, from runs whose values are given."""

import pickle

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from fastai_clr.report import Comparison
from helpers import run_code, run_of, run_of_rows, runs_of

A, B, C = (0.80, 0.82, 0.78), (0.90, 0.93, 0.87), (0.79, 0.84, 0.78)

# -- tables --------------------------------------------------------------------------------------------------------------


def test_the_history_is_by_schedule_seed_and_epoch():
    history = Comparison(runs_of(a=A, b=B), "a").history
    assert history.index.names == ["schedule", "seed", "epoch"] and len(history) == 2 * 3 * 3
    assert history.loc["b", 1, 3].to_dict() == pytest.approx(dict(train_loss=0.5, valid_loss=0.07, accuracy=0.93))


def test_the_table():
    comparison = Comparison(runs_of(a=A, b=B, c=C), "a")
    assert comparison.target == pytest.approx(0.8) and comparison.score == "accuracy"
    table = Comparison(runs_of(a=A, b=B, c=C), "a", target=0.795).table
    row = table.loc["b"]
    assert row["final accuracy"].to_dict() == pytest.approx(
        dict(mean=0.9, sd=np.std(B, ddof=1), diff=0.1, se=np.std(np.subtract(B, A), ddof=1) / np.sqrt(3))
    )
    assert row["final valid_loss", "diff"] == pytest.approx(-0.1)
    assert row["best valid_loss", "mean"] == pytest.approx(0.1)
    assert row["epochs to accuracy"].to_dict() == {"mean": 3, "reached": "3 of 3"}
    assert table.loc["a"]["epochs to accuracy"].to_dict() == {"mean": 3, "reached": "2 of 3"}
    assert table.loc["a", ("final accuracy", "diff")] == 0 and table["seconds", "mean"].tolist() == [1, 1, 1]
    assert Comparison(runs_of(a=A, b=B), "a", target=0.6).table.loc["b", ("epochs to accuracy", "mean")] == 2


@pytest.mark.parametrize("a, b", [(A, B[:2]), (A[:2], B)])
def test_what_an_interruption_leaves_is_compared_by_the_seeds_of_both(a, b):
    row = Comparison(runs_of(a=a, b=b), "a").table.loc["b", "final accuracy"]
    differences = np.subtract(B[:2], A[:2])
    assert (row["mean"], row["diff"]) == pytest.approx((np.mean(b), differences.mean()))
    assert row["se"] == pytest.approx(np.std(differences, ddof=1) / np.sqrt(2))


def test_a_schedule_that_diverged_has_no_final_mean():
    comparison = Comparison(
        [*runs_of(a=A[:2]), run_of("b", 0, [0.9]), run_of("b", 1, [0.9], losses=[np.nan], n_epoch=2)], "a"
    )
    assert np.isnan(comparison.table.loc["b", ("final accuracy", "mean")]) and comparison.plot() is not None


# -- sums ----------------------------------------------------------------------------------------------------------------

SETTINGS = {"n_epoch": 3, "schedules": {"a": "constant", "b": "clr(32,5)"}, "wd": "None"}


def part(seeds, baseline="a", metric="accuracy", target=None, **settings):
    names = ["train_loss", "valid_loss", metric]
    runs = [run_of(o, seed, [0.5, v[seed]], metric_names=names) for seed in seeds for o, v in [("a", A), ("b", B)]]
    return Comparison(runs, baseline, target, settings=SETTINGS | settings)


def test_two_parts_make_the_whole():
    whole, parts = part([0, 1, 2]), [part([0]), part([1]), part([2])]
    for added in (parts[0] + parts[1] + parts[2], sum(parts)):
        assert str(added) == str(whole) and added.table.equals(whole.table) and added.target == whole.target
        assert added.settings == SETTINGS
    assert [len(o.runs) for o in parts] == [2, 2, 2]


def test_a_given_target_stays_and_another_is_the_mean_of_all():
    assert (part([0], target=0.7) + part([1])).target == 0.7
    assert (part([0]) + part([1])).target == pytest.approx(0.81)


@pytest.mark.parametrize(
    "other, match",
    [
        (dict(seeds=[1, 2]), "no run is in both, but both have 'a' with seed 1: give the second other seeds="),
        (dict(seeds=[2], n_epoch=5), "share the n_epoch, but given 3 and 5"),
        (dict(seeds=[2], schedules={"a": "constant"}), "share the schedules, but given"),
        (dict(seeds=[2], wd="0.1"), "share the wd, but given None and 0.1"),
        (dict(seeds=[2], more=1), "share the more, but given None and 1"),
        (dict(seeds=[2], baseline="b"), "share the baseline, but given a and b"),
        (dict(seeds=[2], metric="f1"), "share the score, but given accuracy and f1"),
    ],
)
def test_a_run_that_both_have_and_other_settings_are_told(other, match):
    with pytest.raises(ValueError, match=match):
        part([0, 1]) + part(**other)


def test_only_comparisons_can_be_added():
    for other in (3, None, "a", [part([0])]):
        with pytest.raises(TypeError):
            part([0]) + other
        with pytest.raises(TypeError):
            other + part([0])


# -- each at its best peak -----------------------------------------------------------------------------------------------


def test_the_grid_is_a_table_of_its_own():
    grid = [
        run_of("a", 7 + k, [v], lr=lr) for lr, vs in [(0.1, (0.5, 0.7)), (0.01, (0.2, 0.4))] for k, v in enumerate(vs)
    ]
    comparison = Comparison([run_of("a", 0, [0.5], lr=0.1)], "a", grid_runs=grid)
    assert comparison.peaks == {"a": 0.1}
    assert comparison.grid.to_dict() == {"0.01": {"a": pytest.approx(0.3)}, "0.1": {"a": pytest.approx(0.6)}}
    same, more = (Comparison([run_of("a", seed, [0.5])], "a", grid_runs=grid[:n]) for seed, n in [(1, 4), (2, 2)])
    assert len((comparison + same).grid_runs) == len((more + comparison).grid_runs) == 4


# -- elsewhere -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_it_unpickles_in_a_process_that_has_not_imported_fastai(tmp_path):
    rows = [(0.5, 0.7), (0.6, 0.9)]
    runs = [run_of_rows(name, k, [(0.5, 0.5, torch.tensor(v)) for v in o]) for name in "ab" for k, o in enumerate(rows)]
    comparison, file = Comparison(runs, "a", settings=SETTINGS), tmp_path / "comparison.pkl"
    file.write_bytes(pickle.dumps(comparison))
    printed = run_code(
        "import pickle, sys; o = pickle.load(open(sys.argv[1], 'rb')); print(o); print(o.table.to_json()); "
        "print([m for m in ('fastai', 'torch', 'fastai_clr.learner') if m in sys.modules])",
        file,
    )
    assert printed.splitlines() == [*str(comparison).splitlines(), comparison.table.to_json(), "[]"]


def test_one_epoch_draws_points_with_their_spread():
    for runs in ([run_of("a", k, [v]) for k, v in enumerate(A)], [run_of("a", 0, [0.5])]):
        scores = Comparison(runs, "a").plot()[2]
        assert scores.lines[0].get_marker() == "o" and len(scores.collections) == (len(runs) > 1)


def test_after_one_epoch_the_points_of_the_schedules_stand_side_by_side():
    runs = [run_of(name, k, [v]) for name in "abc" for k, v in enumerate(A)]
    places = [line.get_xdata()[0] for line in Comparison(runs, "a").plot()[2].lines if line.get_label() in "abc"]
    assert places == pytest.approx([0.95, 1, 1.05])


def test_the_table_begins_with_what_decides():
    comparison = Comparison(runs_of(a=A, b=A), "a")
    assert comparison.table.columns[0] == (f"final {comparison.score}", "mean")


def test_no_colour_comes_twice():
    rates = Comparison([run_of(f"schedule {k}", 0, [0.5, 0.6]) for k in range(15)], "schedule 0").plot()[0]
    assert len({str(line.get_color()) for line in rates.lines}) == 15
    plt.close("all")
