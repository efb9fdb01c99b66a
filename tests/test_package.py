import re
import subprocess
import sys
import zipfile
from importlib.metadata import requires, version

import fastai_clr
from helpers import ROOT


def test_the_wheel_holds_the_package_alone(tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", tmp_path]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name == f"fastai_clr-{fastai_clr.__version__}-py3-none-any.whl"
    files = [
        f
        for f in zipfile.ZipFile(wheel).namelist()
        if not f.startswith(f"fastai_clr-{fastai_clr.__version__}.dist-info/")
    ]
    package = ROOT / "fastai_clr"
    modules = [p.relative_to(ROOT).as_posix() for p in package.rglob("*.py")]
    assert sorted(files) == sorted([*modules, "fastai_clr/py.typed"])


def test_the_design_cards_packages_are_required_and_a_notebook_is_not():
    needed = {re.match(r"[\w-]+", r)[0] for r in requires("fastai_clr") if "extra ==" not in r}
    assert needed == {"fastai", "torch", "torchvision", "matplotlib"}
    assert version("fastai_clr") == fastai_clr.__version__


def test_the_top_level_holds_what_the_design_card_names():
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if files.returncode:
        return  # not a clone
    top = {f.split("/")[0] for f in files.stdout.splitlines()}
    assert {o for o in top if not o.startswith(".")} == {
        "pyproject.toml", "fastai_clr", "notebooks", "tests", "README.md", "CHANGELOG.md", "LICENSE",
    }  # fmt: skip


def test_the_changelog_knows_this_version():
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert re.search(rf"^## \[({re.escape(fastai_clr.__version__)}|Unreleased)\]", changelog, re.M)
