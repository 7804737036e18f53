"""Archives that are damaged, hostile or merely odd: music comes out, the rest is named, and all of it is bounded."""

import bz2
import gzip
import io
import lzma
import random
import struct
import tarfile
import time
import zipfile
import zlib
from pathlib import Path

import pytest

from mcvae_jax.children import How, Limits
from mcvae_jax.corpus import archives
from mcvae_jax.corpus.read import Skipped, Song, read_songs
from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.errors import UserError
from mcvae_jax.music.score import Reason, Skip
from tests import midi_oracle as raw

CASES = Path(__file__).parents[1] / "cases" / "archives"
MUSIC = raw.midi(raw.melody(range(60, 76), 480))
ODD_NAMES = ["../../up.mid", "/tmp/absolute.mid", "x\x1b[2J\u202e.mid", "same.mid", "same.mid", "p" * 5000 + ".mid"]


def read(source):
    return list(read_songs(CorpusSettings(str(source)), 1))


def listed(source):
    """What a child would list: the reason of each member that is left out, 'music' for the others, by name."""
    found = [member for member in archives.members(str(source)) if member]
    return [(each.name, each.content.reason if isinstance(each.content, Skip) else "music") for each in found]


def write_zip(path, members, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


def tar_bytes(members, **options):
    """Members (name or TarInfo, bytes) as a tar archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", **options) as archive:
        for name, data in members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


# ---- the cases


def test_a_damaged_member_is_skipped_and_named():
    found = read(CASES / "lzma_bad.zip")
    assert found[0] == Skipped("a.mid", Reason.DAMAGED, "Corrupt input data") and found[1].name == "b.mid"


@pytest.mark.parametrize("name", ["version.zip", "badutf8_central.zip", "sparse00.tar"])
def test_what_is_no_archive_is_refused_in_one_line(name):
    with pytest.raises(UserError, match="is no archive that can be read: ") as caught:
        read(CASES / name)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("end", ["damaged", "cut"])
def test_members_behind_a_damaged_header_are_not_lost_in_silence(tmp_path, end):
    """Python's module takes such a header for the end of the archive."""
    data = tar_bytes([(f"{name}.mid", MUSIC) for name in "abc"])
    second = 512 + -(-len(MUSIC) // 512) * 512
    assert data[second : second + 5] == b"b.mid"
    if end == "damaged":
        data = data[: second + 100] + b"\xff" + data[second + 101 :]
    (tmp_path / "x.tar").write_bytes(data if end == "damaged" else data[: second + 100])
    assert listed(tmp_path / "x.tar") == [("a.mid", "music"), ("x.tar", Reason.DAMAGED)]


def test_a_member_longer_than_the_archive_does_not_loop():
    started = time.monotonic()
    found = read(CASES / "paxsize2.tar")
    assert time.monotonic() - started < 5
    assert [each[:2] for each in found] == [("a.mid", Reason.TOO_LARGE), ("paxsize2.tar", Reason.DAMAGED)]
    assert "longer than the archive" in found[1].detail


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_bombs_and_damaged_members_cost_themselves(tmp_path, method):
    source = tmp_path / "a.zip"
    write_zip(source, [("a.mid", MUSIC), ("bomb.mid", bytes(200 << 20))])
    with zipfile.ZipFile(source, "a", method) as archive:
        archive.writestr("damaged.mid", MUSIC)
        archive.writestr("z.mid", MUSIC)
    data = bytearray(source.read_bytes())
    data[data.index(b"damaged.mid") + len("damaged.mid") + 40] ^= 0xFF
    source.write_bytes(data)
    expected = ["music", Reason.TOO_LARGE, Reason.DAMAGED, "music"]
    assert [reason for _, reason in listed(source)] == expected


def test_an_archive_that_breaks_off(tmp_path):
    source = tmp_path / "m.tar.gz"
    noise = MUSIC + random.Random(0).randbytes(100_000)
    source.write_bytes(gzip.compress(tar_bytes([("a.mid", noise), ("b.mid", noise)]))[:-60_000])
    found = read(source)
    assert isinstance(found[0], Song)
    assert [each[:2] for each in found[1:]] == [("b.mid", Reason.DAMAGED), ("m.tar.gz", Reason.DAMAGED)]


# ---- what is in an archive


def test_names_are_only_names(tmp_path):
    odd = [(name, MUSIC) for name in ODD_NAMES]
    with pytest.warns(UserWarning, match="Duplicate"):
        write_zip(tmp_path / "a.zip", odd)
    (tmp_path / "a.tar").write_bytes(tar_bytes(odd))
    expected = sorted([*ODD_NAMES[:2], r"x\x1b[2J\u202e.mid", "same.mid", "same.mid", "p" * archives.MAX_NAME + "..."])
    for name in ("a.zip", "a.tar"):
        found = read(tmp_path / name)
        assert sorted(each.name for each in found) == expected and all(isinstance(each, Song) for each in found)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar", "a.zip"]


def test_what_cannot_be_read_is_named(tmp_path):
    links = [special("link.mid", tarfile.SYMTYPE, "/etc/passwd"), special("hard.mid", tarfile.LNKTYPE, "a.mid")]
    links += [special("device.mid", tarfile.CHRTYPE), special("pipe.mid", tarfile.FIFOTYPE)]
    plain = [("a.mid", MUSIC), ("in.zip", b"PK"), ("in.tar.gz", b""), ("a.mid.gz", b""), ("readme.txt", b"")]
    (tmp_path / "a.tar").write_bytes(tar_bytes(plain + [(link, b"") for link in links]))
    found = dict(listed(tmp_path / "a.tar"))
    nested = dict.fromkeys(["in.zip", "in.tar.gz", "a.mid.gz"], Reason.NESTED)
    assert found == nested | {link.name: Reason.LINK for link in links} | {"a.mid": "music"}
    link = zipfile.ZipInfo("link.mid")
    link.external_attr = 0o120777 << 16
    source = write_zip(tmp_path / "a.zip", [*plain, (link, "/etc/passwd")])
    assert dict(listed(source)) == nested | {"link.mid": Reason.LINK, "a.mid": "music"}


def test_archives_in_a_folder_are_named(tmp_path):
    (tmp_path / "a.mid").write_bytes(MUSIC)
    write_zip(tmp_path / "more.zip", [("b.mid", MUSIC)])
    assert [getattr(each, "reason", "song") for each in read(tmp_path)] == ["song", Reason.NESTED]


def test_encrypted_members_are_named(tmp_path):
    data = bytearray(write_zip(tmp_path / "a.zip", [("a.mid", MUSIC)]).read_bytes())
    for sign, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.index(sign) + place] |= 1
    (tmp_path / "a.zip").write_bytes(data)
    assert listed(tmp_path / "a.zip") == [("a.mid", Reason.UNREADABLE)]


@pytest.mark.parametrize(
    ("suffix", "pack"),
    [(".tar", bytes), (".tar.gz", gzip.compress), (".tgz", gzip.compress), (".tar.bz2", bz2.compress),
     (".tar.xz", lzma.compress), (".txz", lzma.compress), (".tar", lzma.compress)],
)  # fmt: skip
def test_tar_archives_of_every_packing(tmp_path, suffix, pack):
    source = tmp_path / f"a{suffix}"
    source.write_bytes(pack(tar_bytes([("a.mid", MUSIC)])))
    assert listed(source) == [("a.mid", "music")]


def test_zstd_is_read_or_refused_by_name(tmp_path):
    source = tmp_path / "a.tar.zst"
    source.write_bytes(b"\x28\xb5\x2f\xfd" + bytes(20))
    with pytest.raises(UserError, match="zstd|no archive that can be read"):
        listed(source)


# ---- bounds


def overlapping(size, members):
    """A .zip of which all members are the same packed zeros."""
    name, packer = b"a.mid", zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(bytes(size)) + packer.flush()
    sizes = (zlib.crc32(bytes(size)), len(packed), size, len(name))
    local = struct.pack("<4sHHHHHLLLHH", b"PK\3\4", 20, 0, 8, 0, 0, *sizes, 0) + name + packed
    entry = struct.pack("<4sHHHHHHLLLHHHHHLL", b"PK\1\2", 20, 20, 0, 8, 0, 0, *sizes, 0, 0, 0, 0, 0, 0) + name
    count = min(members, 65535)
    return (
        local
        + entry * members
        + struct.pack("<4sHHHHLLH", b"PK\5\6", 0, 0, count, count, len(entry) * members, len(local), 0)
    )


def test_a_zip_whose_members_overlap_unpacks_to_a_bounded_size(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "ALWAYS", 16 << 20)
    (tmp_path / "a.zip").write_bytes(overlapping(1 << 20, 400))
    started = time.monotonic()
    found = [reason for _, reason in listed(tmp_path / "a.zip")]
    assert time.monotonic() - started < 10
    assert len(found) == 400 and set(found[16:]) <= {Reason.TOO_LARGE, Reason.DAMAGED}  # newer zipfiles see the overlap
    assert sum(reason == "music" for reason in found) <= 16


def test_members_that_are_unpacked_in_vain_count(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "ALWAYS", 20 << 20)
    source = write_zip(tmp_path / "a.zip", [(f"{n}.mid", bytes(8 << 20)) for n in range(10)] + [("z.mid", MUSIC)])
    found = listed(source)
    assert {reason for _, reason in found} == {Reason.TOO_LARGE} and len(found) == 11
    assert "unpacks to over 20,971,520 bytes" in list(archives.members(str(source)))[-1].content.detail


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_tar_that_unpacks_without_end(tmp_path, monkeypatch, pack):
    monkeypatch.setattr(archives, "ALWAYS", 4 << 20)
    source = tmp_path / "a.tar.gz"
    source.write_bytes(pack(tar_bytes([("a.mid", MUSIC), ("zeros", bytes(20 << 20)), ("b.mid", MUSIC)])))
    assert listed(source) == [("a.mid", "music"), ("a.tar.gz", Reason.TOO_LARGE)]


def test_members_beyond_a_number_are_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_MEMBERS", 5)
    members = [(f"{n}.mid", MUSIC) for n in range(9)]
    write_zip(tmp_path / "a.zip", members)
    (tmp_path / "a.tar").write_bytes(tar_bytes(members))
    for name in ("a.zip", "a.tar"):
        found = listed(tmp_path / name)
        assert found == [(f"{n}.mid", "music") for n in range(5)] + [(name, Reason.TOO_LARGE)]


@pytest.mark.more
def test_a_directory_that_takes_too_much_memory_is_refused(tmp_path, monkeypatch):
    """Two million empty names, 92 MB; held at once they take some 800 MB."""
    entry = struct.pack("<4sHHHHHHLLLHHHHHLL", b"PK\1\2", 20, 20, *[0] * 14)
    count = 2_000_000
    end = struct.pack("<4sHHHHLLH", b"PK\5\6", 0, 0, 65535, 65535, len(entry) * count, 0, 0)
    (tmp_path / "a.zip").write_bytes(entry * count + end)
    monkeypatch.setattr(archives, "LIMITS", Limits(60.0, 256))
    with pytest.raises(UserError, match="too much memory to read: over 256 MiB"):
        read(tmp_path / "a.zip")


def test_memory_that_a_member_asks_for_costs_that_member(tmp_path):
    """The header of a's data asks for a dictionary of 4 GiB."""
    source = write_zip(tmp_path / "a.zip", [("a.mid", MUSIC), ("b.mid", MUSIC)], zipfile.ZIP_LZMA)
    data = bytearray(source.read_bytes())
    properties = data.index(b"a.mid") + len("a.mid") + 4
    assert data[properties] == 0x5D
    data[properties + 1 : properties + 5] = b"\xff" * 4
    source.write_bytes(data)
    found = read(source)
    assert found[0][:2] == ("a.mid", Reason.TOO_MUCH_MEMORY) and isinstance(found[1], Song)


def stuck(source):
    yield archives.Member("a.mid", ".mid", MUSIC)
    while True:
        pass


@pytest.mark.more
def test_a_reader_of_archives_that_loops_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "members", stuck)
    monkeypatch.setattr(archives, "LIMITS", Limits(1.0, 256))
    song, rest = read(write_zip(tmp_path / "a.zip", [("a.mid", MUSIC)]))
    assert isinstance(song, Song)
    assert rest[:2] == ("a.zip", Reason.TOO_SLOW) and rest.detail.startswith("the rest of it is not read: over 1")


def test_no_failure_of_a_child_is_without_a_reason():
    from mcvae_jax.children import Failure
    from mcvae_jax.music.readers import skip_of

    assert all(skip_of(Failure(how, "x")).reason in Reason for how in How)
