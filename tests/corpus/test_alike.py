"""How alike tunes are, against plain loops over notes, and on tunes that are the same but for what was done to them."""

import itertools
import math
import random

import numpy as np
import pytest

from mcvae_jax.corpus import alike
from mcvae_jax.corpus.alike import by_edits, most_similar, note_shingles, same_tunes
from mcvae_jax.corpus.read import Song, read_songs
from mcvae_jax.corpus.settings import CorpusSettings
from tests.corpus.test_clean import notes_to_bars, related_tunes, shingles_by_loop, tunes

# --- oracles ---


def moves_of(notes):
    """(interval, ratio of onset times to a quarter of an octave) of every three notes in a row."""
    return [
        (b[2] - a[2], round(4 * math.log2((c[0] - b[0]) / (b[0] - a[0]))))
        for a, b, c in zip(notes, notes[1:], notes[2:], strict=False)
    ]


def edit_distance(a, b):
    """Levenshtein's, by the table of all beginnings."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        left, row = row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(left[j] + 1, row[-1] + 1, left[j - 1] + (x != y)))
    return row[-1]


def alike_by_loop(notes, other):
    """The larger of the share of moves in common windows of 6, and of 1 less the normalised edit distance."""
    a, b = moves_of(notes), moves_of(other)
    length = min(6, len(a))
    there = {tuple(b[i : i + 6]) for i in range(max(1, len(b) - 5))}
    covered = {i + k for i in range(len(a) - length + 1) if tuple(a[i : i + 6]) in there for k in range(length)}
    few = {tuple(a[i : i + 4]) for i in range(len(a) - 3)} & {tuple(b[i : i + 4]) for i in range(len(b) - 3)}
    return max(len(covered) / len(a), 1 - edit_distance(a, b) / max(len(a), len(b))) if few else 0.0


# --- what is done to a tune ---


def in_order(notes):
    """Notes that end at the latest where the next begins."""
    return [(a, min(b, c), p) for (a, b, p), (c, _, _) in zip(notes, [*notes[1:], (10**9,) * 3], strict=True)]


def with_ornaments(notes, rng):
    """One note in ten is struck, its neighbour is touched, and it is struck again (half speed, to have room)."""
    made = []
    for a, b, p in notes:
        if rng.random() < 0.1 and 2 * (b - a) >= 4:
            made += [(2 * a, 2 * a + 1, p), (2 * a + 1, 2 * a + 2, p + 2), (2 * a + 2, 2 * b, p)]
        else:
            made.append((2 * a, 2 * b, p))
    return made


CHANGES = {
    "half speed": lambda notes, rng: [(2 * a, 2 * b, p) for a, b, p in notes],
    "a third of the speed, in another key": lambda notes, rng: [(3 * a, 3 * b, p - 5) for a, b, p in notes],
    "every tenth note changed": lambda notes, rng: [(a, b, p + 2 * (i % 10 == 9)) for i, (a, b, p) in enumerate(notes)],
    "six notes changed": lambda notes, rng: [
        (a, b, p + rng.choice([-3, 1, 2]) * (i in changed))
        for changed in [rng.sample(range(60), 6)]
        for i, (a, b, p) in enumerate(notes)
    ],
    "every eighth note left out": lambda notes, rng: [note for i, note in enumerate(notes) if i % 8 != 5],
    "an octave moved": lambda notes, rng: [(a, b, p + 12 * (20 <= i < 35)) for i, (a, b, p) in enumerate(notes)],
    "single notes an octave lower": lambda notes, rng: [
        (a, b, p - 12 * (i % 15 == 7)) for i, (a, b, p) in enumerate(notes)
    ],
    "an upbeat of three notes": lambda notes, rng: [
        (0, 2, 60),
        (2, 4, 62),
        (4, 6, 64),
        *((a + 6, b + 6, p) for a, b, p in notes),
    ],
    "ornaments": with_ornaments,
    "played twice": lambda notes, rng: notes + [(a + notes[-1][1], b + notes[-1][1], p) for a, b, p in notes],
    "its second half first": lambda notes, rng: (
        [(a - notes[30][0], b - notes[30][0], p) for a, b, p in notes[30:]]
        + [(a + notes[-1][1], b + notes[-1][1], p) for a, b, p in notes[:30]]
    ),
    "double speed with swing": lambda notes, rng: [
        (2 * a + (i % 7 == 3), 2 * b + (i % 7 == 3), p) for i, (a, b, p) in enumerate(notes)
    ],
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_tune_is_found_among_others(change):
    rng = random.Random(change)
    base = tunes(30, seed=5, notes=60)
    changed = [in_order(CHANGES[change](notes, rng)) for notes in base]
    similarity, nearest = by_edits(
        [notes_to_bars(notes) for notes in changed], [notes_to_bars(notes) for notes in base]
    )
    assert nearest.tolist() == list(range(30)) and similarity.min() > 0.5
    others, _ = by_edits([notes_to_bars(changed[0])], [notes_to_bars(notes) for notes in base[1:]])
    assert others[0] < 0.25


def test_similarity_against_a_loop():
    notes = [*related_tunes(), *(CHANGES["half speed"](n, None) for n in tunes(4, 3)), *tunes(3, 8, notes=6)]
    asked, others = notes[::2], notes[1::2]
    similarity, nearest = by_edits([notes_to_bars(n) for n in asked], [notes_to_bars(n) for n in others])
    by_loop = np.array([[alike_by_loop(n, other) for other in others] for n in asked])
    np.testing.assert_allclose(similarity, by_loop.max(axis=1), atol=1e-12)
    np.testing.assert_array_equal(nearest, np.where(by_loop.max(axis=1) > 0, by_loop.argmax(axis=1), -1))
    assert len(set(np.round(similarity, 2))) > 10  # not all are 0 and 1


def test_tunes_that_share_a_cadence_or_a_scale_are_not_alike():
    """Two tunes of 60 notes with the same run of twelve and the same last six notes."""
    run = [(2 * i, 2 * i + 2, 60 + [0, 2, 4, 5, 7, 9, 11, 12][i % 8]) for i in range(12)]
    cadence = [(0, 2, 67), (2, 4, 65), (4, 6, 64), (6, 8, 62), (8, 12, 59), (12, 16, 60)]

    def with_cliches(notes):
        parts, at = [], 0
        for part in (notes[:20], run, notes[20:42], cadence):
            parts += [(a - part[0][0] + at, b - part[0][0] + at, p) for a, b, p in part]
            at = parts[-1][1]
        return notes_to_bars(parts)

    a, b = (with_cliches(notes) for notes in tunes(2, seed=6, notes=60))
    (similarity,), _ = by_edits([a], [b])
    assert 0.2 < similarity < 0.45
    assert len(set(same_tunes([a, b]))) == 2


def test_our_own_tunes_are_all_different():
    songs = [item.bars for item in read_songs(CorpusSettings("tunes"), 1) if isinstance(item, Song)]
    assert len(songs) > 15 and len(set(same_tunes(songs))) == len(songs)
    for i, song in enumerate(songs):
        assert by_edits([song], songs[:i] + songs[i + 1 :])[0][0] < 0.5


def test_tunes_are_joined_from_end_to_end_and_through_others():
    """a and b differ in two notes, b and c in two others; a tune and its half are not one."""
    notes = tunes(1, seed=7, notes=60)[0]
    versions = [
        [(x, y, p + (i in changed)) for i, (x, y, p) in enumerate(notes)]
        for changed in (set(), {15, 45}, {5, 15, 35, 45})
    ]
    others = tunes(5, seed=8)
    numbers = same_tunes([notes_to_bars(n) for n in (*versions, *others, notes[:30])])
    assert len(set(numbers[:3])) == 1 and len(set(numbers)) == 7
    pairs = [1 - edit_distance(moves_of(a), moves_of(b)) / 58 for a, b in itertools.combinations(versions, 2)]
    assert pairs[1] < alike.TWINS <= min(pairs[0], pairs[2])  # a and c are one by b alone


def test_songs_of_hardly_any_notes():
    one, two, three = (notes_to_bars([(4 * i, 4 * i + 4, 60 + 2 * i) for i in range(n)]) for n in (1, 2, 3))
    silence = np.full((2, 16), 129, np.uint8)
    similarity, nearest = by_edits([silence, one, two, three], [silence, one, three, two])
    np.testing.assert_array_equal(similarity, [0, 0, 1, 1])
    np.testing.assert_array_equal(nearest, [-1, -1, 3, 2])
    assert len(set(same_tunes([silence, silence, one, one]))) == 4
    assert len(same_tunes([])) == 0


def test_a_window_of_very_many_songs_counts_nowhere(monkeypatch):
    monkeypatch.setattr(alike, "COMMON_SHINGLE", 2)
    everywhere, twice, once = np.array([1, 2, 3], np.uint64)
    train = [np.array([everywhere, twice]), np.array([everywhere, twice]), np.array([everywhere, once])]
    similarity, nearest = most_similar([np.array([everywhere, twice, 9], np.uint64), np.array([everywhere])], train)
    np.testing.assert_array_equal(
        similarity, [0.5, 0]
    )  # of (twice, 9) the first song has one; nothing is left of the other
    np.testing.assert_array_equal(nearest, [0, -1])


def test_windows_ignore_key_and_bar_lines_and_see_rhythm():
    notes = tunes(1)[0]
    plain = note_shingles(notes_to_bars(notes))
    assert len(plain) == len(shingles_by_loop(notes)) == 33
    np.testing.assert_array_equal(note_shingles(notes_to_bars([(a, b, p - 7) for a, b, p in notes], delay=9)), plain)
    stretched = note_shingles(notes_to_bars([(2 * a, 2 * b, p) for a, b, p in notes]))
    assert not np.intersect1d(plain, stretched).size
    assert len(note_shingles(np.full((1, 16), 129, np.uint8))) == 0
