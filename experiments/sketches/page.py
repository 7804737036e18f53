"""Drawings as a page: tables of small pictures."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from experiments.sketches.strokes import Drawing, lines
from mcvae_jax.pages.document import document
from mcvae_jax.pages.elements import definitions, paragraph, table, tag
from mcvae_jax.text import for_html

SIZE, MARGIN = 100, 8  # of a picture, in units of its view box
STYLE = """
p { max-width: 65em; }
td { padding: 2px; border: 0; }
th, th:first-child { text-align: center; font-weight: 400; color: var(--soft); border: 0; }
td.given { background: var(--page); }
svg { display: block; width: 84px; height: 84px; }
@media (max-width: 600px) { svg { width: 58px; height: 58px; } }
polyline { vector-effect: non-scaling-stroke; }
"""


class Section(NamedTuple):
    """A table of drawings."""

    title: str
    words: str
    head: Sequence[str]  # of the columns
    rows: Sequence[Sequence[Drawing]]
    given: Iterable[int] = ()  # columns of drawings that no model drew


def write(title: str, words: str, sections: Sequence[Section], facts: Mapping[str, Any]) -> str:
    """The whole page."""
    body = [f"<h1>{for_html(title)}</h1>", paragraph(words, "soft")]
    for section in sections:
        rows = [
            [tag("td", svg(each), "given" if n in section.given else "") for n, each in enumerate(row)]
            for row in section.rows
        ]
        body += [
            f"<h2>{for_html(section.title)}</h2>",
            paragraph(section.words, "soft"),
            table(section.head, rows),
        ]
    body += ["<h2>What drew them</h2>", definitions(facts)]
    return document(title, "\n".join(body), STYLE)


def svg(drawing: Drawing) -> str:
    """A picture that the drawing fills; nothing in an empty one."""
    parts = lines(drawing) if len(drawing) else []
    if parts:
        places = np.concatenate(parts)
        low, high = places.min(axis=0), places.max(axis=0)
        scale = (SIZE - 2 * MARGIN) / max(float((high - low).max()), 1e-6)
        parts = [(part - (low + high) / 2) * scale + SIZE / 2 for part in parts]
        parts = [np.repeat(part, 2, axis=0) if len(part) == 1 else part for part in parts]  # else a dot is not seen
    shapes = "".join(f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in part)}"/>' for part in parts)
    style = 'fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round"'
    return f'<svg viewBox="0 0 {SIZE} {SIZE}" role="img" aria-label="a drawing" {style}>{shapes}</svg>'
