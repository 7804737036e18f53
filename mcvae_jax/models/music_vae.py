"""MusicVAE (Roberts et al. 2018, arXiv:1803.05428; thesis 5.2): one z for a window of bars, flat and with a conductor.

The encoder reads the tokens of a window in both directions. The flat decoder is an LSTM over all tokens of the window,
which has z in its first state and in every step. With a conductor, an LSTM makes an embedding of each bar from z, and
the decoder begins each bar anew from that bar's embedding, which it also reads in every step: its state goes no further
than the bar, so that it learns of the other bars by their embeddings alone, which depend on nothing but z (section 3.2
there). What the paper leaves open: the first token of a bar follows START, not the last token of the bar before, and
the conductor reads z in every step. Sigma is exp(log_var / 2), as in the project's other VAEs, not a softplus.

Beyond the paper, windows may be shorter than N bars, and a stop head gives each bar, once it is known, the chance to be
the last of the song.

Letters: B windows, N bars of a window, T steps of a bar, V outcomes (130), Z latent size, H units, L layers, R spans (1
in the flat decoder, N with a conductor), P tokens of a span (N * T or T), C width of what a span is given.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from mcvae_jax.errors import UserError
from mcvae_jax.music.tokens import BAR, OUTCOMES, START, VOCABULARY
from mcvae_jax.nn.categorical import likeliest
from mcvae_jax.nn.dropout import kept
from mcvae_jax.nn.layers import (
    Dense,
    LSTMLayer,
    States,
    both_ways,
    check_shares,
    check_sizes,
    operand_dtype,
    over_slots,
    states_of,
    through,
)

Array = jax.Array

FLAT, CONDUCTOR = "flat", "conductor"
PADDING = START  # what the encoder reads of bars beyond the window
LONGEST = 256  # bars of a window

Choose = Callable[[Array, Array], Array]  # logits (B, V) and the number of the token in the window -> tokens (B,)


@dataclasses.dataclass(frozen=True)
class Dropout:
    """Shares that are dropped in training, each from 0 to below 1."""

    hidden: float = 0.0  # of what every layer of the decoder gives

    def __post_init__(self) -> None:
        check_shares(self)


class Noise(NamedTuple):
    """All randomness of a training step but for scheduled sampling, drawn for each window from that window's key."""

    eps: Array  # (B, Z) standard normal
    hidden: Array | None  # (B, R, L, P + 1, H), with mean 1


class Predicted(NamedTuple):
    """What a decoder says along given windows."""

    log_p: Array  # (B, N, T) nats, of each token given z and those before it
    guess: Array  # (B, N, T), the likeliest token of each step
    stop_logit: Array  # (B, N): of bar n being the last of the song, given z and the bars up to n


class Writer(NamedTuple):
    """A decoder before a bar."""

    contexts: Array  # (B, R, C)
    states: States  # (h, c) of each layer, each (B, H)
    previous: Array  # (B,), the token before


class Bar(NamedTuple):
    """What it writes."""

    tokens: Array  # (B, T)
    logits: Array  # (B, T, V), from which they were chosen
    stop_logit: Array  # (B,)


class MusicVAE(nn.Module):
    """The network."""

    decoder: str = CONDUCTOR
    bars: int = 16  # N
    latent: int = 512
    layers: int = 2  # of the encoder, of the conductor and of the decoder
    encoder_units: int = 2048  # in each direction
    conductor_units: int = 1024  # and C, the width of an embedding
    units: int = 1024  # of the decoder
    steps: int = BAR  # T
    dtype: jnp.dtype = jnp.float32  # of the operands of matrix products

    @property
    def spans(self) -> int:
        """R."""
        return 1 if self.decoder == FLAT else self.bars

    def setup(self) -> None:
        def layers(units: int, *first: int) -> list[LSTMLayer]:
            return [LSTMLayer(units, (units,) if n else first, self.dtype) for n in range(self.layers)]

        widths = [VOCABULARY] + [2 * self.encoder_units] * (self.layers - 1)
        self.encoder = [[LSTMLayer(self.encoder_units, (width,), self.dtype) for _ in range(2)] for width in widths]
        self.mu = Dense(self.latent, self.dtype)
        self.log_var = Dense(self.latent, self.dtype)
        if self.decoder == CONDUCTOR:
            self.conductor_states = Dense(2 * self.layers * self.conductor_units, self.dtype)
            self.conductor = layers(self.conductor_units, self.latent)
            self.embedding = Dense(self.conductor_units, self.dtype)
        self.first_states = Dense(2 * self.layers * self.units, self.dtype)
        self.lstm = layers(self.units, VOCABULARY, self.latent if self.decoder == FLAT else self.conductor_units)
        self.heads = Dense(OUTCOMES + 1, self.dtype)

    def __call__(self, bars: Array, mask: Array, eps: Array) -> tuple[Array, Array, Predicted]:
        """mu (B, Z), log variance (B, Z), and what the decoder says given z = mu + sigma * eps."""
        mu, log_var = self.encode(bars, mask)
        return mu, log_var, self.predict(mu + jnp.exp(log_var / 2) * eps, bars)

    def encode(self, bars: Array, mask: Array) -> tuple[Array, Array]:
        """q(z | window) of windows (B, N, T), whose bars the mask (B, N) holds: mu and log variance, (B, Z) each."""
        tokens = jnp.where(mask[..., None] > 0, bars.astype(jnp.int32), PADDING).reshape(bars.shape[0], -1)
        forwards, _, backwards, _ = both_ways(self.encoder, (tokens.T,))
        ends = jnp.concatenate([forwards, backwards], axis=-1)
        return self.mu(ends), self.log_var(ends)

    def predict(self, z: Array, bars: Array, hidden: Array | None = None) -> Predicted:
        """By teacher forcing, for z (B, Z), windows (B, N, T) and masks of `Noise`; what pads a window is read, too."""
        contexts = self._contexts(z)
        of_spans = contexts.reshape(-1, contexts.shape[-1])
        tokens = bars.astype(jnp.int32).reshape(of_spans.shape[0], -1)
        read = jnp.pad(tokens, ((0, 0), (1, 0)), constant_values=START)
        masks = None if hidden is None else hidden.reshape(-1, *hidden.shape[2:])
        outputs = self.heads(through(self.lstm, self._first(of_spans), (read.T, of_spans), masks)[1]).swapaxes(0, 1)
        logits = outputs[:, :-1, :OUTCOMES].reshape(*bars.shape, OUTCOMES)
        return _predicted(logits, bars, outputs[:, self.steps :: self.steps, OUTCOMES].reshape(bars.shape[:2]))

    def predict_scheduled(self, z: Array, bars: Array, choose: Choose, hidden: Array | None = None) -> Predicted:
        """The same where `choose` says which token is read after each place: the true one or one that is drawn."""

        def body(network: MusicVAE, writer: Writer, number: Array) -> tuple[Writer, tuple[Array, Array]]:
            writer, bar = network.write(writer, number, choose, hidden)
            return writer, (bar.logits, bar.stop_logit)

        _, (logits, stop) = over_slots(body)(self, self.begin(z), jnp.arange(self.bars))
        return _predicted(logits.swapaxes(0, 1), bars, stop.T)

    def begin(self, z: Array) -> Writer:
        """Before the first bar of windows with z (B, Z)."""
        contexts = self._contexts(z)
        return Writer(contexts, self._first(contexts[:, 0]), jnp.full(z.shape[0], START, jnp.int32))

    def write(self, writer: Writer, number: Array, choose: Choose, hidden: Array | None = None) -> tuple[Writer, Bar]:
        """Bar `number` of the windows, from 0, each token as `choose` has it."""
        contexts, first = writer.contexts, number * self.steps
        if self.decoder == CONDUCTOR:
            context = contexts[:, number]
            states, previous = self._first(context), jnp.full_like(writer.previous, START)
            masks = None if hidden is None else hidden[:, number]
        else:
            context, (states, previous) = contexts[:, 0], writer[1:]
            sliced = jax.lax.dynamic_slice_in_dim
            masks = None if hidden is None else sliced(hidden[:, 0], first, self.steps + 1, axis=2)

        def read(network: MusicVAE, states: States, token: Array, step: Array | int) -> tuple[States, Array]:
            of_step = None if masks is None else masks[:, :, step][:, :, None]
            states, found = through(network.lstm, states, (token[None], context), of_step)
            return states, network.heads(found[0])

        def body(network: MusicVAE, carry: tuple[States, Array], step: Array) -> tuple[Any, tuple[Array, Array]]:
            states, outputs = read(network, *carry, step)
            token = choose(outputs[:, :OUTCOMES], first + step).astype(jnp.int32)
            return (states, token), (token, outputs[:, :OUTCOMES])

        (states, previous), (tokens, logits) = over_slots(body)(self, (states, previous), jnp.arange(self.steps))
        _, outputs = read(self, states, previous, self.steps)
        bar = Bar(tokens.T, logits.swapaxes(0, 1), outputs[:, OUTCOMES])
        return Writer(contexts, states, previous), bar

    def _contexts(self, z: Array) -> Array:
        """What each span is given, (B, R, C)."""
        if self.decoder == FLAT:
            return z[:, None]
        states = states_of(jnp.tanh(self.conductor_states(z)), self.layers)
        _, found = through(self.conductor, states, (jnp.broadcast_to(z, (self.bars, *z.shape)),))
        return self.embedding(found).swapaxes(0, 1)

    def _first(self, context: Array) -> States:
        """The decoder's states before a span, from what it is given, (B, C)."""
        return states_of(jnp.tanh(self.first_states(context)), self.layers)


def _predicted(logits: Array, bars: Array, stop_logit: Array) -> Predicted:
    """Of logits (B, N, T, V)."""
    of_tokens = bars.astype(jnp.int32)[..., None]
    log_p = jnp.take_along_axis(jax.nn.log_softmax(logits, axis=-1), of_tokens, axis=-1)[..., 0]
    return Predicted(log_p, likeliest(logits), stop_logit)


def init(network: MusicVAE, key: Array) -> Any:
    """Fresh parameters."""
    bars = jnp.zeros((1, network.bars, network.steps), jnp.int32)
    return network.init(key, bars, jnp.ones((1, network.bars)), jnp.zeros((1, network.latent)))


def draw_noise(network: MusicVAE, keys: Array, dropout: Dropout) -> Noise:
    """Of windows with keys (B,)."""
    places = network.bars * network.steps // network.spans + 1

    def one(key: Array) -> Noise:
        eps, hidden = jax.random.split(key)
        shape = network.spans, network.layers, places, network.units
        return Noise(jax.random.normal(eps, (network.latent,)), kept(hidden, dropout.hidden, shape))

    return jax.vmap(one)(keys)


def make_music_vae(config: Any, steps: int = BAR) -> MusicVAE:
    """The network of config.model; UserError for a size, a decoder or a number format that cannot be."""
    fields = dict(config)
    dtype = operand_dtype(fields.pop("matmul_dtype"))
    if fields["decoder"] not in (FLAT, CONDUCTOR):
        raise UserError(f"config.model.decoder is 'flat' or 'conductor', not {fields['decoder']!r}")
    check_sizes(fields, ("bars", "latent", "layers", "encoder_units", "conductor_units", "units"))
    if fields["bars"] > LONGEST:
        raise UserError(f"config.model.bars is {fields['bars']}; a window has at most {LONGEST} bars")
    return MusicVAE(**fields, steps=steps, dtype=dtype)
