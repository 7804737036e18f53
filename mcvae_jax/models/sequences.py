"""Latent sequences from a prior: going on after a seed, filling a gap between bars; and paths between vectors.

Any prior will do (prior.py). As in bar_codec.py, everything runs in blocks of one shape, so that a song is the same
to the bit whatever else is in the call, and however long the others are.

Letters: S songs of a call, B songs (or particles) of a block, T bars of a block, Z latent size.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mcvae_jax.models.prior import Prior, Step, TrainablePrior
from mcvae_jax.models.settings import Settings
from mcvae_jax.nn import mixture
from mcvae_jax.nn.keys import rows_of
from mcvae_jax.nn.padding import Rows, in_blocks, in_padded_chunks
from mcvae_jax.trained import Origin

Array = jax.Array

SONGS = Rows(32, 1024)  # that are composed at a time
BARS = 32  # of a block, at most
PARTICLES = 256  # drawn for a gap
FOLLOWING = 8  # bars after a gap that weigh them
SEQUENCE_CHUNK = 2048  # bars, padding included, that are scored in one call

Carry = tuple[Any, Step]  # the prior's state and what it predicts of the next bar: each song's own, so all lead with B


class Drawing(NamedTuple):
    """A block of bars while it is drawn."""

    number: Array  # int32 (), bars that are drawn
    ended: Array  # bool (B,): songs that are over
    carry: Carry
    z: Array  # float32 (B, T, Z), of the bars that are drawn, then 0
    last: Array  # bool (B, T): bars with which a song may end


class Filled(NamedTuple):
    """Bars for a gap."""

    z: np.ndarray  # float32 (bars, Z)
    effective: float  # effective sample size: of PARTICLES draws, as how many equally good ones they count


@dataclasses.dataclass(frozen=True, eq=False)
class LatentPrior:
    """A prior over latent sequences with its parameters."""

    prior: Prior
    params: Any
    origin: Origin | None = None

    def untrained(self, seed: int) -> "LatentPrior":
        """The same with fresh parameters, the same for the same seed; constants such as scales of the data stay."""
        if not isinstance(self.prior, TrainablePrior):
            raise ValueError(f"{type(self.prior).__name__} has no fresh parameters: it is fitted, not trained")
        key = jax.random.split(jax.random.key(seed))[1]
        return LatentPrior(self.prior, self.prior.untrained(self.params, key))

    def log_densities(self, z: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """log p(z_t | z_<t) of each bar, (N,) in nats, for the sequences z (N, Z) of songs of `lengths` (S,) bars.

        Sequences of like lengths are padded to one and go through the prior together. There is one shape for each
        length, whatever the number of songs, so that few programs are compiled.
        """
        return in_padded_chunks(
            lambda batch, _: _log_densities(self.prior, self.params, batch),
            (z,),
            lengths,
            lambda size: max(1, SEQUENCE_CHUNK // size),
        )

    def go_on(
        self,
        seeds: Sequence[np.ndarray],
        keys: Array,
        bars: int | None,
        settings: Settings,
        max_bars: int = 128,
    ) -> list[np.ndarray]:
        """Draws what follows each seed: float32 (bars, Z) for each.

        A song starts from a fresh state, reads its seed, and then goes on from its own draws.

        Args:
          seeds: float32 (n, Z) for each song; n = 0 starts from the prior's start vector.
          keys: one a song, (S,).
          bars: of every song; None lets the stop head end each, after one bar at least and `max_bars` at most.
          settings: tau_pi, tau_sigma and tau_recall count.
        """

        def block(chosen: np.ndarray) -> list[np.ndarray]:
            start = _start(self.prior, self.params, len(chosen))
            carry, _ = _read(self.prior, self.params, start, [seeds[i] for i in chosen])
            of_songs = of_rows(chosen)
            _, z, stops = _draw(self.prior, self.params, carry, of_songs, bars or max_bars, settings, bars is None)
            lengths = np.where(stops.any(axis=1), stops.argmax(axis=1) + 1, z.shape[1])
            return [of_song[:length] for of_song, length in zip(z, lengths, strict=True)]

        of_rows = rows_of(keys)
        return in_blocks(len(seeds), SONGS.here, block)

    def fill(self, before: np.ndarray, after: np.ndarray, bars: int, key: Array, settings: Settings) -> Filled:
        """Draws the `bars` missing between before (n, Z) and after (m, Z); either may be empty.

        Sampling importance resampling (Rubin 1988, "Using the SIR algorithm to simulate posterior distributions"): the
        prior draws PARTICLES ways through the gap, each weighs as much as the density that the prior then gives to the
        first FOLLOWING bars of `after`, and one is drawn by weight. With tau_pi = tau_sigma = tau_recall = 1 and many
        particles this is the prior given both sides. With few, the draw leans to the best of what was proposed; an
        effective sample size near 1 says so, and in many dimensions it is to be expected.
        """
        key_gap, key_choice = jax.random.split(key)
        together = min(SONGS.here, PARTICLES)
        carry, _ = _read(self.prior, self.params, _start(self.prior, self.params, together), [before] * together)
        of_rows = rows_of(jax.random.split(key_gap, PARTICLES))
        ways, of_ways = [], []
        for first in range(0, PARTICLES, together):
            of_ways_here = of_rows(np.arange(first, first + together))
            at_end, z, _ = _draw(self.prior, self.params, carry, of_ways_here, bars, settings)
            ways.append(z)
            of_ways.append(_read(self.prior, self.params, at_end, [after[:FOLLOWING]] * together)[1])
        log_weights = np.concatenate(of_ways)
        log_weights -= log_weights.max()
        weights = np.exp(log_weights)
        chosen = int(jax.random.categorical(key_choice, jnp.asarray(log_weights, jnp.float32)))
        return Filled(np.concatenate(ways)[chosen], float(weights.sum() ** 2 / np.sum(weights**2)))


def lerp(a: np.ndarray, b: np.ndarray, share: float) -> np.ndarray:
    """From a (..., Z) at share 0 to b at 1, in a straight line."""
    return (1 - share) * a + share * b


def slerp(a: np.ndarray, b: np.ndarray, share: float) -> np.ndarray:
    """From a (..., Z) at share 0 to b at 1 by the angle between them (White 2016, arXiv:1609.04468).

    Where they have hardly an angle, point against each other, or one is zero, it is the straight line.
    """
    lengths = np.linalg.norm(a, axis=-1, keepdims=True) * np.linalg.norm(b, axis=-1, keepdims=True)
    cosine = np.sum(a * b, axis=-1, keepdims=True) / np.maximum(lengths, 1e-12)
    curved = (np.abs(cosine) < 1 - 1e-5) & (lengths > 1e-12)
    angle = np.arccos(np.where(curved, cosine, 0.0))
    path = (np.sin((1 - share) * angle) * a + np.sin(share * angle) * b) / np.sin(angle)
    return np.where(curved, path, lerp(a, b, share))


def _read(prior: Prior, params: Any, carry: Carry, songs: Sequence[np.ndarray]) -> tuple[Carry, np.ndarray]:
    """After B songs (n_i, Z): the carry, and each song's log density in nats, float64 (B,)."""
    lengths = np.array([len(song) for song in songs])
    blocks = -(-lengths.max() // BARS)
    padded = np.zeros((len(songs), blocks * BARS, prior.latent), np.float32)
    for row, song in zip(padded, songs, strict=True):
        row[: len(song)] = song
    log_density = np.zeros(len(songs))
    for first in range(0, blocks * BARS, BARS):
        carry, of_bars = _read_block(prior, params, carry, padded[:, first : first + BARS], lengths - first)
        log_density += np.asarray(of_bars, np.float64).sum(axis=1)
    return carry, log_density


def _draw(
    prior: Prior, params: Any, carry: Carry, keys: Array, bars: int, settings: Settings, may_stop: bool = False
) -> tuple[Carry, np.ndarray, np.ndarray]:
    """`bars` bars, fewer where `may_stop` and all have: the carry, z (B, n, Z), whether each is a last one (B, n)."""
    taus = np.float32(settings.tau_pi), np.float32(settings.tau_sigma), np.float32(settings.tau_recall)
    ended, drawn, last = jnp.zeros(len(keys), bool), [], []
    for first in range(0, bars, BARS):
        ended, carry, z, stops = _draw_block(prior, params, carry, keys, first, bars, taus, ended, may_stop)
        drawn.append(z)
        last.append(stops)
        if may_stop and np.all(ended):  # else no block waits for the one before it
            break
    z, stops = (np.concatenate(each, axis=1)[:, :bars] for each in (drawn, last))
    return carry, z, stops & may_stop


@functools.partial(jax.jit, static_argnums=0)
def _log_densities(prior: Prior, params: Any, z: Array) -> Array:
    return prior.log_density(params, z)


@functools.partial(jax.jit, static_argnums=0)
def _next_step(prior: Prior, params: Any, state: Any, z: Array) -> Carry:
    """`prior.next_step` with a state for each song, so that songs of a block may have read different numbers."""

    def of_song(state: Any, z: Array) -> Carry:
        state, output = prior.next_step(params, state, z[None])
        return state, jax.tree.map(lambda x: x[0], output)

    return jax.vmap(of_song)(state, z)


def _start(prior: Prior, params: Any, songs: int) -> Carry:
    """The carry of B songs before their first bar."""
    return _next_step(prior, params, None, np.zeros((songs, prior.latent), np.float32))


@functools.partial(jax.jit, static_argnums=0)
def _read_block(prior: Prior, params: Any, carry: Carry, z: Array, left: Array) -> tuple[Carry, Array]:
    """Reads the first left (B,) bars of z (B, T, Z): the carry, and log densities (B, T), 0 beyond these bars."""

    def step(n: Array, so_far: tuple[Carry, Array]) -> tuple[Carry, Array]:
        carry, log_density = so_far
        of_bar = jnp.where(n < left, mixture.log_density(carry[1].mixture, z[:, n]), 0.0)
        carry = _where(n < left, _next_step(prior, params, carry[0], z[:, n]), carry)
        return carry, log_density.at[:, n].set(of_bar)

    nothing = jnp.zeros(z.shape[:2])
    return jax.lax.fori_loop(0, jnp.minimum(jnp.max(left), z.shape[1]), step, (carry, nothing))


@functools.partial(jax.jit, static_argnums=0)
def _draw_block(
    prior: Prior,
    params: Any,
    carry: Carry,
    keys: Array,
    first: Array,
    end: Array,
    taus: tuple[Array, Array, Array],
    ended: Array,
    may_stop: Array,
) -> tuple[Array, Carry, Array, Array]:
    """Draws bars number first, first + 1, ..., before bar `end`, no more where `may_stop` and all songs have `ended`.

    Returns: which songs have ended (B,), the carry before the next bar, z (B, T, Z), and whether a bar is the last
      (B, T); 0 and no beyond the end.
    """

    def going(so_far: Drawing) -> Array:
        return (so_far.number < BARS) & (first + so_far.number < end) & ~(may_stop & jnp.all(so_far.ended))

    def step(so_far: Drawing) -> Drawing:
        n, ended, (state, coming), z, last = so_far
        of_bar = jax.vmap(jax.random.fold_in, in_axes=(0, None))(keys, first + n)
        key_z, key_stop = jax.vmap(jax.random.split, out_axes=1)(of_bar)
        drawn = jax.vmap(_sample, in_axes=(0, 0, None))(coming, key_z, taus)
        state, coming = _next_step(prior, params, state, drawn)
        stops = jnp.log(jax.vmap(jax.random.uniform)(key_stop)) < coming.log_stop
        return Drawing(n + 1, ended | stops, (state, coming), z.at[:, n].set(drawn), last.at[:, n].set(stops))

    shape = len(keys), BARS
    nothing = Drawing(jnp.int32(0), ended, carry, jnp.zeros((*shape, prior.latent)), jnp.zeros(shape, bool))
    _, ended, carry, z, last = jax.lax.while_loop(going, step, nothing)
    return ended, carry, z, last


def _sample(output: Step, key: Array, taus: tuple[Array, Array, Array]) -> Array:
    """The next bar (Z,) of one song.

    From a component that recalls an earlier bar, it lies between that bar, at tau_recall 0, and the component's own
    draw, at 1: the way from the one to the other is multiplied by sqrt(tau_recall).
    """
    tau_pi, tau_sigma, tau_recall = taus
    z, component = mixture.sample(output.mixture, key, tau_pi, tau_sigma)
    heads = output.recalled.shape[0]
    if not heads:
        return z
    head = component - (output.mixture.log_pi.shape[0] - heads)
    recalled = output.recalled[jnp.maximum(head, 0)]
    return jnp.where(head >= 0, recalled + jnp.sqrt(tau_recall) * (z - recalled), z)


def _where(chosen: Array, a: Any, b: Any) -> Any:
    """Of each song (B,), the tree `a` where it is chosen, else `b`."""
    return jax.tree.map(lambda x, y: jnp.where(chosen.reshape(-1, *[1] * (x.ndim - 1)), x, y), a, b)
