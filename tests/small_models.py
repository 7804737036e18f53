"""A corpus, a VAE and an MDRNN of tiny sizes in folders of their own, with parameters far from their first ones."""

import functools
import json

import jax
import numpy as np

from mcvae_jax.corpus.metres import bar_facts
from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.corpus.store import EXCLUDED, HELD_OUT, TRAIN, Corpus, write_corpus
from mcvae_jax.models import mixture_prior, vae
from mcvae_jax.models.encodings import make_vae
from mcvae_jax.models.joint import composer as joint_composer
from mcvae_jax.models.joint.settings import make_joint
from mcvae_jax.models.mdrnn import make_mdrnn
from mcvae_jax.music.tokens import NO_EVENT, NOTE_OFF
from mcvae_jax.storage.checkpoints import Checkpoints
from mcvae_jax.storage.identity import tree_identity
from mcvae_jax.storage.workdir import Record, Workdir
from tests.random_params import random_params
from tests.vae_layouts import far_from_the_start

VAE_MODEL = {"units": 6, "latent": 3, "layers": 1, "merge": "add", "matmul_dtype": "float32"}
MDRNN_MODEL = {
    "units": 7,
    "layers": 1,
    "components": 2,
    "recall": 1,
    "memory": 6,
    "floor": 1e-3,
    "per_dimension": False,
    "matmul_dtype": "float32",
}
MDRNN_CONFIG = {
    "model": MDRNN_MODEL,
    "dropout": {"inputs": 0.0, "hidden": 0.0, "gates": 0.0},
    "data": {"standardise": True},
}
JOINT_MODEL = {
    "latent": 3,
    "components": 2,
    "encoder_units": 5,
    "units": 6,
    "layers": 1,
    "decoder_units": 7,
    "recall": 1,
    "memory": 16,
    "floor": 1e-2,
    "matmul_dtype": "float32",
}
VAE_DROPOUT = {"inputs": 0.0, "words": 0.0, "gates": 0.0}
LENGTHS = (20, 16, 7, 33, 18, 17, 3)
SIDES = (TRAIN, TRAIN, TRAIN, TRAIN, HELD_OUT, HELD_OUT, EXCLUDED)


def edit_json(path, edit):
    """Edits a JSON file as a person does it: the check is taken out."""
    value = json.loads(path.read_text())
    value.pop("check", None)
    edit(value)
    path.write_text(json.dumps(value))


def flip_in_the_largest(folder, place=0.5):
    """Flips one bit, at a share of its length, in the largest file of a folder."""
    path = max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] ^= 1
    path.write_bytes(data)


def save_corpus(folder, shift=0, lengths=LENGTHS, sides=SIDES, steps=16, metres=(), source="tests") -> Corpus:
    """Songs of random notes between pitches 50 and 70, with some bars that repeat, `shift` semitones higher.

    metres: those that the first songs state. source: one that is not there leaves the corpus as it is.
    """
    rng = np.random.default_rng(0)
    songs = []
    for n in lengths:
        bars = rng.choice([*range(50, 71), NOTE_OFF, NO_EVENT], (n, steps))
        bars[n // 2 :] = bars[: n - n // 2]
        songs.append((bars + np.where(bars < NOTE_OFF, shift, 0)).astype(np.uint8))
    records = [{"name": f"song-{i}.mid", "title": f"Song {i}"} for i in range(len(songs))]
    for record, metre in zip(records, metres, strict=False):
        record["metre"] = metre
    return write_corpus(
        folder, CorpusSettings(source=source, steps_per_bar=steps), "", songs, np.array(sides), records, []
    )


def save_vae(folder, corpus=None, seed=0, step=5, model=VAE_MODEL):
    """A VAE's workdir with one scored checkpoint; the parameters."""
    network = make_vae(model, corpus.steps_per_bar if corpus else 16)
    params = far_from_the_start(jax.jit(vae.init, static_argnums=0)(network, jax.random.key(seed)))
    data = {"corpus": str(corpus.folder), "identity": corpus.identity, **bar_facts(corpus)} if corpus else {}
    save_run(folder, {"task": "vae", "model": model, "dropout": VAE_DROPOUT}, data, {step: params})
    return params


def save_mdrnn(folder, vae_folder, vae_params, vae_step=5, seed=0, step=7):
    """An MDRNN's workdir with one scored checkpoint; the parameters."""
    network = make_mdrnn(MDRNN_MODEL, VAE_MODEL["latent"])
    params = far_from_the_start(jax.jit(mixture_prior.init, static_argnums=0)(network, jax.random.key(seed)))
    config = {"task": "mdrnn", "vae_workdir": str(vae_folder), **MDRNN_CONFIG}
    data = {"vae": tree_identity(vae_params), "vae_step": vae_step, "latent": VAE_MODEL["latent"]}
    save_run(folder, config, data, {step: params})
    return params


def save_joint(folder, steps=16, seed=0, step=3):
    """A joint MCVAE's workdir with one scored checkpoint; the parameters."""
    network = make_joint(JOINT_MODEL, steps)
    params = random_params(functools.partial(joint_composer.init, network), seed=seed)
    config = {"task": "joint", "corpus_folder": f"{folder}-corpus", "model": JOINT_MODEL}
    data = {"corpus": f"{folder}-corpus", "identity": "0" * 32, "steps_per_bar": steps}
    save_run(folder, config, data, {step: params})
    return params


def save_run(folder, config, data, checkpoints):
    """A workdir with the parameters of each step; the objective is the step, so that the first is the best."""
    workdir = Workdir(folder)
    workdir.claim(Record(config, data, "", ""))
    with Checkpoints(workdir.checkpoints) as saved:
        for step, params in checkpoints.items():
            saved.save(step, {"params": params, "opt_state": {"count": np.zeros(1)}}, {"objective": float(step)})
            saved.wait()
