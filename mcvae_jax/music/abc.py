"""ABC -> Score, by music21's tokenizer (pitches, keys, lengths, tuplets): its streams cost thirty times as much."""

import functools
from dataclasses import dataclass, field

from mcvae_jax.music.abc_text import Barline, simplify, split_book
from mcvae_jax.music.measures import Measure, Note, Part, Piece
from mcvae_jax.music.notation import key_name, read_piece, text_of, to_ticks
from mcvae_jax.music.score import Reason, Score, Skip
from mcvae_jax.music.streams import stated_tempo


def read_abc(data: bytes) -> list[Score | Skip]:
    """The tunes of a book, in order; a damaged one is a Skip in its place.

    All notes of chords are kept, grace notes and ornaments dropped, repeats played, ties merged, downbeats kept on a
    grid (measures.lay_out).
    """
    return [read_piece(_abc_to_piece, tune) for tune in split_book(text_of(data))]


@dataclass
class _Voice:
    """One voice while its tokens are read."""

    name: str
    measures: list[Measure] = field(default_factory=list)
    bars: list[list[Note]] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    position: int = 0
    metre: tuple[int, int] | None = None
    begins_section: bool = True
    repeat_start: bool = False
    endings: frozenset[int] = frozenset()
    held: dict[str, str] = field(default_factory=dict)  # tied notes keep their accidentals

    def close(self, barline: Barline) -> None:
        """What has been read since the last barline is a measure."""
        repeat_times = 2 if barline.ends_repeat else 0
        if self.position:
            state = (self.metre, self.begins_section, self.repeat_start, repeat_times, self.endings)
            self.measures.append(Measure(self.position, *state))
            self.bars.append(self.notes)
            self.notes, self.position = [], 0
            self.begins_section = self.repeat_start = False
        elif repeat_times and self.measures:
            self.measures[-1] = self.measures[-1]._replace(repeat_times=repeat_times)
        self.begins_section |= barline.ends_section
        self.repeat_start |= barline.starts_repeat
        if barline.endings or barline.ends_section:
            self.endings = barline.endings


@functools.cache
def _midi_pitch(name: str) -> int:
    """music21's name of a pitch ('B-4', 'F##5', 'Cn5') as a MIDI number."""
    from music21.pitch import Pitch

    return Pitch(name).midi


def _abc_to_piece(tune: str) -> Piece:
    """One ABC tune. Raises Skip where it has no notes or its brackets do not close."""
    from music21 import abcFormat

    text, barlines = simplify(tune)
    handler = abcFormat.ABCHandler(abcVersion=(2, 1, 0))  # before 2.0 it ends an accidental with its note
    handler.process(text)
    tokens = [token for token in handler.tokens if type(token) is not abcFormat.ABCBar or token.src == "|"]
    if sum(type(token) is abcFormat.ABCBar for token in tokens) != len(barlines):
        raise Skip(Reason.DAMAGED, "a chord is not closed")
    voice = _Voice("")
    voices: dict[str, _Voice] = {}
    keys, tempos, title, metre = [], [], "", None
    signs = iter(barlines)
    for token in tokens:
        if isinstance(token, abcFormat.ABCNote):
            voices.setdefault(voice.name, voice)
            _add_abc_note(voice, token)
        elif isinstance(token, abcFormat.ABCBar):
            voice.close(next(signs))
        elif isinstance(token, abcFormat.ABCMetadata):
            here = len(voice.measures)
            if token.isTitle():
                title = title or token.data
            elif token.isMeter():
                parameters = token.getTimeSignatureParameters()  # None for M:none
                metre = voice.metre = parameters and parameters[:2]
            elif token.isKey():
                keys.append((here, key_name(*token.getKeySignatureParameters())))
            elif token.isTempo():
                tempos += stated_tempo(here, _tempo_mark(token))
            elif token.isVoice():
                name = (token.data.split() or [""])[0]
                voice = voices.get(name) or _Voice(name, metre=metre)
    for voice in voices.values():
        voice.close(Barline(False, False, True, frozenset()))
    if not voices:
        raise Skip(Reason.NO_NOTES)
    return _voices_to_piece(list(voices.values()), keys, tempos, title)


def _add_abc_note(voice: _Voice, token) -> None:
    """Append an ABCNote (a note or rest) or ABCChord to its voice."""
    quarters = float(token.quarterLength)
    if token.activeTuplet is not None:
        quarters *= token.activeTuplet.numberNotesNormal / token.activeTuplet.numberNotesActual
    duration = to_ticks(quarters)
    tied = token.tie in ("start", "continue")
    held: dict[str, str] = {}
    for sub in getattr(token, "subTokens", [token]):
        if sub.pitchName:
            staff = sub.pitchName[0] + sub.pitchName[-1]  # letter and octave
            name = sub.pitchName if set(sub.src) & set("^_=") else voice.held.get(staff, sub.pitchName)
            voice.notes.append(Note(voice.position, duration, _midi_pitch(name), tied))
            held[staff] = name
    voice.held = held if tied else {}
    voice.position += duration


def _voices_to_piece(voices: list[_Voice], keys: list, tempos: list, title: str) -> Piece:
    """The first voice says where barlines and repeats are; the others are cut or filled to its measures."""
    measures = voices[0].measures
    padding: list[list[Note]] = [[] for _ in measures]
    parts = [Part(v.name, False, (v.bars + padding)[: len(measures)]) for v in voices]
    return Piece(measures, parts, keys, tempos, title)


def _tempo_mark(token):
    """music21's mark for an ABC tempo field; None where it cannot read it, which spoils no tune."""
    try:
        return token.getMetronomeMarkObject()
    except Exception:
        return None
