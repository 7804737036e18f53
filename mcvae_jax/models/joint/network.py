"""The network of the joint MCVAE (thesis 5.4, with an exact copy switch inside).

An LSTM, the composer, reads the codes of bars. Before each bar its state says three things: how likely the bar is new
or an exact copy of the bar so many bars before (a pointer by attention, with biases by lag and by whether that lag has
matched so far); what z of a new bar may be, as a mixture of Gaussians (the MDRNN's head); and whether the bar is the
last. The decoder makes a new bar from z, the composer's state and the earlier bars that its heads look at.

    p(x_t | x_<t) = p_new int p(z | x_<t) p(x_t | z, x_<t) dz + sum over lags of p_lag [x_t = x_(t-lag)]

The composer knows bars, not draws of z, so that each bar has a bound of its own: see `log_weights` of composer.py.

Letters: B songs, N bars of a song, M distinct bars of a song, T steps of a bar, L lags, U units of the composer,
E width of a bar's code, Z latent size, K components, R heads, A their width.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from mcvae_jax.models.copying import RUNS
from mcvae_jax.models.joint.arrays import COUNTED, Ahead, Noise, Scored, Seen, Songs, State
from mcvae_jax.models.joint.bars import BarEncoder, Encoded, Given, RecallingDecoder
from mcvae_jax.models.joint.pitches import Heard, heard_along, silence
from mcvae_jax.music.tokens import BAR
from mcvae_jax.nn import gaussian, mixture
from mcvae_jax.nn.arrays import AnyArray
from mcvae_jax.nn.layers import Dense, LSTMLayer, fresh_states, through
from mcvae_jax.nn.lstm import Gates
from mcvae_jax.nn.mixture import Mixture, bounded_log_sigma

Array = jax.Array

PHRASE = 8  # bars, in which their numbers are counted
HEAD_WIDTH = 32  # A
RECALLED_WIDTH = 32  # of a recalled token
FAR = -1e9  # the score of a bar that is not there


class JointMCVAE(nn.Module):
    """See the module."""

    latent: int = 16
    components: int = 8
    encoder_units: int = 128
    units: int = 256  # of the composer
    layers: int = 2
    decoder_units: int = 256
    recall: int = 1  # heads that look at earlier bars beside the pointer
    memory: int = 128  # L
    steps: int = BAR
    floor: float = 1e-2  # of the standard deviations of the mixture
    dtype: jnp.dtype = jnp.float32
    few_rows: int = 0  # of composer and decoder, see `LSTMLayer`

    def setup(self) -> None:
        inputs = (self.encoder_units, COUNTED + 1, PHRASE)
        self.encoder = BarEncoder(self.encoder_units, self.dtype, self.latent)
        widths = [(self.units,) if n else inputs for n in range(self.layers)]
        self.lstm = [LSTMLayer(self.units, width, self.dtype, self.few_rows) for width in widths]
        self.start = self.param("start", nn.initializers.normal(0.1), (self.encoder_units,))
        self.queries_and_keys = Dense(2 * self.heads * HEAD_WIDTH, self.dtype)
        self.by_lag = self.param("by_lag", nn.initializers.zeros_init(), (self.heads, self.memory))
        self.by_run = self.param("by_run", nn.initializers.zeros_init(), (self.heads, len(RUNS)))
        self.new_by_run = self.param("new_by_run", nn.initializers.zeros_init(), (len(RUNS),))
        self.new_and_stop = Dense(2, self.dtype)
        self.prior = Dense(self.components * (1 + 2 * self.latent), self.dtype)
        self.decoder = RecallingDecoder(
            self.decoder_units,
            RECALLED_WIDTH,
            self.dtype,
            self.latent,
            self.units + self.encoder_units,
            self.heads,
            self.few_rows,
        )

    @property
    def heads(self) -> int:
        """R: the pointer, and the others."""
        return 1 + self.recall

    def score(self, songs: Songs, noise: Noise) -> Scored:
        """What songs cost, with draws of z for each distinct bar."""
        encoded = self._encode(songs.bars)
        seen = self._see(songs, encoded.code, noise)
        hidden, read = (jnp.take_along_axis(x, songs.place[..., None], axis=1) for x in (seen.hidden, seen.read))
        mu, log_var = encoded.mu[:, :, None], encoded.log_var[:, :, None]
        z = mu + jnp.exp(log_var / 2) * noise.eps  # (B, M, D, Z)
        draws = z.shape[2]
        attention = jnp.take_along_axis(seen.attention, songs.place[:, None, :, None], axis=2)  # (B, R, M, N)
        embedded = jnp.take_along_axis(self.decoder.embed(songs.bars), songs.of[..., None, None], axis=1)
        recalled = jnp.einsum(
            "brms,bsta->bmrta",
            attention.astype(self.dtype),
            embedded.astype(self.dtype),
            preferred_element_type=jnp.float32,
        )
        context = jnp.concatenate([hidden, read], axis=-1)
        beside_z = (songs.bars, context, recalled, self._heard(songs), noise.decoder, noise.words)
        of_draws = jax.tree.map(lambda x: jnp.repeat(_flat(x), draws, axis=0), beside_z)
        bars, context, recalled, heard, *masks = of_draws
        log_x = self.decoder.log_p(bars, Given(_flat(_flat(z)), context, recalled, heard), *masks)
        prior = jax.tree.map(lambda x: x[:, :, None], self._mixture(hidden))
        return Scored(
            jnp.take_along_axis(seen.log_new, songs.place, axis=1),
            jnp.sum(log_x, axis=-1).reshape(z.shape[:3]),
            mixture.log_density(prior, z),
            gaussian.log_density(z, mu, log_var),
            jax.nn.logsumexp(jnp.where(_same(songs.of), seen.log_copy, FAR), axis=-1),
            seen.stop_logit,
            encoded.mu,
            encoded.log_var,
        )

    def stop_logits(self, songs: Songs) -> Array:
        """Of each bar being the last, before it is known: (B, N)."""
        return self._see(songs, self._encode(songs.bars).code, None).stop_logit

    def encode(self, bars: Array) -> Encoded:
        """Of bars, integers (P, T)."""
        return self.encoder(bars)

    def _encode(self, bars: AnyArray) -> Encoded:
        """Of bars (B, M, T)."""
        flat = self.encoder(jnp.asarray(bars).reshape(-1, self.steps))
        return Encoded(*(x.reshape(*bars.shape[:2], -1) for x in flat))

    def _see(self, songs: Songs, code: Array, noise: Noise | None) -> Seen:
        """Along songs whose distinct bars have codes (B, M, E)."""
        count, bar = songs.of.shape[0], jnp.arange(songs.of.shape[1])
        codes = jnp.take_along_axis(code, songs.of[..., None], axis=1)
        start = jnp.broadcast_to(self.start, codes[:, :1].shape)
        read = jnp.concatenate([start, codes[:, :-1]], axis=1)
        fed = read if noise is None or noise.codes is None else read * noise.codes
        xs = self._inputs(fed.swapaxes(0, 1), songs.left.T, (songs.first[:, None] + bar).T)
        hidden = through(self.lstm, fresh_states(self.lstm, count), xs, noise and noise.composer)[1].swapaxes(0, 1)
        query, key = self._queries_and_keys(hidden)
        lag = bar[:, None] - bar
        known = jnp.broadcast_to((lag >= 1) & (lag <= self.memory), (count, *lag.shape))
        scores, new = self._scores(hidden, query, key, lag, known, _run_lengths(_same(songs.of)))
        log_p = jax.nn.log_softmax(jnp.concatenate([new[..., None], scores[:, 0]], axis=-1), axis=-1)
        stop = self.new_and_stop(hidden)[..., 1]
        return Seen(hidden, read, log_p[..., 0], log_p[..., 1:], _attention(scores), stop)

    def _heard(self, songs: Songs) -> Heard:
        """Before each distinct bar as it appears first, (B, M) each."""
        count, bars = songs.of.shape
        tokens = jnp.take_along_axis(jnp.asarray(songs.bars), songs.of[..., None], axis=1).reshape(count, -1)
        along = heard_along(tokens, silence(count))
        return Heard(*(jnp.take_along_axis(x[:, : bars * self.steps : self.steps], songs.place, axis=1) for x in along))

    def _inputs(self, codes: Array, left: AnyArray, number: AnyArray) -> tuple[Array, Array, Array]:
        """What the composer reads, (.., B, E) and integers (.., B): bars left, and the place in the phrase."""
        return codes, jnp.minimum(left, COUNTED), jnp.asarray(number) % PHRASE

    def _queries_and_keys(self, hidden: Array) -> tuple[Array, Array]:
        """(.., R, A) each."""
        both = self.queries_and_keys(hidden).reshape(*hidden.shape[:-1], 2, self.heads, HEAD_WIDTH)
        return both[..., 0, :, :], both[..., 1, :, :]

    def _scores(
        self, hidden: Array, query: Array, key: Array, lag: Array, known: Array, runs: Array
    ) -> tuple[Array, Array]:
        """Of bars with queries (B, N, R, A), each earlier one by each head, (B, R, N, S), and being new, (B, N).

        Args:
          key: (B, S, R, A) of the earlier bars.
          lag: (N, S), how many bars before.
          known: (B, N, S), whether there is such a bar.
          runs: (B, N, S), how many bars in a row before each bar were as those `lag` bars before them.
        """
        scores = jnp.einsum("btra,bsra->brts", query, key) / HEAD_WIDTH**0.5
        scores += self.by_lag[:, jnp.clip(lag - 1, 0, self.memory - 1)]
        new = self.new_and_stop(hidden)[..., 0]
        for n, length in enumerate(RUNS):
            ran = (runs >= length) & known
            scores += self.by_run[:, n, None, None] * ran[:, None]
            new += self.new_by_run[n] * jnp.any(ran, axis=-1)
        return jnp.where(known[:, None], scores, FAR), new

    def _mixture(self, hidden: Array) -> Mixture:
        """Of z of a new bar, from the composer's state (.., U)."""
        k, size = self.components, self.components * self.latent
        logits, mu, raw = jnp.split(self.prior(hidden), [k, k + size], axis=-1)
        shape = (*hidden.shape[:-1], k, self.latent)
        sigma = bounded_log_sigma(raw.reshape(shape), self.floor)
        return Mixture(jax.nn.log_softmax(logits, axis=-1), mu.reshape(shape), sigma)

    # Bar by bar.

    def begin(self, count: int) -> State:
        """Of B = `count` songs before their first bar; `compose` is next."""
        return State(
            fresh_states(self.lstm, count),
            jnp.zeros((count, self.units)),
            jnp.broadcast_to(self.start, (count, self.encoder_units)),
            jnp.zeros((count, self.memory, self.heads, HEAD_WIDTH)),
            jnp.zeros((count, self.memory, self.steps), jnp.int32),
            jnp.zeros((count, self.memory), jnp.int32),
            jnp.zeros(count, jnp.int32),
            silence(count),
        )

    def read_bar(self, state: State, bar: Array) -> State:
        """After one more bar (B, T); `compose` is next."""
        bar = bar.astype(jnp.int32)
        lag = jnp.arange(1, self.memory + 1)
        same = jnp.all(state.bars == bar[:, None], axis=-1) & (lag <= state.bars_read[:, None])
        _, key = self._queries_and_keys(state.hidden)
        return state._replace(
            read=self.encoder(bar).code,
            keys=jnp.concatenate([key[:, None], state.keys[:, :-1]], axis=1),
            bars=jnp.concatenate([bar[:, None], state.bars[:, :-1]], axis=1),
            runs=jnp.where(same, state.runs + 1, 0),
            bars_read=state.bars_read + 1,
            heard=Heard(*(x[:, -1] for x in heard_along(bar, state.heard))),
        )

    def compose(self, state: State, left: Array) -> State:
        """With the composer's state before the next bar, from which on there are `left` (B,) bars."""
        xs = self._inputs(state.read[None], left[None], state.bars_read[None])
        layers, hidden = through(self.lstm, state.layers, xs)
        return state._replace(layers=layers, hidden=hidden[0])

    def ahead(self, state: State) -> Ahead:
        """What comes next."""
        query, _ = self._queries_and_keys(state.hidden[:, None])
        lag = jnp.arange(1, self.memory + 1)
        known = (lag <= state.bars_read[:, None])[:, None]
        scores, new = self._scores(state.hidden[:, None], query, state.keys, lag[None], known, state.runs[:, None])
        log_p = jax.nn.log_softmax(jnp.concatenate([new[..., None], scores[:, 0]], axis=-1), axis=-1)[:, 0]
        stop = self.new_and_stop(state.hidden)[..., 1]
        return Ahead(log_p[:, 0], log_p[:, 1:], self._mixture(state.hidden), _attention(scores)[:, :, 0], stop)

    def given(self, state: State, z: Array, attention: Array) -> Given:
        """What the decoder has of the next bar, with z (B, Z) and `Ahead.attention`."""
        recalled = jnp.einsum("brs,bsta->brta", attention, self.decoder.embed(state.bars))
        return Given(z, jnp.concatenate([state.hidden, state.read], axis=-1), recalled, state.heard)

    def decoder_begin(self, given: Given) -> tuple[Any, Gates]:
        """See `RecallingDecoder.begin`."""
        return self.decoder.begin(given)

    def decoder_step(self, state: Any, before: Array, place: Array, along: Gates) -> tuple[Any, Array]:
        """See `RecallingDecoder.step`."""
        return self.decoder.step(state, before, place, along)


def _flat(x: Array) -> Array:
    """(B, M, ...) -> (B * M, ...)."""
    return x.reshape(-1, *x.shape[2:])


def _attention(scores: Array) -> Array:
    """Softmax over the earlier bars; 0 where there is none."""
    share = jax.nn.softmax(scores, axis=-1)
    return jnp.where(scores > FAR / 2, share, 0.0)


def _same(of: AnyArray) -> Array:
    """Whether each bar (second axis) is as each earlier one (third axis): (B, N, N)."""
    bar = jnp.arange(of.shape[1])
    return (of[:, :, None] == of[:, None, :]) & (bar[:, None] > bar)


def _run_lengths(same: Array) -> Array:
    """How many bars in a row before each bar were as those so many bars before them, up to RUNS[-1]: (B, N, N)."""
    before = jnp.pad(same[:, :-1, :-1], ((0, 0), (1, 0), (1, 0))).astype(jnp.int32)
    runs = before
    for _ in range(max(RUNS) - 1):
        runs = before * (1 + jnp.pad(runs[:, :-1, :-1], ((0, 0), (1, 0), (1, 0))))
    return runs
