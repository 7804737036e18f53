"""How every model goes on after the same held-out songs, as a folder of songs with players and piano rolls."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from experiments.rivals.collect import Done, gone_on
from experiments.rivals.work import PLAYED_BARS
from mcvae_jax.corpus.store import Corpus
from mcvae_jax.evaluation.judged import RealSongs
from mcvae_jax.evaluation.music import GIVEN
from mcvae_jax.sampling.results import write_results
from mcvae_jax.sampling.song import ComposedSong, Setting

Say = Callable[[str], None]
BARS = GIVEN + PLAYED_BARS


def write_players(folder: Path, done: Sequence[Done], corpus: Corpus, real: RealSongs, say: Say) -> bool:
    """Writes the folder, real song by real song, each first as it goes on itself; whether there is anything to hear."""
    played: dict[int, list[tuple[str, np.ndarray]]] = {}
    for run in done:
        if run.seed == 0:
            for number, song in gone_on(run, "played").items():
                played.setdefault(number, []).append((run.rival, song))
    titles = {corpus.song(i).tobytes(): record["title"] for i, record in enumerate(corpus.records())}
    songs: list[ComposedSong] = []
    for nth, (number, made) in enumerate(sorted(played.items()), 1):
        own = real.whole[number]
        title = titles.get(own.tobytes(), "") or f"Song {nth}"
        for name, bars in [("as it is", own[:BARS]), *made]:
            given = np.arange(len(bars)) < GIVEN
            stem = f"{len(songs) + 1:02}-{name.replace('_', '-').replace(' ', '-')}"
            songs.append(ComposedSong(stem, f"{title}: {name}", bars, given, Setting(), {"model": name}))
    if songs:
        write_results(folder, songs, "How each model goes on", {"given bars": GIVEN}, say)
    return bool(songs)
