"""What else the intervals of a report show, in sentences of one figure each: for who has read the answer.

What could be asked and is not shown stands there as not shown.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from mcvae_jax.corpus.alike import SHINGLE_NOTES
from mcvae_jax.evaluation.compare import CLASSIFIER, STRONG
from mcvae_jax.evaluation.conclusions import CHANCE, IN_PASSAGES, Report, by_bits, difference, percent, span
from mcvae_jax.evaluation.controls import HALF, SHUFFLED

COPIED = {"passages": IN_PASSAGES, "windows": f"windows of {SHINGLE_NOTES} notes copied from one training song"}
COLLAPSED = 1.0  # nats per bar: latents that hold less about a bar than this


def findings(report: Report) -> list[str]:
    """Sentences on each model in bits, then on the songs and on what they are judged by."""
    scores = report["models"]
    found = [line for name in by_bits(scores) for line in _of_model(scores, name)]
    for words, measure in (("strong", STRONG), ("simple", CLASSIFIER)):
        found += _of_controls(report, words, measure)
    return [*found, *_nearest(report), *_lost(report), *_copied(report)]


def _of_model(scores: Mapping[str, Any], name: str) -> Iterator[str]:
    """Its tighter bound, what memory is worth to it by its own baselines, and whether its latents hold anything."""
    rows = scores["rows"]
    row = rows[name]
    if "tighter" in row:
        particles = scores["particles"]
        yield f"A tighter bound of the {name}, from {particles} particles, is {span(row['tighter'])} bits a bar."
    for baseline in (b for b, owner in scores["baselines"].items() if owner == name and "rate_nats" in rows[b]):
        saved = difference(rows[baseline], row)
        than = f"over {baseline}, which knows no other bar"
        if saved["interval"][0] > 0:
            yield f"Memory of earlier bars saves the {name} {span(saved)} bits a bar {than}."
        else:
            yield f"It is not shown that memory helps the {name}: it saves {span(saved)} bits a bar {than}."
    if row.get("kl") and row["kl"]["interval"][1] < COLLAPSED:
        yield f"The VAE of the {name} has collapsed: its latents hold {span(row['kl'], '.2f')} nats about a bar."
        yield "Train it with a lower beta, or with a capacity."


def _of_controls(report: Report, words: str, measure: str) -> Iterator[str]:
    """Whether a classifier holds real songs for alike, and sees the order of their bars."""
    half, shuffled = (report["sets"]["sets"][name]["distances"][measure] for name in (HALF, SHUFFLED))
    if half["interval"][0] > CHANCE:
        yield f"The {words} classifier tells real songs from each other in {percent(half)} of cases, too often."
    else:
        yield f"It is not shown that the {words} classifier tells real songs from each other: {percent(half)} of cases."
    if shuffled["interval"][0] > CHANCE:
        yield f"The {words} classifier tells shuffled bars from songs in {percent(shuffled)} of cases."
    else:
        yield f"It is not shown that the {words} classifier sees the order of bars: {percent(shuffled)} of cases."


def _nearest(report: Report) -> Iterator[str]:
    """By which distances a composed set is shown to be the nearest of them: its interval ends before all others."""
    distances = {name: report["sets"]["sets"][name]["distances"] for name in report["kinds"]["models"]}
    measures, shown = list(next(iter(distances.values()))), 0
    if len(distances) < 2:
        return
    for measure in measures:
        first, *others = sorted(distances, key=lambda name: distances[name][measure]["value"])
        own = distances[first][measure]
        if all(own["interval"][1] < distances[name][measure]["interval"][0] for name in others):
            shown += 1
            yield f"Of the composed sets {first} is nearest to held-out songs by {measure}: {span(own, '.2g')}."
    yield f"By {len(measures) - shown} of {len(measures)} distances it is not shown which composed set is nearest."


def _lost(report: Report) -> Iterator[str]:
    """By what a composed set is farther from real songs than a control that is no real music."""
    sets = report["sets"]["sets"]
    for model in report["kinds"]["models"]:
        unsure = []
        for flag in (flag for flag in report["flags"] if flag["model"] == model and flag["to"]):
            measure = flag["measure"]
            own = sets[model]["distances"][measure]
            best = min(flag["to"], key=lambda name: sets[name]["distances"][measure]["value"])
            nearer = sets[best]["distances"][measure]
            if nearer["interval"][1] < own["interval"][0]:
                figures = f"{span(own, '.2g')} against {span(nearer, '.2g')}"
                yield f"{model} is farther from real songs than {best} by {measure}: {figures}."
            else:
                unsure.append(measure)
        if unsure:
            yield f"It is not shown that {model} is farther than what is no music by {', '.join(unsure)}."


def _copied(report: Report) -> Iterator[str]:
    """What is copied in passages or in windows, where held-out songs share less."""
    copies, copying = report["copies"], set()
    for share, what in COPIED.items():
        for model in report["kinds"]["models"]:
            own = copies[model][share]
            if own["beyond"]["interval"][0] > 0:
                copying.add(model)
                real = percent(copies[report["kinds"]["held_out"]][share])
                yield f"{model} copies: {percent(own)} {what}, held-out songs {real}."
    for model in report["kinds"]["models"]:
        if model not in copying:
            yield f"It is not shown that {model} copies more than held-out songs do."
