"""What is kept, what is ignored, what is refused."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mcvae_jax.errors import UserError
from mcvae_jax.storage.checkpoints import Checkpoints, DamagedCheckpoint, target
from mcvae_jax.storage.disk import CannotWrite
from mcvae_jax.storage.identity import tree_identity
from tests.storage.test_disk import files_up_to

DEVICE = jax.sharding.SingleDeviceSharding(jax.devices()[0])


def items(value=1.0, units=4):
    params = {"layer": {"kernel": jnp.full((3, units), value), "bias": jnp.arange(units)}}
    return {"params": params, "opt_state": (jnp.int32(7), jax.tree.map(lambda x: 2 * x, params))}


def wanted(units=4):
    return target(items(units=units), DEVICE)


@pytest.fixture
def saved(tmp_path):
    """Steps 1 to 5 with these objectives; None was not evaluated."""
    with Checkpoints(tmp_path / "c") as checkpoints:
        for step, objective in enumerate([3.0, 2.0, None, 2.0, 2.5], 1):
            metrics = None if objective is None else {"objective": objective, "kl": 0.5}
            checkpoints.save(step, items(float(step)), metrics)
            checkpoints.wait()
    return tmp_path / "c"


def test_the_newest_and_the_best_are_kept_with_metrics_on_disk(saved):
    with Checkpoints(saved, read_only=True) as checkpoints:
        assert checkpoints.steps() == [2, 5]
        assert (checkpoints.best(), checkpoints.newest()) == (2, 5)  # 4 is no better than 2
        assert checkpoints.metrics(2) == {"objective": 2.0, "kl": 0.5}


def test_restored_arrays_have_the_bits_dtypes_structure_and_sharding_asked_for(saved):
    with Checkpoints(saved, read_only=True) as checkpoints:
        restored = checkpoints.restore("best", wanted())
        assert restored.step == 2 and restored.metrics["objective"] == 2.0
        expected = items(2.0)
        assert jax.tree.structure(restored.items) == jax.tree.structure(expected)
        for a, b in zip(jax.tree.leaves(restored.items), jax.tree.leaves(expected), strict=True):
            np.testing.assert_array_equal(a, b)
            assert a.dtype == b.dtype and a.sharding == DEVICE
        assert float(checkpoints.restore("newest", wanted()).items["params"]["layer"]["kernel"][0, 0]) == 5.0
        assert checkpoints.restore(5, {"params": wanted()["params"]}).items.keys() == {"params"}


def test_a_save_holds_what_was_there_when_it_was_asked_for(tmp_path):
    """The state is donated to the next update while the save is still being written."""
    grow = jax.jit(lambda tree: jax.tree.map(lambda x: x + 1, tree), donate_argnums=0)
    big = {"params": {"a": jnp.zeros((2000, 1000))}, "opt_state": {"a": jnp.zeros((2000, 1000))}}
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, big)
        for _ in range(20):
            big = grow(big)
        checkpoints.wait()
        restored = checkpoints.restore(1, target(big, DEVICE)).items
    assert float(big["params"]["a"].max()) == 20
    assert all(not np.any(x) for x in jax.tree.leaves(restored))


def test_half_written_checkpoints_are_ignored_and_cleared_away(saved):
    """What a killed process leaves: a folder under Orbax' temporary name."""
    half = saved / "9.orbax-checkpoint-tmp"
    (half / "params").mkdir(parents=True)
    with Checkpoints(saved, read_only=True) as checkpoints:
        assert checkpoints.newest() == 5 and half.exists()
    with Checkpoints(saved) as checkpoints:
        assert checkpoints.newest() == 5
        checkpoints.save(6, items(6.0))
    assert not half.exists()


def truncate(folder):
    for path in folder.rglob("*"):
        if path.is_file() and path.parent.name == "d":
            path.write_bytes(path.read_bytes()[:20])


def lose_metadata(folder):
    (folder / "params" / "_METADATA").unlink()


def lose_data(folder):
    for path in folder.rglob("manifest.ocdbt"):
        path.unlink()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of Orbax' own threads
@pytest.mark.parametrize("damage", [truncate, lose_metadata, lose_data])
def test_a_damaged_checkpoint_says_so_and_can_be_removed(saved, damage):
    damage(saved / "5")
    with Checkpoints(saved) as checkpoints:
        with pytest.raises(DamagedCheckpoint, match="Checkpoint 5 in .* is damaged: it cannot be read"):
            checkpoints.restore("newest", wanted())
        if damage is not truncate:
            with pytest.raises(DamagedCheckpoint, match="Checkpoint 5 in .* cannot be read(?!.*tensorstore_spec)"):
                checkpoints.shapes(5, "params")
        checkpoints.delete(5)
        assert checkpoints.restore("newest", wanted()).step == 2


def test_the_identity_is_of_what_was_saved_and_not_of_what_came_after(tmp_path):
    grow = jax.jit(lambda tree: jax.tree.map(lambda x: x + 1, tree), donate_argnums=0)
    big = {"params": {"a": jnp.zeros((2000, 1000))}, "opt_state": {"a": jnp.zeros((2000, 1000))}}
    expected = tree_identity(big["params"])
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, big)
        for _ in range(20):
            big = grow(big)
        checkpoints.wait()
        assert checkpoints.about(1).identities == {"params": expected, "opt_state": expected}
        assert checkpoints.identity(1, "params") == expected and checkpoints.damage(1) is None


def test_identities_do_not_depend_on_containers_devices_or_the_order_of_keys():
    mesh = jax.sharding.Mesh(np.array(jax.devices()), ("data",))
    everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    tree = items(3.0)
    same = [
        jax.device_get(tree),
        jax.device_put(tree, everywhere),
        {"opt_state": dict(enumerate(tree["opt_state"])), "params": dict(reversed(tree["params"].items()))},
    ]
    assert {tree_identity(each) for each in [tree, *same]} == {tree_identity(tree)}
    others = [items(3.1), items(3.0, units=5), jax.tree.map(lambda x: x.astype(jnp.bfloat16), tree)]
    assert len({tree_identity(each) for each in [tree, *others]}) == 4


def test_a_full_disk_is_one_line_and_the_next_save_works(tmp_path, capfd):
    big = {"params": {"a": jnp.arange(50_000.0)}, "opt_state": {"a": jnp.zeros(3)}}
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, items(1.0))
        checkpoints.wait()
        full = f"The disk of {tmp_path} is full .*; free 2 MB, and the same command"
        with files_up_to(20_000), pytest.raises(CannotWrite, match=full):
            checkpoints.save(2, big)
            checkpoints.wait()
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.steps() == [1]
        checkpoints.save(2, big)
        checkpoints.wait()
        assert checkpoints.damage(2) is None
    assert capfd.readouterr().err == ""


def test_another_configuration_is_named(saved):
    with Checkpoints(saved, read_only=True) as checkpoints:
        with pytest.raises(UserError, match=r"layer/bias: \(4,\) there, \(6,\) here; layer/kernel") as caught:
            checkpoints.restore("best", {"params": wanted(units=6)["params"]})
        assert not isinstance(caught.value, DamagedCheckpoint) and "\n" not in str(caught.value)
        other = {"params": {"layers": wanted()["params"]["layer"]}}
        with pytest.raises(UserError, match="layer/bias: .* there, absent here"):
            checkpoints.restore("best", other)


def test_no_checkpoint_is_one_clear_line(tmp_path, saved):
    with pytest.raises(UserError, match="holds no checkpoint; train there first"):
        Checkpoints(tmp_path / "nowhere", read_only=True)
    with Checkpoints(tmp_path / "empty") as checkpoints:
        assert checkpoints.best() is None and checkpoints.newest() is None
        with pytest.raises(UserError, match="holds no best checkpoint"):
            checkpoints.restore("best", wanted())
    with Checkpoints(saved, read_only=True) as checkpoints:
        with pytest.raises(UserError, match=r"no checkpoint of step 3 \(it has steps \[2, 5\]\)"):
            checkpoints.restore(3, wanted())


def test_the_record_is_plain_json_with_the_metrics(saved):
    record = json.loads((saved / "2" / "identity" / "identity.json").read_text())
    assert record["metrics"]["objective"] == 2.0 and record["step"] == 2
