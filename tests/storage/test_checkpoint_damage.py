"""Damage of checkpoints: one bit, metrics, what a kill left, what the system refuses, and those of before."""

import shutil

import jax
import pytest

from mcvae_jax.errors import UserError
from mcvae_jax.storage.checkpoints import Checkpoints, DamagedCheckpoint, target
from tests.small_models import flip_in_the_largest
from tests.storage.test_checkpoints import DEVICE, items, saved, wanted  # noqa: F401


def damage_of(folder, step=5):
    with Checkpoints(folder, read_only=True) as checkpoints:
        return checkpoints.damage(step)


@pytest.mark.parametrize("item", ["params", "opt_state"])
def test_one_bit_of_an_array_is_named_with_folder_step_and_item(tmp_path, item):
    tree = {"a": jax.random.normal(jax.random.key(0), (1000,))}  # nothing that could be packed, as in trained ones
    with Checkpoints(tmp_path) as checkpoints:
        for step in (1, 2):
            checkpoints.save(step, {"params": tree, "opt_state": tree}, {"objective": 1.0})
            checkpoints.wait()
    assert damage_of(tmp_path, 1) is None and damage_of(tmp_path, 2) is None
    flip_in_the_largest(tmp_path / "2" / item)
    with Checkpoints(tmp_path, read_only=True) as checkpoints:
        with pytest.raises(DamagedCheckpoint, match=f"Checkpoint 2 in {tmp_path} is damaged: its {item} are not those"):
            checkpoints.restore(2, {item: target(tree, DEVICE)})
        assert checkpoints.whole() == [1]


def test_of_a_checkpoint_that_is_kept_as_the_best_the_parameters_alone_are_needed(saved):  # noqa: F811
    for path in (saved / "2" / "opt_state").rglob("_METADATA"):
        path.unlink()
    assert damage_of(saved, 2) is None
    with Checkpoints(saved, read_only=True) as checkpoints:
        assert "opt_state" in str(checkpoints.damage(2, ("params", "opt_state")))


@pytest.mark.parametrize(
    "error",
    [ValueError("PERMISSION_DENIED: Error opening file [OS error 13: EACCES]"), OSError(5, "Input/output error")],
)
def test_what_the_system_does_not_let_us_read_is_not_taken_for_damaged(saved, monkeypatch, error):  # noqa: F811
    def refuse(*args, **kwargs):
        raise error

    with Checkpoints(saved) as checkpoints:
        monkeypatch.setattr(checkpoints._manager, "restore", refuse)
        with pytest.raises(UserError, match="Checkpoint 5 in .* cannot be read: .*; mend that") as caught:
            checkpoints.damage(5)
        assert not isinstance(caught.value, DamagedCheckpoint)


def test_damaged_metrics_do_not_change_silently_which_is_the_best(saved):  # noqa: F811
    path = saved / "2" / "identity" / "identity.json"
    whole = path.read_text()
    for text in (whole.replace('"objective": 2.0', '"objective": 2.9'), whole[:-20], "{}", ""):
        assert text != whole
        path.write_text(text)
        with Checkpoints(saved, read_only=True) as checkpoints:
            for ask in (checkpoints.best, lambda: checkpoints.restore("best", wanted())):  # noqa: B023
                with pytest.raises(DamagedCheckpoint, match="Checkpoint 2 in .* is damaged: identity.json"):
                    ask()
            assert checkpoints.restore("newest", wanted()).step == 5


def test_what_is_left_of_a_checkpoint_that_was_being_removed_is_none(saved):  # noqa: F811
    (saved / "2" / "identity" / "identity.json").unlink()
    with Checkpoints(saved) as checkpoints:
        assert checkpoints.steps() == [5] and checkpoints.best() == 5
        checkpoints.save(6, items(6.0), {"objective": 1.0})
    assert not (saved / "2").exists()
    (saved / "6" / "identity" / "identity.json").unlink()
    assert "identity.json: it is gone" in str(damage_of(saved, 6))  # the newest is none that was to be removed


def as_before(checkpoint, metrics):
    """A checkpoint as earlier versions saved it: without identity, the metrics in a file of Orbax."""
    shutil.rmtree(checkpoint / "identity")
    (checkpoint / "metrics").mkdir()
    (checkpoint / "metrics" / "metrics").write_text(metrics)


def test_checkpoints_of_before_still_open(saved):  # noqa: F811
    as_before(saved / "2", '{"objective": 2.0}')
    as_before(saved / "5", "{}")
    with Checkpoints(saved) as checkpoints:
        assert checkpoints.best() == 2 and checkpoints.metrics(5) is None and checkpoints.whole() == [2, 5]
        assert float(checkpoints.restore("best", wanted()).items["params"]["layer"]["kernel"][0, 0]) == 2.0
        checkpoints.save(6, items(6.0), {"objective": 1.5})
        checkpoints.wait()
        assert checkpoints.steps() == [6] and checkpoints.best() == 6
    for metrics in ("", "[]", '{"objective": "low"}', '{"objectivd": 2.0}', '{"objective": NaN}', "\x00"):
        shutil.rmtree(saved / "6")
        with Checkpoints(saved) as checkpoints:
            checkpoints.save(6, items(6.0), {"objective": 1.5})
        as_before(saved / "6", metrics)
        with Checkpoints(saved, read_only=True) as checkpoints:
            with pytest.raises(DamagedCheckpoint, match="Checkpoint 6 .* metrics"):
                checkpoints.best()
