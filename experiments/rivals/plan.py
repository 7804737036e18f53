"""Which runs there are, and with which arguments: each rival in each table with each seed."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from experiments.rivals.table import PART, RIVALS, Rival
from experiments.trainings.jobs import Run, read_scores
from mcvae_jax.corpus.store import Corpus
from mcvae_jax.errors import UserError
from mcvae_jax.options import load_config

TIME, SIZE, COUNTED = "equal time", "equal parameters", "counted"  # tables; what is counted stands in both
TABLES = (TIME, SIZE)
FOLDERS = {TIME: "time", SIZE: "parameters", COUNTED: "counted"}
PROBE, WORK = "experiments.rivals.probe", "experiments.rivals.work"
LEAST = 20  # updates, below which a budget trains nothing
EVALUATIONS = 6  # of the held-out songs in a training


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is asked for."""

    out: Path
    corpus: Corpus
    tables: Sequence[str]
    names: Sequence[str]  # of RIVALS, without PART
    seeds: int
    minutes: float  # of updates for each model, in the table of equal time
    steps: int  # of each model in the other; 0 is what its config says
    songs: int  # of each set of a run

    @property
    def learning(self) -> list[Rival]:
        """Those that learn, and before them what they need."""
        chosen = [RIVALS[name] for name in self.names if not RIVALS[name].counts]
        parts = [RIVALS[PART]] if any(rival.needs for rival in chosen) else []
        return parts + chosen

    @property
    def without_needs(self) -> list[str]:
        """Names of those that learn from songs."""
        return [rival.name for rival in self.learning if not rival.needs]

    @property
    def with_needs(self) -> list[str]:
        """Names of those that learn from what another has learnt."""
        return [rival.name for rival in self.learning if rival.needs]

    def needed_to_probe(self) -> list[Run]:
        """The runs whose models those with needs are measured with."""
        needed = dict.fromkeys(RIVALS[name].needs for name in self.with_needs)
        return [run for table, run in self.trainings(list(needed)) if (table, run.seed) == (TIME, 0)]

    def probes(self, names: Sequence[str]) -> list[Run]:
        """Of models, in the table of equal time."""
        places = {RIVALS[name]: self.out / "probes" / name for name in names}
        return [self._run(PROBE, rival, TIME, 0, place, []) for rival, place in places.items()]

    def trainings(self, names: Sequence[str]) -> list[tuple[str, Run]]:
        """Of models, each with its table, the first seed of all models first.

        A model that could not be measured has none at equal time. UserError where the budget is too small.
        """
        return [
            (table, self._training(RIVALS[name], table, seed))
            for seed in range(self.seeds)
            for table in self.tables
            for name in names
            if table != TIME or read_scores(self.probes([name])[0])
        ]

    def counted(self) -> list[tuple[str, Run]]:
        """Of what is counted, once."""
        return [(COUNTED, self._training(RIVALS[name], COUNTED, 0)) for name in self.names if RIVALS[name].counts]

    def folder(self, rival: str, table: str, seed: int) -> Path:
        """The workdir of a run."""
        return self.out / "runs" / FOLDERS[table] / f"{rival}-seed{seed}"

    def _training(self, rival: Rival, table: str, seed: int) -> Run:
        config = load_config(rival.config)
        changes: list[str] = []
        if table == TIME:
            changes = stretched(config, self._steps(rival))
        elif table == SIZE:
            changes = [*rival.equal, *(stretched(config, self.steps) if self.steps else [])]
        return self._run(WORK, rival, table, seed, self.folder(rival.name, table, seed), changes)

    def _steps(self, rival: Rival) -> int:
        """Updates that the budget allows by the probe."""
        found = read_scores(self.probes([rival.name])[0])
        steps = int(60 * self.minutes * rival.share / found["seconds"])
        if steps < LEAST:
            raise UserError(
                f"--budget={self.minutes:g}: an update of {rival.name} takes {found['seconds']:.1f} s, so that it is"
                f" trained for {steps} updates alone; give {LEAST * found['seconds'] / 60 / rival.share:.1f} minutes or"
                " more, or leave it out of --models"
            )
        return steps

    def _run(self, module: str, rival: Rival, table: str, seed: int, folder: Path, changes: Sequence[str]) -> Run:
        config = load_config(rival.config)
        fields = [f"corpus_folder={self.corpus.folder}", *self._corpus_fields(config), *changes]
        if "seed" in config:
            fields.append(f"seed={seed}")
        if rival.needs:
            fields.append(f"vae_workdir={self.folder(rival.needs, table, seed)}")
        given = [f"--config={rival.config}", *(f"--config.{field}" for field in fields)]
        own = [str(self.out), str(self.songs), f"{seed}/{self.seeds}"] if module == WORK else []
        after = self.folder(rival.needs, table, seed) if rival.needs else None
        return Run(rival.name, seed, folder, [str(folder), *own, *given], module, after)

    def _corpus_fields(self, config: ConfigDict) -> list[str]:
        """So that a model takes the corpus that stands as its own."""
        settings: dict[str, Any] = dataclasses.asdict(self.corpus.settings)
        return [f"corpus.{name}={value}" for name, value in settings.items()] if "corpus" in config else []


def stretched(config: ConfigDict, steps: int) -> list[str]:
    """Changes with which a model trains for so many updates, all that depends on the update stretched alike."""
    times = steps / config.train.steps
    changes = [f"train.steps={steps}", f"train.log_every={max(1, steps // 20)}"]
    changes += [f"train.{name}={-(-steps // EVALUATIONS)}" for name in ("eval_every", "save_every")]
    for section in ("optimizer", "loss"):
        for name, value in config.get(section, {}).items():
            if name.endswith("_steps"):
                changes.append(f"{section}.{name}={max(1, round(value * times)) if value else 0}")
    return changes
