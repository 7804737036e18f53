"""What every song model owes its users, whatever it is made of: one set of tests over all of them."""

import functools
import inspect

import numpy as np
import pytest

from mcvae_jax.models import mdrnn, mixture_prior
from mcvae_jax.models.bar_codes import BarCodes, CodeModel, CodeTransformer
from mcvae_jax.models.copying import LAGS, PHRASE, RUNS, Copying, Switch
from mcvae_jax.models.dice import Dice
from mcvae_jax.models.joint import composer as joint_composer
from mcvae_jax.models.joint.network import JointMCVAE
from mcvae_jax.models.latent_composer import BarByBar, FreeRun, LatentComposer
from mcvae_jax.models.latent_windows import InWindows
from mcvae_jax.models.music_vae import CONDUCTOR, FLAT, MusicVAE
from mcvae_jax.models.music_vae import init as init_music_vae
from mcvae_jax.models.ngram_composer import NGramComposer
from mcvae_jax.models.ngrams import NGrams
from mcvae_jax.models.note_lstm import NoteLSTM
from mcvae_jax.models.note_transformer import NoteTransformer
from mcvae_jax.models.notes import NoteComposer, NoteModel
from mcvae_jax.models.sequences import LatentPrior
from mcvae_jax.models.settings import Settings
from mcvae_jax.models.song_model import (
    BOUND,
    EXACT,
    FILL,
    LATENTS,
    MEMORY,
    NO_LIKELIHOOD,
    SongModel,
    Tightened,
    bars_of,
    log_weights,
    shared_nats,
)
from mcvae_jax.models.transformer_prior import TransformerPrior
from mcvae_jax.models.window_composer import WindowComposer
from mcvae_jax.music.tokens import HIGHEST, NO_EVENT, OUTCOMES
from tests.diffusion_layouts import a_diffusion
from tests.draws import keys_of
from tests.gan_layouts import a_gan
from tests.known_songs import a_codec
from tests.random_params import random_params

WILD = Settings(temperature=1.0, tau_sigma=1.0, tau_recall=1.0)
LENGTHS = (5, 1, 9)
METHODS = {name for name, _ in inspect.getmembers(SongModel, inspect.isfunction) if not name.startswith("_")}


def tunes(lengths, seed=0):
    """Songs of so many bars, of few tokens: an n-gram has seen what they hold."""
    rng = np.random.default_rng(seed)
    return [rng.choice([60, 62, 64, 67, NO_EVENT], (n, 16)).astype(np.uint8) for n in lengths]


def a_composer():
    network = mdrnn.MDRNN(latent=3, units=6, layers=1, components=2, recall=1, memory=6)
    params = random_params(functools.partial(mixture_prior.init, network))
    params["params"]["standard_scale"] = np.full(3, 1.3, np.float32)
    return LatentComposer(a_codec(), LatentPrior(mixture_prior.MixturePrior(network), params))


def a_transformer_composer():
    """With mixtures per dimension."""
    network = TransformerPrior(latent=3, units=8, layers=2, heads=2, components=2, memory=6, per_dimension=True)
    params = random_params(functools.partial(mixture_prior.init, network))
    params["params"]["standard_scale"] = np.full(3, 1.3, np.float32)
    return LatentComposer(a_codec(), LatentPrior(mixture_prior.MixturePrior(network), params))


def an_ngram():
    return NGramComposer(NGrams.fit(tunes([12] * 6, seed=5), 3, "kneser_ney"), "Kneser-Ney 3-gram")


def notes(network):
    model = NoteModel(network)
    return NoteComposer(model, random_params(model.init, 1.0))


def bar_codes():
    network = CodeTransformer(units=8, layers=2, heads=2, memory=3, steps=2, outcomes=24)
    model = CodeModel(BarCodes(codes=2, levels=(4, 3), encoder_units=6, decoder_units=6), NoteModel(network))
    return NoteComposer(model, random_params(model.init, 0.8))


def a_music_vae(decoder):
    """Its windows begin at the bars that the tests change: what a bar costs depends on later bars of its window."""
    network = MusicVAE(decoder, 4, 3, 1, 5, 5, 6)
    return WindowComposer(network, random_params(functools.partial(init_music_vae, network), 0.8))


def a_joint():
    network = JointMCVAE(latent=3, components=2, encoder_units=6, units=6, layers=1, decoder_units=6, memory=12)
    return joint_composer.JointComposer(network, random_params(functools.partial(joint_composer.init, network), 0.8))


def copying(model):
    """A switch that copies in about half of the bars."""
    of_new = np.full(PHRASE, 1.0, np.float32)
    return Copying(
        model, Switch(np.zeros(LAGS, np.float32), np.ones(len(RUNS), np.float32), of_new, of_new[: len(RUNS)])
    )


MODELS = {
    "composer": a_composer,
    "transformer composer": a_transformer_composer,
    "bar by bar": lambda: BarByBar(a_codec()),
    "free run": lambda: FreeRun(a_codec()),
    "n-gram": an_ngram,
    "dice": lambda: Dice.of(tunes([12] * 6, seed=5), 8),
    "note LSTM": lambda: notes(NoteLSTM(units=6, layers=2)),
    "note transformer": lambda: notes(NoteTransformer(units=8, layers=2, heads=2, memory=3)),
    "bar codes": bar_codes,
    "flat MusicVAE": lambda: a_music_vae(FLAT),
    "MusicVAE": lambda: a_music_vae(CONDUCTOR),
    "joint": a_joint,
    "diffusion": a_diffusion,
    "GAN": a_gan,
    "copying composer": lambda: copying(a_composer()),
    "copying n-gram": lambda: copying(an_ngram()),
}


SLOW = {  # whose parts others have, too
    "transformer composer",
    "copying composer",
    "flat MusicVAE",
    "GAN",
    "note transformer",
    "bar codes",
    "MusicVAE",
    "diffusion",
}


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in MODELS],
)
def model(request):
    return MODELS[request.param]()


@pytest.fixture(scope="module")
def songs():
    """With bars that repeat."""
    made = tunes(LENGTHS)
    made[0][3] = made[0][0]
    made[2][5:9] = made[2][1:5]
    return made


def draws_nothing(model):
    """Whether a bar costs the same whatever the draws: all that is exact, and bounds from one deterministic code."""
    return model.likelihood == EXACT or isinstance(model, NoteComposer)


def conforms(model):
    for name in SongModel.__annotations__:
        assert hasattr(model, name), name
    for name in METHODS:
        wanted, found = (inspect.signature(getattr(owner, name)) for owner in (SongModel, type(model)))
        assert [(p.name, p.default) for p in found.parameters.values()] == [
            (p.name, p.default) for p in wanted.parameters.values()
        ], f"{model.name}: {name}"
    low, high = model.pitches
    assert 0 <= low <= high <= HIGHEST and model.steps == 16 and model.name
    assert model.likelihood in (EXACT, BOUND, NO_LIKELIHOOD) and isinstance(model.defaults, Settings)
    assert model.abilities <= {MEMORY, FILL, LATENTS} and not set(model.lacks) & model.abilities
    assert all(isinstance(advice, str) for advice in model.lacks.values()) and dict(model.origins) == {}


@pytest.mark.more
def test_it_has_all_that_its_users_ask_and_so_have_its_twins_and_kin(model, songs):
    conforms(model)
    others = {**model.untrained(0), **model.baselines(songs)}
    for other in (*others.values(), *model.kin()):
        conforms(other)
    assert model.name not in [kin.name for kin in model.kin()]


def test_every_bar_costs_nats_of_its_own(model, songs):
    if model.likelihood == NO_LIKELIHOOD:
        with pytest.raises(ValueError, match="no likelihood"):
            model.nats(songs)
        return
    nats = model.nats(songs)
    assert [each.shape for each in nats] == [(n,) for n in LENGTHS] and all(each.dtype == np.float64 for each in nats)
    assert np.isfinite(np.concatenate(nats)).all()
    again, other = model.nats(songs, 1, 0), model.nats(songs, 2, 1)
    assert all(np.array_equal(a, b) for a, b in zip(nats, again, strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(nats, other, strict=True)) == draws_nothing(model)


def test_a_bar_changes_no_cost_before_it_and_no_other_song(model, songs):
    if model.likelihood == NO_LIKELIHOOD:
        return
    if isinstance(model, InWindows):
        pytest.skip("its bars see each other both ways: a bar's figure is its share of the cost of its song")
    before = model.nats(songs)
    for place in (0, 4, 8):
        changed = [song.copy() for song in songs]
        changed[2][place] = changed[2][place][::-1]
        after = model.nats(changed)
        for i in (0, 1):
            np.testing.assert_allclose(after[i], before[i], rtol=1e-5)
        np.testing.assert_allclose(after[2][:place], before[2][:place], rtol=1e-5)
        assert abs(after[2][place] - before[2][place]) > 1e-3
        if place < 8:
            moved = np.abs(after[2][place + 1 :] - before[2][place + 1 :]).max() > 1e-3
            assert moved == (MEMORY in model.abilities), "what a bar costs depends on those before it, or does not"


def test_a_song_is_the_same_alone_and_among_others_with_seeds_of_any_length(model):
    """More songs than are composed at a time, and seeds of 0 to 20 bars, the empty ones among them."""
    lengths = [0, 1, 5, 20, 0, 3] * 6
    seeds, keys = tunes(lengths, seed=1), keys_of(len(lengths))
    together = model.go_on(seeds, keys, 3, WILD)
    assert [song.shape for song in together] == [(3, 16)] * len(seeds)
    assert all(song.dtype == np.uint8 and song.max() < OUTCOMES for song in together)
    for i in (0, 3, 32, 35):
        (alone,) = model.go_on(seeds[i : i + 1], keys[i : i + 1], 3, WILD)
        assert np.array_equal(alone, together[i]), i
    assert len({song.tobytes() for song in together}) > 30
    twice = model.go_on([seeds[2]] * 2, keys[np.array([4, 4])], 3, WILD)
    assert np.array_equal(twice[0], twice[1])


def test_what_follows_depends_on_the_seed_where_there_is_memory(model):
    """The same keys after two seeds: the free run starts from the last bar; bars alone and dice read no bar."""
    after = [model.go_on([seed] * 12, keys_of(12), 4, WILD) for seed in tunes([6, 6], seed=2)]
    assert np.array_equal(*after) == isinstance(model, BarByBar | Dice)


@pytest.mark.more
def test_without_a_number_of_bars_every_song_ends(model):
    seeds, keys = tunes([0, 2, 0, 5, 0, 0, 1, 0], seed=3), keys_of(8)
    songs = model.go_on(seeds, keys, None, WILD, max_bars=4)
    lengths = [len(song) for song in songs]
    assert min(lengths) >= 1 and max(lengths) <= 4 and all(song.shape[1:] == (16,) for song in songs)
    says_so = isinstance(model, LatentComposer) and MEMORY in model.abilities
    if isinstance(model, joint_composer.JointComposer | InWindows):  # with a number of bars they compose others
        assert len(set(lengths)) > 1
    elif says_so or isinstance(model, NoteComposer | WindowComposer):  # those that say where a song ends
        assert len(set(lengths)) > 1
        whole = model.go_on(seeds, keys, 4, WILD)
        assert all(np.array_equal(song, long[: len(song)]) for song, long in zip(songs, whole, strict=True))
    else:
        assert lengths == [4] * 8


@pytest.mark.slow
def test_a_bound_is_made_tighter_where_draws_can_be_weighed_and_nowhere_else(songs):
    for name, make in MODELS.items():
        model = make()
        if isinstance(model, Tightened):
            assert model.likelihood == BOUND, name
            loose = np.concatenate(model.nats(songs, 8)).sum()
            assert model.tighter_nats(songs, 8).sum() < loose + 0.05 * abs(loose), name
    assert not isinstance(MODELS["diffusion"](), Tightened)


def test_names_of_untrained_twins_and_baselines_differ_from_the_model(model, songs):
    twins, baselines = model.untrained(0), model.baselines(songs)
    assert model.name not in twins and not set(twins) & set(baselines)
    for name, other in (twins | baselines).items():
        if other.likelihood != NO_LIKELIHOOD and model.likelihood != NO_LIKELIHOOD:
            assert not np.allclose(np.concatenate(other.nats(songs)), np.concatenate(model.nats(songs))), name


@pytest.mark.parametrize(
    "plain",
    [
        an_ngram,
        a_composer,
        *(
            pytest.param(make, marks=pytest.mark.slow)
            for make in (a_transformer_composer, bar_codes, functools.partial(a_music_vae, CONDUCTOR))
        ),
    ],
)
def test_a_switch_that_never_copies_costs_what_the_model_costs(plain, songs):
    """Of a bound, what the same draws cost with -log q in place of its entropy."""
    model, zeros = plain(), np.zeros(PHRASE, np.float32)
    never = Switch(np.full(LAGS, -1e9, np.float32), zeros[: len(RUNS)], zeros, zeros[: len(RUNS)])
    expected = shared_nats(model, songs) - log_weights(model, songs, 2, 3).mean(axis=0)
    np.testing.assert_allclose(np.concatenate(Copying(model, never).nats(songs, 2, 3)), expected, rtol=1e-5)
    if draws_nothing(model) or isinstance(model, WindowComposer):
        np.testing.assert_allclose(expected, np.concatenate(model.nats(songs, 2, 3)))


def test_what_stands_for_all_bars_is_parted_into_songs():
    songs = [np.zeros((length, 16), np.uint8) for length in (2, 0, 3)]
    assert [part.tolist() for part in bars_of(np.arange(5), songs)] == [[0, 1], [], [2, 3, 4]]
