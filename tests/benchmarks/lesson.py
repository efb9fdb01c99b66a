"""The comparisons that understanding_use_clr.ipynb shows: `python tests/benchmarks/lesson.py` measures them all.

Each is a `compare_schedules` on the digits of notebooks/digits.py. The figures go to lesson.csv: for each question,
schedule, peak rate and epoch the accuracy of every run, a column for each seed, so that the runs of one column started
from the same weights and saw the same batches. "cycles" and "cooled" keep every epoch, the others the last. It takes
about five minutes of one core.
"""

import csv
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CSV = Path(__file__).with_name("lesson.csv")
LR, N_SEEDS = 1e-2, 10
PEAKS = [1e-3, 3e-3, 1e-2, 3e-2]


def one_cycle(pct_start=0.25, div_final=1e5, moms=(0.95, 0.85, 0.95)):
    """What `fit_one_cycle` does, with one thing changed."""
    from fastai.callback.schedule import combined_cos

    return {"lr": combined_cos(pct_start, LR / 25, LR, LR / div_final), "mom": combined_cos(pct_start, *moms)}


def comparisons():
    """Pairs of a question and the comparison that answers it."""
    from digits import new_learner, new_weights
    from fastai_clr.all import CircularLR, CLRCallback, Constant, CosAnneal

    learn, few = new_learner(), new_learner(n_train=500)
    triangle = CircularLR(10, 10)

    def compare(n_epoch, peak, schedules, seeds=N_SEEDS, learn=learn, **kwargs):
        return learn.compare_schedules(n_epoch, peak, schedules, seeds, init=new_weights, **kwargs)

    shapes = {
        "triangle": triangle,
        "constant": Constant(),
        "0.7's cosine": CosAnneal(),
        "plain cosine": CosAnneal(slow_start=False),
    }
    reached = {}
    for peak in PEAKS:
        found = compare(3, peak, shapes)
        yield f"shapes at {peak:g}", found
        reached[peak] = found.table["final accuracy", "mean"]
    best = {name: max(PEAKS, key=lambda peak: reached[peak][name]) for name in shapes}
    yield "shapes at their best", compare(3, best, shapes, range(10, 20))

    cycles = {
        "1 cycle of 8 epochs": triangle,
        "2 cycles of 4": CLRCallback(triangle, n_cycles=2),
        "4 cycles of 2": CLRCallback(triangle, n_cycles=4),
    }
    yield "cycles", compare(8, LR, cycles)
    for n_cycles, n_epoch in [(2, 3), (3, 7), (4, 15)]:
        ways = {"one cycle": triangle, "growing": CLRCallback(triangle, n_cycles, cycle_mult=2)}
        yield f"growing for {n_epoch}", compare(n_epoch, LR, ways, 5)

    pairs = [f"clr({div},{cut_div})" for div in (5, 10, 20, 40) for cut_div in (5, 10, 20)]
    yield "pairs", compare(3, LR, pairs, baseline="clr(10,10)")
    yield "8 epochs", compare(8, LR, ["clr(10,10)", "clr(40,10)"], 5)
    yield "500 images", compare(4, LR, ["clr(10,10)", "clr(10,5)"], learn=few)

    momentums = {
        "0.9 throughout": triangle,
        "0.95 to 0.85 and back": CircularLR(10, 10, 0.95, 0.85),
        "0.85 to 0.95 and back": CircularLR(10, 10, 0.85, 0.95),
        "0.85 throughout": CircularLR(10, 10, 0.85, 0.85),
        "0.95 throughout": CircularLR(10, 10, 0.95, 0.95),
    }
    yield "momentum", compare(3, LR, momentums)
    yield "beta", compare(3, LR, ["clr(10,10)", "clr_beta(10,10)", "clr_beta(10,10,.95,.85)"])

    for peak in (3e-3, 3e-2):
        yield f"one_cycle at {peak:g}", compare(3, peak, ["clr(10,10)", "one_cycle"])
    changes = {
        "clr(10,10)": triangle,
        "one_cycle": "one_cycle",
        "its momentum at 0.9": one_cycle(moms=(0.9, 0.9, 0.9)),
        "its peak after 1/10": one_cycle(pct_start=0.1),
        "its end at lr/10": one_cycle(div_final=10),
    }
    yield "one_cycle, changed", compare(3, LR, changes)

    schedules = ["clr(10,10)", "clr(10,5)", "cosine", "one_cycle", "constant"]
    yield "each at its own peak", compare(3, None, schedules, 5, lr_grid=[3e-3, 1e-2, 3e-2, 1e-1])


def cooled():
    """Lines of the file: a fit that is stopped after 5 of 10 epochs and cooled down, and whole cycles; 5 seeds."""
    from fastai.callback.core import Callback, CancelFitException
    from fastai.torch_core import set_seed

    from digits import new_learner, new_weights

    class Stop(Callback):
        order = 99  # after the epoch is recorded

        def after_epoch(self):
            if self.epoch == 4:
                raise CancelFitException

    ways = {
        "a cycle of 10 epochs": [lambda learn: learn.fit_clr(10, 3 * LR)],
        "a cycle of 6 epochs": [lambda learn: learn.fit_clr(6, 3 * LR)],
        "stopped after 5, cooled for 1": [
            lambda learn: learn.fit_clr(10, 3 * LR, cbs=Stop()),
            lambda learn: learn.fit_cooldown(),
        ],
    }
    for name, fits in ways.items():
        runs = []
        for seed in range(5):
            learn = new_learner()
            set_seed(seed)
            new_weights(learn.model)
            accuracies = []
            with learn.no_logging():
                for fit in fits:
                    fit(learn)
                    accuracies += learn.sched.rec_metrics
            runs.append(accuracies)
        for epoch, values in enumerate(zip(*runs), 1):
            yield row("cooled", name, 3 * LR, epoch, values)


def row(question, name, peak, epoch, values):
    """A line of the file, whose last columns are empty where there were fewer seeds."""
    return [question, name, peak, epoch, *(f"{o:.6f}" for o in values), *[""] * (N_SEEDS - len(values))]


def rows(question, comparison):
    """Lines of the file, from the epochs of all runs; the schedule that the others are compared with comes first."""
    for name in sorted(comparison.names, key=lambda name: name != comparison.baseline):
        epochs = comparison.history["accuracy"].loc[name].unstack("seed")
        for epoch, values in (epochs if question == "cycles" else epochs.tail(1)).iterrows():
            yield row(question, name, comparison.peaks[name], epoch, values)


def main():
    sys.path += [str(ROOT), str(ROOT / "notebooks")]
    import torch

    torch.set_num_threads(1)
    with CSV.open("w") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(["question", "schedule", "peak", "epoch", *range(1, N_SEEDS + 1)])
        for question, comparison in comparisons():
            lines.writerows(rows(question, comparison))
            file.flush()
            print(question, comparison, "", sep="\n", flush=True)
        lines.writerows(cooled())


if __name__ == "__main__":
    main()
