"""A report as one page: tables, strip plots, and what follows in words; it asks no host for anything."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.ticker import MaxNLocator

from mcvae_jax.corpus.alike import SHINGLE_NOTES
from mcvae_jax.evaluation import answer_page
from mcvae_jax.evaluation.bits_page import bits_picture, bits_section, figure_cell
from mcvae_jax.evaluation.compare import CLASSIFIER, FRECHET, MMD, SHARES, STRONG
from mcvae_jax.evaluation.conclusions import Report
from mcvae_jax.evaluation.copies import PASSAGE
from mcvae_jax.evaluation.figures import LAGS
from mcvae_jax.evaluation.measures import MEASURES
from mcvae_jax.evaluation.music_page import music_pictures, music_section, share_cell
from mcvae_jax.evaluation.scores import MODEL
from mcvae_jax.pages.document import document
from mcvae_jax.pages.elements import bullets, cell, definitions, details, paragraph, table, tag
from mcvae_jax.text import for_html

CAPTIONS = {
    CLASSIFIER: "Share of songs that logistic regression on measures and their squares tells rightly; 0.5 is chance.",
    STRONG: "The same by gradient boosting on n-grams of intervals, durations and places in the bar, on how like bars"
    f" are to those 1 to {LAGS} bars before, and on all measures but the bits.",
    FRECHET: "Between the Gaussians of all bars' latents (means of q) of one VAE.",
    MMD: "Squared and without bias, RBF kernel with the median distance as its width; it is around 0 for like sets.",
}
SHARE_NAMES = {
    "written": "bars in any training song, as written",
    "bars": "bars in any training song, in any key",
    "passages": f"bars in passages of {PASSAGE} or more",
    "nearest_share": "bars in the nearest training song, in one key",
    "windows": f"windows of {SHINGLE_NOTES} notes in one training song",
}
NEAREST = 10  # songs that are listed

WIDTH, ROW = 540, 34  # of a strip plot: units across, pixels of a row with its name above it
STYLE = """
:root {
  --width: 1400px; --model: #2f6fbf; --control: #8a8f98; --real: #2d8659; --lost: #fbe3c8; --band: #e3efe8;
  --bad: #b0491c;
}
@media (prefers-color-scheme: dark) {
  :root { --model: #6aaef5; --control: #8a919c; --real: #5fc493; --lost: #5a3d1c; --band: #1f3329; --bad: #f0925f; }
}
p { max-width: 75em; }
.card ul { margin: 4px 0; padding-left: 1.2em; }
.card li { margin: 4px 0; }
td.base { background: var(--band); }
td.text { white-space: normal; }
td.lost, .key { background: var(--lost); }
.key { padding: 0 6px; border-radius: 3px; }
.strips, .lags svg, .costs { background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
svg { display: block; }
svg text { font: 12px system-ui, "DejaVu Sans", sans-serif; fill: var(--ink); }
svg .tick { fill: var(--soft); }
svg .band { fill: var(--band); }
svg .grid { stroke: var(--line); }
svg .dots { stroke-width: 4; stroke-linecap: round; opacity: .4; }
svg .box { fill: none; stroke-width: 1.5; }
svg .median { stroke-width: 3; }
.lags { display: flex; flex-wrap: wrap; gap: 8px; }
h4 { margin: 10px 0 4px; font-size: .9rem; }
.strips { position: relative; max-width: 780px; padding: 0 10px 22px; overflow: hidden; }
.strips svg { width: 100%; overflow: visible; }
.strips svg * { vector-effect: non-scaling-stroke; }
.strips span { position: absolute; font-size: 11px; line-height: 1.2; }
.strips .name { left: 10px; }
.strips .tick { bottom: 4px; color: var(--soft); }
.costs { max-width: 780px; margin: 6px 0 0; padding: 10px 12px; list-style: none; }
.costs li { display: grid; grid-template-columns: 14em 1fr 4em; gap: 2px 10px; align-items: center; margin: 4px 0; }
.costs i { height: 16px; border-radius: 3px; background: var(--model); }
.costs i.real { background: var(--real); }
.costs span { font-size: .85rem; line-height: 1.2; overflow-wrap: anywhere; }
@media (max-width: 600px) {
  td.name, td.name small { white-space: normal; }
  .costs li { grid-template-columns: 1fr 4em; }
  .costs span { grid-column: 1 / 3; }
}
.lags rect.model, .lags rect.real { fill: currentColor; stroke: none; opacity: .75; }
.lags rect.model { color: var(--model); }
.lags rect.real { color: var(--real); }
svg .mark { stroke: var(--real); stroke-width: 2.5; }
svg .real { stroke: var(--real); }
svg .model { stroke: var(--model); }
svg .control { stroke: var(--control); }
"""


def write_page(path: Path, report: Report) -> None:
    """Writes the page of what evaluate.py's report.json holds."""
    about = report["about"]
    title = ", ".join(name for name, row in report["models"]["rows"].items() if row["role"] == MODEL)
    body = [
        f"<h1>Evaluation of {for_html(title)}</h1>",
        answer_page.verdict_section(report),
        "<h2>In pictures</h2>",
        _soft("Bits that a bar of a song costs which no model has seen: fewer is better, green is the n-gram."),
        bits_picture(report["models"]),
        *music_pictures(report),
        details("Every song of every set, measure by measure", "".join(_plots(report))),
        *answer_page.questions_section(report),
        *bits_section(report["models"]),
        *music_section(report),
        *_distances(report),
        *_copies(report),
        "<h2>What these numbers hold for</h2>",
        details("Models, songs and versions", definitions(about)),
    ]
    path.write_text(document(f"Evaluation of {title}", "\n".join(body), STYLE + answer_page.STYLE), "utf-8")


def _distances(report: Report) -> list[str]:
    """The table of all sets and distances, and that of the distances which controls win."""
    sets, kinds = report["sets"]["sets"], report["kinds"]
    subject = kinds["models"][0]
    measures = list(sets[subject]["distances"])
    rows = []
    for name in [*kinds["models"], *kinds["controls"]]:
        row = [cell(f"{name} ({sets[name]['songs']})", "name")]
        for measure in measures:
            distance = sets[name]["distances"][measure]
            lost = name in kinds["controls"] and distance["value"] < sets[subject]["distances"][measure]["value"]
            row.append(figure_cell(distance, ".3g", "lost" if lost else ""))
        rows.append(row)
    return [
        "<h2>Sets of songs beside held-out songs</h2>",
        _soft(
            f"Distances to {report['sets']['reference']['songs']} held-out songs, of {report['about']['bars']}"
            " bars each; smaller is more alike, and says nothing else. For single measures: Wasserstein-1, in the"
            " unit of the measure. “Other held-out songs” show how far apart two sets of real music are. Where sets"
            " hardly differ,"
            " resampling makes intervals lie above their figures. In brackets: songs of the set."
        ),
        tag("p", f"{tag('span', 'Shaded', 'key')}: a control that is nearer than {for_html(subject)}.", "soft"),
        table(["", *measures], rows),
        bullets(f"{name}: {caption}" for name, caption in CAPTIONS.items()),
        "<h3>Distances that controls win</h3>",
        _soft(
            "For each composed set, the controls that are no real music and yet nearer to it: either the songs are poor"
            " there, or the measure is blind. Not listed: real music, which should win, and shuffled bars where a"
            " measure does not ask for their order, since they are then real music to it."
        ),
        table(
            ["", *kinds["models"]],
            [[cell(m, "name"), *(_winners(report, n, m) for n in kinds["models"])] for m in measures],
        ),
    ]


def _winners(report: Report, model: str, measure: str) -> str:
    """The cell of the controls to which a composed set loses by a distance."""
    flags = [flag for flag in report["flags"] if (flag["model"], flag["measure"]) == (model, measure)]
    return cell(", ".join(name for flag in flags for name in flag["to"]), "text")


def _plots(report: Report) -> list[str]:
    sets, kinds = report["sets"]["sets"], report["kinds"]
    found = []
    for measure, reference in report["sets"]["reference"]["measures"].items():
        fixed = f"Under the {report['about']['ngram']} of the table above."
        doc = (measure in MEASURES and MEASURES[measure].__doc__) or fixed
        rows = [("held-out songs", "real", reference)]
        rows += [(name, "model", sets[name]["measures"][measure]) for name in kinds["models"]]
        rows += [(name, "control", sets[name]["measures"][measure]) for name in kinds["controls"]]
        found += [f"<h3>{for_html(measure)}</h3>", _soft(doc.split("\n\n")[0]), _strips(measure, rows)]
    found.append(
        _soft(
            "A dot is a song, the box holds the middle half, the thick line is the median; the green band is the middle"
            " half of held-out songs. What lies far outside their range is drawn at the edge."
        )
    )
    return found


def _strips(title: str, rows: Sequence[tuple[str, str, Mapping[str, Any]]]) -> str:
    """An SVG with a row of dots for each (name, kind, values with quartiles); the first is the reference."""
    values = rows[0][2]["values"]
    margin = (max(values) - min(values)) / 2 or 1.0
    low = max(min(values) - margin, min(min(row["values"]) for _, _, row in rows))
    high = min(max(values) + margin, max(max(row["values"]) for _, _, row in rows))
    high = max(high, low + 1e-9)  # where all values of all sets are the same

    def x(value: float) -> float:
        return WIDTH * (min(max(value, low), high) - low) / (high - low)

    height = ROW * len(rows)
    ends = [x(q) for q in rows[0][2]["quartiles"]]
    parts = [f'<rect class="band" x="{ends[0]:.1f}" width="{ends[1] - ends[0]:.1f}" height="{height}"/>']
    ticks = [tick for tick in MaxNLocator(5).tick_values(low, high) if low <= tick <= high]
    parts += [f'<path class="grid" d="M{x(tick):.1f} 0V{height}"/>' for tick in ticks]
    labels = [f'<span class="tick" style="left: {100 * x(tick) / WIDTH:.1f}%">{tick:g}</span>' for tick in ticks]
    for n, (name, kind, row) in enumerate(rows):
        y = ROW * n + ROW - 10
        dots = "".join(f"M{x(v):.1f} {y + i * 7 % 11 - 5:.0f}h0" for i, v in enumerate(row["values"]))
        left, right = (x(q) for q in row["quartiles"])
        parts += [
            f'<path class="dots {kind}" d="{dots}"/>',
            f'<rect class="box {kind}" x="{left:.1f}" y="{y - 8}" width="{right - left:.1f}" height="16"/>',
            f'<path class="median {kind}" d="M{x(row["median"]):.1f} {y - 8}v16"/>',
        ]
        labels.append(f'<span class="name" style="top: {ROW * n}px">{for_html(name)}</span>')
    # across it is as wide as there is room, so that all text stands beside the drawing
    box = f'viewBox="0 0 {WIDTH} {height}" preserveAspectRatio="none" height="{height}"'
    drawing = f'<svg {box} role="img" aria-label="{for_html(title)} by set">{"".join(parts)}</svg>'
    return f'<div class="strips">{drawing}{"".join(labels)}</div>'


def _copies(report: Report) -> list[str]:
    """What is copied from the training songs, by set; and the songs nearest to one."""
    rows = []
    for name, each in report["copies"].items():
        rows.append([cell(name, "name"), *(share_cell(each[share]) for share in SHARES)])
    songs = [(song, name) for name in report["kinds"]["models"] for song in report["copies"][name]["songs"]]
    songs.sort(key=lambda item: -item[0]["nearest_share"])
    nearest = [
        [
            cell(name, "name"),
            cell(song["nearest"], "text"),
            cell(f"{song['shift']:+d}"),
            *(cell(f"{song[s]:.0%}") for s in SHARES),
        ]
        for song, name in songs[:NEAREST]
    ]
    shares = [SHARE_NAMES[share] for share in SHARES]
    return [
        "<h2>What is copied from the training songs</h2>",
        _soft(
            "Mean share of a song's bars that stand note for note in training songs, in any key; bars without a note"
            " do not count. Held-out songs share plain bars with them, too: more than that is copying, above all in"
            " passages. The last column finds melodies that are copied with a wrong note here and there, or moved"
            " against the bar lines."
        ),
        table(["", *shares], rows),
        f"<h3>The {len(nearest)} composed songs that are nearest to a training song</h3>",
        table(["set", "training song", "semitones up to it", *shares], nearest),
    ]


def _soft(words: str) -> str:
    return paragraph(words, "soft")
