"""Sets whose differences are planted: like sets, sets that one measure tells apart, and copies."""

import numpy as np
import pytest
from scipy import stats

from mcvae_jax.evaluation import classifiers, controls
from mcvae_jax.evaluation.compare import CLASSIFIER, FRECHET, KEPT, MMD, STRONG, compare_copies, compare_sets, lost_to
from mcvae_jax.evaluation.measures import MEASURES, note_density
from mcvae_jax.music.tokens import NO_EVENT, NOTE_OFF, transpose


def some_songs(count, seed, highest=70):
    """Songs of 6 bars, of which the last three repeat the first."""
    songs = np.random.default_rng(seed).choice([*range(50, highest), NOTE_OFF, NO_EVENT, NO_EVENT], (count, 6, 16))
    songs[:, 3:] = songs[:, :3]
    return list(songs.astype(np.uint8))


def encode(songs):
    """Latents of two dimensions: the notes of a bar, and its first token."""
    songs = np.array(songs, np.float64)
    return np.stack([np.sum(songs < NOTE_OFF, axis=2), songs[:, :, 0] / 50], axis=2)


@pytest.fixture(scope="module")
def found():
    reference = some_songs(40, 0)
    sets = {
        "like": some_songs(30, 1),
        "high": some_songs(30, 2, highest=90),
        "shuffled": [np.random.default_rng(n).permutation(song) for n, song in enumerate(some_songs(30, 1))],
        "silence": [np.full((6, 16), NO_EVENT, np.uint8)] * 30,
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifiers, "ROUNDS", 1)
        patch.setattr(classifiers, "COMMONEST", 50)
        return reference, sets, compare_sets(reference, sets, MEASURES, encode, seed=0, say=lambda line: None)


def test_distances_are_those_of_the_values(found):
    reference, sets, compared = found
    column = compared["sets"]["high"]["measures"]["note density"]
    assert column["values"] == [note_density(song) for song in sets["high"]]
    assert column["median"] == np.median(column["values"])
    assert column["quartiles"] == np.quantile(column["values"], [0.25, 0.75]).tolist()
    expected = stats.wasserstein_distance(*([note_density(s) for s in songs] for songs in (reference, sets["high"])))
    assert compared["sets"]["high"]["distances"]["note density"]["value"] == pytest.approx(expected)
    assert compared["reference"]["songs"] == 40 and compared["sets"]["high"]["songs"] == 30


def test_what_differs_is_found_and_what_does_not_is_not(found):
    distances = {name: each["distances"] for name, each in found[2]["sets"].items()}
    values = {name: {m: d["value"] for m, d in each.items()} for name, each in distances.items()}
    assert values["high"]["pitch range"] > 10 > values["like"]["pitch range"]
    assert values["high"]["note density"] < 1
    assert values["shuffled"]["lag of the best self-match"] > values["like"]["lag of the best self-match"] == 0
    for measure in (CLASSIFIER, STRONG, FRECHET, MMD):
        assert values["silence"][measure] >= values["high"][measure] > values["like"][measure], measure
    for classifier in (CLASSIFIER, STRONG):
        assert values["silence"][classifier] == 1
        assert distances["like"][classifier]["interval"][0] < 0.5
    assert distances["shuffled"][STRONG]["interval"][0] > 0.5
    for each in distances.values():
        for distance in each.values():
            low, high = distance["interval"]
            assert low <= high and np.isfinite([low, high, distance["value"]]).all()
    assert distances["high"]["pitch range"]["interval"][0] > distances["like"]["pitch range"]["interval"][1]


def test_shuffled_bars_keep_what_is_said_to_be_kept(found):
    values = {name: found[2]["sets"][name]["distances"] for name in ("like", "shuffled")}
    for measure in KEPT:
        assert values["shuffled"][measure]["value"] == pytest.approx(values["like"][measure]["value"]), measure


def test_every_distance_that_a_control_wins_is_flagged():
    def with_distances(**values):
        return {"distances": {name.replace("_", " "): {"value": value} for name, value in values.items()}}

    sets = {
        "model": with_distances(rest_share=2.0, pitch_range=3.0, note_density=1.0),
        controls.SILENCE: with_distances(rest_share=1.0, pitch_range=9.0, note_density=1.0),
        controls.COPIES: with_distances(rest_share=1.5, pitch_range=9.0, note_density=1.5),
        controls.SHUFFLED: with_distances(rest_share=1.5, pitch_range=2.5, note_density=1.5),
    }
    assert lost_to(sets, ["model"], list(sets)[1:]) == [
        {
            "model": "model",
            "measure": "rest share",
            "to": [controls.SILENCE, controls.SHUFFLED],
            "to_real": [controls.COPIES],
        },
        {"model": "model", "measure": "pitch range", "to": [], "to_real": [controls.SHUFFLED]},
    ]


def test_copies_by_set_and_by_song():
    training = some_songs(4, 7)
    sets = {"copies": [transpose(training[2], 5), training[0]], "own": some_songs(2, 8)}
    sets["half"] = [np.concatenate([song[:4], other]) for song, other in zip(training, some_songs(2, 9), strict=False)]
    real = {"copies": ("half", True), "own": ("copies", False)}
    found = compare_copies(sets, real, training, ["a", "b", "c", "d"], seed=0)
    assert found["half"]["passages"] == {"value": pytest.approx(0.4), "interval": pytest.approx((0.4, 0.4))}
    assert found["copies"]["passages"] == {
        "value": 1,
        "interval": (1, 1),
        "beyond": {"value": pytest.approx(0.6), "interval": pytest.approx((0.6, 0.6))},
        "times": {"value": pytest.approx(2.5), "interval": pytest.approx((2.5, 2.5))},
    }
    assert found["own"]["passages"]["times"] == {"value": 0, "interval": (0, 0)}
    assert found["copies"]["songs"] == [
        {"written": 0, "bars": 1, "passages": 1, "nearest_share": 1, "windows": 1, "nearest": "c", "shift": -5},
        {"written": 1, "bars": 1, "passages": 1, "nearest_share": 1, "windows": 1, "nearest": "a", "shift": 0},
    ]
    assert found["own"]["bars"]["value"] == 0 and found["own"]["songs"][0]["nearest"] == ""
