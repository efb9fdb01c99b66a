"""Arrays onto matplotlib axes: each function takes axes (None makes a figure) and returns them."""

from .axes import BATCHES
from .gains import metrics
from .rates import rates, several
from .results import cell, comparison, curve, race

__all__ = ["BATCHES", "cell", "comparison", "curve", "metrics", "race", "rates", "several"]
