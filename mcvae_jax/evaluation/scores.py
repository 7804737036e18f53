"""Held-out songs under every model: n-grams, and the whole-song bound of a VAE under every prior over its latents.

Bits per bar is the sum of bits over all songs divided by the sum of their bars; all are given the number of bars. The
n-grams' bits are exact, the others are upper bounds, from the same draws for every prior.
"""

import contextlib
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mcvae_jax.evaluation.controls import untrained_mdrnn
from mcvae_jax.evaluation.sets import interval
from mcvae_jax.models.bounds import Priors, bounds, encode_songs, in_latents
from mcvae_jax.models.ngrams import NGrams
from mcvae_jax.models.particles import particle_bounds
from mcvae_jax.models.prior import OneGaussian, fit_one_gaussian, standard_normal
from mcvae_jax.music.metre import BAR
from mcvae_jax.music.tokens import transpose
from mcvae_jax.trained import Composer

Say = Callable[[str], None]
Songs = Sequence[np.ndarray]  # uint8 (n, 16) each

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
KEYS = range(-5, 7)  # semitones
VAE_BOUND = "VAE"  # N(0, I), with the KL in closed form
MDRNN, UNTRAINED, ONE_GAUSSIAN, STANDARD = "MDRNN", "untrained MDRNN", "one Gaussian", "N(0, I)"
PARTICLES = 8  # of the tighter bounds, for the priors of WEIGHED
WEIGHED = (MDRNN, STANDARD)


def score_models(
    composer: Composer, training: Songs, held_out: Songs, draws: int, seed: int, say: Say
) -> dict[str, Any]:
    """Every model's bits on the held-out songs, as JSON.

    Returns: 'songs', 'bars', 'draws', 'particles'; 'subject', the row that the others are compared with (the MDRNN's,
    or without one the VAE's); in nats per bar of the VAE 'reconstruction_nats' and 'kl_nats'; 'rows' by name: 'kind',
    'bits_per_bar' and 'bits_per_token' with their intervals, 'beyond' (bits per bar more than the subject's, with the
    interval of the difference over songs), 'bits_of_songs', for a prior 'rate_nats' per bar, and for those of WEIGHED
    'tighter', bits per bar of the bound of `particles.py`.
    """
    bars = np.array([len(song) for song in held_out], np.float64)
    bits, kinds = {}, {}
    for name, (smoothing, order) in NGRAMS.items():
        say(f"held-out songs under {name}")
        songs = in_keys(training) if name == IN_KEYS else training
        bits[name], kinds[name] = NGrams.fit(songs, order, smoothing).bits_of(held_out), "n-gram"
    say("held-out songs under the VAE and every prior")
    vae = composer.vae
    of_latents = priors(composer, training, seed, say)
    latents = in_latents(vae.vae, vae.params, held_out, say)
    found = bounds(*latents, of_latents, draws, seed)
    rates = {VAE_BOUND: found["kl_nats"], **found["rate_nats"]}
    for name, rate in rates.items():
        bits[name], kinds[name] = (found["reconstruction_nats"] + rate) / math.log(2), "bound"
    subject = MDRNN if composer.mdrnn else VAE_BOUND
    rows = {name: {"kind": kinds[name]} | _row(bits[name], bits[subject], bars, seed) for name in bits}
    for name, rate in rates.items():
        rows[name]["rate_nats"] = float(rate.sum() / bars.sum())
    say(f"tighter bounds, from {PARTICLES} particles")
    weighed = {name: of_latents[name] for name in WEIGHED if name in of_latents}
    for name, nats in particle_bounds(*latents, weighed, PARTICLES, seed).items():
        rows[name]["tighter"] = _per_bar(nats / math.log(2), bars, seed)
    sums = {"songs": len(bars), "bars": int(bars.sum())}
    sums |= {name: float(found[name].sum() / bars.sum()) for name in ("reconstruction_nats", "kl_nats")}
    return sums | {"draws": draws, "particles": PARTICLES, "subject": subject, "rows": rows}


def in_keys(songs: Songs) -> list[np.ndarray]:
    """Every song at the shifts of KEYS, but for those that take a pitch out of 0 to 127."""
    moved = []
    for song, shift in itertools.product(songs, KEYS):
        with contextlib.suppress(ValueError):
            moved.append(transpose(song, shift))
    return moved


def priors(composer: Composer, training: Songs, seed: int, say: Say) -> Priors:
    """The priors over the VAE's latents, the MDRNN and its untrained twin where there is one."""
    vae = composer.vae
    latent = vae.vae.latent
    of_training = encode_songs(vae.vae, vae.params, training, say)
    one = fit_one_gaussian(of_training.mu, of_training.log_var, np.ones(len(of_training.mu)))
    found: dict[str, Any] = {}
    if composer.mdrnn:
        fresh = untrained_mdrnn(composer, seed).mdrnn
        found = {MDRNN: (composer.mdrnn.prior, composer.mdrnn.params), UNTRAINED: (fresh.prior, fresh.params)}
    one_gaussian = OneGaussian(latent)
    return found | {ONE_GAUSSIAN: (one_gaussian, one), STANDARD: (one_gaussian, standard_normal(latent))}


def _row(bits: np.ndarray, subject: np.ndarray, bars: np.ndarray, seed: int) -> dict[str, Any]:
    per_bar = _per_bar(bits, bars, seed)
    return {
        "bits_per_bar": per_bar,
        "bits_per_token": {"value": per_bar["value"] / BAR, "interval": [x / BAR for x in per_bar["interval"]]},
        "beyond": _per_bar(bits - subject, bars, seed),
        "bits_of_songs": bits.tolist(),
    }


def _per_bar(bits: np.ndarray, bars: np.ndarray, seed: int) -> dict[str, Any]:
    low_high = interval(lambda i: bits[i].sum() / bars[i].sum(), [len(bars)], seed)
    return {"value": float(bits.sum() / bars.sum()), "interval": low_high}
