"""notebooks/pascal.ipynb, executed once from top to bottom in a Jupyter kernel; run.py, which does that; pascal.py.

The lesson trains on a third of its images, which takes a third of its two minutes; SHARE=1 in the environment, as in
.ci/run, makes it train on all.
"""

import importlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import nbformat
import pytest
import torch
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

import minivoc
import pascal
from helpers import NOTEBOOKS, load_run, outputs

NAME = "pascal"
SHARE = float(os.environ.get("SHARE", 0.34))
N_FIGURES = 8
FITS = (3, 1, 7)  # epochs


def code_cells(nb):
    return [o for o in nb.cells if o.cell_type == "code"]


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """One run with seed 0: the executed notebook, the pictures that it saved, and what was said meanwhile."""
    said, run = [], load_run()
    run.OUT = tmp_path_factory.mktemp("out")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("OMP_NUM_THREADS", "VOC_ROOT"):
            patch.delenv(name, raising=False)
        patch.setenv("SHARE", str(SHARE))
        before = (NOTEBOOKS / "pascal.ipynb").read_bytes()
        executed, pictures = run.execute("pascal", seed=0, say=said.append)
    assert (NOTEBOOKS / "pascal.ipynb").read_bytes() == before
    return nbformat.read(executed, as_version=4), pictures, said


@pytest.fixture(scope="module")
def executed(running):
    return running[0]


def test_every_cell_ran_without_errors_or_warnings(nb):
    assert [o.execution_count for o in code_cells(nb)] == list(range(1, len(code_cells(nb)) + 1))
    assert not [o for o in outputs(nb) if o.output_type == "error" or o.get("name") == "stderr"]


def test_it_trains_in_its_fifth_cell_and_draws_the_rate_in_the_next(nb):
    *_, fit, plot = code_cells(nb)[:6]
    assert fit.source.endswith("learn.fit(lr, 1, cycle_len=3, use_clr=(32, 5))")
    assert plot.source == "learn.sched.plot_lr();"


def test_every_figure_is_there(nb):
    assert len([o for o in outputs(nb) if "image/png" in o.get("data", {})]) == N_FIGURES


def test_every_fit_left_a_table_of_its_epochs(nb):
    tables = [o.data["text/html"] for o in outputs(nb) if "text/html" in o.get("data", {})]
    assert tuple(table.count("<tr") - 1 for table in tables) == FITS


@pytest.mark.parametrize(
    "run, accuracy, l1, iou",
    [
        ("committed", 0.85, 3, 0.72),
        pytest.param("executed", *((0.85, 3, 0.72) if SHARE == 1 else (0.3, 4, 0.6)), marks=pytest.mark.slow),
    ],
)
def test_it_finds_most_of_the_largest_objects(run, accuracy, l1, iou, request):
    text = load_run().last_text(request.getfixturevalue(run))
    found = re.fullmatch(r"class accuracy (0\.\d+), mean L1 (\d+\.\d+) pixels, mean IoU (0\.\d+)", text)
    found_accuracy, found_l1, found_iou = map(float, found.groups())
    assert found_accuracy >= accuracy and found_l1 < l1 and found_iou >= iou


@pytest.mark.slow
def test_the_saved_pictures_are_named(running):
    _, pictures, _ = running
    assert [o.name for o in pictures] == ["pascal_boxes.png", "pascal_schedule.png"]
    assert all(o.stat().st_size > 10_000 for o in pictures)


@pytest.mark.slow
def test_progress_names_every_cell_and_every_epoch(running):
    nb, _, said = running
    n = len(code_cells(nb))
    assert [int(o) for o in re.findall(rf"cell (\d+) of {n}:", "\n".join(said))] == list(range(1, n + 1))
    epochs = [int(o.split()[0]) for o in said if re.match(r" +\d+ +\d+\.\d+ ", o)]
    assert epochs == [k for n in FITS for k in range(n)]


@pytest.mark.slow
def test_with_voc_root_the_same_names_stand_for_the_real_set(tmp_path, monkeypatch):
    """The folder is a small mini-VOC; the network is resnet34's body, here without ImageNet's weights."""
    monkeypatch.setenv("VOC_ROOT", str(minivoc.make(tmp_path, 4, 2)))
    monkeypatch.setenv("PRETRAINED", "0")
    monkeypatch.delenv("SHARE", raising=False)
    try:
        real = importlib.reload(pascal)
        train = real.examples("train")
        assert len(train) == 4 and real.read(train[0].path).size == (224, 224)
        features = real.new_body()(torch.zeros(1, 3, 64, 64))
        assert features.shape == (1, real.N_FEATURES, 2, 2)
    finally:
        monkeypatch.undo()
        importlib.reload(pascal)


@pytest.fixture
def folder(tmp_path):
    """A folder with run.py and one small notebook."""
    shutil.copy(NOTEBOOKS / "run.py", tmp_path)
    cells = [new_markdown_cell("# Small"), new_code_cell("import os, time; print('seed', os.environ.get('SEED'))")]
    nbformat.write(new_notebook(cells=cells), tmp_path / "small.ipynb")
    return tmp_path


def add_cell(folder, source):
    nb = nbformat.read(folder / "small.ipynb", as_version=4)
    nb.cells.append(new_code_cell(source))
    nbformat.write(nb, folder / "small.ipynb")


def start(folder, *arguments):
    env = {k: v for k, v in os.environ.items() if k not in ("SEED", "PYTHONUNBUFFERED")}
    return subprocess.Popen(
        [sys.executable, folder / "run.py", "small", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True, env=env,
    )  # fmt: skip


def run_small(folder, *arguments):
    process = start(folder, *arguments)
    text, _ = process.communicate(timeout=60)
    return process.returncode, text


@pytest.mark.slow
def test_run_says_where_the_result_is_and_leaves_the_notebook_alone(folder):
    before = (folder / "small.ipynb").read_bytes()
    code, text = run_small(folder, "--seed", "3")
    assert code == 0 and "cell 1 of 1: import os" in text
    assert re.search(r"Done in \d+ s: seed 3\nThe executed notebook: \S*out/small.ipynb\n$", text)
    assert (folder / "small.ipynb").read_bytes() == before
    assert load_run().last_text(nbformat.read(folder / "out/small.ipynb", as_version=4)) == "seed 3"


@pytest.mark.slow
def test_write_puts_the_result_in_the_notebooks_place(folder):
    assert run_small(folder, "--write")[0] == 0
    nb = nbformat.read(folder / "small.ipynb", as_version=4)
    assert load_run().last_text(nb) == "seed None"
    assert nb.metadata["fastai_clr"]["sources"] == load_run().sources_hash(nb)


@pytest.mark.slow
def test_a_finished_bar_is_left_out_and_the_last_text_is_the_one_printed_last(folder):
    add_cell(folder, "print('measured'); from fastprogress import progress_bar; list(progress_bar(range(3)))")
    add_cell(folder, "1 + 1")
    _, text = run_small(folder)
    nb = nbformat.read(folder / "out/small.ipynb", as_version=4)
    assert "progress" not in str(outputs(nb)) and "s: measured\n" in text


@pytest.mark.slow
def test_an_error_ends_the_run_with_its_message(folder):
    add_cell(folder, "raise ValueError('no such box')")
    add_cell(folder, "print('never')")
    before = (folder / "small.ipynb").read_bytes()
    code, text = run_small(folder, "--write")
    assert code == 1 and "small.ipynb failed: ValueError: no such box" in text and "never" not in text
    assert (folder / "small.ipynb").read_bytes() == before


@pytest.mark.slow
def test_an_interrupted_run_leaves_the_notebook_alone(folder, ctrl_c):
    add_cell(folder, "time.sleep(100)")
    before = (folder / "small.ipynb").read_bytes()
    process = start(folder, "--write")
    for line in process.stdout:
        if "cell 2 of 2" in line:
            break
    time.sleep(0.5)
    os.killpg(process.pid, signal.SIGINT)
    text, _ = process.communicate(timeout=30)
    assert process.returncode != 0 and text.strip() == (
        "Interrupted: the kernel ended before the last cell did. small.ipynb is as it was."
    )
    assert (folder / "small.ipynb").read_bytes() == before


def test_an_unknown_name_is_refused_with_those_that_there_are(folder):
    done = subprocess.run([sys.executable, folder / "run.py", "pascall"], capture_output=True, text=True)
    assert done.returncode == 2 and "small" in done.stderr
