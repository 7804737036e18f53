"""Programs as users compile them give the values of float64: some versions of jaxlib miscompile on CPUs."""

import json
import os
import subprocess
import sys

import pytest

from tests.conftest import NO_OPTIMISATION

TOLERANCE = 1e-4  # of the largest value of an array


@pytest.fixture(scope="module")
def found():
    flags = os.environ["XLA_FLAGS"].replace(NO_OPTIMISATION, "").strip()
    done = subprocess.run(
        [sys.executable, "-m", "tests.canary"],
        env=os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.mark.parametrize("dtype", ("float32", "float64"))
def test_a_product_a_square_and_a_sum(found, dtype):
    """jax#39103: jaxlib 0.10.2 gives 1065369600 for the last of them instead of 32768 ** 2."""
    assert found[dtype] == {"wrong": 0, "last": 2.0**30}


@pytest.mark.parametrize("model", ("VAE", "MDRNN"))
def test_losses_and_gradients_of_the_models(found, model):
    result = found[model]
    assert result["moved"] > 1e-3, "the gradient is nearly zero, so its agreement says nothing"
    assert max(result["loss"], result["gradient"]) < TOLERANCE, result
