"""What is asked of the engine, and that no click waits for the compiler once it is warm."""

import dataclasses
import functools

import numpy as np
import pytest

from mcvae_jax.errors import UserError
from mcvae_jax.models.joint.composer import JointComposer, init
from mcvae_jax.models.joint.settings import make_joint
from mcvae_jax.models.settings import Settings
from mcvae_jax.models.song_model import quick
from mcvae_jax.nn.keys import song_keys
from mcvae_jax.studio import engine as engine_module
from mcvae_jax.studio.engine import AFTER, BEFORE, CONTEXT, Engine, abilities, runs, settings_of, surprise
from mcvae_jax.studio.messages import MOST_BARS, Continue, Fill, Sliders, Surprise, Vary
from tests.random_params import random_params
from tests.small_models import JOINT_MODEL
from tests.studio.fake import FakeModel, compiled, fake_engine, some_bars


@pytest.fixture
def engine():
    return fake_engine()


@pytest.fixture(scope="module")
def joint():
    network = make_joint(JOINT_MODEL, 16)
    return JointComposer(network, random_params(functools.partial(init, network), seed=3))


def test_bars_that_follow_are_as_many_as_were_wanted(engine):
    for count in (0, 1, 40):
        made = engine.answer(Continue(steps=16, bars=some_bars(count), wanted=4))["bars"]
        assert np.shape(made) == (4, 16)
    asked = engine.models[16].asked
    assert [lengths for _, lengths, *_ in asked] == [[0], [1], [CONTEXT]]  # an old song is read no further back
    engine.answer(Continue(steps=12, bars=some_bars(3, 12), wanted=2, ending=True))
    assert engine.models[12].asked[0][2] == 2  # towards an end: no bar beyond those
    assert asked[0][2] > 4  # else it goes on


def test_the_same_take_is_the_same_and_another_is_another(engine):
    def ask(take):
        return engine.answer(Continue(steps=16, bars=some_bars(2), wanted=8, take=take))["bars"]

    assert ask(1) == ask(1) != ask(2)


def test_only_the_chosen_bars_are_filled_and_a_gap_is_read_with_its_neighbours(engine):
    song = some_bars(60)
    made = engine.answer(Fill(steps=16, bars=song, chosen=[21, 20, 50]))["bars"]
    assert [n for n in range(60) if made[n] != song[n]] == [20, 21, 50]
    windows = [(length, gaps) for _, length, gaps, _ in engine.models[16].asked]
    assert windows == [(BEFORE + 2 + AFTER, [(BEFORE, BEFORE + 2)]), (BEFORE + 1 + AFTER, [(BEFORE, BEFORE + 1)])]


def test_a_long_gap_is_filled_in_pieces_of_which_none_looks_at_bars_that_are_to_go(engine):
    song = some_bars(30)
    made = engine.answer(Fill(steps=16, bars=song, chosen=list(range(4, 24))))["bars"]
    assert made[:4] == song[:4] and made[24:] == song[24:] and not any(made[n] == song[n] for n in range(4, 24))
    windows = [(length, gaps[0]) for _, length, gaps, _ in engine.models[16].asked]
    assert windows == [(12, (4, 12)), (20, (12, 20)), (BEFORE + 4 + 6, (12, 16))]


def test_only_the_chosen_bars_are_varied_and_distance_says_how_far(engine):
    song = some_bars(20)
    for distance in (0.0, 0.5, 1.0):
        ask = Vary(steps=16, bars=song, chosen=[1, 2, 9], sliders=Sliders(distance=distance))
        made = engine.answer(ask)["bars"]
        assert [n for n in range(20) if made[n] != song[n]] == [1, 2, 9]
    spreads = [spread for _, (spread,), *_ in engine.models[16].asked][::2]
    assert spreads[0] == 0 and spreads[2] == pytest.approx(2 * spreads[1])


@pytest.mark.parametrize("count", [0, 1, 16, 32, 33, 48, 49, 100, MOST_BARS])
def test_each_bar_has_its_bits_once(count):
    """The fake's bar n of a window costs 48 / (1 + n) bits."""
    bits = surprise(FakeModel(), np.array(some_bars(count), np.uint8).reshape(count, 16))
    place = [n if n < 2 * CONTEXT else CONTEXT + n % CONTEXT for n in range(count)]
    np.testing.assert_allclose(bits, [48 / (1 + n) for n in place])


def test_runs_of_bars():
    assert runs([5], 8) == [(5, 6)]
    assert runs([3, 1, 2, 2, 7], 8) == [(1, 4), (7, 8)]
    assert runs(list(range(10)), 4) == [(0, 4), (4, 8), (8, 10)]


def test_sliders_in_the_middle_are_the_models_own_settings(joint):
    assert settings_of(joint, Sliders()) == joint.defaults
    plain, wild = (settings_of(joint, Sliders(plainness=each)) for each in (1, 0))
    assert (plain.temperature, plain.tau_sigma) == (0, 0) and wild.temperature == 2 * joint.defaults.temperature
    assert settings_of(joint, Sliders(repetition=1)).repetition == 4 * joint.defaults.repetition


def test_what_cannot_be_is_said(engine):
    with pytest.raises(UserError, match="no model here knows bars of 24 steps"):
        engine.answer(Continue(steps=24, bars=[], wanted=1))
    with pytest.raises(UserError, match="the song has 2 bars"):
        engine.answer(Fill(steps=16, bars=some_bars(2), chosen=[2]))
    with pytest.raises(UserError, match="bar 2 has 15 steps"):
        engine.answer(Surprise(steps=16, bars=[[129] * 16, [129] * 15]))
    with pytest.raises(UserError, match="pitches"):
        low = FakeModel()
        low.pitches = (60, 70)
        Engine({16: low}).answer(Continue(steps=16, bars=[[20] * 16], wanted=1))
    engine.models[16].abilities = frozenset()
    assert abilities(engine.models[16]) == ("surprise",)
    with pytest.raises(UserError, match="cannot do this: vary"):
        engine.answer(Vary(steps=16, bars=some_bars(2), chosen=[0]))


@pytest.mark.more
def test_a_quick_model_draws_with_the_same_chances(joint):
    """Its cost of a song is that of the model; only its blocks are smaller."""
    song = np.array(some_bars(9), np.uint8)
    np.testing.assert_allclose(quick(joint).nats([song])[0], joint.nats([song])[0], rtol=1e-4)
    assert quick(joint).sizes.chunk < joint.sizes.chunk
    assert quick(FakeModel) is FakeModel


@pytest.mark.slow
def test_a_quick_model_reads_seeds_of_any_length_as_the_model_does(joint):
    """The bars of a seed are read without the decoder; what follows them is the same, in the order of the seeds."""
    fast = quick(joint)
    slow = dataclasses.replace(fast, sizes=fast.sizes._replace(alike=False))
    seeds = [np.array(some_bars(count, seed=count), np.uint8).reshape(count, 16) for count in (3, 0, 7, 3, 1)]
    for bars in (4, None):
        songs, others = (
            model.go_on(seeds, song_keys(0, range(5)), bars, Settings(temperature=1.0), 9) for model in (fast, slow)
        )
        for song, other in zip(songs, others, strict=True):
            np.testing.assert_array_equal(song, other)


@pytest.mark.slow
def test_nothing_is_compiled_once_it_is_warm(joint):
    """Songs of any length, gaps anywhere, any sliders: JAX tells of each program that it compiles."""
    engine, told = Engine({16: joint}), compiled()
    before = len(told)
    said = list(engine.warm())
    assert engine.share == 1 and len(said) == len(engine.ready) == 4
    assert len(told) > before
    warm = len(told)
    sliders = Sliders(plainness=0.1, repetition=0.9, distance=0.8)
    for take, count in enumerate((1, 7, 17, 31, 33, 50), 2):
        bars = some_bars(count, seed=take)
        engine.answer(Continue(steps=16, bars=bars, wanted=take, take=take, sliders=sliders))
        engine.answer(Fill(steps=16, bars=bars, chosen=[0, count - 1], take=take))
        engine.answer(Vary(steps=16, bars=bars, chosen=list(range(count)), take=take, sliders=sliders))
        engine.answer(Surprise(steps=16, bars=bars))
    engine.answer(Continue(steps=16, bars=[], wanted=4))
    assert len(told) == warm


def test_a_model_warms_with_what_it_can(engine):
    engine.models[12].abilities = frozenset()
    assert [line.rpartition(" in ")[2] for line in engine.warm()] == ["4/4 and 2/2"] * 4 + ["3/4 and 6/8"]
    assert engine.about()[1]["metres"] == ["3/4", "6/8"] and engine_module.SURPRISE in engine.about()[1]["can"]
