"""Says what a workdir holds, finished or not, and what of it is damaged; or how two runs differ.

  python -m mcvae_jax.inspect WORKDIR
  python -m mcvae_jax.inspect WORKDIR WORKDIR [--out=CURVES.png]

Of one, all is read: checkpoints must hold the arrays that were saved, results the bytes that were written.

Of two, it shows the fields of the configs, the data and the versions that differ, the learning curves and the held-out
figures; --out draws all curves over each other.

It writes nothing but that picture.
"""

import math
from pathlib import Path

from mcvae_jax import stages, versions
from mcvae_jax.command import Parser, clock, run_command, say
from mcvae_jax.errors import UserError
from mcvae_jax.kinds import models_of
from mcvae_jax.places import is_of_weights
from mcvae_jax.sampling import demo, results
from mcvae_jax.storage.buckets import fetched
from mcvae_jax.storage.checkpoints import OBJECTIVE, Checkpoints
from mcvae_jax.storage.jsonfile import DamagedFile, Lines
from mcvae_jax.storage.workdir import Record, Workdir, flatten
from mcvae_jax.training.metrics import HELD_OUT, TRAIN, read_lines, terms
from mcvae_jax.training.two_runs import describe_two, draw_two

BOOKKEEPING = ("step", "split", "seconds")
AGAIN = "the command of the training makes it again"


def main(argv: list[str]) -> int:
    """Prints the report on the one workdir named, or compares the two."""
    parser = Parser("python -m mcvae_jax.inspect", description=__doc__)
    parser.add_argument("workdirs", nargs="*", metavar="WORKDIR", help="one, or two to compare")
    parser.add_argument("--workdir", default=[], action="append", metavar="DIR", help="the same, as in other commands")
    parser.add_argument("--out", default="", metavar="CURVES.png", help="of two: a picture of their learning curves")
    flags = parser.parse_args(argv)
    folders = [Path(folder) for folder in [*flags.workdirs, *flags.workdir]]
    if len(folders) not in (1, 2):
        raise UserError("Give one workdir, or two to compare: python -m mcvae_jax.inspect runs/vae-default")
    if len(folders) == 1:
        if flags.out:
            raise UserError("--out is the picture of two runs; give both, or leave it out")
        say("\n".join(describe(folders[0])))
        return 0
    say("\n".join(describe_two(*folders)))
    if flags.out:
        draw_two(Path(flags.out), *folders)
        say(f"\nThe curves are drawn over each other in {flags.out}.")
    return 0


def describe(folder: Path | str) -> list[str]:
    """The lines of the report on a workdir, or on all of configs/mcvae.py; UserError where the folder is none."""
    folder = fetched(folder)
    models = models_of(folder)
    if models:
        parts = [_describe_run(model, f"{model.name}.") for model in models] + [_describe_songs(folder)]
        return "\n\n\n".join("\n".join(part) for part in parts).splitlines()
    return _describe_run(folder)


def _describe_songs(folder: Path) -> list[str]:
    """What the last stage of configs/mcvae.py has made, and the time of all of them."""
    damage: list[str] = []
    place = folder / "songs"
    written = results.read_written(place, damage.append, AGAIN)
    rows = {"songs": f"{len(written.songs)}: open {place / demo.PAGE}" if written else "none yet"}
    if written and (name := written.damaged(place)):
        damage.append(f"{place / name} is gone or damaged; {AGAIN}")
    rows["time"] = stages.times(folder, damage.append)
    return [f"{folder}: all stages", *_aligned(rows), *_damage_lines(damage)]


def _describe_run(folder: Path, section: str = "") -> list[str]:
    """section: of the command's config that is this run's, such as 'vae.'."""
    workdir = Workdir(folder)
    damage: list[str] = []
    record = _record(workdir, damage)
    lines = [f"{workdir.folder}: {record.config.get('task', 'run')} of {record.command or 'a notebook'}"]
    if record.init_from:
        lines.append(f"started from the best parameters of {record.init_from}")
    lines += ["", "config", *_config_lines(record.config), "", "data", *_aligned(flatten(record.data))]
    if record.environments:
        ran = {f"from step {each['from_step']}": versions.as_text(each["on"]) for each in record.environments}
        lines += ["", "computed on", *_aligned(ran)]
    steps: list[int] = []
    best = None
    if workdir.checkpoints.is_dir():
        with Checkpoints(workdir.checkpoints, read_only=True) as checkpoints:
            steps, best = _look_at(checkpoints, damage)
            whole = [step for step in checkpoints.steps() if step in steps]
            lines += ["", "parameters", *_parameter_lines(checkpoints, whole[-1])] if whole else []
            unknown = [step for step in whole if not checkpoints.about(step).identities]
            if unknown:
                lines += ["", f"saved by an earlier version, without identity: steps {', '.join(map(str, unknown))}"]
    lines += ["", "training", *_aligned(_progress(workdir, record, steps, best, damage))]
    lines += _damage_lines(damage)
    return lines + ["", "next", f"  {_next_command(workdir, record, steps, section)}"]


def _record(workdir: Workdir, damage: list[str]) -> Record:
    """The record, where config.json is damaged that of the newest checkpoint; UserError where there is none."""
    stored = workdir.stored()
    if not stored.damage or not stored.record:
        return workdir.read()
    damage.append(f"{stored.damage}; {AGAIN}")
    return stored.record


def _look_at(checkpoints: Checkpoints, damage: list[str]) -> tuple[list[int], int | None]:
    """The steps whose checkpoints are whole, and the best of these; what is wrong with others goes to `damage`."""
    whole, scores = [], {}
    for step in checkpoints.steps():
        wrong = checkpoints.damage(step)
        if wrong:
            damage.append(f"{wrong} The command of the training removes it, and goes on from the newest that is whole")
            continue
        whole.append(step)
        about = checkpoints.about(step)
        if about.metrics:
            scores[step] = about.metrics[OBJECTIVE]
    return whole, min(scores, key=scores.__getitem__, default=None)


def _damage_lines(damage: list[str]) -> list[str]:
    return ["", "damage", *(f"  {line}" for line in damage)] if damage else []


def _config_lines(config: dict) -> list[str]:
    """A line for each section: '  model      units 512, latent 64'."""
    sections = {name: value for name, value in config.items() if isinstance(value, dict)}
    plain = {name: value for name, value in config.items() if not isinstance(value, dict)}
    rows = {"": plain} | sections
    return _aligned({k: ", ".join(f"{n} {v}" for n, v in flatten(row).items()) for k, row in rows.items()})


def _parameter_lines(checkpoints: Checkpoints, step: int) -> list[str]:
    """Parameter counts by the first level below the tree's root that has several entries."""
    shapes = checkpoints.shapes(step, "params")
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    while sizes and len({name.split("/")[0] for name in sizes}) == 1 and all("/" in name for name in sizes):
        sizes = {name.split("/", 1)[1]: size for name, size in sizes.items()}
    modules: dict[str, int] = {}
    for name, size in sizes.items():
        modules[name.split("/")[0]] = modules.get(name.split("/")[0], 0) + size
    return _aligned({name: f"{n:,}" for name, n in (modules | {"total": sum(modules.values())}).items()})


def _progress(
    workdir: Workdir, record: Record, steps: list[int], best: int | None, damage: list[str]
) -> dict[str, str]:
    """How far the run is, its last metrics, its best ones and its results; what is wrong with them goes to `damage`."""
    try:
        lines = read_lines(workdir.metrics)
    except DamagedFile as error:
        lines = Lines([], [])
        damage.append(f"{error}; move it away")
    if lines.damaged:
        damage.append(
            f"{workdir.metrics}: lines {', '.join(map(str, lines.damaged))}; training further leaves them out"
        )
    entries = lines.rows
    asked = _steps_asked(record)
    rows = {"step": f"{max(steps, default=0)} of {asked}" if asked else f"{max(steps, default=0)}, no more are asked"}
    if entries:
        rows["time"] = clock(entries[-1]["seconds"])
    for split in (TRAIN, HELD_OUT):
        last = [e for e in entries if e["split"] == split][-1:]
        rows |= {split.replace("_", "-"): f"step {e['step']}:  {_scores(e)}" for e in last}
    at_best = [e for e in entries if e["split"] == HELD_OUT and e["step"] == best]
    if at_best:
        rows["best"] = f"step {best}:  {_scores(at_best[-1])}"
    summary = workdir.read_summary(damage.append)
    if summary and (name := workdir.damaged_result(summary)):
        damage.append(f"{workdir.results / name} is gone or damaged; {AGAIN}")
    rows["results"] = ", ".join(summary.files) if summary and summary.files else "none yet"
    return rows


def _steps_asked(record: Record) -> int:
    """0 where the config does not say."""
    return record.config.get("train", {}).get("steps", 0)


def _scores(entry: dict) -> str:
    return terms({k: v for k, v in entry.items() if k not in BOOKKEEPING and v is not None})


def _next_command(workdir: Workdir, record: Record, steps: list[int], section: str) -> str:
    if is_of_weights(workdir.folder):
        name = workdir.folder
        return f"python -m mcvae_jax.sample --workdir={name} --out=songs; --init_from={name} trains from it"
    if max(steps, default=0) < _steps_asked(record) or not workdir.summary.exists():
        return record.command or "call train again with the same config and workdir"
    learns = record.command and _steps_asked(record)
    more = f"; for more steps: {record.command} --config.{section}train.steps=MORE" if learns else ""
    models = models_of(workdir.folder.parent) if section else [workdir.folder]
    for later in models[models.index(workdir.folder) + 1 :]:
        more = more.replace("for more steps", f"for more steps delete {later}, which belongs to this one, then", 1)
    return f"look at {workdir.results}{more}"


def _aligned(rows: dict) -> list[str]:
    width = max((len(name) for name in rows), default=0)
    return [f"  {name:<{width}}  {value}" for name, value in rows.items()] or ["  nothing recorded"]


def as_command() -> None:
    """What the command line runs."""
    run_command(main)


if __name__ == "__main__":
    as_command()
