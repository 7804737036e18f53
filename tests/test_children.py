"""Children that die, hang, eat memory or answer too much: each costs its own task, and none outlives its parent."""

import contextlib
import functools
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from mcvae_jax import children
from mcvae_jax.children import Failure, How, Limits
from mcvae_jax.errors import UserError

pytestmark = pytest.mark.more

LIMITS = Limits(seconds=5.0, mebibytes=300)
KEPT = []  # what a task leaves behind in its process


def misbehave(task):
    """Dies, hangs, spins, takes memory or answers too much, on command."""
    if task in BAD:
        return BAD[task]()
    if task.startswith("keep"):
        KEPT.append(np.ones(100 << 20, np.uint8))
    print("noise on standard output")
    return task.upper()


def spin():
    while True:
        pass


def recurse():
    nested = []
    for _ in range(10**6):
        nested = [nested]
    sys.setrecursionlimit(10**9)
    return repr(nested)


def fail(error):
    raise error


BAD = {
    "die": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "hang": lambda: time.sleep(60),
    "spin": spin,
    "spin in C": lambda: re.match("(a*)*b", "a" * 60),
    "overflow the stack": recurse,
    "take memory": lambda: [bytearray(1 << 20) for _ in range(10**6)],
    "take memory at once": lambda: np.ones(1 << 30, np.uint8),
    "answer too much": lambda: bytes((children.MAX_ANSWER << 20) + 1),
    "raise": lambda: fail(KeyError("\x1b[2J" + "x" * 10**6)),
}
EXPECTED = {
    "die": (How.CRASHED, "SIGSEGV"),
    "hang": (How.TOO_SLOW, "over 2 s"),
    "spin": (How.TOO_SLOW, "over 1 s of processor time"),
    "spin in C": (How.TOO_SLOW, "over 1 s of processor time"),
    "overflow the stack": (How.CRASHED, "SIGSEGV" if sys.version_info < (3, 12) else "RecursionError"),
    "take memory": (How.TOO_MUCH_MEMORY, "over 300 MiB"),
    "take memory at once": (How.TOO_MUCH_MEMORY, "over 300 MiB"),
    "answer too much": (How.TOO_LARGE, "over 64 MiB"),
    "raise": (How.CRASHED, "KeyError"),
}


def results_of(chunks, workers=2):
    """The results, or (task, Failure). What spins may take long by the clock: other programs may be busy, too."""
    limits = {"hang": Limits(0.2, 300), "spin": Limits(0.9, 300), "spin in C": Limits(0.9, 300)}
    return list(children.map_chunks(misbehave, iter(chunks), workers, lambda t: limits.get(t, LIMITS), together))


def together(task, failure):
    return task, failure


def test_a_bad_task_costs_itself_alone():
    chunks = [["a", "die", "b"], ["c", "spin", "spin in C"], ["hang"], ["d", "take memory", "take memory at once"]]
    chunks += [["overflow the stack", "answer too much"], ["raise", "e"], ["f"]]
    started = time.monotonic()
    results = results_of(chunks)
    assert time.monotonic() - started < 60
    for task, result in zip(sum(chunks, []), results, strict=True):
        if task not in BAD:
            assert result == task.upper()
            continue
        of, (how, detail) = result
        assert (of, how) == (task, EXPECTED[task][0])
        assert EXPECTED[task][1] in detail or how is How.TOO_SLOW and "over 9 s" in detail  # a very busy machine
        assert detail.isprintable() and len(detail) < 200


def test_a_large_answer_below_the_limit_comes_whole():
    made = children.call(functools.partial(bytes.ljust, b"x"), 60 << 20, LIMITS)
    assert len(made) == 60 << 20


def test_a_task_that_fails_for_what_others_left_is_done_again():
    """Each keeps 100 of 300 MiB, so a process is good for two."""
    assert results_of([["keep 1", "keep 2", "keep 3", "keep 4", "keep 5"]], 1) == [f"KEEP {n}" for n in range(1, 6)]


def test_results_may_be_left_early():
    results = children.map_chunks(misbehave, iter([["a"]] * 50), 2, lambda _: LIMITS, lambda *_: None)
    assert next(results) == "A"
    results.close()


def test_what_a_user_should_be_told_is_raised_here():
    with pytest.raises(UserError, match="take another"):
        children.call(fail, UserError("take another"), LIMITS)


# ---- streams


def count(stop):
    """0, 1, ...; up to a number, or with a sign in a file for each. Dies at 1000."""
    number = 0
    while True:
        if number == 1000:
            os.kill(os.getpid(), signal.SIGSEGV)
        if stop.isdigit() and number == int(stop):
            return
        if not stop.isdigit():
            with open(stop, "a") as file:
                file.write("x")
        yield number
        number += 1


def large_items(_):
    for _ in range(3 * children.AHEAD):
        yield bytes(300_000)


def test_a_stream_gives_all_items_and_ends():
    assert list(children.stream(count, "300", LIMITS)) == list(range(300))


def test_a_stream_that_dies_gives_what_came_before_and_the_failure():
    *items, last = children.stream(count, "2000", LIMITS)
    assert items == list(range(1000)) and isinstance(last, Failure) and last.how is How.CRASHED


def test_a_stream_is_made_as_it_is_asked_for(tmp_path):
    items = children.stream(count, str(tmp_path / "made"), LIMITS)
    assert [next(items) for _ in range(3)] == [0, 1, 2]
    time.sleep(0.3)
    assert 3 <= len((tmp_path / "made").read_text()) <= children.AHEAD
    items.close()


def test_time_counts_only_while_it_is_waited_for():
    """The caller is away for longer than an item may take, while the child waits for it in the middle of an answer."""
    items = children.stream(large_items, None, Limits(0.1, 300))
    found = [next(items)]
    time.sleep(0.1 * children.PATIENCE + 1)
    found += items
    assert [len(item) for item in found] == [300_000] * 3 * children.AHEAD


# ---- life and death


PARENT = """
import sys, threading
from mcvae_jax.children import Limits, call
from tests.test_children import busy
def work():
    call(busy, (sys.argv[1], sys.argv[2]), Limits(60.0, 300))
thread = threading.Thread(target=work)
thread.start() if sys.argv[3] == "thread" else work()
"""


def busy(task):
    """Says its process, then hangs, with or without Python's lock."""
    how, place = task
    with open(place + ".new", "w") as file:
        file.write(str(os.getpid()))
    os.rename(place + ".new", place)
    BAD[how]()


def is_alive(pid):
    """Whether a process runs, zombies apart."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as file:
        return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("how", "by", "end"),
    [
        ("hang", "main", signal.SIGKILL),
        ("spin in C", "main", signal.SIGKILL),
        ("hang", "thread", signal.SIGKILL),
        ("spin", "main", signal.SIGTERM),
    ],
)
def test_a_child_is_gone_within_a_second_of_its_parent(tmp_path, how, by, end):
    path = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    place = tmp_path / "pid"
    parent = subprocess.Popen([sys.executable, "-c", PARENT, how, str(place), by], env=os.environ | path)
    limit = time.monotonic() + 20
    while not place.exists():
        assert time.monotonic() < limit and parent.poll() is None
        time.sleep(0.01)
    child = int(place.read_text())
    assert is_alive(child)
    parent.send_signal(end)
    parent.wait()
    limit = time.monotonic() + 1
    while is_alive(child):
        assert time.monotonic() < limit
        time.sleep(0.01)
