"""Schedules measured against each other: `learn.compare_schedules`."""

from collections.abc import Callable, Iterable
from itertools import product
from time import perf_counter
from typing import Any

from fastai.callback.core import Callback
from fastai.learner import Learner
from fastprogress import progress_bar

from ..report import Comparison, Run
from ..schedules.checks import check_number, is_several
from ..schedules.drawing import position_functions
from ..schedules.names import named_schedules
from ..schedules.schedule import Schedule
from .callback import CLRCallback
from .checks import as_callbacks, check_per_group, instance_attribute, optimizer_for_fit
from .plan import FitPlan
from .sandbox import sandbox

__all__ = ["compare_schedules"]

DEFAULT_SCHEDULES = ("constant", "cosine", "one_cycle", "clr(32,5)")


def compare_schedules(
    self: Learner,
    n_epoch: int,
    lr: Any = None,
    schedules: Any = DEFAULT_SCHEDULES,
    seeds: Any = 3,
    *,
    baseline: str | None = None,
    target: float | None = None,
    wd: Any = None,
    cbs: Any = None,
    init: Callable[[Any], Any] | None = None,
) -> Comparison:
    """Train with each schedule from the same weights on the same batches, once for each seed, and compare.

    n_epoch: epochs of each run. wd, cbs: as in `fit`, for every run.
    lr: peak learning rate as in `fit`, or a dict of peak rates by the names of the schedules; None is `learn.lr`.
    schedules: a dict by name, or a list. Each is one of our schedules, a name ('constant', 'cosine', 'cosine_07',
    'one_cycle', which is fastai's own `fit_one_cycle`, 'clr(32,5)', 'clr_beta(10,10)'), a `CLRCallback` for several
    cycles, or what `ParamScheduler` takes: a function of the position in the fit to the rate, or a dict of them.
    seeds: how many, or which. A seed fixes the order of the batches, augmentation and dropout.
    baseline: the name of the schedule that the others are compared with; None is the first one.
    target: a value of the first metric, without metrics of the validation loss; the table reports the first epoch that
    reaches it. None is the baseline's mean final value.
    init: a function that gives the model new weights; each run calls it after setting the seed. None: each run starts
    from the Learner's weights.

    Each run trains a copy of the Learner and of `cbs`; the Learner itself is left alone. There is one copy at a time,
    which takes the memory of a second model and its optimizer. Callbacks that show, log or save do not take part. A bar
    shows the runs. An interruption returns the finished ones.

    Raises TypeError or ValueError, before anything is trained, for an argument of the wrong kind or out of range, in
    several processes, and for a splitter, loss, metric, hook or callback that refers to the Learner or its model by
    name: a function is not copied and would use the original.

    >>> comparison = learn.compare_schedules(1, 1e-2, {"flat": "constant", "triangle": "clr(32,5)"}, seeds=2)
    >>> list(comparison.table.index)
    ['flat', 'triangle']
    """
    n_epoch = check_number("n_epoch", n_epoch, least=1, integer=True)
    schedules = named_schedules(schedules, resolve=False)
    seeds = _seeds(seeds)
    baseline = next(iter(schedules)) if baseline is None else baseline
    if not isinstance(baseline, str) or baseline not in schedules:
        raise ValueError(f"baseline should be one of {list(schedules)}, but given {baseline!r}")
    target = None if target is None else check_number("target", target)
    if init is not None and not callable(init):
        raise TypeError(f"init should be a function of the model, but given {init!r}")
    n_groups = len(optimizer_for_fit(self, False).hypers)
    if isinstance(lr, dict) and set(lr) != set(schedules):
        raise ValueError(f"lr should have a value for each of {list(schedules)}, but given {lr!r}")
    peaks = lr if isinstance(lr, dict) else dict.fromkeys(schedules, lr)
    lrs = {name: check_per_group("lr", peaks[name], n_groups, above=0, allow_slice=True) for name in schedules}
    wd = check_per_group("wd", wd, n_groups, least=0)
    cbs = as_callbacks(cbs)
    if instance_attribute(self, "recorder") is None:
        raise ValueError("compare_schedules reads fastai's Recorder, but this Learner has none")
    schedulers = {name: _scheduler(name, schedule) for name, schedule in schedules.items()}
    for name, scheduler_cbs in schedulers.items():
        plan = FitPlan.from_native(self, n_epoch, lrs[name], wd, [*scheduler_cbs, *cbs])
        plan.preview()  # raises what the fit would raise
    runs = list(product(seeds, schedules))  # a seed at a time: what an interruption leaves can be compared
    bar: Any = progress_bar(runs) if instance_attribute(self, "progress") else runs
    done = []
    with sandbox(self, [cb for scheduler_cbs in schedulers.values() for cb in scheduler_cbs] + cbs) as box:
        try:
            for seed, name in bar:
                if bar is not runs:
                    bar.comment = f"{name}, seed {seed}"
                with box.copy(seed, init) as (twin, twin_cbs):
                    copies = dict(zip(map(id, box.cbs), twin_cbs))
                    run_cbs = [copies[id(cb)] for cb in [*schedulers[name], *cbs]]
                    fit = twin.fit_one_cycle if schedules[name] == "one_cycle" else twin.fit
                    began = perf_counter()
                    fit(n_epoch, lrs[name], wd=wd, cbs=run_cbs)
                    done.append(Run(name, seed, perf_counter() - began, twin))
        except KeyboardInterrupt:
            if not done:
                raise
    return Comparison(done, baseline, target)


def _seeds(seeds: Any) -> Iterable[int]:
    if is_several(seeds):
        seeds = [check_number(f"seeds[{i}]", o, least=0, integer=True) for i, o in enumerate(seeds)]
        if not seeds or len(set(seeds)) < len(seeds):
            raise ValueError(f"seeds should be at least 1 and each given once, but given {seeds}")
        return seeds
    return range(check_number("seeds", seeds, least=1, integer=True))


def _scheduler(name: str, schedule: Any) -> list[Callback]:
    """The callback that sets the rate for a schedule; none for 'one_cycle', which is fastai's own `fit_one_cycle`."""
    import fastai.callback.schedule  # not before it is needed: see `is_callback`

    if schedule == "one_cycle":
        return []
    schedule = named_schedules({name: schedule})[name]
    if isinstance(schedule, CLRCallback):
        return [schedule]
    if isinstance(schedule, Schedule):
        return [CLRCallback(schedule)]
    return [fastai.callback.schedule.ParamScheduler(position_functions(name, schedule))]
