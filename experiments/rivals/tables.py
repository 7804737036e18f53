"""The comparison as CSV: bits.csv, sets.csv, music.csv and costs.csv, a row for each model of each table."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.results import write_csv

Found = Mapping[str, Mapping[str, Any]]  # by table
FIGURES = ("bits_per_bar", "bits_per_beat", "bits_per_note", "new", "repeated", "beyond")


def write_tables(out: Path, found: Found) -> None:
    """Every figure with the ends of its interval."""
    write_csv(
        out / "bits.csv", [_bits(table, name, row) for table, of in found.items() for name, row in of["bits"].items()]
    )
    write_csv(out / "sets.csv", [_set(table, of["sets"], name) for table, of in found.items() for name in _names(of)])
    write_csv(out / "music.csv", _music(found))
    write_csv(
        out / "costs.csv",
        [{"table": table, "model": name} | each for table, of in found.items() for name, each in of["costs"].items()],
    )


def _bits(table: str, name: str, row: Mapping[str, Any]) -> dict[str, Any]:
    figures = {key: value for figure in FIGURES for key, value in _with_ends(figure, row[figure]).items()}
    seeds = " ".join(f"{value:.4f}" for value in row["of_seeds"])
    return {"table": table, "model": name, "likelihood": row["likelihood"]} | figures | {"of seeds": seeds}


def _names(of: Mapping[str, Any]) -> list[str]:
    return [*of["sets"]["kinds"]["models"], *of["sets"]["kinds"]["controls"]]


def _set(table: str, sets: Mapping[str, Any], name: str) -> dict[str, Any]:
    row: dict[str, Any] = {"table": table, "set": name, "songs": sets["sets"]["sets"][name]["songs"]}
    for measure, distance in sets["sets"]["sets"][name]["distances"].items():
        row |= _with_ends(measure, distance)
    for figure, moments in sets["framewise"][name].items():
        for moment, each in moments.items():
            row |= _with_ends(f"{moment} of {figure}", each)
    for share, each in sets["copies"][name].items():
        if share != "songs":
            row |= _with_ends(f"copied: {share}", each)
    return row


def _music(found: Found) -> list[dict[str, Any]]:
    """What a musician asks, and the share of bars that come back after each lag."""
    rows = []
    for table, of in found.items():
        for asked in of["sets"]["music"]:
            for name, each in asked["sets"].items():
                for figure, share in each["figures"].items():
                    rows.append({"table": table, "given": asked["given"], "set": name, "figure": figure} | _ends(share))
                for lag, share in enumerate(each["lags"], 1):
                    figure = f"bars the same as {lag} before"
                    rows.append({"table": table, "given": asked["given"], "set": name, "figure": figure} | _ends(share))
    return rows


def _with_ends(name: str, figure: Mapping[str, Any]) -> dict[str, Any]:
    value, low, high = _ends(figure).values()
    return {name: value, f"{name}: low": low, f"{name}: high": high}


def _ends(figure: Mapping[str, Any]) -> dict[str, Any]:
    if figure["value"] is None:
        return {"value": "", "low": "", "high": ""}
    low, high = figure["interval"]
    return {"value": figure["value"], "low": low, "high": high}
