"""The whole MCVAE by one command: corpus, bar VAE, latents, MDRNN, songs, and a page to hear and see them.

    WORKDIR/vae/      a workdir of configs/vae.py          WORKDIR/mdrnn/       a workdir of configs/mdrnn.py
    WORKDIR/songs/    index.html and the songs             WORKDIR/stages.json  the seconds that each stage took

A stage that is done is skipped, one that was cut off goes on, so the same command again finishes what is left.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mcvae_jax.sampling import demo
from mcvae_jax.trained import open_composer, open_vae
from mcvae_jax.training import loop, parallel, tasks
from mcvae_jax.training.metrics import clock
from mcvae_jax.training.results import is_finished
from mcvae_jax.workdir import Workdir, read_json, write_json

Say = Callable[[str], None]

TASK = "mcvae"  # config.task
STAGES = ("corpus", "vae", "latents", "mdrnn", "songs")


def check_start(config: Any, folder: Path) -> None:
    """What can be told before any work: UserError where a stage of this run cannot start."""
    demo.check_settings(config.songs)
    loop.check_start(config.vae, folder / "vae", "")
    loop.check_start(_mdrnn_config(config, folder), folder / "mdrnn", "")


def run(config: Any, folder: Path, say: Say, command: str) -> int:
    """Runs what is left of the stages.

    Args:
      config: what configs/mcvae.py returns: the configs of both models, and of the songs.
      folder: the workdir of all of it.
      command: what was typed, recorded in both workdirs.

    Returns:
      The exit status: 0, or 128 + the signal that stopped it.

    Raises:
      UserError: as `loop.train` and the making of the tasks do.
    """
    check_start(config, folder)
    watch = Stopwatch(folder / "stages.json", say)
    mdrnn_config = _mdrnn_config(config, folder)
    for name, stage, data_stage in (("vae", config.vae, "corpus"), ("mdrnn", mdrnn_config, "latents")):
        if _is_done(folder, name, stage):
            say(f"{folder / name} is done: step {stage.train.steps}.")
            continue
        with watch.stage(data_stage):
            task = tasks.make_task(stage, say)
        with watch.stage(name):
            outcome = loop.train(task, stage, folder / name, say, command=command)
        if outcome.signal:
            return 128 + outcome.signal
    if parallel.is_first_process():
        with watch.stage("songs"):
            page = demo.write_demo(open_composer(folder), config.songs, folder / "songs", say)
        watch.report()
        say(f"Listen: open {page} in a browser.")
    return 0


def _mdrnn_config(config: Any, folder: Path) -> Any:
    mdrnn = config.mdrnn.copy_and_resolve_references()
    mdrnn.vae_workdir = str(folder / "vae")
    return mdrnn


def _is_done(folder: Path, name: str, config: Any) -> bool:
    """Whether a model is trained and, where it is the MDRNN, belongs to the VAE that stands there now."""
    workdir = Workdir(folder / name)
    if not is_finished(workdir, config.train.steps):
        return False
    return name == "vae" or workdir.read().data.get("vae") == open_vae(folder / "vae").identity


class Stopwatch:
    """The seconds that the stages took, over all starts of a run, kept in a file."""

    def __init__(self, path: Path, say: Say):
        self.path, self.say = path, say
        self.seconds: dict[str, float] = read_json(path)

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Counts what happens inside for a stage, also where it ends early."""
        self.say(f"[{STAGES.index(name) + 1}/{len(STAGES)}] {name}")
        started = time.perf_counter()
        try:
            yield
        finally:
            if parallel.is_first_process():
                self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - started, 1)
                write_json(self.path, self.seconds)

    def report(self) -> None:
        """Says what took how long."""
        parts = ", ".join(f"{name} {clock(self.seconds[name])}" for name in STAGES if name in self.seconds)
        self.say(f"Time by stage: {parts}; in all {clock(sum(self.seconds.values()))}.")
