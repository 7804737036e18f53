"""The results of a listening test as a folder: figures, tables, summary.json, and results.md to be read."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.listening import analysis, figures
from experiments.listening.answers import Listener, read_answers, read_key
from experiments.listening.clips import REAL
from experiments.results import write_csv
from mcvae_jax.errors import UserError
from mcvae_jax.storage.files import names_in, replacing
from mcvae_jax.storage.jsonfile import DamagedFile, read_json, write_json
from mcvae_jax.text import for_markdown

FORMAT, VERSION = "mcvae_jax listening results", 1
LEAST = 2  # listeners; fewer have no spread
LEVEL = 0.05
IN_THESIS = {"VAE (free run)": "6.4", "MCVAE": "6.5"}  # its figures, by the kinds of models
EARLIER_KINDS = {"vae": "VAE (free run)", "mcvae": "MCVAE"}  # as keys of earlier tests name them

Rows = list[dict[str, Any]]


@dataclasses.dataclass(frozen=True)
class _Written:
    """What is read back of summary.json."""

    format: str
    files: list[str]


def analyse(files: Sequence[str], key_file: Path, out: Path, say: Callable[[str], None]) -> None:
    """Reads the answers, writes the results to `out`, and says what was left out and what was found."""
    out = out.resolve()
    _check_folder(out)
    key = read_key(key_file)
    listeners, left_out = read_answers(files, key)
    for each in left_out:
        say(f"left out: {each.file}: {each.reason}")
    if len(listeners) < LEAST:
        raise UserError(
            f"files of answers that can be used: {len(listeners)} of {len(listeners) + len(left_out)}; {LEAST} are"
            " needed" + (f"; {left_out[0].file}: {left_out[0].reason}" if left_out else "")
        )
    results = summarise(listeners, key)
    summary = {
        "format": FORMAT,
        "version": VERSION,
        "test": key["test"],
        "listeners": [_about(each) for each in listeners],
        "left out": [each._asdict() for each in left_out],
    } | results
    with replacing(out) as place:
        drawn = _draw(place, listeners, key, results)
        _write_tables(place, listeners, results)
        (place / "results.md").write_text(_markdown(summary, drawn, _remarks(listeners)), "utf-8")
        summary["files"] = sorted({path.name for path in place.iterdir()} | {"summary.json"})
        write_json(place / "summary.json", summary)
    say(f"listeners: {len(listeners)}, files left out: {len(left_out)}")
    for line in findings(results):
        say(line)
    say(f"See {out}/results.md, its figures and tables.")


def summarise(listeners: Sequence[Listener], key: Mapping[str, Any]) -> dict[str, Any]:
    """All numbers, as JSON: counts, and the rows of the tables."""
    models, statements = [model["name"] for model in key["models"]], key["statements"]
    real = next((model["name"] for model in key["models"] if model["kind"] == REAL), None)
    return {
        "counts": {
            model: dict(zip(statements, analysis.counts(listeners, model, statements).tolist(), strict=True))
            for model in models
        },
        "statements": analysis.likert(listeners, models, statements),
        "choices": analysis.preferences(listeners, models),
        "taken for real": analysis.judged(listeners, models),
        "told from real songs": analysis.detected(listeners, models, real) if real else [],
    }


def findings(results: Mapping[str, Any]) -> list[str]:
    """A sentence for each difference that is significant after correction; one where there is none."""
    lines = []
    for row in results["statements"]:
        if row["p (Holm)"] < LEVEL:
            more = "more" if row[analysis.EFFECT] > 0 else "less"
            effect, low, high = (row[column] for column in (analysis.EFFECT, *analysis.bounds(analysis.EFFECT)))
            size = f"rank-biserial {effect:+.2f}, {low:+.2f} to {high:+.2f}"
            lines.append(
                f"{row['statement']}: agreed with {more} for {row['first']} than for {row['second']} ({size};"
                f" p = {row['p (Holm)']:.3g} after Holm)"
            )
    for row in results["choices"]:
        if row["p (Holm)"] < LEVEL:
            share, low, high = (row[column] for column in (analysis.SHARE, *analysis.bounds(analysis.SHARE)))
            share = f"{share:.0%}, {low:.0%} to {high:.0%}"
            p = f"p = {row['p (Holm)']:.3g} after Holm"
            lines.append(f"{row['first']} is chosen over {row['second']} in {share} ({p})")
    for row in results["told from real songs"]:
        verdict = "is" if row["p (Holm)"] < LEVEL else "is not shown to be"
        share = f"{row['right answers']:.0%} right answers, d' {row[analysis.D]:.2f}"
        lines.append(f"{row['model']} {verdict} told from real songs ({share}, p = {row['p (Holm)']:.3g} after Holm)")
    return lines or ["no difference between the models is significant after correction"]


def _about(listener: Listener) -> dict[str, Any]:
    return {
        "listener": listener.code,
        "makes music": listener.background,
        "minutes": round(listener.minutes, 1),
        "share heard": round(listener.heard, 3),
    }


def _draw(folder: Path, listeners: Sequence[Listener], key: Mapping[str, Any], results: Mapping[str, Any]) -> list[str]:
    """Draws all figures; their names without suffix. The first VAE is Fig. 6.4, the first MCVAE Fig. 6.5."""
    thesis, drawn = dict(IN_THESIS), []
    for n, model in enumerate(key["models"], 1):
        number = thesis.pop(EARLIER_KINDS.get(model["kind"], model["kind"]), "")
        name = f"fig_{number.replace('.', '_')}" if number else f"statements_{n}"
        title = f"{f'Fig. {number}: ' if number else ''}{model['name']}"
        figures.draw_likert(
            folder / name, title, analysis.counts(listeners, model["name"], key["statements"]), key["statements"]
        )
        drawn.append(name)
    figures.draw_choices(folder / "choices", results["choices"], results["taken for real"])
    return [*drawn, "choices"]


def _write_tables(folder: Path, listeners: Sequence[Listener], results: Mapping[str, Any]) -> None:
    """statements, choices, taken_for_real and told_from_real as in the summary; ratings and remarks one by one."""
    for name in ("statements", "choices", "taken for real", "told from real songs"):
        if results[name]:
            write_csv(folder / f"{name.replace(' ', '_')}.csv", results[name])
    write_csv(folder / "listeners.csv", [_about(each) for each in listeners])
    ratings = [
        {"listener": each.code, "model": model, "statement": statement, "rating": rating}
        for each in listeners
        for model, given in each.ratings.items()
        for statement, rating in given.items()
    ]
    write_csv(folder / "ratings.csv", ratings)
    if remarks := _remarks(listeners):
        write_csv(folder / "remarks.csv", remarks)


def _remarks(listeners: Sequence[Listener]) -> Rows:
    return [
        {"listener": each.code, "about": about or "the test", "remark": text}
        for each in listeners
        for about, text in each.remarks.items()
    ]


def _markdown(summary: Mapping[str, Any], drawn: Sequence[str], remarks: Rows) -> str:
    listeners = summary["listeners"]
    music = sum(each["makes music"] != "no" for each in listeners)
    minutes, heard = (np.median([each[name] for each in listeners]) for name in ("minutes", "share heard"))
    lines = [
        "# Listening test",
        f"{len(listeners)} listeners (who make music: {music}); the median took {minutes:.1f} min and"
        f" heard {heard:.0%} of the clips. Test {for_markdown(summary['test'])}. The listener is the unit of all tests;"
        " p is corrected by Holm within a table; intervals are 95 % bootstraps over listeners.",
        "\n".join(f"- {for_markdown(line)}" for line in findings(summary)),
        f"Answers to the statements, as the figures name them: {figures.EXPLAINED}.",
        *(f"![{name}]({name}.png)" for name in drawn),
    ]
    for name in ("statements", "choices", "taken for real", "told from real songs"):
        if summary[name]:
            lines += [f"## {name.capitalize()}", _table(summary[name])]
    if remarks:
        lines += ["## Remarks", _table(remarks), "remarks.csv has them with their line breaks."]
    if summary["left out"]:
        lines += ["## Files left out", _left_out(summary["left out"])]
    return "\n\n".join(lines) + "\n"


def _left_out(files: Rows) -> str:
    return "\n".join(f"- {for_markdown(each['file'])}: {for_markdown(each['reason'])}" for each in files)


def _table(rows: Rows) -> str:
    head = list(rows[0])
    cells = [
        [f"{value:.3g}" if isinstance(value, float) else for_markdown(value) for value in row.values()] for row in rows
    ]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *cells])


def _check_folder(folder: Path) -> None:
    """UserError unless `folder` is absent, empty, or holds earlier results and nothing else."""
    names = names_in(folder, "choose another --out")
    try:
        written = read_json(folder / "summary.json", _Written)
    except DamagedFile as error:
        raise UserError(f"{error}, so what else is in that folder is not known; choose another --out") from error
    ours = set(written.files) if written and written.format == FORMAT else set()
    if foreign := sorted(names - ours):
        raise UserError(f"{folder} holds {foreign[0]!r}, which is no result of a listening test; choose another --out")
