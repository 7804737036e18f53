"""On what a computation runs: versions, the commit of a checkout, devices."""

import platform
import subprocess

import jax
import numpy as np

from mcvae_jax import versions


def test_versions_are_those_that_the_libraries_tell_themselves():
    found = versions.versions()
    assert (found["python"], found["jax"], found["numpy"]) == (
        platform.python_version(),
        jax.__version__,
        np.__version__,
    )
    assert set(found) == {"python", "jax", "jaxlib", "flax", "numpy", "mcvae_jax"}
    assert versions.here() == found | {"devices": f"{jax.device_count()} cpu"}


def test_the_commit_is_that_of_the_checkout_and_of_no_folder_above(tmp_path):
    def git(*arguments):
        who = ("-c", "user.name=test", "-c", "user.email=test@example.org")
        return subprocess.run(
            ["git", "-C", tmp_path, *who, *arguments], check=True, capture_output=True, text=True
        ).stdout

    assert versions._commit(tmp_path) == ""
    git("init")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "code.py").write_text("1")
    git("add", ".")
    git("commit", "-m", "first")
    git("tag", "v1")
    commit = git("rev-parse", "HEAD")[:12]
    assert versions._commit(tmp_path) == commit
    (tmp_path / "package" / "notes.txt").write_text("not of the checkout")
    assert versions._commit(tmp_path) == commit
    (tmp_path / "package" / "code.py").write_text("2")
    assert versions._commit(tmp_path) == f"{commit}, changed"
    assert versions._commit(tmp_path / "package") == ""  # as an installed package in somebody's checkout


def test_without_git_there_is_no_commit(tmp_path, monkeypatch):
    (tmp_path / ".git").mkdir()
    assert versions._commit(tmp_path) == ""  # git finds nothing there
    monkeypatch.setenv("PATH", str(tmp_path))
    assert versions._commit(tmp_path) == ""


def test_facts_as_a_line():
    assert versions.as_text({"jax": "0.7.2", "devices": "8 TPU v4"}) == "jax 0.7.2, devices: 8 TPU v4"
