"""Attributes of written bars, directions that were planted, and effects on a decoder that is known."""

from types import SimpleNamespace

import numpy as np
import pytest

from mcvae_jax.evaluation.attributes import (
    ATTRIBUTES,
    attribute_vector,
    attributes_of,
    effects,
    random_vectors,
)
from mcvae_jax.music.tokens import NO_EVENT, NOTE_OFF


def bar(notes, steps=16):
    """A bar of notes by step, 'off' is a note off."""
    tokens = np.full(steps, NO_EVENT, np.uint8)
    for step, pitch in notes.items():
        tokens[step] = NOTE_OFF if pitch == "off" else pitch
    return tokens


def test_attributes_of_written_bars():
    bars = np.stack([bar({0: 60, 2: 64, 8: 62, 12: "off"}), bar({}), bar({5: 70}), bar({0: "off"})])
    found = attributes_of(bars)
    assert found.keys() == ATTRIBUTES.keys()
    np.testing.assert_array_equal(found["note density"], [3, 0, 1, 0])
    np.testing.assert_array_equal(found["pitch range"], [4, np.nan, 0, np.nan])
    np.testing.assert_array_equal(found["mean pitch"], [62, np.nan, 70, np.nan])
    np.testing.assert_array_equal(found["mean interval"], [3, np.nan, np.nan, np.nan])  # 4 up, 2 down
    np.testing.assert_allclose(found["off-beat notes"], [1 / 3, np.nan, 1, np.nan])


def test_beats_of_bars_of_three_quarters():
    found = attributes_of(bar({0: 60, 4: 60, 8: 60, 10: 60}, 12)[None])
    assert found["off-beat notes"][0] == 0.25


def test_a_vector_is_the_upper_quarter_minus_the_lower_one():
    mu = np.array([[0.0, 5], [1, 5], [2, 5], [30, 5], [4, 5], [50, 6], [6, 5], [7, 9]])
    values = np.array([3.0, 1, 2, np.nan, 0, np.nan, 5, 4])  # of six known ones a quarter is one: bars 4 and 6
    np.testing.assert_array_equal(attribute_vector(mu, values), mu[6] - mu[4])
    np.testing.assert_allclose(attribute_vector(mu, values, 0.5), (mu[6] + mu[7] + mu[0] - mu[4] - mu[1] - mu[2]) / 3)
    with pytest.raises(ValueError, match="two bars"):
        attribute_vector(mu, np.where(np.arange(8) == 2, 1.0, np.nan))


def test_a_planted_direction_is_found():
    rng = np.random.default_rng(0)
    planted, values = rng.standard_normal(8), rng.standard_normal(4000)
    mu = values[:, None] * planted + 0.3 * rng.standard_normal((4000, 8))
    found = attribute_vector(mu, values)
    # E[v | upper quarter] - E[v | lower quarter] of a normal is 2 * phi(0.6745) / 0.25 = 2.5422
    np.testing.assert_allclose(found, 2.5422 * planted, atol=0.1)


def test_controls_are_as_long_as_the_directions_and_the_same_again():
    vectors = {"a": np.array([3.0, 4, 0]), "b": np.array([0.0, 0, 15])}
    found = random_vectors(vectors, 5)
    assert len(found) == 5 and not vectors.keys() & found.keys()
    assert [np.linalg.norm(each) for each in found.values()] == pytest.approx([10] * 5)
    np.testing.assert_array_equal(list(random_vectors(vectors, 2).values()), list(found.values())[:2])
    assert not np.allclose(*random_vectors(vectors, 2).values())


def test_effects_are_those_of_the_decoder():
    """This one writes round(z[0]) notes at pitch 60 + round(z[1])."""

    def render(z, keys, settings):
        rows = [bar({step: 60 + round(float(b)) for step in range(round(float(a)))}) for a, b in z[0]]
        return [np.stack(rows)]

    mu = np.array([[2.0, 0], [4, 3], [0, 0]], np.float32)
    vectors = {"notes": np.array([1.0, 0]), "pitch": np.array([0.0, 2])}
    found = effects(SimpleNamespace(render=render), mu, vectors, (1.0, 3.0))
    np.testing.assert_array_equal(found["notes"]["note density"].change, [1, 3])
    np.testing.assert_array_equal(found["notes"]["note density"].error, [0, 0])
    np.testing.assert_array_equal(found["pitch"]["note density"].change, [0, 0])
    np.testing.assert_array_equal(found["pitch"]["mean pitch"].change, [2, 6])
    np.testing.assert_array_equal(found["pitch"]["mean pitch"].bars, [2, 2])  # the third has no note to have a pitch
    mixed = effects(SimpleNamespace(render=render), mu[:2], {"both": np.array([-3.0, 0])}, (1.0,))["both"][
        "note density"
    ]
    changes = np.array([-2.0, -3])  # from 2 and 4 notes to none and 1
    assert mixed.change[0] == changes.mean() and mixed.error[0] == pytest.approx(changes.std(ddof=1) / np.sqrt(2))
