"""The README's pictures: `python notebooks/figures.py` draws them anew in notebooks/images/."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from fastai_clr import CircularLR, Cooldown, Cycles, plot_schedules
from fastai_clr.schedules import Timetable

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


def stopped_and_cooled():
    """Rate and accuracy of a fit that is stopped after 5 of 10 epochs and cooled down, beside whole cycles.

    tests/benchmarks/lesson.py measured the accuracies.
    """
    from digits import measured

    accuracies, n_iter = measured("cooled"), 31  # 2,000 images in batches of 64
    lr = float(accuracies.index.get_level_values("peak")[0])

    def rates(schedule, n_epoch, peak):
        return Timetable(schedule, Cycles(1, n_epoch, n_iter=n_iter), [peak]).rates[:, 0]

    ten, six = (rates(CircularLR(10, 10), n_epoch, lr) for n_epoch in (10, 6))
    until = ten[: 5 * n_iter]
    ways = {
        "a cycle of 10 epochs": (ten, dict(color="0.6")),
        "a cycle of 6 epochs": (six, dict(color="C0", ls="--")),
        "stopped after 5, cooled for 1": ([*until, *rates(Cooldown(10), 1, until[-1])], dict(color="C3", lw=2.5)),
    }
    figure, (above, below) = plt.subplots(2, figsize=(8, 5.5), sharex=True, layout="constrained")
    for name, (of_batch, style) in ways.items():
        above.plot(np.arange(1, len(of_batch) + 1) / n_iter, of_batch, **style)
        accuracy = accuracies.loc[name, lr].mean(axis="columns")
        below.plot(accuracy.index, accuracy, marker="o", label=f"{name}: {accuracy.iloc[-1]:.3f}", **style)
    above.set(ylabel="learning rate", ylim=(0, 1.12 * lr))
    above.annotate("stopped: learn.fit_cooldown()", (5, until[-1]), (5.4, 0.9 * lr), arrowprops=dict(arrowstyle="->"))
    below.set(xlabel="epochs", ylabel="accuracy")
    below.legend(title=f"accuracy at the end, mean of {accuracies.shape[1]} seeds", loc="lower right")
    return figure


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    stopped_and_cooled().savefig(IMAGES / "cooldown.png", dpi=100)
    annotated_schedule().savefig(IMAGES / "use_clr.png", dpi=120)
    side_by_side().savefig(IMAGES / "schedules.png", dpi=100)
