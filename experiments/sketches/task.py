"""SketchRNN as a task of the training loop: drawings -> bound with a KL tolerance -> held-out results.

All figures are nats per drawing. Paper and published code divide the reconstruction by their T (250) and the KL by
their Z (128); in these units their KL_min of 0.2 is `loss.free_nats` of 0.2 * 128, and their w_KL of 0.5 is `loss.beta`
of 0.5 * 250 / 128. Their eta is the exponential schedule of beta, here from 0 and not from 0.01. They leave the KL free
where its mean over a batch is below KL_min; here it is free in each drawing. They also drop points and recurrent units,
which is not done here.
"""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.sketches.batches import DrawingBatches, held_out
from experiments.sketches.files import LONGEST, read_drawings
from experiments.sketches.generator import generate, names
from experiments.sketches.network import SketchVAE, init, log_p, make_network
from experiments.sketches.strokes import SIDES, Drawing, Drawings, offset_scale, up_to
from mcvae_jax.command import check_range
from mcvae_jax.errors import UserError
from mcvae_jax.kinds import Kind
from mcvae_jax.models import elbo
from mcvae_jax.nn.keys import example_keys
from mcvae_jax.nn.layers import applied
from mcvae_jax.places import shown
from mcvae_jax.storage.jsonfile import write_json
from mcvae_jax.training.fields import FLOAT, INT, TEXT, fields_of
from mcvae_jax.training.task import Metrics, Placed, Sums, Task

Array = jax.Array
Say = Callable[[str], None]

GENERATOR = "generator"
SCALE = "offset_scale"  # the leaf of the parameters that the data gave
KIND = Kind("", "SketchRNN", "experiments.sketches.task", "experiments.sketches.task:no_songs")


@dataclasses.dataclass(frozen=True)
class DataSettings:
    """config.data."""

    source: str  # 'generator', or an .npz file of drawings
    families: str  # of the generator, with commas; '' is all
    drawings: int  # training drawings of the generator
    max_points: int  # longer drawings are left out
    stretch: float  # drawings are drawn wider and higher by a share up to this, anew in each epoch

    def __post_init__(self) -> None:
        check_range("config.data.drawings", self.drawings, 1, 10**6)
        check_range("config.data.max_points", self.max_points, 1, LONGEST)
        if not 0 <= self.stretch < 1:
            raise UserError(f"config.data.stretch is {self.stretch}; it must be from 0 to below 1")


FIELDS = {
    "data": fields_of(DataSettings),
    "model": dict.fromkeys(("latent", "encoder_units", "units", "components"), INT) | {"matmul_dtype": TEXT},
    "loss": dict.fromkeys(("beta", "beta_rate", "free_nats"), FLOAT) | {"beta_schedule": TEXT, "beta_steps": INT},
}  # of config.py, beside those of every model


def check(kind: Kind, config: Any) -> None:
    """UserError for a field of the config that cannot work."""
    data = DataSettings(**config.data)
    if data.source == GENERATOR:
        names(data.families)
    elif not Path(data.source).is_file():
        raise UserError(f"config.data.source is {data.source!r}; it is 'generator' or an .npz file of drawings")
    make_network(config.model)
    loss_settings(config)


def loss_settings(config: Any) -> elbo.ObjectiveSettings:
    """Beta, its schedule and the free nats of a drawing, which are the paper's KL tolerance."""
    return elbo.ObjectiveSettings(kind="beta", free_bits="per_bar", **config.loss)


def no_songs(kind: Kind, folder: Path, which: str | int) -> Any:
    """What `compose` and `evaluate` are told."""
    raise UserError(
        f"{folder} makes drawings and no songs: python -m experiments.sketches --workdir={folder} --out=DIR"
    )


def find_drawings(config: Any, say: Say = lambda line: None) -> Drawings:
    """The drawings of a config, those of the generator by its seed."""
    settings = DataSettings(**config.data)
    if settings.source == GENERATOR:
        found = generate(names(settings.families), settings.drawings, config.seed)
    else:
        found = read_drawings(Path(settings.source))
    drawings, left_out = up_to(found, settings.max_points)
    counts = ", ".join(f"{len(getattr(drawings, side)):,} {side}" for side in SIDES)
    say(f"drawings: {counts}; {left_out:,} with more than {settings.max_points} points are left out")
    for side in SIDES:
        if not getattr(drawings, side):
            raise UserError(f"{settings.source} has no drawing in {side!r} of at most {settings.max_points} points")
    if not offset_scale(drawings.train) > 0:
        raise UserError(f"{settings.source}: all offsets of the training drawings are equal")
    return drawings


def steps_of(drawings: Drawings) -> int:
    """T: one more than the points of the longest drawing of any side."""
    return 1 + max(len(drawing) for side in SIDES for drawing in getattr(drawings, side))


def make_task(kind: Kind, config: Any, say: Say) -> Task:
    """The task of a config; UserError for a field of it that cannot work, and for drawings that cannot be read."""
    drawings = find_drawings(config, say)
    network, loss = make_network(config.model), loss_settings(config)
    steps, scale, size = steps_of(drawings), offset_scale(drawings.train), config.train.batch_size
    sums = make_sums(network, loss)

    def finish(params: Any, folder: Path, say: Say) -> dict:
        scores = score(sums, params, drawings, steps)
        write_json(folder / "held_out.json", scores)
        say("; ".join(f"{name}: {value:.1f}" for name, value in scores.items()) + " nats per test drawing")
        return scores

    return Task(
        init=lambda key: {"network": init(network, key), SCALE: jnp.asarray(scale, jnp.float32)},
        sums=sums,
        objective=lambda s, step: _with_pen(elbo.objective(loss, s, step), s),
        held_out_objective=lambda s: _with_pen(elbo.held_out_objective(loss, s), s),
        batch=DrawingBatches(drawings.train, scale, steps, size, config.seed, config.data.stretch),
        held_out_batches=lambda: held_out(drawings.valid, scale, steps, size),
        finish=finish,
        data={
            "drawings": config.data.source if config.data.source == GENERATOR else shown(config.data.source),
            "identity": drawings.identity,
            "steps": steps,
            "counts": {side: len(getattr(drawings, side)) for side in SIDES},
        },
        constants=frozenset({SCALE}),
    )


def make_sums(network: SketchVAE, loss: elbo.ObjectiveSettings) -> Callable[[Any, Placed, Array, bool], Sums]:
    """The function sums(params, batch, key, train) of the task: see `elbo.elbo_sums`; the "tokens" are pen states.

    'pen' are the nats of these alone.
    """

    def sums(params: Any, batch: Placed, key: Array, train: bool) -> Sums:
        keys = example_keys(key, batch["index"])
        eps = jax.vmap(lambda k: jax.random.normal(k, (network.latent,)))(keys)
        five, weight = batch["five"], batch["weight"]
        mu, log_var, said = applied(network, SketchVAE.__call__, params["network"], five, batch["lengths"], eps)
        of_offset, of_pen = log_p(said, five)
        found = elbo.elbo_sums(
            of_offset + of_pen,
            jnp.argmax(said.pen, axis=-1),
            jnp.argmax(five[..., 2:], axis=-1),
            mu,
            log_var,
            weight,
            token_weights=jnp.ones(3),
            free_nats=loss.free_nats,
        )
        return found | {"pen": -jnp.sum(weight * jnp.sum(of_pen, axis=1))}

    return sums


def _with_pen(found: tuple[Array, Metrics], sums: Sums) -> tuple[Array, Metrics]:
    objective, terms = found
    return objective, terms | {"pen": sums["pen"] / sums["weight"]}


def score(sums: Callable[..., Sums], params: Any, drawings: Drawings, steps: int) -> dict[str, float]:
    """What a test drawing costs in the mean, and what it costs under a model without any memory."""
    scale, size, jitted = float(params[SCALE]), 64, jax.jit(sums, static_argnums=3)
    batches = held_out(drawings.test, scale, steps, size)
    found = [jax.device_get(jitted(params, batch, jax.random.key(0), False)) for batch in batches]
    total = {name: sum(float(each[name]) for each in found) for name in ("weight", "reconstruction", "kl", "pen")}
    reconstruction, kl, pen = (total[name] / total["weight"] for name in ("reconstruction", "kl", "pen"))
    alike = memoryless(drawings.train, drawings.test, scale, steps)
    return {"bound": reconstruction + kl, "reconstruction": reconstruction, "kl": kl, "pen": pen, "memoryless": alike}


def memoryless(training: Sequence[Drawing], test: Sequence[Drawing], scale: float, steps: int) -> float:
    """Nats of a test drawing where each point is drawn by itself: one Gaussian with correlation, pens by their share.

    The control that any model must beat.
    """
    points = np.concatenate(training).astype(np.float64)
    offsets, lifted = points[:, :2] / scale, points[:, 2].sum()
    mean, covariance = offsets.mean(axis=0), np.cov(offsets.T) + 1e-6 * np.eye(2)
    counts = np.array([len(points) - lifted, lifted, len(training) * steps - len(points)])
    chance = np.log((counts + 1) / (counts + 1).sum())
    nats = 0.0
    for drawing in test:
        away = drawing[:, :2] / scale - mean
        squares = np.einsum("ni,ij,nj->n", away, np.linalg.inv(covariance), away)
        nats += 0.5 * np.sum(squares + np.log(np.linalg.det(2 * np.pi * covariance)))
        lifts = drawing[:, 2].sum()
        nats -= chance @ np.array([len(drawing) - lifts, lifts, steps - len(drawing)])
    return float(nats / len(test))
