"""The figures of one run: those of its held-out results, and what its free compositions are like beside real songs.

Of `songs` compositions of BARS bars, by the sampler's defaults and as the models were trained, every measure of the
report (evaluation/measures.py, and the bits under a 5-gram of the run's own training songs) is kept song by song, with
its mean and its Wasserstein-1 distance to the first BARS bars of the held-out songs that have as many.
"""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import wasserstein_distance

from mcvae_jax import stages
from mcvae_jax.batches.songs import scored_songs
from mcvae_jax.corpus.store import HELD_OUT, TRAIN, Corpus
from mcvae_jax.errors import UserError
from mcvae_jax.evaluation.judged import song_measures as training_measures
from mcvae_jax.evaluation.measures import Measure, measure_songs, repeats_by_lag
from mcvae_jax.kinds import open_model
from mcvae_jax.models.settings import AS_TRAINED, DEFAULTS
from mcvae_jax.models.song_model import MEMORY, SongModel, main_origin
from mcvae_jax.music.bars import distinct_bars
from mcvae_jax.sampling import modes
from mcvae_jax.storage.jsonfile import read_json, read_or_none, write_json
from mcvae_jax.storage.workdir import Workdir
from mcvae_jax.trained import open_corpus

Say = Callable[[str], None]
Scores = dict[str, Any]  # scores.json
Songs = Sequence[np.ndarray]  # uint8 (n, 16) each

BARS = 32
LAGS = 16  # bars; a curve of repetition goes so far
REAL = "held-out songs"
SETTINGS = {"defaults": DEFAULTS, "as trained": AS_TRAINED}


def score_run(folder: Path, songs: int, arguments: list[str], say: Say) -> dict[str, Any]:
    """Scores a finished run and writes scores.json into its workdir, where that does not stand yet.

    Returns:
      'figures', one number by name; 'sets' by name (REAL and those of SETTINGS, {} without an MDRNN), see
      `describe`; 'songs' and 'arguments', which ask for it, 'models', the identities of the checkpoints.
    """
    model = open_model(folder)
    models = [origin.identity for origin in model.origins.values()]
    asked = {"songs": songs, "arguments": arguments, "models": models}
    path = folder / "scores.json"
    kept = read_or_none(path, Scores, say, "the run is scored anew") or {}
    if all(kept.get(name) == value for name, value in asked.items()):
        return kept
    figures, sets = held_out_figures(folder), {}
    if MEMORY in model.abilities:
        say(f"composing {songs} songs of {BARS} bars in each of {len(SETTINGS)} ways")
        sets = compare_sets(model, open_corpus(main_origin(model), corpus_folder(model)), songs)
        figures |= set_figures(sets)
    scores = asked | {"figures": figures, "sets": sets}
    write_json(path, scores)
    return scores


def corpus_folder(model: SongModel) -> str:
    """Where the config of the last part of a model says that the corpus is; '' where training found it."""
    *_, origin = model.origins.values()
    return Workdir(origin.folder).read().config.get("corpus_folder", "")


def held_out_figures(folder: Path) -> dict[str, float]:
    """What the training of both models found on held-out music.

    With an MDRNN reconstruction, KL, rate and bound are those of whole songs, else of bars under N(0, I).
    """
    vae = read_json(folder / "vae" / "results" / "held_out.json")
    found = read_json(folder / "mdrnn" / "results" / "held_out.json")
    figures = {name: vae[name] for name in ("reconstruction_nats", "kl_nats", "bound_bits")}
    if found:
        prior = found["priors"]["MDRNN"]
        figures = {name: found[name] for name in ("reconstruction_nats", "kl_nats")}
        figures |= {"rate_nats": prior["rate_nats"], "bound_bits": prior["bits_per_bar"]}
    times = read_or_none(folder / stages.TIMES, stages.Times, lambda line: None, "")
    seconds = sum((times or {}).values())
    accuracy = {"token_accuracy": vae["greedy"]["token_accuracy"], "bar_accuracy": vae["greedy"]["bar_accuracy"]}
    return figures | accuracy | {"active_units": vae["active_units"], "seconds": seconds}


def compare_sets(model: SongModel, corpus: Corpus, songs: int) -> dict[str, Any]:
    """`describe` of the held-out excerpts and of each way of composing."""
    measures = song_measures(corpus.folder, corpus.identity)
    real = describe(excerpts(corpus), measures)
    sets = {REAL: real}
    for name, settings in SETTINGS.items():
        composed = modes.compose(model, songs, BARS, settings)
        sets[name] = describe([song.bars for song in composed], measures)
        sets[name]["distances"] = {
            measure: float(wasserstein_distance(values, real["values"][measure]))
            for measure, values in sets[name]["values"].items()
        }
    return sets


def excerpts(corpus: Corpus) -> list[np.ndarray]:
    """The first BARS bars of the held-out songs that have as many; UserError where none has."""
    found = [corpus.song(i)[:BARS] for i in corpus.songs(HELD_OUT) if corpus.lengths[i] >= BARS]
    if not found:
        raise UserError(
            f"the corpus {corpus.folder} has no held-out song of {BARS} bars to compare with; add music, or take"
            " --source=builtin, which has such songs"
        )
    return found


def describe(songs: Songs, measures: dict[str, Measure]) -> dict[str, Any]:
    """'values' of every measure, song by song; 'repeats_by_lag', for lags of 1, 2, ... LAGS bars the mean share of
    bars that are the same as the one so many bars before."""
    values = {name: column.tolist() for name, column in measure_songs(songs, measures).items()}
    repeats = [repeats_by_lag(distinct_bars(song)[1], LAGS) for song in songs]
    return {"values": values, "repeats_by_lag": np.mean(repeats, axis=0).tolist()}


def set_figures(sets: dict[str, Any]) -> dict[str, float]:
    """Of every set and measure the mean, and of composed ones the Wasserstein-1 distance: one number by name."""
    figures = {}
    for name, found in sets.items():
        for measure, values in found["values"].items():
            figures[f"{measure} ({name})"] = float(np.mean(values))
            if name != REAL:
                figures[f"{measure} ({name}, W1)"] = found["distances"][measure]
    return figures


@functools.lru_cache(maxsize=1)
def song_measures(folder: Path, identity: str) -> dict[str, Measure]:
    """The measures of a song, by the training songs of a corpus; runs of one process on one corpus share them."""
    corpus = Corpus.open(folder)
    return training_measures([corpus.song(i) for i in scored_songs(corpus, TRAIN)])
