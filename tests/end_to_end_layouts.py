"""A VAE and an MDRNN that are trained on together, as a task on a corpus: for the test that all layouts agree."""

from mcvae_jax.kinds import kind_of
from mcvae_jax.training.task import Task
from tests.tasks.test_end_to_end import config_of


def make_task(folder: str) -> Task:
    """The task of the MDRNN in a folder, with batches that eight devices can share."""
    config = config_of(folder)
    config.train.batch_size = 16
    return kind_of("end_to_end").make_task(config, lambda line: None)
