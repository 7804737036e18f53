"""The layouts agree; mistakes about devices are one line."""

import jax
import numpy as np
import pytest

from mcvae_jax.errors import UserError
from mcvae_jax.training import parallel
from tests import toy_task
from tests.layouts import check_layouts_agree


@pytest.mark.more
@pytest.mark.parametrize(
    "objectives", [["capacity"], pytest.param(["beta", "free_bits"], marks=pytest.mark.slow)], ids="-".join
)
def test_jit_on_1_jit_on_8_and_pmap_on_8_agree(objectives):
    check_layouts_agree("tests.toy_task:make_task", *({"objective": name} for name in objectives))


@pytest.mark.parametrize("objective", ["capacity", "free_bits"])
def test_the_objectives_are_not_averages_over_devices(objective):
    """What gives the test above its teeth: averaging the objectives of eight shares is another number."""
    task = toy_task.make_task(objective)
    params, key, batch = jax.jit(task.init)(jax.random.key(0)), jax.random.key(1), task.batch(0)
    objective = jax.jit(lambda batch: task.objective(task.sums(params, batch, key, True), 3)[0])
    shares = [{k: v[i : i + 2] for k, v in batch.items()} for i in range(0, 16, 2)]
    shares = [s for s in shares if s["weight"].sum()]
    whole, average = objective(batch), np.mean([objective(share) for share in shares])
    assert abs(whole - average) > 0.02 * abs(whole)


def test_an_uneven_batch_is_refused_with_a_size_that_works():
    with pytest.raises(UserError, match=r"batch_size is 50, which 8 devices .* such as 56"):
        parallel.check_batch_size(50, 8)
    parallel.check_batch_size(56, 8)


def test_unknown_mode_is_refused():
    with pytest.raises(UserError, match="'jit' or 'pmap'"):
        parallel.make_layout("xmap")


def test_padding_adds_examples_without_weight():
    batch = toy_task.make_batch(np.random.default_rng(0), 10)
    padded = parallel.pad_batch(batch, 8)
    assert {k: v.shape[0] for k, v in padded.items()} == dict.fromkeys(batch, 16)
    assert padded["weight"][10:].sum() == 0 and padded["weight"].dtype == np.float32
    np.testing.assert_array_equal(padded["x"][:10], batch["x"])
    assert parallel.pad_batch(batch, 5) is batch
