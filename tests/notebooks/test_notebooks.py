"""What all notebooks share: code that fits the page, and a first cell that finds or installs the package."""

import json
import os
import subprocess
import sys

import nbformat
import pytest

from helpers import NOTEBOOKS, ROOT, load_run

NAMES = sorted(o.stem for o in NOTEBOOKS.glob("*.ipynb"))
WIDTH = 100  # columns of a cell in JupyterLab on a laptop


def code_cells(name):
    return [o.source for o in nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4).cells if o.cell_type == "code"]


@pytest.mark.parametrize("name", NAMES)
def test_code_fits_the_page(name):
    assert [line for source in code_cells(name) for line in source.splitlines() if len(line) > WIDTH] == []


@pytest.mark.parametrize("name", NAMES)
def test_committed_outputs_are_those_of_the_current_cells(name):
    committed = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    code = [o for o in committed.cells if o.cell_type == "code"]
    assert committed.metadata["fastai_clr"]["sources"] == load_run().sources_hash(committed)
    assert [o.execution_count for o in code] == list(range(1, len(code) + 1))
    assert (NOTEBOOKS / f"{name}.ipynb").stat().st_size < 1.5e6


@pytest.mark.parametrize("name", NAMES)
def test_every_notebook_begins_with_the_same_cell(name):
    assert code_cells(name)[0] == code_cells("pascal")[0]


RUN_FIRST_CELL = """
import importlib.util, json, sys
from IPython.core.interactiveshell import InteractiveShell

cell, missing = json.loads(sys.argv[1])
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name: None if name in missing else find_spec(name)
shell, installed = InteractiveShell.instance(), []
shell.register_magic_function(installed.append, magic_name="pip")
n_before = len(sys.path)
result = shell.run_cell(cell, silent=True)
print(json.dumps([installed, sys.path[n_before:], str(result.error_in_exec or "")]))
"""


@pytest.fixture
def run_first_cell(tmp_path):
    """Runs the cell in a folder: what `%pip` got, what is new in sys.path, and the error."""

    def run(folder, missing=()):
        env = os.environ | {"PYTHONPATH": "", "IPYTHONDIR": str(tmp_path / "ipython")}
        arguments = [sys.executable, "-c", RUN_FIRST_CELL, json.dumps([code_cells("pascal")[0], missing])]
        done = subprocess.run(arguments, cwd=folder, env=env, capture_output=True, text=True, check=True)
        return json.loads(done.stdout.splitlines()[-1])

    return run


@pytest.mark.parametrize("start", [NOTEBOOKS, ROOT], ids=["the notebook's folder", "the clone"])
def test_the_first_cell_finds_the_helpers_and_the_package(start, run_first_cell):
    assert run_first_cell(start) == [[], [str(NOTEBOOKS), str(ROOT)], ""]


@pytest.mark.parametrize("missing", ["fastai", "mlxtend", "sklearn"])
def test_the_first_cell_installs_the_clone_where_something_is_missing(missing, run_first_cell):
    assert run_first_cell(NOTEBOOKS, [missing]) == [
        [f'install -e "{ROOT}[notebooks]"'],
        [str(NOTEBOOKS), str(ROOT)],
        "",
    ]


def test_the_first_cell_says_where_to_start_if_it_finds_no_clone(run_first_cell, tmp_path):
    installed, _, error = run_first_cell(tmp_path)
    assert not installed and error.startswith("start Jupyter in a clone of fastai_clr")
