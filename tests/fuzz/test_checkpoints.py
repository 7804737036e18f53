"""Whatever happens to the files of a checkpoint, it is restored bit for bit, or one line says what is wrong."""

import random
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from mcvae_jax.errors import UserError
from mcvae_jax.storage.checkpoints import Checkpoints
from tests.fuzz.strategies import CHANCE
from tests.mutants import mutate_bytes
from tests.storage.test_checkpoints import items, wanted

pytestmark = pytest.mark.fuzz
STEP = 5


class Saved(NamedTuple):
    """A folder with one checkpoint, and what its files hold."""

    folder: Path
    files: dict[Path, bytes]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoints") / "c"
    with Checkpoints(folder) as checkpoints:
        checkpoints.save(STEP, items(), {"objective": 1.0})
    return Saved(folder, {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()})


@pytest.mark.more
@given(data=st.data())
def test_other_parameters_are_never_restored_silently(saved, data):
    damages = data.draw(_damages(saved.files))
    try:
        for path, content in damages.items():
            if content is None:
                path.unlink()
            else:
                path.write_bytes(content)
        event(restore(saved.folder))
    finally:
        for path in damages:
            path.write_bytes(saved.files[path])


@st.composite
def _damages(draw: st.DrawFn, files: dict[Path, bytes]) -> dict[Path, bytes | None]:
    """New content of one or two files, None for one that is gone."""
    damages = {}
    for path in draw(st.lists(st.sampled_from(list(files)), min_size=1, max_size=2, unique=True)):
        damage = draw(st.sampled_from([_flip, _flip, mutate_bytes, None]))
        damages[path] = damage(files[path], draw(CHANCE)) if damage else None
    return damages


def _flip(content: bytes, chance: random.Random) -> bytes:
    """One bit, as disks and memory do it."""
    out = bytearray(content or b"\0")
    out[chance.randrange(len(out))] ^= 1 << chance.randrange(8)
    return bytes(out)


def restore(folder) -> str:
    """'equal' or 'named'; AssertionError where other parameters come."""
    try:
        with Checkpoints(folder, read_only=True) as checkpoints:
            restored = checkpoints.restore(STEP, wanted()).items
            checkpoints.damage(STEP)
    except UserError as error:
        assert "\n" not in str(error)
        return "named"
    for a, b in zip(jax.tree.leaves(restored), jax.tree.leaves(items()), strict=True):
        assert a.dtype == b.dtype and np.asarray(a).tobytes() == np.asarray(b).tobytes()
    return "equal"
