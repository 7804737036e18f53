"""Where the files of a corpus lie: a folder, an archive that is read in place, or a single file.

Nothing is ever unpacked to disk, so a name inside an archive is only a name.
"""

import gzip
import io
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import NamedTuple

from mcvae_jax.errors import UserError
from mcvae_jax.music.midi import MAX_BYTES
from mcvae_jax.music.readers import SUFFIXES
from mcvae_jax.music.score import Reason, Skip

_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
_MAX_EXPANSION = 200  # unpacked bytes for each packed one; MIDI shrinks to a fifth or so
_MAX_READ = 1 << 30  # bytes of an archive that may always be unpacked


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
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise Skip(Reason.TOO_LARGE, f"over {MAX_BYTES:,} bytes")
        return data


def _open_at_once(path: str, flags: int) -> int:
    """Open without waiting, as a named pipe would have us do."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def list_files(source: str) -> tuple[Iterator[File | Skipped], bool]:
    """The music files of a source, by their suffixes, and whether they come sorted by name.

    Raises UserError where the source does not exist or is neither of the kinds.
    """
    if os.path.isdir(source):
        return iter(_folder(source)), True
    if not os.path.exists(source):
        raise UserError(f"there is no {source!r}; say a folder or file of music, 'builtin' or 'tunes'")
    name = os.path.basename(source)
    if name.lower().endswith(".zip"):
        return _zip(source), True
    if name.lower().endswith(_ARCHIVES):
        return _tar(source), False
    if suffix := _suffix(name):
        return iter([File(printable(name), suffix, source)]), True
    kinds = ", ".join(SUFFIXES + _ARCHIVES)
    raise UserError(f"{source!r} is no music file that this reads: say a folder, or a file ending in {kinds}")


def printable(name: str) -> str:
    """`name` with control characters, and bytes that are not UTF-8, as backslash escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in name)


def _suffix(name: str) -> str:
    suffix = PurePosixPath(name).suffix.lower()
    hidden = PurePosixPath(name).name.startswith("._")  # what macOS adds to archives
    return suffix if suffix in SUFFIXES and not hidden else ""


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
                elif suffix := _suffix(entry.name):
                    broken = entry.is_symlink() and not os.path.exists(entry.path)
                    file = File(name, suffix, entry.path)
                    found.append(Skipped(name, Reason.BROKEN_LINK, "") if broken else file)
            except OSError as error:  # a link to itself, among others
                found.append(Skipped(name, Reason.BROKEN_LINK, error.strerror or ""))
    return sorted(found, key=lambda file: file.name)


def _zip(source: str) -> Iterator[File | Skipped]:
    try:
        with zipfile.ZipFile(source) as archive:
            for info in sorted(archive.infolist(), key=lambda info: info.filename):
                if suffix := not info.is_dir() and _suffix(info.filename):
                    yield _zip_member(archive, info, suffix)
    except (zipfile.BadZipFile, OSError) as error:
        raise UserError(f"{source!r} is not a .zip file that can be read: {error}") from None


def _zip_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, suffix: str) -> File | Skipped:
    name = printable(info.filename)
    try:
        with archive.open(info) as member:
            data = member.read(MAX_BYTES + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        return Skipped(name, Reason.DAMAGED, str(error))
    except (RuntimeError, NotImplementedError) as error:  # encrypted, or packed in a way that is not known
        return Skipped(name, Reason.UNREADABLE, str(error))
    if len(data) > MAX_BYTES:
        return Skipped(name, Reason.TOO_LARGE, f"over {MAX_BYTES:,} bytes")
    return File(name, suffix, data=data)


def _tar(source: str) -> Iterator[File | Skipped]:
    """The members in the order of the archive, which is read once, from front to back."""
    name = printable(os.path.basename(source))
    limit = max(_MAX_READ, _MAX_EXPANSION * os.path.getsize(source))
    begun = False
    try:
        with open(source, "rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            stream = gzip.GzipFile(fileobj=file) if packed else file
            with tarfile.open(fileobj=_Bounded(stream, limit), mode="r|") as archive:
                for member in archive:
                    begun = True
                    if suffix := member.isfile() and _suffix(member.name):
                        yield _tar_member(archive, member, suffix)
    except Skip as skip:
        yield Skipped(name, skip.reason, skip.detail)
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        if not begun:
            raise UserError(f"{source!r} is not a tar archive that can be read: {error}") from None
        yield Skipped(name, Reason.DAMAGED, f"the archive breaks off: {error}")


def _tar_member(archive: tarfile.TarFile, member: tarfile.TarInfo, suffix: str) -> File | Skipped:
    name = printable(member.name)
    if member.size > MAX_BYTES:
        return Skipped(name, Reason.TOO_LARGE, f"{member.size:,} bytes, over {MAX_BYTES:,}")
    return File(name, suffix, data=archive.extractfile(member).read())


class _Bounded(io.RawIOBase):
    """A stream that raises Skip once more than `limit` bytes are read from it."""

    def __init__(self, stream, limit: int):
        self._stream = stream
        self._left = limit

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(min(size, self._left + 1) if size >= 0 else self._left + 1)
        self._left -= len(data)
        if self._left < 0:
            raise Skip(Reason.TOO_LARGE, "the archive unpacks to far more than it is")
        return data
