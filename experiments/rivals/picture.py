"""One picture that says it all: for each model what a bar costs, and how often its songs are told from real ones."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.ticker import MaxNLocator

from mcvae_jax.evaluation.compare import STRONG
from mcvae_jax.evaluation.controls import HALF
from mcvae_jax.evaluation.scores import BASELINE, WITH_COPIES
from mcvae_jax.text import for_html

LABELS, PANEL, GAP, ROW, TOP = 170, 250, 40, 30, 44  # pixels
STYLE = """
.picture { --alone: #2f6fbf; --copy: #b0491c; --mark: #2d8659; }
@media (prefers-color-scheme: dark) { .picture { --alone: #6aaef5; --copy: #f0925f; --mark: #5fc493; } }
.picture svg { display: block; background: var(--card); border: 1px solid var(--line); border-radius: 12px; }
.picture text { font: 13px system-ui, "DejaVu Sans", sans-serif; fill: var(--ink); }
.picture .tick { fill: var(--soft); font-size: 12px; }
.picture .grid { stroke: var(--line); }
.picture .alone { stroke: var(--alone); fill: var(--alone); }
.picture .copy { stroke: var(--copy); fill: var(--card); stroke-width: 2; }
.picture .mark { stroke: var(--mark); stroke-width: 2; stroke-dasharray: 5 3; }
.picture text.mark { stroke: none; fill: var(--mark); font-size: 12px; }
"""

Points = Sequence[tuple[int, str, Mapping[str, Any]]]  # row, 'alone' or 'copy', figure


def draw(found: Mapping[str, Any]) -> str:
    """An SVG of one table: models from the fewest bits down, those without a likelihood last."""
    bits, sets = found["bits"], found["sets"]["sets"]["sets"]
    names = order(found)
    forms = {"alone": "", "copy": WITH_COPIES}
    cost = [
        (n, kind, bits[name + ending]["bits_per_bar"])
        for n, name in enumerate(names)
        for kind, ending in forms.items()
        if name + ending in bits and name + ending != BASELINE
    ]
    told = [
        (n, kind, sets[name + ending]["distances"][STRONG])
        for n, name in enumerate(names)
        for kind, ending in forms.items()
        if name + ending in sets
    ]
    height = TOP + ROW * len(names) + 56
    parts = [
        f'<text x="{LABELS - 12}" y="{TOP + ROW * n + 20}" text-anchor="end">{for_html(name)}</text>'
        for n, name in enumerate(names)
    ]
    bottom = TOP + ROW * len(names)
    parts += _panel(
        LABELS, bottom, "bits a bar; fewer is better", cost, bits[BASELINE]["bits_per_bar"]["value"], "n-gram + copy"
    )
    real = sets[HALF]["distances"][STRONG]["value"]
    left = LABELS + PANEL + GAP
    parts += _panel(left, bottom, "told from real songs; 0.5 is chance", told, real, "other real songs")
    width = left + PANEL + 24
    legend = ""
    for x, kind, words in ((LABELS, "alone", "alone"), (LABELS + 80, "copy", "with the copy switch; 95 % intervals")):
        legend += f'<circle class="{kind}" cx="{x + 6}" cy="{height - 12}" r="5"/>'
        legend += f'<text x="{x + 18}" y="{height - 8}">{words}</text>'
    label = "Bits a bar, and share of songs told from real ones, by model"
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    svg = f'<svg {size} role="img" aria-label="{label}">{"".join(parts)}{legend}</svg>'
    return f'<div class="wide picture">{svg}</div>'


def order(found: Mapping[str, Any]) -> list[str]:
    """Models of a table by the bits of their cheaper form, those without a likelihood last."""
    bits = found["bits"]
    composing = [name for name in found["costs"] if name in found["sets"]["sets"]["sets"]]
    others = [name for name in bits if name != BASELINE and not name.endswith(WITH_COPIES) and name not in composing]

    def fewest(name: str) -> float:
        forms = [bits[each]["bits_per_bar"]["value"] for each in (name, name + WITH_COPIES) if each in bits]
        return min(forms, default=float("inf"))

    return sorted([*composing, *others], key=fewest)


def _panel(left: int, bottom: int, title: str, points: Points, mark: float, called: str) -> list[str]:
    ends = [end for _, _, figure in points for end in figure["interval"]] + [mark]
    low, high = min(ends), max(ends)
    low, high = low - 0.04 * (high - low or 1), high + 0.04 * (high - low or 1)

    def x(value: float) -> float:
        return left + PANEL * (value - low) / (high - low)

    parts = [f'<text x="{left + PANEL / 2}" y="16" text-anchor="middle">{for_html(title)}</text>']
    for tick in MaxNLocator(5).tick_values(low, high):
        if low <= tick <= high:
            parts.append(f'<path class="grid" d="M{x(tick):.1f} {TOP}V{bottom}"/>')
            parts.append(f'<text class="tick" x="{x(tick):.1f}" y="{bottom + 18}" text-anchor="middle">{tick:g}</text>')
    anchor = "start" if x(mark) < left + PANEL / 2 else "end"
    parts.append(f'<path class="mark" d="M{x(mark):.1f} {TOP - 6}V{bottom}"/>')
    parts.append(
        f'<text class="mark" x="{x(mark):.1f}" y="{TOP - 10}" text-anchor="{anchor}">{for_html(called)}</text>'
    )
    for n, kind, figure in points:
        y = TOP + ROW * n + (11 if kind == "alone" else 20)
        start, end = (x(each) for each in figure["interval"])
        parts.append(f'<path class="{kind}" d="M{start:.1f} {y}H{end:.1f}" fill="none"/>')
        parts.append(f'<circle class="{kind}" cx="{x(figure["value"]):.1f}" cy="{y}" r="5"/>')
    return parts
