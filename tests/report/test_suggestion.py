"""What `learn.suggest_clr` answers: numbers that unpack, sentences, a table and a picture."""

import pickle
from dataclasses import asdict

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from fastai_clr.report import Suggestion, Trial
from fastai_clr.schedules.checks import as_list, is_several, rate_of
from helpers import run_code

TRIALS = [
    Trial(0.01, 0, 60, 0.5, 0.6, False),
    Trial(0.032, 0, 60, 0.4, 0.5, False),
    Trial(0.1, 0, 7, None, 90.0, True),
    Trial(0.032, 1, 60, 0.44, 0.5, False),
]


def suggestion(trials=(), lr=0.032, why="Because."):
    table = pd.DataFrame([asdict(o) for o in trials], columns=list(Trial.__dataclass_fields__))
    return Suggestion(lr, 10, 10, why, "learn.fit_clr(3, 0.032, div=10, cut_div=10)", table, 3, 40.0)


def test_it_unpacks_and_says_what_to_type():
    lr, div, cut_div, why = suggestion()
    assert (lr, div, cut_div, why) == (0.032, 10, 10, "Because.")
    assert str(suggestion()) == repr(suggestion()) == "learn.fit_clr(3, 0.032, div=10, cut_div=10)\nBecause."


def test_it_is_indexed_as_it_unpacks():
    s = suggestion(lr=[1e-3, 1e-2])
    assert len(s) == 4 and s[0] == [1e-3, 1e-2] and s[:3] == ([1e-3, 1e-2], 10, 10) and s[-1] == "Because."
    with pytest.raises(IndexError):
        s[4]


@pytest.mark.parametrize("lr", [0.032, [1e-3, 1e-2], slice(1e-4, 1e-2)])
def test_it_stands_for_its_rate_and_is_no_list_of_four(lr):
    assert (
        rate_of(suggestion(lr=lr)) is lr and not is_several(suggestion(lr=lr)) and len(as_list(suggestion(lr=lr))) == 1
    )
    assert rate_of(0.1) == 0.1 and rate_of(None) is None and rate_of([0.1]) == [0.1]


def test_the_picture_of_a_race_marks_the_choice_and_what_diverged():
    ax = suggestion(TRIALS).plot()
    mean, points, chosen = ax.lines
    assert mean.get_xydata().tolist() == [[0.01, 0.5], [0.032, pytest.approx(0.42)]]
    assert points.get_xdata().tolist() == [0.01, 0.032, 0.1, 0.032] and chosen.get_xdata()[0] == 0.032
    assert [(o.get_text(), o.get_position()[0]) for o in ax.texts] == [("diverged", 0.1)]
    assert (ax.get_xscale(), ax.get_ylabel(), ax.get_title(loc="left")) == (
        "log",
        "validation loss",
        "suggested peak 0.032",
    )


def test_without_a_validation_the_picture_shows_the_training_loss():
    ax = suggestion([Trial(0.01, 0, 60, None, 0.6, False), Trial(0.032, 0, 60, None, 0.5, False)]).plot()
    assert ax.get_ylabel() == "training loss (smoothed)" and ax.lines[1].get_ydata().tolist() == [0.6, 0.5]


def test_the_peak_of_several_groups_is_drawn_at_the_highest():
    ax = suggestion([Trial(slice(1e-3, 1e-2), 0, 60, 0.5, 0.6, False)], lr=slice(1e-3, 1e-2)).plot()
    assert ax.lines[1].get_xdata().tolist() == [1e-2] and ax.lines[2].get_xdata()[0] == 1e-2


def test_the_picture_shows_the_longest_cycles_alone():
    short = [Trial(0.01, 0, 10, 2.2, 2.3, False), Trial(1.0, 0, 10, 2.1, 2.3, False)]
    assert suggestion(short + TRIALS).plot().lines[1].get_xdata().tolist() == [0.01, 0.032, 0.1, 0.032]


def test_a_loss_far_above_the_others_is_written_at_the_edge():
    ax = suggestion([*TRIALS[:2], Trial(0.32, 0, 60, 3.2e7, 1e7, False)]).plot()
    assert ax.lines[0].get_ydata().tolist() == [0.5, 0.4] and ax.get_ylim()[1] < 1
    assert [(o.get_text(), o.get_position()[0]) for o in ax.texts] == [("3.2e+07", 0.32)]


def test_a_guess_of_1_0_0_has_nothing_to_plot():
    with pytest.raises(ValueError, match="a suggestion of 1.0.0 that was no race has nothing to plot"):
        suggestion().plot()
    assert "<table" not in suggestion()._repr_html_() and "<img" not in suggestion()._repr_html_()


def test_a_cell_shows_what_to_type_why_the_trials_and_the_picture():
    html = suggestion(TRIALS, why="1 < 2")._repr_html_()
    assert "<code>learn.fit_clr(3, 0.032, div=10, cut_div=10)</code>" in html and "<p>1 &lt; 2</p>" in html
    assert html.count("<tr") == 5 and html.count("data:image/png") == 1 and plt.get_fignums() == []


@pytest.mark.slow
def test_it_unpickles_in_a_process_that_has_not_imported_fastai(tmp_path):
    file = tmp_path / "suggestion.pkl"
    file.write_bytes(pickle.dumps(suggestion(TRIALS)))
    printed = run_code(
        "import pickle, sys; print(pickle.load(open(sys.argv[1], 'rb'))); print('fastai' in sys.modules)", file
    )
    assert printed.splitlines() == [*str(suggestion()).splitlines(), "False"]


def test_its_lines_fit_a_terminal():
    words = suggestion(why="It is measured. " * 20)
    first, *lines = repr(words).splitlines()
    assert first == words.call and max(map(len, lines)) < 80 and " ".join(lines) == words.why.strip()
