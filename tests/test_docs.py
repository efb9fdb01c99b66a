"""What the README shows as code does run, and what the documents claim of files and names is so."""

import ast
import doctest
import importlib
import keyword
import os
import re
import sys

import joblib
import matplotlib.pyplot as plt
import pytest

from helpers import ROOT, make_learner, typed_before

README = (ROOT / "README.md").read_text()
CONTRIBUTING = (ROOT / ".github/CONTRIBUTING.md").read_text()
PACKAGE = ROOT / "fastai_clr"


@pytest.fixture(scope="module")
def pasted(tmp_path_factory):
    """The names that the README's blocks leave when they are pasted one after the other, as typed, into one session.

    joblib has threads, so `n_jobs=2` trains in this process: learner/trials/test_jobs.py starts others.
    """
    folder, names = os.getcwd(), {"__name__": "__main__"}
    os.chdir(tmp_path_factory.mktemp("readme"))
    threads = joblib.parallel_config(backend="threading")
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
        threads.unregister()
        os.chdir(folder)
        plt.close("all")
    return names


@pytest.mark.slow
def test_the_code_of_the_readme_runs_in_order_as_it_is_typed(pasted):
    assert len(re.findall("```(?:python|pycon)\n", README)) > 8
    assert len(pasted["comparison"].runs) == 4 * 4 and pasted["learn"].sched.val_losses  # four seeds


def test_the_readme_is_read_in_minutes():
    """At most 1,400 words outside the blocks of code."""
    words = re.sub("```.*?```", "", README, flags=re.S).split()
    assert len([o for o in words if re.search(r"\w", o)]) <= 1400


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
    eval(line, typed_before(learn))
    assert learn.sched.plot_lr()


def test_the_error_of_the_readme(learn):
    call, message = re.search(r"```text\n(learn\.fit[^\n]*)\n(TypeError.*?)```", README, re.S).groups()
    with pytest.raises(TypeError) as error:
        eval(call, typed_before(learn))
    assert " ".join(message.split()) == f"TypeError: {error.value}"


def test_links_of_the_readme_lead_somewhere():
    links = [o for o in re.findall(r"\]\(([^)]*)\)", README) if not o.startswith("https://")]
    headings = {
        f"#{re.sub('[^a-z0-9 -]', '', o.lower()).replace(' ', '-')}" for o in re.findall("^## (.*)$", README, re.M)
    }
    assert links and all(o in headings if o[0] == "#" else (ROOT / o).exists() for o in links)


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
