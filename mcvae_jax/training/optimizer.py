"""Config -> optimiser: a table of rules, a table of learning-rate schedules, a global norm clip, weight decay.

A schedule is defined by its own fields and not by the length of the run, so that a run made longer is the
same run up to its old end.
"""

from collections.abc import Callable, Collection
from typing import Any

import jax
import optax

from mcvae_jax.errors import UserError

Config = Any  # config.optimizer


def _constant(config: Config) -> optax.Schedule:
    return optax.constant_schedule(config.learning_rate)


def _cosine(config: Config) -> optax.Schedule:
    steps, share = _decay(config)
    return optax.cosine_decay_schedule(config.learning_rate, steps, alpha=share)


def _exponential(config: Config) -> optax.Schedule:
    steps, share = _decay(config)
    return optax.exponential_decay(config.learning_rate, steps, share, end_value=config.final_learning_rate)


SCHEDULES: dict[str, Callable[[Config], optax.Schedule]] = {
    "constant": _constant,
    "cosine": _cosine,
    "exponential": _exponential,
}  # what follows the warm-up


def _adam(config: Config, schedule: optax.Schedule, mask: Any) -> optax.GradientTransformation:
    rule = optax.amsgrad if config.amsgrad else optax.adam
    return rule(schedule, config.b1, config.b2, config.eps)


def _adamw(config: Config, schedule: optax.Schedule, mask: Any) -> optax.GradientTransformation:
    return optax.adamw(schedule, config.b1, config.b2, config.eps, weight_decay=_weight_decay(config), mask=mask)


def _lion(config: Config, schedule: optax.Schedule, mask: Any) -> optax.GradientTransformation:
    return optax.lion(schedule, config.b1, config.b2, weight_decay=_weight_decay(config), mask=mask)


OPTIMIZERS: dict[str, Callable[[Config, optax.Schedule, Any], optax.GradientTransformation]] = {
    "adam": _adam,
    "adamw": _adamw,  # Loshchilov and Hutter 2019, arXiv:1711.05101
    "lion": _lion,  # Chen et al. 2023, arXiv:2302.06675: a third to a tenth of Adam's rate, b2 of 0.99
}


def make_schedule(config: Config) -> optax.Schedule:
    """step -> learning rate, from config.optimizer.

    Rises linearly from 0 to `learning_rate` over `warmup_steps`. Then 'constant' stays; 'cosine' and
    'exponential' fall to `final_learning_rate`, at step `decay_steps` (warm-up included), and stay there.
    """
    if config.schedule not in SCHEDULES:
        raise UserError(f"config.optimizer.schedule is {config.schedule!r}; it must be one of {', '.join(SCHEDULES)}.")
    rise = optax.linear_schedule(0.0, config.learning_rate, max(config.warmup_steps, 1))
    return optax.join_schedules([rise, SCHEDULES[config.schedule](config)], [config.warmup_steps])


def make_optimizer(config: Config, constants: Collection[str] = ()) -> optax.GradientTransformation:
    """The optimiser of config.optimizer. `clip_norm` 0 is no clipping; `amsgrad` as Reddi et al. 2018.

    Args:
      constants: names of leaves of the parameters that came from the data, such as scales: no weight decay bends them.
        Neither does it bend vectors, which are biases and gains.
    """
    if config.name not in OPTIMIZERS:
        raise UserError(f"config.optimizer.name is {config.name!r}; it must be one of {', '.join(OPTIMIZERS)}.")
    if config.learning_rate <= 0 or config.eps <= 0 or not (0 <= config.b1 < 1 and 0 <= config.b2 < 1):
        raise UserError("config.optimizer needs learning_rate and eps above 0, and b1 and b2 from 0 to below 1.")
    if config.clip_norm < 0 or config.warmup_steps < 0:
        raise UserError("config.optimizer.clip_norm and warmup_steps must not be negative; 0 turns them off.")
    if _weight_decay(config) and config.name == "adam":
        raise UserError("config.optimizer.weight_decay belongs to name='adamw' or 'lion'; with 'adam' it must be 0.")
    rule = OPTIMIZERS[config.name](config, make_schedule(config), lambda params: decayed(params, constants))
    return optax.chain(optax.clip_by_global_norm(config.clip_norm), rule) if config.clip_norm else rule


def decayed(params: Any, constants: Collection[str]) -> Any:
    """Which leaves weight decay may bend: a tree of booleans of the shape of `params`."""

    def bends(path: tuple, leaf: Any) -> bool:
        return leaf.ndim >= 2 and not any(getattr(key, "key", None) in constants for key in path)

    return jax.tree_util.tree_map_with_path(bends, params)


def _weight_decay(config: Config) -> float:
    """0 for the configs of before there was one."""
    weight_decay = config.get("weight_decay", 0.0)
    if not 0 <= weight_decay < 1:
        raise UserError(f"config.optimizer.weight_decay is {weight_decay}; it must be from 0 (none) to below 1.")
    return weight_decay


def _decay(config: Config) -> tuple[int, float]:
    """The steps over which the rate falls, and the share of the peak at which it ends."""
    peak, final, warmup = config.learning_rate, config.final_learning_rate, config.warmup_steps
    steps = config.decay_steps - warmup
    if steps <= 0 or not 0 < final <= peak:
        raise UserError(
            f"config.optimizer.schedule={config.schedule!r} needs decay_steps above warmup_steps, and "
            f"final_learning_rate above 0 and at most learning_rate; they are {config.decay_steps}, "
            f"{warmup}, {final} and {peak}."
        )
    return steps, final / peak
