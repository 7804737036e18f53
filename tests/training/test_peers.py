"""Processes that come together, wait for each other, stop and end together: real ones, without JAX."""

import contextlib
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from mcvae_jax.training import rollcall
from mcvae_jax.training.peers import LOST, Peers
from mcvae_jax.training.rollcall import free_port

pytestmark = pytest.mark.more

PROGRAM = """
import os, sys, time
from mcvae_jax import stopping
from mcvae_jax.command import run_command
from mcvae_jax.errors import UserError
from mcvae_jax.training.rollcall import roll_call

def run(peers, index):
BODY

def main(argv):
    port, count, index, seconds = map(int, argv[:4])
    peers = roll_call("localhost", port, count, index, {"config": argv[4:]}, time.monotonic() + seconds)
    try:
        status = run(peers, index)
        with stopping.held("Stopping after the others"):
            peers.meet()
            peers.is_over = True
            peers.meet()
        return status
    except UserError as error:
        peers.end(error.status, str(error))
        raise
    except KeyboardInterrupt as error:
        peers.end(128 + error.number, "")
        raise

run_command(main, "Do it again.")
"""
SLEEP = "print('in')\nwhile True: peers.wait(lambda: False, time.monotonic() + 1)"


class Run:
    """Processes of a run, each told its count, its number and the rest of its arguments."""

    def __init__(self, body, count, arguments=None, port=None, seconds=20):
        self.port = port or free_port()
        arguments = arguments or [(count, index) for index in range(count)]
        body = PROGRAM.replace("BODY", textwrap.indent(textwrap.dedent(body), " " * 4))
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        self.processes = [
            subprocess.Popen([sys.executable, "-u", "-c", body, *map(str, (self.port, n, i, seconds, *more))], **pipes)
            for n, i, *more in arguments
        ]

    def wait_for(self, line):
        for process in self.processes:
            assert any(said == f"{line}\n" for said in process.stdout), process.stderr.read()

    def ends(self):
        """Exit status, output and errors of each, and the seconds until all had ended."""
        started = time.monotonic()
        said = [process.communicate(timeout=30) for process in self.processes]
        assert not any("Traceback" in err for _, err in said), said
        return [(p.returncode, out, err.strip()) for p, (out, err) in zip(self.processes, said, strict=True)], (
            time.monotonic() - started
        )


def test_what_the_first_makes_is_there_for_all():
    body = """
        made = peers.by_first("numbers", lambda: [0.1, 1e-300, 2.5])
        peers.meet()
        print(made, peers.by_first("numbers", lambda: "again"), bool(peers.service))
    """
    ends, _ = Run(body, 3).ends()
    assert ends == [(0, "[0.1, 1e-300, 2.5] again True\n", "")] * 3


def test_nobody_leaves_a_meeting_before_all_have_come():
    body = """
        time.sleep(0.5 * index)
        came = time.time()
        peers.meet()
        print(came, time.time())
    """
    ends, _ = Run(body, 3).ends()
    came, left = zip(*(map(float, out.split()) for _, out, _ in ends), strict=True)
    assert min(left) >= max(came)


def test_who_does_not_come_is_named_and_ends_all_in_one_line():
    ends, seconds = Run("print('never')", 3, [(3, 0), (3, 1)], seconds=4).ends()
    for status, out, err in ends:
        assert status == LOST and "waiting for 1 of 3 processes at localhost:" in out and "(number 2) (" in out
        assert err.count("\n") == 0 and "1 of 3 processes" in err and "did not come within 4 s; start all" in err
    assert seconds < 12


def test_a_first_process_that_does_not_come_is_named():
    ((status, out, err),), _ = Run("print('never')", 2, [(2, 1)], seconds=4).ends()
    assert status == LOST and "waiting for process 0 at localhost:" in out
    assert err.count("\n") == 0 and "did not answer within 4 s (Connection refused)" in err


@pytest.mark.parametrize("victim", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_one_that_is_killed_ends_the_others_at_once(victim):
    run = Run(SLEEP, 3)
    run.wait_for("in")
    run.processes[victim].kill()
    ends, seconds = run.ends()
    del ends[victim]
    line = f"Error: process {victim} of 3 is gone, or cannot be reached; the same command on all of them goes on"
    assert all(status == LOST and err == f"{line} from what is saved" for status, _, err in ends) and seconds < 5


@pytest.mark.parametrize(
    ("victim", "number"), [pytest.param(0, signal.SIGTERM, marks=pytest.mark.slow), (2, signal.SIGINT)]
)
def test_a_stop_that_reaches_one_reaches_all(victim, number):
    run = Run(SLEEP, 3)
    run.wait_for("in")
    run.processes[victim].send_signal(number)
    ends, seconds = run.ends()
    assert [status for status, _, _ in ends] == [128 + number] * 3 and seconds < 5
    assert all(err.splitlines()[-1] == "Stopped. Do it again." for _, _, err in ends)


def test_all_stop_at_the_same_step():
    """Each runs ahead of the others within what a meeting at every fourth step allows."""
    body = """
        print("in")
        with stopping.held("Stopping"):
            for step in range(1, 10000):
                time.sleep(0.003 * (index + 1))
                if step % 4 == 0:
                    peers.meet()
                if peers.agree_to_stop(step):
                    break
            number = stopping.take()
        print(step)
        return 128 + number
    """
    run = Run(body, 3)
    run.wait_for("in")
    time.sleep(0.5)
    run.processes[1].terminate()
    ends, _ = run.ends()
    assert [status for status, _, _ in ends] == [128 + signal.SIGTERM] * 3
    assert len({out for _, out, _ in ends}) == 1 and 4 < int(ends[0][1]) < 9999


def test_a_signal_that_reaches_all_of_them_is_one_stop():
    body = """
        print("in")
        with stopping.held("Stopping"):
            step = 0
            while not peers.agree_to_stop(step):
                step += 1
                time.sleep(0.01)
                peers.meet()
            stopping.take()
        print("saved", step)
        return 143
    """
    run = Run(body, 3)
    run.wait_for("in")
    time.sleep(0.3)
    for process in run.processes:
        process.terminate()
    ends, _ = run.ends()
    assert [status for status, _, _ in ends] == [143] * 3 and len({out for _, out, _ in ends}) == 1


@pytest.mark.parametrize("guilty", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_an_error_of_one_ends_all_with_its_line(guilty):
    body = f"""
        if index == {guilty}:
            raise UserError("no room on the disk")
        peers.wait(lambda: False, time.monotonic() + 60)
    """
    ends, seconds = Run(body, 3).ends()
    assert [status for status, _, _ in ends] == [2] * 3 and seconds < 8
    for index, (_, _, err) in enumerate(ends):
        assert err == f"Error: {'' if index == guilty else f'process {guilty}: '}no room on the disk"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([(2, 0), (3, 1)], "process 1 was told of 3 processes, process 0 of 2"),
        ([(3, 0), (3, 1), (3, 1)], "two processes have the number 1; give each its own, from 0 to 2"),
        ([(2, 0, "steps=4"), (2, 1, "steps=5")], 'process 1 was started otherwise than process 0: config: ["steps=4"]'),
    ],
)
def test_processes_that_do_not_fit_together_say_so(arguments, message):
    ends, _ = Run("print('never')", 2, arguments, seconds=30).ends()
    assert all(status == 2 and message in err and err.count("\n") == 0 for status, _, err in ends), ends


def test_of_two_that_call_at_the_same_time_with_one_number_one_does_not_fit(monkeypatch):
    both, judge = threading.Barrier(2), rollcall._mismatch

    def slow(*arguments):
        found = judge(*arguments)
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(0.5)  # where two are judged at a time, they meet here
        return found

    monkeypatch.setattr(rollcall, "_mismatch", slow)
    peers, port = Peers(3, 0, "here"), free_port()
    with rollcall.listen(peers, "localhost", port, {}), contextlib.ExitStack() as calls:
        for _ in range(2):
            wire = calls.enter_context(socket.create_connection(("localhost", port)))
            wire.sendall(b'{"process": 1, "processes": 3, "facts": {}}\n')
        until = time.monotonic() + 10
        while peers.refused is None and time.monotonic() < until:
            time.sleep(0.01)
        peers.is_over = True  # nobody is missed
    assert "two processes have the number 1" in str(peers.refused)


def test_strangers_at_the_port_are_let_be():
    run = Run("print(peers.by_first('it', lambda: 7))", 2, [(2, 0)])
    hello = b'{"process": 1, "processes": 2, "facts": 5}\n'
    for words in (b"GET / HTTP/1.0\r\n\r\n", b"{}\n", b"\x00\xff\n", b"", hello, b"[" * 100_000 + b"\n"):
        until = time.monotonic() + 10
        while time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection(("localhost", run.port), timeout=1) as stranger:
                stranger.sendall(words)
                break
            time.sleep(0.05)
    run.processes += Run("print(peers.by_first('it', lambda: 7))", 2, [(2, 1)], port=run.port).processes
    assert run.ends()[0] == [(0, "7\n", "")] * 2


def test_a_port_that_is_taken_is_one_line():
    with socket.create_server(("localhost", 0)) as other:
        ((status, _, err),), _ = Run("pass", 2, [(2, 0)], port=other.getsockname()[1]).ends()
    assert status == 2 and "(Address already in use); choose another port" in err and err.count("\n") == 0
