"""Sizes of encoder and decoder by latent sizes, at equal numbers of seen bars (thesis 6.2, Figs 6.2 and 6.3).

    python -m experiments.grid --out=runs/grid --budget=60 [--source=FOLDER] [--jobs=2]

The thesis found that 64 to 256 units do not learn (1.4 to 3.5 % of tokens) and that the latent size hardly matters. Its
nets saw 5,000 bars an epoch at a rate of 1e-4. Here every cell sees the same bars, at least LEAST_BARS of them, at a
rate of 2e-3 falling to 1e-4, so that a small net has learned what it can.

--budget is in minutes. A short probe times a step of each size; the cells then get as many bars as the budget allows
for all of them. Where even LEAST_BARS are too many, those cells that fit are trained, the latent sizes in the order of
PRIORITY, and the others are marked as missing. A budget that would not do for three sizes by two latent sizes is
refused. How many bars it is stands in OUT/grid.json; the same command with another budget adds cells with as many bars.

Figures: 6.2 (a panel for each size) and 6.3 (for each latent size), the token accuracy of training batches, teacher
forced, smoothed as in the thesis, with error bars of one standard deviation; and held-out figures as a map.
"""

import argparse
import dataclasses
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import matplotlib
import numpy as np
from matplotlib.axes import Axes
from scipy.ndimage import convolve1d
from scipy.signal import savgol_filter

from experiments.results import new_figure, save_figure, write_csv
from experiments.trainings import runs
from experiments.trainings.panels import bare
from experiments.trainings.runs import Result
from experiments.trainings.tables import MISSING
from mcvae_jax.command import run_command, say
from mcvae_jax.errors import UserError
from mcvae_jax.kinds import kind_of
from mcvae_jax.storage.jsonfile import Count, Seconds, read_or_none, write_json
from mcvae_jax.storage.workdir import Workdir
from mcvae_jax.training import metrics, parallel
from mcvae_jax.training.optimizer import make_optimizer
from mcvae_jax.training.update import init_state, make_update

SIZES_CPU = (32, 64, 128, 256)
SIZES = (*SIZES_CPU, 512, 1024)
LATENTS = (16, 32, 64, 128, 256, 512, 1024)
PRIORITY = (64, 16, 256, 32, 1024, 128, 512)  # latent sizes where not all fit: the thesis' choice, then far ones
LEAST_BARS, MOST_BARS = 100_000, 1_000_000  # at 100,000 bars 64 units have long left the floor; the thesis: 10^6
LEAST_SIZES, LEAST_LATENTS = 3, 2
COMPILATIONS = 3  # a run takes about so many times what compiling its update takes, beside its steps
PROBE_LATENT, PROBE_STEPS = 64, 8
POINTS = 200  # of a learning curve
WINDOW, ORDER = 51, 3  # of Savitzky and Golay's filter, as in the thesis
ERROR_BARS = 8  # of a line

Cell = tuple[int, int]  # units, latent size


class Probe(NamedTuple):
    """What a size costs at PROBE_LATENT, in seconds."""

    compiling: float
    step: float


@dataclasses.dataclass(frozen=True)
class _Kept:
    """OUT/grid.json."""

    bars: Count
    probes: dict[int, tuple[Seconds, Seconds]]  # of each size, see `Probe`


def main(argv: list[str]) -> int:
    """Plans, trains and scores what is left, then writes tables and figures."""
    on_cpu = jax.default_backend() == "cpu"
    parser = runs.make_parser("grid", __doc__)
    add = parser.add_argument
    add("--budget", type=float, required=True, metavar="MINUTES", help="that the whole may take, about")
    add("--sizes", default="", metavar="N,N", help=f"units; default {_text(SIZES_CPU)}, on accelerators up to 1024")
    add("--latents", default="", metavar="N,N", help=f"latent sizes; default {_text(LATENTS)}")
    parser.set_defaults(seeds=1)
    flags = runs.parse(parser, argv)
    if not 0 < flags.budget < 1e6:
        raise UserError(f"--budget is {flags.budget}; it must be above 0 and below a million minutes")
    sizes = _numbers("sizes", flags.sizes) or (SIZES_CPU if on_cpu else SIZES)
    latents = _numbers("latents", flags.latents) or LATENTS
    bars, cells = make_plan(sizes, latents, flags)
    arms = {_name(cell): changes(cell, bars, flags) for cell in cells}
    results = runs.run_arms(arms, flags, models=("vae",))
    of_cell = {cell: [r for r in results.runs if r.arm == _name(cell) and r.scores] for cell in cells}
    of_cell = {cell: found for cell, found in of_cell.items() if found}
    write_cells(of_cell, sizes, latents, bars, flags.out)
    if of_cell:
        draw(of_cell, sizes, latents, flags.out)
        say(f"Figures: fig_6_2, fig_6_3 and grid_map (.png and .pdf) in {flags.out}; grid.csv has every cell")
    return results.status


def make_plan(sizes: Sequence[int], latents: Sequence[int], flags: argparse.Namespace) -> tuple[int, list[Cell]]:
    """Bars that each cell sees, and the cells that are done or fit; OUT/grid.json keeps bars and probes."""
    path = flags.out / "grid.json"
    kept = read_or_none(path, _Kept, say, "the sizes are timed anew") or _Kept(0, {})
    probes = {size: Probe(*values) for size, values in kept.probes.items()}
    for size in sizes:
        if size not in probes:
            probes[size] = probe(flags, size)
            say(f"{size} units: {1000 * probes[size].step:.0f} ms a step, {probes[size].compiling:.0f} s to compile")
    batch = runs.make_config(flags)[0].vae.train.batch_size
    costs = {(u, z): _costs(probes[u], u, z, batch, flags.seeds) for u in sizes for z in latents}
    done = {cell for cell in costs if _is_done(cell, flags)}
    seconds = 60 * flags.budget * flags.jobs
    bars, cells = choose(costs, done, seconds, kept.bars)
    write_json(path, {"bars": bars, "probes": {str(size): list(p) for size, p in probes.items()}})
    total = sum(fixed + bars * each for cell, (fixed, each) in costs.items() if cell in cells and cell not in done)
    missing = f"; {len(costs) - len(cells)} of {len(costs)} do not fit" if len(cells) < len(costs) else ""
    minutes = total / 60 / flags.jobs
    say(f"{len(cells)} cells of {bars:,} bars each, about {minutes:.0f} minutes for those that are not done{missing}")
    return bars, cells


def choose(
    costs: Mapping[Cell, tuple[float, float]], done: set[Cell], seconds: float, bars: int = 0
) -> tuple[int, list[Cell]]:
    """Bars and cells that fit.

    Args:
      costs: seconds of each cell, those beside its steps, and those for each bar.
      done: cells that cost nothing any more.
      seconds: of all processes together.
      bars: what the cells that are done have seen; 0 where none is.

    Raises UserError where fewer than LEAST_SIZES sizes by LEAST_LATENTS latent sizes fit; it says how much would do.
    """
    if not bars:
        affordable = (seconds - sum(fixed for fixed, _ in costs.values())) / sum(each for _, each in costs.values())
        bars = int(min(max(affordable, LEAST_BARS), MOST_BARS)) // 1000 * 1000
    rank = {latent: place for place, latent in enumerate(PRIORITY)}
    order = sorted(costs, key=lambda cell: (rank.get(cell[1], len(rank)), cell))
    price = {cell: 0.0 if cell in done else fixed + bars * each for cell, (fixed, each) in costs.items()}
    chosen, left = [], seconds
    for cell in order:
        if price[cell] <= left:
            chosen.append(cell)
            left -= price[cell]
    needed_sizes = sorted({u for u, _ in costs})[:LEAST_SIZES]
    needed_latents = list(dict.fromkeys(z for _, z in order))[:LEAST_LATENTS]
    needed = {(u, z) for u in needed_sizes for z in needed_latents}
    if not needed <= set(chosen):
        cost = sum(price[cell] for cell in needed)
        raise UserError(
            f"too small a budget: {_text(needed_sizes)} units by latent sizes {_text(needed_latents)}, the least that"
            f" says anything, need {bars:,} bars each and about {np.ceil(cost / 60):.0f} minutes of one process;"
            " give a larger --budget or more --jobs"
        )
    return bars, sorted(chosen)


def changes(cell: Cell, bars: int, flags: argparse.Namespace) -> list[str]:
    """The fields of a cell's run."""
    steps = bars // runs.make_config(flags)[0].vae.train.batch_size
    fields = {"model.units": cell[0], "model.latent": cell[1], "held_out.importance_samples": 1}
    fields |= {"loss.beta": 0.2, "loss.beta_schedule": "linear", "loss.beta_steps": max(1, steps // 2)}
    fields |= {"optimizer.learning_rate": 2e-3, "optimizer.decay_steps": steps, "optimizer.warmup_steps": steps // 20}
    fields |= {"train.steps": steps, "train.log_every": max(1, steps // POINTS)}
    fields |= {"train.eval_every": steps, "train.save_every": max(1, steps // 4)}
    return [f"vae.{name}={value}" for name, value in fields.items()]


def probe(flags: argparse.Namespace, size: int) -> Probe:
    """Compiles the update of a size and times a few steps, the fastest of them."""
    config = runs.make_config(flags, changes((size, PROBE_LATENT), LEAST_BARS, flags))[0].vae
    task = kind_of(config.task).make_task(config, lambda line: None)
    optimizer = make_optimizer(config.optimizer, task.constants)
    layout = parallel.make_layout(config.train.parallel)
    state = layout.init_state(lambda seed: init_state(task, optimizer, seed), config.seed)
    update = layout.compile_update(make_update(task, optimizer), config.seed)
    seconds = []
    for step in range(1 + PROBE_STEPS):
        batch, started = layout.place_batch(task.batch(step)), time.perf_counter()
        state, _ = jax.block_until_ready(update(state, batch))
        seconds.append(time.perf_counter() - started)
    return Probe(seconds[0], float(np.median(seconds[1:])))


def _costs(of_size: Probe, units: int, latent: int, batch: int, seeds: int) -> tuple[float, float]:
    """Seconds of a cell beside its steps, and for each bar: the probe's, more or less by the products of the latent."""
    ratio = _products(units, latent) / _products(units, PROBE_LATENT)
    return seeds * COMPILATIONS * of_size.compiling, seeds * of_size.step * ratio / batch


def _products(units: int, latent: int) -> float:
    """Multiplications of a step, about: two bidirectional layers, two decoder layers, one of which reads z."""
    return units * (8 * units + 24 * units + 4 * (units + latent + 131) + 8 * units + 130)


def _is_done(cell: Cell, flags: argparse.Namespace) -> bool:
    folders = [flags.out / "runs" / f"{runs.slug(_name(cell))}-seed{seed}" for seed in range(flags.seeds)]
    return all((folder / "scores.json").is_file() for folder in folders)


def write_cells(
    of_cell: Mapping[Cell, Sequence[Result]], sizes: Sequence[int], latents: Sequence[int], bars: int, out: Path
) -> None:
    """grid.csv: a row for each cell, means over seeds, 'missing' where it was not trained."""
    names = ("bound_bits", "reconstruction_nats", "kl_nats", "token_accuracy", "active_units", "seconds")
    rows = []
    for cell in [(u, z) for u in sizes for z in latents]:
        values = {name: _mean(of_cell.get(cell, ()), name) for name in names}
        rows.append({"units": cell[0], "latent": cell[1], "bars": bars} | values)
    write_csv(out / "grid.csv", rows)


def _mean(found: Sequence[Result], name: str) -> Any:
    return float(np.mean([run.scores["figures"][name] for run in found])) if found else MISSING


def draw(of_cell: Mapping[Cell, Sequence[Result]], sizes: Sequence[int], latents: Sequence[int], out: Path) -> None:
    """Figs 6.2 and 6.3, and the map of held-out figures."""
    curves = {cell: learning_curve(found) for cell, found in of_cell.items()}
    colour = {number: _shade(i, len(sizes)) for i, number in enumerate(sizes)}
    shade = {number: _shade(i, len(latents)) for i, number in enumerate(latents)}
    by_size = {f"{u} units": {f"latent {z}": (curves.get((u, z)), shade[z]) for z in latents} for u in sizes}
    by_latent = {f"latent {z}": {f"{u} units": (curves.get((u, z)), colour[u]) for u in sizes} for z in latents}
    draw_curves(by_size, out / "fig_6_2", "Fig. 6.2: size of encoder and decoder fixed")
    draw_curves(by_latent, out / "fig_6_3", "Fig. 6.3: latent size fixed")
    draw_maps(of_cell, sizes, latents, out / "grid_map")


def learning_curve(found: Sequence[Result]) -> np.ndarray:
    """(3, N): seen bars, token accuracy smoothed, standard deviation about the line within the window."""
    curves = []
    for run in found:
        workdir = Workdir(run.folder / "vae")
        batch = workdir.read().config["train"]["batch_size"]
        lines = [line for line in metrics.read_metrics(workdir.metrics) if line["split"] == metrics.TRAIN]
        curves.append([(batch * line["step"], line["accuracy"]) for line in lines])
    bars, accuracy = np.mean(np.array(curves, np.float64), axis=0).T
    return np.stack([bars, *smooth(accuracy)])


def smooth(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Savitzky and Golay's filter, and the standard deviation of the values about it over the same window, (N,) each.

    Raises UserError for fewer values than the window.
    """
    if len(values) < WINDOW:
        raise UserError(f"a learning curve has {len(values)} points and {WINDOW} are needed; train for more steps")
    line = savgol_filter(values, WINDOW, ORDER)
    return line, np.sqrt(convolve1d((values - line) ** 2, np.full(WINDOW, 1 / WINDOW), mode="mirror"))


def draw_curves(panels: Mapping[str, Mapping[str, Any]], path: Path, title: str) -> None:
    """A panel for each of `panels`, a line for each of its curves with its colour; None is a missing one."""
    columns = min(4, len(panels))
    rows = -(-len(panels) // columns)
    figure = new_figure(3.4 * columns + 1.2, 2.9 * rows + 0.4)
    grid = list(figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flat)
    for axes, (name, lines) in zip(grid, panels.items(), strict=False):
        draw_panel(axes, name, lines)
    for axes in grid[len(panels) :]:
        axes.axis("off")
    lines = {line.get_label(): line for axes in grid for line in axes.get_legend_handles_labels()[0]}
    figure.legend(lines.values(), lines.keys(), loc="outside right upper", fontsize=8, frameon=False)
    figure.supxlabel("seen bars, thousands", fontsize=9)
    figure.supylabel("token accuracy, %", fontsize=9)
    figure.suptitle(title, fontsize=10)
    save_figure(figure, path)


def draw_panel(axes: Axes, name: str, lines: Mapping[str, Any]) -> None:
    """The lines of one panel, and the names of those that are missing."""
    axes.set_title(name)
    bare(axes)
    missing = [label for label, (curve, _) in lines.items() if curve is None]
    for place, (label, (curve, colour)) in enumerate(lines.items()):
        if curve is None:
            continue
        bars, accuracy, spread = curve
        axes.plot(bars / 1000, 100 * accuracy, color=colour, linewidth=1.2, label=label)
        step = len(bars) // ERROR_BARS
        shown = np.arange(step // 2 + place * step // (2 * len(lines)), len(bars), step)
        axes.errorbar(
            bars[shown] / 1000, 100 * accuracy[shown], 100 * spread[shown], fmt="none", ecolor=colour, elinewidth=0.8
        )
    if missing:
        text = "missing: " + ", ".join(label.replace("latent ", "").replace(" units", "") for label in missing)
        axes.annotate(text, (0.97, 0.04), xycoords="axes fraction", ha="right", fontsize=7, color="0.4")


def draw_maps(
    of_cell: Mapping[Cell, Sequence[Result]], sizes: Sequence[int], latents: Sequence[int], path: Path
) -> None:
    """Held-out bound and accuracy by size and latent size; missing cells are named."""
    figure = new_figure(1.1 * len(latents) * 2 + 1.5, 0.75 * len(sizes) + 1.4)
    shown = (
        ("bound_bits", 1, "bound under N(0, I), bits per bar", "viridis_r", "{:.1f}"),
        ("token_accuracy", 100, "tokens right, greedy, %", "viridis", "{:.0f}"),
    )
    for axes, (name, factor, title, colours, text) in zip(figure.subplots(1, 2), shown, strict=True):
        table = np.full((len(sizes), len(latents)), np.nan)
        for (units, latent), found in of_cell.items():
            table[sizes.index(units), latents.index(latent)] = factor * _mean(found, name)
        image = axes.imshow(np.ma.masked_invalid(table), cmap=colours, aspect="auto", origin="lower")
        for (row, column), value in np.ndenumerate(table):
            label, colour = ("missing", "0.4") if np.isnan(value) else (text.format(value), "white")
            place = 0.0 if np.isnan(value) else float(image.norm(value))
            dark = colours == "viridis" and place < 0.6 or colours == "viridis_r" and place > 0.4
            colour = colour if dark or np.isnan(value) else "black"
            axes.text(column, row, label, ha="center", va="center", fontsize=8, color=colour)
        axes.set_xticks(range(len(latents)), latents)
        axes.set_yticks(range(len(sizes)), sizes)
        axes.set(xlabel="latent size", ylabel="units", title=f"held-out bars:\n{title}")
        axes.title.set_fontsize(9)
    save_figure(figure, path)


def _shade(place: int, count: int) -> Any:
    """Colours from dark to light that keep their order in grey."""
    return matplotlib.colormaps["viridis"](0.92 * place / max(1, count - 1))


def _name(cell: Cell) -> str:
    return f"{cell[0]} units, latent {cell[1]}"


def _numbers(name: str, text: str) -> tuple[int, ...]:
    """'64,128' -> (64, 128); UserError for anything but whole numbers above 0."""
    parts = text.split(",") if text else []
    if not all(part.isdecimal() and len(part) < 10 and int(part) > 0 for part in parts):
        raise UserError(f"--{name}={text}: give whole numbers with commas between them, as --{name}=64,128")
    return tuple(dict.fromkeys(map(int, parts)))


def _text(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


if __name__ == "__main__":
    run_command(main)
