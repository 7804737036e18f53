"""One module a table or figure; each is a command that goes on where it was cut off."""

from mcvae_jax.stopping import while_importing

while_importing(__name__)
