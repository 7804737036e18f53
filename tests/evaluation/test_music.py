"""Figures of a musician: keys beside music21's analysis, all others on songs that are written by hand."""

import music21
import numpy as np
import pytest
from music21.analysis.discrete import KrumhanslKessler

from mcvae_jax.corpus.read import Song, read_songs
from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.evaluation.beside import NONE
from mcvae_jax.evaluation.music import (
    LAGS,
    comes_back,
    ending,
    leaps,
    loops,
    musical_figures,
    out_of_key,
    repeated,
)
from mcvae_jax.music.keys import PROFILES, key_correlations, pitch_class_steps, scale_of
from mcvae_jax.music.tokens import NO_EVENT, NOTE_OFF, tokens_to_notes, transpose

C_MAJOR = (0, 2, 4, 5, 7, 9, 11)


def bars_of(*bars):
    """uint8 (n, 16): each bar a text of pitches, '-' for a rest and '.' to hold, in equal parts of the bar."""
    written = np.full((len(bars), 16), NO_EVENT, np.uint8)
    for row, bar in zip(written, bars, strict=True):
        words = bar.split()
        for i, word in enumerate(words):
            if word != ".":
                row[i * 16 // len(words)] = NOTE_OFF if word == "-" else int(word)
    return written


@pytest.fixture(scope="module")
def tunes():
    return [item.bars for item in read_songs(CorpusSettings("tunes"), 1) if isinstance(item, Song)]


def as_stream(bars):
    stream = music21.stream.Stream()
    for start, end, pitch in zip(*tokens_to_notes(bars.reshape(-1)), strict=True):
        note = music21.note.Note(int(pitch))
        note.quarterLength = float(end - start) / 4
        stream.insert(float(start) / 4, note)
    return stream


def test_keys_are_those_of_music21(tunes):
    """Its Krumhansl-Kessler key of every tune; and its scale, in all tunes but few whose mode has another signature."""
    analysis = KrumhanslKessler()
    assert PROFILES.tolist() == [analysis.getWeights("major"), analysis.getWeights("minor")]
    same_scale = []
    for bars in tunes:
        key = analysis.getSolution(as_stream(bars))
        found = np.unravel_index(key_correlations(pitch_class_steps(bars)).argmax(), (2, 12))
        assert found == (key.mode == "minor", key.tonic.pitchClass)
        scale = {pitch.pitchClass for pitch in (key.relative if key.mode == "minor" else key).getPitches()}
        same_scale.append(set(np.flatnonzero(scale_of(bars))) == scale)
    assert len(tunes) > 15 and np.mean(same_scale) > 0.8


@pytest.mark.parametrize("shift", [0, 1, 5, 7, 11])
def test_scales_of_what_is_written_in_them(shift):
    moved = lambda classes: {(c + shift) % 12 for c in classes}  # noqa: E731
    major = bars_of("60 62 64 65 67 69 71 72")
    dorian_with_a_raised_note = bars_of("62 64 65 67 69 71 72 74", "62 69 68 69 65 62 60 62")
    pentatonic = bars_of("60 62 64 67 69 72 67 64", "60 . . .")  # fits F, C and G; C is its key
    for bars in (major, dorian_with_a_raised_note, pentatonic):
        assert set(np.flatnonzero(scale_of(transpose(bars, shift)))) == moved(C_MAJOR)
    assert scale_of(bars_of("- . . .", ". .")) is None


def test_notes_out_of_the_key_of_the_given_bars_or_of_the_song():
    song = bars_of("60 62 64 65 67 69 71 72", "61 62 66 68", "70 72 . 60")
    assert out_of_key(song, 1) == (4, 7)
    assert out_of_key(song[1:], 1)[1] == 3
    assert out_of_key(bars_of("60 62 64 65 67 69 71 72", "60 61 62 64"), 0) == (1, 12)
    assert out_of_key(bars_of("- .", "60 62"), 1) == (0, 0)


def test_leaps_count_from_the_last_given_note_on():
    song = bars_of("60 67 74 60", "73 66 58 71", "- 59 . 71")
    assert leaps(song, 0, 7) == (6, 9) and leaps(song, 0, 12) == (3, 9)
    assert leaps(song, 1, 12) == (2, 6) and leaps(song, 2, 7) == (2, 2) and leaps(song, 2, 12) == (0, 2)


def test_loops_are_of_two_different_bars():
    a, b, c = "60 62", "64 65", "67"
    assert loops(bars_of(a, b, a, b, c, c, c, c), 0) == (4, 8)
    assert loops(bars_of(c, a, b, a, b, a, c, a, b, b, a), 0) == (5, 11)
    assert loops(bars_of(c, a, b, a, b, a), 3) == (3, 3)
    assert loops(bars_of(a, b, a), 0) == (0, 3) and loops(bars_of(a, b, b, a, a, b, c, b), 0) == (0, 8)


@pytest.mark.parametrize(
    "last, ends_well",
    [
        ("60 62 64 65 67 . . .", True),  # the second half
        ("60 . . .", True),
        ("60 . . . 67 64 60 .", False),  # off the strong beats
        ("60 62 64 65 67 69 71 -", False),  # an eighth off the strong beats
        ("60 62 64 65 67 - . .", False),  # short
        ("60 62 64 65 67 . - .", True),  # a quarter, and a rest
        ("60 62 64 65 61 . . .", False),  # not in the scale
        ("- . . .", True),  # the song has ended a bar before, on c
    ],
)
def test_endings(last, ends_well):
    scale, cadence = "60 62 64 65 67 69 71 72", "71 . 67 . 60 . . ."
    assert ending(bars_of(scale, scale, cadence, last), 0) == (ends_well, 1)
    assert ending(bars_of(scale, scale, cadence, last), 2) == (ends_well, 1)
    assert ending(bars_of(scale, "- . . ."), 1) == (0, 1)  # nothing was composed


def test_what_comes_back_after_how_many_bars():
    a, b, c = "60 62", "64 65", "67"
    song = bars_of(a, b, a, b, c, c, a, b)
    assert [comes_back(song, 0, lag) for lag in (1, 2, 4, 6, 8)] == [(1, 7), (2, 6), (2, 4), (2, 2), (0, 0)]
    assert [comes_back(song, 4, lag) for lag in (1, 2, 6)] == [(1, 4), (0, 4), (2, 2)]


def test_bars_that_repeat_any_earlier_one():
    a, b, c = "60 62", "64 65", "67"
    song = bars_of(a, b, a, c, c, b, "60 62 64")
    assert repeated(song, 0) == (3, 7)  # a, c and b
    assert repeated(song, 3) == (2, 4) and repeated(song, 6) == (0, 1)


def test_sets_beside_real_songs(tunes):
    real = [song[:20] for song in tunes if len(song) >= 16]
    rng = np.random.default_rng(0)
    wild = [np.concatenate([song[:8], rng.permutation(song[8:])]) for song in real]
    for song in wild:
        notes = song[8:] < NOTE_OFF
        song[8:] = np.where(notes & (rng.random(notes.shape) < 0.3), song[8:] + 1, song[8:])
    found = musical_figures(
        "real", {"real": real, "wild": wild, "silent": [song * 0 + NO_EVENT for song in real]}, 8, 0
    )
    assert (found["given"], found["real"], set(found["sets"])) == (8, "real", {"real", "wild", "silent"})
    key = "notes out of the key"
    hits, of = np.sum([out_of_key(song, 8) for song in wild], axis=0)
    figure = found["sets"]["wild"]["figures"][key]
    assert figure["value"] == pytest.approx(hits / of)
    low, high = figure["interval"]
    assert 0 < low < figure["value"] < high < 1
    more = figure["value"] - found["sets"]["real"]["figures"][key]["value"]
    assert figure["beyond"]["value"] == pytest.approx(more) and figure["beyond"]["interval"][0] > 0
    assert found["sets"]["real"]["figures"][key]["beyond"] == {"value": 0, "interval": (0, 0)}
    assert found["sets"]["silent"]["figures"][key] == NONE | {"beyond": NONE, "times": NONE}
    back = {name: found["sets"][name]["figures"]["bars that repeat an earlier one"] for name in ("real", "wild")}
    assert back["wild"]["times"]["value"] == pytest.approx(back["wild"]["value"] / back["real"]["value"])
    assert back["wild"]["times"]["interval"][1] < 1
    assert len(found["sets"]["real"]["lags"]) == LAGS
    unpaired = musical_figures("real", {"real": real, "wild": wild[:9]}, 0, 0)["sets"]
    assert (unpaired["real"]["songs"], unpaired["wild"]["songs"]) == (len(real), 9)
    assert unpaired["real"]["figures"][key]["beyond"]["interval"][0] < 0  # two draws of real songs differ
