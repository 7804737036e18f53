"""SketchRNN: what counts and what does not, PyTorch's encoder, drawings learnt by heart, and the commands."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats

from experiments.sketches import __main__ as sketches
from experiments.sketches import generator, task
from experiments.sketches.batches import DrawingBatches, batch_of
from experiments.sketches.files import read_drawings, write_drawings
from experiments.sketches.model import Sketcher, open_sketcher
from experiments.sketches.network import SketchVAE, draw, init, log_p
from experiments.sketches.page import svg
from experiments.sketches.strokes import END, Drawings, from_lines, lines, offset_scale, to_five, to_three
from mcvae_jax import inspect, main, sample
from mcvae_jax.errors import UserError
from mcvae_jax.models import elbo
from mcvae_jax.nn.layers import applied
from mcvae_jax.training.task import Task
from tests.learning import learnt

pytestmark = pytest.mark.slow

STEPS = 45
NETWORK = SketchVAE(latent=6, encoder_units=12, units=16, components=3)
DRAWINGS = [generator.draw(family, 0, number) for number, family in enumerate(generator.FAMILIES)]
SCALE = offset_scale(DRAWINGS)
CONFIG = "experiments/sketches/config.py:smoke"
FEW = ["--config.train.steps=6", "--config.train.eval_every=3", "--config.data.drawings=20"]


@functools.cache
def params():
    fresh = init(NETWORK, jax.random.key(1))
    return jax.tree.map(lambda a: a + 0.1 * jax.random.normal(jax.random.key(a.size), a.shape), fresh)


def batch(drawings=DRAWINGS, steps=STEPS):
    return batch_of(drawings, SCALE, steps, len(drawings))


def sums_of(batch, loss=None):
    sums = task.make_sums(NETWORK, loss or elbo.ObjectiveSettings())
    return sums({"network": params(), task.SCALE: SCALE}, batch, jax.random.key(0), False)


def test_strokes_are_the_same_in_both_formats():
    for drawing in DRAWINGS:
        five = to_five(drawing, STEPS)
        assert np.all(five[:, 2:].sum(axis=1) == 1) and np.all(five[len(drawing) :] == [0, 0, 0, 0, 1])
        np.testing.assert_array_equal(to_three(five), drawing)
    assert [len(part) for part in lines(DRAWINGS[-1])] == [18, 7, 7, 9]


def test_the_generator_depends_on_the_seed_and_the_number_alone():
    few, more = (generator.generate(["face", "star"], count, 3) for count in (4, 40))
    assert all(np.array_equal(a, b) for a, b in zip(few.train, more.train, strict=False))
    assert few.identity == generator.generate(["face", "star"], 4, 3).identity
    assert few.identity != generator.generate(["face", "star"], 4, 4).identity
    assert not any(np.array_equal(a, b) for a in more.train for b in [*more.valid, *more.test])
    assert all(np.array_equal(each, np.round(each)) and each[-1, 2] == 1 for each in more.train)


def test_points_after_the_end_do_not_count():
    plain, changed = batch(), batch()
    ended = changed["five"][..., 2 + END] > 0
    changed["five"][ended, :2] = 7.0
    a, b = sums_of(plain), sums_of(changed)
    assert float(a["kl"]) == float(b["kl"])  # the encoder does not read them
    mu, _, said = applied(NETWORK, SketchVAE.__call__, params(), plain["five"], plain["lengths"], jnp.zeros((5, 6)))
    offsets, pens = log_p(said, changed["five"])
    assert np.all(np.asarray(offsets)[ended] == 0) and np.all(np.asarray(offsets)[~ended] != 0)
    assert np.all(np.asarray(pens) < 0)  # the states of the pen count in all steps


def test_what_a_drawing_costs_by_scipy():
    one = batch(DRAWINGS[:1])
    said = applied(NETWORK, SketchVAE.predict, params(), jnp.ones((1, 6)), one["five"])
    offsets, pens = (np.asarray(x)[0] for x in log_p(said, one["five"]))
    (log_pi, mu, log_sigma), rho = jax.tree.map(lambda a: np.asarray(a[0], np.float64), said.offset)
    for step in (0, 5, len(DRAWINGS[0]) - 1):
        chance = 0.0
        for k in range(NETWORK.components):
            a, b = np.exp(log_sigma[step, k])
            covariance = [[a * a, rho[step, k] * a * b], [rho[step, k] * a * b, b * b]]
            density = stats.multivariate_normal(mu[step, k], covariance).pdf(one["five"][0, step, :2])
            chance += np.exp(log_pi[step, k]) * density
        assert offsets[step] == pytest.approx(np.log(chance), rel=1e-4, abs=1e-4)
        shares = np.exp(np.asarray(said.pen, np.float64)[0, step])
        assert pens[step] == pytest.approx(np.log(shares[np.argmax(one["five"][0, step, 2:])] / shares.sum()), rel=1e-4)


def test_the_encoder_is_a_bidirectional_lstm_of_pytorch_over_sequences_of_their_lengths():
    torch = pytest.importorskip("torch")
    whole, weights = batch(), params()["params"]
    lstm = torch.nn.LSTM(5, NETWORK.encoder_units, batch_first=True, bidirectional=True, dtype=torch.float64)
    for name, suffix in (("encoder_0", ""), ("encoder_1", "_reverse")):
        of_layer = {part: np.asarray(x, np.float64) for part, x in weights[name].items()}
        values = {"weight_ih": of_layer["w_x0"], "weight_hh": of_layer["w_h"], "bias_ih": of_layer["b"]}
        for part, value in values.items():
            stacked = np.concatenate([np.transpose(gate) for gate in value])
            getattr(lstm, f"{part}_l0{suffix}").data = torch.tensor(stacked)
        getattr(lstm, f"bias_hh_l0{suffix}").data.zero_()
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        torch.tensor(whole["five"], dtype=torch.float64), whole["lengths"], batch_first=True, enforce_sorted=False
    )
    with torch.no_grad():
        ends = np.concatenate(lstm(packed)[1][0].numpy(), axis=-1)
    mu, log_var = applied(NETWORK, SketchVAE.encode, params(), whole["five"], whole["lengths"])
    for head, found in (("mu", mu), ("log_var", log_var)):
        wanted = ends @ np.asarray(weights[head]["w"], np.float64) + weights[head]["b"]
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_nothing_is_said_from_points_that_come_later_and_drawing_says_the_same_step_by_step():
    five, z = batch()["five"], jax.random.normal(jax.random.key(0), (5, 6))
    along = applied(NETWORK, SketchVAE.predict, params(), z, five)
    later = five.copy()
    later[:, 9:, :2] += 3
    changed = applied(NETWORK, SketchVAE.predict, params(), z, later)
    np.testing.assert_array_equal(along.pen[:, :10], changed.pen[:, :10])
    assert not np.allclose(along.pen[:, 10:], changed.pen[:, 10:])
    drawn = draw(NETWORK, params(), z, jax.random.split(jax.random.key(0), 5), jnp.zeros(5), 12)
    said = applied(NETWORK, SketchVAE.predict, params(), z, drawn)
    likeliest = np.argmax(said.offset.along.log_pi, axis=-1)
    means = np.take_along_axis(np.asarray(said.offset.along.mu), likeliest[..., None, None], axis=2)[:, :, 0]
    goes_on = np.asarray(drawn[..., 2 + END]) == 0
    assert goes_on.any()
    np.testing.assert_allclose(np.asarray(drawn)[goes_on, :2], means[goes_on], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(np.argmax(drawn[..., 2:], axis=-1)[:, 0], np.argmax(said.pen, axis=-1)[:, 0])


def sketcher(network=NETWORK, found=None, steps=STEPS):
    return Sketcher(network, {"network": found or params(), task.SCALE: np.float32(SCALE)}, steps, None, None)


def test_a_drawing_depends_on_nothing_else_in_the_call_and_ends():
    model = sketcher()
    z = model.latents(range(20), seed=4)
    every = model.draw(z, range(20), [0.7] * 20, seed=4)
    alone = model.draw(z[17:18], [17], [0.7], seed=4)[0]
    np.testing.assert_array_equal(every[17], alone)
    assert all(len(each) <= STEPS for each in every) and len({each.tobytes() for each in every}) > 10
    assert model.draw(z[:1], [0], [0.7], seed=5)[0].tobytes() != every[0].tobytes()
    np.testing.assert_array_equal(model.latents([17], seed=4)[0], z[17])
    five = np.asarray(draw(NETWORK, params(), z, jax.random.split(jax.random.key(0), 20), jnp.ones(20), STEPS))
    ended = np.cumsum(five[..., 2 + END], axis=1) > 0
    assert np.all(five[ended] == [0, 0, 0, 0, 1])


def test_pens_follow_their_chance_at_a_temperature():
    logits = np.array([0.5, -0.5, 0.0])
    silent = jax.tree.map(jnp.zeros_like, params())
    silent["params"]["heads"]["b"] = silent["params"]["heads"]["b"].at[-3:].set(logits)
    keys = jax.random.split(jax.random.key(0), 10_000)
    for tau in (1.0, 0.5):
        drawn = draw(NETWORK, silent, jnp.zeros((10_000, 6)), keys, jnp.full(10_000, tau), 1)
        wanted = np.exp(logits / tau) / np.exp(logits / tau).sum()
        np.testing.assert_allclose(np.asarray(drawn[:, 0, 2:]).mean(axis=0), wanted, atol=0.02)


def test_a_few_drawings_are_learnt_by_heart():
    corner, side = np.array([[0, 0], [0, 40], [40, 40]]), np.array([[0, 0], [40, 0]])
    shapes = [[corner, side], [side + [0, 20], side[:, ::-1] + [20, 0]]]
    few, steps = [from_lines(shape) for shape in shapes], 8  # a square and a cross, of two strokes each
    network = SketchVAE(latent=4, encoder_units=16, units=32, components=2)
    loss = elbo.ObjectiveSettings(beta=0.01)
    of_few = Task(
        init=lambda key: {"network": init(network, key), task.SCALE: jnp.asarray(SCALE)},
        sums=task.make_sums(network, loss),
        objective=lambda s, step: elbo.objective(loss, s, step),
        held_out_objective=None,
        batch=None,
        held_out_batches=None,
        finish=None,
    )
    rate = optax.cosine_decay_schedule(0.02, 500)
    state, _ = learnt(of_few, batch(few, steps), 500, optax.chain(optax.clip_by_global_norm(1.0), optax.adam(rate)))
    model = sketcher(network, jax.device_get(state.params["network"]), steps)
    drawn = model.draw(model.encode(few), [0, 1], [0.0] * 2, seed=0)
    for found, wanted in zip(drawn, few, strict=True):
        assert len(found) == len(wanted) and np.array_equal(found[:, 2], wanted[:, 2])
        assert np.abs(np.cumsum(found - wanted, axis=0)).max() < 4  # of 40


def test_within_the_tolerance_the_kl_costs_nothing():
    sums = sums_of(batch(), elbo.ObjectiveSettings(free_bits="per_bar", free_nats=1e6))
    free, terms = elbo.objective(elbo.ObjectiveSettings(beta=1.0, free_bits="per_bar", free_nats=1e6), sums, 0)
    assert float(free) == pytest.approx(float(terms["reconstruction"])) and float(terms["kl"]) > 0


def test_batches_are_functions_of_the_step_and_stretch_as_said():
    make = [DrawingBatches(DRAWINGS, SCALE, STEPS, 4, seed, 0.2) for seed in (0, 0, 1)]
    first, again, other = (each(7) for each in make)
    np.testing.assert_array_equal(first["five"], again["five"])
    assert not np.array_equal(first["five"], other["five"])
    for five, points in zip(first["five"], first["lengths"], strict=True):
        (whole,) = (each for each in DRAWINGS if len(each) == points and np.array_equal(each[:, 2], five[:points, 3]))
        ratio = np.abs(five[:points, :2]).sum(axis=0) * SCALE / np.abs(whole[:, :2]).sum(axis=0)
        assert np.all((ratio >= 0.8) & (ratio <= 1.2)) and ratio[0] != pytest.approx(ratio[1])


def test_the_control_without_memory_by_scipy():
    training, test, steps = DRAWINGS, DRAWINGS[:2], STEPS
    points = np.concatenate(training)
    offsets = points[:, :2] / SCALE
    density = stats.multivariate_normal(offsets.mean(axis=0), np.cov(offsets.T) + 1e-6 * np.eye(2))
    counts = np.array([(points[:, 2] == 0).sum(), (points[:, 2] == 1).sum(), 5 * steps - len(points)]) + 1
    nats = []
    for each in test:
        pens = np.bincount(np.argmax(to_five(each, steps)[:, 2:], axis=1), minlength=3)
        nats.append(-density.logpdf(each[:, :2] / SCALE).sum() - pens @ np.log(counts / counts.sum()))
    assert task.memoryless(training, test, SCALE, steps) == pytest.approx(np.mean(nats))


def test_dots_and_empty_drawings_are_pictures():
    assert svg(np.zeros((0, 3))).count("polyline") == 0
    assert '<polyline points="50.0,50.0 50.0,50.0"/>' in svg(np.array([[3, 4, 1]]))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The workdir of a short training by the command."""
    folder = tmp_path_factory.mktemp("run") / "sketches"
    assert main.main([f"--config={CONFIG}", f"--workdir={folder}", *FEW]) == 0
    return folder


def test_the_loop_trains_it_and_goes_on(trained, capsys):
    scores = json.loads((trained / "results" / "held_out.json").read_text())
    assert scores["bound"] == pytest.approx(scores["reconstruction"] + scores["kl"]) and scores["memoryless"] > 0
    more = ["--config.train.steps=9" if each == FEW[0] else each for each in FEW]
    assert main.main([f"--config={CONFIG}", f"--workdir={trained}", *more]) == 0
    assert "Going on from step 6" in capsys.readouterr().out
    assert inspect.main([str(trained)]) == 0
    assert "offset_scale" in capsys.readouterr().out
    assert float(open_sketcher(trained).params[task.SCALE]) == pytest.approx(
        offset_scale(generator.generate(list(generator.FAMILIES), 20, 0).train)
    )  # no update has moved it


def test_the_page_shows_all_that_is_drawn(trained, tmp_path):
    assert sketches.main([f"--workdir={trained}", f"--out={tmp_path / 'a'}", "--rows=2"]) == 0
    page = (tmp_path / "a" / "index.html").read_text()
    assert page.count("<svg") == 2 * 5 + 2 * 6 + 2 * 10
    again = tmp_path / "b"
    assert sketches.main([f"--workdir={trained}", f"--out={again}", "--rows=2"]) == 0
    assert (again / "index.html").read_text() == page
    given = generator.generate(["spiral"], 3, 9)
    write_drawings(tmp_path / "mine.npz", given)
    assert (
        sketches.main([f"--workdir={trained}", f"--out={again}", "--rows=2", f"--drawings={tmp_path / 'mine.npz'}"])
        == 0
    )
    assert svg(given.test[0]) in (again / "index.html").read_text()


def test_drawings_of_a_file_are_trained_on(tmp_path):
    write_drawings(tmp_path / "mine.npz", generator.generate(["spiral", "face"], 20, 9))
    fields = [f"--config.data.source={tmp_path / 'mine.npz'}", "--config.data.max_points=40"]
    assert main.main([f"--config={CONFIG}", f"--workdir={tmp_path / 'run'}", *FEW, *fields]) == 0
    counts = json.loads((tmp_path / "run" / "config.json").read_text())["data"]["counts"]
    assert counts == {"train": 10, "valid": 1, "test": 1}  # a face has 41 points


@pytest.mark.parametrize(
    "field, message",
    [
        ("data.source=nowhere.npz", "it is 'generator' or an .npz file of drawings"),
        ("data.families=circle,faces", "config.data.families has 'faces'; did you mean face"),
        ("data.max_points=5", "no drawing in 'train' of at most 5 points"),
        ("data.stretch=1.5", "config.data.stretch is 1.5"),
        ("data.drawings=0", "config.data.drawings is 0"),
        ("model.components=0", "config.model.components is 0"),
        ("loss.free_nats=-1.0", "free_nats is -1.0"),
        ("loss.beta_schedule=steep", "beta_schedule is one of"),
    ],
)
def test_mistakes_in_the_config_are_one_line(tmp_path, field, message):
    with pytest.raises(UserError, match=message):
        main.main([f"--config={CONFIG}", f"--workdir={tmp_path / 'run'}", f"--config.{field}"])


def test_who_asks_it_for_songs_is_told_what_it_is(trained, tmp_path):
    with pytest.raises(UserError, match="python -m experiments.sketches --workdir="):
        sample.main([f"--workdir={trained}", "--mode=compose", f"--out={tmp_path / 'songs'}"])
    with pytest.raises(UserError, match="at most"):
        open_sketcher(trained).encode([np.zeros((100, 3))])
    with pytest.raises(UserError):
        open_sketcher(tmp_path)


def test_drawings_that_are_written_are_read(trained, tmp_path):
    found = Drawings(DRAWINGS, DRAWINGS[:2], DRAWINGS[:1])
    write_drawings(tmp_path / "a.npz", found)
    assert read_drawings(tmp_path / "a.npz").identity == found.identity
