"""The joint MCVAE of a config, and the noise of its training. B songs, N bars, M distinct bars, T steps of a bar."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from mcvae_jax.errors import UserError
from mcvae_jax.models.joint.arrays import Noise
from mcvae_jax.models.joint.network import JointMCVAE
from mcvae_jax.music.tokens import BAR
from mcvae_jax.nn.dropout import kept
from mcvae_jax.nn.keys import normal
from mcvae_jax.nn.layers import LARGEST, check_shares, check_sizes, operand_dtype

Array = jax.Array

SIZES = ("latent", "components", "encoder_units", "units", "layers", "decoder_units", "memory")


@dataclasses.dataclass(frozen=True)
class Dropout:
    """Shares that are dropped in training, each from 0 to below 1."""

    codes: float = 0.0  # of what the composer reads of the bars
    composer: float = 0.0  # of the outputs of every layer of the composer
    decoder: float = 0.0  # of the outputs of the decoder's layer
    words: float = 0.0  # of the tokens that the decoder reads

    def __post_init__(self) -> None:
        check_shares(self)


def make_joint(model: Mapping[str, Any], steps: int = BAR) -> JointMCVAE:
    """The network of config.model; UserError for a size or a number format that cannot be."""
    fields = dict(model)
    dtype = operand_dtype(fields.pop("matmul_dtype"))
    check_sizes(fields, SIZES)
    if not 0 <= fields["recall"] <= LARGEST:
        raise UserError(f"config.model.recall is {fields['recall']}; it must be from 0 (none) to {LARGEST}")
    if not 0 < fields["floor"] < 1:
        raise UserError(f"config.model.floor is {fields['floor']}; it must lie between 0 and 1")
    return JointMCVAE(**fields, steps=steps, dtype=dtype)


def draw_noise(network: JointMCVAE, keys: Array, distinct: int, bars: int, dropout: Dropout, draws: int = 1) -> Noise:
    """The noise of B songs from their keys (B,), with so many draws of z for each distinct bar.

    What a song gets depends neither on the others nor on how much padding follows it.
    """
    return jax.vmap(functools.partial(_of_song, network, distinct, bars, dropout, draws))(keys)


def _of_song(network: JointMCVAE, distinct: int, bars: int, dropout: Dropout, draws: int, key: Array) -> Noise:
    eps, codes, composer, decoder, words = jax.random.split(key, 5)
    of_draws = [eps, *(jax.random.fold_in(eps, draw) for draw in range(1, draws))]
    of_composer = kept(composer, dropout.composer, (bars, network.layers, network.units))
    return Noise(
        jnp.stack([normal(key, distinct, network.latent) for key in of_draws], axis=1),
        kept(codes, dropout.codes, (bars, network.encoder_units)),
        None if of_composer is None else of_composer.swapaxes(0, 1),
        kept(decoder, dropout.decoder, (distinct, network.steps, network.decoder_units)),
        kept(words, dropout.words, (distinct, network.steps), scale=False),
    )
