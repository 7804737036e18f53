# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Inside the latent space
#
# The VAE turns a bar into a vector and back. Where do bars lie, what lies between them, what does a direction mean, and
# how much of the space is used? Run all cells; on a CPU that takes about three minutes.

# %%
# @title Install, and see on what this runs { display-mode: "form" }
# @markdown The address of the repository, as `git clone` takes it. Where mcvae_jax is installed nothing is done.
REPOSITORY = ""  # @param {type: "string"}
import importlib.metadata
import importlib.util
import os
import subprocess
import sys

CHECKOUT = "mcvae_jax_checkout"
if importlib.util.find_spec("mcvae_jax") is None:
    if not REPOSITORY:
        raise SystemExit("Write the address of the repository into the field REPOSITORY, and run this cell again.")
    if not os.path.isdir(CHECKOUT):
        subprocess.run(["git", "clone", "--quiet", "--depth=1", REPOSITORY, CHECKOUT], check=True)
    here = importlib.metadata.distributions()  # another jax would lose the accelerator, so pip must keep what is here
    kept = {f"{each.name}=={each.version}" for each in here if each.name.startswith("jax") or each.name == "numpy"}
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", f"./{CHECKOUT}", *sorted(kept)], check=True)
    importlib.invalidate_caches()

from mcvae_jax import notebook

notebook.start(CHECKOUT)

# %% [markdown]
# ## The model
#
# Without a workdir the next cell trains a **toy**: tiny models, two minutes, on fiddle tunes that come with the installed
# packages. It shows how everything works, and its music is poor. A workdir of the notebook *train*, or of
# `mcvae train --config=mcvae`, makes better songs. A second notebook in the same folder finds the toy trained.

# %%
# @title The model { display-mode: "form" }
# @markdown A workdir, as `mcvae train` or the notebook *train* has made it. Empty: a toy is trained here.
WORKDIR = ""  # @param {type: "string"}
composer = notebook.open_or_train(WORKDIR)
composer

# %% [markdown]
# ## The map
#
# Bars of the corpus, where the means of their posteriors lie, in the plane in which they vary most (PCA). The share
# on the axes says how much of the variance the plane shows: distances in it are a part of the truth.

# %%
space = notebook.LatentSpace.of(composer)
space.map(by=("note density", "mean pitch"))

# %% [markdown]
# ## What is used
#
# Left: how many nats each dimension tells of a bar. Right: a dimension is active where the mean moves from bar to bar
# (variance above 0.01, Burda et al. 2016). A VAE with a strong prior leaves dimensions unused.

# %%
space.units()

# %% [markdown]
# ## Between two bars
#
# The training bars with fewest and with most notes, and the way between them, bar by bar. The first and last bar are what
# the decoder makes of the two, which need not be just those.

# %%
# @title A way { display-mode: "form" }
ATTRIBUTE = "note density"  # @param ["note density", "pitch range", "mean pitch", "mean interval", "off-beat notes"]
STEPS = 8  # @param {type: "slider", min: 2, max: 16, step: 1}
WAY = "spherical"  # @param ["spherical", "linear"]
least, most = space.extremes(ATTRIBUTE)
space.between(least, most, steps=STEPS, path=WAY)

# %% [markdown]
# ## Whole melodies
#
# The same between the first bars of two tunes.

# %%
# @title From tune to tune { display-mode: "form" }
FROM = "Ode to Joy"  # @param {type: "string"}
TO = "Jingle Bells"  # @param {type: "string"}
a, b = (composer.tune(name, bars=4) for name in (FROM, TO))
composer.interpolate(a, b, steps=4)

# %% [markdown]
# ## Directions
#
# A direction of an attribute is the mean vector of the quarter of the training bars that have most of it, minus that of
# the quarter that has least (MusicVAE, Roberts et al. 2018). Here a bar is moved by -2 to 2 times the vector: the bar
# in the middle is the bar itself, as the decoder has it.

# %%
# @title Move a bar { display-mode: "form" }
DIRECTION = "note density"  # @param ["note density", "pitch range", "mean pitch", "mean interval", "off-beat notes"]
space.moved(a.bars[0], DIRECTION)

# %% [markdown]
# One bar proves nothing. So held-out bars, which made no direction, are moved, decoded and measured. Above: each direction on
# its own attribute, beside random directions of the same length (grey), which it must beat. Below: what each direction does
# to all attributes. Off the diagonal are side effects: bars with more notes, say, have more notes off the beat, and the
# vectors hardly tell the two apart. A direction that does not move its own attribute is no direction of it.

# %%
measured = space.effects()
space.show_effects(measured)
