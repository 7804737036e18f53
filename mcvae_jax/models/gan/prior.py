"""The adversarial prior: what generator and critic minimise, draws, and a distance of draws from real latents.

Both play at the same time. With softplus(x) = log(1 + e^x), a real window x, a made one y, and logits D of the critic,

    critic:     softplus(-D(x)) + softplus(D(y)) + gamma / 2 |dD(x)/dx|^2
    generator:  softplus(-D(y))

which are the losses of Goodfellow et al. 2014 (arXiv:1406.2661), that of the generator in its non-saturating form, with
the penalty R1 of Mescheder et al. 2018 (arXiv:1801.04406), by which training converges near the truth. There is no
likelihood. How far draws lie from real latents is said by the squared maximum mean discrepancy (Gretton et al. 2012) of
single bars and of the steps from bar to bar, with Gaussian kernels in random features (Rahimi and Recht 2007).

Letters: B windows, N bars of a window, Z latent size, F features.
"""

import dataclasses
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mcvae_jax.command import check_range
from mcvae_jax.errors import UserError
from mcvae_jax.models.gan.networks import Critic, Generator
from mcvae_jax.models.latent_windows import CONSTANTS, SONG_LENGTHS, STANDARD, Place, of_standardised, standardised
from mcvae_jax.models.latent_windows import constants as known_from_data
from mcvae_jax.models.prior import Moments
from mcvae_jax.nn.layers import applied, check_sizes, operand_dtype
from mcvae_jax.nn.transformer import check_heads

Array = jax.Array

FIELDS = {"model": {"units": int, "layers": int, "heads": int, "matmul_dtype": str}, "loss": {"gamma": float}}
FEATURES = 512  # F, of bars and of steps each
GENERATOR, CRITIC = "generator", "critic"


class Losses(NamedTuple):
    """Of each window, (B,) each."""

    critic: Array
    generator: Array
    real: Array  # logits
    made: Array


@dataclasses.dataclass(frozen=True)
class GANPrior:
    """Pure functions of parameters {'generator', 'critic', and `constants`}; it is hashable, for jit."""

    generator: Generator
    critic: Critic
    window: int  # N
    gamma: float = 1.0  # weight of R1

    constants = CONSTANTS

    @property
    def latent(self) -> int:
        """Z."""
        return self.generator.latent

    def init(self, key: Array, moments: Moments, lengths: np.ndarray) -> Any:
        """Fresh parameters; lengths (S,): bars of the training songs."""
        of_generator, of_critic = jax.random.split(key)
        place = Place(jnp.zeros(1, jnp.int32), jnp.ones(1, jnp.int32), jnp.zeros(1))
        x, no = jnp.zeros((1, self.window, self.latent)), jnp.zeros((1, self.window), bool)
        noise = jnp.zeros((1, self.window + 1, self.latent))
        return {
            GENERATOR: self.generator.init(of_generator, x, no, place, noise),
            CRITIC: self.critic.init(of_critic, x, no, place),
            **known_from_data(moments, lengths),
        }

    def untrained(self, params: Any, key: Array) -> Any:
        """Fresh networks with what came from the data of `params`."""
        moments = Moments(*(params[name] for name in STANDARD))
        return self.init(key, moments, np.ones(1)) | {SONG_LENGTHS: params[SONG_LENGTHS]}

    def losses(self, params: Any, z: Array, is_given: Array, place: Place, keys: Array) -> Losses:
        """Of real windows z (B, N, Z) and of made ones with the same given bars, with a key each, (B,).

        The critic's loss moves the critic alone, and the generator's the generator.
        """
        fixed = jax.lax.stop_gradient(params[CRITIC])
        known = place.known(self.window)[..., None]
        x = jnp.where(known, standardised(params, z), 0.0)
        made = jnp.where(known, self._made(params, x, is_given, place, keys), 0.0)

        def logits(of_critic: Any, x: Array) -> Array:
            return applied(self.critic, Critic.__call__, of_critic, x, is_given, place)

        real, slope = _with_slope(lambda x: logits(params[CRITIC], x), x)
        of_made = logits(params[CRITIC], jax.lax.stop_gradient(made))
        penalty = self.gamma / 2 * jnp.sum(slope**2, axis=(1, 2))
        critic = jax.nn.softplus(-real) + jax.nn.softplus(of_made) + penalty
        return Losses(critic, jax.nn.softplus(-logits(fixed, made)), real, of_made)

    def sample(self, params: Any, given: Array, is_given: Array, place: Place, keys: Array, spread: Array) -> Array:
        """z (B, N, Z) of windows with the given ones where is_given (B, N); spread multiplies the noise's variance."""
        x = self._made(params, standardised(params, given), is_given, place, keys, spread)
        return jnp.where(is_given[..., None], given, of_standardised(params, x))

    def features(self, params: Any, z: Array, place: Place) -> Array:
        """Sums of random features over the bars of each window and over its steps from bar to bar, (B, 2 F)."""
        x, known = standardised(params, z), place.known(self.window)
        steps, both = x[:, 1:] - x[:, :-1], known[:, 1:] & known[:, :-1]
        return jnp.concatenate([_features(x, known), _features(steps, both)], axis=-1)

    def _made(
        self, params: Any, x: Array, is_given: Array, place: Place, keys: Array, spread: Array | float = 1.0
    ) -> Array:
        shape = self.window + 1, self.latent
        noise = jax.vmap(lambda key: jax.random.normal(key, shape))(keys) * jnp.sqrt(spread)
        return applied(self.generator, Generator.__call__, params[GENERATOR], x, is_given, place, noise)


def discrepancy(real: Array, made: Array) -> Array:
    """MMD^2 from the mean features of real and of made windows, (2 F,) each: (), 0 where they are alike."""
    return jnp.sum((real - made) ** 2) / FEATURES


def make_gan(config: Any, latent: int) -> GANPrior:
    """The prior of configs/gan_prior.py; UserError for a field that cannot be."""
    fields, window, gamma = dict(config["model"]), config["data"]["window"], config["loss"]["gamma"]
    dtype = operand_dtype(fields.pop("matmul_dtype"))
    check_sizes(fields, ("units", "layers", "heads"))
    check_heads(fields["units"], fields["heads"])
    check_range("config.data.window", window, 2, 1024)
    if not (math.isfinite(gamma) and gamma >= 0):
        raise UserError(f"config.loss.gamma is {gamma}; it must be 0 or more")
    # XLA has no code on CPUs for the second derivatives of bfloat16 products, which R1 asks of the critic.
    return GANPrior(Generator(latent, **fields, dtype=dtype), Critic(latent, **fields), window, gamma)


def _with_slope(logits: Any, x: Array) -> tuple[Array, Array]:
    """Logits (B,) of windows x, and the slope of each by its own window; windows do not meet."""
    found, pullback = jax.vjp(logits, x)
    return found, pullback(jnp.ones_like(found))[0]


def _features(x: Array, known: Array) -> Array:
    """Of vectors x (B, N, Z), summed over those that are known: (B, F); kernels as wide as Z standardised numbers lie
    apart."""
    of_frequencies, of_phases = jax.random.split(jax.random.key(0))
    frequencies = jax.random.normal(of_frequencies, (x.shape[-1], FEATURES)) / math.sqrt(x.shape[-1])
    phases = jax.random.uniform(of_phases, (FEATURES,), maxval=2 * math.pi)
    waves = math.sqrt(2) * jnp.cos(x @ frequencies + phases)
    return jnp.sum(jnp.where(known[..., None], waves, 0.0), axis=1)
