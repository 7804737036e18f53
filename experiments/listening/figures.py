"""Figs 6.4 and 6.5 of the thesis, and one of the choices."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.listening import page
from experiments.listening.analysis import SHARE, TAKEN_FOR_REAL, bounds
from experiments.results import new_figure, save_figure
from mcvae_jax.text import for_figure

SCALE = ("SD", "D", "N", "A", "SA")
EXPLAINED = ", ".join(f"{short} {answer.lower()}" for short, answer in zip(SCALE, page.SCALE, strict=True))
# Brown and green, told apart by the colour-blind; the ends are darkest, also in grey.
_COLOURS = ("#a6611a", "#dfc27d", "#e6e6e6", "#80cdc1", "#018571")
_INK = ("white", "black", "black", "black", "white")


def draw_likert(path: Path, title: str, counts: np.ndarray, statements: Sequence[str]) -> None:
    """How many people chose each answer to each statement, as Figs 6.4 and 6.5; counts is int (statements, 5)."""
    figure = new_figure(4.6, 0.42 * len(statements) + 1.7)
    axis = figure.subplots()
    ends = np.cumsum(counts, axis=1)
    for n, (label, colour, ink) in enumerate(zip(SCALE, _COLOURS, _INK, strict=True)):
        bars = axis.barh(
            range(len(statements)), counts[:, n], left=ends[:, n] - counts[:, n], color=colour, label=label, height=0.7,
            edgecolor="white", linewidth=0.6,
        )  # fmt: skip
        axis.bar_label(bars, [str(c) if c else "" for c in counts[:, n]], label_type="center", color=ink, fontsize=8)
    axis.set_yticks(range(len(statements)), [for_figure(each) for each in statements])
    axis.invert_yaxis()
    axis.set_xlim(0, ends[0, -1])
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.set_xlabel("number of people")
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.tick_params(axis="y", length=0)
    figure.suptitle(for_figure(title), fontsize=10)
    figure.legend(
        loc="outside lower center", ncols=5, frameon=False, fontsize=8, handlelength=1.0, columnspacing=1.2,
        title=EXPLAINED, title_fontsize=7,
    )  # fmt: skip
    save_figure(figure, path)


def draw_choices(path: Path, preferences: Sequence[dict[str, Any]], judged: Sequence[dict[str, Any]]) -> None:
    """Shares of choices between two models, and of clips taken for real songs, with intervals over listeners.

    The figure is as wide as the longest name needs beside the panels.
    """
    pairs = [f"{row['first']}\nover {row['second']}" for row in preferences]
    models = [row["model"] for row in judged]
    longest = max(len(line) for name in pairs + models for line in name.split("\n"))
    heights = (0.45 * len(pairs) + 0.2, 0.3 * len(models) + 0.2)
    figure = new_figure(3.6 + 0.085 * longest, sum(heights) + 1.6)
    upper, lower = figure.subplots(2, 1, height_ratios=heights)
    _shares(upper, pairs, preferences, SHARE)
    upper.axvline(0.5, color="0.6", linewidth=1, linestyle="--", zorder=0)
    upper.set(xlabel="share of choices for the first", title="Which is better?")
    _shares(lower, models, judged, TAKEN_FOR_REAL)
    lower.set(xlabel="share taken for real", title="Real or composed?")
    save_figure(figure, path)


def _shares(axis, names: Sequence[str], rows: Sequence[dict[str, Any]], of: str) -> None:
    """Points with intervals, the first row on top."""
    share = np.array([row[of] for row in rows])
    low, high = bounds(of)
    reach = np.array([[row[of] - row[low] for row in rows], [row[high] - row[of] for row in rows]])
    axis.errorbar(share, range(len(rows)), xerr=np.maximum(reach, 0), fmt="o", color="tab:blue", capsize=3)
    axis.set_yticks(range(len(rows)), ["\n".join(map(for_figure, name.split("\n"))) for name in names])
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set_xlim(-0.03, 1.03)
    axis.set_xticks((0, 0.5, 1), ("0", "0.5", "1"))
    axis.grid(axis="x", color="0.9")
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    axis.title.set_fontsize(10)
