"""How the last fit ended, for `fit_cooldown` to continue from there.

The values lie on the optimizer. So a new optimizer has none, and copies and pickles of a Learner keep them. They are
plain values, not an object of ours: an exported `opt_func` may hold the optimizer, and loads without fastai_clr.
"""

from typing import Any, TypedDict

from .hypers import read_hyper

_NAME = "_fastai_clr_fit_end"


class FitEnd(TypedDict):
    """The end of a fit; None stands for what a loaded file does not say."""

    rates: list[float]  # of each parameter group
    peak: float | None  # the highest rate of the last parameter group
    n_epoch: float | None  # epochs that it trained itself, not those before `start_epoch`
    wd: list[float] | None  # of each parameter group; None, too, if the optimizer has no weight decay


def fit_end(learn: Any) -> FitEnd | None:
    """The end of the last fit that trained with the optimizer of `learn`; None if there was none."""
    return None if learn.opt is None else vars(learn.opt).get(_NAME)


def set_fit_end(learn: Any, end: FitEnd | None) -> None:
    """Replace the end of the last fit; None if there is nothing to continue from."""
    if learn.opt is None:
        return
    if end is None:
        vars(learn.opt).pop(_NAME, None)
    else:
        vars(learn.opt)[_NAME] = end


def keep_fit_end(learn: Any, peak: float, n_epoch: float) -> None:
    """Keep the end of a fit, as the optimizer holds it before the fit's weight decay is undone.

    peak, n_epoch: see `FitEnd`.
    """
    if (opt := learn.opt) is not None:
        wd = read_hyper(opt, "wd") if "wd" in opt.hypers[0] else None
        set_fit_end(learn, {"rates": _rates(opt), "peak": peak, "n_epoch": n_epoch, "wd": wd})


def keep_loaded_end(learn: Any) -> None:
    """Keep the end of the fit that trained the optimizer which was loaded from a file."""
    set_fit_end(learn, {"rates": _rates(learn.opt), "peak": None, "n_epoch": None, "wd": None})


def _rates(opt: Any) -> list[float]:
    return [float(o) for o in read_hyper(opt, "lr")]
