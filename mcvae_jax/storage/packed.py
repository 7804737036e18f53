"""Models as one file, FILE.npz: their arrays, what is known of them, and a hash of all of it.

It is what numpy.savez writes, so that anybody can read it:

about    JSON text, uint8: format, version, and for each model its record, step, figures (see `About`)
sha256   32 bytes: of `about`, and of the name, type, shape and bytes of every array, see `_digest`
FOLDER/params/a/b   the arrays of the model that lies in FOLDER of a workdir, '.' for the workdir itself

Nothing of it is run or unpickled, and no more is read than the sizes that the file states and the bounds allow.
"""

import dataclasses
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mcvae_jax.errors import UserError
from mcvae_jax.storage.disk import refusal
from mcvae_jax.storage.files import replacing_file
from mcvae_jax.storage.jsonfile import Count, DamagedFile, Object, conform, parse

FORMAT, VERSION = "mcvae_jax weights", 1
HERE = "."  # the folder of a model that is the whole workdir
MOST_BYTES, MOST_ARRAYS = 4 << 30, 10_000  # of a file, unpacked
MOST_ABOUT = 64 << 20  # bytes of what is known
_FOLDER, _NAME = re.compile(r"\.|\w[\w-]*"), re.compile(r"params(/[\w.-]+)*")
_PARAMS = "params"


@dataclasses.dataclass(frozen=True)
class About:
    """What is known of one model."""

    record: Object  # config, data, command, ... as config.json of a workdir has them
    step: Count
    metrics: dict[str, float]  # held-out, of that step
    line: Object  # of the log of its training, held-out, of that step; {} for none
    summary: Object  # of the results that its training wrote; {} for none


@dataclasses.dataclass(frozen=True)
class Model:
    """One model of a file."""

    about: About
    params: Mapping[str, np.ndarray]  # 'a/b/kernel' -> array, floats of 16 or 32 bits


@dataclasses.dataclass(frozen=True)
class _Head:
    format: str
    version: int
    models: dict[str, About]


class NoWeights(UserError):
    """A file that is damaged, or no file of weights at all."""


def write_packed(path: Path, models: Mapping[str, Model]) -> None:
    """Writes models, by their folders, into one file; CannotWrite where the disk refuses."""
    head = _Head(FORMAT, VERSION, {folder: model.about for folder, model in models.items()})
    about = json.dumps(dataclasses.asdict(head), sort_keys=True).encode("ascii")
    arrays = {
        _key(folder, name): np.ascontiguousarray(array)
        for folder, model in models.items()
        for name, array in model.params.items()
    }
    head_arrays = {"about": np.frombuffer(about, np.uint8), "sha256": np.frombuffer(_digest(about, arrays), np.uint8)}
    save: Callable[..., None] = np.savez_compressed  # numpy 2.0 takes every keyword for an array, also allow_pickle
    with replacing_file(path) as file:
        save(file, **head_arrays, **arrays)


def read_packed(path: Path) -> dict[str, Model]:
    """The models of a file, by their folders; NoWeights, one line, where it is damaged or something else."""
    arrays = _arrays(path)
    if not {"about", "sha256"} <= arrays.keys():
        raise NoWeights(f"{path} is no file of weights of this program: it has no facts about a model; {_ADVICE}")
    about, stated = (arrays.pop(name).tobytes() for name in ("about", "sha256"))
    if _digest(about, arrays) != stated:
        raise NoWeights(f"{path} is damaged: it is not what its SHA-256 states; get it anew")
    try:
        value = parse(path, about)
        if value.get("format") == FORMAT and value.get("version") != VERSION:
            raise NoWeights(f"{path} was made by another version of this program, which this one cannot read")
        head = conform(path, value, _Head)
    except (DamagedFile, AttributeError) as error:
        raise NoWeights(f"{path} is no file of weights of this program ({error}); {_ADVICE}") from error
    keys = {folder: f"{folder}/{_PARAMS}/" for folder in head.models}
    models = {
        folder: Model(head.models[folder], {k.removeprefix(key): v for k, v in arrays.items() if k.startswith(key)})
        for folder, key in keys.items()
    }
    if not models or not all(_FOLDER.fullmatch(folder) and model.params for folder, model in models.items()):
        raise NoWeights(f"{path} is no file of weights of this program: it names models without arrays; {_ADVICE}")
    return models


_ADVICE = "python -m mcvae_jax.weights WORKDIR --out=FILE.npz makes one"


def _key(folder: str, name: str) -> str:
    return f"{folder}/{_PARAMS}/{name}"


def _digest(about: bytes, arrays: Mapping[str, np.ndarray]) -> bytes:
    """SHA-256 of the facts, and of 'name type shape' in a line before the bytes of each array, in order of names."""
    digest = hashlib.sha256(about)
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.digest()


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of a file of numpy.savez."""
    try:
        with zipfile.ZipFile(path) as file:
            entries = file.infolist()
            if len(entries) > MOST_ARRAYS or sum(entry.file_size for entry in entries) > MOST_BYTES:
                raise ValueError("it is larger than any model that this program makes")
            return {entry.filename.removesuffix(".npy"): _array(file, entry) for entry in entries}
    except OSError as error:
        raise NoWeights(f"{path} cannot be read: {refusal(error) or error.strerror or error}") from error
    except Exception as error:  # zipfile, zlib and numpy raise many kinds
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise NoWeights(f"{path} is damaged, or no file of weights ({reason}); get it anew, or {_ADVICE}") from error


def _array(file: zipfile.ZipFile, entry: zipfile.ZipInfo) -> np.ndarray:
    """One array, whose size must be that of its bytes: a header may claim any."""
    if entry.filename in ("about.npy", "sha256.npy") and entry.file_size > MOST_ABOUT:
        raise ValueError(f"{entry.filename} is too large")
    stream = io.BytesIO(file.read(entry))  # all of it, so that its CRC is checked before anything is made of it
    version: Any = np.lib.format.read_magic(stream)
    if version != (1, 0):
        raise ValueError(f"{entry.filename} is no plain array")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    data = stream.read()
    if fortran or dtype.hasobject or dtype.kind not in "fiub" or len(data) != dtype.itemsize * int(np.prod(shape)):
        raise ValueError(f"{entry.filename} is no plain array of its size")
    return np.frombuffer(data, dtype).reshape(shape)
