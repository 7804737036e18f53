"""Figs 6.6 to 6.11 as box plots over alpha, in thesis mode and corrected, and all of them on one page."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes

from experiments.published.claims import UNCLEANED, WORKDIR, reference_bars
from experiments.published.sets import (
    ALPHAS,
    BARS,
    BITS,
    HONEST,
    MCVAE_CONDITIONAL,
    MCVAE_FREE,
    PUBLISHED,
    REAL,
    TRUE,
    VAE_CONDITIONAL,
    VAE_FREE,
    Scored,
)
from experiments.results import new_figure, save_figure
from mcvae_jax.corpus.pictures import BOX

Sets = Sequence[Scored]

PANEL = 3.3, 2.7  # inches
BAND = "tab:green"
MODES = {PUBLISHED: "5-gram score, %", BITS: "bits per bar"}


class Panel(NamedTuple):
    """One row of boxes: a model's method, in its longer or shorter form."""

    model: str
    method: str
    long: bool = False


class Figure(NamedTuple):
    """A figure of the thesis, and what the thesis says of it."""

    number: str
    title: str
    panels: tuple[Panel, ...]
    claim: str

    @property
    def stem(self) -> str:
        return f"fig_{self.number.replace('.', '_')}"


def figures(twins: bool) -> list[Figure]:
    """The thesis' figures; twins: a model of an uncleaned corpus is there, too, and Fig 6.10 is its own."""
    noisy = UNCLEANED if twins else WORKDIR
    which = ", uncleaned corpus" if twins else ""
    found = [
        Figure(
            "6.6",
            "True data interpolation",
            (Panel("", TRUE), Panel("", HONEST)),
            "Real songs score about 35%; nothing changes but at 0.5, where songs are especially unlikely.",
        ),
        Figure(
            "6.7",
            "VAE, conditional (Algorithm 1)",
            (Panel(WORKDIR, VAE_CONDITIONAL),),
            "Means of about 20% and medians below: less likely than real songs.",
        ),
        Figure(
            "6.8",
            f"MCVAE, conditional (Algorithm 3){which}",
            (Panel(noisy, MCVAE_CONDITIONAL),),
            "About as likely as real songs (6.7: slightly below), likelier than true data at 0.5 and than the VAE's.",
        ),
        Figure(
            "6.9",
            "VAE, unconditional (Algorithm 2)",
            (Panel(WORKDIR, VAE_FREE), Panel(WORKDIR, VAE_FREE, True)),
            "Means just below 60%, from 10 to 90%: extremely irregular.",
        ),
        Figure(
            "6.10",
            f"MCVAE, unconditional (Algorithm 4){which}",
            (Panel(noisy, MCVAE_FREE), Panel(noisy, MCVAE_FREE, True)),
            "Means of about 55%, quartiles from 50 to 70% (45 to 65% in 8.1.2): likelier than real songs.",
        ),
    ]
    if twins:
        both = (Panel(WORKDIR, MCVAE_FREE), Panel(WORKDIR, MCVAE_FREE, True))
        title = "MCVAE, unconditional (Algorithm 4), cleaned corpus"
        found.append(Figure("6.11", title, both, "The same means as Fig 6.10, with fewer outliers."))
    return found


def draw_all(folder: Path, sets: Sets, twins: bool) -> list[Figure]:
    """Writes every figure that has melodies, STEM for thesis mode and STEM_corrected, and overview; those drawn."""
    there = {(s.model, s.method) for s in sets}
    drawn = [figure for figure in figures(twins) if figure.panels[0][:2] in there]
    for each in drawn:
        for measure, name in ((PUBLISHED, each.stem), (BITS, f"{each.stem}_corrected")):
            figure = new_figure(PANEL[0] * len(each.panels), PANEL[1])
            axes = figure.subplots(1, len(each.panels), squeeze=False, sharey=True)[0]
            draw_row(axes, sets, each.panels, measure)
            figure.suptitle(f"Fig {each.number}: {each.title}", fontsize=7.5)  # all of it over a single panel
            save_figure(figure, folder / name)
    numbers, panels = zip(*((each.number, panel) for each in drawn for panel in each.panels), strict=True)
    figure = new_figure(2.6 * len(panels), 5.4)
    for axes, measure in zip(figure.subplots(2, len(panels), sharey="row"), MODES, strict=True):
        draw_row(axes, sets, panels, measure)
        for place, number in zip(axes, numbers, strict=True):
            place.set_title(f"Fig {number}: {place.get_title()}", fontsize=7)
    save_figure(figure, folder / "overview")
    return drawn


def draw_row(axes: Sequence[Axes], sets: Sets, panels: Sequence[Panel], measure: str) -> None:
    """Panels beside each other, which share the scale of y from 0."""
    for place, panel in zip(axes, panels, strict=True):
        draw_panel(place, sets, panel, measure)
    for place in axes[1:]:
        place.set_ylabel("")
    axes[0].set_ylim(bottom=0)


def draw_panel(axes: Axes, sets: Sets, panel: Panel, measure: str) -> None:
    """Boxes with means from B over each alpha to A; for bits with the real songs' median and quartiles as a band."""
    chosen = {s.alpha: s for s in sets if panel == (s.model, s.method, s.bars > BARS)}
    bars = chosen[ALPHAS[0]].bars
    real = {s.alpha: s for s in sets if s.method == REAL and s.bars == reference_bars(bars)}
    scale = 100 if measure == PUBLISHED else 1
    groups = [real[0.0], *(chosen[alpha] for alpha in ALPHAS), real[1.0]]
    if measure == BITS:
        low, median, high = np.percentile([real[alpha].scores[BITS] for alpha in real], (25, 50, 75))
        axes.axhspan(low, high, color=BAND, alpha=0.15, linewidth=0)
        axes.axhline(median, color=BAND, linewidth=1, alpha=0.6)
    labels = ["B", *map(str, ALPHAS), "A"]
    axes.boxplot([scale * each.scores[measure] for each in groups], tick_labels=labels, **BOX)
    axes.set_title(f"{panel.method}, {bars} bars", fontsize=8)
    axes.set_xlabel("α, share of A", fontsize=8)
    axes.set_ylabel(MODES[measure], fontsize=8)
    axes.tick_params(labelsize=8)
    axes.grid(axis="y", alpha=0.3)
