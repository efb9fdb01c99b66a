"""`learn.fit_clr`: the slanted triangle in fastai 2's own style."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from fastai.learner import Learner

from ...report import Suggestion
from ...schedules.checks import PerGroup, check_number, is_several, rate_of
from ...schedules.shapes import CircularLR
from ..loop.callback import CLRCallback
from ..loop.loaders import batches_per_epoch
from . import call07
from .arguments import Callbacks, Rates, as_callbacks, clipping
from .plan import FitPlan
from .short_errors import plan_then_run


def plan_of_clr(
    learn: Any, n_epoch: Any, lr: Any, div: Any, cut_div: Any, n_cycles: int, moms: Any, cbs: Any, **options: Any
) -> FitPlan:
    """The fit that a call of `fit_clr` asks for."""
    if isinstance(n_epoch, float) and isinstance(lr, int):
        raise TypeError(f"n_epoch should be an integer, but given {n_epoch}: try learn.fit_clr({lr}, {n_epoch})")
    n_epoch = check_number("n_epoch", n_epoch, least=1, integer=True)
    default_div, default_cut_div = (lr.div, lr.cut_div) if isinstance(lr, Suggestion) else (10, 10)
    div, cut_div = default_div if div is None else div, default_cut_div if cut_div is None else cut_div
    if is_several(div) and len(div) == 2:
        raise TypeError(f"div should be a number, but given {div!r}: try div={div[0]!r}, cut_div={div[1]!r}")
    if moms is not None and not (is_several(moms) and len(moms) == 2):
        error = ValueError if is_several(moms) else TypeError
        raise error(f"moms should be a pair, momentum at the lowest rate and at the peak, but given {moms!r}")
    callback = CLRCallback(CircularLR(div, cut_div, *([] if moms is None else moms)), n_cycles)
    callback.cycles(batches_per_epoch(learn.dls), n_epoch)  # raises if a cycle would have no batch
    plan = FitPlan(learn, n_epoch, rate_of(lr), cbs=[*as_callbacks(cbs), *clipping(learn)], **options)
    plan.take(callback)
    return plan


@plan_then_run
def fit_clr(
    self: Learner,
    n_epoch: int,
    lr: "Rates | None" = None,
    div: float | None = None,
    cut_div: float | None = None,
    n_cycles: int = 1,
    moms: "Sequence[float] | None" = None,
    wd: "PerGroup | None" = None,
    cbs: "Callbacks | None" = None,
    reset_opt: bool = False,
    start_epoch: int = 0,
    **unknown: Any,
) -> Callable[[], None]:
    """Train with a slanted triangular learning rate (`CircularLR`), in fastai 2's own style.

    Parameters
    ----------
    n_epoch
        Epochs in all, an integer of at least 1; the cycles share them equally.
    lr
        Peak learning rate: a number, one per parameter group, or a slice. None is `learn.lr`. A suggestion of
        `suggest_clr` gives the rate, div and cut_div.
    div
        The largest rate divided by the smallest. None is 10.
    cut_div
        1/cut_div of each cycle rises, the rest falls. None is 10.
    n_cycles
        Number of cycles.
    moms
        Momentum where the rate is lowest and where it peaks, as a pair. None leaves momentum alone.
    wd
        Weight decay of this fit: a number, or one per parameter group. None is `learn.wd`.
    cbs
        fastai 2 callbacks of this fit, as instances or classes.
    reset_opt
        Whether to make a new optimizer.
    start_epoch
        To resume: epochs before it are left out, without their events.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of range, before anything changes.

    References
    ----------
    fastai 0.7.0, `use_clr`; Smith 2015, arXiv 1506.01186; Howard & Ruder 2018, arXiv 1801.06146.

    Examples
    --------
    >>> learn.fit_clr(3, 1e-2, div=32, cut_div=5)
    """
    check_names(unknown)
    options = dict(wd=wd, reset_opt=reset_opt, start_epoch=start_epoch)
    plan = plan_of_clr(self, n_epoch, lr, div, cut_div, n_cycles, moms, cbs, **options)
    return partial(plan.run, self.fit)  # a subclass may have a `fit` of its own


def check_names(arguments: Mapping[str, Any]) -> None:
    """Raise TypeError for an argument that `fit_clr` does not have."""
    known = inspect.signature(fit_clr).parameters
    for name, value in arguments.items():
        if name not in known:
            raise call07.unknown_argument_of_fit_clr(name, value, known)
