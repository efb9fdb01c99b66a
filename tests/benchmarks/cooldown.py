"""Is a stopped fit with a cooldown worth a whole one? `python tests/benchmarks/cooldown.py measure [TASK ...]`.

The tasks of `tasks.py` train at their best peak of advice.csv, with `use_clr=(10, 10)` or at a constant rate, and are stopped.
From there the rates fall for a part of what was trained. Each is compared with stopping there, and with a cycle that knew
from the start that it would have as many batches, from the same weights; 8 seeds.

On TASKS[::2] the defaults were chosen, for 0.6 of the task's epochs in all: a cooldown of 10, 20 and 40 % of what was
trained before, and for 20 % four shapes, linearly to 1/10 and to 1/100, and to 1/100 as 1 - sqrt and as half a cosine. On
some of these tasks a stopped `use_clr=(10, 10, .95, .85)` says what momentum should do: be the optimizer's own, stay where
it was, or go back to .95. TASKS[1::2] are for the report: the chosen cooldown after 1/4, 1/2 and 3/4.

The figures go to cooldown.csv, a column for each seed; a task that is there already is skipped. It takes 15 to 45
minutes. `python tests/benchmarks/cooldown.py table` prints what they say.
"""

import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from measurements import rows, run
from regret import Measured

from fastai_clr import CircularLR, Constant, Schedule

CSV = Path(__file__).with_name("cooldown.csv")
SEEDS = range(8)
TRUNKS = {"cycle": CircularLR(10, 10), "constant": Constant()}
CURVES = {  # the part of the fall that is left after the part x of the cooldown
    "linear": lambda x: 1 - x,
    "sqrt": lambda x: 1 - np.sqrt(x),
    "cosine": lambda x: (1 + np.cos(np.pi * x)) / 2,
}
SHAPES = {
    "linear 1/10": ("linear", 10),
    "linear 1/100": ("linear", 100),
    "sqrt": ("sqrt", 100),
    "cosine": ("cosine", 100),
}
CHOSEN = 0.2, "linear 1/10"
TO_CHOOSE = {  # by trunk and stop: the lengths and shapes of the cooldowns
    "cycle": {0.6 / 1.4: [(0.4, "linear 1/10")], 0.5: [(0.2, o) for o in SHAPES], 0.6 / 1.1: [(0.1, "linear 1/10")]},
    "constant": {0.6 / 1.4: [(0.4, "linear 1/10")], 0.5: [CHOSEN], 0.6 / 1.1: [(0.1, "linear 1/10")]},
}
TO_REPORT = {"cycle": {0.25: [CHOSEN], 0.5: [CHOSEN], 0.75: [CHOSEN]}, "constant": {0.5: [CHOSEN]}}
MOMENTUM = ["digits_mlp_adam", "mnist_mlp_adam", "mnist_conv_adam", "clothes_conv_sgd", "tune_slices_adam"]


@dataclass(frozen=True)
class Fall(Schedule):
    """From the rate that was held to 1/div of it, with the ends of `Cooldown`; momentum linearly from mom_b to mom_a."""

    curve: str
    div: float
    mom_a: float | None = None
    mom_b: float | None = None

    def factor(self, i, cycle):
        return 1 / self.div + (1 - 1 / self.div) * CURVES[self.curve]((i + 1) / cycle.length)

    def height(self, i, cycle):
        return 1 - (i + 1) / cycle.length


def score(twin):
    """The metric, or the negative validation loss."""
    valid_loss, *metrics = twin.recorder.values[-1][-len(twin.metrics) - 1 :]
    return metrics[0] if metrics else -valid_loss


class Trained:
    """The states of a copy of the task's Learner after some of its batches, all of one fit."""

    def __init__(self, twin, task, schedule, stops, seed):
        from fastai.callback.core import Callback, CancelFitException

        states, n_iter = {}, len(twin.dls.train)
        n_batches = task.n_epoch * n_iter

        class Stop(Callback):
            run_valid = False
            n_done = 0

            def after_batch(self):
                self.n_done += 1
                if self.n_done in ends:
                    rates, momentum = [h["lr"] for h in self.opt.hypers], self.opt.hypers[-1].get("mom")
                    weights = copy.deepcopy(self.model.state_dict())
                    states[self.n_done] = weights, copy.deepcopy(self.opt.state_dict()), rates, momentum
                if self.n_done == max(ends):
                    raise CancelFitException

        ends = [round(stop * n_batches) for stop in stops]
        own = [(h["lr"], h.get("mom")) for h in twin.opt.hypers]
        twin.fit(peak_of(task), 1, cycle_len=task.n_epoch, use_clr=schedule, cbs=Stop())
        self.twin, self.seed, self.n_iter, self.own_momentum = twin, seed, n_iter, own[-1][1]
        self.states = {stop: (end, *states[end]) for stop, end in zip(stops, ends)}

    def back_to(self, stop):
        """The batches done, the rates and the momentum at this stop, with the weights and the optimizer's state."""
        from fastai_clr.learner.trials.seeding import seed_everything

        n_done, weights, optimizer, rates, momentum = self.states[stop]
        self.twin.model.load_state_dict(weights)
        self.twin.opt.load_state_dict(copy.deepcopy(optimizer))
        if self.own_momentum is not None:
            self.twin.opt.set_hyper("mom", self.own_momentum)
        seed_everything(self.twin, 1000 + self.seed)  # each cooldown from a stop sees the same batches
        return n_done, rates, momentum

    def stopped(self, stop):
        self.back_to(stop)
        valid_loss, *metrics = self.twin.validate()
        return metrics[0] if metrics else -valid_loss

    def cooled(self, stop, share, curve, div, momentum="own"):
        n_done, rates, held = self.back_to(stop)
        moms = {"own": (), "held": (held, held), "mom_a": (0.95, held)}[momentum]
        n = max(1, round(share * n_done))
        self.twin.fit(rates, 1, cycle_len=n / self.n_iter, use_clr=Fall(curve, div, *moms))
        return score(self.twin)


def total_of(stop, share):
    """Batches in all, as a part of the task's: `known` is a cycle of this length."""
    return round(stop * (1 + share), 3)


def peak_of(task):
    from advice import PEAKS

    peak = PEAKS[Measured(task.name).means.argmax()]
    return slice(peak / 10, peak) if task.slices else peak


def measure_seed(box, task, seed, grid):
    """The scores of one seed by (trunk, stop, share, what); a cycle that knew its length by (trunk, length, "", "known")."""
    found, n_iter = {}, len(task.learn.dls.train)
    for trunk, schedule in TRUNKS.items():
        with box.copy(seed, task.init) as (twin, _):
            trained = Trained(twin, task, schedule, list(grid[trunk]), seed)
            for stop, cooldowns in grid[trunk].items():
                found[trunk, round(stop, 3), "", "stopped"] = trained.stopped(stop)
                for share, name in cooldowns:
                    found[trunk, round(stop, 3), share, name] = trained.cooled(stop, share, *SHAPES[name])
    for total in dict.fromkeys(total_of(stop, share) for stop, o in grid["cycle"].items() for share, _ in o):
        with box.copy(seed, task.init) as (twin, _):
            n = round(total * task.n_epoch * n_iter)
            twin.fit(peak_of(task), 1, cycle_len=n / n_iter, use_clr=(10, 10))
            found["cycle", total, "", "known"] = score(twin)
    if task.name in MOMENTUM:
        with box.copy(seed, task.init) as (twin, _):
            trained = Trained(twin, task, CircularLR(10, 10, 0.95, 0.85), [0.5], seed)
            for momentum in ("own", "held", "mom_a"):
                found["momentum", 0.5, 0.2, momentum] = trained.cooled(0.5, 0.2, "linear", 10, momentum)
    return found


def measure_task(task):
    """The scores of all seeds, by the keys of `measure_seed`."""
    from tasks import TASKS

    from fastai_clr.learner.trials.sandbox import Sandbox

    with Sandbox(task.learn) as box:
        grid = TO_CHOOSE if task.name in list(TASKS)[::2] else TO_REPORT
        found = [measure_seed(box, task, seed, grid) for seed in SEEDS]
    return [[*key, *(float(o[key]) for o in found)] for key in found[0]]


def print_tables():
    """Print what was measured on the tasks for the choice, then on those for the report."""
    known = "cycle", 0.6, "", "known"
    stops = {0.1: 0.545, 0.2: 0.5, 0.4: 0.429}
    for trunk in TRUNKS:
        lengths = {f"{share:.0%}": (trunk, stop, share, "linear 1/10") for share, stop in stops.items()}
        show(f"{trunk}, lengths of the cooldown: minus a cycle that knew", lengths, dict.fromkeys(lengths, known))
    shapes = {name: ("cycle", 0.5, 0.2, name) for name in SHAPES}
    show("shapes: minus a cycle that knew", shapes, dict.fromkeys(shapes, known))
    moms = {name: ("momentum", 0.5, 0.2, name) for name in ("held", "mom_a")}
    show("momentum: minus the optimizer's own", moms, dict.fromkeys(moms, ("momentum", 0.5, 0.2, "own")))
    stops = [("cycle", 0.25), ("cycle", 0.5), ("cycle", 0.75), ("constant", 0.5)]
    cooled = {f"{trunk} {stop}": (trunk, stop, *CHOSEN) for trunk, stop in stops}
    stopped = {name: (*key[:2], "", "stopped") for name, key in cooled.items()}
    knew = {name: ("cycle", total_of(*key[1:3]), "", "known") for name, key in cooled.items()}
    show("report, the chosen cooldown: minus stopping there", cooled, stopped)
    show("report, the chosen cooldown: minus a cycle that knew", cooled, knew)


def show(title, columns, others):
    """Print columns minus others, in points ± standard error for each task, and over the tasks in sd of the seeds.

    columns, others: keys of the scores, by the name of the column. A task that lacks one is left out.
    """
    points, in_sd = {}, {}
    for name in dict.fromkeys(o[0] for o in rows(CSV)):
        scores, task = {tuple(o[1:5]): np.array(o[5:], dtype=float) for o in rows(CSV, name)}, Measured(name)
        pairs = {
            k: (scores.get(tuple(map(str, key))), scores.get(tuple(map(str, others[k])))) for k, key in columns.items()
        }
        if any(o is None for pair in pairs.values() for o in pair):
            continue
        differences = {k: a - b for k, (a, b) in pairs.items()}
        in_points = {k: task.in_points(d) for k, d in differences.items()}
        points[name] = {k: f"{d.mean():+.2f} ± {d.std(ddof=1) / len(d) ** 0.5:.2f}" for k, d in in_points.items()}
        in_sd[name] = {k: d.mean() / task.sd for k, d in differences.items()}
    print(f"\n{title}, in points\n\n{pd.DataFrame(points).T.to_string()}\n")
    sd = pd.DataFrame(in_sd).T
    table = pd.DataFrame({"mean": sd.mean(), "error": sd.sem(), "median": sd.median()}).T
    print(f"over {len(sd)} tasks, in sd of the seeds\n\n{table.to_string(float_format='{:+.2f}'.format)}")


if __name__ == "__main__":
    run(__doc__, CSV, ["task", "trunk", "stop", "share", "what", *SEEDS], measure_task, print_tables)
