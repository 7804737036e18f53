"""What is said where a disk refuses: full, over quota, read-only, forbidden, failing."""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from mcvae_jax.errors import UserError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
REASONS = {
    errno.EROFS: "its disk is mounted read-only",
    errno.EACCES: "you have no permission",
    errno.EPERM: "you have no permission",
    errno.EIO: "the disk fails: input/output error",
    errno.EMFILE: "too many files are open",
    errno.ENFILE: "too many files are open",
    errno.ENOMEM: "out of memory",
}
A_FILE_THERE = dict.fromkeys((errno.ENOTDIR, errno.EEXIST), "a file stands where a folder is needed")
LITTLE = 64 * 1024  # bytes free, below which a short write without a reason is one to a full disk
MEGABYTE = 1_000_000


class CannotWrite(UserError):
    """A file that the disk did not take; the message ends in 'the same command goes on'."""


@contextlib.contextmanager
def writing(path: Path | str, needs: int = 0) -> Iterator[None]:
    """Context that writes `path`, of about `needs` bytes (0: not known): what the disk refuses is a CannotWrite."""
    try:
        yield
    except OSError as error:
        raise cannot_write(path, error, needs) from error


def cannot_write(path: Path | str, error: BaseException, needs: int = 0) -> CannotWrite:
    """The one line for an error that ended the writing of `path`, of about `needs` bytes (0: not known)."""
    path = Path(path).absolute()
    folder = next((above for above in path.parents if above.is_dir()), path.parent)
    code, free = reason_of(error), _free(folder)
    if code in FULL or (code is None and free < LITTLE):  # numpy tells of a short write without its reason
        room = f"free {-(-needs // MEGABYTE) + 1} MB" if needs else "make room"
        kind = "quota" if code == errno.EDQUOT else "disk"
        return CannotWrite(
            f"The {kind} of {folder} is full ({free / MEGABYTE:.1f} MB free), so {path.name} was not written; {room},"
            " and the same command goes on"
        )
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    reason = ((REASONS | A_FILE_THERE).get(code) or os.strerror(code)) if code else text[:200]
    return CannotWrite(f"Cannot write {path}: {reason}; mend that, and the same command goes on")


def is_of_disk(error: BaseException, folder: Path) -> bool:
    """Whether an error while files were written into a folder comes from the disk, and not from the program."""
    return reason_of(error) is not None or _free(folder) < LITTLE


def refusal(error: BaseException) -> str:
    """Why the system did not let a file be read that may be whole: permission, a failing disk, ...; '' for others."""
    code = reason_of(error)
    return REASONS.get(code, "") if code else ""


def reason_of(error: BaseException) -> int | None:
    """The number of the operating system's error behind an error, None where there is none.

    Libraries wrap it (`__cause__`, `__context__`) or keep its text alone, as TensorStore does.
    """
    seen: set[int] = set()
    behind: BaseException | None = error
    while behind is not None and id(behind) not in seen:
        seen.add(id(behind))
        if isinstance(behind, OSError) and behind.errno:
            return behind.errno
        for code in (*FULL, *REASONS):
            if f"[OS error {code}:" in str(behind) or os.strerror(code) in str(behind):
                return code
        behind = behind.__cause__ or behind.__context__
    return None


def _free(folder: Path) -> int:
    """Bytes that may still be written there."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0
