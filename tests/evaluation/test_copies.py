"""Copies that are planted must be found, whatever the key, and what a plain search finds is what is found."""

import numpy as np
import pytest

from mcvae_jax.evaluation.copies import PASSAGE, TrainingBars, find_copies
from mcvae_jax.music.tokens import NO_EVENT, NOTE_OFF, transpose


def random_song(bars, seed):
    return np.random.default_rng(seed).choice([*range(50, 74), NOTE_OFF, NO_EVENT], (bars, 16)).astype(np.uint8)


@pytest.fixture(scope="module")
def songs():
    return [random_song(n, seed) for seed, n in enumerate((20, 30, 12, 3))]


@pytest.fixture(scope="module")
def training(songs):
    return TrainingBars.of(songs)


def copies_of(song, training):
    """All but the windows."""
    found = {name: column[0] for name, column in find_copies([song], training)._asdict().items()}
    del found["windows"]
    return found


def test_a_training_song_in_another_key_is_found_whole(songs, training):
    found = copies_of(transpose(songs[1], -7), training)
    assert found == {"written": 0, "bars": 1, "passages": 1, "nearest_share": 1, "nearest": 1, "shift": 7}
    assert copies_of(songs[1], training)["written"] == 1


def test_a_song_of_its_own_shares_nothing(training):
    assert copies_of(random_song(20, 9), training) == {
        "written": 0, "bars": 0, "passages": 0, "nearest_share": 0, "nearest": -1, "shift": 0
    }  # fmt: skip


def test_bars_copied_out_of_order_are_bars_and_no_passages(songs, training):
    found = copies_of(songs[0][::-1], training)
    assert (found["bars"], found["nearest_share"], found["nearest"]) == (1, 1, 0)
    assert found["passages"] == 0


def test_each_bar_in_a_key_of_its_own_is_copied_and_has_no_near_song(songs, training):
    song = np.stack([transpose(bar, i) for i, bar in enumerate(songs[2])])
    found = copies_of(song, training)
    assert (found["bars"], found["passages"]) == (1, 0)
    assert found["nearest_share"] == pytest.approx(1 / 12)


def test_shares_of_a_song_that_is_copied_in_part(songs, training):
    song = random_song(20, 11)
    song[3:9] = transpose(songs[1][10:16], 2)  # six bars in a row of one song
    song[12:15] = songs[0][:3]  # three of another are no passage
    found = copies_of(song, training)
    assert PASSAGE == 4
    shares = {"written": 3 / 20, "bars": 9 / 20, "passages": 6 / 20, "nearest_share": 6 / 20}
    assert found == shares | {"nearest": 1, "shift": -2}


def test_bars_without_a_note_do_not_count(songs, training):
    still = np.full((4, 16), NO_EVENT, np.uint8)
    found = copies_of(np.concatenate([still, random_song(3, 12), still, songs[0][:5]]), training)
    assert (found["bars"], found["passages"], found["nearest_share"]) == (5 / 8, 5 / 8, 5 / 8)
    silent = TrainingBars.of([np.concatenate([still, songs[0], still])])
    assert set(copies_of(still, silent).values()) == {0, -1}


def test_windows_find_a_melody_with_a_wrong_note_in_each_bar_or_against_the_bar_lines(songs, training):
    wrong = transpose(songs[0], 3)
    for bar in wrong:
        bar[np.flatnonzero(bar < NOTE_OFF)[-1]] += 1
    moved = np.roll(transpose(songs[1], -2).reshape(-1), 3).reshape(-1, 16)
    found = find_copies([songs[0], wrong, moved, random_song(20, 9)], training)
    assert np.all(found.bars[1:] == 0) and np.all(found.passages[1:] == 0)
    assert found.windows[0] == 1 and found.windows[2] > 0.9 and found.windows[3] == 0
    assert 0.1 < found.windows[1] < 0.7


def test_against_a_plain_search():
    """Songs of few different bars, so that much is found; note for note in every key."""
    rng = np.random.default_rng(4)
    words = rng.choice([60, 62, NO_EVENT], (3, 16)).astype(np.uint8)
    words[:, 0] = 60
    training, queries = (
        [np.stack([transpose(words[w], s) for w, s in rng.integers(0, 2, (n, 2))]) for n in lengths]
        for lengths in ((16, 29, 14, 5), (8, 5, 16))
    )
    for query in queries:
        query[4::6] = words[2]  # which no training song has
    found = find_copies(queries, TrainingBars.of(training))

    def stands(part, song, shift):
        moved = part.astype(int) + np.where(part < NOTE_OFF, shift, 0)
        return any(np.array_equal(song[i : i + len(part)], moved) for i in range(len(song) - len(part) + 1))

    for q, query in enumerate(queries):
        near = {
            (t, shift): np.mean([stands(query[i : i + 1], song, shift) for i in range(len(query))])
            for t, song in enumerate(training)
            for shift in range(-12, 13)
        }
        assert found.nearest_share[q] == pytest.approx(max(near.values()))
        assert (found.nearest[q], found.shift[q]) == max(near, key=near.get)
        anywhere = [
            any(stands(query[i : i + 1], song, shift) for song in training for shift in range(-12, 13))
            for i in range(len(query))
        ]
        assert found.bars[q] == pytest.approx(np.mean(anywhere))
        written = [any(stands(query[i : i + 1], song, 0) for song in training) for i in range(len(query))]
        assert found.written[q] == pytest.approx(np.mean(written))
        covered = np.zeros(len(query), bool)
        for i in range(len(query) - 3):
            part = query[i : i + 4]
            covered[i : i + 4] |= any(stands(part, song, shift) for song in training for shift in range(-12, 13))
        assert found.passages[q] == pytest.approx(covered.mean())
    assert 0 < found.passages.mean() < 1 and 0 < found.bars.mean() < 1  # there is something, and not all, to find
