"""Two runs side by side: what differs in their configs, data and versions, their curves and held-out figures."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mcvae_jax.command import clock
from mcvae_jax.errors import UserError
from mcvae_jax.kinds import models_of
from mcvae_jax.storage.checkpoints import OBJECTIVE
from mcvae_jax.storage.files import replacing_file
from mcvae_jax.storage.workdir import Record, Workdir, changed_fields, flatten
from mcvae_jax.training.curves import draw_together
from mcvae_jax.training.metrics import HELD_OUT, read_metrics

ROWS = 12  # steps of the table of the learning curves, at most
NOTHING = "-"  # stands where a run has no such value


class Run(NamedTuple):
    """What is read of a workdir."""

    record: Record
    lines: list[dict]  # of its metrics file
    figures: dict[str, float]  # held-out results of its best parameters; none before it is finished
    notes: list[str]  # what is wrong with it


def describe_two(first: Path, second: Path) -> list[str]:
    """The lines of the comparison; UserError where a folder is no workdir, or they hold no models of the same names."""
    lines = [f"A  {first}", f"B  {second}"]
    for name, pair in _pairs(first, second).items():
        runs = [_read(folder) for folder in pair]
        lines += ["", "", name, *_of_two(runs)] if name else _of_two(runs)
    return lines


def draw_two(path: Path, first: Path, second: Path) -> None:
    """Writes a picture of all learning curves over each other, a PNG; UserError as `describe_two`."""
    if path.suffix != ".png":
        raise UserError(f"{path} is to be a picture; give a name that ends in .png")
    models = {name: [_read(folder).lines for folder in pair] for name, pair in _pairs(first, second).items()}
    with replacing_file(path) as file:
        draw_together(file, [f"A {first}", f"B {second}"], models)


def _pairs(first: Path, second: Path) -> dict[str, tuple[Path, Path]]:
    """The workdirs to compare: '' -> both folders, or the name of each model that both pipelines have begun."""
    models = [{folder.name: folder for folder in models_of(each)} for each in (first, second)]
    if not any(models):
        return {"": (first, second)}
    pairs = {name: (models[0][name], models[1][name]) for name in models[0] if name in models[1]}
    if not pairs:
        whole, names = (first, models[0]) if models[0] else (second, models[1])
        raise UserError(f"{whole} holds several models; compare one of them: {', '.join(map(str, names.values()))}")
    return pairs


def _read(folder: Path) -> Run:
    workdir, notes = Workdir(folder), []
    stored = workdir.stored()
    record = stored.record or workdir.read()
    if stored.damage:
        notes.append(stored.damage)
    summary = workdir.read_summary(notes.append)
    figures = {name: value for name, value in flatten(summary.results).items() if _is_number(value)} if summary else {}
    return Run(record, read_metrics(workdir.metrics), figures, notes)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _of_two(runs: Sequence[Run]) -> list[str]:
    """All sections of a pair."""
    a, b = (run.record for run in runs)
    sections = {
        "config": changed_fields(a.config, b.config),
        "data": changed_fields(a.data, b.data),
        "computed on": changed_fields(*(_versions(record) for record in (a, b))),
    }
    lines = []
    for head, fields in sections.items():
        lines += ["", head, *(_table([(name, *values) for name, *values in fields]) if fields else ["  the same"])]
    lines += ["", "training", *_table([("", "A", "B"), *_progress(runs)])]
    lines += ["", "held-out objective", *_table([("step", "A", "B"), *_curves(runs)])]
    figures = _figures(runs)
    lines += ["", "held-out figures of the best parameters"]
    lines += _table([("", "A", "B", "B - A"), *figures]) if figures else ["  neither run is finished"]
    if a.data.get("identity") != b.data.get("identity"):
        lines.append("  The corpora differ, so these are figures of different songs.")
    notes = [f"  {name}: {note}" for name, run in zip("AB", runs, strict=True) for note in run.notes]
    return lines + (["", "damage", *notes] if notes else [])


def _versions(record: Record) -> dict[str, str]:
    """On what a run was computed; '0.7.2, then 0.10.1' where it went on with another version."""
    found: dict[str, dict[str, None]] = {}
    for environment in record.environments:
        for name, value in environment["on"].items():
            found.setdefault(name, {})[value] = None
    return {name: ", then ".join(values) for name, values in found.items()}


def _progress(runs: Sequence[Run]) -> list[tuple[str, ...]]:
    steps = [str(max((line["step"] for line in run.lines), default=0)) for run in runs]
    asked = [str(run.record.config.get("train", {}).get("steps", NOTHING)) for run in runs]
    times = [clock(max((line["seconds"] for line in run.lines), default=0.0)) for run in runs]
    best = [min(_objective(run).items(), key=lambda item: item[1], default=(NOTHING, 0.0))[0] for run in runs]
    return [("step", *steps), ("of", *asked), ("time", *times), ("best step", *map(str, best))]


def _objective(run: Run) -> dict[int, float]:
    """Step -> the held-out objective, where it was finite."""
    lines = [line for line in run.lines if line["split"] == HELD_OUT and line.get(OBJECTIVE) is not None]
    return {line["step"]: line[OBJECTIVE] for line in lines}


def _curves(runs: Sequence[Run]) -> list[tuple[str, ...]]:
    """A row for each step at which either was scored; of many, ROWS at equal distances, with the last."""
    scores = [_objective(run) for run in runs]
    steps = sorted(set().union(*scores))
    every = -(-len(steps) // ROWS) or 1
    return [(str(step), *(_number(each.get(step)) for each in scores)) for step in reversed(steps[::-1][::every])]


def _figures(runs: Sequence[Run]) -> list[tuple[str, ...]]:
    a, b = (run.figures for run in runs)
    rows: list[tuple[str, ...]] = []
    for name in dict.fromkeys([*a, *b]):
        change = f"{b[name] - a[name]:+.4g}" if name in a and name in b else ""
        rows.append((name, _number(a.get(name)), _number(b.get(name)), change))
    return rows


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.6g}"


def _table(rows: Iterable[Sequence[str]]) -> list[str]:
    """Aligned columns, the first to the left."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  " + "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]
