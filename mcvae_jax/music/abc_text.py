"""ABC text -> the tunes of a book, and each tune as plain text that music21's tokenizer reads well.

That tokenizer knows a part of the barlines only (no '[3', '||:', '[1,3'), loses broken rhythms next to slurs
and takes some decorations for notes. So barlines are read here, and what is no note, rest, length, tuplet or
tie is taken out.
"""

import re
from typing import NamedTuple

_FIELD = re.compile(r"[A-Za-z]:(?![|:])")
# Counts are bounded, so that no line takes more than linear time.
_INLINE_FIELD = re.compile(r"\[([A-Za-z]:[^\]|]{0,200})\]")
_ENDING = r"(\d[\d,-]{0,20})"
_BARLINE = re.compile(rf"(:?\[?[:|]{{0,4}}\|[]:|]{{0,4}}|(?<!\(\d)::)(?:\[?{_ENDING})?|\[{_ENDING}")
# Strings, decorations, grace notes, the line ends of quoted-printable mail (in which old books came), and an
# invisible rest at a barline (it carries a fermata or 'D.C.' and is no time).
_ASIDES = re.compile(r'"[^"]*"?|![^!|]*!|\+[^+|]*\+|\{[^}]*\}?|=(?:20|0D)?\s*$|x\s*(?=[|:[]|$)')
# Letters that are no notes or rests, slurs, colons outside tuplets.
_NOT_NOTES = re.compile(r"[^A-Ga-gxz^=_,'/\d<>\-(\[\]:|\s]|\((?!\d)|(?<![(\d:]):")


class Barline(NamedTuple):
    """What a barline says about the measures on its two sides."""

    ends_repeat: bool
    starts_repeat: bool
    ends_section: bool  # a double bar, or one of the above
    endings: frozenset[int]  # the turns that the following ending is for; empty where none is marked


def split_book(text: str) -> list[str]:
    """A book is cut where reference numbers (X:) stand; text before the first is a tune if it has a key."""
    tunes = re.split(r"^(?=X:)", re.sub(r"\r\n?", "\n", text), flags=re.MULTILINE)
    if len(tunes) > 1 and not re.search(r"^K:", tunes[0], re.MULTILINE):
        tunes = tunes[1:]
    return tunes


def simplify(tune: str) -> tuple[str, list[Barline]]:
    """A tune -> its fields, notes and plain barlines ('|') as text, and what each of those barlines is.

    A blank line ends the music; of the fields only title, metre, length, key, tempo and voice are kept.
    """
    lines: list[str] = []
    barlines: list[Barline] = []

    def plain_barline(match: re.Match) -> str:
        barlines.append(_barline(match.group(1) or "", match.group(2) or match.group(3) or ""))
        return " | "

    in_header = True
    for line in tune.split("\n"):
        line = line.split("%")[0].strip()
        if _FIELD.match(line):
            in_header = in_header and not line.startswith("K:")
            lines.append(line)
        elif not in_header:
            if not line and barlines:
                break
            pieces = _INLINE_FIELD.split(_ASIDES.sub("", line))  # music, field, music, ...
            pieces[::2] = [_NOT_NOTES.sub("", _BARLINE.sub(plain_barline, music)) for music in pieces[::2]]
            pieces[::2] = [music.replace("x", "z") for music in pieces[::2]]
            lines += pieces
    lines = [line for line in lines if not _FIELD.match(line) or line[0] in "TMLKQV"]
    if not any(_FIELD.match(line) and line[0] in "ML" for line in lines):
        lines.insert(0, "L:1/8")
    return "\n".join(lines) + "\n", barlines


def _barline(sign: str, endings: str) -> Barline:
    """A sign such as '|', ':|', '[|]', '||:' or '' (a bare '[2'), and the numbers of the ending after it."""
    sign = sign.replace("[", "|").replace("]", "|")
    ends = ":|" in sign or sign == "::"
    starts = sign.endswith(":")
    return Barline(ends, starts, ends or starts or "||" in sign, _ending_numbers(endings))


def _ending_numbers(text: str) -> frozenset[int]:
    """'1,3' or '1-3' -> the turns of a repeat in which an ending is played."""
    numbers: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        numbers.update(range(int(first), min(int(last or first), int(first) + 9) + 1))
    return frozenset(numbers)
