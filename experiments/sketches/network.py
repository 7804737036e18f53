"""The network of SketchRNN (Ha and Eck 2017, section 3.2) and its draws.

Two LSTMs read a drawing, one from its end, and give q(z | drawing). The decoder is an LSTM whose first state comes from
z through a tanh, and which reads z beside the point before in every step. It says what the next point may be: a mixture
of Gaussians of the offset, with correlation, and the state of the pen.

Two things are not as there: scales have a floor (`FLOOR`), since whole numbers repeat exactly and would let a
Gaussian shrink onto them, and correlations stay below 0.98 (bivariate.py).

Letters: B drawings, T steps, Z latent size, H units, K components.
"""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from experiments.sketches import bivariate
from experiments.sketches.bivariate import Correlated, bounded_rho
from experiments.sketches.strokes import END, START
from mcvae_jax.nn.layers import (
    Dense,
    LSTMLayer,
    States,
    applied,
    check_sizes,
    fresh_states,
    operand_dtype,
    states_of,
    through,
)
from mcvae_jax.nn.mixture import Mixture, bounded_log_sigma

Array = jax.Array

PENS = 3
FLOOR = 0.02  # the smallest scale, in standard deviations of the training offsets


class Said(NamedTuple):
    """What may come next; offsets are in standard deviations of the training offsets."""

    offset: Correlated  # (...)
    pen: Array  # (..., 3), logits of the states of the pen


class SketchVAE(nn.Module):
    """The network."""

    latent: int = 128
    encoder_units: int = 256  # in each direction
    units: int = 512  # of the decoder
    components: int = 20
    dtype: jnp.dtype = jnp.float32  # of the operands of matrix products

    def setup(self) -> None:
        self.encoder = [LSTMLayer(self.encoder_units, (5,), self.dtype) for _ in range(2)]
        self.mu = Dense(self.latent, self.dtype)
        self.log_var = Dense(self.latent, self.dtype)
        self.first_state = Dense(2 * self.units, self.dtype)
        self.lstm = LSTMLayer(self.units, (5, self.latent), self.dtype)
        self.heads = Dense(6 * self.components + PENS, self.dtype)

    def __call__(self, five: Array, lengths: Array, eps: Array) -> tuple[Array, Array, Said]:
        """mu (B, Z), log variance (B, Z), and what the decoder says along drawings given z = mu + sigma * eps."""
        mu, log_var = self.encode(five, lengths)
        return mu, log_var, self.predict(mu + jnp.exp(log_var / 2) * eps, five)

    def encode(self, five: Array, lengths: Array) -> tuple[Array, Array]:
        """q(z | drawing) of stroke-5 (B, T, 5) with (B,) points each: mu and log variance, (B, Z) each.

        What stands after the points has no part in it.
        """
        last = lengths[:, None] - 1
        backwards = jnp.maximum(last - jnp.arange(five.shape[1]), 0)
        both = five, jnp.take_along_axis(five, backwards[..., None], axis=1)
        ends = []
        for layer, points in zip(self.encoder, both, strict=True):
            _, hidden = through([layer], fresh_states([layer], len(five)), (points.swapaxes(0, 1),))
            ends.append(jnp.take_along_axis(hidden.swapaxes(0, 1), last[..., None], axis=1)[:, 0])
        read = jnp.concatenate(ends, axis=-1)
        return self.mu(read), self.log_var(read)

    def predict(self, z: Array, five: Array) -> Said:
        """What is said before each step of drawings (B, T, 5), given z (B, Z) and the points before it: (B, T, ...)."""
        start = jnp.broadcast_to(START, (five.shape[0], 1, 5))
        read = jnp.concatenate([start, five[:, :-1]], axis=1).swapaxes(0, 1)
        return self._say(through([self.lstm], self.begin(z), (read, z))[1].swapaxes(0, 1))

    def begin(self, z: Array) -> States:
        """The decoder's state before the first point."""
        return states_of(jnp.tanh(self.first_state(z)), 1)

    def step(self, states: States, z: Array, point: Array) -> tuple[States, Said]:
        """Reads a point (B, 5), and says what follows."""
        states, hidden = through([self.lstm], states, (point[None], z))
        return states, self._say(hidden[0])

    def _say(self, hidden: Array) -> Said:
        """(..., H) -> (...)."""
        *raw, pen = jnp.split(self.heads(hidden), [n * self.components for n in (1, 3, 5, 6)], axis=-1)
        logits, mu, scale, rho = raw
        mu, scale = (x.reshape(*x.shape[:-1], self.components, 2) for x in (mu, scale))
        along = Mixture(jax.nn.log_softmax(logits, axis=-1), mu, bounded_log_sigma(scale, FLOOR))
        return Said(Correlated(along, bounded_rho(rho)), pen)


def init(network: SketchVAE, key: Array) -> Any:
    """Fresh parameters."""
    return network.init(key, jnp.zeros((1, 2, 5)), jnp.ones(1, jnp.int32), jnp.zeros((1, network.latent)))


def log_p(said: Said, five: Array) -> tuple[Array, Array]:
    """log p of offsets and of the states of the pen in drawings (B, T, 5), in nats: (B, T) each.

    Once a drawing has ended its offsets do not count; the states of the pen count in all T steps.
    """
    of_offset = bivariate.log_density(said.offset, five[..., :2])
    of_pen = jnp.sum(jax.nn.log_softmax(said.pen, axis=-1) * five[..., 2:], axis=-1)
    return jnp.where(five[..., 2 + END] > 0, 0.0, of_offset), of_pen


def draw(network: SketchVAE, params: Any, z: Array, keys: Array, tau: Array, steps: int) -> Array:
    """Drawings of z (B, Z), each by its own key (B,), at temperatures tau (B,): stroke-5 (B, steps, 5).

    The temperature divides the logits of the components and of the pen, and multiplies the variances; at 0 the
    likeliest is taken. A drawing that does not end by itself ends with its steps.
    """

    def choose(key: Array, said: Said, tau: Array) -> Array:
        of_offset, of_pen = jax.random.split(key)
        logits = (said.pen - jnp.max(said.pen)) / jnp.where(tau > 0, tau, 1.0)
        drawn = jnp.where(tau > 0, jax.random.categorical(of_pen, logits), jnp.argmax(said.pen))
        offset = jnp.where(drawn == END, 0.0, bivariate.sample(said.offset, of_offset, tau))
        return jnp.concatenate([offset, jax.nn.one_hot(drawn, PENS)])

    def body(carry: tuple[States, Array, Array], number: Array) -> tuple[Any, Array]:
        states, point, ended = carry
        states, said = applied(network, SketchVAE.step, params, states, z, point)
        of_step = jax.vmap(jax.random.fold_in, in_axes=(0, None))(keys, number)
        over = jnp.zeros(5).at[2 + END].set(1.0)
        point = jnp.where(ended[:, None], over, jax.vmap(choose)(of_step, said, tau))
        return (states, point, point[:, 2 + END] > 0), point

    start = jnp.broadcast_to(jnp.asarray(START), (len(z), 5))
    first = applied(network, SketchVAE.begin, params, z), start, jnp.zeros(len(z), bool)
    return jax.lax.scan(body, first, jnp.arange(steps))[1].swapaxes(0, 1)


def make_network(config: Any) -> SketchVAE:
    """The network of config.model; UserError for a size or a number format that cannot be."""
    fields = dict(config)
    dtype = operand_dtype(fields.pop("matmul_dtype"))
    check_sizes(fields, ("latent", "encoder_units", "units", "components"))
    return SketchVAE(**fields, dtype=dtype)
