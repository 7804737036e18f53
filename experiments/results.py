"""What the experiments share in writing: tables as CSV, and figures as PNG for the screen and PDF for a paper."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mcvae_jax.text import for_csv


def new_figure(width: float, height: float) -> Figure:
    """A figure of so many inches that needs no screen."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Writes PATH.png and PATH.pdf; `path` has no suffix."""
    for suffix in (".png", ".pdf"):
        figure.savefig(path.with_name(path.name + suffix), dpi=120)


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes rows that all have the keys of the first one, in its order; ValueError where one has others.

    Text stands in quotes, so that none of its signs parts cells, and no text is a formula (text.for_csv).
    """
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), quoting=csv.QUOTE_NONNUMERIC)
        writer.writeheader()
        writer.writerows({name: for_csv(value) for name, value in row.items()} for row in rows)
