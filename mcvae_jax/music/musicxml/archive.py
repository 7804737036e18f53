"""A packed score (.mxl): which of its files is the score, and the bytes of that."""

import io
import zipfile
from xml.etree import ElementTree

from mcvae_jax.music.musicxml.tree import events, local
from mcvae_jax.music.score import Reason, Skip

PACKED = b"PK\x03\x04"
MAX_XML_BYTES = 64 << 20  # unpacked; a symphony takes 20 MB
_MAX_CONTAINER_BYTES = 1 << 20
_CONTAINER = "META-INF/container.xml"
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # those that the format allows


def unpack(data: bytes) -> bytes:
    """The score inside an .mxl. Raises Skip where there is none, it cannot be unpacked, or is over MAX_XML_BYTES."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _member(archive, _root_file(archive), MAX_XML_BYTES)
    except (Skip, MemoryError):
        raise
    except Exception as error:  # zipfile, zlib and struct raise a dozen kinds on damaged archives
        detail = str(error) or type(error).__name__
        raise Skip(Reason.DAMAGED, f"the .mxl cannot be unpacked: {detail}".splitlines()[0][:200]) from error


def _root_file(archive: zipfile.ZipFile) -> str:
    """The name of the score: the first root file that the container names, else the only file that can be one."""
    names = [info.filename for info in archive.infolist() if not info.is_dir()]
    if _CONTAINER in names:
        named = _first_root(_member(archive, _CONTAINER, _MAX_CONTAINER_BYTES))
        if named in names:
            return named
    candidates = [
        name
        for name in dict.fromkeys(names)
        if name.lower().endswith((".xml", ".musicxml")) and not name.startswith(("META-INF/", "__MACOSX/"))
    ]
    if len(candidates) > 1:  # parts lie in folders, the score does not
        candidates = [name for name in candidates if "/" not in name] or candidates
    if len(candidates) == 1:
        return candidates[0]
    if not candidates:
        raise Skip(Reason.NOT_MUSIC, "the .mxl holds no MusicXML")
    raise Skip(Reason.DAMAGED, f"the .mxl does not say which of its {len(candidates)} files is the score")


def _first_root(container: bytes) -> str:
    """The path that a container.xml states first; '' where it states none."""
    try:
        roots = [
            element
            for event, element in events(container, lambda _: None)
            if event == "start" and local(element) == "rootfile"
        ]
    except (ElementTree.ParseError, Skip):
        return ""
    return roots[0].get("full-path", "").removeprefix("./") if roots else ""


def _member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    info = archive.getinfo(name)
    if info.compress_type not in _METHODS:
        raise Skip(Reason.UNREADABLE, f"the .mxl is packed by method {info.compress_type}, which no .mxl may be")
    if info.flag_bits & 1:
        raise Skip(Reason.UNREADABLE, "the .mxl is encrypted")
    with archive.open(info) as member:
        data = member.read(limit + 1)
    if len(data) > limit:
        raise Skip(Reason.TOO_LARGE, f"the .mxl unpacks to over {limit:,} bytes")
    return data
