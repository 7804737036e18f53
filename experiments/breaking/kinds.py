"""The faults: kills, stops, a full disk, flipped bits; a run must survive each, or say what it has lost."""

import contextlib
import os
import random
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from experiments.breaking.runs import NAMED, WORKDIR, Ending, Running, bits, files_of, run
from mcvae_jax.storage.checkpoints import ITEMS, Checkpoints, DamagedCheckpoint
from mcvae_jax.storage.identity import tree_identity
from mcvae_jax.tasks.mcvae import data_of, parts_of

MODELS, STAGES = tuple(data_of()), parts_of()

TRAINED = MODELS  # stages that save checkpoints
STOPPED = (130, 143, -signal.SIGTERM)  # exit statuses of a run that was asked to stop
MOST_LINES = 3  # that an error, or a stop, may take
SAVED = 4  # step of a checkpoint, with which a run is stopped to be damaged


class Outcome(NamedTuple):
    """What became of one fault."""

    kind: str  # 'kill', 'kill in a save', 'SIGINT', 'SIGTERM', 'full disk', 'flip', 'flip, restored'
    stage: str  # during which, or whose files
    where: str  # the file of a flip, the size of a disk
    noticed: bool  # a line told of it
    equal: bool  # the same command ended with equal bits
    named: bool  # or in an error of one line, or said that it lost something
    lines: int  # of standard error
    traces: int  # stack traces
    wrong: str  # '' where all is as it should be
    said: str  # the line that told of it


class Place(NamedTuple):
    """Where the cases of an experiment lie."""

    out: Path
    compiled: Path
    reference: Path  # a finished run that nothing disturbed
    states: dict[str, Path]  # 'vae', 'mdrnn': the same, stopped while this was trained; 'done'
    expected: dict[str, str]  # the `bits` of the reference
    seconds: dict[str, float]  # that its stages took

    @property
    def case(self) -> Path:
        """Where every run lies while it runs, those of `states` did, too."""
        return self.out / "case"


def judge(kind: str, stage: str, where: str, place: Place, hurt: list[Ending], last: Ending) -> Outcome:
    """hurt: how the runs ended that the fault met; last: the run of the same command after it."""
    found = bits(place.case) if last.status == 0 else {}
    other = [name for name, value in place.expected.items() if found.get(name) != value]
    equal = not other
    named = last.named and (last.status == 0 or (last.status == 2 and len(last.errors) <= MOST_LINES))
    traces = sum(each.traces for each in [*hurt, last])
    lines = max(len(each.errors) for each in [*hurt, last])
    said = next((line for each in [*hurt, last] for line in [*each.errors, *each.output] if NAMED.search(line)), "")
    wrong = ""
    if traces:
        wrong = "stack trace"
    elif last.status not in (0, 2):
        wrong = f"exit status {last.status}"
    elif not equal and (kind != "flip" or not named):
        wrong = f"other bits: {', '.join(other)}" if last.status == 0 else "an error that is none of damage"
    elif lines > MOST_LINES:
        wrong = f"{lines} lines of errors"
    return Outcome(kind, stage, where, last.named, equal, named, lines, traces, wrong, said)


def kill_chain(place: Place, seed: str, stages: list[str]) -> list[Outcome]:
    """A run that is killed in each of the stages, in order, and then ends: an outcome for each kill."""
    return _chain(place, seed, stages, lambda rng: (signal.SIGKILL, rng.random() < 0.5))


def stop_chain(place: Place, seed: str, stages: list[str]) -> list[Outcome]:
    """The same with SIGINT and SIGTERM, some in saves."""
    return _chain(place, seed, stages, lambda rng: (rng.choice((signal.SIGINT, signal.SIGTERM)), rng.random() < 0.3))


def _chain(place: Place, seed: str, stages: list[str], draw: Callable[[random.Random], tuple]) -> list[Outcome]:
    rng = random.Random(seed)
    shutil.rmtree(place.case, ignore_errors=True)
    met = []
    for stage in stages:
        number, in_save = draw(rng)
        found = _strike(place, rng, stage, number, in_save and stage in TRAINED)
        if found is None:
            break
        met.append(found)
    last = run(place.case, place.compiled)
    outcomes = []
    for kind, stage, ending in met:
        outcome = judge(kind, stage, "", place, [ending], last)
        if ending.status not in (*STOPPED, 0, -signal.SIGKILL):
            outcome = outcome._replace(wrong=f"exit status {ending.status}")
        outcomes.append(outcome)
    return outcomes


def _strike(
    place: Place, rng: random.Random, stage: str, number: signal.Signals, in_save: bool
) -> tuple[str, str, Ending] | None:
    """Runs until a stage, and there sends a signal: its kind, the stage, and the end; None where the run was faster."""
    running = Running(place.case, place.compiled)
    if not running.until(lambda: running.has_begun(stage)):
        return None
    if in_save and not running.until(running.is_saving):
        return None
    time.sleep(rng.uniform(0.0, 0.03 if in_save else place.seconds[stage]))
    saving, reached = running.is_saving(), running.stage()
    if running.process.poll() is not None:
        return None
    running.send(number)
    kind = "kill" if number == signal.SIGKILL else number.name
    return f"{kind} in a save" if saving else kind, reached, running.end()


def flip(place: Place, seed: str, stage: str, state: str) -> list[Outcome]:
    """One bit of one file of a stage, of a run that was stopped in a state, before the command is given again."""
    shutil.rmtree(place.case, ignore_errors=True)
    shutil.copytree(place.states[state], place.case)
    chosen = flip_one_bit(files_of(place.case, stage), random.Random(seed))
    last = run(place.case, place.compiled)
    return [judge("flip", stage, str(chosen.relative_to(place.case)), place, [], last)]


def flip_checkpoint(place: Place, seed: str, state: str, model: str) -> list[Outcome]:
    """One bit of the newest checkpoint of a model, which this process then reads whole, without the command."""
    rng, kept = random.Random(seed), place.states[state] / WORKDIR / model / "checkpoints"
    step = max(int(path.name) for path in kept.iterdir() if path.name.isdecimal())
    shutil.rmtree(place.case, ignore_errors=True)
    shutil.copytree(kept / str(step), place.case / str(step))
    where = flip_one_bit([path for path in sorted(place.case.rglob("*")) if path.is_file()], rng).relative_to(
        place.case
    )
    with Checkpoints(kept, read_only=True) as checkpoints:
        expected = {item: checkpoints.identity(step, item) for item in ITEMS}
    said, equal, wrong = "", False, ""
    try:
        with Checkpoints(place.case, read_only=True) as checkpoints:
            stored = {item: checkpoints.stored(step, item) for item in ITEMS}
            found = checkpoints.restore(step, stored).items
            equal = {item: tree_identity(found[item]) for item in ITEMS} == expected
            wrong = "" if equal else "other bits"
    except DamagedCheckpoint as error:
        said = str(error)
    except Exception as error:  # whatever else a flipped bit brings about is a mistake of ours
        wrong = f"{type(error).__name__}: {error}"[:200]
    return [Outcome("flip, restored", model, str(where), bool(said), equal, bool(said), 0, 0, wrong, said)]


def flip_one_bit(files: list[Path], rng: random.Random) -> Path:
    """Flips a bit in one of the files, chosen by their size or, as often, all alike."""
    files = [path for path in files if path.stat().st_size]
    chosen = rng.choices(files, [path.stat().st_size for path in files] if rng.random() < 0.5 else None)[0]
    data = bytearray(chosen.read_bytes())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    chosen.write_bytes(data)
    return chosen


def full_disk(place: Place, seed: str, mounts: bool) -> list[Outcome]:
    """A run on a disk that is too small, then with room: without mounts, a limit on the size of a file instead."""
    rng, folder = random.Random(seed), place.case
    shutil.rmtree(folder, ignore_errors=True)
    needed = sum(path.stat().st_size for path in place.reference.rglob("*") if path.is_file())
    if mounts:
        size = int(rng.uniform(0.02, 1.0) * needed) // 4096 * 4
        with small_disk(folder, size):
            hurt = run(folder, place.compiled)
            _mount("remount,size=1g", folder)
            last = run(folder, place.compiled)
            found = judge("full disk", _stage_of(hurt), f"{size} KB", place, [hurt], last)
    else:
        size = int(2 ** rng.uniform(6, 18))
        limit = (size, resource.RLIM_INFINITY)
        hurt = run(folder, place.compiled, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit))
        last = run(folder, place.compiled)
        found = judge("full disk", _stage_of(hurt), f"files of {size} bytes", place, [hurt], last)
    told = any("full" in line for line in [*hurt.output, *hurt.errors])
    wrong = found.wrong
    if hurt.status not in (0, 2):
        wrong = f"exit status {hurt.status} on the full disk"
    elif hurt.status and not told:
        wrong = "an error that does not say that the disk is full"
    return [found._replace(noticed=told, named=told, wrong=wrong)]


def _stage_of(ending: Ending) -> str:
    said = [line for line in ending.output if line.startswith("[")]
    return said[-1].split()[1] if said else "start"


@contextlib.contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[None]:
    """A disk in memory of this size at `folder`, which is gone afterwards."""
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={max(kilobytes, 4)}k", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _mount(options: str, folder: Path) -> None:
    subprocess.run(["mount", "-o", options, str(folder)], check=True)


def can_mount(out: Path) -> bool:
    """Whether this process may mount a small disk."""
    folder = out / "probe"
    try:
        with small_disk(folder, 64):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False
    finally:
        with contextlib.suppress(OSError):
            os.rmdir(folder)


def stop_in(place: Place, stage: str, keep: Path) -> None:
    """Keeps a run that is killed while a model is trained, after its first checkpoints."""
    shutil.rmtree(place.case, ignore_errors=True)
    running = Running(place.case, place.compiled)
    running.until(lambda: running.stage() == stage and running.saved(stage) >= SAVED)
    running.send(signal.SIGKILL)
    running.end()
    place.case.rename(keep)


def models_of_state(state: str) -> list[str]:
    """The models that have checkpoints in it."""
    return ["vae"] if state == "vae" else list(MODELS)


def stages_of_state(state: str) -> list[str]:
    """The stages that have left files in a run stopped in that state, and 'run' for the run as a whole."""
    return {"vae": ["corpus", "vae"], "mdrnn": list(STAGES[:-1]), "done": [*STAGES, "run"]}[state]
