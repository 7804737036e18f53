"""Held-out results of a trained song model: held_out.json, and a line for each row of it."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mcvae_jax.evaluation.conclusions import span
from mcvae_jax.evaluation.scores import MODEL, score_models
from mcvae_jax.models.song_model import BOUND, SongModel

Say = Callable[[str], None]


def write_held_out(
    models: Mapping[str, SongModel],
    held_out: list[np.ndarray],
    draws: int,
    left_out: dict[str, int],
    folder: Path,
    say: Say,
) -> dict[str, Any]:
    """Scores models by name on held-out songs, uint8 (n, T) each; see `score_models`.

    Args:
      draws: over which bounds are averaged.
      left_out: how many held-out songs are not scored, and why.
    """
    scores = score_models({MODEL: models}, held_out, draws, 0, say) | {"left_out": left_out}
    (folder / "held_out.json").write_text(json.dumps(scores, indent=2) + "\n")
    for name, row in scores["rows"].items():
        most = "at most " if row["likelihood"] == BOUND else ""
        tighter = f"; {span(row['tighter'], '.2f')} from {scores['particles']} draws" if "tighter" in row else ""
        say(
            f"{name}: {most}{span(row['bits_per_bar'], '.2f')} bits per bar of {scores['songs']} held-out songs"
            f" (new bars {row['new']['value']:.2f}, repeated ones {row['repeated']['value'] or 0:.2f}){tighter}"
        )
    return scores
