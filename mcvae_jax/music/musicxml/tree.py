"""The XML of a score, walked measure by measure, so that neither its size nor its depth costs memory."""

import codecs
import re
from collections.abc import Callable, Iterator
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from mcvae_jax.music.musicxml.instruments import Instruments, read_instruments
from mcvae_jax.music.musicxml.part import Part
from mcvae_jax.music.musicxml.values import words
from mcvae_jax.music.score import Reason, Skip

# A movement of 40 staves and 1,000 measures has 40,000 measures, 100,000 notes, and about 2 million tags.
MAX_TAGS = 5_000_000
MAX_MEASURES = 100_000
MAX_WRITTEN = 250_000  # notes
_MAX_PENDING = 400_000  # tags of one measure, or of all that is none
_MAX_DEPTH = 100
_MAX_PARTS = 1024  # as many as tracks in MIDI
_CHUNK = 1 << 16  # bytes
_DECLARATION = re.compile(rb"<!(ENTITY|ATTLIST|ELEMENT|NOTATION)")
_DECLARED_ENCODING = re.compile(rb"""^\s*<\?xml[^>]{0,100}?encoding\s*=\s*["']([\w.:-]{1,40})["']""")
_ENCODINGS = re.compile(r"ascii|iso8859-\d+|cp125\d|mac-roman|shift_jis|euc_jp|gb18030|gb2312|gbk|big5|koi8-r")
_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_MARKS |= {b"<\0": "utf-16-le", b"\0<": "utf-16-be"}


def read_tree(data: bytes) -> tuple[list[Part], str]:
    """The parts of a score, in the order of the file, and its title. Raises Skip where it is none, or too large."""
    walk = _Walk()
    depth = 0
    try:
        for event, element in events(data, walk.count):
            if event == "start":
                depth += 1
                if depth <= 3:
                    walk.start(element)
                elif depth > _MAX_DEPTH:
                    raise Skip(Reason.DAMAGED, f"its XML is nested over {_MAX_DEPTH} deep")
            else:
                depth -= 1
                if depth <= 2:
                    walk.end(element)
    except ElementTree.ParseError as error:
        if not walk.kind:
            raise Skip(Reason.NOT_MUSIC, f"it is no XML: {error}") from None
        raise Skip(Reason.DAMAGED, f"its XML breaks off or does not fit: {error}") from None
    return walk.parts, walk.title


def events(data: bytes, count: Callable[[int], None]) -> Iterator[tuple[str, Element]]:
    """'start' and 'end' of every element; `count` is told of elements before they come.

    Raises ParseError, or Skip for what could grow without bound: no honest score declares anything, while entities and
    default attributes grow, and may ask for other files.
    """
    data = data.lstrip(b" \t\r\n")
    if _DECLARATION.search(data.replace(b"\0", b"")):
        raise Skip(Reason.DAMAGED, "it defines XML entities, or declares elements of its own")
    parser: ElementTree.XMLPullParser = ElementTree.XMLPullParser(("start", "end"))
    for text in _text(data):
        count(text.count("<"))
        parser.feed(text)
        yield from _ready(parser)
    parser.close()
    yield from _ready(parser)


def _ready(parser: ElementTree.XMLPullParser) -> Iterator[Any]:
    """What has been read: of the kinds of events that a parser knows, 'start' and 'end' alone."""
    return parser.read_events()


def _text(data: bytes) -> Iterator[str]:
    """The text in pieces, whatever it says of its encoding; names may suffer from a wrong one, notes do not."""
    encoding = next((name for mark, name in _MARKS.items() if data.startswith(mark)), "")
    if not encoding:
        stated = _DECLARED_ENCODING.match(data)
        encoding = _known(stated[1].decode("ascii", "replace")) if stated else "utf-8"
        if encoding == "utf-8" and not _is_utf8(data):
            encoding = "latin-1"
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    for at in range(0, len(data), _CHUNK):
        yield decoder.decode(data[at : at + _CHUNK], at + _CHUNK >= len(data))


def _known(name: str) -> str:
    """The codec of a stated encoding; UTF-8 for those that nobody writes, some of which take time without bound."""
    try:
        codec = codecs.lookup(name).name
    except LookupError:
        return "utf-8"
    return codec if _ENCODINGS.fullmatch(codec) else "utf-8"


def _is_utf8(data: bytes) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for at in range(0, len(data), _CHUNK):
            decoder.decode(data[at : at + _CHUNK], at + _CHUNK >= len(data))
    except UnicodeDecodeError:
        return False
    return True


def local(element: Element) -> str:
    """The name of an element without its namespace; MusicXML has none, but some programs write one."""
    return element.tag.rpartition("}")[2]


def _drop_namespaces(element: Element) -> None:
    if "}" in element.tag:
        for each in element.iter():
            each.tag = local(each)


class _Walk:
    """Where in a score the parser stands; hands every finished measure to its part and forgets it.

    A score is a list of parts of measures (partwise) or of measures of parts (timewise).
    """

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.title = ""
        self.kind = ""  # the name of the root
        self._path: list[Element] = []
        self._elements = self._pending = 0  # seen; seen since the last that were forgotten
        self._measures = self._notes = 0
        self._instruments: dict[str, Instruments] = {}
        self._by_id: dict[str, Part] = {}

    def count(self, elements: int) -> None:
        """Raises Skip where there are too many, in all or at a time; tags count for elements."""
        self._elements += elements
        self._pending += elements
        if self._elements > MAX_TAGS:
            raise Skip(Reason.TOO_LARGE, f"over {MAX_TAGS:,} XML tags")
        if self._pending > _MAX_PENDING:
            raise Skip(Reason.TOO_LARGE, f"over {_MAX_PENDING:,} XML tags in one measure, or outside of any")

    def start(self, element: Element) -> None:
        """An element of the upper three levels begins."""
        self._path.append(element)
        if len(self._path) == 1:
            self.kind = local(element)
            _check_root(self.kind)
        elif len(self._path) == 2 and self.kind == "score-partwise" and local(element) == "part":
            self._add_part(element.get("id", ""))

    def end(self, element: Element) -> None:
        """An element of the upper three levels is complete."""
        path = self._path
        path.pop()
        name = local(element)
        if len(path) == 2 and name == "measure" and self.kind == "score-partwise":
            self._measure(self.parts[-1] if self.parts else self._add_part(""), element, element)
        elif len(path) == 2 and name == "part" and self.kind == "score-timewise":
            number = element.get("id", "")
            self._measure(self._by_id.get(number) or self._add_part(number), element, path[1])
        elif len(path) == 1:
            self._header(name, element)
            del path[0][:]
            self._pending = 0

    def _measure(self, part: Part, content: Element, attributes: Element) -> None:
        _drop_namespaces(content)
        self._measures += 1
        if self._measures > MAX_MEASURES:
            raise Skip(Reason.TOO_LONG, f"over {MAX_MEASURES:,} measures of all parts")
        part.read(content, attributes.get("number", ""), attributes.get("implicit") == "yes")
        self._notes += len(part.bars[-1].notes) + len(part.bars[-1].drums)
        if self._notes > MAX_WRITTEN:
            raise Skip(Reason.TOO_LONG, f"over {MAX_WRITTEN:,} notes")
        del self._path[1][:]
        self._pending = 0

    def _header(self, name: str, element: Element) -> None:
        _drop_namespaces(element)
        if name == "work":
            self.title = words(element, "work-title") or self.title
        elif name == "movement-title":
            self.title = self.title or words(element)
        elif name == "part-list":
            for each in element:
                self._instruments[each.get("id", "")] = read_instruments(each)

    def _add_part(self, number: str) -> Part:
        if len(self.parts) == _MAX_PARTS:
            raise Skip(Reason.TOO_MANY_TRACKS, f"more than {_MAX_PARTS:,} parts")
        part = Part(self._instruments.get(number), self.parts[0] if self.parts else None)
        self.parts.append(part)
        self._by_id[number] = part
        return part


def _check_root(name: str) -> None:
    """Raises Skip where the root of an XML file is not a score's."""
    if name == "opus":
        raise Skip(Reason.NOT_MUSIC, "it is an opus, which only lists the files of its scores; give those")
    if name not in ("score-partwise", "score-timewise"):
        raise Skip(Reason.NOT_MUSIC, f"it is XML, but its root is <{name[:40]}> and not <score-partwise>")
