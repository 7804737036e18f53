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
# # The thesis' figures
#
# The thesis' own evaluation (6.4.2 to 6.6): melodies between songs of set A and set B, by its Algorithms 1 to 4, scored by a
# 5-gram model. Each figure comes as published (5-gram score), and corrected (bits per bar). Run all cells; at smoke scale on a CPU that takes about three
# minutes, and what it shows holds for a toy. `docs/results.md` has the numbers of real runs.

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
# ## Compose and score
#
# With more songs in A and B the boxes mean more. Songs that the model was trained on flatter it; the thesis used such.

# %%
# @title The evaluation { display-mode: "form" }
SONGS = 20  # @param {type: "slider", min: 2, max: 100, step: 1}
SONGS_FROM = "held_out"  # @param ["held_out", "all"]
from experiments import thesis

thesis.main([f"--workdir={composer.folder}", "--out=thesis", f"--songs={SONGS}", f"--songs_from={SONGS_FROM}"])

# %% [markdown]
# ## Fig 6.6: true data interpolation
#
# Eq 6.3 mixes the tokens of two songs. As published (the upper figure, and its first panel) it is B below 0.5 and A above, so that only 0.5 is a mixture;
# "honest" draws each step from A with probability α.

# %%
notebook.Picture.read("thesis/fig_6_6.png", "thesis/fig_6_6_corrected.png")

# %% [markdown]
# ## Fig 6.7: the VAE, all bars given (Algorithm 1)
#
# Every bar between the two songs is decoded by itself. The thesis found such melodies less likely than real songs.

# %%
notebook.Picture.read("thesis/fig_6_7.png", "thesis/fig_6_7_corrected.png")

# %% [markdown]
# ## Fig 6.8: the MCVAE, all bars given (Algorithm 3)
#
# The MDRNN reads the interpolated bars and predicts the one after each. The thesis found them about as likely as real songs.

# %%
notebook.Picture.read("thesis/fig_6_8.png", "thesis/fig_6_8_corrected.png")

# %% [markdown]
# ## Fig 6.9: the VAE runs freely (Algorithm 2)
#
# The decoder goes on from one vector. It was trained on single bars, and the thesis found the result extremely irregular.

# %%
notebook.Picture.read("thesis/fig_6_9.png", "thesis/fig_6_9_corrected.png")

# %% [markdown]
# ## Fig 6.10: the MCVAE composes (Algorithm 4)
#
# The MDRNN composes what follows the first bar. In thesis mode a higher score only says that melodies are easier to guess;
# silence is easiest of all, so compare with the green band of the corrected figure.

# %%
notebook.Picture.read("thesis/fig_6_10.png", "thesis/fig_6_10_corrected.png")

# %% [markdown]
# ## Fig 5.4: MusicVAE's evaluation of interpolation
#
# A good path costs no more than the songs at its ends (black), and leaves B for A steadily.

# %%
notebook.Picture.read("thesis/fig_5_4.png")

# %% [markdown]
# ## Figs 7.1 to 7.4: the corpus
#
# Songs by length before and after cleaning, note density, and what became of the songs.

# %%
notebook.Picture.read("thesis/fig_7.png")

# %% [markdown]
# All tables, and the same figures as PDF, lie in the folder `thesis`; its `index.html` puts every claim of the thesis beside
# what was found here.
