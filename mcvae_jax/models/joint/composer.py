"""A trained joint MCVAE as a song model: bounds of songs, and songs drawn bar by bar with exact copies.

A bar x_t that appears for the first time costs at most

    -log(p_new 1/K sum_k p(x_t | z_k, x_<t) p(z_k | x_<t) / q(z_k | x_t)),  z_k ~ q(z | x_t),

in the mean over draws (Burda et al. 2016, arXiv:1509.00519; K = 1 is the usual bound). One that repeats costs at most
-log p_copy; the little that p_new would add is left out. All models are given the number of bars: this one is told
how many are left.

Letters: S songs, B songs of a block, n bars of a song, T steps of a bar, M distinct bars, Z latent size, K draws.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mcvae_jax.models.joint.arrays import Noise, Scored, Songs
from mcvae_jax.models.joint.network import JointMCVAE
from mcvae_jax.models.joint.sampling import Call, compose_block
from mcvae_jax.models.joint.tables import QUARTERS, first_appearances, song_tables
from mcvae_jax.models.settings import Settings
from mcvae_jax.models.song_model import BOUND, FILL, LATENTS, MEMORY, FilledSong, Gaps, OfCheckpoint, SongModel, bars_of
from mcvae_jax.models.song_model import Songs as ListOfSongs
from mcvae_jax.nn import gaussian
from mcvae_jax.nn.keys import normal, rows_of, song_keys
from mcvae_jax.nn.layers import applied
from mcvae_jax.nn.padding import Rows, in_blocks, padded_groups
from mcvae_jax.trained import Origin

Array = jax.Array

SONGS = Rows(8, 256)  # that are composed at a time: one shape, so that a song does not depend on the others
CHUNK = Rows(1024, 8192)  # bars, padding included, that are scored in one call, each draw counted
TOGETHER = 4  # draws in one call, where there are several: one shape for all numbers of draws
FEW_ROWS = {"dtype": jnp.dtype(jnp.float32), "few_rows": 16}  # of a network with few rows in a call, for a CPU
PARTICLES = 64  # drawn for a gap
FOLLOWING = 8  # bars after a gap that weigh them


class Sizes(NamedTuple):
    """How much goes into one call of a compiled program; songs of other sizes are other draws of the same chances."""

    chunk: Rows = CHUNK
    particles: int = PARTICLES
    parts: int = QUARTERS  # of the bars of a song, that the distinct ones may be: a program each
    alike: bool = False  # whether songs go together only after seeds of one length, which are then read in less time


QUICK = Sizes(chunk=Rows(64, 64), particles=8, parts=1, alike=True)  # see docs/results.md, "The studio"


@dataclasses.dataclass(frozen=True, eq=False)
class JointComposer(OfCheckpoint):
    """See the module."""

    network: JointMCVAE
    params: Any
    origin: Origin | None = None
    name: str = "joint MCVAE"
    sizes: Sizes = Sizes()
    defaults: Settings = Settings(temperature=0.7, tau_sigma=0.5)  # docs/results.md, "The copy switch", says why

    likelihood = BOUND
    abilities = frozenset({MEMORY, FILL, LATENTS})

    @property
    def steps(self) -> int:
        """T."""
        return self.network.steps

    def nats(self, songs: ListOfSongs, draws: int = 1, seed: int = 0) -> list[np.ndarray]:
        """See `SongModel`: the bound of one draw, averaged over `draws`."""
        return [parts.cost(parts.log_w.mean(axis=0)) for parts in self._parts(songs, draws, seed)]

    def tighter_nats(self, songs: ListOfSongs, particles: int, seed: int = 0) -> np.ndarray:
        """The bound of each song from so many draws of each bar, float64 (S,) nats."""
        found = self._parts(songs, particles, seed)
        log_w = [np.logaddexp.reduce(parts.log_w, axis=0) - np.log(particles) for parts in found]
        return np.array([parts.cost(each).sum() for parts, each in zip(found, log_w, strict=True)])

    def bound_parts(self, songs: ListOfSongs, draws: int = 1, seed: int = 0) -> dict[str, float]:
        """Nats per bar, of which a copied one has no latents; what is no rate counts as reconstruction."""
        found, bars = self._parts(songs, draws, seed), sum(len(song) for song in songs)
        total = sum(parts.cost(parts.log_w.mean(axis=0)).sum() for parts in found)
        rate, kl = sum(parts.rate.mean(axis=0).sum() for parts in found), sum(parts.kl for parts in found)
        return {"reconstruction_nats": (total - rate) / bars, "kl_nats": kl / bars, "rate_nats": rate / bars}

    def encode(self, songs: ListOfSongs) -> list[tuple[np.ndarray, np.ndarray]]:
        """q of the bars of each song: mu and log variance, float32 (n, Z) each."""
        bars, chunk = np.concatenate(songs), self.sizes.chunk.here
        padded = np.zeros((-(-len(bars) // chunk) * chunk, self.steps), np.uint8)
        padded[: len(bars)] = bars
        found = [_encode(self.network, self.params, block) for block in np.split(padded, len(padded) // chunk)]
        mu, log_var = (np.concatenate([np.asarray(block[n]) for block in found])[: len(bars)] for n in (1, 2))
        return list(zip(bars_of(mu, songs), bars_of(log_var, songs), strict=True))

    def go_on(
        self, seeds: ListOfSongs, keys: Array, bars: int | None, settings: Settings, max_bars: int = 128
    ) -> list[np.ndarray]:
        """See `SongModel`; temperature, top_k, top_p, tau_pi, tau_sigma and repetition count.

        With a number of bars it composes towards an end after them.
        """
        return self._go_on(seeds, keys, bars or max_bars, settings, may_end=bars is None)

    def render(self, z: Sequence[np.ndarray], keys: Array, settings: Settings) -> list[np.ndarray]:
        """The bars, uint8 (n, T), of each song's z (n, Z): each as a new bar after those before it."""
        most = max(len(each) for each in z)
        padded = [np.pad(each, ((0, most - len(each)), (0, 0))) for each in z]
        nothing = [np.empty((0, self.steps), np.uint8)] * len(z)
        songs = self._go_on(nothing, keys, most, settings, lengths=[len(each) for each in z], z=np.stack(padded))
        return [song[: len(each)] for song, each in zip(songs, z, strict=True)]

    def fill(self, song: np.ndarray, gaps: Gaps, keys: Array, settings: Settings) -> list[FilledSong]:
        """Songs of the bars of `song`, uint8 (n, T), with others composed in its gaps, one for each key (S,).

        Sampling importance resampling (Rubin 1988), as `LatentPrior.fill` does it, on bars: of so many ways through a
        gap (`sizes.particles`) one is drawn, by the bound that it gives the FOLLOWING bars after the gap.
        """
        made, particles = [], self.sizes.particles
        for key in keys:
            bars, effective = song.copy(), []
            for n, (start, end) in enumerate(gaps):
                of_ways, of_choice = jax.random.split(jax.random.fold_in(key, start))
                ways = self._go_on(
                    [bars[:start]] * particles,
                    jax.random.split(of_ways, particles),
                    end - start,
                    settings,
                    lengths=[len(song) - start] * particles,
                )
                until = gaps[n + 1][0] if n + 1 < len(gaps) else len(song)
                after = bars[end:until][:FOLLOWING]
                costs = self.nats([np.concatenate([bars[:start], way, after]) for way in ways])
                log_weights = -np.array([cost[end:].sum() for cost in costs])
                weights = np.exp(log_weights - log_weights.max())
                chosen = int(jax.random.categorical(of_choice, jnp.asarray(log_weights, jnp.float32)))
                bars[start:end] = ways[chosen]
                effective.append(float(weights.sum() ** 2 / np.sum(weights**2)))
            made.append(FilledSong(bars, effective))
        return made

    def untrained(self, seed: int) -> dict[str, SongModel]:
        """The same with fresh parameters."""
        fresh = jax.jit(init, static_argnums=0)(self.network, jax.random.key(seed))
        twin = JointComposer(self.network, fresh, name=f"untrained {self.name}")
        return {twin.name: twin}

    def quick(self) -> SongModel:
        """See `song_model.Quick`."""
        return dataclasses.replace(self, network=self.network.clone(**FEW_ROWS), sizes=QUICK)

    def _parts(self, songs: ListOfSongs, draws: int, seed: int) -> "list[_Parts]":
        """The parts of each song, of `draws` draws; songs of like lengths go together, in few shapes."""
        of_rows, lengths = rows_of(song_keys(seed, range(len(songs)))), np.array([len(song) for song in songs])
        together = TOGETHER if draws > 1 else 1  # the last call may draw more than are asked for: they are left away
        calls = [np.arange(first, first + together, dtype=np.uint32) for first in range(0, draws, together)]
        found: dict[int, _Parts] = {}
        at_a_time = self.sizes.chunk.here // together
        for size, rows, chunk in padded_groups(lengths, lambda size: max(1, at_a_time // size)):
            block = [songs[i] for i in chunk]
            table = song_tables(block, [0] * len(block), [True] * len(block), rows, size, self.sizes.parts)
            of_songs = of_rows(np.resize(chunk, rows))
            scored = [jax.device_get(_score(self.network, self.params, table, of_songs, call)) for call in calls]
            for row, (i, song) in enumerate(zip(chunk.tolist(), block, strict=True)):
                found[i] = _parts_of(scored, row, song, draws)
        return [found[i] for i in range(len(songs))]

    def _go_on(
        self,
        seeds: ListOfSongs,
        keys: Array,
        bars: int,
        settings: Settings,
        may_end: bool = False,
        lengths: Sequence[int] | None = None,
        z: np.ndarray | None = None,
    ) -> list[np.ndarray]:
        """lengths: of each song after its seed, where that is not `bars`; z (S, bars, Z) of new bars, else drawn."""
        beyond = np.zeros(len(seeds), int) if lengths is None else np.array(lengths) - bars
        network = self.network if jax.default_backend() != "cpu" else self.network.clone(**FEW_ROWS)

        def block(chosen: np.ndarray) -> list[np.ndarray]:
            of_block = None if z is None else z[chosen]
            of_songs, further = of_rows(chosen), beyond[chosen]
            call = Call(network, self.params, of_songs, settings, may_end, further, of_block, self.sizes.alike)
            return compose_block(call, [seeds[i] for i in chosen], bars)

        of_rows, groups = rows_of(keys), [np.arange(len(seeds))]
        if self.sizes.alike:
            counts = np.array([len(seed) for seed in seeds])
            groups = [np.flatnonzero(counts == count) for count in np.unique(counts)]
        made: list[np.ndarray] = []
        for rows in groups:
            made += in_blocks(len(rows), SONGS.here, lambda i, rows=rows: block(rows[i]))  # type: ignore[misc]
        return [made[i] for i in np.argsort(np.concatenate(groups))]


class _Parts(NamedTuple):
    """Of one song, in nats: K draws, M distinct bars, n bars."""

    place: np.ndarray  # (M,): the numbers of the new bars
    log_new: np.ndarray  # (M,)
    log_w: np.ndarray  # (K, M)
    rate: np.ndarray  # (K, M)
    log_copy: np.ndarray  # (n,)
    posterior: tuple[np.ndarray, np.ndarray]  # mu and log variance of the new bars, (M, Z) each

    @property
    def kl(self) -> float:
        """Under N(0, I), of all new bars."""
        return float(np.sum(gaussian.kl_to_standard(*self.posterior)))

    def cost(self, log_w: np.ndarray) -> np.ndarray:
        """Of each bar, (n,), where the new ones weigh log_w (M,)."""
        cost = -self.log_copy
        cost[self.place] = -(self.log_new + log_w)
        return cost


def _parts_of(scored: Sequence[Scored], row: int, song: np.ndarray, draws: int) -> _Parts:
    """Of the song in one row of a block."""
    place, _ = first_appearances(song)
    new = len(place)

    def of_draws(name: str) -> np.ndarray:
        """(K, M)."""
        both = np.concatenate([getattr(each, name)[row, :new] for each in scored], axis=-1)
        return both[:, :draws].T.astype(np.float64)

    def of_song(name: str, count: int) -> np.ndarray:
        return np.asarray(getattr(scored[0], name)[row, :count], np.float64)

    log_x, log_prior, log_q = map(of_draws, ("log_x", "log_prior", "log_q"))
    rate = log_q - log_prior
    posterior = of_song("mu", new), of_song("log_var", new)
    return _Parts(place, of_song("log_new", new), log_x - rate, rate, of_song("log_copy", len(song)), posterior)


def init(network: JointMCVAE, key: Array) -> Any:
    """Fresh parameters."""
    zeros = jnp.zeros((1, 1), jnp.int32)
    songs = Songs(jnp.zeros((1, 1, network.steps), jnp.int32), zeros, zeros, zeros[0], zeros)
    return network.init(key, songs, Noise(jnp.zeros((1, 1, 1, network.latent))), method="score")


@functools.partial(jax.jit, static_argnums=0)
def _score(network: JointMCVAE, params: Any, table: Songs, keys: Array, draws: Array) -> Scored:
    """Songs with a key each, (B,), and draws by their numbers, (D,)."""

    def eps(key: Array) -> Array:
        of_draws = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, draws)
        return jax.vmap(lambda key: normal(key, table.bars.shape[1], network.latent), out_axes=1)(of_draws)

    return applied(network, JointMCVAE.score, params, table, Noise(jax.vmap(eps)(keys)))


@functools.partial(jax.jit, static_argnums=0)
def _encode(network: JointMCVAE, params: Any, bars: Array) -> Any:
    return applied(network, JointMCVAE.encode, params, bars)
