"""The mixture density recurrent network (thesis 3.2, 5.4): a prior over the latent sequences of songs.

LSTM layers read z_1 .. z_t and say what z_{t+1} may be: a mixture of diagonal Gaussians over the whole vector. A
learned start vector gives z_1 a density too. The stop head gives each bar, once it is known, the chance to be the last.

Beyond the thesis, some components may be recall heads: their means are earlier bars of the song, found by attention.
Half of the bars of real songs repeat an earlier one (docs/results.md), and an LSTM has no way to carry whole vectors
over dozens of bars. The query of a bar and the key of an earlier one come from the states before either was known, so
a head can find "what came the last time that the song stood here". `recall=0` is the thesis' MDRNN.

Letters: B songs, T bars, Z latent size, H units, L layers, K components, R recall heads, A their width, M bars of
memory.
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
from mcvae_jax.nn.layers import (
    LARGEST,
    Dense,
    LSTMLayer,
    States,
    applied,
    check_shares,
    check_sizes,
    fresh_states,
    operand_dtype,
    through,
)
from mcvae_jax.nn.mixture import Mixture, bounded_log_sigma

Array = jax.Array

RECALL_WIDTH = 32  # A
STANDARD = ("standard_mean", "standard_scale")  # leaves of the parameters that come from the data


class Noise(NamedTuple):
    """All randomness of a training step, drawn for each song from that song's own key. Masks have mean 1."""

    inputs: Array | None  # (B, T + 1): dropout of whole latent vectors as inputs
    hidden: Array | None  # (B, L, T + 1, H): dropout on what a layer gives to the next and to the heads
    gates: Array | None  # (B, L, H): dropout on the squash gates, one mask for all bars


@dataclasses.dataclass(frozen=True)
class Dropout:
    """Shares that are dropped in training, each from 0 to below 1."""

    inputs: float = 0.0  # of the latent vectors that are read
    hidden: float = 0.0  # of the outputs of every layer
    gates: float = 0.0  # of the squash gates of every layer (thesis 4.4.8)

    def __post_init__(self) -> None:
        check_shares(self)


FIELDS = {
    "model": dict.fromkeys(("units", "layers", "components", "recall", "memory"), int)
    | {"floor": float, "matmul_dtype": str},
    "dropout": dict.fromkeys((field.name for field in dataclasses.fields(Dropout)), float),
}  # the sections of the config that are the MDRNN's own


class Unrolled(NamedTuple):
    """What the network says along given sequences."""

    mixture: Mixture  # of each z_t given those before it: (B, T, K + R, ...)
    stop_logit: Array  # (B, T): of bar t being the last, given the bars up to t


class State(NamedTuple):
    """What the network remembers between the bars of a song that is being composed."""

    layers: States  # (h, c) of each layer, each (B, H)
    key: Array  # (B, R, A): of the bar that comes next
    keys: Array  # (B, M, R, A): of the bars of memory, the last one newest
    bars: Array  # (B, M, Z), standardised
    heard: Array  # int32 (): how many bars were read


class MDRNN(nn.Module):
    """The network. Its parameters hold the mean and scale that standardise latents; no gradient reaches these."""

    latent: int = 64
    units: int = 512
    layers: int = 2
    components: int = 10
    recall: int = 0  # heads, each one more component
    memory: int = 128  # bars that recall looks back
    floor: float = 1e-3  # of the standard deviations, in units of the standardised latents
    dtype: jnp.dtype = jnp.float32  # of the operands of the LSTM's and the heads' matrix products

    def setup(self) -> None:
        widths = [self.latent] + [self.units] * (self.layers - 1)
        self.lstm = [LSTMLayer(self.units, (width,), self.dtype) for width in widths]
        self.start = self.param("start", nn.initializers.normal(1.0), (self.latent,))
        self.heads = Dense(self.components * (1 + 2 * self.latent) + 1 + 2 * self.recall, self.dtype)
        self.mean = self.param(STANDARD[0], nn.initializers.zeros_init(), (self.latent,))
        self.scale = self.param(STANDARD[1], nn.initializers.ones_init(), (self.latent,))
        if self.recall:
            self.queries_and_keys = Dense(2 * self.recall * RECALL_WIDTH, self.dtype)
            self.by_lag = self.param("recall_by_lag", nn.initializers.zeros_init(), (self.recall, self.memory))
            self.gain = self.param("recall_gain", nn.initializers.ones_init(), (self.recall, self.latent))
            self.spread = self.param("recall_spread", nn.initializers.zeros_init(), (self.recall, self.latent))

    def unroll(self, z: Array, noise: Noise | None = None) -> Unrolled:
        """Mixtures and stop logits along z (B, T, Z)."""
        x = self._standardise(z)
        start = jnp.broadcast_to(self.start, x[:, :1].shape)
        read = jnp.concatenate([start, x], axis=1).swapaxes(0, 1)
        _, hidden = self._read(fresh_states(self.lstm, z.shape[0]), read, noise)
        hidden = hidden.swapaxes(0, 1)  # (B, T + 1, H)
        outputs = self.heads(hidden)
        recalled = lags = None
        if self.recall:
            query, key = self._queries_and_keys(hidden[:, :-1])
            bar = jnp.arange(z.shape[1])
            lags = jnp.broadcast_to(bar[:, None] - bar, (z.shape[0], len(bar), len(bar)))
            recalled = _weigh(self._attend(query, key, lags), x)
        stop_logit = self._split(outputs)[3]
        return Unrolled(self._mixture(outputs[:, :-1], recalled, lags), stop_logit[:, 1:])

    def next_step(self, state: State | None, z: Array) -> tuple[State, Step]:
        """See `prior.Prior.next_step`; z (B, Z)."""
        if state is None:
            state = self._first_state(z.shape[0])
            x, log_stop = jnp.broadcast_to(self.start, z.shape), jnp.full(z.shape[0], -jnp.inf)
        else:
            x, log_stop = self._standardise(z), None
            state = state._replace(
                keys=jnp.concatenate([state.keys, state.key[:, None]], axis=1)[:, 1:],
                bars=jnp.concatenate([state.bars, x[:, None]], axis=1)[:, 1:],
                heard=state.heard + 1,
            )
        layers, hidden = self._read(state.layers, x[None], None)
        outputs = self.heads(hidden[0])[:, None]
        recalled = lags = None
        foremost = jnp.zeros((z.shape[0], 0, self.latent))
        if self.recall:
            query, key = self._queries_and_keys(hidden[0][:, None])
            lag = jnp.arange(self.memory, 0, -1)
            lags = jnp.broadcast_to(jnp.where(lag <= state.heard, lag, 0), (z.shape[0], 1, self.memory))
            shares = self._attend(query, state.keys, lags)
            recalled = _weigh(shares, state.bars)
            best = jnp.argmax(shares[:, :, 0], axis=-1)  # (B, R)
            foremost = self.mean + self.scale * jnp.take_along_axis(state.bars, best[..., None], axis=1)
            state = state._replace(key=key[:, 0])
        mixed = jax.tree.map(lambda a: a[:, 0], self._mixture(outputs, recalled, lags))
        if log_stop is None:
            log_stop = jax.nn.log_sigmoid(self._split(outputs)[3][:, 0])
        return state._replace(layers=layers), Step(mixed, log_stop, foremost)

    def _standardise(self, z: Array) -> Array:
        return (z - jax.lax.stop_gradient(self.mean)) / jax.lax.stop_gradient(self.scale)

    def _first_state(self, songs: int) -> State:
        memory = self.memory if self.recall else 0
        return State(
            layers=fresh_states(self.lstm, songs),
            key=jnp.zeros((songs, self.recall, RECALL_WIDTH)),
            keys=jnp.zeros((songs, memory, self.recall, RECALL_WIDTH)),
            bars=jnp.zeros((songs, memory, self.latent)),
            heard=jnp.zeros((), jnp.int32),
        )

    def _read(self, states: States, x: Array, noise: Noise | None) -> tuple[States, Array]:
        """The final (h, c) of each layer, and the last layer's outputs (T, B, H), for inputs x (T, B, Z)."""
        if noise is not None and noise.inputs is not None:
            x = x * noise.inputs.T[..., None]
        masks = (None, None) if noise is None else (noise.hidden, noise.gates)
        return through(self.lstm, states, (x,), *masks)

    def _queries_and_keys(self, hidden: Array) -> tuple[Array, Array]:
        """(B, T, R, A) each."""
        both = self.queries_and_keys(hidden).reshape(*hidden.shape[:-1], 2, self.recall, RECALL_WIDTH)
        return both[..., 0, :, :], both[..., 1, :, :]

    def _attend(self, query: Array, key: Array, lags: Array) -> Array:
        """The shares (B, R, T, S) of the bars with keys (B, S, R, A) in what each head recalls at queries (B, T, R, A).

        lags, integers (B, T, S), say how many bars ago they were: outside 1 to M a bar is not there.
        """
        known = (lags >= 1) & (lags <= self.memory)
        by_lag = self.by_lag[:, jnp.clip(lags[0] - 1, 0, self.memory - 1)]  # (R, T, S): the same for all songs
        scores = jnp.einsum("btra,bsra->brts", query, key) / RECALL_WIDTH**0.5 + by_lag
        share = jax.nn.softmax(jnp.where(known[:, None], scores, -1e9), axis=-1)
        return jnp.where(known[:, None], share, 0.0)  # where no bar is known, not even a later one is recalled

    def _split(self, outputs: Array) -> tuple[Array, Array, Array, Array, Array]:
        """Logits (..., K + R), means and raw scales (..., K, Z), stop logit (...), raw scales of recall (..., R)."""
        k, size = self.components, self.components * self.latent
        ends = [k, k + size, k + 2 * size, k + 2 * size + 1, k + 2 * size + 1 + self.recall]
        logits, mu, raw, stop, recall_logits, recall_raw = jnp.split(outputs, ends, axis=-1)
        shape = (*outputs.shape[:-1], k, self.latent)
        logits = jnp.concatenate([logits, recall_logits], axis=-1)
        return logits, mu.reshape(shape), raw.reshape(shape), stop[..., 0], recall_raw

    def _mixture(self, outputs: Array, recalled: Array | None, lags: Array | None) -> Mixture:
        logits, mu, raw, _, recall_raw = self._split(outputs)
        if recalled is not None and lags is not None:  # as recall has it
            anything = jnp.any((lags >= 1) & (lags <= self.memory), axis=-1)[..., None]  # (B, T, 1)
            logits = jnp.where((jnp.arange(logits.shape[-1]) < self.components) | anything, logits, -jnp.inf)
            mu = jnp.concatenate([mu, self.gain * recalled], axis=-2)
            raw = jnp.concatenate([raw, self.spread + recall_raw[..., None]], axis=-2)
        mixed = Mixture(jax.nn.log_softmax(logits, axis=-1), mu, bounded_log_sigma(raw, self.floor))
        return mixture.from_standardised(mixed, jax.lax.stop_gradient(self.mean), jax.lax.stop_gradient(self.scale))


def _weigh(shares: Array, bars: Array) -> Array:
    """shares (B, R, T, S) of bars (B, S, Z): (B, T, R, Z)."""
    return jnp.einsum("brts,bsz->btrz", shares, bars)


@dataclasses.dataclass(frozen=True)
class MDRNNPrior:
    """The MDRNN as a `prior.TrainablePrior`; its params are the variables of the module."""

    mdrnn: MDRNN
    dropout: Dropout = Dropout()
    standardise: bool = False  # latents, by their moments

    constants = frozenset(STANDARD)

    @property
    def latent(self) -> int:
        """Z."""
        return self.mdrnn.latent

    def init(self, key: Array, moments: Moments) -> Any:
        """Fresh parameters; the moments standardise latents, if that is wished."""
        return init(self.mdrnn, key, *(moments if self.standardise else ()))

    def untrained(self, params: Any, key: Array) -> Any:
        """Fresh parameters with the mean and scale of `params`."""
        known = params["params"]
        return jax.jit(init, static_argnums=0)(self.mdrnn, key, *(known[name] for name in STANDARD))

    def log_density(self, params: Any, z: Array) -> Array:
        """See `prior.Prior`."""
        return mixture.log_density(applied(self.mdrnn, MDRNN.unroll, params, z).mixture, z)

    def next_step(self, params: Any, state: State | None, z: Array) -> tuple[State, Step]:
        """See `prior.Prior`."""
        return applied(self.mdrnn, MDRNN.next_step, params, state, z)

    def unroll(self, params: Any, z: Array, keys: Array | None) -> prior.Unrolled:
        """See `prior.TrainablePrior`. Figures: 'mixture_entropy', of the weights of the components, (B, T);
        'responsibility', the components' posterior shares, (B, T, K + R)."""
        noise = None if keys is None else draw_noise(self.mdrnn, keys, z.shape[1], self.dropout)
        output = applied(self.mdrnn, MDRNN.unroll, params, z, noise)
        by_component = mixture.component_log_densities(output.mixture, z)
        logged = jax.lax.stop_gradient((output.mixture, by_component))
        return prior.Unrolled(
            log_density=jax.nn.logsumexp(by_component, axis=-1),
            stop_logit=output.stop_logit,
            figures={
                "mixture_entropy": mixture.weight_entropy(logged[0]),
                "responsibility": jax.nn.softmax(logged[1], axis=-1),
            },
        )

    def terms(self, means: Mapping[str, Array]) -> dict[str, Array]:
        """Entropy in nats, and how many components are in use: exp of the entropy of their mean share."""
        share = means["responsibility"]
        used = jnp.exp(-jnp.sum(share * jnp.log(jnp.maximum(share, 1e-30))))
        return {"mixture_entropy": means["mixture_entropy"], "components": used}


def init(mdrnn: MDRNN, key: Array, mean: Array | None = None, scale: Array | None = None) -> Any:
    """Fresh parameters; mean and scale (Z,) standardise latents (None leaves them as they are)."""
    params = mdrnn.init(key, jnp.zeros((1, 1, mdrnn.latent)), method="unroll")
    chosen = dict(zip(STANDARD, (mean, scale), strict=True))
    return {"params": params["params"] | {n: jnp.asarray(v, jnp.float32) for n, v in chosen.items() if v is not None}}


def draw_noise(mdrnn: MDRNN, keys: Array, bars: int, dropout: Dropout) -> Noise:
    """The noise of B songs of `bars` bars from their keys (B,).

    What a song gets depends neither on the others nor on how many bars of padding follow it.
    """

    def one(key: Array) -> Noise:
        inputs, hidden, gates = jax.random.split(key, 3)
        by_bar = kept(hidden, dropout.hidden, (bars + 1, mdrnn.layers, mdrnn.units))
        return Noise(
            inputs=kept(inputs, dropout.inputs, (bars + 1,)),
            hidden=None if by_bar is None else by_bar.swapaxes(0, 1),
            gates=kept(gates, dropout.gates, (mdrnn.layers, mdrnn.units)),
        )

    return jax.vmap(one)(keys)


def make_prior(config: Any, latent: int) -> MDRNNPrior:
    """The prior of configs/mdrnn.py (model, dropout, data.standardise); UserError as `make_mdrnn` has it."""
    dropout = Dropout(**config["dropout"])
    return MDRNNPrior(make_mdrnn(config["model"], latent), dropout, config["data"]["standardise"])


def make_mdrnn(settings: Mapping[str, Any], latent: int) -> MDRNN:
    """The MDRNN of config.model for latents of a size; UserError for sizes that cannot work."""
    fields = dict(settings)
    dtype = fields.pop("matmul_dtype")
    check_sizes(fields, ("units", "layers", "components", "memory"))
    if not 0 <= fields["recall"] <= LARGEST:
        raise UserError(f"config.model.recall is {fields['recall']}; it must be from 0 (none) to {LARGEST}")
    if not 0 < fields["floor"] < 1:
        raise UserError(f"config.model.floor is {fields['floor']}; it must lie between 0 and 1")
    return MDRNN(latent=latent, **fields, dtype=operand_dtype(dtype))
