"""Writes humdrum.json: what verovio, which holds humlib, makes of the **kern files that music21 carries.

pip install verovio==6.4.1 music21==10.5.1
python -m tests.oracles.make_humdrum
"""

import importlib.util
import json
from pathlib import Path

from experiments.readers import Note, ask
from experiments.readers.humdrum import pieces, played_by_verovio

CORPUS = Path(importlib.util.find_spec("music21").submodule_search_locations[0]) / "corpus"


def sums(notes: list[Note]) -> list[float]:
    """Few numbers that a lost, moved or changed note changes: the count, and sums over pitches and quarters."""
    products = ((1, pitch, start, end, pitch * start) for pitch, start, end in notes)
    return [round(sum(column), 3) for column in zip(*products, strict=True)]


def make() -> dict[str, list[float]]:
    """The sums of each file, its sections as written and without grace notes; verovio crashes on none of them."""
    found = {}
    for path in sorted(CORPUS.rglob("*.krn")):
        (text,) = pieces(path.read_bytes(), with_repeats=False)
        notes = ask(played_by_verovio, text).notes
        found[path.relative_to(CORPUS).as_posix()] = sums(notes)
    return found


if __name__ == "__main__":
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(row)}" for name, row in make().items())
    Path(__file__).with_name("humdrum.json").write_text(f"{{\n{lines}\n}}\n")
