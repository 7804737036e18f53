"""The page of the thesis' evaluation: the claims, every figure with what the thesis says of it, and an overview."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.published.figures import Figure
from experiments.published.sets import MEASURES
from mcvae_jax.pages.document import document
from mcvae_jax.pages.elements import cell, definitions, details, paragraph, png, table, tag
from mcvae_jax.text import for_html

STYLE = """
:root { --width: 1100px; --code: #ebe8e1; }
@media (prefers-color-scheme: dark) { :root { --code: #262a32; } }
th, td { text-align: left; }
figure { margin: 12px 0 26px; } img { display: block; max-width: 100%; background: #fff; margin: 4px 0; }
@media (prefers-color-scheme: dark) { img { filter: invert(.9) hue-rotate(180deg); } }
.verdict { margin: 6px 0; font-size: 1.25rem; line-height: 1.35; font-weight: 600; }
.card { margin-top: 14px; }
code { display: block; padding: 6px 8px; background: var(--code); font-size: .78rem; overflow-wrap: anywhere; }
@media (max-width: 600px) {
  .verdict { font-size: 1.1rem; }
  .wide img { max-width: 760px; }
  .stacked table, .stacked tbody, .stacked tr, .stacked td { display: block; }
  .stacked tr:first-child { display: none; }
  .stacked tr { margin: 0 0 12px; border: 1px solid var(--line); border-radius: 8px; }
  .stacked td { border: none; position: static; }
  .stacked td:first-child { font-weight: 600; }
  .stacked td:not(:first-child)::before { content: attr(data-head) ": "; color: var(--soft); }
}
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
    verdict: Sequence[str],
    sentences: Sequence[str],
    claims: Sequence[Mapping[str, str]],
    overview: Sequence[Mapping[str, Any]],
    drawn: Sequence[Figure],
    others: Mapping[str, tuple[str, str]],
) -> None:
    """Writes index.html beside the figures, which it holds itself.

    Args:
      verdict: what follows, in sentences that are read in ten seconds.
      sentences: what follows beyond that, and what is missing.
      claims, overview: rows of claims.py.
      drawn: figures in both modes; others: the stem of each further picture that is there: its title and caption.
    """
    columns = {name: name for name in ("model", "method", "bars")}
    columns |= {name: f"thesis mode, fitted on {told}" if told else "bits per bar" for name, told in MEASURES.items()}
    more = tag("ul", "".join(tag("li", _sentence(line)) for line in sentences))
    rows = [[_figure(name, row[name]) for name in columns] + [_distance(row)] for row in overview]
    body = [
        "<h1>The thesis' evaluation (6.4.2 to 6.6)</h1>",
        tag("div", "".join(paragraph(line, "verdict") for line in verdict), "card"),
        details("More that follows", more),
        details("What is measured, and how to read the figures", "".join(map(paragraph, INTRODUCTION))),
    ]
    for figure in drawn:
        body += [tag("h2", for_html(f"Fig {figure.number}: {figure.title}")), paragraph(f"The thesis: {figure.claim}")]
        body.append(_pictures(folder, (figure.stem, f"{figure.stem}_corrected"), len(figure.panels) > 1))
    for stem, (title, caption) in others.items():
        body += [tag("h2", for_html(title)), paragraph(caption), _pictures(folder, (stem,), wide=True)]
    body += [
        "<h2>The thesis' claims</h2>",
        _table([*list(claims[0])[:-1], "what follows"], [list(row.values()) for row in claims], stacked=True),
        "<h2>All sets, the nearest to real songs first</h2>",
        paragraph(METHODS),
        _table([*columns.values(), "W1 from real songs"], rows),
        "<h2>What these numbers hold for</h2>",
        definitions(about),
    ]
    html = document("The thesis' evaluation", "\n".join(body), STYLE)
    (folder / "index.html").write_text(html, "utf-8")


def _sentence(line: str) -> str:
    """A command stands as what is to be typed."""
    return tag("code", for_html(line)) if line.startswith("python -m ") else for_html(line)


def _figure(name: str, value: Any) -> str:
    """A cell of the overview."""
    if isinstance(value, float):
        return f"{value:.1%}" if name.startswith("thesis") else f"{value:.1f}"
    return str(value)


def _distance(row: Mapping[str, Any]) -> str:
    return f"{row['wasserstein']:.1f} ({row['wasserstein_low']:.1f} to {row['wasserstein_high']:.1f})"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], stacked: bool = False) -> str:
    """A table; stacked: its cells stand below each other on a narrow screen, each with the head of its column."""
    if not stacked:
        return table(head, [[cell(words) for words in row] for row in rows])
    cells = [
        [f'<td data-head="{for_html(name)}">{for_html(words)}</td>' for name, words in zip(head, row, strict=True)]
        for row in rows
    ]
    return tag("div", table(head, cells), "stacked")


def _pictures(folder: Path, stems: Sequence[str], wide: bool) -> str:
    """Pictures below each other; wide ones keep their size on a narrow screen, where they scroll."""
    return tag("figure", "".join(png(folder / f"{stem}.png") for stem in stems), "wide" if wide else "")
