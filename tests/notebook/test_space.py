"""The latent space of tiny models: whose bars, which ends, and that its pictures can be drawn."""

import numpy as np
import pytest

from mcvae_jax import notebook
from mcvae_jax.corpus.store import HELD_OUT, TRAIN
from mcvae_jax.errors import UserError
from mcvae_jax.evaluation.attributes import ATTRIBUTES, RANDOM
from mcvae_jax.sampling.seeds import Seed
from mcvae_jax.sampling.song import Setting
from tests.small_models import save_corpus, save_mdrnn, save_vae


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    corpus = save_corpus(folder / "corpus")
    save_mdrnn(folder / "mdrnn", folder / "vae", save_vae(folder / "vae", corpus))
    return corpus, notebook.open_composer(folder / "mdrnn")


@pytest.fixture(scope="module")
def space(opened):
    return notebook.LatentSpace.of(opened[1])


def rows(bars):
    return {bar.tobytes() for bar in bars}


@pytest.mark.more
def test_directions_come_from_training_bars_and_are_measured_on_others(opened, space):
    corpus, composer = opened
    of_training = rows(corpus.tokens[corpus.bars(TRAIN)])
    assert rows(space.training.bars) == of_training and len(space.training.bars) == len(of_training)
    assert rows(space.held_out.bars) == rows(corpus.tokens[corpus.bars(HELD_OUT)]) - of_training != set()
    (mu, log_var), *_ = composer.model.encode([space.held_out.bars])
    np.testing.assert_allclose(space.held_out.mu, mu, atol=1e-6)
    np.testing.assert_allclose(space.held_out.log_var, log_var, atol=1e-6)
    few = notebook.LatentSpace.of(composer, most=5)
    assert len(few.training.bars) == len(few.held_out.bars) == 5 and rows(few.training.bars) < of_training


def test_a_way_begins_and_ends_with_what_the_decoder_makes_of_the_two(opened, space):
    a, b = space.training.bars[:2]
    seed = Seed(np.stack([a, b]), Setting(), "Two bars", 2, ())
    decoded = opened[1].reconstruct(seed)[1].bars
    for path in ("linear", "spherical"):
        song = space.between(a, b, 6, path)
        assert song.bars.shape == (6, 16)
        np.testing.assert_array_equal(song.bars[[0, -1]], decoded)
    np.testing.assert_array_equal(space.moved(a, "mean pitch", (0, 1)).bars[0], decoded[0])


def test_extremes_are_those_of_the_training_bars(space):
    least, most = space.extremes("note density")
    counts = (space.training.bars < 128).sum(axis=1)
    assert ((least < 128).sum(), (most < 128).sum()) == (counts.min(), counts.max())


@pytest.mark.more
@pytest.mark.usefixtures("rendered")
def test_effects_of_each_direction_and_of_random_ones_are_drawn(space):
    scales = (-1.0, 1.0)
    found = space.effects(scales)
    assert list(found)[: len(ATTRIBUTES)] == list(ATTRIBUTES) and len(found) == len(ATTRIBUTES) + RANDOM
    assert all(len(effect.change) == 2 for row in found.values() for effect in row.values())
    for picture in (space.show_effects(found, scales), space.map(), space.map(["pitch range"]), space.units()):
        assert picture.png[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    "mistake",
    [lambda s: s.map(["loudness"]), lambda s: s.moved(s.training.bars[0], "loudness"), lambda s: s.extremes("")],
)
def test_an_attribute_that_there_is_not(space, mistake):
    with pytest.raises(UserError, match="note density, pitch range"):
        mistake(space)
