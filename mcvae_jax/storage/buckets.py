"""Folders of buckets, and files of weights, worked on in folders of this machine.

Nobody else knows of them: a place that a user names becomes a path by `fetched`, where it is only read, or by
`mounted`, where it is written, and from there on all is files. Training, for which a network is too slow and too
seldom there, works on the disk, while a thread pushes what is new every EVERY seconds (mirror.py says in which order);
the end of the block pushes the rest. One process writes at a time (lease.py).

The folders lie in the cache (places.py), so that a corpus is downloaded once for each machine. Each is used by one
process at a time: another one takes the next of its kind.
"""

import contextlib
import dataclasses
import fcntl
import os
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import IO

from mcvae_jax import stopping
from mcvae_jax.command import say as say_at_once
from mcvae_jax.errors import UserError
from mcvae_jax.places import Address, cache_folder, is_address, parse_address, shown, stand_for, weights_file
from mcvae_jax.storage.disk import CannotWrite, writing
from mcvae_jax.storage.lease import Lease
from mcvae_jax.storage.mirror import Mirror
from mcvae_jax.storage.objects import BucketError, Entry, Objects, open_objects

EVERY = 10.0  # seconds between two pushes, or MCVAE_PUSH_SECONDS; half of the time is spent on pushing, at most
HELD = "Stopping when the bucket has what is new"
Place = str | os.PathLike[str]
Say = Callable[[str], None]


@dataclasses.dataclass
class _Used:
    """A folder of a bucket that this process uses, and the folder that stands for it."""

    address: Address
    mirror: Mirror
    lock: IO[str]  # keeps other processes of this machine out of the folder
    lease: Lease | None = None  # None while it is only read


_used: list[_Used] = []
_locks: list[IO[str]] = []  # of single files, and of folders that are out of use


def fetched(place: Place) -> Path:
    """The path of a place that is read, see `brought`; a file of weights becomes the workdir that it was made of."""
    path = brought(place)
    if file := weights_file(path):
        from mcvae_jax.storage.unpacked import unpacked  # not above: it makes a workdir, which is opened through here

        return unpacked(file, shown(path))
    return path


def brought(place: Place) -> Path:
    """The path of a place as it is: a folder or object of a bucket is brought here, once for each process.

    BucketError where a bucket cannot be read; where nothing is there, the path is that of nothing.
    """
    if not is_address(place):
        return Path(place)
    address = parse_address(place)
    if found := _path_in_use(address, lambda used: True):
        return found
    objects = open_objects(address)
    if address.path and (entry := objects.find(address.path)):
        return _fetched_object(objects, address, entry)
    used = _use(objects, address, "read")
    used.mirror.pull()
    return used.mirror.folder


def beside(folder: Path, name: str) -> Path:
    """The path of a folder that lies beside another one, in a bucket where that stands for one of a bucket."""
    if is_address(address := shown(folder)) and (parts := parse_address(address).path):
        return fetched(f"{address.removesuffix(parts)}{Path(parts).with_name(name).as_posix()}")
    return folder.parent / name


@contextlib.contextmanager
def mounted(place: Place, say: Say = say_at_once, wait: bool = False, is_first: bool = True) -> Iterator[Path]:
    """The path of a folder that is written by this process alone, while the block lasts.

    Args:
      place: a folder of this machine, to which nothing is done, or of a bucket.
      say: takes lines about what the bucket refuses meanwhile.
      wait: for another process that writes there; else that is a UserError.
      is_first: False in the other processes of a run, which read what the first one writes: see `refresh`.

    Raises:
      BucketError: it cannot be read or written, also at the end, when this machine keeps what is not there yet.
    """
    if weights_file(place):
        raise UserError(f"{place} are weights, which are only read; give a folder that can be written.")
    if not is_address(place):
        yield Path(place)
        return
    address = parse_address(place)
    if found := _path_in_use(address, lambda used: used.lease is not None or not is_first):
        yield found
        return
    objects = open_objects(address)
    if not is_first:
        used = _use(objects, address, "read")
        used.mirror.pull()
        yield used.mirror.folder
        return
    used = _use(objects, address, "write")
    _forget_read(used)
    used.lease = Lease(objects, used.mirror.prefix, str(address), say, wait)
    try:
        used.mirror.pull(keep_newer=True)
        with _pushing(used, say):
            yield used.mirror.folder
    finally:
        lease, used.lease = used.lease, None
        with stopping.held(""), contextlib.suppress(BucketError):  # it dies by itself
            lease.release()


@contextlib.contextmanager
def sending(place: Place) -> Iterator[Path]:
    """A path at which one file is to be written, which is then where the place says."""
    if not is_address(place):
        yield Path(place)
        return
    address = parse_address(place)
    if not address.path:
        raise UserError(f"{address} is a bucket; give a file in it.")
    objects = open_objects(address)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / Path(address.path).name
        stand_for(path, address)
        yield path
        objects.upload(path, address.path)


def is_of_bucket(folder: Path) -> bool:
    """Whether a folder of this machine stands for one of a bucket, so that other processes have one of their own."""
    return any(folder.is_relative_to(used.mirror.folder) for used in _used)


def flush() -> None:
    """Pushes all that this process has written: who reads the bucket after this finds it."""
    for used in _used:
        if used.lease is not None:
            used.mirror.push()


def refresh() -> None:
    """Brings what the first process of a run has written, in the others."""
    for used in _used:
        if used.lease is None:
            used.mirror.pull()


@contextlib.contextmanager
def _pushing(used: _Used, say: Say) -> Iterator[None]:
    """Pushes while the block lasts, and at its end."""
    ended = threading.Event()
    thread = threading.Thread(target=_push_again, args=(used, ended, say), daemon=True)
    thread.start()
    try:
        yield
    except BaseException:
        with stopping.held(HELD):
            ended.set()
            thread.join()
            try:
                _push(used)
            except UserError as error:  # what ended the block comes first
                say(str(error))
        raise
    with stopping.held(HELD):
        ended.set()
        thread.join()
        _push(used)


def _push_again(used: _Used, ended: threading.Event, say: Say) -> None:
    pause, failed = _every(), ""
    while not ended.wait(pause):
        started = time.monotonic()
        try:
            _push(used)
            if failed:
                say(f"{used.address} is written again.")
            failed = ""
        except UserError as error:
            if str(error) != failed:
                failed = str(error)
                say(failed)
            if used.lease is None or used.lease.lost.is_set():
                return
        pause = max(_every(), time.monotonic() - started)


def _every() -> float:
    try:
        return float(os.environ.get("MCVAE_PUSH_SECONDS", EVERY))
    except ValueError:
        return EVERY


def _push(used: _Used) -> None:
    """UserError where another process has taken the folder over; BucketError where it cannot be written."""
    kept = f"What it lacks is kept in {cache_folder() / 'buckets'} of this machine"
    if used.lease is not None and used.lease.lost.is_set():
        raise UserError(
            f"Another process has taken {used.address} over, since this one gave no sign of life for too long. {kept}."
        )
    try:
        used.mirror.push()
    except (BucketError, CannotWrite) as error:
        raise BucketError(f"{error} {kept}, where the same command goes on from it.") from error


def _path_in_use(address: Address, serves: Callable[[_Used], bool]) -> Path | None:
    """The path of an address within a folder that this process uses already, those first that it writes."""
    for used in sorted(_used, key=lambda used: (used.lease is None, -len(used.address.path))):
        same = used.address[:2] == address[:2]
        if same and serves(used) and f"{address.path}/".startswith(used.mirror.prefix):
            return used.mirror.folder / address.path.removeprefix(used.mirror.prefix.rstrip("/")).lstrip("/")
    return None


def _forget_read(written: _Used) -> None:
    """From now on what was read before within a folder that is written is read there."""
    for used in [each for each in _used if each is not written and each.lease is None]:
        same = used.address[:2] == written.address[:2]
        if same and f"{used.address.path}/".startswith(written.mirror.prefix):
            _used.remove(used)
            _locks.append(used.lock)  # it may still be open


def _use(objects: Objects, address: Address, how: str) -> _Used:
    """A folder of this machine for an address, which no other process uses."""
    for used in _used:
        if used.address == address and used.mirror.folder.parts[-3] == how:
            return used
    lock, folder = _own_folder(address, how)
    prefix = f"{address.path}/" if address.path else ""
    used = _Used(address, Mirror(objects, prefix, folder, str(address)), lock)
    stand_for(folder, address)
    _used.append(used)
    return used


def _own_folder(address: Address, how: str) -> tuple[IO[str], Path]:
    """buckets/HOW/NAME-HASH-NUMBER/LEAF of the cache, and the lock on it."""
    name = re.sub(r"[^\w.-]+", "-", str(address))[:80]
    digest = blake2b(str(address).encode(), digest_size=4).hexdigest()
    number = 1
    while True:
        above = cache_folder() / "buckets" / how / f"{name}-{digest}-{number}"
        with writing(above):
            above.mkdir(parents=True, exist_ok=True)
            lock = (above / ".lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            number += 1
            continue
        return lock, above / (Path(address.path).name or address.bucket)


def _fetched_object(objects: Objects, address: Address, entry: Entry) -> Path:
    lock, path = _own_folder(address, "files")
    _locks.append(lock)
    with writing(path):
        part = path.with_name(f".{path.name}.part")
        objects.download(address.path, part)
        os.utime(part, (entry.seconds, entry.seconds))  # see Mirror
        part.replace(path)
    stand_for(path, address)
    return path
