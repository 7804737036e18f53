"""Readers of Humdrum **kern: ours, music21, converter21, partitura and verovio (which holds humlib)."""

import re
import tempfile
import warnings

from experiments.readers import Note, Peer, verovio_notes
from mcvae_jax.music.humdrum import segment_to_piece, split_segments
from mcvae_jax.music.measures import piece_to_score
from mcvae_jax.music.notation import text_of
from mcvae_jax.music.score import Score
from tests.music.test_cases import FOLDER, NOTES
from tests.music.test_humdrum import PITCHES, PLAYED, SPINES, TOKENS, kern

REFERENCE = "verovio"
SUFFIXES = (".krn",)
_GRACE = re.compile("[qQ]")


def cases() -> dict[str, tuple[bytes, list[Note]]]:
    """The cases of tests/cases, and inputs written from the reference manual."""
    small = {
        name: ((FOLDER / name).read_bytes(), [note for track in NOTES[name] for note in track])
        for name in NOTES
        if name.startswith("krn_")
    }
    written = {name: (kern(*lines), notes) for name, (lines, notes) in (TOKENS | SPINES).items()}
    played = {
        name: (kern(*lines), [(PITCHES[letter], 4.0 * k, 4.0 * k + 4) for k, letter in enumerate(order)])
        for name, (lines, order) in PLAYED.items()
    }
    return small | written | played


def pieces(data: bytes, with_repeats: bool) -> list[bytes]:
    """The pieces of a file, without what readers play differently: grace notes, and the sign of an arpeggio.

    Without repeats, its sections, repeat signs and double bars are taken out.
    """
    return [_simplified(text, with_repeats).encode() for _, text in split_segments(text_of(data))]


def _simplified(text: str, with_repeats: bool) -> str:
    lines = []
    for line in text.split("\n"):
        if line and line[0] not in "*!=":
            plain = "\t".join("." if _GRACE.search(token) else token.replace(":", "") for token in line.split("\t"))
            if _GRACE.search(line) and not re.search(r"\d", plain):
                continue  # verovio misreads a line of nulls at the beginning of a measure
            line = plain
        elif not with_repeats and line.startswith("="):
            line = re.sub(r"(=\d*)[^\t]*", r"\1", line)
        elif not with_repeats and line.startswith("*"):
            line = re.sub(r"\*>[^\t]*", "*", line)
        lines.append(line)
    return "\n".join(lines)


def notes_of(score: Score) -> list[Note]:
    """All notes of a score but those of drums, in quarters."""
    unit = score.ticks_per_quarter
    columns = [
        (t.pitch.tolist(), (t.start / unit).tolist(), (t.end / unit).tolist()) for t in score.tracks if not t.is_drum
    ]
    return [note for column in columns for note in zip(*column, strict=True)]


def our_notes(data: bytes) -> list[Note]:
    """As piece_to_score plays it, but measure after measure: no downbeat is moved."""
    (segment,) = split_segments(text_of(data))
    piece = segment_to_piece(segment)
    return notes_of(piece_to_score(piece._replace(measures=[m._replace(metre=None) for m in piece.measures])))


def _streams(score) -> list[Note]:
    """The notes of a score of music21, repeats played where it can."""
    if score.recurse().getElementsByClass(["RepeatMark", "Repeat"]):
        score = score.expandRepeats()
    elements = [element for part in score.stripTies().parts for element in part.flatten().notes]
    return [
        (pitch.midi, float(element.offset), float(element.offset + element.quarterLength))
        for element in elements
        if not element.duration.isGrace
        for pitch in element.pitches
    ]


def _music21(data: bytes) -> list[Note]:
    from music21.humdrum.spineParser import HumdrumDataCollection

    collection = HumdrumDataCollection(data.decode().splitlines())
    collection.parse()
    return _streams(collection.stream)


def _converter21(data: bytes) -> list[Note]:
    import converter21
    from music21 import converter

    converter21.register()
    text = re.sub(r"(?m)^!!.*\n", "", data.decode())  # it stumbles over its metadata under music21 10
    return _streams(converter.parse(text, format="humdrum"))


def _partitura(data: bytes) -> list[Note]:
    import partitura

    warnings.simplefilter("ignore")
    with tempfile.NamedTemporaryFile(suffix=".krn") as file:
        file.write(data)
        file.flush()
        found = partitura.load_kern(file.name)
    rows: list[Note] = []
    for part in found.parts:  # its function that unfolds repeats fails on what it has read of Humdrum
        first = part.quarter_map(part.first_point.t)
        for row in part.note_array():
            if row["duration_quarter"]:
                start = float(row["onset_quarter"] - first)
                rows.append((int(row["pitch"]), start, start + float(row["duration_quarter"])))
    return rows


def played_by_verovio(data: bytes) -> list[Note]:
    """What verovio plays of a text of Humdrum."""
    return verovio_notes(data.decode(), inputFrom="humdrum")


PEERS = (
    Peer("mcvae_jax", (), our_notes),
    Peer("music21", ("music21",), _music21),
    Peer("converter21", ("converter21", "music21"), _converter21),
    Peer("partitura", ("partitura",), _partitura),
    Peer("verovio", ("verovio",), played_by_verovio),
)
