"""MusicVAE's Fig 5 on interpolation (Roberts et al. 2018, arXiv:1803.05428; Fig 5.4 in the thesis) for sets A and B.

Along alpha: what the melodies between b and a cost a language model (the corrected 5-gram, bits per bar), and the share
of steps in which they differ from a (normalised Hamming distance), for interpolation in the latent space, straight and
by the angle, and for mixing tokens, each from a with probability alpha.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import sem

from experiments.published.sets import BARS, Pairs, Scorer, latents
from experiments.results import new_figure, save_figure
from mcvae_jax.evaluation.blends import hamming, mixed_steps, step_draws
from mcvae_jax.models.latent_composer import LatentComposer
from mcvae_jax.models.sequences import lerp, slerp
from mcvae_jax.models.settings import Settings
from mcvae_jax.sampling.interpolation import between, pair_keys, vae_conditional

CAPTION = (
    "What five bars between B and A cost the corrected 5-gram, and in how many steps they differ from A, with bands of"
    " one standard error. Latent: Algorithm 1 along a straight line, and along the arc between the two vectors. Token"
    " mixing: each step from A with probability α. A good path costs no more than the songs at its ends (black), and"
    " leaves B for A steadily."
)
STEPS = np.linspace(0, 1, 11)
LATENT, SPHERICAL, TOKENS = "latent (straight)", "latent (by angle)", "token mixing"
LOOKS = {LATENT: ("tab:blue", "-"), SPHERICAL: ("tab:blue", ":"), TOKENS: ("tab:orange", "--")}
PANELS = (("bits_per_bar", "5-gram cost, bits per bar"), ("hamming_to_a", "Hamming distance to A, share of steps"))


def follow_paths(model: LatentComposer, pairs: Pairs, scorer: Scorer, settings: Settings) -> list[dict[str, Any]]:
    """A row for each path and alpha: means over pairs and their standard errors.

    'real_bits_per_bar' is the straight line between what b and a themselves cost, 'relative_cost' the cost divided by
    it (of the means).
    """
    a, b = (np.stack(songs) for songs in pairs.excerpts(BARS))
    z_a, z_b = latents(model, pairs)
    uniform = step_draws(settings.seed, range(len(a)), a.shape[1:])

    def decoded(path) -> Callable[[float], np.ndarray]:
        def at(alpha):
            keys = pair_keys(settings.seed, range(len(a)), alpha)
            return vae_conditional(model.codec, between(z_a, z_b, alpha, path), keys, settings)

        return at

    paths = {LATENT: decoded(lerp), SPHERICAL: decoded(slerp), TOKENS: lambda alpha: mixed_steps(a, b, alpha, uniform)}
    cost_a, cost_b = scorer.bits(a).mean(), scorer.bits(b).mean()
    rows = []
    for name, path in paths.items():
        for alpha in map(float, STEPS.round(3)):
            melodies = path(alpha)
            row = {"path": name, "alpha": alpha, "pairs": len(a)}
            for measure, values in (("bits_per_bar", scorer.bits(melodies)), ("hamming_to_a", hamming(melodies, a))):
                row[measure] = float(values.mean())
                row[f"{measure}_error"] = float(sem(values))
            row["real_bits_per_bar"] = float(alpha * cost_a + (1 - alpha) * cost_b)
            row["relative_cost"] = row["bits_per_bar"] / row["real_bits_per_bar"]
            rows.append(row)
    return rows


def draw_paths(folder: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Writes fig_5_4: both measures along alpha, with bands of one standard error."""
    figure = new_figure(6.6, 2.8)
    for axes, (measure, label) in zip(figure.subplots(1, 2), PANELS, strict=True):
        for name, (color, style) in LOOKS.items():
            chosen = [row for row in rows if row["path"] == name]
            alpha, mean, error = (np.array([row[k] for row in chosen]) for k in ("alpha", measure, f"{measure}_error"))
            axes.plot(alpha, mean, style, color=color, label=name)
            axes.fill_between(alpha, mean - error, mean + error, color=color, alpha=0.15, linewidth=0)
        if measure == "bits_per_bar":
            ends = [(row["alpha"], row["real_bits_per_bar"]) for row in rows if row["path"] == LATENT]
            axes.plot(*zip(*ends, strict=True), color="black", linewidth=0.8, label="between real B and A")
            axes.legend(fontsize=7, frameon=False)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("α (0: B, 1: A)", fontsize=8)
        axes.set_ylabel(label, fontsize=8)
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.3)
    figure.suptitle("Fig 5.4: interpolation by language model cost and Hamming distance", fontsize=8)
    save_figure(figure, folder / "fig_5_4")


def finding(rows: Sequence[dict[str, Any]]) -> str:
    """What the figure says, in a sentence."""
    at = {(row["path"], row["alpha"]): row for row in rows}
    told = [
        f"{name} {at[name, 0.5]['bits_per_bar']:.1f} ± {at[name, 0.5]['bits_per_bar_error']:.1f} bits per bar"
        f" ({at[name, 0.5]['hamming_to_a']:.0%} of the steps differ from A)"
        for name in LOOKS
    ]
    real, end = at[LATENT, 0.5]["real_bits_per_bar"], at[LATENT, 1.0]["hamming_to_a"]
    return (
        f"Halfway between B and A (Fig 5.4) melodies cost: {'; '.join(told)}; real songs {real:.1f}. At its end the"
        f" latent path still differs from A in {end:.1%} of the steps, which the VAE does not reconstruct."
    )
