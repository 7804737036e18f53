"""The figures of songs counted by hand, for bars of any width; what must not change them."""

import numpy as np
import pytest

from mcvae_jax.evaluation.figures import LAGS, Figures, shares, similarity, song_grams
from mcvae_jax.evaluation.measures import MEASURES, repeats_by_lag
from mcvae_jax.music.tokens import NO_EVENT, NOTE_OFF, transpose


def bar(steps, **onsets):
    """A bar with a token on some steps: bar(12, s0=60, s4=NOTE_OFF)."""
    tokens = np.full(steps, NO_EVENT, np.uint8)
    for step, token in onsets.items():
        tokens[int(step[1:])] = token
    return tokens


def some_songs(count, steps=16, bars=20, seed=0):
    songs = np.random.default_rng(seed).choice([*range(55, 75), NOTE_OFF, NO_EVENT, NO_EVENT], (count, bars, steps))
    return list(songs.astype(np.uint8))


@pytest.mark.parametrize("steps", [12, 16, 24])
def test_ngrams_by_hand(steps):
    """Do for three steps, a rest of two, mi until the bar's end; then sol in the next bar on its second step."""
    song = np.stack([bar(steps, s0=60, s3=NOTE_OFF, s5=64), bar(steps, s1=67, s4=NOTE_OFF)])
    grams = song_grams(song)
    assert grams["interval", 1] == [(4,), (3,)] and grams["interval", 2] == [(4, 3)] and grams["interval", 3] == []
    long = steps - 5 + 1  # up to the sol
    assert grams["duration", 1] == [(3,), (-2,), (long,), (3,)]
    assert grams["duration", 3] == [(3, -2, long), (-2, long, 3)]
    assert grams["place in the bar", 2] == [(0, 5), (5, 1)]


def test_shares_are_those_within_a_kind_and_order():
    song = np.stack([bar(16, s0=60, s4=62, s8=63, s12=65), bar(16, s0=50)])  # up 2, 1, 2, down 15
    found = shares(song)
    assert (found["interval 2"], found["interval 1"], found["interval -15"]) == (0.5, 0.25, 0.25)
    assert found["interval 2 1 2"] == 0.5 and found["place in the bar 0 4"] == 0.25
    assert sum(share for name, share in found.items() if name.startswith("duration")) == pytest.approx(3)


def test_similarity_by_hand():
    tune = bar(16, s0=60, s4=62, s8=60)
    higher, later = transpose(tune, 5), bar(16, s0=60, s6=62, s8=60)  # the same rhythm; another one
    song = np.stack([tune, higher, tune, later, tune])
    same, rhythm, agreement = similarity(song).reshape(3, LAGS)
    assert same[:5] == pytest.approx([0, 2 / 3, 0, 1, 0])
    assert rhythm[:5] == pytest.approx([2 / 4, 2 / 3, 1 / 2, 1, 0])
    # tune and higher have three of 16 tokens unlike, tune and later two, higher and later four
    assert agreement[:5] * 16 == pytest.approx([(13 + 13 + 14 + 14) / 4, (16 + 12 + 16) / 3, (14 + 13) / 2, 16, 0])
    assert not np.any(similarity(song).reshape(3, LAGS)[:, 5:])  # no bar is as far from another


def test_repeats_by_lag_against_a_loop():
    ids = np.random.default_rng(0).integers(3, size=12)
    for lag, share in enumerate(repeats_by_lag(ids, 15), 1):
        pairs = [ids[i] == ids[i - lag] for i in range(lag, 12)]
        assert share == (sum(pairs) / len(pairs) if pairs else 0)


@pytest.mark.parametrize("steps", [4, 12, 16, 24, 96])
def test_every_song_has_all_figures(steps):
    silence = np.full((20, steps), NO_EVENT, np.uint8)
    one_note = silence.copy()
    one_note[3, 2] = 60
    found = Figures.of([*some_songs(3, steps, seed=1), silence, one_note])
    assert found.others.shape == (5, 3 * LAGS + len(MEASURES)) and np.isfinite(found.others).all()
    assert len(found.grams) == 5 and found.grams[3] == {}
    assert set(found.grams[4]) == {f"duration {17 * steps - 2}", "place in the bar 2"}


def test_no_figure_depends_on_the_key():
    songs = some_songs(4)
    found, higher = Figures.of(songs), Figures.of([transpose(song, 3) for song in songs])
    assert higher.grams == found.grams
    np.testing.assert_allclose(higher.others, found.others)
