"""Sets A and B, every set of melodies that the thesis scores, and their scores (thesis 6.4.2 to 6.6)."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from mcvae_jax.batches.songs import LONGEST, SHORTEST, scored_songs
from mcvae_jax.corpus.store import HELD_OUT, TRAIN, Corpus
from mcvae_jax.errors import UserError
from mcvae_jax.evaluation.blends import mixed_steps, published_blend, step_draws
from mcvae_jax.models.latent_composer import LatentComposer
from mcvae_jax.models.ngrams import NGrams, thesis_score
from mcvae_jax.models.settings import Settings
from mcvae_jax.models.song_model import MEMORY
from mcvae_jax.music.tokens import NO_EVENT, NOTE_OFF
from mcvae_jax.sampling.interpolation import (
    between,
    mcvae_conditional,
    mcvae_unconditional,
    pair_keys,
    vae_conditional,
    vae_unconditional,
)

Songs = Sequence[np.ndarray]  # uint8 (n, 16) each

BARS, LONG = 5, 25  # of the excerpts, and of the unconditional melodies as the prose has them
ALPHAS = (0.1, 0.3, 0.5, 0.7, 0.9)
ORDER = 5

REAL, TRUE, HONEST = "real songs", "true data, published", "true data, honest"
VAE_CONDITIONAL, VAE_FREE = "VAE conditional", "VAE unconditional"
MCVAE_CONDITIONAL, MCVAE_FREE = "MCVAE conditional", "MCVAE unconditional"
SILENCE, REPEATED = "silence", "one repeated bar"

PUBLISHED, BITS = "thesis_all_scored", "bits_per_bar"
MEASURES = {
    PUBLISHED: "training songs and the songs of A and B",
    "thesis_training": "training songs",
    "thesis_excerpts": "five bars of each song of A and B",
    "thesis_own_set": "the set that is scored",
    BITS: "",
}


class Pairs(NamedTuple):
    """Sets A and B: whole songs, pair by pair."""

    a: list[np.ndarray]
    b: list[np.ndarray]
    names: list[tuple[str, str]]

    def excerpts(self, bars: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """The first bars of the songs of A and of B, as far as they go."""
        return [song[:bars] for song in self.a], [song[:bars] for song in self.b]


class Scored(NamedTuple):
    """The scores of a set of `Melodies`."""

    model: str  # which of the trained models made it; '' for what needs none
    method: str
    bars: int
    alpha: float
    scores: dict[str, np.ndarray]  # of each of MEASURES, float64 (P,)


def choose_pairs(corpus: Corpus, source: str, pairs: int, seed: int) -> Pairs:
    """At most `pairs` songs for each of A and B, all different; pair p is the same however many are asked for.

    Args:
      source: 'held_out' takes songs that no model was trained on; 'all' takes training songs, too, as the thesis did.

    Raises UserError where there are fewer than four songs.
    """
    sides = (HELD_OUT,) if source == "held_out" else (TRAIN, HELD_OUT)
    songs = np.sort(np.concatenate([scored_songs(corpus, side) for side in sides]))
    if len(songs) < 4:
        raise UserError(
            f"the corpus {corpus.folder} has {len(songs)} {'held-out ' if source == 'held_out' else ''}songs of"
            f" {SHORTEST} to {LONGEST} bars, and two pairs need 4; give --songs_from=all, or train on more songs"
        )
    order = np.random.default_rng(seed).permutation(songs)[: 2 * min(pairs, len(songs) // 2)]
    records = corpus.records()
    a, b = ([int(i) for i in order[first::2]] for first in (0, 1))
    names = [(records[i]["name"], records[j]["name"]) for i, j in zip(a, b, strict=True)]
    return Pairs([corpus.song(i) for i in a], [corpus.song(i) for i in b], names)


def latents(model: LatentComposer, pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
    """Means of q of the first five bars of A and of B: float32 (P, 5, Z) each."""
    songs = pairs.excerpts(BARS)
    mu = np.stack([mu for mu, _ in model.encode([*songs[0], *songs[1]])])
    return mu[: len(songs[0])], mu[len(songs[0]) :]


class Melodies(NamedTuple):
    """A set of melodies, one for each pair."""

    method: str
    bars: int  # of a melody; of a real song at most
    alpha: float  # share of A; 1 and 0 for A and B themselves, nan for controls
    songs: Songs


def without_model(pairs: Pairs, seed: int) -> Iterator[Melodies]:
    """Real songs, true data interpolation and controls."""
    for bars in (BARS, LONG):
        for alpha, songs in zip((1.0, 0.0), pairs.excerpts(bars), strict=True):
            yield Melodies(REAL, bars, alpha, songs)
    a, b = (np.stack(songs) for songs in pairs.excerpts(BARS))
    uniform = step_draws(seed, range(len(a)), a.shape[1:])
    for alpha in ALPHAS:
        yield Melodies(TRUE, BARS, alpha, published_blend(a, b, alpha))
        yield Melodies(HONEST, BARS, alpha, mixed_steps(a, b, alpha, uniform))
    yield Melodies(SILENCE, BARS, np.nan, np.full_like(a, NO_EVENT))
    sounding = np.any(a < NOTE_OFF, axis=2).argmax(axis=1)
    repeated = np.repeat(a[np.arange(len(a)), sounding][:, None], BARS, axis=1)
    yield Melodies(REPEATED, BARS, np.nan, repeated)


def composed(
    model: LatentComposer, pairs: Pairs, settings: Settings, with_first: bool, say: Callable[[str], None]
) -> Iterator[Melodies]:
    """What Algorithms 1 to 4 make at each alpha, 3 and 4 of a prior with memory; 2 and 4 in both lengths."""
    z_a, z_b = latents(model, pairs)
    left = 0 if with_first else 1
    for alpha in ALPHAS:
        say(f"alpha {alpha}: {len(z_a)} melodies of each algorithm")
        z, keys = between(z_a, z_b, alpha), pair_keys(settings.seed, range(len(z_a)), alpha)
        yield Melodies(VAE_CONDITIONAL, BARS, alpha, vae_conditional(model.codec, z, keys, settings))
        free = vae_unconditional(model.codec, z, keys, settings, LONG)
        yield Melodies(VAE_FREE, BARS, alpha, free[:, :BARS])
        yield Melodies(VAE_FREE, LONG, alpha, free)
        if MEMORY in model.abilities:
            fed = mcvae_conditional(model, z, keys, settings, with_first)
            yield Melodies(MCVAE_CONDITIONAL, BARS - left, alpha, fed)
            free = mcvae_unconditional(model, z, keys, settings, LONG, with_first)
            yield Melodies(MCVAE_FREE, BARS - left, alpha, free[:, : BARS - left])
            yield Melodies(MCVAE_FREE, LONG - left, alpha, free)


class Scorer:
    """The 5-gram scores of melodies, as published and corrected.

    thesis_*: `ngrams.thesis_score`, add-one over 130 outcomes, 0 to 1. The thesis fits its model on the songs that it
    scores (error 11 of the published code) and does not say which they are. `thesis_all_scored` is the figure that
    is shown as the thesis': training songs and all of A and B, since A and B were part of the thesis' corpus, and
    since a model that saw few songs gives all music a score far below the published 35 %. The others show how much
    the level is made by what is counted.

    bits_per_bar: Kneser-Ney, fitted on training songs alone, every token predicted once. What counts is how the
    distribution over a set differs from that of real songs (`claims.distance`), not which is lower.
    """

    def __init__(self, training: Songs, pairs: Pairs):
        known = {song.tobytes() for song in training}
        others = [song for song in [*pairs.a, *pairs.b] if song.tobytes() not in known]
        self.fixed = {
            PUBLISHED: NGrams.fit([*training, *others], ORDER, "add_one"),
            "thesis_training": NGrams.fit(training, ORDER, "add_one"),
            "thesis_excerpts": NGrams.fit(sum(pairs.excerpts(BARS), []), ORDER, "add_one"),
        }
        self.corrected = NGrams.fit(training, ORDER, "kneser_ney")

    def bits(self, songs: Songs) -> np.ndarray:
        """Bits per bar of each melody, float64 (P,)."""
        return self.corrected.bits_of(songs) / [len(song) for song in songs]

    def __call__(self, model: str, melodies: Melodies) -> Scored:
        songs = melodies.songs
        ngrams = self.fixed | {"thesis_own_set": NGrams.fit(songs, ORDER, "add_one")}
        scores = {name: np.array([thesis_score(each, song) for song in songs]) for name, each in ngrams.items()}
        return Scored(model, melodies.method, melodies.bars, melodies.alpha, scores | {BITS: self.bits(songs)})
