"""Models that answer one musician at a time: an ask goes in, bars come out.

The engine keeps no song. Programs are compiled once, for few shapes, before the page says that it is ready (`warm`);
whatever the length of a song, its model reads at most CONTEXT bars before the place in question.
"""

import dataclasses
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from mcvae_jax.errors import UserError
from mcvae_jax.kinds import open_model
from mcvae_jax.models.settings import Settings
from mcvae_jax.models.song_model import MEMORY, NO_LIKELIHOOD, SongModel, can_fill, has_latents, quick
from mcvae_jax.music.grid import grid_of, metre_text
from mcvae_jax.music.tokens import NO_EVENT
from mcvae_jax.places import shown
from mcvae_jax.sampling import modes
from mcvae_jax.sampling.seeds import Seed
from mcvae_jax.sampling.song import Setting
from mcvae_jax.studio.messages import Asked, Continue, Fill, Sliders, Surprise, Vary

CONTEXT = 16  # bars that are read before an answer
BEFORE = 12  # bars that are read before a gap
AFTER = 8  # bars that are read after a gap
PIECE = 8  # bars that are filled, or varied, at a time
OPEN = 4  # bars that are composed after those asked for and thrown away, where the song is to go on
WINDOW = 2 * CONTEXT  # bars that are judged at a time, the first half of them once more as context
TOGETHER = 2  # windows that are judged in one call
METRES = ((4, 4), (3, 4), (6, 8), (2, 2), (2, 4), (5, 4), (9, 8), (12, 8))
CONTINUE, FILL, VARY, SURPRISE = "continue", "fill", "vary", "surprise"
EVERYTHING = (CONTINUE, SURPRISE, FILL, VARY)  # the soonest needed first


class Engine:
    """Models by the steps of their bars."""

    def __init__(self, models: Mapping[int, SongModel]) -> None:
        self.models = {steps: quick(model) for steps, model in models.items()}
        self.ready: set[tuple[int, str]] = set()
        self.trouble = ""  # why it will not get ready
        self._one_at_a_time = threading.Lock()

    def answer(self, asked: Asked) -> dict[str, Any]:
        """The bars, or the bits of bars, that are asked for, as JSON; UserError where they cannot be."""
        model = self.models.get(asked.steps)
        if model is None:
            raise UserError(f"no model here knows bars of {asked.steps} steps")
        song = asked.tokens
        if max(getattr(asked, "chosen", [0]), default=0) >= max(len(song), 1):
            raise UserError(f"the song has {len(song)} bars, and others were asked for")
        name = type(asked).__struct_config__.tag
        if name not in abilities(model):
            raise UserError(f"the {model.name} cannot do this: {name}")
        with self._one_at_a_time:
            if isinstance(asked, Surprise):
                return {"bits": [round(float(bits), 2) for bits in surprise(model, song)]}
            return {"bars": _made(model, asked, song).tolist()}

    def warm(self, wanted: Collection[str] = EVERYTHING) -> Iterator[str]:
        """Compiles all that will be asked for, a piece at a time: says what comes next, for people."""
        for steps, model in self.models.items():
            some = _scale(steps)
            for name in (each for each in abilities(model) if each in wanted):
                yield f"{_DOING[name]} in {' and '.join(usual_metres(steps)[:2])}"
                self.answer(_example(name, steps, some))
                self.ready.add((steps, name))

    @property
    def share(self) -> float:
        """Of what there is to warm, from 0 to 1."""
        return len(self.ready) / sum(len(abilities(model)) for model in self.models.values())

    def about(self) -> list[dict[str, Any]]:
        """What the page has to know about each model."""
        return [
            {
                "steps": steps,
                "quarter": grid_of(steps).quarter,
                "metres": usual_metres(steps),
                "can": list(abilities(model)),
                "pitches": list(model.pitches),
                "facts": _facts(model),
            }
            for steps, model in self.models.items()
        ]


def open_engine(places: Iterable[str], checkpoint: str) -> Engine:
    """An engine of the models in workdirs, files of weights or carried weights; UserError where one can do nothing."""
    models: dict[int, SongModel] = {}
    for place in places:
        model = open_model(place, checkpoint)
        if not abilities(model):
            raise UserError(f"the {model.name} can neither go on nor vary; take a model that can")
        models[model.steps] = model
    return Engine(models)


def abilities(model: SongModel) -> tuple[str, ...]:
    """What can be asked of a model, of EVERYTHING and in its order."""
    can = {
        CONTINUE: MEMORY in model.abilities,
        SURPRISE: model.likelihood != NO_LIKELIHOOD,
        FILL: can_fill(model),
        VARY: has_latents(model),
    }
    return tuple(name for name in EVERYTHING if can[name])


def settings_of(model: SongModel, sliders: Sliders) -> Settings:
    """The model's own settings where all sliders stand in the middle.

    Plainness at its most takes the likeliest, at its least doubles temperature and variance; repetition quarters the
    odds of a repeated bar, or makes them four times as large. One draw is made, since somebody waits.
    """
    own, loose = model.defaults, 2 * (1 - sliders.plainness)
    return dataclasses.replace(
        own,
        best_of=1,
        temperature=own.temperature * loose,
        tau_sigma=own.tau_sigma * loose,
        repetition=own.repetition * 4 ** (2 * sliders.repetition - 1),
    )


def surprise(model: SongModel, song: np.ndarray) -> np.ndarray:
    """Bits of each bar, float64 (n,), given at least CONTEXT bars before it, or all where there are fewer."""
    starts = range(0, max(len(song) - CONTEXT, 1), CONTEXT)
    windows = [song[start : start + WINDOW] for start in starts] if len(song) else []
    found: list[np.ndarray] = []
    for first in range(0, len(windows), TOGETHER):
        group = windows[first : first + TOGETHER]
        costs = model.nats([*group, *[group[-1]] * (TOGETHER - len(group))])[: len(group)]
        found += [cost[CONTEXT if found or n else 0 :] for n, cost in enumerate(costs)]
    return np.concatenate([np.empty(0), *found]) / np.log(2)


def _made(model: SongModel, asked: Continue | Fill | Vary, song: np.ndarray) -> np.ndarray:
    """The bars that follow, or the song with others in the chosen places."""
    settings = settings_of(model, asked.sliders)
    match asked:
        case Continue():
            return _go_on(model, song, asked.wanted, asked.ending, settings, asked.take)
        case Fill():
            return _filled(model, song, runs(asked.chosen, PIECE), settings, asked.take)
        case Vary():
            return _varied(model, song, asked, settings)


def _go_on(model: SongModel, song: np.ndarray, wanted: int, ending: bool, settings: Settings, take: int) -> np.ndarray:
    bars = wanted if ending else wanted + OPEN
    if not len(song):
        return modes.compose(model, 1, bars, settings, first=take)[0].bars[:wanted]
    read = song[-CONTEXT:]
    (made,) = modes.continue_(model, _seed(read), bars, 1, settings, first=take)
    return made.bars[len(read) :][:wanted]


def _filled(
    model: SongModel, song: np.ndarray, gaps: list[tuple[int, int]], settings: Settings, take: int
) -> np.ndarray:
    """A gap at a time, each between what stands before and after it by then."""
    song = song.copy()
    for n, (start, end) in enumerate(gaps):
        until = gaps[n + 1][0] if n + 1 < len(gaps) else len(song)
        first = max(0, start - BEFORE)
        window = _seed(song[first : min(until, end + AFTER)])
        (made,) = modes.infill(model, window, f"{start - first + 1}-{end - first}", 1, settings, first=take)
        song[start:end] = made.bars[start - first : end - first]
    return song


def _varied(model: SongModel, song: np.ndarray, asked: Vary, settings: Settings) -> np.ndarray:
    """A few bars at a time, all of one shape."""
    song, spread = song.copy(), 2 * asked.sliders.distance
    for start, end in runs(asked.chosen, PIECE):
        padded = np.resize(song[start:end], (PIECE, song.shape[1]))
        (made,) = modes.vary(model, _seed(padded), spread, 1, settings, first=asked.take)
        song[start:end] = made.bars[: end - start]
    return song


def runs(chosen: list[int], most: int) -> list[tuple[int, int]]:
    """Numbers of bars -> half-open runs of neighbours, in order, of at most so many bars each."""
    found: list[tuple[int, int]] = []
    for number in sorted(set(chosen)):
        if found and found[-1][1] == number and number - found[-1][0] < most:
            found[-1] = found[-1][0], number + 1
        else:
            found.append((number, number + 1))
    return found


def _seed(bars: np.ndarray) -> Seed:
    return Seed(bars, Setting(), "your song", len(bars), ())


def _scale(steps: int) -> np.ndarray:
    """Bars to warm with, uint8 (CONTEXT + PIECE, T), each another one."""
    song = np.full((CONTEXT + PIECE, steps), NO_EVENT, np.uint8)
    song[:, 0] = 60 + np.arange(len(song)) % 12
    song[:, steps // 2] = 64 + np.arange(len(song)) % 7
    return song


def _example(name: str, steps: int, song: np.ndarray) -> Asked:
    bars: list[list[int]] = song.tolist()
    examples: dict[str, Callable[[], Asked]] = {
        CONTINUE: lambda: Continue(steps=steps, bars=bars, wanted=4),
        FILL: lambda: Fill(steps=steps, bars=bars, chosen=[4, 5, 6, 7]),
        VARY: lambda: Vary(steps=steps, bars=bars, chosen=[0, 1, 2, 3]),
        SURPRISE: lambda: Surprise(steps=steps, bars=bars),
    }
    return examples[name]()


_DOING = {
    CONTINUE: "Getting ready to go on",
    SURPRISE: "Getting ready to listen",
    FILL: "Getting ready to fill gaps",
    VARY: "Getting ready to vary",
}


def usual_metres(steps: int) -> list[str]:
    """The usual metres of which a bar has so many steps, the commonest first."""
    grid = grid_of(steps)
    usual = [metre for metre in METRES if grid.steps_of(*metre) == steps]
    return [metre_text(metre) for metre in usual or [grid.metre]]


def _facts(model: SongModel) -> dict[str, str]:
    """For the fold of technical names."""
    own = model.defaults
    parts = {
        f"{name}, weights": f"step {origin.step} of {shown(origin.folder)}" for name, origin in model.origins.items()
    }
    return {
        "model": model.name,
        **parts,
        "temperature": f"{own.temperature:g} where plainness stands in the middle, twice that at its least",
        "tau_sigma": f"{own.tau_sigma:g} likewise",
        "repetition": "odds of a repeated bar, from a quarter to four times",
        "spread": "2 where distance is at its most, 1 in the middle",
        "read": f"{CONTEXT} bars to go on; {BEFORE} before and {AFTER} after a gap",
    }
