"""Every JSON file that the program reads again, whole, and what reads it."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiments import faults, grid
from experiments.listening import answers, report
from experiments.listening.answers import KEY_FORMAT, KEY_VERSION
from experiments.trainings import common_songs
from experiments.trainings.scores import Scores
from mcvae_jax import latents, stages
from mcvae_jax.corpus import pictures
from mcvae_jax.corpus.store import Corpus, digest_of, read_header
from mcvae_jax.kinds import open_model
from mcvae_jax.sampling import results
from mcvae_jax.sampling.results import Written, check_folder
from mcvae_jax.storage.identity import About, read_about, recorded_run, write_about
from mcvae_jax.storage.jsonfile import read_or_none, write_json, write_json_lines
from mcvae_jax.storage.workdir import Workdir
from mcvae_jax.tasks.mcvae import parts_of
from mcvae_jax.training.metrics import MetricsLog, read_lines
from tests.corpus.test_report import example_report
from tests.experiments.test_faults import GOOD
from tests.listening import answers_of
from tests.small_models import edit_json, save_corpus, save_vae

Say = Callable[[str], None]
KEY = {
    "format": KEY_FORMAT,
    "version": KEY_VERSION,
    "test": "t",
    "models": [{"name": "A", "kind": "x"}, {"name": "B", "kind": "x"}],
    "statements": ["It is good"],
    "groups": {"g1": "A", "g2": "B"},
    "clips": {f"c{n}": {"model": "AB"[n % 2], "seed": n // 2} for n in range(4)},
    "seeds_per_pair": 2,
    "seconds": 4.5,
}
FACTS = {"vae": "v", "corpus": "c", "shifts": [0, 0]}


class Document(NamedTuple):
    """A file and a function that reads it; what that returns is used as the program would, and may be UserError."""

    path: str
    read: Callable[[Path, Say], Any]  # of the folder in which all of them lie


def write_all(folder: Path) -> None:
    """The documents, in the folders of a tiny corpus and a tiny VAE where they belong there."""
    corpus = save_corpus(folder / "corpus")
    write_json(folder / "corpus" / "report.json", example_report())
    edit_json(folder / "corpus" / "corpus.json", lambda header: header.update(digests={}))
    save_vae(folder / "vae", corpus)
    rows = [{"step": step, "split": "train", "seconds": 0.5 * step, "objective": 3.0} for step in range(1, 4)]
    write_json_lines(folder / "vae" / "metrics.jsonl", rows)
    write_json(
        folder / "vae" / "results" / "summary.json", {"step": 5, "files": ["a.png"], "checksums": {"a.png": "0"}}
    )
    write_json(folder / "stages.json", {"corpus": 1.5, "vae": 20.0})
    (folder / "songs").mkdir()
    (folder / "songs" / "01-vae.mid").write_bytes(b"x")
    songs = Written(results.FORMAT, {"seed": 1}, [{"name": "01-vae"}], ["01-vae.mid"], {"01-vae.mid": "0"})
    write_json(folder / "songs" / "songs.json", dataclasses.asdict(songs))
    latents._write(folder / "latents", FACTS, latents.Latents(*(np.zeros((2, 3), t) for t in "ffi"), 0))
    write_json(folder / "key.json", KEY)
    record = answers_of(KEY, "L1", lambda *_: 3, lambda *_: True, lambda first, *_: first, remarks={"all": "fine"})
    (folder / "answers.json").write_text(json.dumps(record))
    write_json(folder / "listened" / "summary.json", {"format": report.FORMAT, "files": ["summary.json"]})
    write_json(folder / "grid.json", {"bars": 100, "probes": {"64": [1.5, 0.01]}})
    write_json(folder / "common.json", {"models": ["a"], "names": ["b"], "draws": 4, "bits": [1.5]})
    write_json_lines(folder / "outcomes.jsonl", [GOOD._asdict()])
    write_json(folder / "scores.json", {"songs": 1, "arguments": [], "models": ["a"], "figures": {}, "sets": {}})
    write_about(folder / "about" / "5" / "identity", About(5, {"params": "0"}, {"params": "1"}, {"objective": 2.0}, {}))


def _metrics(folder: Path, say: Say) -> Any:
    lines = read_lines(folder / "vae" / "metrics.jsonl")
    MetricsLog(folder / "vae" / "metrics.jsonl", 2, say).close()
    assert all(type(row["step"]) is int for row in lines.rows)


def _config(folder: Path, say: Say) -> Any:
    open_model(folder / "vae")


def _config_from_checkpoint(folder: Path, say: Say) -> Any:
    """config.json is damaged, and a checkpoint's record has a copy of it."""
    (folder / "vae" / "config.json").write_bytes(b"{")
    Workdir(folder / "vae").stored()
    recorded_run(folder / "vae" / "checkpoints")


def _songs(folder: Path, say: Say) -> Any:
    if written := results.read_written(folder / "songs", say):
        assert isinstance(written.damaged(folder / "songs"), str)
    check_folder(folder / "songs")


def _summary(folder: Path, say: Say) -> Any:
    workdir = Workdir(folder / "vae")
    if summary := workdir.read_summary(say):
        assert isinstance(workdir.damaged_result(summary), str)


def _times(folder: Path, say: Say) -> Any:
    assert isinstance(stages.times(folder, say), str)
    stages.Stopwatch(folder, parts_of(), say)


def _songs_jsonl(folder: Path, say: Say) -> Any:
    path = folder / "corpus" / "songs.jsonl"
    edit_json(path.with_name("corpus.json"), lambda header: header.update(digests={path.name: digest_of(path)}))
    assert all(isinstance(record["name"], str) for record in Corpus.open(folder / "corpus").records())


def _answers(folder: Path, say: Say) -> Any:
    listeners, left_out = answers.read_answers([str(folder / "answers.json")], KEY)
    assert len(listeners) + len(left_out) == 1
    for each in left_out:
        say(each.reason)


DOCUMENTS = (
    Document("vae/metrics.jsonl", _metrics),
    Document("vae/config.json", _config),
    Document("vae/checkpoints/5/identity/identity.json", _config_from_checkpoint),
    Document("vae/results/summary.json", _summary),
    Document("about/5/identity/identity.json", lambda folder, say: read_about(folder / "about" / "5", 5)),
    Document("corpus/corpus.json", lambda folder, say: read_header(folder / "corpus")),
    Document("corpus/songs.jsonl", _songs_jsonl),
    Document("corpus/report.json", lambda folder, say: pictures.read_report(folder / "corpus")),
    Document("songs/songs.json", _songs),
    Document("stages.json", _times),
    Document("latents/latents.json", lambda folder, say: latents._read(folder / "latents", FACTS)),
    Document("key.json", lambda folder, say: answers.read_key(folder / "key.json")),
    Document("answers.json", _answers),
    Document("listened/summary.json", lambda folder, say: report._check_folder(folder / "listened")),
    Document("grid.json", lambda folder, say: read_or_none(folder / "grid.json", grid._Kept, say, "")),
    Document("common.json", lambda folder, say: read_or_none(folder / "common.json", common_songs._Kept, say, "")),
    Document("outcomes.jsonl", lambda folder, say: faults.read_outcomes(folder / "outcomes.jsonl")),
    Document("scores.json", lambda folder, say: read_or_none(folder / "scores.json", Scores, say, "")),
)
