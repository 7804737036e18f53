"""Small inputs that were once read wrongly, each a kind of fault, with the right notes written out by hand."""

from pathlib import Path

import numpy as np
import pytest

from mcvae_jax.corpus.read import Song, score_to_song
from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.music.readers import read_scores
from mcvae_jax.music.score import Reason, Score, Skip

FOLDER = Path(__file__).parents[1] / "cases"
SCALE = (60, 62, 64, 65, 67, 69, 71, 72)

Note = tuple[int, float, float]  # pitch, start and end in quarters


def run(*pitches: int, length: float = 1.0, start: float = 0.0) -> list[Note]:
    """Notes of one length, one after the other."""
    return [(pitch, start + length * k, start + length * (k + 1)) for k, pitch in enumerate(pitches)]


# The notes of each track as played, sorted; a list of one where the tracks do not matter.
NOTES = {
    "abc_comment_in_body.abc": [run(*SCALE)],
    "abc_midi_directive_voices.abc": [run(*SCALE), run(48, 50, length=4)],
    "abc_overlay.abc": [[*run(*SCALE), (72, 0, 4)]],
    "abc_Z_rest.abc": [run(60, 62, 64, 65) + run(67, 69, 71, 72, start=12)],
    "abc_plus_continuation.abc": [run(*SCALE)],
    "abc_clef_change.abc": [run(66, 62, 64, 66, 54, 50, 52, 54, 66, 62, 64, 66)],
    "abc_L_per_voice.abc": [run(*SCALE, *reversed(SCALE), length=0.5), run(48, 55, length=4)],
    "abc_K_explicit.abc": [run(62, 66, 70, 72)],
    "abc_K_transpose_octave.abc": [run(50, 53, 59, 60)],
    "abc_chord_ties.abc": [[(60, 0, 4), (64, 0, 4), (72, 4, 8)]],
    "abc_file_header.abc": [run(60, 62, 64, 65, 67, 69)],
    "abc_voice2_longer.abc": [run(60, 62, 64, 65), run(48, 55, 57, length=4)],
    "abc_P_order.abc": [run(60, 62, 64, 65, *SCALE)],
    "abc_L1.abc": [run(60, 62, length=4)],
    "abc_M_sum.abc": [run(*SCALE)],
    "xml_pickup_measure_rest.musicxml": [run(67, *SCALE), run(*SCALE, start=1)],
    "xml_forward_at_bar_end.musicxml": [
        run(60, 62, 64, 65, 67) + run(60, 62, 64, 65, start=8) + run(67, 69, 71, 72, start=12)
    ],
    "xml_forward_first_bar.musicxml": [run(60) + run(67, 69, 71, 72, 60, 62, 64, 65, start=4)],
    "xml_direction_past_bar.musicxml": [run(*SCALE, *SCALE)],
    "xml_rounding_overfull.musicxml": [run(*SCALE, 60, 62, 64, 65)],
    "xml_key_step.musicxml": [run(*SCALE)],
    "xml_key_8_sharps.musicxml": [run(*SCALE)],
    "xml_cue.musicxml": [run(60) + run(64, 65, 67, 69, 71, 72, start=2)],
    "xml_timewise.musicxml": [run(60, 62, 64, 65)],
    "mxl_parts_first.mxl": [run(*SCALE)],
    "krn_nested_split.krn": [[*run(60, 62, 64, 65), (52, 0, 2), (53, 2, 4), (48, 0, 4), (67, 4, 8)]],
    "krn_endings_expansion.krn": [run(60, 62, 60, 64, length=4)],
    "mid_running_status_after_sysex.mid": [run(60, 62, 64, *SCALE)],
    "mid_F7_packet.mid": [run(60, 62) + run(*SCALE, start=208 / 96)],
    "mid_split_bar_signatures.mid": [run(*SCALE, 60, 62, 64, 65, *SCALE)],
    "mid_rmid.mid": [run(*SCALE)],
    "mid_header_8_bytes.mid": [run(*SCALE)],
}
BARS = {  # bars of 16 steps in which the music must come, where that was wrong
    "xml_forward_at_bar_end.musicxml": 4,
    "xml_direction_past_bar.musicxml": 4,
    "xml_rounding_overfull.musicxml": 3,
    "mid_split_bar_signatures.mid": 5,
    "abc_M_sum.abc": 2,
    "abc_Z_rest.abc": 4,
}
SIGNATURES = {  # the time signatures that the score must state: tick 0, numerator, denominator
    "abc_file_header.abc": (3, 4),
    "abc_M_sum.abc": (4, 4),
    "xml_rounding_overfull.musicxml": (4, 4),
    "xml_forward_at_bar_end.musicxml": (4, 4),
}
REFUSED = {
    "xml_unpitched.musicxml": Reason.DRUMS_ONLY,
    "xml_not_musicxml.xml": Reason.NOT_MUSIC,
}


def read(name: str) -> Score:
    """The one score of a case."""
    (score,) = read_scores((FOLDER / name).read_bytes(), Path(name).suffix)
    assert isinstance(score, Score)
    return score


def notes_of(score: Score) -> list[list[Note]]:
    """The notes of each track, sorted, in quarters."""
    unit = score.ticks_per_quarter
    columns = [(t.pitch.tolist(), (t.start / unit).tolist(), (t.end / unit).tolist()) for t in score.tracks]
    return [sorted(zip(*track, strict=True)) for track in columns]


@pytest.mark.parametrize("name", NOTES)
def test_the_notes_are_right(name):
    found, expected = notes_of(read(name)), [sorted(track) for track in NOTES[name]]
    if len(expected) == 1:
        found = [sorted(note for track in found for note in track)]
    assert len(found) == len(expected)
    for ours, right in zip(found, expected, strict=True):
        assert [note[0] for note in ours] == [note[0] for note in right]
        np.testing.assert_allclose([note[1:] for note in ours], [note[1:] for note in right], atol=0.01)


@pytest.mark.parametrize("name", BARS)
def test_the_bars_are_right(name):
    song = score_to_song(read(name), name, b"", CorpusSettings(source="", max_bars=0))
    assert isinstance(song, Song), song
    assert len(song.bars) == BARS[name]


@pytest.mark.parametrize("name", SIGNATURES)
def test_the_metre_is_right(name):
    assert read(name).time_signatures.tolist() == [[0, *SIGNATURES[name]]]


def test_a_pickup_stands_before_the_first_downbeat():
    score = read("xml_pickup_measure_rest.musicxml")
    assert score.pickup == score.ticks_per_quarter
    assert read("xml_forward_first_bar.musicxml").pickup == 0
    assert read("xml_direction_past_bar.musicxml").pickup == 0


@pytest.mark.parametrize("name", ["xml_key_step.musicxml", "xml_key_8_sharps.musicxml"])
def test_a_key_that_has_no_name_is_left_out(name):
    assert read(name).keys == ()


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_says_why(name):
    with pytest.raises(Skip) as caught:
        song = score_to_song(read(name), name, b"", CorpusSettings(source=""))
        raise Skip(Reason(song.reason), song.detail)
    assert caught.value.reason == REFUSED[name]
