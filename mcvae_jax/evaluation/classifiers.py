"""The classifier two-sample test (Lopez-Paz and Oquab 2017, arXiv:1610.06545): can two sets of songs be told apart?

Two classifiers are asked in the same way. The simple one is logistic regression on some measures of a song; the strong
one is gradient boosting on the hundreds of `figures.py`. scikit-learn takes as long to import as the rest of a command,
and is imported when it is asked. Letters: S and R songs of two sets, F figures of a song.
"""

from typing import Any

import numpy as np
from scipy.stats import binomtest

from mcvae_jax.evaluation.figures import Figures
from mcvae_jax.evaluation.sets import LEVEL

FOLDS = 5
ROUNDS = 4  # of cross-validation, each with other songs of the larger set and other folds
COMMONEST = 400  # n-grams that the strong one sees
TREES = 100  # of the strong one


def simple(a: np.ndarray, b: np.ndarray, seed: int = 0) -> dict[str, Any]:
    """`two_sample_test` by logistic regression on figures, (S, F) and (R, F), and their squares, standardised."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    squares = FunctionTransformer(lambda x: np.hstack([x, x**2]))
    return two_sample_test(make_pipeline(StandardScaler(), squares, StandardScaler(), LogisticRegression()), a, b, seed)


def strong(a: Figures, b: Figures, seed: int = 0) -> dict[str, Any]:
    """`two_sample_test` by gradient boosting of small trees, each split among a tenth of the figures.

    Of the n-grams it sees those that are commonest in the songs to which it is fitted, of both sets: chosen with an eye
    on the songs that are asked about, or as the commonest of one set alone, they would tell like sets apart.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.feature_selection import SelectKBest
    from sklearn.pipeline import make_pipeline

    grams = DictVectorizer(sparse=False).fit_transform([*a.grams, *b.grams])
    count = grams.shape[1]  # 0 where all songs are silent
    commonest = SelectKBest(lambda x, label: x.sum(axis=0), k=min(COMMONEST, count)) if count else "drop"
    chosen = ColumnTransformer([("n-grams", commonest, slice(count))], remainder="passthrough")
    boosted = HistGradientBoostingClassifier(
        max_iter=TREES, max_leaf_nodes=4, min_samples_leaf=3, max_features=0.1, early_stopping=False, random_state=0
    )
    both = np.hstack([grams, np.concatenate([a.others, b.others])])
    return two_sample_test(make_pipeline(chosen, boosted), both[: len(a.grams)], both[len(a.grams) :], seed)


def two_sample_test(classifier: Any, a: np.ndarray, b: np.ndarray, seed: int) -> dict[str, Any]:
    """The share of songs whose set a classifier tells rightly: 0.5 is chance, 1 tells them all.

    Sets are made equal by drawing from the larger one. The classifier is fitted to four fifths of the songs and asked
    about the others, five times; ROUNDS times, each with other draws, since one draw of a few songs says little.

    Args:
      classifier: of scikit-learn.
      a, b: the figures of the songs of two sets, (S, F) and (R, F), S and R at least FOLDS.
      seed: of who is drawn, and in which fifth.

    Returns: 'value', and 'interval', the exact binomial one (Clopper and Pearson 1934) of so many right answers about
      the songs of one round.
    """
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from threadpoolctl import threadpool_limits

    rng, size = np.random.default_rng(seed), min(len(a), len(b))
    label, right = np.repeat([0, 1], size), []
    with threadpool_limits(1):  # threads cost more than they save on so few songs
        for _ in range(ROUNDS):
            songs = np.concatenate([x[rng.permutation(len(x))[:size]] for x in (a, b)])
            folds = StratifiedKFold(FOLDS, shuffle=True, random_state=int(rng.integers(2**31)))
            right.append(np.mean(cross_val_predict(classifier, songs, label, cv=folds) == label))
    share = float(np.mean(right))
    ends = binomtest(round(share * 2 * size), 2 * size).proportion_ci(LEVEL)
    return {"value": share, "interval": (float(ends.low), float(ends.high))}
