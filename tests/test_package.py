"""What pyproject.toml promises; `.ci/run package` builds and installs it."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import mcvae_jax

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def test_every_file_of_the_package_that_is_no_code_is_carried():
    patterns = PROJECT["tool"]["setuptools"]["package-data"]
    carried = {
        path
        for package, globs in patterns.items()
        for pattern in globs
        for path in (ROOT / package.replace(".", "/")).glob(pattern)
    }
    files = {path for path in (ROOT / "mcvae_jax").rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    assert files and files <= carried


def test_the_lowest_versions_are_ones_that_the_dependencies_allow():
    requirements = pytest.importorskip("packaging.requirements")
    done = subprocess.run([sys.executable, ROOT / ".ci" / "lowest.py"], capture_output=True, text=True, check=True)
    lowest = dict(line.split("==") for line in done.stdout.split())
    allowed = [requirements.Requirement(text) for text in PROJECT["project"]["dependencies"]]
    assert set(lowest) == {each.name for each in allowed} and lowest["jax"] == lowest["jaxlib"]
    assert all(each.specifier.contains(lowest[each.name]) for each in allowed)


def test_the_changes_tell_of_this_version():
    headings = [line for line in (ROOT / "CHANGELOG.md").read_text("utf-8").splitlines() if line.startswith("## ")]
    assert headings[0].split()[1] == mcvae_jax.__version__
