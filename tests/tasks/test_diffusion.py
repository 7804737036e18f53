"""The diffusion prior under the training loop: layouts, what sums mean, that it learns, what a workdir then holds."""

import functools
import json

import jax
import numpy as np
import optax
import pytest

from mcvae_jax.batches.songs import Piece
from mcvae_jax.corpus.store import HELD_OUT, TRAIN, Corpus
from mcvae_jax.errors import UserError
from mcvae_jax.kinds import kind_of, open_model
from mcvae_jax.models.song_model import BOUND
from mcvae_jax.models.workdirs import open_codec
from mcvae_jax.nn.keys import song_keys
from mcvae_jax.options import load_config
from mcvae_jax.tasks.diffusion import windows
from mcvae_jax.training import loop
from tests.diffusion_layouts import make_task
from tests.layouts import check_layouts_agree
from tests.learning import learnt
from tests.small_models import save_corpus, save_vae

pytestmark = pytest.mark.more


@pytest.mark.slow
def test_jit_on_1_jit_on_8_and_pmap_on_8_agree():
    check_layouts_agree("tests.diffusion_layouts:make_task", {}, steps=3)


TASK = make_task()


@functools.cache
def fresh_params():
    return jax.jit(TASK.init)(jax.random.key(0))


@functools.partial(jax.jit, static_argnums=2)
def _summed(params, batch, train):
    return TASK.sums(params, batch, jax.random.key(1), train)


def summed(batch, train):
    return {name: float(value) for name, value in _summed(fresh_params(), batch, train).items()}


@pytest.mark.parametrize("train", [pytest.param(False, marks=pytest.mark.slow), True])
def test_padding_counts_for_nothing_and_weights_and_places_count(train):
    batch = TASK.batch(0)
    found = summed(batch, train)
    padding = batch["mask"][..., None] == 0
    dirty = {name: np.where(padding, np.nan, batch[name]).astype(np.float32) for name in ("mu", "log_var")}
    turned = {name: values[::-1] for name, values in batch.items()}
    for same in (batch | dirty, turned):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5), found, summed(same, train))
    doubled = summed(batch | {"weight": 2 * batch["weight"]}, train)
    for name in set(found):
        assert doubled[name] == pytest.approx(2 * found[name], rel=1e-5)
    assert found["weight"] == np.sum(batch["weight"][:, None] * batch["mask"])
    name = "error" if train else "nll"
    for other in ({"first": batch["first"] + 1}, {"ends": 1 - batch["ends"]}, {"index": batch["index"] + 1}):
        assert abs(summed(batch | other, train)[name] / found[name] - 1) > 1e-5


@pytest.mark.slow
def test_a_few_windows_are_learnt_by_heart():
    """Their rate falls far below that of one Gaussian, near which the network begins."""
    task = make_task(dropout=0.0, units=32)
    batch = {name: values[:4] for name, values in task.batch(0).items()}
    batch |= {"log_var": np.full_like(batch["log_var"], -3.0), "weight": np.ones(4, np.float32)}
    rate = jax.jit(lambda params: task.held_out_objective(task.sums(params, batch, jax.random.key(2), False))[0])
    fresh = jax.jit(task.init)(jax.random.key(0))
    state, _ = learnt(task, batch, 250, optax.adam(0.01))
    before, after = (float(rate(params)) for params in (fresh, state.params))
    assert after < before - 2, (before, after)
    for name in task.constants:
        np.testing.assert_array_equal(state.params[name], fresh[name])


def test_windows_hold_each_bar_once():
    assert windows(Piece(3, 0, 5, 0, True), 6) == [Piece(3, 0, 5, 0, True)]
    assert windows(Piece(3, 0, 14, 1, True), 6) == [
        Piece(3, 0, 6, 1, False),
        Piece(3, 6, 6, 1, False),
        Piece(3, 12, 2, 1, True),
    ]


# ---- from a VAE's workdir


def make_config(vae_workdir):
    config = load_config("configs/diffusion_prior.py:smoke")
    config.vae_workdir = str(vae_workdir)
    config.data.window = 12
    config.model.update({"units": 8, "layers": 1})
    config.sampler.steps = 3
    config.train.update({"steps": 4, "batch_size": 2, "log_every": 2, "eval_every": 2, "save_every": 2})
    config.held_out.draws = 1
    return config


@pytest.fixture(scope="module")
def vae_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    save_vae(folder / "vae", save_corpus(folder / "corpus"))
    return folder / "vae"


@pytest.fixture(scope="module")
def trained_run(vae_folder):
    """The corpus, the workdir of a short training, and what it said."""
    folder, corpus = vae_folder.parent, Corpus.open(vae_folder.parent / "corpus")
    config, said = make_config(folder / "vae"), []
    loop.train(kind_of(config.task).make_task(config, said.append), config, folder / "run", said.append)
    return corpus, folder / "run", said


@pytest.mark.slow
def test_training_ends_with_a_bound_and_a_composer_that_opens(trained_run):
    corpus, folder, said = trained_run
    scores = json.loads((folder / "results" / "held_out.json").read_text())
    model = open_model(folder)
    assert list(scores["rows"]) == [model.name] == ["VAE and diffusion prior"] and scores["songs"] == 2
    row = scores["rows"][model.name]
    assert row["likelihood"] == BOUND == model.likelihood
    held_out = [corpus.song(i) for i in corpus.songs(HELD_OUT)]
    bits = np.concatenate(model.nats(held_out)).mean() / np.log(2)
    assert row["bits_per_bar"]["value"] == pytest.approx(bits, rel=1e-5)
    assert any(line.startswith(f"VAE and diffusion prior: at most {bits:.2f} (") for line in said)
    assert list(model.origins) == ["VAE", "diffusion prior"]
    assert model.origins["VAE"].identity == open_codec(folder.parent / "vae").origin.identity
    lengths = [corpus.lengths[i] for i in corpus.songs(TRAIN) if corpus.lengths[i] >= 16]
    assert set(np.asarray(model.params["song_lengths"])) == set(lengths)
    songs = model.go_on([np.empty((0, 16), np.uint8)] * 3, song_keys(0, [1, 2, 3]), None, model.defaults)
    assert {len(song) for song in songs} <= set(lengths)
    parts = model.bound_parts(held_out)
    assert (parts["reconstruction_nats"] + parts["rate_nats"]) / np.log(2) == pytest.approx(bits, rel=1e-5)
    assert row["rate_nats"] == pytest.approx(parts["rate_nats"], rel=1e-4)


@pytest.mark.slow
def test_the_loop_and_the_evaluation_bound_the_same_songs(trained_run):
    """By other draws of z, levels and noise, so that they agree as far as these go."""
    _, folder, _ = trained_run
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    logged = [line for line in lines if line["split"] == "held_out"][-1]["bound_bits"]
    row = json.loads((folder / "results" / "held_out.json").read_text())["rows"]["VAE and diffusion prior"]
    assert logged == pytest.approx(row["bits_per_bar"]["value"], rel=0.1)


@pytest.mark.parametrize("preset", ["default", "smoke", "accelerator"])
def test_every_preset_makes_a_task(preset, vae_folder):
    config = load_config(f"configs/diffusion_prior.py:{preset}")
    assert config.vae_workdir == f"runs/vae-{preset}"
    config.vae_workdir = str(vae_folder)
    loop.check_config(config)
    batch = kind_of(config.task).make_task(config, lambda line: None).batch(0)
    assert batch["mu"].shape[:2] == (config.train.batch_size, config.data.window)
    assert batch["first"].shape == (config.train.batch_size,)


def test_mistakes_are_one_line(vae_folder):
    def mistake(**changes):
        config = make_config(vae_folder)
        for name, value in changes.items():
            config.update_from_flattened_dict({name.replace("__", "."): value})
        with pytest.raises(UserError) as error:
            loop.check_config(config)
            kind_of(config.task).make_task(config, lambda line: None)
        assert "\n" not in str(error.value)
        return str(error.value)

    assert "where no VAE is" in mistake(vae_workdir="nothing")
    assert "config.data.window is 0; it must be from 2" in mistake(data__window=0)
    assert "units must be a multiple of twice" in mistake(model__units=6)
    assert "config.model.weighting is 'even' or 'cosine', not 'odd'" in mistake(model__weighting="odd")
    assert "config.sampler.steps is 30000; it must be from 1 to 20,000" in mistake(sampler__steps=30_000)
    assert "config.sampler.eta is 1.5" in mistake(sampler__eta=1.5)
    assert "config.dropout.hidden is 1.0" in mistake(dropout__hidden=1.0)
    assert "config.held_out.draws" in mistake(held_out__draws=0)
