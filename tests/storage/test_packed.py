"""Files of weights: numpy alone reads them, a damaged or foreign one is one line, and what is unpacked is checked."""

import hashlib
import io
import json
import zipfile

import numpy as np
import pytest

from mcvae_jax.kinds import open_model
from mcvae_jax.places import shown
from mcvae_jax.storage import packed, unpacked
from mcvae_jax.storage.buckets import fetched, mounted
from mcvae_jax.storage.identity import named_leaves
from mcvae_jax.storage.packed import HERE, NoWeights, read_packed, write_packed
from mcvae_jax.storage.workdir import Workdir
from mcvae_jax.weights.packing import pack
from tests.small_models import save_joint


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A workdir with its parameters, and its file."""
    folder = tmp_path_factory.mktemp("made")
    params = save_joint(folder / "run")
    write_packed(folder / "run.npz", pack(folder / "run"))
    return folder, params


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MCVAE_CACHE", str(tmp_path / "cache"))
    unpacked._unpacked.cache_clear()
    return tmp_path / "cache"


def test_numpy_alone_reads_the_file_and_finds_the_rounded_parameters_and_the_hash(made):
    folder, params = made
    with np.load(folder / "run.npz", allow_pickle=False) as file:
        found = dict(file)
    about, stated = found.pop("about").tobytes(), found.pop("sha256").tobytes()
    expected = {f"./params/{name}": np.asarray(leaf) for name, leaf in named_leaves(params).items()}
    assert found.keys() == expected.keys()
    for name, leaf in expected.items():
        assert found[name].dtype == np.float16
        np.testing.assert_array_equal(found[name], leaf.astype(np.float16))
        np.testing.assert_allclose(found[name], leaf, rtol=2**-11, atol=2**-25)  # half a unit of its last place
    value = json.loads(about)
    assert value["format"] == "mcvae_jax weights" and value["models"]["."]["step"] == 3
    digest = hashlib.sha256(about)
    for name in sorted(found):
        digest.update(f"\n{name} <f2 {found[name].shape}\n".encode() + found[name].tobytes())
    assert digest.digest() == stated


def test_a_file_is_made_of_the_same_bytes_again_also_from_itself(made, tmp_path):
    folder, _ = made
    for name, place in (("a", folder / "run"), ("b", folder / "run.npz")):
        write_packed(tmp_path / f"{name}.npz", pack(place))
        assert (tmp_path / f"{name}.npz").read_bytes() == (folder / "run.npz").read_bytes()


def test_no_damaged_byte_goes_unseen(made, tmp_path):
    whole, path = (made[0] / "run.npz").read_bytes(), tmp_path / "bad.npz"
    right, refused = read_packed(made[0] / "run.npz")[HERE], 0
    places = np.random.default_rng(0).choice(len(whole), 120, replace=False)
    for place in places.tolist():
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x11]) + whole[place + 1 :])
        try:
            found = read_packed(path)[HERE]
        except NoWeights as error:
            assert "\n" not in str(error) and str(path) in str(error)
            refused += 1
            continue
        assert found.about == right.about  # what was hit are fields of the archive that say nothing, such as a date
        assert all(np.array_equal(found.params[name], array) for name, array in right.params.items())
    assert refused > 60


def savez(path, **arrays):
    with path.open("wb") as file:
        np.savez(file, **arrays)


def with_entry(path, name, data):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(name, data)


def huge_header():
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (1 << 40,)})
    return header.getvalue() + b"few bytes"


OTHERS = {
    "a text": lambda path: path.write_text("hello"),
    "an empty file": lambda path: path.write_bytes(b""),
    "arrays of others": lambda path: savez(path, a=np.ones(3)),
    "pickled objects": lambda path: savez(path, about=np.array([{"a": 1}], dtype=object), sha256=np.ones(1)),
    "no arrays": lambda path: with_entry(path, "about.npy", b"text"),
    "a header that claims 8 TB": lambda path: with_entry(path, "about.npy", huge_header()),
    "an archive of none": lambda path: zipfile.ZipFile(path, "w").close(),
}


@pytest.mark.parametrize("what", OTHERS)
def test_what_is_no_file_of_weights_is_one_line(tmp_path, what):
    path = tmp_path / "other.npz"
    OTHERS[what](path)
    with pytest.raises(NoWeights, match="no file of weights") as refused:
        open_model(path)
    assert "\n" not in str(refused.value) and "mcvae_jax.weights WORKDIR" in str(refused.value)


def test_no_more_is_read_than_the_bounds_allow(made, monkeypatch):
    monkeypatch.setattr(packed, "MOST_BYTES", 1000)
    with pytest.raises(NoWeights, match="larger than any model"):
        read_packed(made[0] / "run.npz")


def test_a_file_of_a_later_version_says_so(made, tmp_path, monkeypatch):
    monkeypatch.setattr(packed, "VERSION", 2)
    write_packed(tmp_path / "later.npz", pack(made[0] / "run"))
    monkeypatch.undo()
    with pytest.raises(NoWeights, match="another version of this program"):
        read_packed(tmp_path / "later.npz")


def test_it_is_unpacked_once_and_again_where_the_cache_is_damaged(made, cache, monkeypatch):
    file, calls = made[0] / "run.npz", []
    monkeypatch.setattr(unpacked, "read_packed", lambda path: calls.append(path) or read_packed(path))
    folder = fetched(file)
    assert folder.is_relative_to(cache) and shown(folder) == str(file) and fetched(file) == folder and len(calls) == 1
    unpacked._unpacked.cache_clear()  # another process
    assert fetched(file) == folder and len(calls) == 1
    largest = max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:-1] + b"x")
    unpacked._unpacked.cache_clear()
    assert fetched(file) == folder and len(calls) == 2
    assert open_model(file).origins["joint MCVAE"].step == 3


def test_where_the_cache_cannot_be_written_it_is_unpacked_all_the_same(made, cache):
    cache.write_text("a file where the cache should be")
    folder = fetched(made[0] / "run.npz")
    assert not folder.is_relative_to(cache) and Workdir(folder).read().config["task"] == "joint"


def test_weights_are_not_written(made):
    for place in (made[0] / "run.npz", "pretrained"):
        with pytest.raises(Exception, match="are weights, which are only read"), mounted(place):
            pass


def test_a_folder_of_the_name_of_ours_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pretrained").mkdir()
    assert str(fetched("pretrained")) == "pretrained"
