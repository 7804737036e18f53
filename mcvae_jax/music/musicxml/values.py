"""Numbers and words in the elements of a score."""

import re
from fractions import Fraction
from xml.etree.ElementTree import Element

Number = int | Fraction
_DECIMAL = re.compile(r"\s*([+-]?)(\d{1,18})?(?:\.(\d{0,9}))?\s*")
_MAX_DIGITS = 18
_MAX_WORDS = 200  # characters


def number(text: str | None) -> Number | None:
    """An exact decimal, as the format has them; None where the text is none, or one of over 18 digits."""
    if text and text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS:
        return int(text)  # as nearly all are, and the quickest way
    match = _DECIMAL.fullmatch(text or "")
    if not match or not (match[2] or match[3]):
        return None
    value: Number = int(match[2] or 0)
    if match[3] and int(match[3]):
        value += Fraction(int(match[3]), 10 ** len(match[3]))
    return -value if match[1] == "-" else value


def whole(text: str | None, default: int = 0) -> int:
    """A whole number; `default` where the text is none."""
    value = number(text)
    return value if isinstance(value, int) else default


def words(element: Element | None, path: str = ".") -> str:
    """The text of what `path` finds in an element, on one line; '' where there is none."""
    text = element.findtext(path) if element is not None and path != "." else getattr(element, "text", "")
    return " ".join((text or "").split())[:_MAX_WORDS]
