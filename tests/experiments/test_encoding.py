"""The experiment on encodings: what its arms differ in, that a bounded one trains to its end, and its figure."""

import numpy as np
import pytest

from experiments import encoding
from experiments.trainings import runs, scores
from experiments.trainings.panels import by_arm
from experiments.trainings.runs import Result
from mcvae_jax.batches.bars import DataSettings, check_shifts
from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.evaluation.measures import MEASURES
from mcvae_jax.models.encodings import make_vae
from mcvae_jax.models.event_vae import EventVAE
from mcvae_jax.models.vae import VAE
from mcvae_jax.tasks.prior import read_settings

TINY = """
    vae.model.units=4 vae.model.latent=2 vae.model.layers=1 vae.train.batch_size=4 vae.train.steps=2
    vae.train.eval_every=2 vae.train.save_every=2 vae.held_out.importance_samples=2
""".split()


def flags_of(out, *fields):
    argv = [f"--out={out}", "--source=tunes", "--seeds=1", *(f"--config.{field}" for field in fields)]
    return runs.parse(runs.make_parser("encoding", "A test."), argv)


@pytest.fixture(scope="module")
def configs(tmp_path_factory):
    flags = flags_of(tmp_path_factory.mktemp("out"))
    return {name: runs.make_config(flags, changes)[0] for name, changes in encoding.arms().items()}


def test_arms_differ_in_the_encoding_and_the_range_alone(configs):
    kinds = {name: type(make_vae(config.vae.model)) for name, config in configs.items()}
    assert kinds == {"steps": VAE, "events": EventVAE, "steps 21-108": VAE, "events 21-108": EventVAE}
    ranges = {name: (config.vae.model.min_pitch, config.vae.model.max_pitch) for name, config in configs.items()}
    assert ranges == {"steps": (0, 127), "events": (0, 127), "steps 21-108": (21, 108), "events 21-108": (21, 108)}
    for config in configs.values():
        same = config.copy_and_resolve_references()
        for field in ("encoding", "min_pitch", "max_pitch"):
            same.vae.model[field] = configs[encoding.BASELINE].vae.model[field]
        assert same.to_dict() == configs[encoding.BASELINE].to_dict()


def test_all_arms_hear_the_pitches_of_a_piano_and_no_others(configs):
    for config in configs.values():
        settings = CorpusSettings(**config.vae.corpus)
        of_vae, of_mdrnn = DataSettings(4, **config.vae.data), read_settings(config.mdrnn)
        for part in (settings, of_vae, of_mdrnn):
            assert (part.min_pitch, part.max_pitch) == (21, 108)
        for part in (of_vae, of_mdrnn):
            check_shifts(part, make_vae(config.vae.model).pitches)


@pytest.mark.slow
def test_a_bounded_arm_trains_to_its_end(tmp_path):
    """Its held-out batches have padding, which the model rules out."""
    arms = {name: changes for name, changes in encoding.arms().items() if name.endswith("21-108")}
    results = runs.run_arms(arms, flags_of(tmp_path, *TINY), models=("vae",), say=lambda line: None)
    assert results.status == 0 and len(results.runs) == 2
    for run in results.runs:
        assert all(np.isfinite(value) for value in run.scores["figures"].values())


@pytest.mark.usefixtures("rendered")
def test_the_figure_is_drawn(tmp_path):
    def result(arm, seed):
        values = {name: [1.0, 2.0 + seed, 4.0] for name in (*MEASURES, "bits per bar")}
        described = {"values": values, "repeats_by_lag": [0.1] * scores.LAGS}
        figures = {"rate_nats": 10.0 + seed, "reconstruction_nats": 5.0, "bound_bits": 20.0 + seed}
        sets = dict.fromkeys((scores.REAL, *scores.SETTINGS), described)
        return Result(arm, seed, None, {"sets": sets, "figures": figures})

    encoding.draw(by_arm([result(arm, seed) for arm in encoding.arms() for seed in (0, 1)]), tmp_path)
    assert all((tmp_path / f"encoding{suffix}").stat().st_size > 5000 for suffix in (".png", ".pdf"))
