"""Docstrings: each argument of what users call is explained and has a type, and the examples run."""

import doctest
import importlib
import inspect
from typing import Any

import pytest
from fastai.callback.core import Callback
from fastai.metrics import accuracy
from numpydoc.validate import Validator, validate

import fastai_clr.all
from fastai_clr.learner.fastai2 import NATIVE
from fastai_clr.learner.patches import PATCHES
from fastai_clr.record import Record
from helpers import ROOT, make_learner, typed_before

MODULES = [
    importlib.import_module(".".join(p.relative_to(ROOT).with_suffix("").parts))
    for p in sorted((ROOT / "fastai_clr").rglob("*.py"))
    if p.stem != "__init__"
]
EXAMPLES = [o for module in MODULES for o in doctest.DocTestFinder().find(module) if o.examples]


def called_by_users():
    """The full names of what users call: the public names, the methods of public classes, and what Learners get."""
    for name in fastai_clr.all.__all__:
        yield f"fastai_clr.all.{name}"
        o = getattr(fastai_clr.all, name)
        if isinstance(o, type) and not issubclass(o, Callback):  # fastai calls a callback's methods
            members = dir(Record()) if o is Record else vars(o)  # the fit calls a record's other methods
            yield from (f"fastai_clr.all.{name}.{m}" for m in members if m[0] != "_" and callable(getattr(o, m, None)))
    yield from ("fastai_clr.schedules.by_name", "fastai_clr.schedules.Timetable")
    with_fastais_help = {*NATIVE, "lr_find"} - {"fit"}
    for cls, patches in PATCHES.items():
        ours = [name for name, o in patches.items() if callable(o) and name not in with_fastais_help]
        yield from (f"fastai.learner.{cls.__name__}.{name}" for name in ours)


def with_parameters():
    """The full names of our functions, classes and methods whose docstring explains arguments."""
    for module in MODULES:
        ours = [(k, o) for k, o in vars(module).items() if getattr(o, "__module__", None) == module.__name__]
        ours += [(f"{k}.{name}", m) for k, o in ours if isinstance(o, type) for name, m in vars(o).items()]
        docs = {f"{module.__name__}.{name}": getattr(o, "__doc__", None) or "" for name, o in ours}
        yield from (name for name, doc in docs.items() if "Parameters\n" in doc)


# Arguments that are not explained (PR01), not there (PR02), in another order (PR03) or without a word (PR07); sections
# that are unknown (GL06) or in another order (GL07); a summary that is missing (SS01) or longer than a line (SS06).
CHECKS = {"PR01", "PR02", "PR03", "PR07", "GL06", "GL07", "SS01", "SS06"}


@pytest.mark.parametrize("name", sorted({*called_by_users(), *with_parameters()}))
def test_each_argument_is_explained(name):
    """A linter that reads the source alone knows neither a dataclass's arguments nor those that `learn.fit` shows."""
    assert [words for code, words in validate(name)["errors"] if code in CHECKS] == []


def half_explained(lr, div):
    """Do something.

    Parameters
    ----------
    lr
        The peak.
    """


def test_an_argument_that_is_left_out_is_found():
    assert "PR01" in [code for code, _ in validate(f"{__name__}.half_explained")["errors"]]


@pytest.mark.parametrize("name", sorted(called_by_users()))
def test_arguments_and_results_have_types(name):
    """Any is only for what goes on to somebody else, as `**kwargs`."""
    called = Validator._load_obj(name)
    signature = inspect.signature(called, eval_str=True)  # raises for the name of a type that a tool could not find
    named = [o for o in signature.parameters.values() if o.name != "self" and o.kind is not o.VAR_KEYWORD]
    result = [] if isinstance(called, type) else [signature.return_annotation]
    assert not [o for o in (*(p.annotation for p in named), *result) if o is Any or o is signature.empty]


def test_every_function_says_what_it_is_for():
    for module in MODULES:
        for name, o in vars(module).items():
            if getattr(o, "__module__", None) == module.__name__ and callable(o) and not name.startswith("_"):
                assert o.__doc__ or name in NATIVE, f"{module.__name__}.{name}"  # these get fastai's when installed


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.name)
def test_examples_run(example, tmp_path):
    example.globs.update(typed_before(make_learner(tmp_path, 10, metrics=[accuracy])))
    assert doctest.DocTestRunner().run(example).failed == 0


def test_there_are_examples():
    assert len(EXAMPLES) > 30
