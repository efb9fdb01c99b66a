"""What the copies of a Learner share, by id, as the memo of `deepcopy` wants it: data, and what cannot be copied."""

import copyreg
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from fastai.learner import Learner
from fastcore.foundation import L
from torch import nn
from torch.utils.data import Sampler

from ..fastai2 import can_deepcopy
from .reach import is_data, reachable
from .seeding import GENERATORS

_LISTS = (list, tuple, L)
_PLAIN = (str, bytes, int, float, bool, type(None), Path)


def items_of(dls: Any) -> dict[int, Any]:
    """The items of the data sets: objects in a list with one for each index.

    What is called, as transforms are, or draws random numbers is no item.
    """
    found: dict[int, Any] = {}
    for loader in dls.loaders:
        dataset = getattr(loader, "dataset", None)
        parts = [dataset] if isinstance(dataset, _LISTS) else _lists_of_items(reachable(dataset))
        found |= {id(o): o for part in parts for o in part if not isinstance(o, _PLAIN) and not callable(o)}
    return {key: o for key, o in found.items() if not any(isinstance(part, GENERATORS) for part in reachable(o))}


def data_of(dls: Any, items: dict[int, Any]) -> dict[int, Any]:
    """The arrays outside the items, and the tuples that hold only arrays and plain values.

    A sampler's arrays are left out: they are the order in which it goes through the data.
    """
    found = list(reachable(dls, dict(items)))
    orders = {id(o) for sampler in found if isinstance(sampler, Sampler) for o in vars(sampler).values() if is_data(o)}
    shared = {id(o): o for o in found if is_data(o) and id(o) not in orders and getattr(o, "grad_fn", None) is None}
    return shared | {
        id(o): o for o in found if type(o) is tuple and all(id(v) in shared or isinstance(v, _PLAIN) for v in o)
    }


def uncopyable(objects: Iterable[Any]) -> dict[int, Any]:
    """The objects whose type `deepcopy` cannot copy, say an open file."""
    can_copy = {cls: _can_copy(o) for cls, o in {type(o): o for o in objects}.items()}
    return {id(o): o for o in objects if not can_copy[type(o)]}


def _lists_of_items(objects: Iterable[Any]) -> list[Any]:
    lists = []
    for o in objects:
        if hasattr(type(o), "__getitem__") and type(o) not in _LISTS:  # `TfmdLists` is an L
            own = [part for part in getattr(o, "__dict__", {}).values() if isinstance(part, _LISTS)]
            with suppress(Exception):  # it has no length
                lists += [part for part in own if len(part) == len(o)]
    return lists


def _can_copy(o: Any) -> bool:
    if isinstance(o, (nn.Module, Learner)) or is_data(o) or hasattr(o, "__deepcopy__") or can_deepcopy(type(o)):
        return True
    try:
        how = o.__reduce_ex__(4)
        if how[0] is copyreg.__newobj__:
            how[0](*how[1])  # a compiled class, of plum in older transforms say, may want its arguments here
        return True
    except Exception:
        return False
