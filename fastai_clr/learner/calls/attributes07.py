"""0.7's attributes on fastai 2's Learner: `crit` and `opt_fn` can be read and set; setting `reg_fn` raises."""

import dis
from functools import partial
from inspect import signature
from types import FunctionType
from typing import Any

from fastai.callback.core import Callback
from fastai.learner import Learner
from fastai.optimizer import OptimWrapper
from torch.optim import Optimizer

from .gone07 import REGULARISED


class Attribute07:
    """An attribute of 0.7's Learner, on the class of fastai 2's.

    An attribute of the same name that another library uses works as without the plugin: see `_is_anothers`. A value in
    the Learner's `__dict__`, from before the import or from an old pickle, is returned until it is set or deleted.
    """

    name: str

    def __get__(self, learn: Any, owner: type | None = None) -> Any:
        if learn is None:
            return self
        if self.name in vars(learn):
            return vars(learn)[self.name]
        if _is_anothers(learn, self.name):
            return getattr(super(Learner, learn), self.name)  # if it has none, Python calls the Learner's `__getattr__`
        return self.read(learn)

    def __set__(self, learn: Any, value: Any) -> None:
        if _is_anothers(learn, self.name, value):
            vars(learn)[self.name] = value
        else:
            self.write(learn, value)
            vars(learn).pop(self.name, None)

    def __delete__(self, learn: Any) -> None:
        vars(learn).pop(self.name, None)

    def read(self, learn: Any) -> Any:
        raise AttributeError(self.name)

    def write(self, learn: Any, value: Any) -> None:
        raise NotImplementedError


class Crit(Attribute07):
    """0.7's name for `learn.loss_func`; it can be read and set."""

    name = "crit"

    def read(self, learn: Any) -> Any:
        return learn.loss_func

    def write(self, learn: Any, value: Any) -> None:
        learn.loss_func = value


class OptFn(Attribute07):
    """0.7's name for `learn.opt_func`; it can be read and set. After setting it, the next fit makes a new optimizer.

    An optimizer class of torch, or a partial of one, is wrapped in fastai's `OptimWrapper`.
    """

    name = "opt_fn"

    def read(self, learn: Any) -> Any:
        return learn.opt_func

    def write(self, learn: Any, value: Any) -> None:
        if not callable(value) and not isinstance(value, OptimWrapper):
            raise TypeError(
                "learn.opt_fn should be a function or class that makes an optimizer, say torch.optim.Adam, but given "
                f"{value!r}"
            )
        learn.opt_func, learn.opt = _wrapped(value), None


class RegFn(Attribute07):
    """0.7's regularisation, which is a callback in fastai 2; setting it raises TypeError."""

    name = "reg_fn"

    def write(self, learn: Any, value: Any) -> None:
        if value is not None:
            raise TypeError(f"learn.reg_fn has no counterpart in fastai 2: {REGULARISED}; delete the line")


ATTRIBUTES = {o.name: o for o in (Crit(), OptFn(), RegFn())}


def _wrapped(opt_fn: Any) -> Any:
    """Wrap an optimizer class of torch, or a partial of one, as fastai's `opt_func`; return anything else unchanged."""
    opt, keywords = opt_fn, {}
    while isinstance(opt, partial) and not opt.args:
        opt, keywords = opt.func, {**opt.keywords, **keywords}
    is_of_torch = isinstance(opt, type) and issubclass(opt, Optimizer)
    return partial(OptimWrapper, opt=opt, **keywords) if is_of_torch else opt_fn


def _is_anothers(learn: Any, name: str, value: Any = None) -> bool:
    """Whether other code uses an attribute of this name.

    True if the Learner's class has it, takes it in `__init__` or assigns it in a method; if the model has it; or if
    `value` is a callback, which fastai stores under its name.
    """
    if isinstance(value, Callback) or hasattr(getattr(learn, "model", None), name):
        return True
    for cls in type(learn).__mro__:
        own = {} if cls in Learner.__mro__ else vars(cls)
        if name in own or ("__init__" in own and name in signature(cls.__init__).parameters):
            return True
        if any(isinstance(o, FunctionType) and _assigns(o, name) for o in own.values()):
            return True
    return False


def _assigns(function: FunctionType, name: str) -> bool:
    """Whether a line of `function` is an assignment such as `self.crit = ...`."""
    return name in function.__code__.co_names and any(
        o.opname == "STORE_ATTR" and o.argval == name for o in dis.get_instructions(function)
    )


def check_left_over(learn: Any) -> None:
    """Raise TypeError if the Learner holds a value of 0.7 that no fit of fastai 2 uses."""
    for name in ATTRIBUTES:
        value = vars(learn).get(name)
        if value is not None and not _is_anothers(learn, name, value):
            raise TypeError(
                f"no fit of fastai 2 uses learn.{name}, which is from an old pickle or from before the import of "
                f"fastai_clr: remove it with `del learn.{name}`, and set it again if it should count"
            )
