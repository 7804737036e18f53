"""Buckets, on emulators: what is pushed, pulled, locked, and left by processes that are killed."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from mcvae_jax import places
from mcvae_jax.errors import UserError
from mcvae_jax.places import parse_address
from mcvae_jax.storage import buckets, lease, objects
from mcvae_jax.storage.files import replacing
from mcvae_jax.storage.lease import Lease
from mcvae_jax.storage.mirror import Mirror
from mcvae_jax.storage.objects import BucketError, open_objects
from tests import emulators
from tests.emulators import BUCKET, another_machine


@pytest.fixture(scope="module", params=["gs", pytest.param("s3", marks=pytest.mark.slow)])
def scheme(request):
    with pytest.MonkeyPatch.context() as patch, {"gs": emulators.google, "s3": emulators.amazon}[request.param](patch):
        yield request.param


@pytest.fixture
def root(scheme, request, monkeypatch, tmp_path):
    """The address of a folder of its own for each test, on a machine that has seen no bucket."""
    name = request.node.name.replace("[", "-").replace("]", "")
    with another_machine(monkeypatch, tmp_path / "cache"):
        yield f"{scheme}://{BUCKET}/{name}"


def names_of(root):
    address = parse_address(root)
    return sorted(name.removeprefix(f"{address.path}/") for name in open_objects(address).list(f"{address.path}/"))


def write(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def contents(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


# ---- places


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "gcs://bucket/run",
            "gcs://bucket/run is no place that this program knows; give a folder, or gs://BUCKET/PATH",
        ),
        ("https://bucket/run", "no place that this program knows"),
        ("gs://", "gs:// names no bucket"),
        ("gs:///run", None),
        ("gs://bucket/a//b", "has no empty parts"),
        ("s3://bucket/../b", "has no empty parts, '.' or '..'"),
    ],
)
def test_addresses_that_cannot_be_are_one_line(text, line):
    if line is None:  # as pathlib writes gs://run
        assert parse_address(text) == ("gs", "run", "")
        return
    with pytest.raises(UserError, match=line):
        buckets.fetched(text)


def test_a_folder_of_this_machine_stays_what_it_is(tmp_path):
    with buckets.mounted(tmp_path / "run") as folder:
        assert folder == tmp_path / "run" and not folder.exists()
    assert buckets.fetched("C/a:b") == places.Path("C/a:b")


def test_no_folder_is_named_after_a_bucket(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="gs:/bucket/x is an address, and this cannot be in a bucket"):
        with replacing(places.Path("gs://bucket/x")):
            pass
    assert not list(tmp_path.iterdir())


# ---- what is pushed and pulled


def test_what_is_written_here_is_read_elsewhere(root, elsewhere):
    files = {
        "config.json": "{}",
        "metrics.jsonl": "1\n",
        "songs/index.html": "page",
        "checkpoints/2/identity/identity.json": "{}",
    }
    with buckets.mounted(root) as folder:
        write(folder, files | {"lock": "", ".songs.abc.part/new": "half", "checkpoints/3.orbax-checkpoint-tmp-0/x": ""})
    assert names_of(root) == sorted(files)
    with elsewhere():
        assert contents(buckets.fetched(root)) == files
        assert contents(buckets.fetched(f"{root}/songs")) == {"index.html": "page"}
    with elsewhere(), buckets.mounted(root) as folder:
        assert contents(folder) == files
        (folder / "metrics.jsonl").write_text("1\n2\n")
        (folder / "songs" / "index.html").unlink()
    assert "songs/index.html" not in names_of(root)
    with elsewhere():
        assert buckets.fetched(f"{root}/metrics.jsonl").read_text() == "1\n2\n"


def test_paths_are_told_as_addresses(root):
    with buckets.mounted(root) as folder:
        assert places.shown(f"{folder / 'vae'} is done") == f"{root}/vae is done"


def test_what_others_put_into_the_folder_stays(root):
    address = parse_address(root)
    with buckets.mounted(root) as folder:
        write(folder, {"a": "1"})
        open_objects(address).write(f"{address.path}/notes.txt", b"mine")
    with buckets.mounted(root) as folder:
        assert (folder / "notes.txt").read_text() == "mine"
    assert names_of(root) == ["a", "notes.txt"]


def test_a_corpus_is_downloaded_once_for_each_machine(root, elsewhere, monkeypatch, tmp_path):
    with buckets.mounted(root) as folder:
        write(folder, {"tokens.npy": "many", "corpus.json": "{}"})
    downloads = []
    for kind in (objects._Google, objects._S3):
        download = kind.download
        monkeypatch.setattr(
            kind, "download", lambda self, name, path, of=download: (downloads.append(name), of(self, name, path))
        )
    for _ in range(2):
        with another_machine(monkeypatch, tmp_path / "one machine"):
            times = {path.name: path.stat().st_mtime for path in buckets.fetched(root).iterdir()}
    assert len(downloads) == 2
    with elsewhere():
        assert {path.name: path.stat().st_mtime for path in buckets.fetched(root).iterdir()} == times


def test_two_processes_of_a_machine_have_folders_of_their_own(root, monkeypatch):
    with buckets.mounted(root) as folder:
        write(folder, {"a": "1"})
    first = buckets.fetched(root)
    monkeypatch.setattr(buckets, "_used", [])
    second = buckets.fetched(root)
    assert first != second and contents(first) == contents(second) == {"a": "1"}


class _Killed(Exception):
    pass


def test_a_push_that_is_cut_off_anywhere_leaves_what_can_go_on(root, elsewhere, tmp_path):
    """A checkpoint is there with all of its arrays or not at all, and what holds checksums comes first."""
    address = parse_address(root)
    bucket = open_objects(address)
    old = {f"checkpoints/1/{name}": "1" for name in ("params/a", "params/b", "identity/identity.json")}
    new = {f"checkpoints/2/{name}": "2" for name in ("params/a", "params/b", "identity/identity.json")}
    songs = {"songs/songs.json": "sums", "songs/01.mid": "notes"}
    for number in range(9):  # of 5 uploads and 3 removals
        prefix = f"{address.path}/{number}/"
        folder = tmp_path / str(number) / "run"
        mirror = Mirror(bucket, prefix, folder, root)
        write(folder, old)
        mirror.push()
        for name in old:
            (folder / name).unlink()
        write(folder, new | songs)
        mirror.objects = _Cut(bucket, number)
        if number < 8:
            with pytest.raises(_Killed):
                mirror.push()
        else:
            mirror.push()
        with elsewhere():
            found = contents(buckets.fetched(f"{root}/{number}"))
        assert not found.keys() & old.keys() or old.items() <= found.items()
        assert not found.keys() & new.keys() or new.items() <= found.items()
        assert old.items() <= found.items() or new.items() <= found.items()
        assert "songs/01.mid" not in found or "songs/songs.json" in found
        other = Mirror(bucket, prefix, tmp_path / f"other {number}" / "run", root)
        other.pull()
        other.push()  # removes what is left of half checkpoints
        left = [name.removeprefix(prefix) for name in bucket.list(prefix)]
        assert sorted(left) == sorted(found)


class _Cut:
    """The objects of a bucket, to a process that is killed after so many changes."""

    def __init__(self, bucket, changes):
        self.bucket, self.changes, self.lock = bucket, changes, threading.Lock()

    def _change(self):
        with self.lock:
            self.changes -= 1
            if self.changes < 0:
                raise _Killed

    def upload(self, *arguments):
        self._change()
        return self.bucket.upload(*arguments)

    def delete(self, *arguments):
        self._change()
        return self.bucket.delete(*arguments)


def test_a_checkpoint_that_vanishes_while_it_is_pushed_is_not_there(root, tmp_path):
    address = parse_address(root)
    mirror = Mirror(open_objects(address), f"{address.path}/", tmp_path / "run", root)
    write(tmp_path / "run", {"checkpoints/1/params/a": "1", "checkpoints/1/identity/identity.json": "1"})
    upload = mirror.objects.upload

    def removing(path, name):
        (tmp_path / "run/checkpoints/1/params/a").unlink(missing_ok=True)
        return upload(path, name)

    mirror.objects.upload = removing
    mirror.push()
    assert names_of(root) == []


def test_what_was_not_pushed_goes_on_where_it_was_made(root, elsewhere):
    """A process that is killed before it can push: on its own machine nothing is lost, elsewhere the bucket holds."""
    with buckets.mounted(root) as folder:
        write(folder, {"a": "1", "b": "1"})
    (folder / "a").write_text("2, not pushed")
    (folder / "b").unlink()
    with elsewhere():
        assert contents(buckets.fetched(root)) == {"a": "1", "b": "1"}
    with buckets.mounted(root) as folder:
        assert contents(folder) == {"a": "2, not pushed", "b": "1"}
    (folder / "a").write_text("3, not pushed")
    with elsewhere(), buckets.mounted(root) as other:
        (other / "a").write_text("4")
    with buckets.mounted(root) as folder:  # another machine went on: the bucket holds
        assert (folder / "a").read_text() == "4"


def test_a_network_that_is_gone_meanwhile_costs_a_line_and_nothing_else(root, monkeypatch):
    said = []
    monkeypatch.setenv("MCVAE_PUSH_SECONDS", "0.05")
    with buckets.mounted(root, said.append) as folder:
        with monkeypatch.context() as gone:
            for kind in (objects._Google, objects._S3):
                gone.setattr(kind, "upload", _unreachable)
            write(folder, {"a": "1"})
            _wait(lambda: said)
            time.sleep(0.3)
        _wait(lambda: len(said) == 2)
    assert "cannot be reached" in said[0] and "is kept in" in said[0] and "is written again" in said[1]
    assert names_of(root) == ["a"]


def test_an_end_without_a_network_is_an_error(root, monkeypatch):
    with pytest.raises(BucketError, match="cannot be reached .* is kept in .* the same command goes on"):
        with buckets.mounted(root) as folder:
            for kind in (objects._Google, objects._S3):
                monkeypatch.setattr(kind, "upload", _unreachable)
            write(folder, {"a": "1"})


def _unreachable(self, path, name):
    raise objects._unreachable(self._name, "down")


def _wait(until):
    for _ in range(200):
        if until():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come")


# ---- locks


def test_of_many_who_create_an_object_one_does(root):
    address = parse_address(root)
    bucket = open_objects(address)
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda i: bucket.create(f"{address.path}/x", str(i).encode()), range(8)))
    assert sum(made) == 1 and bucket.read(f"{address.path}/x") == str(made.index(True)).encode()


def test_a_second_process_is_refused(root):
    with buckets.mounted(root):
        command = [sys.executable, "-c", f"from mcvae_jax.storage import buckets\nwith buckets.mounted({root!r}): pass"]
        second = subprocess.run(command, capture_output=True, text=True)
        assert second.returncode and f"Another process is writing to {root} (process {os.getpid()} on" in second.stderr
    assert subprocess.run(command).returncode == 0


def test_the_lock_of_a_process_that_was_killed_is_taken_over_at_once(root):
    code = f"from mcvae_jax.storage import buckets\nwith buckets.mounted({root!r}): print(1, flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    assert names_of(root) == [".lock-1"]
    started = time.monotonic()
    with buckets.mounted(root):
        assert names_of(root) == [".lock-2"] and time.monotonic() - started < 5
    assert names_of(root) == []


@pytest.fixture
def stranger(root, monkeypatch):
    """Objects, prefix and a lock of a process of another machine; seconds are short."""
    monkeypatch.setattr(lease, "LIFE", 1.0)
    monkeypatch.setattr(lease, "BEAT", 0.1)
    address = parse_address(root)
    bucket, prefix = open_objects(address), f"{address.path}/"
    bucket.create(f"{prefix}.lock-7", json.dumps({"host": "far", "pid": 1, "boot": "x"}).encode())
    return bucket, prefix


def test_a_lock_of_another_machine_is_watched_for_a_sign_of_life(stranger):
    bucket, prefix = stranger
    said = []
    own = Lease(bucket, prefix, "run", said.append)
    assert "run is locked by process 1 on far; watching it for 1 s" in said[0]
    assert list(bucket.list(prefix)) == [f"{prefix}.lock-8"]
    own.release()


def test_a_lock_of_another_machine_that_lives_is_respected(stranger):
    bucket, prefix = stranger
    ended = threading.Event()

    def live():
        while not ended.wait(0.2):
            bucket.write(f"{prefix}.lock-7", json.dumps({"host": "far", "pid": 1, "beats": time.time()}).encode())

    thread = threading.Thread(target=live)
    thread.start()
    try:
        with pytest.raises(UserError, match=r"Another process is writing to run \(process . on far\)"):
            Lease(bucket, prefix, "run", lambda line: None)
    finally:
        ended.set()
        thread.join()


def test_one_waits_for_a_lock_that_is_given_back(stranger):
    bucket, prefix = stranger
    timer = threading.Timer(0.3, bucket.delete, [f"{prefix}.lock-7"])
    timer.start()
    Lease(bucket, prefix, "run", lambda line: None, wait=True).release()
    assert list(bucket.list(prefix)) == []


def test_of_many_who_find_a_lock_dead_one_takes_it_over(stranger):
    bucket, prefix = stranger

    def take(_):
        try:
            return Lease(bucket, prefix, "run", lambda line: None)
        except UserError:
            return None

    with ThreadPoolExecutor(4) as pool:
        taken = [each for each in pool.map(take, range(4)) if each]
    assert len(taken) == 1
    taken[0].release()


def test_who_was_taken_for_dead_writes_no_more(root, monkeypatch):
    monkeypatch.setattr(lease, "BEAT", 0.1)
    asked = []
    monkeypatch.setattr(lease.stopping, "ask", lambda number, who: asked.append(number))
    address = parse_address(root)
    with pytest.raises(UserError, match="Another process has taken .* over, since this one gave no sign of life"):
        with buckets.mounted(root) as folder:
            open_objects(address).create(f"{address.path}/.lock-5", b"{}")
            _wait(lambda: asked)
            write(folder, {"a": "of the dead"})
    assert asked == [signal.SIGTERM] and names_of(root) == [".lock-5"]


# ---- what cannot be


def test_a_bucket_that_is_not_there_is_one_line(scheme, tmp_path, monkeypatch):
    with another_machine(monkeypatch, tmp_path):
        with pytest.raises(BucketError, match=f"There is no bucket {scheme}://nobody; create it, or mend the name"):
            buckets.fetched(f"{scheme}://nobody/run")
        with pytest.raises(BucketError, match=f"There is no bucket {scheme}://nobody"):
            with buckets.mounted(f"{scheme}://nobody/run"):
                pass


@pytest.mark.parametrize("server", ["gs", "s3"])
def test_no_permission_is_one_line(server, monkeypatch):
    with emulators.answering(403) as address:
        _point_at(monkeypatch, server, address)
        with pytest.raises(BucketError, match=f"You have no permission for {server}://bucket"):
            buckets.fetched(f"{server}://bucket/run")


@pytest.mark.parametrize("server", ["gs", "s3"])
def test_no_network_is_one_line(server, monkeypatch):
    monkeypatch.setattr(objects, "PATIENCE", 1.0)
    _point_at(monkeypatch, server, f"http://127.0.0.1:{emulators.free_port()}")
    with pytest.raises(BucketError, match=f"{server}://bucket cannot be reached .* the same command goes on") as caught:
        buckets.fetched(f"{server}://bucket/run")
    assert "\n" not in str(caught.value)


def _point_at(patch, server, address):
    pytest.importorskip({"gs": "google.cloud.storage", "s3": "boto3"}[server])
    if server == "s3":
        emulators.amazon_keys(patch)
    patch.setenv({"gs": "STORAGE_EMULATOR_HOST", "s3": "AWS_ENDPOINT_URL"}[server], address)


@pytest.mark.parametrize(("server", "advice"), [("gs", "gcloud auth"), ("s3", "aws configure")])
def test_no_credentials_are_one_line(server, advice, monkeypatch, tmp_path):
    pytest.importorskip({"gs": "google.cloud.storage", "s3": "boto3"}[server])
    for name in [name for name in os.environ if name.startswith(("AWS_", "GOOGLE_", "STORAGE_"))]:
        monkeypatch.delenv(name)
    for name in ("HOME", "CLOUDSDK_CONFIG"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(BucketError, match=f"There are no credentials for {server}://bucket; .*{advice}"):
        buckets.fetched(f"{server}://bucket/run")


@pytest.mark.parametrize(("server", "module", "extra"), [("gs", "google.cloud.storage", "gcs"), ("s3", "boto3", "s3")])
def test_without_its_library_the_line_says_what_to_install(server, module, extra, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(BucketError, match=rf"needs {module}: pip install 'mcvae_jax\[{extra}\]'"):
        buckets.fetched(f"{server}://bucket/run")
