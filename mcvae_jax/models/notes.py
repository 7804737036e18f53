"""Models of the notes of whole songs (thesis 1.1.5, 1.1.6): rivals of the MCVAE whose likelihood is exact.

Such a model reads token by token, with the step of the bar and the number of the bar in its phrase, and says what the
next token may be. There are no latents and no bars in between. A stop head gives each bar, once it is known, the chance
to be the last, which no figure of bits counts, since all models are given the number of bars.

Letters: B songs, N bars, T steps of a bar, H units, V outcomes (130), S songs of a call, M masks of dropout.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from mcvae_jax.models.bar_by_bar import Turn, compose
from mcvae_jax.models.settings import AS_TRAINED, Settings
from mcvae_jax.models.song_model import EXACT, MEMORY, OfCheckpoint, SongModel, Songs, bars_of
from mcvae_jax.music.tokens import BAR, OUTCOMES
from mcvae_jax.nn.categorical import Cuts, sample_tokens
from mcvae_jax.nn.dropout import kept
from mcvae_jax.nn.keys import rows_of
from mcvae_jax.nn.layers import applied, check_shares
from mcvae_jax.nn.padding import in_blocks, in_padded_chunks
from mcvae_jax.trained import Origin

Array = jax.Array

PHRASE = 8  # bars, in which their numbers are counted
SONGS = 32  # that are composed at a time: one shape, so that a song does not depend on the others
CHUNK = 1024  # bars, padding included, that are scored in one call


@dataclasses.dataclass(frozen=True)
class Dropout:
    """Shares that are dropped in training, each from 0 to below 1."""

    hidden: float = 0.0  # of what every layer gives

    def __post_init__(self) -> None:
        check_shares(self)


DROPOUT = {"dropout": dict.fromkeys((field.name for field in dataclasses.fields(Dropout)), float)}  # of the config


class Unrolled(NamedTuple):
    """What a model of notes says along given songs."""

    log_p: Array  # (B, N, T) nats, of each token given those before it; of codes, what is said of a bar one by one
    stop_logit: Array  # (B, N): of bar n being the last, given the bars up to n
    figures: Mapping[str, Array] = {}  # (B, N, ...) of each bar, whose means over bars are for the log; no gradient


class State(NamedTuple):
    """What a model knows of songs so far."""

    memory: Any  # of the network: a tree of arrays with leading axis B
    outputs: Array  # (B, V + 1): logits of the next token, and of the song being over


class TrainableNotes(Protocol):
    """A model of notes, as its task and its composer see it; it is hashable, since it is a static argument of jit."""

    @property
    def steps(self) -> int:
        """T."""

    @property
    def likelihood(self) -> str:
        """EXACT or BOUND: what the sum of `log_p` is to log p of a song."""

    def init(self, key: Array) -> Any:
        """Fresh parameters."""

    def unroll(self, params: Any, bars: Array, first: Array, keys: Array | None) -> Unrolled:
        """Along bars (B, N, T) with the numbers `first` (B,); with keys (B,), as in training: with dropout."""

    def terms(self, means: Mapping[str, Array]) -> dict[str, Array]:
        """Scalars for the log, from the means over bars of `Unrolled.figures`."""

    def begin(self, params: Any, songs: int) -> Any:
        """The state of so many songs, before their first bar: a tree of arrays with leading axis B."""

    def next_bar(self, params: Any, state: Any, turn: Turn, keys: Array, cuts: Cuts) -> tuple[Any, Array, Array]:
        """See `bar_by_bar.NextBar`; with a key for each bar, (B,)."""


class NoteNetwork(nn.Module):
    """What the networks have in common; each adds `masks`, `along`, `fresh` and `step`."""

    units: int = 256
    layers: int = 2
    steps: int = BAR  # T
    dtype: jnp.dtype = jnp.float32  # of the operands of matrix products
    outcomes: int = OUTCOMES  # V; what is read has one more, which stands before the first

    @property
    def masks(self) -> int:
        """M."""
        raise NotImplementedError

    def along(self, inputs: tuple[Array, Array, Array], hidden: Array | None) -> Array:
        """What it says after each of some tokens, (B, N * T + 1, V + 1), of `_inputs` and of masks."""
        raise NotImplementedError

    def fresh(self, songs: int) -> Any:
        """The memory before START."""
        raise NotImplementedError

    def step(self, memory: Any, inputs: tuple[Array, Array, Array], place: Array) -> tuple[Any, Array]:
        """The same as `along` for one more token, `_inputs` (B, 1): its memory and (B, V + 1)."""
        raise NotImplementedError

    def unroll(self, bars: Array, first: Array, hidden: Array | None = None) -> Unrolled:
        """Along bars, integers (B, N, T), the first of which have the numbers `first` (B,) in their songs.

        A window is read as if it began the song, but for the number of its bar.

        Args:
          hidden: masks of dropout, (B, M, N * T + 1, H).
        """
        songs, count = bars.shape[:2]
        tokens = bars.reshape(songs, -1).astype(jnp.int32)
        read = jnp.concatenate([jnp.full((songs, 1), self.outcomes, jnp.int32), tokens], axis=1)
        place = jnp.broadcast_to(jnp.arange(read.shape[1]), read.shape)
        outputs = self.along(self._inputs(read, place, first[:, None]), hidden)
        log_p = jax.nn.log_softmax(self.logits(outputs[:, :-1], place[0, :-1]), axis=-1)
        of_tokens = jnp.take_along_axis(log_p, tokens[..., None], axis=-1)[..., 0]
        return Unrolled(of_tokens.reshape(songs, count, self.steps), outputs[:, self.steps :: self.steps, -1])

    def logits(self, outputs: Array, place: Array) -> Array:
        """Of the next token, (.., V), of outputs (.., V + 1) with so many tokens before it, integers (..)."""
        return outputs[..., :-1]

    def begin(self, songs: int) -> State:
        """Of so many songs, before their first token."""
        zeros = jnp.zeros(songs, jnp.int32)
        return self.read(State(self.fresh(songs), jnp.zeros(())), zeros + self.outcomes, zeros)

    def read(self, state: State, token: Array, place: Array) -> State:
        """After one more token (B,), with `place` (B,) tokens and START read before it."""
        inputs = self._inputs(token[:, None], place[:, None], jnp.zeros_like(place)[:, None])
        return State(*self.step(state.memory, inputs, place))

    def _inputs(self, tokens: Array, place: Array, first: Array) -> tuple[Array, Array, Array]:
        """Tokens, the step of the bar and the bar of the phrase that come next, integers (B, ..) each."""
        return tokens, place % self.steps, (first + place // self.steps) % PHRASE


@dataclasses.dataclass(frozen=True)
class NoteModel:
    """A network with its dropout as a `TrainableNotes`."""

    network: NoteNetwork
    dropout: Dropout = Dropout()

    likelihood = EXACT

    @property
    def steps(self) -> int:
        """T."""
        return self.network.steps

    def init(self, key: Array) -> Any:
        """Fresh parameters."""
        bar = jnp.zeros((1, 1, self.steps), jnp.int32)
        return self.network.init(key, bar, jnp.zeros(1, jnp.int32), method="unroll")

    def unroll(self, params: Any, bars: Array, first: Array, keys: Array | None) -> Unrolled:
        """Along bars (B, N, T) with the numbers `first` (B,); with keys (B,), one for each song, with dropout."""
        hidden = None
        if keys is not None and self.dropout.hidden:
            shape = self.network.masks, bars.shape[1] * bars.shape[2] + 1, self.network.units
            hidden = jax.vmap(lambda key: kept(key, self.dropout.hidden, shape))(keys)
        return applied(self.network, NoteNetwork.unroll, params, bars, first, hidden)

    def terms(self, means: Mapping[str, Array]) -> dict[str, Array]:
        """See `TrainableNotes`: none."""
        return {}

    def begin(self, params: Any, songs: int) -> State:
        """See `TrainableNotes`."""
        return applied(self.network, NoteNetwork.begin, params, songs)

    def read(self, params: Any, state: State, token: Array, place: Array) -> State:
        """After one more token (B,), with `place` (B,) tokens and START read before it."""
        return applied(self.network, NoteNetwork.read, params, state, token, place)

    def next_bar(self, params: Any, state: State, turn: Turn, keys: Array, cuts: Cuts) -> tuple[State, Array, Array]:
        """See `TrainableNotes`."""
        of_tokens = jax.vmap(lambda key: jax.random.split(key, self.steps + 1))(keys)  # (B, T + 1)

        def step(state: State, place: Array) -> tuple[State, Array]:
            number = jnp.full(len(keys), turn.number * self.steps + place)
            logits = self.network.logits(state.outputs, number)
            token = sample_tokens(logits, of_tokens[:, place], *cuts)
            token = jnp.where(turn.is_given, turn.bar[:, place], token)
            return self.read(params, state, token, number + 1), token

        state, tokens = jax.lax.scan(step, state, jnp.arange(self.steps))
        ends = jax.vmap(jax.random.bernoulli)(of_tokens[:, -1], jax.nn.sigmoid(state.outputs[:, -1]))
        return state, tokens.T, ends


@dataclasses.dataclass(frozen=True, eq=False)
class NoteComposer(OfCheckpoint):
    """A trained one as a `SongModel`."""

    model: TrainableNotes
    params: Any
    origin: Origin | None = None
    name: str = "model of notes"
    defaults: Settings = AS_TRAINED

    abilities = frozenset({MEMORY})

    @property
    def steps(self) -> int:
        """T."""
        return self.model.steps

    @property
    def likelihood(self) -> str:
        """That of the model."""
        return self.model.likelihood

    def nats(self, songs: Songs, draws: int = 1, seed: int = 0) -> list[np.ndarray]:
        """See `SongModel`; nothing is drawn, so that draws and seed do not count."""
        lengths = np.array([len(song) for song in songs])
        tokens = np.concatenate(songs).astype(np.float32)
        cost = in_padded_chunks(
            lambda bars, _: _nats(self.model, self.params, bars),
            (tokens,),
            lengths,
            lambda size: max(1, CHUNK // size),
        )
        return bars_of(cost.astype(np.float64), songs)

    def log_weights(self, songs: Songs, draws: int = 1, seed: int = 0) -> np.ndarray:
        """See `song_model.log_weights`: one row."""
        return -np.concatenate(self.nats(songs))[None]

    def go_on(
        self, seeds: Songs, keys: Array, bars: int | None, settings: Settings, max_bars: int = 128
    ) -> list[np.ndarray]:
        """See `SongModel`; temperature, top_k and top_p count."""

        def block(chosen: np.ndarray) -> list[np.ndarray]:
            of_songs = of_rows(chosen)

            def next_bar(state: Any, turn: Turn) -> tuple[Any, Array, Array]:
                return _next_bar(self.model, self.params, state, turn, of_songs, settings.cuts)

            first = _begin(self.model, self.params, len(chosen))
            return compose(first, next_bar, [seeds[i] for i in chosen], bars or max_bars, bars is None)

        of_rows = rows_of(keys)
        return in_blocks(len(seeds), SONGS, block)

    def untrained(self, seed: int) -> dict[str, SongModel]:
        """The same with fresh parameters."""
        fresh = jax.jit(self.model.init)(jax.random.key(seed))
        untrained = NoteComposer(self.model, fresh, name=f"untrained {self.name}")
        return {untrained.name: untrained}


@functools.partial(jax.jit, static_argnums=0)
def _nats(model: TrainableNotes, params: Any, bars: Array) -> Array:
    """(S, N) nats of the bars (S, N, T) of whole songs."""
    found = model.unroll(params, bars, jnp.zeros(bars.shape[0], jnp.int32), None)
    return -found.log_p.sum(axis=-1)


@functools.partial(jax.jit, static_argnums=(0, 2))
def _begin(model: TrainableNotes, params: Any, songs: int) -> Any:
    return model.begin(params, songs)


@functools.partial(jax.jit, static_argnums=0)
def _next_bar(
    model: TrainableNotes, params: Any, state: Any, turn: Turn, keys: Array, cuts: Cuts
) -> tuple[Any, Array, Array]:
    """See `bar_by_bar.NextBar`."""
    return model.next_bar(params, state, turn, jax.vmap(jax.random.fold_in)(keys, turn.drawn), cuts)
