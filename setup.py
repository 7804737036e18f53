"""mcvae_jax: pip install . ; the extras are test, notebook and tensorboard."""

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
    install_requires=[
        "absl-py>=2.1",
        "flax>=0.12",
        "jax>=0.10,!=0.10.2",  # 0.10.2 miscompiles on CPUs (jax#39103)
        "jaxlib>=0.10,!=0.10.2",
        "matplotlib>=3.8",
        "mido>=1.3",
        "ml-collections>=1.0",
        "msgspec>=0.19",
        "music21>=9.5",
        "numpy>=2.0",
        "optax>=0.2.5",
        "orbax-checkpoint>=0.11.30",
        "scikit-learn>=1.5",
        "scipy>=1.15",
        "symusic>=0.6",
        "threadpoolctl>=3.1",
    ],
    extras_require={
        "test": TEST,
        "notebook": ["jupyterlab>=4", "ipywidgets>=8"],
        "tensorboard": ["tensorboardX>=2.6", "tensorboard>=2.17"],
    },
)
