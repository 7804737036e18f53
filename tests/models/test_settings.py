"""Settings of sampling: what cannot be meant is refused."""

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
