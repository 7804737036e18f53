"""A bar VAE with a diffusion prior over its latents as a `SongModel`: songs from nothing, continued, with gaps filled.

A song costs, at most, what a song costs under any prior (models/bounds.py), with the bound of the process in the place
of -log p(z). A song longer than the window is scored as windows one after the other, none of which sees another; it is
composed in windows of which each sees up to half a window of what stands before it.

A bar's figure is its share of the KLs of its window, in which bars see each other both ways. Only the sum over a song
is a bound, and nothing is said of a bar given those before it, so that no copy switch can be put around this model.

Letters: S songs, n bars of a song, N bars of all songs, W bars of a window, T steps of a bar, Z latent size.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from mcvae_jax.models.bar_codec import BarCodec
from mcvae_jax.models.bounds import bounds, song_draws, summarise
from mcvae_jax.models.diffusion.network import Place
from mcvae_jax.models.diffusion.prior import SONG_LENGTHS, DiffusionPrior
from mcvae_jax.models.diffusion.process import Path
from mcvae_jax.models.latent_composer import WithPrior, draw_near
from mcvae_jax.models.settings import Settings
from mcvae_jax.models.song_model import BOUND, FILL, LATENTS, MEMORY, FilledSong, Gaps, SongModel, Songs, bars_of
from mcvae_jax.nn import gaussian
from mcvae_jax.nn.keys import Purpose, for_purpose
from mcvae_jax.nn.padding import in_blocks
from mcvae_jax.trained import Origin

Array = jax.Array

WINDOWS = 32  # that are scored at a time
SONGS = 16  # that are composed at a time
DRAWN_LEVELS = 32  # of each draw of a song, beside the first
OF_LEVELS = 0x7FFFFFFE  # folded into the key where `bounds.draw_latents` folds the number of a song


@dataclasses.dataclass(frozen=True)
class Draft:
    """A song in the making."""

    z: np.ndarray  # float32 (n, Z)
    known: np.ndarray  # bool (n,)
    ends: bool  # whether its last bar is to be the end

    @property
    def first(self) -> int:
        """Its first bar that is not known; n for none."""
        return int(np.argmin(np.append(self.known, False)))


@dataclasses.dataclass(frozen=True, eq=False)
class DiffusionComposer(WithPrior):
    """See the module."""

    codec: BarCodec
    prior: DiffusionPrior
    params: Any
    origin: Origin | None = None
    name: str = "VAE and diffusion prior"
    prior_name: str = "diffusion prior"
    defaults: Settings = Settings()

    likelihood = BOUND
    abilities = frozenset({MEMORY, FILL, LATENTS})
    lacks: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def origins(self) -> dict[str, Origin]:
        """Of the VAE and of the prior."""
        known = {"VAE": self.codec.origin, self.prior_name: self.origin}
        return {name: origin for name, origin in known.items() if origin is not None}

    def nats(self, songs: Songs, draws: int = 1, seed: int = 0) -> list[np.ndarray]:
        """See `SongModel`; the sum over a song is a bound, a bar's figure its share of that alone."""
        drawn = song_draws(self.codec, songs, seed)
        cost = -np.asarray(gaussian.entropy(drawn.posteriors.log_var), np.float64)
        for draw in range(draws):
            z, log_x = drawn[draw]
            of_draw = self.latent_nats(z, drawn.posteriors.lengths, seed, draw)
            cost += (of_draw - log_x.astype(np.float64)) / draws
        return bars_of(cost, songs)

    def latent_nats(self, z: np.ndarray, lengths: np.ndarray, seed: int, draw: int) -> np.ndarray:
        """Shares of the bound of -log p(z) of songs z (N, Z) of `lengths` (S,) bars, without bias: (N,) nats.

        The levels and noise of a song depend on the seed, the draw and the place of the song alone.
        """
        offsets, window = np.cumsum(lengths) - lengths, self.prior.window
        parts = [(song, first) for song, bars in enumerate(lengths) for first in range(0, bars, window)]
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), OF_LEVELS), draw)
        keys, found = _part_keys(key, np.array(parts, np.uint32)), np.empty(len(z))

        def block(chosen: np.ndarray) -> list[np.ndarray]:
            rows = [parts[i] for i in chosen]
            padded = np.zeros((len(rows), window, self.prior.latent), np.float32)
            for row, (song, first) in zip(padded, rows, strict=True):
                bars = z[offsets[song] :][first : min(first + window, lengths[song])]
                row[: len(bars)] = bars
            left = np.array([lengths[song] - first for song, first in rows])
            place = _place([first for _, first in rows], left, np.ones(len(rows), bool), window)
            return list(np.asarray(_bound(self.prior, self.params, padded, place, keys[chosen])))

        for (song, first), nats in zip(parts, in_blocks(len(parts), WINDOWS, block), strict=True):
            bars = min(window, lengths[song] - first)
            found[offsets[song] + first :][:bars] = nats[:bars]
        return found

    def bound_parts(self, songs: Songs, draws: int = 1, seed: int = 0) -> dict[str, float]:
        """See `LatentModel`; the rate is that of the bound of -log p(z)."""
        drawn = song_draws(self.codec, songs, seed)
        parts = summarise(bounds(drawn, {}, draws), self.steps)
        lengths = drawn.posteriors.lengths
        of_z = np.mean([self.latent_nats(drawn[n].z, lengths, seed, n).mean() for n in range(draws)])
        return {name: parts[name] for name in ("reconstruction_nats", "kl_nats")} | {
            "rate_nats": float(of_z) - parts["entropy_nats"]
        }

    def go_on(
        self, seeds: Songs, keys: Array, bars: int | None, settings: Settings, max_bars: int = 128
    ) -> list[np.ndarray]:
        """See `SongModel`; tau_sigma multiplies the variance of the noise that each step of the sampler adds.

        Without `bars` a song is as long as some training song that is longer than its seed, and is cut where that is
        too long; with it, and where there is none, it ends there.
        """
        given = self.drawn_near(seeds, keys)
        of_lengths = for_purpose(keys, Purpose.LENGTH)
        drafts = []
        for z, key in zip(given, of_lengths, strict=True):
            wanted = self._drawn_length(len(z), key) if bars is None else len(z) + bars
            most = len(z) + (max_bars if bars is None else bars)
            length = min(wanted or most, most)
            missing = np.zeros((length - len(z), self.prior.latent), np.float32)
            drafts.append(Draft(np.concatenate([z, missing]), np.arange(length) < len(z), (wanted or most) <= most))
        made = self._completed(drafts, for_purpose(keys, Purpose.LATENTS), settings)
        return self.render([z[len(seed) :] for z, seed in zip(made, given, strict=True)], keys, settings)

    def fill(self, song: np.ndarray, gaps: Gaps, keys: Array, settings: Settings) -> list[FilledSong]:
        """See `FillingModel`; all gaps within a window are filled at the same time, from both sides."""
        known = np.ones(len(song), bool)
        for start, end in gaps:
            known[start:end] = False
        (posterior,) = self.encode([song])
        drafts = [Draft(draw_near(posterior, key), known, True) for key in for_purpose(keys, Purpose.GIVEN)]
        made = self.render(self._completed(drafts, for_purpose(keys, Purpose.LATENTS), settings), keys, settings)
        return [FilledSong(np.where(known[:, None], song, bars), []) for bars in made]

    def untrained(self, seed: int) -> dict[str, SongModel]:
        """The trained VAE with a prior as it was before training, and both as they were."""
        fresh = jax.jit(self.prior.untrained)(self.params, jax.random.split(jax.random.key(seed))[1])
        return {
            f"untrained {self.prior_name}": dataclasses.replace(self, params=fresh),
            "untrained composer": dataclasses.replace(self, codec=self.codec.untrained(seed), params=fresh),
        }

    def _drawn_length(self, given: int, key: Array) -> int:
        """The length of some training song with more than `given` bars; 0 where there is none."""
        longer = [int(length) for length in np.asarray(self.params[SONG_LENGTHS]) if length > given]
        return longer[int(jax.random.randint(key, (), 0, len(longer)))] if longer else 0

    def _completed(self, drafts: Sequence[Draft], keys: Array, settings: Settings) -> list[np.ndarray]:
        """z of the drafts with all that was missing, float32 (n, Z), window by window from left to right."""
        window, drafts = self.prior.window, list(drafts)
        while left := [i for i, draft in enumerate(drafts) if draft.first < len(draft.z)]:
            starts = {i: window_start(drafts[i].first, len(drafts[i].z), window) for i in left}
            for is_given in (False, True):  # where nothing is given, nothing has to fit, and one repeat is enough
                rows = [i for i in left if drafts[i].known[starts[i] :][:window].any() == is_given]
                path = self.prior.path if is_given else self.prior.path._replace(repeats=1)
                for i, z in zip(rows, self._windows(drafts, rows, starts, keys, path, settings), strict=True):
                    drafts[i] = _with_window(drafts[i], starts[i], z)
        return [draft.z for draft in drafts]

    def _windows(
        self,
        drafts: Sequence[Draft],
        rows: Sequence[int],
        starts: Mapping[int, int],
        keys: Array,
        path: Path,
        settings: Settings,
    ) -> list[np.ndarray]:
        """The windows (W, Z) at their starts of some of the drafts."""
        window = self.prior.window

        def block(chosen: np.ndarray) -> list[np.ndarray]:
            songs = [rows[i] for i in chosen]
            z, known = (
                np.zeros((len(songs), window, self.prior.latent), np.float32),
                np.zeros((len(songs), window), bool),
            )
            for n, i in enumerate(songs):
                part = slice(starts[i], starts[i] + window)
                z[n, : len(drafts[i].z[part])], known[n, : len(drafts[i].z[part])] = (
                    drafts[i].z[part],
                    drafts[i].known[part],
                )
            first = np.array([starts[i] for i in songs])
            left = np.array([len(drafts[i].z) for i in songs]) - first
            place = _place(first, left, np.array([drafts[i].ends for i in songs]), window)
            of_windows = _part_keys_of(keys[np.array(songs)], first)
            spread = np.float32(settings.tau_sigma)
            return list(np.asarray(_sample(self.prior, path, self.params, z, known, place, of_windows, spread)))

        return in_blocks(len(rows), SONGS, block)


def window_start(first: int, bars: int, window: int) -> int:
    """Where the window lies that draws bar `first` of a song and what follows: half of it before, where that is."""
    return max(0, min(first - window // 2, bars - window))


def _with_window(draft: Draft, start: int, z: np.ndarray) -> Draft:
    part = slice(start, start + len(z))
    whole, known = draft.z.copy(), draft.known.copy()
    whole[part] = np.where(known[part, None], whole[part], z[: len(whole[part])])
    known[part] = True
    return dataclasses.replace(draft, z=whole, known=known)


def _place(first: Any, left: np.ndarray, ends: np.ndarray, window: int) -> Place:
    """Of windows that begin with bars `first` (B,) of songs that have `left` bars from there on."""
    return Place(
        np.asarray(first, np.int32),
        np.minimum(left, window).astype(np.int32),
        (ends & (left <= window)).astype(np.float32),
    )


@jax.jit
def _part_keys(key: Array, parts: Array) -> Array:
    """Keys (B,) of parts (B, 2): of which song, from which bar on."""
    return jax.vmap(lambda part: jax.random.fold_in(jax.random.fold_in(key, part[0]), part[1]))(parts)


@jax.jit
def _part_keys_of(keys: Array, first: Array) -> Array:
    return jax.vmap(jax.random.fold_in)(keys, first)


@functools.partial(jax.jit, static_argnums=0)
def _bound(prior: DiffusionPrior, params: Any, z: Array, place: Place, keys: Array) -> Array:
    return prior.bound_nats(params, z, place, keys, DRAWN_LEVELS)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _sample(
    prior: DiffusionPrior, path: Path, params: Any, z: Array, known: Array, place: Place, keys: Array, spread: Array
) -> Array:
    return prior.sample(params, z, known, place, keys, path, spread)
