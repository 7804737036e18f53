"""The files of a corpus: written whole or not at all, read through memory maps, without pickle.

corpus.json    format, version, settings, source fingerprint, provenance, identity, checksums, counts
tokens.npy     uint8 (bars, T): all songs one after the other
offsets.npy    int64 (songs + 1,): song i is tokens[offsets[i]:offsets[i + 1]]
bar_ids.npy    int32 (bars,): index of each bar in distinct.npy
distinct.npy   uint8 (distinct bars, T)
sides.npy      uint8 (songs,): TRAIN, HELD_OUT or EXCLUDED
songs.jsonl    a line a song: name, title, bars, metre, side, content hash, nearest training song
skipped.jsonl  a line for everything that was left out: name, reason, detail
report.*       what report.py makes of it

Letters: T steps of a bar (settings.steps_per_bar), n bars of a song.
"""

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import numpy as np

from mcvae_jax.corpus.settings import WINDOWS, CorpusSettings
from mcvae_jax.errors import UserError
from mcvae_jax.hashing import checksum
from mcvae_jax.music.bars import distinct_bars
from mcvae_jax.storage.buckets import fetched
from mcvae_jax.storage.files import replacing
from mcvae_jax.storage.jsonfile import (
    CHECK,
    DamagedFile,
    conform,
    digest_of,
    parse,
    read_json,
    read_json_lines,
    write_json,
    write_json_lines,
)

FORMAT, VERSION = "mcvae_jax corpus", 1
TRAIN, HELD_OUT, EXCLUDED = 0, 1, 2
TERMS = ("licence", "citation")  # of a corpus' provenance, which a run made of it keeps
SIDE_NAMES = ("train", "held out", "excluded")

ARRAYS = {
    "tokens": np.uint8,
    "offsets": np.int64,
    "bar_ids": np.int32,
    "distinct": np.uint8,
    "sides": np.uint8,
}
FILES = {"corpus.json", "songs.jsonl", "skipped.jsonl", "report.json", "report.txt", "report.png"} | {
    f"{name}.npy" for name in ARRAYS
}


class DamagedCorpus(UserError):
    """A corpus that is there but is not what was written, for a reason."""

    def __init__(self, folder: Path, error: Exception) -> None:
        self.reason = f"{error.path.name}: {error.reason}" if isinstance(error, DamagedFile) else str(error)
        super().__init__(
            f"the corpus {folder} is damaged ({self.reason}); build it again: python -m mcvae_jax.corpus --source=MUSIC"
            f" --out={folder}, with the settings that it had"
        )


@dataclasses.dataclass(frozen=True)
class Header:
    """What is read back of corpus.json."""

    format: str
    version: int
    identity: str
    fingerprint: str
    settings: CorpusSettings
    checksums: dict[str, str]  # of the arrays
    digests: dict[str, str] = dataclasses.field(default_factory=dict)  # of the other files; {} in earlier versions
    provenance: dict[str, str] = dataclasses.field(default_factory=dict)  # DataSet.provenance; {} of files and folders


class SongRecord(TypedDict):
    """What is read back of a line of songs.jsonl."""

    name: str
    title: str
    side: NotRequired[str]
    metre: NotRequired[str]  # 'N/D' of a song that is not in 4/4; earlier versions named none
    nearest: NotRequired[str]


@dataclasses.dataclass(frozen=True, eq=False)
class Corpus:
    """A saved corpus; the arrays are read-only memory maps."""

    folder: Path
    settings: CorpusSettings
    fingerprint: str  # of the source at the time of reading; '' where it has none
    identity: str  # 32 hex digits: a hash of tokens, song limits and sides
    provenance: Mapping[str, str]  # whose music it is, see DataSet.provenance; {} of files and folders
    tokens: np.ndarray  # uint8 (bars, T)
    offsets: np.ndarray  # int64 (songs + 1,)
    bar_ids: np.ndarray  # int32 (bars,)
    distinct: np.ndarray  # uint8 (distinct bars, T)
    sides: np.ndarray  # uint8 (songs,)

    @classmethod
    def open(cls, folder: str | os.PathLike) -> "Corpus":
        """Opens and verifies a corpus (all bytes are hashed: about 1 GB/s); UserError where that fails."""
        folder = fetched(folder)
        header = read_header(folder)
        try:
            arrays = load_arrays(folder, ARRAYS, header.checksums)
            if identity_of(header.checksums) != header.identity:
                raise ValueError("corpus.json is not what was written")
            _records(folder, header, len(arrays["sides"]))
            terms = header.provenance
            return cls(folder, header.settings, header.fingerprint, header.identity, terms, **arrays)
        except (DamagedFile, ValueError, KeyError) as error:
            raise DamagedCorpus(folder, error) from error

    def __len__(self) -> int:
        return len(self.sides)

    @property
    def lengths(self) -> np.ndarray:
        """int64 (songs,): bars of each song."""
        return np.diff(self.offsets)

    @property
    def steps_per_bar(self) -> int:
        """T."""
        return self.tokens.shape[1]

    def song(self, i: int) -> np.ndarray:
        """uint8 (n, T): the bars of song i."""
        return self.tokens[self.offsets[i] : self.offsets[i + 1]]

    def song_bar_ids(self, i: int) -> np.ndarray:
        """int32 (n,): song(i) as rows of `distinct`."""
        return self.bar_ids[self.offsets[i] : self.offsets[i + 1]]

    def songs(self, side: int) -> np.ndarray:
        """int64: indices of the songs of a side (TRAIN, HELD_OUT or EXCLUDED), in order."""
        return np.flatnonzero(self.sides == side)

    def bars(self, side: int) -> np.ndarray:
        """int64: indices into `tokens` and `bar_ids` of all bars of a side, in order."""
        return np.flatnonzero(np.repeat(self.sides == side, self.lengths))

    def records(self) -> list[dict[str, Any]]:
        """songs.jsonl: a dict for each song, in order; UserError where that is not what was written."""
        try:
            return _records(self.folder, read_header(self.folder), len(self))
        except (DamagedFile, ValueError) as error:
            raise DamagedCorpus(self.folder, error) from error


def read_header(folder: Path) -> Header:
    """corpus.json of a folder; UserError where there is none, a damaged one, or one of another version."""
    path = fetched(folder) / "corpus.json"
    try:
        found = read_json(path)
        if found is None:
            raise UserError(
                f"{folder} holds no corpus; build one: python -m mcvae_jax.corpus --source=FOLDER --out={folder}"
            )
        if found.get("format") != FORMAT:
            raise UserError(f"{path} was not written by mcvae_jax, so {folder} is no corpus; choose another folder")
        if found.get("version") != VERSION:
            raise UserError(
                f"the corpus {folder} has format version {found.get('version')} and this program reads version"
                f" {VERSION}; build it again"
            )
        return conform(path, _with_later_settings(found), Header)
    except DamagedFile as error:
        raise DamagedCorpus(folder, error) from error


def _with_later_settings(header: dict[str, Any]) -> dict[str, Any]:
    """A header with the settings that earlier versions did not name, as these held then."""
    settings = header.get("settings")
    return header | {"settings": {"alike": WINDOWS} | settings} if isinstance(settings, dict) else header


def _records(folder: Path, header: Header, songs: int) -> list[dict[str, Any]]:
    """The lines of songs.jsonl; DamagedFile or ValueError where they are not those of so many songs."""
    path = folder / "songs.jsonl"
    if header.digests.get(path.name, digest := digest_of(path)) != digest:
        raise DamagedFile(path, "it is not what was written")
    lines = read_json_lines(path, also=lambda path, row: conform(path, row, SongRecord))
    if lines.damaged or len(lines.rows) != songs:
        raise ValueError("songs.jsonl has not a line for each song")
    return lines.rows


def identity_of(checksums: Mapping[str, str]) -> str:
    """The identity of a corpus, from the checksums of its arrays: tokens, limits of the songs, and sides."""
    identity = blake2b(digest_size=16)
    for name in ("tokens", "offsets", "sides"):
        identity.update(checksums[name].encode())
    return identity.hexdigest()


def load_arrays(folder: Path, names: Iterable[str], checksums: Mapping[str, str]) -> dict[str, np.ndarray]:
    """NAME.npy of each name as a read-only memory map; DamagedFile where one is not what has this checksum."""
    arrays = {}
    for name in names:
        path = folder / f"{name}.npy"
        try:
            arrays[name] = np.load(path, "r", allow_pickle=False)
        except Exception as error:  # the head of a .npy file is parsed, so there are many kinds
            raise DamagedFile(path, (str(error) or type(error).__name__).splitlines()[0]) from error
        if checksums.get(name) != checksum(arrays[name]):
            raise DamagedFile(path, "it is not what was written")
    return arrays


def write_corpus(
    folder: str | os.PathLike,
    settings: CorpusSettings,
    fingerprint: str,
    songs: Sequence[np.ndarray],
    sides: np.ndarray,
    records: Iterable[dict[str, Any]],
    skipped: Iterable[dict[str, Any]],
    finish: Callable[[Path], None] = lambda _: None,
    provenance: Mapping[str, str] | None = None,
) -> Corpus:
    """Writes a corpus beside its place, lets `finish` add files to it, and then moves it into place.

    songs are uint8 (n, T); records and skipped are the lines of songs.jsonl and skipped.jsonl; provenance says whose
    music it is, where that is known. A corpus that stands there is replaced; anything else there is a UserError (see
    check_place).
    """
    folder = Path(folder).resolve()
    check_place(folder)
    tokens = np.concatenate(songs)
    distinct, bar_ids = distinct_bars(tokens)
    offsets = np.concatenate([[0], np.cumsum([len(song) for song in songs])])
    values = {"tokens": tokens, "offsets": offsets, "bar_ids": bar_ids, "distinct": distinct, "sides": sides}
    arrays = {name: np.asarray(values[name], dtype) for name, dtype in ARRAYS.items()}
    checksums = {name: checksum(array) for name, array in arrays.items()}
    header = {
        "format": FORMAT,
        "version": VERSION,
        "identity": identity_of(checksums),
        "fingerprint": fingerprint,
        "settings": dataclasses.asdict(settings),
        "provenance": dict(provenance or {}),
        "counts": {"songs": len(songs), "bars": len(tokens), "distinct_bars": len(distinct)},
        "checksums": checksums,
    }
    with replacing(folder) as place:
        for name, array in arrays.items():
            np.save(place / f"{name}.npy", array, allow_pickle=False)
        write_json_lines(place / "songs.jsonl", records)
        write_json_lines(place / "skipped.jsonl", skipped)
        finish(place)
        others = [path for path in sorted(place.iterdir()) if path.suffix != ".npy"]
        write_json(place / "corpus.json", header | {"digests": {path.name: digest_of(path) for path in others}})
    return Corpus.open(folder)


def check_place(folder: Path) -> None:
    """UserError unless a corpus may be written to folder: absent, empty, or a corpus and nothing else."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise UserError(f"{folder} is a file; choose a folder for the corpus")
    names = {path.name for path in folder.iterdir()}
    if names and "corpus.json" not in names:
        raise UserError(f"{folder} is neither empty nor a corpus; nothing was written, choose another folder")
    if "corpus.json" in names and not _is_ours(folder / "corpus.json"):
        raise UserError(f"{folder}/corpus.json was not written by mcvae_jax; choose another folder")
    if foreign := sorted(names - FILES):
        raise UserError(f"the corpus {folder} would be replaced, but {foreign[0]!r} in it is no part of it; move that")


def _is_ours(path: Path) -> bool:
    """Whether a corpus.json is one, as far as can be told: a damaged one may be."""
    try:
        written = parse(path, path.read_bytes())
    except (OSError, DamagedFile):
        return True
    return isinstance(written, dict) and (written.get("format") == FORMAT or CHECK in written)
