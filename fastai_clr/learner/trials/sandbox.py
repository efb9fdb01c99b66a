"""Copies of a Learner to experiment on: what they train, save or draw from random numbers leaves the Learner alone."""

import copy
import gc
import random
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import gettempdir
from types import FunctionType
from typing import Any
from uuid import uuid4

import numpy as np
import torch
from fastai.torch_core import num_distrib
from fastcore.foundation import L
from fastcore.imports import noop
from torch import nn

from ..fastai2 import compile_as, compile_contexts, instance_attribute, is_loader_iterator, version_of
from ..loop.callback import CLRCallback
from ..loop.running import hypers_before_fit, is_in_a_fit
from ..loop.selective import SelectiveCallback
from ..loop.stopping import StopAtCycleEnd
from .optimizer_copy import OptimizerCopy
from .reach import FUNCTIONS, is_made_of, reachable, references
from .seeding import seed_everything
from .sharing import data_of, items_of, uncopyable

_SHOW_OR_LOG = {f"fastai.callback.{o}" for o in "progress tensorboard wandb comet neptune azureml captum".split()}


class Sandbox:
    """Copies of `learn`, and of the callbacks `cbs` with it, one at a time: before the next, the last is collected.

    Raises ValueError in several processes, without a Recorder, and if a function, which is not copied, refers to the
    Learner or its model by name.

    Parameters
    ----------
    learn
        The Learner.
    cbs
        Callbacks to copy with it.
    folder
        Where the folder of the copies is made; None is the system's for temporary files.

    Notes
    -----
    Copied is what moves in a training: model, loss, metrics, callbacks, data loaders, samplers, the order of the items,
    random generators in data sets and transforms. Shared are the data: tensors, arrays, tables, images and the items of
    data sets. The optimizer is made anew: of the kind and with the hyper-parameters of the Learner's, without its
    state.

    Left out are `learn.sched`, `learn.interrupted`, callbacks with `take_part = False`, callbacks of the Learner that
    show, save or log, or stop a fit at a cycle's end, and what the Learner holds of such callbacks: their methods, say
    its logger. Afterwards the global random numbers go on as before.

    Examples
    --------
    >>> with Sandbox(learn) as box, box:     # entered twice: see `Sandbox.__exit__`
    ...     with box.copy(seed=0) as (twin, _):
    ...         twin.fit(1, 1e-2)
    """

    def __init__(self, learn: Any, cbs: Sequence[Any] = (), folder: Path | None = None):
        if num_distrib() > 1:
            raise ValueError("an experiment on copies of a Learner should run in one process, not in several")
        if instance_attribute(learn, "recorder") is None:
            raise ValueError("an experiment reads fastai's Recorder, but this Learner has none")
        self._learn, self.cbs = learn, [cb for cb in cbs if _takes_part(cb)]
        self._parent = folder or Path(gettempdir())
        classes = (StopAtCycleEnd, SelectiveCallback) if is_in_a_fit(learn) else StopAtCycleEnd  # ours, of that fit
        left_out = {id(cb): cb for cb in learn.cbs if _shows_or_saves(cb) or isinstance(cb, classes)}
        left_out |= {id(cb): cb for cb in [*learn.cbs, *cbs] if not _takes_part(cb)}
        held = dict(vars(learn))
        results = ("sched", "logger", "interrupted")
        theirs = {name: o for name, o in held.items() if name in results or is_made_of(o, left_out)}
        self._left_out = list(theirs)
        roots = {name: held.pop(name) for name in ("splitter", "opt_func", "loss_func", "model")}
        roots |= {f"metrics[{i}]": o for i, o in enumerate(learn.metrics)}
        roots |= {f"callback {cb!r}": cb for cb in [*learn.cbs, *self.cbs]}
        roots |= {name: o for name, o in held.items() if name not in theirs}
        everything = _held(learn, roots, left_out)
        self._graphs = [o for o in everything if isinstance(o, torch.Tensor) and o.grad_fn is not None]
        self._items = items_of(learn.dls)
        self._memo: dict[int, Any] = self._items | data_of(learn.dls, self._items) | uncopyable(everything)
        nothing = [*left_out.values(), *(o for o in everything if is_loader_iterator(o))]
        self._memo |= {id(o): None for o in [*nothing, theirs.get("sched"), learn.opt]}
        functions = [*theirs.values(), *(o for o in everything if is_made_of(o, left_out))]
        self._memo |= {id(o): _do_nothing for o in functions if isinstance(o, FUNCTIONS)}
        self._original = [(t, version_of(t), t.grad) for t in _tensors(learn)]

    def __enter__(self) -> "Sandbox":
        self._folder = self._parent / f"fastai_clr_{uuid4().hex}"
        self._of_python, self._of_numpy = random.getstate(), np.random.get_state()
        self._of_torch = torch.get_rng_state()
        self._of_cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
        self._has_grad = torch.is_grad_enabled()
        return self

    def __exit__(self, *_: Any) -> None:
        """Put everything back.

        A sandbox is entered twice, so that the second exit does what Ctrl-C cuts from the first: all of it may be done
        again.
        """
        torch.cuda.set_rng_state_all(self._of_cuda)
        torch.set_grad_enabled(self._has_grad)  # Ctrl-C may fall into the code of `no_grad`
        random.setstate(self._of_python)
        np.random.set_state(self._of_numpy)
        torch.set_rng_state(self._of_torch)
        gc.unfreeze()
        shutil.rmtree(self._folder, ignore_errors=True)

    @contextmanager
    def copy(self, seed: int | None = None, init: Any = None) -> Iterator[tuple[Any, list[Any]]]:
        """A copy of the Learner with an optimizer that has no state yet, and one of the callbacks.

        Parameters
        ----------
        seed
            Seed of all random numbers; None leaves them.
        init
            A function that changes the model before the optimizer is made.

        Raises
        ------
        ValueError
            If the optimizer cannot be made.
        RuntimeError
            If training the copy changed the Learner's own model.
        """
        if not self._folder.exists():  # the first copy
            self._folder.mkdir(mode=0o700)
            gc.freeze()  # collecting a copy then takes milliseconds: it need not look at all that was there before
        memo = self._memo | {id(t): t.detach().clone() for t in self._graphs}  # as `WeightDropout` leaves them
        memo |= {id(o): o for m in _modules(self._learn) for o in compile_contexts(m)}
        with hypers_before_fit(self._learn):
            twin, cbs = copy.deepcopy((self._learn, self.cbs), memo)
            optimizer = OptimizerCopy(self._learn, memo)
        del memo
        try:
            self._prepare(twin, cbs)
            if seed is not None:
                seed_everything(twin, seed, self._items)
            before = _parameters(twin)
            if init is not None:
                init(twin.model)
            optimizer.give_to(twin, _parameters(twin).keys() != before.keys())
            self._check_optimizer(twin)
            del optimizer, before
            yield twin, cbs
            self._check_original()
        finally:
            for cb in [*twin.cbs, *cbs]:
                cb.learn = None
            del twin, cbs
            gc.collect()  # a Learner is full of cycles; the next copy needs its memory

    def _prepare(self, twin: Any, cbs: list[Any]) -> None:
        for name in self._left_out:
            twin.__dict__.pop(name, None)
        twin.cbs = L(cb for cb in twin.cbs if cb is not None)
        for cb in [*twin.cbs, *cbs]:
            if isinstance(cb, CLRCallback):
                cb.cycle_save_name = cb.best_save_name = None
        twin.opt, twin.logger = None, noop
        twin.path, twin.model_dir = self._folder, "models"
        for module, original in zip(_modules(twin), _modules(self._learn)):
            module.zero_grad(set_to_none=True)
            compile_as(module, original)

    def _check_optimizer(self, twin: Any) -> None:
        own = _parameters(twin)
        if any(id(p) not in own for group in twin.opt.param_lists for p in group):
            raise ValueError(
                "the splitter or opt_func should take the parameters of the model it is given, and learn.opt hold "
                "those of learn.model, but there are others, and a copy of the Learner would train them"
            )

    def _check_original(self) -> None:
        if any(version_of(t) != version or t.grad is not grad for t, version, grad in self._original):
            raise RuntimeError(
                "training a copy changed the Learner's own model: a function or object that cannot be copied holds it"
            )


def _modules(learn: Any) -> list[nn.Module]:
    """What a Learner trains: its model, and its loss if that is a module."""
    return [o for o in (learn.model, learn.loss_func) if isinstance(o, nn.Module)]


def _parameters(learn: Any) -> dict[int, Any]:
    """The parameters by their id, and with them: an id is unique while its object lives."""
    return {id(p): p for module in _modules(learn) for p in module.parameters()}


def _tensors(learn: Any) -> list[torch.Tensor]:
    tensors = (t for module in _modules(learn) for t in [*module.parameters(), *module.buffers()])
    return [t for t in tensors if not nn.parameter.is_lazy(t)]


def _shows_or_saves(cb: Any) -> bool:
    """Whether `cb` is of one of fastai's classes that show, log or save, or of a subclass."""
    names = [(cls.__module__, cls.__name__) for cls in type(cb).__mro__]
    return any(module in _SHOW_OR_LOG or name == "SaveModelCallback" for module, name in names)


def _takes_part(cb: Any) -> bool:
    """Whether neither `cb` nor its class says `take_part = False`. `cb.take_part` would go on to the Learner."""
    return bool(vars(cb).get("take_part", getattr(type(cb), "take_part", True)))


def _do_nothing(*args: Any, **kwargs: Any) -> None:
    """What the copies have for a method of a callback that is left out."""


def _held(learn: Any, roots: dict[str, Any], left_out: dict[int, Any]) -> list[Any]:
    """Everything that a Learner holds in `roots`, without the callbacks that are left out.

    Raises ValueError for a function, which is not copied, that refers to the Learner or its model by name.
    """
    modules = [*learn.model.modules()]
    if isinstance(learn.loss_func, nn.Module) and learn.loss_func.state_dict():
        modules += learn.loss_func.modules()
    own = [learn, learn.dls, *learn.dls.loaders, learn.opt, *learn.cbs, *modules]
    own_ids = {id(o) for o in [*own, *(p for m in modules for p in m.parameters())] if o is not None}
    everything, seen, named = [], {id(learn): learn, **left_out}, {}
    for what, root in roots.items():
        for o in reachable(root, seen=seen):
            everything.append(o)
            if isinstance(o, FunctionType) and is_made_of(o, left_out):
                continue  # left out, too
            for function, name, found in references(o, named):
                if id(found) in own_ids:
                    raise ValueError(
                        f"{what} should not refer to the Learner or its model by name, but its function "
                        f"{function.__qualname__} uses {name!r}: a copy of the Learner would use the original; take it "
                        "from an argument, or in a callback from self.learn"
                    )
    return everything
