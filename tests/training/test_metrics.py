"""metrics.jsonl: what a run reads again of it, whatever became of it."""

import json

import pytest

from mcvae_jax.errors import UserError
from mcvae_jax.training.metrics import MetricsLog, read_metrics

LINES = [{"step": step, "split": "train", "loss": 1.5, "seconds": step / 10} for step in (10, 20, 30)]


def test_one_bad_byte_stops_no_run(tmp_path):
    path, said = tmp_path / "metrics.jsonl", []
    rows = [json.dumps(line).encode() for line in LINES]
    rows[1] = b"\xff" + rows[1][1:]
    odd = [
        b'{"step": "10", "split": "train", "seconds": 1}',
        b'{"step": 10, "split": "else", "seconds": 1}',
        b"[]",
        b'{"step": 10, "split": "train", "seconds": 1, "kl": "x"}',
        b'{"step": 10, "split": "train", "seconds": 1, "kl": 1' + b"0" * 400 + b"}",  # more than a float holds
    ]
    path.write_bytes(b"\n".join([*rows, *odd, b'{"step": 40, "spl']))
    assert read_metrics(path) == [LINES[0], LINES[2]]
    log = MetricsLog(path, 20, said.append)
    log.write(21, "held_out", {"objective": float("nan"), "seconds": 2.5})
    log.close()
    assert said == [f"{path}: 6 damaged lines are left out."] and log.seconds == 1.0
    assert read_metrics(path) == [LINES[0], {"step": 21, "split": "held_out", "objective": None, "seconds": 2.5}]


def test_a_folder_in_its_place_is_named(tmp_path):
    (tmp_path / "metrics.jsonl").mkdir()
    with pytest.raises(UserError, match="metrics.jsonl is damaged .Is a directory.; move it away"):
        MetricsLog(tmp_path / "metrics.jsonl", 0, print)
