"""The fixtures for a notebook: as committed, and executed once; a test module gives its NAME."""

import nbformat
import pytest

from helpers import NOTEBOOKS, load_run


@pytest.fixture(scope="module")
def committed(request):
    return nbformat.read(NOTEBOOKS / f"{request.module.NAME}.ipynb", as_version=4)


@pytest.fixture(scope="module")
def executed(request, tmp_path_factory):
    run = load_run()
    run.OUT = tmp_path_factory.mktemp("out")
    path, _ = run.execute(request.module.NAME)
    return nbformat.read(path, as_version=4)


@pytest.fixture(params=["committed", pytest.param("executed", marks=pytest.mark.slow)])
def nb(request):
    return request.getfixturevalue(request.param)
