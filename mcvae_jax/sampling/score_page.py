"""Scores in a page of songs: engraved pictures, and links that hold what other programs open."""

import base64
from collections.abc import Sequence

from mcvae_jax.music.sheet.sheet import Sheet
from mcvae_jax.music.sheet.svg import as_svg, can_engrave
from mcvae_jax.sampling.scores import NAMES, TYPES, WRITERS
from mcvae_jax.sampling.song import ComposedSong
from mcvae_jax.text import for_html

ENGRAVED_BYTES = 12 << 20  # of engraved scores: 220 songs of 25 bars
SCORE_WIDTH = 900  # pixels of a system; the page makes it wider or narrower


def engraved(sheets: Sequence[Sheet]) -> list[str]:
    """Pictures of the first sheets, as many as fit into ENGRAVED_BYTES; none without verovio."""
    pictures: list[str] = []
    room = ENGRAVED_BYTES
    for sheet in sheets if can_engrave() else ():
        pictures.append(as_svg(sheet, SCORE_WIDTH))
        room -= len(pictures[-1])
        if room < 0:
            return pictures[:-1]
    return pictures


def folding(song: ComposedSong, picture: str) -> str:
    """An engraved score that folds: an image, so that nothing of it mixes with the page."""
    data = base64.b64encode(picture.encode("utf-8")).decode("ascii")
    image = f'<img alt="Score of {for_html(song.title)}" src="data:image/svg+xml;base64,{data}">'
    return f'<details class="score" open><summary>Score</summary><div class="sheet">{image}</div></details>'


def scores_within(song: ComposedSong, sheet: Sheet, formats: Sequence[str]) -> str:
    """Links that hold the scores themselves."""
    return "".join(held(TYPES[kind], WRITERS[kind](sheet).encode(), song, kind, NAMES[kind]) for kind in formats)


def held(media: str, data: bytes, song: ComposedSong, suffix: str, text: str) -> str:
    """A link that holds a file."""
    source = f"data:{media};base64,{base64.b64encode(data).decode('ascii')}"
    return f'<a href="{source}" download="{for_html(song.name)}.{suffix}">{text}</a>'
