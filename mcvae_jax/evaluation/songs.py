"""The whole-song bound: what a VAE and a prior over latent sequences need to tell a song, in bits.

    bits(song) = -(E_q[log p(x | z) + sum_t log p(z_t | z_<t)] + H[q]) / ln 2

is an upper bound on -log2 p(song), for every prior alike (Kingma and Welling 2014, arXiv:1312.6114, with a prior over
sequences). E_q is estimated from one draw of all the bars of a song at a time, and averaged over several draws; H[q]
is known in closed form. -E_q[sum_t log p(z_t | z_<t)] - H[q] is the rate: what z tells beyond the prior, in nats.

Letters: S songs, N bars of all songs, one song after the other, T steps of a bar (16), Z latent size.
"""

import functools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mcvae_jax.corpus.store import Corpus, distinct_bars
from mcvae_jax.latents import encode_bars, padded_length
from mcvae_jax.models import gaussian
from mcvae_jax.models.prior import Prior
from mcvae_jax.models.vae import VAE
from mcvae_jax.music.metre import BAR

Array = jax.Array
Say = Callable[[str], None]
LogLikelihood = Callable[[np.ndarray], np.ndarray]  # z (N, Z) -> log p(x_t | z_t) of every bar in nats, (N,)
Priors = Mapping[str, tuple[Prior, Any]]  # name -> a prior and its parameters

BAR_CHUNK = 512  # bars in a call of the VAE
SEQUENCE_CHUNK = 2048  # bars, padding included, that go to a prior in one call
SECONDS_BETWEEN_LINES = 10.0
SHORTEST, LONGEST = 16, 339  # bars of the songs that are scored


class Posteriors(NamedTuple):
    """q(z | x) of every bar of some songs: diagonal Gaussians."""

    mu: np.ndarray  # (N, Z) float32
    log_var: np.ndarray  # (N, Z) float32
    lengths: np.ndarray  # (S,) int64: bars of each song, N in all


def scored_songs(corpus: Corpus, side: int) -> np.ndarray:
    """Indices of the songs of a side that are scored: whole songs from SHORTEST to LONGEST bars."""
    songs = corpus.songs(side)
    return songs[(corpus.lengths[songs] >= SHORTEST) & (corpus.lengths[songs] <= LONGEST)]


def whole_song_bounds(
    vae: VAE,
    vae_params: Any,
    priors: Priors,
    songs: Sequence[np.ndarray],
    draws: int = 1,
    seed: int = 0,
    say: Say | None = None,
) -> dict[str, Any]:
    """The whole-song bound of songs, each uint8 (n, 16) with n >= 1, and what it is made of; see `bounds`.

    The noise of a song depends on the seed, its place in `songs`, the draw and the bar alone.
    """
    return bounds(*in_latents(vae, vae_params, songs, say), priors, draws, seed)


def in_latents(
    vae: VAE, params: Any, songs: Sequence[np.ndarray], say: Say | None = None
) -> tuple[Posteriors, LogLikelihood]:
    """q of every bar of songs, each uint8 (n, 16), and log p(x_t | z_t) of every bar as a function of z."""
    log_x = functools.partial(bar_log_likelihoods, vae, params, np.concatenate(songs), say=say)
    return encode_songs(vae, params, songs, say), log_x


def reconstruction_nats(
    vae: VAE, vae_params: Any, songs: Sequence[np.ndarray], draws: int = 1, seed: int = 0, say: Say | None = None
) -> np.ndarray:
    """-E_q[log p(x | z)] of each song, float64 (S,) nats a song: 'reconstruction_nats' of `whole_song_bounds`."""
    return whole_song_bounds(vae, vae_params, {}, songs, draws, seed, say)["reconstruction_nats"]


def bounds(
    posteriors: Posteriors,
    log_x: LogLikelihood,
    priors: Priors,
    draws: int = 1,
    seed: int = 0,
) -> dict[str, Any]:
    """The whole-song bound of any model whose bars are independent given their latents.

    Args:
      posteriors: q of every bar.
      log_x: z (N, Z) -> log p(x_t | z_t) of every bar in nats, (N,).
      priors: by name; each is given the same draws.
      draws: how many draws of whole songs are averaged.
      seed: of the draws.

    Returns:
      Float64 arrays (S,), in nats a song: 'reconstruction_nats', -E_q[log p(x | z)]; 'kl_nats', KL(q || N(0, I)) in
      closed form; 'entropy_nats', H[q]; 'rate_nats', for each prior by name, -E_q[sum log p(z_t | z_<t)] - H[q].
      'bars', the lengths. Reconstruction and rate make the bound.
    """
    lengths = np.asarray(posteriors.lengths)
    if draws < 1 or not len(lengths) or lengths.min() < 1:
        raise ValueError("the bound needs at least one draw, one song, and one bar in every song")
    mu, log_var = jnp.asarray(posteriors.mu), jnp.asarray(posteriors.log_var)
    entropy = per_song(gaussian.entropy(log_var), lengths)
    reconstruction = np.zeros(len(lengths))
    rates = {name: -entropy for name in priors}
    for draw in range(draws):
        z = draw_latents(posteriors, seed, draw)
        reconstruction -= per_song(log_x(z), lengths) / draws
        for name, (prior, params) in priors.items():
            rates[name] = rates[name] - per_song(prior_log_densities(prior, params, z, lengths), lengths) / draws
    return {
        "bars": lengths.astype(np.float64),
        "reconstruction_nats": reconstruction,
        "kl_nats": per_song(jnp.sum(gaussian.kl_to_standard(mu, log_var), axis=-1), lengths),
        "entropy_nats": entropy,
        "rate_nats": rates,
    }


def summarise(bounds: dict[str, Any]) -> dict[str, Any]:
    """Figures of `bounds` over all songs, as JSON: sums over songs divided by the sum of their bars.

    Returns:
      'songs', 'bars'; in nats per bar 'reconstruction_nats', 'kl_nats' and 'entropy_nats'; and for each prior by name
      under 'priors' its 'rate_nats' per bar, and the whole-song bound as 'bits_per_bar' and 'bits_per_token'.
    """
    bars = float(np.sum(bounds["bars"]))
    per_bar = {name: float(np.sum(bounds[name])) / bars for name in ("reconstruction_nats", "kl_nats", "entropy_nats")}
    priors = {}
    for name, rates in bounds["rate_nats"].items():
        rate = float(np.sum(rates)) / bars
        bits = (per_bar["reconstruction_nats"] + rate) / math.log(2)
        priors[name] = {"rate_nats": rate, "bits_per_bar": bits, "bits_per_token": bits / BAR}
    return {"songs": len(bounds["bars"]), "bars": int(bars), **per_bar, "priors": priors}


def encode_songs(vae: VAE, params: Any, songs: Sequence[np.ndarray], say: Say | None = None) -> Posteriors:
    """q of every bar of songs, each uint8 (n, 16); every distinct bar is encoded once."""
    distinct, rows = distinct_bars(np.concatenate(songs))
    mu, log_var = encode_bars(vae, params, distinct, say or (lambda line: None))
    return Posteriors(mu[rows], log_var[rows], np.array([len(song) for song in songs]))


def bar_log_likelihoods(vae: VAE, params: Any, bars: np.ndarray, z: np.ndarray, say: Say | None = None) -> np.ndarray:
    """log p(x | z) of each bar, (N,) in nats, by teacher forcing, for bars uint8 (N, 16) and z (N, Z)."""
    log_p, last = np.empty(len(bars), np.float32), time.monotonic()
    for start in range(0, len(bars), BAR_CHUNK):  # the last chunk is padded and cut again, so that it compiles once
        rows = slice(start, start + BAR_CHUNK)
        missing = BAR_CHUNK - len(bars[rows])
        padded = (np.pad(array[rows], ((0, missing), (0, 0))) for array in (bars, z))
        log_p[rows] = np.asarray(_log_likelihood(vae, params, *padded))[: BAR_CHUNK - missing]
        if say and time.monotonic() - last > SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            say(f"decoding: {start + BAR_CHUNK - missing} of {len(bars)} bars")
    return log_p


def draw_latents(posteriors: Posteriors, seed: int, draw: int) -> np.ndarray:
    """One draw of z from q for every bar, (N, Z) float32; the noise is a function of seed, draw, song and bar alone."""
    song = np.repeat(np.arange(len(posteriors.lengths)), posteriors.lengths)
    first = np.cumsum(posteriors.lengths) - posteriors.lengths
    bar = np.arange(len(song)) - first[song]
    eps = np.asarray(_noise(posteriors.mu.shape[1], seed, draw, song, bar))
    return posteriors.mu + np.exp(posteriors.log_var / 2) * eps


def prior_log_densities(prior: Prior, params: Any, z: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """log p(z_t | z_<t) of each bar, (N,) in nats, for the sequences z (N, Z) of songs of `lengths` (S,) bars.

    Sequences of like lengths are padded to one and go through the prior together. There is one shape for each length,
    whatever the number of songs, so that few programs are compiled.
    """
    return in_padded_chunks(
        lambda batch, _: _log_densities(prior, params, batch),
        (z,),
        lengths,
        lambda size: max(1, SEQUENCE_CHUNK // size),
    )


def in_padded_chunks(
    function: Callable[..., Array],
    arrays: Sequence[np.ndarray],
    lengths: np.ndarray,
    together: Callable[[int], int],
) -> np.ndarray:
    """A function of whole songs over songs of any lengths, those of like lengths padded to one and taken together.

    Args:
      function: takes each array as (songs, bars, ...), padded with zeros, and the indices of the songs in its first
        rows, and returns a number for each bar, (songs, bars).
      arrays: float32 (N, ...) each, of the bars of all songs, one song after the other.
      lengths: (S,) bars of each song, N in all.
      together: how many songs, at a padded length, go into one call.

    Returns: float32 (N,).
    """
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    padded = np.array([padded_length(int(n)) for n in lengths])
    result = np.empty(offsets[-1], np.float32)
    for size in np.unique(padded):
        rows, songs = together(size), np.flatnonzero(padded == size)
        for chunk in np.split(songs, np.arange(rows, len(songs), rows)):
            batches = [np.zeros((rows, size, *array.shape[1:]), np.float32) for array in arrays]
            places = [slice(offsets[song], offsets[song + 1]) for song in chunk]
            for row, (song, bars) in enumerate(zip(chunk, places, strict=True)):
                for batch, array in zip(batches, arrays, strict=True):
                    batch[row, : lengths[song]] = array[bars]
            found = np.asarray(function(*batches, chunk))
            for row, (song, bars) in enumerate(zip(chunk, places, strict=True)):
                result[bars] = found[row, : lengths[song]]
    return result


def per_song(of_bars: Array | np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Sums over the bars of each song, in float64: (N,) -> (S,)."""
    song = np.repeat(np.arange(len(lengths)), lengths)
    return np.bincount(song, weights=np.asarray(of_bars, np.float64), minlength=len(lengths))


@functools.partial(jax.jit, static_argnums=0)
def _log_likelihood(vae: VAE, params: Any, bars: Array, z: Array) -> Array:
    return jnp.sum(vae.apply(params, z, bars, method="tell").log_p, axis=-1)


@functools.partial(jax.jit, static_argnums=0)
def _log_densities(prior: Prior, params: Any, z: Array) -> Array:
    return prior.log_density(params, z)


@functools.partial(jax.jit, static_argnums=0)
def _noise(latent: int, seed: int, draw: int, song: Array, bar: Array) -> Array:
    """Standard normal (N, Z)."""
    key = jax.random.key(seed)

    def one(song, bar):
        of_bar = jax.random.fold_in(jax.random.fold_in(jax.random.fold_in(key, song), draw), bar)
        return jax.random.normal(of_bar, (latent,))

    return jax.vmap(one)(song, bar)
