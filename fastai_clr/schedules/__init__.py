"""Schedules as functions of the batch. Importing this package loads numpy, but not torch, fastai or matplotlib."""

from .cycles import Cycle, Cycles
from .drawing import plot_schedules
from .names import by_name
from .schedule import Schedule
from .shapes import CircularLR, CircularLRBeta, Constant, Cooldown, CosAnneal
from .timetable import Timetable

__all__ = [
    "CircularLR",
    "CircularLRBeta",
    "Constant",
    "Cooldown",
    "CosAnneal",
    "Cycle",
    "Cycles",
    "Schedule",
    "Timetable",
    "by_name",
    "plot_schedules",
]
