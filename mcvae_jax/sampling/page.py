"""Songs -> one self-contained HTML page with players and piano rolls, which works from a file system.

The same page, smaller, is what a notebook shows of songs (`inline`).
"""

import base64
import html
import os
import tempfile
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from mcvae_jax.command import clock
from mcvae_jax.music.sheet.sheet import Sheet
from mcvae_jax.music.sheet.svg import HOW, can_engrave
from mcvae_jax.pages.document import document
from mcvae_jax.pages.elements import definitions, details, paragraph
from mcvae_jax.sampling.preview import render_wav, seconds_of
from mcvae_jax.sampling.roll import LEFT, WIDTH, draw_roll
from mcvae_jax.sampling.score_page import engraved, folding, held, scores_within
from mcvae_jax.sampling.scores import NAMES, TYPES, sheet_of
from mcvae_jax.sampling.song import ComposedSong, write_song
from mcvae_jax.text import for_html

EMBEDDED_BYTES = 48 << 20  # of sound within the page: 41 songs of 25 bars at 110 quarters a minute
INLINE_BYTES = 6 << 20  # of sound within the output of a notebook's cell
INLINE_WIDTH = 740  # pixels of a song that needs no scrolling there
INLINE_HEIGHT = 980  # pixels of such an output at most; within, it scrolls
SOUNDS = "data: file: 'self'"
_LEGEND = """<ul class="legend">
<li><i></i>composed</li>{own}<li class="head"><i></i>where it plays; click in the roll to go there</li>
</ul>"""
_OWN = '<li class="own"><i></i>given bars (shaded)</li>'


def write_page(
    path: str | os.PathLike,
    songs: Sequence[ComposedSong],
    title: str,
    about: Mapping[str, Any],
    previews: Mapping[str, bytes] | None = None,
    warnings: Sequence[str] = (),
    formats: Sequence[str] = (),
) -> None:
    """Writes the page of `songs`, which links to NAME.mid, and to NAME.wav where it has a preview, beside itself.

    It holds the scores of these, engraved where verovio is installed, up to score_page.ENGRAVED_BYTES, and to download.

    The first previews, up to EMBEDDED_BYTES, are part of the page; the others play from their files.

    Args:
      about: what was asked, such as the command, the workdir, the checkpoint's step and the seed.
      previews: WAV files by song name; a song that has none is a link in a list at the end. None renders all.
      warnings: shown at the top.
      formats: of scores.WRITERS in which the songs lie beside the page.
    """
    if previews is None:
        previews = {song.name: render_wav(song.bars, song.quarters_per_minute) for song in songs if len(song.bars)}
    shown = [song for song in songs if song.name in previews]
    others = [song for song in songs if song.name not in previews]
    inside = sum(np.cumsum([len(previews[song.name]) for song in shown]) <= EMBEDDED_BYTES)
    sheets = [sheet_of(song) for song in shown]
    pictures = engraved(sheets)
    articles = [
        _article(
            song,
            _sound(previews[song.name]) if n < inside else f"{quote(song.name)}.wav",
            _beside(song, sheets[n], formats),
            score=folding(song, pictures[n]) if n < len(pictures) else "",
        )
        for n, song in enumerate(shown)
    ]
    header = [
        f"<h1>{for_html(title)}</h1>",
        paragraph(_summary(songs), "summary"),
        _facts("How these were made", about),
        _LEGEND.format(own=_OWN if any(song.given.any() for song in songs) else ""),
        *(paragraph(line, "hint warning") for line in warnings),
        *(paragraph(line, "hint") for line in _hints(inside, len(pictures), len(shown), len(others))),
    ]
    body = ["<header>", *header, "</header>", "<main>", *articles, "</main>", _list(others)]
    style, script = _looks()
    Path(path).write_text(document(title, "\n".join(filter(None, body)), style, script, SOUNDS), "utf-8")


def inline(songs: Sequence[ComposedSong]) -> str:
    """The songs within the output of a notebook's cell: a page in a frame, so that neither styles nor titles get out.

    The first songs have players, up to INLINE_BYTES of sound; all have a link to their MIDI file, which is within the
    page, too. The frame grows to the height of its page, as far as INLINE_HEIGHT.
    """
    if not songs:
        return paragraph("There are no songs here.")
    sounds = [render_wav(song.bars, song.quarters_per_minute) if len(song.bars) else b"" for song in songs]
    inside = sum(np.cumsum([len(sound) for sound in sounds]) <= INLINE_BYTES)
    articles = [
        _article(song, _sound(sound) if n < inside else "", _within(song), INLINE_WIDTH)
        for n, (song, sound) in enumerate(zip(songs, sounds, strict=True))
    ]
    if inside < len(songs):
        articles.append(
            paragraph(f"The first {inside} of {len(songs)} songs have players; show a part to hear others.", "hint")
        )
    style, script = _looks()
    page = document("Songs", "\n".join(articles), f"{style}body {{ padding: 0 10px 12px; }}\n", script, SOUNDS)
    height = min(INLINE_HEIGHT, 360 * len(songs))  # until the page says its own
    looks = f"width: 100%; height: {height}px; max-height: {INLINE_HEIGHT}px; border: none; border-radius: 12px"
    return (
        f'<iframe title="{len(songs)} {_s("song", len(songs))}" style="{looks}" srcdoc="{html.escape(page)}"></iframe>'
    )


def _looks() -> tuple[str, str]:
    """CSS and JavaScript of a page of songs."""
    folder = files("mcvae_jax.sampling")
    style, script = (folder.joinpath(name).read_text("utf-8") for name in ("page.css", "page.js"))
    return style, script


def _summary(songs: Sequence[ComposedSong]) -> str:
    bars = sum(len(song.bars) for song in songs)
    seconds = sum(seconds_of(song.bars, song.quarters_per_minute) for song in songs)
    return f"{len(songs):,} {_s('song', len(songs))}, {bars:,} {_s('bar', bars)}, {clock(seconds)} of music"


def _hints(inside: int, engraved: int, shown: int, others: int) -> list[str]:
    hints = []
    if not can_engrave():
        hints.append(f"{HOW[0].upper()}{HOW[1:]}. The links MusicXML and ABC open in programs for scores without it.")
    elif engraved < shown:
        hints.append(f"To keep this page small, songs from number {engraved + 1} on have their scores as links alone.")
    if inside < shown:
        hints.append(f"To keep this page small, players from number {inside + 1} on use the WAV files beside it.")
    if others:
        hints.append(f"{shown} {_s('song', shown)} with players; {others:,} more are MIDI files, listed at the end.")
    return hints


def _article(song: ComposedSong, sound: str, links: str, width: int = WIDTH, score: str = "") -> str:
    """A song with its roll and player; sound: where that is, '' for none; links: to its files, and score, as HTML."""
    title, seconds = for_html(song.title), seconds_of(song.bars, song.quarters_per_minute)
    load = "metadata" if sound.startswith("data:") else "none"
    player = f'<audio controls preload="{load}" aria-label="{title}" src="{sound}"></audio>' if sound else ""
    return f"""<article class="song">
<div class="top"><h2>{title}</h2>
<span class="files">{links}</span></div>
<p class="plain">{_plain(song, seconds)}</p>
<div class="roll" tabindex="0" role="slider" aria-label="Position in {title}" aria-valuemin="1" \
aria-valuemax="{len(song.bars)}" aria-valuenow="1" data-seconds="{seconds:.6f}" data-bars="{len(song.bars)}" \
data-left="{LEFT}">{draw_roll(song, width)}<div class="playhead"></div></div>
{player}
{score}
{_facts("Facts", song.notes)}
</article>"""


def _sound(wav: bytes) -> str:
    return "data:audio/wav;base64," + base64.b64encode(wav).decode("ascii")


def _beside(song: ComposedSong, sheet: Sheet, formats: Sequence[str]) -> str:
    """Links to the files beside the page, and to scores that are not there within the page itself."""
    name = quote(song.name)
    links = f'<a href="{name}.mid" download>MIDI</a><a href="{name}.wav" download>WAV</a>'
    files = [f'<a href="{name}.{kind}" download>{NAMES[kind]}</a>' for kind in formats]
    return links + "".join(files) + scores_within(song, sheet, [kind for kind in TYPES if kind not in formats])


def _within(song: ComposedSong) -> str:
    """Links that hold the MIDI file and the scores themselves."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "song.mid"
        write_song(path, song)
        midi = held("audio/midi", path.read_bytes(), song, "mid", "MIDI")
    return midi + scores_within(song, sheet_of(song), tuple(TYPES))


def _plain(song: ComposedSong, seconds: float) -> str:
    """The line below a title: bars, time, tempo, metre, key."""
    own = int(song.given.sum())
    bars = f"{len(song.bars)} {_s('bar', len(song.bars))}" + (
        f", {own} of them given" if 0 < own < len(song.bars) else ""
    )
    metre = "/".join(map(str, song.setting.metre))
    if song.grid.steps_of(*song.setting.metre) != song.grid.bar:
        metre += f" in bars of {song.grid}"
    tempo = f"{song.quarters_per_minute:.0f} quarters a minute"
    key = f"key {song.setting.key}" if song.setting.key else ""
    return for_html(" · ".join(filter(None, (bars, clock(seconds), tempo, metre, key))))


def _list(songs: Sequence[ComposedSong]) -> str:
    if not songs:
        return ""
    items = "".join(
        f'<li><a href="{quote(song.name)}.mid" download>{for_html(f"{song.name}: {song.title}")}</a></li>'
        for song in songs
    )
    return f'<section class="others"><h2>Further songs</h2><ul>{items}</ul></section>'


def _facts(title: str, facts: Mapping[str, Any]) -> str:
    """Facts that unfold; nothing where there are none."""
    return details(title, definitions(facts)) if facts else ""


def _s(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"
