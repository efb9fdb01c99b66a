"""Training that leaves no trace: inside `sandbox(learn)` a Learner may be trained, afterwards it is what it was."""

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from fastai.learner import Learner
from fastai.optimizer import OptimWrapper
from fastcore.foundation import L
from fastcore.imports import noop
from torch import nn
from torch.utils.data import Sampler

from .checks import is_callback

__all__ = ["Sandbox", "sandbox"]

_SHOW_OR_LOG = ("progress", "tensorboard", "wandb", "comet", "neptune", "azureml")  # modules of fastai.callback


class Sandbox:
    """A Learner inside `sandbox`: `start` brings it back to where it was, with the random numbers of a seed."""

    def __init__(self, learn: Any, weights: list[Any], opt_state: Any):
        self._learn, self._weights, self._opt_state = learn, weights, opt_state

    def start(self, seed: int) -> None:
        """Restore the weights, drop the optimizer, and seed the random numbers and the order of the batches."""
        learn = self._learn
        random.seed(seed)
        np.random.seed(seed % 2**32)
        torch.manual_seed(seed)
        for loader in learn.dls.loaders:
            if hasattr(loader, "rng"):
                loader.rng = random.Random(seed)
        for generator in _generators(learn):
            generator.manual_seed(seed)
        _put(self._weights)
        if self._opt_state is not None:
            learn.opt_func.load_state_dict(deepcopy(self._opt_state))
        learn.opt = None


@contextmanager
def sandbox(learn: Learner) -> Iterator[Sandbox]:
    """Put back weights, optimizer, random state, metrics, callbacks and `learn.sched`, however the block ends.

    Inside, callbacks that show, log or save are left out. Yields a `Sandbox`.
    """
    modules = [o for o in (learn.model, learn.loss_func) if isinstance(o, nn.Module)]
    weights = [(t, t.detach().clone()) for m in modules for t in [*m.parameters(), *m.buffers()]]
    gradients = [(p, p.requires_grad, p.grad) for m in modules for p in m.parameters()]
    modes = [(m, m.training) for o in modules for m in o.modules()]
    opt_state = deepcopy(learn.opt_func.state_dict()) if isinstance(learn.opt_func, OptimWrapper) else None
    with ExitStack() as afterwards:
        afterwards.callback(_put, weights)
        afterwards.callback(_put_gradients, gradients)
        for module, training in modes:
            afterwards.callback(setattr, module, "training", training)
        if opt_state is not None:
            afterwards.callback(learn.opt_func.load_state_dict, opt_state)
        _keep_random_state(learn, afterwards)
        for o in [learn, *learn.cbs, *_metrics(learn)]:
            afterwards.callback(_put_attributes, o, dict(vars(o)))
        learn.cbs = L(cb for cb in learn.cbs if not _shows_or_saves(cb))
        for name in [k for k, o in vars(learn).items() if _shows_or_saves(o)]:
            del learn.__dict__[name]
        learn.logger, learn.opt = noop, None
        for p, _, _ in gradients:
            p.grad = None
        yield Sandbox(learn, weights, opt_state)


def _metrics(learn: Learner) -> list[Any]:
    recorder = vars(learn).get("recorder")
    return [*learn.metrics, *(vars(recorder)[o] for o in ("loss", "smooth_loss") if o in vars(recorder or noop))]


def _shows_or_saves(o: Any) -> bool:
    package, _, module = type(o).__module__.rpartition(".")
    return is_callback(o, "tracker", "SaveModelCallback") or (package == "fastai.callback" and module in _SHOW_OR_LOG)


def _put(weights: list[Any]) -> None:
    with torch.no_grad():
        for tensor, value in weights:
            tensor.copy_(value)


def _put_gradients(gradients: list[Any]) -> None:
    for p, requires_grad, grad in gradients:
        p.requires_grad_(requires_grad)
        p.grad = grad


def _put_attributes(o: Any, attributes: dict[str, Any]) -> None:
    vars(o).clear()
    vars(o).update(attributes)


def _keep_random_state(learn: Learner, afterwards: ExitStack) -> None:
    afterwards.callback(random.setstate, random.getstate())
    afterwards.callback(np.random.set_state, np.random.get_state())
    afterwards.callback(torch.set_rng_state, torch.get_rng_state())
    if torch.cuda.is_initialized():
        afterwards.callback(torch.cuda.set_rng_state_all, torch.cuda.get_rng_state_all())
    for loader in learn.dls.loaders:
        if hasattr(loader, "rng"):  # a fastai loader makes itself a new one in each epoch
            afterwards.callback(setattr, loader, "rng", loader.rng)
            afterwards.callback(loader.rng.setstate, loader.rng.getstate())
    for generator in _generators(learn):
        afterwards.callback(generator.set_state, generator.get_state())


def _generators(learn: Learner) -> list[torch.Generator]:
    """The random generators of torch's own data loaders, also those of samplers inside samplers."""
    generators, owners = {}, list(learn.dls.loaders)
    for owner in owners:
        generator = getattr(owner, "generator", None)
        if isinstance(generator, torch.Generator):
            generators[id(generator)] = generator
        owners += [o for o in getattr(owner, "__dict__", {}).values() if isinstance(o, Sampler)]
    return list(generators.values())
