"""Compiled programs in the user's cache: the same songs with and without, and the next call compiles nothing."""

import json
import os
import subprocess
import sys

import jax
import pytest

from mcvae_jax import sample, versions
from mcvae_jax.kinds import open_model
from mcvae_jax.storage import compiled
from tests.sampling.test_seeds import scale, track, write
from tests.small_models import save_corpus, save_joint

# What the command does, and how often JAX found a program in the cache, or not.
CALL = """
import sys
import jax
from mcvae_jax import sample, versions
from mcvae_jax.kinds import open_model
from mcvae_jax.storage.compiled import keep_compiled

counts = {}
jax.monitoring.register_event_listener(lambda name, **_: counts.update({name: counts.get(name, 0) + 1}))
keep_compiled()
for argv in sys.argv[1:]:
    sample.main(argv.split())
    hits, misses = (counts.get(f"/jax/compilation_cache/{name}", 0) for name in ("cache_hits", "cache_misses"))
    print("COUNTS", hits, misses)
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    save_joint(folder / "joint")
    write(folder / "a.mid", track(scale(80)))
    write(folder / "b.mid", track(scale(36)))
    return folder


def arguments(out, seed):
    return f"--workdir=joint --mode=continue --seed_file={seed}.mid --bars=5 --songs=2 --replace --out={out}-{seed}"


def songs_of(runs, out, seed):
    return json.loads((runs / f"{out}-{seed}" / "songs.json").read_text())["songs"]


def environment(cache):
    """That of a user with a cache there, who has chosen none of JAX."""
    users = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_COMP", "JAX_PERSISTENT"))}
    users.pop("TF_CPP_MIN_LOG_LEVEL", None)
    return users | {"MCVAE_CACHE": str(cache), "MCVAE_COMPILED": ""}


def call(runs, cache, *seeds):
    """Runs the command for each seed in one process; the songs, the counts, and what was said on stderr."""
    calls = [arguments(cache.name, seed) for seed in seeds]
    env = environment(cache)
    done = subprocess.run([sys.executable, "-c", CALL, *calls], cwd=runs, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    counts = [tuple(map(int, line.split()[1:])) for line in done.stdout.splitlines() if line.startswith("COUNTS")]
    return [songs_of(runs, cache.name, seed) for seed in seeds], counts, done.stderr


@pytest.mark.slow
def test_the_next_call_compiles_nothing_also_for_a_seed_of_another_length_and_makes_the_same_songs(runs, monkeypatch):
    monkeypatch.chdir(runs)
    for seed in "ab":
        sample.main(arguments("without", seed).split())
    without = [songs_of(runs, "without", seed) for seed in "ab"]
    (first,), ((hits, misses),), said = call(runs, runs / "cache", "a")
    assert hits == 0 and misses > 5 and said == ""
    again, ((hits, misses), (_, of_other)), said = call(runs, runs / "cache", "a", "b")
    assert hits > 5 and misses == of_other == 0
    assert said == ""  # XLA's words about features of the machine, too
    assert [first, again[1]] == without and again[0] == first


TRAIN = """
import sys
import jax
from mcvae_jax.training import loop
from mcvae_jax.storage.compiled import keep_compiled
from mcvae_jax import main
from tests import toy_task

misses = []
jax.monitoring.register_event_listener(lambda name, **_: misses.append(name) if name.endswith("cache_misses") else None)
for workdir in ("one", "two"):
    misses.clear()
    jax.clear_caches()
    if sys.argv[1] == "toy":
        keep_compiled()
        loop.train(toy_task.make_task(), toy_task.make_config(steps=2), workdir)
    else:
        main.main(
            f"--config=note_lstm:smoke --config.corpus_folder=corpus --config.corpus.source=tests --workdir={workdir}"
            " --config.model.units=5 --config.model.layers=1 --config.train.steps=2 --config.train.batch_size=2"
            " --config.data.min_bars=4".split())
    print("MISSED", len(misses))
"""


def train_twice(folder, what):
    """Trains two times in one process, which forgets its programs between; how many were not in the cache."""
    env = environment(folder / "cache") | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", TRAIN, what], cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("MISSED")]


@pytest.mark.more
def test_the_loop_finds_the_programs_of_another_run(tmp_path):
    first, second = train_twice(tmp_path, "toy")
    assert first > 3 and second == 0


@pytest.mark.slow
def test_another_training_of_the_same_model_compiles_nothing_and_ends_with_the_same_bits(tmp_path):
    save_corpus(tmp_path / "corpus")
    first, second = train_twice(tmp_path, "note LSTM")
    assert first > 3 and second == 0
    one, two = (open_model(tmp_path / name).origins for name in ("one", "two"))
    assert [each.identity for each in one.values()] == [each.identity for each in two.values()]


@pytest.mark.slow
def test_a_cache_that_cannot_be_written_or_read_stops_nothing(runs):
    (runs / "file").write_text("where the cache should be")
    songs, counts, said = call(runs, runs / "file", "b")
    assert counts == [(0, 0)] and said == ""
    call(runs, runs / "cache", "b")
    for path in (runs / "cache" / "compiled").rglob("*-cache"):
        path.write_bytes(path.read_bytes()[:100])  # as a killed process leaves it
    damaged, _, said = call(runs, runs / "cache", "b")
    assert damaged == songs and said == ""


@pytest.fixture
def config():
    """The settings of JAX, as they were before."""
    names = [
        "jax_compilation_cache_dir",
        "jax_persistent_cache_min_compile_time_secs",
        "jax_persistent_cache_min_entry_size_bytes",
        "jax_logging_level",
    ]
    old = {name: getattr(jax.config, name) for name in names}
    yield jax.config
    for name, value in old.items():
        jax.config.update(name, value)


def test_a_cache_that_the_user_has_chosen_stays(config, monkeypatch, tmp_path):
    monkeypatch.setenv("MCVAE_COMPILED", "")
    monkeypatch.setenv("MCVAE_CACHE", str(tmp_path))
    config.update("jax_compilation_cache_dir", str(tmp_path / "mine"))
    compiled.keep_compiled()
    assert config.jax_compilation_cache_dir == str(tmp_path / "mine") and not (tmp_path / "compiled").exists()


def test_machines_of_another_processor_have_a_folder_of_their_own(config, monkeypatch, tmp_path):
    monkeypatch.setenv("MCVAE_COMPILED", "")
    monkeypatch.setenv("MCVAE_CACHE", str(tmp_path))
    folders = set()
    for flags in ("flags : sse2 avx", "flags : sse2 avx", "flags : sse2"):
        (tmp_path / "cpuinfo").write_text(f"model name : some\n{flags}\n")
        monkeypatch.setattr(versions, "CPUINFO", tmp_path / "cpuinfo")
        config.update("jax_compilation_cache_dir", None)
        compiled.keep_compiled()
        folders.add(config.jax_compilation_cache_dir)
    assert len(folders) == 2 and all(folder.startswith(str(tmp_path / "compiled")) for folder in folders)


def test_the_oldest_programs_go_where_they_are_too_many(monkeypatch, tmp_path):
    monkeypatch.setattr(compiled, "MOST_BYTES", 1000)
    for n in range(12):
        path = tmp_path / f"machine-{n % 2}" / f"{n}-cache"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x" * 100)
        os.utime(path, (1000 + n, 1000 + n))
    compiled._prune(tmp_path)
    assert sorted(int(path.name.split("-")[0]) for path in tmp_path.rglob("*-cache")) == [7, 8, 9, 10, 11]
    compiled._prune(tmp_path)
    assert len(list(tmp_path.rglob("*-cache"))) == 5
