"""One file over HTTP, into a file beside its place: with progress, and from where an earlier attempt broke off.

PART        what has come of it so far
PART.json   whose bytes these are: address, and the server's mark of that version (ETag or Last-Modified)
"""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict
from urllib.parse import urlsplit

from mcvae_jax.command import clock
from mcvae_jax.errors import UserError
from mcvae_jax.storage.disk import MEGABYTE
from mcvae_jax.storage.jsonfile import read_json, write_json
from mcvae_jax.text import brief

if TYPE_CHECKING:
    from requests import RequestException, Response

Say = Callable[[str], None]
CONNECT, READ = 20.0, 60.0  # seconds until a server answers, and between two parts of its answer
PAUSES = (1.0, 3.0, 9.0)  # seconds before it is tried once more, where nothing more has come
SECONDS_BETWEEN_LINES = 2.0
MOST = 4  # times the size that is expected: no server fills the disk
UNKNOWN = 1 << 30  # bytes at most of a file of which nobody says the size
_PART = 1 << 14  # what is lost where a connection breaks off
_GONE, _FORBIDDEN, _BUSY = (404, 410), (401, 402, 403, 407, 451), (408, 425, 429)


class Lost(Exception):
    """The connection broke off, or the server is busy; trying again may help."""


class Refused(Exception):
    """Why the file cannot be had, in words; trying again at once does not help."""


class _Begun(TypedDict):
    address: str
    mark: str


class Wanted(NamedTuple):
    """What is to come."""

    name: str  # for messages
    address: str
    size: int  # bytes; 0 where nobody says
    is_exact: bool  # a file of any other size is another one

    @property
    def most(self) -> int:
        """Bytes that are taken."""
        return self.size if self.is_exact else MOST * self.size or UNKNOWN


def receive(wanted: Wanted, part: Path, say: Say) -> None:
    """The whole file in `part`, in as many attempts as bring more of it.

    Raises Lost where nothing more comes, Refused, OSError where the disk refuses. What has come stays in `part`.
    """
    failures = 0
    while True:
        before = size_of(part)
        try:
            return _attempt(wanted, part, say)
        except Lost as lost:
            failures = 1 if size_of(part) > before else failures + 1
            if failures > len(PAUSES):
                raise
            say(f"{wanted.name}: {lost}; trying again")
            time.sleep(PAUSES[failures - 1])


def forget(part: Path) -> None:
    """Removes what has come so far."""
    for path in (part, _mark_of(part)):
        path.unlink(missing_ok=True)


def size_of(path: Path) -> int:
    """Bytes; 0 where there is no file."""
    return path.stat().st_size if path.exists() else 0


def megabytes(size: int) -> str:
    """'58.4 MB'."""
    return f"{size / MEGABYTE:,.1f} MB"


def _mark_of(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _attempt(wanted: Wanted, part: Path, say: Say) -> None:
    import requests  # it takes longer to import than a small corpus to open

    have, mark = _begun(wanted, part)
    headers = {"Accept-Encoding": "identity", "User-Agent": "mcvae_jax"}
    if have:
        headers |= {"Range": f"bytes={have}-"} | ({"If-Range": mark} if mark else {})
    try:
        with requests.get(wanted.address, headers=headers, stream=True, timeout=(CONNECT, READ)) as answer:
            _check_status(answer, wanted)
            if answer.status_code == 416:  # nothing lies beyond what has come
                if answer.headers.get("Content-Range", "").strip() == f"bytes */{have}":
                    return
                forget(part)
                raise Lost("the server has another file than before")
            start = have if answer.status_code == 206 else 0
            if start and not answer.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
                forget(part)
                raise Lost("the server sent another part than was asked for")
            total = _total(answer, start)
            _check_size(wanted, total, start, part)
            if not start:
                forget(part)
                write_json(_mark_of(part), _Begun(address=wanted.address, mark=_mark(answer)))
            _save(wanted, answer, part, start, total, say)
    except requests.RequestException as error:
        raise _failure(error, wanted, part) from error


def _begun(wanted: Wanted, part: Path) -> tuple[int, str]:
    """How many bytes there are to go on from, and the mark of their version; 0 where they are of another file.

    Without a mark they are gone on from where the hash of the whole will tell whether that was right.
    """
    try:
        begun = read_json(_mark_of(part), _Begun)
    except UserError:
        begun = None
    if begun is None or begun["address"] != wanted.address or not (begun["mark"] or wanted.is_exact):
        return 0, ""
    return size_of(part), begun["mark"]


def _mark(answer: "Response") -> str:
    etag = answer.headers.get("ETag", "")
    return answer.headers.get("Last-Modified", "") if etag.startswith("W/") else etag  # a weak one marks no bytes


def _check_status(answer: "Response", wanted: Wanted) -> None:
    """Raises Refused or Lost for an answer that is no file."""
    status, host = answer.status_code, urlsplit(answer.url).hostname
    if status in (200, 206, 416):
        if answer.headers.get("Content-Type", "").lower().startswith("text/html"):
            raise _page(answer, wanted)
        return
    words = f"{host} answers {status} {brief(answer.reason or '')}".rstrip()
    if status in _GONE:
        raise Refused(f"{words}: the file has moved")
    if status in _FORBIDDEN:
        raise Refused(f"{words}: it asks for a login, or forbids it")
    if status in _BUSY or status >= 500:
        raise Lost(words)
    raise Refused(words)


def _page(answer: "Response", wanted: Wanted) -> Refused:
    led = "" if answer.url == wanted.address else f" (it led to {brief(answer.url)})"
    return Refused(f"{urlsplit(wanted.address).hostname} sends a web page in place of the file{led}: it has moved,"
                   " or asks for a login")  # fmt: skip


def _total(answer: "Response", start: int) -> int:
    """Bytes of the whole file; 0 where the server does not say."""
    length = answer.headers.get("Content-Length", "")
    return (
        start + int(length) if length.isascii() and length.isdigit() and "Content-Encoding" not in answer.headers else 0
    )


def _check_size(wanted: Wanted, total: int, start: int, part: Path) -> None:
    if total and wanted.is_exact and total != wanted.size:
        raise Refused(
            f"the file there has {total:,} bytes, and the published one {wanted.size:,}: it is another version"
        )
    if total > wanted.most:
        raise _too_much(wanted)
    needed = (total or wanted.size) - start
    free = shutil.disk_usage(part.parent).free
    if needed > free:
        raise Refused(
            f"{megabytes(needed)} are to come, and the disk of {part.parent} has {megabytes(free)} free: make room, or"
            " set MCVAE_CACHE to a folder with room"
        )


def _too_much(wanted: Wanted) -> Refused:
    return Refused(f"more than {megabytes(wanted.most)} are to come, which the published file has not")


def _save(wanted: Wanted, answer: "Response", part: Path, start: int, total: int, say: Say) -> None:
    """What comes, written from `start` on; Lost where less comes than was announced."""
    done, begun = start, time.monotonic()
    last = begun
    with part.open("ab" if start else "wb") as file:
        for data in answer.iter_content(_PART):
            if not done and data.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
                raise _page(answer, wanted)
            file.write(data)
            done += len(data)
            if done > wanted.most:
                raise _too_much(wanted)
            if (now := time.monotonic()) - last >= SECONDS_BETWEEN_LINES:
                last = now
                say(_progress(wanted.name, done, total, (done - start) / (now - begun)))
    if done < total:
        raise _broken(part)
    say(f"{wanted.name}: {megabytes(done)} in {clock(time.monotonic() - begun)}")


def _progress(name: str, done: int, total: int, rate: float) -> str:
    """'maestro: 12.3 of 58.4 MB (21%), 3.1 MB/s, 0:15 left'."""
    speed = f"{rate / MEGABYTE:.1f} MB/s"
    if not total:
        return f"{name}: {megabytes(done)}, {speed}; the server does not say how much is to come"
    left = clock((total - done) / max(rate, 1.0))
    return f"{name}: {done / MEGABYTE:,.1f} of {megabytes(total)} ({done / total:.0%}), {speed}, {left} left"


def _broken(part: Path) -> Lost:
    return Lost(f"the connection broke off after {megabytes(size_of(part))}")


def _failure(error: "RequestException", wanted: Wanted, part: Path) -> Lost | Refused:
    """What an error of requests means."""
    from requests import exceptions

    host = urlsplit(wanted.address).hostname
    inner = {type(cause).__name__ for cause in _causes(error)}
    if isinstance(error, exceptions.SSLError):
        return Refused(f"the certificate of {host} is not accepted")
    if isinstance(error, exceptions.ConnectTimeout):
        return Refused(f"{host} did not answer for {CONNECT:.0f} s (is there a network?)")
    if isinstance(error, exceptions.ReadTimeout) or "ReadTimeoutError" in inner:
        return Lost(f"{host} sent nothing for {READ:.0f} s")
    if isinstance(error, exceptions.ChunkedEncodingError) or "ProtocolError" in inner:
        return _broken(part)
    if isinstance(error, exceptions.ConnectionError):
        words = f"{host} cannot be reached (is there a network?)"
        return Lost(words) if size_of(part) else Refused(words)
    return Refused(brief(f"{type(error).__name__}: {error}"))


def _causes(error: Any) -> Iterator[Any]:
    """An error, and those that libraries have wrapped in it."""
    seen = 0
    while isinstance(error, BaseException) and seen < 8:
        yield error
        seen += 1
        inner = [getattr(error, "reason", None), *error.args, error.__cause__]
        error = next((cause for cause in inner if isinstance(cause, BaseException)), None)
