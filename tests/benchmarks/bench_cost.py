"""What the schedule costs, side by side with fastai's and torch's: `python -m pytest tests/benchmarks/bench_cost.py`.

Times are process CPU time, medians of many short rounds in which the contenders take turns, so that a busy machine slows
all of them alike: compare the ratios, not the microseconds. The tables come last, before pytest-benchmark's own, which
has our body alone, for `--benchmark-compare` between commits.
"""

import io
import pickle
import subprocess
import sys
import tracemalloc
from functools import partial
from itertools import count, cycle
from statistics import median
from time import process_time

import numpy as np
import pytest
import torch
from fastai.callback.core import Callback, CancelFitException
from fastai.callback.schedule import ParamScheduler, SchedCos, combined_cos
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Learner
from fastai.losses import CrossEntropyLossFlat
from fastai.optimizer import SGD, Adam, OptimWrapper
from torch import nn
from torch.optim.lr_scheduler import CyclicLR, LambdaLR, OneCycleLR

from fastai_clr.all import CircularLR, CLRCallback, Cycles, Record
from fastai_clr.learner.calls.fit import native_fit
from fastai_clr.schedules.timetable import BLOCK, Timetable
from helpers import DIGITS, PIXELS, make_learner

OPTIMIZERS = {
    "fastai SGD": partial(SGD, mom=0.9),
    "fastai Adam": Adam,
    "OptimWrapper SGD": partial(OptimWrapper, opt=partial(torch.optim.SGD, momentum=0.9)),
    "OptimWrapper AdamW": partial(OptimWrapper, opt=torch.optim.AdamW),
}
GROUPS = [1, 3, 10, 100]
SCHEDULE = CircularLR(25, 4, 0.95, 0.85)
DEAREST = CircularLR(25, 4, 0.95, 0.85, cosine=True, div_final=1e5, gamma=0.99994, cycle_gamma=0.5)
EVENTS = (
    "before_batch after_pred after_loss before_backward after_backward before_step after_step after_batch".split()
)  # what fastai fires for a batch that trains
ROUNDS, ROUND = 61, 2e-3  # rounds for each contender, and seconds of one


def take_turns(contenders, rounds=ROUNDS, seconds=ROUND, warm_up=20, least=None):
    """Process CPU time of one call in each round, in microseconds, by name; each contender runs in every round.

    least: calls that a round of a contender holds at least, by its name.
    """
    times, loops = {}, {}
    for name, call in contenders.items():
        call()
        start = process_time()
        for _ in range(warm_up):
            call()
        loops[name] = max(int(seconds * warm_up / (process_time() - start)), (least or {}).get(name, 1))
    for _ in range(rounds):
        for name, call in contenders.items():
            loop = range(loops[name])
            start = process_time()
            for _ in loop:
                call()
            times.setdefault(name, []).append((process_time() - start) / len(loop) * 1e6)
    return {name: np.array(o) for name, o in times.items()}


def medians(*args, **kwargs):
    """The median of the rounds of `take_turns`, by name."""
    return {name: np.median(o) for name, o in take_turns(*args, **kwargs).items()}


class Inside(Callback):
    """Calls `measure` in the middle of a real fit, then ends it."""

    order = 1000

    def __init__(self, measure):
        self.measure = measure

    def after_batch(self):
        self.measure(self.learn)
        raise CancelFitException


def torch_schedulers(optimizer, n_groups):
    """torch's own, on torch's optimizer of the same kind with as many groups; all but LambdaLR set momentum, too."""
    build = torch.optim.AdamW if "Adam" in optimizer else partial(torch.optim.SGD, momentum=0.9)

    def opt():
        return build([{"params": [nn.Parameter(torch.zeros(1))], "lr": 1e-2} for _ in range(n_groups)], lr=1e-2)

    schedulers = {
        "CyclicLR": CyclicLR(opt(), 1e-3, 1e-2, step_size_up=10**6, base_momentum=0.85, max_momentum=0.95),
        "OneCycleLR": OneCycleLR(opt(), 1e-2, total_steps=10**7),
        "LambdaLR": LambdaLR(opt(), lambda i: 1 - i / 10**7),
    }
    for scheduler in schedulers.values():
        scheduler.optimizer.step()  # the order that torch asks for
    return {name: o.step for name, o in schedulers.items()}


def fastai_schedulers(learn, peaks):
    """fastai's own with lr and momentum: in its cheapest form, one cosine each, and as `fit_one_cycle` builds it."""
    schedulers = {
        "ParamScheduler": ParamScheduler({"lr": SchedCos(peaks, peaks / 25), "mom": SchedCos(0.85, 0.95)}),
        "fit_one_cycle": ParamScheduler(
            {
                "lr": combined_cos(0.25, peaks / 25, peaks, peaks / 1e5),
                "mom": combined_cos(0.25, 0.95, 0.85, 0.95),
            }
        ),
    }
    for scheduler in schedulers.values():
        scheduler.learn = learn  # not a callback of the fit, where ours would refuse it: called here alone
        scheduler.before_fit()
    return schedulers


def floor(opt):
    """A bare loop that writes two floats per group."""
    groups = opt.opt.param_groups if isinstance(opt, OptimWrapper) else list(opt.hypers)
    mom = "momentum" if "momentum" in groups[0] else "mom"

    def write():
        for group in groups:
            group["lr"] = 1e-2
            group[mom] = 0.9

    def write_betas():
        for group in groups:
            group["lr"] = 1e-2
            group["betas"] = (0.9, 0.99)

    return write_betas if "betas" in groups[0] else write


def in_a_loop(learn, cb=None, first=0):
    """Calls for a batch of the fit that is running: its body alone, and with fastai's calls for every event."""
    state = learn.__dict__
    batches, positions = count(first), cycle(i / 1000 for i in range(1000))

    def advance():  # the loop goes on, over the seams of the blocks in which a schedule is evaluated
        state["iter"] = next(batches)
        state["pct_train"] = next(positions)

    def body():
        advance()
        cb.before_batch()
        cb.after_batch()

    def dispatched():
        advance()
        for event in EVENTS:
            cb(event)

    return (lambda: advance()) if cb is None else body, dispatched


def inside_a_fit(path, optimizer, n_groups, measure, schedule=SCHEDULE, n_epoch=100, n_cycles=1):
    """What `measure(learn, ours, peaks)` returns in the first batch of a fit with 1000 batches per epoch."""
    found = []
    learn = make_learner(path, 1000, n_groups, OPTIMIZERS[optimizer], n_valid=4)
    peaks = np.geomspace(1e-4, 1e-2, n_groups) if n_groups > 1 else np.array([1e-2])
    ours = CLRCallback(schedule, n_cycles)
    inside = Inside(lambda learn: found.append(measure(learn, ours, peaks)))
    learn.fit(n_epoch, list(peaks), cbs=[ours, inside])
    return found[0]


@pytest.fixture(scope="module")
def tables(request):
    """Rows by the title of their table, written when the last benchmark is done."""
    rows = {}
    yield rows
    with request.config.pluginmanager.get_plugin("capturemanager").global_and_fixture_disabled():
        for title, table in rows.items():
            print(f"\n\n{title}")
            widths = [max(map(len, column)) for column in zip(*table)]
            for first, *others in table:
                print(first.ljust(widths[0]), *(o.rjust(w) for o, w in zip(others, widths[1:])), sep="  ")


def add(tables, title, head, row):
    tables.setdefault(title, [head]).append([str(o) for o in row])


@pytest.mark.benchmark(timer=process_time)
@pytest.mark.parametrize("n_groups", GROUPS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_batch(tables, benchmark, tmp_path, optimizer, n_groups):
    def measure(learn, ours, peaks):
        calls = {"ours": in_a_loop(learn, ours)}
        body = {"ours": calls["ours"][0], "loop": in_a_loop(learn)[0]}
        turns = partial(medians, least=dict.fromkeys(["ours", "loop"], BLOCK))  # the schedule's array is paid for, too
        beside_torch = turns({**body, **torch_schedulers(optimizer, n_groups), "floor": floor(learn.opt)})
        calls |= {name: in_a_loop(learn, cb) for name, cb in fastai_schedulers(learn, peaks).items()}
        beside_fastai = turns({**body, **{name: o[0] for name, o in calls.items()}})
        dispatched = turns({"loop": body["loop"], **{name: o[1] for name, o in calls.items()}})
        benchmark.pedantic(body["ours"], rounds=50, iterations=500)
        return beside_torch, beside_fastai, dispatched

    found = inside_a_fit(tmp_path, optimizer, n_groups, measure)
    for times in found:
        loop = times.pop("loop")  # what the benchmark itself does for a batch; torch's schedulers count for themselves
        for name in {"ours", "ParamScheduler", "fit_one_cycle"} & set(times):
            times[name] -= loop
    beside_torch, body, dispatched = found
    ratios = [beside_torch["ours"] / beside_torch["CyclicLR"], body["ours"] / body["ParamScheduler"]]
    body |= beside_torch
    benchmark.extra_info.update(body=body, dispatched=dispatched)

    def ratio(times, name):
        return f"{times['ours'] / times[name]:.3f}"

    head = ["body", "groups", *body, "ours/CyclicLR", "ours/ParamScheduler"]
    add(
        tables, "Body: microseconds of CPU per batch", head,
        [optimizer, n_groups, *(f"{o:.2f}" for o in body.values()), *(f"{o:.3f}" for o in ratios)],
    )  # fmt: skip
    head = ["body + dispatch", "groups", *dispatched, "ours/ParamScheduler", "ours/fit_one_cycle"]
    row = [optimizer, n_groups, *(f"{o:.2f}" for o in dispatched.values())]
    row += [ratio(dispatched, "ParamScheduler"), ratio(dispatched, "fit_one_cycle")]
    add(tables, f"Body and the calls for all {len(EVENTS)} events of a batch", head, row)


def test_a_fit_of_a_small_net(tables, tmp_path):
    """Whole fits of a convolutional net on scikit-learn's digits."""
    items = [(x.reshape(1, 8, 8), y) for x, y in zip(PIXELS, DIGITS)]
    dls = DataLoaders(
        DataLoader(items[:1536], bs=64, shuffle=True), DataLoader(items[1536:], bs=256), device="cpu"
    )  # 24 batches per epoch
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10),
    )  # fmt: skip
    learn = Learner(dls, model, CrossEntropyLossFlat(), path=tmp_path)
    with learn.no_bar(), learn.no_logging():
        times = take_turns(
            {
                "bare fit": lambda: native_fit(learn, 2, 1e-3),
                "ours": lambda: learn.fit(1e-3, 1, cycle_len=2, use_clr=(32, 5, 0.95, 0.85)),
                "fit_one_cycle": lambda: learn.fit_one_cycle(2, 1e-3),
                "bare fit again": lambda: native_fit(learn, 2, 1e-3),  # what can be told apart
            },
            rounds=101,
            warm_up=2,
        )
    for name, o in times.items():
        more = (o / times["bare fit"] - 1) * 100  # in the same round: the machine's speed changes between them
        error = 1.25 * np.std(more) / len(more) ** 0.5  # of a median
        row = [name, f"{np.median(o) / 48 / 1000:.3f}", f"{np.median(more):+.1f} ± {error:.1f} %"]
        add(tables, "A fit of a small net", ["fit", "milliseconds per batch", "against a bare fit"], row)


@pytest.mark.parametrize("n_batches", [10**3, 10**4, 10**5, 10**6, 10**7])
@pytest.mark.parametrize("many_cycles", [False, True])
def test_growth(tables, tmp_path, n_batches, many_cycles):
    """A batch in the middle of a fit of that many batches, and all its steps at once."""
    n_cycles, n_epoch = n_batches // 100 if many_cycles else 1, n_batches // 1000
    body = inside_a_fit(
        tmp_path, "fastai SGD", 1, lambda learn, ours, _: medians({"": in_a_loop(learn, ours, n_batches // 2)[0]})[""],
        n_epoch=n_epoch, n_cycles=n_cycles,
    )  # fmt: skip
    rows, cycles = np.arange(n_batches), Cycles.of_batches(n_batches, n_cycles)
    whole = medians(
        {
            "cheap": lambda: Timetable(SCHEDULE, cycles).values(rows),
            "dear": lambda: Timetable(DEAREST, cycles).values(rows),
        },
        rounds=3, seconds=0, warm_up=1,
    )  # fmt: skip
    head = ["batches", "cycles", "body, µs per batch", "the timetable's rows, s", "with every option, s"]
    row = [f"{n_batches:.0e}", n_cycles, f"{body:.2f}", *(f"{o / 1e6:.3f}" for o in whole.values())]
    add(tables, "Growth", head, row)


@pytest.mark.parametrize("n_groups, every", [(1, None), (10, None), (100, None), (10, 10), (10, 1)])
def test_memory(tables, n_groups, every):
    """The record of 10^5 batches; in every `every`-th the optimizer holds other rates than the schedule's."""
    n, peaks = 10**5, np.geomspace(1e-4, 1e-2, n_groups).tolist()
    tracemalloc.start()
    record = Record(timetable := Timetable(SCHEDULE, Cycles.of_batches(n), peaks))
    for i in range(n):
        timetable.row(i)
        if every is not None and i % every == 0:
            record.note_rates([1e-5] * n_groups)
        record.add_batch(i, 1.0)
    running = tracemalloc.get_traced_memory()[0]
    record.trim()
    done = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    head = [
        "groups",
        "other rates in",
        "bytes per batch, with the timetable's rows",
        "while it runs",
        "pickled",
        "goal",
    ]
    goal = 12 + 16 + (0 if every is None else 8 * (1 + n_groups) / every)
    sizes = [done / n, running / n, len(pickle.dumps(record)) / n, goal]
    other = "no batch" if every is None else f"1/{every} of the batches"
    add(tables, "The record of a fit", head, [n_groups, other, *(f"{o:.1f}" for o in sizes)])


@pytest.mark.parametrize("n_batches", [10**4, 10**5, 10**6])
@pytest.mark.parametrize("n_cycles", [1, 10, 1000])
def test_plot(tables, n_batches, n_cycles):
    """`plot_lr` of ten groups, with the momentum beside them, and the PNG of it."""
    import matplotlib.pyplot as plt

    timetable = Timetable(SCHEDULE, Cycles.of_batches(n_batches, n_cycles), np.geomspace(1e-4, 1e-2, 10))
    record = Record.of_plan(timetable, range(n_batches), None)
    file = io.BytesIO()

    def draw():
        plt.close("all")
        record.plot_lr()

    def save():
        file.seek(0)
        plt.savefig(file)

    times = medians({"draw": draw, "save": save}, rounds=5, seconds=0, warm_up=1)
    head = ["batches", "cycles", "plot_lr, s", "to PNG, s", "PNG, kB"]
    row = [f"{n_batches:.0e}", n_cycles, *(f"{o / 1e6:.3f}" for o in times.values()), f"{file.tell() / 1000:.0f}"]
    add(tables, "plot_lr of 10 groups", head, row)


@pytest.mark.parametrize("module, over", [("fastai_clr.all", "fastai.vision.all"), ("fastai_clr", "numpy")])
def test_import(tables, module, over):
    """What an import adds, in a process of its own each time."""
    code = f"import {over}, time; t = time.process_time(); import {module}; print(time.process_time() - t)"
    times = [
        float(subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, capture_output=True).stdout)
        for _ in range(5)
    ]
    add(tables, "Imports", ["import", "over", "milliseconds"], [module, over, f"{median(times) * 1000:.1f}"])
