"""The latent space of a composer in a notebook: its map, ways through it, what its directions move, what it uses."""

import dataclasses
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from sklearn.decomposition import PCA

from mcvae_jax.corpus.store import HELD_OUT, TRAIN, Corpus
from mcvae_jax.errors import UserError
from mcvae_jax.evaluation.attributes import (
    ATTRIBUTES,
    Effect,
    attribute_vector,
    attributes_of,
    effects,
    random_vectors,
)
from mcvae_jax.evaluation.bars import ACTIVE_VARIANCE
from mcvae_jax.models.sequences import lerp, slerp
from mcvae_jax.models.song_model import LatentModel, has_latents, main_origin
from mcvae_jax.music.grid import grid_of
from mcvae_jax.nn import gaussian
from mcvae_jax.nn.keys import song_keys
from mcvae_jax.notebook import figures
from mcvae_jax.notebook.composer import Composer
from mcvae_jax.notebook.shown import Picture
from mcvae_jax.sampling.song import ComposedSong, Setting
from mcvae_jax.trained import open_corpus

MOST = 2000  # bars of either side of the split that are looked at
SCALES = (-2.0, -1.0, -0.5, 0.5, 1.0, 2.0)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Side:
    """Distinct bars with their posteriors."""

    bars: np.ndarray  # uint8 (N, T)
    mu: np.ndarray  # float32 (N, Z)
    log_var: np.ndarray  # float32 (N, Z)

    @cached_property
    def attributes(self) -> dict[str, np.ndarray]:
        """`attributes_of` the bars."""
        return attributes_of(self.bars)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class LatentSpace:
    """The latents of the bars of a corpus: directions come from training bars, what they move from held-out ones."""

    model: LatentModel
    training: Side
    held_out: Side

    @classmethod
    def of(cls, composer: Composer, most: int = MOST, seed: int = 0) -> "LatentSpace":
        """The bars on which a composer was trained, and those held out; `most` of either, drawn by a seed.

        Raises UserError for a model without latents, or whose corpus is gone.
        """
        model = composer.model
        if not has_latents(model):
            raise UserError(f"the {model.name} has no latents to look at; take a model that has")
        corpus = open_corpus(main_origin(model))
        training = _distinct(corpus, TRAIN)
        held_out = np.setdiff1d(_distinct(corpus, HELD_OUT), training)
        rng = np.random.default_rng(seed)
        sides = [np.sort(rng.permutation(rows)[:most]) for rows in (training, held_out)]
        bars = [np.array(corpus.distinct[rows]) for rows in sides]
        encoded = model.encode(bars)
        return cls(model, *(Side(each, *posterior) for each, posterior in zip(bars, encoded, strict=True)))

    def map(self, by: Sequence[str] = ("note density", "mean pitch")) -> Picture:
        """All training bars in the plane of most variance (PCA), coloured by attributes."""
        for name in by:
            _check_attribute(name)
        pca = PCA(2).fit(self.training.mu)
        places = pca.transform(self.training.mu)
        return figures.draw_map(places, pca.explained_variance_ratio_, {n: self.training.attributes[n] for n in by})

    def units(self) -> Picture:
        """What each dimension of the latent vector tells of a bar (KL), and how far its mean moves from bar to bar."""
        side = self.training
        kl = np.asarray(gaussian.kl_to_standard(side.mu, side.log_var), np.float64).mean(axis=0)
        return figures.draw_units(kl, side.mu.var(axis=0), ACTIVE_VARIANCE)

    def between(self, a: np.ndarray, b: np.ndarray, steps: int = 8, path: str = "spherical") -> ComposedSong:
        """A song whose bars lead from bar a to bar b, uint8 (T,) each; path: 'linear' or 'spherical'."""
        if path not in ("linear", "spherical") or steps < 2:
            raise UserError(f"path is {path!r} and steps is {steps}; say 'linear' or 'spherical', and 2 steps or more")
        (mu, _), *_ = self.model.encode([np.stack([a, b])])
        way = lerp if path == "linear" else slerp
        z = np.concatenate([np.asarray(way(mu[:1], mu[1:], float(share))) for share in np.linspace(0, 1, steps)])
        labels = ["from", *[f"{share:.0%}" for share in np.linspace(0, 1, steps)[1:-1]], "to"]
        return self._song(z, f"From one bar to another, {path}", labels)

    def directions(self) -> dict[str, np.ndarray]:
        """A vector (Z,) for each attribute, from the training bars."""
        side = self.training
        return {name: attribute_vector(side.mu, side.attributes[name]) for name in ATTRIBUTES}

    def moved(self, bar: np.ndarray, attribute: str, scales: Sequence[float] = (-2, -1, 0, 1, 2)) -> ComposedSong:
        """A song whose bars are one bar, uint8 (T,), moved by so many times the vector of an attribute."""
        _check_attribute(attribute)
        (mu, _), *_ = self.model.encode([bar[None]])
        z = mu + np.array(scales)[:, None] * self.directions()[attribute]
        return self._song(z, f"{attribute}, moved", [f"{scale:+g}" if scale else "as it is" for scale in scales])

    def effects(self, scales: Sequence[float] = SCALES) -> dict[str, dict[str, Effect]]:
        """What each direction, and random ones, move in held-out bars when they are decoded."""
        vectors = self.directions()
        return effects(self.model, self.held_out.mu, vectors | random_vectors(vectors), scales)

    def show_effects(self, found: dict[str, dict[str, Effect]], scales: Sequence[float] = SCALES) -> Picture:
        """`effects` as curves, and beside each other in units of the attribute's deviation over training bars."""
        spread = {name: float(np.nanstd(values)) for name, values in self.training.attributes.items()}
        return figures.draw_effects(found, scales, spread)

    def extremes(self, attribute: str) -> tuple[np.ndarray, np.ndarray]:
        """The training bars, uint8 (T,), with least and with most of an attribute."""
        _check_attribute(attribute)
        values = self.training.attributes[attribute]
        return self.training.bars[np.nanargmin(values)], self.training.bars[np.nanargmax(values)]

    def _song(self, z: np.ndarray, title: str, labels: Sequence[str]) -> ComposedSong:
        """The bars of z (n, Z), decoded, each with its label."""
        settings = self.model.defaults
        (bars,) = self.model.render([np.asarray(z, np.float32)], song_keys(settings.seed, [1]), settings)
        setting = Setting(metre=grid_of(self.model.steps).metre)
        return ComposedSong("latent", title, bars, np.zeros(len(bars), bool), setting, {}, tuple(enumerate(labels)))


def _distinct(corpus: Corpus, side: int) -> np.ndarray:
    """The rows of `corpus.distinct` of the bars of a side."""
    return np.unique(corpus.bar_ids[corpus.bars(side)])


def _check_attribute(name: str) -> None:
    if name not in ATTRIBUTES:
        raise UserError(f"there is no attribute {name!r}; there are {', '.join(ATTRIBUTES)}")
