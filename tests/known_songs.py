"""Songs of a model whose likelihood is known exactly, and random ones of a small VAE."""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from mcvae_jax.models.bar_codec import BarCodec
from mcvae_jax.models.bounds import Drawn, Posteriors, draw_latents
from mcvae_jax.models.prior import OneGaussian, standard_normal
from mcvae_jax.models.sequences import LatentPrior
from mcvae_jax.models.vae import VAE, init
from mcvae_jax.music.tokens import OUTCOMES
from mcvae_jax.nn import gaussian
from tests.random_params import random_params

LENGTHS = np.array([3, 40, 1, 17, 65])


@dataclasses.dataclass
class KnownDraws:
    """What `bounds.SongDraws` is to its users, with log p(x | z) of our own."""

    posteriors: Posteriors
    log_x: Callable[[np.ndarray], np.ndarray]  # z (N, Z) -> (N,)
    seed: int = 0

    def __getitem__(self, draw):
        z = draw_latents(self.posteriors, self.seed, draw)
        return Drawn(z, self.log_x(z))


@dataclasses.dataclass(frozen=True)
class AutoregressivePrior:
    """z_1 ~ N(0, I), z_t = rho z_{t-1} + sqrt(1 - rho^2) noise: each z_t alone is N(0, I); rho is the parameter."""

    latent: int

    def log_density(self, rho: Any, z: jax.Array) -> jax.Array:
        before = jnp.concatenate([jnp.zeros_like(z[:, :1]), z[:, :-1]], axis=1)
        variance = jnp.where(jnp.arange(z.shape[1]) > 0, 1 - rho**2, 1.0)[:, None]
        return gaussian.log_density(z, rho * before, jnp.log(variance))


class LinearGaussian(NamedTuple):
    """Songs x_t = W z_t + 0.7 noise of z by AutoregressivePrior; W has orthogonal columns, so that
    p(z_t | x_t), each bar seen for itself, is a diagonal Gaussian."""

    rho: float
    w: np.ndarray  # (X, Z)
    x: np.ndarray  # (N, X)
    lengths: np.ndarray

    @classmethod
    def make(cls, rho, lengths=LENGTHS, seed=0, scales=(2.0, 1.0, 0.3)):
        rng = np.random.default_rng(seed)
        w = np.linalg.qr(rng.normal(size=(5, len(scales))))[0] * np.array(scales)
        z = rng.normal(size=(lengths.sum(), len(scales)))
        for start, length in zip(np.cumsum(lengths) - lengths, lengths, strict=True):
            for t in range(start + 1, start + length):
                z[t] = rho * z[t - 1] + math.sqrt(1 - rho**2) * z[t]
        return cls(rho, w, z @ w.T + 0.7 * rng.normal(size=(len(z), 5)), lengths)

    def exact(self):
        """log p(x) of every whole song, (S,), from one Gaussian over all its bars, in float64."""
        found = []
        for song in np.split(self.x, np.cumsum(self.lengths)[:-1]):
            apart = np.abs(np.subtract.outer(np.arange(len(song)), np.arange(len(song))))
            of_z = np.eye(len(song)) if self.rho == 0 else self.rho**apart
            covariance = np.kron(of_z, self.w @ self.w.T) + 0.49 * np.eye(song.size)
            found.append(stats.multivariate_normal(np.zeros(song.size), covariance).logpdf(song.ravel()))
        return np.array(found)

    def posteriors(self, shift=0.0, widen=0.0):
        """p(z_t | x_t) of each bar alone, exact where rho is 0; moved and widened on demand."""
        precision = 1 + np.sum(self.w**2, axis=0) / 0.49
        mu = self.x @ self.w / 0.49 / precision + shift
        log_var = np.broadcast_to(widen - np.log(precision), mu.shape)
        return Posteriors(mu.astype(np.float32), log_var.astype(np.float32), self.lengths)

    def log_x(self, z):
        return stats.norm(z @ self.w.T, 0.7).logpdf(self.x).sum(axis=1)

    def drawn(self, posteriors, seed=0):
        return KnownDraws(posteriors, self.log_x, seed)

    def priors(self):
        latent = self.w.shape[1]
        return {
            "true": LatentPrior(AutoregressivePrior(latent), jnp.float32(self.rho)),
            "N(0, I)": LatentPrior(OneGaussian(latent), standard_normal(latent)),
        }


def some_songs(lengths, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, OUTCOMES, (n, 16)).astype(np.uint8) for n in lengths]


def a_codec(latent=3):
    vae = VAE(units=8, latent=latent, layers=1)
    return BarCodec(vae, random_params(functools.partial(init, vae)))
