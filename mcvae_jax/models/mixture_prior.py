"""Networks over the latent sequences of songs that end in mixtures, and such a network as a `prior.TrainablePrior`.

What all have in common stands here: latents are standardised by their moments over the training bars; a learned start
vector gives z_1 a density too; what is known of z_1 .. z_t becomes a mixture of Gaussians for z_{t+1}, over the whole
vector or for each dimension by itself; and a stop head gives each bar, once it is known, the chance to be the last.
What lies between is the matter of mdrnn.py and transformer_prior.py.

Letters: B songs, T bars, Z latent size, H units, L layers, K components, R components that recall earlier bars.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from mcvae_jax.errors import UserError
from mcvae_jax.models import prior
from mcvae_jax.models.prior import Moments, Step
from mcvae_jax.nn import mixture
from mcvae_jax.nn.dropout import kept
from mcvae_jax.nn.layers import Dense, applied, check_shares, check_sizes, operand_dtype
from mcvae_jax.nn.mixture import Mixture, bounded_log_sigma

Array = jax.Array

STANDARD = ("standard_mean", "standard_scale")  # leaves of the parameters that come from the data
FIELDS = dict.fromkeys(("units", "layers", "components", "memory"), int) | {
    "floor": float,
    "per_dimension": bool,
    "matmul_dtype": str,
}  # of config.model


class Noise(NamedTuple):
    """All randomness of a training step, drawn for each song from that song's own key. Masks have mean 1."""

    inputs: Array | None  # (B, T + 1): dropout of whole latent vectors as inputs
    hidden: Array | None  # (B, L, T + 1, H): dropout on what a layer gives, or adds
    gates: Array | None  # (B, L, H): dropout on the squash gates of an LSTM, one mask for all bars


@dataclasses.dataclass(frozen=True)
class Dropout:
    """Shares that are dropped in training, each from 0 to below 1."""

    inputs: float = 0.0  # of the latent vectors that are read
    hidden: float = 0.0  # of the outputs of every layer
    gates: float = 0.0  # of the squash gates of every LSTM layer (thesis 4.4.8)

    def __post_init__(self) -> None:
        check_shares(self)


class Unrolled(NamedTuple):
    """What a network says along given sequences."""

    mixture: Mixture  # of each z_t given those before it: (B, T, K + R, ...)
    stop_logit: Array  # (B, T): of bar t being the last, given the bars up to t


class Said(NamedTuple):
    """What the heads say, of K components of standardised latents; leading axes are those of what they are given."""

    logits: Array  # (..., K), or per dimension (..., K, Z)
    mu: Array  # (..., K, Z)
    raw: Array  # (..., K, Z): scales before their bound
    stop_logit: Array  # (...)
    more: Array  # (..., `extra`), for a network's own use


class MixtureNetwork(nn.Module):
    """The ends of a network. Its parameters hold the moments that standardise latents; no gradient reaches these."""

    latent: int = 64
    units: int = 512
    layers: int = 2
    components: int = 10
    memory: int = 128  # bars that are looked back to
    floor: float = 1e-3  # of the standard deviations, in units of the standardised latents
    per_dimension: bool = False  # a mixture for each dimension by itself
    dtype: jnp.dtype = jnp.float32  # of the operands of the matrix products

    def setup(self) -> None:
        self.start = self.param("start", nn.initializers.normal(1.0), (self.latent,))
        self.said = Dense(sum(self._widths), self.dtype, name="heads")
        self.mean = self.param(STANDARD[0], nn.initializers.zeros_init(), (self.latent,))
        self.scale = self.param(STANDARD[1], nn.initializers.ones_init(), (self.latent,))

    @property
    def extra(self) -> int:
        """How many numbers the heads say for the network's own use."""
        return 0

    def unroll(self, z: Array, noise: Noise | None = None) -> Unrolled:
        """Mixtures and stop logits along z (B, T, Z)."""
        raise NotImplementedError

    def next_step(self, state: Any, z: Array) -> tuple[Any, Step]:
        """See `prior.Prior.next_step`; z (B, Z)."""
        raise NotImplementedError

    def standardise(self, z: Array) -> Array:
        """z (..., Z) in units of the moments."""
        return (z - jax.lax.stop_gradient(self.mean)) / jax.lax.stop_gradient(self.scale)

    def inputs(self, x: Array, noise: Noise | None) -> Array:
        """The start vector and standardised x (B, T, Z), of which dropout leaves out some: (B, T + 1, Z)."""
        read = jnp.concatenate([jnp.broadcast_to(self.start, x[:, :1].shape), x], axis=1)
        return read if noise is None or noise.inputs is None else read * noise.inputs[..., None]

    @property
    def _widths(self) -> tuple[int, ...]:
        size = self.components * self.latent
        return size if self.per_dimension else self.components, size, size, 1, self.extra

    def say(self, hidden: Array) -> Said:
        """What follows from what is known, hidden (..., H)."""
        ends = [sum(self._widths[: n + 1]) for n in range(len(self._widths) - 1)]
        logits, mu, raw, stop, more = jnp.split(self.said(hidden), ends, axis=-1)
        shape = (*hidden.shape[:-1], self.components, self.latent)
        logits = logits.reshape(shape) if self.per_dimension else logits
        return Said(logits, mu.reshape(shape), raw.reshape(shape), stop[..., 0], more)

    def mixture(self, logits: Array, mu: Array, raw: Array) -> Mixture:
        """The mixture of the latents themselves."""
        log_pi = jax.nn.log_softmax(logits, axis=-2 if self.per_dimension else -1)
        mixed = Mixture(log_pi, mu, bounded_log_sigma(raw, self.floor))
        return mixture.from_standardised(mixed, jax.lax.stop_gradient(self.mean), jax.lax.stop_gradient(self.scale))


@dataclasses.dataclass(frozen=True)
class MixturePrior:
    """Such a network as a `prior.TrainablePrior`; its params are the variables of the module."""

    network: MixtureNetwork
    dropout: Dropout = Dropout()
    standardise: bool = False  # latents, by their moments

    constants = frozenset(STANDARD)

    @property
    def latent(self) -> int:
        """Z."""
        return self.network.latent

    def init(self, key: Array, moments: Moments) -> Any:
        """Fresh parameters; the moments standardise latents, if that is wished."""
        return init(self.network, key, *(moments if self.standardise else ()))

    def untrained(self, params: Any, key: Array) -> Any:
        """Fresh parameters with the mean and scale of `params`."""
        known = params["params"]
        return jax.jit(init, static_argnums=0)(self.network, key, *(known[name] for name in STANDARD))

    def log_density(self, params: Any, z: Array) -> Array:
        """See `prior.Prior`."""
        return mixture.log_density(applied(self.network, MixtureNetwork.unroll, params, z).mixture, z)

    def next_step(self, params: Any, state: Any, z: Array) -> tuple[Any, Step]:
        """See `prior.Prior`."""
        return applied(self.network, MixtureNetwork.next_step, params, state, z)

    def unroll(self, params: Any, z: Array, keys: Array | None) -> prior.Unrolled:
        """See `prior.TrainablePrior`. Figures: 'mixture_entropy', of the weights of the components, (B, T);
        'responsibility', the components' posterior shares, (B, T, K + R)."""
        noise = None if keys is None else draw_noise(self.network, keys, z.shape[1], self.dropout)
        output = applied(self.network, MixtureNetwork.unroll, params, z, noise)
        by_component = mixture.component_log_densities(output.mixture, z)
        logged = jax.lax.stop_gradient((output.mixture, by_component))
        return prior.Unrolled(
            log_density=mixture.over_components(output.mixture, by_component),
            stop_logit=output.stop_logit,
            figures={
                "mixture_entropy": mixture.weight_entropy(logged[0]),
                "responsibility": mixture.responsibilities(*logged),
            },
        )

    def terms(self, means: Mapping[str, Array]) -> dict[str, Array]:
        """Entropy in nats, and how many components are in use: exp of the entropy of their mean share."""
        share = means["responsibility"]
        used = jnp.exp(-jnp.sum(share * jnp.log(jnp.maximum(share, 1e-30))))
        return {"mixture_entropy": means["mixture_entropy"], "components": used}


def log_stop(stop_logit: Array, begun: bool) -> Array:
    """log of the chance (...) that the song is over; never before its first bar."""
    return jax.nn.log_sigmoid(stop_logit) if begun else jnp.full_like(stop_logit, -jnp.inf)


def init(network: MixtureNetwork, key: Array, mean: Array | None = None, scale: Array | None = None) -> Any:
    """Fresh parameters; mean and scale (Z,) standardise latents (None leaves them as they are)."""
    params = network.init(key, jnp.zeros((1, 1, network.latent)), method="unroll")
    chosen = dict(zip(STANDARD, (mean, scale), strict=True))
    return {"params": params["params"] | {n: jnp.asarray(v, jnp.float32) for n, v in chosen.items() if v is not None}}


def draw_noise(network: MixtureNetwork, keys: Array, bars: int, dropout: Dropout) -> Noise:
    """The noise of B songs of `bars` bars from their keys (B,).

    What a song gets depends neither on the others nor on how many bars of padding follow it.
    """

    def one(key: Array) -> Noise:
        inputs, hidden, gates = jax.random.split(key, 3)
        by_bar = kept(hidden, dropout.hidden, (bars + 1, network.layers, network.units))
        return Noise(
            inputs=kept(inputs, dropout.inputs, (bars + 1,)),
            hidden=None if by_bar is None else by_bar.swapaxes(0, 1),
            gates=kept(gates, dropout.gates, (network.layers, network.units)),
        )

    return jax.vmap(one)(keys)


def prior_of(network: MixtureNetwork, config: Any) -> MixturePrior:
    """A network with the dropout and the standardisation of a config; UserError for shares that cannot be."""
    return MixturePrior(network, Dropout(**config["dropout"]), config["data"]["standardise"])


def checked(settings: Mapping[str, Any], sizes: tuple[str, ...] = ()) -> dict[str, Any]:
    """The fields of a network from config.model; UserError for what cannot work.

    Args:
      sizes: those that the network has beside what all have.
    """
    fields = dict(settings)
    check_sizes(fields, ("units", "layers", "components", "memory", *sizes))
    if not 0 < fields["floor"] < 1:
        raise UserError(f"config.model.floor is {fields['floor']}; it must lie between 0 and 1")
    return fields | {"dtype": operand_dtype(fields.pop("matmul_dtype"))}
