"""Which peak rate to advise? `python tests/benchmarks/advice.py measure [TASK ...]`, then `python ... rules`.

`measure` trains the tasks of `tasks.py`, 8 seeds each, with (div, cut_div) = (10, 10):

- grid: nine peaks from 3e-4 to 3, for the whole fit, and for a third, a fifth and a tenth of it on other seeds;
- find: what fastai's `lr_find` suggests;
- race: the peaks that `suggest_clr` answers, and the batches it trains: by default (6 seeds) and with other budgets (3);
  replays of `grid` on the tasks of even index chose the race's rules;
- pair: other (div, cut_div) at the best peak of the grid;
- far: two tasks whose best peaks are far from 0.01, and two long fits, 3 seeds: whole fits at peaks from 1e-6 to 10 until
  one learns nothing, and what `suggest_clr` answers.

It takes some three hours of one core. The figures go to advice.csv, a column for each seed; a part of a task that is there
already is skipped. A peak that is missing there was left out because at least 3 of the seeds of the one before diverged or
learned nothing: it counts as one that learned nothing. `rules` says from the file how much each rule for the peak loses.

advice_real_size.csv has whole fits and short cycles of two larger tasks, measured on a GPU: 60,000 images of Fashion-MNIST, a
conv net with Adam for 2,340 batches and a ResNet-18 with SGD for 936. `rules` replays the race on them.
"""

import argparse
import csv
import math
import os
import warnings
from pathlib import Path
from time import perf_counter

CSV = Path(__file__).with_name("advice.csv")
REAL_SIZE = Path(__file__).with_name("advice_real_size.csv")
PEAKS = [3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0, 3.0]
SHARES = {"1": 1.0, "1/3": 1 / 3, "1/5": 1 / 5, "1/10": 1 / 10}
FAR_PEAKS = [1e-6, 1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0, 3.0, 10.0]
PAIRS = [(10, 10), (10, 5), (10, 3), (10, 20), (32, 10), (32, 5), (3, 10), (100, 10)]
BUDGETS = [None, 0.1, 0.25, 0.5, 1, 2, 4]  # of the race, in fits; None is the default
FINDERS = ["valley", "minimum", "steep", "slide"]
MEASURES = ["valid_loss", "train_loss", "metric"]


def write(*rows):
    with CSV.open("a") as file:
        for row in rows:
            file.write(",".join(f"{o:.4g}" if isinstance(o, float) else str(o) for o in row) + "\n")


def rows(task=None, run=None, value=None):
    with CSV.open() as file:
        return [o for o in csv.reader(file) if task in (None, o[0]) and run in (None, o[1]) and value in (None, o[3])]


def fit(box, task, seed, peak, share=1.0, pair=(10, 10)):
    """Validation loss, smoothed training loss and, where there is one, the metric."""
    with box.copy(seed, task.init) as (twin, _):
        lr = slice(peak / 10, peak) if task.slices else peak
        twin.fit(lr, 1, cycle_len=task.n_epoch * share, use_clr=pair)
        return [twin.recorder.values[-1][1], float(twin.recorder.losses[-1]), *twin.recorder.values[-1][2:]]


def score(result):
    """Of what `fit` returns, the metric or, without one, the validation loss."""
    return result[-1] if len(result) == 3 else result[0]


def learned(task, results):
    """For each of the seeds, whether it is better than chance."""
    if len(results[0]) == 3:
        return [math.isfinite(o[0]) and o[2] > task.chance + 0.02 for o in results]
    return [o[0] < task.chance for o in results]


def measure_grid(task):
    from fastai_clr.learner.trials.sandbox import Sandbox

    with Sandbox(task.learn) as box:
        began = perf_counter()
        fit(box, task, 0, 1e-3)
        n_batches = round(task.n_epoch * len(task.learn.dls.train))
        about = {"chance": float(task.chance), "seconds": perf_counter() - began, "batches": n_batches}
        yield from ([task.name, "task", "", what, value, *[""] * 7] for what, value in about.items())
        for name, share in SHARES.items():
            ever, seeds = False, range(8) if share == 1 else range(100, 108)
            for peak in PEAKS:
                results = [fit(box, task, seed, peak, share) for seed in seeds]
                yield from ([task.name, name, peak, what, *values] for what, values in zip(MEASURES, zip(*results)))
                n_learned = sum(learned(task, results))
                ever |= n_learned > 5
                if n_learned <= 5 and (ever or not any(math.isfinite(o[0]) for o in results)):
                    break


def measure_find(task):
    """fastai's own suggestions."""
    from fastai.basics import set_seed
    from fastai.callback.schedule import minimum, slide, steep, valley

    from fastai_clr.learner.trials.sandbox import Sandbox

    found = []
    for seed in range(8):
        set_seed(seed)
        task.init(task.learn.model)
        with Sandbox(task.learn) as box, box.copy(seed) as (twin, _):
            try:
                own = twin.lr_find(show_plot=False, suggest_funcs=(valley, minimum, steep, slide))
                found.append(list(map(float, own)))
            except (ValueError, IndexError, RuntimeError):  # too short a curve
                found.append([math.nan] * 4)
    yield from ([task.name, "find", "", what, *values] for what, values in zip(FINDERS, zip(*found)))


def race(task, seed, budget=None):
    """The peak that `suggest_clr` answers, and the batches it trains."""
    from fastai.basics import set_seed

    from fastai_clr.report.peaks import highest_rate

    set_seed(seed)
    task.init(task.learn.model)
    lr = slice(1e-3, 1e-2) if task.slices else None
    suggestion = task.learn.suggest_clr(task.n_epoch, lr, budget=budget, seed=seed)
    return float(highest_rate(suggestion.lr)), int(suggestion.trials["batches"].sum())


def measure_race(task):
    for budget in BUDGETS:
        if rows(task.name, f"race {budget}"):
            continue
        peaks, batches = [], []
        for seed in range(6 if budget is None else 3):
            try:
                peak, n_batches = race(task, seed, budget)
            except ValueError:  # fewer than three cycles of ten batches
                break
            peaks.append(peak)
            batches.append(n_batches)
        rest = [""] * (8 - len(peaks))
        yield [task.name, f"race {budget}", "", "peak", *peaks, *rest]
        yield [task.name, f"race {budget}", "", "batches", *batches, *rest]


def measure_pair(task):
    from regret import Measured

    from fastai_clr.learner.trials.sandbox import Sandbox

    peak = PEAKS[Measured(task.name).means.argmax()]
    with Sandbox(task.learn) as box:
        for div, cut_div in PAIRS:
            results = [fit(box, task, seed, peak, pair=(div, cut_div)) for seed in range(8)]
            yield [
                task.name,
                f"pair {div}/{cut_div}",
                peak,
                "score",
                *map(score, results),
            ]


def measure_far(task):
    from fastai_clr.learner.trials.sandbox import Sandbox

    ever = False
    with Sandbox(task.learn) as box:
        for peak in FAR_PEAKS:
            results = [fit(box, task, seed, peak) for seed in range(3)]
            what = "metric" if len(results[0]) == 3 else "valid_loss"
            yield [task.name, "far", peak, what, *map(score, results), *[""] * 5]
            has_learned = any(learned(task, results))
            if ever and not has_learned:
                break
            ever |= has_learned
    peaks, batches = zip(*(race(task, seed) for seed in range(3)))
    yield [task.name, "far", "", "peak", *peaks, *[""] * 5]
    yield [task.name, "far", "", "batches", *batches, *[""] * 5]


PARTS = {
    "grid": (measure_grid, "1/10"),
    "find": (measure_find, "find"),
    "race": (measure_race, "race 4"),
    "pair": (measure_pair, "pair 100/10"),
    "far": (measure_far, "far"),
}


def measure(names, parts):
    import torch
    from tasks import FAR, TASKS, make

    import fastai_clr.all  # noqa: F401  (installs the fit of 0.7)

    warnings.simplefilter("ignore")
    if not CSV.exists():
        write(["task", "run", "peak", "value", *range(8)])
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 1)))
    for part in parts:
        function, last = PARTS[part]
        for name in FAR if part == "far" else TASKS:
            if rows(name, last) or (names and name not in names):
                continue
            began = perf_counter()
            write(*list(function(make(name))))
            print(f"{name}: {part}, {perf_counter() - began:.0f} s", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("measure")
    command.add_argument("tasks", nargs="*")
    command.add_argument("--part", choices=PARTS, action="append", help="measure this part alone")
    commands.add_parser("rules")
    args = parser.parse_args()
    if args.command == "measure":
        measure(args.tasks, args.part or PARTS)
    else:
        from regret import print_rules

        print_rules()


if __name__ == "__main__":
    main()
