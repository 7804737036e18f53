"""Folders and files that are written whole or not at all.

What is being written lies hidden beside its place, as .NAME.xxxxxxxx.part, and its maker holds a lock on it, which ends
with the process. So the next one who writes there can tell what is left of makers that were killed, and clears it.
"""

import contextlib
import fcntl
import functools
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from mcvae_jax import stopping
from mcvae_jax.places import on_this_machine
from mcvae_jax.storage.disk import CannotWrite, cannot_write, writing

_PART = ".part"


def names_in(folder: Path, advice: str) -> set[str]:
    """The names in a folder that is to be written, empty where it is not there yet; CannotWrite where it cannot be.

    Tried by making a folder beside it, so that nobody waits for an hour for what then cannot be written.
    """
    on_this_machine(folder)
    try:
        names = {path.name for path in folder.iterdir()} if folder.exists() else set()
        above = next((path for path in folder.parents if path.exists()), folder)
        tempfile.TemporaryDirectory(_PART, f".{folder.name}.", above, ignore_cleanup_errors=True).cleanup()
    except OSError as error:
        raise CannotWrite(f"{cannot_write(folder, error)}; or {advice}") from error
    return names


@contextlib.contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """A hidden folder beside `folder`, which takes its place when the block ends well, and else vanishes."""
    on_this_machine(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        clear_parts(folder)
        lock, name = _own(lambda: _new_folder(folder))
        work = Path(name)
    except OSError as error:
        raise CannotWrite(f"{cannot_write(folder, error)}; or choose another folder") from error
    remove = functools.partial(shutil.rmtree, work, ignore_errors=True)
    try:
        new, old = work / "new", work / "old"
        new.mkdir()
        with stopping.undone(remove):
            yield new
        if folder.exists():
            folder.rename(old)
        try:
            new.rename(folder)
        except OSError:
            _restore(work, folder)
            raise
    except OSError as error:
        raise cannot_write(folder, error) from error
    finally:
        remove()
        os.close(lock)


@contextlib.contextmanager
def adding(folder: Path) -> Iterator[Path]:
    """A hidden folder beside `folder`; its files are moved into that one by one when the block ends well, and else
    vanish. Raises CannotWrite where the disk refuses."""
    on_this_machine(folder)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        clear_parts(folder)
        lock, name = _own(lambda: _new_folder(folder))
        work = Path(name)
        remove = functools.partial(shutil.rmtree, work, ignore_errors=True)
        try:
            with stopping.undone(remove):
                yield work
            for path in sorted(path for path in work.rglob("*") if path.is_file()):
                place = folder / path.relative_to(work)
                place.parent.mkdir(parents=True, exist_ok=True)
                path.replace(place)
        finally:
            remove()
            os.close(lock)


@contextlib.contextmanager
def replacing_file(path: Path) -> Iterator[BinaryIO]:
    """A hidden file beside `path`, to be written to, which takes its place when the block ends well, and else vanishes.

    Raises CannotWrite where the disk refuses.
    """
    on_this_machine(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        clear_parts(path)
        handle, name = _own(lambda: tempfile.mkstemp(prefix=f".{path.name}.", suffix=_PART, dir=path.parent))
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
                file.flush()
                os.chmod(name, 0o666 & ~_umask())  # mkstemp lets nobody else read
                os.replace(name, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise


@contextlib.contextmanager
def in_turn(lock: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Others that ask for the same lock wait here; it ends with the process, however that ends.

    Where the lock cannot be written nothing else can, so that none is needed.

    Args:
      waiting: is called where another process has it.
    """
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        handle = lock.open("w")
    except OSError:
        yield
        return
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def clear_parts(place: Path) -> None:
    """Removes what killed makers of `place` have left beside it, and puts back what one of them had taken away."""
    ours = re.compile(rf"\.{re.escape(place.name)}\.[a-z0-9_]{{8}}{re.escape(_PART)}")
    for part in sorted(place.parent.iterdir()):
        if not ours.fullmatch(part.name):
            continue
        with contextlib.suppress(OSError):  # it is another user's, or locked: its maker lives
            handle = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if part.is_dir():
                    _restore(part, place)
                    shutil.rmtree(part)
                else:
                    part.unlink()
            finally:
                os.close(handle)


def _new_folder(folder: Path) -> tuple[int, str]:
    """A new hidden folder beside `folder`: its handle and name."""
    name = tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=_PART, dir=folder.parent)
    return os.open(name, os.O_RDONLY), name


def _own(make: Callable[[], tuple[int, str]]) -> tuple[int, str]:
    """The handle, which is locked, and the name of a part that `make` makes. Raises OSError."""
    while True:
        handle, name = make()
        with contextlib.suppress(OSError):  # where there are no locks, nothing is cleared
            fcntl.flock(handle, fcntl.LOCK_EX)
        if os.path.exists(name):  # else another process cleared it before it was locked
            return handle, name
        os.close(handle)


def _restore(work: Path, folder: Path) -> None:
    """What stood in a folder before comes back where nothing has taken its place."""
    if (work / "old").exists() and not folder.exists():
        (work / "old").rename(folder)


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask
