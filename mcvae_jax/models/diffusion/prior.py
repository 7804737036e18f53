"""The diffusion prior over latent sequences of bars: denoiser, moments, lengths of songs, bound and draws.

Symbolic music generation with diffusion models (Mittal et al. 2021, arXiv:2103.16091) has the idea: a DDPM over the
latents of the bars of a window. Latents are standardised by their moments over the training bars. Nothing in the
process says how long a song is, so that a length is drawn from those of the training songs.

Letters: B windows, N bars of a window, Z latent size, H units.
"""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mcvae_jax.command import check_range
from mcvae_jax.errors import UserError
from mcvae_jax.models.diffusion.network import Denoiser
from mcvae_jax.models.diffusion.process import LEAST, MOST, Denoise, Path, bound_nats, errors, log_snr, normals, sample
from mcvae_jax.models.latent_windows import CONSTANTS, SONG_LENGTHS, STANDARD, Place, of_standardised, standardised
from mcvae_jax.models.latent_windows import constants as known_from_data
from mcvae_jax.models.notes import DROPOUT, Dropout
from mcvae_jax.models.prior import Moments
from mcvae_jax.nn.dropout import kept
from mcvae_jax.nn.layers import applied, check_sizes, operand_dtype
from mcvae_jax.nn.transformer import check_heads

Array = jax.Array

FIELDS = {
    "model": {"units": int, "layers": int, "heads": int, "levels": int, "weighting": str, "matmul_dtype": str},
    "sampler": {"steps": int, "repeats": int, "eta": float},
} | DROPOUT  # the sections that are its own
EVEN, COSINE = "even", "cosine"


@dataclasses.dataclass(frozen=True)
class DiffusionPrior:
    """Pure functions of parameters {'params': of the denoiser, and `constants`}; it is hashable, for jit."""

    network: Denoiser
    window: int  # N
    levels: int = 20_000
    weighting: str = EVEN  # which levels training draws: evenly, so that it minimises the bound, or as COSINE has them
    path: Path = Path(100)
    dropout: Dropout = Dropout()

    constants = CONSTANTS

    @property
    def latent(self) -> int:
        """Z."""
        return self.network.latent

    def init(self, key: Array, moments: Moments, lengths: np.ndarray) -> Any:
        """Fresh parameters; lengths (S,): bars of the training songs."""
        place = Place(jnp.zeros(1, jnp.int32), jnp.ones(1, jnp.int32), jnp.zeros(1))
        x = jnp.zeros((1, self.window, self.latent))
        network = self.network.init(key, x, jnp.zeros(1), place, method="denoise")
        return {**network, **known_from_data(moments, lengths)}

    def untrained(self, params: Any, key: Array) -> Any:
        """A fresh denoiser with what came from the data of `params`."""
        moments = Moments(*(params[name] for name in STANDARD))
        return self.init(key, moments, np.ones(1)) | {SONG_LENGTHS: params[SONG_LENGTHS]}

    def noise_errors(self, params: Any, z: Array, place: Place, keys: Array) -> Array:
        """Training: |e - guess of e|^2 / Z of every bar at a level drawn for its window, with dropout: (B, N)."""
        of_level, of_noise, of_masks = jax.vmap(lambda key: jax.random.split(key, 3), out_axes=1)(keys)
        level = self._training_level(jax.vmap(jax.random.uniform)(of_level))
        hidden = None
        if self.dropout.hidden:
            shape = self.network.layers, self.window, self.network.units
            hidden = jax.vmap(lambda key: kept(key, self.dropout.hidden, shape))(of_masks)
        x = standardised(params, z)
        denoise = self._denoiser(params, place, hidden)
        return errors(denoise, x, normals(of_noise, x.shape[1:]), level, self.levels) / self.latent

    def bound_nats(self, params: Any, z: Array, place: Place, keys: Array, drawn: int) -> Array:
        """Each bar's share of the bound of -log p(z) of its window, (B, N) nats, by `drawn` levels and the first."""
        x = standardised(params, z)
        found = bound_nats(self._denoiser(params, place), x, keys, drawn, self.levels)
        return found + jnp.sum(jnp.log(params[STANDARD[1]]))

    def sample(
        self, params: Any, given: Array, is_given: Array, place: Place, keys: Array, path: Path, spread: Array
    ) -> Array:
        """z (B, N, Z) of windows, with the given ones where is_given (B, N); see `process.sample`."""
        denoise = self._denoiser(params, place)
        x = sample(denoise, standardised(params, given), is_given, keys, path, spread, self.levels)
        return jnp.where(is_given[..., None], given, of_standardised(params, x))

    def _denoiser(self, params: Any, place: Place, hidden: Array | None = None) -> Denoise:
        network = {"params": params["params"]}

        def denoise(x: Array, level: Array) -> Array:
            return applied(self.network, Denoiser.denoise, network, x, log_snr(level, self.levels), place, hidden)

        return denoise

    def _training_level(self, share: Array) -> Array:
        """Levels (B,) for uniform draws (B,).

        The cosine schedule (Nichol and Dhariwal 2021, arXiv:2102.09672) has log SNR = -2 log tan(pi u / 2) at the share
        u of its way; draws of u between the ends have a level each.
        """
        if self.weighting == COSINE:
            low, high = (2 / math.pi * math.atan(math.exp(-end / 2)) for end in (MOST, LEAST))
            found = -2 * jnp.log(jnp.tan(math.pi / 2 * (low + (high - low) * share)))
            share = (MOST - found) / (MOST - LEAST)
        return 1 + jnp.round(share * (self.levels - 1)).astype(jnp.int32)


def make_diffusion(config: Any, latent: int) -> DiffusionPrior:
    """The prior of configs/diffusion_prior.py; UserError for a field that cannot be."""
    fields, sampler, window = dict(config["model"]), dict(config["sampler"]), config["data"]["window"]
    dtype, levels, weighting = (fields.pop(name) for name in ("matmul_dtype", "levels", "weighting"))
    check_sizes(fields, ("units", "layers", "heads"))
    check_heads(fields["units"], fields["heads"])
    if weighting not in (EVEN, COSINE):
        raise UserError(f"config.model.weighting is {EVEN!r} or {COSINE!r}, not {weighting!r}")
    check_range("config.data.window", window, 2, 1024)
    check_range("config.model.levels", levels, 2, 1_000_000)
    check_range("config.sampler.steps", sampler["steps"], 1, levels)
    check_range("config.sampler.repeats", sampler["repeats"], 1, 1000)
    if not 0 <= sampler["eta"] <= 1:
        raise UserError(f"config.sampler.eta is {sampler['eta']}; it must be from 0 (DDIM) to 1 (ancestral)")
    network = Denoiser(latent, **fields, dtype=operand_dtype(dtype))
    return DiffusionPrior(network, window, levels, weighting, Path(**sampler), Dropout(**config["dropout"]))
