"""The bar over experiments on copies of a Learner: what trains now, and how long it will take."""

from typing import Any

from fastai.callback.core import Callback
from fastcore.imports import IN_NOTEBOOK
from fastprogress.fastprogress import progress_bar

from ..fastai2 import instance_attribute


class ExperimentBar:
    """A bar over several fits; silent for a Learner without a progress bar, as in `no_bar()`.

    total: what all the fits take, in any unit. per_epoch: what an epoch takes.
    """

    def __init__(self, learn: Any, total: int, per_epoch: int = 1):
        self._bar: Any = progress_bar(range(total)) if instance_attribute(learn, "progress") is not None else None
        self._total, self._per_epoch, self._done, self._width = total, per_epoch, 0, 0

    def __enter__(self) -> "ExperimentBar":
        return self

    def __exit__(self, *_: Any) -> None:
        if self._bar is not None and self._bar.last_v is not None and self._done < self._total:
            self._bar.on_interrupt()
        if self._bar is not None and not IN_NOTEBOOK:
            print()  # what is printed next begins a line

    def begin(self, name: str, done: int) -> Callback:
        """Say that `name` trains now, with `done` behind; returns a callback that moves the bar with each epoch."""
        if self._bar is not None:
            self._width = 0 if IN_NOTEBOOK else max(self._width, len(name))
            self._bar.comment = name.ljust(self._width)  # in a terminal a shorter line leaves the end of a longer one
            if self._bar.last_v is None:
                self._bar.update(0)
            self._bar.update_bar(done)  # `update` leaves out what comes soon after another
        self._done = done
        return _EachEpoch(self, done, self._per_epoch)

    def move(self, done: int) -> None:
        """Say that `done` of the total are behind."""
        done = min(done, self._total)
        if self._bar is not None and done > self._done:
            self._bar.update(done)
        self._done = max(done, self._done)


class _EachEpoch(Callback):
    def __init__(self, bar: ExperimentBar, done: int, per_epoch: int):
        self._bar, self._before, self._per_epoch = bar, done, per_epoch

    def after_epoch(self) -> None:
        self._bar.move(self._before + (self.epoch + 1) * self._per_epoch)
