"""Readers of music beside each other: what each makes of an input, as notes. One module for each format."""

import multiprocessing
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

Note = tuple[int, float, float]  # pitch, start and end in quarters
Read = Callable[[bytes], list[Note]]


class Peer(NamedTuple):
    """A reader."""

    name: str
    packages: tuple[str, ...]  # that it needs; without them it is left out
    read: Read


class Answer(NamedTuple):
    """What a reader made of an input: its notes, or how it failed ('refused', 'crashed', 'too slow')."""

    notes: list[Note] | None
    failure: str
    seconds: float  # of the processor


def same_notes(a: Sequence[Note], b: Sequence[Note], tolerance: float = 0.03) -> bool:
    """Whether two lists hold the same pitches at the same times, in any order."""
    pairs = zip(sorted(a), sorted(b), strict=False)
    return len(a) == len(b) and all(
        x[0] == y[0] and abs(x[1] - y[1]) < tolerance and abs(x[2] - y[2]) < 2 * tolerance for x, y in pairs
    )


def ask(read: Read, data: bytes, seconds: float = 60.0) -> Answer:
    """What `read` says, asked in a child of this process, since some readers crash."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_answer, args=(read, data, theirs))
    child.start()
    theirs.close()
    try:
        return ours.recv() if ours.poll(seconds) else Answer(None, "too slow", seconds)
    except EOFError:
        return Answer(None, "crashed", 0.0)
    finally:
        child.kill()
        child.join()


def _answer(read: Read, data: bytes, pipe) -> None:
    start = time.process_time()
    try:
        notes, failure = read(data), ""
    except Exception:  # whatever it raises, it did not read
        notes, failure = None, "refused"
    pipe.send(Answer(notes, failure if notes else failure or "refused", time.process_time() - start))
