"""Files of the user's as seeds: which bars, what setting, and one clear line for each that cannot be one."""

import os
import re
import subprocess
import sys

import mido
import music21
import numpy as np
import pytest

from mcvae_jax.errors import UserError
from mcvae_jax.models.bar_codec import BarCodec
from mcvae_jax.models.latent_composer import BarByBar
from mcvae_jax.models.vae import VAE
from mcvae_jax.music.midi import read_midi, write_midi
from mcvae_jax.music.readers import FORMATS, limits_of
from mcvae_jax.music.score import Score, Track
from mcvae_jax.music.tokens import NO_EVENT
from mcvae_jax.sampling.seeds import check_seeds, read_seed
from mcvae_jax.sampling.song import Setting

pytestmark = pytest.mark.usefixtures("read_here")  # test_seeds_by_children.py has what children are for

ABC = "X:1\nT:One\nM:4/4\nL:1/4\nK:G\nGABc|dcBA|G4|]\n"
WALTZ = "X:1\nT:Waltz\nM:3/4\nL:1/4\nK:C\nCDE|FGA|C3|]\n"


def track(notes, name="Melody", is_drum=False):
    """Notes (start, end, pitch) in quarters."""
    start, end, pitch = np.array(notes).T
    return Track(
        name, 9 if is_drum else -1, is_drum, *(np.rint(x).astype(int) for x in (480 * start, 480 * end, pitch))
    )


def write(path, *tracks, tempos=((0, 110.0),), metre=(4, 4), keys=()):
    write_midi(path, Score(tracks, 480, np.array([[0, *metre]]), np.array(tempos), keys, "Title"))
    return path


def scale(quarters):
    return [(q, q + 1, 60 + q % 12) for q in range(quarters)]


def test_the_last_and_the_first_bars(tmp_path):
    path = write(tmp_path / "a.mid", track(scale(24)))
    last, first = read_seed(path, 2), read_seed(path, 2, "first")
    assert last.bars.shape == (2, 16) and last.bars.dtype == np.uint8
    assert last.bars[:, ::4].ravel().tolist() == [60 + q % 12 for q in range(16, 24)]
    assert first.bars[:, ::4].ravel().tolist() == [60 + q for q in range(8)]
    assert np.all(np.delete(last.bars, np.s_[::4], axis=1) == NO_EVENT)
    assert (last.total, last.title, last.notes) == (6, "a", ())
    whole = read_seed(path, 9).bars
    for seed in (last, first):
        assert np.array_equal(np.concatenate([seed.before, seed.bars, seed.after]), whole)
    assert (len(last.before), len(first.before)) == (4, 0) and np.array_equal(last.up_to_here, whole)
    assert np.array_equal(first.up_to_here, whole[:2])


def test_tempo_metre_and_key_are_kept(tmp_path):
    """The tempo that holds longest: 140 for 4 of 6 bars; the key at the first note of the melody."""
    tempos = ((0, 60.0), (1920, 140.0), (5 * 1920, 90.0))
    path = write(tmp_path / "a.mid", track(scale(24)), tempos=tempos, metre=(2, 4), keys=((0, "Em"), (3840, "G")))
    tempo, metre, key = read_seed(path, 2).setting[:3]
    assert (round(tempo), metre, key) == (140, (2, 4), "Em")
    assert read_seed(path, 2, metre="4/4").setting.metre == (4, 4)
    bare = tmp_path / "bare.mid"
    write_midi(bare, Score((track(scale(8)),), 480, np.empty((0, 3), int), np.empty((0, 2))))
    assert read_seed(bare, 2).setting == Setting(120.0) and read_seed(bare, 2).title == "bare"


def test_fewer_bars_than_asked_are_all_taken_and_it_is_said(tmp_path):
    seed = read_seed(write(tmp_path / "a.mid", track(scale(12))), 8)
    assert len(seed.bars) == 3 and "3 bars, fewer than the 8 asked" in seed.notes[0]


def test_chords_and_other_tracks_are_told_of(tmp_path):
    chords = [(q, q + 1, p) for q in range(8) for p in (60, 64, 67 + q)]
    bass = track([(0, 8, 40)], "Bass")
    seed = read_seed(write(tmp_path / "a.mid", bass, track(chords)), 2)
    assert seed.bars[:, ::4].ravel().tolist() == [67 + q for q in range(8)]
    assert "track 'Melody' of 2" in seed.notes[0] and "top note is the melody (16 left out)" in seed.notes[1]
    assert read_seed(tmp_path / "a.mid", 2, melody="name:bass").bars[0, 0] == 40


def test_what_is_kept_of_a_file_is_said_and_what_is_left_out(tmp_path):
    tempos, bass = ((0, 96.0), (1920, 80.0)), track([(0, 24, 40)], "Bass")
    path = write(tmp_path / "a.mid", bass, track(scale(24)), tempos=tempos)
    kept = "kept as in the file: 2 tracks, 2 tempos, instruments and velocities"
    first, last = read_seed(path, 2, "first"), read_seed(path, 2)
    assert first.told("before") == [kept, "left out: bars 3 to 6, and over composed bars the other track"]
    assert last.told("before") == [kept, "left out: over composed bars the other track"]
    assert first.told("all") == [kept] and first.told("heard") == [kept, "left out: bars 3 to 6"]
    assert last.told("heard") == ["left out: all but the melody of bars 5 to 6"]
    # running status after a system exclusive message, which mido does not read
    notes = b"\x00\x90\x3c\x40\x83\x60\x3c\x00\x00\xf0\x01\xf7\x00\x3e\x40\x83\x60\x3e\x00\x00\xff\x2f\x00"
    path.write_bytes(b"MThd\0\0\0\6\0\0\0\1\1\xe0MTrk\0\0\0" + bytes([len(notes)]) + notes)
    (line,) = read_seed(path, 8).told("all")
    assert line.startswith("its other tracks, velocities and changes of tempo are left out, since it is damaged")


def swung(quarters):
    return [row for q in range(quarters) for row in ((q, q + 2 / 3, 60 + q % 7), (q + 2 / 3, q + 1, 62 + q % 5))]


def triplets(quarters):
    return [(q + n / 3, q + (n + 1) / 3, 60 + (q + n) % 9) for q in range(quarters) for n in range(3)]


def late(quarters):
    """A tenth of a sixteenth late, as people play."""
    return [(q + 0.025, q + 1, 60 + q % 7) for q in range(quarters)]


@pytest.mark.parametrize(
    ("notes", "told"),
    [
        (swung(16), "50% of onsets moved: .* This is swing; a model of --config.corpus.steps_per_bar=24"),
        (triplets(8) + [(q, q + 1, 60) for q in range(8, 16)], "50% of onsets moved: .* This is triplets"),
        ([(q / 8, q / 8 + 0.1, 60 + q % 5) for q in range(64)], "50% of onsets moved: .* in sixteenths alone$"),
        (late(16), None),
        (scale(16), None),
    ],
)
def test_triplets_and_swing_are_said_before_they_are_flattened(tmp_path, notes, told):
    path = write(tmp_path / "a.mid", track(notes))
    lines = [line for line in read_seed(path, 8, steps=16).notes if "moved" in line]
    assert (len(lines) == 1 and re.search(told, lines[0])) if told else not lines
    if told and "24" in told or told and "triplets" in told:
        assert not [line for line in read_seed(path, 8, steps=24).notes if "moved" in line]


def test_bars_of_24_steps_play_swing_and_triplets_as_they_are_written(tmp_path):
    """From the file to bars, and back to a file: mido finds every onset on its tick."""
    path = write(tmp_path / "a.mid", track(swung(8) + [(q + 8, e + 8, p) for q, e, p in triplets(8)]))
    seed = read_seed(path, 8, steps=24)
    song = seed.as_song()
    assert song.bars.shape == (4, 24) and song.kept is None
    song.save(tmp_path / "b.mid")
    onsets = []
    for name in ("a.mid", "b.mid"):
        file, now = mido.MidiFile(tmp_path / name), 0
        onsets.append([])
        for message in file.tracks[1]:
            now += message.time
            if message.type == "note_on" and message.velocity:
                onsets[-1].append(round(now * 720 / file.ticks_per_beat))
    assert onsets[0] == onsets[1] and len(onsets[0]) == 40


def test_bars_are_numbered_as_they_are_printed(tmp_path):
    path = tmp_path / "a.abc"
    path.write_text(ABC.replace("GABc", "D|GABc"))
    seed = read_seed(path, 2)
    assert seed.numbers.of(0) == 0 and seed.numbers.span(0, seed.total) == "0 to 3"
    bars = write(tmp_path / "b.mid", track([(q + 16, q + 17, 60) for q in range(8)]), track([(0, 24, 40)], "Bass"))
    assert read_seed(bars, 9).numbers.span(0, 2) == "5 to 6"  # after four bars of the other track


def test_the_midi_of_a_notation_has_all_its_parts_and_its_pickup(tmp_path):
    path = tmp_path / "a.abc"
    path.write_text("X:1\nM:4/4\nL:1/4\nQ:1/4=96\nK:G\nV:1\nD|GABc|(3dcB A G|G4|]\nV:2\nz|G,4|D,4|G,4|]\n")
    seed = read_seed(path, 9)
    song = seed.as_song()._replace(kept=seed.kept)
    song.save(tmp_path / "b.mid")
    file = mido.MidiFile(tmp_path / "b.mid")
    assert file.ticks_per_beat == 480 and len(file.tracks) == 3
    signatures = [(m.numerator, m.denominator, m.time) for m in file.tracks[0] if m.type == "time_signature"]
    assert signatures == [(1, 4, 0), (4, 4, 480)]
    score = read_midi((tmp_path / "b.mid").read_bytes())
    assert score.tracks[0].start.tolist()[:8] == [0, 480, 960, 1440, 1920, 2400, 2720, 3040]
    assert score.tracks[1].start.tolist() == [480, 2400, 4320] and round(score.tempos[0, 1]) == 96


SYMBOLS = [(480, "G"), (2400, "D/F#"), (3360, "Em7")]


def chord_symbols(path):
    """Tick and text of the texts in the first track of a MIDI file, by mido."""
    found, now = [], 0
    for message in mido.MidiFile(path, charset="utf-8").tracks[0]:
        now += message.time
        if message.type == "text":
            found.append((now, message.text))
    return found


def test_chord_symbols_of_notations_stand_in_the_midi(tmp_path):
    path = tmp_path / "a.abc"
    tune = 'X:1\nM:4/4\nL:1/4\nK:G\nD|"G""^up"GABc|"D/F#"dc"Em7"BA|]\n'
    path.write_text(tune)
    seed = read_seed(path, 9)
    song = seed.as_song()._replace(kept=seed.kept)
    song.save(tmp_path / "b.mid")
    assert chord_symbols(tmp_path / "b.mid") == SYMBOLS
    assert "chord symbols" in seed.told("all")[0]
    # the same as MusicXML, written by music21
    music21.converter.parse(tune, format="abc").write("musicxml", tmp_path / "a.musicxml")
    again = read_seed(tmp_path / "a.musicxml", 9)
    again.as_song()._replace(kept=again.kept).save(tmp_path / "c.mid")
    assert [text for _, text in chord_symbols(tmp_path / "c.mid")] == [text for _, text in SYMBOLS]
    path.write_text(tune.replace("|]", ":|"))  # what is repeated has its symbols again
    repeated = read_seed(path, 9)
    repeated.as_song()._replace(kept=repeated.kept).save(tmp_path / "d.mid")
    assert [text for _, text in chord_symbols(tmp_path / "d.mid")] == 2 * [text for _, text in SYMBOLS]


def test_a_book_gives_its_first_tune_or_the_one_asked_for(tmp_path):
    path = tmp_path / "book.abc"
    path.write_text(WALTZ + "\n" + ABC.replace("X:1", "X:2") + "\n" + ABC.replace("X:1\nT:One", "X:3\nT:Two"))
    seed = read_seed(path, 4)
    assert seed.title == "One" and "tune 2 of 3" in seed.notes[0] and seed.setting.key == "G"
    assert read_seed(path, 4, tune=3).title == "Two"
    with pytest.raises(UserError, match="holds 3 tune.s., so there is no --tune=4"):
        read_seed(path, 4, tune=4)
    with pytest.raises(UserError, match="3/4.*--metre=4/4"):
        read_seed(path, 4, tune=1)


def test_music_in_three_can_be_forced_into_bars_of_16(tmp_path):
    path = write(tmp_path / "a.mid", track(scale(24)), metre=(3, 4))
    with pytest.raises(UserError, match="the model knows bars of 16 sixteenths; --metre=4/4"):
        read_seed(path, 4)
    seed = read_seed(path, 4, metre="4/4")
    assert len(seed.bars) == 4 and seed.setting.metre == (4, 4)


@pytest.mark.slow
def test_ten_thousand_bars(tmp_path):
    seed = read_seed(write(tmp_path / "a.mid", track(scale(40_000))), 16)
    assert seed.bars.shape == (16, 16) and seed.total == 10_000


def test_pitches_that_a_model_cannot_say_are_refused(tmp_path):
    seed = read_seed(write(tmp_path / "a.mid", track(scale(8))), 2)  # 60 to 67

    def check(low, high):
        check_seeds([seed], BarByBar(BarCodec(VAE(min_pitch=low, max_pitch=high), None)))

    check(60, 67)
    for low, high in ((61, 127), (0, 66)):
        with pytest.raises(
            UserError, match=rf"'a' has pitches from 60 to 67, and the VAE \(bar by bar\) knows those from {low} to"
        ):
            check(low, high)


def refused(path, **options):
    with pytest.raises(UserError) as caught:
        read_seed(path, 8, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_cannot_be_a_seed_is_one_line_that_says_what_to_do(tmp_path):
    good = write(tmp_path / "good.mid", track(scale(8)))
    assert "there is no file" in refused(tmp_path / "none.mid")
    assert "is a folder" in refused(tmp_path)
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    assert "they end in .mid" in refused(tmp_path / "a.wav")
    (tmp_path / "empty.mid").write_bytes(b"")
    assert "empty file" in refused(tmp_path / "empty.mid")
    (tmp_path / "text.mid").write_bytes(b"hello, this is no music at all")
    assert "give MIDI, ABC" in refused(tmp_path / "text.mid")
    (tmp_path / "cut.mid").write_bytes(good.read_bytes()[:60])
    assert "cannot be a seed" in refused(tmp_path / "cut.mid")
    drums = write(tmp_path / "drums.mid", track(scale(8), "Drums", is_drum=True))
    assert "a melody beside the drums" in refused(drums)
    silent = tmp_path / "silent.mid"
    write_midi(silent, Score((), 480, np.array([[0, 4, 4]]), np.array([[0, 110.0]])))
    assert "no notes" in refused(silent)
    assert "--melody=auto" in refused(good, melody="name:flute")
    assert "melody='top'" in refused(good, melody="top")
    assert "metre='4'" in refused(good, metre="4")
    with pytest.raises(UserError, match="seed_bars is 0"):
        read_seed(good, 0)


def test_what_reads_a_seed_starts_without_jax():
    path = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    code = "import sys, mcvae_jax.sampling.seeds; print('jax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | path, capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


def test_limits_go_by_the_size_of_a_file():
    small, large = limits_of(".abc", 60), limits_of(".abc", 1 << 20)
    assert small.seconds < 11 < large.seconds < 60 and small.mebibytes == large.mebibytes == 1024
    assert limits_of(".mid", 60) == limits_of(".mid", 4 << 20)
    assert limits_of(".krn", 10**12) == limits_of(".krn", FORMATS[".krn"].max_bytes)
