"""Folders that are written whole or not at all."""

import contextlib
import functools
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mcvae_jax import stopping
from mcvae_jax.errors import UserError


def names_in(folder: Path, advice: str) -> set[str]:
    """The names in a folder that is to be written, empty where it is not there yet; UserError where it cannot be.

    Tried by making a folder beside it, so that nobody waits for an hour for what then cannot be written.
    """
    try:
        names = {path.name for path in folder.iterdir()} if folder.exists() else set()
        above = next((path for path in folder.parents if path.exists()), folder)
        tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=above).cleanup()
    except OSError as error:
        raise UserError(f"cannot write to {folder} ({error.strerror}); {advice}") from error
    return names


@contextlib.contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """A hidden folder beside `folder`, which takes its place when the block ends well, and else vanishes."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.parent))
    except OSError as error:
        raise UserError(f"cannot write to {folder.parent} ({error.strerror}); choose another folder") from error
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
            if old.exists() and not folder.exists():
                old.rename(folder)
            raise
    except OSError as error:
        raise UserError(f"cannot write {folder} ({error.strerror})") from error
    finally:
        remove()


@contextlib.contextmanager
def adding(folder: Path) -> Iterator[Path]:
    """A hidden folder beside `folder`; its files are moved into that one by one when the block ends well, and else
    vanish."""
    folder.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.parent))
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
