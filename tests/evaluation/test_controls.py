"""Every control is what its name says."""

import numpy as np

from mcvae_jax.evaluation import controls
from mcvae_jax.evaluation.controls import control_sets, copied, halves
from mcvae_jax.music.tokens import NO_EVENT, NOTE_OFF


def some_songs(count, bars, seed):
    """With one bar in eight silent."""
    songs = np.random.default_rng(seed).choice([*range(50, 71), NOTE_OFF, NO_EVENT], (count, bars, 16))
    songs[:, ::8] = NO_EVENT
    return list(songs.astype(np.uint8))


def in_order(song):
    return sorted(map(bytes, song))


def test_halves_are_equal_and_hold_no_song_twice():
    songs = some_songs(7, 4, 0)
    first, second = halves(songs, np.random.default_rng(1))
    assert (len(first), len(second)) == (3, 3)
    assert len(set(map(bytes, first + second))) == 6 and set(map(bytes, first + second)) < set(map(bytes, songs))
    assert list(map(bytes, first)) != list(map(bytes, songs[:3]))


def test_copies_are_of_half_of_the_songs_at_most():
    """So that an n-gram of the others has not seen them."""
    for training, songs in ((9, 3), (9, 20), (100, 50), (2, 4), (1, 3)):
        chosen = copied(training, songs, np.random.default_rng(training))
        assert len(chosen) == songs and set(chosen) <= set(range(training))
        assert len(set(chosen)) == min(songs, max(1, training // 2))
    assert copied(100, 50, np.random.default_rng(0)) != list(range(50))


def test_the_sets_of_controls():
    other, training = some_songs(6, 9, 0), some_songs(5, 9, 1)
    sets = control_sets(other, training, [3, 1, 3, 1, 3, 1], np.random.default_rng(2))
    names = (controls.HALF, controls.COPIES, controls.SHUFFLED, controls.RANDOM, controls.REPEATED, controls.SILENCE)
    assert {name: len(songs) for name, songs in sets.items()} == dict.fromkeys(names, 6)
    assert all(song.shape == (9, 16) and song.dtype == np.uint8 for songs in sets.values() for song in songs)
    known = {bytes(bar) for song in training for bar in song}
    assert np.array_equal(sets[controls.HALF], other)
    assert np.array_equal(sets[controls.COPIES], [training[i] for i in (3, 1, 3, 1, 3, 1)])
    for song, real in zip(sets[controls.SHUFFLED], other, strict=True):
        assert in_order(song) == in_order(real) and not np.array_equal(song, real)
    assert {bytes(bar) for song in sets[controls.RANDOM] for bar in song} <= known
    assert all(len(np.unique(song, axis=0)) > 3 for song in sets[controls.RANDOM])
    for song in sets[controls.REPEATED]:
        assert (song == song[0]).all() and bytes(song[0]) in known and (song < NOTE_OFF).any()
    assert all((song == NO_EVENT).all() for song in sets[controls.SILENCE])
    again = control_sets(other, training, [3, 1, 3, 1, 3, 1], np.random.default_rng(2))
    assert all(np.array_equal(again[name], songs) for name, songs in sets.items())
