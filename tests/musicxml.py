"""MusicXML written out for tests, in divisions of a quarter of a quarter, and read back as plain notes."""

from mcvae_jax.music.readers import read_scores
from mcvae_jax.music.score import Score

Note = tuple[int, float, float]  # pitch, start and end in quarters
SCALE = ("C4", "D4", "E4", "F4", "G4", "A4", "B4", "C5")


def note(pitch: str, length: int | str = 4, more: str = "", before: str = "") -> str:
    """A note such as 'C#4', 'Bb3' or, for a rest, 'r'; `before` comes first in it, `more` last."""
    if pitch == "r":
        what = "<rest/>"
    else:
        alter = {"#": 1, "b": -1}.get(pitch[1:-1], 0)
        alter = f"<alter>{alter}</alter>" if alter else ""
        what = f"<pitch><step>{pitch[0]}</step>{alter}<octave>{pitch[-1]}</octave></pitch>"
    return f"<note>{before}{what}<duration>{length}</duration>{more}</note>"


def notes(pitches: str, length: int = 4) -> str:
    """Notes of one length, from their names."""
    return "".join(note(pitch, length) for pitch in pitches.split())


def time(beats: int | str = 4, beat_type: int = 4) -> str:
    return f"<time><beats>{beats}</beats><beat-type>{beat_type}</beat-type></time>"


def attributes(content: str) -> str:
    return f"<attributes>{content}</attributes>"


def barline(content: str, location: str = "right") -> str:
    return f'<barline location="{location}">{content}</barline>'


def repeat(times: int | str = "") -> str:
    """The end of a repeat."""
    times = f' times="{times}"' if times else ""
    return barline(f'<repeat direction="backward"{times}/>')


FORWARD = barline('<repeat direction="forward"/>', "left")


def ending(number: str, content: str, end: str = "stop", back: bool = True) -> str:
    """A measure's content under the bracket of an ending."""
    start = barline(f'<ending number="{number}" type="start"/>', "left")
    back_sign = '<repeat direction="backward"/>' if back else ""
    stop = f'<ending number="{number}" type="{end}"/>' if end else ""
    return start + content + barline(stop + back_sign)


def part(*measures: str, metre: str = time(), implicit: tuple[int, ...] = ()) -> str:
    """The measures of a part; the first states the metre. `implicit`: which are not counted, from 0."""
    first = attributes(f"<divisions>4</divisions>{metre}") if metre else ""
    written = []
    for i, content in enumerate(measures):
        flag = ' implicit="yes"' if i in implicit else ""
        written.append(f'<measure number="{i + 1}"{flag}>{first if i == 0 else ""}{content}</measure>')
    return "".join(written)


def score(*parts: str, header: str = "", entries: str = "") -> str:
    """A score of parts P1, P2 and so on; `entries` stand in each part's entry of the part list."""
    entry = "".join(
        f'<score-part id="P{k}"><part-name>Part {k}</part-name>{entries}</score-part>' for k in range(1, len(parts) + 1)
    )
    music = "".join(f'<part id="P{k}">{content}</part>' for k, content in enumerate(parts, 1))
    return f'<score-partwise version="4.0">{header}<part-list>{entry}</part-list>{music}</score-partwise>'


def read(xml: str | bytes, suffix: str = ".musicxml") -> Score:
    """The one score of a file."""
    (found,) = read_scores(xml.encode() if isinstance(xml, str) else xml, suffix)
    assert isinstance(found, Score)
    return found


def played(found: Score, track: int | None = None) -> list[Note]:
    """The notes of one track, or of all, sorted by start, in quarters."""
    unit = found.ticks_per_quarter
    tracks = found.tracks if track is None else found.tracks[track : track + 1]
    rows = [
        (pitch, start / unit, end / unit)
        for each in tracks
        for pitch, start, end in zip(each.pitch.tolist(), each.start.tolist(), each.end.tolist(), strict=True)
    ]
    return sorted(rows, key=lambda row: (row[1], row[0]))


def pitches(found: Score, track: int = 0) -> list[int]:
    """The pitches of a track, in the order in which they start."""
    return found.tracks[track].pitch.tolist()


def letters(found: Score) -> str:
    """The pitches of the first track as letters from C4 on: 'c d e' reads as 'cde'."""
    names = dict(zip((60, 62, 64, 65, 67, 69, 71, 72, 74), "cdefgabCD", strict=True))
    return "".join(names[pitch] for pitch in pitches(found))
