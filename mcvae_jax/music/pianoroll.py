"""Tokens as a picture: a piano roll drawn into a matplotlib axis."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.patches import Rectangle

from mcvae_jax.music.tokens import BAR, tokens_to_notes


def draw_pianoroll(
    axis: Axes,
    tokens: np.ndarray,
    pitches: tuple[int, int],
    compare: np.ndarray | None = None,
    steps_per_bar: int = BAR,
    first_bar: int = 1,
) -> None:
    """Draws a monophonic melody: a bar of colour for each note, a line at each bar line.

    Args:
      axis: to draw into; its limits and ticks are set.
      tokens: uint8 (T,).
      pitches: the lowest and highest pitch to show.
      compare: uint8 (T,) or None; notes that do not stand there with the same pitch, start and end are red.
      first_bar: the number of the first bar.
    """
    same = set() if compare is None else set(zip(*(part.tolist() for part in tokens_to_notes(compare)), strict=True))
    notes = list(zip(*(part.tolist() for part in tokens_to_notes(tokens)), strict=True))
    boxes = [Rectangle((start, pitch - 0.5), end - start, 1) for start, end, pitch in notes]
    colours = ["tab:red" if compare is not None and note not in same else "tab:blue" for note in notes]
    axis.add_collection(PatchCollection(boxes, facecolor=colours, edgecolor="white", linewidth=0.5))
    for step in range(0, len(tokens) + 1, steps_per_bar):
        axis.axvline(step, color="0.85", linewidth=0.6, zorder=0)
    axis.set_xlim(0, len(tokens))
    axis.set_ylim(pitches[0] - 1.5, pitches[1] + 1.5)
    numbers = [str(first_bar + bar) for bar in range(len(tokens) // steps_per_bar)]
    axis.set_xticks(range(0, len(tokens), steps_per_bar), numbers, fontsize=6)
    axis.tick_params(axis="y", labelsize=6)
