"""The schedules in the README's pictures: `python notebooks/figures.py` draws them anew in notebooks/images/."""

from pathlib import Path

import matplotlib.pyplot as plt

from fastai_clr import CircularLR, plot_schedules

IMAGES = Path(__file__).parent / "images"


def annotated_schedule(div=32, cut_div=5):
    """The learning rate of `use_clr=(div, cut_div)` over 300 batches, with what each number means."""
    figure, ax = plt.subplots(figsize=(8, 4), layout="constrained")
    CircularLR(div, cut_div).plot(lr=1e-2, n_batches=300, show_text=False, ax=ax)
    ax.lines[0].set_linewidth(2.5)
    ax.set(xlim=(-8, 308), ylim=(0, 0.0138))
    ax.set_title(f"learn.fit(1e-2, 1, cycle_len=3, use_clr=({div}, {cut_div}))", family="monospace")
    peak = 300 // cut_div + 1
    for (batch, rate), where, text in [
        ((1, 1e-2 / div), (25 + peak / 4, 0.0012), f"starts at lr / div = 0.01 / {div}"),
        ((peak, 1e-2), (peak + 29, 0.0098), "peaks at lr = 0.01"),
    ]:
        ax.annotate(text, (batch, rate), where, va="center", arrowprops=dict(arrowstyle="->"))
    for first, last, x, align, text in [
        (1, peak, 1, "left", f"rises for 1 / cut_div,\n1/{cut_div} of the cycle"),
        (peak, 300, 180, "center", "falls for the rest"),
    ]:
        ax.annotate("", (first, 0.0113), (last, 0.0113), arrowprops=dict(arrowstyle="<->", color="tab:red"))
        ax.text(x, 0.0117, text, color="tab:red", ha=align, va="bottom")
    return figure


def side_by_side():
    """The schedules that people choose from, over 300 batches with the same peak."""
    return plot_schedules(["clr(32,5)", "clr_beta(10,10)", "one_cycle", "cosine"], lr=1e-2, n_batches=300).figure


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    annotated_schedule().savefig(IMAGES / "use_clr.png", dpi=120)
    side_by_side().savefig(IMAGES / "schedules.png", dpi=100)
