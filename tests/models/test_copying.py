"""The copy switch by exhaustion, by definition in loops, against a source that copies as it says, and what it draws."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import chisquare

from mcvae_jax.evaluation.switch import corpus_switch, with_switch
from mcvae_jax.models.copying import LAGS, PHRASE, RUNS, Copying, Switch, find_matches, fit_switch, switch_log_p
from mcvae_jax.models.latent_composer import FreeRun
from mcvae_jax.models.ngram_composer import NGramComposer
from mcvae_jax.models.ngrams import NGrams
from mcvae_jax.models.settings import Settings
from mcvae_jax.music.tokens import OUTCOMES
from tests.draws import keys_of
from tests.known_songs import a_codec

pytestmark = pytest.mark.more


def some_switch(seed=0, size=1.0):
    rng = np.random.default_rng(seed)
    shapes = (LAGS, len(RUNS), PHRASE, len(RUNS))
    return Switch(*(jnp.asarray(size * rng.normal(size=n), jnp.float32) for n in shapes))


def some_songs(lengths, steps=1, tokens=3, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(60, 60 + tokens, (n, steps)).astype(np.uint8) for n in lengths]


def a_model(steps=1):
    songs = some_songs([30, 40], steps, seed=9)
    return NGramComposer(NGrams.fit(songs, 3, "kneser_ney"), "Kneser-Ney 3-gram", steps)


def log_p_by_loops(switch, song, log_model):
    """log p of each bar of a song, by the formula of the docstring."""
    bars = [bytes(bar) for bar in song]
    found = []
    for t, bar in enumerate(bars):

        def run(lag, length, t=t):
            """Whether the `length` bars before bar t were each the same as the one `lag` bars before it."""
            return all(t - k - lag >= 0 and bars[t - k] == bars[t - k - lag] for k in range(1, length + 1))

        lags, weights = range(1, min(t, LAGS) + 1), list(zip(RUNS, switch.by_run, switch.any_run, strict=True))
        logits = [
            float(switch.by_lag[lag - 1]) + sum(float(weight) for length, weight, _ in weights if run(lag, length))
            for lag in lags
        ]
        new = float(switch.of_new[t % PHRASE])
        new += sum(float(weight) for length, _, weight in weights if any(run(lag, length) for lag in lags))
        total = logsumexp([new, *logits])
        copies = [logit for lag, logit in zip(lags, logits, strict=True) if bars[t - lag] == bar]
        found.append(logsumexp([new + log_model[t], *copies]) - total)
    return found


def test_it_costs_what_the_formula_says():
    model, switch = a_model(), some_switch()
    for song in some_songs([1, 7, 40, 150]):
        expected = log_p_by_loops(switch, song, -model.nats([song])[0])
        np.testing.assert_allclose(-Copying(model, switch).nats([song])[0], expected, rtol=1e-4, atol=1e-5)


def test_all_songs_together_have_a_chance_of_one():
    """All 130^2 songs of two bars of a step; and all 130 bars that may follow songs of 3, 9 and 140 bars."""
    copying = Copying(a_model(), some_switch())
    every = [np.array(song, np.uint8)[:, None] for song in itertools.product(range(OUTCOMES), repeat=2)]
    assert np.exp(-np.array([each.sum() for each in copying.nats(every)])).sum() == pytest.approx(1, abs=1e-4)
    for before in some_songs([3, 9, 140], seed=3):
        songs = [np.concatenate([before, np.full((1, 1), token, np.uint8)]) for token in range(OUTCOMES)]
        assert np.exp([-each[-1] for each in copying.nats(songs)]).sum() == pytest.approx(1, abs=1e-4)


def test_what_follows_changes_no_cost():
    copying, (song,) = Copying(a_model(2), some_switch()), some_songs([30], steps=2)
    whole = copying.nats([song])[0]
    for end in (1, 8, 29):
        np.testing.assert_allclose(copying.nats([song[:end]])[0], whole[:end], rtol=1e-5)


def drawn_songs(switch, model, count, bars, seed=0):
    nothing = [np.empty((0, model.steps), np.uint8)] * count
    return Copying(model, switch).go_on(nothing, keys_of(count, seed), bars, Settings(temperature=1.0))


def test_bars_are_drawn_with_the_chances_that_it_says():
    """The bar that follows one seed, 3,000 times, beside exp(-nats) of each; chi-squared by scipy."""
    model, switch = a_model(), some_switch(2)
    copying, (seed,) = Copying(model, switch), some_songs([12], seed=5)
    made = np.stack(copying.go_on([seed] * 3000, keys_of(3000), 1, Settings(temperature=1.0)))[:, 0, 0]
    songs = [np.concatenate([seed, np.full((1, 1), token, np.uint8)]) for token in range(OUTCOMES)]
    expected = len(made) * np.exp([-each[-1] for each in copying.nats(songs)])
    common = expected >= 5
    assert common.sum() >= 3
    counts = np.bincount(made, minlength=OUTCOMES)
    pooled = [np.append(each[common], each[~common].sum() + 1e-9) for each in (counts, expected)]
    assert chisquare(pooled[0], pooled[1] * pooled[0].sum() / pooled[1].sum()).pvalue > 1e-4


def test_repetition_multiplies_the_odds_of_a_copy():
    switch, (seed,) = some_switch(2), some_songs([12], seed=5)
    found = find_matches([np.concatenate([seed, seed[:1]])])
    p_new = float(np.exp(switch_log_p(switch, found.runs, found.bar)[0][-1]))
    rare = NGramComposer(
        NGrams.fit([np.full((40, 1), 100, np.uint8)], 1, "add_one"), "of others", 1
    )  # no bar of the seed
    for repetition in (0.25, 1.0, 4.0):
        settings = Settings(temperature=0.0, repetition=repetition)  # a new bar is 100
        made = Copying(rare, switch).go_on([seed] * 2000, keys_of(2000), 1, settings)
        share = np.mean([song[0, 0] == 100 for song in made])
        expected = p_new / (p_new + repetition * (1 - p_new))
        assert share == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / 2000))


@pytest.mark.slow
def test_the_fit_finds_a_switch_as_good_as_the_one_that_made_the_songs():
    """Songs of a source that copies the bar 4 or 8 before, in held-out nats a bar."""
    by_lag = np.full(LAGS, -6.0)
    by_lag[[3, 7]] = 1.0, 0.0
    truth = Switch(
        *(jnp.asarray(x, jnp.float32) for x in (by_lag, [1.0, 1.0, 0.0], np.linspace(1, 0, 8), [0.0, 0.5, 0.0]))
    )
    model = NGramComposer(NGrams.fit(some_songs([2000], steps=2, tokens=30, seed=1), 1, "kneser_ney"), "unigram", 2)
    songs = drawn_songs(truth, model, 96, 64)
    fitted = fit_switch(songs[:64], [-each for each in model.nats(songs[:64])])
    costs = [np.concatenate(Copying(model, switch).nats(songs[64:])).mean() for switch in (truth, fitted)]
    alone = np.concatenate(model.nats(songs[64:])).mean()
    assert costs[1] < costs[0] + 0.03 < alone - 1


def test_the_switch_of_a_corpus_has_not_seen_what_its_n_grams_score():
    """Songs that stand twice, so that an n-gram that has seen them finds nothing new; the same again for a seed."""
    songs = [np.concatenate([song, song]) for song in some_songs([8] * 40, steps=4, tokens=40, seed=2)]
    switch, again = corpus_switch(songs), corpus_switch(songs)
    assert all(np.array_equal(a, b) for a, b in zip(switch, again, strict=True))
    found = find_matches(songs[:1])
    log_new, log_lags = switch_log_p(switch, found.runs, found.bar)
    assert np.all(np.exp(log_new[:8]) > 0.9) and np.all(np.exp(log_lags[9:16, 7]) > 0.9)


def test_a_corpus_of_one_training_song_has_a_switch():
    (song,) = some_songs([12], steps=4)
    assert all(np.isfinite(part).all() for part in corpus_switch([song]))


def test_models_without_a_likelihood_have_no_switch():
    models = {"free run": FreeRun(a_codec()), "n-gram": a_model()}
    assert list(with_switch(models, some_switch())) == ["n-gram + copy"]
