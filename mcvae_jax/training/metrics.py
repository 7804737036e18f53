"""Log writers: metrics.jsonl, the progress line, TensorBoard."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

import jax
import msgspec
import numpy as np

from mcvae_jax.errors import UserError
from mcvae_jax.storage.disk import writing
from mcvae_jax.storage.files import replacing_file
from mcvae_jax.storage.jsonfile import Count, DamagedFile, Lines, Object, Seconds, conform, read_json_lines

TRAIN, HELD_OUT = "train", "held_out"
BOOKKEEPING = ("step", "split", "seconds", "examples_per_second", "learning_rate", "grad_norm")


class _Line(TypedDict):
    """What every line has; all else are metrics."""

    step: Count
    split: Literal["train", "held_out"]
    seconds: Seconds


_Numbers = dict[str, Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)] | float | None]  # that float can hold


class MetricsLog:
    """Appends metrics to a JSON-lines file and, if asked for, to TensorBoard."""

    def __init__(self, path: Path, last_step: int, say: Callable[[str], None], tensorboard: Path | None = None) -> None:
        """Drops lines beyond `last_step`, which the run will write again, and those that are damaged, which is said."""
        try:
            lines = read_lines(path)
        except DamagedFile as error:
            raise UserError(f"{error}; move it away, and the same command goes on") from error
        if lines.damaged:
            say(f"{path}: {len(lines.damaged)} damaged lines are left out.")
        kept = [line for line in lines.rows if line["step"] <= last_step]
        self._path = path
        with replacing_file(path) as file:
            file.write("".join(json.dumps(line) + "\n" for line in kept).encode())
        with writing(path):
            self._file = path.open("ab", buffering=0)  # what a full disk does not take is kept in no buffer
        self.seconds = max((line["seconds"] for line in kept), default=0.0)  # training time of earlier starts
        self._tensorboard = _tensorboard_writer(tensorboard, last_step) if tensorboard else None

    def write(self, step: int, split: str, values: dict[str, float]) -> None:
        """One line; values that are not finite become null."""
        finite = {k: v if math.isfinite(v) else None for k, v in values.items()}
        line = json.dumps({"step": step, "split": split} | finite).encode() + b"\n"
        with writing(self._path):
            while line:
                line = line[self._file.write(line) :]
        if self._tensorboard:
            for name, value in values.items():
                self._tensorboard.add_scalar(f"{split}/{name}", value, step)

    def close(self) -> None:
        self._file.close()
        if self._tensorboard:
            self._tensorboard.close()


def read_metrics(path: Path) -> list[dict]:
    """The whole lines of a metrics file, in order; none where there is no file. DamagedFile as `read_lines`."""
    return read_lines(path).rows


def read_lines(path: Path) -> Lines:
    """The same with the numbers of the lines that are damaged; DamagedFile where the file cannot be read."""
    return read_json_lines(path, Object, _check_line)


def _check_line(path: Path, line: Object) -> None:
    conform(path, line, _Line)
    conform(path, {name: value for name, value in line.items() if name != "split"}, _Numbers)


def add_sums(total: dict[str, np.ndarray] | None, sums: dict[str, Any]) -> dict[str, np.ndarray]:
    """Adds sums over examples in float64; None is nothing yet."""
    fetched = {k: np.asarray(v, np.float64) for k, v in jax.device_get(sums).items()}
    return fetched if total is None else {k: total[k] + v for k, v in fetched.items()}


def compile_scalars(fn: Callable[..., dict[str, jax.Array]]) -> Callable[..., dict[str, float]]:
    """fn compiled, its scalars as floats in the order in which fn names them (jit alone would sort them)."""
    names: list[str] = []

    @jax.jit
    def values(*args: Any) -> tuple[jax.Array, ...]:
        scalars = fn(*args)
        names[:] = scalars
        return tuple(scalars.values())

    def scalars_of(*args: Any) -> dict[str, float]:
        numbers = jax.device_get(values(*args))
        return {name: float(number) for name, number in zip(names, numbers, strict=True)}

    return scalars_of


def as_float32(sums: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Sums in the precision that objectives are compiled for."""
    return {k: v.astype(np.float32) for k, v in sums.items()}


def terms(metrics: dict[str, float]) -> str:
    """'loss 12.3  kl 4.56'."""
    return "  ".join(f"{name} {value:.4g}" for name, value in metrics.items())


def _tensorboard_writer(folder: Path, last_step: int) -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise UserError(
            "config.train.tensorboard needs tensorboardX: pip install tensorboardX, or turn it off."
        ) from error
    return SummaryWriter(str(folder), purge_step=last_step + 1)
