"""Breaks runs in every way that machines do, and shows what becomes of them.

    python -m experiments.faults --out=DIR [--kills=200] [--flips=300] [--damages=60] [--stops=20] [--fills=20]

A tiny run of configs/mcvae.py (corpus, VAE, latents, MDRNN, songs) is killed (SIGKILL, in half of the cases while a
checkpoint is saved, where one is), asked to stop (SIGINT, SIGTERM), run on a disk that is too small, and damaged: one
bit is flipped in one of its files. Then the same command is given again. It must end with equal bits (parameters,
optimiser states, held_out.json of both models, MIDI files of the songs); after a flipped bit it may instead tell in a
line what is damaged. No stack trace may be printed. Further bits are flipped in checkpoints that are then restored,
without the command: each must be noticed, or change nothing.

Each fault is a line of OUT/outcomes.jsonl, so that the same command goes on where it was; table.csv and table.txt hold
what is printed at the end. The exit status is 1 where something is wrong. Filling a disk needs the right to mount one;
without it, the size of files is limited instead. One process on one core: taskset -c 0 python -m experiments.faults ...
"""

import argparse
import json
import random
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypedDict

from experiments.breaking import kinds
from experiments.breaking.kinds import Outcome, Place
from experiments.breaking.runs import WORKDIR, bits, run
from experiments.results import write_csv
from mcvae_jax.command import Parser, clock, run_command, say
from mcvae_jax.errors import UserError
from mcvae_jax.places import on_this_machine
from mcvae_jax.stages import Times
from mcvae_jax.storage.files import names_in
from mcvae_jax.storage.jsonfile import read_json, read_json_lines
from mcvae_jax.storage.workdir import Workdir
from mcvae_jax.tasks.mcvae import parts_of

STAGES = parts_of()

CHAIN = 8  # kills of one run
COLUMNS = ("stage", "fault", "count", "noticed", "equal bits", "named", "most lines", "stack traces", "wrong")
STATES = {"vae": "stopped-in-vae", "mdrnn": "stopped-in-mdrnn", "done": "reference"}  # and the folders that keep them
OURS = {"outcomes.jsonl", "table.csv", "table.txt", "compiled", "case", "lock", "output.log", "errors.log"}
OURS |= set(STATES.values())

GROUPS = ("kills", "flips", "damages", "stops", "fills")  # options, each a number of faults

Case = Callable[[], list[Outcome]]
_Row = TypedDict("_Row", Outcome.__annotations__)


def parse(argv: list[str]) -> argparse.Namespace:
    """The options of the command line; UserError where they cannot be followed."""
    parser = Parser(
        "python -m experiments.faults",
        description=__doc__,
    )
    add = parser.add_argument
    add("--out", required=True, type=Path, metavar="DIR", help="of the runs, the outcomes and the table")
    for name, default, what in (
        ("kills", 200, "kills"),
        ("flips", 300, "flipped bits of checkpoints that are restored"),
        ("damages", 60, "flipped bits of all files, before the command is given again"),
        ("stops", 20, "signals that ask to stop"),
        ("fills", 20, "disks that are too small"),
    ):
        add(f"--{name}", type=int, default=default, metavar="N", help=f"{what} (default: {default})")
    add("--minutes", type=float, default=0.0, metavar="M", help="to end after, if not all is done (default: no limit)")
    add("--seed", type=int, default=0, metavar="N", help="of all that is drawn (default: 0)")
    flags = parser.parse_args(argv)
    for name in (*GROUPS, "minutes"):
        if getattr(flags, name) < 0:
            raise UserError(f"--{name} is {getattr(flags, name)}; it must not be negative")
    return flags


def main(argv: list[str]) -> int:
    """Breaks runs until as many as asked for are broken, then prints the table."""
    flags = parse(argv)
    out = on_this_machine(flags.out).absolute()
    if foreign := sorted(names_in(out, "choose another --out") - OURS):
        raise UserError(f"{out} holds {foreign[0]!r}, which is none of this experiment; choose another --out")
    with Workdir(out).locked():
        place = prepare(out)
        outcomes = break_runs(place, flags)
        shutil.rmtree(out / "case", ignore_errors=True)
    write_table(outcomes, out)
    return 1 if any(outcome.wrong for outcome in outcomes) else 0


def prepare(out: Path) -> Place:
    """Makes the run that nothing disturbs, and those that are stopped on the way, where they are not there."""
    states = {name: out / folder for name, folder in STATES.items()}
    place = Place(out, out / "compiled", states["done"], states, {}, {})
    if not place.reference.is_dir():
        for attempt in ("compiles", "is measured"):  # the first takes longer
            say(f"a run that nothing disturbs ({attempt})")
            shutil.rmtree(place.case, ignore_errors=True)
            ending = run(place.case, place.compiled)
            if ending.status:
                raise UserError(f"a run that nothing disturbed ended with {ending.status}: {ending.errors[-1:]}")
        place.case.rename(place.reference)
    for name in kinds.TRAINED:
        if not states[name].is_dir():
            kinds.stop_in(place, name, states[name])
    seconds = read_json(place.reference / WORKDIR / "stages.json", Times)
    return place._replace(expected=bits(place.reference), seconds=seconds)


def break_runs(place: Place, flags: argparse.Namespace) -> list[Outcome]:
    """All outcomes, those of earlier calls among them; each is kept as soon as it is there."""
    path = place.out / "outcomes.jsonl"
    outcomes = read_outcomes(path)
    say(f"{len(outcomes)} faults are done already" if outcomes else f"{len(place.expected)} things must be equal")
    started = time.monotonic()
    end = started + 60 * flags.minutes if flags.minutes else float("inf")
    for case in plan(place, flags, outcomes):
        if time.monotonic() > end:
            say(f"{flags.minutes:g} minutes are over; the same command goes on")
            break
        for outcome in case():
            outcomes.append(outcome)
            with path.open("a") as file:
                file.write(json.dumps(outcome._asdict()) + "\n")
            if outcome.wrong:
                where = f" in {outcome.where}" if outcome.where else ""
                say(f"WRONG: {outcome.kind}, {outcome.stage}{where}: {outcome.wrong}")
        if len(outcomes) // 25 > (len(outcomes) - 1) // 25:
            say(f"{len(outcomes)} faults, {clock(time.monotonic() - started)} since the start")
    return outcomes


def read_outcomes(path: Path) -> list[Outcome]:
    """Those of earlier calls; lines that say nothing of the kind are left out, and their faults are done again."""
    return [Outcome(**row) for row in read_json_lines(path, _Row).rows]


def plan(place: Place, flags: argparse.Namespace, done: Sequence[Outcome]) -> Iterator[Case]:
    """What is left to do, the kinds in turn, so that a table of a part of it tells of all."""
    mounts = flags.fills > 0 and kinds.can_mount(place.out)
    if flags.fills and not mounts:
        say("no disk can be mounted here: the size of files is limited instead")
    while True:
        count = {name: sum(_group(outcome) == name for outcome in done) for name in GROUPS}
        left = {name: getattr(flags, name) - number for name, number in count.items() if getattr(flags, name) > number}
        if not left:
            return
        name = max(left, key=lambda name: left[name] / getattr(flags, name))
        number, rng = count[name], random.Random(f"{flags.seed} {name} {count[name]}")
        seed = f"{flags.seed} {name} {number} of a case"
        stages = sorted(rng.choices(STAGES, k=min(CHAIN, left[name])), key=STAGES.index)
        state = rng.choice(sorted(place.states))
        stage = rng.choice(kinds.stages_of_state(state))
        yield {
            "kills": partial(kinds.kill_chain, place, seed, stages),
            "stops": partial(kinds.stop_chain, place, seed, stages),
            "fills": partial(kinds.full_disk, place, seed, mounts),
            "damages": partial(kinds.flip, place, seed, stage, state),
            "flips": partial(kinds.flip_checkpoint, place, seed, state, rng.choice(kinds.models_of_state(state))),
        }[name]


def _group(outcome: Outcome) -> str:
    """The option that asks for such a fault."""
    if outcome.kind.startswith("kill"):
        return "kills"
    return {"full disk": "fills", "flip": "damages", "flip, restored": "flips"}.get(outcome.kind, "stops")


def write_table(outcomes: Sequence[Outcome], out: Path) -> None:
    """table.csv and table.txt, which is printed: a row for each stage and fault, and one for all."""
    keys = sorted({(outcome.stage, outcome.kind) for outcome in outcomes}, key=lambda key: (_order(key[0]), key[1]))
    rows = [_row(*key, [each for each in outcomes if (each.stage, each.kind) == key]) for key in keys]
    rows.append(_row("all", "", outcomes))
    write_csv(out / "table.csv", rows)
    text = "\n".join(
        f"{row['stage']:<9}{row['fault']:<20}" + "".join(f"{row[c]!s:>14}" for c in COLUMNS[2:]) for row in rows
    )
    head = f"{'stage':<9}{'fault':<20}" + "".join(f"{column:>14}" for column in COLUMNS[2:])
    (out / "table.txt").write_text(f"{head}\n{text}\n")
    say(f"{head}\n{text}")


def _row(stage: str, fault: str, outcomes: Sequence[Outcome]) -> dict:
    values = (
        len(outcomes),
        sum(each.noticed for each in outcomes),
        sum(each.equal for each in outcomes),
        sum(each.named and not each.equal for each in outcomes),
        max((each.lines for each in outcomes), default=0),
        sum(each.traces for each in outcomes),
        sum(bool(each.wrong) for each in outcomes),
    )
    return dict(zip(COLUMNS, (stage, fault, *values), strict=True))


def _order(stage: str) -> int:
    return ("start", *STAGES, "run").index(stage) if stage in ("start", *STAGES, "run") else -1


if __name__ == "__main__":
    run_command(main)
