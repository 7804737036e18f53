"""Commands with their workdirs, corpora and results in a bucket, on an emulator of Google Cloud Storage."""

import functools
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mcvae_jax import evaluate, inspect, latents, places
from mcvae_jax.corpus import __main__ as corpus_command
from mcvae_jax.corpus.build import ensure_corpus
from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.corpus.store import HELD_OUT, TRAIN, Corpus
from mcvae_jax.errors import UserError
from mcvae_jax.evaluation import compare, scores
from mcvae_jax.evaluation.sets import interval
from mcvae_jax.kinds import open_model
from mcvae_jax.places import parse_address
from mcvae_jax.storage import buckets
from mcvae_jax.storage.checkpoints import Checkpoints
from mcvae_jax.storage.objects import open_objects
from mcvae_jax.storage.workdir import Workdir
from tests import emulators
from tests.emulators import BUCKET
from tests.small_models import save_corpus, save_mdrnn, save_vae
from tests.training import test_loop
from tests.training.test_loop import assert_same_bits, load, log_of, start, start_two, train

pytestmark = pytest.mark.more

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def bucket():
    with pytest.MonkeyPatch.context() as patch, emulators.google(patch):
        patch.setenv("MCVAE_PUSH_SECONDS", "0.1")
        yield f"gs://{BUCKET}"


def names_of(place):
    address = parse_address(place)
    found = open_objects(address).list(f"{address.path}/")
    return {name.removeprefix(f"{address.path}/") for name in found}


def wait_for_checkpoint(place, step):
    """Until one of that step, or a later one, is whole."""
    for _ in range(300):
        records = (re.fullmatch(r"checkpoints/(\d+)/identity/identity.json", name) for name in names_of(place))
        if any(found and int(found[1]) >= step for found in records):
            return
        time.sleep(0.2)
    raise AssertionError(f"no checkpoint came: {names_of(place)}")


@pytest.mark.slow
def test_a_run_in_a_bucket_is_killed_and_goes_on_elsewhere_with_the_same_bits(bucket, elsewhere, tmp_path):
    fields = dict(steps=200, log_every=10, eval_every=30, save_every=10)
    place = f"{bucket}/killed"
    train(tmp_path / "whole", **fields)
    for least in (10, 30):
        with elsewhere():
            process = start(place, sleep=0.15, **fields)
            wait_for_checkpoint(place, least)
            process.kill()
            process.communicate()
            assert process.returncode == -signal.SIGKILL, "the run ended before it was killed"
    with elsewhere():
        _, said = train(place, **fields)
        assert re.fullmatch(rf"Going on from step \d+ of {place}\.", places.shown(said[0]))
        assert f"Results in {place}/results." in places.shown(said[-2])
    with elsewhere():
        assert_same_bits(load(tmp_path / "whole"), load(place))
        assert_same_bits(load(tmp_path / "whole", "best"), load(place, "best"))
        assert log_of(tmp_path / "whole") == log_of(place)
        record = Workdir(place).read()
        assert str(tmp_path) not in json.dumps(record._asdict())
        assert inspect.describe(place)[0].endswith("a notebook")
    here = {str(path.relative_to(tmp_path / "whole")) for path in (tmp_path / "whole").rglob("*") if path.is_file()}
    small = {name for name in here - {"lock"} if not name.startswith("checkpoints/")}
    assert {name for name in names_of(place) if not name.startswith("checkpoints/")} == small


def test_a_second_run_is_refused(bucket, tmp_path):
    process = start(f"{bucket}/held", 2, steps=2000, sleep=0.02)
    try:
        with pytest.raises(UserError, match=f"Another process is writing to {bucket}/held .process {process.pid} on"):
            train(f"{bucket}/held", steps=2000)
    finally:
        process.terminate()
        said, _ = process.communicate(timeout=60)
    assert "Stopped at step" in said and not {name for name in names_of(f"{bucket}/held") if ".lock" in name}


def test_a_corpus_is_built_into_a_bucket_and_read_elsewhere(bucket, elsewhere, tmp_path, capsys):
    place, settings = f"{bucket}/corpora/tunes", CorpusSettings("tunes")
    with elsewhere():  # which looks first whether one is there
        assert ensure_corpus(settings, f"{place} here").identity == Corpus.open(f"{place} here").identity
    with elsewhere():
        corpus_command.main(["--source=tunes", f"--out={place}", "--no-pictures"])
        identity = Corpus.open(place).identity
    assert f"{place}" in capsys.readouterr().err and "corpus.json" in names_of(place)
    with elsewhere():
        assert ensure_corpus(settings, place).identity == identity
        assert {name for name in names_of(place) if name.startswith(".")} == set()
    with elsewhere():  # what is damaged is built again
        open_objects(parse_address(place)).write("corpora/tunes/tokens.npy", b"damaged")
        said = []
        assert ensure_corpus(settings, place, progress=said.append).identity == identity
        assert any("is damaged (tokens.npy" in line for line in said)
    with elsewhere():
        assert Corpus.open(place).identity == identity


def test_music_in_a_bucket_makes_the_same_corpus(bucket, elsewhere, tmp_path):
    (tmp_path / "music").mkdir()
    for number, notes in enumerate(("CDEF GABc", "cBAG FEDC", "CEGc cGEC")):
        path = tmp_path / "music" / f"{number}.abc"
        path.write_text(f"X:1\nT:{number}\nM:4/4\nL:1/8\nK:C\n" + f"{notes}|" * 8 + "\n")
        open_objects(parse_address(bucket)).upload(path, f"music/{path.name}")
    local = ensure_corpus(CorpusSettings(str(tmp_path / "music")), tmp_path / "local")
    for number in range(2):  # the times of the files are those of the bucket, on each machine
        with elsewhere():
            said = []
            remote = ensure_corpus(CorpusSettings(f"{bucket}/music"), tmp_path / "remote", progress=said.append)
            assert remote.identity == local.identity and bool(number) != any("read " in line for line in said)


@pytest.mark.slow
def test_models_in_a_bucket_are_scored_and_read(bucket, elsewhere, monkeypatch, capsys):
    for module in (compare, scores):
        monkeypatch.setattr(module, "interval", functools.partial(interval, resamples=20))
    place, sides = f"{bucket}/small", [TRAIN] * 3 + [HELD_OUT] * 11
    with elsewhere(), buckets.mounted(place) as folder:
        corpus = save_corpus(folder / "corpus", lengths=(20, 16, 33) + (16,) * 11, sides=sides)
        save_mdrnn(folder / "mdrnn", folder / "vae", save_vae(folder / "vae", corpus))
    models, music = f"--workdir={place}/mdrnn", f"--corpus={place}/corpus"
    with elsewhere():
        evaluate.main([models, music, f"--out={bucket}/report", "--songs=5", "--bars=8", "--draws=1"])
        assert f"Open {bucket}/report/report.html" in capsys.readouterr().out
    with elsewhere():
        about = json.loads((buckets.fetched(f"{bucket}/report") / "report.json").read_text())["about"]
        assert about["corpus"]["folder"] == f"{place}/corpus" and about["VAE"]["folder"] == f"{place}/vae"
        assert names_of(f"{bucket}/report") == {"report.json", "report.html"}
    with elsewhere():
        latents.main([f"--workdir={place}/vae", music, f"--out={bucket}/latents.npz"])
    with elsewhere():
        found = np.load(buckets.brought(f"{bucket}/latents.npz"))
        assert found["mu"].shape == (20 + 16 + 33 + 16 * 11, open_model(f"{place}/mdrnn").codec.latent)
    with elsewhere(), pytest.raises(UserError, match="holds more than a report"):
        evaluate.main([models, music, f"--out={place}"])


@pytest.mark.slow
def test_two_processes_train_into_a_bucket_as_one(bucket, elsewhere, tmp_path):
    """Each of the two has a folder of its own, as on two machines."""
    fields = dict(steps=120, eval_every=50, save_every=20)
    place = f"{bucket}/two"
    train(tmp_path / "one", **fields)
    with elsewhere():
        processes = start_two(place, sleep=0.1, **fields)
        wait_for_checkpoint(place, 20)
        for process in processes:
            process.kill()
            process.communicate()
    with elsewhere():
        processes = start_two(place, **fields)
        said = [process.communicate(timeout=100)[0] for process in processes]
        assert [process.returncode for process in processes] == [0, 0], said
        assert "Going on from step" in said[0] and f"Results in {place}/results" in said[0]
    with elsewhere():
        for x, y in zip(*map(test_loop.jax.tree.leaves, (load(tmp_path / "one"), load(place))), strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-3, atol=1e-4)
    with elsewhere():  # nothing is left to do
        processes = start_two(place, **fields)
        said = [process.communicate(timeout=100)[0] for process in processes]
        assert [process.returncode for process in processes] == [0, 0] and "Nothing is left to do" in said[0], said


# ---- all stages


SMALL = [
    "--config=configs/mcvae.py:smoke",
    *(f"--config.{model}.train.{field}" for model in ("vae", "mdrnn") for field in ("steps=60", "save_every=10")),
    *(f"--config.{model}.train.eval_every=30" for model in ("vae", "mdrnn")),
    "--config.songs.bars=4",
]


def command(module, *arguments, cache, kill_at=""):
    """Runs a command on a machine whose cache is `cache`, or kills it at a line; what it said."""
    process = subprocess.Popen(
        [sys.executable, "-m", f"mcvae_jax.{module}", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        env=os.environ | {"MCVAE_CACHE": str(cache), "PYTHONUNBUFFERED": "1", "MCVAE_PUSH_SECONDS": "0.2"},
    )
    said = []
    for line in process.stdout:
        said.append(line)
        if kill_at and kill_at in line:
            time.sleep(0.5)
            process.kill()
    assert process.wait() == (-signal.SIGKILL if kill_at else 0), "".join(said[-20:])
    return "".join(said)


@pytest.mark.slow
def test_all_stages_are_killed_in_each_and_end_with_the_same_bits(bucket, elsewhere, tmp_path):
    corpus = f"--config.vae.corpus_folder={bucket}/corpora/tunes of all"
    place, local = f"{bucket}/all", tmp_path / "local"
    machines = iter(range(100))

    def run(*arguments, module="main", **keywords):
        return command(module, *arguments, cache=tmp_path / f"cache {next(machines)}", **keywords)

    here = f"--config.vae.corpus_folder={tmp_path / 'corpus'}"
    run(*SMALL, here, f"--workdir={local}")
    moments = ("read ", "held-out at step 30", "[4/5] mdrnn", "[5/5] songs")
    for moment in moments:
        run(*SMALL, corpus, f"--workdir={place}", kill_at=moment)
    said = run(*SMALL, corpus, f"--workdir={place}")
    assert f"{place}/mdrnn is done" in said or "Going on from step" in said
    assert "Nothing is left to do" in run(*SMALL, corpus, f"--workdir={place}")
    with elsewhere():
        for model in ("vae", "mdrnn"):
            assert_same_checkpoints(local / model, f"{place}/{model}")
        for song in sorted((local / "songs").glob("*.mid")):
            assert (buckets.fetched(place) / "songs" / song.name).read_bytes() == song.read_bytes()
        assert not [name for name in names_of(place) if "/." in name or name.startswith(".")]

    said = run("--mode=compose", "--songs=2", "--bars=2", f"--workdir={place}", f"--out={bucket}/made", module="sample")
    assert f"VAE {place}/vae" in said and {"index.html", "songs.json", "01-compose.mid"} <= names_of(f"{bucket}/made")
    seeds = f"--seed_file={bucket}/made/01-compose.mid"
    run("--mode=continue", seeds, "--bars=2", f"--workdir={place}", f"--out={bucket}/more", module="sample")
    said = run(place, module="inspect")
    assert f"{place}: all stages" in said and "damage" not in said and "cache" not in said


def assert_same_checkpoints(local, remote):
    with (
        Checkpoints(Workdir(local).checkpoints, read_only=True) as a,
        Checkpoints(Workdir(remote).checkpoints, read_only=True) as b,
    ):
        assert a.steps() == b.steps() and not any(map(b.damage, b.steps()))
        for step in a.steps():
            for item in ("params", "opt_state"):
                assert a.identity(step, item) == b.identity(step, item)
