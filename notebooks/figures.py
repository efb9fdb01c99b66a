"""The README's pictures: `python notebooks/figures.py` draws them anew in notebooks/images/."""

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


def stopped_and_cooled(seeds=range(5)):
    """Rate and accuracy of a fit that is stopped after 5 of 10 epochs and cooled down, beside whole cycles."""
    import numpy as np
    from fastai.callback.core import Callback, CancelFitException
    from fastai.torch_core import set_seed

    from digits import new_learner, new_weights

    class Stop(Callback):
        order = 99  # after the epoch is recorded

        def after_epoch(self):
            if self.epoch == 4:
                raise CancelFitException

    def train(*fits):
        """Rates by batch and mean accuracies by epoch of the fits, one after the other."""
        accuracies = []
        for seed in seeds:
            learn, rates, accuracy = new_learner(), [], []
            set_seed(seed)
            new_weights(learn.model)
            with learn.no_logging():
                for fit in fits:
                    fit(learn)
                    rates += learn.sched.lrs
                    accuracy += learn.sched.rec_metrics
            accuracies.append(accuracy)
        return len(learn.dls.train), rates, np.mean(accuracies, axis=0)

    lr = 0.03
    ways = {
        "a cycle of 10 epochs": train(lambda o: o.fit_clr(10, lr)),
        "a cycle of 6 epochs": train(lambda o: o.fit_clr(6, lr)),
        "stopped after 5, cooled for 1": train(lambda o: o.fit_clr(10, lr, cbs=Stop()), lambda o: o.fit_cooldown()),
    }
    figure, (above, below) = plt.subplots(2, figsize=(8, 5.5), sharex=True, layout="constrained")
    for (name, (n_iter, rates, accuracy)), style in zip(
        ways.items(), [dict(color="0.6"), dict(color="C0", ls="--"), dict(color="C3", lw=2.5)]
    ):
        above.plot(np.arange(1, len(rates) + 1) / n_iter, rates, **style)
        label = f"{name}: {accuracy[-1]:.3f}"
        below.plot(np.arange(1, len(accuracy) + 1), accuracy, marker="o", label=label, **style)
    above.set(ylabel="learning rate", ylim=(0, 1.12 * lr))
    n_iter, rates, _ = ways["stopped after 5, cooled for 1"]
    above.annotate("stopped: learn.fit_cooldown()", (5, rates[5 * n_iter - 1]), (5.4, 0.9 * lr),
                   arrowprops=dict(arrowstyle="->"))  # fmt: skip
    below.set(xlabel="epochs", ylabel="accuracy")
    below.legend(title=f"accuracy at the end, mean of {len(seeds)} seeds", loc="lower right")
    return figure


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    stopped_and_cooled().savefig(IMAGES / "cooldown.png", dpi=100)
    annotated_schedule().savefig(IMAGES / "use_clr.png", dpi=120)
    side_by_side().savefig(IMAGES / "schedules.png", dpi=100)
