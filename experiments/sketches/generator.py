"""Drawings of the project's own: a few families, each with jitter, whole numbers like those that people drew.

Drawing n of a seed depends on both numbers alone.
"""

from collections.abc import Callable, Sequence

import numpy as np

from experiments.sketches.strokes import SIDES, Drawing, Drawings, from_lines
from mcvae_jax.command import hint
from mcvae_jax.errors import UserError
from mcvae_jax.text import brief

RADIUS = 80.0  # of a drawing, about
SHAKE = 1.2  # standard deviation of a hand that shakes

Lines = list[np.ndarray]
Rng = np.random.Generator


def arc(rng: Rng, centre: tuple[float, float], radius: float, first: float, turns: float, points: int) -> np.ndarray:
    """(points, 2): a part of a somewhat flat circle, from an angle on, in turns of the circle."""
    angle = 2 * np.pi * (first + np.linspace(0, turns, points))
    flat = rng.uniform(0.85, 1.15)
    return np.column_stack([centre[0] + radius * flat * np.cos(angle), centre[1] + radius / flat * np.sin(angle)])


def corners(rng: Rng, count: int, radii: Sequence[float]) -> np.ndarray:
    """(count, 2): about evenly around the middle, at these shares of the radius in turn."""
    angle = 2 * np.pi * ((np.arange(count) + rng.normal(0, 0.03, count)) / count - 0.25)
    radius = RADIUS * np.resize(radii, count)
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])


def sides(places: np.ndarray, points: int) -> np.ndarray:
    """Straight lines from corner to corner and back to the first, of so many points each."""
    after = np.roll(places, -1, axis=0)
    share = np.linspace(0, 1, points, endpoint=False)[:, None]
    parts = [a + share * (b - a) for a, b in zip(places, after, strict=True)]
    return np.concatenate([*parts, places[:1]])


def circle(rng: Rng) -> Lines:
    """One line, from anywhere, either way round."""
    way = rng.choice([-1, 1])
    return [arc(rng, (0, 0), RADIUS * rng.uniform(0.7, 1.1), rng.random(), way * rng.uniform(0.95, 1.05), 18)]


def spiral(rng: Rng) -> Lines:
    """From the middle outwards."""
    turns, points = rng.uniform(1.8, 2.8), 36
    angle = 2 * np.pi * (rng.random() + rng.choice([-1, 1]) * np.linspace(0, turns, points))
    radius = RADIUS * np.linspace(0.05, rng.uniform(0.8, 1.1), points)
    return [np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])]


def polygon(rng: Rng) -> Lines:
    """Three to five corners and straight sides."""
    return [sides(corners(rng, int(rng.integers(3, 6)), [1.0]), 5)]


def star(rng: Rng) -> Lines:
    """Five points."""
    return [sides(corners(rng, 10, [1.0, rng.uniform(0.35, 0.5)]), 3)]


def face(rng: Rng) -> Lines:
    """A head, two eyes and a mouth that smiles or does not, in four strokes."""
    head = arc(rng, (0, 0), RADIUS, 0.75, 1.0, 18)
    apart, height, size = rng.uniform(22, 34), rng.uniform(-32, -18), rng.uniform(6, 12)
    eyes = [arc(rng, (x, height), size, 0.75, 1.0, 7) for x in (-apart, apart)]
    bend, width = rng.choice([-1, 1]) * rng.uniform(10, 22), rng.uniform(28, 44)
    x = np.linspace(-1, 1, 9)
    return [head, *eyes, np.column_stack([width * x, 34 + bend * (0.5 - x**2)])]


FAMILIES: dict[str, Callable[[Rng], Lines]] = {
    "circle": circle,
    "spiral": spiral,
    "polygon": polygon,
    "star": star,
    "face": face,
}


def draw(family: str, seed: int, number: int) -> Drawing:
    """Drawing `number` of a family."""
    rng = np.random.Generator(np.random.Philox(key=[seed, number]))
    parts = FAMILIES[family](rng)
    turn, size = rng.normal(0, 0.08), rng.uniform(0.8, 1.2)
    turned = size * np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    shaken = [np.round(part @ turned + rng.normal(0, SHAKE, part.shape)) for part in parts]
    return from_lines([part - shaken[0][0] for part in shaken])


def generate(families: Sequence[str], count: int, seed: int) -> Drawings:
    """`count` training drawings, the families in turn, and a tenth as many (one of each at least) on other sides."""
    few = max(count // 10, len(families))
    bounds = np.cumsum([0, count, few, few])
    made = [draw(families[number % len(families)], seed, number) for number in range(bounds[-1])]
    return Drawings(*(made[bounds[i] : bounds[i + 1]] for i in range(len(SIDES))))


def names(families: str) -> list[str]:
    """'circle, face' -> its names, '' -> all; UserError where one is unknown."""
    found = [name.strip() for name in families.split(",")] if families.strip() else list(FAMILIES)
    for name in found:
        if name not in FAMILIES:
            raise UserError(f"config.data.families has {brief(name)!r}; {hint(name, FAMILIES)}")
    return found
