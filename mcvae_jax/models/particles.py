"""Tighter whole-song bounds: what a song costs by K draws of every bar, weighed by a particle filter.

Particles walk along the song with z_t ~ q(z_t | x_t), weighed by p(x_t | z_t) p(z_t | z_<t) / q(z_t | x_t), and are
drawn anew by weight after each bar. The product of the mean weights is p(song) without bias, so minus its log is, on
average, an upper bound on -log p(song), tighter for more particles (Maddison et al. 2017, arXiv:1705.09279). For a
prior without memory it is the importance-weighted bound of every bar (Burda et al. 2016, arXiv:1509.00519).

Letters: S songs, B songs of a chunk, N bars of all songs, T bars of a padded song, K particles, Z latent size.
"""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mcvae_jax.models.bounds import Priors, SongDraws
from mcvae_jax.models.prior import Prior, State, Step
from mcvae_jax.models.sequences import LatentPrior
from mcvae_jax.nn import gaussian, mixture
from mcvae_jax.nn.keys import example_keys, rows_of
from mcvae_jax.nn.padding import in_padded_chunks, per_song

Array = jax.Array

SONGS = 16  # of a chunk
RESAMPLING = 0x7FFFFFFF  # folded into the key where `bounds.draw_latents` folds the number of a song


def particle_bounds(songs: SongDraws, priors: Priors, particles: int, seed: int) -> dict[str, np.ndarray]:
    """The bound of every song under each prior by name, float64 (S,) nats a song; see `bounds.bounds`.

    Every prior is given the same draws, and `bounds` the first of them; the seed is of the resampling.
    """
    posteriors, draws = songs.posteriors, [songs[draw] for draw in range(particles)]
    of_draws = [log_x - np.asarray(gaussian.log_density(z, posteriors.mu, posteriors.log_var)) for z, log_x in draws]
    z, log_w = np.stack([z for z, _ in draws], axis=1), np.stack(of_draws, axis=1).astype(np.float32)
    return {
        name: -per_song(_filter_songs(prior, z, log_w, posteriors.lengths, seed), posteriors.lengths)
        for name, prior in priors.items()
    }


def _filter_songs(prior: LatentPrior, z: np.ndarray, log_w: np.ndarray, lengths: np.ndarray, seed: int) -> np.ndarray:
    """log mean weights of every bar, (N,), for draws z (N, K, Z) with log p(x | z) - log q(z | x) (N, K)."""
    key = jax.random.fold_in(jax.random.key(seed), RESAMPLING)
    of_rows = rows_of(example_keys(key, np.arange(len(lengths))))

    def weigh(z: np.ndarray, log_w: np.ndarray, chunk: np.ndarray) -> Array:
        return _filter(prior.prior, prior.params, z, log_w, of_rows(np.resize(chunk, SONGS)))

    return in_padded_chunks(weigh, (z, log_w), lengths, lambda size: SONGS)


@functools.partial(jax.jit, static_argnums=0)
def _filter(prior: Prior, params: Any, z: Array, log_w: Array, keys: Array) -> Array:
    """log mean weights (B, T) of songs z (B, T, K, Z) with log_w (B, T, K) and a key each, (B,)."""
    particles = z.shape[2]

    def next_step(state: State, z: Array) -> tuple[State, Step]:  # of one particle
        return prior.next_step(params, state, z[None])

    def one(z: Array, log_w: Array, key: Array) -> Array:
        def step(carry: tuple[State, Step], bar: tuple[Array, Array, Array]) -> tuple[tuple[State, Step], Array]:
            state, output = carry
            z, log_w, key = bar
            log_weights = log_w + mixture.log_density(output.mixture, z[:, None])[:, 0]
            chosen = _systematic(key, jax.nn.softmax(log_weights))
            state = jax.tree.map(lambda a: a[chosen], state)
            return jax.vmap(next_step)(state, z[chosen]), jax.nn.logsumexp(log_weights) - math.log(particles)

        first = jax.vmap(functools.partial(next_step, None))(z[0])
        return jax.lax.scan(step, first, (z, log_w, jax.random.split(key, len(z))))[1]

    return jax.vmap(one)(z, log_w, keys)


def _systematic(key: Array, share: Array) -> Array:
    """Systematic resampling: int (K,), each i about K share[i] times, for share (K,) that sums to one."""
    places = (jnp.arange(len(share)) + jax.random.uniform(key)) / len(share)
    return jnp.minimum(jnp.searchsorted(jnp.cumsum(share), places), len(share) - 1)
