"""The bar over experiments on copies of a Learner: what trains now, and how long it will take."""

import time
from shutil import get_terminal_size
from typing import Any

from fastai.callback.core import Callback
from fastcore.imports import IN_NOTEBOOK
from fastprogress.fastprogress import progress_bar

from ..fastai2 import instance_attribute


class ExperimentBar:
    """A bar over several fits; silent for a Learner without a progress bar, as in `no_bar()`.

    total: what all the fits take, in batches or in epochs. n_iter: batches in such a unit.
    """

    def __init__(self, learn: Any, total: int, n_iter: int = 1):
        self._bar: Any = progress_bar(range(total)) if instance_attribute(learn, "progress") is not None else None
        self._total, self._n_iter, self._done, self._width, self._is_over = total, n_iter, 0, 0, False

    def __enter__(self) -> "ExperimentBar":
        return self

    def __exit__(self, *_: Any) -> None:
        if self._bar is None:
            return
        if self._bar.last_v is not None:
            self._bar.comment = "" if self._is_over else "stopped"
            if not IN_NOTEBOOK:
                print("\r" + " " * (get_terminal_size().columns - 1), end="")  # the last line is shorter
            if self._is_over:
                self._bar.update(self._total)
            else:
                self._draw()  # not the bar's `on_interrupt`, which moves it to 0 in a notebook
                self._bar.on_iter_end()
        if not IN_NOTEBOOK:
            print()  # what is printed next begins a line

    def begin(self, name: str, done: int) -> Callback:
        """Say that `name` trains now, with `done` of the total behind; returns a callback that moves the bar."""
        self._done = done
        if self._bar is not None:
            self._width = 0 if IN_NOTEBOOK else max(self._width, len(name))
            self._bar.comment = name.ljust(self._width)  # in a terminal a shorter line leaves the end of a longer one
            if self._bar.last_v is None:
                self._bar.update(0)
            self._draw()  # `update` leaves out what comes soon after another
        return _EachBatch(self, done, self._n_iter)

    def move(self, done: int) -> None:
        """Say that `done` of the total are behind. The bar is full when `finish` says so, and not before."""
        done = min(done, self._total - 1)
        if self._bar is not None and done > self._done:
            self._bar.update(done)
        self._done = max(done, self._done)

    def finish(self) -> None:
        """Say that all is trained, though it may have taken less than the total."""
        self._is_over = True

    def _draw(self) -> None:
        self._bar.last_t = time.time()
        self._bar.update_bar(self._done)


class _EachBatch(Callback):
    run_valid = False

    def __init__(self, bar: ExperimentBar, before: int, n_iter: int):
        self._bar, self._before, self._n_batches, self._per_unit = bar, before, 0, n_iter

    def after_batch(self) -> None:
        self._n_batches += 1
        self._bar.move(self._before + self._n_batches // self._per_unit)
