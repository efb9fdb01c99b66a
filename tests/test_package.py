import re
import subprocess
import sys
import tarfile
import zipfile
from datetime import date
from importlib.metadata import requires, version

import pytest

import fastai_clr
from helpers import ROOT

TOP = {"pyproject.toml", "fastai_clr", "notebooks", "tests", "README.md", "CHANGELOG.md", "LICENSE"}


def build(target, folder):
    """Build a wheel or an sdist; returns its path."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", folder]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.iterdir()
    return built


def tracked_files():
    """The files of the repository; skips the test in an unpacked sdist."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone")
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(files.stdout.splitlines())


def test_the_wheel_holds_the_package_alone(tmp_path):
    wheel = build("wheel", tmp_path)
    assert wheel.name == f"fastai_clr-{fastai_clr.__version__}-py3-none-any.whl"
    files = [
        f
        for f in zipfile.ZipFile(wheel).namelist()
        if not f.startswith(f"fastai_clr-{fastai_clr.__version__}.dist-info/")
    ]
    package = ROOT / "fastai_clr"
    modules = [p.relative_to(ROOT).as_posix() for p in package.rglob("*.py")]
    assert sorted(files) == sorted([*modules, "fastai_clr/py.typed"])


@pytest.fixture(scope="module")
def sdist_files(tmp_path_factory):
    with tarfile.open(build("sdist", tmp_path_factory.mktemp("sdist"))) as archive:
        folders, files = zip(*(name.split("/", 1) for name in archive.getnames()))
    assert set(folders) == {f"fastai_clr-{fastai_clr.__version__}"}
    return set(files)


def test_the_sdist_holds_nothing_that_lies_about(sdist_files):
    known = {".ci", ".github", ".gitignore", ".pre-commit-config.yaml", "PKG-INFO"}
    assert {o.split("/")[0] for o in sdist_files} == TOP | known


def test_the_sdist_holds_the_whole_repository_so_that_its_tests_run(sdist_files):
    assert tracked_files() - sdist_files == set()


def test_the_design_cards_packages_are_required_and_a_notebook_is_not():
    needed = {re.match(r"[\w-]+", r)[0] for r in requires("fastai_clr") if "extra ==" not in r}
    assert needed == {"fastai", "torch", "torchvision", "matplotlib"}
    assert version("fastai_clr") == fastai_clr.__version__


def test_the_top_level_holds_what_the_design_card_names():
    top = {f.split("/")[0] for f in tracked_files()}
    assert {o for o in top if not o.startswith(".")} == TOP


def test_the_changelog_begins_with_this_version_and_its_date():
    changelog = (ROOT / "CHANGELOG.md").read_text()
    number, day = re.search(r"^## \[(\d.*?)\] - (.*)$", changelog, re.M).groups()
    assert number == fastai_clr.__version__ and date.fromisoformat(day)
