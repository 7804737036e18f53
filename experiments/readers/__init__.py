"""Readers of music beside each other: what each makes of an input, as notes. One module for each format."""

import base64
import multiprocessing
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import symusic

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


def music21_notes(elements: Iterable[Any]) -> list[Note]:
    """The notes of elements of music21, without grace notes and chord symbols."""
    return [
        (pitch.midi, float(element.offset), float(element.offset + element.quarterLength))
        for element in elements
        if not element.duration.isGrace and "ChordSymbol" not in element.classes
        for pitch in element.pitches
    ]


def verovio_notes(text: str, **options: str) -> list[Note]:
    """What verovio plays of a text, by the MIDI file that it writes."""
    import verovio

    verovio.enableLog(verovio.LOG_OFF)
    toolkit = verovio.toolkit()
    toolkit.setOptions(options)
    if not toolkit.loadData(text):
        raise ValueError("verovio did not load it")
    played = symusic.Score.from_midi(base64.b64decode(toolkit.renderToMIDI()))
    unit = played.ticks_per_quarter
    return [(n.pitch, n.start / unit, n.end / unit) for t in played.tracks if not t.is_drum for n in t.notes]


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
