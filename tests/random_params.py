"""Parameters that are far from the first ones of a model, and cost no compilation."""

import jax
import jax.numpy as jnp
import numpy as np


def random_params(init, size: float = 0.4, seed: int = 0):
    """A tree like that of init(key), filled with normal numbers of a standard deviation `size`."""
    leaves, tree = jax.tree.flatten(jax.eval_shape(init, jax.random.key(0)))
    rng = np.random.default_rng(seed)
    with jax.ensure_compile_time_eval():  # also where a compiled function asks for them first: caches keep them
        return tree.unflatten([jnp.asarray(size * rng.normal(size=leaf.shape), jnp.float32) for leaf in leaves])
