"""A seed is read by a child, within limits: whatever a file holds, it costs a line."""

import contextlib
import os
import resource
import signal
import time

import pytest

from mcvae_jax import children
from mcvae_jax.children import Limits
from mcvae_jax.corpus import sources
from mcvae_jax.errors import UserError
from mcvae_jax.sampling import seeds
from mcvae_jax.sampling.seeds import read_seed
from tests.sampling.test_seeds import ABC, refused, scale, track, write


def test_a_file_that_can_be_one_comes_whole(tmp_path):
    seed = read_seed(write(tmp_path / "a.mid", track(scale(24))), 2)
    assert seed.bars[:, ::4].ravel().tolist() == [60 + q % 12 for q in range(16, 24)] and len(seed.before) == 4


def dying(asked):
    os.kill(os.getpid(), signal.SIGSEGV)


def sleeping(asked):
    time.sleep(60)


@pytest.mark.more
@pytest.mark.parametrize(
    ("limits", "reader", "told"),
    [
        (Limits(20.0, 50), seeds._read, "took too much memory to read: over 50 MiB"),
        (Limits(0.1, 512), sleeping, "took too long to read: over 1 s"),
    ],
)
def test_a_file_beyond_its_limits_is_one_line_that_names_them(tmp_path, monkeypatch, limits, reader, told):
    path = tmp_path / "a.abc"
    path.write_text("".join(ABC.replace("X:1", f"X:{n}") for n in range(4000)))
    monkeypatch.setattr(sources.File, "limits", lambda self: limits)
    monkeypatch.setattr(seeds, "_read", reader)
    monkeypatch.setattr(children, "STARTING", 3.0)
    message = refused(path)
    assert told in message and "cut it to a single piece" in message


@pytest.mark.more
def test_a_file_that_kills_its_reader_is_one_line(tmp_path, monkeypatch):
    path = write(tmp_path / "a.mid", track(scale(8)))
    monkeypatch.setattr(seeds, "_read", dying)
    assert "crashed the reader: its process died (SIGSEGV)" in refused(path)


def test_a_metre_of_any_size_takes_no_more_than_its_format_may(tmp_path):
    path = tmp_path / "a.abc"
    path.write_text("X:1\nM:999999999/8\nL:1/8\nK:C\nCDEF|GABc|\n")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with contextlib.suppress(UserError):
        read_seed(path, 8)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime - before.ru_utime < 11
    assert after.ru_maxrss < 1200 << 10 or before.ru_maxrss == after.ru_maxrss
