"""Figures of a latent space: its map, its dimensions, and what its directions move."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mcvae_jax.evaluation.attributes import ATTRIBUTES, UNITS, Effect
from mcvae_jax.notebook.shown import Picture

BLUE, RED, GREY = "#4878a8", "#d1603d", "0.6"


def draw_map(places: np.ndarray, shares: np.ndarray, colours: Mapping[str, np.ndarray]) -> Picture:
    """Points (N, 2) once for each attribute, coloured by its values (N,); shares: of the variance, of either axis."""
    figure = Figure(figsize=(5.2 * len(colours), 4.4), layout="constrained")
    for axes, (name, values) in zip(
        figure.subplots(1, len(colours), squeeze=False, sharex=True, sharey=True)[0], colours.items(), strict=True
    ):
        unknown = np.isnan(values)
        axes.scatter(*places[unknown].T, s=9, color=GREY, linewidth=0)
        points = axes.scatter(*places[~unknown].T, c=values[~unknown], s=11, cmap="viridis", linewidth=0)
        figure.colorbar(points, ax=axes, label=f"{name}, {UNITS[name]}")
        axes.set_title(f"{len(places):,} bars by {name}", fontsize=10)
        axes.set_xlabel(f"first principal component ({shares[0]:.0%} of the variance)", fontsize=9)
        _plain(axes)
    figure.axes[0].set_ylabel(f"second ({shares[1]:.0%})", fontsize=9)
    return Picture.of(figure)


def draw_units(kl: np.ndarray, variance: np.ndarray, active: float) -> Picture:
    """KL and variance of the mean of each dimension, (Z,), sorted by the KL; `active`: above it a dimension is used."""
    order = np.argsort(-kl)
    figure = Figure(figsize=(9, 2.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    at = np.arange(len(kl))
    left.bar(at, kl[order], color=BLUE)
    left.set_title(f"What it tells of a bar: {kl.sum():.1f} nats in all", fontsize=10)
    left.set_ylabel("KL, nats per bar", fontsize=9)
    used = variance[order] > active
    right.bar(at, variance[order], color=np.where(used, BLUE, GREY))
    right.axhline(active, color=RED, linewidth=1, linestyle="--", label=f"active above {active:g}")
    right.set_yscale("log")
    right.set_title(f"Active: {int(used.sum())} of {len(kl)} dimensions", fontsize=10)
    right.set_ylabel("variance of its mean", fontsize=9)
    right.legend(fontsize=8, frameon=False)
    for axes in (left, right):
        axes.set_xlabel("dimension, by its KL", fontsize=9)
        _plain(axes)
    return Picture.of(figure)


def draw_effects(
    found: Mapping[str, Mapping[str, Effect]], scales: Sequence[float], spread: Mapping[str, float]
) -> Picture:
    """Above what each direction does to its own attribute, below what each does to all of them.

    Args:
      found: of `attributes.effects`, of the directions of all attributes and of random ones.
      spread: the standard deviation of each attribute, the unit of the table.
    """
    figure = Figure(figsize=(12.5, 7.4), layout="constrained")
    top, below = figure.subfigures(2, 1, height_ratios=(1.1, 1), squeeze=False)[:, 0]
    for axes, name in zip(top.subplots(1, len(ATTRIBUTES), squeeze=False)[0], ATTRIBUTES, strict=True):
        for direction in found.keys() - ATTRIBUTES.keys():
            axes.plot(*_through_zero(scales, found[direction][name].change), color=GREY, linewidth=0.8)
        x, y = _through_zero(scales, found[name][name].change)
        error = _through_zero(scales, found[name][name].error)[1]
        axes.plot(x, y, color=BLUE, marker="o", markersize=3, linewidth=1.6)
        axes.fill_between(x, y - 2 * error, y + 2 * error, color=BLUE, alpha=0.25, linewidth=0)
        axes.set_title(name, fontsize=10)
        axes.set_ylabel(f"change, {UNITS[name]}", fontsize=8)
        axes.set_xlabel("times the vector", fontsize=8)
        _plain(axes)
    looks = {"its own direction (band: two standard errors)": (BLUE, 1.6), "random directions as long": (GREY, 0.8)}
    lines = [Line2D([], [], color=color, linewidth=width, label=label) for label, (color, width) in looks.items()]
    top.legend(handles=lines, loc="outside lower center", ncols=2, fontsize=9, frameon=False)
    top.suptitle("What a direction moves when held-out bars are decoded", fontsize=11)
    _table(below.subplots(), found, list(scales).index(1.0), spread)
    return Picture.of(figure)


def _through_zero(scales: Sequence[float], values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scales and values with that at 0, where nothing is added and nothing changes, in order."""
    order = np.argsort(np.append(scales, 0))
    return np.append(scales, 0)[order], np.append(values, 0)[order]


def _table(axes: Axes, found: Mapping[str, Mapping[str, Effect]], place: int, spread: Mapping[str, float]) -> None:
    """Effects at one scale, in standard deviations of each attribute; last the size of those of random directions."""
    changes = np.array([[each[a].change[place] / (spread[a] or np.nan) for a in ATTRIBUTES] for each in found.values()])
    errors = np.array([[each[a].error[place] / (spread[a] or np.nan) for a in ATTRIBUTES] for each in found.values()])
    is_random = np.array([name not in ATTRIBUTES for name in found])
    size = np.sqrt(np.mean(changes[is_random] ** 2, axis=0))
    axes.imshow(np.vstack([changes[~is_random], 0 * size]), cmap="RdBu_r", vmin=-2, vmax=2, aspect="auto")
    for (i, j), change in np.ndenumerate(changes[~is_random]):
        words, shade = f"{change:+.2f} ± {2 * errors[~is_random][i, j]:.2f}", "white" if abs(change) > 1.2 else "black"
        axes.text(j, i, words, ha="center", va="center", fontsize=9, color=shade)
    for j, each in enumerate(size):
        axes.text(j, len(ATTRIBUTES), f"±{each:.2f}", ha="center", va="center", fontsize=9)
    axes.set_xticks(range(len(ATTRIBUTES)), list(ATTRIBUTES), fontsize=9)
    rows = [f"+1 {name}" for name in found if name in ATTRIBUTES]
    axes.set_yticks(range(len(rows) + 1), [*rows, "random (root mean square)"], fontsize=9)
    axes.set_title(
        "Change of each attribute, in its standard deviations over training bars (± two errors)", fontsize=10
    )


def _plain(axes: Axes) -> None:
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
