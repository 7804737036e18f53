"""A musician's own file with composed bars in it: mido, by a way of its own, finds the rest as it was."""

import io
from collections import Counter

import mido
import numpy as np
import pytest

from mcvae_jax.music.kept import NotKept, keep_midi
from mcvae_jax.music.midi import read_midi
from mcvae_jax.music.score import Track
from mcvae_jax.music.splice import Going, splice
from mcvae_jax.music.tokens import NO_EVENT, NOTE_OFF
from mcvae_jax.sampling.seeds import read_seed
from mcvae_jax.sampling.song import ComposedSong, check_song, write_song

pytestmark = pytest.mark.usefixtures("read_here")

QUARTER, BAR = 480, 1920
GOING = Going(90.0, (4, 4))
Message = mido.Message


def file_of(*tracks, kind=1):
    """A MIDI file of lists of (tick, message)."""
    file = mido.MidiFile(type=kind, ticks_per_beat=QUARTER)
    for events in tracks:
        track, now = mido.MidiTrack(), 0
        for tick, message in sorted(events, key=lambda event: event[0]):
            track.append(message.copy(time=tick - now))
            now = tick
        file.tracks.append(track)
    data = io.BytesIO()
    file.save(file=data)
    return data.getvalue()


def notes(channel, *rows):
    """Events of (start, end, pitch, velocity)."""
    return [
        event
        for start, end, pitch, velocity in rows
        for event in (
            (start, Message("note_on", channel=channel, note=pitch, velocity=velocity)),
            (end, Message("note_off", channel=channel, note=pitch, velocity=17)),
        )
    ]


CONDUCTOR = [
    (0, mido.MetaMessage("set_tempo", tempo=500_000)),
    (0, mido.MetaMessage("time_signature", numerator=4, denominator=4)),
    (BAR, mido.MetaMessage("set_tempo", tempo=700_000)),
    (QUARTER, mido.MetaMessage("text", text="Am")),
]
# played: a little before and after the beat, of several velocities, the last note ringing on
TUNE = notes(3, (5, 470, 60, 70), (485, 950, 62, 81), (950, 1900, 64, 90), (1915, 2900, 65, 84), (2880, 4100, 67, 76))
MELODY = [(0, Message("program_change", channel=3, program=40)), *TUNE]
CHORDS = [
    (0, Message("program_change", channel=0, program=24)),
    (0, Message("control_change", channel=0, control=64, value=127)),
    *notes(0, (0, BAR, 48, 50), (0, BAR, 52, 51), (BAR, 2 * BAR + 300, 50, 52), (2 * BAR, 3 * BAR, 55, 53)),
]
DRUMS = notes(9, *((QUARTER * n, QUARTER * n + 60, 36, 99) for n in range(12)))


def kept_of(data, *starts, channel=3):
    score = read_midi(data, channels=True)
    (melody,) = (track for track in score.tracks if track.channel == channel)
    return keep_midi(data, 0, melody, np.array(starts))


def events(file, before=None):
    """(chunk, tick, message) of all messages but the ends of tracks, counted, without their times."""
    found = Counter()
    for chunk, track in enumerate(file.tracks):
        now = 0
        for message in track:
            now += message.time
            if message.type != "end_of_track" and (before is None or now < before):
                found[chunk, now, str(message.copy(time=0))] += 1
    return found


def sounding(file):
    """(channel, start, end, pitch, velocity) of all notes, sorted; fails where one is stuck or ends twice."""
    found = []
    for track in file.tracks:
        now, waiting = 0, {}
        for message in track:
            now += message.time
            if message.type == "note_on" and message.velocity:
                waiting.setdefault((message.channel, message.note), []).append((now, message.velocity))
            elif message.type in ("note_on", "note_off"):
                start, velocity = waiting[message.channel, message.note].pop(0)
                found.append((message.channel, start, now, message.note, velocity))
        assert not any(waiting.values())
    return sorted(found)


def bars_of(*rows, bars):
    """(step, steps, pitch) as bars of 16."""
    tokens = np.full(16 * bars, NO_EVENT, np.uint8)
    for step, steps, pitch in rows:
        tokens[step] = pitch
        if step + steps < len(tokens) and tokens[step + steps] == NO_EVENT:
            tokens[step + steps] = NOTE_OFF
    return tokens.reshape(bars, 16)


HEARD = ((0, 4, 60), (4, 4, 62), (8, 8, 64), (16, 8, 65), (24, 8, 67))


def go_on(kept, *composed, bars=1):
    given = np.arange(2 + bars) < 2
    return splice(kept.up_to(2), bars_of(*HEARD, *composed, bars=2 + bars), given, GOING, [(2, "composed – ü")])


def test_what_the_file_holds_before_the_composed_bars_is_kept_message_by_message():
    data = file_of(CONDUCTOR, MELODY, CHORDS, DRUMS)
    before = mido.MidiFile(file=io.BytesIO(data))
    after = go_on(kept_of(data, 0, BAR, 2 * BAR), (32, 4, 72), (40, 8, 74))
    cut = 2 * BAR
    assert events(after, cut) == events(before, cut) and after.ticks_per_beat == QUARTER
    rest = [note for note in sounding(after) if note[1] >= cut]
    # in the channel of the melody, with the median of its velocities; the others are silent, and nothing sounds over
    assert rest == [(3, cut, cut + 480, 72, 81), (3, cut + 960, cut + 1920, 74, 81)]
    assert all(end <= cut for channel, start, end, _, _ in sounding(after) if start < cut)
    at_cut = [key[2] for key in events(after) if key[1] == cut]
    assert sum("control=64 value=0" in text for text in at_cut) == 1  # the pedal
    assert sum("set_tempo" in text and "666667" in text for text in at_cut) == 1
    assert not any("time_signature" in text for text in at_cut)


def test_a_composed_bar_may_hold_the_last_note_on():
    tokens = bars_of(*HEARD[:-1], (24, 12, 67), (40, 8, 74), bars=3)
    data = file_of(CONDUCTOR, MELODY)
    after = splice(kept_of(data, 0, BAR, 2 * BAR).up_to(2), tokens, np.arange(3) < 2, GOING)
    assert (3, 2880, 2 * BAR + 480, 67, 76) in sounding(after)


def test_bars_within_the_tune_give_way_in_the_melody_alone():
    data = file_of(CONDUCTOR, MELODY, CHORDS, DRUMS)
    before = mido.MidiFile(file=io.BytesIO(data))
    tokens = bars_of((0, 4, 72), (8, 8, 74), (16, 8, 65), (24, 8, 67), bars=2)
    after = splice(kept_of(data, 0, BAR, 2 * BAR), tokens, np.array([False, True]), GOING)
    both = [{note for note in sounding(file) if note[0] != 3} for file in (before, after)]
    assert both[0] == both[1]
    # 1915 lies before the bar line, and is the first note of the second bar all the same
    own = [(3, 1915, 2900, 65, 84), (3, 2880, 4100, 67, 76)]
    assert [note for note in sounding(after) if note[0] == 3] == [(3, 0, 480, 72, 81), (3, 960, 1920, 74, 81), *own]
    metas = [{key for key in events(file) if "MetaMessage" in key[2]} for file in (before, after)]
    assert metas[0] == metas[1]


def test_all_in_one_track():
    data = file_of([*CONDUCTOR, *MELODY, *CHORDS], kind=0)
    before = mido.MidiFile(file=io.BytesIO(data))
    after = go_on(kept_of(data, 0, BAR, 2 * BAR), (32, 4, 72))
    assert after.type == 0 and len(after.tracks) == 1 and events(after, 2 * BAR) == events(before, 2 * BAR)


def test_bends_fades_and_stuck_notes_do_not_reach_into_composed_bars():
    more = [
        (0, Message("control_change", channel=3, control=7, value=100)),
        (3000, Message("control_change", channel=3, control=7, value=5)),
        (3500, Message("pitchwheel", channel=3, pitch=900)),
        (3600, Message("note_on", channel=3, note=90, velocity=30)),
    ]
    data = file_of(CONDUCTOR, MELODY + more)
    after = go_on(kept_of(data, 0, BAR, 2 * BAR), (32, 4, 72))
    at_cut = " ".join(text for _, tick, text in events(after) if tick == 2 * BAR)
    assert "control=7 value=100" in at_cut and "pitch=0" in at_cut and "note_off channel=3 note=90" in at_cut
    gap = splice(kept_of(data, 0, BAR, 2 * BAR), bars_of((16, 8, 72), bars=2), np.array([True, False]), GOING)
    bends = [(tick, text) for _, tick, text in events(gap) if "pitchwheel" in text]
    assert [(tick, text.split()[2]) for tick, text in bends] == [(2 * BAR, "pitch=900")]


def test_a_melody_of_several_tracks_gives_way_in_all_of_them():
    """As the skyline of two tracks: only its own notes go."""
    data = file_of(CONDUCTOR, notes(0, (0, 960, 72, 60), (0, 960, 48, 61)), notes(1, (960, 1920, 74, 62)))
    melody = Track("", -1, False, np.array([0, 960]), np.array([960, 1920]), np.array([72, 74]))
    kept = keep_midi(data, 0, melody, np.array([0, BAR]))
    after = splice(kept, bars_of((0, 16, 80), bars=1), np.array([False]), GOING)
    assert [note[0::3] for note in sounding(after)] == [(0, 48), (0, 80)]


def test_a_bar_that_is_shorter_in_the_file_takes_what_has_room():
    data = file_of(CONDUCTOR, MELODY)
    kept = kept_of(data, 0, 960, 960 + BAR)  # a bar of 2/4 that is a bar of 16 steps to the model
    after = splice(kept, bars_of((0, 4, 72), (6, 4, 74), (12, 4, 76), bars=2), np.array([False, True]), GOING)
    assert [note for note in sounding(after) if note[3] > 70] == [(3, 0, 480, 72, 81), (3, 720, 960, 74, 81)]


def test_another_metre_and_a_cut_off_the_bar_line_are_written_where_composed_bars_begin():
    data = file_of(CONDUCTOR, MELODY)
    for starts, metre in (((0, BAR, 2 * BAR), (2, 4)), ((240, BAR + 240, 2 * BAR + 240), (4, 4))):
        kept = kept_of(data, *starts).up_to(2)
        after = splice(kept, bars_of(*HEARD, (32, 4, 72), bars=3), np.arange(3) < 2, Going(90.0, metre))
        signature = f"numerator={metre[0]}"
        assert any("time_signature" in text and signature in text and t == starts[-1] for _, t, text in events(after))


def test_what_mido_cannot_read_is_not_kept():
    data = file_of(CONDUCTOR, MELODY)
    melody = read_midi(data).tracks[0]
    with pytest.raises(NotKept, match="damaged"):
        keep_midi(data[:-30], 0, melody, np.array([0, BAR]))
    with pytest.raises(NotKept, match="none of its tracks"):
        keep_midi(data, 0, melody._replace(pitch=melody.pitch + 12), np.array([0, BAR]))


def composed_after(seed, bars):
    """A song that goes on from a seed, as `continue_` makes it, with random bars."""
    random = np.random.default_rng(len(seed.bars))
    tokens = random.choice([NO_EVENT, NO_EVENT, NOTE_OFF, 64, 67, 71], (bars, 16)).astype(np.uint8)
    own = seed.up_to_here
    song = ComposedSong(
        "x", "t", np.concatenate([own, tokens]), np.arange(len(own) + bars) < len(own), seed.setting, {}
    )
    return song._replace(numbers=seed.numbers, kept=seed.kept.up_to(len(own)))


@pytest.mark.parametrize("every", [600, pytest.param(20, marks=pytest.mark.slow)])
def test_real_files_stay_as_they_are_up_to_the_composed_bars(real_midi, tmp_path, every):
    paths = [path for name in ("pop909", "nottingham") for path in sorted((real_midi / name).rglob("*.mid"))[::every]]
    for path in paths:
        for which in ("first", "last"):
            try:
                seed = read_seed(path, 16, which, metre="4/4")
            except Exception as error:  # a performance, a waltz: not for this test
                assert "cannot be a seed" in str(error)
                continue
            song = composed_after(seed, 4)
            write_song(tmp_path / "x.mid", song)
            assert check_song(tmp_path / "x.mid", song) == "", path
            before, after = mido.MidiFile(path), mido.MidiFile(tmp_path / "x.mid")
            cut = int(song.kept.starts[-1])
            border = cut - before.ticks_per_beat // 8  # what starts half a step before the bar line belongs behind it
            assert events(after, border) == events(before, border), path
            sounding(after)
            assert any(start >= border for _, start, *_ in sounding(after))
            if which == "last":
                continue
            gap = composed_after(seed, 0)._replace(given=np.arange(16) // 2 != 3, kept=seed.kept.up_to(16))
            write_song(tmp_path / "x.mid", gap)
            assert check_song(tmp_path / "x.mid", gap) == "", path
            (voice,) = gap.kept.voices
            a, b = gap.kept.starts[[6, 8]]
            others = [
                [n for n in sounding(f) if n[1] < border and (n[0] != voice[1] or not a - 200 < n[1] < b)]
                for f in (before, mido.MidiFile(tmp_path / "x.mid"))
            ]
            assert sorted(n[1:2] + n[3:] for n in others[0]) == sorted(n[1:2] + n[3:] for n in others[1]), path
