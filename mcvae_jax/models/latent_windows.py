"""Songs whose latents are drawn a window of bars at a time: from nothing, continued, with gaps filled.

What draws a window, from both sides and all of its bars together, is the matter of who inherits this. A song longer
than the window is composed in windows of which each sees up to half a window of what stands before it.

Letters: S songs, n bars of a song, B windows, W bars of a window, Z latent size.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from mcvae_jax.models.bar_codec import BarCodec
from mcvae_jax.models.latent_composer import WithPrior, draw_near
from mcvae_jax.models.prior import Moments
from mcvae_jax.models.settings import Settings
from mcvae_jax.models.song_model import FILL, LATENTS, MEMORY, FilledSong, Gaps, Songs
from mcvae_jax.nn.arrays import AnyArray
from mcvae_jax.nn.keys import Purpose, for_purpose, rows_of
from mcvae_jax.nn.padding import in_blocks
from mcvae_jax.trained import Origin

Array = jax.Array

SONGS = 16  # that are composed at a time
LENGTHS = 256  # that stand for those of the training songs
STANDARD, SONG_LENGTHS = ("standard_mean", "standard_scale"), "song_lengths"  # what of the parameters is from the data
CONSTANTS = frozenset((*STANDARD, SONG_LENGTHS))


class Place(NamedTuple):
    """Which bars of its song each window holds, int32 (B,) each but `ends`."""

    first: AnyArray  # the number of the first
    bars: AnyArray  # how many, which lead
    ends: AnyArray  # float32 (B,): 1 where the last of them is the last of the song

    def known(self, window: int) -> Array:
        """Which places of the window hold a bar, bool (B, W)."""
        return jnp.arange(window) < self.bars[:, None]


class WindowPrior(Protocol):
    """What draws windows; its parameters hold CONSTANTS."""

    @property
    def window(self) -> int:
        """W."""

    @property
    def latent(self) -> int:
        """Z."""

    def untrained(self, params: Any, key: Array) -> Any:
        """Fresh parameters with what came from the data of `params`."""


def constants(moments: Moments, lengths: np.ndarray) -> dict[str, Array]:
    """What such a prior has from the data: moments of the latents, and the bars of the training songs, (S,)."""
    evenly = np.quantile(lengths, (np.arange(LENGTHS) + 0.5) / LENGTHS, method="inverted_cdf")
    known = dict(zip((*STANDARD, SONG_LENGTHS), (*moments, evenly), strict=True))
    return {name: jnp.asarray(value, jnp.float32) for name, value in known.items()}


def standardised(params: Any, z: Array) -> Array:
    """z (.., Z) in units of the moments."""
    mean, scale = (jax.lax.stop_gradient(params[name]) for name in STANDARD)
    return (z - mean) / scale


def of_standardised(params: Any, x: Array) -> Array:
    """The latents themselves."""
    return params[STANDARD[0]] + params[STANDARD[1]] * x


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
class InWindows(WithPrior):
    """See the module."""

    codec: BarCodec
    prior: Any  # a `WindowPrior`
    params: Any
    origin: Origin | None = None
    name: str = "VAE and prior"
    prior_name: str = "prior"
    defaults: Settings = Settings()

    abilities = frozenset({MEMORY, FILL, LATENTS})
    lacks: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def drawn(self, z: np.ndarray, known: np.ndarray, place: Place, keys: Array, settings: Settings) -> Array:
        """Windows z (B, W, Z) with all bars that are not known, (B, W); either in each some are known, or in none."""
        raise NotImplementedError

    @property
    def origins(self) -> dict[str, Origin]:
        """Of the VAE and of the prior."""
        known = {"VAE": self.codec.origin, self.prior_name: self.origin}
        return {name: origin for name, origin in known.items() if origin is not None}

    def go_on(
        self, seeds: Songs, keys: Array, bars: int | None, settings: Settings, max_bars: int = 128
    ) -> list[np.ndarray]:
        """See `SongModel`.

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

    def untrained(self, seed: int) -> dict[str, Any]:
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
            for is_given in (False, True):
                rows = [i for i in left if drafts[i].known[starts[i] :][:window].any() == is_given]
                for i, z in zip(rows, self._windows(drafts, rows, starts, keys, settings), strict=True):
                    drafts[i] = _with_window(drafts[i], starts[i], z)
        return [draft.z for draft in drafts]

    def _windows(
        self,
        drafts: Sequence[Draft],
        rows: Sequence[int],
        starts: Mapping[int, int],
        keys: Array,
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
            place = place_of(first, left, np.array([drafts[i].ends for i in songs]), window)
            of_windows = _part_keys_of(of_rows(np.array(songs)), first)
            return list(np.asarray(self.drawn(z, known, place, of_windows, settings)))

        of_rows = rows_of(keys)
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


def place_of(first: Any, left: np.ndarray, ends: np.ndarray, window: int) -> Place:
    """Of windows that begin with bars `first` (B,) of songs that have `left` bars from there on."""
    return Place(
        np.asarray(first, np.int32),
        np.minimum(left, window).astype(np.int32),
        (ends & (left <= window)).astype(np.float32),
    )


@jax.jit
def _part_keys_of(keys: Array, first: Array) -> Array:
    return jax.vmap(jax.random.fold_in)(keys, first)
