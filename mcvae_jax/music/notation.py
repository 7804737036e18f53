"""ABC, MusicXML and Humdrum -> Score: the only import of music21, which is slow and waits for the first file.

ABC uses music21's tokenizer (pitches, keys, lengths, tuplets), not its streams, which cost thirty times as
much. Nothing here reads or writes a file: music21's cache of pickles and its settings are never touched.
"""

import functools
import io
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from xml.etree import ElementTree

from mcvae_jax.music.abc_text import Barline, simplify, split_book
from mcvae_jax.music.measures import TICKS_PER_QUARTER, Measure, Note, Part, Piece, piece_to_score
from mcvae_jax.music.score import Reason, Score, Skip

MAX_XML_BYTES = 64 * 2**20  # of an unpacked .mxl


def read_notation(data: bytes, suffix: str) -> list[Score | Skip]:
    """The tunes of a file, in order; an ABC book holds many, and a damaged one is a Skip in its place.

    suffix: .abc, .xml, .musicxml, .mxl or .krn. All notes of chords are kept, grace notes and ornaments
    dropped, repeats played, ties merged, downbeats kept on a grid (measures.lay_out). Raises Skip where the
    whole file cannot be read.
    """
    if suffix == ".abc":
        return [_read(_abc_to_piece, tune) for tune in split_book(_text(data))]
    reader = _kern_to_piece if suffix == ".krn" else _musicxml_to_piece
    score = _read(reader, _unpacked(data) if suffix == ".mxl" else data)
    if isinstance(score, Skip):
        raise score
    return [score]


def _read(reader: Callable[..., Piece], source: str | bytes) -> Score | Skip:
    """Whatever goes wrong inside music21 on a damaged source is that source's failure, not ours."""
    try:
        return piece_to_score(reader(source))
    except Skip as error:
        return error
    except Exception as error:
        return Skip(Reason.DAMAGED, f"{type(error).__name__}: {error}".splitlines()[0][:200])


def _text(data: bytes) -> str:
    """UTF-8 where it is valid, else Latin-1, in which most older ABC is written."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _ticks(quarters: float) -> int:
    return round(quarters * TICKS_PER_QUARTER)


def _key_name(sharps: int, mode: str | None) -> str:
    """Modes are named after the major or minor key with the same signature, whichever has their third."""
    fifths = sharps + (4 if mode in ("minor", "aeolian", "dorian", "phrygian") else 1)  # from F
    return "FCGDAEB"[fifths % 7] + {-1: "b", 0: "", 1: "#"}[fifths // 7] + ("m" if fifths > sharps + 1 else "")


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
                keys.append((here, _key_name(*token.getKeySignatureParameters())))
            elif token.isTempo():
                tempos += _stated_tempo(here, _tempo_mark(token))
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
    duration = _ticks(quarters)
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


def _stated_tempo(index: int, mark) -> list[tuple[int, float]]:
    """A measure index and the quarter notes per minute of a tempo mark of music21; [] if it states none."""
    speed = mark and mark.getQuarterBPM()
    return [(index, float(speed))] if speed else []


def _unpacked(data: bytes) -> bytes:
    """The score inside an .mxl. Raises Skip where there is none, or one over MAX_XML_BYTES."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [n for n in archive.namelist() if not n.startswith("META-INF") and n.endswith("ml")]
            if not names or archive.getinfo(names[0]).file_size > MAX_XML_BYTES:
                raise Skip(Reason.DAMAGED, "no score of a usable size in the .mxl")
            return archive.read(names[0])
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError, zlib.error) as error:
        raise Skip(Reason.DAMAGED, str(error)) from error


def _musicxml_to_piece(data: bytes) -> Piece:
    """A MusicXML score. Entities are refused: no honest score has them, and they can grow without bound."""
    from music21.musicxml.xmlToM21 import MusicXMLImporter

    if b"<!ENTITY" in data.replace(b"\0", b""):
        raise Skip(Reason.DAMAGED, "it defines XML entities")
    importer = MusicXMLImporter()
    importer.xmlRootToScore(ElementTree.fromstring(data), importer.stream)
    return _stream_to_piece(importer.stream)


def _kern_to_piece(data: bytes) -> Piece:
    """A Humdrum **kern score."""
    from music21.humdrum.spineParser import HumdrumDataCollection

    collection = HumdrumDataCollection(_text(data).splitlines())
    collection.parse()
    return _stream_to_piece(collection.stream)


def _stream_to_piece(score) -> Piece:
    """A music21 score with measures. The first part says where barlines, repeats, keys and tempos are."""
    if any(part.atSoundingPitch is False for part in score.parts):
        score.toSoundingPitch(inPlace=True)
    staves = [(part, list(part.getElementsByClass("Measure"))) for part in score.parts]
    staves = [(part, bars) for part, bars in staves if bars]
    if not staves:
        raise Skip(Reason.NO_NOTES)
    lead_part, lead = staves[0]
    lengths = [max(_ticks(bars[i].highestTime) for _, bars in staves if i < len(bars)) for i in range(len(lead))]
    parts = [_staff_to_part(part, bars, len(lead)) for part, bars in staves]
    keys = [
        (i, _key_name(bar.keySignature.sharps, getattr(bar.keySignature, "mode", None)))
        for i, bar in enumerate(lead)
        if bar.keySignature is not None
    ]
    tempos: list[tuple[int, float]] = []
    for i, bar in enumerate(lead):
        for mark in bar.getElementsByClass("MetronomeMark"):
            tempos += _stated_tempo(i, mark)
    title = (score.metadata and score.metadata.bestTitle) or ""
    return Piece(_stream_measures(lead_part, lead, lengths), parts, keys, tempos, title)


def _stream_measures(part, bars: list, lengths: list[int]) -> list[Measure]:
    """The measures of a music21 part: metre, repeat signs and endings."""
    numbers = {id(bar): i for i, bar in enumerate(bars)}
    endings: dict[int, frozenset[int]] = {}
    for bracket in part.recurse().getElementsByClass("RepeatBracket"):
        within = [numbers[id(bar)] for bar in bracket.getSpannedElements() if id(bar) in numbers]
        if within:
            endings |= dict.fromkeys(range(min(within), max(within) + 1), frozenset(bracket.numberRange))
    measures: list[Measure] = []
    metre, closed = None, True
    for i, bar in enumerate(bars):
        if bar.timeSignature is not None:
            metre = (bar.timeSignature.numerator, bar.timeSignature.denominator)
        left, right = bar.leftBarline, bar.rightBarline
        starts = getattr(left, "direction", "") == "start"
        times = (right.times or 2) if getattr(right, "direction", "") == "end" else 0
        begins = closed or starts or getattr(left, "type", "") in ("double", "final", "heavy-light")
        measures.append(Measure(lengths[i], metre, begins, starts, times, endings.get(i, frozenset())))
        closed = bool(times) or getattr(right, "type", "") in ("double", "final")
    return measures


def _staff_to_part(part, bars: list, count: int) -> Part:
    """The notes of the first `count` measures. Chord symbols are no notes; drums have no pitches."""
    measures: list[list[Note]] = [[] for _ in range(count)]
    unpitched = False
    for bar, notes in zip(bars, measures, strict=False):
        for element in bar.recurse().notes:
            if "ChordSymbol" in element.classes or element.duration.isGrace:
                continue
            unpitched = unpitched or "Unpitched" in element.classes
            onset, duration = _ticks(element.getOffsetInHierarchy(bar)), _ticks(element.quarterLength)
            for note in element.notes if element.isChord else [element]:
                if hasattr(note, "pitch"):
                    tied = note.tie is not None and note.tie.type in ("start", "continue")
                    notes.append(Note(onset, duration, note.pitch.midi, tied))
        notes.sort()
    return Part(part.partName or "", unpitched and not any(measures), measures)
