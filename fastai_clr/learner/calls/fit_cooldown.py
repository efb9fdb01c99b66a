"""`learn.fit_cooldown`: end a fit that was stopped while its rate was high."""

from collections.abc import Callable
from typing import Any

import torch
from fastai.learner import Learner
from torch import nn

from ...schedules.checks import PerGroup, check_number
from ...schedules.shapes import Cooldown
from ..loop.callback import CLRCallback
from ..loop.ending import FitEnd, fit_end
from ..loop.loaders import batches_per_epoch
from ..loop.running import say
from .arguments import Callbacks, as_callbacks, clipping
from .plan import FitPlan
from .short_errors import plan_then_run

LENGTH = 1 / 5  # of a cooldown, as a part of what was trained
LOW = 1 / 5  # of the peak: a rate below it leaves little to cool down


@plan_then_run
def fit_cooldown(
    self: Learner,
    n_epoch: float | None = None,
    div: float = 10,
    *,
    wd: "PerGroup | None" = None,
    cbs: "Callbacks | None" = None,
    start_epoch: int = 0,
) -> Callable[[], None]:
    """End a fit that was stopped, or that has no end of its own: the learning rates fall from where they are.

    It continues the last fit that trained these weights, however that ended: interrupted, by an exception, by a
    callback, or after all its epochs at a constant rate. `lr_find`, validation, experiments and `export` in between do
    not count. In a new process, `learn.load` a checkpoint that was saved with its optimizer, and give n_epoch.

    Parameters
    ----------
    n_epoch
        Epochs in all; fractions are allowed. None is a fifth of what that fit trained.
    div
        Every parameter group falls from the rate that it had in the last batch to that rate divided by div, at least 1.
    wd
        Weight decay of this fit: a number, or one per parameter group. None is that of the fit it continues; after
        `learn.load` it is `learn.wd`.
    cbs
        fastai 2 callbacks of this fit, as instances or classes.
    start_epoch
        To resume a cooldown: load its checkpoint, give the n_epoch of the whole cooldown, and here the number of epochs
        that are done.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of range, if no fit has trained with this optimizer, or if a weight
        is not finite; before anything changes.

    Notes
    -----
    Batch i (from 0) of n has the rate `held * (1 - (1 - 1/div) * (i + 1)/n)`, see `Cooldown`. Momentum is the
    optimizer's own.

    References
    ----------
    Zhai et al. 2022, Scaling Vision Transformers; Hägele et al. 2024, arXiv 2405.18392.

    Examples
    --------
    >>> learn.fit(1, 1e-2)
    >>> learn.fit_cooldown()
    >>> learn.sched.describe()
    'starts at 0.0055, falls for 2 batches to 0.001'
    """
    plan, end = _plan(self, n_epoch, div, wd, cbs, start_epoch)

    def run() -> None:
        rate, peak = end["rates"][-1], end["peak"]
        if peak is not None and 0 < rate <= LOW * peak:
            of_peak = f"1/{peak / rate:.3g} of its peak"
            say(self, f"The last fit ended at a low rate, {rate:.3g}, {of_peak}: there is little to cool down.")
        plan.run(self.fit)  # a subclass may have a `fit` of its own

    return run


def _plan(learn: Any, n_epoch: float | None, div: float, wd: Any, cbs: Any, start_epoch: int) -> tuple[FitPlan, FitEnd]:
    """The fit that a call of `fit_cooldown` asks for, and the end of the fit that it continues."""
    schedule = Cooldown(div)
    if n_epoch is not None:
        n_epoch = check_number("n_epoch", n_epoch, above=0)
    end = _end_of_last_fit(learn)
    if n_epoch is None:
        if start_epoch or end["n_epoch"] is None:
            raise ValueError(
                f"n_epoch should be given with {'start_epoch' if start_epoch else 'a loaded checkpoint'}, which does "
                "not say how long the cooldown should be: try learn.fit_cooldown(n_epoch), a fifth of what was trained"
            )
        n_epoch = end["n_epoch"] * LENGTH
    _check_weights(learn.model)
    callback = CLRCallback(schedule, cycle_len=n_epoch)
    cycles = callback.cycles(batches_per_epoch(learn.dls))
    start_epoch = check_number("start_epoch", start_epoch, least=0, below=cycles.n_epoch, integer=True)
    done = schedule.at(start_epoch * cycles.n_iter - 1, cycles)[0] if start_epoch else 1
    plan = FitPlan(
        learn=learn,
        n_epoch=cycles.n_epoch,
        lr=[rate / done for rate in end["rates"]],
        wd=end["wd"] if wd is None else wd,
        cbs=[*as_callbacks(cbs), *clipping(learn)],
        start_epoch=start_epoch,
    )
    plan.take(callback)
    return plan, end


def _end_of_last_fit(learn: Any) -> FitEnd:
    end = fit_end(learn)
    if end is None:
        raise ValueError(
            "fit_cooldown continues a fit, but learn.opt is new, or the weights were loaded without their optimizer: "
            "train first, or load a checkpoint that holds the optimizer, and give n_epoch"
        )
    if not any(end["rates"]):
        raise ValueError("fit_cooldown lowers the rates, but the last fit ended at 0: train first")
    return end


def _check_weights(model: nn.Module) -> None:
    for name, p in model.named_parameters():
        if not nn.parameter.is_lazy(p) and not torch.isfinite(p).all():
            raise ValueError(
                f"the weights should be finite, but {name} has values that are not: the last fit diverged, so load a "
                "checkpoint from before, and give n_epoch"
            )
