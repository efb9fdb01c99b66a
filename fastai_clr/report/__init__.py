"""What experiments measured: tables, sentences, pictures; it unpickles where fastai is not installed."""

from .comparison import Comparison
from .run import Run
from .suggestion import Suggestion, Trial

__all__ = ["Comparison", "Run", "Suggestion", "Trial"]
