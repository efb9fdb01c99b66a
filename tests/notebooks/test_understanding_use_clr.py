"""notebooks/understanding_use_clr.ipynb: executed once from top to bottom, in a Jupyter kernel, and what it then says."""

import re

import pytest

import digits
from helpers import NOTEBOOKS, load_run, outputs

NAME = "understanding_use_clr"
N_FIGURES = 16


def text(nb):
    return "".join(o.text for o in outputs(nb) if o.output_type == "stream" and o.name == "stdout")


def test_every_cell_ran_and_left_figures_and_text_alone(nb):
    assert not [o for o in outputs(nb) if o.output_type == "error" or o.get("name") == "stderr"]
    assert len([o for o in outputs(nb) if "image/png" in o.get("data", {})]) == N_FIGURES


def test_it_answers_its_questions_and_ends_with_what_to_remember(nb):
    headings = [o.source.splitlines()[0] for o in nb.cells if o.source.startswith("## ")]
    questions = re.findall(r"^\d\. (.*)$", nb.cells[0].source, re.M)
    assert headings[:-2] == [f"## {k}. {question}" for k, question in enumerate(questions, 1)]
    assert headings[-2:] == ["## Appendix", "## What to remember"]


def test_one_pair_of_numbers_throughout(nb):
    """Fits, previews and words all have (10, 10); only the 2018 lesson's pair is named, and the measured others."""
    source = "\n".join(o.source for o in nb.cells)
    pairs = set(re.findall(r"(?:use_clr=|CircularLR)\((\d+, ?\d+)", source))
    assert pairs == {"10, 10"}
    assert source.count("(32, 5)") == 1


def test_numbers_read_off_the_curves(nb):
    assert (
        "starts at 0.001 (0.01/10), rises for 30 batches (1/10 of the cycle) to 0.01, falls for 270 batches to 0.00103"
    ) in text(nb)


def baselines(nb):
    """The mean final accuracies of what the schedules were compared with."""
    return [float(o) for o in re.findall(r"^.*Final accuracy, .*? \((0\.\d+)\) ± standard error:$", text(nb), re.M)]


def test_every_comparison_learned_the_digits(nb):
    assert len(baselines(nb)) > 12
    assert min(baselines(nb)) > 0.8


def test_triangle_ends_above_a_constant_rate_at_a_high_peak():
    (constant,) = [o for o in digits.found("shapes at 0.03") if o.name == "constant"]
    assert constant.words == "worse" and constant.difference < -0.01 and constant.n_seeds == 10


def test_mid_cycle_is_below_the_cycles_end(nb):
    tables = [o.data["text/plain"] for o in outputs(nb) if "text/plain" in o.get("data", {})]
    (table,) = [o for o in tables if re.search("^epoch .*5 .*\n.*\nsem ", o, re.M)]
    mean, error = ([float(o) for o in re.search(f"^{row} (.*)$", table, re.M)[1].split()] for row in ("mean", "sem"))
    assert mean[4] < -2 * error[4]  # epoch 5 minus epoch 4


def test_what_it_trains_is_what_was_measured(nb):
    """Half a point leaves room for another processor's arithmetic, on a mean of three seeds."""
    peak, trained = re.search(r"3 seeds, difference to clr\(10,10\) at peak (0\.\d+) \((.*?)\)", text(nb)).groups()
    measured = digits.measured("each at its own peak").loc["clr(10,10)"].xs(float(peak)).iloc[0, :3].mean()
    assert float(trained) == pytest.approx(measured, abs=0.005)


def comparison(nb):
    """What the appendix prints of the largest comparison."""
    return load_run().last_text(nb)


def test_the_comparison_gives_each_schedule_its_own_peak(nb):
    words = comparison(nb)
    assert words.startswith("Final accuracy, 5 seeds, difference to clr(10,10) at peak ")
    assert all(
        re.search(rf"^  {re.escape(o)} +peak 0\.\d+ ", words, re.M)
        for o in ("clr(10,5)", "cosine", "one_cycle", "constant")
    )


def test_the_race_is_within_a_point_of_the_best_peak(nb):
    assert float(re.search(r"^the race +[\d.]+: ([\d.]+) points below the best$", text(nb), re.M)[1]) < 1


def test_a_stopped_fit_is_cooled_down_for_a_fifth_of_it(nb):
    """It stops in the fifth epoch of ten, so the cooldown takes the 31 batches of one epoch."""
    first, last = re.search(r"^starts at (0\.\d+), falls for 31 batches to (0\.\d+)$", text(nb), re.M).groups()
    assert 0.015 < float(first) < 0.03 and float(last) < 0.002


def test_growing_cycles_stop_at_the_end_of_one(nb):
    assert re.search(
        r"^Stopped at the end of cycle [23], after [37] epochs: accuracy (rose by|fell by|stayed at) ", text(nb), re.M
    )
    assert re.findall(r"^(\d+) epochs\. Final .*\n  growing  [-+]", text(nb), re.M) == ["3", "7", "15"]


def test_the_readme_quotes_the_comparison(committed):
    assert comparison(committed) in (NOTEBOOKS.parent / "README.md").read_text()
