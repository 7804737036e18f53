"""The folder of one training run. Training writes it; sampling, evaluation and inspect read it.

config.json     what was asked for: the config, the identity of the data, the command; on what it ran
checkpoints/    the newest and the best (checkpoints.py)
metrics.jsonl   one line a log entry, training and held-out
results/        what the end of the run wrote; summary.json is written last
tensorboard/    if asked for
"""

import contextlib
import dataclasses
import fcntl
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NotRequired, TypedDict

from mcvae_jax.errors import UserError
from mcvae_jax.storage.buckets import fetched
from mcvae_jax.storage.disk import writing
from mcvae_jax.storage.identity import recorded_run
from mcvae_jax.storage.jsonfile import (
    Count,
    DamagedFile,
    Object,
    conform,
    digest_of,
    read_json,
    read_or_none,
    write_json,
)

# Fields that may change from one start of a run to the next. They change how far it goes and what it tells of
# itself, and no parameter at any step (`parallel`: to rounding).
FREE_FIELDS = (
    "train.steps",
    "train.log_every",
    "train.eval_every",
    "train.save_every",
    "train.tensorboard",
    "train.parallel",
    "corpus_folder",
    "vae_workdir",
    "prior_workdir",
)
# Where the data lie is free, and how their terms are worded; which they are is not.
FREE_DATA = ("corpus", "vae_workdir", "prior_workdir", "licence", "citation")
# Fields that came later, with the value that earlier runs were trained with.
LATER_FIELDS = {
    "model.encoding": "steps",
    "model.min_pitch": 0,
    "model.max_pitch": 127,
    "model.per_dimension": False,
    "steps_per_bar": 16,
    "optimizer.weight_decay": 0.0,
    "corpus.max_moved": 1.0,
    "corpus.min_pulse": 0.35,  # runs before it kept all; a corpus that stands is not built again for it
    "corpus.steps_per_bar": 16,
    "corpus.alike": "windows",
    "data.as_written": 0.0,
    "songs.best_of": 1,
}


class Environment(TypedDict):
    """On what a part of a run was computed."""

    from_step: Count
    on: dict[str, str]  # versions and devices, see mcvae_jax.versions


class Record(NamedTuple):
    """What config.json holds."""

    config: dict
    data: dict  # JSON facts that identify the data
    init_from: str  # the workdir whose best parameters were the start; '' for none
    command: str  # what was typed; '' from a notebook
    code: str = ""  # the folder of a model of one's own, see kinds.py; '' for those of this package
    environments: Sequence[Environment] = ()  # in their order; none in earlier versions


class Stored(NamedTuple):
    """The record of a workdir: config.json's, or where that is damaged the newest checkpoint's."""

    record: Record | None  # None where there is none
    damage: str  # of config.json; '' for none


class _Train(TypedDict, total=False):
    steps: Count


class _Config(TypedDict, total=False):
    """The fields of the config that are read back."""

    task: str
    model: Object
    corpus: Object
    train: _Train
    corpus_folder: str
    vae_workdir: str


class _Data(TypedDict, total=False):
    """The facts that are read back."""

    corpus: str
    identity: str
    vae: str
    vae_step: Count
    latent: Count
    steps_per_bar: Count
    metre: str


class _Record(TypedDict):
    config: _Config
    data: _Data
    init_from: str
    command: str
    code: NotRequired[str]
    environments: NotRequired[list[Environment]]


@dataclasses.dataclass(frozen=True)
class Summary:
    """What is read back of summary.json, which a finished run wrote last."""

    step: Count
    files: list[str]  # in results/
    checksums: dict[str, str] = dataclasses.field(default_factory=dict)  # of these files; {} in earlier versions
    results: Object = dataclasses.field(default_factory=dict)  # figures of the best parameters


class Workdir:
    """The paths of a run's folder, and its record."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = fetched(folder)
        self.config = self.folder / "config.json"
        self.checkpoints = self.folder / "checkpoints"
        self.metrics = self.folder / "metrics.jsonl"
        self.results = self.folder / "results"
        self.summary = self.results / "summary.json"
        self.tensorboard = self.folder / "tensorboard"

    def read(self) -> Record:
        """The record of a folder that a run has claimed; UserError for any other folder, and where it is damaged."""
        record, damage = self.stored()
        if damage:
            command = record.command if record else ""
            again = f"this command writes it anew: {command}" if command else "restore it, or train in another workdir"
            raise UserError(f"{damage}; {again}.")
        if not record:
            what = "is a file, and no workdir" if self.folder.exists() else "does not exist"
            what = "has no config.json, so it is no workdir" if self.folder.is_dir() else what
            raise UserError(f"{self.folder} {what}; give the --workdir of a training run.")
        return record

    def stored(self) -> Stored:
        """The record as far as it is known, and what is wrong with config.json."""
        record, damage = None, ""
        try:
            value = read_json(self.config)
            if value is not None:
                record = _as_record(self.config, value)
            elif self._has_checkpoint():
                damage = f"{self.config} is gone"
        except DamagedFile as error:
            damage = str(error)
        if damage and (copy := recorded_run(self.checkpoints)):
            with contextlib.suppress(DamagedFile):  # no copy, then
                record = _as_record(self.checkpoints, copy)
        return Stored(record, damage)

    def read_summary(self, say: Callable[[str], None] = lambda line: None) -> Summary | None:
        """What the finished run wrote last; None where it has not, or where that is damaged, which is said."""
        return read_or_none(self.summary, Summary, say, "the results are made anew")

    def damaged_result(self, summary: Summary) -> str:
        """The first of the results that is gone or not what was written; '' where there is none."""
        for name in summary.files:
            path = self.results / name
            if not path.is_file() or summary.checksums.get(name, digest_of(path)) != digest_of(path):
                return name
        return ""

    def check(self, config: dict) -> None:
        """UserError where this folder cannot be the workdir of such a run; a folder that is not there can.

        A run that ended before its first checkpoint leaves nothing to protect: its folder is free for another.
        """
        if self._has_checkpoint():
            changes = differences(self._begun()[0].config, _as_json(config), FREE_FIELDS)
            if changes:
                raise UserError(
                    f"{self.folder} holds a run of another configuration: {'; '.join(changes)}. "
                    f"{self._way_out()} or give the old values."
                )
        elif self.folder.exists() and not self.folder.is_dir():
            raise UserError(f"{self.folder} is a file; give a folder as --workdir.")
        elif self.folder.exists() and not self.config.exists() and any(p.name != "lock" for p in self.folder.iterdir()):
            raise UserError(f"{self.folder} holds other files and no config.json; give an empty or new --workdir.")

    def claim(self, record: Record, say: Callable[[str], None] = lambda line: None) -> Record:
        """Makes this folder the run's, or checks that it is already; returns the record from now on.

        A damaged config.json is written anew, which is said, since the checkpoints have a copy.

        Raises:
          UserError: the folder belongs to a run of other fields, other data or another start.
        """
        self.check(record.config)
        record = record._replace(config=_as_json(record.config), data=_as_json(record.data))
        if self._has_checkpoint():
            old, damage = self._begun()
            if damage:
                say(f"{damage}; it is written anew.")
            changes = differences(old.data, record.data, FREE_DATA)
            if changes:
                raise UserError(
                    f"{self.folder} was trained on other data: {'; '.join(changes)}. {self._way_out()} "
                    "or restore the data."
                )
            if record.init_from not in ("", old.init_from):
                started = f"from {old.init_from}" if old.init_from else "from random parameters"
                raise UserError(f"{self.folder} was started {started}; for another start take another --workdir.")
            record = record._replace(
                init_from=old.init_from, command=record.command or old.command, environments=old.environments
            )
        self.write(record)
        return record

    def write(self, record: Record) -> None:
        """Writes the record of a folder that is the run's."""
        write_json(self.config, record._asdict())

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps a second run out of the folder; the lock ends with the process, however that ends."""
        with writing(self.folder / "lock"):
            self.folder.mkdir(parents=True, exist_ok=True)
            handle = (self.folder / "lock").open("w")
        with handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UserError(f"Another process is training in {self.folder}; wait or stop it.") from error
            yield

    def is_claimed(self) -> bool:
        """Whether a run has begun here."""
        return self.config.exists() or self._has_checkpoint()

    def _begun(self) -> tuple[Record, str]:
        """As `stored`, of a run that has saved a checkpoint; UserError where there is no record."""
        record, damage = self.stored()
        if not record:
            raise UserError(f"{damage}, and no checkpoint has a copy of it; restore it, or take another --workdir.")
        return record, damage

    def _has_checkpoint(self) -> bool:
        """Whether a run has saved a checkpoint, which stands under its step when it is complete."""
        return any(path.name.isdecimal() for path in self.checkpoints.glob("*"))

    def _way_out(self) -> str:
        return f"Take another --workdir (--init_from={self.folder} starts there from these parameters),"


def _as_record(path: Path, value: Mapping[str, Any]) -> Record:
    """What an object says as the record of a run; DamagedFile, naming the path that it came from, where it is none."""
    conform(path, value, _Record)
    return Record(**{name: value[name] for name in Record._fields if name in value})


def differences(old: dict, new: dict, free: tuple[str, ...] = ()) -> list[str]:
    """'field: old -> new' for every field that differs, nested ones as 'a.b'; at most eight, then a count."""
    lines = [f"{name}: {before} -> {after}" for name, before, after in changed_fields(old, new) if name not in free]
    return lines[:8] + ([f"and {len(lines) - 8} more"] if len(lines) > 8 else [])


def changed_fields(old: dict, new: dict) -> list[tuple[str, str, str]]:
    """Each field that differs, nested ones as 'a.b', with both values as JSON, 'absent' for none."""
    old, new = flatten(old), flatten(new)
    old, new = (
        {name: value for name, value in LATER_FIELDS.items() if name in other} | own
        for own, other in ((old, new), (new, old))
    )
    names = [name for name in sorted(old.keys() | new.keys()) if old.get(name, "") != new.get(name, "")]
    return [(name, _show(old, name), _show(new, name)) for name in names]


def flatten(tree: dict, prefix: str = "") -> dict[str, Any]:
    """{'a': {'b': 1}} -> {'a.b': 1}."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        flat |= flatten(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat


def _as_json(tree: dict) -> dict:
    """What reading back the JSON of it gives (tuples become lists), so that old and new compare."""
    return json.loads(json.dumps(tree))


def _show(flat: dict, name: str) -> str:
    return json.dumps(flat[name]) if name in flat else "absent"
