"""A first guess at the numbers: `learn.suggest_clr`."""

from tempfile import TemporaryDirectory
from typing import NamedTuple

from fastai.learner import Learner

from .arguments import optimizer_to_be, per_group
from .aside import aside
from .checks import check_number
from .cycles import Cycles
from .loop import batches_per_epoch

__all__ = ["Suggestion", "suggest_clr"]

# In batches of a cycle, and measured by the memory of the optimizer's averages, 1 / (1 - momentum):
SHORT = 200  # with fewer, the rise of cut_div=10 is over before the 20 that momentum 0.95 averages
LONG = 1500  # from here on div=40 keeps the 100 that Adam's squares (0.99) average below a tenth of the peak


class Suggestion(NamedTuple):
    """Numbers for `learn.fit_clr(n_epoch, lr, div, cut_div)`, and why.

    lr: peak learning rate. div, cut_div: as in `CircularLR`. why: the reason for each, in words.
    """

    lr: float
    div: float
    cut_div: float
    why: str


def suggest_clr(self: Learner, n_epoch, lr=None, n_cycles=1) -> Suggestion:
    """Peak rate, `div` and `cut_div` to begin with: the rule of thumb of fast.ai's authors, made precise.

    n_epoch: epochs in all; n_cycles: cycles that share them.
    lr: the peak rate if you know it, else it is the valley that fastai's `lr_find` suggests.

    (10, 10); but 5 for the second number in a cycle of fewer than 200 batches, where a tenth of it would be over before
    the optimizer's averages have seen it, and 40 for the first in a cycle of 1500 batches and more, which can afford a
    hundred batches below a tenth of the peak. Trains nothing but `lr_find`'s mock training and leaves the Learner as it
    was. Raises TypeError or ValueError for an argument of the wrong kind or out of its range.
    Source: the fast.ai forums of 2018; Smith 2018 for the peak.

    >>> lr, div, cut_div, why = learn.suggest_clr(3)
    >>> learn.fit_clr(3, lr, div, cut_div)
    """
    n_epoch = check_number("n_epoch", n_epoch, least=1, integer=True)
    lr = per_group({"lr": lr}, len(optimizer_to_be(self, False).hypers), above=0)
    cycles = Cycles.share(n_epoch, n_cycles, 1, batches_per_epoch(self.dls))
    nb = int(cycles.ends[0])
    if lr is None:
        with aside(self), TemporaryDirectory() as folder:
            self.model_dir = folder  # lr_find keeps the weights in a file
            lr = float(self.lr_find(show_plot=False).valley)
        why = f"lr: lr_find's loss falls fastest around {lr:.2g}"
    else:
        why = "lr: as given"
    div, cut_div = 40 if nb >= LONG else 10, 5 if nb < SHORT else 10
    of_cycle = f"with {nb} batch{'es' * (nb > 1)} in a cycle"
    why += f"; div: {div} {of_cycle} ({'at least' if nb >= LONG else 'fewer than'} {LONG})"
    why += f"; cut_div: {cut_div} {of_cycle} ({'fewer than' if nb < SHORT else 'at least'} {SHORT})"
    return Suggestion(lr, div, cut_div, why)


Learner.suggest_clr = suggest_clr
