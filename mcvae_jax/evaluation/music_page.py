"""The section of the report about music: figures of a musician beside real songs, and what comes back when."""

from collections.abc import Mapping, Sequence
from typing import Any

from mcvae_jax.evaluation.conclusions import differs, in_two, percent, times
from mcvae_jax.evaluation.music import ENDING, FIFTH, FIGURES, LAGS
from mcvae_jax.pages.elements import cell, paragraph, table, tag
from mcvae_jax.text import for_html

Report = Mapping[str, Any]

SHARES = {"written": "bars in training songs, as written", "bars": "bars in training songs, in any key"}
CAPTIONS = {
    "notes out of the key": "outside the diatonic scale that fits best",
    "leaps over a fifth": f"from note to note, over {FIFTH} semitones",
    ENDING: "a quarter or longer, at the beginning or in the middle of a bar",
}
WIDTH, HEIGHT, BAR, TOP, BOTTOM, SIDE = 330, 150, 16, 26, 20, 34  # of a picture of lags, in pixels
STEP = 5  # of the scale of shares, in a hundred


def music_section(report: Report) -> list[str]:
    """HTML: for songs after real bars, and for songs from nothing, the table and the pictures."""
    after, alone = report["music"]
    lead = (
        f"How each model goes on after the first {after['given']} bars of held-out songs, with its defaults, until it"
        " ends the song, beside how these go on themselves. The key is that of the given bars."
    )
    from_nothing = (
        f"{report['about']['bars']} bars each; the key is that of the song itself, so that little can lie outside."
    )
    return [
        "<h2>What a musician asks</h2>",
        *(_group("Songs that go on", lead, after, report["copies"]) if report["kinds"]["continued"] else []),
        *_group("Songs from nothing", from_nothing, alone, report["copies"]),
        paragraph(
            "A coloured figure is shown to differ from that of the real songs: the 95 % interval of the difference"
            " leaves out 0. Below each figure stands its own interval, by resampling songs, then how many times the"
            " figure of the real songs it is; that is left out where real songs have next to nothing of it.",
            "soft",
        ),
    ]


def music_pictures(report: Report) -> list[str]:
    """HTML: what comes back when, in songs after real bars and in songs from nothing."""
    after, alone = report["music"]
    groups = {"Songs that go on": after, "Songs from nothing": alone}
    return [
        "<h3>What comes back</h3>",
        paragraph(
            f"Share of bars that are the same as the bar so many bars before, 1 to {LAGS}; the green lines are those of"
            " real songs.",
            "soft",
        ),
        *(
            tag("h4", title) + _pictures(group)
            for title, group in groups.items()
            if group is alone or report["kinds"]["continued"]
        ),
    ]


def _group(title: str, lead: str, group: Mapping[str, Any], copies: Mapping[str, Any]) -> list[str]:
    figures = list(group["sets"][group["real"]]["figures"])
    rows = []
    for name, each in group["sets"].items():
        row = [cell(f"{name} ({each['songs']})", "name")]
        for figure in figures:
            row.append(share_cell(each["figures"][figure], name != group["real"]))
        row += [share_cell(copies[name][share]) for share in SHARES]
        rows.append(row)
    captions = [f"{figure}: {CAPTIONS[figure]}" for figure in FIGURES if figure in CAPTIONS and figure in figures]
    return [
        f"<h3>{for_html(title)}</h3>",
        paragraph(lead, "soft"),
        table(["", *figures, *SHARES.values()], rows),
        paragraph(f"{'; '.join(captions)}. In brackets: songs.", "soft"),
    ]


def share_cell(share: Mapping[str, Any], beside: bool = True) -> str:
    """A cell of a share with its interval; `beside` real songs also how many times theirs, marked where it differs."""
    if share["value"] is None:
        return cell("")
    value, interval = in_two(percent(share, 1))
    if not (beside and "beyond" in share):
        return cell(value, below=interval)
    return cell(value, "lost" * differs(share["beyond"]), below=f"{interval}\n{times(share)}")


def _pictures(group: Mapping[str, Any]) -> str:
    """A picture for each set: its shares by lag as bars, and those of the real songs as lines across."""
    sets, real = group["sets"], group["sets"][group["real"]]["lags"]
    highest = max((lag["value"] or 0 for each in sets.values() for lag in each["lags"]), default=0)
    top = max(STEP, -(-round(100 * highest, 6) // STEP) * STEP) / 100
    pictures = [
        _picture(name, each["lags"], real, top, "real" if name == group["real"] else "model")
        for name, each in sets.items()
    ]
    return f'<div class="lags">{"".join(pictures)}</div>'


def _picture(
    name: str, lags: Sequence[Mapping[str, Any]], real: Sequence[Mapping[str, Any]], top: float, kind: str
) -> str:
    def y(share: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - share / top)

    parts = [f'<text x="{SIDE}" y="16">{for_html(name)}</text>']
    for share in (0.0, top):
        parts.append(f'<path class="grid" d="M{SIDE} {y(share):.1f}H{WIDTH - 6}"/>')
        parts.append(f'<text class="tick" x="{SIDE - 5}" y="{y(share) + 4:.1f}" text-anchor="end">{share:.0%}</text>')
    for n, (own, other) in enumerate(zip(lags, real, strict=True)):
        x, height = SIDE + 4 + n * (BAR + 2), y(0) - y(own["value"] or 0)
        parts.append(f'<rect class="{kind}" x="{x}" y="{y(0) - height:.1f}" width="{BAR - 2}" height="{height:.1f}"/>')
        if other["value"] is not None:
            parts.append(f'<path class="mark" d="M{x - 1} {y(other["value"]):.1f}h{BAR}"/>')
        parts.append(f'<text class="tick" x="{x + BAR / 2 - 1}" y="{HEIGHT - 5}" text-anchor="middle">{n + 1}</text>')
    label = f"{name}: share of bars that come back, by lag"
    return f'<svg width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{for_html(label)}">{"".join(parts)}</svg>'
