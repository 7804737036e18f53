"""Models from their workdirs: the parameters that were saved, the VAE of an MDRNN, and each mistake in a line."""

import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mcvae_jax.errors import UserError
from mcvae_jax.kinds import KINDS, open_model
from mcvae_jax.models import mixture_prior
from mcvae_jax.models.latent_composer import BarByBar, LatentComposer
from mcvae_jax.models.workdirs import open_codec, open_prior
from mcvae_jax.nn import mixture
from mcvae_jax.storage.identity import tree_identity
from mcvae_jax.trained import open_corpus
from tests.small_models import VAE_MODEL, edit_json, flip_in_the_largest, save_corpus, save_mdrnn, save_run, save_vae
from tests.vae_layouts import far_from_the_start


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with the workdirs vae/ and mdrnn/."""
    folder = tmp_path_factory.mktemp("runs")
    vae_params = save_vae(folder / "vae", save_corpus(folder / "corpora" / "small"))
    save_mdrnn(folder / "mdrnn", folder / "vae", vae_params)
    return folder


@pytest.fixture
def copied(runs, tmp_path):
    """The same in a place where tests may damage it."""
    folder = shutil.copytree(runs, tmp_path / "copied")
    edit_json(folder / "mdrnn" / "config.json", lambda record: record["config"].update(vae_workdir=str(folder / "vae")))
    return folder


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


def test_a_vae_opens_with_the_parameters_that_were_saved(tmp_path):
    params = save_vae(tmp_path / "vae")
    codec = open_codec(tmp_path / "vae")
    assert same(codec.params, params) and codec.origin.step == 5 and codec.vae.units == VAE_MODEL["units"]
    assert codec.origin.folder == tmp_path / "vae"
    assert codec.origin.identity == tree_identity(params) and len(codec.origin.identity) == 32
    other = jax.tree.map(np.copy, jax.device_get(params))
    jax.tree.leaves(other)[-1].flat[0] += 1e-6
    assert tree_identity(other) != codec.origin.identity


def test_best_newest_and_a_step_are_told_apart(tmp_path):
    first = save_vae(tmp_path / "other")
    params = {3: first, 9: jax.tree.map(lambda x: x + 1, first)}
    save_run(tmp_path / "vae", {"task": "vae", "model": VAE_MODEL}, {}, params)
    for which, step in (("best", 3), ("newest", 9), (9, 9), ("3", 3)):
        codec = open_codec(tmp_path / "vae", which)
        assert codec.origin.step == step and same(codec.params, params[step])


def test_the_steps_of_a_bar_are_what_the_data_say_and_16_where_they_do_not(tmp_path):
    params = save_vae(tmp_path / "old")
    assert open_codec(tmp_path / "old").steps == 16
    save_run(tmp_path / "vae", {"task": "vae", "model": VAE_MODEL}, {"steps_per_bar": 12}, {1: params})
    codec = open_codec(tmp_path / "vae")
    assert codec.steps == codec.vae.steps == 12


def test_a_vae_an_mdrnn_and_a_folder_of_both_open_as_a_composer(runs):
    alone = open_model(runs / "vae")
    assert isinstance(alone, BarByBar) and list(alone.origins) == ["VAE"]
    for folder in (runs / "mdrnn", runs):
        composer = open_model(folder)
        assert isinstance(composer, LatentComposer) and list(composer.origins) == ["VAE", "MDRNN"]
        vae, prior = composer.origins.values()
        assert (vae, prior) == (composer.codec.origin, composer.prior.origin)
        assert (vae.step, prior.step) == (5, 7) and (vae.folder, prior.folder) == (runs / "vae", runs / "mdrnn")
        assert prior.data["vae"] == vae.identity == alone.origins["VAE"].identity
        assert composer.prior.prior.latent == composer.codec.latent


def test_workdirs_that_moved_together_still_find_each_other_and_their_corpus(copied):
    shutil.move(copied, copied.parent / "moved")
    moved = copied.parent / "moved"
    edit_json(moved / "mdrnn" / "config.json", lambda record: record["config"].update(vae_workdir="/nowhere/vae"))
    origin = open_model(moved / "mdrnn").codec.origin
    assert origin.folder == moved / "vae"
    data = origin.data | {"corpus": "corpora/small"}  # from another working directory
    assert open_corpus(origin._replace(data=data)).folder == moved / "corpora" / "small"


def test_a_copy_finds_its_own_vae_whatever_became_of_the_first_one(copied):
    """The config of the copied MDRNN still names the place from which it was copied."""
    twin = shutil.copytree(copied, copied.parent / "twin")
    edit_json(twin / "mdrnn" / "config.json", lambda record: record["config"].update(vae_workdir=str(copied / "vae")))
    shutil.rmtree(copied / "vae")
    save_vae(copied / "vae", seed=1)
    assert open_model(twin).origins["VAE"].folder == twin / "vae"


def test_a_vae_of_the_same_name_beside_an_mdrnn_is_not_taken_for_its_own(copied):
    shutil.move(copied / "vae", copied / "elsewhere" / "vae")
    edit_json(
        copied / "mdrnn" / "config.json",
        lambda record: record["config"].update(vae_workdir=str(copied / "elsewhere" / "vae")),
    )
    save_vae(copied / "vae", seed=1)
    assert open_model(copied / "mdrnn").origins["VAE"].folder == copied / "elsewhere" / "vae"


def test_error_7_the_weights_of_the_mdrnn_are_loaded_and_its_state_is_reset_between_songs(runs):
    """Spec, errors of the published code, 7: "weights are never loaded for inference and its state is never reset"."""
    trained = open_prior(KINDS["mdrnn"], runs / "mdrnn")
    rng = np.random.default_rng(1)
    one, other = jnp.asarray(rng.normal(size=(2, 1, 9, 3)), jnp.float32)
    next_step = jax.jit(trained.prior.next_step)
    density = jax.jit(mixture.log_density)
    fresh = jax.jit(mixture_prior.init, static_argnums=0)(trained.prior.network, jax.random.key(0))
    log_density = jax.jit(trained.prior.log_density)
    expected = log_density(far_from_the_start(fresh), other)

    def walk(state, song):
        """Log densities of a song's bars, bar by bar, and the state after it."""
        nats, z = [], jnp.zeros((1, 3))
        for t in range(song.shape[1]):
            state, step = next_step(trained.params, state, z)
            z = song[:, t]
            nats.append(density(step.mixture, z))
        return state, jnp.stack(nats, axis=1)

    state, _ = walk(None, one)
    np.testing.assert_allclose(walk(None, other)[1], expected, rtol=1e-4)
    assert not np.allclose(walk(state, other)[1], expected, rtol=1e-2), "the state of a song before matters"
    assert not np.allclose(log_density(fresh, other), expected, rtol=1e-2), "fresh weights would give the same"


def no_workdir(runs):
    (runs / "vae" / "config.json").unlink()
    return lambda: open_codec(runs / "vae")


def not_there(runs):
    return lambda: open_model(runs / "nothing")


def no_checkpoint(runs):
    shutil.rmtree(runs / "vae" / "checkpoints")
    return lambda: open_codec(runs / "vae")


def half_written(runs):
    folder = runs / "vae" / "checkpoints"
    (folder / "5").rename(folder / "5.orbax-checkpoint-tmp-0")
    return lambda: open_codec(runs / "vae")


def damaged(runs):
    for path in (runs / "vae" / "checkpoints" / "5" / "params").rglob("*"):
        if path.is_file():
            path.write_bytes(b"")
    return lambda: open_codec(runs / "vae")


def no_such_step(runs):
    return lambda: open_codec(runs / "vae", 6)


def no_such_word(runs):
    return lambda: open_codec(runs / "vae", "last")


def other_configuration(runs):
    edit_json(runs / "vae" / "config.json", lambda record: record["config"]["model"].update(units=8))
    return lambda: open_codec(runs / "vae")


def no_model(runs):
    edit_json(runs / "vae" / "config.json", lambda record: record["config"].pop("model"))
    return lambda: open_codec(runs / "vae")


def model_of(**fields):
    def edit(runs):
        edit_json(runs / "vae" / "config.json", lambda record: record["config"]["model"].update(fields))
        return lambda: open_codec(runs / "vae")

    return edit


def record_of(section, **fields):
    def edit(runs):
        edit_json(runs / "vae" / "config.json", lambda record: record[section].update(fields))
        return lambda: open_codec(runs / "vae")

    return edit


def no_corpus_named(runs):
    edit_json(runs / "vae" / "config.json", lambda record: record["data"].pop("corpus"))
    return lambda: open_corpus(open_codec(runs / "vae").origin)


def edited_with_its_check(runs):
    path = runs / "vae" / "config.json"
    path.write_text(path.read_text().replace('"units": 6', '"units": 8'))
    return lambda: open_codec(runs / "vae")


def no_copy(runs):
    """config.json is gone bad, and what the checkpoint has in its place is no record of a run."""
    edit_json(
        runs / "vae" / "checkpoints" / "5" / "identity" / "identity.json", lambda about: about.update(run={"task": 5})
    )
    (runs / "vae" / "config.json").write_bytes(b"{")
    return lambda: open_codec(runs / "vae")


def one_bit(runs):
    """Of an array's bytes, which Orbax and TensorStore do not look at."""
    flip_in_the_largest(runs / "vae" / "checkpoints" / "5" / "params")
    return lambda: open_codec(runs / "vae")


def one_bit_of_the_vae_of_an_mdrnn(runs):
    one_bit(runs)
    return lambda: open_model(runs)


def wrong_task(runs):
    return lambda: open_codec(runs / "mdrnn")


def mdrnn_wanted(runs):
    return lambda: open_prior(KINDS["mdrnn"], runs / "vae")


def vae_gone(runs):
    shutil.rmtree(runs / "vae")
    edit_json(runs / "mdrnn" / "config.json", lambda record: record["config"].update(vae_workdir="/nowhere/vae"))
    return lambda: open_model(runs / "mdrnn")


def vae_trained_again(runs):
    shutil.rmtree(runs / "vae")
    save_vae(runs / "vae", seed=1)
    return lambda: open_model(runs)


def vae_trained_on(runs):
    shutil.rmtree(runs / "vae")
    save_vae(runs / "vae", seed=0, step=6, model=VAE_MODEL | {"merge": "concat"})
    return lambda: open_model(runs)


def corpus_gone(runs):
    origin = open_codec(runs / "vae").origin
    shutil.rmtree(runs / "corpora")
    return lambda: open_corpus(origin, runs / "corpora" / "small")


def other_corpus(runs):
    save_corpus(runs / "corpora" / "small", shift=1)
    origin = open_codec(runs / "vae").origin
    return lambda: open_corpus(origin, runs / "corpora" / "small")


def test_a_record_without_a_folder_of_code_has_none(copied):
    edit_json(copied / "vae" / "config.json", lambda record: record.pop("code"))
    assert open_codec(copied / "vae").origin.step == 5


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (no_workdir, "config.json is gone; restore it"),
        (not_there, "does not exist"),
        (no_checkpoint, "has no checkpoint yet"),
        (half_written, "has no checkpoint yet"),
        (damaged, "Checkpoint 5 in .* cannot be read.*No other is whole; this trains again from the start"),
        (one_bit, "Checkpoint 5 in .* is damaged: its params are not those that were saved. No other is whole"),
        (one_bit_of_the_vae_of_an_mdrnn, "Checkpoint 5 .*mdrnn was trained on it: restore it; or delete .*/vae and"),
        (edited_with_its_check, "config.json is damaged .it is not what was written"),
        (model_of(units="6"), "config.json does not describe a model"),
        (model_of(units=10**30), "config.json does not describe a model"),
        (model_of(layers=[1]), "config.json does not describe a model"),
        (model_of(merge={}), "config.json does not describe a model"),
        (record_of("config", task=["vae"]), "config.json is damaged .Expected `str`, got `array` - at `.*task"),
        (record_of("config", train={"steps": "many"}), "config.json is damaged .*train.steps"),
        (record_of("config", model=None), "config.json is damaged .*model"),
        (no_copy, "config.json is damaged .*; restore it, or train in another workdir"),
        (record_of("data", vae_step=-1), "config.json is damaged .*vae_step"),
        (no_corpus_named, "config.json has no 'corpus'"),
        (no_such_step, "no checkpoint of step 6; it has step 5"),
        (no_such_word, "'best', 'newest' or a step, not 'last'"),
        (other_configuration, "do not belong together.*another model"),
        (no_model, "config.json does not describe a model.*'model'"),
        (wrong_task, "config.task='mdrnn'; here a VAE of configs/vae.py, with 'vae', is needed"),
        (mdrnn_wanted, r"config.task='vae'; here a prior \(MDRNN\), with 'mdrnn', is needed"),
        (vae_gone, "VAE of .* is gone.*put its workdir back"),
        (vae_trained_again, "step 5 of a VAE that .* no longer holds.*train it again with --config.vae_workdir="),
        (vae_trained_on, "no longer holds \\(it has step 6\\)"),
        (corpus_gone, "is gone; if it is elsewhere, say where .*--corpus=FOLDER.*; this builds it again: python -m"),
        (other_corpus, "is not the one on which"),
    ],
)
def test_each_mistake_is_one_line(copied, damage, said):
    act = damage(copied)
    with pytest.raises(UserError, match=said) as error:
        act()
    assert "\n" not in str(error.value)
