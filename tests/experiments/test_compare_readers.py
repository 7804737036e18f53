"""Readers beside each other: what an answer is, and the lines of the comparison."""

import os
import time

import pytest

from experiments import compare_readers
from experiments.readers import Peer, abc, ask, same_notes

OURS, MIDI = abc.PEERS[:2]
C = (60, 0.0, 1.0)


def refuse(data: bytes):
    raise ValueError


@pytest.mark.parametrize(
    ("read", "failure"),
    [
        (lambda data: [C], ""),
        (lambda data: [], "refused"),
        (refuse, "refused"),
        (lambda data: os._exit(1), "crashed"),
        (lambda data: time.sleep(60), "too slow"),
    ],
)
def test_a_reader_may_fail_in_every_way(read, failure):
    answer = ask(read, b"", seconds=0.5)
    assert answer.failure == failure and bool(answer.notes) == (not failure)


def test_same_notes_in_any_order():
    other = (64, 1.0, 2.0)
    assert same_notes([C, other], [other, (60, 0.01, 1.04)])
    for different in ([C], [C, (64, 1.1, 2.0)], [C, (64, 1.0, 2.2)], [C, (65, 1.0, 2.0)]):
        assert not same_notes([C, other], different)


def test_lines_of_the_comparison(tmp_path, monkeypatch):
    deaf = Peer("deaf", (), refuse)
    monkeypatch.setattr(abc, "cases", lambda: {"one": (b"X:1\nM:4/4\nL:1/4\nK:C\nC|\n", [C])})
    assert compare_readers.compare_cases([OURS, deaf], abc) == [
        "mcvae_jax         1 right",
        "deaf              1 refused",
    ]
    (tmp_path / "book.abc").write_text("X:1\nM:2/4\nK:C\n|:~CDEF:|GABc|\n\nX:2\nK:D\nFFFF|\n")
    title, ours, midi, nothing = compare_readers.compare_source([OURS, MIDI, deaf], abc, tmp_path, limit=5)
    assert "2 pieces" in title
    assert "2 as written" in ours and "2 as played" in ours and "2 as written" in midi
    assert "0 as written" in nothing and "'refused': 2" in nothing
