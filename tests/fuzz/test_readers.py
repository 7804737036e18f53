"""Whatever a file of music holds, its reader gives music that makes sense, or a Skip in its own words, in time."""

import re
from functools import partial

import numpy as np
import pytest
from hypothesis import event, given

from mcvae_jax.corpus.read import Skipped, Song, score_to_song
from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.music.readers import limits_of, read_scores
from mcvae_jax.music.score import Reason, Score, Skip
from tests.fuzz import grammars
from tests.fuzz.bounds import within
from tests.fuzz.strategies import mutants
from tests.mutants import mutate_archive, mutate_bytes, mutate_lines, mutate_signs

pytestmark = pytest.mark.fuzz
SETTINGS = [
    CorpusSettings("x", bars="metre"),
    CorpusSettings("x", bars="fixed16", melody="channel:1", max_moved=0.5),
]


def check(data: bytes, suffix: str) -> None:
    """Reads bytes as a corpus does; AssertionError where that raises, gives nonsense, or takes too much."""
    with within(limits_of(suffix, len(data))):
        try:
            scores = read_scores(data, suffix, channels=True)
        except Skip as skip:
            scores = [skip]
        songs = [score_to_song(score, "x", b"", settings) for score in scores for settings in SETTINGS]
    assert scores
    event("music" if any(isinstance(score, Score) for score in scores) else str(scores[0].reason))
    for score in scores:
        if isinstance(score, Skip):
            assert score.reason in Reason
            assert not re.match(r"\w+(Error|Exception)\b", score.detail), score  # told, and not stumbled over
        else:
            check_score(score)
    for song in songs:
        if isinstance(song, Skipped):
            assert song.reason in Reason and song.detail.isprintable()
        else:
            assert isinstance(song, Song) and song.bars.shape[1:] == (16,) and song.bars.max() < 130


def check_score(score: Score) -> None:
    assert score.tracks and score.ticks_per_quarter > 0
    assert np.isfinite(score.tempos).all() and (score.tempos >= 0).all() and (score.time_signatures >= 0).all()
    for track in score.tracks:
        assert len(track.start) == len(track.end) == len(track.pitch) > 0
        assert (track.start >= 0).all() and (track.start <= track.end).all() and (np.diff(track.start) >= 0).all()
        assert ((track.pitch >= 0) & (track.pitch <= 127)).all()
        assert -1 <= track.channel < 16


@given(mutants(grammars.MIDI_SEEDS, mutate_bytes))
def test_mutants_of_midi(data):
    check(data, ".mid")


@given(grammars.midi_files())
def test_midi_of_any_events(data):
    check(data, ".mid")


@given(mutants(grammars.ABC_SEEDS, partial(mutate_signs, pieces=grammars.ABC_PIECES, others=grammars.ABC_SEEDS)))
def test_mutants_of_abc(data):
    check(data, ".abc")


@given(grammars.abc_books())
def test_abc_of_any_fields_and_signs(text):
    check(text.encode(), ".abc")


@given(mutants(grammars.XML_SEEDS, mutate_bytes) | mutants(grammars.XML_SEEDS, grammars.mutate_xml))
def test_mutants_of_musicxml(data):
    check(data, ".musicxml")


@given(grammars.musicxml_scores())
def test_musicxml_of_any_elements(text):
    check(text.encode(), ".musicxml")


@given(mutants(grammars.MXL_SEEDS, mutate_bytes) | mutants(grammars.MXL_SEEDS, mutate_archive))
def test_mutants_of_packed_musicxml(data):
    check(data, ".mxl")


@given(grammars.packed_scores())
def test_packed_musicxml_of_any_members(data):
    check(data, ".mxl")


@given(
    mutants(grammars.KERN_SEEDS, mutate_bytes)
    | mutants(grammars.KERN_SEEDS, partial(mutate_lines, words=grammars.KERN_WORDS))
)
def test_mutants_of_humdrum(data):
    check(data, ".krn")


@given(grammars.kern_files())
def test_humdrum_of_any_spines(data):
    check(data, ".krn")
