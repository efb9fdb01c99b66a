"""Private names of fastai, torch and Python, and fastai's methods before our patches.

If a new release renames one of these, only this file has to change.
"""

import copy
import sys
from collections.abc import Callable, Sequence
from inspect import getclosurevars
from types import FunctionType
from typing import Any

import fastai.imports
import fastcore.imports
from fastai.callback.core import CancelEpochException
from fastai.learner import Learner
from fastai.optimizer import OptimWrapper
from torch import nn
from torch._C import DisableTorchFunctionSubclass
from torch.utils.data.dataloader import _BaseDataLoaderIter

NATIVE: dict[str, Callable[..., Any]] = getattr(Learner, "_before_fastai_clr", None) or {
    name: getattr(Learner, name)
    for name in ("fit", "_do_fit", "save", "load", "export", "predict", "__getattr__", "lr_find")
    if name != "lr_find" or hasattr(Learner, name)  # which comes with fastai.callback.schedule
}  # kept on the class, so that importing this module again does not take our methods for fastai's


def instance_attribute(learn: Any, name: str) -> Any:
    """An attribute of the Learner itself; None if it has none of that name.

    `getattr` and `hasattr` would also look in the model: a Learner delegates unknown names to it.
    """
    return learn.__dict__.get(name)


def is_callback(cb: Any, module: str, *names: str) -> bool:
    """Whether `cb` is an instance of one of these classes in `fastai.callback.<module>`.

    This does not import the module: most of them add a progress bar to fastai's default callbacks when imported.
    """
    loaded = sys.modules.get(f"fastai.callback.{module}")
    return loaded is not None and isinstance(cb, tuple(getattr(loaded, name) for name in names))


def is_silent(learn: Any) -> bool:
    """Whether the Learner logs nothing: inside `no_logging()`, or because it is a copy for an experiment."""
    return learn.logger in (fastai.imports.noop, fastcore.imports.noop)  # two functions of the same name


def train_epochs_from(learn: Any, first_epoch: int) -> None:
    """Train as fastai's `Learner._do_fit`, but skip the epochs before `first_epoch`.

    fastai calls every callback in the skipped epochs, too, and some callbacks then save the model.
    """
    if progress := instance_attribute(learn, "progress"):
        progress("before_epoch")  # a progress bar has to start at 0
    for epoch in range(first_epoch, learn.n_epoch):
        learn.epoch = epoch
        learn._with_events(learn._do_epoch, "epoch", CancelEpochException)


def write_hyper(opt: Any, name: str, values: Sequence[Any]) -> None:
    """Set the hyper-parameter `name` of the parameter groups; groups without a value keep theirs."""
    opt._set_hyper(name, values)  # `set_hyper` requires one value per group, but a group may have been added


def hyper_key(opt: Any, name: str) -> tuple[Any, int | None]:
    """The key of a hyper-parameter in the optimizer's own dicts (None if it has none), and its index in a tuple."""
    key = opt.bwd_map.get(name) if isinstance(opt, OptimWrapper) else name if name in opt.hypers[0] else None
    key, _, item = (key or "").partition("__")  # an OptimWrapper calls item 0 of 'betas' 'betas__0'
    return key or None, int(item) if item else None


def as_float(loss: Any) -> float:
    """The value of a loss as a plain float."""
    with DisableTorchFunctionSubclass():  # `float` of a fastai TensorBase takes 0.5 µs in here, 4.4 outside
        return float(loss)


# -- copies of a Learner -----------------------------------------------------------------------------------------------

OF_TORCH_COMPILE = ("_compiled_call_impl", "dynamo_ctx")  # attributes of a module that was compiled


def is_of_torch_compile(function: FunctionType) -> bool:
    """Whether `torch.compile` made the function; its closure belongs to the compiled module or function."""
    return str(function.__globals__.get("__name__")).startswith("torch._dynamo")


def before_compile(function: FunctionType) -> Any:
    """The function that `torch.compile` was called with to make this one."""
    return vars(function).get("_torchdynamo_orig_callable")


def compile_contexts(module: nn.Module) -> list[Any]:
    """The settings of `torch.compile` for each module that it returned; copies can share them."""
    return [vars(m)["dynamo_ctx"] for m in module.modules() if "dynamo_ctx" in vars(m)]


def is_compiled_in_place(module: nn.Module) -> bool:
    """Whether `Module.compile` has compiled the module; a pickle leaves that out."""
    return vars(module).get("_compiled_call_impl") is not None


def compile_as(module: nn.Module, original: nn.Module) -> None:
    """Compile the modules that `Module.compile` has compiled in the original: `deepcopy` does not copy that."""
    for m, o in zip(module.modules(), original.modules()):
        if (compiled := vars(o).get("_compiled_call_impl")) is not None:
            m._compiled_call_impl = getclosurevars(compiled).nonlocals["self"](m._call_impl)


def is_loader_iterator(o: Any) -> bool:
    """Whether `o` is the iterator that a torch data loader with persistent workers keeps."""
    return isinstance(o, _BaseDataLoaderIter)


def version_of(tensor: Any) -> int:
    """How often the tensor was changed in place."""
    return tensor._version


def kept_on_clear(opt: Any) -> list[str]:
    """The keys of a parameter's state that a fastai `Optimizer` keeps when it clears the state."""
    return opt._keep_on_clear


def can_deepcopy(cls: type) -> bool:
    """Whether `copy.deepcopy` has a built-in way to copy objects of the class."""
    return cls in copy._deepcopy_dispatch
