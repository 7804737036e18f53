"""Long runs in stages: what each needs, whether it is done, and the seconds that it took.

A stage that is done is skipped, one that was cut off goes on, so the same command again finishes what is left. A
pipeline (a row of kinds.PIPELINES) is a function that makes the stages of a config: see tasks/mcvae.py.
"""

import contextlib
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

from mcvae_jax.command import clock
from mcvae_jax.errors import UserError
from mcvae_jax.storage.disk import CannotWrite
from mcvae_jax.storage.jsonfile import DamagedFile, Seconds, read_json, read_or_none, write_json
from mcvae_jax.storage.workdir import Workdir
from mcvae_jax.training import processes, progress

Say = Callable[[str], None]

TIMES = "stages.json"
Times = dict[str, Seconds]  # what it holds: seconds by part


class Stopwatch:
    """The seconds that the parts of all stages took, over all starts of a run, kept in a file of its folder."""

    def __init__(self, folder: Path, parts: Sequence[str], say: Say) -> None:
        self.path, self.parts, self.say = folder / TIMES, parts, say
        try:
            self.seconds = read_json(self.path, Times) or {}
        except DamagedFile as error:
            say(f"{error}; the times are counted anew")
            self.seconds = {}
            if processes.is_first():
                write_json(self.path, {})

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Counts what happens inside for a part of a stage, also where it ends early."""
        self.say(f"[{self.parts.index(name) + 1}/{len(self.parts)}] {name}")
        started = time.perf_counter()
        try:
            yield
        except BaseException:
            with contextlib.suppress(CannotWrite):  # what ended the part is to be said, and may be the same
                self._note(name, started)
            raise
        self._note(name, started)
        progress.note(f"{self.path.parent} {name}")

    def _note(self, name: str, started: float) -> None:
        if processes.is_first():
            self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - started, 1)
            write_json(self.path, self.seconds)


class Stage(NamedTuple):
    """A step of a run."""

    name: str
    needs: tuple[str, ...]  # the stages that must be done before it
    parts: tuple[str, ...]  # names under which its seconds are counted
    check: Callable[[], None]  # UserError where it cannot start; asked of all stages before any work
    done: Callable[[], str]  # a line that says that it is done; '' where it is not
    run: Callable[[Stopwatch], int]  # does what is left of it; the signal that stopped it, or 0


def check(stages: Sequence[Stage], folder: Path) -> None:
    """UserError where the run, or a stage of it, cannot start in the workdir `folder`."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; give a folder as --workdir.")
    names = {path.name for path in folder.iterdir()} - {"lock"} if folder.exists() else set()
    if names and ("config.json" in names or not names & {TIMES, *(stage.name for stage in stages)}):
        raise UserError(f"{folder} holds other things than a run of these stages; give an empty or new --workdir.")
    for stage in in_order(stages):
        stage.check()


def run(stages: Sequence[Stage], folder: Path, say: Say, only: Collection[str] = ()) -> int:
    """Runs what is left of the stages, each after those that it needs.

    Args:
      folder: the workdir of all of it.
      say: takes lines for the user.
      only: names of stages; () is all.

    Returns:
      The exit status: 0, or 128 + the signal that stopped it.

    Raises:
      UserError: as `check` and the stages do.
    """
    processes.by_first("start", lambda: check(stages, folder))
    ordered = in_order(stages)
    with Workdir(folder).locked() if processes.is_first() else contextlib.nullcontext():
        watch = Stopwatch(folder, [part for stage in ordered for part in stage.parts], say)
        for stage in ordered:
            if only and stage.name not in only:
                continue
            line = processes.by_first(f"{stage.name} done", stage.done)
            received = 0 if line else stage.run(watch)
            if line:
                say(line)
            if received:
                return 128 + received
    return 0


def in_order(stages: Sequence[Stage]) -> list[Stage]:
    """The stages, each after those that it needs; ValueError where these are not there, or need each other."""
    by_name = {stage.name: stage for stage in stages}
    unknown = {need for stage in stages for need in stage.needs} - set(by_name)
    if unknown:
        raise ValueError(f"there is no stage {', '.join(sorted(unknown))}")
    try:
        names = list(TopologicalSorter({stage.name: stage.needs for stage in stages}).static_order())
    except CycleError as error:
        raise ValueError(f"stages need each other: {', '.join(error.args[1])}") from error
    return [by_name[name] for name in names]


def times(folder: Path, say: Say) -> str:
    """'corpus 0:26, vae 9:10; in all 9:36', of a workdir; where they are damaged, which is said, 'not known'."""
    seconds = read_or_none(folder / TIMES, Times, say, "the times are not known")
    if not seconds:
        return "not known"
    return f"{', '.join(f'{name} {clock(s)}' for name, s in seconds.items())}; in all {clock(sum(seconds.values()))}"
