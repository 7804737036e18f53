"""Four notebooks, NAME.py (the source, as jupytext's py:percent) and NAME.ipynb (the same, with its small outputs).

compose        a melody is continued, filled in, varied; sliders; MIDI to keep
train          from your own music to a model: corpus report, learning curves, songs
latent_space   map, interpolation, what directions move, which dimensions are used
thesis         the figures of experiments/thesis.py

See `python -m experiments.notebooks --help`.
"""

NAMES = ("compose", "train", "latent_space", "thesis")
