"""What the docstrings and the README show as code does run, and what they claim of files is so."""

import doctest
import importlib
import os
import re
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from fastai.metrics import accuracy

import fastai_clr
from helpers import ROOT, make_learner

README = (ROOT / "README.md").read_text()
MODULES = [
    ".".join(p.relative_to(ROOT).with_suffix("").parts)
    for p in sorted(Path(fastai_clr.__file__).parent.rglob("*.py"))
    if p.stem != "__init__"
]
EXAMPLES = [
    example
    for module in MODULES
    for example in doctest.DocTestFinder().find(importlib.import_module(module))
    if example.examples
]


STAR_IMPORTS = {}
exec("from fastai.vision.all import *\nfrom fastai_clr.all import *", STAR_IMPORTS)


def names(learn):
    return {**STAR_IMPORTS, "learn": learn, "lr": 1e-2, "lrs": np.array([1e-4, 1e-3, 1e-2]), "wd": 0.1}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.name)
def test_docstrings(example, tmp_path):
    example.globs.update(names(make_learner(tmp_path, 10, metrics=[accuracy])))
    assert doctest.DocTestRunner().run(example).failed == 0


def test_there_are_examples():
    assert len(EXAMPLES) >= 6


@pytest.fixture(scope="module")
def pasted(tmp_path_factory):
    """The names that the README's blocks leave when they are pasted one after the other, as typed, into one session."""
    folder, names = os.getcwd(), {"__name__": "__main__"}
    os.chdir(tmp_path_factory.mktemp("readme"))
    try:
        for kind, code in re.findall(r"```(python|pycon)\n(.*?)```", README, re.S):
            if kind == "python":
                exec(compile(code, "README.md", "exec"), names)
                continue
            examples = doctest.DocTestParser().get_examples(code)
            test = doctest.DocTest(examples, names, "README.md", "README.md", 0, README)
            assert doctest.DocTestRunner().run(test, clear_globs=False).failed == 0
    finally:
        os.chdir(folder)
        plt.close("all")
    return names


@pytest.mark.slow
def test_the_code_of_the_readme_runs_in_order_as_it_is_typed(pasted):
    assert len(re.findall("```(?:python|pycon)\n", README)) > 8
    assert len(pasted["comparison"].runs) == 4 * 4 and pasted["learn"].sched.val_losses  # the parts of four processes


def test_the_readme_is_read_in_minutes():
    """At most 1,500 words outside the blocks of code."""
    words = re.sub("```.*?```", "", README, flags=re.S).split()
    assert len([o for o in words if re.search(r"\w", o)]) <= 1500


@pytest.mark.parametrize(
    "line",
    [
        c
        for row in re.findall(r"^\| (`learn\.fit.*)\|$", README, re.M)
        for c in re.findall(r"`(learn[^`]*)`", row)
        if not re.search(r"\(\.\.\.", c)
    ],
)
def test_lines_of_the_readmes_table(line, tmp_path):
    learn = make_learner(tmp_path, 4, 3)
    if "learn.load" in line:
        learn.fit(1e-2, 1, cycle_len=3, cycle_save_name="x")
    eval(line, names(learn))
    assert learn.sched.plot_lr()


def test_the_error_of_the_readme(learn):
    call, message = re.search(r"```text\n(learn\.fit[^\n]*)\n(TypeError.*?)```", README, re.S).groups()
    with pytest.raises(TypeError) as error:
        eval(call, names(learn))
    assert " ".join(message.split()) == f"TypeError: {error.value}"


def test_links_of_the_readme_lead_somewhere():
    links = [o for o in re.findall(r"\]\(([^)]*)\)", README) if not o.startswith("https://")]
    headings = {
        f"#{re.sub('[^a-z0-9 -]', '', o.lower()).replace(' ', '-')}" for o in re.findall("^## (.*)$", README, re.M)
    }
    assert links and all(o in headings if o[0] == "#" else (ROOT / o).exists() for o in links)


def test_every_public_function_says_what_it_is_for():
    for module in map(importlib.import_module, MODULES):
        for name, o in vars(module).items():
            if getattr(o, "__module__", None) == module.__name__ and callable(o) and not name.startswith("_"):
                assert o.__doc__, f"{module.__name__}.{name}"


def test_the_picture_of_the_readme_shows_the_schedule(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(ROOT / "notebooks"), *sys.path])
    line = importlib.import_module("figures").annotated_schedule().axes[0].lines[0]
    rates = line.get_ydata()
    assert (rates[0], rates[60], len(rates)) == (1e-2 / 32, 1e-2, 300)
