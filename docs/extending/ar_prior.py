"""A prior of one's own: each latent vector follows from the one before it, z_t ~ N(gain * z_(t-1) + shift, sigma)."""

import dataclasses

import jax
import jax.numpy as jnp

from mcvae_jax.kinds import OPEN_PRIOR, PRIOR_TASK, Kind
from mcvae_jax.models.prior import Step, Unrolled
from mcvae_jax.nn import gaussian
from mcvae_jax.nn.mixture import Mixture

KIND = Kind("ar_prior:KIND", "AR prior", PRIOR_TASK, OPEN_PRIOR, make="ar_prior:make_prior", composer="AR composer")


@dataclasses.dataclass(frozen=True)
class ARPrior:
    """Pure functions of parameters: {'gain', 'shift', 'log_sigma': (Z,), 'stop': ()}. B songs, T bars, Z dimensions."""

    latent: int

    constants = frozenset()  # no leaf of the parameters comes from the data

    def init(self, key, moments):
        """Starts as one Gaussian: the moments of the training bars."""
        zeros = jnp.zeros(self.latent)
        return {"gain": zeros, "shift": moments.mean, "log_sigma": jnp.log(moments.scale), "stop": jnp.zeros(())}

    def log_density(self, params, z):
        """(B, T) nats."""
        before = jnp.pad(z[:, :-1], ((0, 0), (1, 0), (0, 0)))
        return gaussian.log_density(z, params["gain"] * before + params["shift"], 2 * params["log_sigma"])

    def next_step(self, params, state, z):
        """What follows bar z (B, Z): a mixture of one component. There is no state but the last bar."""
        before = jnp.zeros_like(z) if state is None else z
        mu = (params["gain"] * before + params["shift"])[:, None]
        mixture = Mixture(jnp.zeros(mu.shape[:2]), mu, jnp.broadcast_to(params["log_sigma"], mu.shape))
        log_stop = jnp.full(len(z), -jnp.inf if state is None else jax.nn.log_sigmoid(params["stop"]))
        return jnp.zeros(len(z)), Step(mixture, log_stop, jnp.zeros((len(z), 0, self.latent)))

    def unroll(self, params, z, keys):
        """What training asks: costs along z (B, T, Z), the logit of each bar being the last, figures for the log."""
        log_density = self.log_density(params, z)
        memory = jnp.broadcast_to(jax.lax.stop_gradient(jnp.mean(jnp.abs(params["gain"]))), log_density.shape)
        return Unrolled(log_density, jnp.broadcast_to(params["stop"], log_density.shape), {"gain": memory})

    def terms(self, means):
        """What of the figures goes into the log."""
        return {"gain": means["gain"]}

    def untrained(self, params, key):
        """A twin that has learnt nothing: no memory."""
        return params | {"gain": jnp.zeros(self.latent)}


def make_prior(config, latent):
    """The prior of a config."""
    return ARPrior(latent)
