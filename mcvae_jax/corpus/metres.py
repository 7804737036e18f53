"""The metres of a corpus's songs, in which songs that are made after them are written down."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from mcvae_jax.corpus.store import TRAIN, Corpus
from mcvae_jax.music.grid import grid_of, metre_text
from mcvae_jax.music.metre import parse_metre
from mcvae_jax.music.tokens import BAR

STATED = (4, 4)  # the metre of a song whose record names none

Metre = tuple[int, int]


def song_metre(record: Mapping[str, Any], steps_per_bar: int) -> Metre:
    """Numerator and denominator of the song of a record, in bars of so many steps.

    Bars of 16 steps are always written in 4/4: 2/2 and 2/4 sound the same, and songs of before stay as they were.
    """
    return parse_metre(record["metre"]) if "metre" in record and steps_per_bar != BAR else STATED


def commonest_metre(corpus: Corpus) -> Metre:
    """The metre of a bar that most training songs have, of equally many the first by its numbers."""
    grid, records = grid_of(corpus.steps_per_bar), corpus.records()
    metres = [song_metre(records[i], corpus.steps_per_bar) for i in corpus.songs(TRAIN)]
    counts = Counter(grid.whole(*metre) for metre in metres if grid.fits(*metre))
    return min(counts, key=lambda metre: (-counts[metre], metre), default=grid.metre)


def bar_facts(corpus: Corpus) -> dict[str, Any]:
    """What the record of a run says of the bars that its model learnt: how wide they are, and in which metre."""
    facts: dict[str, Any] = {"steps_per_bar": corpus.steps_per_bar}
    if (metre := commonest_metre(corpus)) != grid_of(corpus.steps_per_bar).metre:
        facts["metre"] = metre_text(metre)
    return facts
