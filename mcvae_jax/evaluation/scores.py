"""Held-out songs under every model: what each bar costs given the bars before it, in bits.

Bits per bar is the sum of bits over all songs divided by that of their bars; all models are given the number of bars.
Exact models say what a song costs, the others bound it from above, averaged over the same number of draws.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mcvae_jax.evaluation.sets import interval
from mcvae_jax.models.ngram_composer import NGramComposer, in_keys
from mcvae_jax.models.ngrams import NGrams
from mcvae_jax.models.song_model import NO_LIKELIHOOD, LatentModel, Parted, SongModel, Tightened, has_latents
from mcvae_jax.music.bars import repeats
from mcvae_jax.nn.gaussian import kl_to_standard

Say = Callable[[str], None]
Songs = Sequence[np.ndarray]  # uint8 (n, T) each

NGRAMS = {
    "add-one 5-gram": ("add_one", 5),
    "Witten-Bell 3-gram": ("witten_bell", 3),
    "Witten-Bell 5-gram": ("witten_bell", 5),
    "Kneser-Ney 3-gram": ("kneser_ney", 3),
    "Kneser-Ney 5-gram": ("kneser_ney", 5),
    "Kneser-Ney 8-gram": ("kneser_ney", 8),
    "Kneser-Ney 8-gram, 12 keys": ("kneser_ney", 8),
}
IN_KEYS = "Kneser-Ney 8-gram, 12 keys"  # every training song in each of KEYS, as models are trained by default
WITH_COPIES = " + copy"  # after the name of a model that stands within the copy switch
BASELINE = IN_KEYS + WITH_COPIES  # what every claim is measured against
PARTICLES = 8  # of the tighter bounds
# Roles of the rows; parts are of models, and SWITCHED are models and parts within the copy switch.
MODEL, PART, NGRAM, SWITCHED, CONTROL = "model", "part", "n-gram", "with copy switch", "control"


def fit_ngrams(training: Songs, names: Sequence[str] = tuple(NGRAMS)) -> dict[str, NGramComposer]:
    """The n-gram models of NGRAMS, fitted on training songs."""
    models = {}
    for name in names:
        smoothing, order = NGRAMS[name]
        songs = in_keys(training) if name == IN_KEYS else training
        models[name] = NGramComposer(NGrams.fit(songs, order, smoothing), name, training[0].shape[1])
    return models


def score_models(
    roles: Mapping[str, Mapping[str, SongModel]], held_out: Songs, draws: int, seed: int, say: Say
) -> dict[str, Any]:
    """Every model's bits on the held-out songs, as JSON.

    Args:
      roles: by role (MODEL, PART, NGRAM, SWITCHED, CONTROL) the models by name; the first is the subject, with which
        the others are compared. Those without a likelihood are left out.

    Returns: 'songs', 'bars', 'repeated_bars' (how many are the same as an earlier bar of their song), 'draws',
      'particles', 'subject', and 'rows' by name: 'role', 'likelihood', 'bits_per_bar' and 'bits_per_token' with their
      intervals over songs, 'new' and 'repeated' (bits per bar of such bars alone), 'beyond' (bits per bar more than the
      subject's, with the interval of the difference), 'bits_of_songs' and 'bars_of_songs'; of bounds with parts, in
      nats per bar, 'reconstruction_nats', 'kl_nats', 'rate_nats', for models with latents 'kl' (the KL with its
      interval), and for those of MODEL 'tighter', bits per bar of a tighter bound.
    """
    is_repeat = [repeats(song) for song in held_out]
    bars = np.array([len(song) for song in held_out], np.float64)
    found: dict[str, list[np.ndarray]] = {}
    rows: dict[str, dict[str, Any]] = {}
    for role, (name, model) in ((role, item) for role, models in roles.items() for item in models.items()):
        if model.likelihood == NO_LIKELIHOOD:
            continue
        say(f"held-out songs under {name}")
        found[name] = [nats / math.log(2) for nats in model.nats(held_out, draws, seed)]
        rows[name] = {"role": role, "likelihood": model.likelihood}
        if has_latents(model):
            rows[name]["kl"] = _kl(model, held_out, bars, seed)
        if isinstance(model, Parted):
            rows[name] |= model.bound_parts(held_out, draws, seed)
        if role == MODEL and isinstance(model, Tightened):
            say(f"a tighter bound of {name}, from {PARTICLES} particles")
            tighter = model.tighter_nats(held_out, PARTICLES, seed) / math.log(2)
            rows[name]["tighter"] = ratio(tighter, bars, seed)
    subject = next(iter(rows))
    for name, row in rows.items():
        row |= score_row(found[name], found[subject], is_repeat, held_out[0].shape[1], seed)
    return {
        "songs": len(bars),
        "bars": int(bars.sum()),
        "repeated_bars": int(sum(each.sum() for each in is_repeat)),
        "draws": draws,
        "particles": PARTICLES,
        "subject": subject,
        "rows": rows,
    }


def ratio(sums: np.ndarray, counts: np.ndarray, seed: int) -> dict[str, Any]:
    """sum(sums) / sum(counts) over songs, (S,) each: 'value' and 'interval', both None where nothing counts."""
    if not counts.sum():
        return {"value": None, "interval": None}
    low_high = interval(
        lambda i: sums[i].sum(axis=-1) / np.maximum(counts[i].sum(axis=-1), 1), [len(counts)], seed, at_once=True
    )
    return {"value": float(sums.sum() / counts.sum()), "interval": low_high}


def _kl(model: LatentModel, songs: Songs, bars: np.ndarray, seed: int) -> dict[str, Any]:
    """Nats per bar that the latents hold about it: the KL of q to N(0, I), with its interval over songs."""
    of_songs = [float(np.sum(kl_to_standard(*posterior))) for posterior in model.encode(songs)]
    return ratio(np.array(of_songs), bars, seed)


def score_row(bits: Songs, subject: Songs, is_repeat: Sequence[np.ndarray], steps: int, seed: int) -> dict[str, Any]:
    """The figures of one model, from the bits (n,) of the bars of each song under it and under the subject."""
    bars = np.array([len(each) for each in bits], np.float64)
    of_songs, of_subject = (np.array([each.sum() for each in model]) for model in (bits, subject))
    repeated = np.array([each[chosen].sum() for each, chosen in zip(bits, is_repeat, strict=True)])
    counts = np.array([each.sum() for each in is_repeat], np.float64)
    per_bar = ratio(of_songs, bars, seed)
    return {
        "bits_per_bar": per_bar,
        "bits_per_token": {"value": per_bar["value"] / steps, "interval": [x / steps for x in per_bar["interval"]]},
        "new": ratio(of_songs - repeated, bars - counts, seed),
        "repeated": ratio(repeated, counts, seed),
        "beyond": ratio(of_songs - of_subject, bars, seed),
        "bits_of_songs": of_songs.tolist(),
        "bars_of_songs": bars.astype(int).tolist(),
    }
