"""Everything that touches fastai. Importing this package installs the patches of `patches.py`."""

from .patches import install

install()
