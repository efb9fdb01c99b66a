"""Cyclical learning rates for fastai 2: `learn.fit(lr, 1, cycle_len=3, use_clr=(32, 5))`.

In a notebook write `from fastai_clr.all import *` after fastai's own star import: it adds `use_clr` to `learn.fit`, and
methods such as `fit_clr` and `suggest_clr` to `Learner`. `import fastai_clr` alone leaves fastai as it is: this module
holds the schedules, and imports neither fastai nor torch.
"""

from .schedules import (
    CircularLR,
    CircularLRBeta,
    Constant,
    Cooldown,
    CosAnneal,
    Cycle,
    Cycles,
    Schedule,
    plot_schedules,
)

__version__ = "2.0.0"
__all__ = [
    "CircularLR",
    "CircularLRBeta",
    "Constant",
    "Cooldown",
    "CosAnneal",
    "Cycle",
    "Cycles",
    "Schedule",
    "__version__",
    "plot_schedules",
]
