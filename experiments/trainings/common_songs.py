"""The same held-out songs under runs whose corpora differ: which they are, and the whole-song bound of each."""

from collections.abc import Callable, Sequence
from typing import TypedDict

import numpy as np

from experiments.trainings.runs import Result
from experiments.trainings.scores import corpus_folder
from mcvae_jax.corpus.store import HELD_OUT, Corpus
from mcvae_jax.errors import UserError
from mcvae_jax.kinds import open_model
from mcvae_jax.models.song_model import bits_of_songs, main_origin
from mcvae_jax.storage.jsonfile import read_or_none, write_json
from mcvae_jax.trained import open_corpus

Say = Callable[[str], None]

DRAWS = 4


class _Kept(TypedDict):
    """common_songs.json of a run: what was asked for, and the bound of each song in bits."""

    models: list[str]
    names: list[str]
    draws: int
    bits: list[float]


def held_out_in_all(corpora: Sequence[Corpus], shortest: int, longest: int) -> list[str]:
    """Names, in order, of the songs that are held out, and not too short or long, in every corpus.

    Raises UserError where there are none: nothing could be compared.
    """
    found = None
    for corpus in corpora:
        names, lengths = [record["name"] for record in corpus.records()], corpus.lengths
        mine = {names[i] for i in corpus.songs(HELD_OUT) if shortest <= lengths[i] <= longest}
        found = mine if found is None else found & mine
    if not found:
        raise UserError(f"no song from {shortest} to {longest} bars is held out under every arm; add music")
    return sorted(found)


def songs_by_name(corpus: Corpus, names: Sequence[str]) -> list[np.ndarray]:
    """The songs with these names, uint8 (n, 16) each."""
    place = {record["name"]: i for i, record in enumerate(corpus.records())}
    return [corpus.song(place[name]) for name in names]


def song_bits(run: Result, names: Sequence[str], say: Say) -> np.ndarray:
    """The whole-song bound of each song of the run's corpus, bits (S,); kept in common_songs.json of the run."""
    path = run.folder / "common_songs.json"
    asked = {"models": run.scores["models"], "names": list(names), "draws": DRAWS}
    kept = read_or_none(path, _Kept, say, "the songs are scored anew") or {}
    if any(kept.get(name) != value for name, value in asked.items()):
        say(f"{run.folder.name}: {len(names)} songs that all arms hold out")
        model = open_model(run.folder)
        songs = songs_by_name(open_corpus(main_origin(model), corpus_folder(model)), names)
        bits = bits_of_songs(model.nats(songs, DRAWS))
        kept = asked | {"bits": bits.tolist()}
        write_json(path, kept)
    return np.array(kept["bits"])
