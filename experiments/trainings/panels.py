"""Panels that experiments on runs share; arms are given as name -> finished runs (`runs.Result`)."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from experiments.trainings.runs import Result
from experiments.trainings.scores import LAGS, REAL
from mcvae_jax.corpus.pictures import BOX

OfArm = Mapping[str, Sequence[Result]]

COLOURS = ("tab:blue", "tab:orange", "tab:green", "tab:red", "tab:purple", "tab:brown", "tab:gray")
WAY = "defaults"  # of composing


def by_arm(runs: Sequence[Result]) -> dict[str, list[Result]]:
    """The finished ones of the runs by the names of their arms, in their order."""
    names = dict.fromkeys(run.arm for run in runs if run.scores)
    return {name: [run for run in runs if run.arm == name and run.scores] for name in names}


def colours(of_arm: OfArm) -> dict[str, str]:
    """A colour for each arm."""
    return dict(zip(of_arm, COLOURS, strict=False))


def draw_points(axes: Axes, of_arm: OfArm, figure: str, label: str) -> None:
    """A figure of the runs: a point for each seed and a line at their mean."""
    for place, (name, runs) in enumerate(of_arm.items()):
        values = np.array([run.scores["figures"][figure] for run in runs])
        beside = 0.12 * (np.arange(len(values)) - (len(values) - 1) / 2)
        axes.plot(place + beside, values, "o", color=colours(of_arm)[name])
        axes.plot([place - 0.3, place + 0.3], [values.mean()] * 2, color="0.2", linewidth=1.2)
    name_arms(axes, list(of_arm))
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.set(ylabel=label, title="a point is a training seed, a line their mean")
    axes.margins(y=0.15)


def draw_boxes(axes: Axes, of_arm: OfArm, measure: str, label: str) -> float:
    """Box plots of a measure over the compositions of all seeds, and over real songs; returns the largest value."""
    real = real_set(of_arm)["values"][measure]
    columns = [np.concatenate([run.scores["sets"][WAY]["values"][measure] for run in runs]) for runs in of_arm.values()]
    axes.axhspan(*np.quantile(real, [0.05, 0.95]), color="0.92", zorder=0)
    axes.boxplot([*columns, real], positions=range(len(columns) + 1), **BOX)
    name_arms(axes, [*of_arm, "real"])
    axes.set(ylabel=label, title="free compositions; grey: 90 % of real songs")
    return float(max(np.max(column) for column in [*columns, real]))


def draw_repeats(axes: Axes, of_arm: OfArm) -> None:
    """How often a bar is the same as the one so many bars before: mean over songs and seeds."""
    lags = np.arange(1, LAGS + 1)
    for name, runs in of_arm.items():
        curve = np.mean([run.scores["sets"][WAY]["repeats_by_lag"] for run in runs], axis=0)
        axes.plot(lags, curve, "-o", color=colours(of_arm)[name], markersize=3, linewidth=1.2, label=name)
    axes.plot(lags, real_set(of_arm)["repeats_by_lag"], "--", color="black", linewidth=1.4, label="real songs")
    axes.set(xlabel="lag, bars", ylabel="share of bars that repeat", title="free compositions: repetition by lag")
    axes.set_xticks([1, 2, 4, 8, 12, 16])
    axes.set_ylim(0, min(1.0, axes.get_ylim()[1]))
    axes.legend(fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2)  # below the axis


def real_set(of_arm: OfArm) -> dict:
    """The held-out excerpts of the first arm."""
    return next(iter(of_arm.values()))[0].scores["sets"][REAL]


def name_arms(axes: Axes, names: Sequence[str]) -> None:
    """The names below their places, a word a line."""
    axes.set_xticks(range(len(names)), [name.replace(" ", "\n") for name in names], fontsize=8)


def bare(*all_axes: Axes) -> None:
    """No frame where no axis is, and small titles."""
    for axes in all_axes:
        axes.spines[["top", "right"]].set_visible(False)
        axes.title.set_fontsize(9)


def draw_plane(axes: Axes, of_arm: OfArm) -> None:
    """Reconstruction over rate, a point a run, with lines of equal whole-song bound."""
    for name, found in of_arm.items():
        points = np.array([[run.scores["figures"][x] for x in ("rate_nats", "reconstruction_nats")] for run in found])
        axes.plot(*points.T, "o", color=colours(of_arm)[name], label=name)
    axes.margins(0.15)
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    smallest, largest = (left + low) / math.log(2), (right + high) / math.log(2)
    for bits in np.arange(5 * math.ceil(smallest / 5), largest, 5):
        nats = bits * math.log(2)
        axes.plot([nats - high, nats - low], [high, low], color="0.8", linewidth=0.8, zorder=0)
        x = min(right, nats - low)
        if x > left + 0.12 * (right - left):  # where its name fits beside the axis
            axes.annotate(f"{bits:.0f} bits", (x, nats - x), fontsize=7, color="0.45", ha="right", va="bottom")
    axes.set(xlim=(left, right), ylim=(low, high), title="held-out songs; grey: equal bound in bits per bar")
    axes.set(xlabel="rate under the MDRNN, nats per bar", ylabel="reconstruction, nats per bar")
    axes.legend(fontsize=8, frameon=False)
