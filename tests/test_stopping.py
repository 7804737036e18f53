"""Signals to small programs: where nothing is lost they end at once, where something is they save first."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from mcvae_jax import stopping

pytestmark = pytest.mark.more

BUSY = "hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)"  # compiled code that takes minutes, as a compilation may
STOPPED = "Stopped. Do it again."


def start(body, command=True):
    """The program of a command's main, or a script; when it has said 'in'."""
    head = "import contextlib, hashlib, os, signal, sys, time\nfrom mcvae_jax import stopping\n"
    body = textwrap.dedent(body)
    if command:
        body = "from mcvae_jax.command import run_command\ndef main(argv):\n" + textwrap.indent(body, "    ")
        body += "\nrun_command(main, 'Do it again.')"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-u", "-c", head + body], **pipes)
    assert process.stdout.readline() == "in\n", process.communicate()[1]
    return process


def ended(process, *numbers, between=0.1):
    """Sends signals; the status, what was said, and the seconds until it ended."""
    sent = time.monotonic()
    for number in numbers:
        sent = time.monotonic()
        process.send_signal(number)
        time.sleep(between)
    out, err = process.communicate(timeout=30)
    assert "Traceback" not in err and "ignored" not in err, err
    return process.returncode, out, err.strip(), time.monotonic() - sent


@pytest.mark.parametrize("number", stopping.SIGNALS)
def test_where_nothing_is_lost_it_unwinds_at_once(number):
    body = """
        try:
            print("in")
            time.sleep(60)
        finally:
            print("unwound")
    """
    status, out, err, seconds = ended(start(body), number)
    assert (status, out, err) == (128 + number, "unwound\n", STOPPED) and seconds < 0.9


def test_compiled_code_holds_it_up_for_a_second_only():
    body = f"""
        with stopping.undone(lambda: print("undone")):
            print("in")
            {BUSY}
    """
    process = start(body)
    time.sleep(0.3)  # until it is in there
    status, out, err, seconds = ended(process, signal.SIGTERM)
    assert (status, out, err) == (143, "undone\n", STOPPED) and 0.9 < seconds < 3


@pytest.mark.parametrize(
    "lost",
    [
        "try: time.sleep(60)\nexcept BaseException: time.sleep(60)",
        "class Late:\n    def __del__(self): time.sleep(60)\nLate()\ntime.sleep(60)",
        "try: time.sleep(60)\nexcept BaseException: raise RuntimeError('of the library')",
    ],
    ids=["swallowed", "in a finaliser", "made another error"],
)
def test_a_library_cannot_keep_it(lost):
    status, _, err, seconds = ended(start("print('in')\n" + lost), signal.SIGTERM)
    assert (status, err) == (143, STOPPED) and seconds < 3


@pytest.mark.parametrize("number", stopping.SIGNALS)
def test_a_held_block_saves_first(number):
    body = """
        with stopping.held("Stopping after this"):
            print("in")
            while not stopping.received():
                time.sleep(0.01)
            time.sleep(1.5)
            print("saved")
        print("not reached")
    """
    status, out, err, _ = ended(start(body), number)
    assert (status, out) == (128 + number, "saved\n")
    first, *more = err.split("\n")
    assert first == "Stopping after this; once more quits at once." and more[-1] == STOPPED


def test_sigterm_that_comes_by_two_ways_is_one_stop_and_later_it_ends_at_once():
    """As systemd and Slurm send it: to a shell, which passes it on, and to what the shell has started."""
    body = """
        with stopping.held(""):
            print("in")
            time.sleep(1.5)
            print("saved")
            time.sleep(20)
    """
    process = start(body)
    for seconds in (0.2, 0.2, 2.2):
        process.send_signal(signal.SIGTERM)
        time.sleep(seconds)
    status, out, _, seconds = ended(process, signal.SIGTERM)
    assert (status, out) == (143, "saved\n") and seconds < 1


def test_who_takes_the_signal_ends_by_himself():
    body = """
        with stopping.held("Stopping after this"):
            print("in")
            while not stopping.received():
                time.sleep(0.01)
            received = stopping.take()
        print("said")
        return 128 + received
    """
    status, out, err, _ = ended(start(body), signal.SIGTERM)
    assert (status, out, err) == (143, "said\n", "Stopping after this; once more quits at once.")


def test_a_second_signal_ends_even_what_is_held_in_compiled_code():
    body = f"""
        with stopping.held("Stopping after this"):
            print("in")
            {BUSY}
    """
    process = start(body)
    time.sleep(0.3)
    status, _, err, seconds = ended(process, signal.SIGTERM, signal.SIGINT)
    assert status == 130 and "once more quits at once" in err and seconds < 1


def test_one_stop_that_comes_by_two_ways_is_one():
    body = """
        with stopping.held("Stopping after this"):
            print("in")
            while not stopping.received():
                time.sleep(0.01)
            stopping.ask(signal.SIGTERM, "parent")
            time.sleep(0.3)
            print("saved")
    """
    assert ended(start(body), signal.SIGTERM)[:2] == (143, "saved\n")


def test_what_others_ask_for_stops_it_as_a_signal_does():
    body = """
        import threading
        heard = []
        stopping.when_asked(heard.append)
        threading.Timer(0.2, stopping.ask, (signal.SIGTERM, "peer")).start()
        try:
            print("in")
            time.sleep(60)
        finally:
            print(heard)
    """
    status, out, err, seconds = ended(start(body))
    assert (status, out, err) == (143, "[<Signals.SIGTERM: 15>]\n", STOPPED)


# ---- notebooks and scripts


GUEST = """
    try:
        with stopping.watched():
            {}
    except KeyboardInterrupt:
        print("interrupted")
    print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""
HELD = "with stopping.held('Stopping after this'): print('in'); time.sleep(0.6); print(stopping.take())"


def test_a_notebook_s_call_saves_at_the_first_signal_and_is_interrupted_by_the_second():
    status, out, err, _ = ended(start(GUEST.format(HELD), command=False), signal.SIGINT, between=0)
    assert (status, out) == (0, "2\nTrue\n") and "once more quits at once" in err
    assert ended(start(GUEST.format(HELD), command=False), signal.SIGINT, signal.SIGINT)[:2] == (
        0,
        "interrupted\nTrue\n",
    )


def test_where_nothing_is_held_a_notebook_s_signals_do_what_they_did():
    plain = start(GUEST.format("print('in'); time.sleep(60)"), command=False)
    assert ended(plain, signal.SIGINT)[:2] == (0, "interrupted\nTrue\n")
    plain = start(GUEST.format("print('in'); time.sleep(60)"), command=False)
    assert ended(plain, signal.SIGTERM)[:1] == (-signal.SIGTERM,)


def test_a_thread_has_no_handlers():
    def run():
        with stopping.watched(), stopping.held("Stopping after this"):
            found.append(signal.getsignal(signal.SIGINT))

    found = []
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [signal.getsignal(signal.SIGINT)]


def test_a_call_leaves_nothing_behind():
    before = [signal.getsignal(number) for number in stopping.SIGNALS]
    with stopping.watched(), stopping.held("Stopping after this"):
        os.kill(os.getpid(), signal.SIGTERM)
        assert stopping.take() == signal.SIGTERM
    assert stopping.received() == 0 and [signal.getsignal(number) for number in stopping.SIGNALS] == before
