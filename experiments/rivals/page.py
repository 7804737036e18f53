"""The comparison as a page: one picture, what follows from it and what does not, players, and the tables."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.rivals import picture
from experiments.rivals.findings import follows, follows_not
from experiments.rivals.picture import order
from experiments.rivals.work import BARS
from mcvae_jax.command import clock
from mcvae_jax.evaluation.bits_page import figure_cell
from mcvae_jax.evaluation.compare import CLASSIFIER, STRONG
from mcvae_jax.evaluation.conclusions import AT_MOST
from mcvae_jax.evaluation.framewise import DURATION, PITCH
from mcvae_jax.evaluation.music import GIVEN
from mcvae_jax.evaluation.music_page import music_section, share_cell
from mcvae_jax.evaluation.report import SHARE_NAMES
from mcvae_jax.evaluation.report import STYLE as REPORT_STYLE
from mcvae_jax.evaluation.scores import BASELINE
from mcvae_jax.models.song_model import BOUND
from mcvae_jax.pages.document import document
from mcvae_jax.pages.elements import cell, definitions, details, paragraph, table, tag
from mcvae_jax.text import for_html

Found = Mapping[str, Any]
TITLE = "Which model composes best over bars?"
BITS = {
    "bits_per_bar": "a bar",
    "bits_per_beat": "a beat",
    "bits_per_note": "a note",
    "new": "a new bar",
    "repeated": "a repeated bar",
}
STYLE = "p { max-width: 70em; }\n.card p { font-size: 1.05rem; }\ntd.base { background: var(--line); }\n"


def write_page(path: Path, comparison: Found, players: Mapping[str, str]) -> None:
    """Writes the page of what comparison.json holds; players: by table where its songs are to be heard."""
    about = comparison["about"]
    body = [f"<h1>{TITLE}</h1>", paragraph(_corpus(about), "soft")]
    for name, found in comparison["tables"].items():
        body += [
            f"<h2>{for_html(_title(name, about))}</h2>",
            picture.draw(found),
            tag("div", paragraph(" ".join(follows(found))) + paragraph(" ".join(follows_not(found)), "soft"), "card"),
            _listen(players[name]) if name in players else "",
            details("What a bar costs, in bits", _bits_table(found)),
            details("How the songs are told from real ones", _sets_table(found)),
            details("What a musician asks", _music(found)),
            details("What is copied from the training songs", _copies_table(found)),
            details("What it costs: parameters and seconds", _costs_table(found)),
        ]
    if about["missing"]:
        body.append(details("Runs that are missing", definitions(about["missing"])))
    body.append(details("What these numbers hold for", definitions(about)))
    path.write_text(document(TITLE, "\n".join(filter(None, body)), REPORT_STYLE + STYLE + picture.STYLE), "utf-8")


def _corpus(about: Found) -> str:
    split = f", split {about['split']['name']}" if about["split"]["name"] else ""
    return f"All models on one corpus ({about['corpus']['source']}{split}), scored on the same held-out songs."


def _title(name: str, about: Found) -> str:
    minutes = about["minutes of updates at equal time"]
    return f"At equal time: {minutes:g} minutes of updates" if name == "equal time" else f"At {name}"


def _listen(place: str) -> str:
    link = f'<a href="{for_html(place)}">Listen</a>'
    return f"<p>{link} to how each model goes on after the first {GIVEN} bars of the same five held-out songs.</p>"


def _bits_table(found: Found) -> str:
    bits = found["bits"]
    rows = []
    for name in sorted(bits, key=lambda name: bits[name]["bits_per_bar"]["value"]):
        row, kind = bits[name], "base" if name == BASELINE else ""
        sign = AT_MOST * (row["likelihood"] == BOUND)
        seeds = ", ".join(f"{value:.2f}" for value in row["of_seeds"])
        figures = [figure_cell(row[key], ".2f", kind, sign) for key in BITS]
        rows.append([cell(name, "name"), *figures, figure_cell(row["beyond"], "+.2f"), cell(seeds)])
    words = (
        f"“{AT_MOST.strip()}” marks a bound: the model costs so much or less. Below each figure stands its interval"
        f" over songs. Differences are to {BASELINE}, on the same songs. A bar is repeated where it is the same as an"
        " earlier bar of its song."
    )
    return paragraph(words, "soft") + table(
        ["", *BITS.values(), "a bar, beyond the baseline", "each seed, a bar"], rows
    )


def _sets_table(found: Found) -> str:
    sets = found["sets"]
    distances = list(next(iter(sets["sets"]["sets"].values()))["distances"])
    distances.sort(key=[STRONG, CLASSIFIER, *distances].index)
    rows = []
    for name in [*sets["kinds"]["models"], *sets["kinds"]["controls"]]:
        each = sets["sets"]["sets"][name]
        moments = [moment for f in (PITCH, DURATION) for moment in sets["framewise"][name][f].values()]
        figures = [figure_cell(each["distances"][distance], ".3g") for distance in distances]
        figures += [figure_cell(moment, ".2f") for moment in moments]
        rows.append([cell(f"{name} ({each['songs']})", "name"), *figures])
    heads = [f"{moment} of {figure}" for figure in (PITCH, DURATION) for moment in ("consistency", "variance")]
    words = (
        "Shares of songs that two classifiers tell rightly, 0.5 is chance; Wasserstein-1 distances of measures to"
        " held-out songs; and framewise self-similarity (Mittal et al. 2021), 1 where it is that of held-out songs."
        " Songs are 16 bars from nothing, by each model's own defaults, of all its seeds."
    )
    return paragraph(words, "soft") + table(["", *distances, *heads], rows)


def _music(found: Found) -> str:
    return "".join(music_section({**found["sets"], "about": {"bars": BARS}}))


def _copies_table(found: Found) -> str:
    copies = found["sets"]["copies"]
    shares = [share for share in next(iter(copies.values())) if share != "songs"]
    rows = [[cell(name, "name"), *(share_cell(each[share]) for share in shares)] for name, each in copies.items()]
    return table(["", *(SHARE_NAMES[share] for share in shares)], rows)


def _costs_table(found: Found) -> str:
    costs = found["costs"]
    rows = []
    for name in [*order(found), *(name for name in costs if name not in order(found))]:
        if each := costs.get(name):
            seconds = [f"{each[key]:.2f}" for key in ("first song", "each song")]
            cells = [
                f"{each['parameters']:,}",
                f"{each['steps']:,}",
                clock(each["processor"]),
                clock(each["wall"]),
                *seconds,
            ]
            rows.append([cell(name, "name"), *map(cell, cells), cell(each["seeds"])])
    head = ["", "parameters", "updates", "processor, training", "clock, training"]
    head += ["seconds to the first songs", "seconds a song after that", "seeds"]
    words = (
        "Training counts compiling, held-out scores and, of what learns latents, the encoder's training and the"
        " encoding. The first songs are a whole set, compiling included."
    )
    return paragraph(words, "soft") + table(head, rows)
