"""The joint MCVAE under the training loop: layouts, padding, what its figures mean, that it learns, and its workdir."""

import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mcvae_jax.batches.songs import whole_songs
from mcvae_jax.corpus.store import HELD_OUT, Corpus
from mcvae_jax.errors import UserError
from mcvae_jax.kinds import kind_of, open_model
from mcvae_jax.models.joint.arrays import UNKNOWN, Noise, Songs
from mcvae_jax.models.joint.composer import JointComposer
from mcvae_jax.models.joint.network import JointMCVAE
from mcvae_jax.models.joint.settings import Dropout, draw_noise
from mcvae_jax.models.joint.tables import first_appearances
from mcvae_jax.nn.keys import example_keys
from mcvae_jax.nn.layers import applied
from mcvae_jax.options import load_config
from mcvae_jax.tasks.joint import Loss, make_sums, objective, table_maker, terms
from mcvae_jax.training import loop
from tests.joint_layouts import MODEL, make_task, random_batch
from tests.layouts import check_layouts_agree
from tests.learning import learnt
from tests.small_models import save_corpus

TASK = make_task()


@pytest.mark.slow
def test_jit_on_1_jit_on_8_and_pmap_on_8_agree():
    check_layouts_agree("tests.joint_layouts:make_task", {}, steps=3)


@pytest.fixture(scope="module")
def sums():
    """The function of the task on one batch with fixed parameters, out of training or in it."""
    params = jax.tree.map(lambda x: 3 * x, jax.jit(TASK.init)(jax.random.key(0)))
    run = jax.jit(lambda batch, train: TASK.sums(params, batch, jax.random.key(1), train), static_argnums=1)
    return lambda batch, train=False: jax.device_get(run(batch, train))


def assert_close(one, other, rtol=2e-5):
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_allclose(one[name], other[name], rtol=rtol, atol=1e-4, err_msg=name)


@pytest.mark.more
@pytest.mark.parametrize("train", [pytest.param(False, marks=pytest.mark.slow), True])
def test_padding_counts_for_nothing(sums, train):
    """Eight bars more of padding, and other tokens in the rows that no bar uses."""
    batch, found = TASK.batch(0), sums(TASK.batch(0), train)
    wider = {name: np.pad(batch[name], ((0, 0), (0, 8))) for name in ("of", "left", "mask")}
    assert_close(found, sums(batch | wider, train))
    unused = (batch["known"] == 0)[..., None]
    assert unused.any()
    assert_close(found, sums(batch | {"bars": np.where(unused, 70, batch["bars"]).astype(np.uint8)}, train))


def test_the_noise_of_a_song_does_not_depend_on_its_place_in_the_batch(sums):
    batch = TASK.batch(0)
    turned = {name: values[::-1] for name, values in batch.items()}
    assert_close(sums(batch, True), sums(turned, True))
    renumbered = sums(batch | {"index": batch["index"][::-1]}, True)
    assert abs(renumbered["reconstruction"] - sums(batch, True)["reconstruction"]) > 1e-3


def test_sums_are_those_of_the_bounds_of_the_songs():
    """The task's held-out figures beside what the song model says of the same songs, over many draws."""
    params = jax.tree.map(lambda x: 2 * x, jax.jit(TASK.init)(jax.random.key(0)))
    batch = random_batch(np.random.default_rng(5), 16)
    batch |= {"ends": np.ones(16, np.float32), "first": np.zeros(16, np.int32)}
    songs = [table[of[: int(n)]] for table, of, n in zip(batch["bars"], batch["of"], batch["mask"].sum(1), strict=True)]
    lengths = np.array([len(song) for song in songs])
    bars = np.arange(8)
    batch["left"] = np.where(bars < lengths[:, None], lengths[:, None] - bars, 0).astype(np.int32)
    run = jax.jit(lambda key: terms(TASK.sums(params, batch, key, False)))
    drawn = np.mean([float(run(jax.random.key(n))["bound_bits"]) for n in range(60)])
    nats = JointComposer(MODEL, params).nats(songs, 60)
    assert drawn == pytest.approx(sum(each.sum() for each in nats) / lengths.sum() / math.log(2), rel=0.01)


def test_below_the_free_nats_the_rate_costs_nothing():
    found = {"reconstruction": 3.0, "gain": 0.0, "choice": 1.0, "copies": 2.0, "stop": 0.5, "weight": 10.0, "new": 4.0}
    found = {name: jnp.float32(value) for name, value in found.items()} | dict.fromkeys(
        ("mu", "mu_squares", "variances"), jnp.ones(2)
    )
    loss = Loss(free_nats=2.0, beta=0.5, beta_steps=10)
    for rate, step, expected in ((4.0, 99, 6.5 + 0.5 * 8), (9.0, 99, 6.5 + 0.5 * 9), (9.0, 4, 6.5 + 0.25 * 9)):
        value, logged = objective(loss, found | {"rate": jnp.float32(rate)}, jnp.asarray(step), 10.0)
        assert float(value) == pytest.approx(expected / 10)
        assert float(logged["bound_bits"]) == pytest.approx((6.0 + rate) / 10 / math.log(2)), "no nats are free there"
    slope = jax.grad(lambda rate: objective(loss, found | {"rate": rate}, jnp.asarray(99), 10.0)[0])
    assert float(slope(jnp.float32(4.0))) == 0 and float(slope(jnp.float32(9.0))) == pytest.approx(0.05)


@pytest.mark.slow
def test_draws_train_the_importance_weighted_bound():
    """Against the weights of each draw by itself: -log of their mean for each new bar (Burda et al. 2016)."""
    params = jax.tree.map(lambda x: 2 * x, jax.jit(TASK.init)(jax.random.key(0)))
    batch = random_batch(np.random.default_rng(5), 8)
    loss, key = Loss(free_nats=0.0, told=0.0, draws=3), jax.random.key(4)
    found = jax.jit(lambda: make_sums(MODEL, Dropout(), loss)(params, batch, key, True))()
    songs = Songs(*(batch[name] for name in Songs._fields))._replace(left=jnp.full_like(batch["left"], UNKNOWN))
    keys = jax.vmap(jax.random.split)(example_keys(key, batch["index"]))[:, 0]
    eps = draw_noise(MODEL, keys, batch["bars"].shape[1], batch["of"].shape[1], Dropout(), 3).eps
    log_w = []
    for draw in range(3):
        one = applied(MODEL, JointMCVAE.score, params, songs, Noise(eps[:, :, draw : draw + 1]))
        log_w.append(np.float64(one.log_x + one.log_prior - one.log_q)[..., 0])
    new = np.sum(-(np.logaddexp.reduce(log_w, axis=0) - np.log(3)) * batch["known"])
    parts = new + sum(float(found[name]) for name in ("choice", "copies", "stop"))
    total, _ = objective(loss, found, jnp.asarray(0), 1.0)
    assert float(total) == pytest.approx(parts, rel=1e-5)
    assert float(found["gain"]) > 0.01
    of_one = draw_noise(MODEL, keys, batch["bars"].shape[1], batch["of"].shape[1], Dropout()).eps
    np.testing.assert_array_equal(eps[:, :, :1], of_one, err_msg="the first draw is that of a single one")


def test_active_units_are_those_whose_means_differ():
    means = np.random.default_rng(0).normal(size=(1000, 3)) * [1.0, 0.01, 0.0]
    found = dict.fromkeys(("reconstruction", "choice", "copies", "stop", "rate"), jnp.float32(0))
    found |= {
        "weight": jnp.float32(1000),
        "new": jnp.float32(1000),
        "mu": means.sum(0),
        "mu_squares": (means**2).sum(0),
    }
    assert terms(found | {"variances": np.full(3, 1000.0)})["active"] == 1
    assert terms(found | {"variances": np.full(3, 1000 * 1e-4)})["active"] == 2, "small means beside smaller variances"


@pytest.mark.slow
def test_a_few_songs_are_learnt_by_heart():
    """The bound of a repeated and of a new bar fall far below 3 log2(130) = 21 bits when 8 songs are all there is."""
    model = JointMCVAE(
        latent=2, components=2, encoder_units=16, units=32, layers=1, decoder_units=32, memory=6, steps=3
    )
    task = make_task(Dropout(), model, 8, Loss(free_nats=0.0, told=0.0))
    batch = random_batch(np.random.default_rng(0), 8, tokens=6)
    state, _ = learnt(task, batch, 250)
    found = jax.device_get(terms(task.sums(state.params, batch, jax.random.key(0), False)))
    assert found["new_bits"] < 4 and found["repeated_bits"] < 3


@pytest.fixture(scope="module")
def trained_run(tmp_path_factory):
    """Corpus and workdir of a short training on our own tunes, and what it said."""
    folder = tmp_path_factory.mktemp("joint")
    config = load_config("configs/joint.py:smoke")
    config.corpus_folder = str(folder / "corpus")
    config.model.update({"encoder_units": 6, "units": 6, "decoder_units": 6, "latent": 2, "components": 2})
    config.train.update({"steps": 4, "batch_size": 2, "log_every": 2, "eval_every": 2, "save_every": 2})
    said: list[str] = []
    loop.train(kind_of("joint").make_task(config, said.append), config, folder / "run", said.append)
    return Corpus.open(folder / "corpus"), folder / "run", said


@pytest.mark.slow
def test_training_ends_with_a_song_model_and_its_figures(trained_run):
    corpus, folder, said = trained_run
    scores = json.loads((folder / "results" / "held_out.json").read_text())
    (row,) = scores["rows"].values()
    assert scores["songs"] == 2 and row["likelihood"] == "bound" and row["rate_nats"] > 0
    model = open_model(folder)
    held_out = [corpus.song(i) for i in corpus.songs(HELD_OUT)]
    bits = np.concatenate(model.nats(held_out, 4, 0)).mean() / np.log(2)
    assert row["bits_per_bar"]["value"] == pytest.approx(bits, rel=1e-5)
    assert row["tighter"]["value"] < row["bits_per_bar"]["value"]
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    last = [line for line in lines if line["split"] == "held_out"][-1]
    assert last["bound_bits"] == pytest.approx(bits, rel=0.05) and {"rate", "active", "stop"} <= set(last)
    assert any(f"at most {bits:.2f}" in line for line in said)


def test_a_batch_holds_the_songs_of_the_corpus(tmp_path):
    corpus = save_corpus(tmp_path / "corpus")
    pieces = whole_songs(corpus, corpus.songs(HELD_OUT))
    batch = table_maker(corpus)(pieces, 3, 0)
    for row, piece in enumerate(pieces):
        song = corpus.song(piece.song)
        np.testing.assert_array_equal(batch["bars"][row][batch["of"][row, : piece.bars]], song)
        assert batch["known"][row].sum() == len(first_appearances(song)[0]) and batch["mask"][row].sum() == len(song)
    assert batch["weight"].tolist() == [1, 1, 0] and not batch["known"][2].any()


@pytest.mark.parametrize(
    ("section", "field", "value", "said"),
    [
        ("loss", "free_nats", -1.0, "config.loss.free_nats is -1.0; it must be 0 or more"),
        ("loss", "told", 1.5, "config.loss.told is 1.5; it must be a share from 0 to 1"),
        ("model", "recall", -1, "config.model.recall is -1; it must be from 0"),
        ("model", "latent", 0, "config.model.latent is 0; it must be from 1"),
        ("dropout", "codes", 1.0, "config.dropout.codes is 1.0"),
    ],
)
def test_a_field_that_cannot_work_is_one_line(section, field, value, said):
    config = load_config("configs/joint.py:smoke")
    config[section][field] = value
    with pytest.raises(UserError, match=said):
        kind_of("joint").check(config)
