"""The runs of a comparison: one after the other in this process, or side by side in others, through joblib."""

import gc
import io
import multiprocessing
import pickle
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from time import perf_counter
from typing import Any, NamedTuple

import cloudpickle
import numpy as np
import torch
from fastai.callback.core import Callback
from joblib import Parallel, delayed, effective_n_jobs
from joblib.parallel import get_active_backend

from ...report.run import Run
from ...schedules.checks import check_number
from ..fastai2 import is_compiled_in_place
from .obstacles import obstacle
from .progress import ExperimentBar
from .sandbox import Sandbox

_ALONE = Lock()  # the runs of a process share its random numbers, and a worker of dask may have several threads


class Task(NamedTuple):
    """A run to train: the name of its schedule, a seed, a peak as `fit` takes it, and what people read of the run."""

    name: str
    seed: int
    peak: Any
    words: str


class Settings(NamedTuple):
    """What a worker takes over from this process.

    Parameters
    ----------
    folder
        For temporary files: a worker that is killed cannot remove its own.
    n_threads
        Of torch: the order in which it adds depends on them.
    start_method
        By which `multiprocessing` starts the processes of a data loader; joblib's own cannot start them.
    """

    folder: str
    n_threads: int
    start_method: str


@dataclass(frozen=True)
class Recipe:
    """How a comparison trains a run.

    Parameters
    ----------
    learn
        The Learner of which each run trains a copy.
    fits
        By the names of the schedules, the Learner's method that trains, and the callbacks for it.
    n_epoch, wd, init
        As in `compare_schedules`.
    """

    learn: Any
    fits: dict[str, tuple[str, list[Callback]]]
    n_epoch: int
    wd: Any
    init: Callable[[Any], Any] | None

    def sandbox(self, folder: Path | None = None) -> Sandbox:
        """The copies that `train` needs; `folder` is as in `Sandbox`."""
        return Sandbox(self.learn, [cb for _, cbs in self.fits.values() for cb in cbs], folder)

    def train(self, box: Sandbox, task: Task, bar: Sequence[ExperimentBar] = ()) -> Run:
        """Train a copy of the Learner. An error says which run raised it."""
        try:
            with box.copy(task.seed, self.init) as (twin, twin_cbs):
                method, cbs = self._with(box, twin, twin_cbs).fits[task.name]
                began = perf_counter()
                getattr(twin, method)(self.n_epoch, task.peak, wd=self.wd, cbs=[*cbs, *bar])
                return Run(task.name, task.seed, perf_counter() - began, twin, task.peak)
        except Exception as error:
            if sys.version_info >= (3, 11):
                error.add_note(f"The run that raised this: {task.words}")
            raise

    def pickled(self, box: Sandbox) -> np.ndarray:
        """What another process needs to train.

        It is an array because joblib and dask send a large array once to each machine, and bytes with each task.

        Raises
        ------
        ValueError
            For a Learner, callback or `init` that cannot be pickled, with what stands in the way.
        """
        if any(map(is_compiled_in_place, self.learn.model.modules())):
            raise ValueError(
                "n_jobs sends the Learner to other processes, where a model that model.compile() compiled is not: "
                "try learn.model = torch.compile(learn.model)"
            )
        with box, box, box.copy() as (twin, twin_cbs):
            if self.learn.opt is None:
                twin.opt = None  # as in the Learner: `opt_func` makes it, for what `init` leaves
            recipe = self._with(box, twin, twin_cbs)
            try:
                torch.save(recipe, file := io.BytesIO(), cloudpickle)  # `pickle` writes the whole of each view
                return np.frombuffer(file.getbuffer(), dtype=np.uint8)
            except Exception as error:
                what, why = obstacle(recipe) or ("it", error)
                raise ValueError(
                    f"n_jobs sends the Learner to other processes, so it should be picklable, but {what} is not: {why}"
                ) from None

    def _with(self, box: Sandbox, twin: Any, twin_cbs: list[Any]) -> "Recipe":
        """The recipe for a copy of the Learner."""
        copies = dict(zip(map(id, box.cbs), twin_cbs))
        fits = {
            name: (method, [copies[id(cb)] for cb in cbs if id(cb) in copies])
            for name, (method, cbs) in self.fits.items()
        }
        return replace(self, learn=twin, fits=fits)


def number_of_jobs(n_jobs: Any, n_runs: int) -> int:
    """How many runs train side by side: at most `n_runs`, and 1 where joblib has only threads."""
    wanted: Any = n_jobs  # None, too, which joblib's types leave out
    if n_jobs is not None and not check_number("n_jobs", n_jobs, integer=True):
        raise ValueError(f"n_jobs should be at least 1, or -1 for all cores, but given {n_jobs!r}")
    if getattr(get_active_backend()[0], "supports_sharedmem", False):
        return 1
    return min(effective_n_jobs(wanted), n_runs)


class Trainer:
    """Trains the runs of a comparison: one after the other, or `n_jobs` side by side in other processes."""

    def __init__(self, recipe: Recipe, n_jobs: int):
        self._recipe, self._n_jobs, self.box = recipe, n_jobs, recipe.sandbox()
        self._payload = recipe.pickled(self.box) if n_jobs > 1 else None

    def train(self, tasks: Sequence[Task], bar: ExperimentBar, n_before: int = 0) -> Iterator[tuple[int, Run]]:
        """Train the runs; yields the number of each task and its run, in the order in which they end.

        Parameters
        ----------
        tasks
            What to train.
        bar
            Shows the epochs of the whole experiment.
        n_before
            Number of runs that the bar has behind it.
        """
        if self._payload is not None and tasks:
            yield from self._elsewhere(self._payload, tasks, bar, n_before)
            return
        for i, task in enumerate(tasks):
            bar.begin(task.words, (n_before + i) * self._recipe.n_epoch)
            yield i, self._recipe.train(self.box, task, [bar])

    def _elsewhere(
        self, payload: np.ndarray, tasks: Sequence[Task], bar: ExperimentBar, n_before: int
    ) -> Iterator[tuple[int, Run]]:
        with TemporaryDirectory(prefix="fastai_clr_", ignore_cleanup_errors=True) as folder:
            settings = Settings(folder, torch.get_num_threads(), multiprocessing.get_start_method())
            work = (delayed(train_in_worker)(payload, settings, i, task) for i, task in enumerate(tasks))
            options: Any = dict(batch_size=1, return_as="generator_unordered")  # joblib's types are too narrow
            finished: Any = Parallel(self._n_jobs, **options)(work)
            with closing(finished):
                bar.begin(f"{self._n_jobs} runs at a time", n_before * self._recipe.n_epoch)
                for n_finished, run in enumerate(finished, 1):
                    bar.begin(f"{self._n_jobs} runs at a time", (n_before + n_finished) * self._recipe.n_epoch)
                    yield run


def train_in_worker(payload: np.ndarray, settings: Settings, i: int, task: Task) -> tuple[int, Run]:
    """Train a run in a worker process; returns the number of the task and the run.

    Parameters
    ----------
    payload
        What `Recipe.pickled` returned.
    settings
        Those of the process that wants the run.
    i, task
        The task and its number.
    """
    import fastai.callback.schedule  # noqa: F401  (it gives a Learner `fit_one_cycle`)

    with _ALONE:
        n_threads, start_method = torch.get_num_threads(), multiprocessing.get_start_method()
        torch.set_num_threads(settings.n_threads)
        multiprocessing.set_start_method(settings.start_method, force=True)
        try:
            return i, _train(payload, Path(settings.folder), task)
        except Exception as error:
            if not _survives_pickling(error):
                raise RuntimeError(f"{type(error).__name__}: {error} ({task.words})") from error
            raise
        finally:
            multiprocessing.set_start_method(start_method, force=True)
            torch.set_num_threads(n_threads)
            gc.collect()  # the Learner
            torch.cuda.empty_cache()  # a worker waits some minutes for more work


def _train(payload: np.ndarray, folder: Path, task: Task) -> Run:
    recipe = torch.load(io.BytesIO(payload.data), weights_only=False)
    box = recipe.sandbox(folder if folder.exists() else None)  # this may be another machine
    with box, box:
        return recipe.train(box, task)


def _survives_pickling(error: Exception) -> bool:
    try:
        return bool(pickle.loads(cloudpickle.dumps(error)))
    except Exception:  # a class may want more arguments than it hands on
        return False
