"""Config -> optimiser: Adam or AMSGrad, a global norm clip, a learning-rate schedule.

A schedule is defined by its own fields and not by the length of the run, so that a run made longer is the
same run up to its old end.
"""

import optax

from mcvae_jax.errors import UserError

SCHEDULES = ("constant", "cosine", "exponential")


def make_schedule(config) -> optax.Schedule:
    """step -> learning rate, from config.optimizer.

    Rises linearly from 0 to `learning_rate` over `warmup_steps`. Then 'constant' stays; 'cosine' and
    'exponential' fall to `final_learning_rate`, at step `decay_steps` (warm-up included), and stay there.
    """
    if config.schedule not in SCHEDULES:
        raise UserError(f"config.optimizer.schedule is {config.schedule!r}; it must be one of {', '.join(SCHEDULES)}.")
    peak, final, warmup = config.learning_rate, config.final_learning_rate, config.warmup_steps
    if config.schedule == "constant":
        decay = optax.constant_schedule(peak)
    else:
        steps = config.decay_steps - warmup
        if steps <= 0 or not 0 < final <= peak:
            raise UserError(
                f"config.optimizer.schedule={config.schedule!r} needs decay_steps above warmup_steps, and "
                f"final_learning_rate above 0 and at most learning_rate; they are {config.decay_steps}, "
                f"{warmup}, {final} and {peak}."
            )
        if config.schedule == "cosine":
            decay = optax.cosine_decay_schedule(peak, steps, alpha=final / peak)
        else:
            decay = optax.exponential_decay(peak, steps, final / peak, end_value=final)
    return optax.join_schedules([optax.linear_schedule(0.0, peak, max(warmup, 1)), decay], [warmup])


def make_optimizer(config) -> optax.GradientTransformation:
    """The optimiser of config.optimizer. `clip_norm` 0 is no clipping; `amsgrad` as Reddi et al. 2018."""
    if config.name != "adam":
        raise UserError(f"config.optimizer.name is {config.name!r}; it must be 'adam'.")
    if config.learning_rate <= 0 or config.eps <= 0 or not (0 <= config.b1 < 1 and 0 <= config.b2 < 1):
        raise UserError("config.optimizer needs learning_rate and eps above 0, and b1 and b2 from 0 to below 1.")
    if config.clip_norm < 0 or config.warmup_steps < 0:
        raise UserError("config.optimizer.clip_norm and warmup_steps must not be negative; 0 turns them off.")
    adam = (optax.amsgrad if config.amsgrad else optax.adam)(make_schedule(config), config.b1, config.b2, config.eps)
    return optax.chain(optax.clip_by_global_norm(config.clip_norm), adam) if config.clip_norm else adam
