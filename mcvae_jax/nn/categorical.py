"""Draws of tokens from logits, with temperature, top-k and nucleus.

Letters: B draws, V outcomes (130 tokens, of which START is none, so it is never drawn; or the durations of an event,
for which temperature and cuts are the same).
"""

from typing import Any

import jax
import jax.numpy as jnp

Array = jax.Array
Cuts = tuple[Any, Any, Any]  # temperature, top_k and top_p of `sample_tokens`


def sample_tokens(logits: Array, keys: Array, temperature: Array, top_k: Array | None, top_p: Array | None) -> Array:
    """Draws a token from each row of logits (B, V) with its own key (B,): int32 (B,).

    In this order: the logits are divided by the temperature (0 takes the likeliest token, and nothing is drawn); of
    the distribution that this gives the `top_k` likeliest tokens stay (0 is off); of these, renormalised, the fewest
    that together hold a share of at least `top_p` (1 is off; the likeliest always stays; Holtzman et al. 2020,
    arXiv:1904.09751). Of equal logits the lower token counts as the likelier, so exactly k tokens stay.

    Where both are None nothing is cut, and the program does not ask whether it should.
    """
    scaled = (logits - jnp.max(logits, axis=-1, keepdims=True)) / jnp.where(temperature > 0, temperature, 1.0)
    if top_k is None or top_p is None:
        kept = scaled
    else:
        kept = jax.lax.cond(  # most calls cut nothing, which saves half of their time
            (top_k > 0) | (top_p < 1), _cut, lambda x, k, p: x, scaled, jnp.asarray(top_k), jnp.asarray(top_p)
        )
    return _largest(jnp.where(temperature > 0, kept + _noise(keys, logits), logits))


def draw(keys: Array, logits: Array) -> Array:
    """A draw from each row of logits (B, V) with its own key (B,): int32 (B,), that of jax.random.categorical.

    Its argmax makes the noise anew for each outcome that it looks at, which takes a CPU twice to three times as long.
    """
    return _largest(logits + _noise(keys, logits))


def _noise(keys: Array, logits: Array) -> Array:
    """Gumbel noise for each row of logits (B, V)."""
    return jax.vmap(lambda key: jax.random.gumbel(key, logits.shape[-1:], logits.dtype))(keys)


def _largest(scores: Array) -> Array:
    """`likeliest`, of scores that are computed once."""
    return likeliest(jax.lax.optimization_barrier(scores))


def likeliest(scores: Array) -> Array:
    """The first place of the largest of scores (..., V): int32 (...), as argmax, which takes a CPU five times as long.

    Where a score is no number, it is the last place.
    """
    places = jnp.arange(scores.shape[-1], dtype=jnp.int32)
    largest = scores == jnp.max(scores, axis=-1, keepdims=True)
    return jnp.min(jnp.where(largest, places, places[-1]), axis=-1)


def _cut(logits: Array, top_k: Array, top_p: Array) -> Array:
    """logits (B, V) with -inf for the tokens that top-k, then the nucleus leave out."""
    most = jnp.where(top_k > 0, top_k, logits.shape[-1]).astype(jnp.float32)
    logits = _foremost(logits, jnp.ones_like(logits), most)
    # A share of 0 would leave none; and rounded sums of shares may come to 1 before the last token.
    enough = jnp.where(top_p < 1, jnp.maximum(top_p, jnp.finfo(jnp.float32).tiny), jnp.inf)
    return _foremost(logits, jax.nn.softmax(logits, axis=-1), enough)


def _foremost(logits: Array, weights: Array, enough: Array) -> Array:
    """logits (B, V) with -inf for each token before which likelier ones hold `enough` () of the weights (B, V) or more.

    The lowest logit that stays is found bit by bit: a CPU takes ten times as long to sort.
    """
    order = _ordered(logits)

    def body(bit: Array, low: Array) -> Array:
        higher = low | (jnp.uint32(1) << (31 - bit).astype(jnp.uint32))
        held = jnp.sum(jnp.where(order >= higher[:, None], weights, 0.0), axis=-1)
        return jnp.where(held >= enough, higher, low)

    lowest = jax.lax.fori_loop(0, 32, body, jnp.zeros(len(logits), jnp.uint32))[:, None]
    likelier = jnp.sum(jnp.where(order > lowest, weights, 0.0), axis=-1, keepdims=True)
    equals = jnp.where(order == lowest, weights, 0.0)
    stays = (order > lowest) | ((order == lowest) & (likelier + jnp.cumsum(equals, axis=-1) - equals < enough))
    return jnp.where(stays, logits, -jnp.inf)


def _ordered(x: Array) -> Array:
    """Whole numbers, uint32, in the order of float32 numbers."""
    bits = jax.lax.bitcast_convert_type(jnp.where(x == 0, 0.0, x), jnp.uint32)  # -0 and 0 are equal
    return jnp.where(bits >> 31, ~bits, bits | jnp.uint32(1 << 31))
