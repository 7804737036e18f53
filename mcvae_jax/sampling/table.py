"""The table of modes: what each makes, what it needs of a model, and which options it takes."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from mcvae_jax.models.settings import Settings
from mcvae_jax.models.song_model import FILL, LATENTS, MEMORY, SongModel
from mcvae_jax.sampling import modes
from mcvae_jax.sampling.seeds import Seed
from mcvae_jax.sampling.song import Songs

Say = Callable[[str], None]
Seeds = Sequence[Seed]


BARS = 25  # that are composed, where neither the call nor the model says how many
SEED_BARS = 64  # of a seed that the model reads, where a mode does not say otherwise
OF_SEEDS = ("seed_file", "seed_bars", "seed_from", "melody", "metre", "tune")
OF_DRAWS = ("tau_pi", "tau_sigma", "tau_recall", "repetition")


@dataclasses.dataclass(frozen=True)
class Options:
    """What a call asks for, beside seeds and settings; each mode takes some of it."""

    songs: int = 8
    first: int | None = None  # number of the first song; None is 1
    bars: int | None = None  # composed bars of each song; None is BARS, or until the model ends it
    max_bars: int = 128  # where the model ends songs
    missing: str = ""  # bars to compose anew, as 5-8 or 3,9-12
    spread: float = 1.0  # how far from the song
    steps: int = 5  # songs of a path
    path: str = "both"  # one of modes.PATHS


Make = Callable[[SongModel, Seeds, Options, Settings, Say], Songs]


class Mode(NamedTuple):
    """A row."""

    name: str
    description: str  # what it makes
    make: Make
    needs: str  # the ability that its model must have; '' for none
    takes: tuple[str, ...]  # the options that are not for all modes and that it takes
    seeds: tuple[str, ...] = ()  # the options that name its music
    seed_bars: int = SEED_BARS
    end: str = "first"  # which bars of a seed are read: 'first' or 'last'
    keeps: str = ""  # of the seed's file 'all', what comes 'before' composed bars, or what is 'heard'; '' for nothing
    must: Mapping[str, str] = {}  # other options that must be given, and what is said where they are not


def _compose(model: SongModel, seeds: Seeds, asked: Options, settings: Settings, say: Say) -> Songs:
    return modes.compose(model, asked.songs, asked.bars, settings, asked.first or 1, asked.max_bars, say)


def _continue(model: SongModel, seeds: Seeds, asked: Options, settings: Settings, say: Say) -> Songs:
    return modes.continue_(model, seeds, asked.bars or BARS, asked.songs, settings, asked.first or 1, say=say)


def _vary(model: SongModel, seeds: Seeds, asked: Options, settings: Settings, say: Say) -> Songs:
    return modes.vary(model, seeds, asked.spread, asked.songs, settings, asked.first or 1)


def _infill(model: SongModel, seeds: Seeds, asked: Options, settings: Settings, say: Say) -> Songs:
    return modes.infill(model, seeds[0], asked.missing, asked.songs, settings, asked.first or 1, say)


def _interpolate(model: SongModel, seeds: Seeds, asked: Options, settings: Settings, say: Say) -> Songs:
    return modes.interpolate(model, seeds[0], seeds[1], asked.steps, asked.path, settings)


def _reconstruct(model: SongModel, seeds: Seeds, asked: Options, settings: Settings, say: Say) -> Songs:
    return modes.reconstruct(model, seeds, settings, asked.first or 1)


def _vae(model: SongModel, seeds: Seeds, asked: Options, settings: Settings, say: Say) -> Songs:
    return modes.without_memory(model, asked.songs, asked.bars or BARS, settings, asked.first or 1)


ONE, TWO = ("seed_file",), ("seed_file", "seed_file_b")
MODES = {
    mode.name: mode
    for mode in (
        Mode(
            "compose",
            "songs from nothing, until the model ends them or for --bars bars",
            _compose,
            MEMORY,
            ("songs", "first", "bars", "max_bars", "best_of", *OF_DRAWS),
        ),
        Mode(
            "continue",
            "songs that go on from yours: --seed_file=tune.mid",
            _continue,
            MEMORY,
            ("songs", "first", "bars", "best_of", *OF_SEEDS, *OF_DRAWS),
            ONE,
            16,
            "last",
            keeps="before",
        ),
        Mode(
            "vary",
            "songs near yours: --seed_file=tune.mid --spread=2",
            _vary,
            LATENTS,
            ("songs", "first", "spread", *OF_SEEDS),
            ONE,
            keeps="heard",
        ),
        Mode(
            "infill",
            "yours, with some bars composed anew: --seed_file=tune.mid --missing=5-8",
            _infill,
            FILL,
            ("songs", "first", "missing", *OF_SEEDS, *OF_DRAWS),
            ONE,
            keeps="all",
            must={"missing": "composes some bars anew: say which, as --missing=5-8"},
        ),
        Mode(
            "interpolate",
            "songs on the way from one to another: --seed_file=a.mid --seed_file_b=b.mid",
            _interpolate,
            LATENTS,
            ("steps", "path", "seed_file_b", *OF_SEEDS),
            TWO,
        ),
        Mode(
            "reconstruct",
            "yours, and what the model keeps of it: --seed_file=tune.mid",
            _reconstruct,
            LATENTS,
            ("first", *OF_SEEDS),
            ONE,
        ),
        Mode(
            "vae",
            "what the VAE alone makes, without memory of the bars before: its free run, and bar by bar",
            _vae,
            "",
            ("songs", "first", "bars"),
        ),
    )
}


def taken_by(option: str) -> tuple[str, ...]:
    """The modes that an option is for: those whose rows name it, or all where none does."""
    return tuple(name for name, mode in MODES.items() if option in mode.takes) or tuple(MODES)
