"""Readers of MusicXML: ours, music21, partitura and verovio."""

import codecs
import re
import tempfile
import warnings

from experiments.readers import Note, Peer, music21_notes, verovio_notes
from mcvae_jax.music.measures import piece_to_score
from mcvae_jax.music.musicxml.archive import PACKED, unpack
from mcvae_jax.music.musicxml.piece import parts_to_piece
from mcvae_jax.music.musicxml.tree import read_tree
from tests import musicxml as xml
from tests.music.test_cases import FOLDER, NOTES
from tests.musicxml import attributes, ending, note, notes, part, repeat, score, time

REFERENCE = "music21"
SUFFIXES = (".xml", ".musicxml", ".mxl")
_REPEATS = re.compile(rb"<(repeat|ending)\b[^>]*?(/>|>.*?</\1>)|\b(dacapo|dalsegno|segno|tocoda|coda|fine)=\"[^\"]*\"")
_SHAPES = {"2": "<type>eighth</type>", "4": "<type>quarter</type>", "8": "<type>half</type>"}
_SHAPES |= {"12": "<type>half</type><dot/>", "16": "<type>whole</type>"}
_TUNE = notes("C4 D4 E4 F4")


def cases() -> dict[str, tuple[bytes, list[Note]]]:
    """The cases of tests/cases that have notes, and inputs written from the standard."""
    small = {name: (FOLDER / name).read_bytes() for name in NOTES if name.startswith(("xml_", "mxl_"))}
    found = {
        name: (unpack(data) if data.startswith(PACKED) else data, [n for track in NOTES[name] for n in track])
        for name, data in small.items()
    }
    written = {name: (_with_shapes(score(*parts)).encode(), right) for name, (parts, right) in _standard().items()}
    return found | written


def _with_shapes(text: str) -> str:
    """Notes say what they look like, too; verovio goes by that, and not by their <duration>."""

    def shape(found: re.Match) -> str:
        return found[0] if "<type>" in found[0] else found[1] + _SHAPES.get(found[2], "") + found[3]

    return re.sub(r"(<note>(?:(?!</note>).)*?<duration>(\d+)</duration>)(.*?</note>)", shape, text)


def _run(*pitches: int, start: float = 0.0, length: float = 1.0) -> list[Note]:
    return [(pitch, start + length * k, start + length * (k + 1)) for k, pitch in enumerate(pitches)]


def _standard() -> dict[str, tuple[list[str], list[Note]]]:
    """Parts, and the notes that must sound, as MusicXML 4.0 has it; a kind of fault each."""
    tune = _run(60, 62, 64, 65)
    tie, end, tied = '<tie type="start"/>', '<tie type="stop"/>', '<notations><tied type="{}"/></notations>'
    rest = '<note><rest measure="yes"/><duration>16</duration></note>'
    repeated = attributes('<measure-style><measure-repeat type="start">1</measure-repeat></measure-style>')
    transposed = "<transpose><chromatic>-2</chromatic><octave-change>-1</octave-change></transpose>"
    doubled = "<transpose><chromatic>0</chromatic><double/></transpose>"
    staves = [f"<voice>{k}</voice><staff>{k}</staff>" for k in (1, 2)]
    back = "<backup><duration>{}</duration></backup>"
    dacapo, fine = '<sound dacapo="yes"/>', '<sound fine="yes"/>'
    return {
        "grace": (
            [
                part(
                    note("C4", 8)
                    + "<note><grace/><pitch><step>B</step><octave>4</octave></pitch></note>"
                    + note("D4", 8)
                )
            ],
            _run(60, 62, length=2),
        ),
        "tied alone": ([part(note("C4", 16, tied.format("start")), note("C4", 16, tied.format("stop")))], [(60, 0, 8)]),
        "tie over voices": (
            [part(note("C4", 16, tie + "<voice>1</voice>"), note("C4", 16, end + "<voice>2</voice>"))],
            [(60, 0, 8)],
        ),
        "tie over staves": ([part(note("C4", 16, tie + staves[0]), note("C4", 16, end + staves[1]))], [(60, 0, 8)]),
        "tie without an end": ([part(note("C4", 16, tie), note("C4", 16))], [(60, 0, 8)]),
        "no divisions": ([part(note("C4", 24, "<type>quarter</type>") * 4, metre="")], _run(60, 60, 60, 60)),
        "divisions in mid-measure": (
            [part(note("C4", 8) + attributes("<divisions>1</divisions>") + note("D4", 2))],
            _run(60, 62, length=2),
        ),
        "decimal divisions": ([part(attributes("<divisions>0.5</divisions>") + note("C4", 2))], [(60, 0, 4)]),
        "measure repeat": ([part(_TUNE, repeated + rest)], tune + _run(60, 62, 64, 65, start=4)),
        "transpose": ([part(attributes(transposed) + note("C4", 16))], [(46, 0, 4)]),
        "octave doubled": ([part(attributes(doubled) + note("C4", 16))], [(48, 0, 4), (60, 0, 4)]),
        "backup below zero": ([part(note("C4", 16) + back.format(99) + note("E4", 16))], [(60, 0, 4), (64, 0, 4)]),
        "backup and voices": (
            [part(note("E4", 16, staves[0]) + back.format(16) + note("C3", 16, staves[1]))],
            [(64, 0, 4), (48, 0, 4)],
        ),
        "parts of two lengths": ([part(_TUNE), part(note("C3", 16), note("D3", 16))], tune + _run(48, 50, length=4)),
        "first part empty": (["", part(_TUNE)], tune),
        "sum of beats": ([part(note("C4", 10), note("D4", 10), metre=time("3+2", 8))], _run(60, 62, length=2.5)),
        "full rest too long": ([part(note("C4", 12), rest, note("D4", 12), metre=time(3))], [(60, 0, 3), (62, 6, 9)]),
        "a rest past the metre": ([part(_TUNE + note("r", 16), _TUNE)], tune + _run(60, 62, 64, 65, start=4)),
        "an overfull part": (
            [part(_TUNE, _TUNE), part(note("C3", 20), note("D3", 16))],
            [*tune, *_run(60, 62, 64, 65, start=4), (48, 0, 4), (50, 4, 8)],
        ),
        "repeat": ([part(note("C4", 16), note("D4", 16, "") + repeat())], _run(60, 62, 60, 62, length=4)),
        "repeat three times": ([part(note("C4", 16) + repeat(3))], _run(60, 60, 60, length=4)),
        "two repeats without a start": (
            [part(note("C4", 16) + repeat(), note("D4", 16) + repeat())],
            _run(60, 60, 62, 62, length=4),
        ),
        "endings": (
            [part(note("C4", 16), ending("1, 2", note("D4", 16)), ending("3", note("E4", 16), back=False))],
            _run(60, 62, 60, 62, 60, 64, length=4),
        ),
        "bracket over the first measure alone": (
            [
                part(
                    note("C4", 16),
                    ending("1", note("D4", 16), back=False),
                    note("E4", 16) + repeat(),
                    ending("2", note("F4", 16), back=False),
                )
            ],
            _run(60, 62, 64, 60, 65, length=4),
        ),
        "da capo al fine": (
            [part(note("C4", 16), note("D4", 16) + fine, note("E4", 16) + dacapo)],
            _run(60, 62, 64, 60, 62, length=4),
        ),
        "slashes": ([part(_TUNE, note("B4", 16, "<notehead>slash</notehead>"))], tune),
        "channel 10": ([part(_TUNE), part(attributes("<clef><sign>percussion</sign></clef>") + note("E4", 16))], tune),
    }


def pieces(data: bytes, with_repeats: bool) -> list[bytes]:
    """The score of a file as plain XML in UTF-8; without repeats, its repeat signs and jumps are taken out."""
    data = unpack(data) if data.startswith(PACKED) else data
    if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        data = re.sub(r"^<\?xml[^>]*>", "", data.decode("utf-16")).encode()
    return [data if with_repeats else _REPEATS.sub(b"", data)]


def _ours(data: bytes) -> list[Note]:
    """As piece_to_score plays it, but measure after measure: no downbeat is moved."""
    piece = parts_to_piece(*read_tree(data))
    found = piece_to_score(piece._replace(measures=[m._replace(metre=None) for m in piece.measures]))
    return xml.played(found._replace(tracks=tuple(track for track in found.tracks if not track.is_drum)))


def _music21(data: bytes) -> list[Note]:
    from music21 import converter

    warnings.simplefilter("ignore")
    found = converter.parse(data, format="musicxml")
    for part_ in found.parts:
        if part_.atSoundingPitch is False:
            part_.toSoundingPitch(inPlace=True)
    if any(
        "Repeat" in type(mark).__name__ or "Final" in type(mark).__name__
        for mark in found.recurse().getElementsByClass(["Repeat", "RepeatMark"])
    ):
        found = found.expandRepeats()
    elements = [element for part_ in found.stripTies().parts for element in part_.flatten().notes]
    return music21_notes(elements)


def _partitura(data: bytes) -> list[Note]:
    import partitura

    warnings.simplefilter("ignore")
    with tempfile.NamedTemporaryFile(suffix=".musicxml") as file:
        file.write(data)
        file.flush()
        found = partitura.load_musicxml(file.name)
    rows: list[Note] = []
    for each in found.parts:
        unfolded = partitura.score.unfold_part_maximal(each)
        first = unfolded.quarter_map(unfolded.first_point.t)
        for row in unfolded.note_array():
            start = float(row["onset_quarter"] - first)
            rows += (
                [(int(row["pitch"]), start, start + float(row["duration_quarter"]))] if row["duration_quarter"] else []
            )
    return rows


def _verovio(data: bytes) -> list[Note]:
    return verovio_notes(data.decode("utf-8", "replace"))


PEERS = (
    Peer("mcvae_jax", (), _ours),
    Peer("music21", ("music21",), _music21),
    Peer("partitura", ("partitura",), _partitura),
    Peer("verovio", ("verovio",), _verovio),
)
