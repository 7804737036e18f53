"""Priors over latent sequences: what scores, samples, weighs and trains them asks.

    log_density(params, z) -> log p(z_t | z_<t) of each step       next_step(params, state, z) -> p(z_t | z_<t) itself

These two make a prior. `TrainablePrior` adds what `tasks/prior.py` needs to train one.
Letters: B songs, T bars, Z dimensions.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from mcvae_jax.nn import gaussian
from mcvae_jax.nn.mixture import Mixture

Array = jax.Array
Params = Any
State = Any  # what a prior remembers of a sequence; None before its first bar


class Step(NamedTuple):
    """What a prior predicts of the next bar."""

    mixture: Mixture  # of the next latent vector, (B, K), (B, K, Z)
    log_stop: Array  # (B,): log of the chance that the song is over, so that there is no next bar; -inf for never
    recalled: Array  # (B, R, Z): the earlier bars that the last R components are about; R is often 0


class Prior(Protocol):
    """Pure functions of parameters; a prior itself is hashable and static under jit."""

    @property
    def latent(self) -> int:
        """Z."""

    def log_density(self, params: Params, z: Array) -> Array:
        """log p(z_t | z_<t) in nats, (B, T), for z (B, T, Z).

        What follows a bar does not change its figure, so padding at the end of a sequence needs no mask.
        """

    def next_step(self, params: Params, state: State, z: Array) -> tuple[State, Step]:
        """The state after bar z (B, Z), and what comes next; with the state None, z is ignored but for its shape."""


class Moments(NamedTuple):
    """Mean and standard deviation of z ~ q over the training bars, (Z,) each."""

    mean: Array
    scale: Array


class Unrolled(NamedTuple):
    """What a prior says along given sequences."""

    log_density: Array  # (B, T) nats, of each z_t given those before it
    stop_logit: Array  # (B, T): of bar t being the last, given the bars up to t
    figures: Mapping[str, Array]  # (B, T, ...) of each bar, whose means over bars are for the log; no gradient


@runtime_checkable
class TrainablePrior(Prior, Protocol):
    """A prior that `tasks/prior.py` can train."""

    @property
    def constants(self) -> frozenset[str]:
        """Names of the leaves of its parameters that come from the moments."""

    def init(self, key: Array, moments: Moments) -> Params:
        """Fresh parameters; what of the moments it uses is its own affair."""

    def unroll(self, params: Params, z: Array, keys: Array | None) -> Unrolled:
        """Along z (B, T, Z); with keys (B,), one for each song, as in training: with dropout."""

    def terms(self, means: Mapping[str, Array]) -> dict[str, Array]:
        """Scalars for the log, from the means over bars of `Unrolled.figures`."""

    def untrained(self, params: Params, key: Array) -> Params:
        """Fresh parameters but for what came from the data, such as the moments in `params`."""


@dataclasses.dataclass(frozen=True)
class OneGaussian:
    """Every bar for itself, from one diagonal Gaussian: params {'mu': (Z,), 'log_var': (Z,)}.

    With both at zero it is N(0, I), the prior under which the VAE was trained.
    """

    latent: int

    def log_density(self, params: Any, z: Array) -> Array:
        return gaussian.log_density(z, params["mu"], params["log_var"])

    def next_step(self, params: Any, state: State, z: Array) -> tuple[State, Step]:
        shape = (z.shape[0], 1, self.latent)
        mixture = Mixture(
            log_pi=jnp.zeros(shape[:2]),
            mu=jnp.broadcast_to(params["mu"], shape),
            log_sigma=jnp.broadcast_to(params["log_var"] / 2, shape),
        )
        return (), Step(mixture, jnp.full(shape[0], -jnp.inf), jnp.zeros((shape[0], 0, self.latent)))


def standard_normal(latent: int) -> dict[str, Array]:
    """The parameters with which OneGaussian is N(0, I)."""
    return {"mu": jnp.zeros(latent), "log_var": jnp.zeros(latent)}


def fit_one_gaussian(mu: np.ndarray, log_var: np.ndarray, weight: np.ndarray) -> dict[str, Array]:
    """The parameters of OneGaussian with the highest E_q[log p] over bars of posteriors mu, log_var (N, Z).

    weight (N,) counts how often each bar occurs. The closed form: the mean of mu, and the mean of the variances plus
    the variance of mu; summed in float64.
    """
    share = np.asarray(weight, np.float64) / np.sum(weight, dtype=np.float64)
    mean = share @ np.asarray(mu, np.float64)
    variance = share @ (np.exp(np.asarray(log_var, np.float64)) + (mu - mean) ** 2)
    return {"mu": jnp.asarray(mean, jnp.float32), "log_var": jnp.asarray(np.log(variance), jnp.float32)}
