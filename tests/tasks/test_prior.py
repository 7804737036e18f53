"""The MDRNN under the training loop: layouts, masks, what its figures mean, that it learns, and its mistakes."""

import functools
import json
import shutil

import jax
import numpy as np
import optax
import pytest
from ml_collections import ConfigDict
from scipy.special import expit, logsumexp
from scipy.stats import norm

from mcvae_jax.corpus.store import TRAIN
from mcvae_jax.errors import UserError
from mcvae_jax.kinds import kind_of, open_model
from mcvae_jax.models.mdrnn import MDRNN
from mcvae_jax.models.mixture_prior import Dropout
from mcvae_jax.models.workdirs import open_codec
from mcvae_jax.options import load_config
from mcvae_jax.training import loop
from mcvae_jax.training.update import init_state, make_update
from tests.conftest import rendering
from tests.layouts import check_layouts_agree
from tests.learning import learnt, whole_batch
from tests.mdrnn_layouts import MODEL, make_task, random_batch, standard_normal_params
from tests.small_models import MDRNN_MODEL, VAE_MODEL, save_corpus, save_vae
from tests.vae_layouts import far_from_the_start


@pytest.mark.slow
def test_jit_on_1_jit_on_8_and_pmap_on_8_agree():
    check_layouts_agree("tests.mdrnn_layouts:make_task", {}, steps=3)


@pytest.mark.slow
def test_so_do_they_for_a_transformer():
    check_layouts_agree("tests.mdrnn_layouts:make_transformer_task", {}, steps=3)


TASK = make_task()


@functools.cache
def moved_params():
    """Parameters far from the start."""
    params = far_from_the_start(jax.device_get(jax.jit(TASK.init)(jax.random.key(0))))
    return {"params": params["params"] | {"standard_scale": np.full(MODEL.latent, 1.3, np.float32)}}


@functools.partial(jax.jit, static_argnums=2)
def _sums(params, batch, train):
    return TASK.sums(params, batch, jax.random.key(1), train)


def evaluated(batch, train=False):
    """Sums of a batch by those parameters."""
    return _sums(moved_params(), batch, train)


def assert_close(one, other):
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_allclose(one[name], other[name], rtol=2e-5, atol=1e-5, err_msg=name)


@pytest.mark.more
@pytest.mark.parametrize("train", [False, True])
def test_the_noise_of_a_song_does_not_depend_on_its_place_in_the_batch(train):
    batch = TASK.batch(0)
    turned = {name: values[::-1] for name, values in batch.items()}
    one, other = (evaluated(b, train) for b in (batch, turned))
    assert_close(one, other)
    renumbered = evaluated(batch | {"index": batch["index"][::-1]}, train)
    assert abs(float(renumbered["nll"] - one["nll"])) > 1e-2


@pytest.mark.parametrize("train", [False, True])
def test_what_stands_in_the_padding_changes_nothing(train):
    batch = TASK.batch(0)
    padding = batch["mask"][..., None] == 0
    assert padding.any()
    for rubbish in (7.0, np.nan):
        dirty = {name: np.where(padding, rubbish, batch[name]).astype(np.float32) for name in ("mu", "log_var")}
        assert_close(evaluated(batch, train), evaluated(batch | dirty, train))


def test_longer_padding_changes_no_sum():
    batch = TASK.batch(0)
    longer = {n: np.pad(v, [(0, 0), (0, 5)] + [(0, 0)] * (v.ndim - 2)) if v.ndim > 1 else v for n, v in batch.items()}
    assert_close(evaluated(batch), evaluated(longer))


def test_songs_count_by_their_weight_and_their_bars():
    batch = TASK.batch(0)
    alone = [evaluated({n: v[i : i + 1] for n, v in batch.items()} | {"weight": np.ones(1)}) for i in range(16)]
    whole = evaluated(batch)
    assert_close(whole, {n: sum(w * s[n] for w, s in zip(batch["weight"], alone, strict=True)) for n in whole})
    assert whole["weight"] == batch["weight"] @ batch["mask"].sum(axis=1)


def test_the_terms_by_hand_for_a_mixture_that_is_known():
    """One bar, two equal components a distance apart, against scipy; the responsibilities sum to the bars."""
    model = MDRNN(latent=1, units=2, layers=1, components=2)
    params = jax.tree.map(np.zeros_like, jax.device_get(make_task(model=model).init(jax.random.key(0))))
    params["params"]["standard_scale"][:] = 1
    raw = np.log(np.expm1(0.5 - model.floor))  # sigma = 0.5
    params["params"]["heads"]["b"][:] = [0.0, 0.0, -1.0, 1.0, raw, raw, 0.7]
    batch = random_batch(np.random.default_rng(0), 1, 1, 1) | {"mu": np.full((1, 1, 1), 0.3, np.float32)}
    batch |= {"ends": np.ones(1, np.float32)}
    sums = jax.jit(make_task(Dropout(), "mu", model).sums, static_argnums=3)(params, batch, jax.random.key(0), True)
    by_component = np.log(0.5) + norm.logpdf(0.3, [-1, 1], 0.5)
    np.testing.assert_allclose(sums["nll"], -logsumexp(by_component), rtol=1e-5)
    np.testing.assert_allclose(sums["responsibility"], np.exp(by_component - logsumexp(by_component)), rtol=1e-4)
    np.testing.assert_allclose(sums["mixture_entropy"], np.log(2), rtol=1e-5)
    np.testing.assert_allclose(sums["stop"], -np.log(expit(0.7)), rtol=1e-5)


def test_the_rate_is_the_kl_where_the_prior_is_forced_to_the_standard_normal():
    """-log p(z) - H[q] has the mean KL; its variance for a bar is sum_d (s^4 + 2 m^2 s^2) / 2 with z ~ N(m, s^2)."""
    model = MDRNN(latent=3, units=4, layers=1, components=1)
    task = make_task(model=model)
    batch = random_batch(np.random.default_rng(2), 512, 9, 3)
    sums = jax.jit(task.sums, static_argnums=3)(standard_normal_params(model), batch, jax.random.key(0), False)
    variance = np.exp(batch["log_var"])
    of_bar = np.sum(variance**2 + 2 * batch["mu"] ** 2 * variance, axis=-1) / 2
    deviation = np.sqrt(np.sum(of_bar * batch["mask"]))
    assert abs(float(sums["nll"] - sums["entropy"] - sums["kl"])) < 4 * deviation
    assert 4 * deviation < 0.1 * float(sums["kl"]), "a tolerance so wide says nothing"
    _, terms = task.held_out_objective(sums)
    bound = (batch["reconstruction"].sum() + sums["nll"] - sums["entropy"]) / sums["weight"] / np.log(2)
    np.testing.assert_allclose(terms["bound_bits"], bound, rtol=1e-5)


@pytest.mark.slow
def test_a_few_songs_are_learnt_by_heart():
    """Four songs of 9 bars of random vectors: once known, a bar costs at most log(4) / 9 nats beyond its entropy."""
    model = MDRNN(latent=3, units=32, layers=1, components=4, recall=1, memory=4)
    task = make_task(Dropout(), model=model)
    batch = random_batch(np.random.default_rng(0), 4, 9, 3)
    batch |= {"log_var": np.full((4, 9, 3), -4.0, np.float32)}
    batch |= {
        "mask": (np.arange(9) < np.array([[9], [8], [9], [5]])).astype(np.float32),
        "ends": np.ones(4, np.float32),
    }
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(0.02))
    scores = jax.jit(lambda params: task.held_out_objective(task.sums(params, batch, jax.random.key(1), False))[1])
    start = scores(init_state(task, optimizer, 0).params)
    state, reports = learnt(task, batch, 400, optimizer)
    end = scores(state.params)
    assert reports[-1].finite and start["rate"] > 5 and end["rate"] < 2 and end["stop"] < 0.1 < start["stop"]
    np.testing.assert_array_equal(state.params["params"]["standard_scale"], np.full(3, 1.3, np.float32))


# ---- from a VAE's workdir


def make_real_task(config, say):
    return kind_of(config.task).make_task(config, say)


def make_config(vae_workdir, **data) -> ConfigDict:
    config = load_config("configs/mdrnn.py:smoke")
    config.vae_workdir = str(vae_workdir)
    config.data.update(data)
    config.model.update(MDRNN_MODEL)
    config.train.update({"steps": 4, "batch_size": 2, "log_every": 2, "eval_every": 2, "save_every": 2})
    config.held_out.draws = 1
    config.dropout.hidden = 0.0  # masks take long to compile, and the layouts have them all
    return config


@pytest.fixture(scope="module")
def vae_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    save_vae(folder / "vae", save_corpus(folder / "corpus"))
    return folder / "vae"


def run(config, folder) -> tuple[loop.Outcome, list[str]]:
    """The outcome of a training and the lines that it said."""
    said = []
    return loop.train(make_real_task(config, said.append), config, folder, said.append), said


@pytest.fixture(scope="module")
def trained_run(vae_folder):
    """The workdir of a short training, and what it said."""
    folder = vae_folder.parent / "mdrnn"
    with rendering():
        return folder, run(make_config(vae_folder), folder)[1]


@pytest.mark.more
def test_training_ends_with_the_bound_under_every_prior_and_a_composer_that_opens(vae_folder, trained_run):
    folder, said = trained_run
    assert "3 training songs from 16 to 339 bars; 2 held-out songs are scored, 0 too short" in said[0]
    results = folder / "results"
    scores = json.loads((results / "held_out.json").read_text())
    assert list(scores["priors"]) == ["MDRNN", "one Gaussian", "untrained MDRNN", "N(0, I)"]
    assert scores["songs"] == 2 and scores["bars"] == 35 and scores["left_out"] == {"too_short": 0, "too_long": 0}
    for row in scores["priors"].values():
        bits = (scores["reconstruction_nats"] + row["rate_nats"]) / np.log(2)
        assert row["bits_per_bar"] == pytest.approx(bits)
    assert len(scores["rate_by_bar"]["MDRNN"]) == 17  # as far as both go
    assert (results / "priors.png").stat().st_size > 10_000
    assert any("untrained MDRNN" in line for line in said)
    held_out = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    held_out = [line for line in held_out if line["split"] == "held_out"]
    assert held_out[-1]["objective"] == pytest.approx(held_out[-1]["rate"] + held_out[-1]["stop"], rel=1e-5)
    kl = scores["kl_nats"]
    assert held_out[-1]["kl"] == pytest.approx(kl, rel=1e-4), "the loop and the evaluation see the same bars"
    origins = open_model(folder).origins
    assert origins["VAE"].identity == open_codec(vae_folder).origin.identity == origins["MDRNN"].data["vae"]


def test_latents_are_standardised_over_the_training_bars(vae_folder):
    task = make_real_task(make_config(vae_folder), lambda line: None)
    params = jax.jit(task.init)(jax.random.key(0))["params"]
    codec, corpus = open_codec(vae_folder), save_corpus(vae_folder.parent / "corpus")
    songs = [i for i in corpus.songs(TRAIN) if corpus.lengths[i] >= 16]
    bars = np.concatenate([corpus.song(i) for i in songs])
    encode = jax.jit(lambda bars: codec.vae.apply(codec.params, bars, method="encode"))
    mu, log_var = map(np.asarray, encode(bars))
    z = mu + np.exp(log_var / 2) * np.random.default_rng(0).normal(size=(2000, *mu.shape))
    np.testing.assert_allclose(params["standard_mean"], z.mean(axis=(0, 1)), atol=0.02)
    np.testing.assert_allclose(params["standard_scale"], z.std(axis=(0, 1)), rtol=0.02)
    plain = make_real_task(make_config(vae_folder, standardise=False), lambda line: None).init(jax.random.key(0))
    assert (plain["params"]["standard_scale"] == 1).all() and (plain["params"]["standard_mean"] == 0).all()


def test_windows_of_the_thesis_train_too(vae_folder):
    config = make_config(vae_folder, window=16, draw="mu", lowest_shift=-1, highest_shift=1)
    task, optimizer = make_real_task(config, lambda line: None), optax.sgd(0.1)
    batch = task.batch(0)
    assert batch["mu"].shape == (2, 16, 3)
    state, report = jax.jit(make_update(task, optimizer), static_argnums=3)(
        init_state(task, optimizer, 0), batch, 0, whole_batch
    )
    assert report.finite and state.step == 1


@pytest.mark.parametrize(
    ("kind", "preset"),
    [
        *(("mdrnn", preset) for preset in ("default", "thesis", "smoke", "accelerator")),
        *(("transformer_prior", preset) for preset in ("default", "smoke", "accelerator")),
    ],
)
def test_every_preset_makes_a_task(kind, preset, vae_folder):
    config = load_config(f"configs/{kind}.py:{preset}")
    assert config.vae_workdir == f"runs/vae-{preset}"
    config.vae_workdir = str(vae_folder)
    loop.check_config(config)
    assert make_real_task(config, lambda line: None).batch(0)["mu"].shape[0] == config.train.batch_size


def test_mistakes_are_one_line_before_any_work(vae_folder, tmp_path):
    def mistake(**changes):
        config = make_config(vae_folder)
        for name, value in changes.items():
            config.update_from_flattened_dict({name.replace("__", "."): value})
        with pytest.raises(UserError) as error:
            make_real_task(config, lambda line: None)
        assert "\n" not in str(error.value)
        return str(error.value)

    assert "where no VAE is; train one there first" in mistake(vae_workdir=str(tmp_path / "nothing"))
    assert "has no config.json" in mistake(vae_workdir=str(tmp_path))
    assert "is gone; if it is elsewhere, say where" in mistake(corpus_folder=str(tmp_path / "nothing"))
    save_corpus(tmp_path / "other", shift=1)
    assert "is not the one on which" in mistake(corpus_folder=str(tmp_path / "other"))
    assert "no training song from 40 to 339 bars" in mistake(data__min_bars=40)
    assert "no held-out song from 19 to 339 bars" in mistake(data__min_bars=19)
    assert "no training song from 34 to any number of bars" in mistake(data__min_bars=34, data__max_bars=0)
    assert "config.model.units is 0" in mistake(model__units=0)
    assert "config.dropout.hidden is 1.0" in mistake(dropout__hidden=1.0)
    assert "config.held_out.draws" in mistake(held_out__draws=0)


def test_a_transposition_out_of_the_pitches_of_the_vae_is_refused(tmp_path):
    save_vae(tmp_path / "vae", save_corpus(tmp_path / "corpus"), model=VAE_MODEL | {"min_pitch": 40, "max_pitch": 80})

    def refused(**data):
        with pytest.raises(UserError) as error:
            make_real_task(make_config(tmp_path / "vae", min_bars=40, **data), lambda line: None)
        return str(error.value)

    for bounds in ({"min_pitch": 39, "max_pitch": 80}, {"min_pitch": 40, "max_pitch": 81}):
        said = refused(lowest_shift=-1, **bounds)
        assert "let transposition leave the pitches of the VAE's model, 40 to 80" in said
    for allowed in ({"min_pitch": 40, "max_pitch": 80, "highest_shift": 1}, {"lowest_shift": 0, "highest_shift": 0}):
        assert "no training song" in refused(**allowed)  # which comes later


def test_an_mdrnn_is_no_vae(trained_run):
    with pytest.raises(UserError, match="config.task='mdrnn'; here a VAE of configs/vae.py"):
        make_real_task(make_config(trained_run[0]), lambda line: None)


def test_a_workdir_refuses_another_vae_and_follows_one_that_moved(vae_folder, trained_run, tmp_path):
    folder = shutil.copytree(trained_run[0], tmp_path / "mdrnn")
    moved = shutil.copytree(vae_folder, tmp_path / "moved")
    outcome, said = run(make_config(moved), folder)
    assert outcome == (4, 0) and "is done" in said[-1]
    save_vae(tmp_path / "other", save_corpus(tmp_path / "corpus"), seed=1)
    with pytest.raises(UserError, match="trained on other data: vae: "):
        run(make_config(tmp_path / "other"), folder)
