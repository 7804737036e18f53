"""The bar VAE under the training loop: layouts, what its noise depends on, and that it learns."""

import runpy
from pathlib import Path

import jax
import numpy as np
import pytest

from mcvae_jax.corpus.build import what_changed
from mcvae_jax.corpus.datasets import DATA_SETS
from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.corpus.store import Corpus
from mcvae_jax.errors import UserError
from mcvae_jax.kinds import kind_of
from mcvae_jax.models.encodings import make_vae
from mcvae_jax.models.vae import Dropout
from mcvae_jax.nn.keys import example_keys
from mcvae_jax.storage.workdir import Record, Workdir
from mcvae_jax.tasks.corpus import check_pitches, default_folder
from mcvae_jax.trained import find_corpus
from tests.layouts import check_layouts_agree
from tests.learning import learnt
from tests.small_models import edit_json, save_corpus
from tests.vae_layouts import make_task

pytestmark = pytest.mark.usefixtures("read_here")

CONFIG = Path(__file__).parents[2] / "configs" / "vae.py"


OBJECTIVES = (
    {"kind": "beta", "beta": 1.0, "free_bits": "per_dim", "free_nats": 0.01, "encoding": "events"},
    {"kind": "beta", "beta": 1.0},
    {"kind": "beta", "beta": 1.0, "free_bits": "per_bar", "free_nats": 0.05},
    {"kind": "capacity", "gamma": 2.0, "capacity": 3.0, "capacity_steps": 10},
)


@pytest.mark.parametrize("objectives", [OBJECTIVES[:1], OBJECTIVES[1:]], ids=["events", "steps"])
@pytest.mark.slow
def test_jit_on_1_jit_on_8_and_pmap_on_8_agree_for_every_objective(objectives):
    check_layouts_agree("tests.vae_layouts:make_task", *objectives, steps=3)


@pytest.mark.more
def test_the_noise_of_an_example_does_not_depend_on_its_place_in_the_batch():
    task = make_task()
    params, key, batch = jax.jit(task.init)(jax.random.key(0)), jax.random.key(1), task.batch(0)
    turned = {name: values[::-1] for name, values in batch.items()}
    sums = jax.jit(task.sums, static_argnums=3)
    one, other = sums(params, batch, key, True), sums(params, turned, key, True)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), one, other)
    renumbered = sums(params, batch | {"index": batch["index"][::-1]}, key, True)
    assert abs(float(renumbered["reconstruction"] - one["reconstruction"])) > 1e-3
    assert len({tuple(row) for row in jax.random.key_data(example_keys(key, np.arange(64))).tolist()}) == 64


@pytest.mark.more
def test_a_few_bars_are_learnt_by_heart():
    """From 16 log(130) = 77.9 nats to below 5 when 16 bars are all there is."""
    task = make_task(Dropout(), beta=0.01)
    batch = task.batch(0) | {"weight": np.ones(16, np.float32)}
    state, reports = learnt(task, batch, 300)
    sums = jax.jit(task.sums, static_argnums=3)(state.params, batch, jax.random.key(0), False)
    assert float(reports[0].loss) > 60 and float(task.held_out_objective(sums)[1]["reconstruction"]) < 5


def smoke_config(folder=""):
    config = runpy.run_path(str(CONFIG))["get_config"]("smoke")
    config.corpus_folder = str(folder)
    return config


def test_pitches_that_a_model_cannot_say_are_refused(tmp_path):
    """Of the corpus before any training, and of a transposition before the corpus is built."""
    config = smoke_config(tmp_path / "nowhere")
    config.model.min_pitch, config.model.max_pitch = 50, 65
    with pytest.raises(UserError, match="0 and 127, let transposition leave the pitches of the VAE's model, 50 to 65"):
        kind_of(config.task).make_task(config, print)
    config.data.min_pitch, config.data.max_pitch = 50, 65
    corpus = save_corpus(tmp_path / "corpus")
    with pytest.raises(UserError, match="holds pitches from 50 to 70, and config.model.min_pitch .* are 50 and 65"):
        check_pitches(make_vae(config.model).pitches, corpus)
    config.model.max_pitch = 70
    check_pitches(make_vae(config.model).pitches, corpus)


def test_a_run_from_before_the_encodings_goes_on_as_what_it_was(tmp_path):
    old, new = smoke_config().to_dict(), smoke_config().to_dict()
    for field in ("encoding", "min_pitch", "max_pitch"):
        del old["model"][field]
    del old["corpus"]["steps_per_bar"]
    workdir = Workdir(tmp_path)
    workdir.claim(Record(old, {}, "", ""))
    (workdir.checkpoints / "5").mkdir(parents=True)
    workdir.check(new)
    new["model"]["encoding"] = "events"
    with pytest.raises(UserError, match='model.encoding: "steps" -> "events"'):
        workdir.check(new)
    with pytest.raises(UserError, match="corpus.steps_per_bar: 16 -> 12"):
        workdir.check(old | {"corpus": old["corpus"] | {"steps_per_bar": 12}})


def test_a_run_from_before_tunes_were_compared_at_any_speed_goes_on_as_it_was(tmp_path):
    """Its command refuses the new default by name; its corpus says how it compared, also where it must be rebuilt."""
    old, new = smoke_config().to_dict(), smoke_config().to_dict()
    del old["corpus"]["alike"]
    workdir = Workdir(tmp_path / "run")
    workdir.claim(Record(old, {"corpus": str(tmp_path / "gone"), "identity": "0" * 32}, "", ""))
    (workdir.checkpoints / "5").mkdir(parents=True)
    with pytest.raises(UserError, match='corpus.alike: "windows" -> "edits"'):
        workdir.check(new)
    workdir.check(new | {"corpus": new["corpus"] | {"alike": "windows"}})
    with pytest.raises(UserError, match="this builds it again: .* --alike=windows"):
        find_corpus(workdir.read().data, tmp_path / "run")


def test_a_corpus_from_before_is_opened_as_it_is_and_not_taken_for_a_new_one(tmp_path):
    corpus = save_corpus(tmp_path / "corpus")
    edit_json(tmp_path / "corpus" / "corpus.json", lambda header: header["settings"].pop("alike"))
    opened = Corpus.open(tmp_path / "corpus")
    assert opened.identity == corpus.identity and opened.settings.alike == "windows"
    assert "alike was 'windows', is 'edits'" in what_changed(opened, corpus.settings)


def test_corpora_keep_their_folders():
    """Names that earlier versions gave; another width, or way to compare tunes, is another folder."""
    assert str(default_folder(CorpusSettings("tunes", alike="windows"))) == "corpora/tunes-f7d5ff47"
    assert default_folder(CorpusSettings("tunes")) != Path("corpora/tunes-f7d5ff47")
    folders = {default_folder(CorpusSettings("tunes", steps_per_bar=steps)) for steps in (12, 16, 24)}
    assert len(folders) == 3


def test_a_run_records_the_terms_of_its_collection(tmp_path):
    """Whose the music is stands in config.json; a wording that changes later refuses no run."""
    config = smoke_config(tmp_path / "corpus")
    task = kind_of(config.task).make_task(config, print)
    assert task.data["licence"] == DATA_SETS["tunes"].licence and "citation" not in task.data
    workdir = Workdir(tmp_path / "run")
    record = Record(config.to_dict(), task.data, "", "")
    workdir.claim(record)
    (workdir.checkpoints / "5").mkdir(parents=True)
    workdir.claim(record._replace(data=task.data | {"licence": "as it is worded now", "citation": "Somebody"}))
    with pytest.raises(UserError, match="identity"):
        workdir.claim(record._replace(data=task.data | {"identity": "another"}))
