"""MusicVAE under the training loop: layouts, what sums mean, that it learns, and what a workdir then holds."""

import json

import jax
import numpy as np
import optax
import pytest

from mcvae_jax.corpus.store import HELD_OUT, Corpus
from mcvae_jax.errors import UserError
from mcvae_jax.kinds import kind_of, open_model
from mcvae_jax.models.song_model import bits_of_songs
from mcvae_jax.options import load_config
from mcvae_jax.tasks.music_vae import true_share
from mcvae_jax.training import loop
from tests.layouts import check_layouts_agree
from tests.learning import learnt
from tests.window_layouts import STEPS, make_task

pytestmark = pytest.mark.more

BOTH = pytest.mark.parametrize("decoder", [pytest.param("flat", marks=pytest.mark.slow), "conductor"])


@pytest.mark.slow
@BOTH
def test_jit_on_1_jit_on_8_and_pmap_on_8_agree(decoder):
    """With dropout and scheduled sampling."""
    check_layouts_agree("tests.window_layouts:make_task", {"decoder": decoder}, steps=3)


@BOTH
def test_masked_bars_count_for_nothing_and_weights_count(decoder):
    """Other tokens behind the mask change no sum, in training and else; a window of weight 2 is two windows."""
    task = make_task(decoder)
    params, batch = jax.jit(task.init)(jax.random.key(0)), task.batch(0)
    changed = np.where(batch["mask"][..., None] > 0, batch["bars"], (batch["bars"] + 1) % 130).astype(np.uint8)
    assert not np.array_equal(changed, batch["bars"])
    for train in (True, False):
        sums = jax.jit(lambda batch, train=train: task.sums(params, batch, jax.random.key(1), train))
        found = sums(batch)
        others = sums(batch | {"bars": changed})
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), found, others)
        doubled = sums(batch | {"weight": 2 * batch["weight"]})
        jax.tree.map(lambda a, b: np.testing.assert_allclose(2 * a, b, rtol=1e-5), found, doubled)
        assert found["weight"] == np.sum(batch["weight"][:, None] * batch["mask"])
        assert np.isfinite(found["reconstruction"]) and 0 <= found["tokens"] <= found["weight"]


def test_nats_are_free_in_the_mean_over_the_bars_of_a_window():
    """A window of 1 bar has a third of what one of 3 bars has; the reported KL leaves out nothing."""
    task = make_task(free_nats=0.3)
    params, batch = jax.jit(task.init)(jax.random.key(0)), task.batch(0)
    params = jax.tree.map(lambda leaf: 2 * leaf, params)
    sums = jax.jit(lambda weight: task.sums(params, batch | {"weight": weight}, jax.random.key(1), False))
    above = 0.0
    for row, weight in enumerate(batch["weight"]):
        kl = float(sums(np.float32(np.arange(16) == row))["kl"])
        above += weight * max(kl - 0.3 * batch["mask"][row].sum(), 0.0)
    found = sums(batch["weight"])
    assert float(found["kl_above_free"]) == pytest.approx(above, rel=1e-4) and 0 < above < float(found["kl"])
    loss, terms = task.objective(found, 0)
    bars = float(found["weight"])
    expected = (float(found["reconstruction"]) + above + float(found["stop"])) / bars
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    whole, _ = task.held_out_objective(found)
    assert float(whole) == pytest.approx(float(terms["bound"] + terms["stop"]), rel=1e-5)
    assert float(terms["bits"]) == pytest.approx(float(terms["bound"]) / np.log(2), rel=1e-5)


@BOTH
def test_scheduled_sampling_reads_drawn_tokens_in_training_alone(decoder):
    task, forced = make_task(decoder, dropout=0.0), make_task(decoder, dropout=0.0, rate=0.0)
    params, batch = jax.jit(task.init)(jax.random.key(0)), task.batch(0)
    params = jax.tree.map(lambda leaf: 2 * leaf, params)

    def reconstruction(task, share, train=True):
        true = np.full(16, share, np.float32)
        return float(
            jax.jit(task.sums, static_argnums=3)(params, batch | {"true": true}, jax.random.key(1), train)[
                "reconstruction"
            ]
        )

    expected = reconstruction(forced, 1.0)
    assert reconstruction(task, 1.0) == pytest.approx(expected, rel=1e-5)
    assert abs(reconstruction(task, 0.0) - expected) > 1e-2
    assert reconstruction(task, 0.0, train=False) == reconstruction(forced, 1.0, train=False)


def test_the_share_of_true_tokens_falls_as_an_inverse_sigmoid():
    """Bengio et al. 2015, section 2.4: from nearly 1, a half where exp(i / k) is k, to 0."""
    assert true_share(0.0, 10**6) == 1.0 and true_share(2000.0, 0) == pytest.approx(2000 / 2001)
    assert true_share(2000.0, round(2000 * np.log(2000))) == pytest.approx(0.5, abs=1e-3)
    assert true_share(2000.0, 10**9) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.slow
@BOTH
def test_a_few_windows_are_learnt_by_heart(decoder):
    """From 4 log(130) = 19.5 nats a bar to below 4 when 16 windows are all there is."""
    task = make_task(decoder, dropout=0.0, rate=0.0, units=48, free_nats=2.0)
    batch = task.batch(0) | {"weight": np.ones(16, np.float32)}
    state, _ = learnt(task, batch, 300, optax.adam(0.02))
    terms = task.held_out_objective(task.sums(state.params, batch, jax.random.key(0), False))[1]
    assert float(terms["reconstruction"]) < 4 < STEPS * np.log(130)


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("scheduled_sampling.rate", -1.0, "config.scheduled_sampling.rate is -1.0"),
        ("held_out.draws", 0, "config.held_out.draws is 0"),
        ("dropout.hidden", 1.0, "config.dropout.hidden is 1.0"),
        ("loss.free_bits", "some", "loss.free_bits"),
        ("model.decoder", "round", "'flat' or 'conductor'"),
    ],
)
def test_fields_that_cannot_work_are_told_before_any_work(field, value, says):
    config = load_config("configs/music_vae.py")
    section, name = field.split(".")
    config[section][name] = value
    kind = kind_of("music_vae")
    with pytest.raises(UserError, match=says):
        kind.check(config)


@pytest.mark.slow
def test_training_ends_with_a_bound_of_whole_songs(tmp_path):
    config = load_config("configs/music_vae.py:smoke")
    config.corpus_folder = str(tmp_path / "corpus")
    config.model.update({"bars": 5, "latent": 3, "encoder_units": 4, "conductor_units": 4, "units": 6})
    config.train.update({"steps": 4, "batch_size": 2, "log_every": 2, "eval_every": 2, "save_every": 2})
    said: list[str] = []
    loop.train(kind_of("music_vae").make_task(config, said.append), config, tmp_path / "run", said.append)
    model, corpus = open_model(tmp_path / "run"), Corpus.open(tmp_path / "corpus")
    assert model.name == "MusicVAE" and model.origins["MusicVAE"].folder == tmp_path / "run" and model.network.bars == 5
    held_out = [corpus.song(i) for i in corpus.songs(HELD_OUT)]
    rows = json.loads((tmp_path / "run" / "results" / "held_out.json").read_text())["rows"]
    row, switched = rows["MusicVAE"], rows["MusicVAE + copy"]
    assert switched["likelihood"] == "bound" and switched["repeated"]["value"] < row["repeated"]["value"]
    bars = sum(len(song) for song in held_out)
    bits = bits_of_songs(model.nats(held_out, config.held_out.draws)).sum() / bars
    assert row["likelihood"] == "bound" and row["bits_per_bar"]["value"] == pytest.approx(bits, rel=1e-5)
    assert row["tighter"]["value"] < bits + 0.5 and row["kl_nats"] == row["rate_nats"]
    assert any(line.startswith(f"MusicVAE: at most {bits:.2f} (") for line in said)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    last = [line for line in lines if line["split"] == "held_out"][-1]
    assert last["bits"] == pytest.approx(bits, rel=0.01), (
        "the loop and the evaluation see the same bars, by other draws"
    )
