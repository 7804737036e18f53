"""Chord symbols over the notes of scores, read back by our readers and by music21."""

import re

import music21
import numpy as np
import pytest

from mcvae_jax.music.readers import read_scores
from mcvae_jax.music.sheet.abc import as_abc
from mcvae_jax.music.sheet.musicxml import as_musicxml
from mcvae_jax.music.sheet.sheet import make_sheet
from mcvae_jax.music.sheet.svg import as_svg
from mcvae_jax.music.tokens import NO_EVENT, NOTE_OFF
from tests.music.sheet.songs import METRES, bars_of, check_read_again
from tests.music.sheet.test_formats import LONG, random_bars

CHORDS = ((0, "G"), (6, "Em7"), (8, "D/F#"), (16, "Bbmaj7"), (25, "F#m7b5"), (28, "N.C."), (32, "G"))


def found(text, suffix):
    """Sixteenth and text of the chord symbols that our reader finds in a score."""
    (score,) = read_scores(text.encode(), suffix)
    return [(round(4 * tick / score.ticks_per_quarter), chord) for tick, chord in score.chords]


def test_they_stand_where_they_sound_also_in_held_notes_and_rests():
    bars = np.full((3, 16), NO_EVENT, np.uint8)
    bars[0, 0], bars[1, 0], bars[1, 4], bars[2, 0] = 67, 69, NOTE_OFF, 71
    sheet = make_sheet(bars, key="G", chords=CHORDS)
    placed = [(step - step % 2, text) for step, text in CHORDS]  # to the eighth
    assert found(as_abc(sheet), ".abc") == placed
    text = as_musicxml(sheet)
    assert found(text, ".musicxml") == [each for each in placed if each[1] != "N.C."] and "N.C." in text
    harmonies = music21.converter.parseData(text).flatten().getElementsByClass("Harmony")
    assert [int(4 * each.offset) for each in harmonies] == [0, 6, 8, 16, 24, 32]
    assert [each.root().name for each in harmonies] == ["G", "E", "D", "B-", "F#", "G"]
    assert harmonies[2].bass().name == "F#" and harmonies[3].chordKind == "major-seventh"


@pytest.mark.parametrize("steps, metre", METRES)
def test_the_notes_stay_as_they_are(steps, metre):
    for seed in range(4):
        bars = random_bars(seed, steps)
        places = np.random.default_rng(seed).integers(0, bars.size, 12).tolist()
        check_read_again(bars, metre, chords=[(place, "CDEFGAB"[n % 7]) for n, place in enumerate(places)])


def test_a_repeat_has_the_same_chords():
    bars = bars_of(LONG * 2)
    half = bars.size // 2
    same = [(0, "G"), (32, "D"), (half, "G"), (half + 32, "D")]
    assert ":|" in as_abc(make_sheet(bars, key="G", chords=same))
    assert ":|" not in as_abc(make_sheet(bars, key="G", chords=[*same[:3], (half + 32, "D7")]))


@pytest.mark.parametrize("text", ['^a"b', "<i>x</i>\n", "_", "Ünï 曲", "G\\", "%%x", "A" * 40])
def test_any_text_is_a_text(text):
    for chords in ([(0, text)], [(0, text), (16, "G")]):
        check_read_again(bars_of(LONG), (4, 4), chords=chords)


def test_the_picture_has_them_in_any_font():
    pytest.importorskip("verovio", reason="verovio is not installed: no score")
    picture = as_svg(make_sheet(bars_of(LONG), key="G", chords=CHORDS))
    assert "\u266d" in picture and "\u266f" in picture and not re.findall("[\ue000-\uf8ff]", picture)
