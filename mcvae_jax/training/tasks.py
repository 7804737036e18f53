"""Which module makes the task that config.task names."""

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

from mcvae_jax.errors import UserError
from mcvae_jax.training.fields import OF_ALL, Fields
from mcvae_jax.training.task import Task

TASKS = {
    "vae": "mcvae_jax.training.vae_task",
    "mdrnn": "mcvae_jax.training.mdrnn_task",
}  # each has make_task(config, say) -> Task


def fields_of_task(task: str) -> Fields:
    """The fields that the config of a task must have; a module of TASKS may say its own as FIELDS."""
    return OF_ALL | getattr(_module(task), "FIELDS", {})


def make_task(config: Any, say: Callable[[str], None]) -> Task:
    """The task of config.task, its data read or built; `say` takes lines about that."""
    return _module(config.task).make_task(config, say)


def _module(task: str) -> ModuleType:
    if task not in TASKS:
        raise UserError(f"config.task is {task!r}; it must be one of {', '.join(sorted(TASKS))}.")
    return importlib.import_module(TASKS[task])
