"""What the bar VAE reads and writes, by name: steps (the thesis) or events (its suggestion in 7.2 and 8.3.1)."""

from collections.abc import Mapping
from typing import Any

from mcvae_jax.errors import UserError
from mcvae_jax.models.event_vae import EventVAE
from mcvae_jax.models.vae import VAE
from mcvae_jax.music.tokens import BAR, HIGHEST
from mcvae_jax.nn.layers import check_sizes, operand_dtype

ENCODINGS = {"steps": VAE, "events": EventVAE}


def make_vae(settings: Mapping[str, Any], steps: int = BAR) -> VAE:
    """The VAE of config.model (encoding, units, latent, layers, merge, matmul_dtype, min_pitch, max_pitch).

    Workdirs from before encodings and ranges of pitches have no such fields: theirs are steps and all pitches.

    Args:
      steps: of a bar, a fact of the corpus.

    Raises:
      UserError: a field that cannot work.
    """
    fields = dict(settings)
    encoding, dtype = fields.pop("encoding", "steps"), fields.pop("matmul_dtype")
    check_sizes(fields, ("units", "latent", "layers"))
    if fields["merge"] not in ("add", "concat"):
        raise UserError(f"config.model.merge is 'add' or 'concat', not {fields['merge']!r}")
    if encoding not in ENCODINGS:
        raise UserError(f"config.model.encoding is one of {', '.join(ENCODINGS)}, not {encoding!r}")
    vae = ENCODINGS[encoding](**fields, steps=steps, dtype=operand_dtype(dtype))
    if not 0 <= vae.min_pitch <= vae.max_pitch <= HIGHEST:
        raise UserError(
            f"config.model.min_pitch and max_pitch must be 0 <= min <= max <= {HIGHEST}; they are {vae.min_pitch} and"
            f" {vae.max_pitch}"
        )
    return vae
