"""Whose turn it is, by simulated time. A step is an eighth of a second here."""

import numpy as np
import pytest

from mcvae_jax.listen.hearing import Hearing, Note
from mcvae_jax.listen.turns import Ahead, Answer, Ask, State, Turns, ahead
from mcvae_jax.music.bars import bars_to_tokens
from mcvae_jax.music.tokens import NO_EVENT, tokens_to_notes
from tests.listen.messages import off, on

BEFORE = Ahead(early=8, late=2, chosen=0.3, soon=0.25)  # steps


def turns(bars=2, steps=16, beat=4, memory=16, breaks_off=True):
    return Turns(steps, beat, bars, memory, breaks_off)


def an_answer(pitch=70, bars=2, steps=16):
    """A quarter on each beat."""
    made = np.full((bars, steps), NO_EVENT, np.uint8)
    made[:, ::4] = pitch
    return made


class Played:
    """A musician who plays quarters, heard by turns."""

    def __init__(self, turns):
        self.turns, self.hearing, self.asks, self.answers = turns, Hearing({0}), [], []

    def advance(self, position):
        due = self.turns.advance(position, self.hearing.notes, BEFORE)
        if isinstance(due, Ask):
            self.asks.append(due)
        if isinstance(due, Answer):
            self.answers.append(due)

    def note(self, position, pitch=60, length=4):
        self.advance(position)
        note = self.hearing.hear(on(pitch), position)
        broken = self.turns.begins(note.start)
        self.hearing.hear(off(pitch), position + length)
        return broken

    def call(self, start, count, pitch=60):
        for n in range(count):
            self.note(start + 4 * n, pitch)

    def asked(self, position):
        """The last ask of the call, at a position; the ones before are answered at once."""
        self.turns.answered(self.asks[-1].number if self.asks else 0, an_answer())
        self.advance(position)
        return self.asks[-1]

    def answered(self, position, **given):
        """The answer to the latest ask comes at a position; it is played then, or at the end of the call."""
        self.advance(position)
        count = len(self.answers)
        self.turns.answered(self.asks[-1].number, an_answer(**given))
        self.advance(max(position, self.turns.last * self.turns.steps - BEFORE.chosen))
        return self.answers[-1] if len(self.answers) > count else None


def pitches(bars):
    start, _, pitch = tokens_to_notes(bars_to_tokens(bars))
    return list(zip(start.tolist(), pitch.tolist(), strict=True))


def test_a_call_begins_with_the_bar_of_its_first_note_and_is_answered_at_its_end():
    played = Played(turns())
    played.advance(40)
    assert played.turns.state is State.WAITING
    played.call(52, 7)  # from the second beat of the fourth bar
    assert (played.turns.first, played.turns.last) == (3, 5)
    ask = played.asked(5 * 16 - BEFORE.late)
    assert ask.wanted == 2 and pitches(ask.bars) == [(4 * n, 60) for n in range(1, 8)]
    answer = played.answered(79.5)
    assert not answer.late and [note.start for note in answer.notes] == [80 + 4 * n for n in range(8)]
    assert played.turns.state is State.ANSWER
    played.advance(7 * 16)
    assert played.turns.state is State.WAITING


def test_a_pickup_belongs_to_the_call_and_counts_for_no_bar():
    played = Played(turns())
    played.call(12, 9)
    assert (played.turns.first, played.turns.last) == (1, 3)
    assert pitches(played.asked(46).bars) == [(4 * n, 60) for n in range(3, 12)]


def test_a_note_a_little_early_is_no_pickup():
    played = Played(turns())
    played.note(15.6)
    played.advance(60)
    assert played.turns.first == 1 and len(played.asks[0].bars) == 2


@pytest.mark.parametrize(("after", "late"), [(0.2, 0), (0.3, 1), (15, 1), (17, 2)])
def test_an_answer_that_comes_late_begins_at_the_next_bar(after, late):
    played = Played(turns())
    played.call(0, 8)
    answer = played.answered(32 + after)
    assert answer.late == late and answer.notes[0].start == 32 + 16 * late


def test_what_both_played_is_remembered_without_the_bars_in_which_they_waited():
    played = Played(turns())
    played.call(0, 8)
    played.answered(40)  # a bar late: bars 3 and 4
    played.call(7 * 16, 8, pitch=65)
    expected = [60] * 8 + [70] * 8 + [65] * 8
    assert [pitch for _, pitch in pitches(played.asked(9 * 16 - 1).bars)] == expected


def test_a_model_hears_as_many_bars_as_it_remembers():
    played = Played(turns(memory=3))
    asks = []
    for n in range(3):
        played.call(64 * n, 8)
        asks.append(played.asked(64 * n + 31))
        played.answered(64 * n + 31)
    assert [len(ask.bars) for ask in asks] == [2, 3, 3]
    assert [pitch for _, pitch in pitches(asks[2].bars)] == [70] * 4 + [60] * 8


def test_who_plays_in_an_answer_breaks_it_off_and_the_call_begins_with_that_bar():
    played = Played(turns())
    played.call(0, 8)
    played.answered(31)
    assert not played.note(34, length=1)  # closes the call
    assert played.note(50, 65)
    assert played.turns.state is State.CALL and (played.turns.first, played.turns.last) == (3, 5)
    assert [note.start for note in played.turns.answers] == [32, 36, 40, 44, 48]
    assert played.turns.answers[-1].end == 50
    bars = pitches(played.asked(5 * 16 - 1).bars)
    assert bars[:8] == [(4 * n, 60) for n in range(8)]
    assert bars[8:] == [(32, 70), (34, 60), (36, 70), (40, 70), (44, 70), (48, 70), (50, 65)]


def test_it_is_not_broken_off_for_those_who_play_along():
    played = Played(turns(breaks_off=False))
    played.call(0, 8)
    played.answered(31)
    assert not played.note(50) and played.turns.state is State.ANSWER
    played.advance(64)
    assert played.turns.state is State.WAITING


def test_the_last_beat_of_an_answer_is_for_the_next_pickup():
    played = Played(turns())
    played.call(0, 8)
    played.answered(31)
    assert not played.note(60, 65)
    assert played.turns.state is State.ANSWER
    played.advance(64)
    assert played.turns.state is State.CALL and (played.turns.first, played.turns.last) == (4, 6)
    played.call(64, 8, 66)
    assert pitches(played.asked(94).bars)[-9:] == [(60, 65), *((64 + 4 * n, 66) for n in range(8))]


def test_after_a_pickup_it_is_not_asked_before_the_last_bar_of_the_call():
    played = Played(turns())
    played.call(0, 8)
    played.answered(31)
    played.note(60)
    count = len(played.asks)
    played.advance(64)
    played.advance(79)
    assert played.turns.last == 6 and len(played.asks) == count


def test_an_answer_for_which_nobody_waits_any_more_is_not_played():
    played = Played(turns())
    played.call(0, 8)
    played.advance(31)
    played.turns.stop(31)
    played.turns.answered(1, an_answer())
    played.advance(32)
    assert not played.answers and played.turns.state is State.WAITING


def test_a_refusal_lets_the_musician_play_again():
    played = Played(turns())
    played.call(0, 8)
    played.advance(31)
    played.turns.refused(1)
    assert played.turns.state is State.CALL  # until its end
    played.advance(32)
    assert played.turns.state is State.WAITING
    played.note(40)
    assert (played.turns.first, played.turns.last) == (2, 4)


def test_an_answer_that_is_stopped_by_the_clock_ends_there():
    played = Played(turns())
    played.call(0, 8)
    played.answered(31)
    played.turns.stop(38)
    assert [note.end for note in played.turns.answers] == [36, 38]
    played.note(100)
    assert played.turns.state is State.CALL


def test_a_held_note_is_heard_to_the_end_of_the_call():
    played = Played(turns(bars=1))
    hearing = played.hearing
    played.turns.begins(hearing.hear(on(60), 0).start)
    played.advance(15)
    assert tokens_to_notes(played.asks[0].bars[0])[1].tolist() == [16]


def test_bars_of_twelve_with_beats_of_six():
    played = Played(turns(bars=1, steps=12, beat=6))
    played.note(7, length=1)  # within the last beat
    assert played.turns.first == 1
    played.advance(24)
    assert played.asks[0].bars.shape == (2, 12)


def test_what_is_played_after_the_first_ask_is_asked_about_again():
    played = Played(turns(bars=1))
    played.note(0)
    played.advance(8)
    played.turns.answered(1, an_answer(70, 1))
    played.note(12, 65)
    played.advance(13.9)
    assert len(played.asks) == 1
    played.advance(14)
    assert [pitch for _, pitch in pitches(played.asks[1].bars)] == [60, 65]
    played.turns.answered(2, an_answer(71, 1))
    played.advance(15.7)
    assert played.answers[0].notes[0].pitch == 71 and played.answers[0].notes[0].start == 16


def test_the_first_answer_is_played_where_the_second_is_not_there_in_time():
    played = Played(turns(bars=1))
    played.note(0)
    played.advance(8)
    played.turns.answered(1, an_answer(70, 1))
    played.note(12, 65)
    played.advance(14)
    played.advance(15.7)
    assert played.answers[0].notes[0].pitch == 70 and not played.answers[0].late
    played.turns.answered(2, an_answer(71, 1))  # too late
    played.advance(20)
    assert len(played.answers) == 1


def test_a_second_ask_waits_for_the_answer_of_the_first():
    """A model answers one at a time: a queue would only make both late."""
    played = Played(turns(bars=1))
    played.note(0)
    played.advance(8)
    played.note(12, 65)
    played.advance(15)
    assert len(played.asks) == 1
    played.turns.answered(1, an_answer(70, 1))
    played.advance(15.5)
    assert len(played.asks) == 2


def test_nothing_new_is_not_asked_about_twice():
    played = Played(turns(bars=1))
    played.note(0, length=2)
    for position in np.arange(3, 15.6, 0.1):
        played.advance(position)
        played.turns.answered(1, an_answer(70, 1))
    assert len(played.asks) == 1


def test_asks_come_earlier_where_answers_take_longer():
    assert ahead(0.02, 0.1) == pytest.approx((10, 1.5, 0.4, 0.3))
    assert ahead(2.0, 0.1)[:2] == pytest.approx((30.8, 30.8))
    played = Played(turns())
    played.note(0)
    assert played.turns.advance(15, played.hearing.notes, ahead(1000, 0.1)) is None  # but not before the last bar
    assert played.turns.advance(16, played.hearing.notes, ahead(1000, 0.1))


def test_it_wakes_when_something_is_due():
    played = Played(turns(bars=1))
    assert played.turns.wakes_at(0, BEFORE) is None
    played.note(0)
    wakes, position = [], 0.5
    while (position := played.turns.wakes_at(position, BEFORE)) is not None:
        wakes.append(position)
    assert wakes == [8, 14, 15.7, 16]
    played.answered(15)
    assert played.turns.wakes_at(17, BEFORE) == 48


def test_notes_of_answers_have_their_lengths():
    played = Played(turns(bars=1))
    played.note(0)
    (first, *_) = played.answered(15, bars=1).notes
    assert first == Note(16, 20, 20, 70, 80)
