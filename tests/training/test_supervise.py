"""A child that works and a parent that waits: whatever the child dies of is one line and an exit status."""

import os
import signal
import subprocess
import sys
import time

import pytest

from mcvae_jax.training.peers import LOST

GO_ON = "the same command on all of them goes on from what is saved"
PIPES = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}


@pytest.mark.parametrize(
    ("how", "status", "lines"),
    [
        ("0", 0, []),
        ("7", 7, []),
        ("refused", 2, ["Error: it cannot be"]),
        ("lost", LOST, [f"Error: process 1 of this run is gone, or cannot be reached; {GO_ON}"]),
        ("killed", LOST, [f"Error: this process was killed, perhaps as memory ran out; {GO_ON}"]),
        ("crash", 128 + signal.SIGABRT, ["a stack of C++", f"Error: this process died of SIGABRT; {GO_ON}"]),
    ],
)
def test_what_a_child_ends_with(how, status, lines):
    done = subprocess.run([sys.executable, "-m", "tests.supervised", how], capture_output=True, text=True)
    said = [line for line in done.stderr.splitlines() if "chatter" not in line]
    assert (done.returncode, done.stdout, said) == (status, "works\n", ["warns", *lines])


def test_an_error_of_the_program_keeps_its_trace():
    done = subprocess.run([sys.executable, "-m", "tests.supervised", "bug"], capture_output=True, text=True)
    assert done.returncode == 1 and "RuntimeError: a bug" in done.stderr and "a stack of C++" in done.stderr


def start():
    process = subprocess.Popen([sys.executable, "-m", "tests.supervised", "long"], **PIPES)
    assert process.stdout.readline() == "works\n"
    return process, int(process.stdout.readline().split()[1])


@pytest.mark.parametrize("to", ["parent", "both"])
def test_a_signal_stops_both_once(to):
    process, child = start()
    process.terminate()
    if to == "both":  # as a cluster sends it to every process of a job
        os.kill(child, signal.SIGTERM)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (128 + signal.SIGTERM, "warns\nStopped. Do it again.\n")


@pytest.mark.more
def test_a_child_does_not_outlive_its_parent():
    process, child = start()
    process.kill()
    process.communicate(timeout=20)
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    raise AssertionError("the child is still there")
