"""The package's boundaries: what each wing may import, in which direction, and what an import loads."""

import ast
import sys

import pytest

from helpers import ROOT, modules_loaded_by

PACKAGE = ROOT / "fastai_clr"
# From the top down: a wing imports only those below it. Beside each, the packages it may need when it is imported.
WINGS = {
    "all": set(),
    "learner": {"PIL", "fastai", "fastcore", "fastprogress", "numpy", "pandas", "torch"},
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


@pytest.mark.parametrize("module", ["fastai_clr.report", "fastai_clr.lr_scheduler"])
def test_without_the_fastai_wing_nobodys_learner_is_patched(module):
    assert modules_loaded_by(f"import {module}", among=("fastai", "fastai_clr.learner", "matplotlib.pyplot")) == []


def test_the_listing_is_the_architecture():
    top = {p.name.removesuffix(".py") for p in PACKAGE.iterdir() if p.name not in ("py.typed", "__pycache__")}
    assert top == {"__init__", *WINGS} and len(top) == 9


def test_a_file_holds_one_idea():
    lengths = {p.name: len(p.read_text().splitlines()) for p in PACKAGE.rglob("*.py")}
    assert {name: n for name, n in lengths.items() if n > 270} == {}
