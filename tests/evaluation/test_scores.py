"""With whom models are compared where the first has no likelihood."""

import numpy as np
import pytest

from mcvae_jax.errors import UserError
from mcvae_jax.evaluation.evaluation import evaluate
from mcvae_jax.evaluation.judged import Plan
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


def test_models_without_likelihood_alone_are_told_before_any_work():
    dice = Dice.of([np.zeros((2, 16), np.uint8)], 2)
    with pytest.raises(UserError, match="dice: without a likelihood there is no report"):
        evaluate({"dice": dice}, None, Plan(), None, lambda line: None)
