"""Messages at positions -> notes -> bars."""

import mido
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcvae_jax.listen.hearing import Hearing, Note, as_bars
from mcvae_jax.music.bars import bars_to_tokens
from mcvae_jax.music.tokens import NO_EVENT, NOTE_OFF, canonical, tokens_to_notes
from tests.listen.messages import off, on


def heard(*played, channels=range(16)):
    """Messages with their positions -> notes."""
    hearing = Hearing(channels)
    for position, message in played:
        hearing.hear(message, position)
    return hearing.notes


def pedal(value, channel=0):
    return mido.Message("control_change", control=64, value=value, channel=channel)


def notes_of(bars):
    return [tuple(map(int, each)) for each in zip(*tokens_to_notes(bars_to_tokens(bars)), strict=True)]


def played(*triples, first=0, count=1, steps=16):
    """Notes (start, end, pitch) -> the notes of the bars."""
    notes = [Note(start, end, end, pitch, 80) for start, end, pitch in triples]
    return notes_of(as_bars([notes], first, count, steps))


def test_notes_go_to_the_nearest_step():
    assert played((0.1, 3.8, 60), (4.4, 7.6, 62), (7.6, 8.2, 64)) == [(0, 4, 60), (4, 8, 62), (8, 9, 64)]


def test_a_note_a_little_early_belongs_to_the_bar():
    assert played((15.6, 18, 60), first=1) == [(0, 2, 60)]
    assert played((15.6, 18, 60), first=0) == []
    assert played((-0.4, 2, 60)) == [(0, 2, 60)]


def test_a_note_over_the_bar_line_is_held_and_one_at_the_end_is_cut():
    assert played((12, 20, 60), count=2) == [(12, 20, 60)]
    assert played((12, 20, 60)) == [(12, 16, 60)]
    bars = as_bars([[Note(14, np.inf, np.inf, 60, 80)]], 0, 1, 16)  # its key is still down
    assert notes_of(bars) == [(14, 16, 60)]


def test_of_a_chord_the_highest_note_is_the_melody():
    assert played((0, 4, 60), (0.1, 4, 67), (0.2, 4, 64), (4, 8, 65)) == [(0, 4, 67), (4, 8, 65)]


def test_what_accompanies_below_a_held_note_is_none_of_it():
    assert played((0, 8, 72), (2, 4, 60), (4, 6, 55), (8, 12, 71)) == [(0, 8, 72), (8, 12, 71)]


def test_legato_is_one_voice_also_downwards():
    """A key is let go shortly after the next one is struck, as everybody plays."""
    assert played((0, 4.8, 72), (4, 8.9, 69), (8, 12, 65)) == [(0, 4, 72), (4, 8, 69), (8, 12, 65)]


def test_the_pedal_holds_notes_and_hides_none():
    notes = heard((0, pedal(127)), (0, on(72)), (2, off(72)), (4, on(60)), (6, off(60)), (14, pedal(0)))
    assert [(note.start, note.up, note.end) for note in notes] == [(0, 2, 14), (4, 6, 14)]
    assert notes_of(as_bars([notes], 0, 1, 16)) == [(0, 4, 72), (4, 14, 60)]


def test_a_pitch_struck_again_under_the_pedal_is_two_notes():
    notes = heard((0, pedal(127)), (0, on(60)), (2, off(60)), (4, on(60)), (5, off(60)), (8, pedal(10)))
    assert [(note.start, note.end) for note in notes] == [(0, 4), (4, 8)]


def test_channels_that_are_not_heard_and_a_note_on_without_velocity():
    notes = heard((0, on(60)), (1, on(36, channel=9)), (2, on(60, velocity=0)), (3, off(70)), channels={0})
    assert [(note.start, note.end, note.pitch) for note in notes] == [(0, 2, 60)]


def test_when_the_port_goes_all_ends():
    hearing = Hearing(range(16))
    for message in (pedal(127), on(60), on(64), off(64)):
        hearing.hear(message, 1.0)
    hearing.fall_silent(5.0)
    assert [note.end for note in hearing.notes] == [5.0, 5.0] and hearing.notes[1].up == 1.0


def test_of_two_voices_the_first_wins_and_each_onset_cuts_the_other():
    ours, theirs = ([Note(a, b, b, pitch, 80) for a, b, pitch in notes] for notes in (
        [(2, 12, 60)], [(0, 4, 72), (2, 4, 80), (8, 12, 71)]))  # fmt: skip
    assert notes_of(as_bars([ours, theirs], 0, 1, 16)) == [(0, 2, 72), (2, 8, 60), (8, 12, 71)]


def test_bars_of_twelve():
    assert played((11.6, 14, 60), (14, 18, 62), first=1, steps=12) == [(0, 2, 60), (2, 6, 62)]


def test_silence():
    assert (as_bars([], 3, 2, 16) == NO_EVENT).all()


positions = st.floats(-1, 33, allow_nan=False)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(positions, st.floats(0, 20), st.integers(0, 127)), max_size=20))
def test_whatever_is_played_is_a_melody_of_notes_that_were_played(triples):
    notes = sorted(Note(start, start + length, start + length, pitch, 80) for start, length, pitch in triples)
    bars = as_bars([notes], 0, 2, 16)
    assert bars.shape == (2, 16) and bars.dtype == np.uint8
    tokens = bars.reshape(-1)
    assert np.array_equal(tokens, canonical(tokens)) and set(tokens) <= {*range(NOTE_OFF + 2)}
    onsets = {(int(np.floor(note.start + 0.5)), note.pitch) for note in notes}
    assert {(start, pitch) for start, _, pitch in notes_of(bars)} <= onsets


@pytest.mark.parametrize("seed", range(5))
def test_a_melody_played_as_it_is_written_comes_back(seed):
    """With a human's unevenness: onsets and ends astray by less than half a step, and joined."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 6, 9)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    pitches = rng.choice(np.arange(55, 80), len(lengths), replace=False)
    triples = [
        (start + rng.uniform(-0.4, 0.4), end + rng.uniform(-0.4, 0.45), int(pitch))
        for start, end, pitch in zip(starts, starts[1:], pitches, strict=False)
    ]
    count = -(-int(starts[-1]) // 16)
    expected = [(int(a), int(b), int(p)) for a, b, p in zip(starts, starts[1:], pitches, strict=False)]
    found = played(*triples, count=count)
    assert [(start, pitch) for start, _, pitch in found] == [(start, pitch) for start, _, pitch in expected]
