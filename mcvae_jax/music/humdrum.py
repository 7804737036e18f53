"""Humdrum **kern -> Scores: a reader of our own, since those at hand lose notes or know no bounds (docs/music.md)."""

import bisect
import html
import io
import re
from collections import Counter
from collections.abc import Iterator

from mcvae_jax.music import kern
from mcvae_jax.music.measures import MAX_NOTES, MAX_PLAYED, TICKS_PER_QUARTER, Measure, Note, Part, Piece, bar_ticks
from mcvae_jax.music.notation import read_piece, text_of, to_ticks
from mcvae_jax.music.score import Reason, Score, Skip
from mcvae_jax.music.sections import expand, with_endings
from mcvae_jax.music.spines import CLOSE, Sound, Spine, Spines, split_fields

MAX_SEGMENTS = 2_000  # pieces in one file
MAX_LINES = 500_000  # a file of 4 MiB has about a third of that
_LIST = re.compile(r"\*>([^\[\]]*)\[(.*)\]")
_CODE = re.compile(r"\*I[a-z]\w*")


def read_humdrum(data: bytes) -> list[Score | Skip]:
    """The pieces of a file, of which several may be concatenated, in order; a damaged one is a Skip in its place.

    All notes of chords are kept, grace notes dropped, ties merged, downbeats kept on a grid (measures.lay_out). The
    unlabelled expansion list says what is repeated, and where there is none the repeat signs do. Pitches sound as
    they stand, since **kern writes transposing instruments at concert pitch. Of alternative strophes the first counts.
    Raises Skip where the file holds no Humdrum, or too many pieces.
    """
    segments = list(split_segments(text_of(data)))
    if not segments:
        raise Skip(Reason.NOT_MUSIC, "no line begins the spines, as **kern does")
    return [read_piece(segment_to_piece, segment) for segment in segments]


def split_segments(text: str) -> Iterator[tuple[int, str]]:
    """The number of each piece's first line, and its lines: comments, exclusive interpretations, all up to the next."""
    begin, begin_number, begun, count = 0, 1, False, 0
    comments: tuple[int, int] | None = None  # where those above this line begin, and their line's number
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    at = 0
    for number, line in enumerate(io.StringIO(text), 1):
        if number > MAX_LINES:
            raise Skip(Reason.TOO_LONG, f"over {MAX_LINES:,} lines")
        if line.startswith("**") and all(field.startswith("**") for field in line.split("\t") if field.strip()):
            here = comments or (at, number)
            if begun:
                yield begin_number, text[begin : here[0]]
            begin, begin_number = here if begun else (0, 1)
            begun, count = True, count + 1
            if count > MAX_SEGMENTS:
                raise Skip(Reason.TOO_LONG, f"over {MAX_SEGMENTS:,} pieces in one file")
        if line.startswith("!!") or line == "\n":
            comments = comments or (at, number)
        else:
            comments = None
        at += len(line)
    if begun:
        yield begin_number, text[begin:]


def segment_to_piece(segment: tuple[int, str]) -> Piece:
    """One piece. Raises Skip, which names the line."""
    reader = _Reader()
    first, text = segment
    for number, line in enumerate(io.StringIO(text), first):
        try:
            reader.read(line.rstrip("\n"))
        except Skip as skip:
            raise Skip(skip.reason, f"line {number}: {skip.detail}") from None
    return reader.piece()


class _Reader:
    """What has been read of one piece."""

    def __init__(self) -> None:
        self.spines = Spines()
        self.title, self.segment = "", ""
        self.names: dict[int, str] = {}  # of parts
        self.clefs: dict[int, str] = {}
        self.unpitched: set[int] = set()
        self.strophes: dict[int, str] = {}  # which of them counts, by part
        self.sounds: dict[int, list[Sound]] = {}  # by part
        self.count = 0  # of them
        self.now = 0.0  # quarters from the beginning to the last line of data
        self.soonest = 0.0  # and to where the first of the notes that sound there ends
        self.measures: list[Measure] = []
        self.starts = [0.0]  # of the measures, in quarters, and the end of the last
        self.labels: list[str] = []  # of the section that each measure stands in
        self.label = ""
        self.order: list[str] | None = None  # the expansion list
        self.keys: list[tuple[int, str]] = []
        self.tempos: list[tuple[int, float]] = []
        self.signature: int | None = None
        self.metre: tuple[int, int] | None = None
        self.begins_section, self.repeat_start = True, False  # of the measure that is being read
        self.is_begun = False  # whether it holds anything yet

    def read(self, line: str) -> None:
        """One line. Raises Skip where it is none of Humdrum."""
        if line.startswith("!!!"):
            self._reference(line)
        if line.startswith("!") or not line.strip("*.\t "):  # comments, and lines that change nothing
            return
        if line.startswith("**") and not self.spines.parts:
            self.spines.begin([field for field in line.split("\t") if field])
            return
        fields = split_fields(line, len(self.spines.now))
        if line.startswith("*"):
            self._interpret(fields)
            return
        tokens = [(spine, token) for spine, token in zip(self.spines.now, fields, strict=True) if spine.is_kern]
        if "=" in line and any(token.startswith("=") for _, token in tokens):
            self._barline(tokens)
        else:
            self._sound([(spine, kern.parse_token(token)) for spine, token in tokens if token != "."])

    def _reference(self, line: str) -> None:
        """The title, or the name of the file that a piece was concatenated from."""
        record, _, text = line.partition(":")
        if record.startswith("!!!!SEGMENT"):
            self.segment, self.title = text.strip(), ""
        elif record.startswith("!!!OTL"):
            self.title = self.title or html.unescape(text.strip())

    def _interpret(self, fields: list[str]) -> None:
        """A line of interpretations: what they say of the music, then what they do to the spines."""
        tokens = [pair for pair in zip(self.spines.now, fields, strict=True) if pair[0].is_kern and pair[1] != "*"]
        for spine, token in tokens:
            if token.startswith("*>"):
                self._section(token)
            elif token.startswith("*I"):
                self._name(spine.part, token)
            elif token.startswith("*clef"):
                self.clefs.setdefault(spine.part, token)
            elif token.startswith("*S"):
                self._strophe(spine, token)
        self._state([token for _, token in tokens])
        self.spines.follow(fields)

    def _state(self, tokens: list[str]) -> None:
        """Metre, key and tempo of a line; the first spine that states one says it for all."""
        here = len(self.measures)
        self.metre = next(filter(None, map(kern.parse_metre, tokens)), self.metre)
        self.tempos += [(here, tempo) for tempo in map(kern.parse_tempo, tokens) if tempo][:1]
        if any(token.startswith("*k[") for token in tokens):
            self.signature = next((s for s in map(kern.parse_signature, tokens) if s is not None), None)
            tokens = tokens if self.signature is None else [*tokens, "*C:"]  # major, until a key says otherwise
        keys = (kern.parse_key(token, self.signature) for token in tokens)
        if key := next(filter(None, keys), None):
            self.keys = [mark for mark in self.keys if mark[0] < here] + [(here, key)]

    def _section(self, token: str) -> None:
        """A label begins a section; a list without a name says in which order the sections are played."""
        if listed := _LIST.fullmatch(token):
            if not listed[1] and self.order is None:
                self.order = [label.strip() for label in listed[2].split(",")]
        elif token[2:] != self.label:
            self._close([spine.until for spine in self.spines.now])
            self.label = token[2:]

    def _name(self, part: int, token: str) -> None:
        """The name of an instrument, or its code where it has no name."""
        if token.startswith('*I"'):
            self.names[part] = token[3:].strip()
        elif _CODE.fullmatch(token):
            self.names.setdefault(part, token[2:])

    def _strophe(self, spine: Spine, token: str) -> None:
        """Of the strophes that stand beside each other, each with its name, the first is the one that sounds."""
        if token == "*S-":
            self.strophes.pop(spine.part, None)
            spine.muted = False
        elif token.startswith("*S/") and token != "*S/fin":
            spine.muted = self.strophes.setdefault(spine.part, token) != token

    def _sound(self, tokens: list[tuple[Spine, kern.Event]]) -> None:
        """A line of data: the tokens that take time begin together."""
        tokens = [(spine, event) for spine, event in tokens if event.quarters]
        if not tokens:
            return
        self.now = start = max(self.now, self._time([spine.until for spine, _ in tokens if spine.until >= 0]))
        for spine, event in tokens:
            for sound in spine.last:  # a spine is one voice, so that a token that is too long ends here
                sound.end = min(sound.end, start)
            spine.until = start + event.quarters
            spine.last = []
            if not spine.muted:
                spine.last = [Sound(start, start + each[0], *each[1:]) for each in event.notes]
                self.sounds.setdefault(spine.part, []).extend(spine.last)
                self.count += len(spine.last)
                if event.unpitched:
                    self.unpitched.add(spine.part)
        if self.count > MAX_NOTES:
            raise Skip(Reason.TOO_LONG, f"over {MAX_NOTES:,} notes")
        self.soonest = min((s.until for s in self.spines.now if s.is_kern and s.until > start + CLOSE), default=start)
        self.is_begun = True

    def _time(self, ends: list[float]) -> float:
        """When a line of data begins whose spines have come to `ends`: where most of them agree, if any knows it.

        After a bar line one that goes beyond it may be mistaken, but none that does not.
        """
        if not ends:
            return self.soonest
        return _agreed(ends) if self.is_begun else max(min(ends), self.starts[-1])

    def _barline(self, tokens: list[tuple[Spine, str]]) -> None:
        """A bar line; one that fewer than half of the parts have is theirs alone, and changes nothing."""
        signs = [kern.parse_barline(token) for _, token in tokens if token.startswith("=")]
        closed = [spine for spine, token in tokens if token.startswith("=")]
        if 2 * len({spine.part for spine in closed}) < len({spine.part for spine, _ in tokens}):
            return
        self._close([spine.until for spine in closed])
        if any(sign.ends_repeat for sign in signs) and self.measures:
            self.measures[-1] = self.measures[-1]._replace(repeat_times=2)
        self.begins_section |= any(sign.ends_section for sign in signs)
        self.repeat_start |= any(sign.starts_repeat for sign in signs)

    def _close(self, ends: list[float]) -> None:
        """What has been read since the last bar line is a measure, whose spines have come to `ends`."""
        if not self.is_begun:
            return
        start = self.starts[-1]
        ends = [end for end in ends if end > start] or [self.soonest]
        bar = start + bar_ticks(self.metre) / TICKS_PER_QUARTER if self.metre else 0.0
        end = next((end for end in ends if abs(end - bar) < CLOSE), None) or _agreed(ends)
        for spine in self.spines.now:
            spine.until = max(spine.until, end)
        self.measures.append(Measure(to_ticks(end - start), self.metre, self.begins_section, self.repeat_start))
        self.labels.append(self.label)
        self.starts.append(end)
        self.begins_section = self.repeat_start = self.is_begun = False
        if len(self.measures) > MAX_PLAYED:
            raise Skip(Reason.TOO_LONG, f"over {MAX_PLAYED:,} measures")

    def piece(self) -> Piece:
        """All that has been read. Raises Skip where that is no **kern, or its sections are not those of its list."""
        self._close([spine.until for spine in self.spines.now])
        if "**kern" not in self.spines.kinds:
            raise Skip(Reason.NO_NOTES, f"only **kern is read, and its spines are {', '.join(self.spines.kinds)[:80]}")
        order = expand(self.order, self.labels) if self.order else None
        measures = self.measures if order else with_endings(self.measures, self.labels)
        parts = [
            Part(self.names.get(part, ""), self._is_drum(part), _in_measures(self.sounds.get(part, []), self.starts))
            for part in sorted(self.sounds.keys() | self.unpitched)
        ]
        return Piece(measures, parts, self.keys, self.tempos, self.title or self.segment, order)

    def _is_drum(self, part: int) -> bool:
        return self.clefs.get(part) == "*clefX" or part in self.unpitched and not self.sounds.get(part)


def _agreed(ends: list[float]) -> float:
    """What most of `ends` say, the latest of them where they say it equally often."""
    if max(ends) - min(ends) < CLOSE:
        return max(ends)
    votes = Counter(round(end, 6) for end in ends)
    return max(ends, key=lambda end: (votes[round(end, 6)], end))


def _in_measures(sounds: list[Sound], starts: list[float]) -> list[list[Note]]:
    """The notes of each measure; what sounds across a bar line is tied there.

    Args: starts are those of the measures, in quarters, and the end of the last.
    """
    none: list[Note] = []
    measures = [none] * (len(starts) - 1)
    count = 0
    for sound in sounds:
        i = bisect.bisect_right(starts, sound.start + CLOSE) - 1
        start, continues = sound.start, sound.continues
        while i < len(measures):
            end = min(sound.end, starts[i + 1])
            onset = to_ticks(start - starts[i])
            tied = sound.end > end + CLOSE or sound.tied
            measures[i] = measures[i] or []
            measures[i].append(Note(onset, to_ticks(end - starts[i]) - onset, sound.pitch, tied, continues))
            count += 1
            if count > MAX_NOTES:
                raise Skip(Reason.TOO_LONG, f"over {MAX_NOTES:,} notes, counted anew after each bar line")
            if sound.end <= end + CLOSE:
                break
            i, start, continues = i + 1, end, True
    return [sorted(notes) if notes else none for notes in measures]
