"""mcvae_jax: pip install . ; the extras are gcs, s3, test, notebook and tensorboard."""

from pathlib import Path

from setuptools import find_packages, setup

TEST = [
    "pytest>=8",
    "pytest-xdist>=3.6",
    "hypothesis>=6.130",
    "ruff>=0.8",
    "import-linter>=2",
    "mypy>=2.4",
    "selenium>=4.20",
    "nltk>=3.9",
]
# Of those who run the buckets: gs:// and s3:// (docs/training.md, "Buckets").
GCS = ["google-cloud-storage>=3.0"]
S3 = ["boto3>=1.36"]  # the first that checks what it downloads
EMULATORS = ["gcp-storage-emulator>=2026.1", "moto[s3]>=5.1", "flask>=3", "flask-cors>=5"]  # of buckets, for the tests

setup(
    name="mcvae_jax",
    version="0.1.0",
    description="Melodies learned from MIDI and composed anew: the Mixture Composer VAE in JAX",
    long_description=Path(__file__).with_name("README.md").read_text("utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_packages(include=["mcvae_jax", "mcvae_jax.*"]),
    package_data={
        "mcvae_jax": ["py.typed"],
        "mcvae_jax.corpus": ["tunes/*.txt"],
        "mcvae_jax.pages": ["*.css"],
        "mcvae_jax.sampling": ["page.*"],
    },
    # The lower bounds are what Colab has, or lower, so that installing there leaves its jax as it is; they were tried
    # together on Python 3.11 (docs/results.md, "Versions").
    install_requires=[
        "absl-py>=2.1",
        "flax>=0.11.2",
        "jax>=0.7.2,!=0.10.2",  # 0.10.2 computes wrong numbers on CPUs (jax#39103), no other from 0.7.2 to 0.12.0 does
        "jaxlib>=0.7.2,!=0.10.2",
        "matplotlib>=3.9",  # 3.8.0 forbids numpy 2, which jax needs
        "mido>=1.3",
        "ml-collections>=1.0",
        "msgspec>=0.19",
        "music21>=9.9",  # 9.5 forbids numpy 2
        "numpy>=2.0",
        "optax>=0.2.5",
        "orbax-checkpoint>=0.11.30",
        "scikit-learn>=1.5",
        "scipy>=1.15",  # 1.13 has no bootstrap(rng=)
        "symusic>=0.6",
        "threadpoolctl>=3.1",
    ],
    extras_require={
        "test": TEST + GCS + S3 + EMULATORS,
        "gcs": GCS,
        "s3": S3,
        "notebook": ["jupyterlab>=4", "ipywidgets>=8"],
        "tensorboard": ["tensorboardX>=2.6", "tensorboard>=2.17"],
    },
)
