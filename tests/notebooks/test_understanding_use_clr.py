"""notebooks/understanding_use_clr.ipynb: executed once from top to bottom, in a Jupyter kernel, and what it then says."""

import re

import pytest

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
    assert headings[:-1] == [f"## {k}. {question}" for k, question in enumerate(questions, 1)]
    assert nb.cells[-1].source.startswith("## What to remember\n")


def test_numbers_read_off_the_curves(nb):
    for cut_div, rising, falling, end in [(5, 60, 240, 0.00054), (10, 30, 270, 0.000535)]:
        assert (
            f"starts at 0.0005 (0.01/20), rises for {rising} batches (1/{cut_div} of the cycle) to 0.01, "
            f"falls for {falling} batches to {end}\n" in text(nb)
        )
    assert "last phase  batches 271 to 300: rate lr/10 to lr/" in text(nb)


def baselines(nb):
    """The mean final accuracies of what the schedules were compared with."""
    return [float(o) for o in re.findall(r"^.*Final accuracy, .*? \((0\.\d+)\) ± standard error:$", text(nb), re.M)]


def test_every_comparison_learned_the_digits(nb):
    assert len(baselines(nb)) > 15
    assert min(baselines(nb)) > 0.8


def test_triangle_ends_above_a_constant_rate_at_a_high_peak(nb):
    table = text(nb).split("Peak 0.03.\n")[1]
    difference, verdict = re.search(r"^  constant +([-+][\d.]+) ± [\d.]+ +(.*)$", table, re.M).groups()
    assert verdict == "worse"
    assert float(difference) < -0.01


def test_mid_cycle_is_below_the_cycles_end(nb):
    tables = [o.data["text/plain"] for o in outputs(nb) if "text/plain" in o.get("data", {})]
    (table,) = [o for o in tables if re.search("^sem ", o, re.M)]
    mean, error = ([float(o) for o in re.search(f"^{row} (.*)$", table, re.M)[1].split()] for row in ("mean", "sem"))
    assert mean[4] < -2 * error[4]  # epoch 5 minus epoch 4


@pytest.mark.slow
def test_a_new_run_measures_what_the_committed_one_did(committed, executed):
    """Half a point leaves room for another processor's arithmetic, on a mean of ten seeds."""
    triangles = [re.search(r"Peak 0.01.\n.*triangle \((.*?)\)", text(o))[1] for o in (committed, executed)]
    assert float(triangles[0]) == pytest.approx(float(triangles[1]), abs=0.005)


def comparison(nb):
    """What the last section prints of the comparison."""
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


def test_growing_cycles_stop_at_the_end_of_one(nb):
    assert re.search(
        r"^Stopped at the end of cycle [23], after [37] epochs: accuracy (rose by|fell by|stayed at) ", text(nb), re.M
    )
    assert re.findall(r"^(\d+) epochs\. Final .*\n  growing  [-+]", text(nb), re.M) == ["3", "7", "15"]


def test_the_readme_quotes_the_comparison(committed):
    assert comparison(committed) in (NOTEBOOKS.parent / "README.md").read_text()
