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
# # Compose
#
# A melody of yours, or a well-known one, is continued, has bars filled in, and is varied. You hear and see every result,
# and keep it as MIDI. Run all cells from top to bottom; on a CPU that takes about three minutes.

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
# ## The melody
#
# Choose a tune, or write the path of a MIDI, ABC, MusicXML or Humdrum file. With `UPLOAD` you choose a file of your
# computer (in Colab you are asked at once; elsewhere a button appears, and you run the cell again after that).

# %%
# @title The melody { display-mode: "form" }
TUNE = "Ode to Joy"  # @param ["Ode to Joy", "Twinkle, Twinkle, Little Star", "Auld Lang Syne", "Oh! Susanna", "Jingle Bells", "Good King Wenceslas", "Largo from the New World"] {allow-input: true}
UPLOAD = False  # @param {type: "boolean"}
TUNE_BARS = 8  # @param {type: "slider", min: 1, max: 32, step: 1}
tune = composer.tune(notebook.upload() if UPLOAD else TUNE, bars=TUNE_BARS)
tune

# %% [markdown]
# ## Go on
#
# The shaded bars are yours, what follows is composed. `FREEDOM` multiplies the variances of what comes next: 0 is plain,
# 1 is the model as it was trained.

# %%
# @title Continue { display-mode: "form" }
BARS = 8  # @param {type: "slider", min: 1, max: 48, step: 1}
SONGS = 2  # @param {type: "slider", min: 1, max: 8, step: 1}
FREEDOM = 0.5  # @param {type: "slider", min: 0, max: 1.5, step: 0.05}
SEED = 0  # @param {type: "integer"}
songs = composer.continue_(tune, bars=BARS, songs=SONGS, tau_sigma=FREEDOM, seed=SEED)
songs

# %% [markdown]
# ## Fill in
#
# Some bars of the melody are composed anew, so that they fit what stands before and after: `5-6`, or `3,7-8`.

# %%
# @title Fill { display-mode: "form" }
MISSING = "5-6"  # @param {type: "string"}
composer.fill(tune, MISSING, songs=SONGS, seed=SEED)

# %% [markdown]
# ## Vary
#
# Melodies near yours. Spread 0 is what the model keeps of it, 1 a draw around it, 2 goes far.

# %%
# @title Vary { display-mode: "form" }
SPREAD = 1.0  # @param {type: "slider", min: 0, max: 3, step: 0.1}
composer.vary(tune, SPREAD, songs=SONGS, seed=SEED)

# %% [markdown]
# ## All of it with sliders
#
# Move them, and press *Make songs*.

# %%
sliders = composer.panel(tune)
sliders

# %% [markdown]
# ## Keep it
#
# Each player above has a link to its MIDI file. From Python, `save` writes `.mid` and `.wav`; `songs.save("folder")` writes
# all songs with a page of players.

# %%
songs[0].save("song.mid")
notebook.download("song.mid")
