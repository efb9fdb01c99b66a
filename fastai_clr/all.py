"""All public names, for `from fastai_clr.all import *`. Importing this module adds our methods to fastai's Learner."""

from .learner import CLRCallback, StopAtCycleEnd
from .lr_scheduler import CLRScheduler
from .record import Record
from .report import Comparison, Suggestion
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

__all__ = [
    "CLRCallback",
    "CLRScheduler",
    "CircularLR",
    "CircularLRBeta",
    "Comparison",
    "Constant",
    "Cooldown",
    "CosAnneal",
    "Cycle",
    "Cycles",
    "Record",
    "Schedule",
    "StopAtCycleEnd",
    "Suggestion",
    "plot_schedules",
]
