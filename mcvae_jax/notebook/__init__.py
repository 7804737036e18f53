"""What is typed in a notebook: models that compose, music to start from, training with curves, the latent space.

    from mcvae_jax import notebook

    composer = notebook.open_composer("runs/mine")             # a workdir
    tune = composer.tune("Ode to Joy", bars=8)                 # built-in, or the path of a file
    songs = composer.continue_(tune, bars=16, songs=4)         # the cell shows them: rolls and players
    songs[0].save("mine.mid")

What a call returns shows itself as the last line of a cell. Nothing here computes anything that the commands do not:
it is a short way to the same functions. experiments/notebooks/ has four notebooks that use it.
"""

from mcvae_jax.notebook.colab import download, drive, upload
from mcvae_jax.notebook.composer import Composer, open_composer
from mcvae_jax.notebook.music import tunes
from mcvae_jax.notebook.run import Run, open_or_train
from mcvae_jax.notebook.shown import Picture, start
from mcvae_jax.notebook.space import LatentSpace
from mcvae_jax.sampling.song import Songs

__all__ = [
    "Composer",
    "LatentSpace",
    "Picture",
    "Run",
    "Songs",
    "download",
    "drive",
    "open_composer",
    "open_or_train",
    "start",
    "tunes",
    "upload",
]
