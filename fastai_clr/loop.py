"""What fastai's training loop works on: its batches, and where its optimizer keeps rate and momentum."""

from itertools import islice
from operator import attrgetter

from fastai.optimizer import OptimWrapper
from fastcore.basics import GetAttr

__all__ = ["FirstBatches", "batches_per_epoch", "hyper_dicts_getter", "hyper_key", "split_key"]


def batches_per_epoch(dls) -> int:
    """The length of the training data loader; TypeError if it has none, ValueError if it is 0."""
    try:
        n = len(dls.train)
    except TypeError as e:
        raise TypeError(
            "a schedule counts batches, so the training data loader should have a length, but given "
            f"{type(dls.train).__name__} without one"
        ) from e
    if n == 0:
        raise ValueError(
            "the training data loader should have at least 1 batch, but given 0: is the batch size too large?"
        )
    return n


class FirstBatches(GetAttr):
    """The first `n` batches of `dl`: the last epoch, where the last cycle ends inside it."""

    _default = "dl"

    def __init__(self, dl, n):
        self.dl, self.n = dl, n

    def __len__(self):
        return self.n

    def __iter__(self):
        return islice(self.dl, self.n)


def hyper_dicts_getter(opt):
    """A function from `opt` to the dicts it reads, one a parameter group; `hypers` of an `OptimWrapper` are copies."""
    return attrgetter("opt.param_groups" if isinstance(opt, OptimWrapper) else "hypers.items")


def hyper_key(opt, name):
    """The key of the hyper-parameter `name` in those dicts, None if it has none; an `OptimWrapper` may rename it."""
    if isinstance(opt, OptimWrapper):
        return opt.bwd_map.get(name)
    return name if name in opt.hypers[0] else None


def split_key(key):
    """The name and the index that fastai's keys hold: 'betas__0' is item 0 of 'betas', 'mom' is no item (None)."""
    name, _, i = (key or "").partition("__")
    return name or None, int(i) if i else None
