"""A song model that needs no compiler: what it makes can be told from what it was asked. Bars have T steps."""

import functools

import numpy as np

from mcvae_jax.models.settings import Settings
from mcvae_jax.models.song_model import EXACT, FILL, LATENTS, MEMORY, FilledSong, OfCheckpoint
from mcvae_jax.music.tokens import NO_EVENT
from mcvae_jax.studio.engine import Engine


class FakeModel(OfCheckpoint):
    """A bar that it makes holds one note on its first step, whose pitch is drawn from its key."""

    likelihood, abilities, defaults = EXACT, frozenset({MEMORY, FILL, LATENTS}), Settings(temperature=0.7)
    name, origin = "fake", None

    def __init__(self, steps=16):
        self.steps = steps
        self.asked = []

    def _bars(self, count, key):
        pitches = np.random.default_rng(np.asarray(key_data(key))).integers(60, 84, count)
        bars = np.full((count, self.steps), NO_EVENT, np.uint8)
        bars[:, 0] = pitches
        return bars

    def nats(self, songs, draws=1, seed=0):
        """The first bar costs most, each following one less."""
        return [np.log(2) * self.steps * 3 / (1 + np.arange(len(song))) for song in songs]

    def go_on(self, seeds, keys, bars, settings, max_bars=128):
        self.asked.append(("go_on", [len(seed) for seed in seeds], bars, settings))
        return [self._bars(bars, key) for key in keys]

    def fill(self, song, gaps, keys, settings):
        self.asked.append(("fill", len(song), gaps, settings))
        made = []
        for key in keys:
            bars = song.copy()
            for start, end in gaps:
                bars[start:end] = self._bars(end - start, key)
            made.append(FilledSong(bars, []))
        return made

    def encode(self, songs):
        return [(np.zeros((len(song), 2), np.float32), np.zeros((len(song), 2), np.float32)) for song in songs]

    def render(self, z, keys, settings):
        self.asked.append(("render", [each.std() for each in z], None, settings))
        return [self._bars(len(each), key) for each, key in zip(z, keys, strict=True)]


def key_data(key):
    import jax

    return jax.random.key_data(key)


def fake_engine():
    """An engine of two such models, for bars of 16 and 12 steps."""
    return Engine({16: FakeModel(16), 12: FakeModel(12)})


def some_bars(count, steps=16, seed=0):
    """Bars as the page sends them."""
    rng = np.random.default_rng(seed)
    bars = np.full((count, steps), NO_EVENT, np.uint8)
    bars[:, ::4] = rng.integers(60, 80, bars[:, ::4].shape)
    return bars.tolist()


@functools.cache
def compiled():
    """A list that grows by an item with each program that is compiled from now on."""
    import jax

    told = []
    jax.monitoring.register_event_duration_secs_listener(  # for good: jax 0.7.2 has no public way to undo it
        lambda name, seconds, **_: told.append(name) if "backend_compile" in name else None
    )
    return told
