"""JSON of our own: read as it was written, or named as damaged; whatever stands there, never a stack trace."""

import dataclasses
import json

import pytest

from mcvae_jax.errors import UserError
from mcvae_jax.storage.jsonfile import (
    DamagedFile,
    Lines,
    Seconds,
    read_json,
    read_json_lines,
    read_or_none,
    write_json,
    write_json_lines,
)

VALUE = {"step": 12, "loss": 0.1, "names": ["a", "\udcff b", "日本"], "inner": {"b": None, "a": [1, 2.5, True]}}


@dataclasses.dataclass(frozen=True)
class Shape:
    step: int
    names: list[str]
    more: int = 7


def test_what_was_written_comes_back(tmp_path):
    write_json(tmp_path / "below" / "x.json", VALUE | {"pair": (1, 2), 3: "a number as key"})
    assert read_json(tmp_path / "below" / "x.json") == VALUE | {"pair": [1, 2], "3": "a number as key"}
    assert read_json(tmp_path / "below" / "x.json", Shape) == Shape(12, VALUE["names"])
    assert read_json(tmp_path / "nothing.json") is None and read_json(tmp_path / "below" / "x.json" / "y") is None


def test_every_flipped_bit_is_noticed_or_changes_nothing(tmp_path):
    path = tmp_path / "x.json"
    write_json(path, VALUE)
    whole = path.read_bytes()
    noticed = 0
    for place in range(len(whole)):
        for bit in range(8):
            data = bytearray(whole)
            data[place] ^= 1 << bit
            path.write_bytes(data)
            try:
                found = read_json(path)
                assert {name: found[name] for name in VALUE} == VALUE  # the check's own name may have been hit
            except DamagedFile as error:
                noticed += 1
                assert str(path) in str(error) and "\n" not in str(error)
    assert noticed > 0.8 * 8 * len(whole)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[1]",
        b"{",
        b"\xff\xfe{}",
        b'{"step": 1, "names": [}',
        b'{"step": NaN, "names": []}',
        b'{"step": 1e999, "names": []}',
        b'{"step": "1", "names": []}',
        b'{"step": 1, "names": {}}',
        b'{"step": 1, "names": [1]}',
        b'{"names": []}',
        b'{"a":' * 100_000,
        b"[" * 100_000,
        b'{"step": 1, "names": [], "check": 5}',
        b'{"step": ' + b"9" * 10_000 + b"}",
    ],
)
def test_other_contents_are_named(tmp_path, data):
    (tmp_path / "x.json").write_bytes(data)
    with pytest.raises(DamagedFile, match="x.json is damaged") as caught:
        read_json(tmp_path / "x.json", Shape)
    assert isinstance(caught.value, UserError) and "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_a_folder_in_the_place_of_a_file_is_named(tmp_path):
    (tmp_path / "x.json").mkdir()
    with pytest.raises(DamagedFile, match="Is a directory"):
        read_json(tmp_path / "x.json")


def test_a_file_without_check_is_read_for_what_it_says(tmp_path):
    (tmp_path / "x.json").write_text(json.dumps({"step": 3, "names": [], "unknown": 1}))
    assert read_json(tmp_path / "x.json", Shape) == Shape(3, [])


@pytest.mark.parametrize("seconds", ["-1", "1e999", "NaN", '"5"', "true", "null"])
def test_seconds_are_a_number_of_seconds(tmp_path, seconds):
    (tmp_path / "x.json").write_text(f'{{"vae": {seconds}}}')
    said = []
    assert read_or_none(tmp_path / "x.json", dict[str, Seconds], said.append, "they are counted anew") is None
    assert len(said) == 1 and said[0].endswith("; they are counted anew")


def test_lines_that_cannot_be_read_are_left_out_and_counted(tmp_path):
    rows = [{"step": i, "names": []} for i in range(5)]
    write_json_lines(tmp_path / "x", rows)
    lines = (tmp_path / "x").read_bytes().splitlines()
    lines[1], lines[3] = b"\xff", b'{"step": "3", "names": []}'
    (tmp_path / "x").write_bytes(b"\n".join(lines) + b'\n{"step": 6, "na')  # the last is what a killed process leaves
    kept = [Shape(i, []) for i in (0, 2, 4)]
    assert read_json_lines(tmp_path / "x", Shape) == Lines(kept, [2, 4])
    assert read_json_lines(tmp_path / "nothing") == Lines([], [])
