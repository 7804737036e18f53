"""What the bar VAE reads and writes, by name: steps (the thesis) or events (its suggestion in 7.2 and 8.3.1)."""

from collections.abc import Mapping
from typing import Any

from mcvae_jax.errors import UserError
from mcvae_jax.models.event_vae import EventVAE
from mcvae_jax.models.vae import HIGHEST, VAE, check_sizes, operand_dtype

ENCODINGS = {"steps": VAE, "events": EventVAE}
OLDEST = {"encoding": "steps", "min_pitch": 0, "max_pitch": HIGHEST}  # of workdirs from before these fields


def make_vae(settings: Mapping[str, Any]) -> VAE:
    """The VAE of config.model: encoding, units, latent, layers, merge, matmul_dtype, min_pitch, max_pitch.

    Raises:
      UserError: a field that cannot work.
    """
    fields = OLDEST | dict(settings)
    encoding, dtype = fields.pop("encoding"), fields.pop("matmul_dtype")
    check_sizes(fields, ("units", "latent", "layers"))
    if fields["merge"] not in ("add", "concat"):
        raise UserError(f"config.model.merge is 'add' or 'concat', not {fields['merge']!r}")
    if encoding not in ENCODINGS:
        raise UserError(f"config.model.encoding is one of {', '.join(ENCODINGS)}, not {encoding!r}")
    low, high = fields["min_pitch"], fields["max_pitch"]
    if not 0 <= low <= high <= HIGHEST:
        raise UserError(
            f"config.model.min_pitch and max_pitch must be 0 <= min <= max <= {HIGHEST}; they are {low} and {high}"
        )
    return ENCODINGS[encoding](**fields, dtype=operand_dtype(dtype))
