"""An n-gram model as a composer: exact costs, and songs drawn token by token (thesis 1.1.2)."""

import contextlib
import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mcvae_jax.command import check_range
from mcvae_jax.models.ngrams import MAX_ORDER, NGrams
from mcvae_jax.models.settings import Settings
from mcvae_jax.models.song_model import EXACT, MEMORY, Alone, Origin, Songs, bars_of
from mcvae_jax.music.tokens import BAR, HIGHEST, START, VOCABULARY, transpose
from mcvae_jax.nn.categorical import sample_tokens
from mcvae_jax.nn.keys import rows_of
from mcvae_jax.nn.padding import in_blocks

KEYS = range(-5, 7)  # semitones, of models that know every key
SONGS = 32  # that are composed at a time: one shape, so that a song does not depend on the others

_choose = jax.jit(sample_tokens)


@dataclasses.dataclass(frozen=True, eq=False)
class NGramComposer(Alone):
    """A `SongModel` of tokens that remembers order - 1 of them. Nothing says where a song ends.

    Its controls are those of a table of counts: silence and random bars, and lower orders beside it.
    """

    ngrams: NGrams
    name: str
    steps: int = BAR
    defaults: Settings = Settings(temperature=1.0)

    likelihood = EXACT
    abilities = frozenset({MEMORY})
    pitches = (0, HIGHEST)
    lacks: Mapping[str, str] = dataclasses.field(default_factory=dict)
    origins: Mapping[str, Origin] = dataclasses.field(default_factory=dict)

    def nats(self, songs: Songs, draws: int = 1, seed: int = 0) -> list[np.ndarray]:
        """See `SongModel`; exact, so that draws and seed do not count."""
        of_bars = self.ngrams.token_bits(songs).reshape(-1, self.steps).sum(axis=1) * np.log(2)
        return bars_of(of_bars, songs)

    def go_on(
        self, seeds: Songs, keys: jax.Array, bars: int | None, settings: Settings, max_bars: int = 128
    ) -> list[np.ndarray]:
        """See `SongModel`; temperature, top_k and top_p count."""

        def block(chosen: np.ndarray) -> np.ndarray:
            return self._draw([seeds[i] for i in chosen], of_rows(chosen), bars or max_bars, settings)

        of_rows = rows_of(keys)
        return in_blocks(len(seeds), SONGS, block)

    def _draw(self, seeds: Songs, keys: jax.Array, bars: int, settings: Settings) -> np.ndarray:
        """uint8 (SONGS, bars, T)."""
        width = self.ngrams.order - 1
        tokens = np.full((len(seeds), width + bars * self.steps), START, np.int64)
        for row, seed in zip(tokens, seeds, strict=True):
            last = seed.reshape(-1)[-width:] if width else seed[:0].reshape(-1)
            row[width - len(last) : width] = last
        places = VOCABULARY ** np.arange(width - 1, -1, -1)
        cuts = settings.cuts
        for step in range(bars * self.steps):
            p = self.ngrams.next_p(tokens[:, step : step + width] @ places)
            of_step = _fold(keys, step)
            tokens[:, width + step] = _choose(jnp.asarray(np.log(p), jnp.float32), of_step, *cuts)
        return tokens[:, width:].astype(np.uint8).reshape(len(seeds), bars, self.steps)


FIELDS = {"model": {"order": int, "smoothing": str, "all_keys": bool}}  # the section of configs/markov.py


def make_markov(config: Any, songs: Songs) -> NGramComposer:
    """The model of configs/markov.py; UserError for an order or a smoothing that there is not."""
    order, smoothing, all_keys = (config["model"][name] for name in ("order", "smoothing", "all_keys"))
    check_range("config.model.order", order, 1, MAX_ORDER)
    ngrams = NGrams.fit(in_keys(songs) if all_keys else songs, order, smoothing)
    return NGramComposer(ngrams, "Markov model", songs[0].shape[1])


def in_keys(songs: Songs) -> list[np.ndarray]:
    """Every song at the shifts of KEYS, but for those that take a pitch out of 0 to 127."""
    moved = []
    for song, shift in itertools.product(songs, KEYS):
        with contextlib.suppress(ValueError):
            moved.append(transpose(song, shift))
    return moved


_fold = jax.jit(jax.vmap(jax.random.fold_in, in_axes=(0, None)))
