"""Keys of examples, and the distribution from which a token is to be drawn."""

import jax
import numpy as np


def keys_of(n, seed=0):
    return jax.random.split(jax.random.key(seed), n)


def expected_distribution(logits, temperature, top_k, top_p):
    """Temperature, then top-k, then the nucleus, one row at a time in float64, by sorting: (V,) -> (V,)."""
    scaled = np.asarray(logits, np.float64) / temperature
    order = sorted(range(len(scaled)), key=lambda token: (-scaled[token], token))
    if top_k:
        order = order[:top_k]
    weights = np.exp(scaled[order] - scaled[order[0]])
    shares = weights / weights.sum()
    if top_p < 1:
        kept, held = 0, 0.0
        while held < top_p:
            held += shares[kept]
            kept += 1
        order, shares = order[:kept], shares[:kept] / shares[:kept].sum()
    p = np.zeros(len(scaled))
    p[order] = shares
    return p
