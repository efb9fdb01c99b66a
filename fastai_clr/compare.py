"""Schedules measured against each other: `learn.compare_schedules`."""

from functools import partial
from itertools import product
from time import perf_counter

from fastai.callback.schedule import ParamScheduler
from fastai.learner import Learner
from fastprogress import progress_bar

from . import fit07
from .arguments import as_callbacks, optimizer_to_be, per_group
from .aside import aside
from .callback import CLRCallback
from .checks import check_number
from .comparison import Comparison, Run
from .planned import planned
from .preview import as_dict, position_functions
from .schedules import Schedule

__all__ = ["compare_schedules"]

USUAL = ("constant", "cosine", "one_cycle", "clr(32,5)")


def compare_schedules(
    self: Learner,
    n_epoch,
    lr=None,
    schedules=USUAL,
    seeds=3,
    *,
    baseline=None,
    target=None,
    wd=None,
    cbs=None,
    init=None,
) -> "Comparison":
    """Train with each schedule from the same weights on the same batches, once for each seed, and compare.

    n_epoch: epochs of each run. wd, cbs: as in `fit`, for every run.
    lr: peak learning rate as in `fit`, or a dict of them by the names of the schedules; None is `learn.lr`.
    schedules: a dict by name, or a list: schedules of ours, their names ('constant', 'cosine', 'cosine_07',
    'one_cycle', which is fastai's own `fit_one_cycle`, 'clr(32,5)', 'clr_beta(10,10)'), a `CLRCallback` for several
    cycles, or what `ParamScheduler` takes: a function of the position in the fit to the rate, or a dict of them.
    seeds: how many, or which. A seed fixes the order of the batches, augmentation and dropout.
    baseline: the name of the schedule that the others are compared with; None is the first one.
    target: value of the first metric (without one, of the validation loss) whose first epoch is told; None is the
    baseline's mean final value.
    init: a function that gives the model it gets new weights, called in each run after its seed; None: each run starts
    from the Learner's weights.

    A bar shows the runs; interrupted, it returns what is finished. Callbacks that show, log or save do not take part,
    and the Learner keeps its weights, optimizer, random state, metrics, callbacks and `sched`. Raises TypeError or
    ValueError for an argument of the wrong kind or out of its range, before anything is trained.

    >>> comparison = learn.compare_schedules(1, 1e-2, {"flat": "constant", "triangle": "clr(32,5)"}, seeds=2)
    >>> list(comparison.table.index)
    ['flat', 'triangle']
    """
    n_epoch = check_number("n_epoch", n_epoch, least=1, integer=True)
    schedules = as_dict(list(schedules) if isinstance(schedules, (list, tuple)) else schedules, resolve=False)
    seeds = _seeds(seeds)
    baseline = next(iter(schedules)) if baseline is None else baseline
    if not isinstance(baseline, str) or baseline not in schedules:
        raise ValueError(f"baseline should be one of {list(schedules)}, but given {baseline!r}")
    target = None if target is None else check_number("target", target)
    if init is not None and not callable(init):
        raise TypeError(f"init should be a function of the model, but given {init!r}")
    n_groups = len(optimizer_to_be(self, False).hypers)
    if isinstance(lr, dict) and set(lr) != set(schedules):
        raise ValueError(f"lr should have a value for each of {list(schedules)}, but given {lr!r}")
    lrs = {name: per_group({"lr": lr[name] if isinstance(lr, dict) else lr}, n_groups, above=0) for name in schedules}
    wd = per_group({"wd": wd}, n_groups, least=0)
    cbs = as_callbacks(fit07.as_list(cbs))
    if "recorder" not in self.__dict__:
        raise ValueError("compare_schedules reads fastai's Recorder, but this Learner has none")
    fits = {}
    for name, schedule in schedules.items():
        fits[name], own_cbs = _fit(name, schedule)
        planned(self, (n_epoch, lrs[name]), dict(wd=wd, cbs=[*own_cbs, *cbs]))  # raises what the fit would raise
        fits[name] = partial(fits[name], self, n_epoch, lrs[name], wd=wd, cbs=[*own_cbs, *cbs])
    runs = list(product(seeds, fits))  # a seed at a time: what an interruption leaves can be compared
    bar = progress_bar(runs) if "progress" in self.__dict__ else runs
    done = []
    with aside(self) as meanwhile:
        try:
            for seed, name in bar:
                if bar is not runs:
                    bar.comment = f"{name}, seed {seed}"
                meanwhile.start(seed)
                if init is not None:
                    init(self.model)
                began = perf_counter()
                fits[name]()
                done.append(Run(name, seed, perf_counter() - began, self))
        except KeyboardInterrupt:
            if not done:
                raise
    return Comparison(done, baseline, target)


def _seeds(seeds):
    if fit07.is_several(seeds):
        seeds = [check_number(f"seeds[{i}]", o, least=0, integer=True) for i, o in enumerate(seeds)]
        if not seeds or len(set(seeds)) < len(seeds):
            raise ValueError(f"seeds should be at least 1 and each given once, but given {seeds}")
        return seeds
    return range(check_number("seeds", seeds, least=1, integer=True))


def _fit(name, schedule):
    """The fit to call for a schedule, and the callbacks that set the rate in it."""
    if schedule == "one_cycle":
        return Learner.fit_one_cycle, []
    schedule = as_dict({name: schedule})[name]
    if isinstance(schedule, Schedule):
        schedule = CLRCallback(schedule)
    if not isinstance(schedule, CLRCallback):
        schedule = ParamScheduler(position_functions(name, schedule))
    return Learner.fit, [schedule]


Learner.compare_schedules = compare_schedules
