"""Tokens as a picture: a piano roll drawn into a matplotlib axis."""

from typing import TYPE_CHECKING

import numpy as np

from mcvae_jax.music.numbering import PLAIN, Numbers
from mcvae_jax.music.tokens import BAR, tokens_to_notes

if TYPE_CHECKING:  # a command's help need not wait for matplotlib
    from matplotlib.axes import Axes

ALL_NUMBERED = 16  # bars; of more, every fourth has its number


def draw_pianoroll(
    axis: "Axes",
    tokens: np.ndarray,
    pitches: tuple[int, int],
    compare: np.ndarray | None = None,
    steps_per_bar: int = BAR,
    numbers: Numbers = PLAIN,
) -> None:
    """Draws a monophonic melody: a bar of colour for each note, a line at each bar line.

    Args:
      axis: to draw into; its limits and ticks are set.
      tokens: uint8 (T,).
      pitches: the lowest and highest pitch to show.
      compare: uint8 (T,) or None; notes that do not stand there with the same pitch, start and end are red.
      numbers: of the bars, as printed.
    """
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    same = set() if compare is None else set(zip(*(part.tolist() for part in tokens_to_notes(compare)), strict=True))
    notes = list(zip(*(part.tolist() for part in tokens_to_notes(tokens)), strict=True))
    boxes = [Rectangle((start, pitch - 0.5), end - start, 1) for start, end, pitch in notes]
    colours = ["tab:red" if compare is not None and note not in same else "tab:blue" for note in notes]
    axis.add_collection(PatchCollection(boxes, facecolor=colours, edgecolor="white", linewidth=0.5))
    lines = np.arange(0, len(tokens) + 1, steps_per_bar)  # one artist for all of them: each costs a millisecond
    axis.vlines(lines, 0, 1, transform=axis.get_xaxis_transform(), color="0.85", linewidth=0.6, zorder=0)
    axis.set_xlim(0, len(tokens))
    axis.set_ylim(pitches[0] - 1.5, pitches[1] + 1.5)
    bars = range(0, len(tokens) // steps_per_bar, 1 if len(lines) - 1 <= ALL_NUMBERED else 4)
    axis.set_xticks([bar * steps_per_bar for bar in bars], [str(numbers.of(bar)) for bar in bars], fontsize=6)
    axis.tick_params(axis="y", labelsize=6)
