from itertools import cycle, product

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib import colors

from fastai_clr import CircularLR, Cycles, plot
from helpers import run_code

RATES = [np.linspace(0.1, 1, 50) * peak for peak in (1e-4, 1e-3, 1e-2)]
MOMENTUMS = np.linspace(0.95, 0.85, 50)


def draw(figure):
    figure.draw_without_rendering()
    return figure.canvas.get_renderer()


def test_one_line_for_each_group_with_its_name_and_peak():
    ax = plot.rates(RATES)
    for line, rates in zip(ax.lines, RATES):
        np.testing.assert_array_equal(line.get_data(), [np.arange(1, 51), rates])
    texts = [t.get_text() for t in ax.get_legend().get_texts()]
    assert texts == ["group 0, peak 0.0001", "group 1, peak 0.001", "group 2, peak 0.01"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("iteration (batches)", "learning rate")


def test_a_group_that_stands_still_is_said_to_be_missing_on_a_logarithmic_axis():
    for log, said in [(True, "group 0, 0 (no place on a log axis)"), (False, "group 0, peak 0")]:
        ax = plot.rates([0 * RATES[0], RATES[1]], log=log)
        assert [o.get_text() for o in ax.get_legend().get_texts()] == [said, "group 1, peak 0.001"]
        draw(ax.figure)


def test_groups_of_the_same_rate_need_no_legend():
    ax = plot.rates([RATES[0]] * 3)
    assert len(ax.lines) == 3 and ax.get_legend() is None
    assert len({line.get_color() for line in ax.lines}) == 1


@pytest.mark.parametrize("n_groups", [2, 10, 100])
def test_the_legend_is_beside_the_curves_and_inside_the_figure(n_groups):
    ax = plot.rates([RATES[0] * (k + 1) for k in range(n_groups)])
    renderer = draw(ax.figure)
    legend = ax.get_legend().get_window_extent(renderer)
    names = [t.get_text().split(",")[0] for t in ax.get_legend().get_texts()]
    assert names[0] == "group 0" and names[-1] == f"group {n_groups - 1}" and len(names) <= 12
    assert not legend.overlaps(ax.get_window_extent(renderer))
    assert legend.x1 <= ax.figure.bbox.x1 and ax.get_window_extent(renderer).width > 100


def test_with_momentum_the_legend_is_beside_both_panels():
    ax, moms_ax = plot.rates(RATES, MOMENTUMS).figure.axes
    renderer = draw(ax.figure)
    legend = moms_ax.get_legend().get_window_extent(renderer)
    assert ax.get_legend() is None and legend.x0 > moms_ax.get_window_extent(renderer).x1
    assert legend.x1 <= ax.figure.bbox.x1


def test_schedules_on_one_axis_have_colours_of_their_own():
    ax = plot.rates([RATES[0]] * 2)
    plot.rates([RATES[1]] * 2, ax=ax)
    colors = [line.get_color() for line in ax.lines]
    assert colors[0] == colors[1] != colors[2] == colors[3]
    assert len({line.get_color() for line in plot.rates([RATES[0] * k for k in range(1, 30)]).lines}) == 29


def test_a_single_batch_can_be_seen():
    assert (
        plot.rates([[1.0]], [0.9]).lines[0].get_marker() == plot.curve([1], [2], "x", "y").lines[0].get_marker() == "o"
    )


# -- axes of the user's --------------------------------------------------------------------------------------------------

SCORES = np.linspace(0.2, 0.9, 5)


def compared(axes, names):
    curves = {name: (RATES[2] * (k + 1), RATES[2][None], SCORES[None]) for k, name in enumerate(names)}
    return plot.comparison(curves, "accuracy", False, 0.5, axes)


def on_given_axes(axes, names):
    """Each picture with a legend, on three of the axes."""
    groups = [RATES[2] * (k + 1) for k in range(len(names))]
    yield plot.rates(groups, ax=axes[0]), groups
    yield plot.rates(groups, ax=axes[1], log=True), groups
    yield plot.several({name: (o, None) for name, o in zip(names, groups)}, ax=axes[2]), groups
    yield compared(axes[3:6], names)[0], groups


NAMES = [
    list("abcde"),
    [f"clr({k},5)" for k in range(12)],
    ["constant", "CircularLR(div=32, cut_div=5, mom_a=0.95, mom_b=0.85)"],
]
ON_AXES = zip(product(NAMES, [(14, 8), (5, 3)]), cycle([None, "constrained", "constrained", None]))  # all pairs


@pytest.mark.slow
@pytest.mark.parametrize("names, figsize, layout", [(*o, layout) for o, layout in ON_AXES])
def test_on_given_axes_a_legend_covers_no_line_and_no_neighbour(names, figsize, layout):
    figure, axes = plt.subplots(2, 3, figsize=figsize, layout=layout)
    for ax, groups in on_given_axes(axes.ravel(), names):
        renderer = draw(figure)
        legend, top = ax.get_legend(), max(map(np.max, groups))
        peak = ax.transData.transform((1, top))[1]
        assert ax.get_ylim()[1] >= top and peak > ax.bbox.y0 + 0.35 * ax.bbox.height
        if legend is not None:
            box = legend.get_window_extent(renderer)
            assert ax.bbox.x0 <= box.x0 and box.x1 <= ax.bbox.x1 and peak <= box.y0 <= box.y1 <= ax.bbox.y1
        else:
            assert figsize < (14, 8) and len(set(ax.get_legend_handles_labels()[1])) > 1  # for a legend of the user's


@pytest.mark.parametrize("names", [["constant", "cosine", "one_cycle", "clr(32,5)"], [*"abcdefgh"]])
def test_a_legend_of_usual_names_fits_small_axes(names):
    for ax, _ in on_given_axes(plt.subplots(2, 3, figsize=(9, 5), layout="constrained")[1].ravel(), names):
        assert ax.get_legend() is not None


def test_a_title_on_given_axes_does_not_go_on_above_a_neighbour():
    _, (left, right) = plt.subplots(1, 2, figsize=(7, 3))
    renderer = draw(plot.rates(RATES, ax=left, title=repr(CircularLR(32, 5, 0.95, 0.85))).figure)
    assert left._left_title.get_window_extent(renderer).x1 < right.get_window_extent(renderer).x0


def test_what_is_drawn_later_on_the_same_axes_is_in_sight():
    ax = plt.subplots()[1]
    for rates in (RATES[0], RATES[2], RATES[1]):
        plot.rates([rates, rates / 2], ax=ax)
    bottom, top = ax.get_ylim()
    assert bottom == 0 and top > RATES[2].max()
    plot.several({"a": (RATES[2] * 5, None)}, ax=ax)
    assert ax.get_ylim()[1] > 5 * RATES[2].max()


def test_after_a_single_batch_or_epoch_more_can_be_drawn():
    ax, scores = plt.subplots(1, 2)[1]
    for n in (1, 50):
        plot.rates([RATES[0][:n]], ax=ax)
        plot.metrics(range(1, n + 1), RATES[0][:n], "accuracy", ax=scores)
    for o in (ax, scores):
        draw(o.figure)
        assert o.get_xlim()[1] > 50 and len(o.get_xticks()) > 3


def test_axes_of_a_part_of_a_figure_are_axes():
    part = plt.figure(layout="constrained").subfigures(1, 2)[0]
    for ax, _ in on_given_axes(part.subplots(2, 3).ravel(), ["a", "b"]):
        assert ax.figure is part
    plot.metrics([1, 2], [0.1, 0.2], "accuracy", [(1, 1, np.nan), (2, 2, 0.1)], ax=part.subplots())
    plot.curve([1e-3, 1e-2], [3, 4], "learning rate", "loss", log=True, ax=part.subplots())


ONE = lambda ax: plot.curve([1, 2], [3, 4], "x", "y", ax=ax)  # noqa: E731


@pytest.mark.parametrize(
    "draws, given, message",
    [
        (ONE, "x", "ax should be matplotlib axes, but given 'x'"),
        (ONE, [], r"ax should be matplotlib axes, but given \[\]"),
        (ONE, 2, "ax should be matplotlib axes, but given 2 axes"),
        (lambda ax: plot.metrics([1], [2], "y", ax=ax), 3, "ax should be matplotlib axes, but given 3 axes"),
        (lambda ax: plot.race([1], [2], 1, "y", ax), 2, "ax should be matplotlib axes, but given 2 axes"),
        (lambda ax: plot.rates(RATES, MOMENTUMS, ax=ax), 3, "ax should be matplotlib axes, or a pair of them for rates and momentum, but given 3 axes"),
        (lambda ax: plot.several({"a": (RATES[0], None)}, ax=ax), "x", "ax should be matplotlib axes, or a pair of them"),
        (lambda axes: compared(axes, ["a"]), 1, "axes should be 3 matplotlib axes, but given 1 axes"),
        (lambda axes: compared(axes, ["a"]), 4, "axes should be 3 matplotlib axes, but given 4 axes"),
        (lambda axes: compared(axes, ["a"]), None, None),
    ],
)  # fmt: skip
def test_as_many_axes_as_pictures(draws, given, message):
    given = plt.subplots(1, given)[1] if isinstance(given, int) else given
    if message is None:
        assert len(draws(given)) == 3
        return
    with pytest.raises(TypeError, match=message):
        draws(given)


def test_momentum_has_a_panel_of_its_own():
    ax = plot.rates(RATES, MOMENTUMS)
    _, moms_ax = ax.figure.axes
    np.testing.assert_array_equal(moms_ax.lines[0].get_data(), [np.arange(1, 51), MOMENTUMS])
    assert (moms_ax.get_xlabel(), moms_ax.get_ylabel()) == ("iteration (batches)", "momentum")
    assert len(plot.rates(RATES).figure.axes) == 1


@pytest.mark.parametrize("momentums, n_panels", [(None, 1), (MOMENTUMS, 2)])
def test_cycle_ends_are_dotted_in_every_panel(momentums, n_panels):
    ax = plot.rates(RATES[:1], momentums, cycle_ends=[20, 50])
    for panel in ax.figure.axes[:n_panels]:
        dotted = [line for line in panel.lines if line.get_linestyle() == ":"]
        assert [line.get_xdata() for line in dotted] == [[20, 20], [50, 50]]
    assert len(plot.rates(RATES[:1], cycle_ends=range(1, 50)).lines) == 1  # so many would hide the curve


def test_the_title_reads_the_numbers_off():
    ax = plot.rates(RATES[-1:], title="CircularLR(div=10, cut_div=1)")
    assert ax.get_title(loc="left") == ("CircularLR(div=10, cut_div=1)\nstarts at 0.001, ends at its peak of 0.01")
    assert plot.rates(RATES, title="").get_title(loc="left").startswith(f"group {len(RATES) - 1} starts at 0.001")
    assert plot.rates(RATES).get_title(loc="left") == ""


def test_given_axes_are_drawn_on_and_returned():
    _, (one, two) = plt.subplots(1, 2)
    n_figures = len(plt.get_fignums())
    assert plot.rates(RATES, ax=one) is one
    assert plot.rates(RATES, MOMENTUMS, ax=(one, two)) is one and len(two.lines) == 1
    assert plot.rates(RATES, MOMENTUMS, ax=one) is one and len(two.lines) == 1  # no room for the momentum
    assert plot.curve([1, 2], [3, 4], "x", "y", ax=two) is two
    assert len(plt.get_fignums()) == n_figures


@pytest.mark.parametrize("log, scale", [(False, "linear"), (True, "log")])
def test_a_curve(log, scale):
    ax = plot.curve([1, 2, 3], [4, 5, 6], "x of it", "y of it", log=log)
    np.testing.assert_array_equal(ax.lines[0].get_data(), [[1, 2, 3], [4, 5, 6]])
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_xscale()) == ("x of it", "y of it", scale)


def test_the_backend_stays_and_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    backend = matplotlib.get_backend()
    plot.rates(RATES, MOMENTUMS, [50], "title")
    assert matplotlib.get_backend() == backend and not list(tmp_path.iterdir())


@pytest.mark.parametrize("n", [10_000, 10_001, 99_991, 1_000_000])
def test_a_long_line_is_thinned_and_keeps_what_can_be_seen(n):
    rng = np.random.default_rng(0)
    y = np.where(np.arange(n) % 997 == 996, 1.0, rng.random(n) / 2)  # peaks of a batch
    y[[0, 5, n // 2, n - 1]] = 0.3, -1, 2, 0.4
    x, seen = plot.curve(range(1, n + 1), y, "x", "y").lines[0].get_data()
    assert len(x) <= 10_000 and (np.diff(x) > 0).all()
    np.testing.assert_array_equal(seen, y[np.asarray(x) - 1])  # points of the history, none made up
    assert (x[0], x[-1], seen.min(), seen.max()) == (1, n, -1, 2)
    if n == 10_000:
        assert len(x) == n
    else:
        width = 400 if n == 1_000_000 else 40
        bins = np.arange(n) // (width * 5)  # several of the bins together, whatever their exact size
        for k in range(0, bins[-1], 7):
            assert seen[bins[x - 1] == k].max() == y[bins == k].max()


def test_the_peak_of_every_cycle_stays_visible():
    rates = CircularLR(32, 5).at(np.arange(300_000), Cycles(30, 10_000))[0] * 1e-2
    ax = plot.rates([rates / 10, rates], 1 - rates, cycle_ends=range(10_000, 300_001, 10_000))
    for line, peak in zip(ax.lines, (1e-3, 1e-2)):
        x, y = line.get_data()
        assert [x[o] for o in np.flatnonzero(y == peak)] == [k * 10_000 + 2001 for k in range(30)]
    assert len(ax.figure.axes[1].lines[0].get_xdata()) <= 10_000
    many = plot.several({"a": (rates, 1 - rates), "b": (rates / 2, None)})
    assert {len(line.get_xdata()) <= 10_000 for line in [*many.lines, *many.figure.axes[1].lines]} == {True}


def test_loss_against_rate_keeps_the_extremes_of_both():
    t = np.linspace(0, 1, 50_000)
    x, y = np.sin(20 * t) * 1e-2, np.cos(31 * t)
    seen_x, seen_y = plot.curve(x, y, "x", "y").lines[0].get_data()
    assert (seen_x.min(), seen_x.max(), seen_y.min(), seen_y.max()) == (x.min(), x.max(), y.min(), y.max())
    assert 5000 < len(seen_x) <= 10_000


# -- what can be read -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("style", ["default", "dark_background"])
def test_every_line_stands_out_from_the_background(style):
    with plt.style.context(style):
        figure = plot.rates(RATES, MOMENTUMS).figure
        for ax in figure.axes:
            for line in ax.lines:
                difference = np.subtract(colors.to_rgb(line.get_color()), colors.to_rgb(ax.get_facecolor()))
                assert np.abs(difference).max() > 0.3


def texts_of(figure):
    return [ax.title for ax in figure.axes] + [ax._left_title for ax in figure.axes] + figure.legends


@pytest.mark.parametrize("n_groups", [1, 3, 12])
@pytest.mark.parametrize("momentums", [None, MOMENTUMS])
def test_a_long_title_stays_in_the_figure(n_groups, momentums):
    schedule = CircularLR(25.123456, 4.123456, 0.95, 0.85, cosine=True, div_final=1e5, gamma=0.999, cycle_gamma=0.5)
    ax = plot.rates([RATES[0] * (k + 1) for k in range(n_groups)], momentums, title=repr(schedule))
    renderer = draw(ax.figure)
    for text in texts_of(ax.figure):
        box = text.get_window_extent(renderer)
        assert box.width == 0 or ax.figure.bbox.x0 <= box.x0 and box.x1 <= ax.figure.bbox.x1


ANY_NAMES = ["clr({},5)", "CircularLR(div={}, cut_div=5, mom_a=0.95, mom_b=0.85, cosine=True)", "a {} " * 40]


@pytest.mark.parametrize(
    "n, name, momentums", [(*o, m) for o, m in zip(product([2, 7, 12], ANY_NAMES), cycle([None, MOMENTUMS]))]
)
def test_names_of_any_length_and_number_stay_in_the_figure_in_colours_of_their_own(n, name, momentums):
    ax = plot.several({name.format(*[k] * 40): (RATES[0], momentums) for k in range(n)})
    renderer = draw(ax.figure)
    (legend,) = ax.figure.legends
    box = legend.get_window_extent(renderer)
    assert ax.figure.bbox.x0 <= box.x0 and box.x1 <= ax.figure.bbox.x1 and box.y0 >= 0
    assert not box.overlaps(ax.get_tightbbox(renderer)) and ax.get_window_extent(renderer).height > 100
    assert len({colors.to_hex(line.get_color()) for line in ax.lines}) == n


@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_batches_and_epochs_are_counted_in_whole_numbers(n):
    values = np.linspace(0.1, 1, n)
    pictures = [
        plot.rates([values]),
        plot.several({"a": (values, None)}),
        plot.curve(range(1, n + 1), values, plot.BATCHES, "y"),
        plot.comparison({"a": (values, values[None], values[None])}, "accuracy", 0.5)[2],
    ]
    for ax in pictures:
        draw(ax.figure)
        low, high = ax.get_xlim()
        ticks = [o for o in ax.get_xticks() if low <= o <= high]
        assert ticks == [round(o) for o in ticks] and set(ticks) & set(range(1, n + 1))
        assert n > 1 or (low, high) == (0.5, 1.5)


RANGES = [(low, decades) for low in (2e-4, 9e-4) for decades in (0, 0.05, 0.3, 0.8, 1.2, 1.5, 2.2, 8)]


WIDTHS = [2.5, 6.4] * 4 + [6.4, 2.5] * 4  # both for each number of decades


@pytest.mark.parametrize("low, decades, width", [(*o, width) for o, width in zip(RANGES, WIDTHS)])
def test_the_labels_of_a_logarithmic_rate_do_not_overlap(low, decades, width):
    ax = plt.subplots(figsize=(width, 3), layout="constrained")[1]
    plot.curve(np.geomspace(low, low * 10**decades, 50), np.arange(50), "learning rate", "loss", log=True, ax=ax)
    renderer, (left, right) = draw(ax.figure), ax.get_xlim()
    ticks = [
        o
        for minor in (False, True)
        for o in ax.xaxis.get_ticklabels(minor)
        if left <= o.get_position()[0] <= right and o.get_text()
    ]
    boxes = sorted((o.get_window_extent(renderer) for o in ticks), key=lambda o: o.x0)
    assert len(boxes) > (width > 6) and all(a.x1 < b.x0 for a, b in zip(boxes, boxes[1:]))
    assert all(float(o.get_text().replace("\N{MINUS SIGN}", "-")) == pytest.approx(o.get_position()[0]) for o in ticks)


@pytest.mark.parametrize("width", [2.5, 6.4])
def test_the_labels_of_a_race_do_not_overlap(width):
    ax, peaks = plt.subplots(figsize=(width, 3), layout="constrained")[1], [0.00032 * 10 ** (k / 2) for k in range(8)]
    labels = plot.race(peaks, np.arange(8.0), peaks[0], "loss", ax).get_xticklabels()
    boxes = [o.get_window_extent(draw(ax.figure)) for o in labels]
    assert len(boxes) > 1 and all(a.x1 < b.x0 for a, b in zip(boxes, boxes[1:]))


@pytest.mark.parametrize("rates, said", [
    ([0.1] * 9, "stays at 0.1"), ([0.1], "stays at 0.1"), ([0.1, 0.1 + 1e-12], "stays at 0.1"),
    ([1, 0.5, 0.1], "starts at its peak of 1, ends at 0.1"), ([0.1, 0.5, 1], "starts at 0.1, ends at its peak of 1"),
    ([0.1, 1, 0.2], "starts at 0.1, peaks at 1 in batch 2, ends at 0.2"), ([1, 0.1, 1], "starts at its peak of 1, ends at 1"),
])  # fmt: skip
def test_the_title_says_nothing_twice(rates, said):
    assert plot.rates([rates], title="").get_title(loc="left") == said


def test_the_label_of_a_score_says_if_lower_is_better():
    curves = {"a": (RATES[0], RATES[0][None], SCORES[None])}
    for lower_is_better, label in [(True, "error_rate (lower is better)"), (False, "error_rate")]:
        assert plot.comparison(curves, "error_rate", lower_is_better)[2].get_ylabel() == label


@pytest.mark.parametrize("n", [2, 4, 5, 9, 12])
@pytest.mark.parametrize(
    "style",
    ["default", "grayscale", "dark_background", "ggplot", {"axes.prop_cycle": plt.cycler(color=["red", "red"])}],
)
def test_lines_can_be_told_apart_in_any_style(style, n):
    with plt.style.context(style):
        groups = [RATES[0] * (k + 1) for k in range(n)]
        for ax in (
            plot.rates(groups),
            plot.several({str(k): (o, None) for k, o in enumerate(groups)}),
            compared(None, map(str, range(n)))[0],
        ):
            shades = np.array([colors.to_rgb(line.get_color()) for line in ax.lines])
            apart = np.abs(shades[:, None] - shades).max(-1)[np.triu_indices(n, 1)]
            assert apart.min() > (0.09 if n <= 5 else 0.03)
            assert np.abs(shades - colors.to_rgb(ax.get_facecolor())).max(-1).min() > 0.25


def test_groups_far_apart_can_be_told_apart_on_a_logarithmic_axis():
    ax = plot.rates(RATES, log=True)
    assert ax.get_yscale() == "log" and ax.get_ylabel() == "learning rate (log scale)"
    assert CircularLR(32, 5).plot(lr=[1e-4, 1e-2], log=True).get_yscale() == "log"


def test_a_momentum_that_stays_is_a_level_line():
    level = np.full(50, 0.9) + np.tile([0, 2e-16], 25)
    for ax in (
        plot.rates(RATES[:1], level, [25]),
        plot.several({"a": (RATES[0], level), "b": (RATES[1], level)}, [25]),
    ):
        low, high = ax.figure.axes[1].get_ylim()
        assert high - low > 0.05


@pytest.mark.slow
def test_a_cells_picture_as_the_first_one_leaves_jupyters_own_on():
    code = """
import os
os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
from fastai_clr import CircularLR
CircularLR(32, 5)._repr_html_()
import matplotlib
print(matplotlib.is_interactive())
"""
    assert run_code(code).strip() == "True"


def test_a_cells_picture_that_fails_leaves_no_figure_open():
    def fails():
        plt.subplots()
        raise ValueError("theirs")

    before = plt.get_fignums()
    with pytest.raises(ValueError, match="theirs"):
        plot.cell(fails)
    assert plt.get_fignums() == before


def test_a_cells_picture_is_drawn_with_interactive_mode_off():
    modes = []
    with plt.ion():
        plot.cell(lambda: (modes.append(plt.isinteractive()), plt.subplots()[1])[1])
        assert modes == [False] and plt.isinteractive()
