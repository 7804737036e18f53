"""Rows in blocks of one size, made by one or several threads."""

import threading

import jax
import numpy as np
import pytest

from mcvae_jax.nn.padding import in_blocks


@pytest.mark.parametrize("backend", ["cpu", "gpu"])
@pytest.mark.parametrize("count", [0, 1, 4, 5, 23])
def test_each_row_is_made_once_and_in_its_place(count, backend, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    sizes = []

    def make(rows):
        sizes.append(len(rows))
        return rows * rows

    assert in_blocks(count, 4, make) == [n * n for n in range(count)]
    assert sizes == [4] * -(-count // 4)  # one shape


def test_the_first_block_is_done_before_others_begin():
    """It compiles what they need; then they are made side by side."""
    begun, others = [], threading.Barrier(2, timeout=60)

    def make(rows):
        begun.append(rows[0])
        if rows[0]:
            others.wait()  # each of the two waits for the other
        else:
            assert begun == [0]
        return rows

    assert in_blocks(12, 4, make) == list(range(12))


def test_a_fault_in_a_block_reaches_the_caller():
    def make(rows):
        if rows[0] == 8:
            raise ValueError("the third block")
        return np.zeros(len(rows))

    with pytest.raises(ValueError, match="the third block"):
        in_blocks(40, 4, make)
