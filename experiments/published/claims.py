"""What the scores say: a summary of every set, and the thesis' claims beside ours (thesis 6.4.2 to 6.7).

What follows carries 95 % intervals over pairs of songs, and calls not shown what these do not show.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.cbook import boxplot_stats
from scipy.stats import ttest_1samp, wasserstein_distance

from experiments.published.sets import (
    BARS,
    BITS,
    HONEST,
    LONG,
    MCVAE_CONDITIONAL,
    MCVAE_FREE,
    MEASURES,
    PUBLISHED,
    REAL,
    REPEATED,
    SILENCE,
    TRUE,
    VAE_CONDITIONAL,
    VAE_FREE,
    Scored,
)
from mcvae_jax.evaluation.sets import LEVEL, interval

RESAMPLES = 1000
NEARLY = 0.9  # of the score of silence: melodies that score as much hold one note or rest nearly throughout
NOTHING = "not measured"
NOT_SHOWN = "not shown to differ from"
WORKDIR, UNCLEANED = "workdir", "uncleaned"  # names of the models, after the options that give them

Sets = Sequence[Scored]
Name = tuple[str, str, int]  # model, method and bars of a set at all alphas


def reference_bars(bars: int) -> int:
    """Bars of the real songs beside which melodies of so many bars are put."""
    return BARS if bars <= BARS else LONG


def pooled(sets: Sets, measure: str) -> dict[Name, np.ndarray]:
    """Scores (P, alphas) of every method; of real songs, A and B are the two columns."""
    found: dict[Name, list[np.ndarray]] = {}
    for each in sets:
        found.setdefault((each.model, each.method, each.bars), []).append(each.scores[measure])
    return {name: np.stack(columns, axis=1) for name, columns in found.items()}


def spread(values: np.ndarray) -> dict[str, float]:
    """Mean, quartiles and outliers as the box plots show them: beyond 1.5 interquartile ranges from the quartiles."""
    (box,) = boxplot_stats(values.reshape(-1))
    return {
        "songs": values.size,
        "mean": float(box["mean"]),
        "median": float(box["med"]),
        "lower_quartile": float(box["q1"]),
        "upper_quartile": float(box["q3"]),
        "interquartile_range": float(box["iqr"]),
        "minimum": float(values.min()),
        "maximum": float(values.max()),
        "outliers": len(box["fliers"]),
    }


def distance(values: np.ndarray, real: np.ndarray, seed: int) -> dict[str, float]:
    """Wasserstein-1 distance of scores (P, alphas) from those of real songs (P, 2), and its interval over pairs."""

    def statistic(i, j):
        return float(wasserstein_distance(values[i].reshape(-1), real[j].reshape(-1)))

    low, high = interval(statistic, (len(values), len(real)), seed, RESAMPLES)
    every = np.arange(len(values))
    return {"wasserstein": statistic(every, every), "wasserstein_low": low, "wasserstein_high": high}


def summarise(sets: Sets, seed: int) -> list[dict[str, Any]]:
    """A row for each set and measure, and one for each method at all alphas ('all'); real songs: A against B."""
    rows = []
    for measure in MEASURES:
        by_name = pooled(sets, measure)
        listed = [((s.model, s.method, s.bars), s.alpha, s.scores[measure][:, None]) for s in sets]
        listed += [(name, "all", values) for name, values in by_name.items() if values.shape[1] > 1]
        for (model, method, bars), alpha, values in listed:
            real = by_name["", REAL, reference_bars(bars)]
            told = {"model": model, "method": method, "bars": bars, "alpha": alpha, "measure": measure}
            if method == REAL:
                values, real = (real[:, :1], real[:, 1:]) if alpha == "all" else (values, real[:, [int(alpha)]])
                told["compared_with"] = "the other of A and B"
            else:
                told["compared_with"] = "A and B"
            of_all = by_name["", REAL, bars] if (method, alpha) == (REAL, "all") else values
            rows.append(told | spread(of_all) | distance(values, real, seed))
    return rows


def overview(sets: Sets, seed: int) -> list[dict[str, Any]]:
    """A row for each method at all alphas: means, and the distance of bits from those of real songs; nearest first."""
    found = {measure: pooled(sets, measure) for measure in MEASURES}
    rows = []
    for name, values in found[BITS].items():
        real = found[BITS]["", REAL, reference_bars(name[2])]
        pair = (real[:, :1], real[:, 1:]) if name[1] == REAL else (values, real)
        means = {measure: float(found[measure][name].mean()) for measure in MEASURES}
        rows.append(dict(zip(("model", "method", "bars"), name, strict=True)) | means | distance(*pair, seed))
    return sorted(rows, key=lambda row: row["wasserstein"])


def controls(sets: Sets, overall: Sequence[Mapping[str, Any]]) -> str:
    """How silence does in thesis mode and by the two-sided measure (`overview`), and one repeated bar by that."""
    of = pooled(sets, PUBLISHED)
    real, quiet = of["", REAL, BARS].reshape(-1), of["", SILENCE, BARS]
    rows = [row for row in overall if row["method"] != REAL]
    methods, last = [row["method"] for row in rows], len(rows)
    places = {name: methods.index(name) + 1 for name in (SILENCE, REPEATED)}
    return (
        f"Silence scores {quiet.mean():.1%} in thesis mode and beats {int(np.sum(real < quiet.min()))} of {len(real)}"
        f" real songs; by the distance of its bits per bar from those of real songs"
        f" ({away(rows[places[SILENCE] - 1])}) it comes number {places[SILENCE]} of {last} sets. One repeated bar comes"
        f" number {places[REPEATED]} ({away(rows[places[REPEATED] - 1])}): a 5-gram hears no repetition of bars."
    )


def verdict(sets: Sets, overall: Sequence[Mapping[str, Any]]) -> list[str]:
    """What follows, in two sentences: which method is nearest to real songs (`overview`), and what the thesis' score
    is worth."""
    best = next(row for row in overall if row["model"])
    real = next(row for row in overall if row["method"] == REAL and row["bars"] == reference_bars(best["bars"]))
    near = best["wasserstein_low"] <= real["wasserstein"]
    score = {method: float(pooled(sets, PUBLISHED)["", method, BARS].mean()) for method in (REAL, SILENCE)}
    blind = score[SILENCE] >= score[REAL]
    lead = "Melodies come as near" if near else "No method comes as near"
    worth = "prefers silence to music" if blind else "prefers music to silence"
    return [
        f"{lead} to real songs as these to each other: {best['method']} ({best['bars']} bars) lies"
        f" {best['wasserstein']:.1f} bits a bar away, and two sets of real songs {real['wasserstein']:.1f}.",
        f"The thesis' score {worth}: silence gets {score[SILENCE]:.0%}, real songs {score[REAL]:.0%}.",
    ]


def claims(sets: Sets, seed: int) -> list[dict[str, str]]:
    """The thesis' claims: its number, ours in thesis mode, ours corrected, and what follows."""
    noisy = UNCLEANED if any(s.model == UNCLEANED for s in sets) else WORKDIR
    free = "about 55%, quartiles 50 to 70 (6.6.2), 45 to 65 (8.1.2), above real songs"
    wild = "about 60%, 10 to 90%, unstable"
    told = [
        ("VAE conditional (Fig 6.7)", "about 20%, below real songs", WORKDIR, VAE_CONDITIONAL, False, ""),
        ("VAE unconditional, 80 steps (Fig 6.9)", wild, WORKDIR, VAE_FREE, False, ""),
        ("VAE unconditional, 400 steps (Fig 6.9)", wild, WORKDIR, VAE_FREE, True, ""),
        (
            "MCVAE conditional (Fig 6.8)",
            "as real songs, above the VAE",
            noisy,
            MCVAE_CONDITIONAL,
            False,
            VAE_CONDITIONAL,
        ),
        ("MCVAE unconditional, 5 bars (Fig 6.10)", free, noisy, MCVAE_FREE, False, VAE_FREE),
        ("MCVAE unconditional, 25 bars (Fig 6.10)", free, noisy, MCVAE_FREE, True, VAE_FREE),
    ]
    rows = [
        {"claim": claim, "thesis": thesis} | beside_real(sets, model, method, long, rival, seed)
        for claim, thesis, model, method, long, rival in told
    ]
    return [level(sets, seed), dip(sets), *rows, halfway(sets, noisy), cleaning(sets, seed)]


def level(sets: Sets, seed: int) -> dict[str, str]:
    """What real songs score, and how much of it is made by what the 5-gram is fitted on."""
    name = "", REAL, BARS
    score, bits = pooled(sets, PUBLISHED)[name], pooled(sets, BITS)[name]
    apart = away(distance(bits[:, :1], bits[:, 1:], seed))
    fits = [f"{mean_of(pooled(sets, m)[name], '.0%')} fitted on {told}" for m, told in MEASURES.items() if told]
    return {
        "claim": "Real songs (Fig 6.6, ends)",
        "thesis": "about 35%",
        "thesis mode": percent(score),
        "corrected": f"{mean_of(bits, '.1f')} bits per bar; A and B are {apart} apart (W1)",
        "follows": f"The level depends on which songs the 5-gram is fitted on: {', '.join(fits)}.",
    }


def beside_real(sets: Sets, model: str, method: str, long: bool, rival: str, seed: int) -> dict[str, str]:
    """The last three columns of a claim on a method: its melodies at all alphas beside real songs of that length, and
    beside those of a rival method ('' for none) of the same model."""
    score, bits = pooled(sets, PUBLISHED), pooled(sets, BITS)

    def find(method):
        return next((n for n in score if n[:2] == (model, method) and (n[2] > BARS) == long), None)

    name = find(method)
    if name is None:
        return {"thesis mode": NOTHING, "corrected": NOTHING, "follows": "The workdir has no MDRNN."}
    real = "", REAL, reference_bars(name[2])
    from_real = away(distance(bits[name], bits[real], seed))
    apart = away(distance(bits[real][:, :1], bits[real][:, 1:], seed))
    quiet = np.mean(score[name] >= NEARLY * score["", SILENCE, BARS].max())
    follows = (
        f"Thesis mode: {against(score[name], score[real])} real songs. Corrected:"
        f" {against(bits[name], bits[real], '.1f')} real songs in mean bits, and {from_real} away, where A and B are"
        f" {apart} apart."
    )
    if rival:
        other = away(distance(bits[find(rival)], bits[real], seed))
        beside = against(score[name], score[find(rival)])
        follows += f" Beside the {rival}: in thesis mode {beside} it; the bits of the {rival} are {other} away."
    if quiet >= 0.01:
        follows += f" {quiet:.0%} score nearly as silence does."
    return {
        "thesis mode": percent(score[name]),
        "corrected": f"{mean_of(bits[name], '.1f')} bits per bar; W1 {from_real} from real songs",
        "follows": follows,
    }


def dip(sets: Sets) -> dict[str, str]:
    """The claim that mixing two songs half and half is especially unlikely (Fig 6.6)."""

    def said(method, measure, style):
        at = {s.alpha: s.scores[measure][:, None] for s in sets if s.method == method}
        others = np.concatenate([values for alpha, values in at.items() if alpha != 0.5], axis=1)
        return f"{mean_of(at[0.5], style)} at 0.5, {mean_of(others, style)} elsewhere"

    told = [
        f"published: {said(TRUE, m, style)}; honest: {said(HONEST, m, style)}"
        for m, style in ((PUBLISHED, ".1%"), (BITS, ".1f"))
    ]
    return {
        "claim": "True data interpolation (Fig 6.6)",
        "thesis": "no change but for especially unlikely songs at 0.5",
        "thesis mode": told[0],
        "corrected": f"bits per bar, {told[1]}",
        "follows": "As published it is song B below 0.5 and song A above, so that the dip is an artefact of the tie;"
        " what the honest blend costs at every alpha is the price of mixing.",
    }


def halfway(sets: Sets, model: str) -> dict[str, str]:
    """The claim that at 0.5 the MCVAE is likelier than true data interpolation (6.6.2), beside the VAE alone."""
    made = {(s.model, s.method): s.scores for s in sets if s.alpha == 0.5}
    names = {"MCVAE": (model, MCVAE_CONDITIONAL), "VAE": (model, VAE_CONDITIONAL)}
    blends = {"published": ("", TRUE), "honest": ("", HONEST)}
    told = {"claim": "MCVAE conditional at 0.5 (Figs 6.8, 6.6)", "thesis": "likelier than true data interpolation"}
    if names["MCVAE"] not in made:
        return told | {"thesis mode": NOTHING, "corrected": NOTHING, "follows": "The workdir has no MDRNN."}

    def listed(measure, style):
        means = {what: mean_of(made[name][measure][:, None], style) for what, name in (names | blends).items()}
        return ", ".join(f"{what} {mean}" for what, mean in means.items())

    def compared(what):
        scores = made[names[what]][PUBLISHED][:, None]
        ways = [f"{against(scores, made[name][PUBLISHED][:, None])} the {blend}" for blend, name in blends.items()]
        return f"{what}: {', '.join(ways)} blend"

    return told | {
        "thesis mode": listed(PUBLISHED, ".1%"),
        "corrected": f"bits per bar: {listed(BITS, '.1f')}",
        "follows": f"Thesis mode: {compared('MCVAE')}; {compared('VAE')}. The published blend is broken at 0.5.",
    }


def cleaning(sets: Sets, seed: int) -> dict[str, str]:
    """The claim that a cleaned corpus gives about the same scores and fewer outliers (Fig 6.11 beside Fig 6.10)."""

    def columns(measure, model):
        return [s.scores[measure] for s in sets if (s.model, s.method) == (model, MCVAE_FREE) and s.bars <= BARS]

    def said(measure, model, style):
        at = [spread(values) for values in columns(measure, model)]
        outliers = sum(each["outliers"] for each in at)
        width = np.mean([each["interquartile_range"] for each in at])
        mean = np.mean([each["mean"] for each in at])
        of = sum(each["songs"] for each in at)
        return f"mean {mean:{style}}, {outliers} outliers of {of}, interquartile range {width:{style}}"

    told = {"claim": "Cleaned beside uncleaned corpus (Figs 6.11, 6.10)", "thesis": "the same, fewer outliers cleaned"}
    models = {s.model for s in sets if s.method == MCVAE_FREE}
    if models != {WORKDIR, UNCLEANED}:
        return told | {"thesis mode": NOTHING, "corrected": NOTHING, "follows": "--uncleaned gives the other model."}
    counts, cells = {}, {}
    for measure, style in ((PUBLISHED, ".1%"), (BITS, ".1f")):
        clean, noisy = (said(measure, model, style) for model in (WORKDIR, UNCLEANED))
        counts[measure] = more_outliers(*(columns(measure, model) for model in (WORKDIR, UNCLEANED)), seed)
        cells[measure] = f"cleaned: {clean}; uncleaned: {noisy}"
    return told | {
        "thesis mode": cells[PUBLISHED],
        "corrected": f"bits per bar, {cells[BITS]}",
        "follows": f"The cleaned model: in thesis mode {counts[PUBLISHED]}, in bits {counts[BITS]}. The"
        " count depends on the interquartile range: a wider box has fewer outliers.",
    }


def more_outliers(clean: Sequence[np.ndarray], noisy: Sequence[np.ndarray], seed: int) -> str:
    """Whether one model has more outliers than another at all alphas, by the bootstrap over the pairs of each."""

    def outliers(columns, chosen):
        low, high = np.percentile(drawn := np.stack(columns)[:, chosen], (25, 75), axis=1, keepdims=True)
        reach = 1.5 * (high - low)
        return float(np.sum((drawn < low - reach) | (drawn > high + reach)))

    def more(i, j):
        return outliers(clean, i) - outliers(noisy, j)

    low, high = interval(more, (len(clean[0]), len(noisy[0])), seed, RESAMPLES)
    found = more(np.arange(len(clean[0])), np.arange(len(noisy[0])))
    verdict = (
        "not shown to have more or fewer outliers" if low <= 0 <= high else f"{'more' if low > 0 else 'fewer'} outliers"
    )
    return f"{verdict} ({found:+.0f}, {low:+.0f} to {high:+.0f})"


def against(values: np.ndarray, real: np.ndarray, style: str = ".1%") -> str:
    """Whether scores (P, alphas) lie higher than those of the songs of their pairs, by the 95 % interval over pairs."""
    low, high = interval_of_mean(values.mean(axis=1) - real.mean(axis=1))
    if low <= 0 <= high:
        return f"{NOT_SHOWN} (by {low:{style}} to {high:{style}})"
    if low > 0:
        return f"higher (by {low:{style}} to {high:{style}}) than"
    return f"lower (by {-high:{style}} to {-low:{style}}) than"


def mean_of(values: np.ndarray, style: str) -> str:
    """'30.1 (28.0 to 32.2)': the mean of scores (P, alphas), and its 95 % interval over pairs."""
    low, high = interval_of_mean(values.mean(axis=1))
    return f"{values.mean():{style}} ({low:{style}} to {high:{style}})"


def interval_of_mean(values: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of the mean of (P,) by Student's t; both ends are the value where all are the same."""
    if np.allclose(values, values[0]):
        return float(values[0]), float(values[0])
    low, high = ttest_1samp(values, 0).confidence_interval(LEVEL)
    return float(low), float(high)


def away(row: Mapping[str, Any]) -> str:
    """'2.6 (1.9 to 3.9)': a distance of `distance` with its interval."""
    return f"{row['wasserstein']:.1f} ({row['wasserstein_low']:.1f} to {row['wasserstein_high']:.1f})"


def percent(values: np.ndarray) -> str:
    """Mean, median and quartiles of scores of 0 to 1."""
    low, median, high = (f"{100 * v:.0f}" for v in np.percentile(values, (25, 50, 75)))
    return f"mean {values.mean():.1%}, median {median}%, quartiles {low} to {high}%"
