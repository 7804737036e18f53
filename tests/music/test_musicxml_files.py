"""MusicXML as files: encodings, packed scores, what is no score, and damage."""

import io
import socket
import zipfile

import pytest

from mcvae_jax.music.musicxml import archive
from mcvae_jax.music.score import Reason, Skip
from tests.musicxml import letters, notes, part, read, score

MUSIC = notes("C4 D4 E4 F4")
XML = score(part(MUSIC, MUSIC), header="<movement-title>Prélude ♭</movement-title>")
HEAD = '<?xml version="1.0" encoding="{}"?>\n'
DTD = (
    '<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 4.0 Partwise//EN" "http://127.0.0.1:9/partwise.dtd">\n'
)
CONTAINER = "<container>{}<rootfiles>{}</rootfiles></container>"
ROOT = '<rootfile full-path="{}"/>'


@pytest.mark.parametrize(
    "data",
    [
        XML.encode(),
        b"\n\n  " + (HEAD.format("UTF-8") + DTD + XML).encode(),
        b"\xef\xbb\xbf" + (HEAD.format("utf-8") + XML).encode(),
        (HEAD.format("UTF-16") + XML).encode("utf-16"),
        (HEAD.format("UTF-16") + XML).encode("utf-16-be"),
        (HEAD.format("UTF-16") + XML).encode("utf-16-le"),
        (HEAD.format("UTF-16") + XML).encode(),  # it says so, and is not
        (HEAD.format("punycode") + XML).encode(),
        XML.replace("<score-partwise ", '<score-partwise xmlns="http://example.org/m" ').encode(),
        XML.replace("<", "<m:")
        .replace("<m:/", "</m:")
        .replace("<m:score-partwise ", '<m:score-partwise xmlns:m="u" ')
        .encode(),
        XML.replace("<part-list>", "<!-- a comment --><?a processing instruction?><part-list>").encode(),
    ],
)
def test_encodings_namespaces_and_doctypes(data):
    found = read(data)
    assert letters(found) == "cdefcdef" and found.title == "Prélude ♭"


@pytest.mark.parametrize("stated", ["ISO-8859-1", "windows-1252", "UTF-8", "nonsense"])
def test_latin_letters_are_read_whatever_is_stated(stated):
    data = (HEAD.format(stated) + XML.replace(" ♭", "")).encode("latin-1")
    assert read(data).title == "Prélude"


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        ("<html><body/></html>", "its root is <html> and not <score-partwise>"),
        ("<svg xmlns='http://www.w3.org/2000/svg'/>", "its root is <svg>"),
        ("<opus><score/></opus>", "it is an opus, which only lists the files of its scores"),
        ("MThd", "it is no XML"),
        ("X:1\nK:C\nCDEF|", "it is no XML"),
        ("<" * 1000, "it is no XML"),
        ("\0" * 1000, "it is no XML"),
        ("<!-- nothing -->", "it is no XML"),
    ],
)
def test_what_is_no_music_says_so(data, detail):
    with pytest.raises(Skip) as caught:
        read(data)
    assert caught.value.reason == Reason.NOT_MUSIC and detail in caught.value.detail


def test_a_score_that_breaks_off_is_damaged():
    with pytest.raises(Skip) as caught:
        read(XML[: len(XML) // 2])
    assert caught.value.reason == Reason.DAMAGED and "breaks off" in caught.value.detail


ENTITIES = "".join(f'<!ENTITY e{k} "{f"&e{k - 1};" * 10}">' for k in range(1, 10))


@pytest.mark.parametrize(
    "subset",
    [
        '<!ENTITY e0 "aaaaaaaaaa">' + ENTITIES,
        '<!ENTITY e9 SYSTEM "file:///etc/hostname">',
        '<!ENTITY % e9 SYSTEM "http://127.0.0.1:9/x"> %e9;',
        f'<!ATTLIST note x CDATA "{"a" * 10_000}">',
        "<!ELEMENT note ANY>",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_declarations_are_refused_and_nothing_is_opened(subset, encoding, monkeypatch):
    monkeypatch.setattr(socket, "socket", None)
    bomb = f"<!DOCTYPE score-partwise [{subset}]>" + XML.replace("Prélude", "&e9;")
    with pytest.raises(Skip, match="defines XML entities"):
        read(bomb.encode(encoding))


def packed(*members: tuple[str, str | bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        for name, content in members:
            file.writestr(name, content)
    return buffer.getvalue()


def container(*names: str, before: str = "") -> tuple[str, str]:
    return "META-INF/container.xml", CONTAINER.format(before, "".join(ROOT.format(name) for name in names))


OTHER = score(part(notes("G4 A4 B4 C5")))
PDF = '<rootfile full-path="s.pdf" media-type="application/pdf"/>'


@pytest.mark.parametrize(
    "members",
    [
        [container("s.xml"), ("a.xml", OTHER), ("s.xml", XML)],
        [container("deep/er/s.musicxml", "s.pdf"), ("a.xml", OTHER), ("deep/er/s.musicxml", XML)],
        [("mimetype", "application/vnd.recordare.musicxml"), container("./s.xml"), ("s.xml", XML), ("p1.xml", OTHER)],
        [("META-INF/container.xml", "<container/>"), ("s.xml", XML)],
        [("META-INF/container.xml", "<broken"), ("s.xml", XML)],
        [container("gone.xml"), ("s.MusicXML", XML), ("cover.png", b"png")],
        [("s.xml", XML), ("__MACOSX/._s.xml", b"mac"), ("parts/p1.xml", OTHER)],
        [("folder/s.xml", XML)],
        [("META-INF/container.xml", DTD + container("s.xml")[1]), ("a.xml", OTHER), ("s.xml", XML)],
    ],
)
def test_the_container_says_which_file_is_the_score(members):
    assert letters(read(packed(*members), ".mxl")) == "cdefcdef"


@pytest.mark.parametrize(("data", "suffix"), [(XML.encode(), ".mxl"), (packed(("s.xml", XML)), ".musicxml")])
def test_the_wrong_name_for_plain_or_packed_does_no_harm(data, suffix):
    assert letters(read(data, suffix)) == "cdefcdef"


def damaged(change) -> bytes:
    """A packed score with one thing changed: change(bytes as a bytearray, where the directory begins)."""
    data = bytearray(packed(("s.xml", XML * 1)))
    change(data, data.rindex(b"PK\x01\x02"))
    return bytes(data)


def put(offset: int, value: bytes, in_directory: bool = True):
    def change(data: bytearray, directory: int) -> None:
        at = directory + offset if in_directory else offset
        data[at : at + len(value)] = value

    return change


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (packed(("a.xml", XML), ("b.xml", XML)), Reason.DAMAGED),
        (packed(("a.txt", XML)), Reason.NOT_MUSIC),
        (packed(), Reason.NOT_MUSIC),
        (packed(("a.xml", "")), Reason.NOT_MUSIC),
        (packed(("s.xml", XML), method=zipfile.ZIP_BZIP2), Reason.UNREADABLE),
        (packed(("s.xml", XML), method=zipfile.ZIP_LZMA), Reason.UNREADABLE),
        (damaged(put(8, b"\x01")), Reason.UNREADABLE),  # encrypted
        (damaged(put(10, b"\x63\x00")), Reason.UNREADABLE),  # a method that nobody knows
        (damaged(put(6, b"\xff")), Reason.DAMAGED),  # needs version 25.5
        (damaged(put(16, b"\0\0\0\0")), Reason.DAMAGED),  # the checksum
        (damaged(put(24, b"\x01\0\0\0")), Reason.DAMAGED),  # a size of one byte
        (damaged(put(42, b"\xff\xff\xff\x7f")), Reason.DAMAGED),  # an offset beyond the end
        (damaged(put(40, b"\xff" * 30, in_directory=False)), Reason.DAMAGED),  # the stream
        (damaged(lambda data, directory: data.__delitem__(slice(directory, None))), Reason.DAMAGED),
        (b"PK\x03\x04" + bytes(100), Reason.DAMAGED),
    ],
)
def test_damaged_packed_scores_are_skipped(data, reason):
    with pytest.raises(Skip) as caught:
        read(data, ".mxl")
    assert caught.value.reason == reason, caught.value


def test_a_packed_score_that_unpacks_without_bound_is_refused(monkeypatch):
    monkeypatch.setattr(archive, "MAX_XML_BYTES", len(XML.encode()))
    assert letters(read(packed(("s.xml", XML)), ".mxl")) == "cdefcdef"
    with pytest.raises(Skip) as caught:
        read(packed(("s.xml", XML + " ")), ".mxl")
    assert caught.value.reason == Reason.TOO_LARGE
