"""Where the files of a corpus lie: a folder, an archive that is read in place, or a single file."""

import os
import stat
from collections.abc import Callable, Iterator
from typing import NamedTuple

from mcvae_jax.children import Failure, Limits, stream
from mcvae_jax.corpus import archives
from mcvae_jax.errors import UserError
from mcvae_jax.music.readers import FORMATS, SUFFIXES, check_size, limits_of, music_suffix, skip_of
from mcvae_jax.music.score import Reason, Skip
from mcvae_jax.places import is_address
from mcvae_jax.storage.buckets import fetched
from mcvae_jax.text import printable


class Skipped(NamedTuple):
    """A file or tune that did not become a song."""

    name: str
    reason: str  # one of Reason
    detail: str


class File(NamedTuple):
    """One file of a source: on disk at `path`, or in memory as `data`."""

    name: str
    suffix: str
    path: str = ""
    data: bytes | None = None

    def read(self) -> bytes:
        """Its bytes. Raises Skip or OSError."""
        if self.data is not None:
            return self.data
        with open(self.path, "rb", opener=_open_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise Skip(Reason.UNREADABLE, "not a regular file")
            data = file.read(FORMATS[self.suffix].max_bytes + 1)
        check_size(self.suffix, len(data))
        return data

    def limits(self) -> Limits:
        """What reading it may use; of a file that is gone, what the smallest may."""
        if self.data is not None:
            return limits_of(self.suffix, len(self.data))
        try:
            return limits_of(self.suffix, os.stat(self.path).st_size)
        except OSError:
            return limits_of(self.suffix, 0)


def _open_at_once(path: str, flags: int) -> int:
    """Open without waiting, as a named pipe would have us do."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def list_files(source: str) -> tuple[Iterator[File | Skipped], bool]:
    """The music files of a source, by their suffixes, and whether they come sorted by name.

    Raises UserError where the source does not exist or is neither of the kinds.
    """
    source = os.fspath(fetched(source)) if is_address(source) else source
    if os.path.isdir(source):
        return iter(_folder(source)), True
    if not os.path.exists(source):
        raise UserError(
            f"there is no {source!r}; say a folder or file of music, or a collection by its name; --list names these"
        )
    name = os.path.basename(source)
    if name.lower().endswith(archives.SUFFIXES):
        return members_of(source, archives.members), name.lower().endswith(".zip")
    if suffix := music_suffix(name):
        return iter([File(printable(name), suffix, source)]), True
    kinds = ", ".join(SUFFIXES + archives.SUFFIXES)
    raise UserError(f"{source!r} is no music file that this reads: say a folder, or a file ending in {kinds}")


def members_of(source: str, members: Callable[[str], Iterator[archives.Member | None]]) -> Iterator[File | Skipped]:
    """The music of an archive or dump, by a child that may die of it; what it has given until then stays."""
    begun, name = False, printable(os.path.basename(source))
    for member in stream(members, source, archives.LIMITS):
        if isinstance(member, Failure):
            skip = skip_of(member)
            if not begun:
                raise UserError(f"{source!r} is no archive that can be read ({skip})")
            yield Skipped(name, skip.reason, f"the rest of it is not read: {skip.detail}")
        elif member is not None:
            begun = True
            if isinstance(member.content, Skip):
                yield Skipped(member.name, member.content.reason, member.content.detail)
            else:
                yield File(member.name, member.suffix, data=member.content)


def _folder(root: str) -> list[File | Skipped]:
    """All files below `root`, links followed, each folder once; sorted by name."""
    found: list[File | Skipped] = []
    seen: set[tuple[int, int]] = set()
    pending = [root]
    while pending:
        folder = pending.pop()
        name = printable(os.path.relpath(folder, root).replace(os.sep, "/"))
        try:
            status = os.stat(folder)
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name, reverse=True)
        except OSError as error:
            found.append(Skipped(name, Reason.UNREADABLE, error.strerror or "the folder cannot be listed"))
            continue
        if (status.st_dev, status.st_ino) in seen:
            found.append(Skipped(name, Reason.LINK_LOOP, "it holds what was read before"))
            continue
        seen.add((status.st_dev, status.st_ino))
        for entry in entries:
            name = printable(os.path.relpath(entry.path, root).replace(os.sep, "/"))
            try:
                if entry.is_dir():
                    pending.append(entry.path)
                elif archives.is_archive(entry.name):
                    found.append(Skipped(name, Reason.NESTED, "unpack it, or give it as a source of its own"))
                elif suffix := music_suffix(entry.name):
                    broken = entry.is_symlink() and not os.path.exists(entry.path)
                    file = File(name, suffix, entry.path)
                    found.append(Skipped(name, Reason.BROKEN_LINK, "") if broken else file)
            except OSError as error:  # a link to itself, among others
                found.append(Skipped(name, Reason.BROKEN_LINK, error.strerror or ""))
    return sorted(found, key=lambda file: file.name)
