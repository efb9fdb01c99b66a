"""The bar over experiments on copies of a Learner: what trains now, and how long it will take."""

import time
from shutil import get_terminal_size
from typing import Any

from fastai.callback.core import Callback
from fastcore.imports import IN_NOTEBOOK
from fastprogress.fastprogress import progress_bar

from ..fastai2 import instance_attribute


class ExperimentBar(Callback):
    """A bar over several fits, and the callback that moves it.

    Parameters
    ----------
    learn
        The Learner; the bar is silent if it has none itself, as in `no_bar()`.
    total
        What all the fits take, in batches or in epochs.
    n_iter
        Batches in such a unit.
    """

    run_valid = False

    def __init__(self, learn: Any, total: int, n_iter: int = 1):
        self._bar: Any = progress_bar(range(total)) if instance_attribute(learn, "progress") is not None else None
        self._total, self._n_iter, self._before, self._n_batches, self._width = total, n_iter, 0, 0, 0

    def __enter__(self) -> "ExperimentBar":
        return self

    def __exit__(self, error: Any, *_: Any) -> None:
        if self._bar is None:
            return
        if self._bar.last_v is not None:
            self._bar.comment = "" if error is None else "stopped"
            if not IN_NOTEBOOK:
                print("\r" + " " * (get_terminal_size().columns - 1), end="")  # the last line is shorter
            if error is None:
                self._bar.update(self._total)  # though it may have taken less
            else:
                self._draw()  # not the bar's `on_interrupt`, which moves it to 0 in a notebook
                self._bar.on_iter_end()
        if not IN_NOTEBOOK:
            print()  # what is printed next begins a line

    def begin(self, name: str, done: int) -> None:
        """Say that `name` trains now, with `done` of the total behind."""
        self._before, self._n_batches = done, 0
        if self._bar is not None:
            self._width = 0 if IN_NOTEBOOK else max(self._width, len(name))
            self._bar.comment = name.ljust(self._width)  # in a terminal a shorter line leaves the end of a longer one
            if self._bar.last_v is None:
                self._bar.update(0)
            if self._done:
                self._bar.update(self._done)  # which also works out how long the rest will take
            self._draw()  # `update` leaves out what comes soon after another

    def after_batch(self) -> None:
        """Move the bar."""
        self._n_batches += 1
        if self._bar is not None and self._n_batches % self._n_iter == 0:
            self._bar.update(self._done)

    @property
    def _done(self) -> int:
        """How much of the total is behind. The bar is full at the end of the experiment, and not before."""
        return min(self._before + self._n_batches // self._n_iter, self._total - 1)

    def _draw(self) -> None:
        self._bar.last_t = time.time()
        self._bar.update_bar(self._done)
