"""What stands in the way of pickling."""

import io
from collections.abc import Iterator, Mapping
from typing import Any

import cloudpickle
import torch
from fastai.callback.core import Callback


def obstacle(o: Any, name: str = "", seen: dict[int, Any] | None = None) -> tuple[str, Exception] | None:
    """The innermost part of `o` that cannot be pickled, by its name, and the error; None if all of it can be."""
    seen = {} if seen is None else seen
    error = _error(o, seen)
    if error is None:
        return None
    seen[id(o)] = o
    inner = (obstacle(part, part_name, seen) for part_name, part in _parts(o, name) if id(part) not in seen)
    return next((found for found in inner if found), (name, error))


def _error(o: Any, without: dict[int, Any]) -> Exception | None:
    """The error of pickling `o` but for what it holds of the objects `without`, by their id: it may refer to them."""

    class Pickler(cloudpickle.Pickler):
        def persistent_id(self, obj: Any) -> str | None:
            return "left out" if id(obj) in without or isinstance(obj, torch.UntypedStorage) else None

    try:
        Pickler(io.BytesIO()).dump(o)
    except Exception as error:
        return error
    return None


def _parts(o: Any, name: str) -> Iterator[tuple[str, Any]]:
    """What is pickled of `o`, by the names under which people reach it."""
    if isinstance(o, Mapping):
        parts = {f"{name}[{key!r}]": part for key, part in o.items()}
    elif isinstance(o, (list, tuple)):
        parts = {f"{name}[{i}]": part for i, part in enumerate(o)}
    else:
        parts = {f"{name}.{key}".lstrip("."): part for key, part in _state(o).items()}
    for part_name, part in parts.items():
        yield f"the callback {type(part).__name__}" if isinstance(part, Callback) else part_name, part


def _state(o: Any) -> dict[str, Any]:
    """The attributes that are pickled."""
    try:
        state = o.__reduce_ex__(4)[2]
    except Exception:  # it has another way, or none
        return {}
    state = state[0] if isinstance(state, tuple) else state  # beside it are those in `__slots__`
    return state if isinstance(state, dict) else {}
