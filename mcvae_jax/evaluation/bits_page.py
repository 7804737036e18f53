"""The section of the report about held-out songs in bits: a row for each model, alone and within the copy switch."""

from collections.abc import Mapping
from typing import Any

from mcvae_jax.evaluation.conclusions import AT_MOST, Figure, best_form, difference, in_two, span
from mcvae_jax.evaluation.scores import BASELINE, IN_KEYS, MODEL, PART, WITH_COPIES
from mcvae_jax.models.song_model import BOUND
from mcvae_jax.pages.elements import cell, details, paragraph, table, tag
from mcvae_jax.text import for_html

BARS = {"bits_per_bar": "all bars", "new": "new bars", "repeated": "repeated bars"}
FORMS = {"": "alone", WITH_COPIES: "with the copy switch"}


def bits_picture(scores: Mapping[str, Any]) -> str:
    """HTML: what a bar costs under each model and the baseline, as bars; the cheapest first."""
    rows = scores["rows"]
    names = {best_form(scores, name): name for name, row in rows.items() if row["role"] in (MODEL, PART)}
    shown = sorted([*names, BASELINE], key=lambda name: rows[name]["bits_per_bar"]["value"])
    most = max(rows[name]["bits_per_bar"]["value"] for name in shown) or 1.0
    lines = []
    for name in shown:
        bits = rows[name]["bits_per_bar"]["value"]
        kind = "real" if name == BASELINE else "model"
        bar = f'<i class="{kind}" style="width: {100 * bits / most:.1f}%"></i>'
        lines.append(tag("li", f"<span>{for_html(name)}</span>{bar}<b>{_sign(rows[name])}{bits:.1f}</b>"))
    return tag("ul", "".join(lines), "costs")


def bits_section(scores: Mapping[str, Any]) -> list[str]:
    """HTML: the table of models beside the baseline, and folded that of all rows."""
    rows = scores["rows"]
    shown = [name for name, row in rows.items() if row["role"] in (MODEL, PART)] + [IN_KEYS]
    shown.sort(key=lambda name: rows[best_form(scores, name)]["bits_per_bar"]["value"])
    head = [f"{bars}, {form}" for form in FORMS.values() for bars in BARS.values()]
    return [
        "<h2>What a bar of a real song costs</h2>",
        paragraph(
            f"In bits, fewer is better, over {scores['songs']:,} whole songs ({scores['bars']:,} bars) that no model"
            f" has seen. {scores['repeated_bars']:,} bars repeat an earlier bar of their song note for note; the"
            " others are new. The copy switch puts a model beside an exact copy of an earlier bar, and weighs the two"
            " at every bar. What copies by itself has no such figures. “≤” marks a bound: the model costs so much or"
            " less. The last column compares the cheaper form of each model with the baseline, the n-gram with the copy"
            " switch, on the same songs. Below each figure stands its 95 % interval over songs.",
            "soft",
        ),
        table(["", *head, "bits beyond the baseline"], [_row(scores, name) for name in shown]),
        details("Every model, n-gram and control, with rates and tighter bounds", "".join(_all_rows(scores))),
    ]


def figure_cell(figure: Figure, style: str, kind: str = "", sign: str = "") -> str:
    """A cell with a figure, and its interval below."""
    if figure["value"] is None:
        return cell("")
    value, interval = in_two(span(figure, style))
    return cell(sign + value, kind, below=interval)


def _row(scores: Mapping[str, Any], name: str) -> list[str]:
    rows = scores["rows"]
    cells = [cell(name, "name", below="baseline, with the copy switch" if name == IN_KEYS else rows[name]["role"])]
    for form in FORMS:
        row = rows.get(name + form)
        for key in BARS:
            kind = "base" if name + form == BASELINE else ""
            cells.append(figure_cell(row[key], ".2f", kind, _sign(row)) if row else cell("–"))
    if name == IN_KEYS:
        return [*cells, cell("baseline")]
    return [*cells, figure_cell(difference(rows[best_form(scores, name)], rows[BASELINE]), "+.2f")]


def _sign(row: Mapping[str, Any]) -> str:
    return AT_MOST * (row["likelihood"] == BOUND)


def _all_rows(scores: Mapping[str, Any]) -> list[str]:
    """The table of all rows, the best first."""
    rows = []
    for name, row in sorted(scores["rows"].items(), key=lambda item: item[1]["bits_per_bar"]["value"]):
        rate = f"{row['rate_nats']:.2f}" if "rate_nats" in row else ""
        figures = [figure_cell(row[key], ".2f") for key in BARS]
        figures += [figure_cell(row["bits_per_token"], ".3f"), figure_cell(row["beyond"], "+.2f"), cell(rate)]
        figures.append(figure_cell(row["tighter"], ".2f") if "tighter" in row else cell(""))
        rows.append([cell(name, "name"), cell(row["role"], "name"), cell(row["likelihood"], "name"), *figures])
    head = ["", "", "", "bits per bar", *list(BARS.values())[1:], "bits per token"]
    head += [f"bits per bar beyond {scores['subject']}", "rate, nats per bar"]
    head.append(f"bits per bar, bound from {scores['particles']} particles")
    draws = f"{scores['draws']} draw{'s' if scores['draws'] > 1 else ''}"
    return [
        paragraph(
            f"A bound is averaged over {draws}. “{WITH_COPIES.strip()}” is the copy switch. The rate is what latents"
            " cost, so that the rest of a bound is reconstruction. The last column is a tighter bound, which weighs"
            " several draws for every bar.",
            "soft",
        ),
        table(head, rows),
    ]
