"""What functions of arrays take: those of JAX, and those of NumPy, which JAX turns into its own."""

from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

AnyArray = jax.Array | np.ndarray
SameArray = TypeVar("SameArray", jax.Array, np.ndarray)  # NumPy's in, NumPy's out


def numpy_of(*arrays: AnyArray) -> Any:
    """The module whose functions take these arrays: `numpy` where all are its own, else `jax.numpy`.

    Outside of compiled functions JAX compiles each operation for each new shape, which takes longer than the operation.
    """
    return np if all(isinstance(each, np.ndarray) for each in arrays) else jnp
