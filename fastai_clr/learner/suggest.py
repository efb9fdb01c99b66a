"""A first guess at the numbers: `learn.suggest_clr`."""

from typing import Any, NamedTuple

from fastai.learner import Learner
from fastai.torch_core import num_distrib

from ..schedules.checks import check_number
from ..schedules.cycles import Cycles
from .batches import batches_per_epoch
from .checks import check_per_group, optimizer_for_fit
from .sandbox import sandbox

__all__ = ["Suggestion", "suggest_clr"]

SHORT = 200  # batches: in a shorter cycle cut_div=10 rises for fewer than 20, which momentum 0.95 averages over
LONG = 1500  # batches: from here on div=40 keeps the first 100, which Adam's 0.99 averages over, below peak/10


class Suggestion(NamedTuple):
    """Numbers for `learn.fit_clr(n_epoch, lr, div, cut_div)`, and why.

    lr: peak learning rate. div, cut_div: as in `CircularLR`. why: the reason for each, in words.
    """

    lr: Any
    div: float
    cut_div: float
    why: str


def suggest_clr(self: Learner, n_epoch: int, lr: Any = None, n_cycles: int = 1) -> Suggestion:
    """Suggest a peak rate, `div` and `cut_div` to begin with, by the rule of thumb of fast.ai's authors.

    n_epoch: epochs in all. n_cycles: cycles that share them.
    lr: the peak rate if you know it; None takes the valley that fastai's `lr_find` suggests.

    The two numbers are (10, 10). In a cycle of fewer than 200 batches the second is 5: a rise over a tenth of the cycle
    would end before the optimizer's averages have seen it. In a cycle of 1500 batches and more the first is 40. Only
    `lr_find`'s mock training runs, and the Learner is left as it was.

    Raises TypeError or ValueError for an argument of the wrong kind or out of range.
    Source: the fast.ai forums of 2018; Smith 2018 for the peak.

    >>> lr, div, cut_div, why = learn.suggest_clr(3)
    >>> learn.fit_clr(3, lr, div, cut_div)
    """
    n_epoch = check_number("n_epoch", n_epoch, least=1, integer=True)
    lr = check_per_group("lr", lr, len(optimizer_for_fit(self, False).hypers), above=0, allow_slice=True)
    length = int(Cycles.of_epochs(n_epoch, n_cycles, 1, batches_per_epoch(self.dls)).ends[0])
    if lr is None:
        if num_distrib() > 1:
            raise ValueError(
                "lr should be given in several processes, but given None: suggest_clr would call lr_find, which never "
                "ends there"
            )
        import fastai.callback.schedule  # noqa: F401  (it gives the Learner lr_find; not before: see `is_callback`)

        with sandbox(self) as box, box.copy() as (twin, _):
            lr = float(twin.lr_find(show_plot=False).valley)
        why = f"lr: lr_find's loss falls fastest around {lr:.2g}"
    else:
        why = "lr: as given"
    div, cut_div = 40 if length >= LONG else 10, 5 if length < SHORT else 10
    of_cycle = f"with {length} batch{'es' * (length > 1)} in a cycle"
    why += f"; div: {div} {of_cycle} ({'at least' if length >= LONG else 'fewer than'} {LONG})"
    why += f"; cut_div: {cut_div} {of_cycle} ({'fewer than' if length < SHORT else 'at least'} {SHORT})"
    return Suggestion(lr, div, cut_div, why)
