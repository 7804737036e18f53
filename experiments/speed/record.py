"""What a benchmark found, as JSON, as a table to read, and as a picture of growth."""

import dataclasses
import math
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from experiments.results import new_figure
from experiments.speed.contender import PEAK
from experiments.speed.rounds import Measured, ratio
from experiments.speed.work import Sizes, facts
from mcvae_jax import versions

OURS = "ours"
UNITS = {"train": "bars", "mdrnn": "bars", "encode": "bars", "compose": "songs", "read": "files"}
CALLS = ("start", "evaluate")  # kinds of work whose sides are commands, each timed from start to end
VARIED = ("batch", "units", "songs")  # sizes over which growth is drawn
SHOWN = {
    "train": ("units", "batch", "latent", "dtype"),
    "mdrnn": ("units", "batch", "bars", "dtype"),
    "encode": ("units", "latent", "dtype"),
    "compose": ("units", "songs", "bars", "dtype"),
    "read": (),
}  # sizes that matter


def row(sizes: Sizes, sides: Mapping[str, Measured]) -> dict[str, Any]:
    """One contest as JSON: rates and peaks of all sides, and the ratios of ours to each other one."""
    found: dict[str, Any] = {"sizes": facts(sizes), "sides": {n: dataclasses.asdict(side) for n, side in sides.items()}}
    ours = sides.get(OURS)
    if ours is None or not ours.rates:
        return found
    peers = {name: side for name, side in sides.items() if side.rates and name not in (OURS, PEAK)}
    found["ratios"] = {name: ratio(ours.rates, side.rates) for name, side in peers.items()}
    if PEAK in sides and sides[PEAK].rates:
        work = flops(sizes) / 1e9
        shares = [work * rate / peak for rate, peak in zip(ours.rates, sides[PEAK].rates, strict=True)]
        found["share_of_peak"] = sum(shares) / len(shares)
    return found


def flops(sizes: Sizes) -> float:
    """Floating-point operations of the matrix products of one training step, for one bar.

    Twice the weights that each slot of a bar, or each bar of a song, is multiplied with, three times over: forwards,
    and backwards by what is read and by weights. Rows of tables are no products.
    """
    units, layers, latent = sizes.units, sizes.layers, sizes.latent
    square = 4 * units * units
    if sizes.what == "train":
        encoder = 2 * square + (layers - 1) * 2 * (2 * square + square)
        decoder = square + (layers - 1) * 2 * square + units * 130
        return 3 * 2 * 16 * (encoder + decoder)
    heads = units * (sizes.components * (1 + 2 * latent) + 1)
    return 3 * 2 * (4 * units * latent + square + (layers - 1) * 2 * square + heads)


def machine() -> dict[str, Any]:
    """The processor, how many of its cores are ours, its instructions that matter here, and the memory."""
    named = versions.processor()
    flags = versions.instructions()
    memory = _read("/proc/meminfo").split()
    return {
        "system": platform.platform(),
        "processor": named.get("model name", platform.processor()),
        "cores": versions.cores(),
        "instructions": [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if name in flags],
        "memory_bytes": int(memory[1]) * 1024 if memory[:1] == ["MemTotal:"] else 0,
    }


def whole(options: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The record."""
    devices = {side["devices"] for each in rows for side in each["sides"].values() if side["devices"]}
    return {
        "options": dict(options),
        "machine": machine() | {"devices": ", ".join(sorted(devices))},
        "versions": versions.versions() | _peer_versions(),
        "rows": list(rows),
    }


def _peer_versions() -> dict[str, str]:
    found = {}
    for name in ("torch", "mido"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def table(found: Mapping[str, Any]) -> list[str]:
    """The record in lines of Markdown."""
    made = found["machine"]
    lines = [
        f"{made['processor']}, {made['cores']} cores ({', '.join(made['instructions']) or 'no vector instructions'});"
        f" {made['devices'] or 'no device of JAX'}; {versions.as_text(found['versions'])};"
        f" {found['options']['rounds']} rounds.",
        "",
    ]
    timed = [each for each in found["rows"] if each["sizes"]["what"] in CALLS]
    raced = [each for each in found["rows"] if each["sizes"]["what"] not in CALLS]
    if raced:
        lines += [
            "| work | side | a second | ours is | of the peak | ready after | memory |",
            "|---|---|---|---|---|---|---|",
        ]
        lines += [line for each in raced for line in _raced(each)]
        remarks = {
            f"{name}: {side['remark']}" for each in raced for name, side in each["sides"].items() if side["remark"]
        }
        lines += [line for remark in sorted(remarks) for line in ("", remark)]
    if timed:
        lines += [""] * bool(raced) + ["| command | seconds | fastest | memory |", "|---|---|---|---|"]
        lines += [line for each in timed for line in _timed(each)]
    return lines


def _raced(each: Mapping[str, Any]) -> list[str]:
    sizes, lines = each["sizes"], []
    what = ", ".join([sizes["what"], *(f"{name} {sizes[name]}" for name in SHOWN[sizes["what"]])])
    for name, side in each["sides"].items():
        if side["failed"]:
            lines.append(f"| {what} | {name} | {side['failed']} | | | | |")
            continue
        rate = sum(side["rates"]) / len(side["rates"])
        unit = "GFLOP" if name == PEAK else UNITS[sizes["what"]]
        share = f"{each['share_of_peak']:.2f}" if name == OURS and "share_of_peak" in each else ""
        lines.append(
            f"| {what} | {name} | {rate:,.4g} {unit} | {_ratio(each.get('ratios', {}).get(name))} | {share}"
            f" | {side['ready']:.1f} s | {side['peak_bytes'] / 1e6:,.0f} MB |"
        )
    return lines


def _timed(each: Mapping[str, Any]) -> list[str]:
    lines = []
    for name, side in each["sides"].items():
        if side["failed"]:
            lines.append(f"| {name} | {side['failed']} | | |")
            continue
        seconds = sorted(1 / rate for rate in side["rates"])
        middle = seconds[len(seconds) // 2]
        lines.append(f"| {name} | {middle:.2f} | {seconds[0]:.2f} | {side['peak_bytes'] / 1e6:,.0f} MB |")
    return lines


def _ratio(of: Sequence[float] | None) -> str:
    if not of:
        return ""
    middle, low, high = of
    return f"{middle:.2f} times" + ("" if math.isnan(low) else f" ({low:.2f} to {high:.2f})")


def draw_growth(path: Path, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Rates over each size of VARIED that takes several values, a panel each; False where none does."""
    raced = [each for each in rows if each["sizes"]["what"] not in CALLS]
    panels = [
        (what, name)
        for what in dict.fromkeys(each["sizes"]["what"] for each in raced)
        for name in VARIED
        if len({each["sizes"][name] for each in raced if each["sizes"]["what"] == what}) > 1
    ]
    if not panels:
        return False
    figure = new_figure(6 * len(panels), 6.5)
    for place, (what, name) in enumerate(panels, 1):
        axes = figure.add_subplot(1, len(panels), place)
        curves: dict[str, list[tuple[float, float]]] = {}
        for each in raced:
            sizes = each["sizes"]
            if sizes["what"] != what:
                continue
            others = [f"{sizes[other]} {other}" for other in VARIED if other != name and (what, other) in panels]
            for side, measured in each["sides"].items():
                if side != PEAK and measured["rates"]:
                    rate = sum(measured["rates"]) / len(measured["rates"])
                    curve = ", ".join([side, sizes["dtype"], *others])
                    curves.setdefault(curve, []).append((sizes[name], rate))
        for curve, points in curves.items():
            axes.plot(*zip(*sorted(points), strict=True), "o-" if curve.startswith(OURS) else "s--", label=curve)
        axes.set(xlabel=name, ylabel=f"{UNITS[what]} a second", title=what, xscale="log", ylim=(0, None))
        values = sorted({size for points in curves.values() for size, _ in points})
        axes.set_xticks(values, [f"{value:,}" for value in values])
        axes.set_xticks([], minor=True)
        axes.legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.12))
    figure.savefig(path, dpi=80, bbox_inches="tight")
    return True


def _read(path: str) -> str:
    try:
        return Path(path).read_text("utf-8", "replace")
    except OSError:
        return ""
