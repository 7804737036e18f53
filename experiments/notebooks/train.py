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
# # Train on your own music
#
# From files to a model that composes: the corpus and its report, training with learning curves, songs. At smoke scale, on
# the 23 tunes that come with the package, it takes about two minutes on a CPU. Run all cells again after a disconnect:
# training goes on from its last checkpoint.

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
# ## Your music
#
# `MUSIC` is `tunes` (23 well-known melodies), `builtin` (3,068 fiddle tunes), or the path of a folder or archive of MIDI, ABC,
# MusicXML or Humdrum files. A dozen songs are the least, some hundreds teach a model something. `UPLOAD` takes files from
# your computer. `DRIVE` keeps everything on your Google Drive, where it survives the end of a Colab session.

# %%
# @title Music, and where the run is kept { display-mode: "form" }
MUSIC = "tunes"  # @param ["tunes", "builtin"] {allow-input: true}
UPLOAD = False  # @param {type: "boolean"}
DRIVE = False  # @param {type: "boolean"}
WORKDIR = "runs/mine"  # @param {type: "string"}
# @markdown `smoke` takes a minute and makes a toy; `default` takes some 20 minutes on a CPU; `accelerator` is for GPU and TPU.
PRESET = "smoke"  # @param ["smoke", "default", "accelerator", "thesis"]
workdir = notebook.drive(WORKDIR) if DRIVE else WORKDIR
music = notebook.upload(f"{workdir}-music", once=True) if UPLOAD else MUSIC
run = notebook.Run(f"mcvae:{PRESET}", workdir, music)

# %% [markdown]
# ## The corpus
#
# What was read, what was left out and why, and how songs were split: the model is never trained on held-out songs.

# %%
run.corpus()

# %% [markdown]
# ## Training
#
# First the bar VAE learns single bars, then the MDRNN learns how bars follow each other. Held-out curves (orange) that
# rise while training curves (blue) fall say that the model begins to learn by heart; the best checkpoint is kept. The stop
# button saves, and so does a disconnect at the last checkpoint; this cell again goes on.

# %%
composer = run.train()
composer

# %% [markdown]
# A run that is finished has nothing left to do. To train it further, ask for more steps, as
# `notebook.Run(..., fields={"mdrnn.train.steps": 300})`.

# %%
composer = run.train()

# %% [markdown]
# ## Listen
#
# Two songs that it has not seen are continued. After a minute of training on 23 tunes do not expect much.

# %%
# @title Compose { display-mode: "form" }
BARS = 8  # @param {type: "slider", min: 1, max: 48, step: 1}
songs = notebook.Songs()
for seed in composer.held_out(songs=2, bars=4):
    songs += composer.continue_(seed, bars=BARS, songs=1)
songs

# %% [markdown]
# The notebook *compose* takes this run: write its folder into the field `WORKDIR` there.
