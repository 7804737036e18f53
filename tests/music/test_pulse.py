"""Which onsets keep to a pulse: against the mean resultant length of scipy, on made music and on real files."""

import numpy as np
import pytest
from scipy.stats import circvar

from experiments.performances import Way, performed
from mcvae_jax.corpus.build import build_corpus, without_pulse
from mcvae_jax.corpus.read import Song, read_songs, score_to_song
from mcvae_jax.corpus.settings import MIN_PULSE, CorpusSettings
from mcvae_jax.corpus.sources import Skipped
from mcvae_jax.music.melody import choose_melody
from mcvae_jax.music.pulse import DIVISIONS, pulse_of
from mcvae_jax.music.readers import read_scores
from mcvae_jax.music.score import Reason, Score, Skip, Track
from tests import midi_oracle as raw

NONE = np.empty((0, 3), np.int64)


def score_of(quarters, pickup=-1, per_quarter=960):
    start = np.rint(np.asarray(quarters, float) * per_quarter).astype(np.int64)
    track = Track("", 0, False, start, start + per_quarter // 4, np.full(len(start), 60))
    return Score((track,), per_quarter, NONE, np.empty((0, 2)), pickup=pickup)


def pulse(quarters, **keywords):
    score = score_of(quarters, **keywords)
    return pulse_of(score, score.tracks[0])


def test_it_is_the_mean_resultant_length():
    quarters = np.cumsum(np.random.default_rng(1).gamma(2.0, 0.3, 200))
    score = score_of(quarters)
    time = score.tracks[0].start / 960
    expected = max(1 - circvar(time * k % 1, high=1.0, low=0.0) for k in DIVISIONS)
    assert pulse(quarters) == pytest.approx(expected) and expected < MIN_PULSE


@pytest.mark.parametrize("divisor", [1, 2, 3, 4, 6, 8, 12])
@pytest.mark.parametrize("first", [0.0, 0.13])
def test_onsets_on_any_usual_grid_keep_to_it_wherever_it_begins(divisor, first):
    steps = np.random.default_rng(divisor).integers(0, 400, 60)
    assert pulse(np.unique(steps) / divisor + first) > 0.99


def test_a_swung_tune_and_one_to_a_click_are_kept():
    rng = np.random.default_rng(2)
    beats = np.arange(100)
    assert pulse(np.sort(np.concatenate([beats, beats + 2 / 3]))) > 0.99
    straight = np.arange(200) / 2
    assert pulse(straight + rng.normal(0, 0.03, 200)) > MIN_PULSE  # 15 ms at 120


def test_a_source_that_states_its_measures_is_no_performance():
    quintuplets = np.arange(50) / 5
    assert pulse(quintuplets) < MIN_PULSE < pulse(quintuplets, pickup=0)


def test_a_performance_is_a_named_skip_or_kept_with_a_warning(tmp_path):
    (tmp_path / "free.mid").write_bytes(raw.midi(raw.melody(range(60, 76), 611)))
    (tmp_path / "strict.mid").write_bytes(raw.midi(raw.melody(range(60, 76), 480)))
    first, second = read_songs(CorpusSettings(str(tmp_path)), 1)
    assert isinstance(first, Skipped) and isinstance(second, Song)
    assert (first.name, first.reason) == ("free.mid", Reason.NO_PULSE)
    assert first.detail.endswith("of 1; min_pulse=0 keeps it")
    lines = []
    settings = CorpusSettings(str(tmp_path), min_pulse=0.0, held_out=0.0)
    assert len(build_corpus(settings, tmp_path / "c", 1, lines.append, pictures=False)) == 2
    (warning,) = [line for line in lines if "without a steady pulse" in line]
    assert warning.startswith(
        "warning: 1 of 2 songs are performances without a steady pulse ('free.mid' for one): 38% of"
    )
    assert without_pulse([second]) == ""
    (tmp_path / "strict.mid").unlink()
    with pytest.raises(Exception, match="no song of .* is left .a performance without a steady pulse: 1.*min_pulse=0"):
        build_corpus(CorpusSettings(str(tmp_path)), tmp_path / "d", 1, pictures=False)


def test_real_files_are_kept_and_performances_of_them_are_not(real_midi):
    """Every twentieth file; docs/music.md has the rates of all of them."""
    way, rng = Way(wander=0.05, jitter=0.02, knows_tempo=False), np.random.default_rng(0)
    settings = CorpusSettings("x", bars="fixed16")
    kept, caught = [], []
    for path in sorted(real_midi.rglob("*.mid"))[::20]:
        score = read_scores(path.read_bytes(), ".mid")[0]
        assert not isinstance(score, Skip)
        kept.append(isinstance(score_to_song(score, path.name, b"", settings), Song))
        free = performed(score, choose_melody(score, "auto"), way, rng)
        caught.append(isinstance(score_to_song(free, path.name, b"", settings), Skipped))
    assert len(kept) > 90 and all(kept) and np.mean(caught) > 0.97
