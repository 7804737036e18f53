"""A file of the internet in the cache: fetched once, resumed where it broke off, checked, and then read offline.

FILE        as it was published
FILE.json   a Record: where it came from, and its hash
.lock       held by the process that fetches; others wait for it

Whatever goes wrong is a UserError of one line, which says where a file goes that was got by hand.

pooch, the usual library for this, downloads into a random temporary file, so that nothing is resumed, and has no lock.
"""

import contextlib
import gzip
import hashlib
import time
import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple, TypedDict
from urllib.parse import urlsplit

from mcvae_jax.corpus.archives import MAX_EXPANSION
from mcvae_jax.corpus.transfer import Lost, Refused, Say, Wanted, forget, megabytes, receive, size_of
from mcvae_jax.errors import UserError
from mcvae_jax.storage.disk import writing
from mcvae_jax.storage.files import in_turn
from mcvae_jax.storage.jsonfile import read_json, read_or_none, write_json


class Remote(NamedTuple):
    """A file that is published."""

    address: str
    size: int  # bytes; about, where there is no hash; 0 where nobody says
    sha256: str = ""  # hexadecimal; '' where nobody publishes it, or what lies there changes

    @property
    def file(self) -> str:
        """Its name in the cache."""
        return urlsplit(self.address).path.rpartition("/")[2]


class Record(TypedDict):
    """Where a file of the cache came from."""

    address: str
    bytes: int
    sha256: str
    fetched: str  # the day, or 'by hand' for a file that was put there


def fetch(name: str, remote: Remote, folder: Path, say: Say, intro: str = "") -> Record:
    """Sees to it that `folder` holds the file, whole and checked, and says where it came from.

    Args:
      name: of the data set, for messages.
      intro: said before anything is downloaded.
    Raises UserError; what has come until then stays, and the next call goes on from there.
    """
    path = folder / remote.file
    with writing(path):
        folder.mkdir(parents=True, exist_ok=True)
    with in_turn(folder / ".lock", lambda: say(f"{name} is being fetched by another process; waiting for it")):
        if path.exists() and (record := _kept(name, remote, path, say)):
            return record
        if intro:
            say(intro)
        return _download(name, remote, path, say)


def known(remote: Remote, folder: Path) -> Record | None:
    """The record of a file that lies in the cache; None where there is none, or it cannot be read."""
    path = folder / remote.file
    with contextlib.suppress(UserError):
        return read_json(_record_of(path), Record) if path.exists() else None
    return None


def _record_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _kept(name: str, remote: Remote, path: Path, say: Say) -> Record | None:
    """The record of the file that lies there; None where it is not what it should be, and gone now."""
    record = read_or_none(_record_of(path), Record, say, "the file beside it is looked at anew")
    digest = _sha256(path)
    if record is None:
        if remote.sha256 not in ("", digest):
            raise UserError(
                f"{path} is not {name} as it was published (its SHA-256 is {digest}, not {remote.sha256}); take it"
                f" away and get {remote.address}, or give it as a source of its own"
            )
        say(f"{name}: {path} was put there by hand, and is taken")
        return _recorded(remote, path, digest, "by hand")
    if digest == record["sha256"] and remote.sha256 in ("", digest) and record["address"] == remote.address:
        return record
    say(f"{path} is damaged, or of another version; it is fetched again")
    with writing(path):
        path.unlink()
        _record_of(path).unlink()
    return None


def _download(name: str, remote: Remote, path: Path, say: Say) -> Record:
    part = path.with_name(f"{path.name}.part")
    by_hand = f"get {remote.address} by hand, put it at {path}, and give the same command"
    try:
        with writing(part, remote.size):
            receive(Wanted(name, remote.address, remote.size, bool(remote.sha256)), part, say)
            digest = _check(remote, part)
            part.replace(path)
            forget(part)
    except Refused as refused:
        raise UserError(f"{name} was not downloaded: {refused}; {by_hand}") from refused
    except Lost as lost:
        kept = f"{megabytes(size_of(part))} stay, and the same command goes on from there" if size_of(part) else ""
        raise UserError(f"{name} was not downloaded: {lost}; {kept or 'try again later'}, or {by_hand}") from lost
    return _recorded(remote, path, digest, time.strftime("%Y-%m-%d", time.gmtime()))


def _check(remote: Remote, part: Path) -> str:
    """The hash of what has come; Refused, and away with it, where that is not what was published."""
    digest = _sha256(part)
    problem = ""
    if remote.sha256 not in ("", digest):
        problem = (
            f"its SHA-256 is {digest}, not {remote.sha256}: it was damaged on the way (the same command fetches it"
            " again), or it is another version"
        )
    elif not _is_whole(part, remote.file):
        problem = "what came is no whole file of its kind"
    if problem:
        forget(part)
        raise Refused(problem)
    return digest


def _is_whole(part: Path, name: str) -> bool:
    """Whether a file ends as its kind does: of some servers nothing else tells that the connection broke off."""
    if name.endswith(".zip"):
        return zipfile.is_zipfile(part)
    if name.endswith((".gz", ".tgz")):
        left = MAX_EXPANSION * size_of(part)
        with contextlib.suppress(OSError, EOFError, zlib.error), gzip.open(part) as file:
            while (data := file.read(1 << 20)) and left > 0:
                left -= len(data)
            return True
        return False
    return size_of(part) > 0


def _recorded(remote: Remote, path: Path, digest: str, fetched: str) -> Record:
    record = Record(address=remote.address, bytes=path.stat().st_size, sha256=digest, fetched=fetched)
    write_json(_record_of(path), record)
    return record


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
