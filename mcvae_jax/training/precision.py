"""config.model.matmul_dtype = 'auto': products in the number format with which this machine is fastest.

A run keeps what it began with: its config.json holds 'float32' or 'bfloat16', never 'auto', so that it goes on with the
same bits wherever it goes on.
"""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mcvae_jax.errors import UserError
from mcvae_jax.nn.layers import AUTO
from mcvae_jax.nn.precision import fastest, lacks_bfloat16
from mcvae_jax.storage.workdir import Workdir
from mcvae_jax.training import processes

Say = Callable[[str], None]


def settled(config: Any, folder: Path, say: Say = lambda line: None) -> Any:
    """The config of a model with a format in the place of 'auto'; itself where it asks for one.

    Args:
      folder: the workdir, whose run keeps its format.
      say: takes a line that tells the choice.

    Raises:
      UserError: the config asks for bfloat16, or the run began with it, and it cannot be trained with here.
    """
    asked = config.get("model", {}).get("matmul_dtype")
    if asked != AUTO:
        check_products(asked)
        return config
    name, why = processes.by_first("format of products", lambda: _kept(folder) or fastest())
    check_products(name)
    say(f"Products are computed in {name} ({why}).")
    chosen = config.copy_and_resolve_references()
    chosen.model.matmul_dtype = name
    return chosen


def check_products(name: str | None) -> None:
    """UserError for a format with which no model can be trained here."""
    if name == "bfloat16" and (lacking := lacks_bfloat16()):
        raise UserError(f"config.model.matmul_dtype is 'bfloat16', and {lacking}; give float32, or a newer jaxlib")


def _kept(folder: Path) -> tuple[str, str] | None:
    """What the run in a folder began with; None where there is no run, or no such folder can be."""
    record = None
    with contextlib.suppress(OSError):
        record = Workdir(folder).stored().record if folder.is_dir() else None
    name = record.config.get("model", {}).get("matmul_dtype") if record else None
    return (name, "as this run began") if name else None
