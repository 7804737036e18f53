"""Models that are counted: workdirs that every command reads, and whose models are those of the corpus itself."""

import json
import shutil

import numpy as np
import pytest

from mcvae_jax import inspect, sample
from mcvae_jax.corpus.store import HELD_OUT, TRAIN, Corpus
from mcvae_jax.errors import UserError
from mcvae_jax.kinds import open_model
from mcvae_jax.main import main
from mcvae_jax.models.ngrams import NGrams
from mcvae_jax.models.settings import Settings
from tests.draws import keys_of

pytestmark = pytest.mark.more


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("counted")


def train(folder, name, *more):
    place = folder / name
    asked = [f"--config={name}:smoke", f"--workdir={place}", f"--config.corpus_folder={folder / 'corpus'}", *more]
    assert main(asked) == 0
    return place


@pytest.fixture(scope="module", params=["dice", "markov"])
def workdir(request, folder):
    return train(folder, request.param)


@pytest.fixture(scope="module")
def corpus(folder, workdir):
    return Corpus.open(folder / "corpus")


def sides(corpus):
    return ([corpus.song(i) for i in corpus.songs(side) if corpus.lengths[i] >= 16] for side in (TRAIN, HELD_OUT))


def test_the_workdir_holds_the_model_of_the_training_songs(workdir, corpus):
    training, held_out = sides(corpus)
    model = open_model(workdir)
    assert model.origins[model.name].folder == workdir and model.origins[model.name].data["identity"] == corpus.identity
    if workdir.name == "dice":
        for n, faces in enumerate(model.faces):
            expected = [bar.tobytes() for song in training for bar in song[n::4]]
            assert sorted(bar.tobytes() for bar in faces) == sorted(expected)
        return
    bits = NGrams.fit(training, 5, "kneser_ney").bits_of(held_out)
    np.testing.assert_allclose([each.sum() / np.log(2) for each in model.nats(held_out)], bits)
    rows = json.loads((workdir / "results" / "held_out.json").read_text())["rows"]
    assert list(rows) == ["Markov model", "Markov model + copy"]
    assert rows["Markov model"]["bits_per_bar"]["value"] == pytest.approx(bits.sum() / sum(map(len, held_out)))


def test_the_commands_read_it(workdir, tmp_path):
    sample.main([f"--workdir={workdir}", "--songs=2", "--bars=4", f"--out={tmp_path / 'songs'}"])
    assert len(list((tmp_path / "songs").glob("*.mid"))) == 2
    said = "\n".join(inspect.describe(workdir))
    assert "step     1, no more are asked" in said and "MORE" not in said and "damage" not in said


def test_again_nothing_is_left_to_do_and_what_is_damaged_is_counted_anew(workdir, folder, capsys):
    def song():
        return open_model(workdir).go_on([np.zeros((0, 16), np.uint8)], keys_of(1), 8, Settings())[0]

    before = song()
    train(folder, workdir.name)
    assert "Nothing is left to do" in capsys.readouterr().out
    for path in (workdir / "checkpoints" / "1" / "params").rglob("*"):
        if path.is_file():
            path.write_bytes(b"")
    train(folder, workdir.name)
    assert "It is removed." in capsys.readouterr().out
    assert np.array_equal(song(), before)
    shutil.rmtree(workdir / "results")
    train(folder, workdir.name)
    assert (workdir / "results" / "summary.json").is_file()


@pytest.mark.parametrize(
    ("name", "more", "says"),
    [
        ("markov", ("--config.model.order=9",), "config.model.order is 9"),
        ("markov", ("--config.model.smoothing=none",), "smoothing='none' is unknown"),
        ("markov", ("--config.model.order=3",), "holds a run of another configuration: model.order: 5 -> 3"),
        ("markov", ("--init_from=elsewhere",), "is counted anew"),
        ("dice", ("--config.data.min_bars=0",), "min_bars must be at least 1"),
        ("dice", ("--config.seed=-1",), "config.seed"),
    ],
)
def test_what_cannot_be_is_one_line(folder, name, more, says):
    train(folder, name)
    with pytest.raises(UserError, match=says):
        train(folder, name, *more)
