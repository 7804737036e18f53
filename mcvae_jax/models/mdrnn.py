"""The mixture density recurrent network (thesis 3.2, 5.4): a prior over the latent sequences of songs.

LSTM layers read z_1 .. z_t and say what z_{t+1} may be: a mixture of diagonal Gaussians over the whole vector, or, as
in World Models (thesis 5.3), one for each dimension (mixture_prior.py).

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
from mcvae_jax.models import mixture_prior
from mcvae_jax.models.mixture_prior import (
    Dropout,
    MixtureNetwork,
    MixturePrior,
    Noise,
    Said,
    Unrolled,
    checked,
    log_stop,
)
from mcvae_jax.models.prior import Step
from mcvae_jax.nn.layers import LARGEST, Dense, LSTMLayer, States, fresh_states, through
from mcvae_jax.nn.mixture import Mixture

Array = jax.Array

RECALL_WIDTH = 32  # A
FIELDS = {
    "model": mixture_prior.FIELDS | {"recall": int},
    "dropout": dict.fromkeys((field.name for field in dataclasses.fields(Dropout)), float),
}  # the sections of the config that are the MDRNN's own


class State(NamedTuple):
    """What the network remembers between the bars of a song that is being composed."""

    layers: States  # (h, c) of each layer, each (B, H)
    key: Array  # (B, R, A): of the bar that comes next
    keys: Array  # (B, M, R, A): of the bars of memory, the last one newest
    bars: Array  # (B, M, Z), standardised
    heard: Array  # int32 (): how many bars were read


class MDRNN(MixtureNetwork):
    """The network."""

    recall: int = 0  # heads, each one more component

    def setup(self) -> None:
        super().setup()
        widths = [self.latent] + [self.units] * (self.layers - 1)
        self.lstm = [LSTMLayer(self.units, (width,), self.dtype) for width in widths]
        if self.recall:
            self.queries_and_keys = Dense(2 * self.recall * RECALL_WIDTH, self.dtype)
            self.by_lag = self.param("recall_by_lag", nn.initializers.zeros_init(), (self.recall, self.memory))
            self.gain = self.param("recall_gain", nn.initializers.ones_init(), (self.recall, self.latent))
            self.spread = self.param("recall_spread", nn.initializers.zeros_init(), (self.recall, self.latent))

    @property
    def extra(self) -> int:
        """A logit and a raw scale for each recall head."""
        return 2 * self.recall

    def unroll(self, z: Array, noise: Noise | None = None) -> Unrolled:
        """See `MixtureNetwork`."""
        x = self.standardise(z)
        read = self.inputs(x, noise).swapaxes(0, 1)
        masks = (None, None) if noise is None else (noise.hidden, noise.gates)
        _, outputs = through(self.lstm, fresh_states(self.lstm, z.shape[0]), (read,), *masks)
        hidden = outputs.swapaxes(0, 1)  # (B, T + 1, H)
        said = self.say(hidden)
        recalled = lags = None
        if self.recall:
            query, key = self._queries_and_keys(hidden[:, :-1])
            bar = jnp.arange(z.shape[1])
            lags = jnp.broadcast_to(bar[:, None] - bar, (z.shape[0], len(bar), len(bar)))
            recalled = _weigh(self._attend(query, key, lags), x)
        ahead = jax.tree.map(lambda a: a[:, :-1], said)
        return Unrolled(self._recalling(ahead, recalled, lags), said.stop_logit[:, 1:])

    def next_step(self, state: State | None, z: Array) -> tuple[State, Step]:
        """See `MixtureNetwork`."""
        if state is None:
            state, begun = self._first_state(z.shape[0]), False
            x = jnp.broadcast_to(self.start, z.shape)
        else:
            x, begun = self.standardise(z), True
            state = state._replace(
                keys=jnp.concatenate([state.keys, state.key[:, None]], axis=1)[:, 1:],
                bars=jnp.concatenate([state.bars, x[:, None]], axis=1)[:, 1:],
                heard=state.heard + 1,
            )
        layers, outputs = through(self.lstm, state.layers, (x[None],))
        hidden = outputs.swapaxes(0, 1)  # (B, 1, H)
        said = self.say(hidden)
        recalled = lags = None
        foremost = jnp.zeros((z.shape[0], 0, self.latent))
        if self.recall:
            query, key = self._queries_and_keys(hidden)
            lag = jnp.arange(self.memory, 0, -1)
            lags = jnp.broadcast_to(jnp.where(lag <= state.heard, lag, 0), (z.shape[0], 1, self.memory))
            shares = self._attend(query, state.keys, lags)
            recalled = _weigh(shares, state.bars)
            best = jnp.argmax(shares[:, :, 0], axis=-1)  # (B, R)
            foremost = self.mean + self.scale * jnp.take_along_axis(state.bars, best[..., None], axis=1)
            state = state._replace(key=key[:, 0])
        mixed = jax.tree.map(lambda a: a[:, 0], self._recalling(said, recalled, lags))
        return state._replace(layers=layers), Step(mixed, log_stop(said.stop_logit[:, 0], begun), foremost)

    def _first_state(self, songs: int) -> State:
        memory = self.memory if self.recall else 0
        return State(
            layers=fresh_states(self.lstm, songs),
            key=jnp.zeros((songs, self.recall, RECALL_WIDTH)),
            keys=jnp.zeros((songs, memory, self.recall, RECALL_WIDTH)),
            bars=jnp.zeros((songs, memory, self.latent)),
            heard=jnp.zeros((), jnp.int32),
        )

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

    def _recalling(self, said: Said, recalled: Array | None, lags: Array | None) -> Mixture:
        """The mixture with a component more for each recall head, where there are some."""
        logits, mu, raw = said.logits, said.mu, said.raw
        if recalled is not None and lags is not None:  # as recall has it
            of_recall, recall_raw = jnp.split(said.more, 2, axis=-1)  # (B, T, R)
            anything = jnp.any((lags >= 1) & (lags <= self.memory), axis=-1)[..., None]  # (B, T, 1)
            logits = jnp.concatenate([logits, jnp.where(anything, of_recall, -jnp.inf)], axis=-1)
            mu = jnp.concatenate([mu, self.gain * recalled], axis=-2)
            raw = jnp.concatenate([raw, self.spread + recall_raw[..., None]], axis=-2)
        return self.mixture(logits, mu, raw)


def _weigh(shares: Array, bars: Array) -> Array:
    """shares (B, R, T, S) of bars (B, S, Z): (B, T, R, Z)."""
    return jnp.einsum("brts,bsz->btrz", shares, bars)


def make_prior(config: Any, latent: int) -> MixturePrior:
    """The prior of configs/mdrnn.py (model, dropout, data.standardise); UserError as `make_mdrnn` has it."""
    return mixture_prior.prior_of(make_mdrnn(config["model"], latent), config)


def make_mdrnn(settings: Mapping[str, Any], latent: int) -> MDRNN:
    """The MDRNN of config.model for latents of a size; UserError for sizes that cannot work."""
    fields = checked(settings)
    if not 0 <= fields["recall"] <= LARGEST:
        raise UserError(f"config.model.recall is {fields['recall']}; it must be from 0 (none) to {LARGEST}")
    if fields["recall"] and fields.get("per_dimension"):
        raise UserError(
            "config.model.per_dimension needs config.model.recall=0: a recall head is about a whole vector, and"
            " mixtures of single dimensions would each recall another bar"
        )
    return MDRNN(latent=latent, **fields)
