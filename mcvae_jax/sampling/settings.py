"""How a call samples: temperatures, cut-offs and the seed of its random numbers."""

import dataclasses
import math

from mcvae_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Settings:
    """What every mode of sampling takes; the comments are the help of the command's flags."""

    temperature: float = 0.0  # of the tokens of a bar: 0 takes the likeliest, 1 draws as the VAE says, more is wilder
    top_k: int = 0  # draw from the so many likeliest tokens alone; 0 is off
    top_p: float = 1.0  # then from the fewest likeliest tokens that hold this share of the chance; 1 is off
    tau_pi: float = 1.0  # divides the logits of the MDRNN's components; 0 takes the heaviest component
    tau_sigma: float = 0.5  # multiplies the MDRNN's variances; 0 takes the component's mean
    tau_recall: float = 0.0  # where the MDRNN recalls an earlier bar: 0 repeats it, 1 draws as the model says
    seed: int = 0  # of the random numbers: the same seed gives the same songs

    def __post_init__(self):
        for name in ("temperature", "tau_pi", "tau_sigma", "tau_recall"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise UserError(f"{name} is {value}; it must be 0 or more, 1 is the model as it was trained")
        if self.top_k < 0:
            raise UserError(f"top_k is {self.top_k}; it must be 0 (off) or a number of tokens")
        if not 0 < self.top_p <= 1:
            raise UserError(f"top_p is {self.top_p}; it must lie above 0 and be at most 1 (off)")
        if not 0 <= self.seed < 1 << 32:
            raise UserError(f"seed is {self.seed}; it must be from 0 to 2^32 - 1")


DEFAULTS = Settings()
AS_TRAINED = Settings(temperature=1.0, tau_pi=1.0, tau_sigma=1.0, tau_recall=1.0)  # draws all as the models say
