"""The files of growing.py and cooldown.py, a line for each thing measured and a column for each seed; their commands."""

import argparse
import csv
import os
import warnings
from time import perf_counter


def rows(path, task=None):
    """The lines of a task, or of all, without the heading."""
    if not path.exists():
        return []
    with path.open() as file:
        return [o for o in csv.reader(file) if task in (None, o[0])][task is None :]


def measure(path, heading, names, measure_task):
    """Measure the tasks that the file lacks. measure_task: gives the lines of a task, without its name."""
    import torch
    from tasks import TASKS, make

    import fastai_clr.all  # noqa: F401  (installs the fit of 0.7)

    warnings.simplefilter("ignore")
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 1)))
    if not path.exists():
        path.write_text(",".join(map(str, heading)) + "\n")
    for name in names or TASKS:
        if rows(path, name):
            continue
        began = perf_counter()
        lines = [[name, *line] for line in measure_task(make(name))]
        with path.open("a") as file:
            for line in lines:
                file.write(",".join(f"{o:.4g}" if isinstance(o, float) else str(o) for o in line) + "\n")
        print(f"{name}: {perf_counter() - began:.0f} s", flush=True)


def run(description, path, heading, measure_task, print_table):
    """The commands `measure [TASK ...]` and `table`."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["measure", "table"])
    parser.add_argument("tasks", nargs="*")
    args = parser.parse_args()
    measure(path, heading, args.tasks, measure_task) if args.command == "measure" else print_table()
