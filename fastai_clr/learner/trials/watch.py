"""How long batches and validations take, and whether a cycle is lost."""

from math import ceil, floor, isfinite, log10
from time import perf_counter

import numpy as np
from fastai.callback.core import CancelFitException

from ..loop.selective import SelectiveCallback

LOST = 3  # batches in a row: mixed precision goes on after one whose loss is not finite


class Watch(SelectiveCallback):
    """Measures the seconds of several fits, and ends a fit whose loss is no longer finite.

    The first fit counts only until there is a second: it warms up the device, the compiler and the cache of the data.
    """

    order, run_valid = 60, False  # after the Recorder

    def __init__(self, n_iter: int):
        self._n_iter = n_iter
        self._fits: list[dict[str, list[float]]] = []

    def before_fit(self) -> None:
        super().before_fit()
        self._fits.append({"first batch": [], "batch": [], "validation": []})
        self.is_lost, self._n_lost = False, 0

    def before_train(self) -> None:
        self._what, self._then = "first batch", perf_counter()

    def after_batch(self) -> None:
        self._n_lost = 0 if isfinite(self.learn.loss.item()) else self._n_lost + 1
        self._stop("batch")  # the loss was read, which waits for the device
        if self._n_lost == LOST:
            self.is_lost = True
            raise CancelFitException

    def before_validate(self) -> None:
        self._what, self._then = "validation", perf_counter()

    def after_validate(self) -> None:
        self._stop("")

    def _stop(self, following: str) -> None:
        now = perf_counter()
        self._fits[-1][self._what].append(now - self._then)
        self._what, self._then = following, now

    def _measured(self, what: str) -> list[float]:
        return [o for fit in self._fits[1:] for o in fit[what]] or self._fits[0][what]

    @property
    def per_batch(self) -> float:
        """Seconds of a training batch. The first of an epoch is left out: it waits for the data loader to start."""
        return float(np.mean(self._measured("batch") or self._measured("first batch")))

    @property
    def per_epoch(self) -> float:
        """Seconds of an epoch besides its batches: the start of the data loader, and the validation."""
        start = float(np.median(self._measured("first batch"))) - self.per_batch
        return max(start, 0) + float(np.median(self._measured("validation") or [0]))

    def seconds(self, n_epoch: float) -> float:
        """What a fit takes. An epoch that ends early is validated, too."""
        return n_epoch * self._n_iter * self.per_batch + ceil(n_epoch) * self.per_epoch

    def epochs(self, seconds: float) -> float:
        """How many epochs fit into the seconds, maybe 0: whole ones, unless the part of one more adds a tenth."""
        whole = max(floor(seconds / self.seconds(1)), 0)
        part = (seconds - self.seconds(whole) - self.per_epoch) / (self._n_iter * self.per_batch)
        if part <= whole / 10:
            return whole
        unit = 10 ** (floor(log10(whole + part)) - 1)  # two digits
        return float(f"{floor((whole + part) / unit) * unit:.2g}")
