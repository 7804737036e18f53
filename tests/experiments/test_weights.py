"""The card of the carried weights: its facts and figures are those of the files."""

import hashlib
import re

import pytest

from experiments import weights
from mcvae_jax import places
from mcvae_jax.errors import UserError
from mcvae_jax.places import CARRIED
from mcvae_jax.storage.packed import HERE, About, Model, read_packed, write_packed
from mcvae_jax.storage.workdir import Workdir
from mcvae_jax.trained import checkpoint_steps
from mcvae_jax.weights.packing import pack, without_paths
from tests.small_models import save_joint

SCORES = {
    "songs": 1234,
    "bars": 5678,
    "repeated_bars": 910,
    "draws": 3,
    "particles": 8,
    "rows": {
        "joint MCVAE": {
            "bits_per_bar": {"value": 13.577, "interval": [12.5, 14.25]},
            "tighter": {"value": 12.3, "interval": [11.0, 13.0]},
            "new": {"value": 24.0, "interval": [23.0, 25.0]},
            "repeated": {"value": None, "interval": None},
        }
    },
}


@pytest.fixture
def measured(tmp_path):
    save_joint(tmp_path / "run")
    model = pack(tmp_path / "run")[HERE]
    record = model.about.record
    record["config"] |= {"corpus": {"source": "builtin"}, "train": {"steps": 7000}}
    record["data"] |= {"songs": 1760, "licence": "public domain"}
    record["command"] = "python -m mcvae_jax.main --config=joint"
    about = About(record, 3, model.about.metrics, {"seconds": 2136.0}, {"results": {**SCORES, "rows": {}}})
    write_packed(tmp_path / "ours.npz", {HERE: Model(about, model.params)})
    return weights.Measured(tmp_path / "ours.npz", read_packed(tmp_path / "ours.npz")[HERE], SCORES, "")


def test_every_fact_and_figure_is_that_of_the_file(measured):
    text = weights.card({"ours": measured}, "python 3.99")
    count = sum(array.size for array in measured.model.params.values())
    for part in (
        "## ours",
        f"`{hashlib.sha256(measured.path.read_bytes()).hexdigest()}`",
        f"joint MCVAE, {count:,} parameters in float16",
        "public domain",
        "source `builtin`, 1,760 training songs",
        "7,000 steps in 35:36, the best at 3",
        "songs: 1,234, of 5,678 bars, of which 910 repeat",
        "measured on python 3.99",
        "| bits a bar, at most | - | 13.58 (12.50 to 14.25) |",
        "| bits of a repeated bar | - | - |",
        "\n    python -m mcvae_jax.main --config=joint\n",
    ):
        assert part in text, part


@pytest.mark.parametrize("name", CARRIED)
def test_the_card_is_of_the_files_that_are_carried(name):
    part = weights.CARD.read_text("utf-8").partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    digest = hashlib.sha256(places.weights_file(name).read_bytes()).hexdigest()
    assert f"`{digest}`" in part  # `python -m experiments.weights` writes it anew
    assert re.search(r"\| bits a bar, at most \| \d", part)


def test_the_card_links_to_what_there_is():
    for link in re.findall(r"\]\(([^)#]+)", weights.CARD.read_text("utf-8")):
        assert (weights.CARD.parent / link).is_file()


def test_a_run_from_which_another_started_is_named_with_its_command(tmp_path):
    """Without the folders of the machine on which it was typed."""
    save_joint(tmp_path / "runs" / "first")
    text = weights._earlier("/elsewhere/first", tmp_path / "runs")
    record = Workdir(tmp_path / "runs" / "first").read()
    step = checkpoint_steps(tmp_path / "runs" / "first")[-1]
    assert f"started from step {step}" in text and without_paths(record.command, "command") in text
    assert weights._earlier("", None) == ""
    with pytest.raises(UserError, match="started from first; give --runs"):
        weights._earlier("/elsewhere/first", None)
