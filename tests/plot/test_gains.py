from itertools import combinations
from math import nan

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib import colors

from fastai_clr import plot


def growing(n, gain=0.0123):
    """What `n` cycles reach, each twice as long as the one before."""
    ends = [2**k - 1 for k in range(1, n + 1)]
    return range(1, ends[-1] + 1), [(k + 1, end, gain * (-1) ** k if k else nan) for k, end in enumerate(ends)]


def equal(n, gain=0.0123, epochs=1):
    return range(1, n * epochs + 1), [(k, k * epochs, gain if k > 1 else nan) for k in range(1, n + 1)]


def fractional(n):
    return range(1, n + 1), [(k, k * 0.7, nan) for k in range(1, n + 1)]


PICTURES = {
    "one": equal(1, epochs=4),
    "one epoch": equal(1),
    **{f"{n} growing": growing(n) for n in (2, 4, 7, 10)},
    **{f"{n} equal": equal(n) for n in (2, 8, 10, 16, 30, 40)},
    "long gains": equal(10, -0.000012345),
    "fractional": fractional(5),
    "resumed": (range(4, 16), [(3, 7, nan), (4, 15, 0.15)]),
    "all at the start": (range(1, 101), [(1, 1, nan), (2, 2, 0.5), (3, 3, 0.1), (4, 100, 0.01)]),
    "all at the end": (range(1, 101), [(1, 97, nan), (2, 98, 0.5), (3, 99, 0.1), (4, 100, 0.01)]),
}


def draw(picture, ax=None):
    epochs, cycles = PICTURES[picture]
    ax = plot.metrics(epochs, np.linspace(0.2, 0.9, len(epochs)), "accuracy", cycles, ax)
    ax.figure.draw_without_rendering()
    return ax


def labels_of(ax):
    """What stands above the ends of the cycles, from the first to the last."""
    return [o.get_text() for o in sorted(ax.texts, key=lambda o: o.xy[0])]


def boxes(ax):
    """What stands above the axes, and where."""
    renderer = ax.figure.canvas.get_renderer()
    texts = [
        *ax.texts,
        ax.child_axes[0].xaxis.label,
        *(o for o in (ax.title, ax.xaxis.label, ax.yaxis.label) if o.get_text()),
    ]
    found = [type(ax.title).get_window_extent(text, renderer) for text in texts]  # of the text, without its arrow
    return [*found, ax.get_window_extent(renderer)]


ON = [(o, "a figure of its own") for o in PICTURES] + [(o, "given axes") for o in [*PICTURES][::2]]


@pytest.mark.slow
@pytest.mark.parametrize("picture, on", ON)
def test_nothing_overlaps_and_all_is_in_the_figure(picture, on):
    given = None if on != "given axes" else plt.subplots(1, 3, figsize=(11, 3), layout="constrained")[1][1]
    ax = draw(picture, given)
    check_boxes(ax)
    ax.set_title("a title of the user's")
    ax.figure.draw_without_rendering()
    check_boxes(ax)


def check_boxes(ax):
    found = boxes(ax)
    for one, two in combinations(found, 2):
        assert not one.overlaps(two)
    for box in found:
        assert ax.figure.bbox.x0 <= box.x0 and box.x1 <= ax.figure.bbox.x1 + 1 and box.y1 <= ax.figure.bbox.y1 + 1


@pytest.mark.parametrize(
    "picture, labels, heading",
    [
        ("one", ["1"], "cycle"),
        ("4 growing", ["1", "-0.012\n2", "+0.012\n3", "-0.012\n4"], "gain\ncycle"),
        ("10 equal", ["1", *(f"+0.012\n{k}" for k in range(2, 11))], "gain\ncycle"),
        ("fractional", ["1", "2", "3", "4", "5"], "cycle"),
        ("resumed", ["3", "+0.15\n4"], "gain\ncycle"),
    ],
)  # fmt: skip
def test_each_cycle_has_its_number_and_gain_above_its_end(picture, labels, heading):
    ax = draw(picture)
    assert labels_of(ax) == labels
    ends = {str(number): end for number, end, _ in PICTURES[picture][1]}
    assert all(o.xy[0] == ends[o.get_text().splitlines()[-1]] for o in ax.texts)
    assert ax.child_axes[0].get_xlabel() == heading


@pytest.mark.parametrize(
    "gain, text", [(6.1, "+6.1"), (0.0613, "+0.061"), (-2.0, "-2"), (123.4, "+120"), (0.0, "+0"), (1e-5, "+1e-05")]
)
def test_a_gain_has_two_figures(gain, text):
    ax = plot.metrics([1, 2], [0, gain], "score", [(1, 1, nan), (2, 2, gain)])
    assert labels_of(ax) == ["1", f"{text}\n2"]


@pytest.mark.parametrize(
    "picture, gains",
    [("7 growing", [4, 5, 6, 7]), ("10 growing", [7, 8, 9, 10]), ("16 equal", range(2, 17, 2)), ("40 equal", [40]), ("all at the end", [4])],
)  # fmt: skip
def test_where_cycles_end_close_together_the_later_ones_keep_their_gain(picture, gains):
    labels = labels_of(draw(picture))
    assert [int(o.splitlines()[1]) for o in labels if "\n" in o] == list(gains)
    assert len(labels) > len(gains) or picture == "all at the end"  # of the others the number, where it fits


@pytest.mark.parametrize("values", [[1e-7, 2e-7], [1e5 + 0.1, 1e5 + 0.2]])
def test_the_ticks_have_no_factor_or_offset_above_the_axes(values):
    ax = plot.metrics([1, 2], values, "valid_loss", [(1, 1, nan), (2, 2, 0.1)])
    ax.figure.draw_without_rendering()
    assert ax.yaxis.get_offset_text().get_text() == ""


def test_of_very_many_cycles_nothing_is_marked():
    epochs, cycles = equal(41)
    ax = plot.metrics(epochs, epochs, "accuracy", cycles)
    assert len(ax.lines) == 1 and not ax.texts and not ax.child_axes


@pytest.mark.parametrize("has_cycles", [True, False])
@pytest.mark.parametrize("epochs", [[1], [4], [0.5], [0.2, 0.4, 0.6, 0.8], [1, 1.5], [1, 2], range(1, 30)])
def test_epochs_are_counted_in_whole_numbers(epochs, has_cycles):
    ax = plot.metrics(epochs, epochs, "accuracy", [(1, epochs[-1], nan)] if has_cycles else [])
    ax.figure.draw_without_rendering()
    low, high = ax.get_xlim()
    assert low < min(epochs) and max(epochs) < high
    ticks = [o for o in ax.get_xticks() if low <= o <= high]
    assert ticks and ticks == [round(o) for o in ticks]


@pytest.mark.parametrize("style", ["default", "dark_background"])
def test_all_of_it_stands_out_from_the_background(style):
    with plt.style.context(style):
        ax = draw("4 growing")
        shown = [o.get_color() for o in [*ax.lines, *ax.texts, ax.child_axes[0].xaxis.label]]
        for color in shown:
            assert np.abs(np.subtract(colors.to_rgb(color), colors.to_rgb(ax.figure.get_facecolor()))).max() > 0.3


def test_given_axes_are_drawn_on_and_returned_and_their_figure_keeps_its_size():
    figure, (one, two) = plt.subplots(1, 2)
    size = figure.get_size_inches().tolist()
    assert draw("8 equal", one) is one and not two.lines and figure.get_size_inches().tolist() == size
    assert [o for o in labels_of(one) if "\n" in o] == [f"+0.012\n{k}" for k in (2, 4, 6, 8)]
    assert len(plt.get_fignums()) == 1


def test_an_end_without_a_value_has_no_dot():
    ax = plot.metrics([1, 2], [0.1, 0.2], "accuracy", [(1, 0.7, nan), (2, 1.4, nan), (3, 2, nan)])
    np.testing.assert_array_equal(ax.lines[-1].get_data(), [[2], [0.2]])
