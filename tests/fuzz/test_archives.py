"""Whatever an archive holds, its music comes out, the rest is named, or one line says that it is no archive."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Iterator

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from mcvae_jax.corpus import archives
from mcvae_jax.errors import UserError
from mcvae_jax.music.score import Reason, Skip
from tests.corpus.test_archives import CASES, MUSIC, special, tar_bytes, write_zip
from tests.fuzz.bounds import within
from tests.fuzz.strategies import mutants
from tests.mutants import mutate_archive

pytestmark = pytest.mark.fuzz


def _archives() -> Iterator[tuple[str, bytes]]:
    """Small archives of every kind, as bytes by suffix."""
    members = [("a.mid", MUSIC), ("deep/b.mid", MUSIC[:200]), ("c.txt", b"text" * 50), ("d.zip", b"PK"), ("é.mid", b"")]
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        buffer = io.BytesIO()
        write_zip(buffer, members, method)
        yield ".zip", buffer.getvalue()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, archive.open("a.mid", "w", force_zip64=True) as member:
        member.write(MUSIC)
    yield ".zip", buffer.getvalue()
    long = [("n" * 150 + ".mid", MUSIC), (special("l.mid", tarfile.SYMTYPE, "a" * 120), b"")]
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        options = {"format": form}
        if form == tarfile.PAX_FORMAT:
            options["pax_headers"] = {"GNU.sparse.major": "1", "comment": "x" * 30}
        yield ".tar", tar_bytes([*members, *([] if form == tarfile.USTAR_FORMAT else long)], **options)
    for pack in (gzip.compress, bz2.compress, lzma.compress):
        yield ".tar.gz", pack(tar_bytes(members[:2]))
    yield from ((".zip" if path.suffix == ".zip" else ".tar", path.read_bytes()) for path in sorted(CASES.iterdir()))


SEEDS = list(_archives())
NAMES = st.sampled_from(
    [
        "a.mid",
        "b/c.MID",
        "../../up.krn",
        "/abs.abc",
        "._a.mid",
        "x\x1b[2J.mid",
        "e\u202e.xml",
        "n" * 200 + ".mxl",
        "r.txt",
    ]
)
DATA = st.sampled_from([MUSIC, b"", b"x" * 5000]) | st.binary(max_size=40)
MEMBERS = st.dictionaries(NAMES, DATA, max_size=6)
ODD = st.builds(special, NAMES, st.sampled_from([tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE]))
METHODS = st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
PACKERS = st.sampled_from([bytes, gzip.compress, bz2.compress, lzma.compress])


@pytest.fixture(scope="module", autouse=True)
def little_is_unpacked():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(archives, "ALWAYS", 4 << 20)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("archives")


def listed(source) -> list[archives.Member]:
    """The members of an archive, each sensible; UserError, of one line, where it is none."""
    with within(archives.LIMITS):
        try:
            found = [member for member in archives.members(str(source)) if member]
        except UserError as error:
            assert "\n" not in str(error)
            event("no archive")
            raise
    for member in found:
        assert member.name.isprintable()
        if isinstance(member.content, Skip):
            assert member.content.reason in Reason and member.content.detail.isprintable()
            event(str(member.content.reason))
        else:
            event("music")
    return found


@given(mutants(SEEDS, lambda seed, chance: (seed[0], mutate_archive(seed[1], chance))))
def test_mutants_of_archives(folder, archive):
    suffix, data = archive
    source = folder / f"mutant{suffix}"
    source.write_bytes(data)
    try:
        listed(source)
    except UserError:
        pass


@given(MEMBERS, METHODS)
def test_zips_of_any_members(folder, members, method):
    source = write_zip(folder / "any.zip", members.items(), method)
    assert contents(listed(source)) == wanted(members)


@given(MEMBERS, st.lists(ODD, max_size=2), PACKERS, st.sampled_from([0, 1, 2]))
def test_tars_of_any_members(folder, members, odd, pack, form):
    if form == tarfile.USTAR_FORMAT:  # which has room for 100 characters
        members = {name: data for name, data in members.items() if len(name) < 100}
        odd = [info for info in odd if len(info.name) < 100]
    source = folder / "any.tar"
    source.write_bytes(pack(tar_bytes([*members.items(), *((info, b"") for info in odd)], format=form)))
    assert contents(listed(source)) == wanted(members)


def wanted(members: dict[str, bytes]) -> list[bytes]:
    """The bytes of those that are music by their names."""
    return sorted(data for name, data in members.items() if archives.music_suffix(name))


def contents(found: list[archives.Member]) -> list[bytes]:
    return sorted(member.content for member in found if isinstance(member.content, bytes))
