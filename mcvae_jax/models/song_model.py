"""What every composer is to its users: sampling, evaluation, the thesis' figures and the listening test ask it alone.

A model of songs says what each bar of a song costs given the bars before it, and goes on from given bars. Whether it
works in latents, in tokens or in counted n-grams is its own affair.

Letters: S songs, n bars of a song, T steps of a bar.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol, TypeGuard, runtime_checkable

import jax
import numpy as np

from mcvae_jax.models.settings import Settings
from mcvae_jax.music.tokens import HIGHEST
from mcvae_jax.trained import Origin

Songs = Sequence[np.ndarray]  # uint8 (n, T) each
Gaps = Sequence[tuple[int, int]]  # the first bar of each and the one after its last, from 0, in order

EXACT, BOUND, NO_LIKELIHOOD = "exact", "bound", "none"  # what `nats` is
MEMORY, FILL, LATENTS = "memory of bars", "way to fill gaps", "latents"  # abilities


class SongModel(Protocol):
    """A trained model of songs, ready to use."""

    @property
    def name(self) -> str:
        """For people: 'MCVAE', 'Kneser-Ney 5-gram'."""

    @property
    def steps(self) -> int:
        """T."""

    @property
    def pitches(self) -> tuple[int, int]:
        """The lowest and the highest MIDI pitch to which it gives a chance."""

    @property
    def likelihood(self) -> str:
        """EXACT: `nats` are -log p; BOUND: they are an upper bound of it; NO_LIKELIHOOD: there are none."""

    @property
    def abilities(self) -> frozenset[str]:
        """MEMORY: a bar depends on those before; FILL: it is a `FillingModel`; LATENTS: a `LatentModel`."""

    @property
    def defaults(self) -> Settings:
        """With which a musician hears it at its best."""

    @property
    def lacks(self) -> Mapping[str, str]:
        """What to do about an ability that it has not, where something can be done."""

    @property
    def origins(self) -> Mapping[str, Origin]:
        """The checkpoints that it was read from, by what they are; {} for none."""

    def nats(self, songs: Songs, draws: int = 1, seed: int = 0) -> list[np.ndarray]:
        """What each bar costs given the bars before it: float64 (n,) nats for each song.

        A bound over several bars at a time says how it shares them out; then only its sums over these are bounds.

        Args:
          draws: that a bound is averaged over; an exact model takes none.
          seed: of the draws.
        """

    def go_on(
        self, seeds: Songs, keys: jax.Array, bars: int | None, settings: Settings, max_bars: int = 128
    ) -> list[np.ndarray]:
        """The bars that follow each seed, uint8 (m, T).

        A song depends on its seed, its key, the settings and the model, and not on what else is in the call.

        Args:
          seeds: uint8 (n, T) each; n = 0 composes from nothing.
          keys: one for each song, (S,).
          bars: of every song; None lets the model end each, after one bar at least and `max_bars` at most.
          settings: what of them counts is the model's affair; its seed is not read.
        """

    def untrained(self, seed: int) -> "dict[str, SongModel]":
        """Twins with fresh parameters in part or all of the model, by name: controls of an evaluation."""

    def baselines(self, training: Songs) -> "dict[str, SongModel]":
        """What the model would be without memory, fitted to training songs, by name: what memory is worth."""

    def kin(self) -> "list[SongModel]":
        """Other models that its workdir holds, such as the VAE of an MCVAE without its prior."""


class FilledSong(NamedTuple):
    """A song whose gaps are filled."""

    bars: np.ndarray  # uint8 (n, T)
    effective: list[float]  # effective sample size of the draws for each gap, of sequences.PARTICLES; [] without such


@runtime_checkable
class Parted(Protocol):
    """A song model with a bound that has parts."""

    def bound_parts(self, songs: Songs, draws: int = 1, seed: int = 0) -> dict[str, float]:
        """Nats per bar: 'reconstruction_nats', 'kl_nats' (under N(0, I)), 'rate_nats' (under the prior)."""


@runtime_checkable
class Tightened(Protocol):
    """A song model whose bound can be made tighter by weighing several draws for every bar or window."""

    def tighter_nats(self, songs: Songs, particles: int, seed: int = 0) -> np.ndarray:
        """A tighter bound of each song, float64 (S,) nats, from so many particles."""


class LatentModel(SongModel, Parted, Protocol):
    """A model with the ability LATENTS."""

    def encode(self, songs: Songs) -> list[tuple[np.ndarray, np.ndarray]]:
        """q of the bars of each song: mu and log variance, float32 (n, Z) each."""

    def render(self, z: Sequence[np.ndarray], keys: jax.Array, settings: Settings) -> list[np.ndarray]:
        """The bars, uint8 (n, T), of each song's z (n, Z), with a key each, (S,)."""


class FillingModel(SongModel, Protocol):
    """A model with the ability FILL."""

    def fill(self, song: np.ndarray, gaps: Gaps, keys: jax.Array, settings: Settings) -> list[FilledSong]:
        """Songs of the bars of `song`, uint8 (n, T), with others composed in its gaps, one for each key (S,)."""


def has_latents(model: SongModel) -> TypeGuard[LatentModel]:
    """Whether it has the ability LATENTS."""
    return LATENTS in model.abilities


def can_fill(model: SongModel) -> TypeGuard[FillingModel]:
    """Whether it has the ability FILL."""
    return FILL in model.abilities


@runtime_checkable
class Weighed(Protocol):
    """A song model that tells what each draw of its bound weighs."""

    def log_weights(self, songs: Songs, draws: int = 1, seed: int = 0) -> np.ndarray:
        """See the function of this name."""


@runtime_checkable
class Shared(Protocol):
    """A `Weighed` model with latents that several bars have in common."""

    def shared_nats(self, songs: Songs) -> np.ndarray:
        """See the function of this name."""


@runtime_checkable
class Quick(Protocol):
    """A song model that can be had for a listener who waits for one song."""

    def quick(self) -> SongModel:
        """The same chances, computed a few songs at a time: the songs are other draws than in a call of many."""


class Alone:
    """What a `SongModel` inherits beside which no other stands."""

    def untrained(self, seed: int) -> "dict[str, SongModel]":
        """None."""
        return {}

    def baselines(self, training: Songs) -> "dict[str, SongModel]":
        """None."""
        return {}

    def kin(self) -> "list[SongModel]":
        """None."""
        return []


class OfCheckpoint(Alone):
    """What a `SongModel` inherits that was read from one checkpoint, or is fresh, and can say any note."""

    name: str
    origin: Origin | None
    pitches = (0, HIGHEST)

    @property
    def lacks(self) -> Mapping[str, str]:
        """Nothing that can be mended."""
        return {}

    @property
    def origins(self) -> dict[str, Origin]:
        """Its checkpoint."""
        return {self.name: self.origin} if self.origin else {}


def quick(model: SongModel) -> SongModel:
    """The model for a listener who waits for one song: as `Quick` has it, else as it is."""
    return model.quick() if isinstance(model, Quick) else model


def log_weights(model: SongModel, songs: Songs, draws: int = 1, seed: int = 0) -> np.ndarray:
    """log of what each bar's cost is made of, for mixtures with other models: float64 (draws, N), all songs in a row.

    For an exact model log p(x_t | x_<t), in one row; for a bound log p(x_t | z_t) p(z_t | z_<t) / q(z_t | x_t) of each
    draw, which only a model with `log_weights` of its own can tell; where bars share their latents log p(x_t | z, x_<t)
    alone, beside which `shared_nats` stand.
    """
    if model.likelihood == EXACT:
        return -np.concatenate(model.nats(songs))[None]
    if not isinstance(model, Weighed):
        raise ValueError(f"the {model.name} has a bound and no `log_weights` to mix with")
    return model.log_weights(songs, draws, seed)


def shared_nats(model: SongModel, songs: Songs) -> np.ndarray | float:
    """What latents cost that several bars share, (N,), each bar its part; 0 of models that have none such.

    It is no part of what each bar is mixed with: the latents are drawn, and cost the same, whether a bar is a copy or
    not. So p(z) prod_t (p_new p(x_t | z, x_<t) + p_copy) is what a switch around such a model says.
    """
    return model.shared_nats(songs) if isinstance(model, Shared) else 0.0


def bars_of(of_bars: np.ndarray, songs: Songs) -> list[np.ndarray]:
    """What stands in a row for the bars of all songs, (N, ...), for each song."""
    ends = np.cumsum([len(song) for song in songs]).tolist()
    return [of_bars[end - len(song) : end] for song, end in zip(songs, ends, strict=True)]


def main_origin(model: SongModel) -> Origin:
    """The first of its checkpoints, whose data say on which corpus it was trained; ValueError for a model without."""
    if not model.origins:
        raise ValueError(f"the {model.name} was read from no workdir")
    return next(iter(model.origins.values()))


def bits_of_songs(nats: Sequence[np.ndarray]) -> np.ndarray:
    """Bits of each song, float64 (S,), from the nats of its bars."""
    return np.array([each.sum() for each in nats]) / np.log(2)
