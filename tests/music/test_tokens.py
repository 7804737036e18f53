"""Notes <-> tokens against a step-by-step reading of the rules with fractions."""

from fractions import Fraction
from math import floor

import numpy as np
import pytest

from mcvae_jax.music.tokens import (
    NO_EVENT,
    NOTE_OFF,
    OUTCOMES,
    START,
    VOCABULARY,
    canonical,
    notes_to_tokens,
    to_steps,
    tokens_to_notes,
    transpose,
)

_ = NO_EVENT
X = NOTE_OFF


def oracle_tokens(start, end, pitch, per_quarter):
    """The rules of the specification, one note at a time."""
    best = {}
    for s, e, p in zip(start, end, pitch, strict=True):
        first = floor(Fraction(4 * int(s), per_quarter) + Fraction(1, 2))
        last = max(first + 1, floor(Fraction(4 * int(e), per_quarter) + Fraction(1, 2)))
        best[first] = max(best.get(first, (-1, 0)), (int(p), last))
    onsets = sorted(best)
    tokens = []
    for onset, following in zip(onsets, [*onsets[1:], None], strict=True):
        tokens += [_] * (onset - len(tokens))
        p, last = best[onset]
        if following is not None and last >= following:
            tokens += [p] + [_] * (following - onset - 1)
        else:
            tokens += [p] + [_] * (last - onset - 1) + [X] * (following is not None)
    return tokens


def random_notes(rng, per_quarter, count=20):
    start = rng.integers(0, 10 * per_quarter, count)
    return start, start + rng.integers(0, 2 * per_quarter, count), rng.integers(0, 128, count)


def test_constants():
    assert (NOTE_OFF, NO_EVENT, START, VOCABULARY, OUTCOMES) == (128, 129, 130, 131, 130)


@pytest.mark.parametrize("per_quarter", [1, 2, 3, 4, 7, 96, 480, 1024, 10080, 32767])
def test_to_steps_is_exact(per_quarter):
    rng = np.random.default_rng(per_quarter)
    ticks = np.concatenate(
        [
            rng.integers(-(2**40), 2**40, 200),
            rng.integers(2**59, 2**60, 50),
            np.arange(-50, 50),
            [-(2**60), 2**60],
        ]
    )
    expected = [floor(Fraction(4 * int(t), per_quarter) + Fraction(1, 2)) for t in ticks]
    assert to_steps(ticks, per_quarter).tolist() == expected


def test_a_tick_halfway_goes_up():
    assert to_steps([59, 60, 61, -60, -61], 480).tolist() == [0, 1, 1, 0, -1]


@pytest.mark.parametrize("per_quarter", [4, 5, 24, 480])
def test_tokens_follow_the_rules(per_quarter):
    rng = np.random.default_rng(per_quarter)
    for _trial in range(200):
        start, end, pitch = random_notes(rng, per_quarter, int(rng.integers(1, 30)))
        assert notes_to_tokens(start, end, pitch, per_quarter).tolist() == oracle_tokens(start, end, pitch, per_quarter)


@pytest.mark.parametrize(
    ("notes", "expected"),
    [
        ([], []),
        ([(0, 4, 60)], [60, _, _, _]),
        ([(2, 4, 60)], [_, _, 60, _]),  # silence before the first note is NO_EVENT
        ([(0, 2, 60), (4, 5, 62)], [60, _, X, _, 62]),  # NOTE_OFF on the first silent step alone
        ([(0, 8, 60), (4, 5, 62)], [60, _, _, _, 62]),  # the next onset cuts
        ([(0, 4, 60), (0, 2, 67), (0, 4, 64)], [67, _]),  # the highest of a chord
        ([(0, 1, 60), (0, 3, 60)], [60, _, _]),  # the longest of equals
        ([(3, 3, 60)], [_, _, _, 60]),  # no note erases itself
        ([(0, 1, 127), (1, 2, 0)], [127, 0]),
    ],
)
def test_tokens_by_hand(notes, expected):
    columns = np.array(notes, np.int64).reshape(-1, 3).T
    assert notes_to_tokens(*columns).tolist() == expected


def test_short_notes_do_not_erase_themselves():
    """Error 10 of the thesis code: a note under half a step ended where it began."""
    start = np.arange(8) * 120
    tokens = notes_to_tokens(start, start + 10, np.full(8, 60), 480)
    assert tokens.tolist() == [60] * 8


def test_round_trip_of_notes():
    rng = np.random.default_rng(0)
    for _trial in range(300):
        tokens = notes_to_tokens(*random_notes(rng, 4), 4)
        again = notes_to_tokens(*tokens_to_notes(tokens))
        assert again.tolist() == tokens.tolist()
        assert canonical(tokens).tolist() == tokens.tolist()


def test_round_trip_of_any_tokens():
    rng = np.random.default_rng(1)
    for _trial in range(500):
        drawn = rng.choice([60, 62, 72, X, _], size=rng.integers(0, 40)).astype(np.uint8)
        once = canonical(drawn)
        read_back = notes_to_tokens(*tokens_to_notes(drawn))
        sounding = len(read_back)
        assert read_back.tolist() == once[:sounding].tolist()
        assert set(once[sounding:].tolist()) <= {X, _}  # nothing but the silence at the end is lost
        assert [list(n) for n in tokens_to_notes(drawn)] == [list(n) for n in tokens_to_notes(once)]


def test_canonical_drops_what_means_nothing():
    assert canonical([X, _, 60, _, X, X, _, X, 62, X]).tolist() == [_, _, 60, _, X, _, _, _, 62, X]
    assert canonical([]).tolist() == []


def test_canonical_leaves_its_argument():
    tokens = np.array([X, 60], np.uint8)
    canonical(tokens)
    assert tokens.tolist() == [X, 60]


def test_transpose():
    assert transpose([[60, _], [X, 127]], -7).tolist() == [[53, _], [X, 120]]
    assert transpose([0, _], 0).dtype == np.uint8
    with pytest.raises(ValueError, match="out of 0 to 127"):
        transpose([3, _, X], -4)
    with pytest.raises(ValueError, match="out of 0 to 127"):
        transpose([127], 1)  # would be NOTE_OFF
