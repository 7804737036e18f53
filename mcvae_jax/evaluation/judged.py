"""Sets of composed songs judged beside the held-out songs of their corpus, and beside controls that are no music."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mcvae_jax.batches.songs import scored_songs
from mcvae_jax.corpus.store import HELD_OUT, TRAIN, Corpus
from mcvae_jax.errors import UserError
from mcvae_jax.evaluation import compare
from mcvae_jax.evaluation.classifiers import FOLDS
from mcvae_jax.evaluation.controls import HALF, control_sets, copied, halves
from mcvae_jax.evaluation.measures import MEASURES, Measure
from mcvae_jax.evaluation.music import GIVEN, musical_figures
from mcvae_jax.evaluation.scores import fit_ngrams

Say = Callable[[str], None]
Songs = list[np.ndarray]  # uint8 (n, T) each

FIXED_NGRAM = "Kneser-Ney 5-gram"  # under which the bits of sets are compared
BITS = "bits per bar"
HELD_OUT_SET = "held-out songs"
GOING_ON = "held-out songs (as they go on)"  # after their first bars


@dataclasses.dataclass(frozen=True)
class Plan:
    """How much is drawn and composed."""

    songs: int = 100  # of each composed set
    bars: int = 16  # of each song of the sets
    draws: int = 4  # of whole songs, for the bounds
    best_of: int = 0  # draws of a song by the sampler's defaults, of which the likeliest stays; 0 is the model's own
    seed: int = 0  # of everything that is drawn


class RealSongs(NamedTuple):
    """The songs of a corpus beside which composed ones are judged; excerpts are first bars, as many as a set's."""

    training: Songs  # whole
    held_out: Songs  # whole
    excerpts: Songs  # of the held-out songs
    reference: Songs  # half of the excerpts, from which distances are measured
    controls: dict[str, Songs]  # of as many songs as a set has that is judged
    measured: Songs  # training songs that no control copies
    whole: Songs  # held-out songs after whose first GIVEN bars models go on


def real_songs(corpus: Corpus, plan: Plan) -> RealSongs:
    """Those of a corpus; UserError where it has too few songs of `plan.bars` bars."""
    training_ids, held_out_ids = (scored_songs(corpus, side) for side in (TRAIN, HELD_OUT))
    training, held_out = ([corpus.song(i) for i in ids] for ids in (training_ids, held_out_ids))
    excerpts = [song[: plan.bars] for song in held_out if len(song) >= plan.bars]
    long_enough = [i for i in training_ids if corpus.lengths[i] >= plan.bars]
    if len(excerpts) < 2 * FOLDS or not long_enough:
        raise UserError(
            f"the corpus {corpus.folder} has {len(excerpts)} held-out and {len(long_enough)} training songs of"
            f" {plan.bars} bars or more, and {2 * FOLDS} and 1 are needed; give fewer --bars, or train on more songs"
        )
    rng = np.random.default_rng(plan.seed)
    reference, other = halves(excerpts, rng)
    size = min(plan.songs, len(other))
    copies_of = copied(len(long_enough), size, rng)
    controls = control_sets(other[:size], [corpus.song(i)[: plan.bars] for i in long_enough], copies_of, rng)
    unseen = {long_enough[i] for i in copies_of}
    measured = [corpus.song(i) for i in training_ids if i not in unseen] or training
    whole = [song for song in held_out if len(song) > GIVEN][: plan.songs]
    return RealSongs(training, held_out, excerpts, reference, controls, measured, whole)


def judge(
    composed: Mapping[str, Songs],
    blind: Mapping[str, Songs],
    gone_on: Mapping[str, Songs],
    real: RealSongs,
    corpus: Corpus,
    plan: Plan,
    encode: compare.Encode | None,
    say: Say,
) -> dict[str, Any]:
    """Sets of composed songs beside real ones and controls, as JSON.

    Args:
      composed: songs of `plan.bars` bars by the name of their set.
      blind: the same, further controls.
      gone_on: songs that begin with the first GIVEN bars of those of `real.whole`, in their order.
      encode: `plan.bars` bars of songs -> latents, for distances in these.

    Returns: 'kinds', 'sets', 'flags', 'copies' and 'music', see `evaluate`.
    """
    size = len(real.controls[HALF])
    controls = {**real.controls, **blind}
    sets = compare.compare_sets(
        real.reference,
        {name: songs[:size] for name, songs in ({**composed, **controls}).items()},
        song_measures(real.measured),
        encode,
        plan.seed,
        say,
    )
    continued = {GOING_ON: real.whole, **gone_on}
    say("what is copied from the training songs")
    beside = dict.fromkeys([*composed, *controls], (HELD_OUT_SET, False)) | dict.fromkeys(gone_on, (GOING_ON, True))
    all_ids = corpus.songs(TRAIN)
    names = [record["name"] for record in corpus.records()]
    copies = compare.compare_copies(
        {
            HELD_OUT_SET: real.excerpts,
            **composed,
            **{name: _after(songs) for name, songs in continued.items()},
            **controls,
        },
        beside,
        [corpus.song(i) for i in all_ids],
        [names[i] for i in all_ids],
        plan.seed,
    )
    return {
        "kinds": {
            "models": list(composed),
            "controls": list(controls),
            "continued": list(gone_on),
            "held_out": HELD_OUT_SET,
        },
        "sets": sets,
        "flags": compare.lost_to(sets["sets"], list(composed), list(controls)),
        "copies": copies,
        "music": [
            musical_figures(GOING_ON, continued, GIVEN, plan.seed),
            musical_figures(HELD_OUT_SET, {HELD_OUT_SET: real.excerpts, **composed}, 0, plan.seed, ended=False),
        ],
    }


def _after(songs: Songs) -> Songs:
    """What follows the given bars."""
    return [song[GIVEN:] for song in songs]


def song_measures(training: Sequence[np.ndarray]) -> dict[str, Measure]:
    """The measures of a song, its bits per bar under a fixed n-gram first."""
    ngrams = fit_ngrams(training, [FIXED_NGRAM])[FIXED_NGRAM].ngrams
    return {BITS: lambda song: ngrams.bits(song) / len(song), **MEASURES}
