"""The GAN: its losses against PyTorch's and finite differences, who learns from what, what it learns, its workdir."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.spatial.distance import cdist

from mcvae_jax.corpus.store import TRAIN
from mcvae_jax.errors import UserError
from mcvae_jax.kinds import kind_of, open_model
from mcvae_jax.models.gan.networks import Critic
from mcvae_jax.models.gan.prior import CRITIC, GENERATOR, discrepancy
from mcvae_jax.models.latent_windows import Place, standardised
from mcvae_jax.models.settings import Settings
from mcvae_jax.models.song_model import NO_LIKELIHOOD
from mcvae_jax.nn.keys import song_keys
from mcvae_jax.options import load_config
from mcvae_jax.sampling import ranking
from mcvae_jax.tasks.gan import _given
from mcvae_jax.training import loop
from tests.diffusion_layouts import BARS, LATENT
from tests.gan_layouts import a_gan, a_prior, make_task
from tests.layouts import check_layouts_agree
from tests.learning import learnt
from tests.small_models import save_corpus, save_vae

pytestmark = pytest.mark.more

TASK = make_task()
PRIOR = a_prior()


@pytest.mark.slow
def test_jit_on_1_jit_on_8_and_pmap_on_8_agree():
    check_layouts_agree("tests.gan_layouts:make_task", {}, steps=3)


@functools.cache
def params():
    return a_gan().params


def some_windows(count=4, seed=0):
    rng = np.random.default_rng(seed)
    bars = rng.integers(2, BARS + 1, count).astype(np.int32)
    place = Place(rng.integers(0, 9, count).astype(np.int32), bars, np.ones(count, np.float32))
    is_given = (rng.random((count, BARS)) < 0.4) & (np.arange(BARS) < bars[:, None])
    return rng.normal(size=(count, BARS, LATENT)).astype(np.float32), is_given, place


def test_the_losses_are_those_of_goodfellow_with_the_penalty_of_mescheder():
    """softplus in float64, and the slope of the critic by finite differences."""
    z, is_given, place = some_windows()
    keys = jax.random.split(jax.random.key(3), 4)
    found = jax.jit(PRIOR.losses)(params(), z, is_given, place, keys)

    def logits(x):
        return np.float64(critic_logits(params()[CRITIC], x, is_given, place))

    known = (np.arange(BARS) < place.bars[:, None])[..., None]
    x = np.where(known, standardised(params(), z), 0.0).astype(np.float32)
    np.testing.assert_allclose(found.real, logits(x), rtol=1e-5)
    slope = np.zeros(x.shape)
    for n in range(BARS):
        for i in range(LATENT):
            step = np.zeros_like(x)
            step[:, n, i] = 2e-3
            slope[:, n, i] = (logits(x + step) - logits(x - step)) / 4e-3
    penalty = 0.5 * (slope**2).sum(axis=(1, 2))
    real, made = np.float64(found.real), np.float64(found.made)
    assert penalty.min() > 1e-5
    np.testing.assert_allclose(found.critic, np.logaddexp(0, -real) + np.logaddexp(0, made) + penalty, rtol=4e-3)
    np.testing.assert_allclose(found.generator, np.logaddexp(0, -made), rtol=1e-5)


@jax.jit
def critic_logits(of_critic, x, is_given, place):
    return PRIOR.critic.apply(of_critic, x, is_given, place, method=Critic.__call__)


def test_each_loss_moves_its_own_network_alone_and_none_what_came_from_the_data():
    z, is_given, place = some_windows()
    keys = jax.random.split(jax.random.key(3), 4)
    for name, moved in (("critic", CRITIC), ("generator", GENERATOR)):

        def loss(params, name=name):
            return jnp.sum(getattr(PRIOR.losses(params, z, is_given, place, keys), name))

        slopes = jax.jit(jax.grad(loss))(params())
        assert {part for part in slopes if any(np.any(leaf) for leaf in jax.tree.leaves(slopes[part]))} == {moved}


def test_padding_and_other_windows_count_for_nothing_in_a_window():
    z, is_given, place = some_windows()
    keys = jax.random.split(jax.random.key(3), 4)
    run = jax.jit(PRIOR.losses)
    found = run(params(), z, is_given, place, keys)
    padding = np.arange(BARS) >= place.bars[:, None]
    assert padding.any()
    dirty = run(params(), np.where(padding[..., None], 9.0, z).astype(np.float32), is_given, place, keys)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), found, dirty)
    others = z.copy()
    others[1:] += 1.0
    changed = run(params(), others, is_given, place, keys)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[0], b[0], rtol=1e-5), found, changed)
    assert abs(changed.real[1] - found.real[1]) > 1e-4


def test_given_bars_stay_and_the_others_depend_on_them_and_on_the_noise():
    z, is_given, place = some_windows()
    keys = jax.random.split(jax.random.key(3), 4)
    draw = jax.jit(PRIOR.sample)
    made = draw(params(), z, is_given, place, keys, 1.0)
    np.testing.assert_array_equal(np.asarray(made)[is_given], z[is_given])
    free = ~is_given
    assert not np.allclose(made[free], draw(params(), z, is_given, place, keys[::-1], 1.0)[free])
    assert not np.allclose(made[free], draw(params(), z + is_given[..., None], is_given, place, keys, 1.0)[free])


def test_the_discrepancy_is_that_of_gaussian_kernels():
    """Against the mean kernels of all pairs in float64, as far as random features go."""
    real, made = (np.random.default_rng(n).normal(n * 0.7, 1, (64, BARS, LATENT)).astype(np.float32) for n in (0, 1))
    place = Place(np.zeros(64, np.int32), np.full(64, BARS, np.int32), np.ones(64, np.float32))
    whole = {**params(), "standard_mean": jnp.zeros(LATENT), "standard_scale": jnp.ones(LATENT)}
    counts = np.repeat([64 * BARS, 64 * (BARS - 1)], 512)
    of_real, of_made = (np.asarray(PRIOR.features(whole, z, place)).sum(axis=0) / counts for z in (real, made))
    expected = 0.0
    for of in (lambda z: z.reshape(-1, LATENT), lambda z: np.diff(z, axis=1).reshape(-1, LATENT)):
        x, y = of(np.float64(real)), of(np.float64(made))
        kernel = [np.exp(-cdist(a, b, "sqeuclidean") / (2 * LATENT)).mean() for a, b in ((x, x), (y, y), (x, y))]
        expected += kernel[0] + kernel[1] - 2 * kernel[2]
    assert float(discrepancy(of_real, of_made)) == pytest.approx(expected, rel=0.15)
    assert float(discrepancy(of_real, of_real)) == 0


def test_half_of_the_windows_have_given_bars_and_a_gap():
    given = jax.jit(jax.vmap(functools.partial(_given, 6), in_axes=(None, 0)))
    rows = np.asarray(given(jnp.int32(5), jax.random.split(jax.random.key(0), 4000)))
    assert not rows[:, 5].any(), "there is no sixth bar"
    rows = rows[:, :5]
    assert np.mean(rows.any(axis=1)) == pytest.approx(0.5 * (1 - (0.5 * 9 + 0.5 * 2) / 25), abs=0.03)
    assert not rows.all(axis=1).any(), "a bar is missing in each"
    gaps = np.diff(np.pad(~rows, ((0, 0), (1, 1))).astype(int), axis=1) == 1
    assert (gaps.sum(axis=1) == 1).all(), "one gap, or the whole window"


@pytest.mark.slow
def test_it_learns_the_distribution_of_windows_that_is_known():
    """Two kinds of window, at +2 and -2 in all their bars: draws are near both, about half each."""
    task = make_task(units=32)
    sign = np.random.default_rng(0).choice([-1.0, 1.0], (256, 1, 1))
    batch = {
        "mu": np.broadcast_to(0.1 + 4.0 * sign, (256, BARS, LATENT)).astype(np.float32),
        "log_var": np.full((256, BARS, LATENT), -4.0, np.float32),
        "mask": np.ones((256, BARS), np.float32),
        "ends": np.ones(256, np.float32),
        "first": np.zeros(256, np.int32),
        "weight": np.ones(256, np.float32),
        "index": np.arange(256, dtype=np.int32),
    }
    state, _ = learnt(task, batch, 600, optax.adam(2e-3, b1=0.0, b2=0.99))
    place = Place(np.zeros(256, np.int32), np.full(256, BARS, np.int32), np.ones(256, np.float32))
    nothing = np.zeros((256, BARS), bool)
    keys = jax.random.split(jax.random.key(9), 256)
    made = a_prior(32).sample(state.params, np.zeros((256, BARS, LATENT), np.float32), nothing, place, keys, 1.0)
    means = np.asarray(made).mean(axis=(1, 2)) - 0.1
    assert 0.25 < np.mean(means > 0) < 0.75
    assert np.median(np.abs(means)) == pytest.approx(4.0, abs=1.0)
    assert np.asarray(made).std(axis=(1, 2)).mean() < 1.5, "the bars of a window are of one kind"


# ---- from a VAE's workdir


def make_config(vae_workdir):
    config = load_config("configs/gan_prior.py:smoke")
    config.vae_workdir = str(vae_workdir)
    config.data.window = 12
    config.model.update({"units": 8, "layers": 1})
    config.train.update({"steps": 4, "batch_size": 2, "log_every": 2, "eval_every": 2, "save_every": 2})
    return config


@pytest.mark.slow
def test_training_ends_with_a_distance_and_a_composer_without_a_likelihood(tmp_path):
    corpus = save_corpus(tmp_path / "corpus")
    save_vae(tmp_path / "vae", corpus)
    config, said = make_config(tmp_path / "vae"), []
    loop.train(kind_of(config.task).make_task(config, said.append), config, tmp_path / "run", said.append)
    scores = json.loads((tmp_path / "run" / "results" / "held_out.json").read_text())
    assert scores["songs"] == 2 and 0 < scores["mmd"] < 4 and any("MMD^2" in line for line in said)
    model = open_model(tmp_path / "run")
    assert model.name == "VAE and GAN" and list(model.origins) == ["VAE", "GAN"]
    assert model.likelihood == NO_LIKELIHOOD
    lengths = {int(corpus.lengths[i]) for i in corpus.songs(TRAIN) if corpus.lengths[i] >= 16}
    nothing, keys = [np.empty((0, 16), np.uint8)] * 3, song_keys(0, [1, 2, 3])
    assert {len(song) for song in model.go_on(nothing, keys, None, model.defaults)} <= lengths
    with pytest.raises(UserError, match="VAE and GAN has no likelihood"):
        ranking.go_on(model, nothing, keys, 2, Settings(best_of=2))


def test_mistakes_are_one_line(tmp_path):
    save_vae(tmp_path / "vae", save_corpus(tmp_path / "corpus"))
    for field, value, told in (
        ("vae_workdir", "nothing", "where no VAE is"),
        ("data.window", 0, "config.data.window is 0; it must be from 2"),
        ("model.units", 6, "units must be a multiple of twice"),
        ("loss.gamma", -1.0, "config.loss.gamma is -1.0; it must be 0 or more"),
    ):
        config = make_config(tmp_path / "vae")
        config.update_from_flattened_dict({field: value})
        with pytest.raises(UserError, match=told):
            kind_of(config.task).make_task(config, lambda line: None)
