"""Measures of a song against values counted by hand, and against plain loops."""

import math

import numpy as np
import pytest

from mcvae_jax.evaluation.measures import (
    MEASURES,
    measure_songs,
    note_density,
    pitch_class_entropy,
    pitch_range,
    repeated_bar_share,
    rest_share,
    self_match_lag,
)
from mcvae_jax.music.tokens import NO_EVENT, NOTE_OFF


def bar(**events):
    """A bar with tokens at steps, s0=60 and so on."""
    tokens = np.full(16, NO_EVENT, np.uint8)
    for step, token in events.items():
        tokens[int(step[1:])] = token
    return tokens


# C4 for 4 steps, silence for 4, E4 for 8; then E4 held on for 2 steps, silence for 10, C5 for 4
SONG = np.stack([bar(s0=60, s4=NOTE_OFF, s8=64), bar(s2=NOTE_OFF, s12=72)])


def test_a_song_measured_by_hand():
    assert pitch_range(SONG) == 12
    assert note_density(SONG) == 1.5
    assert rest_share(SONG) == 14 / 32
    assert pitch_class_entropy(SONG) == pytest.approx(-2 / 3 * math.log2(2 / 3) - 1 / 3 * math.log2(1 / 3))
    assert repeated_bar_share(SONG) == 0 and self_match_lag(SONG) == 0


def test_silence_before_the_first_note_counts_as_rest():
    assert rest_share(np.stack([bar(s12=60), bar(s0=NOTE_OFF)])) == 28 / 32


def test_every_pitch_class_alike_is_the_most_entropy():
    song = np.full((3, 16), NO_EVENT, np.uint8)
    song.reshape(-1)[:48:2] = np.arange(40, 64)  # every pitch class twice
    assert pitch_class_entropy(song) == pytest.approx(math.log2(12))


def test_silence_has_every_measure():
    found = {name: values[0] for name, values in measure_songs([np.full((8, 16), NO_EVENT, np.uint8)]).items()}
    assert found == {
        "pitch range": 0,
        "note density": 0,
        "rest share": 1,
        "pitch-class entropy": 0,
        "repeated-bar share": 7 / 8,
        "lag of the best self-match": 1,
    }
    assert all(measure.__doc__ for measure in MEASURES.values())  # the captions of the report


@pytest.mark.parametrize(
    "form, lag, repeated",
    [
        ("abcd", 0, 0),
        ("abcdabcd", 4, 4 / 8),
        ("aabbccdd", 1, 4 / 8),
        ("abababab", 2, 6 / 8),
        ("abcdabcdefghefgh", 4, 8 / 16),
        ("abcdefghabcdefgh", 8, 8 / 16),
        ("abcdefga", 0, 1 / 8),  # it comes back after more than half of the song
        ("a", 0, 0),
    ],
)
def test_the_form_of_a_song(form, lag, repeated):
    song = np.stack([bar(s0=ord(letter) - 40) for letter in form])
    assert self_match_lag(song) == lag
    assert repeated_bar_share(song) == pytest.approx(repeated)


def test_rests_against_a_loop():
    rng = np.random.default_rng(0)
    for _ in range(20):
        song = rng.choice([60, NOTE_OFF, NO_EVENT, NO_EVENT], (3, 16)).astype(np.uint8)
        sounds, silent = False, 0
        for token in song.reshape(-1):
            sounds = token < NOTE_OFF or (sounds and token != NOTE_OFF)
            silent += not sounds
        assert rest_share(song) == pytest.approx(silent / 48)
