"""The package's boundaries: what each wing may import, in which direction, and what an import loads."""

import ast
import sys

import pytest

from helpers import ROOT, modules_loaded_by

PACKAGE = ROOT / "fastai_clr"
# From the top down: a wing imports only those below it. Beside each, the packages it may need when it is imported.
WINGS = {
    "all": set(),
    "learner": {"PIL", "cloudpickle", "fastai", "fastcore", "fastprogress", "joblib", "numpy", "pandas", "torch"},
    "lr_scheduler": {"torch"},
    "report": {"numpy", "pandas", "scipy"},
    "record": {"numpy"},
    "scores": set(),
    "schedules": {"numpy"},
    "plot": {"numpy"},
}
MODULES = {
    ".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p for p in PACKAGE.rglob("*.py")
}


ROOMS = ["__init__", "patches", "trials", "calls", "loop", "fastai2"]  # in learner/, from the top down


def imports(path):
    """The modules that a file imports at its top level, by their full names; the package's own as far as the file."""
    package = path.parent.relative_to(ROOT).parts
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            yield from (o.name for o in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = [*package[: len(package) - node.level + 1], *(node.module or "").split(".")] if node.level else [node.module]  # fmt: skip
            base = ".".join(o for o in parts if o)
            inside = [f"{base}.{o.name}" for o in node.names]
            yield from {o if o in MODULES else base for o in inside}


def wing(module):
    return module.split(".")[1] if "." in module else "__init__"


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module):
    order = ["__init__", *WINGS]
    for imported in imports(MODULES[module]):
        if not imported.startswith("fastai_clr"):
            continue
        assert imported in MODULES, f"{module} imports {imported}"
        same = wing(module) == wing(imported) != "__init__"
        assert same or order.index(wing(module)) < order.index(wing(imported)), f"{module} imports {imported}"


@pytest.mark.parametrize("module", [o for o in MODULES if o.startswith("fastai_clr.learner.")])
def test_in_learner_too(module):
    for imported in imports(MODULES[module]):
        if imported.startswith("fastai_clr.learner"):
            here, there = [(o.split(".") + ["__init__"])[2] for o in (module, imported)]
            assert here == there or ROOMS.index(here) < ROOMS.index(there), f"{module} imports {imported}"


def test_the_rooms_of_learner():
    assert {p.stem for p in (PACKAGE / "learner").iterdir() if p.name != "__pycache__"} == set(ROOMS)


def test_no_file_name_stands_twice():
    names = [p.name for p in PACKAGE.rglob("*.py") if p.name != "__init__.py"]
    assert {o for o in names if names.count(o) > 1} == set()


def private_names(path):
    """The names with one underscore that a file uses, and those that it makes."""
    names = {"used": set(), "made": set()}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute):
            is_made = isinstance(node.ctx, ast.Store) and getattr(node.value, "id", None) in ("self", "cls", "record")
            names["made" if is_made else "used"].add(node.attr)
        elif isinstance(node, ast.Name):
            names["made" if isinstance(node.ctx, ast.Store) else "used"].add(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names["made"].add(node.name)
        elif isinstance(node, ast.arg):
            names["made"].add(node.arg)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names["used"] |= {part for o in node.names for part in o.name.split(".")}
            names["used"] |= set((getattr(node, "module", None) or "").split("."))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
            names["used"].add(node.value)  # of `getattr`, say, or of `__slots__`
    return [{o for o in names[k] if o.startswith("_") and not o.startswith("__")} - {"_"} for k in ("used", "made")]


PROMISED = {"_stateattrs", "_do_fit"}  # fastai's protocol of callbacks, and a key of the table of patches
PROMISED |= {"_step_count", "_last_lr"}  # keys of the state_dict of torch's schedulers
OURS = {
    "_cyc_",
    "_fastai_clr_users_code",
    "_fastai_clr_fit_end",
    "_before_fastai_clr",
    "_factors",
    "_held",
}  # in strings; the last are 1.0.0's


def test_private_names_of_others_stand_in_one_file():
    found = {path: private_names(path) for path in MODULES.values()}
    ours = set().union(*(made for _, made in found.values()))
    theirs = {
        path.name: used - ours - PROMISED - OURS for path, (used, _) in found.items() if path.name != "fastai2.py"
    }
    assert {name: o for name, o in theirs.items() if o} == {}
    used, made = found[PACKAGE / "learner" / "fastai2.py"]
    assert used - made - ours, "this test sees none, so it cannot fail"


def test_there_are_no_circles():
    below = {module: {o for o in imports(path) if o in MODULES} for module, path in MODULES.items()}
    while below:
        free = {module for module, others in below.items() if not others & set(below)}
        assert free, f"circle among {sorted(below)}"
        below = {module: others for module, others in below.items() if module not in free}


@pytest.mark.parametrize("module", [o for o in MODULES if o != "fastai_clr"])
def test_a_wing_needs_no_more_than_it_may(module):
    others = {o.split(".")[0] for o in imports(MODULES[module])} - {"fastai_clr"}
    assert others <= WINGS[wing(module)] | sys.stdlib_module_names


@pytest.mark.parametrize(
    "module",
    ["fastai_clr", *(f"fastai_clr.{o}" for o in ("schedules", "plot", "record", "scores"))],
)
def test_pure_numbers_load_neither_fastai_nor_torch_nor_matplotlib(module):
    assert modules_loaded_by(f"import {module}") == []


@pytest.mark.slow
@pytest.mark.parametrize("module", ["fastai_clr.report", "fastai_clr.lr_scheduler"])
def test_without_the_fastai_wing_nobodys_learner_is_patched(module):
    assert modules_loaded_by(f"import {module}", among=("fastai", "fastai_clr.learner", "matplotlib.pyplot")) == []


def test_the_listing_is_the_architecture():
    top = {p.name.removesuffix(".py") for p in PACKAGE.iterdir() if p.name not in ("py.typed", "__pycache__")}
    assert top == {"__init__", *WINGS} and len(top) == 9


def lines_without_docstrings(path):
    text = path.read_text()
    nodes = [o for o in ast.walk(ast.parse(text)) if isinstance(o, (ast.Module, ast.ClassDef, ast.FunctionDef))]
    docs = [o.body[0] for o in nodes if ast.get_docstring(o) is not None]
    return len(text.splitlines()) - sum(o.end_lineno - o.lineno + 1 for o in docs)


def test_a_file_holds_one_idea():
    lengths = {p.name: lines_without_docstrings(p) for p in PACKAGE.rglob("*.py")}
    assert {name: n for name, n in lengths.items() if n > 250} == {}
