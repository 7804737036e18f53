"""pyproject.toml says all but what has to be computed: the packages, of which configs/ is one, as mcvae_jax.configs."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["mcvae_jax", "mcvae_jax.*"]), "mcvae_jax.configs"],
    package_dir={"mcvae_jax.configs": "configs"},
)
