"""The files of a corpus: written whole or not at all, read through memory maps, without pickle.

corpus.json    format, version, settings, source fingerprint, identity, checksums, counts
tokens.npy     uint8 (bars, 16): all songs one after the other
offsets.npy    int64 (songs + 1,): song i is tokens[offsets[i]:offsets[i + 1]]
bar_ids.npy    int32 (bars,): index of each bar in distinct.npy
distinct.npy   uint8 (distinct bars, 16)
sides.npy      uint8 (songs,): TRAIN, HELD_OUT or EXCLUDED
songs.jsonl    a line a song: name, title, bars, side, content hash, nearest training song
skipped.jsonl  a line for everything that was left out: name, reason, detail
report.*       what report.py makes of it
"""

import contextlib
import dataclasses
import json
import os
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.errors import UserError
from mcvae_jax.files import replacing
from mcvae_jax.music.bars import distinct_bars

FORMAT, VERSION = "mcvae_jax corpus", 1
TRAIN, HELD_OUT, EXCLUDED = 0, 1, 2
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


@dataclasses.dataclass(frozen=True, eq=False)
class Corpus:
    """A saved corpus; the arrays are read-only memory maps."""

    folder: Path
    settings: CorpusSettings
    fingerprint: str  # of the source at the time of reading; '' where it has none
    identity: str  # 32 hex digits: a hash of tokens, song limits and sides
    tokens: np.ndarray  # uint8 (bars, 16)
    offsets: np.ndarray  # int64 (songs + 1,)
    bar_ids: np.ndarray  # int32 (bars,)
    distinct: np.ndarray  # uint8 (distinct bars, 16)
    sides: np.ndarray  # uint8 (songs,)

    @classmethod
    def open(cls, folder: str | os.PathLike) -> "Corpus":
        """Opens and verifies a corpus (all bytes are hashed: about 1 GB/s); UserError where that fails."""
        folder = Path(folder)
        header = read_header(folder)
        try:
            arrays = {name: np.load(folder / f"{name}.npy", "r", allow_pickle=False) for name in ARRAYS}
            if {name: checksum(array) for name, array in arrays.items()} != header["checksums"]:
                raise ValueError("its arrays are not those that were written")
            if (folder / "songs.jsonl").read_bytes().count(b"\n") != len(arrays["sides"]):
                raise ValueError("songs.jsonl has not a line for each song")
            settings = CorpusSettings(**header["settings"])
            return cls(folder, settings, header["fingerprint"], header["identity"], **arrays)
        except (OSError, ValueError, TypeError, KeyError, EOFError) as error:
            raise UserError(f"the corpus {folder} is damaged ({error}); delete it and build it again") from error

    def __len__(self) -> int:
        return len(self.sides)

    @property
    def lengths(self) -> np.ndarray:
        """int64 (songs,): bars of each song."""
        return np.diff(self.offsets)

    @property
    def steps_per_bar(self) -> int:
        """T, 16 where nothing else was wished."""
        return self.tokens.shape[1]

    def song(self, i: int) -> np.ndarray:
        """uint8 (n, 16): the bars of song i."""
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
        """songs.jsonl: a dict for each song, in order."""
        return read_jsonl(self.folder / "songs.jsonl")


def read_header(folder: Path) -> dict[str, Any]:
    """corpus.json of a folder; UserError where there is none, or one of another version."""
    path = Path(folder) / "corpus.json"
    if not path.is_file():
        raise UserError(
            f"{folder} holds no corpus; build one: python -m mcvae_jax.corpus --source=FOLDER --out={folder}"
        )
    try:
        header = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UserError(f"the corpus {folder} is damaged (corpus.json: {error}); build it again") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise UserError(f"{path} was not written by mcvae_jax, so {folder} is no corpus; choose another folder")
    if header.get("version") != VERSION:
        raise UserError(
            f"the corpus {folder} has format version {header.get('version')} and this program reads version"
            f" {VERSION}; build it again"
        )
    return header


def checksum(array: np.ndarray) -> str:
    """32 hex digits of the type, shape and values of an array."""
    digest = blake2b(f"{array.dtype.str} {array.shape}".encode(), digest_size=16)
    digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()


def write_corpus(
    folder: str | os.PathLike,
    settings: CorpusSettings,
    fingerprint: str,
    songs: Sequence[np.ndarray],
    sides: np.ndarray,
    records: Iterable[dict[str, Any]],
    skipped: Iterable[dict[str, Any]],
    finish: Callable[[Path], None] = lambda _: None,
) -> Corpus:
    """Writes a corpus beside its place, lets `finish` add files to it, and then moves it into place.

    songs are uint8 (n, 16); records and skipped are the lines of songs.jsonl and skipped.jsonl. A corpus that
    stands there is replaced; anything else there is a UserError (see check_place).
    """
    folder = Path(folder).resolve()
    check_place(folder)
    tokens = np.concatenate(songs)
    distinct, bar_ids = distinct_bars(tokens)
    offsets = np.concatenate([[0], np.cumsum([len(song) for song in songs])])
    values = {"tokens": tokens, "offsets": offsets, "bar_ids": bar_ids, "distinct": distinct, "sides": sides}
    arrays = {name: np.asarray(values[name], dtype) for name, dtype in ARRAYS.items()}
    checksums = {name: checksum(array) for name, array in arrays.items()}
    identity = blake2b(digest_size=16)
    for name in ("tokens", "offsets", "sides"):
        identity.update(checksums[name].encode())
    header = {
        "format": FORMAT,
        "version": VERSION,
        "identity": identity.hexdigest(),
        "fingerprint": fingerprint,
        "settings": dataclasses.asdict(settings),
        "counts": {"songs": len(songs), "bars": len(tokens), "distinct_bars": len(distinct)},
        "checksums": checksums,
    }
    with replacing(folder) as place:
        for name, array in arrays.items():
            np.save(place / f"{name}.npy", array, allow_pickle=False)
        write_jsonl(place / "songs.jsonl", records)
        write_jsonl(place / "skipped.jsonl", skipped)
        finish(place)
        (place / "corpus.json").write_text(json.dumps(header, indent=2) + "\n")
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
    if "corpus.json" in names:
        with contextlib.suppress(ValueError):
            written = json.loads((folder / "corpus.json").read_bytes())
            if not isinstance(written, dict) or written.get("format") != FORMAT:
                raise UserError(f"{folder}/corpus.json was not written by mcvae_jax; choose another folder")
    if foreign := sorted(names - FILES):
        raise UserError(f"the corpus {folder} would be replaced, but {foreign[0]!r} in it is no part of it; move that")


def write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """A JSON object a line, in ASCII: whatever a name holds is escaped."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "ascii")


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """The objects of a file that write_jsonl wrote."""
    return [json.loads(line) for line in path.read_text("ascii").splitlines()]
