"""The evidence lower bound of single bars, and what is minimised instead of it (thesis 4.12 to 4.14, 8.3.1).

Reconstruction is the sum over the steps of a bar, KL the sum over the latent dimensions, both in nats per bar. Sums
over examples come first (`elbo_sums`), the scalar after all devices have added theirs (`objective`): capacity and free
bits are no sums over examples, so they act on the sums of the whole batch.
"""

import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from mcvae_jax.errors import UserError
from mcvae_jax.nn.gaussian import kl_to_standard

Array = jax.Array
Sums = dict[str, Array]

ACTIVE = 0.01  # share of the variance of z in that of the means of q from which on a unit is active


@dataclasses.dataclass(frozen=True)
class ObjectiveSettings:
    """What is minimised: reconstruction + beta * KL, or reconstruction + gamma * |KL - C|."""

    kind: str = "beta"  # 'beta' or 'capacity'
    beta: float = 0.2  # the final weight of the KL
    beta_schedule: str = "constant"  # one of BETA_SCHEDULES
    beta_steps: int = 1  # linear: length of the rise; cyclical: length of a cycle, whose first half rises
    beta_rate: float = 0.99999  # exponential (MusicVAE): beta * (1 - beta_rate ** step)
    gamma: float = 1.0  # capacity: weight of the distance
    capacity: float = 25.0  # capacity: the final C, nats per bar
    capacity_steps: int = 1  # capacity: C rises from 0 to its final value over this many steps
    free_bits: str = "none"  # 'none', 'per_bar' (MusicVAE), 'per_dim' (Kingma et al. 2016, arXiv:1606.04934)
    free_nats: float = 0.0  # lambda, in nats per bar or per dimension

    def __post_init__(self) -> None:
        checks = (
            (self.kind in ("beta", "capacity"), f"loss.kind is 'beta' or 'capacity', not {self.kind!r}"),
            (
                self.beta_schedule in BETA_SCHEDULES,
                f"loss.beta_schedule is one of {', '.join(BETA_SCHEDULES)}, not {self.beta_schedule!r}",
            ),
            (
                self.free_bits in ("none", "per_bar", "per_dim"),
                f"loss.free_bits is 'none', 'per_bar' or 'per_dim', not {self.free_bits!r}",
            ),
            (self.beta >= 0, f"loss.beta is {self.beta}; a negative weight would reward a large KL"),
            (self.gamma > 0, f"loss.gamma is {self.gamma}; it must be above 0"),
            (self.capacity >= 0, f"loss.capacity is {self.capacity}; a KL is never below 0"),
            (self.free_nats >= 0, f"loss.free_nats is {self.free_nats}; it must not be below 0"),
            (min(self.beta_steps, self.capacity_steps) >= 1, "loss.beta_steps and loss.capacity_steps start at 1"),
            (0 < self.beta_rate < 1, f"loss.beta_rate is {self.beta_rate}; it lies between 0 and 1"),
            (
                self.kind == "beta" or self.free_bits == "none",
                "loss.free_bits belong to loss.kind='beta'; with 'capacity', C already says how much KL is free",
            ),
        )
        for holds, message in checks:
            if not holds:
                raise UserError(message)


def beta_at(settings: ObjectiveSettings, step: Array) -> Array:
    """The weight of the KL at a step."""
    return settings.beta * BETA_SCHEDULES[settings.beta_schedule](settings, jnp.asarray(step, jnp.float32))


def _linear(settings: ObjectiveSettings, step: Array) -> Array:
    return jnp.minimum(step / settings.beta_steps, 1.0)


def _exponential(settings: ObjectiveSettings, step: Array) -> Array:
    return 1.0 - jnp.exp(step * math.log(settings.beta_rate))


def _cyclical(settings: ObjectiveSettings, step: Array) -> Array:
    """Fu et al. 2019, arXiv:1903.10145: rise over the first half of each cycle, stay over the second."""
    return jnp.minimum(2.0 * jnp.mod(step, settings.beta_steps) / settings.beta_steps, 1.0)


BETA_SCHEDULES: dict[str, Callable[[ObjectiveSettings, Array], Array]] = {
    "constant": lambda settings, step: jnp.ones_like(step),
    "linear": _linear,
    "exponential": _exponential,  # MusicVAE
    "cyclical": _cyclical,
}  # the share of the final beta at a step


def capacity_at(settings: ObjectiveSettings, step: Array) -> Array:
    """C of equation 4.14 at a step, nats per bar: it rises from 0 (thesis 8.3.1)."""
    share = jnp.minimum(jnp.asarray(step, jnp.float32) / settings.capacity_steps, 1.0)
    return settings.capacity * share


def elbo_sums(
    log_p: Array,
    guess: Array,
    bars: Array,
    mu: Array,
    log_var: Array,
    weight: Array,
    *,
    token_weights: Array,
    free_nats: float | Array,
) -> Sums:
    """Sums over bars, each bar times its weight.

    Args:
      log_p: (B, T) nats, of each step's token.
      guess: integers (B, T), see `vae.Prediction`.
      bars: integers (B, T) below V.
      mu, log_var: (B, Z) of the approximate posterior.
      weight: (B,); 0 for padding, of which log_p may be -inf.
      token_weights: (V,) weights of the tokens in the training loss alone (thesis 7.3); ones leave the bound as it is.
      free_nats: lambda of `per_bar` free bits; (B,) where it differs from example to example.

    Returns:
      'weight', the sum of the weights; 'reconstruction' and 'kl' in nats; 'weighted_reconstruction', with the token
      weights; 'kl_per_dim' (Z,); 'kl_above_free', the sum of max(KL - free_nats, 0); 'tokens', of the
      shares of a bar's tokens that the guess names rightly.
    """
    bars = bars.astype(jnp.int32)
    nats = jnp.where(weight[:, None] > 0, -log_p, 0.0)  # what pads a batch may be impossible, and 0 * inf is no number
    kl = kl_to_standard(mu, log_var)
    kl_of_bar = jnp.sum(kl, axis=-1)
    right = guess == bars
    return {
        "weight": jnp.sum(weight),
        "reconstruction": jnp.sum(weight * jnp.sum(nats, axis=-1)),
        "weighted_reconstruction": jnp.sum(weight * jnp.sum(nats * token_weights[bars], axis=-1)),
        "kl": jnp.sum(weight * kl_of_bar),
        "kl_per_dim": weight @ kl,
        "kl_above_free": jnp.sum(weight * jnp.maximum(kl_of_bar - free_nats, 0.0)),
        "tokens": jnp.sum(weight * jnp.mean(right, axis=-1)),
    }


def objective(settings: ObjectiveSettings, sums: Sums, step: Array) -> tuple[Array, Sums]:
    """What training minimises at a step, from the sums over the whole batch; and the terms to log, in nats per bar."""
    mean = {name: value / sums["weight"] for name, value in sums.items()}
    if settings.kind == "capacity":
        target = capacity_at(settings, step)
        penalty = settings.gamma * jnp.abs(mean["kl"] - target)
        extra = {"capacity": target}
    else:
        beta = beta_at(settings, step)
        if settings.free_bits == "per_dim":
            kl = jnp.sum(jnp.maximum(mean["kl_per_dim"], settings.free_nats))
        elif settings.free_bits == "per_bar":
            kl = mean["kl_above_free"]
        else:
            kl = mean["kl"]
        penalty = beta * kl
        extra = {"beta": beta}
    return mean["weighted_reconstruction"] + penalty, _terms(mean) | extra


def held_out_objective(settings: ObjectiveSettings, sums: Sums) -> tuple[Array, Sums]:
    """The objective at the final beta or capacity, without free bits and token weights; `best` is its minimum."""
    mean = {name: value / sums["weight"] for name, value in sums.items()}
    if settings.kind == "capacity":
        penalty = settings.gamma * jnp.abs(mean["kl"] - settings.capacity)
    else:
        penalty = settings.beta * mean["kl"]
    return mean["reconstruction"] + penalty, _terms(mean)


def active_units(mu: Array, mu_squares: Array, variances: Array) -> Array:
    """How many units of z are in use (Burda et al. 2016, arXiv:1509.00519): their means of q vary.

    Args:
      mu, mu_squares, variances: (Z,) means over bars of those means, of their squares, and of the variances of q.
    """
    of_means = mu_squares - mu**2
    return jnp.sum(of_means / (of_means + variances) > ACTIVE).astype(jnp.float32)


def _terms(mean: Sums) -> Sums:
    return {
        "reconstruction": mean["reconstruction"],
        "kl": mean["kl"],
        "bound": mean["reconstruction"] + mean["kl"],
        "accuracy": mean["tokens"],
    }
