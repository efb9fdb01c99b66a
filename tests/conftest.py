"""The fixtures; what tests call themselves is in helpers.py."""

import importlib
import signal
from functools import partial

import pytest


def pytest_configure(config):
    """Import fastai before the plugin, as people do; the process that only hands out the tests saves the six seconds."""
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", None):
        importlib.import_module("helpers")


def pytest_collection_modifyitems(items):
    """The files with slow tests come first: of the processes of pytest-xdist none is left alone with one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture
def learner(tmp_path):
    from helpers import make_learner

    return partial(make_learner, tmp_path)


@pytest.fixture
def learn(learner):
    """A learner with 20 batches per epoch, 3 parameter groups, Adam and accuracy."""
    from fastai.metrics import accuracy

    return learner(n_groups=3, metrics=[accuracy])


@pytest.fixture
def ctrl_c():
    """Let processes that a test starts hear Ctrl-C: what a shell runs in the background ignores it, its children, too."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, handler)


@pytest.fixture(autouse=True)
def close_figures():
    import matplotlib.pyplot as plt

    yield
    plt.close("all")
