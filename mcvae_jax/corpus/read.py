"""A source of music -> songs of bars, on all cores; what cannot be used is skipped and named."""

import functools
import hashlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from mcvae_jax.children import Failure, Limits, map_chunks
from mcvae_jax.corpus.datasets import DATA_SETS, DataSet
from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.corpus.sources import File, Skipped, list_files
from mcvae_jax.corpus.transfer import Say
from mcvae_jax.errors import UserError
from mcvae_jax.music.bars import Stats, melody_to_bars
from mcvae_jax.music.grid import grid_of
from mcvae_jax.music.melody import choose_melody, parse_how
from mcvae_jax.music.metre import parse_metre, stated_metre
from mcvae_jax.music.pulse import pulse_of
from mcvae_jax.music.readers import FORMATS, SUFFIXES, read_scores, skip_of
from mcvae_jax.music.score import Reason, Score, Skip
from mcvae_jax.text import printable
from mcvae_jax.versions import cores

_LONGEST = 200  # characters of a title or of a detail: a file may hold any number
_CHUNK = 64  # files that a worker gets at a time
_CHUNK_BYTES = 4 << 20  # of files in memory


class Song(NamedTuple):
    """One melody in bars."""

    name: str  # the path inside the source; '#k' is added for tune k of a book
    checksum: bytes  # 16 bytes of BLAKE2b of the file
    bars: np.ndarray  # uint8 (n, T), n >= 1
    stats: Stats
    title: str
    remarks: tuple[str, ...] = ()  # what of it was not taken as it is written
    metre: tuple[int, int] = (4, 4)  # numerator and denominator
    pulse: float = 1.0  # see music/pulse.py


def read_songs(
    settings: CorpusSettings, workers: int | None = None, say: Say = lambda _: None
) -> Iterator[Song | Skipped]:
    """Every song of `settings.source`, and every file or tune that is none, sorted by name.

    Files are read by `workers` child processes (None: one for each core), so that a file that crashes or hangs its
    reader, or takes too much memory, costs only itself. The result does not depend on `workers`.

    Raises UserError where the source does not exist, cannot be downloaded or holds no music files, or a setting cannot
    be meant.
    """
    parse_how(settings.melody)
    if settings.metre:
        parse_metre(settings.metre)
    row = DATA_SETS.get(settings.source)
    if row is None:
        files, is_sorted = list_files(settings.source)
    elif row.remote:
        check_performances(row, settings)
        files, is_sorted = row.files(say), False
    else:
        return _not_empty(_read_built_in(row, settings), settings.source)
    results = _read_all(files, settings, workers)
    in_order = results if is_sorted else iter(sorted(results, key=lambda item: item.name))
    return _not_empty(in_order, settings.source)


def check_performances(row: DataSet, settings: CorpusSettings) -> None:
    """UserError, before anything is downloaded, where nearly all of a data set would be left out."""
    if row.is_performed and settings.min_pulse > 0:
        raise UserError(
            f"{row.name} holds performances whose notes stand in seconds, not in beats, so that no bars can be cut from"
            " them; min_pulse=0 takes them all the same, cut without regard to their beats"
        )


def read_file(file: File | Skipped, settings: CorpusSettings) -> list[Song | Skipped]:
    """The songs of one file; whatever goes wrong inside a library is that file's reason.

    Raises MemoryError, and nothing else: the file took more than this process may have.
    """
    if isinstance(file, Skipped):
        return [file]
    try:
        data = file.read()
        scores = read_scores(data, file.suffix, channels=settings.melody.startswith("channel:"))
    except Skip as skip:
        return [_skipped(file.name, skip)]
    except OSError as error:
        reason = Reason.BROKEN_LINK if isinstance(error, FileNotFoundError) else Reason.UNREADABLE
        return [Skipped(file.name, reason, error.strerror or type(error).__name__)]
    checksum = _checksum(data)
    names = [file.name] if len(scores) == 1 else [f"{file.name}#{k}" for k in range(1, len(scores) + 1)]
    return [score_to_song(score, name, checksum, settings) for score, name in zip(scores, names, strict=True)]


def score_to_song(score: Score | Skip, name: str, checksum: bytes, settings: CorpusSettings) -> Song | Skipped:
    """The melody of a score in bars, or why there is none."""
    try:
        if isinstance(score, Skip):
            raise score
        melody = choose_melody(score, settings.melody)
        pulse = pulse_of(score, melody, grid_of(settings.steps_per_bar).quarter)
        if pulse < settings.min_pulse:
            raise Skip(Reason.NO_PULSE, f"its onsets agree on a grid to {pulse:.2f} of 1; min_pulse=0 keeps it")
        bars, stats = melody_to_bars(score, melody, settings)
        if settings.max_moved < 1 and stats.share_far > settings.max_moved:
            raise Skip(Reason.OFF_GRID, f"{stats.share_far:.0%} move by a quarter of a step or more")
    except Skip as skip:
        remarks = score.remarks if isinstance(score, Score) else ()
        return _skipped(name, Skip(skip.reason, "; ".join(filter(None, [skip.detail, *remarks]))))
    metre = stated_metre(score, melody, grid_of(settings.steps_per_bar), settings.metre)
    return Song(name, checksum, bars, stats, score.title[:_LONGEST], score.remarks, metre, pulse)


def _skipped(name: str, skip: Skip) -> Skipped:
    return Skipped(name, skip.reason, printable(skip.detail[:_LONGEST]))


def _read_all(
    files: Iterator[File | Skipped], settings: CorpusSettings, workers: int | None
) -> Iterator[Song | Skipped]:
    read = functools.partial(read_file, settings=settings)
    for songs in map_chunks(read, _chunks(files), workers or cores(), _limits, _failed):
        yield from songs


def _chunks(files: Iterable[File | Skipped]) -> Iterator[list[File | Skipped]]:
    """The files in chunks of a size that suits a worker; a file of notation stands alone."""
    chunk: list[File | Skipped] = []
    size = 0
    for file in files:
        alone = isinstance(file, File) and FORMATS[file.suffix].is_notation
        if chunk and (alone or len(chunk) == _CHUNK or size > _CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(file)
        size += len(file.data or b"") if isinstance(file, File) else 0
        if alone:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _limits(file: File | Skipped) -> Limits:
    return file.limits() if isinstance(file, File) else Limits(10.0, 512)


def _failed(file: File, failure: Failure) -> list[Skipped]:
    return [_skipped(file.name, skip_of(failure))]


def _read_built_in(row: DataSet, settings: CorpusSettings) -> Iterator[Song | Skipped]:
    for name, score in row.read():
        yield score_to_song(score, name, _checksum(name.encode()), settings)


def _checksum(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


def _not_empty(results: Iterator[Song | Skipped], source: str) -> Iterator[Song | Skipped]:
    empty = True
    for result in results:
        empty = False
        yield result
    if empty:
        known = ", ".join(SUFFIXES)
        raise UserError(f"{source!r} holds no music files; they are known by {known}")
