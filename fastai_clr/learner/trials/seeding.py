"""Seed everything from which a Learner draws random numbers."""

import random
from typing import Any

import numpy as np
import torch

from .reach import reachable

GENERATORS = (random.Random, np.random.RandomState, np.random.Generator, torch.Generator)


def seed_everything(learn: Any, seed: int, without: dict[int, Any] | None = None) -> None:
    """Seed the global random numbers, and the generators in the data loaders, samplers, data sets and transforms.

    Parameters
    ----------
    learn
        The Learner.
    seed
        The seed.
    without
        Objects, by id, that draw no random numbers and need not be looked into.
    """
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    for loader in learn.dls.loaders:
        if hasattr(loader, "rng"):
            loader.rng = random.Random(seed)
    for o in list(reachable(learn.dls, dict(without or {}))):
        if isinstance(o, random.Random):
            o.seed(seed)
        elif isinstance(o, np.random.RandomState):
            o.seed(seed % 2**32)
        elif isinstance(o, np.random.Generator):
            o.bit_generator.state = type(o.bit_generator)(seed).state
        elif isinstance(o, torch.Generator):
            o.manual_seed(seed)
