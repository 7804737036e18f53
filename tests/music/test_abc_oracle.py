"""ABC against abc2midi, an independent reader, on the collections that music21 carries.

Tunes are compared without ornaments, which abc2midi plays, and twice: with every barline as a plain one, and as played.
Where the two differ, the causes are below, each decided by the standard (2.1) or by the tune itself.
"""

import functools
import importlib.util
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

pytest.importorskip("music21")

from experiments.readers import Note, same_notes  # noqa: E402
from experiments.readers import abc as readers  # noqa: E402
from mcvae_jax.music.abc.budget import Budget  # noqa: E402
from mcvae_jax.music.abc.piece import read_tune  # noqa: E402
from mcvae_jax.music.abc.voice import INNER_Z, SIGN_HOLDER, UNEQUAL_BROKEN  # noqa: E402
from mcvae_jax.music.score import Reason, Skip  # noqa: E402
from tests.abc_tunes import random_tune  # noqa: E402

COLLECTIONS = ("ryansMammoth", "oneills1850", "airdsAirs", "miscFolk", "josquin", "essenFolksong")
CAUSES = {  # what abc2midi does otherwise, where our remarks do not say it; file and number of the tune
    "(5 and (9 in 3/4 stand in the time of 2 (4.13: three in 6/8, 9/8 and 12/8); there: 3": (
        "0001-0050.abc 25, 0051-0100.abc 21, 0051-0100.abc 44, 0101-0200.abc 74"
    ),
    "a tie to another pitch is none (4.11); there: the next note is lost": (
        "0981-1000.abc 14, 1116-1135_mh.abc 12, 1116-1135_mh.abc 16"
    ),
    "'!' in a line is a line break of old books; there: notes after it are lost": "book6.abc 91, book6.abc 110",
    "lines of quoted-printable mail, which are decoded here": "ImOverYoungToMarryYetReel.abc 1, TidalWaveJig.abc 1",
    "signs that no reader understands, left out and said here": "MaidMarianHornpipe.abc 1, americanfifeopus.abc 36",
    "a triplet of two notes with another inside; the standard knows neither": "petiteCamusette.abc 5",
}
PLAYED = {
    "'|:|' at an end is '|' and ':|'; there: nothing is repeated": (
        "0001-0050.abc 5, 0001-0050.abc 6, 0001-0050.abc 10, 0001-0050.abc 11, 0001-0050.abc 16, 0001-0050.abc 29,"
        " 0001-0050.abc 30, 0001-0050.abc 37, 0001-0050.abc 43, 0001-0050.abc 44, 0001-0050.abc 45"
    ),
    "':' and an invisible barline '[|]' end a repeat; there: they do not": (
        "AbithaMugginsFavoriteReel.abc 1, DublinLassesReel.abc 1"
    ),
    "'|' at the end of a continued line and '1' on the next are an ending; there: they are not": (
        "BrooksideHornpipe.abc 1"
    ),
    "a repeat that does not end is played once; there: it ends where the next begins": "MollyBawnsReel.abc 1",
}


class Tune(NamedTuple):
    """A tune of a collection; written has plain barlines only."""

    name: str
    written: bytes
    played: bytes


def tunes(collection: str) -> Iterator[Tune]:
    folder = Path(importlib.util.find_spec("music21").submodule_search_locations[0]) / "corpus" / collection
    for file in sorted(folder.glob("*.abc")):
        pairs = zip(*(readers.pieces(file.read_bytes(), repeats) for repeats in (False, True)), strict=True)
        yield from (Tune(f"{file.name} {number}", *pair) for number, pair in enumerate(pairs, 1))


@functools.cache
def known(causes: tuple[str, ...]) -> frozenset[str]:
    return frozenset(name for names in causes for name in names.split(", "))


def ours(data: bytes) -> list[Note] | None:
    """Our notes; None for a tune that is refused."""
    try:
        return readers.read(data)
    except Skip:
        return None


def is_explained(tune: Tune) -> bool:
    """Whether the notes of a tune differ for a known cause."""
    remarks = read_tune(tune.written.decode("latin-1"), Budget(len(tune.written))).remarks
    return bool({UNEQUAL_BROKEN, SIGN_HOLDER, INNER_Z} & set(remarks)) or tune.name in known(tuple(CAUSES.values()))


def implies_a_start(tune: Tune) -> bool:
    """Whether a repeat begins without a sign: at the last double bar here (4.8), elsewhere in abc2midi."""
    music = re.sub(r"^(?:[A-Za-z]:(?![|:])|%).*$", "", tune.played.decode("latin-1"), flags=re.MULTILINE)
    return len(re.findall(r":\|", music)) > len(re.findall(r"\|\s*:", music))


def check(sample: list[Tune]) -> tuple[int, int]:
    """Compares tunes; how many have the same notes as written and as played."""
    written = played = 0
    for tune in sample:
        notes = ours(tune.written)
        if notes is None:
            continue
        if same_notes(notes, readers.abc2midi(tune.written)):
            written += 1
            if same_notes(ours(tune.played), readers.abc2midi(tune.played)):
                played += 1
            else:
                assert implies_a_start(tune) or tune.name in known(tuple(PLAYED.values())), tune
        else:
            assert is_explained(tune), tune
    return written, played


@pytest.mark.more
def test_a_sample():
    chance = random.Random(0)
    sample = [tune for name in COLLECTIONS[:5] for tune in chance.sample(list(tunes(name)), 20)]
    written, played = check(sample)
    assert written >= 95 and played >= 85


def check_random_tunes(seeds: range) -> None:
    for seed in seeds:
        tune = random_tune(seed).encode()
        try:
            notes = readers.read(tune)
        except Skip as skip:
            assert skip.reason == Reason.NO_NOTES, tune
        else:
            assert same_notes(notes, readers.abc2midi(tune)), tune


def test_random_tunes():
    check_random_tunes(range(150))


@pytest.mark.slow
def test_many_random_tunes():
    check_random_tunes(range(150, 5_000))


@pytest.mark.slow
def test_all_collections():
    """4,462 tunes, and 1,000 of the Essen folk songs."""
    sample = [tune for name in COLLECTIONS[:5] for tune in tunes(name)]
    sample += random.Random(0).sample(list(tunes("essenFolksong")), 1000)
    written, played = check(sample)
    assert written >= 5_400 and played >= 5_250
