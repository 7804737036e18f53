"""Two processes of two devices each through all stages of configs/mcvae.py:smoke, stopped and killed in each."""

import itertools
import re
import signal
import subprocess

import pytest

from experiments.jobs import phases
from mcvae_jax.training.peers import LOST

pytestmark = pytest.mark.slow


class Two:
    """Both processes of a run; with a `count` of 1, process 1 does not come."""

    def __init__(self, folder, count=2, timeout=60):
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        commands = phases.commands(folder, timeout)[:count]
        self.both = [subprocess.Popen(command, env=phases.environment(), **pipes) for command in commands]

    def wait_for(self, pattern):
        """Returns when process 0 has said such a line."""
        for line in self.both[0].stdout:
            if re.search(pattern, line):
                return
        raise AssertionError(f"never {pattern}: {self.both[0].stderr.read()}")

    def end(self):
        """The exit statuses; no process has written more than a few lines of its own to stderr."""
        said = [process.communicate(timeout=600)[1] for process in self.both]
        assert not any("Traceback" in err or "    @  " in err or err.count("\n") > 3 for err in said), said
        return [process.returncode for process in self.both], said


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a run that was not disturbed."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert Two(folder).end()[0] == [0, 0]
    return folder


@pytest.mark.parametrize("victim", [0, 1])
def test_a_stop_in_each_stage_and_the_same_command_ends_with_the_same_bits(whole, tmp_path, victim):
    numbers = itertools.cycle((signal.SIGTERM, signal.SIGINT))
    for line, number in zip(phases.PHASES.values(), numbers, strict=False):
        two = Two(tmp_path / "run")
        two.wait_for(line)
        two.both[victim].send_signal(number)
        assert two.end()[0] == [128 + number] * 2, line
        assert not list(tmp_path.rglob("*.part")) and not list(tmp_path.rglob("*.partial"))
    assert Two(tmp_path / "run").end()[0] == [0, 0]
    assert phases.bits(tmp_path / "run") == phases.bits(whole)


@pytest.mark.parametrize("victim", [0, 1])
def test_one_that_is_killed_in_each_stage_ends_the_other_in_one_line(whole, tmp_path, victim):
    for line in phases.PHASES.values():
        two = Two(tmp_path / "run")
        two.wait_for(line)
        two.both[victim].kill()
        status, said = two.end()
        assert status[victim] == -signal.SIGKILL and status[1 - victim] == LOST, line
        assert re.fullmatch("Error: .* (is|are) gone, or cannot be reached; the same command .*\n", said[1 - victim])
    assert Two(tmp_path / "run").end()[0] == [0, 0]
    assert phases.bits(tmp_path / "run") == phases.bits(whole)


def test_one_that_never_comes_is_told_by_the_other(tmp_path):
    two = Two(tmp_path / "run", count=1, timeout=8)
    two.wait_for("waiting for 1 of 2 processes at localhost:")
    ((status,), (said,)) = two.end()
    assert status == LOST and said.count("\n") == 1 and "did not come within 8 s" in said
