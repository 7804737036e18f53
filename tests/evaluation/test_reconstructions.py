"""Held-out songs and their reconstructions on disk: the files that are promised, and what they sound."""

from types import SimpleNamespace

import numpy as np
import pytest

from mcvae_jax.evaluation.reconstructions import write_melody, write_reconstructions
from mcvae_jax.music.bars import bars_to_tokens
from mcvae_jax.music.midi import read_midi
from mcvae_jax.music.tokens import NO_EVENT, NOTE_OFF, canonical, notes_to_tokens
from tests.vae_layouts import make_model

TOKENS = np.array([60, NO_EVENT, NOTE_OFF, 62] + [NO_EVENT] * 11 + [NOTE_OFF, 64] + [NO_EVENT] * 15, np.uint8)


def tokens_of(path):
    track = read_midi(path.read_bytes()).tracks[-1]
    return notes_to_tokens(track.start, track.end, track.pitch, 480)


def test_a_written_melody_reads_back_as_the_same_tokens(tmp_path):
    write_melody(tmp_path / "x.mid", TOKENS.reshape(-1, 16), "title")
    np.testing.assert_array_equal(tokens_of(tmp_path / "x.mid"), canonical(TOKENS))


@pytest.mark.usefixtures("rendered")
def test_files_of_held_out_songs_whatever_they_are_called(tmp_path):
    """Dollar signs would be read as formulas, line breaks would tear the picture's titles."""
    songs = [TOKENS.reshape(-1, 16), np.concatenate([TOKENS.reshape(-1, 16)] * 5)]
    corpus = SimpleNamespace(
        songs=lambda side: np.arange(2),
        song=lambda i: songs[i],
        records=lambda: [{"title": "$a_$ \n b", "name": "x.mid"}, {"title": "", "name": "$^{y}$.mid"}],
    )
    vae, params = make_model()
    records = write_reconstructions(vae, params, corpus, tmp_path, bars=4)
    assert [record["bars"] for record in records] == [2, 4]
    assert records[1]["name"] == "$^{y}$.mid" and "\n" not in records[0]["name"]
    for n, song in enumerate(songs, 1):
        np.testing.assert_array_equal(tokens_of(tmp_path / f"0{n}-original.mid"), bars_to_tokens(song[:4]))
        assert (tmp_path / f"0{n}-reconstruction.mid").read_bytes()[:4] == b"MThd"
    assert (tmp_path / "reconstructions.png").read_bytes()[:4] == b"\x89PNG"
