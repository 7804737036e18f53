"""A folder of this machine and a folder of a bucket that are made equal: `pull` takes, `push` gives.

A file is an object, which a bucket takes whole or not at all. In what order they are pushed decides what a process that
is killed meanwhile leaves there:

1. JSON, such as corpus.json, songs.json and summary.json, which hold the checksums of the files beside them: where
   these are not there yet, what they belong to is damaged, and the command that makes it makes it again.
2. All else.
3. The records of checkpoints. One without its record is not there for those who pull.
4. What is gone here is removed there, of a checkpoint its record first.

Only what was pulled or pushed here is ever removed, so that what others put into the folder stays.
"""

import contextlib
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import NamedTuple, TypeVar

from mcvae_jax.errors import UserError
from mcvae_jax.storage.disk import writing
from mcvae_jax.storage.identity import FILE, ITEM
from mcvae_jax.storage.jsonfile import DamagedFile, read_json, write_json
from mcvae_jax.storage.objects import Entry, Objects

T = TypeVar("T")

THREADS = 8  # files at a time
RECORD = f"{ITEM}/{FILE}"  # of a checkpoint's folder
_CHECKPOINT = re.compile(r"(?:.*/)?checkpoints/\d+/")
_OWN = (".orbax-checkpoint-tmp",)  # of files that are not finished, beside hidden ones
_INDEX = ".index.json"


class _Known(NamedTuple):
    """A file that was the same on both sides."""

    version: str  # there
    size: int  # here, in bytes
    changed: int  # here, in ns since 1970


class Mirror:
    """The two folders, and what is known of both. BucketError is raised by all that asks the bucket."""

    def __init__(self, objects: Objects, prefix: str, folder: Path, name: str) -> None:
        """prefix: of the names of the objects, with a slash at its end or ''; name: of the bucket's in messages."""
        self.objects, self.folder, self.name = objects, folder, name
        self.prefix, self._index = prefix, folder.parent / f".{folder.name}{_INDEX}"
        self._known: dict[str, _Known] = {}
        self._leftovers: set[str] = set()  # of checkpoints without a record, which the next push removes
        self._lock = threading.Lock()
        with contextlib.suppress(DamagedFile):
            self._known = read_json(self._index, dict[str, _Known]) or {}

    def pull(self, keep_newer: bool = False) -> None:
        """Makes this folder what the bucket holds.

        keep_newer: where the bucket is as this machine left it, files that were changed or made here since, and not
        pushed, stay. A file that is gone here comes back, since it may be gone for any reason.
        """
        with self._lock, writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            there, here = self._there(), dict(_files(self.folder))
            versions = {name: entry.version for name, entry in there.items()}
            is_ahead = keep_newer and versions == {name: known.version for name, known in self._known.items()}
            if not is_ahead:
                for name in here.keys() - there.keys():
                    (self.folder / name).unlink(missing_ok=True)
            wanted = [
                name
                for name, entry in there.items()
                if name not in here or not (is_ahead or self._known.get(name) == _Known(entry.version, *here[name]))
            ]
            self._known = {name: known for name, known in self._known.items() if name in there and name not in wanted}
            self._save()
            _in_parallel(lambda name: self._download(name, there[name]), wanted)
            self._save()
            _remove_empty(self.folder)

    def push(self) -> int:
        """Makes the bucket's folder what this one holds; how many objects were written or removed."""
        with self._lock, writing(self._index):
            here = dict(_files(self.folder))
            changed = sorted(name for name in here if self._known.get(name, _NONE)[1:] != here[name])
            gone = sorted(name for name in {*self._known, *self._leftovers} if name not in here)
            gone.sort(key=lambda name: not _is_record(name))
            vanished: set[str] = set()  # checkpoints that were removed meanwhile
            for group in _in_order(changed):
                group = [name for name in group if not (_is_record(name) and _checkpoint_of(name) in vanished)]
                found = _in_parallel(lambda name: self._upload(name, here[name]), group)
                vanished |= {_checkpoint_of(name) for name, is_there in zip(group, found, strict=True) if not is_there}
                if group:
                    self._save()
            for name in gone:
                self.objects.delete(self.prefix + name)
                self._known.pop(name, None)
            self._leftovers.clear()
            if gone:
                self._save()
            return len(changed) + len(gone)

    def _there(self) -> dict[str, Entry]:
        """The objects of the folder by their names in it, without those of checkpoints that have no record."""
        found = {name.removeprefix(self.prefix): entry for name, entry in self.objects.list(self.prefix).items()}
        found = {name: entry for name, entry in found.items() if _is_ours(name)}
        if bad := next((name for name in found if not _can_be_file(name)), ""):
            raise UserError(f"{self.name} holds an object {bad!r}, which can be no file; remove or rename it.")
        recorded = {_checkpoint_of(name) for name in found if _is_record(name)}
        unrecorded = {name for name in found if (folder := _checkpoint_of(name)) and folder not in recorded}
        self._leftovers = unrecorded
        return {name: entry for name, entry in found.items() if name not in unrecorded}

    def _download(self, name: str, entry: Entry) -> None:
        place = self.folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        part = place.with_name(f".{place.name}.part")
        self.objects.download(self.prefix + name, part)
        if entry.seconds:  # the same on all machines, as the fingerprint of a corpus wants it
            os.utime(part, (entry.seconds, entry.seconds))
        os.replace(part, place)
        self._known[name] = _Known(entry.version, *_state(place))

    def _upload(self, name: str, state: tuple[int, int]) -> bool:
        """Whether the file was still there; a file that grows meanwhile is pushed again the next time."""
        try:
            entry = self.objects.upload(self.folder / name, self.prefix + name)
        except FileNotFoundError:
            return False
        self._known[name] = _Known(entry.version, *state)
        return True

    def _save(self) -> None:
        write_json(self._index, self._known, indent=None)


_NONE = _Known("", -1, -1)


def _files(folder: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    """Name and state of each file of a folder that is finished, at any depth."""
    for path, folders, names in os.walk(folder):
        folders[:] = [each for each in folders if _is_ours(each)]
        for each in names:
            place = Path(path, each)
            name = place.relative_to(folder).as_posix()
            if _is_ours(name):
                with contextlib.suppress(FileNotFoundError):
                    yield name, _state(place)


def _state(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def _is_ours(name: str) -> bool:
    """Whether a name is that of a finished file, not of a part, a lock or a placeholder of a folder."""
    parts = name.split("/")
    return parts[-1] not in ("", "lock") and not any(
        part.startswith(".") or any(each in part for each in _OWN) for part in parts
    )


def _can_be_file(name: str) -> bool:
    return PurePosixPath(name).as_posix() == name and not PurePosixPath(name).is_absolute()


def _checkpoint_of(name: str) -> str:
    """'vae/checkpoints/200/params/x' -> 'vae/checkpoints/200/'; '' for what is in no checkpoint."""
    found = _CHECKPOINT.match(name)
    return found[0] if found else ""


def _is_record(name: str) -> bool:
    folder = _checkpoint_of(name)
    return bool(folder) and name == folder + RECORD


def _in_order(names: Iterable[str]) -> list[list[str]]:
    """The groups in which files are pushed."""
    groups: list[list[str]] = [[], [], []]
    for name in names:
        groups[2 if _is_record(name) else 0 if name.endswith(".json") and not _checkpoint_of(name) else 1].append(name)
    return groups


def _in_parallel(call: Callable[[str], T], items: list[str]) -> list[T]:
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(call, items))


def _remove_empty(folder: Path) -> None:
    """Folders from which all was removed are none for a bucket."""
    for path, _, _ in os.walk(folder, topdown=False):
        if path != str(folder):
            with contextlib.suppress(OSError):
                os.rmdir(path)
