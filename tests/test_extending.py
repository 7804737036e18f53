"""docs/extending.md, typed as written: two models from outside the package are trained, resumed, sampled, compared."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import NO_OPTIMISATION

pytestmark = pytest.mark.slow  # a minute: .ci/run docs walks

PROJECT = Path(__file__).parents[1]
COMMANDS = re.search(r"```sh\n(.*?)```", (PROJECT / "docs" / "extending.md").read_text(), re.S)[1].splitlines()
LESS = "--config.vae.train.steps=40 --config.mdrnn.train.steps=20"  # of the run that is not the guide's subject


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    """The folder of the walk, and what each line of it said."""
    folder = tmp_path_factory.mktemp("walk")
    for name in ("configs", "docs"):
        (folder / name).symlink_to(PROJECT / name)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    settings = {"PATH": path, "PYTHONPATH": str(PROJECT), "XLA_FLAGS": NO_OPTIMISATION, "JAX_PLATFORMS": "cpu"}
    said = {}
    for line in COMMANDS:
        command = f"{line} {LESS}" if "mcvae.py" in line else line
        done = subprocess.run(
            command, shell=True, cwd=folder, env=os.environ | settings, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{line}\n{done.stderr[-2000:]}"
        said[line] = done.stdout
    return folder, said


def test_every_line_of_the_walk_works(walked):
    folder, said = walked
    assert len(said) == 9
    resumed = next(out for line, out in said.items() if "train.steps=500" in line)
    assert "Going on from step 400" in resumed and "step 500/500" in resumed
    assert said[COMMANDS[-1]].splitlines()[0].startswith("runs/ar: ar_prior:KIND of python -m mcvae_jax.main")


def test_the_report_compares_models_of_ones_own_with_the_mcvae(walked):
    folder, _ = walked
    rows = json.loads((folder / "report" / "report.json").read_text())["models"]["rows"]
    bits = {name: row["bits_per_bar"]["value"] for name, row in rows.items() if row["role"] == "model"}
    assert set(bits) == {"MCVAE", "AR composer", "bigram model"} and min(bits.values()) > 0
    assert len(set(bits.values())) == 3


def test_songs_of_both_are_written_and_differ(walked):
    folder, _ = walked
    songs = [json.loads((folder / name / "songs.json").read_text())["songs"] for name in ("ar_songs", "bigram_songs")]
    assert [len(each) for each in songs] == [2, 2] and songs[0][0]["tokens"] != songs[1][0]["tokens"]


def test_a_model_whose_files_are_gone_is_named(walked, tmp_path):
    """The folder that the workdir records is no longer there."""
    folder = tmp_path / "ar"
    shutil.copytree(walked[0] / "runs" / "ar", folder)
    record = json.loads((folder / "config.json").read_text())
    assert record["code"] == str(walked[0] / "mine")
    record.pop("check")
    (folder / "config.json").write_text(json.dumps(record | {"code": str(tmp_path / "gone")}))
    command = [
        sys.executable,
        "-m",
        "mcvae_jax.sample",
        f"--workdir={folder}",
        "--mode=compose",
        f"--out={tmp_path / 'o'}",
    ]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "cannot be found" in done.stderr and "put the folder of its module on PYTHONPATH" in done.stderr
