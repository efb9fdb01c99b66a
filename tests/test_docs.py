"""What the docstrings and the README show as code does run, and what the documents claim of files and names is so."""

import ast
import doctest
import importlib
import keyword
import os
import re
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from fastai.callback.core import Callback
from fastai.metrics import accuracy
from numpydoc.validate import validate

import fastai_clr.all
from fastai_clr.learner.fastai2 import NATIVE
from fastai_clr.learner.patches import PATCHES
from fastai_clr.record import Record
from helpers import ROOT, make_learner

README = (ROOT / "README.md").read_text()
CONTRIBUTING = (ROOT / ".github/CONTRIBUTING.md").read_text()
PACKAGE = ROOT / "fastai_clr"
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
            # a long line that a block shows is broken as a page would break it
            runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
            assert runner.run(test, clear_globs=False).failed == 0
    finally:
        os.chdir(folder)
        plt.close("all")
    return names


@pytest.mark.slow
def test_the_code_of_the_readme_runs_in_order_as_it_is_typed(pasted):
    assert len(re.findall("```(?:python|pycon)\n", README)) > 8
    assert len(pasted["comparison"].runs) == 4 * 4 and pasted["learn"].sched.val_losses  # four seeds


def test_the_readme_is_read_in_minutes():
    """At most 1,500 words outside the blocks of code."""
    words = re.sub("```.*?```", "", README, flags=re.S).split()
    assert len([o for o in words if re.search(r"\w", o)]) <= 1500


@pytest.mark.parametrize("text", [README, CONTRIBUTING], ids=["README", "CONTRIBUTING"])
def test_code_fits_a_page_of_github(text):
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.S | re.M)
    assert blocks and [line for block in blocks for line in block.splitlines() if len(line) > 100] == []


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
                assert o.__doc__ or name in NATIVE, f"{module.__name__}.{name}"  # these get fastai's when installed


# Arguments that are not explained (PR01), not there (PR02), in another order (PR03) or without a word (PR07); sections
# that are unknown (GL06) or in another order (GL07); a summary that is missing (SS01) or longer than a line (SS06).
NUMPYDOC = {"PR01", "PR02", "PR03", "PR07", "GL06", "GL07", "SS01", "SS06"}


def called_by_users():
    """The full names of what users call."""
    classes = [o for name in fastai_clr.all.__all__ if isinstance(o := getattr(fastai_clr.all, name), type)]
    for o in classes:
        names = dir(Record()) if o is Record else vars(o)  # the other methods of a record are for the fit
        methods = [name for name in names if name[0] != "_" and callable(getattr(o, name, None))]
        yield from (f"fastai_clr.all.{o.__name__}.{name}" for name in methods if not issubclass(o, Callback))
    yield from (f"fastai_clr.all.{name}" for name in [*fastai_clr.all.__all__])
    yield from (f"fastai_clr.schedules.{name}" for name in ("by_name", "Timetable"))
    for o, patches in PATCHES.items():
        ours = [name for name, method in patches.items() if callable(method) and name not in {*NATIVE} - {"fit"}]
        yield from (f"fastai.learner.{o.__name__}.{name}" for name in ours)


def explaining():
    """The full names of our functions, classes and methods whose docstring explains arguments."""
    for module in map(importlib.import_module, MODULES):
        ours = {name: o for name, o in vars(module).items() if getattr(o, "__module__", None) == module.__name__}
        of_classes = [(f"{k}.{name}", m) for k, o in ours.items() if isinstance(o, type) for name, m in vars(o).items()]
        for name, o in [*ours.items(), *of_classes]:
            if "Parameters\n" in (getattr(o, "__doc__", None) or ""):
                yield f"{module.__name__}.{name}"


@pytest.mark.parametrize("name", sorted({*called_by_users(), *explaining()}))
def test_docstrings_explain_every_argument(name):
    """Linters that read only the source know neither a dataclass's arguments nor those that `learn.fit` shows."""
    assert [words for code, words in validate(name)["errors"] if code in NUMPYDOC] == []


def test_the_picture_of_the_readme_shows_the_schedule(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(ROOT / "notebooks"), *sys.path])
    line = importlib.import_module("figures").annotated_schedule().axes[0].lines[0]
    rates = line.get_ydata()
    assert (rates[0], rates[60], len(rates)) == (1e-2 / 32, 1e-2, 300)


def identifiers(node):
    """The names that a piece of code makes or uses, also as keys and keywords."""
    for o in ast.walk(node):
        fields = (getattr(o, field, None) for field in ("id", "attr", "arg", "name", "value"))
        yield from (o for o in fields if isinstance(o, str) and o.isidentifier())


class Code:
    """The names in the package's code: all of them, and those in the body of each class, its bases' among them."""

    def __init__(self):
        trees = [ast.parse(path.read_text()) for path in PACKAGE.rglob("*.py")]
        self.names = {name for tree in trees for name in identifiers(tree)}
        self._classes = {o.name: o for tree in trees for o in ast.walk(tree) if isinstance(o, ast.ClassDef)}

    def knows(self, name):
        """Whether there is such a name; of `Class.member`, whether the class has it."""
        owner, _, member = name.rpartition(".")
        if owner in self._classes:
            return self._has(owner, member)
        return all(part in self.names for part in name.split("."))

    def _has(self, owner, member):
        if (node := self._classes.get(owner)) is None:
            return False
        bases = [o.id for o in node.bases if isinstance(o, ast.Name)]
        return member in set(identifiers(node)) or any(self._has(base, member) for base in bases)


CODE = Code()


def quoted(text):
    """What a document quotes, without its blocks: files and folders, and names."""
    found = set(re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)))
    files = {o for o in found if re.fullmatch(r"[\w./]+/|[\w./]*\w\.(py|md|ipynb|pickle|yml|toml)", o)}
    names = {o for o in found - files if re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", o)}
    return files, {o for o in names if not keyword.iskeyword(o)}


def test_files_of_contributing_exist():
    files, _ = quoted(CONTRIBUTING)
    folders = [ROOT, PACKAGE, *(o for o in PACKAGE.rglob("*") if o.is_dir())]
    assert len(files) > 40
    assert sorted(o for o in files if not any((folder / o).exists() for folder in folders)) == []


def test_names_of_contributing_exist():
    _, names = quoted(CONTRIBUTING.partition("## The map")[2])  # before it are the names of tools
    assert len(names) > 40
    assert sorted(o for o in names if not CODE.knows(o)) == []


def test_a_name_that_is_gone_would_be_found():
    assert CODE.knows("Timetable.row") and CODE.knows("Record.note_rates") and CODE.knows("learn.sched")
    assert not CODE.knows("FitScope") and not CODE.knows("Timetable.read") and not CODE.knows("learn.gone_now")


def test_contributing_names_each_file_of_learner():
    files = {p.name for p in (PACKAGE / "learner").rglob("*.py")} - {"__init__.py"}
    assert sorted(files - quoted(CONTRIBUTING)[0]) == []
