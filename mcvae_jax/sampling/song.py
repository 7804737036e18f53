"""A composed song, the MIDI file that it becomes, and the way back through the corpus reader.

In a notebook a song, and a list of them, shows itself with its player and piano roll (page.py).
"""

import io
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, SupportsIndex, overload

import mido
import numpy as np

from mcvae_jax.corpus.read import read_file
from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.corpus.sources import File, Skipped
from mcvae_jax.errors import UserError
from mcvae_jax.music.bars import TICKS_PER_STEP, bars_to_score, bars_to_tokens, tokens_to_bars
from mcvae_jax.music.grid import Grid, grid_of
from mcvae_jax.music.kept import Kept
from mcvae_jax.music.metre import find_bars, parse_metre
from mcvae_jax.music.midi import read_midi, write_midi
from mcvae_jax.music.numbering import PLAIN, Numbers
from mcvae_jax.music.readers import FORMATS
from mcvae_jax.music.score import Reason, Score, Skip
from mcvae_jax.music.splice import Going, expected_notes, splice
from mcvae_jax.music.tokens import BAR
from mcvae_jax.sampling.preview import render_wav
from mcvae_jax.text import printable

if TYPE_CHECKING:  # the child that reads a seed starts without jax
    from mcvae_jax.models.song_model import SongModel

SLOWEST, FASTEST = 10.0, 1000.0  # quarters a minute; MIDI ends at 3.6, and beyond these a file has a slip


class Setting(NamedTuple):
    """What a song takes over from its seed beside the notes."""

    quarters_per_minute: float = 110.0  # brought into 10 to 1000
    metre: tuple[int, int] = (4, 4)
    key: str = ""  # 'G', 'Em'; '' is none
    program: int = 0  # of General MIDI, from 0: the instrument


class ComposedSong(NamedTuple):
    """A song to be written."""

    name: str  # the stem of its files, such as '01-continue'
    title: str
    bars: np.ndarray  # uint8 (n, T)
    given: np.ndarray  # bool (n,): the bars that are the user's own and not composed
    setting: Setting
    notes: dict[str, Any]  # facts for the page, as JSON: seed number, mode, temperatures, log density ...
    sections: tuple[tuple[int, str], ...] = ()  # index of the first bar and label; () derives them from `given`
    numbers: Numbers = PLAIN  # of its bars, as printed
    chords: tuple[tuple[int, str], ...] = ()  # step of the song and chord symbol over it, of the user's file
    kept: Kept | None = None  # the user's file, whose bars are the first of the song or all; it is written around them

    @property
    def grid(self) -> Grid:
        """Steps of a bar and of a quarter."""
        return grid_of(self.bars.shape[1])

    @property
    def quarters_per_minute(self) -> float:
        """The tempo of the setting where it can be played, else 10, 110 or 1000."""
        stated = self.setting.quarters_per_minute
        return float(np.clip(stated, SLOWEST, FASTEST)) if stated > 0 else Setting().quarters_per_minute

    def save(self, path: str | os.PathLike) -> Path:
        """Writes the song as MIDI, sound or a score, by the end of the path; UserError for another ending.

        Endings: .mid, .wav, .musicxml, .abc, and .svg where verovio is installed.
        """
        from mcvae_jax.sampling.scores import WRITERS, sheet_of  # they are made of songs

        path = Path(path)
        kind = path.suffix.lower()[1:]
        if kind not in ("mid", "midi", "wav", *WRITERS):
            known = ", ".join(f".{each}" for each in ("mid", "wav", *WRITERS))
            raise UserError(f"{path} ends in {path.suffix or 'nothing'}; a song is saved as one of {known}")
        if not path.parent.is_dir():
            raise UserError(f"there is no folder {path.parent} to save {path.name} in; make it first")
        if kind == "wav":
            path.write_bytes(render_wav(self.bars, self.quarters_per_minute))
        elif kind in WRITERS:
            path.write_text(WRITERS[kind](sheet_of(self)), "utf-8")
        else:
            write_song(path, self)
        return path

    def __repr__(self) -> str:
        return f"<{printable(self.title)}, {len(self.bars)} bars>"

    def _repr_html_(self) -> str:
        return Songs([self])._repr_html_()

    def _repr_png_(self) -> bytes:
        return Songs([self])._repr_png_()


class Songs(list[ComposedSong]):
    """What a call makes: a list of songs that a notebook shows with players and piano rolls, a slice of it, too."""

    @overload
    def __getitem__(self, which: SupportsIndex) -> ComposedSong: ...
    @overload
    def __getitem__(self, which: slice) -> "Songs": ...
    def __getitem__(self, which: SupportsIndex | slice) -> "ComposedSong | Songs":
        return Songs(super().__getitem__(which)) if isinstance(which, slice) else super().__getitem__(which)

    def save(self, folder: str | os.PathLike, title: str = "Songs") -> Path:
        """Writes NAME.mid and NAME.wav of each song, and the page to hear and see them: `results.write_results`."""
        from mcvae_jax.sampling.results import write_results  # it draws, and a child that reads a seed need not

        write_results(folder, self, title, {}, lambda line: None)
        return Path(folder)

    def __repr__(self) -> str:
        return f"<{len(self)} songs: {'; '.join(printable(song.title) for song in self)}>"

    def _repr_html_(self) -> str:
        from mcvae_jax.sampling.page import inline  # pages are made of songs

        return inline(self)

    def _repr_png_(self) -> bytes:
        from mcvae_jax.sampling.results import draw_songs

        file = io.BytesIO()
        draw_songs(self, file)
        return file.getvalue()


def sections_of(song: ComposedSong) -> tuple[tuple[int, str], ...]:
    """Where the sections of a song start: those that it names, else 'given' and 'composed' in turn."""
    if song.sections:
        return song.sections
    starts = [bar for bar in range(len(song.given)) if not bar or song.given[bar] != song.given[bar - 1]]
    return tuple((bar, "given" if song.given[bar] else "composed") for bar in starts)


def unseeded(model: "SongModel") -> Setting:
    """The setting of songs from nothing: the commonest metre of the songs that the model learnt, see `bar_facts`."""
    known = [origin.data["metre"] for origin in model.origins.values() if "metre" in origin.data]
    return Setting(metre=parse_metre(known[0]) if known else grid_of(model.steps).metre)


def write_song(path: str | os.PathLike, song: ComposedSong) -> None:
    """Writes a MIDI file of format 1: tempo, metre, key, title, a track 'Melody', a marker at each section.

    The metre is that of the setting, save where the corpus reader, which looks for the downbeat, would then cut other
    bars than the song's: two bars of 2/4 make one of 16 steps from the first that starts with a note, so a song
    that starts with half a bar of silence would shift by it, and bars of 1/4 say nothing about the downbeat. Such
    a song is written in 4/4, and one of 12 steps in 3/8 in 6/8.

    Where the user's file is kept, it is written instead, with the composed bars in it and after it (music/splice.py).
    """
    if song.kept:
        _spliced(song, song.kept).save(os.fspath(path))
        return
    markers = [(bar * song.grid.bar * TICKS_PER_STEP, printable(label)) for bar, label in sections_of(song)]
    score = bars_to_score(
        song.bars,
        title=printable(song.title),
        tempos=np.array([[0.0, song.quarters_per_minute]]),
        time_signatures=np.array([[0, *song.setting.metre]]),
        keys=((0, song.setting.key),) if song.setting.key else (),
    )
    if _shifts(score, song.grid):
        score = score._replace(time_signatures=np.array([[0, *song.grid.whole(*song.setting.metre)]]))
    write_midi(path, score, markers, programs=(song.setting.program,))


def _spliced(song: ComposedSong, kept: Kept) -> mido.MidiFile:
    composed = int(np.argmin(song.given)) if not song.given.all() else len(song.given)
    markers = [(bar, printable(label)) for bar, label in sections_of(song) if bar >= composed]
    going = Going(song.quarters_per_minute, song.setting.metre)
    return splice(kept, song.bars, song.given, going, markers)


def _shifts(score: Score, grid: Grid) -> bool:
    """Whether the reader would find another downbeat than tick 0; a metre that fits no bar has no say."""
    melody, metre = score.tracks[0], score.time_signatures[0, 1:].tolist()
    if not len(melody.start) or not grid.fits(*metre):
        return False
    try:
        return find_bars(score, melody, grid).origin % (grid.bar * TICKS_PER_STEP) != 0
    except Skip:
        return True


def read_back(path: str | os.PathLike, bars: str = "metre", steps: int = BAR) -> np.ndarray:
    """The bars, uint8 (n, T) of T steps, that the corpus reader finds in a file under a policy; (0, T) without notes.

    Raises Skip where it would leave the file out of a corpus.
    """
    path = Path(path)
    settings = CorpusSettings(source=str(path), bars=bars, steps_per_bar=steps)
    (song,) = read_file(File(path.name, path.suffix, str(path)), settings)
    if not isinstance(song, Skipped):
        return song.bars
    if song.reason == Reason.NO_NOTES:
        return np.empty((0, steps), np.uint8)
    raise Skip(Reason(song.reason), song.detail)


def check_song(path: str | os.PathLike, song: ComposedSong) -> str:
    """Reads a written song as a corpus would: '' where its canonical tokens come back, else what is wrong.

    As in a corpus, whole silent bars before the first note and after the last are not compared. Both bar policies
    are tried; in a metre that fits no bar, as 3/4 and 16 steps, only `fixed16`, since `metre` leaves such music out.
    Where the user's file is kept, its notes and the composed ones are looked for where they should be in the MIDI.
    A score (MusicXML, ABC) does not begin with silence, so that it is `metre` alone that finds its bars.
    """
    is_notation = FORMATS[Path(path).suffix].is_notation
    if song.kept and not is_notation:
        return _check_notes(Path(path), song, song.kept)
    expected = tokens_to_bars(bars_to_tokens(song.bars), song.grid.bar)
    policies = ["metre"] if song.grid.fits(*song.setting.metre) else []
    if not is_notation:
        policies.insert(0, "fixed16")
    for policy in policies:
        try:
            found = read_back(path, policy, song.grid.bar)
        except Skip as skip:
            return f"bars={policy}: {skip}"
        if found.shape != expected.shape:
            return f"bars={policy}: {len(found)} bars come back of {len(expected)}"
        if differing := np.flatnonzero((found != expected).any(axis=1)).tolist():
            return f"bars={policy}: bar {differing[0] + 1} comes back changed"
    return ""


def _check_notes(path: Path, song: ComposedSong, kept: Kept) -> str:
    try:
        tracks = read_midi(path.read_bytes()).tracks
    except Skip as skip:
        return str(skip)
    found = Counter(place for track in tracks for place in zip(track.start.tolist(), track.pitch.tolist(), strict=True))
    missing = Counter(expected_notes(kept, song.bars, song.given)) - found
    return f"{missing.total()} of its notes do not come back" if missing else ""
