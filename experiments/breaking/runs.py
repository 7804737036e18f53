"""Tiny runs of the whole pipeline in processes of their own, and the bits that they end with."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from mcvae_jax.errors import UserError
from mcvae_jax.storage.checkpoints import Checkpoints
from mcvae_jax.storage.jsonfile import digest_of
from mcvae_jax.storage.workdir import Workdir
from mcvae_jax.tasks.mcvae import data_of, parts_of

MODELS, STAGES = tuple(data_of()), parts_of()

PROJECT = Path(__file__).resolve().parents[2]
WORKDIR, CORPUS = "run", "corpus"  # in the folder of a case
FIELDS = """
    vae.model.units=8 vae.model.latent=4 vae.model.layers=1 vae.train.batch_size=8
    vae.train.steps=20 vae.train.log_every=4 vae.train.eval_every=10 vae.train.save_every=4
    vae.held_out.bars=32 vae.held_out.importance_bars=8 vae.held_out.importance_samples=2
    vae.data.lowest_shift=0 vae.data.highest_shift=0
    mdrnn.model.units=8 mdrnn.model.layers=1 mdrnn.model.components=2 mdrnn.model.recall=0 mdrnn.train.batch_size=4
    mdrnn.train.steps=20 mdrnn.train.log_every=4 mdrnn.train.eval_every=10 mdrnn.train.save_every=4
    mdrnn.held_out.draws=1 mdrnn.data.window=16 mdrnn.dropout.hidden=0.0
    songs.composed=1 songs.continued=1 songs.seed_bars=2 songs.bars=4
""".split()
COMMAND = [
    sys.executable,
    "-m",
    "mcvae_jax.main",
    f"--config={PROJECT / 'configs' / 'mcvae.py'}:smoke",
    f"--workdir={WORKDIR}",
    f"--config.vae.corpus_folder={CORPUS}",
    *(f"--config.{field}" for field in FIELDS),
]
SECONDS = 600  # that a run may take
NAMED = re.compile(r"damaged|is gone|not what was written|cannot be read|anew|is full", re.IGNORECASE)


class Ending(NamedTuple):
    """How a run ended."""

    status: int  # as of subprocess: negative for a signal
    output: list[str]  # lines of standard output
    errors: list[str]  # lines of standard error

    @property
    def traces(self) -> int:
        """Stack traces in all that it printed."""
        return sum("Traceback (most recent call last)" in line for line in [*self.output, *self.errors])

    @property
    def named(self) -> bool:
        """Whether a line tells of damage."""
        return any(NAMED.search(line) for line in [*self.output, *self.errors])


class Running:
    """A run in a folder; its lines go to files there."""

    def __init__(self, folder: Path, compiled: Path, prepare: Callable[[], None] | None = None):
        """compiled: of the compiled programs that all share; prepare: is called in the process before it begins."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._logs = [compiled.parent / f"{name}.log" for name in ("output", "errors")]
        settings = {
            "PYTHONPATH": os.pathsep.join(filter(None, (str(PROJECT), os.environ.get("PYTHONPATH")))),
            "PYTHONUNBUFFERED": "1",
            "JAX_COMPILATION_CACHE_DIR": str(compiled),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "TF_CPP_MIN_LOG_LEVEL": "3",  # of the cache: that a program was compiled on a like machine
        }
        with self._logs[0].open("wb") as output, self._logs[1].open("wb") as errors:
            self.process = subprocess.Popen(
                COMMAND,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                env=os.environ | settings,
                preexec_fn=prepare,
                start_new_session=True,
            )

    def stage(self) -> str:
        """The stage that it has said last, '' before the first."""
        found = re.findall(r"^\[(\d)/\d\]", self._logs[0].read_text("utf-8", "replace"), re.MULTILINE)
        return STAGES[int(found[-1]) - 1] if found else ""

    def has_begun(self, stage: str) -> bool:
        """Whether it is in a stage, or beyond it."""
        return STAGES.index(self.stage() or "corpus") >= STAGES.index(stage) and bool(self.stage())

    def saved(self, model: str) -> int:
        """The newest step of a model that is saved."""
        names = (path.name for path in (self.folder / WORKDIR / model / "checkpoints").glob("*"))
        return max((int(name) for name in names if name.isdecimal()), default=0)

    def until(self, reached: Callable[[], bool]) -> bool:
        """Waits until that is so; False where the run ends before."""
        end = time.monotonic() + SECONDS
        while not reached():
            if self.process.poll() is not None:
                return False
            if time.monotonic() > end:
                self.send(signal.SIGKILL)
                raise UserError(f"a run in {self.folder} took over {SECONDS} s; its lines are in {self._logs[0]}")
            time.sleep(0.001)
        return True

    def is_saving(self) -> bool:
        """Whether a checkpoint is being written: Orbax gives it another name meanwhile."""
        folders = (self.folder / WORKDIR / model / "checkpoints" for model in MODELS)
        return any(
            "orbax-checkpoint-tmp" in name for folder in folders if folder.is_dir() for name in os.listdir(folder)
        )

    def send(self, number: signal.Signals) -> None:
        """A signal to the run and all that it started."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, number)

    def end(self) -> Ending:
        """Waits for its end."""
        self.until(lambda: self.process.poll() is not None)
        output, errors = (log.read_text("utf-8", "replace").splitlines() for log in self._logs)
        return Ending(self.process.wait(), output, errors)


def run(folder: Path, compiled: Path, prepare: Callable[[], None] | None = None) -> Ending:
    """A run from its start to its end."""
    return Running(folder, compiled, prepare).end()


def bits(folder: Path) -> dict[str, str]:
    """What must be equal: identities of parameters and optimiser states, held-out results, and songs, by name.

    There may be more: what a run that is killed does not remove any more stays until the next checkpoint is saved.
    The arrays are read and hashed, so a checkpoint counts for what it holds and not for what it says.
    """
    found = {}
    for model in MODELS:
        workdir = Workdir(folder / WORKDIR / model)
        if not workdir.checkpoints.is_dir():
            continue
        with Checkpoints(workdir.checkpoints, read_only=True) as checkpoints:
            for step in checkpoints.steps():
                items = ("params", "opt_state")
                wrong = checkpoints.damage(step, items)
                for item in items:
                    found[f"{model} {step} {item}"] = str(wrong) if wrong else checkpoints.identity(step, item)
        found[f"{model} held_out.json"] = digest_of(workdir.results / "held_out.json")
    return found | {path.name: digest_of(path) for path in sorted((folder / WORKDIR / "songs").glob("*.mid"))}


def files_of(folder: Path, stage: str) -> list[Path]:
    """The files that a stage of a run left behind; of the stage 'run' those of none."""
    run = folder / WORKDIR
    found = {
        "corpus": [folder / CORPUS],
        "vae": [run / "vae"],
        "latents": [run / "vae" / "latents"],
        "mdrnn": [run / "mdrnn"],
        "songs": [run / "songs"],
        "run": [run / "stages.json"],
    }[stage]
    paths = [path for place in found for path in ([place] if place.is_file() else sorted(place.rglob("*")))]
    if stage == "vae":
        paths = [path for path in paths if run / "vae" / "latents" not in path.parents]
    return [path for path in paths if path.is_file()]
