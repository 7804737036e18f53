"""A composed song as a score: MusicXML and ABC to open elsewhere, and an engraved picture (SVG)."""

from collections.abc import Callable
from functools import partial

from mcvae_jax.command import hint
from mcvae_jax.errors import UserError
from mcvae_jax.music.sheet.abc import as_abc
from mcvae_jax.music.sheet.musicxml import as_musicxml
from mcvae_jax.music.sheet.sheet import Sheet, make_sheet
from mcvae_jax.music.sheet.svg import HOW, as_svg, can_engrave
from mcvae_jax.sampling.song import ComposedSong, sections_of

WRITERS: dict[str, Callable[[Sheet], str]] = {
    "musicxml": as_musicxml,
    "abc": as_abc,
    "svg": partial(as_svg, titled=True),
}
TYPES = {"musicxml": "application/vnd.recordare.musicxml+xml", "abc": "text/vnd.abc"}  # that readers open
NAMES = {"musicxml": "MusicXML", "abc": "ABC", "svg": "SVG"}


def sheet_of(song: ComposedSong) -> Sheet:
    """The song as it is printed: in the metre and key of its setting; the key is found where there is none."""
    return make_sheet(
        song.bars,
        metre=song.setting.metre,
        key=song.setting.key,
        quarters_per_minute=song.quarters_per_minute,
        title=song.title,
        labels=[section for section in sections_of(song) if section[0]],
        chords=song.chords,
    )


def parse_formats(text: str) -> tuple[str, ...]:
    """'midi,musicxml,abc' -> the formats beside MIDI, which is always written, as keys of WRITERS; raises UserError."""
    known = ("midi", *WRITERS)
    names = list(dict.fromkeys(name.strip().lower() for name in text.split(",") if name.strip()))
    for name in names:
        if name not in known:
            raise UserError(f"--formats={text}: {name!r} is unknown; {hint(name, known)}")
    if "svg" in names and not can_engrave():
        raise UserError(f"--formats={text}: {HOW}")
    return tuple(name for name in names if name != "midi")
