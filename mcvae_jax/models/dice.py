"""The musical dice game (Kirnberger 1757; thesis 1.1.1): for each bar of the phrase a bar of the corpus, at random.

Kirnberger's tables have 11 bars for each place. Here each place of the phrase has all bars of the training songs that
stand at it, each as often as it stands there, and each bar is thrown for itself.

Letters: S songs, n or m bars of a song, T steps of a bar.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from mcvae_jax.models.settings import Settings
from mcvae_jax.models.song_model import MEMORY, NO_LIKELIHOOD, Alone, Origin, Songs
from mcvae_jax.music.tokens import HIGHEST
from mcvae_jax.nn.layers import check_sizes


@dataclasses.dataclass(frozen=True, eq=False)
class Dice(Alone):
    """A `SongModel` that knows no bar beside those of the corpus, and of a song nothing but how many bars it has.

    It has no likelihood to speak of: nearly every song holds a bar that no other song has at that place, so that nearly
    every song would cost infinitely many bits.
    """

    faces: Sequence[np.ndarray]  # of each place of the phrase the bars, uint8 (faces, T)
    name: str = "dice"

    likelihood = NO_LIKELIHOOD
    abilities = frozenset({MEMORY})  # of how many bars there were: all that composing and continuing need
    pitches = (0, HIGHEST)
    defaults = Settings()
    lacks: Mapping[str, str] = dataclasses.field(default_factory=dict)
    origins: Mapping[str, Origin] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, songs: Songs, phrase: int) -> "Dice":
        """The dice of songs, uint8 (n, T) each; a place at which no song has a bar has the bars of all places."""
        places = np.concatenate([np.arange(len(song)) % phrase for song in songs])
        bars = np.concatenate(songs)
        return cls([bars[places == n] if (places == n).any() else bars for n in range(phrase)])

    @property
    def steps(self) -> int:
        """T."""
        return self.faces[0].shape[1]

    def nats(self, songs: Songs, draws: int = 1, seed: int = 0) -> list[np.ndarray]:
        """There are none."""
        raise ValueError("a dice game has no likelihood")

    def go_on(
        self, seeds: Songs, keys: jax.Array, bars: int | None, settings: Settings, max_bars: int = 128
    ) -> list[np.ndarray]:
        """See `SongModel`; no setting counts, and nothing says where a song ends."""
        thrown = np.asarray(_numbers(keys, bars or max_bars))
        return [self._throw(len(seed), of_song) for seed, of_song in zip(seeds, thrown, strict=True)]

    def _throw(self, first: int, thrown: np.ndarray) -> np.ndarray:
        """The bars from number `first` on, (m, T), by numbers from 0 to below 1."""
        of_bars = [self.faces[(first + n) % len(self.faces)] for n in range(len(thrown))]
        return np.stack([faces[int(share * len(faces))] for faces, share in zip(of_bars, thrown, strict=True)])


@functools.partial(jax.jit, static_argnums=1)
def _numbers(keys: jax.Array, count: int) -> jax.Array:
    """(S, m) from 0 to below 1: a longer song begins with the same ones."""
    of_bars = jax.vmap(lambda key: jax.vmap(functools.partial(jax.random.fold_in, key))(jax.numpy.arange(count)))(keys)
    return jax.vmap(jax.vmap(jax.random.uniform))(of_bars)


FIELDS = {"model": {"phrase": int}}  # the section of the config that is its own


def make_dice(config: Any, songs: Songs) -> Dice:
    """The model of configs/dice.py; UserError for a phrase that cannot be."""
    check_sizes(config["model"], ("phrase",))
    return Dice.of(songs, config["model"]["phrase"])
