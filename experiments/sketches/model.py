"""A trained model of drawings: drawings -> latent vectors -> drawings. B drawings, Z latent size."""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from experiments.sketches import network as networks
from experiments.sketches.batches import batch_of
from experiments.sketches.network import SketchVAE
from experiments.sketches.strokes import Drawing, to_three
from experiments.sketches.task import KIND, SCALE
from mcvae_jax.errors import UserError
from mcvae_jax.kinds import kind_of
from mcvae_jax.nn.keys import Purpose, for_purpose, rows_of, song_keys
from mcvae_jax.nn.layers import applied
from mcvae_jax.nn.padding import in_blocks
from mcvae_jax.storage.workdir import Workdir
from mcvae_jax.trained import Origin, restore_model

TOGETHER = 16  # drawings of a call, so that each program is compiled for one shape


@dataclasses.dataclass(frozen=True, eq=False)
class Sketcher:
    """The trained model."""

    network: SketchVAE
    params: Any
    steps: int  # of which a drawing has at most one less
    origin: Origin
    config: ConfigDict

    def encode(self, drawings: Sequence[Drawing]) -> np.ndarray:
        """The mean of q(z | drawing) of each, (B, Z); UserError where one is longer than those of the training."""
        if (longest := max(map(len, drawings))) >= self.steps:
            raise UserError(f"A drawing has {longest} points; the model knows drawings of at most {self.steps - 1}")
        scale = float(self.params[SCALE])

        def block(rows: np.ndarray) -> np.ndarray:
            batch = batch_of([drawings[row] for row in rows], scale, self.steps, TOGETHER)
            return np.asarray(_encode(self.network, self.params["network"], batch["five"], batch["lengths"]))

        return np.stack(in_blocks(len(drawings), TOGETHER, block))

    def latents(self, numbers: Sequence[int], seed: int) -> np.ndarray:
        """z from the prior N(0, I), one for each number, (B, Z)."""
        keys = for_purpose(song_keys(seed, numbers), Purpose.LATENTS)
        return np.asarray(jax.vmap(lambda key: jax.random.normal(key, (self.network.latent,)))(keys))

    def draw(self, z: np.ndarray, numbers: Sequence[int], taus: Sequence[float], seed: int) -> list[Drawing]:
        """A drawing of each z (B, Z), in the units of the training drawings.

        It depends on z, the seed, its number and its temperature alone.
        """
        of_rows = rows_of(for_purpose(song_keys(seed, numbers), Purpose.TOKENS))
        temperatures = np.asarray(taus, np.float32)

        def block(rows: np.ndarray) -> list[Drawing]:
            made = _draw(self.network, self.params["network"], self.steps, z[rows], of_rows(rows), temperatures[rows])
            return [self._in_units(to_three(each)) for each in np.asarray(made)]

        return in_blocks(len(z), TOGETHER, block)

    def _in_units(self, drawing: Drawing) -> Drawing:
        return drawing * np.array([self.params[SCALE], self.params[SCALE], 1], np.float32)


@functools.partial(jax.jit, static_argnums=0)
def _encode(network: SketchVAE, params: Any, five: jax.Array, lengths: jax.Array) -> jax.Array:
    return applied(network, SketchVAE.encode, params, five, lengths)[0]


@functools.partial(jax.jit, static_argnums=(0, 2))
def _draw(network: SketchVAE, params: Any, steps: int, z: jax.Array, keys: jax.Array, tau: jax.Array) -> jax.Array:
    return networks.draw(network, params, z, keys, tau, steps)


def open_sketcher(folder: Path, which: str | int = "best") -> Sketcher:
    """The model of a workdir; UserError where it holds none, or one of another kind."""
    record = Workdir(folder).read()
    if kind_of(record.config.get("task", ""), record.code).task != KIND.task:
        raise UserError(f"{folder} holds no model of drawings; train one with --config=experiments/sketches/config.py")

    def make(config: dict, data: dict) -> tuple[tuple[SketchVAE, int], Any]:
        network = networks.make_network(config["model"])
        return (network, int(data["steps"])), lambda: {
            "network": networks.init(network, jax.random.key(0)),
            SCALE: jnp.ones(()),
        }

    (network, steps), params, origin = restore_model(folder, which, make)
    return Sketcher(network, params, steps, origin, ConfigDict(record.config))
