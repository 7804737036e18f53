"""Readers of MIDI: ours, symusic, mido, music21, pretty_midi and partitura."""

import io
import tempfile
import warnings

import symusic

from experiments.readers import Note, Peer
from mcvae_jax.music.midi import read_midi
from tests import midi_oracle
from tests.music.test_cases import FOLDER, NOTES
from tests.music.test_midi import SEMANTICS, SOUND, UNUSUAL

REFERENCE = "mido"
SUFFIXES = (".mid", ".midi")


def cases() -> dict[str, tuple[bytes, list[Note]]]:
    """The cases of tests/cases, and files that are not as the standard has them, or are so seldom."""
    small = {
        name: ((FOLDER / name).read_bytes(), [note for track in NOTES[name] for note in track])
        for name in NOTES
        if name.startswith("mid_")
    }
    sound = [(pitch, start / 480, end / 480) for _, notes in SOUND for start, end, pitch in notes]
    unusual = {name: (data, sound * times) for name, (data, times) in UNUSUAL.items()}
    plain = {name: midi_oracle.midi(midi_oracle.chunk(events)) for name, events in SEMANTICS.items()}
    return small | unusual | {name: (data, _mido(data)) for name, data in plain.items()}


def pieces(data: bytes, with_repeats: bool) -> list[bytes]:
    """The file; what is repeated in MIDI is written out."""
    return [data]


def _ours(data: bytes) -> list[Note]:
    score = read_midi(data)
    unit = score.ticks_per_quarter
    columns = [(t.pitch.tolist(), (t.start / unit).tolist(), (t.end / unit).tolist()) for t in score.tracks]
    return [note for column in columns for note in zip(*column, strict=True)]


def _symusic(data: bytes) -> list[Note]:
    score = symusic.Score.from_midi(data)
    unit = score.ticks_per_quarter
    return [(n.pitch, n.start / unit, n.end / unit) for track in score.tracks for n in track.notes]


def _mido(data: bytes) -> list[Note]:
    import mido

    unit = mido.MidiFile(file=io.BytesIO(data)).ticks_per_beat
    found = midi_oracle.read_notes(data)
    return [(pitch, start / unit, end / unit) for _, notes in found for start, end, pitch in notes]


def _music21(data: bytes) -> list[Note]:
    from music21.midi import MidiFile
    from music21.midi.translate import midiFileToStream

    warnings.simplefilter("ignore")
    file = MidiFile()
    file.openFileLike(io.BytesIO(data))
    file.read()
    elements = midiFileToStream(file, quantizePost=False).flatten().notes
    return [
        (pitch.midi, float(element.offset), float(element.offset + element.quarterLength))
        for element in elements
        for pitch in element.pitches
    ]


def _pretty_midi(data: bytes) -> list[Note]:
    import pretty_midi

    warnings.simplefilter("ignore")
    found = pretty_midi.PrettyMIDI(io.BytesIO(data))
    unit = found.resolution
    notes = [note for instrument in found.instruments for note in instrument.notes]
    return [(n.pitch, found.time_to_tick(n.start) / unit, found.time_to_tick(n.end) / unit) for n in notes]


def _partitura(data: bytes) -> list[Note]:
    import partitura

    warnings.simplefilter("ignore")
    with tempfile.NamedTemporaryFile(suffix=".mid") as file:
        file.write(data)
        file.flush()
        found = partitura.load_performance_midi(file.name)
    return [
        (note["midi_pitch"], note["note_on_tick"] / part.ppq, note["note_off_tick"] / part.ppq)
        for part in found.performedparts
        for note in part.notes
    ]


PEERS = (
    Peer("mcvae_jax", (), _ours),
    Peer("symusic", ("symusic",), _symusic),
    Peer("mido", ("mido",), _mido),
    Peer("music21", ("music21",), _music21),
    Peer("pretty_midi", ("pretty_midi",), _pretty_midi),
    Peer("partitura", ("partitura",), _partitura),
)
