"""Two hosts train all stages as a job does, and one is disturbed in phase after phase: a table of what happened.

    python -m experiments.jobs.phases --out=DIR

On each host retry.sh runs `mcvae train --config=mcvae:smoke`, with two devices of this machine's CPU. In each phase one
process gets a signal, and the loops go on by themselves. Every run, one for each signal and host, ends with the bits of
a run that was left alone: SHA-256 of the last parameters of both models, and of the songs. It writes DIR/phases.csv and
DIR/phases.md, and fails where bits differ. Some minutes on two cores; nothing of it costs money.
"""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.results import write_csv
from mcvae_jax.command import Parser, run_command, say
from mcvae_jax.errors import UserError
from mcvae_jax.storage.checkpoints import Checkpoints
from mcvae_jax.storage.workdir import Workdir
from mcvae_jax.training.rollcall import free_port

RETRY = Path(__file__).with_name("retry.sh")
HOSTS, DEVICES = 2, 2
PHASES = {  # a line of process 0 in each
    "corpus": r"\[1/5\]",
    "compiling": "the first update compiles",
    "training": "step 10/60",
    "held-out scoring": "held-out at step 60",
    "latents": r"\[3/5\]",
    "the MDRNN's training": "step 10/40",
    "its scoring": "held-out at step 40:.*bound_bits",
    "songs": r"\[5/5\]",
}
FEWER = """
    vae.model.units=32 vae.train.steps=60 vae.train.log_every=5 vae.train.eval_every=20 vae.train.save_every=20
    vae.held_out.importance_samples=2 mdrnn.train.steps=40 mdrnn.train.log_every=5 mdrnn.train.eval_every=20
    mdrnn.train.save_every=20 mdrnn.held_out.draws=1 mdrnn.data.window=16 songs.composed=1 songs.continued=1
    songs.bars=4
""".split()  # fields that make mcvae:smoke smaller, and so often as PHASES wants
WORKS = r"\[\d/5\]"  # said by process 0 once all have come together
GOES_ON = r"Going on from step (\d+) of \S*/(\w+)\.|the first update compiles|\[5/5\]"  # and with what


class Row(NamedTuple):
    """A line of the table."""

    phase: str
    signal: str
    to: int
    statuses: str  # of both processes, the disturbed one first
    seconds: float  # from the signal until all worked again
    goes_on: str  # with what: a model from a step, or from its start, or the songs
    same_bits: bool = False


def arguments(folder: Path) -> list[str]:
    """What `mcvae train` is told beside --distributed; the corpus lies beside the workdir."""
    fields = [*FEWER, f"vae.corpus_folder={folder.parent / 'corpora' / 'tunes'}"]
    return ["--config=mcvae:smoke", f"--workdir={folder}", *(f"--config.{field}" for field in fields)]


def environment() -> dict[str, str]:
    """Of a process with two devices, whose lines come at once; retry.sh does not pause."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={DEVICES}"
    return os.environ | {"XLA_FLAGS": flags, "PYTHONUNBUFFERED": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "MCVAE_PAUSE": "1"}


class Host:
    """A host: the job's loop, and what it and its command have said."""

    def __init__(self, command: Sequence[str], env: dict[str, str]) -> None:
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        self.loop = subprocess.Popen([str(RETRY), *command], env=env, **pipes)
        self.lines: list[str] = []
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.loop.stdout is not None
        for line in self.loop.stdout:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def wait_for(self, pattern: str, since: int = 0, seconds: float = 300.0) -> re.Match[str]:
        """The first such line after the first `since` of them; UserError where it ends without, or time is over."""
        until = time.monotonic() + seconds
        while True:
            is_over = not self._reader.is_alive() or time.monotonic() > until
            with self._changed:
                for line in self.lines[since:]:
                    if found := re.search(pattern, line):
                        return found
                if is_over:
                    raise UserError(f"no line {pattern}: {' | '.join(self.lines[-5:])}")
                self._changed.wait(0.5)

    def process(self) -> int:
        """The number of the command's process, which the loop has started; Linux."""
        children = Path(f"/proc/{self.loop.pid}/task/{self.loop.pid}/children").read_text().split()
        return int(children[0])

    def end(self) -> int:
        """The exit status of the loop."""
        status = self.loop.wait(600)
        self._reader.join()
        return status


def commands(folder: Path, seconds: int = 60) -> list[list[str]]:
    """The command of each host, which find each other at a port of this machine within so many seconds."""
    port = free_port()
    command = [sys.executable, "-m", "mcvae_jax", "train", *arguments(folder), f"--distributed_timeout={seconds}"]
    return [[*command, f"--distributed=localhost:{port},{HOSTS},{i}"] for i in range(HOSTS)]


def start(folder: Path) -> list[Host]:
    """Both hosts of a run."""
    return [Host(command, environment()) for command in commands(folder)]


def disturb(hosts: Sequence[Host], phase: str, number: int, to: int) -> Row:
    """Sends a signal to the process of a host in a phase; returns when all work again."""
    hosts[0].wait_for(PHASES[phase], since=_since(hosts[0]))
    said = [len(host.lines) for host in hosts]
    os.kill(hosts[to].process(), number)
    sent = time.monotonic()
    statuses = [
        hosts[i].wait_for(r"^retry: exit status (\d+); again", since=said[i])[1] for i in (to, *_others(hosts, to))
    ]
    hosts[0].wait_for(WORKS, since=_since(hosts[0]))
    seconds = round(time.monotonic() - sent, 1)
    return Row(phase, signal.Signals(number).name, to, ", ".join(statuses), seconds, _goes_on(hosts[0]))


def _goes_on(host: Host) -> str:
    """With what process 0 goes on in the try that runs, once it says so."""
    found = host.wait_for(GOES_ON, since=_since(host))
    if found[1]:
        return f"{found[2]}, step {found[1]}"
    if "compiles" not in found[0]:
        return "songs"
    part = re.findall(r"\[\d/5\] (\w+)", "\n".join(host.lines[_since(host) :]))
    return f"{part[-1]}, from the start"


def _others(hosts: Sequence[Host], to: int) -> list[int]:
    return [i for i in range(len(hosts)) if i != to]


def _since(host: Host) -> int:
    """How many lines stand before those of the try that runs."""
    return max((i + 1 for i, line in enumerate(list(host.lines)) if line.startswith("retry: ")), default=0)


def bits(folder: Path) -> str:
    """SHA-256 of the last parameters of both models, and of the songs."""
    found = hashlib.sha256()
    for name in ("vae", "mdrnn"):
        with Checkpoints(Workdir(folder / name).checkpoints, read_only=True) as checkpoints:
            step = checkpoints.newest()
            if step is None:
                raise UserError(f"{folder / name} holds no checkpoint")
            params = checkpoints.restore(step, {"params": checkpoints.stored(step, "params")}).items["params"]
        for path, leaf in jax.tree_util.tree_leaves_with_path(params):
            found.update(f"{path} {leaf.dtype} {leaf.shape}".encode())
            found.update(np.asarray(leaf).tobytes())
    for song in sorted((folder / "songs").glob("*.mid")):
        found.update(song.read_bytes())
    return found.hexdigest()


def undisturbed(out: Path) -> Path:
    """The folder of a run that nobody disturbs; UserError where it fails."""
    folder = out / "whole" / "run"
    hosts = start(folder)
    if [host.end() for host in hosts] != [0] * HOSTS:
        raise UserError(f"a run that nobody disturbed failed: {hosts[0].lines[-3:]}")
    return folder


def disturbed(folder: Path, number: int, to: int, phases: Sequence[str] = tuple(PHASES)) -> list[Row]:
    """A run with a signal to the process of a host in each phase; UserError where its loops do not end with 0."""
    hosts = start(folder)
    try:
        rows = [disturb(hosts, phase, number, to) for phase in phases]
        statuses = [host.end() for host in hosts]
    finally:
        for host in hosts:
            host.loop.terminate()
    if statuses != [0] * HOSTS:
        raise UserError(f"the loops ended with {statuses}: {hosts[0].lines[-3:]}")
    return rows


def main(argv: list[str]) -> int:
    """Makes the table; 1 where a run ended with other bits."""
    parser = Parser("python -m experiments.jobs.phases", description=__doc__)
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="of the runs and the table")
    out: Path = parser.parse_args(argv).out.absolute()
    shutil.rmtree(out / "runs", ignore_errors=True)
    whole = bits(undisturbed(out / "runs"))
    say(f"undisturbed: SHA-256 {whole}")
    table = []
    for number in (signal.SIGTERM, signal.SIGKILL):
        for to in range(HOSTS):
            folder = out / "runs" / f"{number.name}-{to}" / "run"
            rows = disturbed(folder, number, to)
            same = bits(folder) == whole
            table += [row._replace(same_bits=same) for row in rows]
            say(f"{number.name} to process {to} in {len(rows)} phases: {'the same' if same else 'OTHER'} bits")
    write_csv(out / "phases.csv", [row._asdict() for row in table])
    (out / "phases.md").write_text(_page(table))
    return 0 if all(row.same_bits for row in table) else 1


def _page(table: Sequence[Row]) -> str:
    """The table as Markdown."""
    head = (
        "phase",
        "signal",
        "to process",
        "exit statuses, its own first",
        "seconds until all worked again",
        "same bits",
    )
    rows = [head, ("---",) * len(head), *((*row[:-1], "yes" if row.same_bits else "NO") for row in table)]
    return "".join(f"| {' | '.join(map(str, row))} |\n" for row in rows)


if __name__ == "__main__":
    run_command(main)
