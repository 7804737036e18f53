"""Files of weights -> the workdirs that they were made of, in the cache: whoever reads a workdir then reads them.

The folder is named by the hash of the file. Once unpacked, it is used as it is, if all its files are what was written;
else it is made anew. Where the cache cannot be written, it lies in the folder for temporary files while the process
lasts.
"""

import atexit
import functools
import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from mcvae_jax.places import cache_folder, stand_for
from mcvae_jax.storage.checkpoints import ITEMS, Checkpoints
from mcvae_jax.storage.disk import CannotWrite
from mcvae_jax.storage.files import in_turn, replacing
from mcvae_jax.storage.jsonfile import DamagedFile, digest_of, read_json, write_json, write_json_lines
from mcvae_jax.storage.packed import Model, NoWeights, read_packed
from mcvae_jax.storage.workdir import Record, Workdir

_LIST = "unpacked.json"  # of a folder: all other files, with their hashes


def unpacked(file: Path, place: str) -> Path:
    """The workdir of a file, which stands for its place from now on; NoWeights where the file is none."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise NoWeights(f"{place} cannot be read: {error.strerror or error}") from error
    folder = _unpacked(file, hashlib.sha256(data).hexdigest())
    stand_for(folder, place)
    return folder


@functools.cache
def _unpacked(file: Path, digest: str) -> Path:
    """Once for each process."""
    above = cache_folder() / "weights" / digest[:16]
    try:
        with in_turn(above / ".lock"):
            if not _is_whole(above / file.stem):
                _unpack(file, above / file.stem)
            return above / file.stem
    except CannotWrite:
        above = Path(tempfile.mkdtemp(prefix="mcvae-weights-"))
        atexit.register(shutil.rmtree, above, ignore_errors=True)
        _unpack(file, above / file.stem)
        return above / file.stem


def _unpack(file: Path, folder: Path) -> None:
    models = read_packed(file)
    with replacing(folder) as place:
        for name, model in models.items():
            _write_workdir(place / name, model)
        write_json(place / _LIST, {path: digest_of(place / path) for path in _files(place)})


def _write_workdir(folder: Path, model: Model) -> None:
    """A workdir with one checkpoint; it has no state of an optimiser, so it cannot be trained on."""
    workdir, about = Workdir(folder), model.about
    folder.mkdir(parents=True, exist_ok=True)
    workdir.write(Record(**about.record))
    params: dict[str, Any] = {}
    for name, array in model.params.items():
        *above, last = name.split("/")
        node = functools.reduce(lambda node, part: node.setdefault(part, {}), above, params)
        node[last] = array.astype(np.float32) if array.dtype.kind == "f" else array
    with Checkpoints(workdir.checkpoints, run=about.record) as checkpoints:
        items = dict(zip(ITEMS, (params, {"none": np.zeros(1, np.float32)}), strict=True))
        checkpoints.save(about.step, items, about.metrics)
    if about.line:
        write_json_lines(workdir.metrics, [about.line])
    if about.summary:
        workdir.results.mkdir()
        write_json(workdir.summary, about.summary)


def _files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def _is_whole(folder: Path) -> bool:
    """Whether a folder holds what was written there."""
    try:
        known = read_json(folder / _LIST, dict[str, str])
    except DamagedFile:
        return False
    return known is not None and all(digest_of(folder / name) == digest for name, digest in known.items())
