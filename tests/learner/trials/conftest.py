"""Experiments train dozens of fits: the tests of these files take a third of the time of all, and are slow together."""

from pathlib import Path

import pytest

TRAIN = [Path(__file__).with_name(f"test_{o}.py") for o in ("compare", "jobs", "sandbox", "suggest")]


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path in TRAIN:
            item.add_marker(pytest.mark.slow)
