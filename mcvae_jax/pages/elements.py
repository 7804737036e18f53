"""Parts of a page as HTML. What is called text is escaped; all else is HTML already."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mcvae_jax.text import for_html


def tag(name: str, inner: str, kind: str = "") -> str:
    """An element with HTML inside; kind: its class."""
    return f"<{name}{_class(kind)}>{inner}</{name}>"


def paragraph(words: object, kind: str = "") -> str:
    """Text as a paragraph."""
    return tag("p", for_html(words), kind)


def bullets(lines: Iterable[object]) -> str:
    """Texts as a list."""
    return tag("ul", "".join(tag("li", for_html(line)) for line in lines))


def table(head: Sequence[object], rows: Iterable[Sequence[str]]) -> str:
    """A table that scrolls where it is wider than the screen; head: texts, rows: cells, see `cell`."""
    titles = "".join(tag("th", for_html(title)) for title in head)
    lines = "".join(tag("tr", "".join(row)) for row in rows)
    return f'<div class="wide"><table><tr>{titles}</tr>{lines}</table></div>'


def cell(words: object, kind: str = "", below: object = "") -> str:
    """A cell of a table with a text, and smaller ones below it, a line each.

    kind: '' is a number; 'name' stands in one line, 'text' in several; or a class of the page's own.
    """
    return tag("td", for_html(words) + "".join(tag("small", for_html(line)) for line in str(below).splitlines()), kind)


def details(title: object, inner: str) -> str:
    """What unfolds below a title."""
    return tag("details", tag("summary", for_html(title)) + inner)


def definitions(facts: Mapping[str, Any]) -> str:
    """Facts by name, their JSON values in words."""
    return tag(
        "dl", "".join(tag("dt", for_html(name)) + tag("dd", for_html(in_words(fact))) for name, fact in facts.items())
    )


def in_words(value: Any) -> str:
    """A JSON value in plain words."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {in_words(item)}" for name, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(in_words, value))
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def png(path: Path) -> str:
    """A picture from a file, held by the page itself."""
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    return f'<img alt="{for_html(path.stem)}" src="data:image/png;base64,{data}">'


def _class(kind: str) -> str:
    return f' class="{for_html(kind)}"' if kind else ""
