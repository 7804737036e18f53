"""With whom models are compared where the first has no likelihood."""

import numpy as np

from mcvae_jax.evaluation.scores import MODEL, NGRAM, score_models
from mcvae_jax.models.dice import Dice
from mcvae_jax.models.ngram_composer import NGramComposer
from mcvae_jax.models.ngrams import NGrams


def test_the_first_model_with_a_likelihood_is_the_one_that_others_are_compared_with():
    songs = [np.random.default_rng(seed).integers(60, 64, (6, 16)).astype(np.uint8) for seed in range(4)]
    ngrams = {
        name: NGramComposer(NGrams.fit(songs, order, "add_one"), name) for order, name in ((1, "one"), (2, "two"))
    }
    dice = {"dice": Dice.of(songs, 2)}
    for roles in ({MODEL: dice, NGRAM: ngrams}, {MODEL: dice | ngrams}):
        scores = score_models(roles, songs, 1, 0, lambda line: None)
        assert scores["subject"] == "one" and list(scores["rows"]) == ["one", "two"]
        assert scores["rows"]["one"]["beyond"]["value"] == 0
