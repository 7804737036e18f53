"""Runs of the whole pipeline that find their own files damaged: made anew and said, or named with advice that works.

What needs no training again stands in test_mcvae.py, whose run it shares.
"""

import re
import shutil

import pytest

from mcvae_jax import inspect, sample
from mcvae_jax.errors import UserError
from mcvae_jax.kinds import open_model
from mcvae_jax.models.song_model import main_origin
from mcvae_jax.trained import open_corpus
from tests.tasks.test_mcvae import checkpoint, command, copy, corpora, finished, songs_of  # noqa: F401


def flipped(name, place=0.5):
    """Damages one bit of a file."""

    def damage(run):
        data = bytearray((run / name).read_bytes())
        data[int(place * len(data))] ^= 4
        (run / name).write_bytes(data)

    return damage


def overwritten(name, data):
    return lambda run: (run / name).write_bytes(data)


def gone(name):
    return lambda run: (run / name).unlink()


def results(folder):
    """What must be as it was: models, their held-out results, and songs."""
    held_out = [(folder / model / "results" / "held_out.json").read_bytes() for model in ("vae", "mdrnn")]
    return [(each.step, each.identity) for each in open_model(folder).origins.values()], held_out, songs_of(folder)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (flipped("vae/results/held_out.json"), "held_out.json is gone or damaged; the results are made anew"),
        pytest.param(
            gone("mdrnn/results/priors.png"),
            "priors.png is gone or damaged; the results are made anew",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            overwritten("mdrnn/results/summary.json", b"{"),
            "summary.json is damaged .*; the results are made anew",
            marks=pytest.mark.slow,
        ),
        (flipped("songs/01-continue.mid", 0.9), "01-continue.mid is gone or damaged; the songs are made anew"),
        pytest.param(
            flipped("songs/index.html"),
            "index.html is gone or damaged; the songs are made anew",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            overwritten("songs/songs.json", b"\xff"),
            "songs.json is damaged .*; the songs are made anew",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            overwritten("songs/songs.json", b""),
            "songs.json is damaged .*; the songs are made anew",
            marks=pytest.mark.slow,
        ),
        (overwritten("vae/config.json", b'{"config": 5}'), "vae/config.json is damaged .*; it is written anew"),
        pytest.param(
            gone("mdrnn/config.json"), "mdrnn/config.json is gone; it is written anew", marks=pytest.mark.slow
        ),
        pytest.param(
            overwritten("stages.json", b'{"vae": "long"}'),
            "stages.json is damaged .*; the times are counted anew",
            marks=pytest.mark.slow,
        ),
        (checkpoint("mdrnn"), "Checkpoint 6 in .*mdrnn.* is damaged: .* It is removed."),
    ],
)
@pytest.mark.slow
def test_what_can_be_made_anew_is_and_is_said(finished, copy, command, damage, said):  # noqa: F811
    damage(copy)
    inspected = "\n".join(inspect.describe(copy))
    status, lines = command(copy)
    assert status == 0
    assert len([line for line in lines if re.search(said, line)]) == 1, lines
    assert results(copy) == results(finished[0])
    again = command(copy)[1]
    assert not any(re.search("damaged| anew", line) for line in again), again
    assert "damage\n" in inspected and "\ndamage\n" not in "\n".join(inspect.describe(copy))


@pytest.mark.slow
def test_a_damaged_vae_under_an_mdrnn_is_named_and_either_advice_works(finished, copy, command, tmp_path):  # noqa: F811
    checkpoint("vae")(copy)
    for act in (command, lambda run: sample.main(["--workdir", str(run), "--mode=compose", f"--out={tmp_path / 's'}"])):
        with pytest.raises(UserError, match="Checkpoint 6 in .*vae.* is damaged: .*mdrnn was trained on it") as caught:
            act(copy)
        assert "\n" not in str(caught.value)
    assert "Checkpoint 6" in "\n".join(inspect.describe(copy))
    other = shutil.copytree(copy, tmp_path / "other")
    assert f"delete {copy / 'vae'}, and the same command" in command_error(command, copy)
    shutil.rmtree(copy / "vae")
    status, lines = command(copy)
    assert status == 0 and f"{copy / 'mdrnn'} is done: step 6." in lines
    assert results(copy) == results(finished[0])
    assert f"or delete {other / 'mdrnn'}" in command_error(command, other)
    shutil.rmtree(other / "mdrnn")
    status, lines = command(other)
    assert status == 0 and any("Checkpoint 6" in line and "It is removed" in line for line in lines)
    assert results(other) == results(finished[0])  # the same again, as nothing else was lost


def command_error(command, folder):  # noqa: F811
    with pytest.raises(UserError) as caught:
        command(folder)
    return str(caught.value)


@pytest.mark.parametrize(
    "damage",
    [
        flipped("tokens.npy", 0.9),
        *(
            pytest.param(damage, marks=pytest.mark.slow)
            for damage in (flipped("songs.jsonl"), overwritten("corpus.json", b"{"), shutil.rmtree)
        ),
    ],
)
@pytest.mark.slow
def test_a_corpus_is_built_again_where_it_is_needed(finished, copy, command, corpora, damage):  # noqa: F811
    shutil.rmtree(copy / "songs")
    damage(corpora)
    with pytest.raises(UserError, match=f"python -m mcvae_jax.corpus --source=tunes --out={corpora}$"):
        open_corpus(main_origin(open_model(copy)))
    status, lines = command(copy)
    assert status == 0 and any("is taken, and built if need be" in line for line in lines)
    assert results(copy) == results(finished[0])
    assert len(open_corpus(main_origin(open_model(copy)))) == 22


@pytest.mark.slow
def test_damaged_latents_are_encoded_anew(finished, copy, command):  # noqa: F811
    shutil.rmtree(copy / "mdrnn")
    (place,) = (copy / "vae" / "latents").iterdir()
    flipped("mu.npy", 0.9)(place)
    status, lines = command(copy)
    assert status == 0 and any("mu.npy is damaged" in line and "encoded anew" in line for line in lines)
    assert results(copy) == results(finished[0])
