"""What a corpus holds, before and after cleaning, as numbers, text and one picture (thesis 7.1 to 7.3)."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mcvae_jax.corpus.clean import Cleaned
from mcvae_jax.corpus.read import Song
from mcvae_jax.corpus.settings import EDITS, WINDOWS, CorpusSettings
from mcvae_jax.corpus.sources import Skipped
from mcvae_jax.corpus.store import EXCLUDED, SIDE_NAMES
from mcvae_jax.music.bars import Stats, distinct_bars
from mcvae_jax.music.grid import grid_of
from mcvae_jax.music.score import Reason
from mcvae_jax.music.tokens import NO_EVENT, NOTE_OFF
from mcvae_jax.text import printable

SECOND_LIMIT = 226  # bars: 2 x 113 (thesis 7.1.1, which prints 2 x 133)
PITCH_CLASSES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
ALIKE_BY = {
    EDITS: "the same as one training song, at any speed and but for small changes",
    WINDOWS: "of the 8-note windows stand in one training song",
}
LISTED = 10  # how many of a long list the text shows


def make_report(
    songs: Sequence[Song],
    cleaned: Cleaned,
    skipped: Sequence[Skipped],
    settings: CorpusSettings,
    provenance: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """All numbers of the report, ready for JSON.

    Args: songs and skipped are what the reader returned; provenance is DataSet.provenance of a source that has a name.
    """
    after = [song.bars for song in cleaned.songs]
    short = [bars for bars in after if len(bars) <= SECOND_LIMIT]
    return {
        "source": settings.source,
        "provenance": dict(provenance or {}),
        "max_bars": settings.max_bars,
        "steps_per_bar": settings.steps_per_bar,
        "alike": settings.alike,
        "max_similarity": settings.max_similarity,
        "as_read": describe([song.bars for song in songs]),
        "cleaned": describe(after),
        f"cleaned_to_{SECOND_LIMIT}": describe(short),
        "split": {
            name: {"songs": int(here.sum()), "bars": sum(len(after[i]) for i in np.flatnonzero(here))}
            for side, name in enumerate(SIDE_NAMES)
            if (here := cleaned.sides == side) is not None
        },
        "moved": cleaned.songs[cleaned.moved].name if cleaned.moved >= 0 else "",
        "excluded": [
            {
                "name": cleaned.songs[i].name,
                "similarity": round(float(cleaned.similarity[i]), 4),
                "training_song": cleaned.songs[cleaned.nearest[i]].name,
            }
            for i in np.flatnonzero(cleaned.sides == EXCLUDED)
        ],
        "with_remarks": sum(bool(song.remarks) for song in cleaned.songs),
        "left_out": dict(
            Counter(_fate(skip, settings.steps_per_bar) for skip in [*skipped, *cleaned.dropped]).most_common()
        ),
        "quantisation": quantisation([song.stats for song in songs]),
    }


def _fate(skip: Skipped, steps: int) -> str:
    """The reason of what was left out, and for a metre what it ought to have filled."""
    return f"{skip.reason} of {steps} steps" if skip.reason == Reason.METRE else skip.reason


def describe(songs: Sequence[np.ndarray]) -> dict[str, Any]:
    """Counts of songs, uint8 (n, T) each: bars per song (population deviation), tokens, repeated bars."""
    if not songs:
        return {"songs": 0, "bars": 0}
    lengths = np.array([len(song) for song in songs])
    none = np.zeros(NO_EVENT + 1, np.int64)
    tokens = sum((np.bincount(song.reshape(-1), minlength=NO_EVENT + 1) for song in songs), none)
    bars, distinct = int(lengths.sum()), len(distinct_bars(np.concatenate(songs))[0])
    return {
        "songs": len(songs),
        "bars": bars,
        "distinct_bars": distinct,
        "repeated_share": 1 - distinct / bars,
        "bars_per_song": {
            "mean": float(lengths.mean()),
            "median": float(np.median(lengths)),
            "standard_deviation": float(lengths.std()),
            "minimum": int(lengths.min()),
            "maximum": int(lengths.max()),
        },
        "songs_of_length": {str(n): int(c) for n, c in zip(*np.unique(lengths, return_counts=True), strict=True)},
        "notes": int(tokens[:NOTE_OFF].sum()),
        "token_counts": tokens.tolist(),
    }


def quantisation(stats: Sequence[Stats]) -> dict[str, Any]:
    """What the grid of steps did to the notes of all songs read.

    'moves' counts the onsets in equal bins of how far they moved, from 0 to half a step.
    """
    totals = {name: int(sum(getattr(s, name) for s in stats)) for name in Stats._fields if name != "moves"}
    moves = np.sum([s.moves for s in stats], axis=0)
    return totals | {"share_moved": totals["moved"] / max(totals["onsets"], 1), "moves": moves.tolist()}


def write_report(report: dict[str, Any], folder: Path) -> None:
    """report.json and report.txt; pictures.draw makes the picture."""
    (folder / "report.json").write_text(json.dumps(report, indent=1) + "\n", "ascii")
    (folder / "report.txt").write_text(report_text(report), "utf-8")


def report_text(report: dict[str, Any]) -> str:
    """The report for reading, without the long lists."""
    parts = [
        [f"Corpus of {report['source']}", *_provenance(report["provenance"])],
        _overview(report),
        _split(report),
        _left_out(report),
        _commonest(report),
        _quantisation(report["quantisation"], report["steps_per_bar"]),
    ]
    return "\n\n".join("\n".join(printable(line) for line in part) for part in parts) + "\n"


def commonest_tokens(token_counts: Sequence[int], n: int) -> list[tuple[int, int]]:
    """The n commonest tokens and their counts (thesis 7.3)."""
    return [(token, count) for token, count in Counter(dict(enumerate(token_counts))).most_common(n) if count]


def token_name(token: int) -> str:
    """NO EVENT, NOTE OFF, or a pitch as A4 (69 in MIDI)."""
    if token >= NOTE_OFF:
        return {NOTE_OFF: "NOTE OFF", NO_EVENT: "NO EVENT"}[token]
    return f"{PITCH_CLASSES[token % 12]}{token // 12 - 1}"


def _provenance(facts: Mapping[str, str]) -> list[str]:
    return [f"{name}: {text}" for name, text in facts.items() if name != "name"]


def _overview(report: dict[str, Any]) -> list[str]:
    columns = [report[key] for key in ("as_read", "cleaned", f"cleaned_to_{SECOND_LIMIT}")]
    rows = [("", ["as read", "cleaned", f"<= {SECOND_LIMIT} bars"])]
    for key in ("songs", "bars", "distinct_bars", "notes"):
        rows.append((key.replace("_", " "), [f"{column.get(key, 0):,}" for column in columns]))
    rows.append(("share of repeated bars", [f"{column.get('repeated_share', 0):.1%}" for column in columns]))
    for key in ("mean", "median", "standard_deviation", "minimum", "maximum"):
        values = [column.get("bars_per_song", {}).get(key, 0) for column in columns]
        rows.append(
            (
                f"bars per song: {key.replace('_', ' ')}",
                [f"{value:,.2f}".removesuffix(".00") for value in values],
            )
        )
    return [f"{name:<36}" + "".join(f"{value:>14}" for value in values) for name, values in rows]


def _split(report: dict[str, Any]) -> list[str]:
    lines = [f"{name:<22}{side['songs']:>10,} songs{side['bars']:>12,} bars" for name, side in report["split"].items()]
    if report["moved"]:
        lines.append(f"The hashes put all songs on one side, so {report['moved']} was moved to the other")
    excluded = report["excluded"]
    if excluded:
        lines.append(f"Excluded: over {report['max_similarity']:.0%} {ALIKE_BY[report['alike']]}")
        worst = sorted(excluded, key=lambda leak: -leak["similarity"])
        lines += [f"  {leak['similarity']:.0%} {leak['name']} like {leak['training_song']}" for leak in worst[:LISTED]]
    return lines + _more(len(excluded), "songs.jsonl")


def _left_out(report: dict[str, Any]) -> list[str]:
    counts = report["left_out"]
    lines = [f"Left out: {sum(counts.values()):,} (each is named in skipped.jsonl)"]
    lines += [f"  {reason:<42}{count:>8,}" for reason, count in counts.items()]
    if report["with_remarks"]:
        lines.append(f"Not taken just as written: {report['with_remarks']:,} songs (songs.jsonl says what)")
    return lines


def _commonest(report: dict[str, Any]) -> list[str]:
    counts = report["cleaned"]["token_counts"]
    total = sum(counts)
    return ["Commonest tokens after cleaning:"] + [
        f"  {token_name(token):<9}{token:>4}{count:>14,}{count / total:>8.1%}"
        for token, count in commonest_tokens(counts, LISTED)
    ]


def _quantisation(counts: dict[str, Any], steps_per_bar: int) -> list[str]:
    moves, onsets = counts["moves"], max(counts["onsets"], 1)
    far = sum(moves[len(moves) // 2 :])
    return [
        f"Quantisation to bars of {grid_of(steps_per_bar)}:"
        f" {counts['share_moved']:.1%} of {counts['onsets']:,} onsets moved,"
        f" {far / onsets:.1%} by a quarter of a step or more.",
        f"Notes lost to another in the same step: {counts['covered']:,}; cut by the next onset:"
        f" {counts['shortened']:,}; outside the pitch range: {counts['out_of_range']:,}.",
        f"Bars made regular: {counts['padded']:,} too short, filled with silence; {counts['cut']:,} too long, cut where"
        f" no note starts. Notes of pickups without room, left out: {counts['left_out']:,}.",
    ]


def _more(count: int, where: str) -> list[str]:
    return [f"  and {count - LISTED:,} more, in {where}"] if count > LISTED else []
