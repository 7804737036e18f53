"""What follows from the numbers of a report, in sentences: from its intervals, and no further than these go.

Every figure has its 95 % interval. What the intervals do not show is called not shown.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mcvae_jax.corpus.alike import SHINGLE_NOTES
from mcvae_jax.evaluation.compare import CLASSIFIER, STRONG
from mcvae_jax.evaluation.controls import HALF, SHUFFLED
from mcvae_jax.evaluation.copies import PASSAGE
from mcvae_jax.evaluation.scores import MODEL, NGRAM, ratio
from mcvae_jax.models.song_model import BOUND

Report = Mapping[str, Any]

COPIED = {
    "passages": f"bars that stand, {PASSAGE} or more in a row, note for note in one training song",
    "windows": f"windows of {SHINGLE_NOTES} notes that stand in one",
}
CHANCE = 0.5  # share of songs that are told rightly by who knows nothing
COLLAPSED = 1.0  # nats per bar: latents that hold less about a bar than this


def conclusions(report: Report) -> list[str]:
    """Sentences, those on held-out songs first; see evaluation.py for the report."""
    scores = report["models"]
    lines = []
    for name in (name for name, row in scores["rows"].items() if row["role"] == MODEL):
        lines += [_bits(scores, name), *_memory(scores, name), *_collapsed(scores, name)]
    lines += [*_music(report), *_told_apart(report), _nearest(report), *_lost(report)]
    return [*lines, _copies(report), _bars(report)]


def span(figure: Mapping[str, Any], style: str = ".1f") -> str:
    """'28.1 (26.9 to 29.2)': a figure and its interval; 'none' where nothing was counted."""
    if figure["value"] is None:
        return "none"
    low, high = figure["interval"]
    return f"{figure['value']:{style}} ({low:{style}} to {high:{style}})"


def percent(share: Mapping[str, Any], decimals: int = 0) -> str:
    """'97 % (90 to 100)': a share and its interval; 'none' where nothing was counted."""
    if share["value"] is None:
        return "none"
    low, high = share["interval"]
    return f"{100 * share['value']:.{decimals}f} % ({100 * low:.{decimals}f} to {100 * high:.{decimals}f})"


def differs(figure: Mapping[str, Any]) -> bool:
    """Whether a difference is shown: its interval leaves out 0."""
    return figure["value"] is not None and not figure["interval"][0] <= 0 <= figure["interval"][1]


def apart(figure: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two figures are shown to differ: their intervals do not meet, which is stricter than need be."""
    (low, high), (other_low, other_high) = figure["interval"], other["interval"]
    return high < other_low or other_high < low


def _more(figure: Mapping[str, Any]) -> str:
    """'1.2 (-0.6 to 3.1) bits more', or '4.5 (3.1 to 6.0) bits less'."""
    if figure["value"] >= 0:
        return f"{span(figure)} bits more"
    low, high = figure["interval"]
    return f"{span({'value': -figure['value'], 'interval': (-high, -low)})} bits less"


def _bits(scores: Mapping[str, Any], name: str) -> str:
    """A model beside the n-gram that costs least."""
    rows = scores["rows"]
    row, best = rows[name], min((n for n in rows if rows[n]["role"] == NGRAM), key=lambda n: _value(rows[n]))
    less = difference(rows[best], row)
    if less["interval"][0] > 0:
        verdict = "so the model predicts real songs better than any n-gram here"
    elif less["interval"][1] < 0:
        bound = " (the model's figure is an upper bound)" if row["likelihood"] == BOUND else ""
        verdict = f"so an n-gram predicts real songs better{bound}"
    else:
        verdict = "so neither is shown to be better"
    cost = "costs at most" if row["likelihood"] == BOUND else "costs"
    with_copies = ""
    if f"{name} + copy" in rows:
        switched = rows[f"{name} + copy"]
        with_copies = (
            f" Within a switch that may copy any earlier bar, the {name} {cost} {span(switched['bits_per_bar'])} bits:"
            f" the n-gram costs {_more(difference(rows[best], switched))} than that."
        )
    apart = [f"{span(row[key])} for a {words} bar" for key, words in (("new", "new"), ("repeated", "repeated"))]
    tighter = ""
    if "tighter" in row:
        tighter = f" A tighter bound, from {scores['particles']} particles, is {span(row['tighter'])} bits."
    return (
        f"A bar of the {scores['songs']:,} held-out songs ({scores['bars']:,} bars) {cost} {span(row['bits_per_bar'])}"
        f" bits under the {name} ({', '.join(apart)}), and {span(rows[best]['bits_per_bar'])} under the best n-gram"
        f" ({best}). The n-gram costs {_more(less)}, {verdict}.{with_copies}{tighter}"
    )


def difference(row: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Bits per bar of `row` less those of `other`, with the interval over the same songs."""
    bits = np.array(row["bits_of_songs"]) - np.array(other["bits_of_songs"])
    return ratio(bits, np.array(row["bars_of_songs"], np.float64), 0)


def _memory(scores: Mapping[str, Any], name: str) -> list[str]:
    """What memory is worth to a model of latents, by its own baselines."""
    rows, lines = scores["rows"], []
    for baseline in (
        each for each, owner in scores["baselines"].items() if owner == name and "rate_nats" in rows[each]
    ):
        more = difference(rows[baseline], rows[name])
        if more["interval"][0] > 0:
            lines.append(
                f"Memory of earlier bars saves the {name} {span(more)} bits a bar: {baseline}, which knows no other"
                " bar, costs so much more over the same latents."
            )
        else:
            lines.append(
                f"It is not shown that the {name} has learnt how bars follow each other: {baseline}, which knows no"
                f" other bar, costs {_more(more)} a bar."
            )
    return lines


def _collapsed(scores: Mapping[str, Any], name: str) -> list[str]:
    kl = scores["rows"][name].get("kl")
    if kl is None or kl["interval"][1] >= COLLAPSED:
        return []
    return [
        f"The VAE of the {name} has collapsed: its latents hold {span(kl, '.2f')} nats about a bar, so that songs made"
        " of them are what its decoder writes by itself. Train it with a lower beta, or with a capacity."
    ]


def _music(report: Report) -> list[str]:
    """How models go on after real bars, beside how the songs do, by what a musician asks."""
    group = report["music"][0]
    real = group["sets"][group["real"]]["figures"]
    lines = []
    for name in report["kinds"]["continued"]:
        figures = group["sets"][name]["figures"]
        shown = [figure for figure in figures if differs(figures[figure]["beyond"])]
        told = [f"{figure} {percent(figures[figure], 1)}, real {percent(real[figure], 1)}" for figure in shown]
        others = [figure for figure in figures if figure not in shown]
        unsure = f" Not shown to differ: {', '.join(others)}." if others else ""
        lines.append(
            f"After {group['given']} bars of held-out songs, {name} differs from how these go on themselves in"
            f" {len(shown)} of {len(figures)} figures{': ' if told else ''}{'; '.join(told)}.{unsure}"
        )
    return lines


def _told_apart(report: Report) -> list[str]:
    """What each classifier tells from held-out songs, and whether its controls hold."""
    return [_told_by(report, "strong", STRONG), _told_by(report, "simple", CLASSIFIER)]


def _told_by(report: Report, classifier: str, measure: str) -> str:
    shares = {name: each["distances"][measure] for name, each in report["sets"]["sets"].items()}
    told = ", ".join(
        f"{name} in {percent(shares[name])}{'' if shares[name]['interval'][0] > CHANCE else ', not shown'}"
        for name in report["kinds"]["models"]
    )
    line = (
        f"A {classifier} classifier tells composed songs from real ones: {told} of the cases; chance is 50 %."
        f" Its controls: {HALF} in {percent(shares[HALF])}, {SHUFFLED} in {percent(shares[SHUFFLED])}"
    )
    doubts = []
    if shares[HALF]["interval"][0] > CHANCE:
        doubts.append("real songs differ from each other here, and what is told may be no more than that")
    if shares[SHUFFLED]["interval"][0] <= CHANCE:
        doubts.append("it is not shown to see the order of bars, so that a share near chance says little")
    return f"{line}{': ' if doubts else ''}{'; '.join(doubts)}."


def _nearest(report: Report) -> str:
    """By which distances a composed set is shown to be the nearest of them: its interval ends before all others."""
    distances = {name: report["sets"]["sets"][name]["distances"] for name in report["kinds"]["models"]}
    measures, shown = list(next(iter(distances.values()))), []
    for measure in measures:
        first, *others = sorted(distances, key=lambda name: distances[name][measure]["value"])
        own = distances[first][measure]
        if all(own["interval"][1] < distances[name][measure]["interval"][0] for name in others):
            shown.append(f"{first} by {measure}, {span(own, '.2g')}")
    rest = f"by {len(measures) - len(shown)} of {len(measures)} distances it is not shown which"
    return f"Of the composed sets, nearest to held-out songs: {'; '.join([*shown, rest])}."


def _lost(report: Report) -> list[str]:
    """For each composed set, what it loses to controls that are no real music: where their intervals lie apart."""
    sets, lines = report["sets"]["sets"], []
    for model in report["kinds"]["models"]:
        lost = [flag for flag in report["flags"] if flag["model"] == model and flag["to"]]
        shown, unsure = [], []
        for flag in lost:
            measure = flag["measure"]
            own = sets[model]["distances"][measure]
            best = min(flag["to"], key=lambda name: sets[name]["distances"][measure]["value"])
            nearer = sets[best]["distances"][measure]
            if nearer["interval"][1] < own["interval"][0]:
                shown.append(f"{measure} {span(own, '.2g')}, {best} {span(nearer, '.2g')}")
            else:
                unsure.append(measure)
        if lost:
            told = [f"by {'; '.join(shown)}"] * bool(shown) + [f"not shown by {', '.join(unsure)}"] * bool(unsure)
            farther = f"{model} is farther from held-out songs than a control that is no real music"
            lines.append(f"{farther}: {'; '.join(told)}.")
    return lines


def _copies(report: Report) -> str:
    """What is copied in passages or in windows, where held-out songs share less."""
    models, told, copying = report["kinds"]["models"], [], set()
    for share, what in COPIED.items():
        from_held_out = report["copies"][report["kinds"]["held_out"]][share]
        shares = {model: report["copies"][model][share] for model in models}
        copying |= {model for model in models if shares[model]["interval"][0] > from_held_out["interval"][1]}
        each = ", ".join(f"{model} {percent(figure)}" for model, figure in shares.items())
        told.append(f"{what} (in any key): {each}; held-out songs {percent(from_held_out)}")
    copiers = [model for model in models if model in copying]
    copied = f"copied from the training songs by {' and '.join(copiers)}"
    verdict = copied if copiers else "copying is not shown"
    return f"Share of {'. Of '.join(told)}: {verdict}."


def _bars(report: Report) -> str:
    """How many bars of composed songs are bars of training songs, beside held-out songs."""
    copies, kinds = report["copies"], report["kinds"]
    sets = {kinds["held_out"]: kinds["models"]}
    if kinds["continued"]:
        sets[report["music"][0]["real"]] = kinds["continued"]
    told = []
    for real, names in sets.items():
        known = copies[real]["written"]
        told.append(f"{real} {percent(known)}")
        for name in names:
            share = copies[name]["written"]
            fewer = "fewer" if share["value"] < known["value"] else "more"
            told.append(f"{name} {percent(share)}, {fewer if apart(share, known) else 'not shown to differ'}")
    return f"Bars that stand in training songs as written: {'; '.join(told)}."


def _value(row: Mapping[str, Any]) -> float:
    return row["bits_per_bar"]["value"]
