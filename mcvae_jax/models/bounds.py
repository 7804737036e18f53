"""The whole-song bound: what a song costs under a VAE and a prior over latent sequences, in bits.

    bits(song) = -(E_q[log p(x | z) + sum_t log p(z_t | z_<t)] + H[q]) / ln 2

is an upper bound on -log2 p(song), for every prior alike (Kingma and Welling 2014, arXiv:1312.6114, with a prior over
sequences). E_q is estimated from one draw of all the bars of a song at a time, and averaged over several draws; H[q]
is known in closed form. -E_q[sum_t log p(z_t | z_<t)] - H[q] is the rate: what z costs under the prior, in nats.

Letters: S songs, N bars of all songs, one song after the other, T steps of a bar, Z latent size.
"""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mcvae_jax.models.bar_codec import BarCodec
from mcvae_jax.models.sequences import LatentPrior
from mcvae_jax.music.bars import distinct_bars
from mcvae_jax.nn import gaussian
from mcvae_jax.nn.padding import per_song

Array = jax.Array
Say = Callable[[str], None]
Priors = Mapping[str, LatentPrior]  # by name


class Posteriors(NamedTuple):
    """q(z | x) of every bar of some songs: diagonal Gaussians."""

    mu: np.ndarray  # (N, Z) float32
    log_var: np.ndarray  # (N, Z) float32
    lengths: np.ndarray  # (S,) int64: bars of each song, N in all


class Drawn(NamedTuple):
    """One draw of the latents of some songs."""

    z: np.ndarray  # (N, Z) float32
    log_x: np.ndarray  # (N,) log p(x_t | z_t) in nats


class SongDraws:
    """q of the bars of songs, each uint8 (n, T), and draws from it with their log p(x | z), each made once."""

    def __init__(self, codec: BarCodec, songs: Sequence[np.ndarray], seed: int, say: Say | None = None) -> None:
        self.posteriors = encode_songs(codec, songs, say)
        self._codec, self._bars, self._seed, self._say = codec, np.concatenate(songs), seed, say
        self._drawn: dict[int, Drawn] = {}

    def __getitem__(self, draw: int) -> Drawn:
        """Draw number `draw`; its noise depends on the seed, the place of the song, the draw and the bar alone."""
        if draw not in self._drawn:
            z = draw_latents(self.posteriors, self._seed, draw)
            self._drawn[draw] = Drawn(z, self._codec.log_likelihoods(self._bars, z, self._say))
        return self._drawn[draw]


@functools.lru_cache(maxsize=1)
def _song_draws(codec: BarCodec, shapes: tuple[int, ...], bars: bytes, seed: int) -> SongDraws:
    flat = np.frombuffer(bars, np.uint8).reshape(-1, codec.steps)
    return SongDraws(codec, np.split(flat, np.cumsum(shapes)[:-1]), seed)


def song_draws(codec: BarCodec, songs: Sequence[np.ndarray], seed: int) -> SongDraws:
    """The draws of songs; those of the last songs asked for are kept, for all priors over the same latents."""
    return _song_draws(codec, tuple(len(song) for song in songs), np.concatenate(songs).tobytes(), seed)


def whole_song_bounds(
    codec: BarCodec,
    priors: Priors,
    songs: Sequence[np.ndarray],
    draws: int = 1,
    seed: int = 0,
    say: Say | None = None,
) -> dict[str, Any]:
    """The whole-song bound of songs, each uint8 (n, T) with n >= 1, and what it is made of; see `bounds`."""
    return bounds(SongDraws(codec, songs, seed, say), priors, draws)


def bounds(songs: SongDraws, priors: Priors, draws: int = 1) -> dict[str, Any]:
    """The whole-song bound of songs whose bars are independent given their latents.

    Args:
      songs: the draws, or anything that has `posteriors` and gives a `Drawn` for a number.
      priors: by name; each is given the same draws.
      draws: how many draws of whole songs are averaged.

    Returns:
      Float64 arrays (S,), in nats a song: 'reconstruction_nats', -E_q[log p(x | z)]; 'kl_nats', KL(q || N(0, I)) in
      closed form; 'entropy_nats', H[q]; 'rate_nats', for each prior by name, -E_q[sum log p(z_t | z_<t)] - H[q].
      'bars', the lengths. Reconstruction and rate make the bound.
    """
    mu, log_var, lengths = songs.posteriors
    if draws < 1 or not len(lengths) or lengths.min() < 1:
        raise ValueError("the bound needs at least one draw, one song, and one bar in every song")
    entropy = per_song(gaussian.entropy(jnp.asarray(log_var)), lengths)
    reconstruction = np.zeros(len(lengths))
    rates = {name: -entropy for name in priors}
    for draw in range(draws):
        z, log_x = songs[draw]
        reconstruction -= per_song(log_x, lengths) / draws
        for name, prior in priors.items():
            rates[name] = rates[name] - per_song(prior.log_densities(z, lengths), lengths) / draws
    return {
        "bars": lengths.astype(np.float64),
        "reconstruction_nats": reconstruction,
        "kl_nats": per_song(jnp.sum(gaussian.kl_to_standard(jnp.asarray(mu), jnp.asarray(log_var)), axis=-1), lengths),
        "entropy_nats": entropy,
        "rate_nats": rates,
    }


def summarise(bounds: dict[str, Any], steps: int) -> dict[str, Any]:
    """Figures of `bounds` over all songs, as JSON: sums over songs divided by the sum of their bars of `steps` steps.

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
        priors[name] = {"rate_nats": rate, "bits_per_bar": bits, "bits_per_token": bits / steps}
    return {"songs": len(bounds["bars"]), "bars": int(bars), **per_bar, "priors": priors}


def encode_songs(codec: BarCodec, songs: Sequence[np.ndarray], say: Say | None = None) -> Posteriors:
    """q of every bar of songs, each uint8 (n, T); every distinct bar is encoded once."""
    distinct, rows = distinct_bars(np.concatenate(songs))
    mu, log_var = codec.encode(distinct, say or (lambda line: None))
    return Posteriors(mu[rows], log_var[rows], np.array([len(song) for song in songs]))


def draw_latents(posteriors: Posteriors, seed: int, draw: int) -> np.ndarray:
    """One draw of z from q for every bar, (N, Z) float32; the noise is a function of seed, draw, song and bar alone."""
    song = np.repeat(np.arange(len(posteriors.lengths)), posteriors.lengths)
    first = np.cumsum(posteriors.lengths) - posteriors.lengths
    bar = np.arange(len(song)) - first[song]
    eps = np.asarray(_noise(posteriors.mu.shape[1], seed, draw, song, bar))
    return posteriors.mu + np.exp(posteriors.log_var / 2) * eps


@functools.partial(jax.jit, static_argnums=0)
def _noise(latent: int, seed: int, draw: int, song: Array, bar: Array) -> Array:
    """Standard normal (N, Z)."""
    key = jax.random.key(seed)

    def one(song: Array, bar: Array) -> Array:
        of_bar = jax.random.fold_in(jax.random.fold_in(jax.random.fold_in(key, song), draw), bar)
        return jax.random.normal(of_bar, (latent,))

    return jax.vmap(one)(song, bar)
