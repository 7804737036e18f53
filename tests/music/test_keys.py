"""Keys: their names and signatures as music21 knows them, and those of tunes whose key is stated."""

import numpy as np
import pytest

from mcvae_jax.corpus.builtin import own_tunes
from mcvae_jax.corpus.read import Song, score_to_song
from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.errors import UserError
from mcvae_jax.music.keys import Key, find_key, parse_key
from mcvae_jax.music.tokens import NO_EVENT

KEYS = "Cb Gb Db Ab Eb Bb F C G D A E B F# C# Abm Ebm Bbm Fm Cm Gm Dm Am Em Bm F#m C#m G#m D#m A#m".split()


@pytest.mark.parametrize("name", KEYS)
def test_keys_have_the_signatures_that_music21_gives_them(name):
    theirs = pytest.importorskip("music21.key").Key(
        name.removesuffix("m").replace("b", "-"), "minor" if name.endswith("m") else "major"
    )
    assert parse_key(name) == Key(theirs.sharps, name.endswith("m")) and parse_key(name).name == name


@pytest.mark.parametrize("name", ["", "H", "C##", "G#", "Fbm", "D major", "C\nm"])
def test_other_names_are_refused_in_words(name):
    with pytest.raises(UserError, match="is no key; say for example"):
        parse_key(name)


def test_most_tunes_are_found_to_be_in_the_key_that_they_state():
    found = []
    for name, score in own_tunes():
        songs = [score_to_song(score, name, b"", CorpusSettings("x", steps_per_bar=steps)) for steps in (16, 12)]
        song = next(each for each in songs if isinstance(each, Song))
        found.append(find_key(song.bars) == parse_key(score.keys[0][1]))
    assert len(found) > 20 and np.mean(found) > 0.8


@pytest.mark.parametrize("key", [parse_key(name) for name in KEYS if -5 <= parse_key(name).sharps <= 6])
def test_scales_are_in_their_keys(key):
    tonic = 60 + 7 * key.tonic % 12
    steps = (0, 2, 3, 5, 7, 8, 10, 12) if key.minor else (0, 2, 4, 5, 7, 9, 11, 12)
    bars = np.full((2, 16), NO_EVENT, np.uint8)
    bars[0, ::2] = [tonic + step for step in steps]
    bars[1, [0, 4, 8]] = tonic, tonic + 7, tonic
    assert find_key(bars) == key


def test_silence_is_in_c():
    assert find_key(np.full((2, 16), NO_EVENT, np.uint8)) == find_key(np.empty((0, 16), np.uint8)) == Key(0)
