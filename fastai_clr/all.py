"""The star import for notebooks: `from fastai_clr.all import *`. It installs everything on fastai's Learner."""

from . import compare, learner, planned, suggest  # noqa: F401  (importing them installs the patches)
from .callback import CLRCallback
from .comparison import Comparison
from .preview import plot_schedules
from .record import Record
from .schedules import CircularLR, CircularLRBeta, Constant, CosAnneal, Cycles, Place, Schedule

__all__ = [
    "CLRCallback", "CircularLR", "CircularLRBeta", "Comparison", "Constant", "CosAnneal", "Cycles", "Place", "Record",
    "Schedule", "plot_schedules",
]  # fmt: skip
