"""Everything that touches fastai. Importing this package installs the patches of `patches.py`."""

from .callback import CLRCallback
from .patches import install
from .stopping import StopAtCycleEnd

__all__ = ["CLRCallback", "StopAtCycleEnd"]

install()
