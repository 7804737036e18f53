"""Latent sequences: each bar as the encoder has it, transposed ones too, kept for one VAE and one corpus."""

import dataclasses

import jax
import numpy as np
import pytest

from mcvae_jax import latents as latents_module
from mcvae_jax.errors import UserError
from mcvae_jax.latents import corpus_latents, main, transposed_bars
from mcvae_jax.models import bar_codec
from mcvae_jax.models.workdirs import open_codec
from mcvae_jax.music.tokens import NO_EVENT, NOTE_OFF
from mcvae_jax.nn.padding import Rows
from tests.small_models import save_corpus, save_vae


@pytest.fixture
def small(tmp_path):
    """A trained VAE and its corpus."""
    corpus = save_corpus(tmp_path / "corpus")
    save_vae(tmp_path / "vae", corpus)
    return open_codec(tmp_path / "vae"), corpus


@pytest.fixture
def encoded(monkeypatch):
    """How many chunks have been encoded."""
    chunks, encode = [], bar_codec._encode
    monkeypatch.setattr(bar_codec, "_encode", lambda *a: (chunks.append(len(a[2])), encode(*a))[1])
    return chunks


def test_each_bar_has_the_posterior_that_the_encoder_gives_it(small):
    codec, corpus = small
    latents = corpus_latents(codec, corpus)
    assert len(latents.mu) == len(corpus.distinct) < len(corpus.tokens)
    encode = jax.jit(lambda bars: codec.vae.apply(codec.params, bars, method="encode"))
    found = zip(*(latents.song(corpus, i) for i in range(len(corpus))), strict=True)
    for here, expected in zip(found, encode(np.array(corpus.tokens)), strict=True):
        np.testing.assert_allclose(np.concatenate(here), expected, rtol=1e-4, atol=1e-5)


def test_transposed_bars_are_encoded_as_those_of_the_transposed_corpus(small, tmp_path):
    codec, corpus = small
    latents = corpus_latents(codec, corpus, -3, 2)
    for shift in (-3, 2):
        higher = save_corpus(tmp_path / f"corpus{shift}", shift)
        plain = corpus_latents(codec, higher)
        for i in range(len(corpus)):
            for here, there in zip(latents.song(corpus, i, shift), plain.song(higher, i), strict=True):
                np.testing.assert_allclose(here, there, rtol=1e-5, atol=1e-6)
    assert not np.allclose(latents.song(corpus, 0, 2)[0], latents.song(corpus, 0)[0])


def test_shifts_that_leave_the_pitches_have_no_row_and_bars_without_notes_one():
    bars = np.full((3, 16), NO_EVENT, np.uint8)
    bars[0, 0], bars[1, :2] = 126, (3, NOTE_OFF)
    found, rows = transposed_bars(bars, -4, 2)
    assert (rows[:, 0] >= 0).tolist() == [True] * 6 + [False]
    assert (rows[:, 1] >= 0).tolist() == [False] + [True] * 6
    assert len(set(rows[:, 2])) == 1
    assert found[rows[0, 0], 0] == 122 and found[rows[-1, 1]].tolist() == [5, NOTE_OFF] + [NO_EVENT] * 14


def test_a_song_that_is_not_there_at_a_shift_is_a_value_error(small):
    codec, corpus = small
    latents = corpus_latents(codec, corpus, -60, 0)
    with pytest.raises(ValueError, match="no latents at shift 1"):
        latents.song(corpus, 0, 1)
    with pytest.raises(ValueError, match="out of the pitches"):
        latents.song(corpus, 0, -60)


def test_they_do_not_depend_on_the_size_of_the_chunks(small, monkeypatch):
    codec, corpus = small
    mu, log_var = codec.encode(corpus.distinct)
    monkeypatch.setattr(bar_codec, "ENCODE_CHUNK", Rows(7, 7))
    few = codec.encode(corpus.distinct)
    np.testing.assert_allclose(few[0], mu, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(few[1], log_var, rtol=1e-5, atol=1e-6)


def test_they_are_kept_for_this_vae_and_corpus_alone(small, tmp_path, encoded):
    codec, corpus = small
    first = corpus_latents(codec, corpus)
    again = corpus_latents(codec, corpus)
    assert len(encoded) == 1
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    save_vae(tmp_path / "other", corpus, seed=1)
    other = open_codec(tmp_path / "other")
    other = dataclasses.replace(other, origin=other.origin._replace(folder=codec.origin.folder))
    assert not np.allclose(corpus_latents(other, corpus).mu, first.mu) and len(encoded) == 2
    np.testing.assert_array_equal(corpus_latents(codec, corpus).mu, first.mu)
    assert len(encoded) == 3
    corpus_latents(codec, save_corpus(tmp_path / "higher", 1))
    corpus_latents(codec, corpus, 0, 1)
    assert len(encoded) == 5


def test_what_is_damaged_is_encoded_again(small, encoded):
    codec, corpus = small
    first = corpus_latents(codec, corpus)
    (path,) = codec.origin.folder.glob("latents/*/mu.npy")
    for damage in (lambda raw: raw[:-8], lambda raw: raw[:-8] + bytes(8), lambda raw: b""):
        path.write_bytes(damage(path.read_bytes()))
        np.testing.assert_array_equal(corpus_latents(codec, corpus).mu, first.mu)
    assert len(encoded) == 4


def test_what_was_cut_off_goes_on_from_its_chunks(small, monkeypatch, encoded):
    monkeypatch.setattr(bar_codec, "ENCODE_CHUNK", Rows(7, 7))
    codec, corpus = small
    folder = codec.origin.folder
    whole = corpus_latents(codec, corpus, folder=folder / "whole")
    total, encode = len(encoded), bar_codec._encode
    assert total > 4 and not list(folder.glob("whole/.*"))

    def stop(*arguments):
        if len(encoded) == total + 4:  # of which the last is not fetched yet
            raise KeyboardInterrupt
        return encode(*arguments)

    monkeypatch.setattr(bar_codec, "_encode", stop)
    with pytest.raises(KeyboardInterrupt):
        corpus_latents(codec, corpus)
    first, second, _ = sorted(folder.glob("latents/.*/*.npy"))
    first.write_bytes(first.read_bytes()[:-8] + bytes(8))  # damaged: encoded again
    second.write_bytes(b"")
    monkeypatch.setattr(bar_codec, "_encode", encode)
    said = []
    for a, b in zip(corpus_latents(codec, corpus, say=said.append), whole, strict=True):
        np.testing.assert_array_equal(a, b)
    assert len(encoded) == 2 * total + 3 and said[-1].startswith("7 of ")
    assert not list(folder.glob("latents/.*"))


def test_chunks_of_another_vae_are_not_taken(small, tmp_path, monkeypatch, encoded):
    monkeypatch.setattr(bar_codec, "ENCODE_CHUNK", Rows(7, 7))
    codec, corpus = small
    folder = codec.origin.folder
    save_vae(tmp_path / "other", corpus, seed=1)
    other = open_codec(tmp_path / "other")
    other = dataclasses.replace(other, origin=other.origin._replace(folder=folder))
    write = latents_module._write
    monkeypatch.setattr(latents_module, "_write", lambda *_: stop())

    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        corpus_latents(codec, corpus)
    assert len(list(folder.glob("latents/.*/*.npy"))) == len(encoded)
    monkeypatch.setattr(latents_module, "_write", write)
    first, _ = codec.encode(corpus.distinct)
    assert not np.allclose(corpus_latents(other, corpus).mu, first)


def test_where_nothing_can_be_kept_they_are_there_all_the_same(small, tmp_path):
    codec, corpus = small
    (tmp_path / "file").write_text("")
    said = []
    latents = corpus_latents(codec, corpus, say=said.append, folder=tmp_path / "file" / "latents")
    assert len(latents.mu) and "not kept" in said[-1]


def test_the_npz_holds_every_song(small, tmp_path):
    codec, corpus = small
    before = sorted(codec.origin.folder.rglob("*"))
    main([f"--workdir={codec.origin.folder}", f"--out={tmp_path / 'new' / 'latents.npz'}"])
    assert sorted(codec.origin.folder.rglob("*")) == before  # it writes its file alone
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["latents.npz"]
    latents = corpus_latents(codec, corpus)
    with np.load(tmp_path / "new" / "latents.npz", allow_pickle=False) as file:
        for i in range(len(corpus)):
            song = slice(file["offsets"][i], file["offsets"][i + 1])
            np.testing.assert_array_equal(file["mu"][song], latents.song(corpus, i)[0])
            np.testing.assert_array_equal(file["log_var"][song], latents.song(corpus, i)[1])
        assert file["names"][3] == "song-3.mid" and file["sides"].tolist() == corpus.sides.tolist()
        assert (str(file["vae"]), str(file["corpus"])) == (codec.origin.identity, corpus.identity)


def test_mistakes_of_the_command_are_one_line(small, tmp_path):
    codec, _ = small
    with pytest.raises(UserError, match="Cannot write"):
        main([f"--workdir={codec.origin.folder}", f"--out={tmp_path}"])
    with pytest.raises(UserError, match="required: --out"):
        main([f"--workdir={codec.origin.folder}"])
    with pytest.raises(UserError, match="does not exist"):
        main([f"--workdir={tmp_path / 'nothing'}", "--out=x.npz"])
