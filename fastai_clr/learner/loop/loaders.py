"""Training data loaders: the number of batches per epoch, and a loader of the first few batches."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from fastcore.basics import GetAttr


def batches_per_epoch(dls: Any) -> int:
    """The length of the training data loader; raises TypeError if it has none, ValueError if it is 0."""
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
    """The first `n` batches of `dl`, for a last epoch that ends early with the last cycle."""

    _default = "dl"
    dl: Any
    n: int

    def __init__(self, dl: Any, n: int):
        self.dl, self.n = dl, n

    def __len__(self) -> int:
        return self.n

    def __iter__(self) -> Iterator[Any]:
        return islice(self.dl, self.n)
