"""The page of the thesis' evaluation: the claims, every figure with what the thesis says of it, and an overview."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.published.figures import Figure
from experiments.published.sets import MEASURES
from mcvae_jax.text import for_html

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_STYLE = """
body { margin: 0 auto; max-width: 1100px; padding: 28px 24px 56px; background: #f6f5f2; color: #1f2328;
  font: 16px/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { margin: 0; font-size: 1.6rem; } h2 { margin: 32px 0 4px; font-size: 1.2rem; } p { margin: 4px 0 10px; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .82rem; background: #fff; }
th, td { padding: 4px 8px; border: 1px solid #e2dfd8; text-align: left; vertical-align: top; }
figure { margin: 12px 0 26px; } img { display: block; max-width: 100%; background: #fff; margin: 4px 0; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 14px; font-size: .88rem; }
dt { color: #646b76; } dd { margin: 0; } dd, li { overflow-wrap: anywhere; }
code { display: block; padding: 6px 8px; background: #ebe8e1; font-size: .78rem; overflow-wrap: anywhere; }
@media (prefers-color-scheme: dark) { body { background: #14161a; color: #e6e4df; } table { background: #1d2026; }
  th, td { border-color: #363b45; } dt { color: #a2a8b3; } code { background: #262a32; } }
"""
INTRODUCTION = (
    "What the thesis measures: 5-gram scores along interpolations between songs of set A and set B (6.4.2 to 6.6)."
    " Thesis mode: exp(sum of log p / tokens) with add-one smoothing, of a model fitted on the songs that it scores; a"
    " high score only says that melodies are easy to guess.",
    "Corrected: bits per bar under a Kneser-Ney 5-gram of training songs. What counts is how far their distribution"
    " lies from that of real songs, above or below: W1, the Wasserstein-1 distance in bits per bar, in brackets its"
    " 95% bootstrap interval over pairs. Resampling adds noise of its own, so that the interval of a small distance"
    " may lie above it. A and B differ by chance alone, which gives the scale; the melodies of a method are of five"
    " alphas, so that chance adds less to their distance.",
    "Figures: the box is from quartile to quartile, the orange line the median, the triangle the mean, crosses are"
    " beyond 1.5 interquartile ranges; B and A are the real songs. Under 'bits per bar' the green band is the middle"
    " half of all real songs, the green line their median.",
)
METHODS = (
    "Means over all alphas. Of real songs, W1 is that between A and B. True data: Eq 6.3 as published, which is B below"
    " 0.5 and A above, and honest, each step from A with probability alpha. VAE: Algorithms 1 (conditional: all bars'"
    " latents are given) and 2 (unconditional: the first alone); MCVAE: Algorithms 3 and 4. Controls: silence, and the"
    " first bar with a note of each song of A again and again. 'workdir' and 'uncleaned' are the options that gave the"
    " models."
)


def write_page(
    folder: Path,
    about: Mapping[str, Any],
    sentences: Sequence[str],
    claims: Sequence[Mapping[str, str]],
    overview: Sequence[Mapping[str, Any]],
    drawn: Sequence[Figure],
    others: Mapping[str, tuple[str, str]],
) -> None:
    """Writes index.html beside the figures, which it holds itself.

    Args:
      sentences: what follows, and what is missing.
      claims, overview: rows of claims.py.
      drawn: figures in both modes; others: the stem of each further picture that is there: its title and caption.
    """
    columns = {name: name for name in ("model", "method", "bars")}
    columns |= {name: f"thesis mode, fitted on {told}" if told else "bits per bar" for name, told in MEASURES.items()}
    rows = [[_figure(name, row[name]) for name in columns] + [_distance(row)] for row in overview]
    body = [
        "<h1>The thesis' evaluation (6.4.2 to 6.6)</h1>",
        *(f"<p>{for_html(paragraph)}</p>" for paragraph in INTRODUCTION),
        f"<ul>{''.join(f'<li>{_sentence(line)}</li>' for line in sentences)}</ul>",
        "<h2>The thesis' claims</h2>",
        _table([*list(claims[0])[:-1], "what follows"], [list(row.values()) for row in claims]),
        "<h2>All sets, the nearest to real songs first</h2>",
        f"<p>{for_html(METHODS)}</p>",
        _table([*columns.values(), "W1 from real songs"], rows),
    ]
    for figure in drawn:
        body.append(
            f"<h2>Fig {figure.number}: {for_html(figure.title)}</h2><p>The thesis: {for_html(figure.claim)}</p>"
        )
        body.append(_pictures(folder, (figure.stem, f"{figure.stem}_corrected")))
    for stem, (title, caption) in others.items():
        body += [f"<h2>{for_html(title)}</h2><p>{for_html(caption)}</p>", _pictures(folder, (stem,))]
    facts = "".join(f"<dt>{for_html(name)}</dt><dd>{for_html(_fact(value))}</dd>" for name, value in about.items())
    body.append(f"<h2>What these numbers hold for</h2><dl>{facts}</dl>")
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}"><link rel="icon" href="data:,">'
        f"<title>The thesis' evaluation</title><style>{_STYLE}</style>"
    )
    html = f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>\n' + "\n".join(body) + "\n</body></html>\n"
    (folder / "index.html").write_text(html, "utf-8")


def _sentence(line: str) -> str:
    """A command stands as what is to be typed."""
    return f"<code>{for_html(line)}</code>" if line.startswith("python -m ") else for_html(line)


def _figure(name: str, value: Any) -> str:
    """A cell of the overview."""
    if isinstance(value, float):
        return f"{value:.1%}" if name.startswith("thesis") else f"{value:.1f}"
    return str(value)


def _distance(row: Mapping[str, Any]) -> str:
    return f"{row['wasserstein']:.1f} ({row['wasserstein_low']:.1f} to {row['wasserstein_high']:.1f})"


def _fact(value: Any) -> str:
    """Nested facts in one line."""
    if isinstance(value, Mapping):
        return "; ".join(f"{name} {_fact(each)}" for name, each in value.items())
    return str(value)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    titles = "".join(f"<th>{for_html(title)}</th>" for title in head)
    lines = "".join(f"<tr>{''.join(f'<td>{for_html(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{titles}</tr>{lines}</table></div>'


def _pictures(folder: Path, stems: Sequence[str]) -> str:
    def image(stem):
        data = base64.b64encode((folder / f"{stem}.png").read_bytes()).decode()
        return f'<img alt="{stem}" src="data:image/png;base64,{data}">'

    return f"<figure>{''.join(map(image, stems))}</figure>"
