"""The bar over experiments on copies of a Learner: what trains now, and how long it will take."""

from typing import Any

from fastai.callback.core import Callback
from fastcore.imports import IN_NOTEBOOK
from fastprogress.fastprogress import progress_bar

from .checks import instance_attribute

__all__ = ["ExperimentBar"]


class ExperimentBar:
    """A bar that counts the epochs of several fits; silent for a Learner without a progress bar, as in `no_bar()`.

    n_epoch: epochs of all the fits.
    """

    def __init__(self, learn: Any, n_epoch: int):
        self._bar: Any = progress_bar(range(n_epoch)) if instance_attribute(learn, "progress") is not None else None
        self._n_epoch, self._done, self._width = n_epoch, 0, 0

    def __enter__(self) -> "ExperimentBar":
        return self

    def __exit__(self, *_: Any) -> None:
        if self._bar is not None and self._done < self._n_epoch:
            self._bar.on_interrupt()
        if self._bar is not None and not IN_NOTEBOOK:
            print()  # what is printed next begins a line

    def begin(self, name: str, done: int) -> Callback:
        """Say that `name` trains now, after `done` epochs; returns a callback that moves the bar with each epoch."""
        if self._bar is not None:
            self._width = max(self._width, len(name))
            self._bar.comment = name.ljust(self._width)  # a shorter line would leave the end of a longer one
            if self._bar.last_v is None:
                self._bar.update(0)
            self._bar.update_bar(done)  # `update` leaves out what comes soon after another
        self._done = done
        return _EachEpoch(self, done)

    def move(self, done: int) -> None:
        """Say that `done` epochs are behind."""
        if self._bar is not None and done > self._done:
            self._bar.update(done)
        self._done = max(done, self._done)


class _EachEpoch(Callback):
    def __init__(self, bar: ExperimentBar, done: int):
        self._bar, self._before = bar, done

    def after_epoch(self) -> None:
        self._bar.move(self._before + self.epoch + 1)
