"""The models that are compared, a row each: its config, and what makes it as large as the others."""

from collections.abc import Mapping
from typing import NamedTuple

PARAMETERS = 2_000_000  # of every model that learns, at equal parameters; a VAE and its prior are counted together
TOLERANCE = 0.05


class Rival(NamedTuple):
    """A row; changes are of config fields, as 'model.units=128'."""

    name: str
    config: str  # as --config takes it
    equal: tuple[str, ...] = ()  # changes with which it has PARAMETERS
    needs: str = ""  # the rival whose latents it learns: half of its time, and a part of its parameters, are that one's
    counts: bool = False  # nothing is learnt by updates, so that one run says all

    @property
    def share(self) -> float:
        """Of the time of a model, what its own updates have."""
        return 0.5 if self.needs or self.name == PART else 1.0


PART = "vae"  # it is trained for others, and is none itself
RIVALS: Mapping[str, Rival] = {
    rival.name: rival
    for rival in (
        Rival("dice", "dice", counts=True),
        Rival("markov", "markov", counts=True),
        Rival("note_lstm", "note_lstm", equal=("model.units=376",)),
        Rival("note_transformer", "note_transformer", equal=("model.units=180", "model.layers=5")),
        Rival(PART, "vae", equal=("model.units=128", "model.latent=32")),
        Rival("mcvae", "mdrnn", equal=("model.units=256",), needs=PART),
        Rival("transformer_prior", "transformer_prior", equal=("model.units=124", "model.heads=2"), needs=PART),
        Rival("diffusion_prior", "diffusion_prior", equal=("model.units=144",), needs=PART),
        Rival("gan_prior", "gan_prior", equal=("model.units=104",), needs=PART),
        Rival("bar_codes", "bar_codes"),
        Rival("music_vae", "music_vae", equal=("model.units=232",)),
        Rival("music_vae_flat", "music_vae:flat", equal=("model.units=288",)),
        Rival("joint", "joint", equal=("model.units=208", "model.decoder_units=208")),
    )
}
