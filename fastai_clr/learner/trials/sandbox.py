"""Copies of a Learner to experiment on: what they train, save or draw from random numbers leaves the Learner alone."""

import copy
import copyreg
import gc
import random
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FunctionType
from typing import Any

import numpy as np
import torch
from fastai.learner import Learner
from fastai.torch_core import num_distrib
from fastcore.foundation import L
from fastcore.imports import noop
from torch import nn
from torch.utils.data import Sampler
from torch.utils.data.dataloader import _BaseDataLoaderIter

from ..loop.callback import CLRCallback
from ..loop.running import is_in_a_fit
from ..loop.selective import SelectiveCallback
from ..loop.stopping import StopAtCycleEnd
from .reach import is_data, is_of_a_library, names_used_by, reachable

_SHOW_OR_LOG = {f"fastai.callback.{o}" for o in "progress tensorboard wandb comet neptune azureml captum".split()}


@contextmanager
def sandbox(learn: Learner, cbs: Sequence[Any] = ()) -> Iterator["Sandbox"]:
    """Copies of `learn`, and of the callbacks `cbs` with it. Afterwards the global random numbers go on as before.

    Raises ValueError in several processes, and if a function, which is not copied, refers to the Learner or its model.
    """
    if num_distrib() > 1:
        raise ValueError("an experiment on copies of a Learner should run in one process, not in several")
    with ExitStack() as afterwards:
        # Ctrl-C may fall into the very code of `no_grad`
        afterwards.callback(torch.set_grad_enabled, torch.is_grad_enabled())
        afterwards.callback(random.setstate, random.getstate())
        afterwards.callback(np.random.set_state, np.random.get_state())
        afterwards.callback(torch.set_rng_state, torch.get_rng_state())
        if torch.cuda.is_initialized():
            afterwards.callback(torch.cuda.set_rng_state_all, torch.cuda.get_rng_state_all())
        folder = afterwards.enter_context(TemporaryDirectory())
        gc.freeze()  # collecting a copy then takes milliseconds: it need not look at all that was there before
        afterwards.callback(gc.unfreeze)
        yield Sandbox(learn, cbs, Path(folder))


class Sandbox:
    """Makes copies of a Learner, one at a time: before the next is made, the last one is collected.

    Copied is what moves in a training: model, loss, metrics, callbacks, data loaders, samplers, the order of the items,
    random generators in data sets and transforms, an `OptimWrapper` given as `opt_func`. Shared are the data: tensors,
    arrays, tables and images. Left out are the optimizer, `learn.sched`, and callbacks of the Learner that show,
    save or log, or stop a fit at a cycle's end.
    """

    def __init__(self, learn: Any, cbs: Sequence[Any], folder: Path):
        self._learn, self.cbs, self._folder = learn, list(cbs), folder
        self._left_out = [cb for cb in learn.cbs if _shows_or_saves(cb) or isinstance(cb, StopAtCycleEnd)]
        if is_in_a_fit(learn):
            self._left_out += [cb for cb in learn.cbs if isinstance(cb, SelectiveCallback)]  # ours, of that fit
        everything = list(reachable(learn, self.cbs))
        _check_functions(learn, self.cbs)
        self._graphs = [o for o in everything if isinstance(o, torch.Tensor) and o.grad_fn is not None]
        self._memo: dict[int, Any] = _shared(learn.dls) | _uncopyable(everything)
        nothing = [*self._left_out, *(o for o in everything if isinstance(o, _BaseDataLoaderIter))]
        nothing += [
            o for name, o in vars(learn).items() if name == "sched" or (name == "opt" and o is not learn.opt_func)
        ]
        self._memo |= {id(o): None for o in nothing}
        self._original = [(t, t._version, t.grad) for t in _tensors(learn)]

    @contextmanager
    def copy(self, seed: int | None = None, init: Any = None) -> Iterator[tuple[Any, list[Any]]]:
        """A copy of the Learner with a new optimizer, and one of the callbacks.

        seed: of all random numbers, None to leave them. init: a function that changes the model before the optimizer is
        made. Raises RuntimeError if training the copy changed the Learner's own model.
        """
        memo = self._memo | {id(t): t.detach().clone() for t in self._graphs}  # as `WeightDropout` leaves them
        twin, cbs = copy.deepcopy((self._learn, self.cbs), memo)
        del memo
        try:
            self._prepare(twin, cbs)
            if seed is not None:
                _seed_everything(twin, seed)
            if init is not None:
                init(twin.model)
            twin.create_opt()
            self._check_optimizer(twin)
            yield twin, cbs
            self._check_original()
        finally:
            for cb in [*twin.cbs, *cbs]:
                cb.learn = None
            del twin, cbs
            gc.collect()  # a Learner is full of cycles; the next copy needs its memory

    def _prepare(self, twin: Any, cbs: list[Any]) -> None:
        for name in [name for name, o in vars(self._learn).items() if any(o is cb for cb in self._left_out)]:
            del twin.__dict__[name]
        twin.__dict__.pop("sched", None)
        twin.cbs = L(cb for cb in twin.cbs if cb is not None)
        for cb in [*twin.cbs, *cbs]:
            if isinstance(cb, CLRCallback):
                cb.cycle_save_name = cb.best_save_name = None
        twin.opt, twin.logger = None, noop
        twin.path, twin.model_dir = self._folder, "models"
        for module in _modules(twin):
            module.zero_grad(set_to_none=True)

    def _check_optimizer(self, twin: Any) -> None:
        own = {id(p) for module in _modules(twin) for p in module.parameters()}
        if any(id(p) not in own for group in twin.opt.param_lists for p in group):
            raise ValueError(
                "the splitter or opt_func should take the parameters of the model it is given, but it took others, "
                "and a copy of the Learner would train them"
            )

    def _check_original(self) -> None:
        if any(t._version != version or t.grad is not grad for t, version, grad in self._original):
            raise RuntimeError(
                "training a copy changed the Learner's own model: a function or object that cannot be copied holds it"
            )


def _modules(learn: Any) -> list[nn.Module]:
    """What a Learner trains: its model, and its loss if that is a module."""
    return [o for o in (learn.model, learn.loss_func) if isinstance(o, nn.Module)]


def _tensors(learn: Any) -> list[torch.Tensor]:
    return [
        t
        for module in _modules(learn)
        for t in [*module.parameters(), *module.buffers()]
        if not nn.parameter.is_lazy(t)
    ]


def _shows_or_saves(cb: Any) -> bool:
    """Whether `cb` is of one of fastai's classes that show, log or save, or of a subclass."""
    names = [(cls.__module__, cls.__name__) for cls in type(cb).__mro__]
    return any(module in _SHOW_OR_LOG or name == "SaveModelCallback" for module, name in names)


def _shared(dls: Any) -> dict[int, Any]:
    """The data that the copies share, for the memo of `deepcopy`: arrays, and tuples of nothing else."""
    found = list(reachable(dls))
    orders = {id(o) for sampler in found if isinstance(sampler, Sampler) for o in vars(sampler).values() if is_data(o)}
    shared = {id(o): o for o in found if is_data(o) and id(o) not in orders and getattr(o, "grad_fn", None) is None}
    plain = (str, bytes, int, float, bool, type(None), Path)
    shared |= {id(o): o for o in found if type(o) is tuple and all(id(v) in shared or isinstance(v, plain) for v in o)}
    return shared


def _uncopyable(objects: list[Any]) -> dict[int, Any]:
    """The objects whose type `deepcopy` cannot copy, say an open file: the copies share them."""
    can_copy: dict[type, bool] = {FunctionType: True}
    for o in objects:
        if type(o) not in can_copy:
            if is_data(o) or isinstance(o, (torch.Tensor, nn.Module, Learner)) or hasattr(o, "__deepcopy__"):
                can_copy[type(o)] = True
                continue
            try:
                how = o.__reduce_ex__(4)
                if how[0] is copyreg.__newobj__:
                    how[0](*how[1])  # a compiled class, of plum in older transforms say, may want its arguments here
                can_copy[type(o)] = True
            except Exception:
                can_copy[type(o)] = type(o) in copy._deepcopy_dispatch
    return {id(o): o for o in objects if not can_copy[type(o)]}


def _check_functions(learn: Any, cbs: Sequence[Any]) -> None:
    """Raise ValueError for a function of the user's, which is not copied, that refers to the Learner or its model."""
    own = {id(o) for o in [learn, learn.dls, *(p for m in _modules(learn) for p in [*m.modules(), *m.parameters()])]}
    roots = {"splitter": learn.splitter, "opt_func": learn.opt_func, "loss_func": learn.loss_func, "model": learn.model}
    roots |= {f"metrics[{i}]": o for i, o in enumerate(learn.metrics)}
    roots |= {f"callback {cb!r}": cb for cb in [*learn.cbs, *cbs] if not _shows_or_saves(cb)}
    for what, root in roots.items():
        for function in _functions(root, without=[learn, learn.dls]):
            for name, o in names_used_by(function).items():
                if id(o) in own:
                    raise ValueError(
                        f"{what} should not refer to the Learner or its model by name, but its function "
                        f"{function.__qualname__} uses {name!r}: a copy of the Learner would use the original; take it "
                        "from an argument, or in a callback from self.learn"
                    )


def _functions(root: Any, without: list[Any]) -> Iterator[FunctionType]:
    """The functions that `root` reaches, and the methods of the user's own classes among what it reaches."""
    for o in reachable(root, without=without):
        if isinstance(o, FunctionType):
            yield o
        else:
            classes = [cls for cls in type(o).__mro__ if not is_of_a_library(cls)]
            yield from (f for cls in classes for f in vars(cls).values() if isinstance(f, FunctionType))


def _seed_everything(learn: Any, seed: int) -> None:
    """Seed the global random numbers, and the generators in the data loaders, samplers, data sets and transforms."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    for loader in learn.dls.loaders:
        if hasattr(loader, "rng"):
            loader.rng = random.Random(seed)
    for o in list(reachable(learn.dls)):
        if isinstance(o, random.Random):
            o.seed(seed)
        elif isinstance(o, np.random.RandomState):
            o.seed(seed % 2**32)
        elif isinstance(o, np.random.Generator):
            o.bit_generator.state = type(o.bit_generator)(seed).state
        elif isinstance(o, torch.Generator):
            o.manual_seed(seed)
