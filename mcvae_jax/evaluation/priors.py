"""Priors over latent sequences side by side: the whole-song bound under each, as figures, a table and a picture."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mcvae_jax.models.bar_codec import BarCodec
from mcvae_jax.models.bounds import Priors, SongDraws, bounds, summarise
from mcvae_jax.nn import gaussian

Say = Callable[[str], None]

SONGS_FOR_A_MEAN = 10  # a mean over songs at a bar is shown where so many songs have such a bar


def score_priors(
    codec: BarCodec, priors: Priors, songs: Sequence[np.ndarray], draws: int, seed: int, say: Say | None = None
) -> dict[str, Any]:
    """What `bounds.summarise` returns for songs, each uint8 (n, T), and 'rate_by_bar'.

    'rate_by_bar' holds for each prior by name the mean rate in nats of the first, second, ... bars of the songs, from
    one draw, as far as SONGS_FOR_A_MEAN songs (or all of them, where there are fewer) go.
    """
    drawn = SongDraws(codec, songs, seed, say)
    scores = summarise(bounds(drawn, priors, draws), codec.steps)
    return scores | {"draws": draws, "seed": seed, "rate_by_bar": rate_by_bar(drawn, priors)}


def rate_by_bar(songs: SongDraws, priors: Priors) -> dict[str, list[float]]:
    """See `score_priors`."""
    posteriors, z = songs.posteriors, songs[0].z
    lengths = posteriors.lengths
    bar = np.concatenate([np.arange(n) for n in lengths])
    counts = np.bincount(bar)  # how many songs have such a bar
    shown = int(np.sum(counts >= min(SONGS_FOR_A_MEAN, len(lengths))))
    entropy = np.asarray(gaussian.entropy(posteriors.log_var))
    means = {}
    for name, prior in priors.items():
        rate = -prior.log_densities(z, lengths) - entropy
        means[name] = (np.bincount(bar, weights=rate) / counts)[:shown].tolist()
    return means


def summary(scores: dict[str, Any]) -> list[str]:
    """The scores as a table for people."""
    lines = [
        f"whole-song bound of {scores['songs']} held-out songs ({scores['bars']:,} bars), {scores['draws']} draws:"
        f" reconstruction {scores['reconstruction_nats']:.2f} nats per bar, KL of the VAE {scores['kl_nats']:.2f}",
        f"{'prior':20}  {'rate, nats per bar':>18}  {'bits per bar':>12}  {'bits per token':>14}",
    ]
    for name, row in scores["priors"].items():
        lines.append(f"{name:20}  {row['rate_nats']:18.2f}  {row['bits_per_bar']:12.2f}  {row['bits_per_token']:14.3f}")
    return lines


def draw_priors(scores: dict[str, Any], path: Path, lines: Sequence[str]) -> None:
    """A PNG: the bound in bits per bar under each prior, and the mean rate along the song for the priors in `lines`."""
    figure = Figure(figsize=(11, 4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    names = list(scores["priors"])
    reconstruction = scores["reconstruction_nats"] / math.log(2)
    rates = np.array([scores["priors"][name]["rate_nats"] for name in names]) / math.log(2)
    places = np.arange(len(names))[::-1]
    left.barh(places, np.full(len(names), reconstruction), color="#4878a8", label="reconstruction")
    left.barh(places, rates, left=reconstruction, color="#d1a03d", label="rate")
    for place, rate in zip(places, rates, strict=True):
        left.annotate(
            f"{reconstruction + rate:.1f}",
            (max(reconstruction + rate, 0), place),
            (3, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
        )
    left.margins(x=0.12)
    left.set_yticks(places, names)
    left.set_xlabel("bits per bar")
    left.set_title(f"whole-song bound of {scores['songs']} held-out songs", fontsize=10)
    left.set_ylim(-0.6, len(names))  # room for the legend
    left.legend(fontsize=8, loc="upper left", ncols=2, frameon=False)
    for name in lines:
        rate = scores["rate_by_bar"][name]
        right.plot(np.arange(1, len(rate) + 1), rate, label=name, linewidth=1.2)
    right.set_xlabel("bar of the song")
    right.set_ylabel("mean rate, nats per bar")
    right.set_ylim(bottom=min(0.0, right.get_ylim()[0]))
    right.set_title("what a bar tells beyond the bars before it", fontsize=10)
    right.legend(fontsize=8)
    for axes in (left, right):
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
