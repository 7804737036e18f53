"""Songs that earlier calls wrote to a folder: they stay, and songs of a later call get the next numbers."""

import dataclasses
import re
import shutil
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mcvae_jax.errors import UserError
from mcvae_jax.music.numbering import Numbers
from mcvae_jax.sampling.song import ComposedSong, Setting
from mcvae_jax.storage.jsonfile import DamagedFile, Object, conform, read_json

PAGE_FILES = {"index.html", "songs.json", "songs.png"}  # which are made anew for all songs


@dataclasses.dataclass(frozen=True)
class _Song:
    """What is read back of a song of songs.json."""

    name: str
    title: str
    tokens: list[list[int]]
    given: list[int]
    quarters_per_minute: float
    metre: tuple[int, int]
    key: str
    sections: list[tuple[int, str]]
    wav: bool
    notes: Object
    numbers: tuple[int, int, int] = (1, 1, 1)
    chords: list[tuple[int, str]] = dataclasses.field(default_factory=list)


class Earlier(NamedTuple):
    """A song that stands in a folder."""

    song: ComposedSong
    record: Object  # of songs.json, with its tokens
    files: tuple[Path, ...]
    about: Object  # of its call

    @property
    def number(self) -> int:
        """The number with which its name begins."""
        found = re.match(r"\d+", self.song.name)
        return int(found[0]) if found else 0


def earlier_songs(folder: Path) -> list[Earlier]:
    """The songs of earlier calls, those whose MIDI file somebody took away left out; none where there is no folder.

    Raises UserError where songs.json is damaged.
    """
    try:
        written = read_json(folder / "songs.json") or {}
        calls = [written.get("about", {}), *written.get("earlier", [])]
        found = []
        for record in written.get("songs", []):
            song = conform(folder / "songs.json", record, _Song)
            files = tuple(sorted(path for path in folder.glob(f"{song.name}.*") if path.is_file()))
            if f"{song.name}.mid" in {path.name for path in files}:
                found.append(Earlier(_composed(song), record, files, calls[record.get("call", 0)]))
        return found
    except (DamagedFile, LookupError, TypeError, AttributeError) as error:
        reason = error if isinstance(error, DamagedFile) else f"{folder / 'songs.json'} is damaged"
        raise UserError(f"{reason}; --replace makes the songs there anew, or choose another --out") from error


def _composed(song: _Song) -> ComposedSong:
    bars = np.array(song.tokens, np.uint8)
    given = np.isin(np.arange(len(bars)), song.given)
    setting = Setting(song.quarters_per_minute, song.metre, song.key)
    first, each, of = song.numbers
    made = ComposedSong(song.name, song.title, bars.reshape(len(bars), -1), given, setting, song.notes)
    numbers = Numbers(first, Fraction(each, of))
    return made._replace(sections=tuple(song.sections), numbers=numbers, chords=tuple(song.chords))


def renumbered(songs: Sequence[ComposedSong], more: int) -> list[ComposedSong]:
    """The songs with larger numbers in their names."""
    return [song._replace(name=re.sub(r"^\d+", lambda n: f"{int(n[0]) + more:02d}", song.name)) for song in songs]


def put_beside(earlier: Sequence[Earlier], place: Path) -> tuple[list[Object], list[Object]]:
    """Copies the files of earlier songs; their records, and what their calls were asked, newest first."""
    calls: list[Any] = []
    records = []
    for each in earlier:
        for path in each.files:
            shutil.copy2(path, place / path.name)
        if each.about not in calls:
            calls.append(each.about)
        records.append(each.record | {"call": 1 + calls.index(each.about)})
    return records, calls
