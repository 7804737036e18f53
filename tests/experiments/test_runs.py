"""Runs of an experiment at a tiny size: done, cut off and gone on with, failing, side by side; and their tables."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from experiments.trainings import jobs, panels, runs, scores, tables
from experiments.trainings.runs import Result
from mcvae_jax import stages
from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.corpus.store import HELD_OUT, TRAIN, Corpus, write_corpus
from mcvae_jax.errors import UserError
from mcvae_jax.music.tokens import NO_EVENT, NOTE_OFF
from mcvae_jax.storage.workdir import Workdir

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parents[2]
TINY = """
    vae.model.units=4 vae.model.latent=2 vae.model.layers=1 vae.train.batch_size=4 vae.train.steps=4
    vae.train.log_every=2 vae.train.eval_every=2 vae.train.save_every=2 vae.held_out.bars=16
    vae.held_out.importance_bars=4 vae.held_out.importance_samples=2 vae.data.lowest_shift=0 vae.data.highest_shift=0
    mdrnn.model.units=4 mdrnn.model.layers=1 mdrnn.model.components=2 mdrnn.model.recall=0 mdrnn.train.batch_size=2
    mdrnn.train.steps=2 mdrnn.train.eval_every=2 mdrnn.train.save_every=2 mdrnn.held_out.draws=1 mdrnn.data.window=16
    mdrnn.data.lowest_shift=0 mdrnn.data.highest_shift=0
""".split()
ARMS = {"low beta": ["vae.loss.beta=0.2"], "beta 1": ["vae.loss.beta=1.0"]}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    """Six songs of 36 bars that repeat after 4, two of them held out; it opens where its source is not there."""
    rng = np.random.default_rng(0)
    songs = []
    for _ in range(6):
        songs.append(np.tile(rng.choice([*range(55, 66), NOTE_OFF, NO_EVENT], (4, 16)), (9, 1)).astype(np.uint8))
    sides = np.array([TRAIN, TRAIN, HELD_OUT, TRAIN, TRAIN, HELD_OUT])
    records = [{"name": f"song-{i}.mid", "title": f"Song {i}"} for i in range(6)]
    folder = tmp_path_factory.mktemp("corpora") / "six"
    return write_corpus(folder, CorpusSettings(source="absent"), "", songs, sides, records, [])


def flags_of(out, corpus, *more, fields=(), seeds=1):
    argv = [f"--out={out}", "--source=absent", "--songs=2", f"--seeds={seeds}", *more]
    argv += [f"--config.{field}" for field in (*TINY, f"vae.corpus_folder={corpus.folder}", *fields)]
    return parse(*argv)


def parse(*argv):
    return runs.parse(runs.make_parser("test", "A test."), argv)


def rows_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def without_time(rows):
    return [{name: value for name, value in row.items() if not name.startswith("seconds")} for row in rows]


@pytest.fixture(scope="module")
def finished(corpus, tmp_path_factory):
    """Two arms by two seeds: the folder, the results and the lines."""
    out, lines = tmp_path_factory.mktemp("finished"), []
    return out, runs.run_arms(ARMS, flags_of(out, corpus, seeds=2), "low beta", say=lines.append), lines


def test_every_run_is_trained_scored_and_tabled(finished):
    out, results, lines = finished
    assert results.status == 0
    assert [run.folder.name for run in results.runs] == [
        "low-beta-seed0",
        "beta-1-seed0",
        "low-beta-seed1",
        "beta-1-seed1",
    ]
    table = rows_of(out / "table.csv")
    assert [(row["arm"], row["seed"], row["status"]) for row in table[:2]] == [
        ("low beta", "0", "done"),
        ("beta 1", "0", "done"),
    ]
    for run, row in zip(results.runs, table, strict=True):
        held_out = json.loads((run.folder / "mdrnn" / "results" / "held_out.json").read_text())
        assert float(row["bound_bits"]) == held_out["priors"]["MDRNN"]["bits_per_bar"]
        config = json.loads((run.folder / "vae" / "config.json").read_text())["config"]
        assert config["seed"] == run.seed and config["loss"]["beta"] == (0.2 if run.arm == "low beta" else 1.0)
        real, composed = (run.scores["sets"][name]["values"]["pitch range"] for name in (scores.REAL, "defaults"))
        assert len(composed) == 2
        assert float(row["pitch range (defaults, W1)"]) == wasserstein_distance(composed, real)
    progress = [line for line in lines if line.startswith("[") and "seed" in line]
    assert progress[0].startswith("[1/4] low-beta-seed0 done") and "left" in progress[0] and "left" not in progress[3]


def test_the_same_command_again_trains_nothing(finished, corpus, monkeypatch):
    out, _, _ = finished
    before, lines = (out / "table.csv").read_text(), []
    monkeypatch.setattr(jobs, "train_and_score", lambda *_: pytest.fail("a run that is done is run again"))
    assert runs.run_arms(ARMS, flags_of(out, corpus, seeds=2), "low beta", say=lines.append).status == 0
    assert (out / "table.csv").read_text() == before and "4 of 4 runs are done already" in lines


@pytest.mark.slow  # that a training which is cut off goes on is also shown, faster, in test_loop and test_pipeline
def test_what_was_cut_off_ends_with_the_same_tables(finished, corpus, tmp_path):
    class Killed(BaseException):
        pass

    def say(line):
        if "step 2/4" in line:
            raise Killed

    out = tmp_path / "cut"
    with pytest.raises(Killed):
        runs.run_arms(ARMS, flags_of(out, corpus), "low beta", say=say)
    assert not (out / "runs" / "low-beta-seed0" / "scores.json").exists()
    runs.run_arms(ARMS, flags_of(out, corpus), "low beta", say=lambda line: None)
    assert without_time(rows_of(out / "table.csv")) == without_time(rows_of(finished[0] / "table.csv"))[:2]


def test_a_run_that_fails_is_named_and_the_others_are_not_lost(finished, corpus, tmp_path, monkeypatch):
    train = stages.run

    def failing(plan, folder, *rest):
        if folder.name == "beta-1-seed0":
            raise ValueError("no luck")
        return train(plan, folder, *rest)

    monkeypatch.setattr(stages, "run", failing)
    lines = []
    results = runs.run_arms(ARMS, flags_of(tmp_path, corpus), "low beta", say=lines.append)
    assert results.status == 1 and "beta-1-seed0 failed: ValueError: no luck" in lines
    table = rows_of(tmp_path / "table.csv")
    assert [row["status"] for row in table] == ["done", "missing"] and table[1]["bound_bits"] == ""
    assert [row["n"] for row in rows_of(tmp_path / "summary.csv")] == ["1", "0"]
    assert {(row["n"], row["mean"]) for row in rows_of(tmp_path / "differences.csv")} == {("0", "missing")}
    monkeypatch.setattr(stages, "run", train)
    assert runs.run_arms(ARMS, flags_of(tmp_path, corpus), "low beta", say=lines.append).status == 0
    assert without_time(rows_of(tmp_path / "table.csv")) == without_time(rows_of(finished[0] / "table.csv"))[:2]


@pytest.mark.slow
def test_processes_side_by_side_stop_when_asked_and_go_on(finished, corpus, tmp_path):
    program = (
        "import sys; from experiments.trainings import runs; from mcvae_jax.command import run_command;"
        f"run_command(lambda argv: runs.run_arms({ARMS!r}, runs.parse(runs.make_parser('t', 'T.'), argv),"
        " 'low beta').status)"
    )
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("two processes side by side need two cores")
    argv = [f"--out={tmp_path / 'out'}", "--source=absent", "--songs=2", "--seeds=2", "--jobs=2"]
    argv += [f"--config.{field}" for field in (*TINY, f"vae.corpus_folder={corpus.folder}")]
    command = [sys.executable, "-c", program, *argv]
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    first = subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    for line in first.stdout:
        if line.startswith("---"):
            break
    time.sleep(2)
    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=120)
    assert first.returncode == 128 + signal.SIGTERM
    again = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert again.returncode == 0, again.stdout + again.stderr
    assert without_time(rows_of(tmp_path / "out" / "table.csv")) == without_time(rows_of(finished[0] / "table.csv"))


def test_mistakes_are_one_line_before_any_training(corpus, tmp_path):
    for more, fields, message in (
        (["--seeds=0"], [], "--seeds is 0; it must be from 1 to"),
        (["--songs=1"], [], "--songs is 1; it must be from 2 to"),
        (["--scale=huge"], [], "invalid choice: 'huge'"),
        ([], ["vae.loss.beta=0.3"], "--config.vae.loss.beta=0.3: this experiment sets that field itself"),
        ([], ["vae.model.unit=3"], "no field 'unit' there. Did you mean units"),
        ([], ["vae.model.units=0"], "model.units"),
        (["--jobs=99"], [], "there are [0-9]+ cores"),
    ):
        with pytest.raises(UserError, match=message) as caught:
            runs.run_arms(
                ARMS, flags_of(tmp_path / "out", corpus, *more, fields=fields), "low beta", say=lambda _: None
            )
        assert "\n" not in str(caught.value) and not (tmp_path / "out" / "runs").exists()


@pytest.mark.parametrize("more", ["--seeds=0", "--source=nowhere", "--config.vae.model.unit=3"])
def test_a_refused_command_leaves_nothing_behind(tmp_path, more):
    with pytest.raises(UserError):
        parse(f"--out={tmp_path / 'out'}", more)
    assert not (tmp_path / "out").exists()


def test_no_corpus_is_built_before_all_arms_were_looked_at(tmp_path):
    flags = parse(f"--out={tmp_path / 'out'}", "--config.vae.loss.beta=0.3")
    with pytest.raises(UserError, match="this experiment sets that field itself"):
        runs.plan({"as it is": [], "beta 1": ["vae.loss.beta=1.0"]}, flags, ("vae",), lambda _: None)
    assert not (tmp_path / "out" / "corpora").exists()


def test_only_a_folder_of_experiments_is_written_to(tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").touch()
    for out, message in ((other, "holds other files"), (other / "thesis.tex", "a file stands")):
        with pytest.raises(UserError, match=f"{message}.*; (or )?choose another --out$") as caught:
            parse(f"--out={out}")
        assert "\n" not in str(caught.value) and os.listdir(other) == ["thesis.tex"]
    for made in ("runs", "corpora", ""):  # of an earlier command, whenever it ended
        out = tmp_path / f"earlier-{made}"
        (out / made).mkdir(parents=True)
        (out / ("table.csv" if made else "lock")).touch()
        assert parse(f"--out={out}").out == out


def test_one_process_at_a_time_works_on_a_folder(tmp_path):
    with Workdir(tmp_path).locked():  # as another process holds it
        with pytest.raises(UserError, match="Another process is training in") as caught:
            parse(f"--out={tmp_path}")
        assert "\n" not in str(caught.value)
    parse(f"--out={tmp_path}")
    with pytest.raises(UserError, match="Another process is training in"), Workdir(tmp_path).locked():
        pytest.fail("the folder was not kept")


def test_a_folder_of_another_experiment_is_refused(finished, corpus):
    with pytest.raises(UserError, match="model.units: 4 -> 5") as caught:
        runs.run_arms(ARMS, flags_of(finished[0], corpus, fields=["vae.model.units=5"]), "low beta")
    assert "another --out" in str(caught.value) and "--workdir" not in str(caught.value)


def test_summary_and_differences_are_those_of_numpy():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 4))
    runs_of = {
        name: [Result(name, seed, Path(), {"figures": {"x": float(v)}}) for seed, v in enumerate(values)]
        for name, values in (("a", a), ("b", b))
    }
    runs_of["b"][2] = runs_of["b"][2]._replace(scores={})
    kept = [0, 1, 3]
    row = tables.summarise(runs_of["b"], ["x"])
    assert row["n"] == 3
    np.testing.assert_allclose([row["x: mean"], row["x: sd"]], [b[kept].mean(), b[kept].std(ddof=1)])
    found, expected = tables.differences(runs_of["b"], runs_of["a"], "x"), (b - a)[kept]
    np.testing.assert_allclose(
        [found["n"], found["mean"], found["lowest"], found["highest"]],
        [3, expected.mean(), expected.min(), expected.max()],
    )
    assert found["same_sign"] == (len(set(np.sign(expected))) == 1)
    assert tables.summarise([], ["x"])["x: mean"] == tables.MISSING


def test_repeats_by_lag_are_counted_bar_by_bar():
    song = np.zeros((32, 16), np.uint8)
    song[:, 0] = np.tile([60, 62, 64, 60], 8)
    expected = [np.mean([song[i, 0] == song[i - lag, 0] for i in range(lag, 32)]) for lag in range(1, 17)]
    np.testing.assert_allclose(scores.describe([song, song], {})["repeats_by_lag"], expected)


def test_arms_in_panels_are_those_that_came_to_their_end(finished):
    _, results, _ = finished
    lost = [run._replace(scores={}) if run.arm == "beta 1" else run for run in results.runs]
    assert list(panels.by_arm(lost)) == ["low beta"] and len(panels.by_arm(lost)["low beta"]) == 2
