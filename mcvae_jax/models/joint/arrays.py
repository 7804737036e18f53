"""What the joint MCVAE reads and says.

Letters: B songs, N bars of a song, M distinct bars of a song, T steps of a bar, L lags, U units of the composer,
H units of the decoder, E width of a bar's code, D draws of z, Z latent size, K components, R heads, A their width.
"""

from typing import NamedTuple

import jax

from mcvae_jax.models.joint.pitches import Heard
from mcvae_jax.nn.arrays import AnyArray
from mcvae_jax.nn.layers import States
from mcvae_jax.nn.mixture import Mixture

Array = jax.Array

COUNTED = 16  # bars left that are counted one by one; more are as many
UNKNOWN = 0  # of bars left: nobody says where the song ends; 1 is the last bar


class Songs(NamedTuple):
    """Songs as tables of their distinct bars."""

    bars: AnyArray  # integers (B, M, T): each distinct bar of a song once, in the order of its first appearance
    of: AnyArray  # int32 (B, N): which of these each bar is
    place: AnyArray  # int32 (B, M): the number of the bar in which each appears first, in the song or window
    first: AnyArray  # int32 (B,): the number of the first bar in its song
    left: AnyArray  # int32 (B, N): how many bars there are from each bar on, itself included; UNKNOWN for not known


class Noise(NamedTuple):
    """All randomness of a training step, drawn for each song from that song's own key. Masks have mean 1."""

    eps: Array  # (B, M, D, Z), standard normal: D draws of z of each distinct bar
    codes: Array | None = None  # (B, N, E): dropout of what the composer reads
    composer: Array | None = None  # (B, layers, N, U): dropout on what a layer gives to the next and to the heads
    decoder: Array | None = None  # (B, M, T, H): dropout on what the decoder's layer gives
    words: Array | None = None  # (B, M, T): dropout of the tokens that the decoder reads


class Seen(NamedTuple):
    """What the composer says before each bar."""

    hidden: Array  # (B, N, U)
    read: Array  # (B, N, E): the code of the bar before
    log_new: Array  # (B, N)
    log_copy: Array  # (B, N, N): of each bar (second axis) being a copy of each (third axis)
    attention: Array  # (B, R, N, N): how much each head looks at each earlier bar
    stop_logit: Array  # (B, N): of the bar being the last, before it is known


class Scored(NamedTuple):
    """What songs cost, in nats; of the distinct bars (B, M) as new ones, and of all bars (B, N) as copies."""

    log_new: Array  # (B, M)
    log_x: Array  # (B, M, D): log p(x | z, x_<t), z drawn from q
    log_prior: Array  # (B, M, D): log p(z | x_<t)
    log_q: Array  # (B, M, D): log q(z | x)
    log_copy: Array  # (B, N): of being a copy of any equal bar; below FAR / 2 where there is none
    stop_logit: Array  # (B, N)
    mu: Array  # (B, M, Z), of q
    log_var: Array  # (B, M, Z)


class State(NamedTuple):
    """What is known of songs that are being composed. L bars back, the newest first."""

    layers: States
    hidden: Array  # (B, U): before the next bar
    read: Array  # (B, E)
    keys: Array  # (B, L, R, A)
    bars: Array  # int32 (B, L, T)
    runs: Array  # int32 (B, L): how many bars in a row, up to the last one, were as those so many bars before
    bars_read: Array  # int32 (B,): how many
    heard: Heard  # (B,) each: the last notes


class Ahead(NamedTuple):
    """What the composer says of the next bar."""

    log_new: Array  # (B,)
    log_lags: Array  # (B, L)
    mixture: Mixture  # of z, (B, K), (B, K, Z)
    attention: Array  # (B, R, L), of each head that shows earlier bars to the decoder
    stop_logit: Array  # (B,): of its being the last
