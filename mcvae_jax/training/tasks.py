"""Which module makes the task that config.task names."""

import importlib
from collections.abc import Callable
from typing import Any

from mcvae_jax.errors import UserError
from mcvae_jax.training.task import Task

TASKS = {
    "vae": "mcvae_jax.tasks.vae",
    "mdrnn": "mcvae_jax.tasks.prior",
}  # each has make_task(config, say) -> Task


def make_task(config: Any, say: Callable[[str], None]) -> Task:
    """The task of config.task, its data read or built; `say` takes lines about that."""
    if config.task not in TASKS:
        raise UserError(f"config.task is {config.task!r}; it must be one of {', '.join(sorted(TASKS))}.")
    return importlib.import_module(TASKS[config.task]).make_task(config, say)
