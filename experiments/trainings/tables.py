"""Runs side by side: a row for each run, mean and spread of each arm, and differences to a baseline seed by seed."""

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from experiments.results import write_csv

Say = Callable[[str], None]

MISSING = "missing"
SHOWN = {
    "reconstruction_nats": "recon. nats",
    "rate_nats": "rate nats",
    "kl_nats": "KL nats",
    "bound_bits": "bound bits",
    "token_accuracy": "tokens right",
    "active_units": "active units",
    "pitch range (defaults, W1)": "range W1",
    "repeated-bar share (defaults, W1)": "repeats W1",
    "bits per bar (defaults, W1)": "5-gram W1",
}  # columns of the screen


def write_tables(runs: Sequence[Any], baseline: str, out: Path, say: Say) -> None:
    """table.csv, summary.csv and differences.csv of runs (`runs.Result`), and their main columns to the screen."""
    out.mkdir(parents=True, exist_ok=True)
    arms = list(dict.fromkeys(run.arm for run in runs))
    names = list(dict.fromkeys(name for run in runs for name in run.scores.get("figures", {})))
    write_csv(out / "table.csv", [_row(run, names) for run in runs])
    of_arm = {arm: [run for run in runs if run.arm == arm] for arm in arms}
    summary = [{"arm": arm} | summarise(of_arm[arm], names) for arm in arms]
    write_csv(out / "summary.csv", summary)
    compared = [
        {"arm": arm, "less": baseline, "figure": name} | differences(of_arm[arm], of_arm[baseline], name)
        for arm in arms
        if baseline and arm != baseline
        for name in names
    ]
    if compared:
        write_csv(out / "differences.csv", compared)
    for line in [*_screen(summary), *_screen_differences(compared)]:
        say(line)
    say(f"Tables: {out / 'table.csv'}, summary.csv and differences.csv beside it.")


def summarise(runs: Sequence[Any], names: Sequence[str]) -> dict[str, Any]:
    """'n' and, for each figure, its mean, and its standard deviation over the seeds (n - 1; '' for fewer than two)."""
    done = [run.scores["figures"] for run in runs if run.scores]
    row: dict[str, Any] = {"n": len(done)}
    for name in names:
        values = [figures[name] for figures in done]
        row[f"{name}: mean"] = statistics.fmean(values) if values else MISSING
        row[f"{name}: sd"] = statistics.stdev(values) if len(values) > 1 else ""
    return row


def differences(runs: Sequence[Any], baseline: Sequence[Any], name: str) -> dict[str, Any]:
    """Of one figure 'n', 'mean', 'lowest', 'highest' and 'by_seed' of what it is above the baseline with that seed.

    The same seed starts both from like draws, so that much of the chance is common to both. With three seeds the
    range is all that can be said; 'same_sign' tells whether all point one way, which by chance they do in one of four.
    """
    before = {run.seed: run.scores["figures"][name] for run in baseline if run.scores}
    found = [run.scores["figures"][name] - before[run.seed] for run in runs if run.scores and run.seed in before]
    return {
        "n": len(found),
        "mean": statistics.fmean(found) if found else MISSING,
        "lowest": min(found, default=""),
        "highest": max(found, default=""),
        "same_sign": bool(found) and (min(found) > 0 or max(found) < 0),
        "by_seed": " ".join(f"{value:.4g}" for value in found),
    }


def _row(run: Any, names: Sequence[str]) -> dict[str, Any]:
    figures = run.scores.get("figures", {})
    status = "done" if figures else MISSING
    return {"arm": run.arm, "seed": run.seed, "status": status} | {name: figures.get(name, "") for name in names}


def _screen(summary: Sequence[dict[str, Any]]) -> list[str]:
    shown = {name: title for name, title in SHOWN.items() if f"{name}: mean" in summary[0]}
    width = max(len(row["arm"]) for row in summary)
    lines = [f"{'':{width}}  {'n':>2}  " + "  ".join(f"{title:>14}" for title in shown.values())]
    for row in summary:
        cells = (_cell(row[f"{name}: mean"], row[f"{name}: sd"]) for name in shown)
        lines.append(f"{row['arm']:{width}}  {row['n']:>2}  " + "  ".join(f"{cell:>14}" for cell in cells))
    return ["mean +- standard deviation over seeds", *lines]


def _cell(mean: Any, sd: Any) -> str:
    if isinstance(mean, str):
        return mean
    return f"{mean:.3g}" if isinstance(sd, str) else f"{mean:.3g} +- {sd:.2g}"


def _screen_differences(compared: Sequence[dict[str, Any]]) -> list[str]:
    lines = []
    for row in compared:
        if row["figure"] in ("bound_bits", "pitch range (defaults, W1)", "repeated-bar share (defaults, W1)"):
            sign = "the same sign in all" if row["same_sign"] and row["n"] > 1 else "not all of one sign"
            if row["n"] > 1:
                lines.append(
                    f"{row['arm']} less {row['less']}, {SHOWN[row['figure']]}: {row['by_seed']} (by seed; {sign})"
                )
    return lines
