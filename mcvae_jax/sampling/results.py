"""The folder of a call: MIDI, sound, a picture, the facts as JSON, and the page."""

import dataclasses
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from mcvae_jax import stopping, versions
from mcvae_jax.errors import UserError
from mcvae_jax.music.bars import bars_to_tokens
from mcvae_jax.music.pianoroll import draw_pianoroll
from mcvae_jax.music.readers import SUFFIXES
from mcvae_jax.music.tokens import NOTE_OFF
from mcvae_jax.places import on_this_machine
from mcvae_jax.sampling.earlier import Earlier, put_beside
from mcvae_jax.sampling.page import write_page
from mcvae_jax.sampling.preview import render_wav, seconds_of
from mcvae_jax.sampling.song import ComposedSong, check_song, sections_of
from mcvae_jax.storage.files import names_in, replacing
from mcvae_jax.storage.jsonfile import DamagedFile, Object, digest_of, read_json, read_or_none, write_json
from mcvae_jax.text import for_figure, printable

FORMAT, VERSION = "mcvae_jax songs", 1
HEARD = 100  # songs with a preview, at most
HEARD_SECONDS = 3600  # of previews, at most: 79 MB
SEEN = 12  # songs in the picture
SEEN_BARS = 64  # of a song in the picture
SEEN_BEFORE = 16  # of these before the first composed one, at most
_NAMES = re.compile(r"\d\d+-[a-z-]+\.(mid|wav|musicxml|abc|svg)|songs\.(json|png)|index\.html")  # of all files
_PROGRESS = 3.0  # seconds between lines


@dataclasses.dataclass(frozen=True)
class Written:
    """What is read back of songs.json."""

    format: str
    about: Object
    songs: list[Object]
    files: list[str]
    checksums: dict[str, str] = dataclasses.field(default_factory=dict)  # of all files but songs.json; {} before
    unfinished: int = 0  # how many songs a call that was stopped was to write

    def damaged(self, folder: Path) -> str:
        """The first of the files that is gone or not what was written; '' where there is none."""
        for name in self.files:
            path = folder / name
            if not path.is_file() or self.checksums.get(name, digest := digest_of(path)) != digest:
                return name
        return ""


def read_written(folder: Path, say: Callable[[str], None], then: str = "the songs are made anew") -> Written | None:
    """What an earlier call says of the songs that it wrote there; None where that is not known (damage is said)."""
    return read_or_none(folder / "songs.json", Written, say, then)


def write_results(
    folder: str | os.PathLike,
    songs: Sequence[ComposedSong],
    title: str,
    about: Mapping[str, Any],
    say: Callable[[str], None],
    formats: Sequence[str] = (),
    earlier: Sequence[Earlier] = (),
    asked: int = 0,
) -> dict[str, Any]:
    """Writes NAME.mid for each song, NAME.wav for the first HEARD, songs.png, songs.json and index.html into `folder`.

    Every file of notes is read back as a corpus would; one that does not come back is a warning, said and shown on
    the page. The folder is written beside its place and then moved there. It replaces what earlier calls wrote, but for
    songs in `earlier` whose names are not taken anew. A command that is stopped here keeps the songs that are written:
    'unfinished' is then how many it was to write, as it is where these are the first of several that follow.

    Args:
      songs: with names that differ.
      about: as JSON, see write_page.
      say: prints a line.
      formats: in which songs are written beside MIDI, see scores.WRITERS.
      asked: how many songs there will be, where these are the first of them; a later call writes all.

    Returns: what songs.json holds, `tokens` apart.

    Raises:
      UserError: the folder cannot be written, or holds anything that no call wrote.
    """
    folder = on_this_machine(folder).resolve()
    check_folder(folder)
    asked = max(asked, len(songs))
    taken = {song.name for song in songs}
    earlier = [each for each in earlier if each.song.name not in taken]
    with stopping.held("Stopping after this song"), replacing(folder) as place:
        warnings = _write_notes(place, songs, formats, say)
        if (written := len(list(place.glob("*.mid")))) < len(songs):
            songs = songs[:written]
            warnings.append(f"Stopped after {written:,} of {asked:,} songs")
            say(f"{warnings[-1]}: these are kept in {folder}.")
        elif len(songs) < asked:
            warnings.append(f"The first {len(songs):,} of {asked:,} songs: load the page again for the others")
        previews = _write_previews(place, songs, say)
        draw_songs(songs, place / "songs.png")
        others, calls = put_beside(earlier, place)
        on = versions.here()
        facts = {**about, "computed on": versions.as_text(on)}
        heard = previews | {each.song.name for each in earlier if each.record["wav"]}
        before = [each.song for each in earlier]
        write_page(place / "index.html", songs, title, facts, heard, warnings, formats, before)
        record: dict[str, Any] = {
            "format": FORMAT,
            "version": VERSION,
            "title": title,
            "about": dict(about),
            "computed_on": on,
            "warnings": warnings,
            "songs": [_record(song, song.name in previews) for song in songs],
        }
        if len(songs) < asked:
            record["unfinished"] = asked
        record["checksums"] = {path.name: digest_of(path) for path in sorted(place.iterdir())}
        record["files"] = sorted([*record["checksums"], "songs.json"])
        tokens = [song | {"tokens": each.bars.tolist()} for song, each in zip(record["songs"], songs, strict=True)]
        kept = {"earlier": calls} if earlier else {}
        write_json(place / "songs.json", record | {"songs": tokens + others} | kept, indent=None)
    if len(previews) < len(songs):
        say(f"MIDI: all {len(songs):,} songs; previews: {len(previews)} (of the first {HEARD}, an hour at most)")
    return record


def check_folder(folder: str | os.PathLike, advice: str = "choose another --out") -> None:
    """UserError, ending with the advice, unless songs can be written there: absent, empty, or of an earlier call."""
    folder = on_this_machine(folder).resolve()
    names = names_in(folder, advice)
    if foreign := sorted(names - _ours(folder, names)):
        raise UserError(f"{folder} holds {printable(foreign[0])!r}, which this program did not write there; {advice}")


def _ours(folder: Path, names: set[str]) -> set[str]:
    """Which of the names in a folder an earlier call wrote: those that songs.json lists.

    Where that is damaged: those that a call gives its files.
    """
    try:
        written = read_json(folder / "songs.json", Written)
    except DamagedFile:
        return {name for name in names if _NAMES.fullmatch(name)}
    return set(written.files) if written and written.format == FORMAT else set()


def _write_notes(
    place: Path, songs: Sequence[ComposedSong], formats: Sequence[str], say: Callable[[str], None]
) -> list[str]:
    """Writes and reads every song, or those before a stop; a warning for each file that does not come back."""
    warnings, last = [], time.monotonic()
    for n, song in enumerate(songs, 1):
        for suffix in ("mid", *formats):
            path = song.save(place / f"{song.name}.{suffix}")
            if path.suffix in SUFFIXES and (wrong := check_song(path, song)):
                warnings.append(f"{path.name} does not read back as the song that was written ({wrong})")
                say(f"Warning: {warnings[-1]}")
        last = _progress("songs written and read back", n, len(songs), last, say)
        if stopping.received():
            break
    return warnings


def _write_previews(place: Path, songs: Sequence[ComposedSong], say: Callable[[str], None]) -> set[str]:
    """Writes the WAV files of the first songs, as many as fit into an hour; the names of these songs."""
    seconds, last = 0.0, time.monotonic()
    previews: set[str] = set()
    heard = songs[:HEARD]
    for n, song in enumerate(heard, 1):
        length = seconds_of(song.bars, song.quarters_per_minute)
        if 0 < length <= HEARD_SECONDS - seconds:
            seconds += length
            previews.add(song.name)
            (place / f"{song.name}.wav").write_bytes(render_wav(song.bars, song.quarters_per_minute))
        last = _progress("previews", n, len(heard), last, say)
        if stopping.received():
            break
    return previews


def _progress(what: str, done: int, total: int, last: float, say: Callable[[str], None]) -> float:
    """Says how far it is where the last line is some seconds old; returns when the last line was said."""
    if time.monotonic() - last < _PROGRESS:
        return last
    say(f"{what}: {done:,} of {total:,}")
    return time.monotonic()


def _record(song: ComposedSong, heard: bool) -> dict[str, Any]:
    return {
        "name": song.name,
        "title": song.title,
        "bars": len(song.bars),
        "given": np.flatnonzero(song.given).tolist(),
        "quarters_per_minute": song.quarters_per_minute,
        "metre": list(song.setting.metre),
        "key": song.setting.key,
        "sections": [list(section) for section in sections_of(song)],
        "numbers": [song.numbers.first, *song.numbers.each.as_integer_ratio()],
        "chords": [list(chord) for chord in song.chords],
        "wav": heard,
        "notes": song.notes,
    }


def draw_songs(songs: Sequence[ComposedSong], file: Path | BinaryIO) -> None:
    """A PNG: piano rolls of the first songs, one below the other, given bars shaded, up to SEEN_BARS of each.

    Of longer songs these are the bars around the first that is composed.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # late: a command's help need not wait for it
    from matplotlib.figure import Figure

    seen = [song for song in songs if len(song.bars)][:SEEN]
    figure = Figure(figsize=(14, 1.6 * max(len(seen), 1) + 0.6), layout="constrained")
    FigureCanvasAgg(figure)
    for axis, song in zip(figure.subplots(max(len(seen), 1), 1, squeeze=False)[:, 0], seen, strict=False):
        first = max(0, min(int(np.argmin(song.given)) - SEEN_BEFORE, len(song.bars) - SEEN_BARS))
        bars, given = (each[first : first + SEEN_BARS] for each in (song.bars, song.given))
        tokens = bars_to_tokens(bars)
        pitches = tokens[tokens < NOTE_OFF]
        span = (int(pitches.min()), int(pitches.max())) if len(pitches) else (60, 72)
        draw_pianoroll(axis, tokens, span, steps_per_bar=song.grid.bar, numbers=song.numbers.later(first))
        edges = np.flatnonzero(np.diff(given, prepend=False, append=False)) * song.grid.bar
        for start, end in edges.reshape(-1, 2).tolist():
            axis.axvspan(start, end, color="moccasin", alpha=0.6, linewidth=0, zorder=-1)
        shown = f" (bars {song.numbers.span(first, first + len(bars))} of {song.numbers.span(0, len(song.bars))})"
        more = shown if len(song.bars) > SEEN_BARS else ""
        axis.set_title(for_figure(song.title) + more, fontsize=8)
    part = f"; the first {len(seen)} of {len(songs):,} songs" if len(seen) < len(songs) else ""
    figure.supxlabel(f"bar; shaded: given, not composed{part}", fontsize=8)
    figure.savefig(file, dpi=90, format="png")
