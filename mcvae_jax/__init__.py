"""The Mixture Composer VAE: learns melodies from MIDI and composes new ones that keep their shape."""

from mcvae_jax.stopping import while_importing

while_importing(__name__)
