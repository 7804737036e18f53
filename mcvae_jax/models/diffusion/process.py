"""Denoising diffusion over sequences of vectors, for any denoiser: levels of noise, the variational bound, the sampler.

    x_t = a_t x_0 + s_t e,  a_t^2 + s_t^2 = 1,  e ~ N(0, I),  for the levels t = 1 .. L of more and more noise

(Ho et al. 2020, arXiv:2006.11239). log SNR_t = log(a_t^2 / s_t^2) falls evenly from `MOST` to `LEAST`. A denoiser says
v(x_t, t), its guess of a_t e - s_t x_0 (Salimans and Ho 2022, arXiv:2202.00512), which gives x_0 = a_t x_t - s_t v and
e = s_t x_t + a_t v. With levels even in log SNR every KL of the bound is the same multiple of the squared error of e,
so that Ho's simple loss is the bound, but for its two ends.

Letters: B sequences, N places, Z dimensions, L levels, K drawn levels.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

Array = jax.Array

MOST, LEAST = 8.0, -8.0  # log SNR of the first level and of the last
Denoise = Callable[[Array, Array], Array]  # x_t (B, N, Z) at levels (B,) -> v (B, N, Z)


class Path(NamedTuple):
    """How a sampler comes from noise to data."""

    steps: int  # of the L levels, as evenly as they go
    repeats: int = 1  # how often each step is taken, where anything is given
    eta: float = 1.0  # share of the ancestral noise: 1 is ancestral sampling, 0 DDIM


def log_snr(level: Array, levels: int) -> Array:
    """That of levels 1 to L, the shape of `level`."""
    return MOST - (MOST - LEAST) * (level - 1) / (levels - 1)


def scales(level: Array, levels: int) -> tuple[Array, Array]:
    """a and s of levels, the shape of `level`; level 0 is data without noise."""
    ratio = jnp.where(level > 0, log_snr(level, levels), jnp.inf)
    return jnp.sqrt(jax.nn.sigmoid(ratio)), jnp.sqrt(jax.nn.sigmoid(-ratio))


def _like(scale: Array) -> Array:
    """(B,) -> (B, 1, 1)."""
    return scale[:, None, None]


def errors(denoise: Denoise, x: Array, noise: Array, level: Array, levels: int) -> Array:
    """|e - guess of e|^2 of every place, (B, N), for x_0 and e (B, N, Z) at levels (B,)."""
    a, s = map(_like, scales(level, levels))
    v = denoise(a * x + s * noise, level)
    return jnp.sum((a * (a * noise - s * x - v)) ** 2, axis=-1)


def draw_levels(key: Array, drawn: int, levels: int) -> Array:
    """K levels from 2 to L, int (K,): one drawn from each of K equal parts, so that all are equally likely."""
    place = (jnp.arange(drawn) + jax.random.uniform(key, (drawn,))) / drawn
    return jnp.minimum(2 + (place * (levels - 1)).astype(jnp.int32), levels)


def bound_nats(denoise: Denoise, x: Array, keys: Array, drawn: int, levels: int) -> Array:
    """An unbiased estimate of the bound of -log p(x_0), each place's share in nats: (B, N) for x_0 (B, N, Z).

    KL(q(x_L | x_0) || N(0, I)) + sum over t from 2 of KL(q(x_t-1 | x_t, x_0) || p(x_t-1 | x_t)) - E log p(x_0 | x_1):
    all are diagonal Gaussians, so that each falls into shares of the places. p(x_t-1 | x_t) has the variance of q, and
    p(x_0 | x_1) that of what x_1 says of x_0 by itself, 1 / SNR_1. Level 1 is always taken, and K of the others.

    Args:
      keys: one for each sequence, (B,).
    """

    def one(key: Array) -> tuple[Array, Array]:
        of_levels, of_noise = jax.random.split(key)
        chosen = jnp.concatenate([jnp.ones(1, jnp.int32), draw_levels(of_levels, drawn, levels)])
        return chosen, jax.random.split(of_noise, drawn + 1)

    def at(_: None, level_and_keys: tuple[Array, Array]) -> tuple[None, Array]:
        level, of_noise = level_and_keys
        return None, errors(denoise, x, normals(of_noise, x.shape[1:]), level, levels)

    chosen, of_noise = jax.vmap(one, out_axes=1)(keys)
    found = jax.lax.scan(at, None, (chosen, of_noise))[1]  # (K + 1, B, N)
    growth = math.expm1((MOST - LEAST) / (levels - 1))  # SNR_t-1 / SNR_t - 1
    between = growth / 2 * (levels - 1) * jnp.mean(found[1:], axis=0)
    first = (found[0] + x.shape[-1] * (math.log(2 * math.pi) - MOST)) / 2
    share = 1 / (1 + math.exp(-LEAST))  # a_L^2
    last = jnp.sum(share * x**2 - share - math.log1p(-share), axis=-1) / 2
    return first + between + last


def normals(keys: Array, shape: tuple[int, ...]) -> Array:
    """Standard normal (B, *shape), each from its own key (B,)."""
    return jax.vmap(lambda key: jax.random.normal(key, shape))(keys)


def sample(
    denoise: Denoise, given: Array, is_given: Array, keys: Array, path: Path, spread: Array, levels: int
) -> Array:
    """Draws x_0 (B, N, Z), of which given (B, N, Z) stands where is_given (B, N).

    At every level the given places are noised as the process does it, and the others drawn beside them. `path.repeats`
    takes each step so often, with noise put on again in between, so that both come to fit (RePaint, Lugmayr et al.
    2022, arXiv:2201.09865); with many repeats the draw is that of the model given these places. The last step adds no
    noise.

    Args:
      keys: one for each sequence, (B,).
      spread: scalar that multiplies the variance of the noise of every step, not of what the way starts from.
    """
    levels_on_way = jnp.round(jnp.linspace(levels, 0, path.steps + 1)).astype(jnp.int32)
    shape = given.shape[1:]

    def noise(number: Array, purpose: int) -> Array:
        return normals(jax.vmap(lambda key: jax.random.fold_in(jax.random.fold_in(key, number), purpose))(keys), shape)

    def step(x: Array, number: Array) -> tuple[Array, None]:
        place = number // path.repeats
        here, there = levels_on_way[place], levels_on_way[place + 1]
        a, s = scales(here, levels)
        x = jnp.where(is_given[..., None], a * given + s * noise(number, 0), x)
        x = _step(denoise, x, here, there, noise(number, 1), path.eta, spread, levels)
        again, left = _between(here, there, levels)
        back = again * x + left * noise(number, 2)
        return jnp.where((number + 1) % path.repeats == 0, x, back), None

    start = normals(jax.vmap(lambda key: jax.random.fold_in(key, path.steps * path.repeats))(keys), shape)
    x = jax.lax.scan(step, start, jnp.arange(path.steps * path.repeats))[0]
    return jnp.where(is_given[..., None], given, x)


def _between(here: Array, there: Array, levels: int) -> tuple[Array, Array]:
    """What multiplies x and noise on the way back from the lower level `there` to `here`."""
    (a, s), (a_there, _) = scales(here, levels), scales(there, levels)
    fall = jnp.where(there > 0, log_snr(here, levels) - log_snr(there, levels), -jnp.inf)
    return a / a_there, s * jnp.sqrt(-jnp.expm1(fall))


def _step(
    denoise: Denoise, x: Array, here: Array, there: Array, noise: Array, eta: float, spread: Array, levels: int
) -> Array:
    """x at the lower level `there`, as Song et al. 2021 (arXiv:2010.02502) have it, from x (B, N, Z) at `here`."""
    (a, s), (a_there, s_there) = scales(here, levels), scales(there, levels)
    v = denoise(x, jnp.broadcast_to(here, x.shape[:1]))
    deviation = eta * s_there / s * _between(here, there, levels)[1]  # of q(x_there | x_here, x_0), where eta is 1
    kept = jnp.sqrt(jnp.maximum(s_there**2 - deviation**2, 0.0))
    return a_there * (a * x - s * v) + kept * (s * x + a * v) + jnp.sqrt(spread) * deviation * noise
