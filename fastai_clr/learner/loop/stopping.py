"""Stop a fit at the end of a cycle if the last cycles gained too little."""

from collections.abc import Iterable
from math import inf, isfinite
from numbers import Real
from typing import Any

import numpy as np
import torch
from fastai.callback.core import CancelFitException
from torch.nn.parallel import DistributedDataParallel

from ...record.columns import EpochColumns
from ...schedules.checks import check_number
from ...schedules.shapes import Constant
from ...schedules.timetable import Timetable
from ...scores import recent_gain
from ..fastai2 import instance_attribute
from .callback import CLRCallback
from .running import RunningFit, running_fits, say
from .selective import SelectiveCallback, Stage


class StopAtCycleEnd(SelectiveCallback):
    """Stop the fit at the end of a cycle if the last cycles gained too little; the weights stay as they are then.

    It works with every schedule of ours: in 0.7-style fits, in `fit_clr`, and beside a `CLRCallback`.

    Parameters
    ----------
    monitor
        A loss or metric, as fastai's table names it: 'valid_loss', 'accuracy', ... None is the first metric of the
        validation; without metrics, or if it is not a number, the validation loss. The metric's name, or its attribute
        `lower_is_better`, says which way is better.
    min_gain
        Least gain that counts, in units of `monitor`; with 0 any gain counts.
    patience
        Number of cycles. The fit stops if none of the last `patience` cycles is better than the best cycle before them
        by `min_gain`.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of range. When a fit begins, before anything is trained, if the fit
        has no cycles of ours, if it has at most `patience` of them, if one ends inside an epoch, if the loss or metric
        is unknown, or if there are no validation data. At the end of the first cycle, if the metric is not a number.

    Notes
    -----
    It raises `CancelFitException` after `cycle_save_name` and `best_save_name` have saved the cycle, and prints a line
    that says why; `learn.no_logging()` silences it. With several processes, rank 0 decides for all. A resumed fit
    compares only the cycles that it trains itself. A cycle does not count if its last epoch was not validated, or if
    another callback cut the training of that epoch short.

    Examples
    --------
    >>> learn.fit(1e-2, 4, cycle_len=1, cycle_mult=2, use_clr=(10, 10), cbs=StopAtCycleEnd(min_gain=0.002))
    """

    monitor: str | None
    min_gain: float
    patience: int
    order = 100  # after the callbacks that record, log and save the epoch: it would skip them

    def __init__(self, monitor: str | None = None, min_gain: float = 0.0, patience: int = 1):
        if monitor is not None and not isinstance(monitor, str):
            raise TypeError(f"monitor should be the name of a loss or metric such as 'accuracy', but given {monitor!r}")
        self.monitor = monitor
        self.min_gain = check_number("min_gain", min_gain, least=0)
        self.patience = check_number("patience", patience, least=1, integer=True)

    def check(self, learn: Any, metrics: Iterable[Any], timetable: Timetable | None) -> None:
        """Raise ValueError if this callback cannot work in a fit with these metrics, which are as fastai keeps them.

        The timetable is None if the fit has no schedule of ours.
        """
        if timetable is None or isinstance(timetable.schedule, Constant):
            raise ValueError(
                "StopAtCycleEnd needs a fit with cycles, but this one has none: try learn.fit(lr, 4, cycle_len=1, "
                "cycle_mult=2, use_clr=(10, 10), cbs=StopAtCycleEnd()), or leave it out of cbs= (if the Learner has "
                "it: learn.remove_cb(StopAtCycleEnd))"
            )
        cycles = timetable.cycles
        if cycles.n_cycles == 1:
            raise ValueError(
                "StopAtCycleEnd needs several cycles, but this fit has 1 and ends with it anyway: try learn.fit(lr, 4, "
                "cycle_len=1, cycle_mult=2, use_clr=(10, 10)) or learn.fit_clr(n_epoch, lr, n_cycles=4)"
            )
        if cycles.n_cycles <= self.patience:
            raise ValueError(
                f"patience should be less than the {cycles.n_cycles} cycles of this fit, but given {self.patience}: it "
                "would never stop"
            )
        inside = np.flatnonzero(cycles.ends[:-1] % cycles.n_iter)  # not the last: the fit ends, and validates
        if len(inside):
            number = int(inside[0]) + 1
            raise ValueError(
                "StopAtCycleEnd needs cycles of whole epochs, since fastai validates after an epoch, but cycle "
                f"{number} of this fit ends after {cycles.ends[inside[0]] / cycles.n_iter:.3g} epochs: try cycle_len=1 "
                "with cycle_mult=2 or 1, or in fit_clr an n_epoch that n_cycles divides"
            )
        self._check_monitor(learn, metrics)

    def _check_monitor(self, learn: Any, metrics: Iterable[Any]) -> None:
        recorder = instance_attribute(learn, "recorder")
        if recorder is None:
            raise ValueError(
                "StopAtCycleEnd reads fastai's Recorder, but this Learner has none: try learn.add_cb(Recorder())"
            )
        columns = EpochColumns.of(recorder, metrics)
        if self.monitor is not None and self.monitor not in columns.names:
            raise ValueError(f"monitor should be one of {columns.names}, but given {self.monitor!r}")
        if self.monitor not in columns.trained and not (columns.validated and _can_validate(learn.dls)):
            raise ValueError(
                "StopAtCycleEnd needs validation data, but this Learner has none or its Recorder leaves them out: give "
                f"it some, or one of monitor={columns.trained}"
            )

    def before_fit(self) -> None:
        super().before_fit()
        fit = _scheduled_fit(self.learn)
        if fit is not None:  # once more: a `before_fit` may have shrunk the loaders
            self.check(self.learn, self.learn.metrics, fit.timetable)

    def after_epoch(self) -> None:
        fit = _scheduled_fit(self.learn)
        if fit is None or fit.next_end == inf:  # the fit ends with its last cycle anyway
            return
        record = fit.record
        if record.cycle_ends[-1:] != [len(record.iterations)]:
            return  # no cycle ended with this epoch
        name = record.score if self.monitor is None else self.monitor
        why = self._why_stop(name, record.values_at_cycle_ends(name), record.lower_is_better.get(name, True))
        if _as_rank_0(self.learn, bool(why)):
            if why:
                epochs = record.cycles.epochs.iloc[-1]
                say(self.learn, f"Stopped at the end of cycle {fit.next_cycle}, after {epochs:g} epochs: {why}.")
            raise CancelFitException

    def _why_stop(self, name: str, values: list[Any], lower_is_better: bool) -> str:
        """Why the fit should stop now; empty if it should not. There is one value per cycle, None if it has none."""
        known = [o for o in values if o is not None]
        if not all(isinstance(o, Real) for o in known):
            raise TypeError(f"monitor should be a metric that is a number, but {name} was {known[-1]!r}")
        if values[-1] is None or len(known) <= self.patience:
            return ""
        gain, before = recent_gain(known, lower_is_better, self.patience)
        rounding = 2**-23 * abs(before)  # of float32, as most metrics are: 0.80 to 0.81 should count as 0.01
        if gain > 0 and gain >= self.min_gain - rounding:
            return ""
        lately = "in the last cycle" if self.patience == 1 else f"in the last {self.patience} cycles"
        if not isfinite(gain):
            return f"{name} was not a finite number {lately}"
        if gain == 0:
            return f"{name} stayed at {before:.6g} {lately}"
        moved = "rose" if (gain > 0) != lower_is_better else "fell"
        after = before + abs(gain) if moved == "rose" else before - abs(gain)
        why = f"{name} {moved} by {abs(gain):.3g} to {after:.6g} ({'better' if gain > 0 else 'worse'}) {lately}"
        return why + (f", less than min_gain={self.min_gain:g}" if gain > 0 else "")


def _can_validate(dls: Any) -> bool:
    """Whether there is a validation set that is not empty."""
    return len(dls.loaders) > 1 and len(dls.loaders[1]) > 0


def _as_rank_0(learn: Any, decision: bool) -> bool:
    """The decision of rank 0 if several processes train one model: their metrics may differ in the last digit."""
    if not isinstance(learn.model, DistributedDataParallel):
        return decision
    decided = torch.tensor(float(decision), device=next(learn.model.parameters()).device)
    torch.distributed.broadcast(decided, 0)
    return bool(decided)


def _scheduled_fit(learn: Any) -> RunningFit | None:
    """The innermost running fit if it has a schedule of ours; None if not, and during a validation."""
    fits = running_fits(learn)
    is_validating = any(isinstance(cb, CLRCallback) and cb._stage is Stage.VALIDATING for cb in learn.cbs)
    return fits[-1] if fits and fits[-1].has_begun and not is_validating else None
