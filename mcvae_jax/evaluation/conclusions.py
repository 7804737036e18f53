"""What follows from the numbers of a report, in sentences: from its intervals, and no further than these go."""

from collections.abc import Mapping
from typing import Any

from mcvae_jax.corpus.clean import SHINGLE_NOTES
from mcvae_jax.evaluation.compare import CLASSIFIER
from mcvae_jax.evaluation.controls import HALF
from mcvae_jax.evaluation.copies import PASSAGE
from mcvae_jax.evaluation.scores import MDRNN, ONE_GAUSSIAN, STANDARD

Report = Mapping[str, Any]

COPIED = {
    "passages": f"bars that stand, {PASSAGE} or more in a row, note for note in one training song",
    "windows": f"windows of {SHINGLE_NOTES} notes that stand in one",
}
COLLAPSED = 1.0  # nats per bar: a VAE whose latents tell less about a bar than this


def conclusions(report: Report) -> list[str]:
    """Sentences, those on held-out songs first; see evaluate.py for the report."""
    models = report["models"]
    lines = [_bits(models)]
    if models["subject"] == MDRNN:
        lines.append(_memory(models))
    if models["kl_nats"] < COLLAPSED:
        lines.append(
            f"The VAE has collapsed: its latents tell {models['kl_nats']:.2f} nats about a bar, so that songs made of"
            " them are what its decoder says by itself. Train it with a lower beta, or with a capacity."
        )
    return [*lines, _told_apart(report), _nearest(report), *_lost(report), _copies(report)]


def span(figure: Mapping[str, Any], style: str = ".1f") -> str:
    """'28.1 (26.9 to 29.2)': a figure and its interval."""
    low, high = figure["interval"]
    return f"{figure['value']:{style}} ({low:{style}} to {high:{style}})"


def _bits(models: Mapping[str, Any]) -> str:
    subject, rows = models["subject"], models["rows"]
    best = min((n for n, row in rows.items() if row["kind"] == "n-gram"), key=lambda n: _value(rows[n]))
    low, high = rows[best]["beyond"]["interval"]
    if low > 0:
        verdict = "so the model tells real songs in fewer bits than any n-gram here"
    elif high < 0:
        verdict = "so an n-gram tells real songs in fewer bits (the model's figure is an upper bound)"
    else:
        verdict = "which is no difference to be sure of"
    tighter = ""
    if "tighter" in rows[subject]:
        tighter = f" A tighter bound, from {models['particles']} particles, is {span(rows[subject]['tighter'])} bits."
    return (
        f"A bar of the {models['songs']:,} held-out songs ({models['bars']:,} bars) takes the {subject} at most"
        f" {span(rows[subject]['bits_per_bar'])} bits and the best n-gram ({best}) {span(rows[best]['bits_per_bar'])}:"
        f" n-gram less {subject} {span(rows[best]['beyond'])}, {verdict}.{tighter}"
    )


def _memory(models: Mapping[str, Any]) -> str:
    rows = models["rows"]
    if rows[ONE_GAUSSIAN]["beyond"]["interval"][0] > 0:
        return (
            f"How bars follow each other is worth {span(rows[ONE_GAUSSIAN]['beyond'])} bits a bar to the MDRNN: so much"
            f" more do the same latents take under one Gaussian that knows no other bar (under {STANDARD}"
            f" {span(rows[STANDARD]['beyond'])})."
        )
    return (
        "The MDRNN has learnt nothing about how bars follow each other: one Gaussian that knows no other bar does as"
        " well on held-out songs."
    )


def _told_apart(report: Report) -> str:
    sets = report["sets"]["sets"]
    told = ", ".join(f"{name} in {_percent(sets[name]['distances'][CLASSIFIER])}" for name in report["kinds"]["models"])
    return (
        f"A simple classifier tells songs from held-out ones: {told}; {HALF} in"
        f" {_percent(sets[HALF]['distances'][CLASSIFIER])}. 50 % is chance."
    )


def _nearest(report: Report) -> str:
    """By how many distances each composed set is the nearest of them."""
    distances = {name: report["sets"]["sets"][name]["distances"] for name in report["kinds"]["models"]}
    measures = list(next(iter(distances.values())))
    winners = [min(distances, key=lambda name: distances[name][measure]["value"]) for measure in measures]
    told = ", ".join(f"{name} by {winners.count(name)}" for name in distances)
    return f"Of the composed sets, nearest to held-out songs by {len(measures)} distances: {told}."


def _lost(report: Report) -> list[str]:
    """For each composed set, what it loses to controls that are no real music."""
    lines = []
    for model in report["kinds"]["models"]:
        lost = [flag["measure"] for flag in report["flags"] if flag["model"] == model and flag["to"]]
        if lost:
            count = len(report["sets"]["sets"][model]["distances"])
            lines.append(
                f"{model} loses to a control that is no real music by {len(lost)} of {count}: {', '.join(lost)}."
            )
    return lines


def _copies(report: Report) -> str:
    """What is copied in passages or in windows, where held-out songs share less."""
    models, told, copying = report["kinds"]["models"], [], set()
    for share, what in COPIED.items():
        from_held_out = report["copies"][report["kinds"]["held_out"]][share]
        shares = {model: report["copies"][model][share] for model in models}
        copying |= {model for model in models if shares[model]["interval"][0] > from_held_out["interval"][1]}
        each = ", ".join(f"{model} {_percent(figure)}" for model, figure in shares.items())
        told.append(f"{what} (in any key): {each}; held-out songs {_percent(from_held_out)}")
    copiers = [model for model in models if model in copying]
    copied = f"copied from the training songs by {' and '.join(copiers)}"
    verdict = copied if copiers else "no sign of copying"
    return f"Share of {'. Of '.join(told)}: {verdict}."


def _value(row: Mapping[str, Any]) -> float:
    return row["bits_per_bar"]["value"]


def _percent(share: Mapping[str, Any]) -> str:
    low, high = share["interval"]
    return f"{100 * share['value']:.0f} % ({100 * low:.0f} to {100 * high:.0f})"
