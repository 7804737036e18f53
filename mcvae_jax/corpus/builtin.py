"""Music that needs no download: fiddle tunes that the music21 package carries, and twenty-odd of our own.

`builtin` reads two collections from the installed music21 package; nothing of them is copied into this
project. The tunes and the prints behind both are in the public domain; most transcriptions are signed, and
the files state neither a licence nor a restriction.

- Ryan's Mammoth Collection (Boston: Elias Howe, 1883): 1,059 ABC files, 'Contributed by Ray Davies' (462) and
  by John Chambers (325), John Walsh (92), Bob Puckette (62) and others; 110 name nobody.
- O'Neill's Music of Ireland (Chicago: Lyon & Healy, 1903; called oneills1850 after its 1,850 numbers): 39 ABC
  books with 2,009 transcriptions, since some numbers come twice, by Henrik Norbeck, Bob Safranek, Trish
  O'Neil, John Chambers, Dan G. Petersen, Michael Hogan, Stephen Foy, John B. Walsh and others.

music21's corpus/license.txt says of all its corpus: 'The music21 creators assume no copyright or change in
licensing for content distributed in the corpus.' and 'The encodings may be under copyright but have been
licensed for use, though there may be restrictions on commercial use.' Whoever needs certainty asks the
transcribers, or trains on `tunes` or on other files.

`tunes` is tunes/tunes.txt: melodies in the public domain, written out for this project and under its licence.
"""

import contextlib
import gzip
import importlib.metadata
import importlib.util
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mcvae_jax.children import Failure, Limits, map_chunks
from mcvae_jax.errors import UserError
from mcvae_jax.music.measures import TICKS_PER_QUARTER, Measure, Note, Part, Piece, piece_to_score
from mcvae_jax.music.readers import limits_of, skip_of
from mcvae_jax.music.score import Reason, Score, Skip, Track
from mcvae_jax.places import cache_folder
from mcvae_jax.storage.disk import CannotWrite
from mcvae_jax.storage.files import replacing_file
from mcvae_jax.versions import cores

COLLECTIONS = ("ryansMammoth", "oneills1850")
CACHE_FORMAT = 2  # to be raised when the same music21 gives other scores than before
_CHUNK = 32  # files that a worker gets at a time

_SIXTEENTH = TICKS_PER_QUARTER // 4
_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_NOTE = re.compile(r"(?:([A-G])([#b]?)(\d)|r):(\d+)")


def fiddle_tunes() -> Iterator[tuple[str, Score | Skip]]:
    """Names and scores of 'builtin': collection/file, with '#k' for tune k of a book.

    They are read on all cores the first time, and from then on come from a cache: in MCVAE_CACHE, or else in
    mcvae_jax in XDG_CACHE_HOME or ~/.cache. Raises UserError where music21 or its corpus is missing.
    """
    cache = _cache_file()
    try:
        yield from _unpack(cache.read_bytes())
        return
    except (OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, zlib.error):
        pass  # no cache, or a damaged one
    entries = []
    for entry in read_collections():
        entries.append(entry)
        yield entry
    with contextlib.suppress(CannotWrite), replacing_file(cache) as file:  # else they are parsed each time
        file.write(_pack(entries))


def read_collections(workers: int | None = None) -> Iterator[tuple[str, Score | Skip]]:
    """The fiddle tunes of the music21 package, parsed by `workers` processes (None: one for each core)."""
    spec = importlib.util.find_spec("music21")  # finds the package without importing it
    places = spec.submodule_search_locations if spec else None
    folder = Path(places[0]) / "corpus" if places else Path()
    files = [path for name in COLLECTIONS for path in sorted((folder / name).glob("*.abc"))]
    if not files:
        raise UserError("the built-in tunes come with the music21 package; pip install music21")
    chunks = [files[i : i + _CHUNK] for i in range(0, len(files), _CHUNK)]
    for entries in map_chunks(read_book, iter(chunks), workers or cores(), _limits, _failed):
        yield from entries


def read_book(path: Path) -> list[tuple[str, Score | Skip]]:
    """The tunes of one ABC file, named after its collection (its folder) and itself."""
    from mcvae_jax.music.abc.book import read_abc

    name = f"{path.parent.name}/{path.name}"
    scores = read_abc(path.read_bytes())
    return [(name if len(scores) == 1 else f"{name}#{k}", score) for k, score in enumerate(scores, 1)]


def _limits(path: Path) -> Limits:
    return limits_of(path.suffix, path.stat().st_size)


def _failed(path: Path, failure: Failure) -> list[tuple[str, Skip]]:
    return [(f"{path.parent.name}/{path.name}", skip_of(failure))]


def fingerprint() -> str:
    """Changes when `builtin` may give other scores than before; '' where music21 is not installed."""
    try:
        return f"music21 {importlib.metadata.version('music21')}, format {CACHE_FORMAT}"
    except importlib.metadata.PackageNotFoundError:
        return ""


# The cache: JSON, gzipped; onsets as differences and ends as lengths, which packs well.


def _cache_file() -> Path:
    return cache_folder() / f"builtin-music21-{importlib.metadata.version('music21')}-format{CACHE_FORMAT}.json.gz"


def _pack(entries: list[tuple[str, Score | Skip]]) -> bytes:
    rows: list[dict[str, Any]] = []
    for name, score in entries:
        if isinstance(score, Skip):
            rows.append({"name": name, "reason": score.reason, "detail": score.detail})
            continue
        tracks = [
            [
                t.name,
                t.is_drum,
                np.diff(t.start, prepend=0).tolist(),
                (t.end - t.start).tolist(),
                t.pitch.tolist(),
            ]
            for t in score.tracks
        ]
        marks = score.time_signatures.tolist(), score.tempos.tolist(), score.keys
        said = {"title": score.title, "pickup": score.pickup, "left_out": score.left_out}
        said |= {"remarks": score.remarks}
        rows.append({"name": name, "tracks": tracks, "marks": marks} | said)
    return gzip.compress(json.dumps(rows, separators=(",", ":")).encode(), 6, mtime=0)


def _unpack(data: bytes) -> list[tuple[str, Score | Skip]]:
    entries: list[tuple[str, Score | Skip]] = []
    for row in json.loads(gzip.decompress(data)):
        if "reason" in row:
            entries.append((row["name"], Skip(Reason(row["reason"]), row["detail"])))
            continue
        tracks = []
        for name, is_drum, *columns in row["tracks"]:
            gaps, lengths, pitch = (np.array(column, np.int64) for column in columns)
            start = np.cumsum(gaps)
            tracks.append(Track(name, -1, is_drum, start, start + lengths, pitch))
        time_signatures, tempos, keys = row["marks"]
        score = Score(
            tracks=tuple(tracks),
            ticks_per_quarter=TICKS_PER_QUARTER,
            time_signatures=np.array(time_signatures, np.int64).reshape(-1, 3),
            tempos=np.array(tempos, np.float64).reshape(-1, 2),
            keys=tuple((tick, key) for tick, key in keys),
            title=row["title"],
            pickup=row["pickup"],
            left_out=row["left_out"],
            remarks=tuple(row["remarks"]),
        )
        entries.append((row["name"], score))
    return entries


# Our own tunes.


def own_tunes() -> Iterator[tuple[str, Score]]:
    """The tunes of tunes/tunes.txt, in its order."""
    text = (Path(__file__).parent / "tunes" / "tunes.txt").read_text(encoding="utf-8")
    for block in re.split(r"\n(?=title:)", text)[1:]:
        lines = [line for line in block.splitlines() if line and not line.startswith("#")]
        fields = dict(line.split(": ", 1) for line in lines)
        yield f"tunes/{fields['title']}", piece_to_score(fields_to_piece(fields))


def fields_to_piece(fields: dict[str, str]) -> Piece:
    """The fields of a tune (title, metre, key, form, one for each section) as measures in playing order."""
    numerator, denominator = map(int, fields["metre"].split("/"))
    measures: list[Measure] = []
    bars: list[list[Note]] = []
    for section in fields["form"].split():
        for k, bar in enumerate(fields[section].split("|")):
            notes, length = bar_to_notes(bar)
            measures.append(Measure(length, (numerator, denominator), begins_section=k == 0))
            bars.append(notes)
    return Piece(measures, [Part("melody", False, bars)], [(0, fields["key"])], [], fields["title"])


def bar_to_notes(bar: str) -> tuple[list[Note], int]:
    """'C4:4 Bb4:2 r:2' -> its notes and its length in ticks."""
    notes: list[Note] = []
    onset = 0
    for word in bar.split():
        note = _NOTE.fullmatch(word)
        if note is None:
            raise ValueError(f"{word!r} is no note")
        step, accidental, octave, length = note.groups()
        duration = int(length) * _SIXTEENTH
        if step:
            pitch = 12 * (int(octave) + 1) + _STEPS[step] + {"#": 1, "b": -1, "": 0}[accidental]
            notes.append(Note(onset, duration, pitch, tied=False))
        onset += duration
    return notes, onset
