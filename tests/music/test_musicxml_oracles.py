"""Every note of MusicXML against an independent reader: music21, on the scores that it carries.

Compared is what stands in each measure: pitch as it sounds, onset, length. What the readers make of repeats, ties and
measures that do not fill their metre is compared with notes written out by hand (test_musicxml_measures).
"""

import importlib.util
import warnings
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest

from mcvae_jax.music.measures import TICKS_PER_QUARTER
from mcvae_jax.music.musicxml.archive import PACKED, unpack
from mcvae_jax.music.musicxml.tree import read_tree

pytest.importorskip("music21")

CORPUS = Path(importlib.util.find_spec("music21").submodule_search_locations[0]) / "corpus"
FILES = sorted(path for path in CORPUS.rglob("*") if path.suffix in (".xml", ".mxl", ".musicxml"))
GRID = 96  # parts of a quarter, to which both readers' times are rounded

# Where the two differ: how many notes are ours alone and music21's alone, and what the standard says.
DIFFERENCES = {
    "dichterliebe_no2.xml": (0, 4, "cue notes, which do not sound"),
    "opus48no2.mxl": (0, 4, "cue notes, which do not sound"),
    "PMFC_13_04-Credo Cursor.xml": (1, 1, "an <accidental> that is printed without an <alter> does not sound"),
    "Lindenbaum.xml": (6, 6, "notes of chords that are shorter than the chord and tied on: the tie holds them"),
    "opus59no2/movement2.mxl": (2, 2, "a half of 1/96 quarter, rounded up and rounded down"),
}

Row = tuple[int, int, int, int]  # measure, pitch, onset and length in GRID


def ours(data: bytes) -> Counter[Row]:
    unit = TICKS_PER_QUARTER / GRID
    return Counter(
        (i, note.pitch, round(note.onset / unit), round(note.duration / unit))
        for part in read_tree(data)[0]
        for i, bar in enumerate(part.bars)
        for _, note in bar.notes
    )


def music21s(data: bytes) -> Counter[Row]:
    from music21.musicxml.xmlToM21 import MusicXMLImporter

    importer = MusicXMLImporter()
    with warnings.catch_warnings(action="ignore"):
        importer.xmlRootToScore(ElementTree.fromstring(data), importer.stream)
        importer.stream.toSoundingPitch(inPlace=True)
    rows: Counter[Row] = Counter()
    for part in importer.stream.parts:
        for i, measure in enumerate(part.getElementsByClass("Measure")):
            for element in measure.recurse().notes:
                if "ChordSymbol" in element.classes or element.duration.isGrace:
                    continue
                onset, length = float(element.getOffsetInHierarchy(measure)), float(element.quarterLength)
                for pitch in getattr(element, "pitches", ()):
                    rows[i, pitch.midi, round(onset * GRID), round(length * GRID)] += 1
    return rows


def differing(path: Path) -> tuple[int, int]:
    """How many notes only we find, and only music21."""
    data = path.read_bytes()
    data = unpack(data) if data.startswith(PACKED) else data
    a, b = ours(data), music21s(data)
    return (a - b).total(), (b - a).total()


def known(path: Path) -> tuple[int, int]:
    """The difference that is listed for a file."""
    name = path.relative_to(CORPUS).as_posix()
    return next((found[:2] for end, found in DIFFERENCES.items() if name.endswith(end)), (0, 0))


SAMPLE = [path for path in FILES if path.stat().st_size < 12_000][::20] + [
    path for path in FILES if path.name in DIFFERENCES and path.stat().st_size < 200_000
]


@pytest.mark.parametrize("path", SAMPLE, ids=lambda path: path.name)
def test_some_scores_have_the_notes_that_music21_finds(path):
    assert differing(path) == known(path)


@pytest.mark.slow
def test_all_scores_have_the_notes_that_music21_finds():
    assert len(FILES) >= 600
    wrong = {path.name: found for path in FILES if (found := differing(path)) != known(path)}
    assert not wrong
