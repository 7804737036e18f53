"""A trained MusicVAE as a song model: songs scored and composed in windows of N bars that know nothing of each other.

A song is cut from its first bar into windows of N bars, of which the last may be shorter; each has a z of its own, and
under the model they are independent. So a song costs at most the sum over its windows of

    -E_q[log p(x | z)] + KL(q(z | x) || N(0, I)),

which is the bound of the song. It belongs to windows, not to bars: what `nats` says of a bar is its reconstruction and
an equal share of the KL of its window. Only the sum over a window is a bound, since z is drawn from q of the whole
window, later bars too.

Letters: S songs, W windows, N bars of a window, n bars of a song, B songs of a block, T steps of a bar, Z latent size,
K draws.
"""

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mcvae_jax.models.bar_by_bar import Turn, compose, token_keys
from mcvae_jax.models.music_vae import MusicVAE, Writer, init
from mcvae_jax.models.settings import AS_TRAINED, Settings
from mcvae_jax.models.song_model import BOUND, MEMORY, OfCheckpoint, SongModel, Songs, bars_of
from mcvae_jax.nn import gaussian
from mcvae_jax.nn.categorical import Cuts, sample_tokens
from mcvae_jax.nn.keys import Purpose, for_purpose, rows_of, song_keys
from mcvae_jax.nn.layers import applied
from mcvae_jax.nn.padding import in_blocks
from mcvae_jax.trained import Origin

Array = jax.Array

WINDOWS = 32  # that are scored in one call
SONGS = 16  # that are composed at a time: one shape, so that a song does not depend on the others
PARTICLES = 32  # of z, from which one is chosen where some bars of a window are given


class Windows(NamedTuple):
    """Songs in windows, one song after the other."""

    bars: np.ndarray  # uint8 (W, N, T), zeros in the padding
    mask: np.ndarray  # float32 (W, N), 1 for the bars of the song
    song: np.ndarray  # int (W,)
    number: np.ndarray  # int (W,), in its song, from 0


class Scored(NamedTuple):
    """Nats of windows."""

    log_x: np.ndarray  # (W, N), log p(x | z) of each bar, 0 in the padding
    log_z: np.ndarray  # (W,), log p(z) - log q(z | x)
    kl: np.ndarray  # (W,), KL(q || N(0, I))


def cut(songs: Songs, size: int) -> Windows:
    """Songs, uint8 (n, T) each, in windows of `size` bars from their first one."""
    count = [-(-len(song) // size) for song in songs]
    padded = [np.pad(song, ((0, -len(song) % size), (0, 0))) for song in songs]
    is_bar = np.concatenate([np.arange(len(each)) < len(song) for song, each in zip(songs, padded, strict=True)])
    return Windows(
        np.concatenate(padded).reshape(-1, size, songs[0].shape[1]),
        is_bar.reshape(-1, size).astype(np.float32),
        np.repeat(np.arange(len(songs)), count),
        np.concatenate([np.arange(n) for n in count]),
    )


@dataclasses.dataclass(frozen=True, eq=False)
class WindowComposer(OfCheckpoint):
    """See the module."""

    network: MusicVAE
    params: Any
    origin: Origin | None = None
    name: str = "MusicVAE"
    defaults: Settings = AS_TRAINED

    likelihood = BOUND
    abilities = frozenset({MEMORY})

    @property
    def steps(self) -> int:
        """T."""
        return self.network.steps

    def nats(self, songs: Songs, draws: int = 1, seed: int = 0) -> list[np.ndarray]:
        """See `SongModel`, and the module for what belongs to a bar."""
        return bars_of(self.shared_nats(songs) - self.log_weights(songs, draws, seed).mean(axis=0), songs)

    def log_weights(self, songs: Songs, draws: int = 1, seed: int = 0) -> np.ndarray:
        """log p(x_t | z, x_<t) of each bar, z drawn from q of its window; see `song_model.log_weights`."""
        windows = cut(songs, self.network.bars)
        return np.stack([each.log_x[windows.mask > 0] for each in self._draws(windows, draws, seed)])

    def shared_nats(self, songs: Songs) -> np.ndarray:
        """The KL of each window, in equal shares of its bars; see `song_model.shared_nats`."""
        windows = cut(songs, self.network.bars)
        (found,) = self._draws(windows, 1, 0)
        return np.repeat(found.kl / windows.mask.sum(axis=1), windows.mask.sum(axis=1).astype(int))

    def tighter_nats(self, songs: Songs, particles: int, seed: int = 0) -> np.ndarray:
        """The bound of each song from so many draws of the z of each window, float64 (S,) nats (Burda et al. 2016)."""
        windows = cut(songs, self.network.bars)
        log_w = [each.log_x.sum(axis=1) + each.log_z for each in self._draws(windows, particles, seed)]
        of_windows = np.log(particles) - np.logaddexp.reduce(log_w, axis=0)
        return np.bincount(windows.song, of_windows, len(songs))

    def bound_parts(self, songs: Songs, draws: int = 1, seed: int = 0) -> dict[str, float]:
        """Nats per bar: 'reconstruction_nats'; 'kl_nats', the KL of the windows, which is the rate 'rate_nats', too."""
        windows = cut(songs, self.network.bars)
        found, bars = list(self._draws(windows, draws, seed)), windows.mask.sum()
        kl = float(found[0].kl.sum() / bars)
        reconstruction = -float(np.mean([each.log_x.sum() for each in found]) / bars)
        return {"reconstruction_nats": reconstruction, "kl_nats": kl, "rate_nats": kl}

    def go_on(
        self, seeds: Songs, keys: Array, bars: int | None, settings: Settings, max_bars: int = 128
    ) -> list[np.ndarray]:
        """See `SongModel`; temperature, top_k and top_p count, and tau_sigma, which multiplies the variance of z.

        A window has z ~ N(0, I). Where the last bars of a seed begin a window, its z is drawn from those that these
        bars leave likely (`_resample`); of the bars of earlier windows the model remembers nothing.
        """
        size = self.network.bars

        def block(chosen: np.ndarray) -> list[np.ndarray]:
            given, of_songs = [seeds[i] for i in chosen], of_rows(chosen)
            of_tokens = for_purpose(of_songs, Purpose.TOKENS)

            def next_bar(writer: Writer, turn: Turn) -> tuple[Writer, Array, Array]:
                window, place = divmod(turn.number, size)
                if not place:
                    z = self._latents([seed[turn.number :][:size] for seed in given], of_songs, window, settings)
                    writer = _begin(self.network, self.params, z)
                return _next_bar(self.network, self.params, writer, turn, place, of_tokens, settings.cuts)

            return compose(None, next_bar, given, bars or max_bars, bars is None)

        of_rows = rows_of(keys)
        return in_blocks(len(seeds), SONGS, block)

    def untrained(self, seed: int) -> dict[str, SongModel]:
        """The same with fresh parameters."""
        fresh = jax.jit(init, static_argnums=0)(self.network, jax.random.key(seed))
        twin = WindowComposer(self.network, fresh, name=f"untrained {self.name}")
        return {twin.name: twin}

    def _draws(self, windows: Windows, draws: int, seed: int) -> Iterator[Scored]:
        """Of one draw of every z after the other; a window's depends on the seed, its song and its number alone."""
        songs = song_keys(seed, range(int(windows.song[-1]) + 1))
        of_rows = rows_of(jax.vmap(jax.random.fold_in)(songs[windows.song], windows.number))
        for draw in range(draws):

            def block(rows: np.ndarray, draw: int = draw) -> Iterator[tuple[np.ndarray, ...]]:
                bars, mask = windows.bars[rows], windows.mask[rows]
                found = _score(self.network, self.params, bars, mask, of_rows(rows), draw)
                return zip(*jax.device_get(found), strict=True)

            of_windows = in_blocks(len(windows.song), WINDOWS, block)
            yield Scored(*(np.stack(part).astype(np.float64) for part in zip(*of_windows, strict=True)))

    def _latents(self, given: Sequence[np.ndarray], keys: Array, window: int, settings: Settings) -> Array:
        """z of one window of each song, (B, Z), of which the bars `given`, uint8 (0 to N, T) each, are known."""
        known = np.array([len(bars) for bars in given])
        z = _from_prior(for_purpose(keys, Purpose.LATENTS), window, settings.tau_sigma, self.network.latent)
        partly = np.flatnonzero((known > 0) & (known < self.network.bars)).tolist()
        if partly:
            of_choice = for_purpose(keys, Purpose.GIVEN)
            for i in partly:
                (bars,), (mask,), *_ = cut([given[i]], self.network.bars)
                z = z.at[i].set(_resample(self.network, self.params, bars, mask, of_choice[i]))
        return z


@functools.partial(jax.jit, static_argnums=0)
def _score(network: MusicVAE, params: Any, bars: Array, mask: Array, keys: Array, draw: Array) -> tuple[Array, ...]:
    """`Scored` of windows (W, N, T) with a key each."""
    of_draw = jax.vmap(jax.random.fold_in, in_axes=(0, None))(keys, draw)
    eps = jax.vmap(lambda key: jax.random.normal(key, (network.latent,)))(of_draw)
    mu, log_var, predicted = applied(network, MusicVAE.__call__, params, bars, mask, eps)
    log_x = jnp.where(mask > 0, predicted.log_p.sum(axis=-1), 0.0)
    return log_x, _log_ratio(mu, log_var, eps), jnp.sum(gaussian.kl_to_standard(mu, log_var), axis=-1)


def _log_ratio(mu: Array, log_var: Array, eps: Array) -> Array:
    """log N(z; 0, I) - log q(z) of z = mu + sigma * eps, summed over the last axis."""
    z = mu + jnp.exp(log_var / 2) * eps
    return 0.5 * jnp.sum(eps**2 + log_var - z**2, axis=-1)


@functools.partial(jax.jit, static_argnums=3)
def _from_prior(keys: Array, window: Array, tau_sigma: Array, latent: int) -> Array:
    """(B, Z)."""
    of_window = jax.vmap(jax.random.fold_in, in_axes=(0, None))(keys, window)
    return jnp.sqrt(tau_sigma) * jax.vmap(lambda key: jax.random.normal(key, (latent,)))(of_window)


@functools.partial(jax.jit, static_argnums=0)
def _resample(network: MusicVAE, params: Any, bars: Array, mask: Array, key: Array) -> Array:
    """z (Z,) of a window (N, T) whose mask (N,) says which bars are given: sampling importance resampling (Rubin 1988).

    Of PARTICLES draws from q(z | given bars) one is chosen by p(given bars | z) p(z) / q(z | given bars).
    """
    of_draws, of_choice = jax.random.split(key)
    mu, log_var = (each[0] for each in applied(network, MusicVAE.encode, params, bars[None], mask[None]))
    eps = jax.random.normal(of_draws, (PARTICLES, network.latent))
    z = mu + jnp.exp(log_var / 2) * eps
    predicted = applied(network, MusicVAE.predict, params, z, jnp.broadcast_to(bars, (PARTICLES, *bars.shape)))
    log_x = jnp.sum(jnp.where(mask > 0, predicted.log_p.sum(axis=-1), 0.0), axis=-1)
    return z[jax.random.categorical(of_choice, log_x + _log_ratio(mu, log_var, eps))]


@functools.partial(jax.jit, static_argnums=0)
def _begin(network: MusicVAE, params: Any, z: Array) -> Writer:
    return applied(network, MusicVAE.begin, params, z)


@functools.partial(jax.jit, static_argnums=0)
def _next_bar(
    network: MusicVAE,
    params: Any,
    writer: Writer,
    turn: Turn,
    place: Array,
    keys: Array,
    cuts: Cuts,
) -> tuple[Writer, Array, Array]:
    """See `bar_by_bar.NextBar`; `place` is the number of the bar in its window."""
    of_tokens = token_keys(keys, turn.drawn, network.steps + 1)

    def choose(logits: Array, token: Array) -> Array:
        step = token % network.steps
        return jnp.where(turn.is_given, turn.bar[:, step], sample_tokens(logits, of_tokens[:, step], *cuts))

    writer, bar = applied(network, MusicVAE.write, params, writer, place, choose)
    return writer, bar.tokens, jax.vmap(jax.random.bernoulli)(of_tokens[:, -1], jax.nn.sigmoid(bar.stop_logit))
