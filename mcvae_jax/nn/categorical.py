"""Draws of tokens from logits, with temperature, top-k and nucleus.

Letters: B draws, V outcomes (130 tokens, of which START is none, so it is never drawn; or the durations of an event,
for which temperature and cuts are the same).
"""

import jax
import jax.numpy as jnp

Array = jax.Array


def sample_tokens(logits: Array, keys: Array, temperature: Array, top_k: Array, top_p: Array) -> Array:
    """Draws a token from each row of logits (B, V) with its own key (B,): int32 (B,).

    In this order: the logits are divided by the temperature (0 takes the likeliest token, and nothing is drawn); of
    the distribution that this gives the `top_k` likeliest tokens stay (0 is off); of these, renormalised, the fewest
    that together hold a share of at least `top_p` (1 is off; the likeliest always stays; Holtzman et al. 2020,
    arXiv:1904.09751). Of equal logits the lower token counts as the likelier, so exactly k tokens stay.
    """
    scaled = (logits - jnp.max(logits, axis=-1, keepdims=True)) / jnp.where(temperature > 0, temperature, 1.0)
    kept = jax.lax.cond(  # most calls cut nothing, which saves half of their time
        (top_k > 0) | (top_p < 1), _cut, lambda x, k, p: x, scaled, jnp.asarray(top_k), jnp.asarray(top_p)
    )
    drawn = jax.vmap(jax.random.categorical)(keys, kept)
    return jnp.where(temperature > 0, drawn, jnp.argmax(logits, axis=-1)).astype(jnp.int32)


def _cut(logits: Array, top_k: Array, top_p: Array) -> Array:
    """logits (B, V) with -inf for the tokens that top-k, then the nucleus leave out."""
    ordered, tokens = jax.lax.top_k(logits, logits.shape[-1])  # all of them, in order; of equals the lower first
    ordered = jnp.where((jnp.arange(ordered.shape[-1]) < top_k) | (top_k == 0), ordered, -jnp.inf)
    share = jax.nn.softmax(ordered, axis=-1)
    likelier = jnp.cumsum(share, axis=-1) - share  # what the tokens before each hold together
    kept = (ordered > -jnp.inf) & ((likelier < top_p) | (top_p >= 1))
    last = jnp.maximum(jnp.sum(kept, axis=-1, keepdims=True) - 1, 0)
    worst, worst_token = (jnp.take_along_axis(x, last, axis=-1) for x in (ordered, tokens))
    stays = (logits > worst) | ((logits == worst) & (jnp.arange(logits.shape[-1]) <= worst_token))
    return jnp.where(stays, logits, -jnp.inf)
