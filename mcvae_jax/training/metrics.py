"""Log writers: metrics.jsonl, the progress line, TensorBoard, the learning-curve picture."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

import jax
import msgspec
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mcvae_jax.errors import UserError
from mcvae_jax.storage.disk import writing
from mcvae_jax.storage.files import replacing_file
from mcvae_jax.storage.jsonfile import Count, DamagedFile, Lines, Object, Seconds, conform, read_json_lines

TRAIN, HELD_OUT = "train", "held_out"
BOOKKEEPING = ("step", "split", "seconds", "examples_per_second", "learning_rate", "grad_norm")
UNITS = dict.fromkeys(("objective", "reconstruction", "kl", "bound", "rate", "stop"), "nats per bar") | {
    "bound_bits": "bits per bar",
    "nll_per_dim": "nats per bar and dimension",
    "mixture_entropy": "nats",
    "accuracy": "share of tokens",
}  # of the panels of the learning curve, where they have one
STYLES: dict[str, dict[str, Any]] = {
    TRAIN: {"label": "training", "color": "#4878a8", "linewidth": 1.0},
    HELD_OUT: {"label": "held-out", "color": "#d1603d", "linewidth": 1.6, "marker": "o", "markersize": 3},
    "best": {"label": "best checkpoint", "color": "0.35", "linewidth": 1.0, "linestyle": "--"},
}


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


def draw_learning_curve(path: Path, lines: list[dict], best_step: int | None) -> None:
    """A panel for each metric, training and held-out over the step, with the best step marked; a PNG."""
    names = list(dict.fromkeys(n for split in (HELD_OUT, TRAIN) for e in lines if e["split"] == split for n in e))
    names = [n for n in names if n not in BOOKKEEPING]
    columns = min(3, max(1, len(names)))
    rows = max(1, -(-len(names) // columns))
    figure = Figure(figsize=(4.2 * columns, 2.7 * rows + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    for i, name in enumerate(names):
        axes = figure.add_subplot(rows, columns, i + 1)
        _draw_panel(axes, name, lines, best_step)
        if i >= len(names) - columns:
            axes.set_xlabel("step", fontsize=9)
    handles = [Line2D([], [], **style) for style in STYLES.values()]
    figure.legend(handles=handles, loc="outside upper left", ncols=len(handles), frameon=False, fontsize=9)
    figure.savefig(path, dpi=110)


def _draw_panel(axes: Axes, name: str, lines: list[dict], best_step: int | None) -> None:
    for split in (TRAIN, HELD_OUT):
        points = [(e["step"], e[name]) for e in lines if e["split"] == split and e.get(name) is not None]
        if points:
            axes.plot(*zip(*points, strict=True), **STYLES[split])
    if best_step is not None:
        axes.axvline(best_step, **STYLES["best"])
    axes.set_title(name.replace("_", " "), fontsize=10)
    axes.set_ylabel(UNITS.get(name, ""), fontsize=8)
    axes.tick_params(labelsize=8)
    axes.grid(color="0.93")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _tensorboard_writer(folder: Path, last_step: int) -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise UserError(
            "config.train.tensorboard needs tensorboardX: pip install tensorboardX, or turn it off."
        ) from error
    return SummaryWriter(str(folder), purge_step=last_step + 1)
