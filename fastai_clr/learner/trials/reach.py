"""What an object reaches: through attributes, containers, partial functions, closures and the globals of functions."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image

_ATOMS = (str, bytes, int, float, complex, bool, type(None), type, ModuleType, BuiltinFunctionType)
_DATA = (torch.Tensor, np.ndarray, pd.DataFrame, pd.Series, pd.Index, Image.Image)
_LIBRARIES = ("fastai", "fastcore", "fastprogress", "fastai_clr", "torch", "numpy", "pandas", "sklearn", "builtins")


def is_data(o: Any) -> bool:
    """Whether `o` is an array, a tensor (no Parameter), a table or an image."""
    return isinstance(o, _DATA) and not isinstance(o, torch.nn.Parameter)


def reachable(*roots: Any, without: Iterable[Any] = ()) -> Iterator[Any]:
    """Each object that the roots reach, once; numbers, strings, classes and modules are left out.

    without: objects at which to stop.
    """
    seen: dict[int, Any] = {id(o): o for o in without}  # the objects, too: an id is unique while its object lives
    stack = list(roots)
    while stack:
        o = stack.pop()
        if isinstance(o, _ATOMS) or id(o) in seen:
            continue
        seen[id(o)] = o
        yield o
        stack.extend(_parts(o))


def _parts(o: Any) -> Iterator[Any]:
    if is_data(o):
        return
    if isinstance(o, Mapping):
        yield from list(o.keys())
        yield from list(o.values())
    elif isinstance(o, (list, tuple, set, frozenset, deque)):
        yield from o
    elif isinstance(o, partial):
        yield from (o.func, o.args, o.keywords)
    elif isinstance(o, MethodType):
        yield from (o.__self__, o.__func__)
    elif isinstance(o, FunctionType):
        yield from names_used_by(o, with_globals=False).values()
    yield from getattr(o, "__dict__", {}).values()
    for cls in type(o).__mro__:
        slots = cls.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__") and hasattr(type(o), name):
                try:
                    yield object.__getattribute__(o, name)
                except AttributeError:
                    pass  # not set


def names_used_by(function: FunctionType, with_globals: bool = True) -> dict[str, Any]:
    """The objects that a function refers to by name: in its closure and defaults, and among the globals it uses."""
    names = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        try:
            names[name] = cell.cell_contents
        except ValueError:
            pass  # not set yet
    defaults = function.__defaults__ or ()
    names |= dict(zip(function.__code__.co_varnames[function.__code__.co_argcount - len(defaults) :], defaults))
    names |= function.__kwdefaults__ or {}
    if with_globals and not is_of_a_library(function):
        names |= {o: function.__globals__[o] for o in function.__code__.co_names if o in function.__globals__}
    return names


def is_of_a_library(o: Any) -> bool:
    """Whether a function or class comes from fastai, torch and the like, not from the user."""
    return (getattr(o, "__module__", None) or "").split(".")[0] in _LIBRARIES
