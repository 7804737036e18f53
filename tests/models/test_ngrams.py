"""N-grams against nltk, against counting with dicts, against sums by hand, and against a source of known entropy."""

import math
from collections import Counter

import numpy as np
import pytest

from mcvae_jax.errors import UserError
from mcvae_jax.models import ngrams
from mcvae_jax.models.ngrams import SMOOTHINGS, NGrams, thesis_score
from mcvae_jax.music.tokens import NO_EVENT, OUTCOMES, START

ORDERS = range(1, 9)


def some_songs(seed, count, tokens=7, bars=3):
    """Songs over a few tokens, with much that repeats: each uint8 (bars, 16)."""
    rng = np.random.default_rng(seed)
    alphabet = rng.choice(OUTCOMES, tokens, replace=False)
    songs = []
    for _song in range(count):
        flat = [int(rng.integers(tokens))]
        while len(flat) < 16 * bars:
            flat.append((flat[-1] + int(rng.choice([0, 1, 1, 1, 2, 5]))) % tokens)
        songs.append(alphabet[flat].reshape(bars, 16).astype(np.uint8))
    return songs


def padded_grams(song, length, order):
    """Tuples of `length` that end at each token of a song after order - 1 START tokens."""
    tokens = [START] * (order - 1) + [int(token) for token in song.ravel()]
    return [tuple(tokens[i - length + 1 : i + 1]) for i in range(order - 1, len(tokens))]


def chen_goodman_discounts(counts):
    """Chen and Goodman 1999, section 3, as (D1, D2, D3+); 0.5, 1 and 1.5 where that is no discount."""
    n = Counter(counts)
    if not (n[1] and n[2] and n[3]):
        return 0.5, 1.0, 1.5
    y = n[1] / (n[1] + 2 * n[2])
    found = tuple(k - (k + 1) * y * n[k + 1] / n[k] for k in (1, 2, 3))
    return found if min(found) > 0 else (0.5, 1.0, 1.5)


class Counted:
    """The three smoothings by their definitions, one dict for each length of gram."""

    def __init__(self, songs, order, smoothing):
        self.order, self.smoothing = order, smoothing
        self.n = {k: Counter(g for song in songs for g in padded_grams(song, k, order)) for k in range(1, order + 1)}
        if smoothing == "kneser_ney":
            self.n[order] = Counter(g for song in songs for g in set(padded_grams(song, order, order)))
            for k in range(1, order):
                self.n[k] = Counter(gram[1:] for gram in self.n[k + 1])
            self.discounts = {k: chen_goodman_discounts(self.n[k].values()) for k in self.n}
        self.followers = {k: {} for k in self.n}
        for k, counts in self.n.items():
            for gram, count in counts.items():
                self.followers[k].setdefault(gram[:-1], []).append(count)

    def p(self, context, token):
        if self.smoothing == "add_one":
            seen = sum(self.followers[self.order].get(context, []))
            return (self.n[self.order][(*context, token)] + 1) / (seen + OUTCOMES)
        k = len(context) + 1
        shorter = self.p(context[1:], token) if context else 1 / OUTCOMES
        after = self.followers[k].get(context)
        if after is None:
            return shorter
        count = self.n[k][(*context, token)]
        if self.smoothing == "witten_bell":
            return (count + len(after) * shorter) / (sum(after) + len(after))
        take = [0, *self.discounts[k]]
        reserved = sum(take[min(c, 3)] for c in after)
        return (count - take[min(count, 3)] + reserved * shorter) / sum(after)

    def token_bits(self, song):
        return [-math.log2(self.p(gram[:-1], gram[-1])) for gram in padded_grams(song, self.order, self.order)]


def distribution(model, before):
    """p of each of the 130 outcomes after the tokens `before`, by scoring 130 songs: (130,)."""
    songs = [np.array([*before, token], np.uint8) for token in range(OUTCOMES)]
    return 2 ** -model.token_bits(songs).reshape(OUTCOMES, -1)[:, -1]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_bits_are_those_of_counting_with_dicts(order, smoothing):
    songs = some_songs(0, 12)
    train, others = songs[:9], songs[9:] + some_songs(1, 1)  # the last holds tokens that training songs do not
    model, counted = NGrams.fit(train, order, smoothing), Counted(train, order, smoothing)
    expected = [counted.token_bits(song) for song in others]
    np.testing.assert_allclose(model.token_bits(others), np.concatenate(expected), rtol=1e-12)
    np.testing.assert_allclose(model.bits_of(others), [sum(bits) for bits in expected], rtol=1e-12)
    assert model.bits(others[0]) == model.bits_of(others)[0]


def test_the_songs_of_that_test_give_usual_and_estimated_discounts():
    """Otherwise it would say nothing of one of the two."""
    usual = {d == (0.5, 1.0, 1.5) for d in Counted(some_songs(0, 12)[:9], 5, "kneser_ney").discounts.values()}
    assert usual == {True, False}


@pytest.fixture
def nltk_lm():
    return pytest.importorskip("nltk.lm")


def nltk_model(nltk_lm, kind, order, songs, once=False, **settings):
    """129 words and nltk's unknown word make our 130 outcomes; grams are counted without its end of sentence.

    once: each gram once a song.
    """
    grams = [[g for k in range(1, order + 1) for g in padded_grams(song, k, order)] for song in songs]
    if once:
        grams = [sorted(set(of_song)) for of_song in grams]
    vocabulary = nltk_lm.Vocabulary(range(OUTCOMES - 1))
    return kind(order=order, vocabulary=vocabulary, counter=nltk_lm.NgramCounter(grams), **settings)


def nltk_bits(model, song, order):
    return [-math.log2(model.unmasked_score(g[-1], g[:-1])) for g in padded_grams(song, order, order)]


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_add_one_is_nltks_laplace(nltk_lm, order):
    *train, song = some_songs(2, 5)
    theirs = nltk_model(nltk_lm, nltk_lm.Laplace, order, train)
    bits = NGrams.fit(train, order, "add_one").token_bits([song])
    np.testing.assert_allclose(bits, nltk_bits(theirs, song, order), rtol=1e-12)


@pytest.mark.parametrize("order", [2, 3, 5])
def test_witten_bell_is_nltks_above_unigrams(nltk_lm, order):
    """nltk does not smooth unigrams; ours are put into its place."""
    *train, song = some_songs(2, 5)
    theirs = nltk_model(nltk_lm, nltk_lm.WittenBellInterpolated, order, train)
    n = theirs.counts.unigrams
    theirs.estimator.unigram_score = lambda token: (n[token] + n.B() / OUTCOMES) / (n.N() + n.B())
    bits = NGrams.fit(train, order, "witten_bell").token_bits([song])
    np.testing.assert_allclose(bits, nltk_bits(theirs, song, order), rtol=1e-12)


@pytest.mark.parametrize("order", [2, 3, 5])
def test_kneser_ney_with_one_discount_is_nltks_above_unigrams(nltk_lm, order, monkeypatch):
    """nltk has one given discount for all counts and orders, and takes none from unigrams."""
    discount = 0.7
    monkeypatch.setattr(ngrams, "_discounts", lambda counts: np.full(3, discount))
    *train, song = some_songs(2, 5)
    theirs = nltk_model(nltk_lm, nltk_lm.KneserNeyInterpolated, order, train, once=True, discount=discount)
    types = theirs.counts.unigrams.B()

    def unigram(token):
        count, total = theirs.estimator._continuation_counts(token)
        return (max(count - discount, 0) + discount * types / OUTCOMES) / total

    theirs.estimator.unigram_score = unigram
    bits = NGrams.fit(train, order, "kneser_ney").token_bits([song])
    np.testing.assert_allclose(bits, nltk_bits(theirs, song, order), rtol=1e-12)


def test_discounts_by_hand():
    """n1, n2, n3, n4 = 4, 2, 1, 1: Y = 1/2, D1 = 1/2, D2 = 5/4, D3 = 1, reserved 4/2 + 2 * 5/4 + 2 = 13/2 of 15.

    Tokens 0 to 7 stand in 1, 1, 1, 1, 2, 2, 3 and 4 of the songs; how often in each does not count.
    """
    songs = [np.flatnonzero(np.array([1, 1, 1, 1, 2, 2, 3, 4]) > song).astype(np.uint8) for song in range(4)]
    songs[0] = np.repeat(songs[0], 3)
    floor = 6.5 / 15 / 130
    expected = [0.5 / 15 + floor, 0.75 / 15 + floor, 2 / 15 + floor, 3 / 15 + floor, floor]
    p = distribution(NGrams.fit(songs, 1, "kneser_ney"), [])
    np.testing.assert_allclose(p[[0, 4, 6, 7, 8]], expected, rtol=1e-12)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_probabilities_sum_to_one_and_none_is_zero(order, smoothing):
    train = some_songs(3, 6)
    model = NGrams.fit(train, order, smoothing)
    seen, unseen = train[0].ravel(), np.setdiff1d(np.arange(OUTCOMES), np.unique(train))
    contexts = [[], seen[:1], seen[:3], seen[5:15], unseen[:9], [*unseen[:4], *seen[:4]], [*seen[:4], *unseen[:4]]]
    for context in contexts:
        p = distribution(model, context)
        assert p.sum() == pytest.approx(1, abs=1e-12) and p.min() > 0


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_songs_stand_alone_and_bars_do_not(smoothing):
    songs = some_songs(4, 6)
    model = NGrams.fit(songs[:4], 5, smoothing)
    np.testing.assert_array_equal(model.bits_of(songs), [model.bits(song) for song in songs])
    np.testing.assert_array_equal(NGrams.fit(songs[3::-1], 5, smoothing).bits_of(songs), model.bits_of(songs))
    flat = [song.ravel() for song in songs]
    np.testing.assert_array_equal(NGrams.fit(flat[:4], 5, smoothing).bits_of(flat), model.bits_of(songs))
    bars = NGrams.fit([bar for song in songs[:4] for bar in song], 5, smoothing)
    assert bars.bits(songs[5]) != model.bits(songs[5]) != sum(model.bits(bar) for bar in songs[5])


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_a_song_given_twice_counts_twice(smoothing):
    songs = some_songs(5, 6)
    train = [*songs[:5], songs[0]]
    model = NGrams.fit(train, 4, smoothing)
    assert model.bits(songs[5]) == pytest.approx(sum(Counted(train, 4, smoothing).token_bits(songs[5])), rel=1e-12)
    if smoothing != "kneser_ney":  # whose discounts change, too
        assert model.bits(songs[0]) < NGrams.fit(songs[:5], 4, smoothing).bits(songs[0])


@pytest.mark.parametrize("smoothing, limit", [("add_one", 0.15), ("witten_bell", 0.03), ("kneser_ney", 0.03)])
def test_more_songs_of_a_source_come_closer_to_its_entropy(smoothing, limit):
    """A chain of order 2 over 6 tokens. The true source needs fewest bits; the excess shrinks as songs are added.

    Of 32,000 tokens about 900 stand after each of 36 contexts; add-one adds 130 to these, 124 of them for nothing:
    log2(1 + 130 / 900) = 0.2 of 1.7 bits.
    """
    rng = np.random.default_rng(6)
    source = rng.dirichlet(np.full(6, 0.5), (6, 6))
    tokens = np.zeros((420, 82), np.int64)
    for i in range(2, 82):
        chances = source[tokens[:, i - 2], tokens[:, i - 1]].cumsum(-1)
        tokens[:, i] = np.minimum((rng.random((420, 1)) > chances).sum(-1), 5)
    songs, held_out = tokens[:400].astype(np.uint8), tokens[400:].astype(np.uint8)
    true_bits = -np.log2(source[tokens[400:, :-2], tokens[400:, 1:-1], tokens[400:, 2:]]).sum(-1)

    def excess(order, count):
        """Bits above the true source's, relative; the two given tokens cost nothing that matters."""
        model = NGrams.fit(songs[:count], order, smoothing)
        return model.token_bits(held_out).reshape(20, 82)[:, 2:].sum() / true_bits.sum() - 1

    few, some, many = (excess(3, count) for count in (4, 40, 400))
    assert few > 2 * some > 4 * many > 0
    assert many < limit
    assert min(excess(1, 400), excess(2, 400)) > 0.1  # shorter contexts do not tell enough


def test_the_thesis_score_divides_76_grams_by_80_tokens():
    """Contexts that were never seen give 1/130 to every token, so the score is 130^(-76/80) and not 1/130."""
    model = NGrams.fit([np.zeros(80, np.uint8)], 5, "add_one")
    assert thesis_score(model, np.ones((5, 16), np.uint8)) == pytest.approx(130 ** (-76 / 80), rel=1e-12)
    with pytest.raises(ValueError, match="4 tokens hold no gram of 5"):
        thesis_score(model, np.ones(4, np.uint8))


def test_the_thesis_score_counts_without_padding():
    """Grams within the songs alone, counted and scored, as published; exp of natural logarithms."""
    *train, song = some_songs(7, 6, bars=5)
    grams = Counter(tuple(flat[i : i + 5]) for flat in map(np.ravel, train) for i in range(76))
    contexts = Counter()
    for gram, count in grams.items():
        contexts[gram[:4]] += count
    flat = song.ravel()
    scored = [tuple(flat[i : i + 5]) for i in range(76)]
    logs = [math.log((grams[gram] + 1) / (contexts[gram[:4]] + 130)) for gram in scored]
    expected = math.exp(sum(logs) / 80)
    assert thesis_score(NGrams.fit(train, 5, "add_one"), song) == pytest.approx(expected, rel=1e-12)


def test_silence_wins_the_thesis_score_on_the_songs_that_it_was_fitted_to():
    """Which is why it is no measure of quality: melodies of held notes, each song different."""
    rng = np.random.default_rng(8)
    songs = np.full((50, 5, 16), NO_EVENT, np.uint8)
    songs[:, :, ::4] = rng.integers(48, 84, (50, 5, 4))
    songs[:, 0] = NO_EVENT  # as many melodies, they begin with a rest
    model = NGrams.fit(songs, 5, "add_one")
    silence = thesis_score(model, np.full((5, 16), NO_EVENT, np.uint8))
    assert silence > max(thesis_score(model, song) for song in songs)


def test_mistakes_are_named():
    songs = some_songs(9, 2)
    with pytest.raises(UserError, match="from 1 to 8"):
        NGrams.fit(songs, 9, "add_one")
    with pytest.raises(UserError, match="smoothing='laplace' is unknown; choose add_one"):
        NGrams.fit(songs, 5, "laplace")
    with pytest.raises(UserError, match="no songs"):
        NGrams.fit([], 5, "add_one")
    with pytest.raises(ValueError, match="from 0 to 129, not 130"):
        NGrams.fit([np.array([60, START], np.uint8)], 5, "add_one")


def test_a_song_without_bars_costs_nothing():
    songs = some_songs(9, 3)
    model = NGrams.fit(songs[:2], 3, "witten_bell")
    np.testing.assert_array_equal(model.bits_of([songs[2], songs[2][:0]]), [model.bits(songs[2]), 0])
