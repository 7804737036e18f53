"""Where a song ends: the cost of a chance that each bar, once it is known, is the last. B songs, N bars."""

import jax
import jax.numpy as jnp

Array = jax.Array


def stop_nats(stop_logit: Array, mask: Array, ends: Array) -> Array:
    """-log of the chance given to what is so, (B, N): the last bar of the mask ends the song where `ends`.

    Args:
      stop_logit: (B, N), of each bar being the last.
      mask: (B, N), 1 for the bars of a song, which lead.
      ends: (B,), 1 where the last of these is the last of the song.
    """
    following = jnp.pad(mask[:, 1:], ((0, 0), (0, 1)))
    is_last = (mask > following) & (ends[:, None] > 0)
    return -jax.nn.log_sigmoid(jnp.where(is_last, stop_logit, -stop_logit))
