"""Settings of sampling: what cannot be meant is refused."""

import jax
import pytest

from mcvae_jax.errors import UserError
from mcvae_jax.models.settings import Settings


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -0.1},
        {"temperature": float("nan")},
        {"tau_pi": float("inf")},
        {"tau_sigma": -1.0},
        {"top_k": -1},
        {"top_p": 0.0},
        {"top_p": 1.01},
        {"seed": -1},
    ],
)
def test_settings_that_cannot_be_meant(wrong):
    with pytest.raises(UserError, match=f"^{next(iter(wrong))} is "):
        Settings(**wrong)


@pytest.mark.parametrize("backend", ("cpu", "gpu", "tpu"))
def test_an_accelerator_is_not_asked_whether_to_cut(monkeypatch, backend):
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    assert Settings(temperature=0.5).cuts == ((0.5, 0, 1.0) if backend == "cpu" else (0.5, None, None))
    assert Settings(temperature=0.5, top_k=3).cuts == (0.5, 3, 1.0)
    assert Settings(temperature=0.5, top_p=0.75).cuts == (0.5, 0, 0.75)
