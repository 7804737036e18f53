"""Names in a report: models, the parts of their workdirs and their controls, also where several are called the same."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from mcvae_jax.evaluation.evaluation import _kin, _merged, compose, composed_sets, continued_sets, named
from mcvae_jax.evaluation.judged import Plan
from mcvae_jax.models.settings import AS_TRAINED, Settings
from mcvae_jax.models.song_model import EXACT, MEMORY
from mcvae_jax.trained import Origin


@dataclasses.dataclass
class Named:
    """What a report asks of a model to name it, and a composer of bars that tell with which settings it was asked."""

    name: str
    origins: Mapping[str, Origin] = dataclasses.field(default_factory=dict)
    parts: tuple[Any, ...] = ()
    abilities: frozenset[str] = frozenset({MEMORY})
    defaults: Settings = Settings()

    steps = 16

    def kin(self):
        return list(self.parts)

    def go_on(self, seeds, keys, bars, settings, max_bars=128):
        assert len(keys) == len(seeds) and not any(len(seed) for seed in seeds)
        return [np.full((bars or max_bars, 16), round(100 * settings.temperature + settings.seed), np.uint8)] * len(
            seeds
        )


def origin(folder, identity):
    return Origin(Path(folder), 1, identity, {})


def mcvae(vae, prior):
    """With its VAE's two kin; folders are called as the identities."""
    of_vae = {"VAE": origin(f"runs/{vae}", vae)}
    parts = [Named(name, of_vae, abilities=frozenset()) for name in ("VAE (free run)", "VAE (bar by bar)")]
    return Named("MCVAE", of_vae | {"MDRNN": origin(f"runs/{prior}", prior)}, tuple(parts))


def test_models_of_one_name_are_told_apart_by_the_folder_of_what_was_trained_last():
    one, other, third = mcvae("vae", "a"), mcvae("vae", "b"), Named("n-gram")
    assert named([one, third]) == {"MCVAE": one, "n-gram": third}
    assert list(named([one, third, other])) == ["MCVAE (runs/a)", "n-gram", "MCVAE (runs/b)"]
    assert list(named([one], beside=[other])) == ["MCVAE (runs/a)"]


def test_parts_of_several_models_stand_once_each():
    shared = _kin(named([mcvae("vae", "a"), mcvae("vae", "b")]))
    assert list(shared) == ["VAE (free run)", "VAE (bar by bar)"]
    apart = _kin(named([mcvae("vae", "a"), mcvae("other", "b")]))
    assert list(apart) == [
        f"VAE ({how}) (runs/{vae})" for vae in ("vae", "other") for how in ("free run", "bar by bar")
    ]
    assert apart["VAE (free run) (runs/other)"].origins["VAE"].identity == "other"


def test_a_part_that_is_a_model_itself_is_no_part_and_one_of_its_name_is():
    composer = mcvae("vae", "a")
    own, foreign = composer.parts[1], mcvae("other", "b").parts[1]
    assert list(_kin(named([composer, own]))) == ["VAE (free run)"]
    assert list(_kin(named([composer, foreign]))) == ["VAE (free run)", "VAE (bar by bar) (runs/vae)"]


def test_controls_of_several_models_are_numbered_and_known_by_their_owner():
    first, second = Named("x"), Named("y")
    found, owners = _merged({"A": {"one Gaussian": first}, "B": {"one Gaussian": second, "other": first}, "C": {}})
    assert found == {"one Gaussian": first, "one Gaussian (2)": second, "other": first}
    assert owners == {"one Gaussian": "A", "one Gaussian (2)": "B", "other": "B"}


def test_a_model_composes_as_trained_and_by_its_own_defaults_where_these_differ():
    plan = Plan(songs=3, bars=2, seed=7)
    models = {
        "with": mcvae("vae", "a"),
        "plain": Named("plain", defaults=AS_TRAINED),
        "forgets": Named("forgets", abilities=frozenset()),
    }
    said = []
    sets = composed_sets(models, plan, said.append)
    assert list(sets) == [
        "with (as trained)",
        "with (sampler's defaults)",
        "plain (as trained)",
        "forgets",
        "VAE (free run)",
        "VAE (bar by bar)",
    ]
    assert said == [f"{name} composes 3 songs" for name in models]
    for name, songs in sets.items():
        temperature = 0 if "defaults" in name else 1
        assert [song.shape for song in songs] == [(2, 16)] * 3 and (np.array(songs) == 100 * temperature + 7).all()
    assert np.array_equal(compose(models["plain"], plan, as_trained=False), sets["plain (as trained)"])


@dataclasses.dataclass
class Ending(Named):
    """Ends every second song after one bar, where it may; in its bars stands how many bars it was told to make."""

    always: bool = False

    def go_on(self, seeds, keys, bars, settings, max_bars=128):
        lengths = [1 if bars is None and (self.always or n % 2) else bars or max_bars for n in range(len(seeds))]
        return [np.full((length, 16), bars or 0, np.uint8) for length in lengths]


def test_songs_that_end_too_early_make_way_for_others():
    """Held-out songs are cut from longer ones, so composed ones are; a model that ends all of them is told to go on."""
    plan = Plan(songs=6, bars=4)
    cut, told = compose(Ending("x"), plan, True), compose(Ending("x", always=True), plan, True)
    assert [song.shape for song in cut] == [song.shape for song in told] == [(4, 16)] * 6
    assert not np.any(cut) and np.all(np.stack(told) == 4)


@dataclasses.dataclass
class Dear(Named):
    """Its songs are of one bar again and again, which costs as much as its first token says."""

    likelihood: str = EXACT

    def go_on(self, seeds, keys, bars, settings, max_bars=128):
        first = [int(jax.random.randint(key, (), 0, 128)) for key in keys]
        return [np.full((bars or max_bars, 16), pitch, np.uint8) for pitch in first]

    def nats(self, songs, draws=1, seed=0):
        return [song[:, 0].astype(np.float64) for song in songs]


def test_of_several_draws_the_likeliest_is_judged_but_not_of_songs_as_trained():
    one, four = (Plan(songs=5, bars=2, best_of=n) for n in (1, 4))
    alone, best = (np.stack(compose(Dear("x"), plan, as_trained=False)) for plan in (one, four))
    assert np.all(best <= alone) and np.any(best < alone)
    np.testing.assert_array_equal(compose(Dear("x"), four, as_trained=True), alone)
    given = [np.full((9, 16), 60, np.uint8)] * 3
    alone, best = (
        np.stack(continued_sets({"x": Dear("x")}, given, plan, print)["x (continued)"]) for plan in (one, four)
    )
    assert np.all(best <= alone) and np.any(best < alone)
