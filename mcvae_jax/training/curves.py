"""Pictures of metrics over the step: the learning curve of a run, and those of two runs over each other."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mcvae_jax.training.metrics import BOOKKEEPING, HELD_OUT, TRAIN

NATS = "nats per bar"
IN_NATS = ("reconstruction", "kl", "bound", "rate", "stop", "nll")
UNITS = dict.fromkeys(IN_NATS, NATS) | {
    "bound_bits": "bits per bar",
    "nll_per_dim": "nats per bar and dimension",
    "mixture_entropy": "nats",
    "accuracy": "share of tokens",
}  # of the panels, where they have one
Style = dict[str, Any]  # how matplotlib draws a line
STYLES: dict[str, Style] = {
    TRAIN: {"label": "training", "color": "#4878a8", "linewidth": 1.0},
    HELD_OUT: {"label": "held-out", "color": "#d1603d", "linewidth": 1.6, "marker": "o", "markersize": 3},
}
BEST: Style = {"label": "best checkpoint", "color": "0.35", "linewidth": 1.0, "linestyle": "--"}
COLORS = ("#4878a8", "#d1603d")  # of two runs


class Curves(NamedTuple):
    """What a panel shows of a run."""

    lines: Sequence[Mapping[str, Any]]  # of its metrics file
    styles: Mapping[str, Style]  # of TRAIN and HELD_OUT
    best_step: int | None = None  # is marked


class Panel(NamedTuple):
    """A metric of one run or two."""

    title: str
    name: str
    curves: Sequence[Curves]


def draw_learning_curve(path: Path, lines: Sequence[Mapping[str, Any]], best_step: int | None) -> None:
    """A panel for each metric, training and held-out over the step, with the best step marked; a PNG."""
    curves = [Curves(lines, STYLES, best_step)]
    panels = [Panel(_words(name), name, curves) for name in metric_names(curves)]
    with path.open("wb") as file:
        _draw(file, panels, [*STYLES.values(), BEST])


def draw_together(file: BinaryIO, runs: Sequence[str], models: Mapping[str, Sequence[Sequence[dict]]]) -> None:
    """A panel for each metric of each model, two runs over each other; a PNG.

    Args:
      runs: their names.
      models: what the panels of a model are titled with ('' is nothing) -> the lines of each run's metrics file.
    """
    styles = [_styles_of(run, color) for run, color in zip(runs, COLORS, strict=True)]
    panels = []
    for model, lines in models.items():
        curves = [Curves(of_one, style) for of_one, style in zip(lines, styles, strict=True)]
        panels += [Panel(f"{model} {_words(name)}".strip(), name, curves) for name in metric_names(curves)]
    _draw(file, panels, [style for of_one in styles for style in of_one.values()])


def metric_names(curves: Sequence[Curves]) -> list[str]:
    """All that are drawn, those of held-out songs first."""
    lines = [line for split in (HELD_OUT, TRAIN) for each in curves for line in each.lines if line["split"] == split]
    return [name for name in dict.fromkeys(name for line in lines for name in line) if name not in BOOKKEEPING]


def _styles_of(run: str, color: str) -> dict[str, Style]:
    return {
        TRAIN: STYLES[TRAIN] | {"label": f"{run}, training", "color": color, "alpha": 0.45},
        HELD_OUT: STYLES[HELD_OUT] | {"label": f"{run}, held-out", "color": color},
    }


def _words(name: str) -> str:
    return name.replace("_", " ")


def _draw(file: BinaryIO, panels: Sequence[Panel], legend: Iterable[Style]) -> None:
    columns = min(3, max(1, len(panels)))
    rows = max(1, -(-len(panels) // columns))
    figure = Figure(figsize=(4.2 * columns, 2.7 * rows + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    for i, panel in enumerate(panels):
        axes = figure.add_subplot(rows, columns, i + 1)
        draw_panel(axes, panel)
        if i >= len(panels) - columns:
            axes.set_xlabel("step", fontsize=9)
    handles = [Line2D([], [], **style) for style in legend]
    figure.legend(handles=handles, loc="outside upper left", ncols=min(len(handles), 4), frameon=False, fontsize=9)
    figure.savefig(file, format="png", dpi=110)


def draw_panel(axes: Axes, panel: Panel) -> None:
    """The curves of a metric; what a run has not logged, or was not finite, is left out."""
    for curves in panel.curves:
        for split, style in curves.styles.items():
            lines = [line for line in curves.lines if line["split"] == split]
            points = [(line["step"], line[panel.name]) for line in lines if line.get(panel.name) is not None]
            if points:
                axes.plot(*zip(*points, strict=True), **style)
        if curves.best_step is not None:
            axes.axvline(curves.best_step, **BEST)
    axes.set_title(panel.title, fontsize=10)
    axes.set_ylabel(_unit(panel), fontsize=8)
    axes.tick_params(labelsize=8)
    axes.grid(color="0.93")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _unit(panel: Panel) -> str:
    """Of a metric, where it has one; an objective's is that of its terms, and some have none in nats (a critic's)."""
    if panel.name != "objective":
        return UNITS.get(panel.name, "")
    lines = [line for curves in panel.curves for line in curves.lines if "objective" in line]
    return NATS if all(any(name in line for name in IN_NATS) for line in lines) else ""
