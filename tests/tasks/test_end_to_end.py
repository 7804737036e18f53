"""A VAE and a prior that are trained on together: what the figures mean, what learns, the workdir, and mistakes."""

import math
import shutil

import jax
import numpy as np
import pytest

from mcvae_jax.corpus.store import HELD_OUT, Corpus
from mcvae_jax.errors import UserError
from mcvae_jax.kinds import kind_of, open_model
from mcvae_jax.models.latent_composer import LatentComposer
from mcvae_jax.models.settings import AS_TRAINED
from mcvae_jax.nn.keys import song_keys
from mcvae_jax.options import load_config
from mcvae_jax.tasks import end_to_end
from mcvae_jax.tasks.end_to_end import Loss, held_out_objective, objective
from mcvae_jax.training import loop
from tests.layouts import check_layouts_agree
from tests.small_models import VAE_MODEL, save_corpus, save_joint, save_mdrnn, save_vae

pytestmark = pytest.mark.more

KIND = kind_of("end_to_end")


def config_of(folder):
    config = load_config("configs/end_to_end.py:smoke")
    config.prior_workdir = str(folder)
    config.train.update({"steps": 4, "batch_size": 2, "log_every": 2, "eval_every": 2, "save_every": 2})
    return config


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The folder of an MDRNN, with its VAE and their corpus beside it."""
    folder = tmp_path_factory.mktemp("both")
    corpus = save_corpus(folder / "corpus")
    save_mdrnn(folder / "run" / "mdrnn", folder / "run" / "vae", save_vae(folder / "run" / "vae", corpus))
    return folder


@pytest.fixture(scope="module")
def task(both):
    return KIND.make_task(config_of(both / "run"), lambda line: None)


@pytest.fixture(scope="module")
def params(task):
    return jax.jit(task.init)(jax.random.key(0))


@pytest.mark.slow
def test_jit_on_1_jit_on_8_and_pmap_on_8_agree(both):
    check_layouts_agree("tests.end_to_end_layouts:make_task", {"folder": str(both / "run")}, steps=3)


def test_its_held_out_figure_is_the_whole_song_bound_of_the_model_it_starts_from(both, task, params):
    """Against bounds.py, which scores encoder, decoder and prior one after the other."""
    (batch,), prior = task.held_out_batches(), open_model(both / "run").prior.prior
    run = jax.jit(lambda key: held_out_objective(task.sums(params, batch, key, False), prior)[1])
    drawn = [float(run(jax.random.key(n))["bound_bits"]) for n in range(100)]
    corpus = Corpus.open(both / "corpus")
    songs = [corpus.song(i) for i in corpus.songs(HELD_OUT)]
    found = open_model(both / "run").bound_parts(songs, 100, 0)
    bits = (found["reconstruction_nats"] + found["rate_nats"]) / math.log(2)
    assert np.mean(drawn) == pytest.approx(bits, abs=5 * np.std(drawn) / 10 + 0.02)
    terms = run(jax.random.key(0))
    assert float(terms["kl"]) == pytest.approx(found["kl_nats"], rel=1e-4)


def test_padding_counts_for_nothing(task, params):
    batch = task.batch(0)
    run = jax.jit(lambda batch: task.sums(params, batch, jax.random.key(1), True))
    wider = {name: np.pad(batch[name], ((0, 0), (0, 8))) for name in ("mask",)}
    wider["bars"] = np.pad(batch["bars"], ((0, 0), (0, 8), (0, 0)), constant_values=70)
    for name, value in run(batch).items():
        np.testing.assert_allclose(value, run(batch | wider)[name], rtol=2e-5, atol=1e-4, err_msg=name)


def test_encoder_decoder_and_prior_learn_and_the_scales_of_the_data_do_not(both, task, params):
    prior, batch = open_model(both / "run").prior.prior, task.batch(0)

    def cost(params, loss):
        return objective(loss, task.sums(params, batch, jax.random.key(1), True), prior, 10.0)[0]

    def unmoved(beta):
        slopes = jax.jit(jax.grad(cost), static_argnums=1)(params, Loss(beta))
        leaves = jax.tree_util.tree_leaves_with_path(slopes)
        return {path[-1].key if len(path) == 3 else path[-2].key for path, slope in leaves if not np.any(slope)}

    assert unmoved(beta=1.0) == task.constants
    recalling = {"queries_and_keys", "recall_by_lag", "recall_gain", "recall_spread"}
    assert unmoved(beta=0.0) == task.constants | recalling, "the others learn from the stop"


@pytest.mark.slow
def test_a_training_starts_from_both_and_its_workdir_needs_neither(both, tmp_path):
    shutil.copytree(both, tmp_path / "both")
    said: list[str] = []
    config = config_of(tmp_path / "both" / "run")
    loop.train(KIND.make_task(config, said.append), config, tmp_path / "run", said.append)
    shutil.rmtree(tmp_path / "both" / "run")
    model = open_model(tmp_path / "run")
    assert type(model) is LatentComposer and model.name == "end-to-end MCVAE"
    before, after = open_model(both / "run").prior.params, model.prior.params
    for (path, old), new in zip(jax.tree_util.tree_leaves_with_path(before), jax.tree.leaves(after), strict=True):
        is_constant = path[-1].key in ("standard_mean", "standard_scale")
        np.testing.assert_allclose(old, new, atol=0 if is_constant else 0.05, err_msg=str(path))
        assert is_constant or not np.array_equal(old, new), path
    songs = model.go_on([np.empty((0, 16), np.uint8)], song_keys(0, [1]), 3, AS_TRAINED)
    assert songs[0].shape == (3, 16)
    rows = [line for line in said if "bits per bar" in line]
    names = ("end-to-end MCVAE", "MCVAE before", "end-to-end MCVAE + copy", "MCVAE before + copy")
    assert [line.split(":")[0] for line in rows] == list(names)


@pytest.mark.slow
def test_it_starts_from_no_run_of_another_pair_and_no_pair_again(both, tmp_path):
    """Whose sizes stand in no field of the config."""
    config = config_of(both / "run")
    config.train.steps = 2
    loop.train(KIND.make_task(config, lambda line: None), config, tmp_path / "first", lambda line: None)
    with pytest.raises(UserError, match="whose parts were trained together already"):
        end_to_end.open_start(str(tmp_path / "first"))
    corpus, wide = Corpus.open(both / "corpus"), VAE_MODEL | {"units": 8}
    save_mdrnn(tmp_path / "mdrnn", tmp_path / "vae", save_vae(tmp_path / "vae", corpus, model=wide))
    config.prior_workdir = str(tmp_path / "mdrnn")
    task = KIND.make_task(config, lambda line: None)
    with pytest.raises(UserError, match="does not fit this model") as error:
        loop.train(task, config, tmp_path / "second", lambda line: None, init_from=str(tmp_path / "first"))
    assert "vae" in str(error.value)


def test_what_cannot_be_trained_on_together_is_one_line(both, tmp_path):
    save_joint(tmp_path / "joint")
    for folder, told in (
        (tmp_path / "nowhere", "where no MCVAE is; train one there first"),
        (tmp_path / "joint", "holds a joint MCVAE; only a bar VAE and an MDRNN"),
        (both / "run" / "vae", r"holds a VAE \(bar by bar\); only a bar VAE and an MDRNN"),
    ):
        with pytest.raises(UserError, match=told):
            end_to_end.open_start(str(folder))
    config = config_of(both / "run")
    config.loss.beta = -1.0
    with pytest.raises(UserError, match="config.loss.beta is -1.0; it must be 0 or more"):
        KIND.check(config)
