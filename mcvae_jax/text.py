"""Text that came from a file, shown where it can do no harm: one function for each kind of place.

A title, a name or a remark may hold anything: codes that clear a terminal or turn the direction of writing, half a
character, HTML, a spreadsheet's formula. What cannot be shown as it is stands as a backslash escape (\\x1b, \\u202e).
"""

import html
import re

BRIEF = 80  # characters of a value that a message repeats
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\N{FULLWIDTH EQUALS SIGN}", "\N{FULLWIDTH PLUS SIGN}",
           "\N{FULLWIDTH HYPHEN-MINUS}", "\N{FULLWIDTH COMMERCIAL AT}")  # fmt: skip


def says_no(text: str) -> bool:
    """Whether the value of a switch turns it off."""
    return text.lower() in ("no", "0", "off")


def printable(text: object) -> str:
    """One line for a terminal: no control characters, no marks that are not seen, no half characters."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(text))


def brief(text: object) -> str:
    """The beginning of it, printable: for messages that repeat a value of any length."""
    text = printable(str(text)[: BRIEF + 1])
    return text if len(text) <= BRIEF else f"{text[:BRIEF]}..."


def lines(text: object) -> str:
    """Several lines, each printable."""
    return "\n".join(map(printable, str(text).split("\n")))


def for_html(text: object) -> str:
    """Text for HTML, within an element or an attribute in quotes."""
    return html.escape(printable(text))


def for_markdown(text: object) -> str:
    """Text that is shown as it is written, in one line, also within a cell of a table or an item of a list."""
    text = printable(" ".join(str(text).split()))
    text = re.sub(r"([\\`*_\[\]<>|~&$])", r"\\\1", text)
    return re.sub(r"^(\d*)([#+\-.)])", r"\1\\\2", text)


def for_csv(value: object) -> object:
    """The value of a cell: a string with its line breaks, which no spreadsheet takes for a formula; others as is."""
    if not isinstance(value, str):
        return value
    text = lines(value.replace("\r\n", "\n"))
    return f"'{text}" if value.lstrip(" \n\0").startswith(FORMULA) or text.lstrip().startswith(FORMULA) else text


def for_terminal(text: object, encoding: str | None) -> str:
    """Several lines that a terminal of an encoding can show."""
    encoding = encoding or "ascii"
    return lines(text).encode(encoding, "backslashreplace").decode(encoding)


def for_figure(text: object) -> str:
    """A line in a figure, in which dollar signs are dollar signs and no mathematics."""
    return printable(text).replace("$", r"\$")
