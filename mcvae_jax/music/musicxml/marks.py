"""What stands around the notes of a measure: barlines, repeats, endings, jumps and tempos."""

import re
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from mcvae_jax.music.musicxml.values import number, whole, words

_SECTION_ENDS = ("light-light", "light-heavy", "heavy-light", "heavy-heavy")
_JUMPS = ("dacapo", "dalsegno", "tocoda", "fine", "segno", "coda")
_JUMP_WORDS = re.compile(r"\b(d\.? ?c\.?|da capo|d\.? ?s\.?|dal segno)( al\b|$)", re.IGNORECASE)
_MAX_TURN = 64  # of endings
MAX_TIMES = 1 << 20  # of a repeat; far more than can be played
TEMPOS = (4.0, 1000.0)  # quarters a minute; what lies outside is no tempo, and less than 3.6 is none for MIDI
_UNITS = {"maxima": 32, "long": 16, "breve": 8, "whole": 4, "half": 2, "quarter": 1, "eighth": 1 / 2}
_UNITS |= {f"{2**k}th": 4 / 2**k for k in (4, 6, 7, 8, 9)} | {"32nd": 1 / 8, "1024th": 1 / 256}
_LONGEST = 40  # characters of a chord symbol
KINDS = {
    "minor": "m",
    "augmented": "aug",
    "diminished": "dim",
    "dominant": "7",
    "major-seventh": "maj7",
    "minor-seventh": "m7",
    "diminished-seventh": "dim7",
    "half-diminished": "m7b5",
    "augmented-seventh": "aug7",
    "major-minor": "m(maj7)",
    "major-sixth": "6",
    "minor-sixth": "m6",
    "dominant-ninth": "9",
    "major-ninth": "maj9",
    "minor-ninth": "m9",
    "suspended-second": "sus2",
    "suspended-fourth": "sus4",
    "power": "5",
}


@dataclass(slots=True)
class Marks:
    """The marks of one measure in one part; None and '' where nothing is stated."""

    tempos: list[tuple[int, float]] = field(default_factory=list)  # ticks into the measure, quarters a minute
    chords: list[tuple[int, str]] = field(default_factory=list)  # chord symbols: ticks into the measure, text
    opens: bool = False  # a repeat starts here
    opens_next: bool = False
    times: int = 0  # how often the section that ends here is played; 0: none ends
    times_before: int = 0  # the same for the measure before
    section: bool = False  # a double bar stands before it
    section_next: bool = False
    ending: frozenset[int] | None = None  # one starts here; empty: it has no number
    ends_ending: bool = False
    ends_ending_before: bool = False
    jumps: dict[str, str] = field(default_factory=dict)  # what <sound> calls them -> the name of the sign
    after_jump: bool = False  # repeats are played after a jump, too
    spoken: str = ""  # a jump in words


def read_barline(element: Element, marks: Marks) -> None:
    """A <barline>, which stands on the right of its measure unless it says otherwise."""
    left = element.get("location") == "left"
    if words(element, "bar-style") in _SECTION_ENDS:
        marks.section |= left
        marks.section_next |= not left
    for sign in ("segno", "coda"):
        if element.find(sign) is not None or element.get(sign):
            marks.jumps.setdefault(sign, element.get(sign, ""))
    repeat = element.find("repeat")
    if repeat is not None and repeat.get("direction") == "forward":
        marks.opens |= left
        marks.opens_next |= not left
    elif repeat is not None and repeat.get("direction") == "backward":
        times = min(max(whole(repeat.get("times"), 2), 1), MAX_TIMES)
        marks.times, marks.times_before = (marks.times, times) if left else (times, marks.times_before)
        marks.after_jump |= repeat.get("after-jump") == "yes"
    for ending in element.findall("ending"):
        if ending.get("type") == "start":
            marks.ending = _turns(ending.get("number", "")) or _turns(ending.text or "")
        else:  # stop, or discontinue, which is one without a bracket's end
            marks.ends_ending |= not left
            marks.ends_ending_before |= left


def _turns(text: str) -> frozenset[int]:
    """'1, 2' or '1-3' or '1.' as a set; empty where no number is stated."""
    turns: set[int] = set()
    for first, last in re.findall(r"(\d{1,4})(?:\s*(?:-|–|to|bis)\s*(\d{1,4}))?", text[:200].replace(".", " ")):
        turns.update(range(int(first), min(int(last or first), _MAX_TURN) + 1))
    return frozenset(turn for turn in turns if 0 < turn <= _MAX_TURN)


def read_harmony(element: Element, marks: Marks, position: int) -> None:
    """A <harmony> at a position in ticks: a chord symbol, as it is printed."""
    root = _pitch_name(element, "root")
    if not root:
        return
    kind = element.find("kind")
    text = kind.get("text") if kind is not None else None
    ending = text if text is not None else KINDS.get(words(element, "kind"), "")
    bass = _pitch_name(element, "bass")
    marks.chords.append((position, f"{root}{ending}{f'/{bass}' if bass else ''}"[:_LONGEST]))


def _pitch_name(element: Element, name: str) -> str:
    """'F#' of <root> or <bass>; '' where it is not there."""
    step = element.findtext(f"{name}/{name}-step", "").strip()
    alter = max(-2, min(whole(element.findtext(f"{name}/{name}-alter"), 0), 2))
    return step and step[:1] + ("#" * alter if alter > 0 else "b" * -alter)


def read_direction(element: Element, marks: Marks, position: int) -> None:
    """A <direction> at a position in ticks: what it shows, and what its <sound> says, which goes first."""
    sound = element.find("sound")
    if sound is not None:
        read_sound(sound, marks, position)
    for shown in element.iterfind("direction-type/*"):
        if shown.tag == "metronome" and (sound is None or not sound.get("tempo")):
            _add_tempo(_metronome(shown), marks, position)
        elif shown.tag == "words" and _JUMP_WORDS.search(words(shown)):
            marks.spoken = words(shown)
        elif shown.tag in ("segno", "coda"):
            marks.jumps.setdefault(shown.tag, "")


def read_sound(element: Element, marks: Marks, position: int) -> None:
    """A <sound>, in a direction or on its own."""
    tempo = number(element.get("tempo"))
    _add_tempo(float(tempo) if tempo else 0.0, marks, position)
    for name in _JUMPS:
        if stated := element.get(name):
            marks.jumps[name] = stated
    marks.opens |= element.get("forward-repeat") == "yes"


def _add_tempo(tempo: float, marks: Marks, position: int) -> None:
    if TEMPOS[0] <= tempo <= TEMPOS[1]:
        marks.tempos.append((position, tempo))


def _metronome(element: Element) -> float:
    """The quarters a minute of a metronome mark; 0 where it relates two note values, or states no number."""
    units = element.findall("beat-unit")
    stated = re.search(r"\d{1,6}(?:\.\d{1,6})?", words(element, "per-minute"))
    if len(units) != 1 or not stated:
        return 0.0
    dots = len(element.findall("beat-unit-dot"))
    return float(stated[0]) * _UNITS.get(words(units[0]), 0) * (2 - 0.5**dots)
