"""Tokens <-> bars, and where a song's bars start under both policies."""

import numpy as np
import pytest

from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.errors import UserError
from mcvae_jax.music.bars import MAX_STEPS, bars_to_tokens, melody_to_bars, tokens_to_bars
from mcvae_jax.music.grid import SIXTEENTHS
from mcvae_jax.music.metre import parse_metre
from mcvae_jax.music.score import Reason, Score, Skip, Track
from mcvae_jax.music.tokens import NO_EVENT, NOTE_OFF, canonical

_ = NO_EVENT
X = NOTE_OFF
PER_QUARTER = 480
STEP = 120
FIXED = CorpusSettings("x", bars="fixed16")
METRE = CorpusSettings("x", bars="metre")


def track(notes, name="", is_drum=False):
    """notes: (start, end, pitch) in steps."""
    start, end, pitch = np.array(notes, np.int64).reshape(-1, 3).T
    return Track(name, -1, is_drum, start * STEP, end * STEP, pitch)


def score(*tracks, metre=(), pickup=-1):
    """metre: (step, numerator, denominator) rows."""
    rows = np.array(metre, np.int64).reshape(-1, 3) * [STEP, 1, 1]
    return Score(tracks, PER_QUARTER, rows, np.empty((0, 2)), pickup=pickup)


def bars_of(notes, settings=METRE, **kwargs):
    song = track(notes)
    return melody_to_bars(score(song, **kwargs), song, settings)[0]


def onset_steps(bars):
    return np.flatnonzero(bars.reshape(-1) < NOTE_OFF).tolist()


def skip_reason(*args, **kwargs):
    with pytest.raises(Skip) as raised:
        bars_of(*args, **kwargs)
    return raised.value.reason


class TestTokensToBars:
    @pytest.mark.parametrize(
        ("tokens", "expected"),
        [
            ([], []),
            ([_] * 40, []),
            ([60], [60, X] + [_] * 14),
            ([60] + [_] * 15, [60] + [_] * 15),  # it ends on the bar line: no bar for its NOTE_OFF
            ([60] + [_] * 15 + [X], [60] + [_] * 15),
            ([60] + [_] * 16, [60] + [_] * 16 + [X] + [_] * 14),
            ([_] * 20 + [60, _, X], [_] * 4 + [60, _, X] + [_] * 9),  # whole silent bars go, rests stay
            ([60, X] + [_] * 40, [60, X] + [_] * 14),
        ],
    )
    def test_by_hand(self, tokens, expected):
        bars = tokens_to_bars(np.array(tokens, np.uint8))
        assert bars.dtype == np.uint8 and bars.shape == (len(expected) // 16, 16)
        assert bars.reshape(-1).tolist() == expected

    def test_round_trip(self):
        rng = np.random.default_rng(0)
        for _trial in range(300):
            drawn = canonical(rng.choice([60, 67, X, _], size=rng.integers(1, 80)))
            bars = tokens_to_bars(drawn)
            assert tokens_to_bars(bars_to_tokens(bars)).tolist() == bars.tolist()
            sounds = np.flatnonzero(drawn < NOTE_OFF)
            if len(sounds):
                assert np.flatnonzero(bars.reshape(-1) < NOTE_OFF).tolist() == (sounds - sounds[0] // 16 * 16).tolist()


class TestFixed16:
    def test_cuts_every_16_steps_whatever_the_metre(self):
        notes = [(i * 4, i * 4 + 4, 60 + i) for i in range(12)]
        assert onset_steps(bars_of(notes, FIXED, metre=[(0, 3, 4)])) == list(range(0, 48, 4))

    def test_starts_with_the_bar_of_the_first_note(self):
        assert onset_steps(bars_of([(44, 48, 60), (48, 52, 62)], FIXED)) == [12, 16]


class TestMetre:
    def test_default_is_common_time(self):
        assert onset_steps(bars_of([(16, 20, 60), (28, 32, 62)])) == [0, 12]

    def test_a_pickup_written_with_rests(self):
        """As in the Nottingham files: the first bar is whole and starts with rests."""
        assert onset_steps(bars_of([(12, 16, 60), (16, 32, 62)], metre=[(0, 4, 4)])) == [12, 16]

    def test_a_pickup_as_a_short_first_metre(self):
        notes = [(0, 4, 60), (4, 20, 62), (20, 36, 64)]
        assert onset_steps(bars_of(notes, metre=[(0, 1, 4), (4, 4, 4)])) == [12, 16, 32]

    def test_a_pickup_that_the_source_states(self):
        notes = [(0, 4, 60), (4, 20, 62)]
        assert onset_steps(bars_of(notes, metre=[(0, 4, 4)], pickup=4 * STEP)) == [12, 16]

    def test_bars_count_from_a_later_time_signature(self):
        notes = [(24, 32, 60), (32, 40, 62)]
        assert onset_steps(bars_of(notes, metre=[(0, 3, 4), (24, 4, 4)])) == [0, 8]

    @pytest.mark.parametrize(("first", "expected"), [(0, 0), (8, 0), (6, 14), (12, 12)])
    def test_two_bars_of_2_4_make_one(self, first, expected):
        """A pair starts where the first note does, or after its pickup."""
        assert onset_steps(bars_of([(first, first + 1, 60)], metre=[(0, 2, 4)])) == [expected]

    def test_metre_that_does_not_fill_the_bar(self):
        for numerator, denominator in [(3, 4), (6, 8), (9, 8), (12, 8), (5, 4), (3, 2)]:
            assert skip_reason([(0, 4, 60)], metre=[(0, numerator, denominator)]) == Reason.METRE

    def test_the_user_may_say_the_metre(self):
        settings = CorpusSettings("x", metre="4/4")
        assert len(bars_of([(0, 4, 60), (40, 44, 60)], settings, metre=[(0, 3, 4)])) == 3
        assert skip_reason([(0, 4, 60)], CorpusSettings("x", metre="3/4")) == Reason.METRE

    def test_change_on_the_bar_line(self):
        notes = [(i * 4, i * 4 + 4, 60) for i in range(20)]
        assert len(bars_of(notes, metre=[(0, 4, 4), (32, 2, 4), (48, 4, 4)])) == 5
        assert len(bars_of(notes, metre=[(0, 4, 4), (80, 3, 4)])) == 5  # after the last note

    def test_metres_that_fit_bars_of_16(self):
        fits = [
            (4, 4),
            (2, 2),
            (2, 4),
            (1, 4),
            (1, 2),
            (4, 8),
            (8, 8),
            (1, 8),
            (8, 4),
            (4, 2),
            (16, 16),
            (1, 1),
        ]
        assert all(SIXTEENTHS.fits(*metre) for metre in fits)
        assert not any(
            SIXTEENTHS.fits(*metre)
            for metre in [(3, 4), (6, 8), (12, 8), (3, 8), (5, 4), (6, 4), (1, 64), (3, 1), (0, 4)]
        )

    @pytest.mark.parametrize("metre", ["4", "4/5", "0/4", "4/4/4", "four", "-4/4"])
    def test_unknown_metre(self, metre):
        with pytest.raises(UserError, match="is no metre"):
            parse_metre(metre)


def quarters(count, start=0):
    """A note for every quarter, in steps."""
    return [(start + 4 * i, start + 4 * i + 4, 60 + i % 5) for i in range(count)]


class TestIrregularBars:
    """Sixteen bars or so, of which some are shorter or longer than their metre."""

    @staticmethod
    def read(notes, metre, pickup=-1):
        """The steps of the onsets, and how many bars were padded and cut."""
        song = track(notes)
        bars, stats = melody_to_bars(score(song, metre=metre, pickup=pickup), song, METRE)
        assert len(onset_steps(bars)) == len(notes)  # no note is lost
        return onset_steps(bars), stats.padded, stats.cut

    @pytest.mark.parametrize(
        "split",
        [[(32, 3, 4), (44, 1, 4)], [(32, 3, 8), (38, 5, 8)], [(32, 1, 4), (36, 2, 4), (44, 1, 4)], [(40, 2, 4)]],
    )
    def test_neighbours_that_make_up_a_bar_are_one(self, split):
        """As notation programs write a bar that a repeat sign splits; in the last, 4/4 breaks off before 2/4."""
        steps = [4 * i for i in range(60)]
        assert self.read(quarters(60), [(0, 4, 4), *split, (48, 4, 4)]) == (steps, 0, 0)

    def test_a_first_bar_that_is_split(self):
        assert self.read(quarters(8), [(0, 3, 4), (12, 1, 4), (16, 4, 4)]) == ([4 * i for i in range(8)], 0, 0)

    def test_a_short_bar_is_filled_with_silence(self):
        notes = [*quarters(16), (64, 68, 70), (68, 72, 71), *quarters(16, 72)]
        steps, padded, cut = self.read(notes, [(0, 4, 4), (64, 2, 4), (72, 4, 4)])
        assert steps == [*range(0, 72, 4), *range(80, 144, 4)]
        assert (padded, cut) == (1, 0)

    def test_a_long_bar_is_cut_where_no_note_starts(self):
        notes = [*quarters(8), (32, 52, 70), *quarters(8, 52)]  # a note of five quarters
        assert self.read(notes, [(0, 4, 4), (32, 5, 4), (52, 4, 4)]) == ([*range(0, 36, 4), *range(48, 80, 4)], 0, 1)

    def test_a_long_bar_that_is_full_gets_a_second_bar(self):
        notes = [*quarters(8), *quarters(5, 32), *quarters(8, 52)]
        assert self.read(notes, [(0, 4, 4), (32, 5, 4), (52, 4, 4)]) == ([*range(0, 52, 4), *range(64, 96, 4)], 1, 0)

    def test_a_bar_of_rests_that_is_short_is_left_out(self):
        notes = [*quarters(8), *quarters(8, 36)]
        assert self.read(notes, [(0, 4, 4), (32, 1, 4), (36, 4, 4)]) == ([*range(0, 32, 4), *range(32, 64, 4)], 0, 1)

    def test_what_sounds_across_the_silence_is_held(self):
        notes = [*quarters(16), (64, 76, 70), *quarters(12, 76)]
        song = track(notes)
        bars, _stats = melody_to_bars(score(song, metre=[(0, 4, 4), (64, 2, 4), (72, 4, 4)]), song, METRE)
        assert bars.reshape(-1)[64:84].tolist() == [70] + [_] * 19

    def test_half_a_bar_is_enough_in_2_4(self):
        """Pairs make up 16 steps, so bars of 2/4 keep to 8."""
        notes = [*quarters(16), (64, 68, 70), *quarters(20, 68)]
        assert self.read(notes, [(0, 2, 4), (64, 1, 4), (68, 2, 4)])[0] == [*range(0, 68, 4), *range(72, 152, 4)]

    def test_what_is_out_by_rounding_does_not_count(self):
        late = [(start + 0.1, end + 0.1, pitch) for start, end, pitch in quarters(8, 16)]
        start, end, pitch = np.array([*quarters(4), *late]).T
        song = Track("", -1, False, (start * STEP).astype(int), (end * STEP).astype(int), pitch.astype(int))
        rows = np.array([[0, 4, 4], [16 * STEP + 12, 2, 2], [48 * STEP + 12, 4, 4]])
        bars, stats = melody_to_bars(Score((song,), PER_QUARTER, rows, np.empty((0, 2)), pickup=0), song, METRE)
        assert onset_steps(bars) == list(range(0, 48, 4))
        assert (stats.moved, stats.padded, stats.cut) == (0, 0, 0)

    def test_a_pickup_counts_as_no_bar(self):
        notes = quarters(40)
        metre = [(0, 4, 4), (20, 3, 4), (32, 4, 4)]
        steps, padded, cut = self.read(notes, metre, pickup=4 * STEP)
        assert steps[:9] == [12, 16, 20, 24, 28, 32, 36, 40, 48] and (padded, cut) == (1, 0)

    def test_many_are_too_many_and_the_first_is_named(self):
        metre = [(0, 4, 4), *[row for k in range(4) for row in ((32 + 28 * k, 3, 4), (44 + 28 * k, 4, 4))]]
        with pytest.raises(Skip) as raised:
            self.read(quarters(40), metre)
        assert raised.value.reason == Reason.MIXED_METRES
        assert raised.value.detail == "bar 3 as played has 3 quarters where 4/4 has 4; 4 of 11 bars do not fit"

    def test_one_may_always_be_irregular(self):
        assert self.read(quarters(11), [(0, 4, 4), (16, 3, 4), (28, 4, 4)])[1:] == (1, 0)

    def test_the_metre_of_most_of_the_music_must_fill_16_steps(self):
        assert skip_reason(quarters(40), metre=[(0, 4, 4), (48, 3, 4)]) == Reason.METRE

    def test_downbeats_of_full_bars_come_to_bar_lines(self):
        """Songs of random bars: each note on the downbeat of a bar of 4/4 starts a bar of 16 steps."""
        rng = np.random.default_rng(0)
        read = 0
        for _trial in range(300):
            lengths = np.where(rng.random(40) < 0.9, 16, rng.choice([2, 4, 6, 8, 10, 12, 14, 20, 24, 28, 32, 40], 40))
            starts = np.append(0, np.cumsum(lengths)).tolist()
            metre = [(start, int(n), 16) for start, n in zip(starts, lengths, strict=False)]
            notes = [(start, start + 1, 60) for start in starts]
            for start, length in zip(starts, lengths.tolist(), strict=False):
                notes += [(start + k, start + k + 1, 50) for k in range(1, length) if rng.random() < 0.2]
            song = track(sorted(notes))
            try:
                bars, stats = melody_to_bars(score(song, metre=metre, pickup=0), song, METRE)
            except Skip as skip:
                assert skip.reason == Reason.MIXED_METRES
                continue
            read += 1
            steps = onset_steps(bars)
            assert len(steps) == len(notes) and stats.covered == 0
            downbeats = [s for s, (start, _end, pitch) in zip(steps, sorted(notes), strict=True) if pitch == 60]
            full = [d for d, length in zip(downbeats, lengths.tolist(), strict=False) if length == 16]
            assert all(step % 16 == 0 for step in full)
        assert read > 100


class TestPerformance:
    """A file whose ticks are regular but whose bar lines mean nothing, as POP909's."""

    @staticmethod
    def performance(offset, quarters, numerator=1, denominator=4):
        """A tune over bass notes on the downbeats of bars of `quarters`, all `offset` ticks late."""
        whole = 4 * quarters
        tune = [(i * 2, i * 2 + 2, 72 + i % 5) for i in range(8 * whole)]
        bass = [(i * whole, i * whole + 8, 40 + i % 3) for i in range(16)]
        chords = [(i * 4, i * 4 + 2, 55) for i in range(4 * whole)]
        tracks = [track(tune), track(bass + chords)]
        tracks = [t._replace(start=t.start + offset, end=t.end + offset) for t in tracks]
        rows = np.array([[0, numerator, denominator]])
        return Score(tuple(tracks), PER_QUARTER, rows, np.empty((0, 2)))

    @pytest.mark.parametrize("offset", [0, 41, 60, 100, 480, 1000, 1919, 5003])
    def test_bars_start_with_the_bass(self, offset):
        played = self.performance(offset, 4)
        bars, stats = melody_to_bars(played, played.tracks[0], METRE)
        assert onset_steps(bars)[:4] == [0, 2, 4, 6]
        assert stats.moves[0] == stats.onsets  # nothing moves by more than a sixteenth of a step

    def test_a_metre_that_the_user_says_leaves_the_downbeat_to_the_notes(self):
        played = self.performance(4 * STEP, 4)  # on the grid, but 1/4 says nothing of bars
        bars, _stats = melody_to_bars(played, played.tracks[0], CorpusSettings("x", metre="4/4"))
        assert onset_steps(bars)[:2] == [0, 2]

    def test_music_in_three_is_skipped(self):
        played = self.performance(41, 3)
        with pytest.raises(Skip) as raised:
            melody_to_bars(played, played.tracks[0], METRE)
        assert raised.value.reason == Reason.METRE
        assert len(melody_to_bars(played, played.tracks[0], CorpusSettings("x", metre="4/4"))[0]) > 0

    def test_a_stated_metre_on_its_grid_is_trusted(self):
        played = self.performance(4 * STEP, 4, 4, 4)  # the bass enters on the second quarter
        assert onset_steps(melody_to_bars(played, played.tracks[0], METRE)[0])[:2] == [4, 6]

    @pytest.mark.parametrize(("numerator", "denominator", "first"), [(1, 4, 12), (1, 8, 14)])
    def test_a_pickup_of_a_beat_is_no_metre_of_beats(self, numerator, denominator, first):
        """As notation programs write it: a bar of the pickup's length; the bass enters on the third quarter."""
        rest = (16 - first) * STEP
        played = self.performance(rest + 8 * STEP, 4)
        tune = played.tracks[0]
        tune = tune._replace(
            start=np.append(0, tune.start), end=np.append(STEP, tune.end), pitch=np.append(70, tune.pitch)
        )
        metre = np.array([[0, numerator, denominator], [rest, 4, 4]])
        played = played._replace(tracks=(tune, *played.tracks[1:]), time_signatures=metre)
        assert onset_steps(melody_to_bars(played, tune, METRE)[0])[:3] == [first, 24, 26]

    def test_swing_keeps_its_grid(self):
        start = np.sort(np.concatenate([np.arange(0, 7680, 480), np.arange(320, 7680, 480)]))
        song = Track("", 0, False, start, start + 100, np.full(len(start), 60))
        bars, _stats = melody_to_bars(score(song, metre=[(0, 4, 4)]), song, METRE)
        assert onset_steps(bars)[:4] == [0, 3, 4, 7]


class TestStats:
    def test_counts(self):
        start = np.array([0, 130, 170, 480, 485, 900])
        end = np.array([60, 200, 500, 900, 490, 960])
        song = Track("", 0, False, start, end, np.array([60, 62, 64, 65, 67, 20]))
        bars, stats = melody_to_bars(score(song), song, CorpusSettings("x", bars="fixed16", min_pitch=21))
        assert bars[0].tolist()[:6] == [60, 64, _, _, 67, X]
        assert stats.onsets == 5 and stats.out_of_range == 1
        assert stats.moved == 3  # 130, 170 and 485 ticks
        assert stats.moves == (3, 1, 0, 0, 0, 0, 1, 0)  # 1/24 and 1/12 and 5/12 of a step
        assert stats.covered == 2
        assert stats.shortened == 0

    def test_shortened(self):
        song = track([(0, 8, 60), (4, 8, 62), (8, 12, 64)])
        assert melody_to_bars(score(song), song, FIXED)[1].shortened == 1

    def test_nothing_in_range(self):
        assert skip_reason([(0, 4, 60)], CorpusSettings("x", min_pitch=61)) == Reason.NO_NOTES_IN_RANGE

    def test_too_long(self):
        assert skip_reason([(0, 1, 60), (MAX_STEPS, MAX_STEPS + 1, 60)]) == Reason.TOO_LONG
