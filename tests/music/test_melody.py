"""Which track is the melody."""

import numpy as np
import pytest

from mcvae_jax.errors import UserError
from mcvae_jax.music.melody import choose_melody
from mcvae_jax.music.midi import read_midi
from mcvae_jax.music.score import Reason, Score, Skip, Track


def track(notes, name="", channel=-1, is_drum=False):
    """notes: (start, end, pitch) in quarters."""
    start, end, pitch = np.array(notes, np.int64).reshape(-1, 3).T
    return Track(name, channel, is_drum, start * 480, end * 480, pitch)


def score(*tracks):
    return Score(tracks, 480, np.empty((0, 3), np.int64), np.empty((0, 2)))


TUNE = track([(i, i + 1, p) for i, p in enumerate([67, 69, 71, 72, 71, 69, 67, 67, 65, 64, 65, 67] * 4)], "one", 0)
BASS = track([(i, i + 1, p) for i, p in enumerate([36, 43] * 24)], "two", 1)
CHORDS = track([(i, i + 2, p) for i in range(0, 48, 2) for p in (60, 64, 67)], "three", 2)
PAD = track([(i, i + 8, 76) for i in range(0, 48, 8)], "four", 3)
DRUMS = track([(i, i + 1, 80) for i in range(48)], "melody", 9, is_drum=True)


class TestAuto:
    @pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (4, 3, 2, 1, 0), (2, 4, 0, 1, 3)])
    def test_the_tune_among_accompaniment(self, order):
        tracks = [TUNE, BASS, CHORDS, PAD, DRUMS]
        assert choose_melody(score(*(tracks[i] for i in order)), "auto") is TUNE

    @pytest.mark.parametrize("name", ["MELODY", "Lead vocals", "Singer", "voice 1"])
    def test_a_telling_name_wins(self, name):
        named = CHORDS._replace(name=name)
        assert choose_melody(score(TUNE, named), "auto") is named

    def test_the_most_tuneful_of_telling_names(self):
        named = [t._replace(name="Voice") for t in (BASS, TUNE, CHORDS)]
        assert choose_melody(score(*named), "auto") is named[1]

    def test_one_note(self):
        lonely = track([(0, 1, 60)])
        assert choose_melody(score(lonely, BASS), "auto") in (lonely, BASS)


class TestChoice:
    def test_name(self):
        assert choose_melody(score(TUNE, BASS), "name:^TW") is BASS

    def test_index_counts_from_0(self):
        assert choose_melody(score(TUNE, BASS), "index:1") is BASS

    def test_channel_takes_all_its_notes(self):
        more = track([(100, 101, 50)], "five", 1)
        chosen = choose_melody(score(TUNE, BASS, more), "channel:1")
        assert len(chosen.start) == len(BASS.start) + 1

    def test_skyline(self):
        low = track([(0, 4, 48), (5, 7, 50)])
        high = track([(0, 2, 60), (1, 3, 64), (6, 8, 55)])
        top = choose_melody(score(low, high), "skyline")
        notes = (top.start // 480).tolist(), (top.end // 480).tolist(), top.pitch.tolist()
        assert notes == ([0, 1, 5, 6], [1, 3, 6, 8], [60, 64, 50, 55])

    def test_skyline_leaves_out_drums(self):
        assert 80 not in choose_melody(score(TUNE, DRUMS), "skyline").pitch

    @pytest.mark.parametrize("how", ["name:violin", "index:7", "channel:8"])
    def test_no_such_track(self, how):
        with pytest.raises(Skip) as raised:
            choose_melody(score(TUNE, BASS), how)
        assert raised.value.reason == Reason.NO_MELODY

    @pytest.mark.parametrize("how", ["auto", "skyline", "index:0", "name:melody"])
    def test_drums_only(self, how):
        with pytest.raises(Skip) as raised:
            choose_melody(score(DRUMS), how)
        assert raised.value.reason == Reason.DRUMS_ONLY

    @pytest.mark.parametrize("how", ["", "first", "index:", "index:-1", "index:x", "channel:16", "name:(", "auto:1"])
    def test_bad_choice(self, how):
        with pytest.raises(UserError, match="melody="):
            choose_melody(score(TUNE), how)


def scores_of(folder):
    return [read_midi(path.read_bytes()) for path in sorted(folder.glob("*.mid"))]


def test_pop909_by_name_and_without_names(real_midi):
    scores = scores_of(real_midi / "pop909")
    assert all(choose_melody(s, "auto").name == "MELODY" for s in scores)
    hits = 0
    for s in scores:
        nameless = s._replace(tracks=tuple(t._replace(name="") for t in reversed(s.tracks)))
        hits += np.array_equal(choose_melody(nameless, "auto").start, choose_melody(s, "name:^MELODY$").start)
    assert hits / len(scores) > 0.93  # 0.95 when the weights were chosen


def test_nottingham_has_one_line(real_midi):
    scores = scores_of(real_midi / "nottingham")
    assert all(len(choose_melody(s, "auto").start) == sum(len(t.start) for t in s.tracks) for s in scores)
