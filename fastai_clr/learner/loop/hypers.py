"""Read, write, save and restore an optimizer's learning rates, momentum and weight decay."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from operator import attrgetter, itemgetter
from typing import Any

from fastai.optimizer import OptimWrapper, weight_decay
from fastai.torch_core import even_mults
from torch.optim import AdamW

from ...schedules.checks import as_list
from ..fastai2 import hyper_key, write_hyper


def read_hyper(opt: Any, name: str) -> list[Any]:
    """The hyper-parameter `name` ('lr', 'mom', 'wd') of each parameter group."""
    return [h[name] for h in opt.hypers]


def rates_of_groups(lr: Any, n_groups: int) -> list[float]:
    """The rate of each parameter group after fastai's `fit` has set `lr`: a number, one per group, or a slice.

    Examples
    --------
    >>> rates_of_groups(0.5, 2), rates_of_groups(slice(0.5), 3)
    ([0.5, 0.5], [0.05, 0.05, 0.5])
    """
    if isinstance(lr, slice):
        lr = even_mults(lr.start, lr.stop, n_groups) if lr.start else [lr.stop / 10] * (n_groups - 1) + [lr.stop]
    rates = [float(o) for o in as_list(lr)]
    return rates * n_groups if len(rates) == 1 else rates


def decouples_weight_decay(opt: Any) -> bool:
    """Whether the optimizer subtracts weight decay from the weights instead of adding it to the gradient."""
    if isinstance(opt, OptimWrapper):
        inner: Any = opt.opt
        return isinstance(inner, AdamW) or all(g.get("decoupled_weight_decay") for g in inner.param_groups)
    return any(getattr(cb, "func", cb) is weight_decay for cb in opt.cbs)


def _groups_of(opt: Any) -> Callable[[Any], Any]:
    return attrgetter("opt.param_groups" if isinstance(opt, OptimWrapper) else "hypers.items")


def group_dicts(opt: Any) -> list[dict[str, Any]]:
    """The dicts from which the optimizer itself reads its hyper-parameters, one for each group; loading replaces them.

    `hypers` of an `OptimWrapper` are copies.
    """
    return _groups_of(opt)(opt)


class GroupHypers:
    """Read and write rate and momentum of every parameter group, in each batch.

    This uses the dicts that the optimizer itself reads: `hypers` of an `OptimWrapper` are copies, and its `set_hyper`
    costs 15 to 145 µs. The dicts are looked up each time, because loading a checkpoint replaces them.
    """

    __slots__ = "_groups", "_item", "_lr", "_mom", "_rate_of"

    def __init__(self, opt: Any):
        self._groups = _groups_of(opt)
        self._lr, _ = hyper_key(opt, "lr")
        self._mom, self._item = hyper_key(opt, "mom")
        self._rate_of = itemgetter(self._lr)

    def write(self, opt: Any, rates: Sequence[float], momentum: float | None) -> None:
        """Set the learning rate of each group, and the momentum of all unless it is None.

        Raises ValueError if the optimizer has another number of groups.
        """
        lr, mom, item, groups = self._lr, self._mom, self._item, self._groups(opt)
        if len(groups) != len(rates):
            raise ValueError(
                f"the optimizer should keep its {len(rates)} parameter groups until the fit ends, but it has "
                f"{len(groups)} now"
            )
        groups = zip(groups, rates)
        if momentum is None:  # tested once, not per group: saves a tenth of the time with 100 groups
            for group, rate in groups:
                group[lr] = rate
        elif item is None:
            for group, rate in groups:
                group[lr] = rate
                group[mom] = momentum
        else:  # fastai's `set_item_pg` does the same in 1.3 µs per group instead of 0.2
            for group, rate in groups:
                group[lr] = rate
                group[mom] = (*group[mom][:item], momentum, *group[mom][item + 1 :])

    def read(self, opt: Any) -> tuple[list[float], float | None]:
        """The learning rate of each group, and the momentum of the last (None if the optimizer has none)."""
        groups = self._groups(opt)
        momentum = self._mom and groups[-1][self._mom]
        return list(map(self._rate_of, groups)), momentum if self._item is None else momentum[self._item]


class SavedHyper:
    """The optimizer's own values of a hyper-parameter that a fit changes."""

    opt: Any
    name: str

    def __init__(self, opt: Any, name: str):
        self.opt, self.name, self._own = opt, name, read_hyper(opt, name)

    def restore(self) -> None:
        """Write the optimizer's own values back; safe to repeat."""
        write_hyper(self.opt, self.name, self._own)

    @contextmanager
    def restored(self) -> Iterator[None]:
        """Restore the optimizer's own values inside the block, to save or load a file that should hold them."""
        running = read_hyper(self.opt, self.name)
        self.restore()
        try:
            yield
        finally:
            self._own = read_hyper(self.opt, self.name)  # loading a file may have changed them
            write_hyper(self.opt, self.name, running)
