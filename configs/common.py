"""Sections that the configs of all models share; each config says what differs."""

from typing import Any

import ml_collections


def optimizer(**different: Any) -> ml_collections.ConfigDict:
    """config.optimizer."""
    optimizer = ml_collections.ConfigDict()
    optimizer.name = "adam"  # or 'adamw', 'lion' (at a third of the rate or less, b2 0.99)
    optimizer.learning_rate = 1e-3
    optimizer.schedule = "exponential"  # 'constant'; 'cosine' and 'exponential' fall to final_learning_rate
    optimizer.warmup_steps = 100  # the rate rises from 0 over so many steps
    optimizer.decay_steps = 3000  # the step at which final_learning_rate is reached
    optimizer.final_learning_rate = 1e-4
    optimizer.clip_norm = 1.0  # of the gradient's global norm; 0 is off
    optimizer.amsgrad = False
    optimizer.weight_decay = 0.0  # of adamw and lion; biases, gains and constants are left out
    optimizer.b1 = 0.9
    optimizer.b2 = 0.999
    optimizer.eps = 1e-8
    optimizer.update(different)
    return optimizer


def train(**different: Any) -> ml_collections.ConfigDict:
    """config.train."""
    train = ml_collections.ConfigDict()
    train.steps = 3000
    train.batch_size = 64
    train.parallel = "jit"  # 'jit' over all devices, or 'pmap' (one process)
    train.log_every = 50  # steps
    train.eval_every = 500
    train.save_every = 500
    train.tensorboard = False  # needs tensorboardX: pip install mcvae_jax[tensorboard]
    train.update(different)
    return train
