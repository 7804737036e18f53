"""Folders and files are written whole or not at all, and what killed makers leave is cleared, and only that."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mcvae_jax.errors import UserError
from mcvae_jax.storage import files

MAKER = """
import sys, time
from pathlib import Path
from mcvae_jax.storage import files
place, kind = Path(sys.argv[1]), sys.argv[2]
if kind == "file":
    with files.replacing_file(place) as file:
        file.write(b"half")
        file.flush()
        print("ready", flush=True)
        time.sleep(60)
rename = Path.rename
def stop_before_the_last(self, target):
    if kind == "moved" and self.name == "new":
        print("ready", flush=True)
        time.sleep(60)
    return rename(self, target)
Path.rename = stop_before_the_last
with files.replacing(place) as new:
    (new / "a").write_text("half")
    if kind == "folder":
        print("ready", flush=True)
        time.sleep(60)
"""


@pytest.fixture
def makers():
    """Starts processes that are in the middle of writing a place; ends them."""
    started = []

    def start(place, kind):
        path = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        arguments = [sys.executable, "-c", MAKER, str(place), kind]
        process = subprocess.Popen(arguments, env=os.environ | path, stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout.readline() == b"ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.wait()


def write(place, text="whole"):
    with files.replacing(place) as new:
        (new / "a").write_text(text)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_part_of_a_killed_maker_goes_with_the_next_build(tmp_path, makers):
    place = tmp_path / "made"
    kill(makers(place, "folder"))
    assert len(names(tmp_path)) == 1 and names(tmp_path)[0].endswith(".part")
    write(place)
    assert names(tmp_path) == ["made"] and (place / "a").read_text() == "whole"


def test_the_part_of_a_maker_that_lives_stays(tmp_path, makers):
    place = tmp_path / "made"
    alive = makers(place, "folder")
    (part,) = names(tmp_path)
    write(place)
    assert names(tmp_path) == [part, "made"]
    kill(alive)
    write(place, "again")
    assert names(tmp_path) == ["made"] and (place / "a").read_text() == "again"


def test_parts_of_other_places_stay(tmp_path, makers):
    kill(makers(tmp_path / "made.b", "folder"))
    (tmp_path / ".made.mine.part").mkdir()
    (tmp_path / ".made.12345678.part.txt").write_text("mine")
    before = names(tmp_path)
    write(tmp_path / "made")
    assert names(tmp_path) == sorted([*before, "made"])


def test_what_a_killed_maker_had_taken_away_comes_back(tmp_path, makers):
    place = tmp_path / "made"
    write(place, "old")
    kill(makers(place, "moved"))
    assert not place.exists()
    with pytest.raises(RuntimeError), files.replacing(place):
        raise RuntimeError
    assert names(tmp_path) == ["made"] and (place / "a").read_text() == "old"


def test_a_file_is_replaced_whole_and_killed_makers_leave_none(tmp_path, makers):
    place = tmp_path / "deep" / "made.npz"
    place.parent.mkdir()
    place.write_bytes(b"old")
    alive = makers(place, "file")
    kill(makers(place, "file"))
    assert len(names(place.parent)) == 3 and place.read_bytes() == b"old"
    with files.replacing_file(place) as file:
        file.write(b"new")
    assert place.read_bytes() == b"new" and len(names(place.parent)) == 2
    assert place.stat().st_mode & 0o777 == 0o666 & ~files._umask()
    kill(alive)
    with pytest.raises(KeyError), files.replacing_file(place):
        raise KeyError
    assert names(place.parent) == ["made.npz"] and place.read_bytes() == b"new"


def test_a_block_that_fails_leaves_what_stood_there(tmp_path):
    write(tmp_path / "made", "old")
    with pytest.raises(KeyError), files.replacing(tmp_path / "made") as new:
        (new / "a").write_text("half")
        raise KeyError
    assert (tmp_path / "made" / "a").read_text() == "old" and names(tmp_path) == ["made"]


def test_builders_at_a_time_leave_one_whole_folder(tmp_path):
    code = "import sys; from pathlib import Path; from tests.storage.test_files import write\n"
    code += "for n in range(40): write(Path(sys.argv[1]), sys.argv[2])"
    path = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", code, str(tmp_path / "made")]
    builders = [subprocess.Popen([*command, str(n)], env=os.environ | path, stderr=subprocess.PIPE) for n in range(3)]
    ends = [(each.wait(), each.stderr.read()) for each in builders]
    for each in builders:
        each.stderr.close()
    # two that replace the same folder at the same moment: one may find it moved, and says so
    assert all(status == 0 or b"annot write" in text for status, text in ends), ends
    write(tmp_path / "made")
    assert names(tmp_path) == ["made"]


def test_what_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="Cannot write .*a file stands where a folder is needed"):
        files.names_in(tmp_path / "file" / "x", "choose another")
    with (
        pytest.raises(UserError, match="Cannot write .*a file stands where a folder is needed"),
        files.replacing(tmp_path / "file" / "x"),
    ):
        pass
    assert Path(tmp_path / "file").is_file() and time.time()
