"""Arrays onto matplotlib axes: each function takes `ax` (None makes a figure) and returns the axes it drew on."""

from .axes import BATCHES
from .cycles import metrics
from .rates import rates, several
from .results import cell, comparison, curve, finders, race

__all__ = ["BATCHES", "cell", "comparison", "curve", "finders", "metrics", "race", "rates", "several"]
