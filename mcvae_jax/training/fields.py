"""Which fields a config must have, and of which types: a config file is a program of its user, who may have erred."""

import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from mcvae_jax.errors import UserError
from mcvae_jax.storage.workdir import LATER_FIELDS

Fields = Mapping[str, Any]  # name -> type, or Fields of a section

INT, FLOAT, TEXT, FLAG = int, float, str, bool
OF_ALL = {
    "task": TEXT,
    "seed": INT,
    "optimizer": {
        **dict.fromkeys(("name", "schedule"), TEXT),
        **dict.fromkeys(("learning_rate", "final_learning_rate", "clip_norm", "b1", "b2", "eps"), FLOAT),
        "weight_decay": FLOAT,
        **dict.fromkeys(("warmup_steps", "decay_steps"), INT),
        "amsgrad": FLAG,
    },
    "train": {
        **dict.fromkeys(("steps", "batch_size", "log_every", "eval_every", "save_every"), INT),
        "parallel": TEXT,
        "tensorboard": FLAG,
    },
}  # of every model that is trained; what else stands in its config is its task's
LATER = {name.split(".")[-1] for name in LATER_FIELDS}  # fields that may be absent


def fields_of(settings: type, *others: str) -> Fields:
    """The fields of a dataclass, without those of such names, which stand elsewhere in the config."""
    return {field.name: field.type for field in dataclasses.fields(settings) if field.name not in others}


def check_fields(config: Any, wanted: Fields, where: str = "config") -> None:
    """UserError where a field is absent or of another type, or a section holds a field that nobody reads.

    At the top other fields are let be, as are absent ones of LATER.
    """
    if not isinstance(config, ConfigDict):
        raise UserError(f"{where} is {_short(config)}; it must be a section (ConfigDict) with {', '.join(wanted)}.")
    for name, kind in wanted.items():
        if name not in config:
            if name in LATER:
                continue
            near = difflib.get_close_matches(name, [n for n in config if n not in wanted], n=1, cutoff=0.6)
            raise UserError(f"{where} has no {name}{f', but {near[0]}' if near else ''}; add it.")
        if isinstance(kind, Mapping):
            check_fields(config[name], kind, f"{where}.{name}")
        elif not _is(config[name], kind):
            found = f"{_short(config[name])}, of type {type(config[name]).__name__}"
            raise UserError(f"{where}.{name} is {found}; it must be of type {kind.__name__}.")
    unknown = [name for name in config if name not in wanted]
    if unknown and where != "config":
        near = difflib.get_close_matches(unknown[0], wanted, n=1, cutoff=0.6)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(wanted)}."
        raise UserError(f"{where}.{unknown[0]} is no field that is read; {hint}")


def _is(value: Any, kind: type) -> bool:
    if kind is FLAG or isinstance(value, FLAG):
        return kind is FLAG and isinstance(value, FLAG)
    return isinstance(value, (INT, FLOAT) if kind is FLOAT else kind)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
