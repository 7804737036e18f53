"""One picture that says it all: for each model what a bar costs, and how often its songs are told from real ones."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.ticker import MaxNLocator

from mcvae_jax.evaluation.compare import STRONG
from mcvae_jax.evaluation.controls import HALF
from mcvae_jax.evaluation.scores import BASELINE, WITH_COPIES
from mcvae_jax.text import for_html

LABELS, PANEL, ROW, TOP, WIDTH = 132, 205, 30, 44, 352  # pixels
STYLE = """
:root { --alone: #2f6fbf; --copy: #b0491c; --mark: #2d8659; }
@media (prefers-color-scheme: dark) { :root { --alone: #6aaef5; --copy: #f0925f; --mark: #5fc493; } }
.picture { display: flex; flex-wrap: wrap; gap: 10px; }
.picture svg { background: var(--card); border: 1px solid var(--line); border-radius: 12px; }
.picture text { font: 13px system-ui, "DejaVu Sans", sans-serif; fill: var(--ink); }
.picture .tick { fill: var(--soft); font-size: 12px; }
.picture .grid { stroke: var(--line); }
.picture .alone { stroke: var(--alone); fill: var(--alone); }
.picture .copy { stroke: var(--copy); fill: var(--card); stroke-width: 2; }
.picture .mark { stroke: var(--mark); stroke-width: 2; stroke-dasharray: 5 3; }
i.alone, i.copy { display: inline-block; width: 10px; height: 10px; border-radius: 50%; }
i.alone, i.copy { border: 2px solid var(--alone); }
i.alone { background: var(--alone); }
i.copy { border-color: var(--copy); margin-left: 14px; }
.picture text.mark { stroke: none; fill: var(--mark); font-size: 12px; }
"""

Points = Sequence[tuple[int, str, Mapping[str, Any]]]  # row, 'alone' or 'copy', figure


def draw(found: Mapping[str, Any]) -> str:
    """Two SVGs of one table: models from the fewest bits down, those without a likelihood last."""
    bits, sets = found["bits"], found["sets"]["sets"]["sets"]
    names = order(found)
    forms = {"alone": "", "copy": WITH_COPIES}
    rows = [(n, kind, name + ending) for n, name in enumerate(names) for kind, ending in forms.items()]
    cost = [(n, kind, bits[name]["bits_per_bar"]) for n, kind, name in rows if name in bits]
    told = [(n, kind, sets[name]["distances"][STRONG]) for n, kind, name in rows if name in sets]
    baseline, real = bits[BASELINE]["bits_per_bar"]["value"], sets[HALF]["distances"][STRONG]["value"]
    panels = [
        _panel("bits a bar; fewer is better", names, cost, baseline, "n-gram + copy"),
        _panel("songs told from real ones; 0.5 is chance", names, told, real, "other real songs"),
    ]
    legend = '<p class="soft"><i class="alone"></i> alone <i class="copy"></i> with the copy switch; 95 % intervals</p>'
    return f'<div class="picture">{"".join(panels)}</div>{legend}'


def order(found: Mapping[str, Any]) -> list[str]:
    """Models of a table by the bits of their cheaper form, those without a likelihood last."""
    bits = found["bits"]
    composing = [name for name in found["costs"] if name in found["sets"]["sets"]["sets"]]
    others = [name for name in bits if name != BASELINE and not name.endswith(WITH_COPIES) and name not in composing]

    def fewest(name: str) -> float:
        forms = [bits[each]["bits_per_bar"]["value"] for each in (name, name + WITH_COPIES) if each in bits]
        return min(forms, default=float("inf"))

    return sorted([*composing, *others], key=fewest)


def _panel(title: str, names: Sequence[str], points: Points, mark: float, called: str) -> str:
    """An SVG as wide as a phone."""
    ends = [end for _, _, figure in points for end in figure["interval"]] + [mark]
    low, high = min(ends), max(ends)
    low, high = low - 0.05 * (high - low or 1), high + 0.05 * (high - low or 1)
    bottom = TOP + ROW * len(names)

    def x(value: float) -> float:
        return LABELS + PANEL * (value - low) / (high - low)

    parts = [f'<text x="12" y="16">{for_html(title)}</text>']
    for n, name in enumerate(names):
        parts.append(f'<text x="{LABELS - 12}" y="{TOP + ROW * n + 20}" text-anchor="end">{for_html(name)}</text>')
    for tick in MaxNLocator(5).tick_values(low, high):
        if low <= tick <= high:
            parts.append(f'<path class="grid" d="M{x(tick):.1f} {TOP}V{bottom}"/>')
            parts.append(f'<text class="tick" x="{x(tick):.1f}" y="{bottom + 18}" text-anchor="middle">{tick:g}</text>')
    place = f'x="{x(mark):.1f}" y="{TOP - 10}" text-anchor="{"start" if mark < (low + high) / 2 else "end"}"'
    parts.append(f'<path class="mark" d="M{x(mark):.1f} {TOP - 6}V{bottom}"/>')
    parts.append(f'<text class="mark" {place}>{for_html(called)}</text>')
    for n, kind, figure in points:
        y = TOP + ROW * n + (11 if kind == "alone" else 20)
        start, end = (x(each) for each in figure["interval"])
        parts.append(f'<path class="{kind}" d="M{start:.1f} {y}H{end:.1f}" fill="none"/>')
        parts.append(f'<circle class="{kind}" cx="{x(figure["value"]):.1f}" cy="{y}" r="5"/>')
    size = f'width="{WIDTH}" height="{bottom + 30}"'
    return f'<svg {size} role="img" aria-label="{for_html(title)}, by model">{"".join(parts)}</svg>'
