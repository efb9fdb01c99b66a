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
    figure.canvas.draw()
    return figure.canvas.get_renderer()


def test_one_line_for_each_group_with_its_name_and_peak():
    ax = plot.rates(RATES)
    for line, rates in zip(ax.lines, RATES):
        np.testing.assert_array_equal(line.get_data(), [np.arange(1, 51), rates])
    texts = [t.get_text() for t in ax.get_legend().get_texts()]
    assert texts == ["group 0, at most 0.0001", "group 1, at most 0.001", "group 2, at most 0.01"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("iteration (batches)", "learning rate")


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


def test_on_given_axes_the_legend_stays_inside():
    _, (left, right) = plt.subplots(1, 2)
    renderer = draw(plot.rates(RATES, ax=left).figure)
    assert not left.get_legend().get_window_extent(renderer).overlaps(right.get_window_extent(renderer))


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
    assert ax.get_title(loc="left") == (
        "CircularLR(div=10, cut_div=1)\nstarts at 0.001, peaks at 0.01 in batch 50, ends at 0.01"
    )
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


@pytest.mark.parametrize("n", [2, 7, 12])
@pytest.mark.parametrize(
    "name", ["clr({},5)", "CircularLR(div={}, cut_div=5, mom_a=0.95, mom_b=0.85, cosine=True)", "a {} " * 40]
)
@pytest.mark.parametrize("momentums", [None, MOMENTUMS])
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


def test_groups_far_apart_can_be_told_apart_on_a_logarithmic_axis():
    ax = plot.rates(RATES, log=True)
    assert ax.get_yscale() == "log" and ax.get_ylabel() == "learning rate (log scale)"
    assert CircularLR(32, 5).plot(lr=[1e-4, 1e-2], log=True).get_yscale() == "log"


def test_a_momentum_that_stays_is_a_level_line():
    ax = plot.rates(RATES[:1], np.full(50, 0.9) + np.tile([0, 1e-16], 25))
    low, high = ax.figure.axes[1].get_ylim()
    assert high - low > 0.05


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
