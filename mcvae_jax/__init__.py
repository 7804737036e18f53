"""The Mixture Composer VAE: learns melodies from MIDI and composes new ones that keep their shape."""

from mcvae_jax.stopping import while_importing

__version__ = "0.1.0"  # the one place of it

while_importing(__name__)
