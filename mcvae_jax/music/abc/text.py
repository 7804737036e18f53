"""ABC text -> the tunes of a book, and a tune -> its lines: fields and music, without comments, blocks and macros."""

import functools
import html
import re
import unicodedata
from collections import Counter
from typing import NamedTuple

from mcvae_jax.music.score import Reason, Skip

MAX_MACROS = 100
MAX_FIELD = 2_000  # characters of a field
MAX_GROWTH = 10_000  # characters that macros may add to a line


class Line(NamedTuple):
    """A line of a tune."""

    field: str  # its letter; 'I' for directives (%%) too; '' for music
    text: str


_FIELD = re.compile(r"([A-Zmrsw+]):(?![|:])(.*)")
# What a file header can say about the sound of its tunes; of one kind, the last holds.
_MIDI = r"MIDI\s+(?:transpose|channel|(?:no)?barlines)"
_FILE_FIELD = re.compile(rf"([LMQ]):|m:[^=]*|(?:I:|%%)\s*({_MIDI}|propagate-accidentals)")
_CONTINUED = re.compile(r"\\[ \t]*(?:%[^\n\\]*)?\n[ \t]*(?=\d)")  # digits belong to the barline or note before them
_BLOCK = re.compile(r"%%\s*begin(\w{1,40})")
_CODE = re.compile(r'(?:[^%"\\]++|\\.|"(?:[^"\\]++|\\.)*+"|["\\])*+')  # up to a comment; '%' in a string is text
_MAIL = re.compile(r"=(?:20|0D)?$")  # line ends of quoted-printable mail, in which old books came
_LOST_MUSIC = re.compile(r"\[?V:\s*\S|[^\"]*[A-Ga-gz][,'\d/]*\s*:?\|")


def split_book(text: str) -> list[str]:
    """The tunes of a book, each after the file header; text without X: is one tune if it has a key."""
    first, *tunes = re.split(r"^(?=X:(?![|:]))", re.sub(r"\r\n?", "\n", text), flags=re.MULTILINE)
    if re.search(r"^\s*K:", first, re.MULTILINE):
        return [first, *tunes]
    header = _file_header(first)
    return [header + tune for tune in tunes]


def _file_header(text: str) -> str:
    """What the first paragraph with fields says for all tunes, once; comments and free text are left out."""
    said: dict[str, str] = {}
    for line in text.split("\n"):
        if field := _FILE_FIELD.match(line):
            said[field[1] or field[2] or field[0]] = f"{line}\n"
        elif said and not line.strip():
            break
    if len(said) > MAX_MACROS:
        raise Skip(Reason.TOO_LONG, f"more than {MAX_MACROS} macros in the file header")
    return "".join(said.values())


def tune_lines(tune: str, remarks: Counter[str]) -> list[Line]:
    """The lines of a tune that say how it sounds, in order; an empty line after music ends it.

    Macros (m:) are replaced. Raises Skip where they grow without bound.
    """
    lines: list[Line] = []
    macros: list[tuple[str, str]] = []
    in_body = has_music = False
    rows = iter(_CONTINUED.sub("", tune).split("\n"))
    for row in rows:
        row = row.strip()
        block = _BLOCK.match(row)
        if block:
            end = re.compile(rf"%%\s*end{block[1]}\b")
            if not any(end.match(inner.strip()) for inner in rows):
                remarks["a block of text without an end"] += 1
        elif row.startswith("%"):
            if row.startswith("%%"):
                lines.append(Line("I", row[2:].strip()))
        elif field := _FIELD.match(row):
            _add_field(field[1], _without_comment(field[2]), lines, macros)
            in_body = in_body or field[1] == "K"
        elif row and in_body:
            row = _MAIL.sub("", row).replace("=3D", "=")
            code = _CODE.match(row) if "%" in row else None
            lines.append(Line("", _expand(code[0] if code else row, macros)))
            has_music = True
        elif not row and has_music:
            break
    if any(_LOST_MUSIC.match(row) for row in rows):
        remarks["music after an empty line, which ends a tune"] += 1
    return lines


def _without_comment(text: str) -> str:
    return re.split(r"(?<!\\)%", text, maxsplit=1)[0].strip()


def _add_field(letter: str, text: str, lines: list[Line], macros: list[tuple[str, str]]) -> None:
    """Append a field; '+:' goes on with the field before it, and macros go into their own list."""
    if letter == "+" and lines and lines[-1].field:
        lines[-1] = lines[-1]._replace(text=f"{lines[-1].text} {text}"[: MAX_FIELD + 1])
    elif letter == "m":
        target, equals, replacement = text.partition("=")
        if equals and target.strip():
            macros.append((target.strip(), replacement.strip()))
        if len(macros) > MAX_MACROS:
            raise Skip(Reason.TOO_LONG, f"more than {MAX_MACROS} macros")
    elif letter != "+":
        lines.append(Line(letter, text))


def _expand(line: str, macros: list[tuple[str, str]]) -> str:
    """A line of music after its macros; in the target of a transposing macro, 'n' is any note. Raises Skip."""
    for target, replacement in macros:
        limit = len(line) + MAX_GROWTH
        if "n" in target:
            before, _, after = target.partition("n")
            pattern = re.compile(f"{re.escape(before)}([A-Ga-g])([,']*){re.escape(after)}")
            worst = len(line) * (1 + len(replacement))
            if worst > limit and sum(1 for _ in pattern.finditer(line)) * (len(replacement) + 4) > limit:
                raise Skip(Reason.TOO_LONG, "its macros grow without bound")
            line = pattern.sub(functools.partial(_transposed, replacement), line)
        else:
            if len(line) + line.count(target) * len(replacement) > limit:
                raise Skip(Reason.TOO_LONG, "its macros grow without bound")
            line = line.replace(target, replacement)
    return line


def _transposed(form: str, note: re.Match[str]) -> str:
    """The replacement of a transposing macro: 'n' is the note itself, 'm' and 'o' the notes beside it, 'h' to 'z'."""
    letter, octaves = note[1], note[2]
    degree = "CDEFGABcdefgab".index(letter) + 7 * (octaves.count("'") - octaves.count(","))

    def moved(match: re.Match) -> str:
        octave, step = divmod(degree + ord(match[0]) - ord("n"), 7)
        name = "CDEFGAB"[step]
        return name + "," * -octave if octave <= 0 else name.lower() + "'" * (octave - 1)

    return re.sub("[h-z]", moved, form)


_LETTERS = {"AA": "Å", "aa": "å", "AE": "Æ", "ae": "æ", "OE": "Œ", "oe": "œ", "ss": "ß", "DH": "Ð", "dh": "ð"}
_LETTERS |= {"TH": "Þ", "th": "þ", "/O": "Ø", "/o": "ø"}
_ACCENTS = {"`": "\u0300", "'": "\u0301", "^": "\u0302", '"': "\u0308", "~": "\u0303", "=": "\u0304", ".": "\u0307"}
_ACCENTS |= {",": "\u0327", "c": "\u0327", "v": "\u030c", "u": "\u0306", "o": "\u030a", ";": "\u0328", "H": "\u030b"}


_ESCAPE = re.compile(
    rf"\\(?:u(?P<code>[0-9A-Fa-f]{{4}})|(?P<letter>{'|'.join(map(re.escape, _LETTERS))})"
    rf"|(?P<accent>[{re.escape(''.join(_ACCENTS))}])(?P<base>[A-Za-z])|(?P<sign>[%\\&]))"
)


def plain_text(text: str) -> str:
    r"""A text string as it is meant: \'e, \ss, \u00e9 and &eacute; become letters, \\, \% and \& the sign itself."""

    def meant(match: re.Match) -> str:
        if match["sign"]:
            return "&amp;" if match["sign"] == "&" else match["sign"]
        if match["accent"]:
            return unicodedata.normalize("NFC", match["base"] + _ACCENTS[match["accent"]])
        return f"&#x{match['code']};" if match["code"] else _LETTERS[match["letter"]]

    return html.unescape(_ESCAPE.sub(meant, text)).strip()
