"""Downloads from a server on loopback, and each fault that servers, networks and disks have."""

import gzip
import hashlib
import io
import re
import resource
import shutil
import signal
import socket
import threading
import zipfile

import numpy as np
import pytest

from mcvae_jax.corpus import transfer
from mcvae_jax.corpus.downloads import Remote, fetch, known
from mcvae_jax.errors import UserError
from tests.file_server import serving

DATA = np.random.default_rng(0).integers(0, 256, 3_000_000).astype(np.uint8).tobytes()
SIZE = len(DATA)
SHA = hashlib.sha256(DATA).hexdigest()
MEBIBYTE = 1 << 20
BY_HAND = (
    r"(; |, or )get http://127.0.0.1:\d+/a/music.bin by hand, put it at \S+/mine/music.bin, and give the same command$"
)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(transfer, "PAUSES", (0.0, 0.0, 0.0))
    with serving() as (files, address):
        files.files["/a/music.bin"] = DATA
        files.address = f"{address}/a/music.bin"
        yield files


@pytest.fixture
def get(server, tmp_path):
    """Fetches into a cache, and keeps what is said."""

    class Get:
        folder = tmp_path / "cache" / "mine"
        path = folder / "music.bin"
        lines: list[str] = []

        def __call__(self, size=SIZE, sha256=SHA, intro=""):
            self.lines = []
            return fetch("mine", Remote(server.address, size, sha256), self.folder, self.lines.append, intro)

        def fails(self, words, **keywords):
            with pytest.raises(UserError, match=words) as failure:
                self(**keywords)
            assert "\n" not in str(failure.value) and not self.path.exists()
            return str(failure.value)

        def is_whole(self):
            assert self.path.read_bytes() == DATA
            assert sorted(path.name for path in self.folder.iterdir()) == [".lock", "music.bin", "music.bin.json"]
            return True

    return Get()


def test_a_file_is_fetched_once_and_then_read_offline(server, get):
    record = get(intro="the terms")
    assert get.is_whole() and get.lines == ["the terms", "mine: 3.0 MB in 0:00"]
    assert record == {"address": server.address, "bytes": len(DATA), "sha256": SHA, "fetched": record["fetched"]}
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", record["fetched"])
    server.files.clear()
    assert get(intro="the terms") == record == known(Remote(server.address, 0), get.folder)
    assert get.lines == [] and server.asked == [""]


def test_a_broken_download_goes_on_where_it_broke_off(server, get):
    server.cuts = [MEBIBYTE, MEBIBYTE // 2]
    get()
    assert get.is_whole() and server.asked == ["", "bytes=1048576-", "bytes=1572864-"]
    assert get.lines[0] == "mine: the connection broke off after 1.0 MB; trying again"


def test_the_next_command_goes_on_where_the_last_one_ended(server, get):
    server.cuts = [MEBIBYTE, 0, 0, 0, 0]
    words = (
        r"^mine was not downloaded: the connection broke off after 1.0 MB; 1.0 MB stay, and the same command goes on"
    )
    get.fails(words + " from there" + BY_HAND)
    server.cuts, server.asked = [], []
    get()
    assert get.is_whole() and server.asked == ["bytes=1048576-"]


def test_a_server_that_ignores_ranges_is_asked_for_the_whole(server, get):
    server.ranges, server.cuts = False, [MEBIBYTE]
    get()
    assert get.is_whole() and server.asked == ["", "bytes=1048576-"]


def test_a_file_that_changed_meanwhile_is_not_pieced_together(server, get):
    server.cuts = [MEBIBYTE, 0, 0, 0, 0]
    server.files["/a/music.bin"] = bytes(len(DATA))
    get.fails("broke off", sha256="")
    server.cuts, server.etag, server.files["/a/music.bin"] = [], '"second"', DATA
    get(sha256="")
    assert get.is_whole()


def test_without_a_mark_and_a_hash_nothing_is_pieced_together(server, get):
    server.etag, server.cuts = "", [MEBIBYTE]
    get(sha256="")
    assert get.is_whole() and server.asked == ["", ""]
    shutil.rmtree(get.folder)
    server.asked, server.cuts = [], [MEBIBYTE]
    get()  # here the hash will tell
    assert get.is_whole() and server.asked == ["", "bytes=1048576-"]


def test_all_had_come_when_the_last_process_was_killed(server, get):
    server.cuts = [2_999_999, 0, 0, 0, 0]
    get.fails("broke off")
    (get.folder / "music.bin.part").write_bytes(DATA)
    server.cuts = []
    get()
    assert get.is_whole() and server.asked[-1] == "bytes=3000000-"


def test_a_server_without_length(server, get):
    server.length = False
    get()
    assert get.is_whole()
    shutil.rmtree(get.folder)
    server.cuts = [MEBIBYTE]
    get.fails(r"its SHA-256 is [0-9a-f]{64}, not " + SHA + ": it was damaged on the way .*" + BY_HAND)


@pytest.mark.parametrize("name", ["music.zip", "music.tar.gz"])
def test_of_an_archive_without_length_and_hash_the_end_tells(server, get, name):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("a.bin", DATA)
    whole = data.getvalue()
    if name.endswith(".gz"):
        whole = gzip.compress(DATA, 1)
    server.files[f"/a/{name}"], server.length = whole, False
    server.address = server.address.replace("music.bin", name)
    server.cuts = [2_000_000]
    with pytest.raises(UserError, match="what came is no whole file of its kind"):
        get(sha256="")
    get(sha256="")
    assert (get.folder / name).read_bytes() == whole


def test_a_wrong_checksum(server, get):
    server.files["/a/music.bin"] = DATA[:-1] + b"x"
    get.fails(
        "its SHA-256 is [0-9a-f]{64}, not " + SHA + ": it was damaged on the way .* or it is another version" + BY_HAND
    )
    server.files["/a/music.bin"] = DATA
    get()
    assert get.is_whole()


def test_another_version_is_refused_by_its_length(server, get):
    server.files["/a/music.bin"] = DATA + b"more"
    get.fails("has 3,000,004 bytes, and the published one 3,000,000: it is another version" + BY_HAND)
    assert not (get.folder / "music.bin.part").exists()


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (404, "404 Not Found: the file has moved"),
        (410, "moved"),
        (403, "403 Forbidden: it asks for a login, or forbids it"),
    ],
)
def test_a_moved_address(server, get, status, words):
    server.statuses = [status]
    get.fails("^mine was not downloaded: 127.0.0.1 answers " + f"{status} .*{words.rpartition(' ')[2]}" + BY_HAND)
    assert len(server.asked) == 1


def test_a_busy_server_is_asked_again(server, get):
    server.statuses = [503, 429, 0]
    get()
    assert get.is_whole() and get.lines[:2] == [
        "mine: 127.0.0.1 answers 503 Service Unavailable; trying again",
        "mine: 127.0.0.1 answers 429 Too Many Requests; trying again",
    ]
    shutil.rmtree(get.folder)
    server.statuses = [503] * 4
    get.fails("answers 503 Service Unavailable; try again later" + BY_HAND)


def test_a_redirect_is_followed_and_a_login_page_is_not_music(server, get):
    address = server.address
    server.moved["/old"] = "/a/music.bin"
    server.address = address.replace("/a/music.bin", "/old/../old")
    server.moved["/old/../old"] = "/a/music.bin"
    fetch("mine", Remote(server.address, len(DATA), SHA), get.folder, get.lines.append)
    assert (get.folder / "old").read_bytes() == DATA
    server.address, server.page = address, b"<!DOCTYPE html><title>Log in</title>"
    get.fails("127.0.0.1 sends a web page in place of the file: it has moved, or asks for a login" + BY_HAND)
    server.page, server.files["/a/music.bin"] = b"", b"\n <HTML><body>Gone</body></HTML>"
    get.fails("sends a web page", sha256="", size=0)


def test_a_full_disk_is_told_before_anything_comes(server, get, monkeypatch):
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1_000_000))
    get.fails(
        "3.0 MB are to come, and the disk of .* has 1.0 MB free: make room, or set MCVAE_CACHE to a folder with room"
    )


def test_a_disk_that_fills_up(server, get):
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    get.folder.mkdir(parents=True)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limit[1]))
    try:
        get.fails("The disk of .* is full .*; free 4 MB, and the same command goes on$")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, old)
    get()
    assert get.is_whole() and server.asked[-1] == "bytes=1000000-"


def test_a_place_that_cannot_be_written(server, get):
    get.folder.parent.mkdir(parents=True)
    get.folder.write_text("a file")
    with pytest.raises(UserError, match="^Cannot write .*music.bin: .*file"):
        get()


def test_a_connection_that_hangs(server, get, monkeypatch):
    monkeypatch.setattr(transfer, "READ", 0.2)
    monkeypatch.setattr(transfer, "PAUSES", (0.0,))
    server.silent = 0.6
    get.fails("127.0.0.1 sent nothing for 0 s; try again later" + BY_HAND)
    server.silent, server.pauses = 0.0, [0.6]
    get()
    assert get.is_whole()


def test_no_network(server, get):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        server.address = f"http://127.0.0.1:{unused.getsockname()[1]}/a/music.bin"
        get.fails(r"127.0.0.1 cannot be reached \(is there a network\?\)" + BY_HAND)
    assert not server.asked


def test_a_server_that_never_ends_does_not_fill_the_disk(server, get, monkeypatch):
    server.length = False
    get.fails("more than 0.4 MB are to come", size=100_000, sha256="")
    server.length = True
    get.fails("more than 0.4 MB are to come", size=100_000, sha256="")
    monkeypatch.setattr(transfer, "UNKNOWN", 1_000_000)
    get.fails("more than 1.0 MB are to come", size=0, sha256="")


def test_progress_says_how_much_has_come_and_how_long_it_takes(server, get, monkeypatch):
    monkeypatch.setattr(transfer, "SECONDS_BETWEEN_LINES", 0.0)
    get()
    assert re.fullmatch(r"mine: 0\.0 of 3\.0 MB \(1%\), [\d.,]+ MB/s, 0:\d\d left", get.lines[0])
    shutil.rmtree(get.folder)
    server.length = False
    get()
    assert get.lines[0].endswith("the server does not say how much is to come")


def test_two_that_want_the_same_download_it_once(server, get):
    server.pauses = [0.3]
    said: dict[int, list[str]] = {0: [], 1: []}
    remote = Remote(server.address, len(DATA), SHA)
    records = {}

    def run(number):
        records[number] = fetch("mine", remote, get.folder, said[number].append)

    threads = [threading.Thread(target=run, args=(number,)) for number in said]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert get.is_whole() and server.asked == [""] and records[0] == records[1]
    assert "mine is being fetched by another process; waiting for it" in said[0] + said[1]


def test_a_file_that_was_put_there_by_hand(server, get):
    get.folder.mkdir(parents=True)
    get.path.write_bytes(DATA)
    assert get()["fetched"] == "by hand" and get.is_whole() and not server.asked
    (get.folder / "music.bin.json").unlink()
    get.path.write_bytes(b"another")
    with pytest.raises(
        UserError, match=r"is not mine as it was published \(its SHA-256 is \w+, not \w+\); take it away"
    ):
        get()
    assert get(sha256="")["sha256"] == hashlib.sha256(b"another").hexdigest()


def test_a_damaged_file_of_the_cache_is_fetched_again(server, get):
    get()
    get.path.write_bytes(DATA[:-5])
    get()
    assert get.is_whole() and "is damaged, or of another version; it is fetched again" in get.lines[0]
    (get.folder / "music.bin.json").write_text("{")
    assert get()["fetched"] == "by hand" and get.is_whole()
    server.moved["/a/music.bin?v=2"] = "/a/music.bin"
    server.address += "?v=2"  # the table names another version
    get()
    assert get.is_whole() and len(server.asked) == 4
