"""Cases that are written as text: small inputs of a format, each with the notes that must sound."""

import re
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

Note = tuple[int, float, float]  # pitch, start and end in quarters


class Case(NamedTuple):
    """An input and the notes of each of its tracks, sorted."""

    data: bytes
    tracks: list[list[Note]]


def read_cases(path: Path, header: str) -> dict[str, Case]:
    """The cases of a file by name; `header` stands before those without a key of their own.

    The first lines of the file say how it is written.
    """
    cases = {}
    for block in re.split(r"^== ", path.read_text("utf-8"), flags=re.MULTILINE)[1:]:
        name, *lines = block.split("\n")
        tracks: list[list[Note]] = []
        for line in lines:
            if line.startswith("=> "):
                tracks.append([])
            if line.startswith(("=> ", "+> ")):
                tracks[-1] += _notes(line[3:])
        text = "\n".join(line for line in lines if not line.startswith(("=> ", "+> "))).rstrip("\n") + "\n"
        if not re.search("^K:", text.split("X:1\n", 1)[-1] if "X:1\n" in text else "", re.MULTILINE):
            text = header + text
        cases[name] = Case(text.encode(), [sorted(track) for track in tracks])
    return cases


def _notes(text: str) -> list[Note]:
    """'60 62*2 r 60+64*1/2' -> notes, one after the other."""
    notes: list[Note] = []
    position = Fraction(0)
    for word in text.split():
        pitches, _, length = word.partition("*")
        end = position + Fraction(length or 1)
        if pitches != "r":
            notes += [(int(pitch), float(position), float(end)) for pitch in pitches.split("+")]
        position = end
    return notes
