"""The bar VAE (thesis 4.4, 5.4): bars -> (mu, log_var), and (z, bars) -> logits.

Letters: B bars, T steps of a bar (16), V outcomes (130), H units, L layers, Z latent size.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from mcvae_jax.errors import UserError
from mcvae_jax.models.lstm import Gates, lstm, matmul, token_rows
from mcvae_jax.music.metre import BAR
from mcvae_jax.music.tokens import OUTCOMES, START, VOCABULARY

Array = jax.Array

LARGEST = 1 << 14  # of any size: beyond it the recurrent weights of one layer pass 4 GiB

_kernel_init = nn.initializers.lecun_normal(in_axis=-2, out_axis=-1, batch_axis=(0,))


class Noise(NamedTuple):
    """All randomness of a training step, drawn for each bar from that bar's own key. Masks are scaled to mean 1."""

    eps: Array  # (B, Z) standard normal
    encoder_inputs: Array | None  # (B, T): dropout on the encoder's one-hot inputs
    decoder_inputs: Array | None  # (B, T): word dropout on the decoder's previous tokens, not scaled
    encoder_gates: Array | None  # (B, L, 2, H): dropout on the squash gates, one mask for all steps
    decoder_gates: Array | None  # (B, L, H)


@dataclasses.dataclass(frozen=True)
class Dropout:
    """Shares that are dropped in training, each from 0 to below 1."""

    inputs: float = 0.0  # of the encoder's tokens (thesis notebooks: 0.3)
    words: float = 0.0  # of the decoder's previous tokens (Bowman et al. 2016, arXiv:1511.06349)
    gates: float = 0.0  # of the squash gates of every layer (thesis 4.4.8)

    def __post_init__(self):
        check_shares(self)


class LSTMLayer(nn.Module):
    """The weights of one LSTM layer with one or more inputs, whose projections are added.

    It starts with a forget bias of 1. Recurrent weights are normal, not orthogonal: QR factorisations of several
    matrices at a time hang XLA on a CPU with two threads (BUILD_NOTES.md).
    """

    units: int
    inputs: tuple[int, ...]  # the widths of the inputs
    dtype: jnp.dtype = jnp.float32

    def setup(self):
        self.w_x = [self.param(f"w_x{n}", _kernel_init, (4, width, self.units)) for n, width in enumerate(self.inputs)]
        self.w_h = self.param("w_h", _kernel_init, (4, self.units, self.units))
        self.b = self.param("b", lambda key, shape: jnp.zeros(shape).at[1].set(1.0), (4, self.units))

    def gates(self, *xs: Array, masks: tuple[Array | None, ...] = ()) -> Gates:
        """Projects the inputs, each integers (T, B) for tokens or floats (..., B, I); masks (T, B) weigh tokens."""
        masks = masks or (None,) * len(xs)

        def gate(k: int) -> Array:
            total = self.b[k]
            for x, w, mask in zip(xs, self.w_x, masks, strict=True):
                if jnp.issubdtype(x.dtype, jnp.integer):
                    projected = token_rows(w[k], x, self.dtype)
                else:
                    projected = matmul(x, w[k], self.dtype)
                total = total + (projected if mask is None else projected * mask[..., None])
            return total

        return tuple(gate(k) for k in range(4))

    def __call__(self, gates: Gates, h0: Array, c0: Array, gate_mask: Array | None = None, reverse: bool = False):
        """`mcvae_jax.models.lstm.lstm` with this layer's weights."""
        return lstm(gates, self.w_h, h0, c0, dtype=self.dtype, gate_mask=gate_mask, reverse=reverse)


class Dense(nn.Module):
    """x (..., I) times a matrix plus a bias (..., O)."""

    width: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Array:
        w = self.param("w", nn.initializers.lecun_normal(), (x.shape[-1], self.width))
        b = self.param("b", nn.initializers.zeros_init(), (self.width,))
        return matmul(x, w, self.dtype) + b


class VAE(nn.Module):
    """Encoder and decoder of single bars.

    The defaults are the sizes of the thesis. START has no logit: it is only ever an input, so it can never be sampled.
    """

    units: int = 512
    latent: int = 64
    layers: int = 2
    merge: str = "add"  # how the four final states of the encoder meet: 'add' (thesis 3.1.4) or 'concat'
    dtype: jnp.dtype = jnp.float32  # of the operands of all matrix products

    def setup(self):
        both = 2 * self.units
        self.encoder = [
            [LSTMLayer(self.units, (both if layer else VOCABULARY,), self.dtype) for _ in ("forward", "backward")]
            for layer in range(self.layers)
        ]
        self.mu = Dense(self.latent, self.dtype)
        self.log_var = Dense(self.latent, self.dtype)
        self.first_states = Dense(2 * self.layers * self.units, self.dtype)
        self.decoder = [
            LSTMLayer(self.units, (self.units,) if layer else (VOCABULARY, self.latent), self.dtype)
            for layer in range(self.layers)
        ]
        self.logits = Dense(OUTCOMES, self.dtype)

    def __call__(self, bars: Array, noise: Noise) -> tuple[Array, Array, Array]:
        """Encodes, draws z = mu + sigma * eps (Table 4.2) and decodes: mu (B, Z), log_var (B, Z), logits (B, T, V)."""
        mu, log_var = self.encode(bars, noise)
        z = mu + jnp.exp(log_var / 2) * noise.eps
        return mu, log_var, self.decode(z, bars, noise)

    def encode(self, bars: Array, noise: Noise | None = None) -> tuple[Array, Array]:
        """The approximate posterior of bars (B, T) of tokens: mu and log variance, each (B, Z)."""
        x = bars.astype(jnp.int32).T
        mask = None if noise is None or noise.encoder_inputs is None else noise.encoder_inputs.T
        zeros = jnp.zeros((bars.shape[0], self.units))
        for n, directions in enumerate(self.encoder):
            hidden, states = [], []
            for d, layer in enumerate(directions):
                gate_mask = None if noise is None or noise.encoder_gates is None else noise.encoder_gates[:, n, d]
                gates = layer.gates(x, masks=(mask if n == 0 else None,))
                outputs, final = layer(gates, zeros, zeros, gate_mask, reverse=d == 1)
                hidden.append(outputs)
                states.extend(final)
            x = jnp.concatenate(hidden, axis=-1)
        code = sum(states) if self.merge == "add" else jnp.concatenate(states, axis=-1)
        return self.mu(code), self.log_var(code)

    def decode(self, z: Array, bars: Array, noise: Noise | None = None) -> Array:
        """Logits (B, T, V) of each token of bars (B, T) given z (B, Z) and the tokens before it (START first)."""
        tokens = bars.astype(jnp.int32).T
        previous = jnp.concatenate([jnp.full_like(tokens[:1], START), tokens[:-1]])
        mask = None if noise is None or noise.decoder_inputs is None else noise.decoder_inputs.T
        masks = None if noise is None or noise.decoder_gates is None else noise.decoder_gates
        return self._steps(self.first(z), previous, z, mask, masks)[1].swapaxes(0, 1)

    def first(self, z: Array) -> list[tuple[Array, Array]]:
        """The decoder's initial (h, c) of every layer, each (B, H): tanh of a dense map of z (B, Z)."""
        states = jnp.split(jnp.tanh(self.first_states(z)), 2 * self.layers, axis=-1)
        return list(zip(states[0::2], states[1::2], strict=True))

    def step(self, states: list, previous: Array, z: Array) -> tuple[list, Array]:
        """One step of the decoder: from the previous tokens (B,) to the next states and the logits (B, V)."""
        states, logits = self._steps(states, previous[None], z)
        return states, logits[0]

    def _steps(self, states, previous, z, mask=None, gate_masks=None):
        """previous (T, B) -> the final states and logits (T, B, V)."""
        finals, x = [], previous
        for n, (layer, (h, c)) in enumerate(zip(self.decoder, states, strict=True)):
            gates = layer.gates(x) if n else layer.gates(x, z, masks=(mask, None))
            x, final = layer(gates, h, c, None if gate_masks is None else gate_masks[:, n])
            finals.append(final)
        return finals, self.logits(x)

    def greedy(self, z: Array, steps: int = 16) -> Array:
        """The tokens (B, T) that are likeliest one by one, given z (B, Z)."""

        def body(vae, carry, _):
            states, previous = carry
            states, logits = vae.step(states, previous, z)
            token = jnp.argmax(logits, axis=-1).astype(jnp.int32)
            return (states, token), token

        start = jnp.full((z.shape[0],), START, jnp.int32)
        scan = nn.scan(body, variable_broadcast="params", split_rngs={"params": False}, length=steps)
        _, tokens = scan(self, (self.first(z), start), None)
        return tokens.T


def init(vae: VAE, key: Array) -> Any:
    """Fresh parameters."""
    return vae.init(key, jnp.zeros((1, BAR), jnp.int32), draw_noise(vae, key[None], BAR, Dropout()))


def draw_noise(vae: VAE, keys: Array, steps: int, dropout: Dropout) -> Noise:
    """The noise of B bars of `steps` tokens from their keys (B,); what a bar gets does not depend on the others."""

    def keep(key, share, shape, scale=True):
        if not share:
            return None
        kept = jax.random.bernoulli(key, 1 - share, shape).astype(jnp.float32)
        return kept / (1 - share) if scale else kept

    def one(key):
        eps, inputs, words, encoder, decoder = jax.random.split(key, 5)
        return Noise(
            eps=jax.random.normal(eps, (vae.latent,)),
            encoder_inputs=keep(inputs, dropout.inputs, (steps,)),
            decoder_inputs=keep(words, dropout.words, (steps,), scale=False),
            encoder_gates=keep(encoder, dropout.gates, (vae.layers, 2, vae.units)),
            decoder_gates=keep(decoder, dropout.gates, (vae.layers, vae.units)),
        )

    return jax.vmap(one)(keys)


def make_vae(settings: Mapping[str, Any]) -> VAE:
    """The VAE of config.model: units, latent, layers, merge, matmul_dtype; UserError for sizes that cannot work."""
    fields = dict(settings)
    dtype = fields.pop("matmul_dtype")
    check_sizes(fields, ("units", "latent", "layers"))
    if fields["merge"] not in ("add", "concat"):
        raise UserError(f"config.model.merge is 'add' or 'concat', not {fields['merge']!r}")
    return VAE(**fields, dtype=operand_dtype(dtype))


def check_shares(dropout: Any) -> None:
    """UserError where a field of a dataclass of config.dropout is no share from 0 to below 1."""
    for name, share in dataclasses.asdict(dropout).items():
        if not 0 <= share < 1:
            raise UserError(f"config.dropout.{name} is {share}; it must be from 0 to below 1")


def check_sizes(fields: Mapping[str, Any], names: tuple[str, ...]) -> None:
    """UserError where a size of config.model is not from 1 to LARGEST."""
    for name in names:
        if not 1 <= fields[name] <= LARGEST:
            raise UserError(f"config.model.{name} is {fields[name]}; it must be from 1 to {LARGEST}")


def operand_dtype(name: str) -> jnp.dtype:
    """config.model.matmul_dtype; UserError where it is neither 'float32' nor 'bfloat16'."""
    if name not in ("float32", "bfloat16"):
        raise UserError(f"config.model.matmul_dtype is 'float32' or 'bfloat16', not {name!r}")
    return jnp.dtype(name)
