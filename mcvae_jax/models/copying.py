"""An exact copy switch around any song model: every claim is measured against a cheap model with this switch.

    p(x_t | x_<t) = p_new p_model(x_t | x_<t) + sum over lags l of p_l [x_t = x_(t-l)]

Half of the bars of real songs repeat an earlier bar exactly. The switch says how likely that is, and of which bar: a
softmax over "new" and the lags 1 to LAGS, from a weight for each lag, whether that lag also matched the last 1, 2 and 4
bars, and the place of the bar in its phrase. It is normalised, since p_model and each copy are, and causal.

Where the model is a bound, its cost of a bar is that of one draw z ~ q(z_t | x_t) with the sampled log q,

    -log w_t = -log p(x_t | z_t) - log p(z_t | z_<t) + log q(z_t | x_t),

and -E_q log(p_new w_t + p_copy) is a bound again: in the copy branch z_t ~ q(z_t | x_t), so the joint is normalised.
Bars that share one z (MusicVAE) have no z to leave to a copy. Their bound is KL(q || p) - E_q[sum_t log(p_new
p(x_t | z, x_<t) + p_copy)], that of a model which draws z once and then copies bars or writes them; composing asks
anew, before each bar, for a z that the bars so far leave likely.

Letters: S songs, n bars of a song, N bars of all songs, T steps of a bar, L lags, F features.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from mcvae_jax.models.settings import Settings
from mcvae_jax.models.song_model import MEMORY, SongModel, Songs, bars_of, log_weights, shared_nats
from mcvae_jax.music.bars import distinct_bars
from mcvae_jax.nn.arrays import AnyArray
from mcvae_jax.nn.categorical import draw
from mcvae_jax.trained import Origin

Array = jax.Array

LAGS = 128  # L, bars
RUNS = (1, 2, 4)  # whether a lag matched so many bars in a row before this one
PHRASE = 8  # bars
PENALTY = 1e-3  # on the squares of the parameters: a lag that no song shows keeps a finite weight
FAR = -1e9  # the logit of a lag that reaches back before the song


class Switch(NamedTuple):
    """The parameters of a switch."""

    by_lag: Array  # (L,)
    by_run: Array  # (len(RUNS),): added to a lag that matched the last 1, 2, 4 bars
    of_new: Array  # (PHRASE,): the logit of a new bar by its place in the phrase
    any_run: Array  # (len(RUNS),): added to the logit of a new bar where any lag matched so


class Matches(NamedTuple):
    """What a switch sees of bars."""

    matches: np.ndarray  # bool (N, L): the bar is the same as the one so many bars before
    runs: np.ndarray  # bool (len(RUNS), N, L): and so were the bars before it, each as the one so many bars before
    bar: np.ndarray  # int32 (N,): number of the bar in its song, from 0


def find_matches(songs: Songs) -> Matches:
    """What the switch sees of every bar of songs, each uint8 (n, T), one song after the other."""
    found = [_of_song(song) for song in songs]
    matches, runs, bar = zip(*found, strict=True)
    return Matches(np.concatenate(matches), np.concatenate(runs, axis=1), np.concatenate(bar))


def switch_log_p(switch: Switch, runs: AnyArray, bar: AnyArray) -> tuple[Array, Array]:
    """log p_new (N,) and log p_l (N, L), which sum to one, for runs bool (len(RUNS), N, L) and bar (N,)."""
    lags = switch.by_lag + sum(jnp.where(run, weight, 0.0) for run, weight in zip(runs, switch.by_run, strict=True))
    lags = jnp.where(jnp.arange(1, LAGS + 1) <= bar[:, None], lags, FAR)
    new = switch.of_new[bar % PHRASE] + switch.any_run @ jnp.any(runs, axis=2).astype(jnp.float32)
    log_p = jax.nn.log_softmax(jnp.concatenate([new[:, None], lags], axis=1), axis=1)
    return log_p[:, 0], log_p[:, 1:]


def mixed_log_p(switch: Switch, found: Matches, log_model: Array) -> Array:
    """log(p_new p_model + p_copy) of every bar, (N,), for log p_model (N,)."""
    log_new, log_lags = switch_log_p(switch, found.runs, found.bar)
    log_copy = jax.nn.logsumexp(jnp.where(found.matches, log_lags, -jnp.inf), axis=1)
    return jnp.logaddexp(log_new + log_model, log_copy)


def fit_switch(songs: Songs, log_model: Sequence[np.ndarray]) -> Switch:
    """The switch with the highest likelihood over songs whose bars have log p_model, (n,) nats each.

    The songs must be such that the model has not seen: it would take what it knows by heart for new bars. By L-BFGS, in
    seconds: there are some 150 parameters, and the loss is the same to the bit in every call.
    """
    found = find_matches(songs)
    of_bars = jnp.asarray(np.concatenate(log_model), jnp.float32)
    start = Switch(jnp.full(LAGS, -4.0), jnp.zeros(len(RUNS)), jnp.zeros(PHRASE), jnp.zeros(len(RUNS)))
    flat, unflatten = ravel_pytree(start)
    arrays = jax.tree.map(jnp.asarray, found)
    loss = jax.jit(jax.value_and_grad(functools.partial(_loss, unflatten)))

    def value_and_grad(x: np.ndarray) -> tuple[float, np.ndarray]:
        value, grad = loss(jnp.asarray(x, jnp.float32), arrays, of_bars)
        return float(value), np.asarray(grad, np.float64)

    from scipy import optimize  # not above: it takes 0.3 s, and who composes fits nothing

    best = optimize.minimize(value_and_grad, np.asarray(flat, np.float64), jac=True, method="L-BFGS-B")
    return unflatten(jnp.asarray(best.x, jnp.float32))


@dataclasses.dataclass(frozen=True, eq=False)
class Copying:
    """A `SongModel` with the switch around it."""

    model: SongModel
    switch: Switch

    lacks: Mapping[str, str] = dataclasses.field(default_factory=dict)
    abilities = frozenset({MEMORY})

    @property
    def name(self) -> str:
        """'MCVAE + copy'."""
        return f"{self.model.name} + copy"

    @property
    def steps(self) -> int:
        """T."""
        return self.model.steps

    @property
    def pitches(self) -> tuple[int, int]:
        """Those of the model."""
        return self.model.pitches

    @property
    def likelihood(self) -> str:
        """That of the model."""
        return self.model.likelihood

    @property
    def defaults(self) -> Settings:
        """Those of the model."""
        return self.model.defaults

    @property
    def origins(self) -> Mapping[str, Origin]:
        """Those of the model."""
        return self.model.origins

    def nats(self, songs: Songs, draws: int = 1, seed: int = 0) -> list[np.ndarray]:
        """See `SongModel`."""
        found = find_matches(songs)
        of_draws = log_weights(self.model, songs, draws, seed)
        mixed = jnp.stack([_mixed(self.switch, found, jnp.asarray(each, jnp.float32)) for each in of_draws])
        cost = shared_nats(self.model, songs) - np.asarray(mixed, np.float64).mean(axis=0)
        return bars_of(cost, songs)

    def go_on(
        self, seeds: Songs, keys: Array, bars: int | None, settings: Settings, max_bars: int = 128
    ) -> list[np.ndarray]:
        """See `SongModel`; bar by bar the switch is drawn, and the model asked for a bar where it says "new".

        `settings.repetition` multiplies the odds of a copy. Nothing but the model says where a song ends, and only of
        new bars, so that with bars=None songs have `max_bars` bars.
        """
        songs = [np.asarray(seed) for seed in seeds]
        for number in range(bars or max_bars):
            of_bar = jax.vmap(jax.random.fold_in, in_axes=(0, None))(keys, number)
            chosen = np.asarray(_draw_lags(self.switch, *_last_runs(songs), of_bar, settings.repetition))
            new = np.flatnonzero(chosen == 0)
            drawn = self.model.go_on([songs[i] for i in new], of_bar[new], 1, settings) if len(new) else []
            of_new = dict(zip(new.tolist(), drawn, strict=True))
            songs = [
                np.concatenate([song, song[len(song) - lag][None] if lag else of_new[i][:1]])
                for i, (song, lag) in enumerate(zip(songs, chosen, strict=True))
            ]
        return [song[len(seed) :] for song, seed in zip(songs, seeds, strict=True)]

    def untrained(self, seed: int) -> dict[str, SongModel]:
        """Those of the model, without the switch."""
        return self.model.untrained(seed)

    def baselines(self, training: Songs) -> dict[str, SongModel]:
        """The model without the switch."""
        return {self.model.name: self.model}

    def kin(self) -> list[SongModel]:
        """None."""
        return []


def _of_song(song: np.ndarray) -> Matches:
    ids = distinct_bars(song)[1]
    bars = np.arange(len(ids))
    before = bars[:, None] - np.arange(1, LAGS + 1)
    matches = (before >= 0) & (ids[:, None] == ids[np.maximum(before, 0)])
    return Matches(matches, _runs(matches)[:, :-1], bars.astype(np.int32))


def _runs(matches: np.ndarray) -> np.ndarray:
    """matches bool (n, L) -> runs before each bar and before the one that follows the last: (len(RUNS), n + 1, L)."""
    padded = np.concatenate([np.zeros((max(RUNS), LAGS), bool), matches])
    windows = [
        np.all([padded[max(RUNS) - back : len(padded) - back + 1] for back in range(1, run + 1)], axis=0)
        for run in RUNS
    ]
    return np.stack(windows)


def _last_runs(songs: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """What the switch sees before the bar that follows each song: runs (len(RUNS), S, L), its number (S,)."""
    runs = np.stack([_runs(_of_song(song).matches)[:, -1] for song in songs], axis=1)
    return runs, np.array([len(song) for song in songs], np.int32)


def _loss(unflatten: Any, flat: Array, found: Matches, log_model: Array) -> Array:
    """Nats per bar, and the penalty."""
    return -jnp.mean(mixed_log_p(unflatten(flat), found, log_model)) + PENALTY * jnp.mean(flat**2)


_mixed = jax.jit(mixed_log_p)


@jax.jit
def _draw_lags(switch: Switch, runs: Array, bar: Array, keys: Array, repetition: Array) -> Array:
    """0 for a new bar, or a lag: int32 (S,)."""
    log_new, log_lags = switch_log_p(switch, runs, bar)
    logits = jnp.concatenate([log_new[:, None], log_lags + jnp.log(repetition)], axis=1)
    return draw(keys, logits)
