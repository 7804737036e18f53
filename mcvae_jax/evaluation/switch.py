"""The copy switch of a corpus: fitted to its training songs under n-grams that have not seen them."""

from collections.abc import Mapping, Sequence

import numpy as np

from mcvae_jax.evaluation.scores import WITH_COPIES
from mcvae_jax.models.copying import Copying, Switch, fit_switch
from mcvae_jax.models.ngram_composer import NGramComposer
from mcvae_jax.models.ngrams import NGrams
from mcvae_jax.models.song_model import EXACT, SongModel, Weighed

ORDER, FOLDS = 5, 2


def corpus_switch(training: Sequence[np.ndarray], seed: int = 0) -> Switch:
    """A switch for any model of a corpus, from its training songs, uint8 (n, T) each; the same for the same seed.

    Models know training songs better than others, so that a switch fitted under them would find too little to copy.
    Here each half of the songs costs what a Kneser-Ney n-gram of the other half says. What a new bar costs then hardly
    counts: where a bar repeats one, a copy costs a bit or two and a new bar twenty.
    """
    half = np.random.default_rng(seed).permutation(len(training)) % FOLDS
    log_p: dict[int, np.ndarray] = {}
    for fold in range(FOLDS):
        scored, others = (np.flatnonzero(chosen).tolist() for chosen in (half == fold, half != fold))
        if not scored:  # of one song
            continue
        ngrams = NGrams.fit([training[i] for i in others or scored], ORDER, "kneser_ney")
        model = NGramComposer(ngrams, "of the other half", training[0].shape[1])
        log_p |= {i: -nats for i, nats in zip(scored, model.nats([training[i] for i in scored]), strict=True)}
    return fit_switch(training, [log_p[i] for i in range(len(training))])


def with_switch(models: Mapping[str, SongModel], switch: Switch) -> dict[str, SongModel]:
    """Each model that can be mixed with copies, in the switch, by its name and WITH_COPIES."""
    return {
        name + WITH_COPIES: Copying(model, switch)
        for name, model in models.items()
        if model.likelihood == EXACT or isinstance(model, Weighed)
    }
