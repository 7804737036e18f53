"""Music read into bars of 12, 24 and odd numbers of steps, and written from them."""

import mido
import numpy as np
import pytest

from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.errors import UserError
from mcvae_jax.music.abc.book import read_abc
from mcvae_jax.music.bars import bars_to_score, bars_to_tokens, melody_to_bars, tokens_to_bars
from mcvae_jax.music.grid import grid_of
from mcvae_jax.music.metre import stated_metre
from mcvae_jax.music.midi import read_midi, write_midi
from mcvae_jax.music.score import Reason, Score, Skip, Track
from mcvae_jax.music.tokens import NO_EVENT, NOTE_OFF

_, X = NO_EVENT, NOTE_OFF
WIDTHS = (4, 5, 7, 12, 16, 18, 20, 24, 31, 48, 72, 96)
JIG = "X:1\nT:Jig\nM:6/8\nL:1/8\nK:C\nG|c2e gec|d3 B2G|]\n"
WALTZ = "X:1\nT:Waltz\nM:3/4\nL:1/4\nK:C\nG|c2 e|g3|]\n"


def settings(steps, **fields):
    return CorpusSettings("x", steps_per_bar=steps, **fields)


def read(text, steps):
    (score,) = read_abc(text.encode())
    return melody_to_bars(score, score.tracks[0], settings(steps))


def random_bars(steps, n=6):
    rng = np.random.default_rng(steps)
    bars = rng.choice([60, 64, 67, NOTE_OFF, NO_EVENT, NO_EVENT, NO_EVENT], (n, steps)).astype(np.uint8)
    bars[0, 0] = bars[-1, 0] = 60
    return bars


def played(notes, per_quarter, rows):
    """A score of notes (start, end, pitch) in ticks, and its melody."""
    track = Track("Melody", -1, False, *np.array(notes, np.int64).T)
    return Score((track,), per_quarter, np.array(rows).reshape(-1, 3), np.empty((0, 2))), track


def reason(notes, per_quarter, rows, steps):
    with pytest.raises(Skip) as raised:
        melody_to_bars(*played(notes, per_quarter, rows), settings(steps))
    return raised.value


@pytest.mark.parametrize("steps", WIDTHS)
@pytest.mark.parametrize("policy", ["metre", "fixed16"])
def test_what_is_written_is_read_again(tmp_path, steps, policy):
    bars = tokens_to_bars(bars_to_tokens(random_bars(steps)), steps)
    write_midi(tmp_path / "x.mid", bars_to_score(bars))
    score = read_midi((tmp_path / "x.mid").read_bytes())
    again, stats = melody_to_bars(score, score.tracks[0], settings(steps, bars=policy))
    np.testing.assert_array_equal(again, bars)
    assert stats.moved == 0


@pytest.mark.parametrize("steps", WIDTHS)
def test_written_times_by_mido(tmp_path, steps):
    """Every note-on at its step, in seconds, and the time signature as long as a bar."""
    bars = random_bars(steps)
    write_midi(tmp_path / "x.mid", bars_to_score(bars))
    file, grid = mido.MidiFile(tmp_path / "x.mid"), grid_of(steps)
    (metre,) = [event for event in file.tracks[0] if event.type == "time_signature"]
    assert 4 * metre.numerator / metre.denominator * grid.quarter == steps
    now, onsets = 0.0, []
    for event in file:
        now += event.time
        if event.type == "note_on" and event.velocity:
            onsets.append(now)
    expected = np.flatnonzero(bars.reshape(-1) < NOTE_OFF) * 60 / 110 / grid.quarter
    np.testing.assert_allclose(onsets, expected, atol=1e-3)


def test_a_jig_note_by_note():
    """A pickup of an eighth, then two bars of 6/8: c2e gec, d3 B2G."""
    bars, stats = read(JIG, 12)
    assert bars.tolist() == [
        [_] * 10 + [67, _],
        [72, _, _, _, 76, _, 79, _, 76, _, 72, _],
        [74, _, _, _, _, _, 71, _, _, _, 67, _],
    ]
    assert stats.moved == stats.padded == stats.cut == 0


def test_a_waltz_note_by_note():
    bars, _stats = read(WALTZ, 12)
    assert bars.tolist() == [
        [_] * 8 + [67, _, _, _],
        [72, _, _, _, _, _, _, _, 76, _, _, _],
        [79, *[_] * 11],
    ]


def test_two_bars_of_three_eighths_are_one():
    bars, _stats = read("X:1\nM:3/8\nL:1/8\nK:C\ncde|fga|b3|c3|]\n", 12)
    assert bars[:, ::2].tolist() == [[72, 74, 76, 77, 79, 81], [83, _, _, 72, _, _]]


def test_triplets_stand_on_the_grid_of_24_and_beside_that_of_16():
    notes = [(160 * i, 160 * (i + 1), 60 + i % 5) for i in range(24)]
    score = played(notes, 480, [[0, 4, 4]])
    bars, stats = melody_to_bars(*score, settings(24))
    assert bars.shape == (2, 24) and stats.moved == 0
    assert bars.reshape(-1)[::2].tolist() == [pitch for *_times, pitch in notes]
    assert melody_to_bars(*score, settings(16))[1].moved == 16  # two of three


@pytest.mark.parametrize(
    ("steps", "numerator", "denominator"),
    [(12, 4, 4), (12, 2, 4), (12, 9, 8), (24, 3, 4), (24, 6, 8), (20, 4, 4), (8, 3, 8), (5, 4, 4)],
)
def test_other_metres_are_named(steps, numerator, denominator):
    skip = reason([(0, 480, 60)], 480, [[0, numerator, denominator]], steps)
    assert skip.reason == Reason.METRE and f"{numerator}/{denominator}, not {steps} steps" in str(skip)


def test_a_bar_of_two_quarters_among_bars_of_three_is_padded():
    notes = [(480 * i, 480 * (i + 1), 60 + i % 7) for i in range(29)]
    bars, stats = melody_to_bars(*played(notes, 480, [[0, 3, 4], [5 * 1440, 2, 4], [17 * 480, 3, 4]]), settings(12))
    assert stats.padded == 1 and stats.cut == 0 and len(bars) == 10
    assert bars[5].tolist() == [60 + 15 % 7, _, _, _, 60 + 16 % 7, _, _, _, X, _, _, _]
    assert bars[6, 0] == 60 + 17 % 7


def test_performances_in_three_and_in_four_are_told_apart():
    """Low long notes on every third or fourth quarter, behind a metre of 1/4, as beat trackers write it."""

    def waltz(every):
        return [(480 * i, 480 * i + (900 if i % every == 0 else 200), 36 if i % every == 0 else 72) for i in range(48)]

    bars, _stats = melody_to_bars(*played(waltz(3), 480, [[0, 1, 4]]), settings(12))
    assert (bars[:16, 0] == 36).all()
    assert "every four quarters" in str(reason(waltz(4), 480, [[0, 1, 4]], 12))
    assert "every three quarters" in str(reason(waltz(3), 480, [[0, 1, 4]], 16))


@pytest.mark.parametrize("steps", [0, 3, 97, -16])
def test_widths_out_of_range(steps):
    with pytest.raises(UserError, match=r"^steps_per_bar is -?\d+; it must be from 4 to 96$"):
        settings(steps)


@pytest.mark.parametrize(
    ("rows", "steps", "expected"),
    [
        ([[0, 6, 8]], 12, (6, 8)),
        ([], 16, (4, 4)),
        ([[0, 1, 8], [240, 6, 8]], 12, (6, 8)),  # a pickup's bar
        ([[0, 1, 8], [240, 11, 16], [1560, 6, 8]], 12, (6, 8)),  # one of no metre behind it
        ([[0, 2, 4], [9600, 4, 4]], 16, (2, 4)),
        ([[0, 300, 4]], 12, (3, 4)),
        ([[0, 64, 64]], 16, (4, 4)),
    ],
)
def test_the_metre_in_which_a_song_is_written(rows, steps, expected):
    score, melody = played([(240 * i, 240 * (i + 1), 60) for i in range(100)], 480, rows)
    assert stated_metre(score, melody, grid_of(steps)) == expected
    assert stated_metre(score, melody, grid_of(steps), "5/4") == (5, 4)
