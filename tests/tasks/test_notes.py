"""Models of notes under the training loop: layouts, what sums mean, that they learn, and what a workdir then holds."""

import json

import jax
import numpy as np
import optax
import pytest

from mcvae_jax.corpus.store import HELD_OUT, TRAIN, Corpus
from mcvae_jax.evaluation.switch import corpus_switch
from mcvae_jax.kinds import kind_of, open_model
from mcvae_jax.models.copying import Copying
from mcvae_jax.models.song_model import BOUND
from mcvae_jax.nn.stop import stop_nats
from mcvae_jax.options import load_config
from mcvae_jax.training import loop
from tests.layouts import check_layouts_agree
from tests.learning import learnt
from tests.note_layouts import make_task

pytestmark = [pytest.mark.usefixtures("read_here"), pytest.mark.more]


@pytest.mark.parametrize(
    "network", ["lstm", *(pytest.param(name, marks=pytest.mark.slow) for name in ("transformer", "codes"))]
)
@pytest.mark.slow
def test_jit_on_1_jit_on_8_and_pmap_on_8_agree(network):
    check_layouts_agree("tests.note_layouts:make_task", {"network": network}, steps=3)


@pytest.mark.parametrize("network", ["lstm", "transformer", pytest.param("codes", marks=pytest.mark.slow)])
def test_padding_counts_for_nothing_and_weights_count(network):
    """Other tokens behind the mask change no sum, and a song of weight 2 is two songs."""
    task = make_task(network)
    params, batch = jax.jit(task.init)(jax.random.key(0)), task.batch(0)
    sums = jax.jit(lambda batch: task.sums(params, batch, jax.random.key(1), False))
    found = sums(batch)
    changed = np.where(batch["mask"][..., None] > 0, batch["bars"], (batch["bars"] + 1) % 130).astype(np.uint8)
    assert not np.array_equal(changed, batch["bars"])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), found, sums(batch | {"bars": changed}))
    doubled = sums(batch | {"weight": 2 * batch["weight"]})
    jax.tree.map(lambda a, b: np.testing.assert_allclose(2 * a, b, rtol=1e-5), found, doubled)
    assert found["weight"] == np.sum(batch["weight"][:, None] * batch["mask"])


def test_the_objective_counts_what_it_costs_which_bar_is_the_last():
    task = make_task()
    params, batch = jax.jit(task.init)(jax.random.key(0)), task.batch(0)
    found = jax.jit(lambda: task.sums(params, batch, jax.random.key(1), False))()
    zeros = np.zeros(batch["mask"].shape, np.float32)
    expected = np.sum(batch["weight"][:, None] * batch["mask"] * stop_nats(zeros, batch["mask"], batch["ends"]))
    assert float(found["stop"]) == pytest.approx(float(expected), rel=0.5)  # near a chance of a half at the start
    value, terms = task.held_out_objective(found)
    assert float(value) == pytest.approx(float((found["nll"] + found["stop"]) / found["weight"]))
    assert float(terms["bits"]) == pytest.approx(float(found["nll"] / found["weight"] / np.log(2)))


@pytest.mark.parametrize(("network", "rate"), [("lstm", 0.02), ("transformer", 0.003)])
@pytest.mark.slow
def test_a_few_songs_are_learnt_by_heart(network, rate):
    """From 4 log(130) = 19.5 nats a bar to below 2 when 16 songs are all there is."""
    task = make_task(network, dropout=0.0, units=64)
    batch = task.batch(0) | {"weight": np.ones(16, np.float32)}
    state, _ = learnt(task, batch, 300, optax.adam(rate))
    assert float(task.held_out_objective(task.sums(state.params, batch, jax.random.key(0), False))[1]["nll"]) < 2


SMALL = {
    "note_lstm": {"units": 6},
    "note_transformer": {"units": 8},
    "bar_codes": {"units": 8, "encoder_units": 6, "decoder_units": 6},
}


@pytest.fixture(
    scope="module",
    params=["note_lstm", *(pytest.param(name, marks=pytest.mark.slow) for name in ("note_transformer", "bar_codes"))],
)
def trained_run(request, tmp_path_factory):
    """Corpus and workdir of a short training on our own tunes, and what it said."""
    folder = tmp_path_factory.mktemp("notes")
    config = load_config(f"configs/{request.param}.py:smoke")
    config.corpus_folder = str(folder / "corpus")
    config.model.update(SMALL[request.param])
    config.train.update({"steps": 4, "batch_size": 2, "log_every": 2, "eval_every": 2, "save_every": 2})
    said: list[str] = []
    loop.train(kind_of(request.param).make_task(config, said.append), config, folder / "run", said.append)
    return Corpus.open(folder / "corpus"), folder / "run", said


def test_training_ends_with_figures_alone_and_with_the_copy_switch(trained_run):
    corpus, folder, said = trained_run
    scores = json.loads((folder / "results" / "held_out.json").read_text())
    held_out = [corpus.song(i) for i in corpus.songs(HELD_OUT)]
    model = open_model(folder)
    name = model.name
    assert name in ("note LSTM", "note transformer", "bar codes") and model.origins[name].folder == folder
    assert list(scores["rows"]) == [name, f"{name} + copy"] and scores["songs"] == 2
    switch = corpus_switch([corpus.song(i) for i in corpus.songs(TRAIN) if corpus.lengths[i] >= 16])
    for row, of in ((name, model), (f"{name} + copy", Copying(model, switch))):
        bits = np.concatenate(of.nats(held_out)).mean() / np.log(2)
        assert scores["rows"][row]["bits_per_bar"]["value"] == pytest.approx(bits, rel=1e-5)
        most = "at most " if model.likelihood == BOUND else ""
        assert any(line.startswith(f"{row}: {most}{bits:.2f} (") for line in said)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    last = [line for line in lines if line["split"] == "held_out"][-1]
    alone = scores["rows"][name]["bits_per_bar"]["value"]
    assert last["bits"] == pytest.approx(alone, rel=1e-4), "the loop and the evaluation see the same bars"
