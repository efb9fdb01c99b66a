"""What an object holds (attributes, containers, closures), and what a function looks up by name."""

import dis
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache, partial
from inspect import getattr_static
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import pandas as pd
import torch
from fastai.data.core import DataLoaders
from PIL import Image

from ..fastai2 import OF_TORCH_COMPILE, before_compile, is_of_torch_compile

FUNCTIONS = (MethodType, partial, FunctionType)
_ATOMS = (str, bytes, int, float, complex, bool, type(None), type, ModuleType, BuiltinFunctionType)
_DATA = (torch.Tensor, np.ndarray, pd.DataFrame, pd.Series, pd.Index, Image.Image)
_LIBRARIES = {"fastai", "fastcore", "fastprogress", "fastai_clr", "torch", *sys.stdlib_module_names}
_NOT_IN_A_COPY = ("__init__", "__post_init__")  # `deepcopy` does not call them

# names of instructions in Python 3.10 to 3.13
_LOAD_GLOBAL = {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"}
_LOAD_CELL = {"LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF"}
_LOAD_ATTRIBUTE = {"LOAD_ATTR", "LOAD_METHOD"}


def is_data(o: Any) -> bool:
    """Whether `o` is an array, a tensor (no Parameter), a table or an image."""
    return isinstance(o, _DATA) and not isinstance(o, torch.nn.Parameter)


def reachable(root: Any, seen: dict[int, Any] | None = None, into: tuple[type, ...] = (object,)) -> Iterator[Any]:
    """Each object that `root` holds, once, and `root`; numbers, strings, classes and modules are left out.

    It stops at the objects in `seen`, by their id, and adds those that it finds. It looks into objects of the types
    `into`.
    """
    seen = {} if seen is None else seen  # the objects, too: an id is unique while its object lives
    stack = [root]
    while stack:
        o = stack.pop()
        if isinstance(o, _ATOMS) or id(o) in seen:
            continue
        seen[id(o)] = o
        yield o
        if isinstance(o, into):
            stack.extend(_parts(o))


def is_made_of(o: Any, objects: dict[int, Any]) -> bool:
    """Whether `o` is one of the objects by their id, or a bound method, partial or closure that holds one."""
    held = reachable(o, into=(*FUNCTIONS, tuple, dict)) if isinstance(o, FUNCTIONS) else [o]
    return any(id(part) in objects for part in held)


def _parts(o: Any) -> Iterator[Any]:
    if is_data(o) or (isinstance(o, FunctionType) and is_of_torch_compile(o)):
        return
    if isinstance(o, Mapping):
        yield from [*o.keys(), *o.values()]
    elif isinstance(o, (list, tuple, set, frozenset, deque)):
        yield from o
    elif isinstance(o, partial):
        yield from (o.func, o.args, o.keywords)
    elif isinstance(o, MethodType):
        yield from (o.__self__, o.__func__)
    elif isinstance(o, FunctionType):
        yield from [*_cells(o).values(), *_defaults(o).values()]
    yield from (v for name, v in getattr(o, "__dict__", {}).items() if name not in OF_TORCH_COMPILE)
    for cls in type(o).__mro__:
        slots = cls.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__") and hasattr(type(o), name):
                try:
                    yield object.__getattribute__(o, name)
                except AttributeError:
                    pass  # not set


def references(o: Any, seen: dict[int, Any]) -> Iterator[tuple[FunctionType, str, Any]]:
    """What a function, or a method of the class of `o`, looks up by name: the function, the name and each object.

    It looks into inner functions, the user's functions and classes that are named, and what a named object holds. It
    stops at the functions, classes and objects in `seen`, by their id, and adds those that it finds.
    """
    functions = [o] if isinstance(o, FunctionType) else _methods(type(o), _NOT_IN_A_COPY)
    stack = [(function, "", function) for function in functions]  # the function that names an object, the name, it
    while stack:
        function, name, o = stack.pop()
        is_object = not isinstance(o, (FunctionType, *_ATOMS))
        if is_object:
            yield function, name, o
        if id(o) in seen or not (is_object or isinstance(o, (FunctionType, type))):
            continue
        seen[id(o)] = o
        if isinstance(o, FunctionType):
            stack += [(o, *named) for named in _names(o)]
        elif isinstance(o, type):
            stack += [(function, name, method) for method in _methods(o)]
        else:
            is_notebook = _package(type(o)) in ("IPython", "ipykernel")  # which holds all that a notebook names
            parts = () if is_notebook else _parts(o)
            stack += [(function, name, part) for part in (*_methods(type(o), _NOT_IN_A_COPY), *parts)]


def _names(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """The names that a function and the code inside it look up, and what they stand for.

    A module, a class and DataLoaders stand for the attribute that is read, say `settings.learn` or `dls.train`.
    """
    if is_of_torch_compile(function):
        yield function.__name__, before_compile(function)
        return
    yield from [*_defaults(function).items(), *vars(function).items()]
    closure = _cells(function)
    variables = {} if _is_installed(_package(function)) else function.__globals__
    for code in _codes(function.__code__):
        instructions = [o for o in dis.get_instructions(code) if o.opname != "EXTENDED_ARG"]
        for i, instruction in enumerate(instructions):
            name, found = instruction.argval, None
            if instruction.opname in _LOAD_CELL and name != "__class__":  # of `super`
                found = closure.get(name)
            elif instruction.opname in _LOAD_GLOBAL:
                found = variables.get(name)
            if found is None:
                continue
            while isinstance(found, (ModuleType, type, DataLoaders)):
                i += 1
                if i == len(instructions) or instructions[i].opname not in _LOAD_ATTRIBUTE:
                    break
                name, found = f"{name}.{instructions[i].argval}", _attribute(found, instructions[i].argval)
            yield name, found


def _attribute(o: Any, name: str) -> Any:
    if isinstance(o, DataLoaders):
        return getattr(o, name, None)
    found = getattr_static(o, name, None)  # `getattr` of a module may import
    return found.__func__ if isinstance(found, (staticmethod, classmethod)) else found


def _codes(code: CodeType) -> Iterator[CodeType]:
    """The code of a function, and of the functions, generators and classes inside it."""
    yield code
    for o in code.co_consts:
        if isinstance(o, CodeType):
            yield from _codes(o)


def _cells(function: FunctionType) -> dict[str, Any]:
    """What a function's closure holds, by name."""
    contents = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        with suppress(ValueError):  # it is not set yet
            contents[name] = cell.cell_contents
    return contents


def _defaults(function: FunctionType) -> dict[str, Any]:
    code, defaults = function.__code__, function.__defaults__ or ()
    return dict(zip(code.co_varnames[code.co_argcount - len(defaults) :], defaults)) | (function.__kwdefaults__ or {})


def _methods(cls: type, without: Sequence[str] = ()) -> Iterator[FunctionType]:
    """The methods and properties of a user's class and of its base classes."""
    for base in cls.__mro__:
        if not _is_installed(_package(base)):
            for name, o in vars(base).items():
                if name not in without:
                    wrapped = [getattr(o, part, None) for part in ("__func__", "fget", "fset", "func")]
                    yield from (f for f in (o, *wrapped) if isinstance(f, FunctionType))


def _package(o: Any) -> str:
    """The outermost name of the module that a class or function comes from."""
    # not `__module__` of a function, which `wraps` changes
    module = o.__globals__.get("__name__") if isinstance(o, FunctionType) else o.__module__
    return module.split(".")[0] if isinstance(module, str) else "builtins"


@cache
def _is_installed(package: str) -> bool:
    """Whether a package is a library, not the user's own code."""
    file = getattr(sys.modules.get(package), "__file__", None) or ""
    installed = package in _LIBRARIES or "site-packages" in file or "dist-packages" in file
    return installed and package != "__main__"  # whose file may be that of pytest or a kernel
