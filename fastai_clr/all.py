"""The star import for notebooks: `from fastai_clr.all import *`. It installs everything on fastai's Learner."""

from .learner import CLRCallback, StopAtCycleEnd
from .record import Record
from .report import Comparison
from .schedules import CircularLR, CircularLRBeta, Constant, CosAnneal, Cycle, Cycles, Schedule, plot_schedules

__all__ = [
    "CLRCallback",
    "CircularLR",
    "CircularLRBeta",
    "Comparison",
    "Constant",
    "CosAnneal",
    "Cycle",
    "Cycles",
    "Record",
    "Schedule",
    "StopAtCycleEnd",
    "plot_schedules",
]
