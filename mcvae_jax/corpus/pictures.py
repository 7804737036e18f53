"""report.png: the report's numbers as eight panels (thesis Figs 7.1 to 7.4)."""

import textwrap
from pathlib import Path
from typing import Annotated, Any, TypedDict

import msgspec
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mcvae_jax.corpus.report import SECOND_LIMIT, commonest_tokens, token_name
from mcvae_jax.corpus.store import read_header
from mcvae_jax.music.tokens import NOTE_OFF
from mcvae_jax.storage.jsonfile import Count, DamagedFile, conform, digest_of, read_json
from mcvae_jax.text import for_figure

# the signs of the thesis: mean a green triangle, median an orange line, outliers blue crosses
BOX: dict[str, Any] = {
    "showmeans": True,
    "widths": 0.5,
    "meanprops": {"marker": "^", "markerfacecolor": "green", "markeredgecolor": "green"},
    "medianprops": {"color": "orange", "linewidth": 2},
    "flierprops": {"marker": "x", "markeredgecolor": "blue", "markersize": 4},
}
READ, CLEANED = "0.6", "tab:blue"


_OfLength = Annotated[int, msgspec.Meta(ge=1, le=10**7)]  # songs, each of which takes memory to draw
_OfLengths = dict[Annotated[str, msgspec.Meta(pattern=r"^\d{1,9}$")], _OfLength]


class _Songs(TypedDict):
    """Of report.json: of the songs as read or cleaned, of which there are some."""

    songs: Count
    bars: Count
    repeated_share: float
    songs_of_length: Annotated[_OfLengths, msgspec.Meta(min_length=1)]
    token_counts: Annotated[list[Count], msgspec.Meta(min_length=130, max_length=130)]


class _ShortSongs(TypedDict, total=False):
    """Of those below a limit, of which there may be none."""

    songs_of_length: _OfLengths


class _Side(TypedDict):
    songs: Count


class _Quantisation(TypedDict):
    onsets: Count
    share_moved: float
    moves: Annotated[list[Count], msgspec.Meta(min_length=1)]


class _Report(TypedDict):
    """What the picture of a corpus shows."""

    max_bars: Count
    as_read: _Songs
    cleaned: _Songs
    cleaned_to_226: _ShortSongs
    split: Annotated[dict[str, _Side], msgspec.Meta(min_length=1)]
    left_out: dict[str, Count]
    quantisation: _Quantisation


def read_report(folder: Path) -> dict[str, Any] | None:
    """report.json of a corpus, None where there is none; DamagedFile where it is not what was written."""
    path = folder / "report.json"
    if path.is_file() and read_header(folder).digests.get(path.name, digest := digest_of(path)) != digest:
        raise DamagedFile(path, "it is not what was written")
    value = read_json(path)
    if value is not None:
        conform(path, value, _Report)
    return value


def draw(report: dict[str, Any], path: Path) -> None:
    """Draws a report of make_report as a PNG."""
    figure = Figure(figsize=(16, 13), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplot_mosaic([["box", "boxes", "lengths"], ["density"] * 3, ["tokens", "moves", "left_out"]])
    read, cleaned, short = (report[key] for key in ("as_read", "cleaned", f"cleaned_to_{SECOND_LIMIT}"))
    limit = f"cleaned,\n<= {report['max_bars']} bars" if report["max_bars"] else "cleaned,\nno limit"
    _boxes(panels["box"], {"as read": read})
    panels["box"].set_title("Bars per song as read (Fig 7.1)")
    _boxes(panels["boxes"], {limit: cleaned, f"cleaned,\n<= {SECOND_LIMIT} bars": short})
    panels["boxes"].set_title("Bars per song after cleaning (Fig 7.2)")
    _lengths(panels["lengths"], read, cleaned, report["max_bars"])
    _density(panels["density"], read, cleaned)
    _tokens(panels["tokens"], cleaned)
    _moves(panels["moves"], report["quantisation"])
    _left_out(panels["left_out"], report)
    figure.suptitle(
        f"As read: {read['songs']:,} songs, {read['bars']:,} bars. After cleaning: {cleaned['songs']:,}"
        f" songs, {cleaned['bars']:,} bars, of which {cleaned['repeated_share']:.0%} repeat an earlier one.",
        fontsize=14,
    )
    figure.savefig(path, dpi=100)


def _song_lengths(counts: dict[str, Any]) -> np.ndarray:
    """The number of bars of every song, from the counts of the report."""
    by_length = counts.get("songs_of_length", {})
    return np.repeat([int(n) for n in by_length], list(by_length.values())).astype(int)


def _boxes(axes: Axes, groups: dict[str, dict[str, Any]]) -> None:
    axes.boxplot([_song_lengths(counts) for counts in groups.values()], tick_labels=list(groups), **BOX)
    axes.set_ylabel("bars")
    axes.set_ylim(bottom=0)
    axes.grid(axis="y", alpha=0.3)


def _lengths(axes: Axes, read: dict[str, Any], cleaned: dict[str, Any], max_bars: int) -> None:
    """Histograms over the same bins; songs beyond the axis are gathered in the last bin."""
    before, after = _song_lengths(read), _song_lengths(cleaned)
    top = min(before.max(), 1.25 * max(max_bars or 0, SECOND_LIMIT))
    bins = np.linspace(0, top, 51).tolist()
    axes.hist(np.minimum(before, top), bins, color=READ, label="as read")
    axes.hist(after.clip(max=top), bins, histtype="step", color=CLEANED, linewidth=1.5, label="cleaned")
    for limit, style in ((max_bars, "--"), (SECOND_LIMIT, ":")):
        if limit and limit <= top:
            axes.axvline(limit, color="black", linestyle=style, label=f"{limit} bars")
    axes.set(title="Songs by length (Fig 7.3)", xlabel="bars", ylabel="songs")
    if before.max() > top:
        axes.set_xlabel(f"bars (the last bin holds {int((before > top).sum()):,} longer songs, up to {before.max():,})")
    axes.legend()


def _density(axes: Axes, read: dict[str, Any], cleaned: dict[str, Any]) -> None:
    edges = np.arange(NOTE_OFF + 1) - 0.5
    looks: list[tuple[dict[str, Any], dict[str, Any]]] = [
        (read, {"color": READ, "fill": True, "label": "as read"}),
        (cleaned, {"color": CLEANED, "linewidth": 1.5, "label": "cleaned"}),
    ]
    for counts, look in looks:
        pitches = np.array(counts["token_counts"][:NOTE_OFF])
        axes.stairs(pitches / pitches.sum(), edges, **look)
    axes.axvspan(21, 108, color="tab:green", alpha=0.06, label="piano, 21 to 108")
    octaves = range(0, NOTE_OFF, 12)
    axes.set_xticks(octaves, [f"{pitch}\n{token_name(pitch)}" for pitch in octaves])
    axes.set(title="Note density (Fig 7.4)", xlabel="MIDI pitch", ylabel="share of notes", xlim=(-1, NOTE_OFF))
    axes.legend()


def _tokens(axes: Axes, cleaned: dict[str, Any]) -> None:
    common = commonest_tokens(cleaned["token_counts"], 12)[::-1]
    total = max(1, sum(cleaned["token_counts"]))
    bars = axes.barh([f"{token_name(token)} ({token})" for token, _ in common], [count for _, count in common])
    axes.bar_label(bars, [f"{count:,} ({count / total:.1%})" for _, count in common], padding=3)
    axes.set_xticks([])
    axes.margins(x=0.6)
    axes.set(title="Commonest tokens after cleaning (7.3)")


def _moves(axes: Axes, quantisation: dict[str, Any]) -> None:
    moves = np.array(quantisation["moves"])
    edges = np.linspace(0, 0.5, len(moves) + 1)
    axes.bar(edges[:-1], moves / max(quantisation["onsets"], 1), np.diff(edges), align="edge", edgecolor="white")
    axes.set(
        title=f"Quantisation: {quantisation['share_moved']:.1%} of {quantisation['onsets']:,} onsets moved",
        xlabel="by how much, in steps",
        ylabel="share of onsets",
    )


def _left_out(axes: Axes, report: dict[str, Any]) -> None:
    """Songs by fate: the sides of the split, and the reasons why the others are not in it."""
    fates = [(name, side["songs"], CLEANED) for name, side in report["split"].items()]
    fates += [(reason, count, READ) for reason, count in report["left_out"].items()]
    names, counts, colors = zip(*fates[::-1], strict=True)
    bars = axes.barh(["\n".join(map(for_figure, textwrap.wrap(name, 20))) for name in names], counts, color=colors)
    axes.bar_label(bars, [f"{count:,}" for count in counts], padding=3)
    axes.margins(x=0.15)
    axes.set(title="What became of the songs", xlabel="songs (blue) and what was left out (grey)")
