"""Songs drawn from a joint MCVAE bar by bar: new, or an exact copy of an earlier bar.

Letters: B songs of a block, T steps of a bar, Z latent size.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mcvae_jax.models.bar_by_bar import Turn, compose
from mcvae_jax.models.joint.arrays import UNKNOWN, State
from mcvae_jax.models.joint.network import JointMCVAE
from mcvae_jax.models.settings import Settings
from mcvae_jax.models.song_model import Songs
from mcvae_jax.music.tokens import START
from mcvae_jax.nn import mixture
from mcvae_jax.nn.categorical import Cuts, draw, sample_tokens
from mcvae_jax.nn.keys import Purpose, for_purpose
from mcvae_jax.nn.layers import applied

Array = jax.Array
Coming = tuple[Any, Any]  # of the next bar: how many are left with it, and whether it may be drawn as the last, (B,)


class Call(NamedTuple):
    """What a block of songs is drawn with."""

    network: JointMCVAE
    params: Any
    keys: Array  # (B,)
    settings: Settings
    may_end: bool  # whether the model says where songs end
    beyond: np.ndarray  # int (B,): how many bars each song goes on after those that are drawn
    z: np.ndarray | None  # (B, bars, Z): of the bars that are drawn, each then a new one; None draws them, too
    alike: bool  # whether all seeds are of one length


def compose_block(call: Call, seeds: Songs, bars: int) -> list[np.ndarray]:
    """The `bars` bars after each seed, uint8 (bars, T); fewer where a song may end and does."""
    given, settings = np.array([len(seed) for seed in seeds]), call.settings
    taus = settings.tau_pi, settings.tau_sigma, settings.repetition

    def ahead(number: int, left: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How many bars are left from bar `number` on, and whether it may be drawn to be the last."""
        if call.may_end:
            return np.full(len(seeds), UNKNOWN), number >= given
        return np.maximum(left + call.beyond, 1), np.zeros(len(seeds), bool)

    def next_bar(known: Any, turn: Turn) -> tuple[Any, Array, Array]:
        of_bar = None if call.z is None else call.z[:, min(turn.number, call.z.shape[1] - 1)]
        coming = ahead(turn.number + 1, turn.left)
        if call.alike and turn.number < given[0]:
            return _read_bar(call.network, call.params, known, turn, coming, call.keys)
        return _next_bar(call.network, call.params, known, turn, coming, call.keys, taus, settings.cuts, of_bar)

    first = _begin(call.network, call.params, ahead(0, given + bars), call.keys)
    return compose(first, next_bar, seeds, bars, call.may_end)


@functools.partial(jax.jit, static_argnums=0)
def _begin(network: JointMCVAE, params: Any, coming: Coming, keys: Array) -> tuple[State, Array]:
    """The state before the first bar, and whether that is the last, (B,)."""
    state = applied(network, JointMCVAE.begin, params, keys.shape[0])
    return _before_bar(network, params, state, coming, for_purpose(keys, Purpose.GIVEN))


def _before_bar(network: JointMCVAE, params: Any, state: State, coming: Coming, keys: Array) -> tuple[State, Array]:
    """The composer's state before the next bar, and whether that is the last, which is drawn where it may be."""
    left, may_be_last = coming
    composed = applied(network, JointMCVAE.compose, params, state, left)
    stop = applied(network, JointMCVAE.ahead, params, composed).stop_logit
    is_last = jax.vmap(jax.random.bernoulli)(keys, jax.nn.sigmoid(stop)) & may_be_last
    of_composer = jax.lax.cond(  # few bars are the last of any song of a block
        jnp.any(is_last),
        lambda: _of_composer(applied(network, JointMCVAE.compose, params, state, jnp.where(is_last, 1, left))),
        lambda: _of_composer(composed),
    )
    return state._replace(**of_composer), is_last


def _of_composer(state: State) -> dict[str, Any]:
    """What `JointMCVAE.compose` changes."""
    return {"layers": state.layers, "hidden": state.hidden}


@functools.partial(jax.jit, static_argnums=0)
def _read_bar(
    network: JointMCVAE, params: Any, known: tuple[State, Array], turn: Turn, coming: Coming, keys: Array
) -> tuple[tuple[State, Array], Array, Array]:
    """What `_next_bar` does with a bar that is given in all songs; what else might have come is not worked out."""
    state, is_last = known
    of_bar = jax.vmap(jax.random.fold_in)(keys, turn.drawn)
    _, _, of_stop, *_ = jax.vmap(lambda key: jax.random.split(key, 3 + network.steps))(of_bar).T
    bar = jnp.asarray(turn.bar)
    state = applied(network, JointMCVAE.read_bar, params, state, bar)
    return _before_bar(network, params, state, coming, of_stop), bar, is_last


@functools.partial(jax.jit, static_argnums=0)
def _next_bar(
    network: JointMCVAE,
    params: Any,
    known: tuple[State, Array],
    turn: Turn,
    coming: Coming,
    keys: Array,
    taus: tuple[Array, Array, Array],
    cuts: Cuts,
    z: Array | None,
) -> tuple[tuple[State, Array], Array, Array]:
    """See `bar_by_bar.NextBar`; with z (B, Z) every bar is a new one of it."""
    state, is_last = known
    of_bar = jax.vmap(jax.random.fold_in)(keys, turn.drawn)
    of_choice, of_z, of_stop, *of_tokens = jax.vmap(lambda key: jax.random.split(key, 3 + network.steps))(of_bar).T
    ahead = applied(network, JointMCVAE.ahead, params, state)
    logits = jnp.concatenate([ahead.log_new[:, None], ahead.log_lags + jnp.log(taus[2])], axis=1)
    lag = draw(of_choice, logits)
    if z is None:
        drawn, _ = jax.vmap(mixture.sample, in_axes=(0, 0, None, None))(ahead.mixture, of_z, *taus[:2])
    else:
        drawn, lag = z, jnp.zeros_like(lag)
    is_new = (lag == 0) & ~turn.is_given

    def written() -> Array:
        given = applied(network, JointMCVAE.given, params, state, drawn, ahead.attention)
        begun, along = applied(network, JointMCVAE.decoder_begin, params, given)

        def step(carry: Any, inputs: tuple[Array, Array]) -> tuple[Any, Array]:
            (decoder, before), (place, of_token) = carry, inputs
            decoder, logits = applied(network, JointMCVAE.decoder_step, params, decoder, before, place, along)
            token = sample_tokens(logits, of_token, *cuts)
            return (decoder, token), token

        first = begun, jnp.full(len(lag), START, jnp.int32)
        return jax.lax.scan(step, first, (jnp.arange(network.steps), jnp.stack(of_tokens)))[1]

    nothing = jnp.zeros((network.steps, len(lag)), jnp.int32)
    new = jax.lax.cond(jnp.any(is_new), written, lambda: nothing)  # of one song alone, half are copies
    copied = jnp.take_along_axis(state.bars, jnp.maximum(lag - 1, 0)[:, None, None], axis=1)[:, 0]
    bar = jnp.where((lag > 0)[:, None], copied, new.T)
    bar = jnp.where(turn.is_given[:, None], turn.bar, bar)
    state = applied(network, JointMCVAE.read_bar, params, state, bar)
    return _before_bar(network, params, state, coming, of_stop), bar, is_last
