"""Schedules measured against each other: `learn.compare_schedules`."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any

from fastai.callback.core import Callback
from fastai.learner import Learner
from fastai.torch_core import params
from torch.nn import Module
from torch.nn.parameter import is_lazy

from ...report.comparison import Comparison, compared_columns
from ...report.peaks import best_peaks, peak_in_words
from ...report.run import Run
from ...schedules.checks import PerGroup, check_number, is_several
from ...schedules.drawing import position_functions
from ...schedules.names import named_schedules
from ...schedules.schedule import Schedule
from ..calls.arguments import (
    Callbacks,
    Rates,
    as_callbacks,
    check_events,
    check_lr,
    check_per_group,
    default_lr,
    optimizer_for_fit,
)
from ..calls.fit import plan_of_native
from ..calls.plot_schedule import preview
from ..calls.short_errors import plan_then_run
from ..loop.callback import CLRCallback
from ..loop.loaders import batches_per_epoch
from .interruption import run_experiment
from .jobs import Recipe, Task, Trainer, number_of_jobs
from .progress import ExperimentBar

FIRST_GRID_SEED = 10_000  # above what people give as seeds, on several machines, too
DEFAULT_SCHEDULES = ("constant", "cosine", "one_cycle", "clr(32,5)")


@plan_then_run
def compare_schedules(
    self: Learner,
    n_epoch: int,
    lr: "Rates | Mapping[str, Rates | None] | None" = None,
    schedules: "Mapping[str, Any] | Sequence[Any] | Schedule" = DEFAULT_SCHEDULES,
    seeds: "int | Sequence[int]" = 3,
    *,
    lr_grid: "Sequence[Rates] | None" = None,
    grid_seeds: "int | Sequence[int]" = 3,
    baseline: str | None = None,
    target: float | None = None,
    wd: "PerGroup | None" = None,
    cbs: "Callbacks | None" = None,
    init: "Callable[[Module], object] | None" = None,
    n_jobs: int | None = None,
) -> Callable[[], Comparison]:
    """Train with each schedule from the same weights on the same batches, once for each seed, and compare.

    Parameters
    ----------
    n_epoch
        Epochs of each run.
    lr
        Peak learning rate, as `fit` takes it, or a dict of peak rates by the names of the schedules. None is
        `learn.lr`.
    schedules
        A dict by name, or a list. Each is one of our schedules, a name ('constant', 'cosine', 'cosine_07',
        'one_cycle', which is fastai's own `fit_one_cycle`, 'clr(32,5)', 'clr_beta(10,10)'), a `CLRCallback` for
        several cycles, or what `ParamScheduler` takes: a function of the position in the fit to the rate, or a dict
        of them.
    seeds
        How many, or which. A seed fixes the order of the batches, augmentation and dropout.
    lr_grid
        Instead of `lr`, a list of peak rates, each as `lr`. Every schedule takes the one with which it trains best in
        runs of its own: schedules x rates x `grid_seeds` of them. At one peak for all a comparison misleads.
    grid_seeds
        How many seeds choose the peaks, or which. They differ from `seeds`, and count from 10000.
    baseline
        Name of the schedule that the others are compared with. None is the first one.
    target
        Value of the first metric, without metrics of the validation loss; the table reports the first epoch that
        reaches it. None is the baseline's mean final value.
    wd
        Weight decay of every run, as `fit` takes it.
    cbs
        Callbacks for every run; each run trains copies of them.
    init
        Function that gives the model new weights; each run calls it after setting the seed. None: each run starts
        from the Learner's weights.
    n_jobs
        Runs that train side by side, each in a process of its own; -1 is one for each core. None is one run after the
        other in this process, or what `joblib.parallel_config` says.

    Returns
    -------
    The runs, and what they say of the schedules.

    Raises
    ------
    TypeError
        For an argument of the wrong kind, before anything is trained.
    ValueError
        For an argument out of range, and in several ranks, before anything is trained. So is a splitter, loss, metric,
        hook or callback that looks up the Learner or its model by name, say as a global: a function is not copied and
        would use the original. With an `init` that replaces parameters, `opt_func` has to make an optimizer like
        `learn.opt`. With `n_jobs`, the Learner has to be picklable.

    Notes
    -----
    Each run trains a copy of the Learner; the Learner itself is left alone. There is one copy at a time, which takes
    the memory of a second model and its optimizer. The optimizer is of the kind and with the hyper-parameters of
    `learn.opt`, if there is one, without its state. The Learner's callbacks of fastai's classes that show, log or save
    do not take part, nor do callbacks with `take_part = False`, on the instance or its class. Every other callback runs
    in each copy: give `take_part = False` to one of yours that writes a file. `learn.path` of a copy is a temporary
    folder. A bar shows the epochs of all runs. An interruption keeps the comparison of the finished runs in
    `learn.interrupted`.

    With `n_jobs` joblib sends the Learner and its data to worker processes of this machine, or of the cluster that
    `joblib.parallel_config(backend="dask")` names. A worker takes seconds to start and waits some minutes for the next
    comparison. It holds a Learner and a copy, on the Learner's own device: all workers share the memory of one GPU.
    Each uses as many threads as this process (`torch.get_num_threads()`). So the numbers equal those without `n_jobs`,
    to the last bit on this machine, up to rounding on another. Other settings of this process (torch's default dtype or
    its deterministic algorithms, say) do not reach a worker. The seconds of a run are those beside the other runs.
    Where joblib has only threads, one run trains at a time. Data loaders with `num_workers` need
    `dask.config.set({"distributed.worker.daemon": False})` before a cluster of dask starts.

    Examples
    --------
    >>> comparison = learn.compare_schedules(1, 1e-2, {"flat": "constant", "triangle": "clr(32,5)"}, seeds=2)
    >>> list(comparison.table.index)
    ['flat', 'triangle']
    """
    n_epoch = check_number("n_epoch", n_epoch, least=1, integer=True)
    schedules = named_schedules(schedules, resolve=False)
    seeds = _seeds("seeds", seeds)
    baseline = next(iter(schedules)) if baseline is None else baseline
    if not isinstance(baseline, str) or baseline not in schedules:
        raise ValueError(f"baseline should be one of {list(schedules)}, but given {baseline!r}")
    target = None if target is None else check_number("target", target)
    if init is not None and not callable(init):
        raise TypeError(f"init should be a function of the model, but given {init!r}")
    n_groups = len(optimizer_for_fit(self, False).hypers)
    peaks = _peaks(self, lr, lr_grid, schedules, n_groups)
    grid_seeds = _seeds("grid_seeds", grid_seeds, first=FIRST_GRID_SEED) if lr_grid is not None else []
    if both := set(seeds) & set(grid_seeds):
        raise ValueError(f"grid_seeds should be others than seeds, but given {min(both)} in both")
    wd = check_per_group("wd", wd, n_groups, least=0)
    cbs = as_callbacks(cbs)
    check_events([*self.cbs, *cbs])
    fits = {name: _fit_with(name, schedule, cbs) for name, schedule in schedules.items()}
    for name, (_, own) in fits.items():
        for peak in peaks[name]:
            preview(plan_of_native(self, n_epoch, peak, wd, own))  # raises what the fit would
    on_grid = [
        Task(name, seed, peak, f"{name}, peak {peak_in_words(peak)}, seed {seed}")
        for seed in grid_seeds
        for name in schedules
        for peak in peaks[name]
    ]
    # A seed at a time: an interruption leaves what can be compared.
    pairs = list(product(seeds, schedules))
    trainer = Trainer(Recipe(self, fits, n_epoch, wd, init), number_of_jobs(n_jobs, max(len(on_grid), len(pairs))))
    best = {name: grid[0] for name, grid in peaks.items()}
    grid_runs: dict[int, Run] = {}
    runs: dict[int, Run] = {}

    def train() -> None:
        bar = ExperimentBar(self, (len(on_grid) + len(pairs)) * n_epoch, batches_per_epoch(self.dls))
        with bar, trainer.box, trainer.box:
            grid_runs.update(trainer.train(on_grid, bar))
            if measured := _in_order(grid_runs):
                best.update(best_peaks(measured, compared_columns(measured)[1]))
            tasks = [Task(name, seed, best[name], f"{name}, seed {seed}") for seed, name in pairs]
            runs.update(trainer.train(tasks, bar, len(on_grid)))

    def compared(stop: KeyboardInterrupt | None) -> Comparison:
        if stop is not None and not runs:
            raise stop
        settings = {
            "n_epoch": n_epoch,
            "schedules": {name: _in_words(schedule) for name, schedule in schedules.items()},
            "peaks": {name: repr(peak) for name, peak in best.items()},
            "wd": repr(wd),
            "init": init is not None,
            "number of batches per epoch": batches_per_epoch(self.dls),
            "number of weights": sum(p.numel() for p in params(self.model) if not is_lazy(p)),
        }
        return Comparison(_in_order(runs), baseline, target, settings=settings, grid_runs=_in_order(grid_runs))

    return partial(run_experiment, self, train, compared)


def _seeds(name: str, seeds: Any, first: int = 0) -> Sequence[int]:
    if is_several(seeds):
        seeds = [check_number(f"{name}[{i}]", o, least=0, integer=True) for i, o in enumerate(seeds)]
        if not seeds or len(set(seeds)) < len(seeds):
            raise ValueError(f"{name} should have at least 1 seed, each given once, but given {seeds}")
        return seeds
    return range(first, first + check_number(name, seeds, least=1, integer=True))


def _peaks(learn: Any, lr: Any, lr_grid: Any, schedules: dict[str, Any], n_groups: int) -> dict[str, list[Any]]:
    """For each schedule the peak rates to train with."""
    if lr_grid is None:
        by_name = lr if isinstance(lr, dict) else dict.fromkeys(schedules, lr)
        if set(by_name) != set(schedules):
            raise ValueError(f"lr should have a value for each of {list(schedules)}, but given {lr!r}")
        by_name = {name: default_lr(learn, False) if peak is None else peak for name, peak in by_name.items()}
        return {name: [check_lr("lr", by_name[name], n_groups)] for name in schedules}
    if lr is not None:
        raise ValueError(f"lr_grid should be given without lr, but given both: {lr_grid!r} and {lr!r}")
    if not is_several(lr_grid):
        raise TypeError(f"lr_grid should be a list of peak rates, say [3e-3, 1e-2, 3e-2], but given {lr_grid!r}")
    grid = [check_lr(f"lr_grid[{i}]", peak, n_groups) for i, peak in enumerate(lr_grid)]
    if len(set(map(repr, grid))) < max(len(grid), 2) or None in grid:
        raise ValueError(f"lr_grid should have at least 2 peak rates, each given once, but given {lr_grid!r}")
    return dict.fromkeys(schedules, grid)


def _fit_with(name: str, schedule: Any, cbs: Sequence[Callback]) -> tuple[str, list[Callback]]:
    """The Learner's method that trains with a schedule, and its callbacks: `cbs`, after the one that sets the rate."""
    import fastai.callback.schedule  # not before it is needed: see `is_callback`

    if schedule == "one_cycle":
        return "fit_one_cycle", [*cbs]
    schedule = named_schedules({name: schedule})[name]
    if isinstance(schedule, CLRCallback):
        return "fit", [schedule, *cbs]
    if isinstance(schedule, Schedule):
        return "fit", [CLRCallback(schedule), *cbs]
    return "fit", [fastai.callback.schedule.ParamScheduler(position_functions(name, schedule)), *cbs]


def _in_order(runs: dict[int, Run]) -> list[Run]:
    """The runs by their numbers."""
    return [runs[i] for i in sorted(runs)]


def _in_words(schedule: Any) -> str:
    """What tells a schedule from another of the same name."""
    if isinstance(schedule, CLRCallback):
        return f"{schedule.schedule!r}, n_cycles={schedule.n_cycles}, cycle_mult={schedule.cycle_mult}"
    if isinstance(schedule, (str, Schedule)):
        return str(schedule)
    return getattr(schedule, "__qualname__", type(schedule).__name__)
