"""Songs -> one self-contained HTML page with players and piano rolls, which works from a file system.

The same page, smaller, is what a notebook shows of songs (`inline`).
"""

import html
import json
import os
import tempfile
from collections.abc import Collection, Mapping, Sequence
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
from mcvae_jax.sampling.preview import seconds_of, tone
from mcvae_jax.sampling.roll import draw_roll, notes_of
from mcvae_jax.sampling.score_page import engraved, folding, held, scores_within
from mcvae_jax.sampling.scores import NAMES, TYPES, sheet_of
from mcvae_jax.sampling.song import ComposedSong, sections_of, write_song
from mcvae_jax.text import for_html

INLINE_HEIGHT = 980  # pixels of the output of a notebook's cell at most; within, it scrolls
SOUNDS = "blob:"  # which the page's script makes of the notes
_LEGEND = """<ul class="legend">
<li><i></i>composed</li>{own}<li class="head"><i></i>where it plays; click in the roll to go there</li>
</ul>"""
_OWN = '<li class="own"><i></i>given bars (shaded)</li>'


def write_page(
    path: str | os.PathLike,
    songs: Sequence[ComposedSong],
    title: str,
    about: Mapping[str, Any],
    heard: Collection[str] | None = None,
    warnings: Sequence[str] = (),
    formats: Sequence[str] = (),
    earlier: Sequence[ComposedSong] = (),
) -> None:
    """Writes the page of `songs`, which links to NAME.mid, and to NAME.wav of those that are heard, beside itself.

    It holds the scores of these, engraved where verovio is installed, up to score_page.ENGRAVED_BYTES, and to download.

    Args:
      about: what was asked, such as the command, the workdir, the checkpoint's step and the seed.
      heard: names of the songs with a WAV file, which have a player; the others are links in a list at the end. None
        is all that have bars.
      warnings: shown at the top.
      formats: of scores.WRITERS in which the songs lie beside the page.
      earlier: songs of earlier calls, shown after the others.
    """
    heard = {song.name for song in (*songs, *earlier) if len(song.bars)} if heard is None else heard
    shown, before = ([song for song in each if song.name in heard] for each in (songs, earlier))
    others = [song for song in (*songs, *earlier) if song.name not in heard]
    sheets = [sheet_of(song) for song in (*shown, *before)]
    pictures = engraved(sheets)
    articles = [
        _article(
            song,
            _beside(song, sheets[n], formats if n < len(shown) else ()),
            folding(song, pictures[n]) if n < len(pictures) else "",
        )
        for n, song in enumerate((*shown, *before))
    ]
    header = [
        f"<h1>{for_html(title)}</h1>",
        paragraph(_summary(songs), "summary"),
        _LEGEND.format(own=_OWN if any(song.given.any() for song in songs) else ""),
        *(paragraph(line, "hint warning") for line in warnings),
        *(paragraph(line, "hint") for line in _hints(songs, len(pictures), len(articles), len(others))),
        _facts("Facts: how these were made", about),
    ]
    body = ["<header>", *header, "</header>", "<main>", *articles[: len(shown)]]
    if before:
        body += ['<h2 class="earlier">Earlier songs</h2>', *articles[len(shown) :]]
    style, script = _looks()
    body += ["</main>", _list(others)]
    Path(path).write_text(document(title, "\n".join(filter(None, body)), style, script, SOUNDS), "utf-8")


def inline(songs: Sequence[ComposedSong]) -> str:
    """The songs within the output of a notebook's cell: a page in a frame, so that neither styles nor titles get out.

    Each has a player, and a link to its MIDI file, which is within the page, too. The frame grows to the height of its
    page, as far as INLINE_HEIGHT.
    """
    if not songs:
        return paragraph("There are no songs here.")
    articles = [_article(song, _within(song)) for song in songs]
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
    return style, f"const TONE = {json.dumps(tone())};\n{script}"


def _summary(songs: Sequence[ComposedSong]) -> str:
    bars = sum(len(song.bars) for song in songs)
    seconds = sum(seconds_of(song.bars, song.quarters_per_minute) for song in songs)
    return f"{len(songs):,} {_s('song', len(songs))}, {bars:,} {_s('bar', bars)}, {clock(seconds)} of music"


def _hints(songs: Sequence[ComposedSong], engraved: int, shown: int, others: int) -> list[str]:
    hints = []
    if any(song.kept for song in songs):
        hints.append("The players sound the melody alone. The MIDI files hold what your file holds beside it.")
    if not can_engrave():
        hints.append(f"{HOW[0].upper()}{HOW[1:]}. The links MusicXML and ABC open in programs for scores without it.")
    elif engraved < shown:
        hints.append(f"To keep this page small, songs from number {engraved + 1} on have their scores as links alone.")
    if others:
        hints.append(f"{shown} {_s('song', shown)} with players; {others:,} more are MIDI files, listed at the end.")
    return hints


def _article(song: ComposedSong, links: str, score: str = "") -> str:
    """A song with its roll and player; links: to its files, and score, as HTML."""
    title, seconds = for_html(song.title), seconds_of(song.bars, song.quarters_per_minute)
    player = f'<audio controls preload="metadata" aria-label="{title}"></audio>' if len(song.bars) else ""
    numbers = f"[{song.numbers.first}, {float(song.numbers.each):g}]"
    return f"""<article class="song">
<div class="top"><h2>{title}</h2>
<span class="files">{links}</span></div>
<p class="plain">{_plain(song, seconds)}</p>
<div class="roll" tabindex="0" role="slider" aria-label="Position in {title}" aria-valuemin="1" \
aria-valuemax="{len(song.bars)}" aria-valuenow="1" data-seconds="{seconds:.6f}" data-bars="{len(song.bars)}" \
data-steps="{song.bars.size}" data-names="{numbers}" data-notes="{notes_of(song)}">{draw_roll(song)}</div>
<div class="controls">{player}{_from(song)}</div>
{score}
{_facts("Facts", song.notes)}
</article>"""


def _from(song: ComposedSong) -> str:
    """A button that plays from where what was given ends; '' where the song begins so, or is given as a whole."""
    later = [bar for bar, _ in sections_of(song) if 0 < bar < len(song.bars)]
    if not later:
        return ""
    what = "from composed bar" if not song.given[later[0]] else "from bar"
    return (
        f'<button class="from" type="button" data-bar="{later[0]}">&#9654; {what} {song.numbers.of(later[0])}</button>'
    )


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
    count = len(song.bars)
    bars = f"bars {song.numbers.span(0, count)}" if count > 1 else f"{count} {_s('bar', count)}"
    if 0 < own < count:
        bars += f", {_given(song)} given"
    metre = "/".join(map(str, song.setting.metre))
    if song.grid.steps_of(*song.setting.metre) != song.grid.bar:
        metre += f" in bars of {song.grid}"
    tempo = f"\u2669={song.quarters_per_minute:.0f}"
    key = f"key {song.setting.key}" if song.setting.key else ""
    return for_html(" · ".join(filter(None, (bars, clock(seconds), tempo, metre, key))))


def _given(song: ComposedSong) -> str:
    """'1 to 4 and 9 to 12': the numbers of the given bars."""
    edges = np.flatnonzero(np.diff(song.given, prepend=False, append=False)).reshape(-1, 2)
    return " and ".join(song.numbers.span(a, b) for a, b in edges.tolist())


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
