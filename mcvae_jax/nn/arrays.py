"""What functions of arrays take: those of JAX, and those of NumPy, which JAX turns into its own."""

import jax
import numpy as np

AnyArray = jax.Array | np.ndarray
