"""A file of the user's -> the bars that a song starts from, with tempo, metre and key."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mcvae_jax.children import Failure, call
from mcvae_jax.corpus.read import Song, score_to_song
from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.corpus.sources import File, Skipped
from mcvae_jax.errors import UserError
from mcvae_jax.music.bars import bar_starts
from mcvae_jax.music.grid import grid_of, metre_text
from mcvae_jax.music.kept import Kept
from mcvae_jax.music.melody import choose_melody, parse_how
from mcvae_jax.music.metre import parse_metre
from mcvae_jax.music.numbering import PLAIN, Numbers, printed
from mcvae_jax.music.readers import FORMATS, SUFFIXES, read_scores, skip_of
from mcvae_jax.music.score import Reason, Score, Skip, Track
from mcvae_jax.music.tokens import BAR, NOTE_OFF
from mcvae_jax.sampling.seed_notes import chords_over, keep, kept_line, lost_line, notes_on
from mcvae_jax.sampling.song import ComposedSong, Setting
from mcvae_jax.storage.buckets import fetched
from mcvae_jax.text import printable

if TYPE_CHECKING:  # the child that reads a seed starts without jax
    from mcvae_jax.models.song_model import SongModel

MIDI_TEMPO = 120.0  # of a file that states none, by the standard
_ADVICE = {
    Reason.EMPTY: "give a file with music in it",
    Reason.NOT_MUSIC: "give MIDI, ABC, MusicXML or Humdrum",
    Reason.DAMAGED: "open it in a notation program or DAW and export it anew",
    Reason.SMPTE: "export it with a division in ticks a quarter note",
    Reason.TOO_LARGE: "cut it to a single piece",
    Reason.TOO_SLOW: "cut it to a single piece",
    Reason.TOO_MUCH_MEMORY: "cut it to a single piece",
    Reason.CRASHED: "open it in a notation program or DAW and export it anew",
    Reason.TOO_LONG: "cut it to the bars that count",
    Reason.NO_NOTES: "give a file in which a melody sounds",
    Reason.DRUMS_ONLY: "give a file with a melody beside the drums",
    Reason.NO_MELODY: "--melody=auto or skyline finds one in any file with pitched notes",
    Reason.METRE: "the model knows bars of {grid}; --metre={metre} cuts the music into such bars all the same",
    Reason.MIXED_METRES: "--metre={metre} cuts the music into bars of {grid} all the same",
}


class Seed(NamedTuple):
    """The music that a song starts from."""

    bars: np.ndarray  # uint8 (n, T), n >= 1, that the model reads
    setting: Setting
    title: str
    total: int  # bars of the whole tune
    notes: tuple[str, ...]  # what the user should know about how it was read
    unread: tuple[np.ndarray, np.ndarray] | None = None  # its bars before and after those, (., T) each; None for none
    numbers: Numbers = PLAIN  # of the bars of the whole tune, as printed
    kept: Kept | None = None  # the file itself, with the bars of the whole tune; None where it is not kept
    keeps: str = ""  # what of the file stands in songs, in words
    chords: tuple[tuple[int, str], ...] = ()  # step of the whole tune and chord symbol, of ABC and MusicXML
    loses: str = ""  # what of the file is left out where the melody alone is taken, in words
    others: int = 0  # tracks beside the melody's

    @property
    def before(self) -> np.ndarray:
        """The bars of the tune before those that the model reads, uint8 (., T)."""
        return self.unread[0] if self.unread else self.bars[:0]

    @property
    def after(self) -> np.ndarray:
        """The bars of the tune after those that the model reads, uint8 (., T)."""
        return self.unread[1] if self.unread else self.bars[:0]

    @property
    def up_to_here(self) -> np.ndarray:
        """The tune up to the last bar that the model reads: what stands before composed bars."""
        return np.concatenate([self.before, self.bars])

    def chords_of(self, first: int, last: int) -> tuple[tuple[int, str], ...]:
        """The chord symbols of bars of the tune, counted from 0, up to before `last`, by steps from the first."""
        width = self.bars.shape[1]
        return tuple((at - first * width, text) for at, text in self.chords if first * width <= at < last * width)

    def told(self, keeps: str) -> list[str]:
        """Lines on what songs keep of the file, and what they leave out; keeps: see `table.Mode`."""
        end, left = self.total - len(self.after), []
        if keeps == "heard" and len(self.before):
            left.append(f"all but the melody of bars {self.numbers.span(len(self.before), end)}")
        elif keeps != "all" and len(self.after):
            left.append(f"bars {self.numbers.span(end, self.total)}")
        if keeps == "before" and self.kept and self.others:
            left.append("over composed bars the other " + (f"{self.others} tracks" if self.others > 1 else "track"))
        kept = [] if keeps == "heard" and len(self.before) else [self.keeps]
        return [*filter(None, kept), *([f"left out: {', and '.join(left)}"] if left else [])]

    def as_song(self) -> ComposedSong:
        """The music as a song of given bars alone, which can be heard, seen and saved."""
        facts = {"how it was read": "; ".join(self.notes)} if self.notes else {}
        song = ComposedSong("seed", self.title, self.bars, np.ones(len(self.bars), bool), self.setting, facts)
        first, last = len(self.before), len(self.before) + len(self.bars)
        return song._replace(numbers=self.numbers.later(first), chords=self.chords_of(first, last))

    def __repr__(self) -> str:
        return f"<{self.title}, {len(self.bars)} of {self.total} bars>"

    def _repr_html_(self) -> str:
        return self.as_song()._repr_html_()

    def _repr_png_(self) -> bytes:
        return self.as_song()._repr_png_()


def read_seed(
    path: str | os.PathLike,
    bars: int,
    which: str = "last",
    melody: str = "auto",
    metre: str = "",
    tune: int = 0,
    steps: int | Sequence[int] = BAR,
) -> Seed:
    """Reads a file of MIDI, ABC, MusicXML or Humdrum, as a corpus would (policy `metre`).

    A child process reads it, within the limits of its format: whatever the file holds, it costs a line.

    Args:
      bars: that a model is to read, or all where there are fewer; the others of the tune are kept beside them.
      which: the 'last' or the 'first' of the tune.
      melody: which track, see `choose_melody`.
      metre: '' takes the file's; '4/4' says it in its place.
      tune: of a book of several, from 1; 0 takes the first that can be used.
      steps: of a bar, as the model knows them (`model.steps`); of several the first that the tune's metre fits.

    Raises UserError, one line that says what to do, where there is nothing to start from.
    """
    if bars < 1:
        raise UserError(f"seed_bars is {bars}; it must be 1 or more")
    parse_how(melody)
    if metre:
        parse_metre(metre)
    file = _file(fetched(path))
    widths = [steps] if isinstance(steps, int) else steps
    settings = [CorpusSettings(os.fspath(path), melody=melody, metre=metre, steps_per_bar=width) for width in widths]
    seed = call(_read, _Asked(file, bars, which, settings, tune), file.limits())
    if isinstance(seed, Failure):
        raise _refused(path, skip_of(seed), widths[0])
    return seed


class _Asked(NamedTuple):
    """What a child is to read."""

    file: File
    bars: int
    which: str
    settings: Sequence[CorpusSettings]  # which are tried in this order
    tune: int


def _read(asked: _Asked) -> Seed:
    """The seed; UserError where there is nothing to start from."""
    path, tune, settings = asked.file.path, asked.tune, asked.settings
    scores = _read_scores(asked.file, settings[0])
    if tune > len(scores) or tune < 0:
        raise UserError(f"{path} holds {len(scores)} tune(s), so there is no --tune={tune}")
    skipped = []
    for number, score in [(tune, scores[tune - 1])] if tune else enumerate(scores, 1):
        for each in settings:
            song = score_to_song(score, path, b"", each)
            if isinstance(score, Score) and isinstance(song, Song):
                return _seed_of(asked, number, len(scores), score, song, each)
            if isinstance(song, Skipped):
                skipped.append(song)
    raise _refused(path, Skip(Reason(skipped[0].reason), skipped[0].detail), settings[0].steps_per_bar)


def _seed_of(asked: _Asked, number: int, tunes: int, score: Score, song: Song, settings: CorpusSettings) -> Seed:
    """The seed from tune `number` of so many, as it was read."""
    # what MIDI has of titles is the name of a track, such as 'Melody'
    title = FORMATS[asked.file.suffix].is_notation and song.title or Path(asked.file.path).stem
    seed = _cut(score, song, title, asked.bars, asked.which, settings)
    is_notation = FORMATS[asked.file.suffix].is_notation
    if not is_notation and not len(score.tempos):
        seed = seed._replace(setting=seed.setting._replace(quarters_per_minute=MIDI_TEMPO))
    track = choose_melody(score, settings.melody)
    starts = bar_starts(score, track, settings, seed.total)
    kept = keep(asked.file.read(), number - 1, is_notation, score, track, starts)
    words = kept_line(score, kept, is_notation)
    others, loses = len(score.tracks) - 1, lost_line(score, is_notation)
    chords = chords_over(score, starts, grid_of(settings.steps_per_bar))
    seed = seed._replace(
        kept=None if isinstance(kept, str) else kept, keeps=words, loses=loses, others=others, chords=chords
    )
    if tunes > 1:
        seed = seed._replace(notes=(f"it is tune {number} of {tunes}; --tune=N takes another", *seed.notes))
    return seed


def seed_of_score(score: Score, title: str, bars: int, which: str = "first", steps: int = BAR) -> Seed:
    """The same of a tune that is read already, such as one of the built-in ones; UserError where its metre differs."""
    settings = CorpusSettings(source=title, steps_per_bar=steps)
    song = score_to_song(score, title, b"", settings)
    if isinstance(song, Skipped):
        raise _refused(repr(title), Skip(Reason(song.reason), song.detail), steps)
    return _cut(score, song, title, bars, which, settings)


def _cut(score: Score, song: Song, title: str, bars: int, which: str, settings: CorpusSettings) -> Seed:
    """The first or last bars of a song, and what is worth knowing about it."""
    first = max(0, len(song.bars) - bars) if which == "last" else 0
    before, chosen, after = (part.copy() for part in np.split(song.bars, [first, first + bars]))
    track = choose_melody(score, settings.melody)
    notes = notes_on(score, track, song.stats, len(song.bars), bars, settings)
    setting = _setting(score, track, song.metre)
    starts = bar_starts(score, track, settings, len(song.bars))
    numbers = printed(score, starts, song.metre, grid_of(settings.steps_per_bar), settings.metre)
    return Seed(chosen, setting, printable(title), len(song.bars), tuple(notes), (before, after), numbers)


def check_seeds(seeds: Sequence[Seed], model: "SongModel") -> None:
    """UserError where a seed has bars of other steps than the model's, or a pitch to which it gives no chance."""
    low, high = model.pitches
    for seed in seeds:
        if seed.bars.shape[1] != model.steps:
            raise UserError(
                f"{printable(seed.title)!r} was read in bars of {grid_of(seed.bars.shape[1])}, and the {model.name}"
                f" knows bars of {grid_of(model.steps)}; read it again with steps={model.steps}"
            )
        pitches = seed.bars[seed.bars < NOTE_OFF]
        if np.any((pitches < low) | (pitches > high)):
            raise UserError(
                f"{printable(seed.title)!r} has pitches from {pitches.min()} to {pitches.max()}, and the {model.name}"
                f" knows those from {low} to {high} alone; transpose the seed, or take a model of more pitches"
            )


def _file(path: Path) -> File:
    """The file at a path; UserError where there is none that can be read."""
    if not path.exists():
        raise UserError(f"there is no file {path}; --seed_file is a file of MIDI, ABC, MusicXML or Humdrum")
    if path.is_dir():
        raise UserError(f"{path} is a folder; --seed_file is one file in it")
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UserError(f"{path} is no music file that this reads; they end in {', '.join(SUFFIXES)}")
    return File(path.name, suffix, str(path))


def _read_scores(file: File, settings: CorpusSettings) -> list[Score | Skip]:
    """The tunes of a file; at least one."""
    try:
        return read_scores(file.read(), file.suffix, channels=settings.melody.startswith("channel:"))
    except Skip as skip:
        raise _refused(file.path, skip, settings.steps_per_bar) from None
    except OSError as error:
        raise UserError(f"{file.path} cannot be read: {error.strerror or error}") from error


def _refused(path: str | os.PathLike, skip: Skip, steps: int) -> UserError:
    grid = grid_of(steps)
    advice = _ADVICE.get(skip.reason, "give another file").format(grid=grid, metre=metre_text(grid.metre))
    return UserError(f"{path} cannot be a seed ({printable(str(skip))}); {advice}")


def _setting(score: Score, track: Track, metre: tuple[int, int]) -> Setting:
    """The tempo that holds longest, the metre, and the key at the first note of the melody."""
    key = _at(list(score.keys), int(track.start[0]))
    return Setting(
        _commonest_tempo(score, int(track.end.max())) or Setting().quarters_per_minute,
        metre,
        key[1] if key else "",
    )


def _at(stated: list[tuple], tick: int) -> tuple | None:
    """The last statement up to a tick, else the first one after it."""
    return next((row for row in reversed(stated) if row[0] <= tick), stated[0] if stated else None)


def _commonest_tempo(score: Score, end: int) -> float:
    """The median over the ticks up to `end` of the tempo in force, in quarters a minute; 0 where none is stated."""
    if not len(score.tempos):
        return 0.0
    ticks, tempos = score.tempos.T
    held = np.diff(np.minimum(np.append(ticks, end), end))
    order = np.argsort(tempos)
    reached = np.cumsum(held[order])
    return float(tempos[order][np.searchsorted(reached, reached[-1] / 2)])
