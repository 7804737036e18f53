"""A composed song, the MIDI file that it becomes, and the way back through the corpus reader."""

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mcvae_jax.corpus.read import read_file
from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.corpus.sources import File, Skipped
from mcvae_jax.music.bars import TICKS_PER_STEP, bars_to_score, bars_to_tokens, tokens_to_bars
from mcvae_jax.music.metre import BAR, fills_bar, find_bars
from mcvae_jax.music.midi import write_midi
from mcvae_jax.music.score import Reason, Score, Skip
from mcvae_jax.text import printable

SLOWEST, FASTEST = 10.0, 1000.0  # quarters a minute; MIDI ends at 3.6, and beyond these a file has a slip


class Setting(NamedTuple):
    """What a song takes over from its seed beside the notes."""

    quarters_per_minute: float = 110.0  # brought into 10 to 1000
    metre: tuple[int, int] = (4, 4)
    key: str = ""  # 'G', 'Em'; '' is none


class ComposedSong(NamedTuple):
    """A song to be written."""

    name: str  # the stem of its files, such as '01-continue'
    title: str
    bars: np.ndarray  # uint8 (n, 16)
    given: np.ndarray  # bool (n,): the bars that are the user's own and not composed
    setting: Setting
    notes: dict[str, Any]  # facts for the page, as JSON: seed number, mode, temperatures, log density ...
    sections: tuple[tuple[int, str], ...] = ()  # index of the first bar and label; () derives them from `given`

    @property
    def quarters_per_minute(self) -> float:
        """The tempo of the setting where it can be played, else 10, 110 or 1000."""
        stated = self.setting.quarters_per_minute
        return float(np.clip(stated, SLOWEST, FASTEST)) if stated > 0 else Setting().quarters_per_minute


def sections_of(song: ComposedSong) -> tuple[tuple[int, str], ...]:
    """Where the sections of a song start: those that it names, else 'seed' and 'composed' in turn."""
    if song.sections:
        return song.sections
    starts = [bar for bar in range(len(song.given)) if not bar or song.given[bar] != song.given[bar - 1]]
    return tuple((bar, "seed" if song.given[bar] else "composed") for bar in starts)


def write_song(path: str | os.PathLike, song: ComposedSong) -> None:
    """Writes a MIDI file of format 1: tempo, metre, key, title, a track 'Melody', a marker at each section.

    The metre is that of the setting, save where the corpus reader, which looks for the downbeat, would then cut other
    bars than the song's: two bars of 2/4 make one of 16 steps from the first that starts with a note, so a song
    that starts with half a bar of silence would shift by it, and bars of 1/4 say nothing about the downbeat. Such
    a song is written in 4/4.
    """
    markers = [(bar * BAR * TICKS_PER_STEP, printable(label)) for bar, label in sections_of(song)]
    score = bars_to_score(
        song.bars,
        title=printable(song.title),
        tempos=np.array([[0.0, song.quarters_per_minute]]),
        time_signatures=np.array([[0, *song.setting.metre]]),
        keys=((0, song.setting.key),) if song.setting.key else (),
    )
    if _shifts(score):
        score = score._replace(time_signatures=np.array([[0, 4, 4]]))
    write_midi(path, score, markers)


def _shifts(score: Score) -> bool:
    """Whether the reader would find another downbeat than tick 0; a metre like 3/4 has no say in bars of 16 steps."""
    melody, metre = score.tracks[0], score.time_signatures[0, 1:].tolist()
    if not len(melody.start) or not fills_bar(*metre):
        return False
    try:
        return find_bars(score, melody).origin % (BAR * TICKS_PER_STEP) != 0
    except Skip:
        return True


def read_back(path: str | os.PathLike, bars: str = "metre") -> np.ndarray:
    """The bars, uint8 (n, 16), that the corpus reader finds in a file under a bar policy; (0, 16) without notes.

    Raises Skip where it would leave the file out of a corpus.
    """
    path = Path(path)
    (song,) = read_file(File(path.name, path.suffix, str(path)), CorpusSettings(source=str(path), bars=bars))
    if not isinstance(song, Skipped):
        return song.bars
    if song.reason == Reason.NO_NOTES:
        return np.empty((0, BAR), np.uint8)
    raise Skip(Reason(song.reason), song.detail)


def check_song(path: str | os.PathLike, song: ComposedSong) -> str:
    """Reads a written song as a corpus would: '' where its canonical tokens come back, else what is wrong.

    As in a corpus, whole silent bars before the first note and after the last are not compared. Both bar policies
    are tried; in a metre like 3/4 only `fixed16`, since `metre` leaves such music out.
    """
    expected = tokens_to_bars(bars_to_tokens(song.bars))
    for policy in ("fixed16", "metre") if fills_bar(*song.setting.metre) else ("fixed16",):
        try:
            found = read_back(path, policy)
        except Skip as skip:
            return f"bars={policy}: {skip}"
        if found.shape != expected.shape:
            return f"bars={policy}: {len(found)} bars come back of {len(expected)}"
        if differing := np.flatnonzero((found != expected).any(axis=1)).tolist():
            return f"bars={policy}: bar {differing[0] + 1} comes back changed"
    return ""
