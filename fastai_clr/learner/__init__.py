"""Everything that touches fastai. Importing this package installs the patches of `patches.py`."""

import sys

from .loop import callback, stopping
from .loop.callback import CLRCallback
from .loop.stopping import StopAtCycleEnd
from .patches import install

__all__ = ["CLRCallback", "StopAtCycleEnd"]

install()
# pickles of 1.0.0 look up their callbacks in these modules
sys.modules |= {f"{__name__}.callback": callback, f"{__name__}.stopping": stopping}
