"""Every mode of sampling on tiny models: shapes, what is given, determinism, and songs alone and among others."""

import dataclasses
import itertools
import os
import subprocess
import sys
from fractions import Fraction

import jax
import numpy as np
import pytest

from mcvae_jax.errors import UserError
from mcvae_jax.kinds import open_model
from mcvae_jax.models import bar_codec, sequences
from mcvae_jax.models.encodings import make_vae
from mcvae_jax.models.latent_composer import draw_near
from mcvae_jax.models.ngram_composer import NGramComposer
from mcvae_jax.models.ngrams import NGrams
from mcvae_jax.models.settings import Settings
from mcvae_jax.music.numbering import Numbers
from mcvae_jax.nn.keys import Purpose, for_purpose, song_keys
from mcvae_jax.nn.padding import Rows
from mcvae_jax.sampling import modes
from mcvae_jax.sampling.seeds import Seed
from mcvae_jax.sampling.song import Setting
from tests.small_models import VAE_MODEL, save_mdrnn, save_vae

GREEDY = Settings(temperature=0.0)
WILD = Settings(temperature=1.0, seed=3)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    save_mdrnn(folder / "mdrnn", folder / "vae", save_vae(folder / "vae"))
    return folder


@pytest.fixture(scope="module")
def composer(runs):
    return open_model(runs / "mdrnn")


def seed_of(bars, number=0):
    tokens = np.random.default_rng(number).integers(50, 130, (bars, 16)).astype(np.uint8)
    return Seed(tokens, Setting(90.0, (2, 4), "G"), f"Tune {number}", bars, ())


def part_of(seed, first, bars):
    """A seed of which the model reads so many bars from `first` on."""
    before, read, after = np.split(seed.bars, [first, first + bars])
    return seed._replace(bars=read, unread=(before, after))


def same(a, b):
    return all(
        x.name == y.name and np.array_equal(x.bars, y.bars) and np.array_equal(x.given, y.given) and x.notes == y.notes
        for x, y in zip(a, b, strict=True)
    )


def test_compose_alone_among_others_and_again(composer):
    songs = modes.compose(composer, 35, 9, WILD)
    assert [song.bars.shape for song in songs] == [(9, 16)] * 35 and not any(song.given.any() for song in songs)
    assert len({song.bars.tobytes() for song in songs}) == 35
    assert same(modes.compose(composer, 35, 9, WILD), songs)
    for n in (1, 32, 35):
        assert same(modes.compose(composer, 1, 9, WILD, first=n), songs[n - 1 : n])
    other = modes.compose(composer, 1, 9, Settings(temperature=1.0, seed=4))
    assert not np.array_equal(other[0].bars, songs[0].bars)


def test_groups_between_lines_of_progress_change_nothing(composer, monkeypatch):
    songs = modes.compose(composer, 5, 3, WILD)
    monkeypatch.setattr(modes, "GROUP", Rows(2, 2))
    lines = []
    assert same(modes.compose(composer, 5, 3, WILD, say=lines.append), songs)
    assert lines == ["2 of 5 songs", "4 of 5 songs", "5 of 5 songs"]


def test_compose_until_the_stop_head_says_so(composer):
    songs = modes.compose(composer, 20, settings=WILD, max_bars=30)
    lengths = [len(song.bars) for song in songs]
    assert min(lengths) >= 1 and max(lengths) <= 30 and len(set(lengths)) > 1
    longer = modes.compose(composer, 20, 30, WILD)
    assert all(np.array_equal(a.bars, b.bars[: len(a.bars)]) for a, b in zip(songs, longer, strict=True))


def test_continue_keeps_the_seed_and_its_setting(composer):
    seeds = [seed_of(4), seed_of(11, 1)]
    songs = modes.continue_(composer, seeds, 5, 2, WILD)
    assert [song.name for song in songs] == ["01-continue", "02-continue", "03-continue", "04-continue"]
    for song, seed in zip(songs, [seeds[0], seeds[0], seeds[1], seeds[1]], strict=True):
        n = len(seed.bars)
        assert np.array_equal(song.bars[:n], seed.bars) and len(song.bars) == n + 5
        assert song.given.tolist() == [True] * n + [False] * 5 and song.setting == seed.setting
    assert not np.array_equal(songs[0].bars, songs[1].bars)
    assert same(modes.continue_(composer, seeds[1], 5, 1, WILD, first=4), songs[3:])


def test_the_whole_tune_stands_before_what_is_composed(composer):
    tune = seed_of(60)
    (song,) = modes.continue_(composer, part_of(tune, 28, 32), 25, 1, WILD)
    assert np.array_equal(song.bars[:60], tune.bars) and song.given.tolist() == [True] * 60 + [False] * 25
    (read_alone,) = modes.continue_(composer, tune._replace(bars=tune.bars[28:]), 25, 1, WILD)
    assert np.array_equal(song.bars[60:], read_alone.bars[32:])  # what it does not read changes nothing
    (from_the_start,) = modes.continue_(composer, part_of(tune, 0, 32), 25, 1, WILD)
    assert np.array_equal(from_the_start.bars[:32], tune.bars[:32]) and len(from_the_start.bars) == 57


def test_song_n_differs_between_tunes_and_is_the_same_after_the_same_tune(composer):
    """A model whose repeats depend on the key alone: by chance half of the bars agree, and one song in 2^20 does."""
    model = Tossing(composer)
    songs = modes.continue_(model, [seed_of(4, number) for number in range(20)], 20, 1, WILD)
    alone = [modes.continue_(model, seed_of(4, number), 20, 1, WILD)[0] for number in range(20)]
    heads = np.array([song.bars[4:, 0] for song in alone])  # song number 1 after 20 tunes
    assert len(set(map(bytes, heads))) == 20
    agreement = np.mean([np.mean(a == b) for a, b in itertools.combinations(heads, 2)])
    assert abs(agreement - 0.5) < 0.05
    assert np.array_equal(modes.continue_(model, seed_of(4), 20, 1, WILD, first=7)[0].bars[4:], heads_of(model, 7))
    assert not np.array_equal(songs[5].bars[4:], alone[5].bars[4:])  # another number after the same tune
    same_tune = seed_of(4)._replace(title="under another name")
    assert np.array_equal(modes.continue_(model, same_tune, 20, 1, WILD)[0].bars[4:, 0], heads[0])


class Tossing:
    """A composer of bars of one pitch, 0 or 1, that a coin of its key tells."""

    def __init__(self, composer):
        self.composer = composer

    def __getattr__(self, name):
        return getattr(self.composer, name)

    def go_on(self, seeds, keys, bars, settings, max_bars=128):
        tossed = [jax.random.bernoulli(key, 0.5, (bars, 1)) for key in keys]
        return [np.asarray(np.broadcast_to(coins, (bars, 16)), np.uint8) for coins in tossed]


def heads_of(model, number):
    """What song `number` after tune 0 is, whatever else was asked for."""
    return modes.continue_(model, [seed_of(4)], 20, 9, WILD)[number - 1].bars[4:]


def test_the_seed_is_read_as_a_draw_from_q(composer):
    """With tau 0 nothing but the draw of the seed's latents tells two songs apart; sigma is moved far by the tests."""
    still = Settings(temperature=0.0, tau_pi=0.0, tau_sigma=0.0)
    seed = seed_of(4)
    mu, log_var = composer.codec.encode(seed.bars)
    draws = [draw_near((mu, log_var), key) for key in for_purpose(song_keys(0, range(2000)), Purpose.GIVEN)]
    standard = (np.stack(draws) - mu) / np.exp(log_var / 2)
    assert np.abs(standard.mean(axis=0)).max() < 0.1 and np.abs(standard.std(axis=0) - 1).max() < 0.08
    assert len({song.bars.tobytes() for song in modes.continue_(composer, seed, 6, 12, still)}) > 1
    assert len({song.bars.tobytes() for song in modes.compose(composer, 12, 6, still)}) == 1


@pytest.mark.more
def test_what_remembers_nothing_of_a_vae_and_of_a_composer_alike(composer, runs):
    """The free run and the VAE bar by bar, `songs` of each."""
    songs = modes.without_memory(open_model(runs / "vae"), 40, 3, WILD)
    assert [song.bars.shape for song in songs] == [(3, 16)] * 80
    for part, name in ((songs[:40], "vae-free-run"), (songs[40:], "vae-bar-by-bar")):
        assert [song.name for song in part] == [f"{n:02d}-{name}" for n in range(1, 41)]
        assert len({song.bars.tobytes() for song in part}) == 40 and not any(song.given.any() for song in part)
    assert not {song.bars.tobytes() for song in songs[:40]} & {song.bars.tobytes() for song in songs[40:]}
    assert same(modes.without_memory(composer, 1, 3, WILD, first=37), [songs[36], songs[76]])


def test_reconstruct_decodes_mu(composer):
    seed = seed_of(6)
    original, song = modes.reconstruct(composer, seed, GREEDY)
    codec = composer.codec
    mu, _ = codec.encode(seed.bars)
    assert np.array_equal(song.bars, codec.vae.apply(codec.params, mu, method="greedy"))
    assert np.array_equal(original.bars, seed.bars) and original.given.all() and not song.given.any()


def test_interpolate_goes_from_one_to_the_other(composer):
    a, b = seed_of(6), seed_of(4, 1)
    songs = modes.interpolate(composer, a, b, 3, "both", GREEDY)
    assert len(songs) == 6 and all(song.bars.shape == (4, 16) for song in songs)
    first, last = (modes.reconstruct(composer, seed, GREEDY)[1].bars[:4] for seed in (a, b))
    for path in (songs[:3], songs[3:]):
        assert np.array_equal(path[0].bars, first) and np.array_equal(path[-1].bars, last)
    assert len(modes.interpolate(composer, a, b, 4, "linear", GREEDY)) == 4
    for wrong, message in (({"steps": 1}, "steps is 1"), ({"path": "round"}, "path is 'round'")):
        with pytest.raises(UserError, match=message):
            modes.interpolate(composer, a, b, **wrong)


def test_infill_changes_the_missing_bars_alone(composer):
    seed = seed_of(12)
    songs = modes.infill(composer, seed, "1,5-8,12", 3, WILD)
    missing = np.array([0, 4, 5, 6, 7, 11])
    for song in songs:
        assert np.flatnonzero(~song.given).tolist() == missing.tolist()
        assert np.array_equal(song.bars[song.given], seed.bars[song.given])
        assert len(song.notes[f"effective sample size of {sequences.PARTICLES}"]) == 3
    assert len({song.bars[missing].tobytes() for song in songs}) == 3
    again = modes.infill(composer, seed, "1,5-8,12", 1, WILD, first=3)
    assert same(again, songs[2:])


def test_infill_keeps_the_bars_that_the_model_does_not_read(composer):
    tune = seed_of(20)
    (song,) = modes.infill(composer, part_of(tune, 6, 10), "8-9", 1, WILD)
    assert np.flatnonzero(~song.given).tolist() == [7, 8] and len(song.bars) == 20
    assert np.array_equal(song.bars[song.given], tune.bars[song.given])
    (alone,) = modes.infill(composer, tune._replace(bars=tune.bars[6:16]), "2-3", 1, WILD)
    assert np.array_equal(song.bars[7:9], alone.bars[1:3])
    for missing in ("6", "16-17", "8,18"):
        with pytest.raises(UserError, match=f"^missing='{missing}': bars 7 to 16 of the song are read"):
            modes.infill(composer, part_of(tune, 6, 10), missing, 1, WILD)


@pytest.mark.parametrize("text, gaps", [("5-8", [(4, 8)]), ("9-12,3", [(2, 3), (8, 12)]), (" 1 - 12 ", [(0, 12)])])
def test_missing_bars(text, gaps):
    assert modes.parse_missing(text, 12) == gaps


def test_missing_bars_are_typed_as_they_are_printed():
    pickup, pairs = Numbers(0), Numbers(1, Fraction(2))
    assert modes.parse_missing("0,5-6", 12, pickup) == [(0, 1), (5, 7)]
    assert modes.parse_missing("3-6", 12, pairs) == [(1, 3)]
    for text, numbers, told in (("12", pickup, "has bars 0 to 11"), ("4-5", pairs, "say 3-6"), ("3", pairs, "say 3-4")):
        with pytest.raises(UserError, match=told):
            modes.parse_missing(text, 12, numbers)


@pytest.mark.parametrize("text", ["", "5-", "a", "0", "13", "8-5", "5-13", "3,4", "1-5,5-6", "-3", "1.5"])
def test_missing_bars_that_cannot_be_meant(text):
    with pytest.raises(UserError, match="^missing="):
        modes.parse_missing(text, 12)


def test_vary_by_the_spread(composer):
    seed = seed_of(6)
    reconstruction = modes.reconstruct(composer, seed, GREEDY)[1].bars
    assert np.array_equal(modes.vary(composer, seed, 0.0, 1, GREEDY)[0].bars, reconstruction)
    near, far = (
        np.mean([np.mean(s.bars != reconstruction) for s in modes.vary(composer, seed, spread, 20, GREEDY)])
        for spread in (0.05, 5.0)
    )
    assert near < 0.5 * far
    with pytest.raises(UserError, match="spread is -1"):
        modes.vary(composer, seed, -1)


def test_other_settings_compile_nothing(composer):
    modes.compose(composer, 2, 9, WILD)
    compiled = bar_codec._one_bar._cache_size(), sequences._draw_block._cache_size()
    modes.compose(composer, 40, 17, Settings(0.3, 4, 0.9, 0.5, 0.5, 9))
    assert (bar_codec._one_bar._cache_size(), sequences._draw_block._cache_size()) == compiled


def test_what_a_vae_alone_cannot_do(runs):
    alone = open_model(runs / "vae")
    for mode, ability, make in (
        ("compose", "memory of bars", modes.compose),
        ("continue", "memory of bars", lambda model: modes.continue_(model, seed_of(3))),
        ("infill", "way to fill gaps", lambda model: modes.infill(model, seed_of(3), "2")),
    ):
        with pytest.raises(UserError) as error:
            make(alone)
        expected = (
            f"the VAE (bar by bar) has no {ability}, which {mode} needs: {runs / 'vae'} holds a VAE alone: let the"
        )
        assert str(error.value).startswith(expected)


def test_what_a_free_run_cannot_do_and_that_a_model_may_have_no_part_without_memory(runs):
    free = open_model(runs / "vae").kin()[0]
    for make in (
        lambda: modes.vary(free, seed_of(3)),
        lambda: modes.reconstruct(free, seed_of(3)),
        lambda: modes.interpolate(free, seed_of(3), seed_of(3)),
    ):
        with pytest.raises(UserError, match=r"^the VAE \(free run\) has no latents, which \w+ needs: take another"):
            make()
    ngrams = NGramComposer(NGrams.fit([seed_of(3).bars], 2, "add_one"), "bigram")
    with pytest.raises(UserError, match="^the bigram has no part without memory"):
        modes.without_memory(ngrams)


@pytest.mark.parametrize(
    "make",
    [
        lambda composer, seed: modes.continue_(composer, seed, 2, 1),
        lambda composer, seed: modes.infill(composer, seed, "2", 1),
        lambda composer, seed: modes.vary(composer, seed, songs=1),
        lambda composer, seed: modes.interpolate(composer, seed, seed),
        modes.reconstruct,
    ],
)
def test_seeds_with_pitches_that_the_model_cannot_say_are_refused(composer, make):
    bounded = dataclasses.replace(composer.codec, vae=make_vae(VAE_MODEL | {"min_pitch": 60}))
    with pytest.raises(UserError, match="'Tune 0' has pitches from 5. to 12., and .* knows those from 60 to 127"):
        make(dataclasses.replace(composer, codec=bounded), seed_of(3))


def test_counts_that_cannot_be_meant(composer):
    for wrong in ({"songs": 0}, {"bars": 0}, {"max_bars": 0}):
        with pytest.raises(UserError, match=f"^{next(iter(wrong))} is 0"):
            modes.compose(composer, **wrong)
    for first in (-1, 2**32 - 2):
        with pytest.raises(UserError, match=r"^songs have numbers from 0 to 2\^32 - 1"):
            modes.compose(composer, 3, 2, first=first)


OPTIMISED = """
import jax
from mcvae_jax.models import mdrnn, mixture_prior, vae
from mcvae_jax.models.bar_codec import BarCodec
from mcvae_jax.models.latent_composer import LatentComposer
from mcvae_jax.models.sequences import LatentPrior
from mcvae_jax.music.numbering import Numbers
from mcvae_jax.sampling import modes
from tests.sampling.test_modes import WILD, same, seed_of
network, prior = vae.VAE(units=96, latent=24), mixture_prior.MixturePrior(mdrnn.MDRNN(latent=24, units=96, recall=2))
params = jax.jit(vae.init, static_argnums=0)(network, jax.random.key(0))
prior_params = jax.jit(mixture_prior.init, static_argnums=0)(prior.network, jax.random.key(1))
composer = LatentComposer(BarCodec(network, params), LatentPrior(prior, prior_params))
songs = modes.continue_(composer, seed_of(7), 25, 300, WILD)
for n in (1, 33, 150, 257, 300):
    assert same(modes.continue_(composer, seed_of(7), 25, 1, WILD, first=n), songs[n - 1 : n]), n
print("identical")
"""


@pytest.mark.slow
def test_a_song_alone_and_in_the_middle_of_300_under_all_optimisations():
    """In a process of its own: the others are compiled without optimisation, which is what could tell rows apart."""
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    done = subprocess.run([sys.executable, "-c", OPTIMISED], env=environment, capture_output=True, text=True)
    assert done.stdout == "identical\n", done.stderr[-3000:]
