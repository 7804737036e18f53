"""A bar VAE with a diffusion prior over its latents as a `SongModel`: songs from nothing, continued, with gaps filled.

A song costs, at most, what a song costs under any prior (models/bounds.py), with the bound of the process in the place
of -log p(z). A song longer than the window is scored as windows one after the other, none of which sees another; it is
composed in windows of which each sees up to half a window of what stands before it.

A bar's figure is its share of the KLs of its window, in which bars see each other both ways. Only the sum over a song
is a bound, and nothing is said of a bar given those before it, so that no copy switch can be put around this model.

Letters: S songs, n bars of a song, N bars of all songs, W bars of a window, T steps of a bar, Z latent size.
"""

import dataclasses
import functools
from typing import Any

import jax
import numpy as np

from mcvae_jax.models.bounds import bounds, song_draws, summarise
from mcvae_jax.models.diffusion.network import Place
from mcvae_jax.models.diffusion.prior import DiffusionPrior
from mcvae_jax.models.diffusion.process import Path
from mcvae_jax.models.latent_windows import InWindows, place_of
from mcvae_jax.models.settings import Settings
from mcvae_jax.models.song_model import BOUND, Songs, bars_of
from mcvae_jax.nn import gaussian
from mcvae_jax.nn.keys import rows_of
from mcvae_jax.nn.padding import in_blocks

Array = jax.Array

WINDOWS = 32  # that are scored at a time
SONGS = 16  # that are composed at a time
DRAWN_LEVELS = 32  # of each draw of a song, beside the first
OF_LEVELS = 0x7FFFFFFE  # folded into the key where `bounds.draw_latents` folds the number of a song


@dataclasses.dataclass(frozen=True, eq=False)
class DiffusionComposer(InWindows):
    """See the module."""

    prior: DiffusionPrior
    name: str = "VAE and diffusion prior"
    prior_name: str = "diffusion prior"

    likelihood = BOUND

    def drawn(self, z: np.ndarray, known: np.ndarray, place: Place, keys: Array, settings: Settings) -> Array:
        """See `InWindows`; tau_sigma multiplies the variance of the noise that each step of the sampler adds."""
        path = self.prior.path if known.any() else self.prior.path._replace(repeats=1)  # nothing has to fit to nothing
        return _sample(self.prior, path, self.params, z, known, place, keys, np.float32(settings.tau_sigma))

    def nats(self, songs: Songs, draws: int = 1, seed: int = 0) -> list[np.ndarray]:
        """See `SongModel`; the sum over a song is a bound, a bar's figure its share of that alone."""
        drawn = song_draws(self.codec, songs, seed)
        cost = -np.asarray(gaussian.entropy(drawn.posteriors.log_var), np.float64)
        for draw in range(draws):
            z, log_x = drawn[draw]
            of_draw = self.latent_nats(z, drawn.posteriors.lengths, seed, draw)
            cost += (of_draw - log_x.astype(np.float64)) / draws
        return bars_of(cost, songs)

    def latent_nats(self, z: np.ndarray, lengths: np.ndarray, seed: int, draw: int) -> np.ndarray:
        """Shares of the bound of -log p(z) of songs z (N, Z) of `lengths` (S,) bars, without bias: (N,) nats.

        The levels and noise of a song depend on the seed, the draw and the place of the song alone.
        """
        offsets, window = np.cumsum(lengths) - lengths, self.prior.window
        parts = [(song, first) for song, bars in enumerate(lengths) for first in range(0, bars, window)]
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), OF_LEVELS), draw)
        of_rows, found = rows_of(_part_keys(key, np.array(parts, np.uint32))), np.empty(len(z))

        def block(chosen: np.ndarray) -> list[np.ndarray]:
            rows = [parts[i] for i in chosen]
            padded = np.zeros((len(rows), window, self.prior.latent), np.float32)
            for row, (song, first) in zip(padded, rows, strict=True):
                bars = z[offsets[song] :][first : min(first + window, lengths[song])]
                row[: len(bars)] = bars
            left = np.array([lengths[song] - first for song, first in rows])
            place = place_of([first for _, first in rows], left, np.ones(len(rows), bool), window)
            return list(np.asarray(_bound(self.prior, self.params, padded, place, of_rows(chosen))))

        for (song, first), nats in zip(parts, in_blocks(len(parts), WINDOWS, block), strict=True):
            bars = min(window, lengths[song] - first)
            found[offsets[song] + first :][:bars] = nats[:bars]
        return found

    def bound_parts(self, songs: Songs, draws: int = 1, seed: int = 0) -> dict[str, float]:
        """See `LatentModel`; the rate is that of the bound of -log p(z)."""
        drawn = song_draws(self.codec, songs, seed)
        parts = summarise(bounds(drawn, {}, draws), self.steps)
        lengths = drawn.posteriors.lengths
        of_z = np.mean([self.latent_nats(drawn[n].z, lengths, seed, n).mean() for n in range(draws)])
        return {name: parts[name] for name in ("reconstruction_nats", "kl_nats")} | {
            "rate_nats": float(of_z) - parts["entropy_nats"]
        }


@jax.jit
def _part_keys(key: Array, parts: Array) -> Array:
    """Keys (B,) of parts (B, 2): of which song, from which bar on."""
    return jax.vmap(lambda part: jax.random.fold_in(jax.random.fold_in(key, part[0]), part[1]))(parts)


@functools.partial(jax.jit, static_argnums=0)
def _bound(prior: DiffusionPrior, params: Any, z: Array, place: Place, keys: Array) -> Array:
    return prior.bound_nats(params, z, place, keys, DRAWN_LEVELS)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _sample(
    prior: DiffusionPrior, path: Path, params: Any, z: Array, known: Array, place: Place, keys: Array, spread: Array
) -> Array:
    return prior.sample(params, z, known, place, keys, path, spread)
