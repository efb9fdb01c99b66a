"""Do growing cycles reach what single cycles reach? `python tests/benchmarks/growing.py measure [TASK ...]`, then `table`.

Each task of `tasks.py` trains for twice its epochs in cycles that grow by 1.5, 2 or 3, and in four equal ones. What it has
reached at the end of each cycle is compared with a single cycle of that total length, from the same weights at the same
peak, the best one of advice.csv; 10 seeds, (div, cut_div) = (10, 10). Each cycle is a fit of its own, which goes on with
weights and optimizer and validates at its end, also inside an epoch. The figures go to growing.csv, a column for each seed;
a task that is there already is skipped. It takes about an hour of one core.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from measurements import rows, run
from regret import Measured

CSV = Path(__file__).with_name("growing.csv")
DESIGNS = {"x1.5": [1, 1.5, 2.25, 3.375], "x2": [1, 2, 4, 8], "x3": [1, 3, 9], "equal": [1, 1, 1, 1]}
SEEDS = range(10)


def train(box, task, seed, peak, ends):
    """The score after each cycle: the metric, or the negative validation loss. ends: of the cycles, in batches."""
    lr, n_iter, scores = slice(peak / 10, peak) if task.slices else peak, len(task.learn.dls.train), []
    with box.copy(seed, task.init) as (twin, _):
        for n in np.diff([0, *ends]).tolist():
            twin.fit(lr, 1, cycle_len=n / n_iter, use_clr=(10, 10))
            valid_loss, *metrics = twin.recorder.values[-1][1:]
            scores.append(metrics[0] if metrics else -valid_loss)
    return scores


def measure_task(task):
    """The scores at the end of each cycle of each design, and of single cycles that end there."""
    from advice import PEAKS

    from fastai_clr.learner.trials.sandbox import Sandbox

    peak, n_batches = PEAKS[Measured(task.name).means.argmax()], 2 * task.n_epoch * len(task.learn.dls.train)
    single = {}
    with Sandbox(task.learn) as box:
        for design, lengths in DESIGNS.items():
            ends = np.round(np.cumsum(lengths) / sum(lengths) * n_batches).astype(int).tolist()
            several = np.transpose([train(box, task, seed, peak, ends) for seed in SEEDS])
            for k, end in enumerate(ends):
                if end not in single:
                    single[end] = [train(box, task, seed, peak, [end])[0] for seed in SEEDS]
                yield [design, k + 1, end, *several[k]]
                yield [f"{design} single", k + 1, end, *single[end]]


def print_table():
    """Score after each cycle minus that of a single cycle: in points ± standard error, and over the tasks in sd."""
    measured = {(o[0], o[1], int(o[2])): np.array(o[4:], dtype=float) for o in rows(CSV)}
    tasks = {name: Measured(name) for name in dict.fromkeys(o[0] for o in measured)}
    for design, lengths in DESIGNS.items():
        table, in_sd = {}, {}
        for name, task in tasks.items():
            cycles = [measured[name, design, k + 1] for k in range(len(lengths))]
            singles = [measured[name, f"{design} single", k + 1] for k in range(len(lengths))]
            differences = [task.in_points(a - b) for a, b in zip(cycles, singles)]
            table[name] = [f"{o.mean():+.2f} ± {o.std(ddof=1) / len(o) ** 0.5:.2f}" for o in differences]
            in_sd[name] = [(a - b).mean() / b.std(ddof=1) for a, b in zip(cycles, singles)]
        columns = [f"cycle {k + 1}, {o:.2g}" for k, o in enumerate(np.cumsum(lengths) / sum(lengths))]
        print(f"\n{design}: after each cycle (and its part of the fit), minus a single cycle, in points\n")
        print(pd.DataFrame(table, columns).T.iloc[:, 1:].to_string())  # the first cycle is the single one
        sd = pd.DataFrame(in_sd, columns).T.iloc[:, 1:]
        error = sd.std() / len(sd) ** 0.5
        print("\nmean over the tasks, in sd of the seeds: ", end="")
        print(", ".join(f"{a:+.2f} ± {b:.2f}" for a, b in zip(sd.mean(), error)))


if __name__ == "__main__":
    run(__doc__, CSV, ["task", "design", "cycle", "batches", *SEEDS], measure_task, print_table)
