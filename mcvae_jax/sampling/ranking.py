"""Several draws of each song, of which the one stays that the model itself finds likeliest.

Likelier songs are plainer ones: they keep the key, and more of their bars stand in other tunes; of too many draws the
likeliest is too plain (docs/results.md, "The copy switch and the joint MCVAE").
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mcvae_jax.errors import UserError
from mcvae_jax.models.settings import Settings
from mcvae_jax.models.song_model import NO_LIKELIHOOD, SongModel, Songs, quick
from mcvae_jax.nn.keys import another


class Chosen(NamedTuple):
    """What a model makes of a seed."""

    bars: np.ndarray  # uint8 (m, T), the composed ones
    bits: list[float]  # what a composed bar costs in each draw, the best first; [] where one draw was made


def go_on(
    model: SongModel,
    seeds: Songs,
    keys: jax.Array,
    bars: int | None,
    settings: Settings,
    max_bars: int = 128,
) -> list[Chosen]:
    """`SongModel.go_on` `settings.best_of` times, and of each song the draw whose composed bars cost the fewest bits.

    They are bits a bar, so that songs of any length compare; of a bound, one draw of z. As a song does, the choice
    depends on nothing else that is in the call. The first draw is the song that is made where `best_of` is 1.

    Raises:
      UserError: `best_of` is above 1, and the model knows no likelihood.
    """
    best_of = settings.best_of
    if best_of > 1 and model.likelihood == NO_LIKELIHOOD:
        raise UserError(
            f"the {model.name} has no likelihood by which one of several draws can be chosen; give best_of=1"
        )
    if best_of == 1:
        return [Chosen(song, []) for song in model.go_on(seeds, keys, bars, settings, max_bars)]
    of_draws = jnp.concatenate([another(keys, n) for n in range(best_of)])
    judge = quick(model)  # a song is scored by itself, and costs a whole block
    with ThreadPoolExecutor(1) as beside:
        if bars:  # the judge's program is opened while songs are composed
            silence = np.zeros((bars, seeds[0].shape[1]), np.uint8)
            beside.submit(judge.nats, [np.concatenate([seeds[0], silence])] * best_of, 1, settings.seed)
        made = model.go_on([*seeds] * best_of, of_draws, bars, settings, max_bars)
    return [_best(judge, seed, made[i :: len(seeds)], settings.seed) for i, seed in enumerate(seeds)]


def _best(model: SongModel, seed: np.ndarray, ways: Sequence[np.ndarray], number: int) -> Chosen:
    nats = model.nats([np.concatenate([seed, way]) for way in ways], 1, number)
    bits = [float(np.mean(each[len(seed) :])) / np.log(2) for each in nats]
    order = np.argsort(bits, kind="stable")
    return Chosen(ways[order[0]], [round(bits[n], 2) for n in order])
