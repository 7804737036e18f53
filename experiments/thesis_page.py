"""The page of the thesis' evaluation: the claims, every figure with what the thesis says of it, and an overview."""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from experiments.thesis_figures import Figure
from experiments.thesis_sets import MEASURES

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_STYLE = """
body { margin: 0 auto; max-width: 1100px; padding: 28px 24px 56px; background: #f6f5f2; color: #1f2328;
  font: 16px/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { margin: 0; font-size: 1.6rem; } h2 { margin: 32px 0 4px; font-size: 1.2rem; } p { margin: 4px 0 10px; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .82rem; background: #fff; }
th, td { padding: 4px 8px; border: 1px solid #e2dfd8; text-align: left; vertical-align: top; }
figure { margin: 12px 0 26px; } img { display: block; max-width: 100%; background: #fff; margin: 4px 0; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 14px; font-size: .88rem; }
dt { color: #646b76; } dd { margin: 0; overflow-wrap: anywhere; }
"""
INTRODUCTION = (
    "What the thesis measures: 5-gram scores along interpolations between songs of set A and set B (6.4.2 to 6.6). In"
    " thesis mode the score is exp(sum of log p / tokens) with add-one smoothing, of a model fitted on the songs that"
    " it scores; a high score only says that melodies are easy to guess. Corrected: bits per bar under a Kneser-Ney"
    " 5-gram of training songs, where what counts is how far the distribution lies from that of real songs (W1, the"
    " Wasserstein-1 distance in bits per bar, with its 95 % interval), above or below. The green band is the middle"
    " half of the real songs, the line their median."
)


def write_page(
    folder: Path,
    about: Mapping[str, Any],
    sentences: Sequence[str],
    claims: Sequence[Mapping[str, str]],
    overview: Sequence[Mapping[str, Any]],
    drawn: Sequence[Figure],
    others: Mapping[str, str],
) -> None:
    """Writes index.html beside the figures, which it holds itself.

    Args:
      sentences: what follows, and what is missing.
      claims, overview: rows of `thesis_claims`.
      drawn: figures in both modes; others: the stem of each further picture that is there, and its caption.
    """
    columns = {"model": "", "method": "", "bars": "bars"}
    columns |= {name: f"thesis mode, fitted on {told}" if told else "bits per bar" for name, told in MEASURES.items()}
    columns |= {"wasserstein": "W1 from real songs"}
    rows = [[_figure(name, row[name]) for name in columns] for row in overview]
    body = [
        "<h1>The thesis' evaluation (6.4.2 to 6.6)</h1>",
        f"<p>{escape(INTRODUCTION)}</p>",
        f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in sentences)}</ul>",
        "<h2>The thesis' claims</h2>",
        _table(list(claims[0]), [list(row.values()) for row in claims]),
        "<h2>All sets, the nearest to real songs first</h2>",
        "<p>Means over all alphas. Of real songs, W1 is that between A and B.</p>",
        _table(list(columns.values()), rows),
    ]
    for figure in drawn:
        body.append(f"<h2>Fig {figure.number}: {escape(figure.title)}</h2><p>The thesis: {escape(figure.claim)}</p>")
        body.append(_pictures(folder, (figure.stem, f"{figure.stem}_corrected")))
    for stem, caption in others.items():
        body += [f"<h2>{escape(caption)}</h2>", _pictures(folder, (stem,))]
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>" for name, value in about.items())
    body.append(f"<h2>What these numbers hold for</h2><dl>{facts}</dl>")
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}"><link rel="icon" href="data:,">'
        f"<title>The thesis' evaluation</title><style>{_STYLE}</style>"
    )
    html = f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>\n' + "\n".join(body) + "\n</body></html>\n"
    (folder / "index.html").write_text(html, "utf-8")


def _figure(name: str, value: Any) -> str:
    """A cell of the overview."""
    return value if isinstance(value, str) else f"{value:.1%}" if name.startswith("thesis") else f"{value:.3g}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    titles = "".join(f"<th>{escape(title)}</th>" for title in head)
    lines = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{titles}</tr>{lines}</table></div>'


def _pictures(folder: Path, stems: Sequence[str]) -> str:
    def image(stem):
        data = base64.b64encode((folder / f"{stem}.png").read_bytes()).decode()
        return f'<img alt="{stem}" src="data:image/png;base64,{data}">'

    return f"<figure>{''.join(map(image, stems))}</figure>"
