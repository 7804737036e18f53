"""Drawings in .npz files: the public format, and one without pickles.

The public one holds arrays of objects `train`, `valid` and `test`, each item a drawing in stroke-3; what numpy pickles
is read by pickled.py. The other has for each side the points of all drawings, one after the other, (points, 3), and in
`train_ends`, `valid_ends`, `test_ends` where each of them ends, (drawings,). `write_drawings` writes that one.
"""

import io
import math
import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from experiments.sketches.pickled import Refused, read_arrays
from experiments.sketches.strokes import SIDES, Drawing, Drawings
from mcvae_jax.errors import UserError
from mcvae_jax.storage.files import replacing_file

MOST_BYTES = 1 << 29  # of an array, unpacked: the largest public file has less than a tenth of it
MOST_NUMBERS = MOST_BYTES // 2
LARGEST_OFFSET = 1000  # longer ones are cut, as in the published code
LONGEST = 10_000  # points of a drawing


def read_drawings(path: Path) -> Drawings:
    """The drawings of a file.

    Raises:
      UserError: there is no such file, or it is not of either format, is damaged, too large, or holds anything but
        arrays of numbers.
    """
    if not path.is_file():
        raise UserError(f"There is no file {path}; config.data.source is 'generator' or an .npz file of drawings")
    try:
        with zipfile.ZipFile(path) as archive:
            sides = {side: _side(archive, side) for side in SIDES}
    except UserError as error:
        raise UserError(f"{path} is not read: {error}") from error
    except (zipfile.BadZipFile, zlib.error, OSError, ValueError, EOFError, RuntimeError, SyntaxError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise UserError(f"{path} is no whole .npz file ({type(error).__name__}: {reason}); fetch it anew") from error
    if not sides["train"]:
        raise UserError(f"{path} has no training drawings")
    return Drawings(**sides)


def write_drawings(path: Path, drawings: Drawings) -> None:
    """Writes the format without pickles, the whole file or nothing."""
    arrays = {}
    for side in SIDES:
        found = getattr(drawings, side)
        arrays[side] = np.concatenate([np.zeros((0, 3), np.float32), *found])
        arrays[f"{side}_ends"] = np.cumsum([len(each) for each in found], dtype=np.int64)
    with replacing_file(path) as file:
        np.savez_compressed(file, **arrays)


def _side(archive: zipfile.ZipFile, side: str) -> list[Drawing]:
    if f"{side}.npy" not in archive.namelist():
        raise UserError(f"it has no array {side!r}; it must have {', '.join(SIDES)}, each of drawings in stroke-3")
    found = _array(archive, side)
    if isinstance(found, np.ndarray):
        found = _parted(found, _array(archive, f"{side}_ends") if f"{side}_ends.npy" in archive.namelist() else None)
    return [_checked(each, f"drawing {number} of {side!r}") for number, each in enumerate(found)]


def _array(archive: zipfile.ZipFile, name: str) -> np.ndarray | list[np.ndarray]:
    """An array of numbers, or of an array of objects the arrays that are its items."""
    with archive.open(f"{name}.npy") as member:
        data = member.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise UserError(f"{name!r} has more than {MOST_BYTES >> 20} MiB; take a part of it")
    file = io.BytesIO(data)
    version = npy.read_magic(file)
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    if version not in readers:
        raise UserError(f"{name!r} is of version {version} of numpy's format, which is not read")
    shape, _, dtype = readers[version](file)
    if not dtype.hasobject:
        if math.prod(shape) * dtype.itemsize != len(data) - file.tell():  # numpy sets the memory aside first
            raise UserError(f"{name!r} has another number of items than its shape says")
        file.seek(0)
        return npy.read_array(file, allow_pickle=False)
    if dtype != np.dtype(object) or len(shape) != 1:
        raise UserError(f"{name!r} is no list of drawings")
    try:
        return read_arrays(file, MOST_NUMBERS)
    except Refused as error:
        raise UserError(f"{name!r} is a pickle that is no list of drawings: {error}") from error


def _parted(points: np.ndarray, ends: np.ndarray | list[np.ndarray] | None) -> list[np.ndarray]:
    """The drawings of an array of numbers: (drawings, N, 3), or (points, 3) with their ends."""
    if ends is None and points.ndim == 3:
        return list(points)
    fits = isinstance(ends, np.ndarray) and ends.ndim == 1 and ends.dtype.kind in "iu" and points.ndim == 2
    ends = ends.astype(np.int64) if fits else ends
    if not fits or np.any(np.diff(ends, prepend=0) < 0) or (ends[-1] if len(ends) else 0) != len(points):
        raise UserError("points that are no list of drawings need the ends of the drawings beside them, see the docs")
    return np.split(points, ends[:-1]) if len(ends) else []


def _checked(drawing: np.ndarray, name: str) -> Drawing:
    """stroke-3 in float32; UserError where it is none."""
    if drawing.ndim != 2 or drawing.shape[1] != 3 or drawing.dtype.kind not in "iufb":
        raise UserError(f"{name} has shape {drawing.shape}; stroke-3 has three columns of numbers: dx, dy, pen lifted")
    if not 1 <= len(drawing) <= LONGEST:
        raise UserError(f"{name} has {len(drawing)} points; it must have from 1 to {LONGEST:,}")
    points = drawing.astype(np.float32)
    if not np.isfinite(points).all() or not np.isin(points[:, 2], (0, 1)).all():
        raise UserError(f"{name} has offsets that are no numbers, or a pen that is neither 0 nor 1")
    return np.column_stack([np.clip(points[:, :2], -LARGEST_OFFSET, LARGEST_OFFSET), points[:, 2]])
