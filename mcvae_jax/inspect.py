"""Says what a workdir holds, finished or not: python -m mcvae_jax.inspect WORKDIR. It writes nothing."""

import math
from pathlib import Path

from mcvae_jax import pipeline
from mcvae_jax.checkpoints import Checkpoints
from mcvae_jax.command import clock, run_command, say
from mcvae_jax.errors import UserError
from mcvae_jax.sampling import demo
from mcvae_jax.training.metrics import HELD_OUT, TRAIN, read_metrics, terms
from mcvae_jax.workdir import Record, Workdir, flatten, read_json

BOOKKEEPING = ("step", "split", "seconds")


def main(argv: list[str]) -> int:
    """Prints the report on the one workdir named."""
    if {"--help", "-h"} & set(argv):
        say(__doc__)
        return 0
    if len(argv) != 1 or argv[0].startswith("-"):
        raise UserError("Give one workdir: python -m mcvae_jax.inspect runs/vae-default")
    say("\n".join(describe(argv[0])))
    return 0


def describe(folder: Path | str) -> list[str]:
    """The lines of the report on a workdir, or on all of configs/mcvae.py; UserError where the folder is none."""
    folder = Path(folder)
    models = [name for name in ("vae", "mdrnn") if (folder / name / "config.json").is_file()]
    if models and not (folder / "config.json").exists():
        parts = [_describe_run(folder / name, f"{name}.") for name in models] + [_describe_songs(folder)]
        return "\n\n\n".join("\n".join(part) for part in parts).splitlines()
    return _describe_run(folder)


def _describe_songs(folder: Path) -> list[str]:
    """What the last stage of configs/mcvae.py has made, and the time of all of them."""
    songs = read_json(folder / "songs" / "songs.json").get("songs", [])
    rows = {"songs": f"{len(songs)}: open {folder / 'songs' / demo.PAGE}" if songs else "none yet"}
    return [f"{folder}: all stages", *_aligned(rows | {"time": pipeline.times(folder)})]


def _describe_run(folder: Path, section: str = "") -> list[str]:
    """section: of the command's config that is this run's, such as 'vae.'."""
    workdir = Workdir(folder)
    record = workdir.read()
    lines = [f"{workdir.folder}: {record.config.get('task', 'run')} of {record.command or 'a notebook'}"]
    if record.init_from:
        lines.append(f"started from the best parameters of {record.init_from}")
    lines += ["", "config", *_config_lines(record.config), "", "data", *_aligned(flatten(record.data))]
    steps, best = [], None
    if workdir.checkpoints.is_dir():
        with Checkpoints(workdir.checkpoints, read_only=True) as checkpoints:
            steps, best = checkpoints.steps(), checkpoints.best()
            lines += ["", "parameters", *_parameter_lines(checkpoints)] if steps else []
    lines += ["", "training", *_aligned(_progress(workdir, record, steps, best))]
    return lines + ["", "next", f"  {_next_command(workdir, record, steps, section)}"]


def _config_lines(config: dict) -> list[str]:
    """A line for each section: '  model      units 512, latent 64'."""
    sections = {name: value for name, value in config.items() if isinstance(value, dict)}
    plain = {name: value for name, value in config.items() if not isinstance(value, dict)}
    rows = {"": plain} | sections
    return _aligned({k: ", ".join(f"{n} {v}" for n, v in flatten(row).items()) for k, row in rows.items()})


def _parameter_lines(checkpoints: Checkpoints) -> list[str]:
    """Parameter counts by the first level below the tree's root that has several entries."""
    shapes = checkpoints.shapes(checkpoints.newest(), "params")
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    while sizes and len({name.split("/")[0] for name in sizes}) == 1 and all("/" in name for name in sizes):
        sizes = {name.split("/", 1)[1]: size for name, size in sizes.items()}
    modules: dict[str, int] = {}
    for name, size in sizes.items():
        modules[name.split("/")[0]] = modules.get(name.split("/")[0], 0) + size
    return _aligned({name: f"{n:,}" for name, n in (modules | {"total": sum(modules.values())}).items()})


def _progress(workdir: Workdir, record: Record, steps: list[int], best: int | None) -> dict[str, str]:
    """How far the run is, its last metrics, its best ones and its results."""
    entries = read_metrics(workdir.metrics)
    rows = {"step": f"{max(steps, default=0)} of {record.config['train']['steps']}"}
    if entries:
        rows["time"] = clock(entries[-1]["seconds"])
    for split in (TRAIN, HELD_OUT):
        last = [e for e in entries if e["split"] == split][-1:]
        rows |= {split.replace("_", "-"): f"step {e['step']}:  {_scores(e)}" for e in last}
    at_best = [e for e in entries if e["split"] == HELD_OUT and e["step"] == best]
    if at_best:
        rows["best"] = f"step {best}:  {_scores(at_best[-1])}"
    files = workdir.read_summary().get("files", [])
    rows["results"] = ", ".join(files) if files else "none yet"
    return rows


def _scores(entry: dict) -> str:
    return terms({k: v for k, v in entry.items() if k not in BOOKKEEPING and v is not None})


def _next_command(workdir: Workdir, record: Record, steps: list[int], section: str) -> str:
    if max(steps, default=0) < record.config["train"]["steps"] or not workdir.summary.exists():
        return record.command or "call train again with the same config and workdir"
    more = f"; for more steps: {record.command} --config.{section}train.steps=MORE" if record.command else ""
    mdrnn = workdir.folder.with_name("mdrnn")
    if section == "vae." and mdrnn.exists():
        more = more.replace("for more steps:", f"for more steps delete {mdrnn}, which belongs to this one, then:")
    return f"look at {workdir.results}{more}"


def _aligned(rows: dict) -> list[str]:
    width = max((len(name) for name in rows), default=0)
    return [f"  {name:<{width}}  {value}" for name, value in rows.items()] or ["  nothing recorded"]


if __name__ == "__main__":
    run_command(main)
