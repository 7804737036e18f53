"""Workdirs as one file: the models are the same, and nothing of the machine goes along."""

import jax
import numpy as np
import pytest

from mcvae_jax import inspect
from mcvae_jax.errors import UserError
from mcvae_jax.kinds import open_model
from mcvae_jax.models.settings import Settings
from mcvae_jax.storage import unpacked
from mcvae_jax.storage.packed import HERE, read_packed, write_packed
from mcvae_jax.weights import __main__ as command
from mcvae_jax.weights.packing import pack, without_paths
from tests.small_models import save_corpus, save_joint, save_mdrnn, save_run, save_vae


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs of somebody")
    save_joint(folder / "joint")
    save_mdrnn(folder / "both" / "mdrnn", folder / "both" / "vae", save_vae(folder / "both" / "vae"))
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MCVAE_CACHE", str(tmp_path / "cache"))
    unpacked._unpacked.cache_clear()


def songs_of(model):
    """Three songs after nothing and after some bars."""
    keys = jax.random.split(jax.random.key(1), 3)
    seeds = [np.full((n, model.steps), 60 + n, np.uint8) for n in (0, 2, 5)]
    return model.go_on(seeds, keys, 4, Settings(temperature=1.0, tau_sigma=1.0))


@pytest.mark.more
@pytest.mark.parametrize("name", ["joint", pytest.param("both", marks=pytest.mark.slow)])
def test_a_file_of_float32_composes_the_same_songs_as_its_workdir(runs, tmp_path, name):
    write_packed(tmp_path / "all.npz", pack(runs / name, "float32"))
    ours, theirs = (songs_of(open_model(place)) for place in (runs / name, tmp_path / "all.npz"))
    assert len(ours) == len(theirs) == 3
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.more
def test_float16_changes_the_bits_of_a_song_by_less_than_a_hundredth(runs, tmp_path):
    write_packed(tmp_path / "all.npz", pack(runs / "joint"))
    corpus = save_corpus(tmp_path / "corpus")
    songs = [corpus.song(song) for song in range(3)]
    ours, theirs = (open_model(place).nats(songs, 2) for place in (runs / "joint", tmp_path / "all.npz"))
    for one, other in zip(ours, theirs, strict=True):
        assert 0 < np.abs(one - other).max() / np.log(2) < 0.2
        assert abs(one.sum() - other.sum()) < 0.01 * one.sum()


def test_a_pipeline_is_one_file_whose_parts_still_know_each_other(runs, tmp_path):
    models = pack(runs / "both")
    assert models.keys() == {"vae", "mdrnn"}
    write_packed(tmp_path / "both.npz", models)
    model = open_model(tmp_path / "both.npz")
    assert model.name == "MCVAE" and [each.step for each in model.origins.values()] == [5, 7]


def test_nothing_of_the_machine_goes_along(runs, tmp_path):
    for name in ("joint", "both"):
        write_packed(tmp_path / f"{name}.npz", pack(runs / name))
        with np.load(tmp_path / f"{name}.npz") as file:
            about = file["about"].tobytes().decode()
        assert "somebody" not in about and "/tmp" not in about and str(tmp_path) not in about
    assert read_packed(tmp_path / "joint.npz")[HERE].about.record["data"]["corpus"] == "joint-corpus"


def test_of_every_path_its_last_part_is_left():
    before = {
        "command": "python -m mcvae_jax.main --config=/home/me/c.py --config.a=0.5 --workdir='/home/my files/run'",
        "init_from": "vae=/home/me/vae,prior=gs://mine/secret/prior",
        "data": {"corpus": "C:\\Users\\me\\corpus", "licence": "https://example.org/licence", "n": 3},
        "config": {"corpus": {"source": "~/music"}, "names": ["../up/there", "runs/a", "tunes"]},
    }
    assert without_paths(before) == {
        "command": "python -m mcvae_jax.main --config=c.py --config.a=0.5 --workdir=run",
        "init_from": "vae=vae,prior=prior",
        "data": {"corpus": "corpus", "licence": "https://example.org/licence", "n": 3},
        "config": {"corpus": {"source": "music"}, "names": ["there", "runs/a", "tunes"]},
    }


def test_the_command_writes_the_file_and_inspect_reads_it(runs, tmp_path, capsys):
    command.main([str(runs / "joint"), f"--out={tmp_path / 'mine.npz'}"])
    count = sum(array.size for array in pack(runs / "joint")[HERE].params.values())
    assert (
        f"joint, step 3: {count:,} parameters, float16" in (said := capsys.readouterr().out) and "--init_from" in said
    )
    inspect.main([str(tmp_path / "mine.npz")])
    lines = capsys.readouterr().out
    assert f"{tmp_path / 'mine.npz'}: joint of" in lines and "damage" not in lines
    assert f"--workdir={tmp_path / 'mine.npz'} --out=songs" in lines


@pytest.mark.parametrize(
    "options, told",
    [
        (["--out=x.npz"], "give one workdir"),
        (["joint", "--workdir=joint", "--out=x.npz"], "give one workdir"),
        (["joint", "--out=x"], r"files of weights end in \.npz"),
        (["nowhere", "--out=x.npz"], "nowhere does not exist"),
        (["joint", "--out=x.npz", "--dtype=int4"], "invalid choice"),
    ],
)
def test_mistakes_are_one_line(runs, monkeypatch, options, told):
    monkeypatch.chdir(runs)
    with pytest.raises(UserError, match=told):
        command.main(options)


def test_values_beyond_float16_are_refused(tmp_path):
    save_run(tmp_path / "large", {"task": "vae"}, {}, {1: {"a": {"b": np.array([1e5], np.float32)}}})
    with pytest.raises(UserError, match="parameters a/b have values that float16 cannot hold; give --dtype=float32"):
        pack(tmp_path / "large")


def test_a_file_composes_by_the_settings_that_go_along_with_it(runs, tmp_path):
    """What neither the command nor the config of the training says stays as the model has it."""
    for name, before in (("joint", 0.7), ("both", 0.0)):
        command.main([str(runs / name), f"--out={tmp_path / name}.npz", "--best_of=3", "--tau_sigma=0.25"])
        own = open_model(tmp_path / f"{name}.npz").defaults
        assert (own.best_of, own.tau_sigma, own.temperature, own.seed) == (3, 0.25, before, 0)
        assert open_model(runs / name).defaults.best_of == 1


def test_a_model_whose_settings_are_fixed_takes_none_along(runs, tmp_path):
    with pytest.raises(UserError, match="bar by bar.* has settings that do not change; leave --temperature out"):
        command.main([str(runs / "both" / "vae"), f"--out={tmp_path / 'mine.npz'}", "--temperature=0.5"])
    models = pack(runs / "both" / "vae", songs={"temperature": 0.5})
    write_packed(tmp_path / "by hand.npz", models)
    assert open_model(tmp_path / "by hand.npz").defaults == Settings()


def test_settings_that_cannot_be_do_not_go_along(runs, tmp_path):
    with pytest.raises(UserError, match="best_of is 0"):
        command.main([str(runs / "joint"), f"--out={tmp_path / 'mine.npz'}", "--best_of=0"])
    assert not (tmp_path / "mine.npz").exists()


@pytest.mark.parametrize("songs", [{"temperature": "hot"}, {"tau_pi": -1.0}, [1], "songs"])
def test_settings_of_a_config_that_cannot_be_are_one_line(runs, tmp_path, songs):
    models = pack(runs / "joint")
    models[HERE].about.record["config"]["songs"] = songs
    write_packed(tmp_path / "mine.npz", models)
    with pytest.raises(UserError, match="config.json is damaged"):
        open_model(tmp_path / "mine.npz")
