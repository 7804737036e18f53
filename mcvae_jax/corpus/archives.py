"""The music in an archive, read in place: .zip, or .tar as it is or packed by gzip, bzip2, xz or zstd.

Nothing is unpacked to disk, so a name inside an archive is only a name. `members` is meant for a child process: on
hostile bytes, Python's modules for archives loop without end, hold ten million names, or get as much memory as a header
asks for. What the limits of a child do not bound is bounded here: how much is unpacked in all, and how many members.
"""

import bz2
import contextlib
import gzip
import io
import lzma
import os
import re
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from tarfile import InvalidHeaderError, ReadError, TruncatedHeaderError  # type: ignore[attr-defined]  # typeshed
from typing import BinaryIO, NamedTuple, Protocol

from mcvae_jax.children import Limits
from mcvae_jax.errors import UserError
from mcvae_jax.music.readers import FORMATS, check_size, music_suffix
from mcvae_jax.music.score import Reason, Skip, lacks_memory
from mcvae_jax.text import brief, printable

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst")
OTHERS = (".7z", ".rar", ".gz", ".bz2", ".xz", ".zst")  # archives that are named and not read
LIMITS = Limits(60.0, 1024)  # from one member to the next, and for all that is listed
MAX_EXPANSION = 200  # unpacked bytes for each packed one; MIDI shrinks to a fifth or so
ALWAYS = 256 << 20  # bytes of an archive that may be unpacked, however small it is
MAX_MEMBERS = 1_000_000
MAX_NAME = 1000  # characters
_PART = 1 << 20
_SIGN_OF_LIFE = 1000  # members


class _Stream(Protocol):
    """Bytes that come one after the other."""

    def read(self, size: int = -1, /) -> bytes: ...


class Member(NamedTuple):
    """A member that is music by its name, or something of the archive that is left out."""

    name: str  # printable
    suffix: str
    content: bytes | Skip


def is_archive(name: str) -> bool:
    """Whether a file is an archive by its name, of a kind that is read or not."""
    return name.lower().endswith(SUFFIXES + OTHERS)


def members(source: str, only: str = "") -> Iterator[Member | None]:
    """The music of an archive; None now and then says that it is still at work.

    Those of a .zip come sorted by name, those of a .tar as they stand. `only` is a regular expression: members in whose
    name it finds nothing are passed over. Raises UserError where it is no archive.
    """
    read = _zip if source.lower().endswith(".zip") else _tar
    limit = max(ALWAYS, MAX_EXPANSION * os.path.getsize(source))
    begun = False
    try:
        for member in read(source, limit, re.compile(only)):
            begun = True
            yield member
    except Exception as error:
        if lacks_memory(error):
            raise MemoryError from error
        if isinstance(error, UserError):
            raise
        if not begun:
            raise UserError(f"{source!r} is no archive that can be read: {_line(error)}") from None
        rest = error if isinstance(error, Skip) else Skip(Reason.DAMAGED, f"the archive breaks off: {_line(error)}")
        yield Member(_name(os.path.basename(source)), "", rest)


def _zip(source: str, limit: int, only: re.Pattern[str]) -> Iterator[Member | None]:
    with zipfile.ZipFile(source) as archive:
        infos = sorted(archive.infolist(), key=lambda info: info.filename)
        yield None
        left = limit
        for info in infos[:MAX_MEMBERS]:
            suffix = music_suffix(info.filename)
            if info.is_dir() or not only.search(info.filename) or not (suffix or is_archive(info.filename)):
                continue
            try:
                if not suffix:
                    raise _nested()
                data = _unpacked(archive, info, suffix, left, limit)
                content: bytes | Skip = data
                left -= len(data)
            except _Unpacked as cost:
                content, left = cost.skip, left - cost.size
            except Exception as error:
                content = _skip_of(error)
            yield Member(_name(info.filename), suffix, content)
        if len(infos) > MAX_MEMBERS:
            yield Member(_name(os.path.basename(source)), "", _too_many(len(infos)))


class _Unpacked(Exception):
    """A member was unpacked in vain."""

    def __init__(self, size: int, skip: Skip) -> None:
        super().__init__(size, skip)
        self.size, self.skip = size, skip


def _unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo, suffix: str, left: int, limit: int) -> bytes:
    """The bytes of a member. Raises Skip, _Unpacked, or what zipfile raises where nothing was unpacked."""
    if left <= 0:
        raise _too_far(limit)
    if stat.S_ISLNK(info.external_attr >> 16):
        raise Skip(Reason.LINK, "a link")
    data = bytearray()
    try:
        with archive.open(info) as member:
            while len(data) <= min(FORMATS[suffix].max_bytes, left) and (part := member.read(_PART)):
                data += part
        check_size(suffix, len(data))
        if len(data) > left:
            raise _too_far(limit)
    except Exception as error:
        raise _Unpacked(len(data), _skip_of(error)) from error
    return bytes(data)


def _tar(source: str, limit: int, only: re.Pattern[str]) -> Iterator[Member | None]:
    with open(source, "rb") as file, _decompressed(file, source) as stream:
        bounded = _Bounded(stream, limit)
        with tarfile.open(fileobj=bounded, mode="r|", errorlevel=2, tarinfo=_Header) as archive:
            number = 0
            while (member := archive.next()) is not None:
                archive.members.clear()  # type: ignore[attr-defined]  # it would keep all; typeshed lacks it
                number += 1
                if number > MAX_MEMBERS:
                    raise _too_many(number)
                found = _tar_member(archive, member) if only.search(member.name) else None
                if found or number % _SIGN_OF_LIFE == 1:
                    yield found


class _Header(tarfile.TarInfo):
    """A header that is an error where it is damaged, which to Python is the end of the archive."""

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> "_Header":
        try:
            return super().fromtarfile(tarfile)
        except (InvalidHeaderError, TruncatedHeaderError) as error:
            raise ReadError(str(error)) from None


def _tar_member(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Member | None:
    suffix = music_suffix(member.name)
    if member.isdir() or not (suffix or is_archive(member.name)):
        return None
    try:
        if not suffix:
            raise _nested()
        stream = archive.extractfile(member) if member.isfile() else None
        if stream is None:
            raise Skip(Reason.LINK, f"a link to {brief(member.linkname)}" if member.linkname else "a device")
        check_size(suffix, member.size)
        content: bytes | Skip = stream.read()
    except _BeyondEnd:
        raise
    except Exception as error:
        content = _skip_of(error)
    return Member(_name(member.name), suffix, content)


def _decompressed(file: BinaryIO, source: str) -> contextlib.AbstractContextManager[_Stream]:
    """The stream that a file holds, by its first bytes."""
    start = file.read(6)
    file.seek(0)
    if start.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file)
    if start.startswith(b"BZh"):
        return bz2.BZ2File(file)
    if start == b"\xfd7zXZ\0":
        return lzma.LZMAFile(file)
    if start.startswith(b"\x28\xb5\x2f\xfd"):
        try:
            from compression import zstd
        except ImportError:
            raise UserError(f"{source!r} is packed by zstd, which Python reads from 3.14 on; unpack it") from None
        return zstd.ZstdFile(file)
    return contextlib.nullcontext(file)


class _BeyondEnd(Skip):
    """Nothing more of the archive can be read."""


class _Bounded(io.RawIOBase):
    """A stream that raises _BeyondEnd once more than `limit` bytes are read from it, or where none are left."""

    def __init__(self, stream: _Stream, limit: int) -> None:
        self._stream, self._limit, self._left = stream, limit, limit
        self._ends = 0

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(min(size, self._left + 1) if size >= 0 else self._left + 1)
        self._left -= len(data)
        if self._left < 0:
            raise _BeyondEnd(*_too_far(self._limit).args)
        self._ends += not data
        if self._ends > 2:  # tarfile skips a member of any size by reading on
            raise _BeyondEnd(Reason.DAMAGED, "a member is longer than the archive")
        return data


def _skip_of(error: Exception) -> Skip:
    """Why a member is left out, the archive being read on."""
    if isinstance(error, Skip):
        return error
    if lacks_memory(error):
        return Skip(Reason.TOO_MUCH_MEMORY, f"over {LIMITS.mebibytes:,} MiB to unpack it")
    if isinstance(error, (RuntimeError, NotImplementedError)):  # encrypted, or packed in a way that is not known
        return Skip(Reason.UNREADABLE, _line(error))
    return Skip(Reason.DAMAGED, _line(error))


def _nested() -> Skip:
    return Skip(Reason.NESTED, "unpack it, or give it as a source of its own")


def _too_far(limit: int) -> Skip:
    return Skip(Reason.TOO_LARGE, f"the archive unpacks to over {limit:,} bytes, and what follows is left out")


def _too_many(number: int) -> Skip:
    return Skip(Reason.TOO_LARGE, f"{number:,} members or more, and those after {MAX_MEMBERS:,} are left out")


def _name(name: str) -> str:
    return printable(name if len(name) <= MAX_NAME else f"{name[:MAX_NAME]}...")


def _line(error: Exception) -> str:
    return brief(str(error) or type(error).__name__)
