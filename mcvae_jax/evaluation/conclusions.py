"""What follows from the numbers of a report: an answer of three sentences, and the questions behind it.

Every figure has its 95 % interval. What the intervals do not show is called not shown.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from mcvae_jax.evaluation.compare import STRONG
from mcvae_jax.evaluation.controls import HALF, SHUFFLED
from mcvae_jax.evaluation.copies import PASSAGE
from mcvae_jax.evaluation.music import ENDING
from mcvae_jax.evaluation.scores import BASELINE, MODEL, WITH_COPIES, ratio
from mcvae_jax.models.song_model import BOUND

Report = Mapping[str, Any]
Figure = Mapping[str, Any]  # 'value' and 'interval', both None where nothing was counted

CHANCE = 0.5  # share of songs that are told rightly by who knows nothing
# Times the real figure within which a set is as real songs are, with its whole interval: the limits by which medicines
# are called equivalent (Schuirmann 1987; FDA, Statistical Approaches to Establishing Bioequivalence, 2001).
AS_REAL = (0.8, 1.25)
BETTER, WORSE, DIFFERS, LIKE, NOT_SHOWN = "better", "worse", "differs", "as real", "not shown"
NONE = "none found"  # in either set
AT_MOST = "≤ "  # before what is a bound
WRITTEN, IN_PASSAGES = "bars that stand in training songs", f"bars copied {PASSAGE} or more in a row"
COPIED = {"written": WRITTEN, "passages": IN_PASSAGES}  # shares of `compare_copies`
ASKED = {
    "notes out of the key": "How many notes leave the key?",
    "leaps over a fifth": "How many leaps go over a fifth?",
    "leaps over an octave": "How many leaps go over an octave?",
    "bars in A-B-A-B loops": "How many bars stand in A-B-A-B loops?",
    "bars that repeat an earlier one": "How many bars repeat an earlier one?",
    ENDING: "How many songs end on a long tone of the scale?",
    WRITTEN: "How many bars stand in training songs?",
    IN_PASSAGES: f"How many bars are copied, {PASSAGE} or more in a row?",
}


class Question(NamedTuple):
    """A question of the report with its answer for one model."""

    asked: str
    own: tuple[str, str]  # what the model has, and its interval
    beside: tuple[str, str]  # what real songs have or a control, and its interval and name
    verdict: str
    by: str  # how far they lie apart; '' for not known


def span(figure: Figure, style: str = ".1f") -> str:
    """'28.1 (26.9 to 29.2)': a figure and its interval; 'none' where nothing was counted."""
    if figure["value"] is None:
        return "none"
    low, high = figure["interval"]
    return f"{figure['value']:{style}} ({low:{style}} to {high:{style}})"


def percent(share: Figure, decimals: int = 0) -> str:
    """'97 % (90 to 100)': a share and its interval; 'none' where nothing was counted."""
    if share["value"] is None:
        return "none"
    low, high = share["interval"]
    return f"{100 * share['value']:.{decimals}f} % ({100 * low:.{decimals}f} to {100 * high:.{decimals}f})"


def in_two(words: str) -> tuple[str, str]:
    """'97 % (90 to 100)' as '97 %' and '90 to 100', for a cell of a table; 'none' as 'none' and ''."""
    value, _, rest = words.partition(" (")
    return value, rest.removesuffix(")")


def times(figure: Figure) -> str:
    """'4.3 times (2.9 to 6.4)' the figure of real songs; '' where there is no such ratio."""
    found = figure["times"]
    if found["value"] is None:
        return ""
    value, low, high = (f"{x:.{2 if x < 1 else 1 if x < 10 else 0}f}" for x in (found["value"], *found["interval"]))
    return f"{value} times ({low} to {high})"


def differs(figure: Figure) -> bool:
    """Whether a difference is shown: its interval leaves out 0."""
    return figure["value"] is not None and not figure["interval"][0] <= 0 <= figure["interval"][1]


def verdict_beside_real(figure: Figure) -> str:
    """DIFFERS, LIKE or NOT_SHOWN, of a share with what `beside` found."""
    if differs(figure["beyond"]):
        return DIFFERS
    within = figure["times"]["interval"]
    return LIKE if within and AS_REAL[0] <= within[0] and within[1] <= AS_REAL[1] else NOT_SHOWN


def difference(row: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Bits per bar of `row` less those of `other`, with the interval over the same songs."""
    bits = np.array(row["bits_of_songs"]) - np.array(other["bits_of_songs"])
    return ratio(bits, np.array(row["bars_of_songs"], np.float64), 0)


def best_form(scores: Mapping[str, Any], model: str) -> str:
    """The row of a model, alone or within the copy switch, whichever costs less."""
    rows = scores["rows"]
    return min((name for name in (model, model + WITH_COPIES) if name in rows), key=lambda name: _bits(rows[name]))


def by_bits(scores: Mapping[str, Any]) -> list[str]:
    """The models, the one whose best form costs least first."""
    rows = scores["rows"]
    models = [name for name, row in rows.items() if row["role"] == MODEL]
    return sorted(models, key=lambda name: _bits(rows[best_form(scores, name)]))


def conclusions(report: Report) -> list[str]:
    """The answer, in three sentences: of the best model in bits, and of the songs that it composes."""
    best = by_bits(report["models"])[0]
    return [_of_bits(report["models"], best), _of_classifier(report, best), _most_unlike(report, best)]


def headline(report: Report) -> str:
    """The answer in one breath: the best model beside the n-gram, and how many figures of its songs are as real."""
    best = by_bits(report["models"])[0]
    of_bits, *others = (question.verdict for question in questions(report, best))
    beside = {BETTER: "better than", WORSE: "worse than"}.get(of_bits, "not shown to be better than")
    count = {verdict: others.count(verdict) for verdict in (LIKE, DIFFERS)}
    rest = len(others) - sum(count.values())
    return (
        f"{best}: {beside} the n-gram. Of {len(others)} figures of its songs, {is_or_are(count[LIKE])} as real,"
        f" {count[DIFFERS]} differ{'s' * (count[DIFFERS] == 1)}, and {is_or_are(rest)} not shown."
    )


def is_or_are(count: int) -> str:
    """'1 is', '2 are'."""
    return f"{count} is" if count == 1 else f"{count} are"


def questions(report: Report, model: str) -> list[Question]:
    """What is asked of one model, with its songs after real bars where it can go on."""
    found = [_bits_asked(report["models"], model), _classifier_asked(report, model)]
    for name, (own, real) in _beside_real(report, model).items():
        own_words, real_words = (in_two(percent(share, 1)) for share in (own, real))
        verdict = verdict_beside_real(own) if own["value"] or real["value"] else NONE
        found.append(Question(ASKED[name], own_words, real_words, verdict, times(own)))
    return found


def _of_bits(scores: Mapping[str, Any], model: str) -> str:
    form, less, verdict = _against_baseline(scores, model)
    inside = form != model
    name = f"{model} with the copy switch" if inside else model
    baseline = "the n-gram with it" if inside else "the n-gram with the copy switch"
    bound = scores["rows"][form]["likelihood"] == BOUND
    if verdict == BETTER:
        return f"The {name} beats {baseline} by {'at least ' * bound}{span(less)} bits a bar."
    if verdict == WORSE:
        return f"The {name} loses to {baseline} by {'at most ' * bound}{span(_turned(less))} bits a bar."
    return f"It is not shown whether the {name} beats {baseline}: it needs {_fewer(less)}."


def _bits_asked(scores: Mapping[str, Any], model: str) -> Question:
    form, less, verdict = _against_baseline(scores, model)
    row, baseline = scores["rows"][form], scores["rows"][BASELINE]
    own, within = in_two(span(row["bits_per_bar"]))
    other, within_other = in_two(span(baseline["bits_per_bar"]))
    return Question(
        "How many bits does a bar of a real song cost?",
        (f"{AT_MOST * (row['likelihood'] == BOUND)}{own}", f"{within}{', with the copy switch' * (form != model)}"),
        (other, f"{within_other}, n-gram with the copy switch"),
        verdict,
        _fewer(less),
    )


def _against_baseline(scores: Mapping[str, Any], model: str) -> tuple[str, dict[str, Any], str]:
    """The best form of a model, how many bits a bar it saves beside the baseline, and what that shows."""
    form = best_form(scores, model)
    less = difference(scores["rows"][BASELINE], scores["rows"][form])
    return form, less, (BETTER if less["value"] > 0 else WORSE) if differs(less) else NOT_SHOWN


def _of_classifier(report: Report, model: str) -> str:
    told, verdict = _told(report, model)
    told_from, right = f"songs of the {model} from real ones", _of_cases(told)
    if verdict == DIFFERS:
        return f"A strong classifier tells {told_from} in {right}."
    if verdict == LIKE:
        return f"A strong classifier hardly tells {told_from}: it is right in {right}."
    return f"It is not shown that a strong classifier tells {told_from}: it is right in {right}."


def _of_cases(told: Figure) -> str:
    share, interval = in_two(percent(told))
    return f"{share} of cases ({interval}; chance is {100 * CHANCE:.0f})"


def _classifier_asked(report: Report, model: str) -> Question:
    told, verdict = _told(report, model)
    half = report["sets"]["sets"][HALF]["distances"][STRONG]
    other, within = in_two(percent(half))
    asked = "How often does a classifier tell its songs from real ones?"
    chance = f"{100 * CHANCE:.0f} %", f"chance; of other real songs {other} ({within})"
    return Question(asked, in_two(percent(told)), chance, verdict, "")


def _told(report: Report, model: str) -> tuple[Figure, str]:
    """How often the strong classifier is right, and what that shows beside its controls."""
    sets = report["sets"]["sets"]
    told, half, shuffled = (sets[name]["distances"][STRONG] for name in (own_set(report, model), HALF, SHUFFLED))
    high_of_real = half["interval"][1] if half["interval"][0] > CHANCE else CHANCE
    if told["interval"][0] > high_of_real:
        return told, DIFFERS
    hears = shuffled["interval"][0] > CHANCE
    return told, LIKE if hears and told["interval"][1] <= AS_REAL[1] * CHANCE else NOT_SHOWN


def own_set(report: Report, model: str) -> str:
    """The songs of a model from nothing: with its sampler's defaults, where these are another set."""
    names = (f"{model} (sampler's defaults)", f"{model} (as trained)", model)
    return next(name for name in names if name in report["sets"]["sets"])


def _most_unlike(report: Report, model: str) -> str:
    """What differs most, by Cohen's h of two shares (1988), of all that is shown to differ."""
    shown = {
        name: (own, real)
        for name, (own, real) in _beside_real(report, model).items()
        if verdict_beside_real(own) == DIFFERS
    }
    if not shown:
        return f"It is not shown that songs of the {model} differ from real ones in any figure of theirs."
    name = max(shown, key=lambda name: abs(_cohens_h(*shown[name])))
    own, real = shown[name]
    subject = "endings on a long tone of the scale" if name == ENDING else name
    found = times(own).replace(" times", " times as many", 1)
    found = found or f"{percent(own, 1)}, where these have {percent(real, 1)}"
    return f"Songs of the {model} differ from real ones most in {subject}: {found}."


def _beside_real(report: Report, model: str) -> dict[str, tuple[Figure, Figure]]:
    """By name the shares of a model's songs and those of the real songs beside them."""
    after, alone = report["music"]
    continued = f"{model} (continued)"
    name, group = (continued, after) if continued in after["sets"] else (own_set(report, model), alone)
    own, real = (group["sets"][each]["figures"] for each in (name, group["real"]))
    copies = report["copies"]
    of_music = {figure: (own[figure], real[figure]) for figure in own}
    return of_music | {words: (copies[name][share], copies[group["real"]][share]) for share, words in COPIED.items()}


def _cohens_h(own: Figure, real: Figure) -> float:
    return 2 * (math.asin(math.sqrt(own["value"])) - math.asin(math.sqrt(real["value"])))


def _fewer(less: Figure) -> str:
    """'1.2 bits fewer (-0.6 to 3.1)', or '4.5 bits more (3.1 to 6.0)'."""
    words = "fewer" if less["value"] >= 0 else "more"
    value, interval = in_two(span(less if words == "fewer" else _turned(less)))
    return f"{value} bits {words} ({interval})"


def _turned(figure: Figure) -> dict[str, Any]:
    low, high = figure["interval"]
    return {"value": -figure["value"], "interval": (-high, -low)}


def _bits(row: Mapping[str, Any]) -> float:
    return row["bits_per_bar"]["value"]
