"""Drawings from files: the public format without running its pickles; hostile and damaged files are refused."""

import io
import os
import pickle
import struct
import sys
import zipfile

import numpy as np
import pytest

from experiments.sketches import files
from experiments.sketches.files import read_drawings, write_drawings
from experiments.sketches.generator import generate
from experiments.sketches.pickled import Refused, read_arrays
from experiments.sketches.strokes import SIDES, Drawings
from mcvae_jax.errors import UserError

DRAWINGS = generate(["circle", "face"], 6, seed=3)


def objects(items):
    """A one-dimensional array of objects, as the public files hold them."""
    array = np.empty(len(items), object)
    array[:] = items
    return array


def save_public(path, drawings=DRAWINGS, kind=np.int16):
    np.savez(path, **{s: objects([each.astype(kind) for each in getattr(drawings, s)]) for s in SIDES})


def save_with(path, train: bytes, name="train.npy"):
    """A public file one of whose arrays has other bytes."""
    save_public(path)
    with zipfile.ZipFile(path) as old:
        members = {member: old.read(member) for member in old.namelist()}
    with zipfile.ZipFile(path, "w") as new:
        for member, data in (members | {name: train}).items():
            new.writestr(member, data)


def npy_of(pickled: bytes, shape="(6,)"):
    """The bytes of an array of objects whose pickle this is."""
    header = f"{{'descr': '|O', 'fortran_order': False, 'shape': {shape}, }}"
    header += " " * (63 - (len(header) + 10) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + pickled


def same(found: Drawings, wanted: Drawings):
    for side in SIDES:
        pairs = list(zip(getattr(found, side), getattr(wanted, side), strict=True))
        assert pairs and all(np.array_equal(a, b) and a.dtype == np.float32 for a, b in pairs)


class Python2(pickle._Pickler):
    """Writes bytes as Python 2 wrote its strings, in which the public drawings are kept."""

    dispatch = dict(pickle._Pickler.dispatch)

    def save_bytes(self, data):
        self.write(pickle.BINSTRING + struct.pack("<i", len(data)) + data)
        self.memoize(data)

    dispatch[bytes] = save_bytes


def by_python_2(value):
    file = io.BytesIO()
    Python2(file, 2).dump(value)
    return file.getvalue().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


@pytest.mark.parametrize("kind", [np.int16, np.int8, np.float32, ">i4", np.float64])
def test_the_public_format_is_read(tmp_path, kind):
    small = Drawings(*([each * [0.5, 0.5, 1] // 1 for each in getattr(DRAWINGS, side)] for side in SIDES))
    wanted = Drawings(*([each.astype(np.float32) for each in getattr(small, side)] for side in SIDES))
    save_public(tmp_path / "a.npz", wanted, kind)
    same(read_drawings(tmp_path / "a.npz"), wanted)


@pytest.mark.parametrize("write", [by_python_2, *(lambda x, p=p: pickle.dumps(x, p) for p in (2, 3, 4))])
def test_pickles_of_all_protocols_that_numpy_has_written_are_read(write):
    wanted = [each.astype(np.int16) for each in DRAWINGS.train]
    for array in (objects(wanted), objects([np.asfortranarray(each) for each in wanted])):
        found = read_arrays(io.BytesIO(write(array)), 10**6)
        assert all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(found, wanted, strict=True))


def test_python_2_wrote_what_the_test_writes():
    assert pickle.loads(by_python_2(b"\xe9"), encoding="latin1") == "é"


@pytest.mark.parametrize("save", [write_drawings, lambda path, found: save_stacked(path)])
def test_formats_without_pickles_are_read(tmp_path, save):
    save(tmp_path / "a.npz", DRAWINGS)
    np.load(tmp_path / "a.npz", allow_pickle=False)["train"]
    found = read_drawings(tmp_path / "a.npz")
    if save is write_drawings:
        same(found, DRAWINGS)
    assert len(found.train) == len(DRAWINGS.train) and found.train[0].shape[1] == 3


def save_stacked(path):
    np.savez(path, **{side: np.stack([each[:5] for each in getattr(DRAWINGS, side)]) for side in SIDES})


class Runs:
    """Its pickle calls a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def hostile(tmp_path):
    """Pickles that would make a file, import a module, change a function or fill the memory, by name."""
    made = str(tmp_path / "made")
    state = (1, (2,), np.dtype("i2"), False, b"1234")
    reconstruct, arguments = np.zeros(2).__reduce__()[:2]
    return {
        "os.system": pickle.dumps(Runs(os.system, f"touch {made}")),
        "builtins.exec": pickle.dumps(Runs(exec, f"open({made!r}, 'w')")),
        "builtins.eval in an array": pickle.dumps(objects([Runs(eval, f"open({made!r}, 'w')")])),
        "an import": b"cthis\ns\n.",
        "numpy's own": pickle.dumps(Runs(np.fromfile, made)),
        "the older opcode": f"(S'touch {made}'\nios\nsystem\n.".encode(),
        "by stack": b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c"
        + bytes([len(made) + 6])
        + f"touch {made}".encode()
        + b"\x85R.",
        "a dotted name": b"\x80\x04\x8c\x05numpy\x8c\x0fdtype.__class__\x93.",
        "state of a function": b"\x80\x02cnumpy\ndtype\n}U\x05_makeK\x01sb.",
        "slots of a function": b"\x80\x02cnumpy\ndtype\nN}U\x05_makeK\x01s\x86b.",
        "new of a function": b"\x80\x02cnumpy\ndtype\n)\x81.",
        "an extension": b"\x80\x02\x82\x01.",
        "a persistent name": b"Pos.system\n.",
        "a far place of the memory": b"\x80\x02Kar\xff\xff\xff\x7f.",
        "long bytes": b"\x80\x04\x8e" + struct.pack("<Q", 2**60) + b".",
        "other codecs": pickle.dumps(Runs(__import__("_codecs").encode, "a", "rot13")),
        "ndarray itself": pickle.dumps(Runs(np.ndarray, (10**6,))),
        "an array without a state": pickle.dumps(objects([Runs(reconstruct, *arguments)])),
        "a strange shape": by_state((1, ("a",), *state[2:])),
        "a negative shape": by_state((1, (-2,), *state[2:])),
        "a shape beyond its bytes": by_state((1, (10**9, 10**9), *state[2:])),
        "a type of objects": by_state((1, (2,), np.dtype(object), False, [1, 2])),
        "a type of texts": by_state((1, (2,), np.dtype("U1"), False, b"12345678")),
        "numbers": pickle.dumps([1, 2]),
        "a dict": pickle.dumps({"train": np.zeros((2, 3))}),
        "a list of itself": b"\x80\x04]\x94h\x00a.",
        "nothing": b"",
    }


def by_state(state):
    """A pickle of a list of one array with any state."""
    reconstruct, arguments = np.zeros(2).__reduce__()[:2]

    class Stated:
        def __reduce__(self):
            return reconstruct, arguments, state

    return pickle.dumps([Stated()])


def test_hostile_pickles_are_refused_without_being_executed(tmp_path, capfd):
    before = set(sys.modules)
    for name, pickled in hostile(tmp_path).items():
        with pytest.raises(Refused):
            read_arrays(io.BytesIO(pickled), 10**6)
            pytest.fail(name)
        save_with(tmp_path / "a.npz", npy_of(pickled))
        with pytest.raises(UserError, match="a.npz is not read: 'train' is a pickle that is no list of drawings"):
            read_drawings(tmp_path / "a.npz")
    assert not (tmp_path / "made").exists() and "this" not in set(sys.modules) - before
    assert capfd.readouterr().out == ""


def test_the_hostile_file_does_harm_where_it_is_executed(tmp_path):
    save_with(tmp_path / "a.npz", npy_of(hostile(tmp_path)["os.system"]))
    np.load(tmp_path / "a.npz", allow_pickle=True)["train"]
    assert (tmp_path / "made").exists()


def test_damaged_pickles_are_arrays_or_refused():
    whole, rng = (
        pickle.dumps(objects([each.astype(np.int16) for each in DRAWINGS.train[:2]]), 4),
        np.random.default_rng(0),
    )
    for end in range(len(whole) - 1):
        with pytest.raises(Refused):
            read_arrays(io.BytesIO(whole[:end]), 10**6)
    refused = 0
    for _ in range(500):
        data = bytearray(whole)
        for place in rng.integers(len(data), size=3):
            data[place] = rng.integers(256)
        try:
            assert all(isinstance(each, np.ndarray) for each in read_arrays(io.BytesIO(bytes(data)), 10**4))
        except Refused:
            refused += 1
    assert 0 < refused < 500


def test_there_is_a_limit_to_the_numbers():
    pickled = pickle.dumps(objects([np.zeros((5, 3))] * 4))
    assert len(read_arrays(io.BytesIO(pickled), 60)) == 4
    with pytest.raises(Refused, match="too many"):
        read_arrays(io.BytesIO(pickled), 59)


def test_files_that_are_no_drawings_are_named(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"

    def refuses(message):
        with pytest.raises(UserError, match=message):
            read_drawings(path)

    refuses("There is no file")
    path.write_bytes(b"PK")
    refuses("no whole .npz file .*; fetch it anew")
    np.savez(path, train=np.zeros((2, 4, 3)))
    refuses("no array 'valid'")
    for wrong, message in (
        (np.zeros((2, 4, 2)), "drawing 0 of 'train' has shape"),
        (np.zeros((4, 3)), "need the ends"),
        (np.full((2, 4, 3), 2), "a pen that is neither 0 nor 1"),
        (np.full((2, 4, 3), np.nan), "no numbers"),
        (np.array("text"), "need the ends"),
        (np.zeros((0, 4, 3)), "no training drawings"),
        (np.zeros((2, 0, 3)), "has 0 points"),
    ):
        np.savez(path, train=wrong, valid=np.zeros((1, 4, 3)), test=np.zeros((1, 4, 3)))
        refuses(message)
    for ends in ([1, 3], [3, 2, 4], [0.5, 4], [[4]], []):
        np.savez(
            path, train=np.zeros((4, 3)), train_ends=np.array(ends), valid=np.zeros((1, 4, 3)), test=np.zeros((1, 4, 3))
        )
        refuses("need the ends")
    save_with(path, npy_of(b"")[:40])
    refuses("no whole .npz file")
    save_with(path, npy_of(b"", "(10**9,)").replace(b"|O", b"<i").replace(b"10**9", b"99999"))
    refuses("a.npz")
    save_public(path)
    monkeypatch.setattr(files, "MOST_BYTES", 100)
    refuses("'train' has more than 0 MiB")


def test_files_cut_anywhere_are_one_line(tmp_path):
    save_public(tmp_path / "whole.npz")
    whole = (tmp_path / "whole.npz").read_bytes()
    for end in range(0, len(whole) - 1, 37):
        (tmp_path / "cut.npz").write_bytes(whole[:end])
        with pytest.raises(UserError):
            read_drawings(tmp_path / "cut.npz")


def test_long_offsets_are_cut(tmp_path):
    far = np.array([[5000, -5000, 0], [1, 2, 1]], np.float32)
    write_drawings(tmp_path / "a.npz", Drawings([far], [far], [far]))
    assert read_drawings(tmp_path / "a.npz").train[0][0].tolist() == [1000, -1000, 0]
