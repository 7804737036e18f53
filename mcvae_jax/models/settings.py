"""How a call samples: temperatures, cut-offs and the seed of its random numbers."""

import dataclasses
import inspect
import math
from pathlib import Path
from typing import Any

import numpy as np

from mcvae_jax.command import check_range, option
from mcvae_jax.errors import UserError
from mcvae_jax.storage.jsonfile import Object, conform

MOST_SEED = (1 << 32) - 1
MOST_TOKENS = 1000  # more than a vocabulary has
MOST_DRAWS = 64  # of a song


@dataclasses.dataclass(frozen=True)
class Settings:
    """What every mode of sampling takes; each field with the help of its flag."""

    temperature: float = option("of the notes: 0 takes the likeliest, 1 draws as the model says, more is wilder", 0.0)
    top_k: int = option("draw from the so many likeliest tokens alone; 0 is off", 0)
    top_p: float = option("then from the fewest likeliest tokens that hold this share of the chance; 1 is off", 1.0)
    tau_pi: float = option("divides the logits of the prior's components; 0 takes the heaviest component", 1.0)
    tau_sigma: float = option("multiplies the variances of the prior's mixture; 0 takes the component's mean", 0.5)
    tau_recall: float = option("where the MDRNN recalls an earlier bar: 0 repeats it, 1 draws as the model says", 0.0)
    repetition: float = option("multiplies the odds that a bar repeats an earlier one, of models that copy", 1.0)
    best_of: int = option("draws of each song, of which the one stays that the model finds likeliest", 1)
    seed: int = option("of the random numbers: the same seed gives the same songs", 0)

    @property
    def cuts(self) -> tuple[np.float32, np.int32 | None, np.float32 | None]:
        """What `sample_tokens` asks, as arrays, so that other values need no other program.

        A GPU waits for the host each time that a program asks something, which at each token took it a third of the
        time of a bar: there, and on TPUs, what cuts and what does not are two programs.
        """
        import jax  # not above: all commands import settings, and few need JAX to say what they do

        temperature = np.float32(self.temperature)
        if self.top_k == 0 and self.top_p == 1 and jax.default_backend() != "cpu":
            return temperature, None, None
        return temperature, np.int32(self.top_k), np.float32(self.top_p)

    def __post_init__(self) -> None:
        for name in ("temperature", "tau_pi", "tau_sigma", "tau_recall", "repetition"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise UserError(f"{name} is {value}; it must be 0 or more, 1 is the model as it was trained")
        check_range("top_k", self.top_k, 0, MOST_TOKENS)
        if not 0 < self.top_p <= 1:
            raise UserError(f"top_p is {self.top_p}; it must lie above 0 and be at most 1 (off)")
        check_range("best_of", self.best_of, 1, MOST_DRAWS)
        check_range("seed", self.seed, 0, MOST_SEED)


DEFAULTS = Settings()
OWN = tuple(field.name for field in dataclasses.fields(Settings) if field.name != "seed")  # what a model may state
AS_TRAINED = Settings(temperature=1.0, tau_pi=1.0, tau_sigma=1.0, tau_recall=1.0)  # draws all as the models say


def takes_own(model: Any) -> bool:
    """Whether the defaults of a song model can be others: it is a dataclass that takes them as a field."""
    return dataclasses.is_dataclass(model) and "defaults" in inspect.signature(type(model)).parameters


def with_own(model: Any, songs: Any, place: Path) -> Any:
    """A song model whose defaults are what the section `songs` of its config says, except for the seed.

    Fields that the section lacks stay as they are, and so does a model whose defaults are fixed.

    Args:
      place: the file of the config; DamagedFile names it for a value that cannot be.
    """
    if not songs or not takes_own(model):
        return model
    section = conform(place, songs, Object)
    given = {name: section[name] for name in OWN if name in section}
    own = conform(place, dataclasses.asdict(model.defaults) | given, Settings)
    return dataclasses.replace(model, defaults=own)
