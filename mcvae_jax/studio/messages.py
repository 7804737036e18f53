"""What the page says to the server, each message with its bounds: anything else is refused in one line.

The page holds the song; the server keeps nothing of it. Bars are tokens (music/tokens.py), counted from 0.
"""

from typing import Annotated, TypeVar

import msgspec
import numpy as np

from mcvae_jax.errors import UserError
from mcvae_jax.music.grid import FEWEST, MOST
from mcvae_jax.music.tokens import OUTCOMES, canonical
from mcvae_jax.text import printable

MOST_BARS = 256  # of a song
MOST_ASKED = 16  # bars of one answer
MOST_DROPPED = 4 << 20  # bytes of a file
MOST_TITLE = 200  # characters
KEYS = ("", *"C G D A E B F# Cb Gb Db Ab Eb Bb F Am Em Bm F#m C#m G#m D#m Abm Ebm Bbm Fm Cm Gm Dm".split())

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Steps = Annotated[int, msgspec.Meta(ge=FEWEST, le=MOST)]
Bar = Annotated[list[Annotated[int, msgspec.Meta(ge=0, lt=OUTCOMES)]], msgspec.Meta(min_length=FEWEST, max_length=MOST)]
Bars = Annotated[list[Bar], msgspec.Meta(max_length=MOST_BARS)]
Numbers = Annotated[
    list[Annotated[int, msgspec.Meta(ge=0, lt=MOST_BARS)]], msgspec.Meta(min_length=1, max_length=MOST_BARS)
]
Take = Annotated[int, msgspec.Meta(ge=1, le=1 << 30)]
M = TypeVar("M")


class Sliders(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """How the answer is to sound; a half is what the model does best."""

    plainness: Share = 0.5
    repetition: Share = 0.5
    distance: Share = 0.5


class _OfSong(msgspec.Struct, forbid_unknown_fields=True, tag_field="what", kw_only=True):
    """A song, of whose bars something is asked."""

    steps: Steps
    bars: Bars

    @property
    def tokens(self) -> np.ndarray:
        """uint8 (n, T); UserError where a bar has not T tokens."""
        return as_bars(self.bars, self.steps)


class _Drawn(_OfSong, kw_only=True):
    """What is drawn by chance: another take is another answer."""

    take: Take = 1
    sliders: Sliders = Sliders()


class Continue(_Drawn, tag="continue", kw_only=True):
    """`wanted` bars that follow the song's; ending: they bring it to an end."""

    wanted: Annotated[int, msgspec.Meta(ge=1, le=MOST_ASKED)]
    ending: bool = False


class Fill(_Drawn, tag="fill", kw_only=True):
    """Others in place of the bars of these numbers."""

    chosen: Numbers


class Vary(_Drawn, tag="vary", kw_only=True):
    """Bars near those of these numbers, in their place."""

    chosen: Numbers


class Surprise(_OfSong, tag="surprise", kw_only=True):
    """How unexpected each bar is."""


Asked = Continue | Fill | Vary | Surprise


class Export(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The song as a file."""

    suffix: Annotated[str, msgspec.Meta(max_length=20)]
    steps: Steps
    bars: Annotated[Bars, msgspec.Meta(min_length=1)]
    composed: Annotated[list[bool], msgspec.Meta(max_length=MOST_BARS)]
    title: Annotated[str, msgspec.Meta(max_length=MOST_TITLE)]
    tempo: Annotated[float, msgspec.Meta(ge=20, le=400)]  # quarters a minute
    metre: Annotated[str, msgspec.Meta(pattern=r"^\d{1,2}/\d{1,2}$")]
    key: Annotated[str, msgspec.Meta(max_length=3)] = ""
    program: Annotated[int, msgspec.Meta(ge=0, le=127)] = 0


class Dropped(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A file of the musician's; data: in base64."""

    name: Annotated[str, msgspec.Meta(max_length=1000)]
    data: bytes


def parse_asked(body: bytes) -> Asked:
    """What a body asks of a model; see `parse`."""
    return parse(body, Asked)  # type: ignore[arg-type]  # a union of types is one to msgspec


def parse(body: bytes, kind: type[M]) -> M:
    """The message that a body holds; UserError, one line, where it is none."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(
            f"the page has said something that the studio does not understand: {printable(error)}"
        ) from None


def as_bars(bars: list[list[int]], steps: int) -> np.ndarray:
    """uint8 (n, T), canonical; UserError where a bar has not T = `steps` tokens."""
    for number, bar in enumerate(bars):
        if len(bar) != steps:
            raise UserError(f"bar {number + 1} has {len(bar)} steps; a bar has {steps} here")
    return canonical(np.array(bars, np.uint8).reshape(-1)).reshape(len(bars), steps)
