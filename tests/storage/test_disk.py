"""What a disk refuses is one line that says where, why and what to do; nothing is left half written."""

import contextlib
import errno
import os
import resource

import numpy as np
import pytest

from mcvae_jax.storage.disk import CannotWrite, cannot_write, reason_of, writing
from mcvae_jax.storage.files import replacing, replacing_file

TENSORSTORE = 'RESOURCE_EXHAUSTED: Error writing "a/0": Failed to write to file [OS error 28: ENOSPC No space left]'


@contextlib.contextmanager
def files_up_to(size):
    """No file may grow over so many bytes meanwhile, also not the one that the tests' own output goes to."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (errno.ENOSPC, "The disk of .* is full .* MB free.*; make room, and the same command goes on$"),
        (errno.EDQUOT, "The quota of .* is full"),
        (errno.EIO, "Cannot write .*: the disk fails: input/output error; mend that"),
        (errno.EROFS, "Cannot write .*: its disk is mounted read-only"),
        (errno.EACCES, "Cannot write .*: you have no permission"),
        (errno.EISDIR, "Cannot write .*: Is a directory"),
    ],
)
def test_each_refusal_is_one_line(tmp_path, code, said):
    with pytest.raises(CannotWrite, match=said) as caught, writing(tmp_path / "results" / "a.json"):
        raise OSError(code, os.strerror(code))
    assert "\n" not in str(caught.value)


def test_what_libraries_wrap_is_found():
    try:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as inner:
            raise RuntimeError("a thread failed") from inner
    except RuntimeError as outer:
        assert reason_of(outer) == errno.ENOSPC
    assert reason_of(ValueError(TENSORSTORE)) == errno.ENOSPC
    assert reason_of(ValueError("a bug")) is None


def test_the_room_that_is_needed_is_said_where_it_is_known(tmp_path):
    error = cannot_write(tmp_path / "checkpoint", OSError(errno.ENOSPC, ""), needs=123_456_789)
    assert "free 125 MB, and the same command goes on" in str(error)


def test_a_file_is_whole_or_not_there(tmp_path):
    path = tmp_path / "a" / "latents.npz"
    with files_up_to(4096), pytest.raises(CannotWrite, match="is full"), replacing_file(path) as file:
        np.savez(file, a=np.arange(10_000))
    assert os.listdir(tmp_path / "a") == []
    with replacing_file(path) as file:
        file.write(b"small")
    assert os.listdir(tmp_path / "a") == ["latents.npz"]


def test_a_folder_keeps_what_it_held(tmp_path):
    (tmp_path / "songs").mkdir()
    (tmp_path / "songs" / "old").touch()
    with files_up_to(4096), pytest.raises(CannotWrite, match="The disk of .* is full .*songs was not written"):
        with replacing(tmp_path / "songs") as place:
            (place / "page.html").write_text("x" * 10_000)
    assert os.listdir(tmp_path) == ["songs"] and os.listdir(tmp_path / "songs") == ["old"]
