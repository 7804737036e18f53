"""Sections that the configs of all models share; each config says what differs."""

from typing import Any

import ml_collections


def corpus(**different: Any) -> ml_collections.ConfigDict:
    """config.corpus."""
    corpus = ml_collections.ConfigDict()
    corpus.source = "builtin"  # a collection by name (python -m mcvae_jax.corpus --list), or a folder, archive or file
    corpus.melody = "auto"  # 'auto', 'skyline', 'name:REGEX', 'index:N', 'channel:N'
    corpus.bars = "metre"  # 'metre': bars of the music; 'fixed16': cut every steps_per_bar steps (thesis: 16)
    corpus.steps_per_bar = 16  # 16: 4/4; 12: 3/4 and 6/8; 24: triplets in 4/4; from 4 to 96, other metres are left out
    corpus.metre = ""  # '' takes the metre that a file states; '4/4' says it for every file
    corpus.min_pitch = 0  # notes outside are dropped and counted (thesis 7.2: 21 to 108)
    corpus.max_pitch = 127
    corpus.max_moved = 1.0  # songs more of whose onsets move by a quarter of a step or more are left out; 1 keeps all
    corpus.min_pulse = 0.35  # performances whose onsets agree less on a grid (0 to 1) are left out; 0 keeps them
    corpus.max_bars = 339  # songs over this are dropped (thesis 7.1.1); 0 is no limit
    corpus.dedupe = "tune"  # 'tune': the same tune in any key or file once; 'file': equal files once; 'none'
    corpus.alike = "edits"  # of duplicates and similarity: 'edits' (any speed, small changes), 'windows' (as written)
    corpus.held_out = 0.1  # share of the songs that is held out
    corpus.split = "content"  # 'content': by a hash of the tune; 'name': by file name, which leaks (comparison only)
    corpus.split_seed = 0
    corpus.max_similarity = 0.5  # held-out songs more similar to a training song are not scored; 1 keeps all
    corpus.update(different)
    return corpus


def lengths() -> ml_collections.ConfigDict:
    """config.data of models that are counted in whole songs."""
    data = ml_collections.ConfigDict()
    data.min_bars = 16  # shorter songs are left out (thesis 3.2.2)
    data.max_bars = 339  # and longer ones; 0 is no limit
    return data


def songs(**different: Any) -> ml_collections.ConfigDict:
    """config.data of models that learn whole songs."""
    data = lengths()
    data.window = 0  # 0: whole songs; N: of each song N bars that follow each other, others in each epoch
    data.lowest_shift = -5  # transposition in semitones, drawn anew for each song and epoch
    data.highest_shift = 6
    data.as_written = 0.0  # share of the songs that are not transposed, others in each epoch
    data.min_pitch = 0  # no shift takes a song out of these bounds
    data.max_pitch = 127
    data.update(different)
    return data


def optimizer(**different: Any) -> ml_collections.ConfigDict:
    """config.optimizer."""
    optimizer = ml_collections.ConfigDict()
    optimizer.name = "adam"  # or 'adamw', 'lion' (at a third of the rate or less, b2 0.99)
    optimizer.learning_rate = 1e-3
    optimizer.schedule = "exponential"  # 'constant'; 'cosine' and 'exponential' fall to final_learning_rate
    optimizer.warmup_steps = 100  # the rate rises from 0 over so many steps
    optimizer.decay_steps = 3000  # the step at which final_learning_rate is reached
    optimizer.final_learning_rate = 1e-4
    optimizer.clip_norm = 1.0  # of the gradient's global norm; 0 is off
    optimizer.amsgrad = False
    optimizer.weight_decay = 0.0  # of adamw and lion; biases, gains and constants are left out
    optimizer.b1 = 0.9
    optimizer.b2 = 0.999
    optimizer.eps = 1e-8
    optimizer.update(different)
    return optimizer


def train(**different: Any) -> ml_collections.ConfigDict:
    """config.train."""
    train = ml_collections.ConfigDict()
    train.steps = 3000
    train.batch_size = 64
    train.parallel = "jit"  # 'jit' over all devices, or 'pmap' (one process)
    train.log_every = 50  # steps
    train.eval_every = 500
    train.save_every = 500
    train.tensorboard = False  # needs tensorboardX: pip install mcvae_jax[tensorboard]
    train.update(different)
    return train


def demo_songs(**different: Any) -> ml_collections.ConfigDict:
    """config.songs: what is composed when the training has ended."""
    songs = ml_collections.ConfigDict()
    songs.composed = 4  # songs from nothing
    songs.continued = 6  # songs continued from held-out ones
    songs.seed_bars = 4  # bars of a held-out song that are given
    songs.bars = 24  # bars that are composed
    songs.temperature = 0.0  # of the tokens; 0 takes the likeliest
    songs.top_k = 0  # draw from the so many likeliest tokens alone; 0 is off
    songs.top_p = 1.0  # then from the likeliest that hold this share of the chance; 1 is off
    songs.tau_pi = 1.0  # divides the logits of the mixture's components; 0 takes the heaviest component
    songs.tau_sigma = 0.5  # multiplies the mixture's variances; 0 takes the component's mean
    songs.tau_recall = 0.0  # where the MDRNN recalls an earlier bar: 0 repeats it, 1 draws as the model says
    songs.repetition = 1.0  # multiplies the odds that a bar repeats an earlier one, of models that copy
    songs.best_of = 1  # draws of each song, of which the one stays that the model finds likeliest
    songs.seed = 0
    songs.update(different)
    return songs


def smoke_songs(config: Any) -> None:
    """What the presets `smoke` of all models of songs have in common: no transposition, and few steps of few songs."""
    config.data.lowest_shift = config.data.highest_shift = 0
    config.optimizer.update(learning_rate=1e-2, warmup_steps=10, decay_steps=150)
    config.train.update(steps=150, batch_size=8, log_every=25, eval_every=50, save_every=50)


def accelerated_songs(config: Any, batch_size: int) -> None:
    """What the presets `accelerator` of models of songs have in common: longer training with larger batches."""
    config.optimizer.update(warmup_steps=200, decay_steps=6000)
    config.train.update(steps=6000, batch_size=batch_size, eval_every=500, save_every=500)
