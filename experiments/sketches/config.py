"""SketchRNN (Ha and Eck 2017): drawings of pen strokes with one latent vector each.

    mcvae train --config=experiments/sketches/config.py            drawings of the generator, some minutes on a laptop
    mcvae train --config=experiments/sketches/config.py:smoke      the same in half a minute
    mcvae train --config=experiments/sketches/config.py:published  the sizes and rates of its code, for a GPU
    mcvae train --config=... --config.data.source=cat.npz --config.data.max_points=250    drawings of your own

Every field can be changed on the command line: --config.model.latent=64.
"""

import ml_collections

from mcvae_jax.options import load_config

PRESETS = ("default", "smoke", "published")


def get_config(preset: str = "default") -> ml_collections.ConfigDict:
    """The config of one of PRESETS; ValueError for any other name."""
    if preset not in PRESETS:
        raise ValueError(f"sketches has no preset {preset!r}; it has {', '.join(PRESETS)}")
    of_songs = load_config("vae")
    config = ml_collections.ConfigDict()
    config.task = "experiments.sketches.task:KIND"
    config.seed = 0  # of parameters, batches, noise and the generator

    config.data = data = ml_collections.ConfigDict()
    data.source = "generator"  # or an .npz file with train, valid and test in stroke-3, as the public ones
    data.families = ""  # of the generator: circle, spiral, polygon, star, face; '' is all
    data.drawings = 4000  # training drawings of the generator; a tenth as many are valid, and test
    data.max_points = 64  # longer drawings are left out (published: 250)
    data.stretch = (
        0.1  # drawings are drawn wider and higher by a share up to this, anew in each epoch (published: 0.15)
    )

    config.model = model = ml_collections.ConfigDict()
    model.latent = 8  # dimensions of z: five families need few (published: 128)
    model.encoder_units = 128  # in each direction (published: 256)
    model.units = 256  # of the decoder (published: 512)
    model.components = 10  # of the mixture of an offset (published: 20)
    model.matmul_dtype = "auto"  # of products: 'bfloat16' where the device is faster with it, else 'float32'

    config.loss = loss = ml_collections.ConfigDict()
    loss.beta = 1.0  # the final weight of the KL
    loss.beta_schedule = "exponential"  # 'constant', 'linear', 'exponential' (published), 'cyclical'
    loss.beta_steps = 1  # linear: length of the rise; cyclical: length of a cycle
    loss.beta_rate = 0.99  # exponential: beta * (1 - beta_rate ** step) (published: 0.99995)
    loss.free_nats = 2.0  # nats of a drawing's KL that cost nothing: the KL tolerance

    config.optimizer = optimizer = of_songs.optimizer
    optimizer.update(learning_rate=3e-3, final_learning_rate=1e-4, decay_steps=3000)
    config.train = train = of_songs.train
    train.update(steps=3000, batch_size=64, eval_every=500, save_every=500)

    if preset == "smoke":
        data.drawings = 200
        model.update(encoder_units=32, units=64, components=5)
        optimizer.update(learning_rate=1e-2, decay_steps=150, warmup_steps=10)
        train.update(steps=150, batch_size=16, eval_every=50, save_every=50)
    elif preset == "published":
        data.update(max_points=250, stretch=0.15)
        model.update(latent=128, encoder_units=256, units=512, components=20)
        loss.beta, loss.free_nats = 0.5 * 250 / 128, 0.2 * 128  # see task.py
        loss.beta_rate = 0.99995
        optimizer.update(learning_rate=1e-3, final_learning_rate=1e-5, decay_steps=100_000)
        train.update(steps=100_000, batch_size=100, eval_every=1000, save_every=1000)
    return config
