"""What a comparison of schedules measured; it unpickles where fastai is not installed."""

from .comparison import Comparison
from .run import Run

__all__ = ["Comparison", "Run"]
