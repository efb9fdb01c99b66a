"""The star import for notebooks: `from fastai_clr.all import *`. It installs everything on fastai's Learner."""

from . import learner as _learner  # noqa: F401  (importing it installs the patches)
from .callback import CLRCallback
from .record import Record
from .schedules import CircularLR, CircularLRBeta, Constant, CosAnneal, Cycles, Place, Schedule

__all__ = [
    "CLRCallback",
    "CircularLR",
    "CircularLRBeta",
    "Constant",
    "CosAnneal",
    "Cycles",
    "Place",
    "Record",
    "Schedule",
]
