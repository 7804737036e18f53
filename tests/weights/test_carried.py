"""The weights that the package carries: which are taken for which music, and that the files are what they must be."""

import json
import re
from pathlib import Path

import pytest

from mcvae_jax import places, sample
from mcvae_jax.errors import UserError
from mcvae_jax.kinds import open_model
from mcvae_jax.notebook.composer import open_composer
from mcvae_jax.places import CARRIED
from mcvae_jax.sampling.seeds import read_seed
from mcvae_jax.storage import unpacked
from mcvae_jax.storage.packed import HERE, read_packed, write_packed
from mcvae_jax.training.start import sources
from mcvae_jax.weights.packing import pack
from tests.sampling.test_seeds import ABC, WALTZ, scale, track, write
from tests.small_models import save_joint

pytestmark = pytest.mark.usefixtures("read_here")

OURS = {name: Path(places.__file__).parent / "weights" / f"{name}.npz" for name in CARRIED}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A folder of tiny models in place of ours, and music."""
    folder = tmp_path_factory.mktemp("tiny")
    for name, steps in CARRIED.items():
        save_joint(folder / f"run {name}", steps)
        write_packed(folder / f"{name}.npz", pack(folder / f"run {name}"))
    (folder / "reel.abc").write_text(ABC)
    (folder / "waltz.abc").write_text(WALTZ)
    (folder / "both.abc").write_text(f"{WALTZ}\n{ABC.replace('X:1', 'X:2')}")
    (folder / "five.abc").write_text(WALTZ.replace("M:3/4", "M:5/4").replace("CDE|FGA|C3", "CDEFG|FGAGF|C5"))
    write(folder / "jig.mid", track(scale(30)), metre=(6, 8))
    write(folder / "march.mid", track(scale(30)), metre=(2, 4))
    return folder


@pytest.fixture(autouse=True)
def tiny_ours(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(places, "_OURS", tiny)
    monkeypatch.setenv("MCVAE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tiny)
    unpacked._unpacked.cache_clear()


@pytest.mark.more
@pytest.mark.parametrize(
    "options, name",
    [
        ("--mode=continue --seed_file=reel.abc --bars=2", "pretrained"),
        pytest.param("--mode=continue --seed_file=march.mid --bars=2", "pretrained", marks=pytest.mark.slow),
        ("--mode=continue --seed_file=waltz.abc --bars=2", "pretrained-12"),
        pytest.param("--mode=continue --seed_file=jig.mid --bars=2", "pretrained-12", marks=pytest.mark.slow),
        pytest.param("--mode=continue --seed_file=both.abc --bars=2", "pretrained-12", marks=pytest.mark.slow),
        ("--mode=continue --seed_file=both.abc --tune=2 --bars=2", "pretrained"),
        pytest.param(
            "--mode=continue --seed_file=reel.abc --metre=3/4 --bars=2", "pretrained-12", marks=pytest.mark.slow
        ),
        ("--bars=2", "pretrained"),
        ("--bars=2 --workdir=pretrained-12", "pretrained-12"),
    ],
)
def test_the_metre_of_the_music_says_which_weights_compose(tmp_path, capsys, options, name):
    sample.main([*options.split(), "--seed=1", f"--out={tmp_path / 'out'}"])
    lines = capsys.readouterr().out.splitlines()
    chosen = [line for line in lines if line.startswith("without --workdir: ")]
    assert len(chosen) == ("--workdir" not in options) and all(f"{name!r}" in line for line in chosen)
    record = json.loads((tmp_path / "out" / "songs.json").read_text())
    assert record["about"]["joint MCVAE"] == f"{name} (step 3)"
    assert all(len(bar) == CARRIED[name] for song in record["songs"] for bar in song["tokens"])


def test_music_that_fits_no_weights_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"the model knows bars of 16 sixteenths; --metre=4/4 cuts"):
        sample.main(["--mode=continue", "--seed_file=five.abc", f"--out={tmp_path / 'out'}"])
    both = ["--seed_file=reel.abc", "--seed_file_b=waltz.abc"]
    with pytest.raises(UserError, match=r"waltz.abc cannot be a seed"):
        sample.main(["--mode=interpolate", *both, f"--out={tmp_path / 'out'}"])


def test_a_seed_takes_the_first_width_that_its_metre_fits():
    assert [read_seed(f"{name}.abc", 8, steps=[16, 12]).bars.shape[1] for name in ("reel", "waltz")] == [16, 12]
    assert read_seed("waltz.abc", 8, steps=[12, 16]).bars.shape[1] == 12


def test_notebooks_and_training_know_the_names():
    assert repr(open_composer("pretrained-12")).endswith("joint MCVAE step 3 of pretrained-12>")
    assert sources("pretrained")[0].folder == "pretrained"


@pytest.mark.parametrize("name", CARRIED)
def test_ours_are_whole_and_small_and_say_nothing_of_a_machine(name):
    model = read_packed(OURS[name])[HERE]
    record = model.about.record
    assert OURS[name].stat().st_size <= 10_000_000
    assert record["data"].get("steps_per_bar", 16) == CARRIED[name] and record["config"]["task"] == "joint"
    assert not re.search(r"/(home|root|tmp|work|Users)/", json.dumps(record))
    assert open_model(OURS[name]).steps == CARRIED[name]  # this version's network takes these parameters
