"""An LSTM over the notes of whole songs (thesis 1.1.5, 1.1.6): a rival of the MCVAE whose likelihood is exact.

It reads token by token, with the step of the bar and the number of the bar in its phrase, and says what the next token
may be. There are no latents and no bars in between. A stop head gives each bar, once it is known, the chance to be the
last, which no figure of bits counts, since all models are given the number of bars.

Letters: B songs, N bars, T steps of a bar, H units, L layers, V outcomes (130), S songs of a call.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from mcvae_jax.models.bar_by_bar import Turn, compose
from mcvae_jax.models.settings import AS_TRAINED, Settings
from mcvae_jax.models.song_model import EXACT, MEMORY, Alone, SongModel, Songs, bars_of
from mcvae_jax.music.tokens import BAR, HIGHEST, OUTCOMES, START, VOCABULARY
from mcvae_jax.nn.categorical import sample_tokens
from mcvae_jax.nn.dropout import kept
from mcvae_jax.nn.layers import (
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
from mcvae_jax.nn.padding import in_blocks, in_padded_chunks
from mcvae_jax.trained import Origin

Array = jax.Array

PHRASE = 8  # bars, in which their numbers are counted
SONGS = 32  # that are composed at a time: one shape, so that a song does not depend on the others
CHUNK = 1024  # bars, padding included, that are scored in one call


@dataclasses.dataclass(frozen=True)
class Dropout:
    """Shares that are dropped in training, each from 0 to below 1."""

    hidden: float = 0.0  # of the outputs of every layer

    def __post_init__(self) -> None:
        check_shares(self)


FIELDS = {
    "model": {"units": int, "layers": int, "matmul_dtype": str},
    "dropout": dict.fromkeys((field.name for field in dataclasses.fields(Dropout)), float),
}  # the sections of the config that are the note LSTM's own


class Unrolled(NamedTuple):
    """What a model of notes says along given songs."""

    log_p: Array  # (B, N, T) nats, of each token given those before it
    stop_logit: Array  # (B, N): of bar n being the last, given the bars up to n


class State(NamedTuple):
    """What the network knows of songs so far."""

    layers: States  # (h, c) of each layer, each (B, H)
    outputs: Array  # (B, V + 1): logits of the next token, and of the song being over


class NoteLSTM(nn.Module):
    """The network."""

    units: int = 256
    layers: int = 2
    steps: int = BAR  # T
    dtype: jnp.dtype = jnp.float32  # of the operands of matrix products

    def setup(self) -> None:
        first = (VOCABULARY, self.steps, PHRASE)
        self.lstm = [LSTMLayer(self.units, (self.units,) if n else first, self.dtype) for n in range(self.layers)]
        self.heads = Dense(OUTCOMES + 1, self.dtype)

    def unroll(self, bars: Array, first: Array, hidden: Array | None = None) -> Unrolled:
        """Along bars, integers (B, N, T), the first of which have the numbers `first` (B,) in their songs.

        A window is read as if it began the song, but for the number of its bar.

        Args:
          hidden: masks of dropout, (B, L, N * T + 1, H).
        """
        songs, count = bars.shape[:2]
        tokens = bars.reshape(songs, -1).astype(jnp.int32).T
        read = jnp.concatenate([jnp.full((1, songs), START, jnp.int32), tokens])
        place = jnp.broadcast_to(jnp.arange(len(read))[:, None], read.shape)
        _, found = through(self.lstm, fresh_states(self.lstm, songs), self._inputs(read, place, first), hidden)
        outputs = self.heads(found)
        log_p = jax.nn.log_softmax(outputs[:-1, :, :OUTCOMES], axis=-1)
        of_tokens = jnp.take_along_axis(log_p, tokens[..., None], axis=-1)[..., 0]
        return Unrolled(of_tokens.T.reshape(songs, count, self.steps), outputs[self.steps :: self.steps, :, OUTCOMES].T)

    def begin(self, songs: int) -> State:
        """Before the first token."""
        zeros = jnp.zeros(songs, jnp.int32)
        return self.read(State(fresh_states(self.lstm, songs), jnp.zeros(())), zeros + START, zeros)

    def read(self, state: State, token: Array, place: Array) -> State:
        """After one more token (B,), with `place` (B,) tokens read before it."""
        xs = self._inputs(token[None], place[None], jnp.zeros_like(place))
        layers, found = through(self.lstm, state.layers, xs)
        return State(layers, self.heads(found[0]))

    def _inputs(self, tokens: Array, place: Array, first: Array) -> tuple[Array, Array, Array]:
        """Tokens, the step of the bar and the bar of the phrase that come next, integers (.., B) each."""
        return tokens, place % self.steps, (first + place // self.steps) % PHRASE


@dataclasses.dataclass(frozen=True)
class NoteModel:
    """The network with its dropout as a `tasks.notes.TrainableNotes`."""

    network: NoteLSTM
    dropout: Dropout = Dropout()

    def init(self, key: Array) -> Any:
        """Fresh parameters."""
        bar = jnp.zeros((1, 1, self.network.steps), jnp.int32)
        return self.network.init(key, bar, jnp.zeros(1, jnp.int32), method="unroll")

    def unroll(self, params: Any, bars: Array, first: Array, keys: Array | None) -> Unrolled:
        """Along bars (B, N, T) with the numbers `first` (B,); with keys (B,), one for each song, with dropout."""
        hidden = None
        if keys is not None and self.dropout.hidden:
            hidden = jax.vmap(functools.partial(self._mask, bars.shape[1] * bars.shape[2] + 1))(keys)
        return applied(self.network, NoteLSTM.unroll, params, bars, first, hidden)

    def _mask(self, tokens: int, key: Array) -> Array | None:
        """(L, tokens, H)."""
        mask = kept(key, self.dropout.hidden, (tokens, self.network.layers, self.network.units))
        return None if mask is None else mask.swapaxes(0, 1)


@dataclasses.dataclass(frozen=True, eq=False)
class NoteComposer(Alone):
    """A trained one as a `SongModel`."""

    model: NoteModel
    params: Any
    origin: Origin | None = None
    name: str = "note LSTM"

    likelihood = EXACT
    abilities = frozenset({MEMORY})
    pitches = (0, HIGHEST)
    defaults = AS_TRAINED
    lacks: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def steps(self) -> int:
        """T."""
        return self.model.network.steps

    @property
    def origins(self) -> dict[str, Origin]:
        """Its checkpoint."""
        return {self.name: self.origin} if self.origin else {}

    def nats(self, songs: Songs, draws: int = 1, seed: int = 0) -> list[np.ndarray]:
        """See `SongModel`; exact, so that draws and seed do not count."""
        lengths = np.array([len(song) for song in songs])
        tokens = np.concatenate(songs).astype(np.float32)
        cost = in_padded_chunks(
            lambda bars, _: _nats(self.model.network, self.params, bars),
            (tokens,),
            lengths,
            lambda size: max(1, CHUNK // size),
        )
        return bars_of(cost.astype(np.float64), songs)

    def go_on(
        self, seeds: Songs, keys: Array, bars: int | None, settings: Settings, max_bars: int = 128
    ) -> list[np.ndarray]:
        """See `SongModel`; temperature, top_k and top_p count."""
        network = self.model.network

        def block(chosen: np.ndarray) -> list[np.ndarray]:
            def next_bar(state: State, turn: Turn) -> tuple[State, Array, Array]:
                return _next_bar(network, self.params, state, turn, keys[chosen], settings.cuts)

            first = _begin(network, self.params, len(chosen))
            return compose(first, next_bar, [seeds[i] for i in chosen], bars or max_bars, bars is None)

        return in_blocks(len(seeds), SONGS, block)

    def untrained(self, seed: int) -> dict[str, SongModel]:
        """The same with fresh parameters."""
        fresh = jax.jit(self.model.init)(jax.random.key(seed))
        untrained = NoteComposer(self.model, fresh, name=f"untrained {self.name}")
        return {untrained.name: untrained}


def make_notes(config: Any, steps: int = BAR) -> NoteModel:
    """The model of configs/note_lstm.py; UserError for a size, a share or a number format that cannot be."""
    fields = dict(config["model"])
    dtype = operand_dtype(fields.pop("matmul_dtype"))
    check_sizes(fields, ("units", "layers"))
    return NoteModel(NoteLSTM(**fields, steps=steps, dtype=dtype), Dropout(**config["dropout"]))


@functools.partial(jax.jit, static_argnums=0)
def _nats(network: NoteLSTM, params: Any, bars: Array) -> Array:
    """(S, N) nats of the bars (S, N, T) of whole songs."""
    found = applied(network, NoteLSTM.unroll, params, bars, jnp.zeros(bars.shape[0], jnp.int32))
    return -found.log_p.sum(axis=-1)


@functools.partial(jax.jit, static_argnums=(0, 2))
def _begin(network: NoteLSTM, params: Any, songs: int) -> State:
    return applied(network, NoteLSTM.begin, params, songs)


@functools.partial(jax.jit, static_argnums=0)
def _next_bar(
    network: NoteLSTM, params: Any, state: State, turn: Turn, keys: Array, cuts: tuple[Array, Array, Array]
) -> tuple[State, Array, Array]:
    """See `bar_by_bar.NextBar`."""
    of_bar = jax.vmap(jax.random.fold_in)(keys, turn.drawn)
    of_tokens = jax.vmap(lambda key: jax.random.split(key, network.steps + 1))(of_bar)  # (B, T + 1)

    def step(state: State, place: Array) -> tuple[State, Array]:
        logits = state.outputs[:, :OUTCOMES]
        token = sample_tokens(logits, of_tokens[:, place], *cuts)
        token = jnp.where(turn.is_given, turn.bar[:, place], token)
        before = jnp.full_like(token, turn.number * network.steps + place + 1)
        return applied(network, NoteLSTM.read, params, state, token, before), token

    state, tokens = jax.lax.scan(step, state, jnp.arange(network.steps))
    ends = jax.vmap(jax.random.bernoulli)(of_tokens[:, -1], jax.nn.sigmoid(state.outputs[:, OUTCOMES]))
    return state, tokens.T, ends
