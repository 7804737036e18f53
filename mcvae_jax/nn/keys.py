"""A key for each example, so that what an example is given does not depend on the others or on the layout."""

import jax


def example_keys(key: jax.Array, index: jax.Array) -> jax.Array:
    """Keys (B,), one for each example, from the key of the step and the indices (B,) of the examples."""
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, index)
