"""The bar VAE over any number of bars: bars -> latents, log p of bars given latents, latents -> bars.

Float32 products differ in their last bits between batch shapes, so every call works in chunks of one size: what becomes
of a bar depends on it, its key, the settings and the parameters, and on nothing else in the call.

Letters: N bars (or songs), C of a chunk, T steps of a bar, Z latent size.
"""

import dataclasses
import functools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from mcvae_jax.errors import UserError
from mcvae_jax.models import vae
from mcvae_jax.models.settings import Settings
from mcvae_jax.models.vae import VAE, Decoder, Prediction
from mcvae_jax.nn.categorical import Cuts, sample_tokens
from mcvae_jax.nn.keys import rows_of
from mcvae_jax.nn.layers import applied
from mcvae_jax.nn.padding import Rows, block_rows
from mcvae_jax.storage.chunks import Chunks
from mcvae_jax.trained import Origin

Array = jax.Array
Say = Callable[[str], None]
Each = TypeVar("Each")

ENCODE_CHUNK = Rows(1024, 4096)  # bars that are encoded at a time
SCORE_CHUNK = Rows(512, 4096)  # bars that are scored at a time
DECODE_CHUNK = Rows(256, 8192)  # bars that are decoded at a time (docs/sampling.md); a few take as long as so many
FREE_CHUNK = Rows(32, 1024)  # songs of the free run at a time
SECONDS_BETWEEN_LINES = 5.0

BarModule = VAE  # for those who know no model by name


@dataclasses.dataclass(frozen=True, eq=False)
class BarCodec:
    """A bar VAE with its parameters."""

    vae: VAE
    params: Any
    origin: Origin | None = None

    @property
    def latent(self) -> int:
        """Z."""
        return self.vae.latent

    @property
    def steps(self) -> int:
        """T."""
        return self.vae.steps

    def untrained(self, seed: int) -> "BarCodec":
        """The same with fresh parameters, the same for the same seed."""
        key = jax.random.split(jax.random.key(seed))[0]
        return BarCodec(self.vae, jax.jit(vae.init, static_argnums=0)(self.vae, key))

    def encode(
        self, bars: np.ndarray, say: Say = lambda line: None, kept: Chunks | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """mu and log_var, float32 (N, Z) each, of bars uint8 (N, T), in chunks of one shape; `kept` are not encoded.

        Raises UserError for bars of other steps than the VAE's: an LSTM would read them, and they would mean nothing.
        """
        if bars.shape[1] != self.steps:
            raise UserError(
                f"the VAE knows bars of {self.steps} steps, and these have {bars.shape[1]}; take another model, or a"
                f" corpus or seed in bars of {self.steps} steps (steps_per_bar)"
            )
        both = np.empty((2, len(bars), self.latent), np.float32)
        start = last = time.monotonic()
        there, size = 0, ENCODE_CHUNK.here  # `there`: bars that an earlier call has encoded

        def chunks() -> Iterator[tuple[int, np.ndarray | None, Sequence[Array]]]:
            for first in range(0, len(bars), size):
                chunk = bars[first : first + size]
                found = kept.read(first) if kept else None
                if found is not None and found.shape == (2, len(chunk), self.latent):
                    yield first, found, ()
                else:
                    padded = np.pad(chunk, ((0, size - len(chunk)), (0, 0)))
                    yield first, None, _encode(self.vae, self.params, padded)

        for first, found, encoded in _one_ahead(chunks()):
            done = min(first + size, len(bars))
            if found is not None:
                both[:, first:done] = found
                there += done - first
                continue
            both[:, first:done] = [np.asarray(a)[: done - first] for a in encoded]
            if kept:
                kept.write(first, both[:, first:done])
            now = time.monotonic()
            if now - last > SECONDS_BETWEEN_LINES or (done == len(bars) and last > start):
                last = now
                say(f"encoded {done:,} of {len(bars):,} distinct bars, {(done - there) / (now - start):,.0f} a second")
        if there:
            say(f"{there:,} of {len(bars):,} distinct bars were encoded before")
        return both[0], both[1]

    def log_likelihoods(self, bars: np.ndarray, z: np.ndarray, say: Say | None = None) -> np.ndarray:
        """log p(x | z) of each bar, (N,) in nats, by teacher forcing, for bars uint8 (N, T) and z (N, Z)."""
        log_p, last = np.empty(len(bars), np.float32), time.monotonic()
        size = SCORE_CHUNK.here

        def chunks() -> Iterator[tuple[int, Array]]:
            for first in range(0, len(bars), size):  # the last chunk is padded and cut again, so that it compiles once
                rows = slice(first, first + size)
                padded = (np.pad(array[rows], ((0, size - len(array[rows])), (0, 0))) for array in (bars, z))
                yield first, _log_likelihood(self.vae, self.params, *padded)

        for first, scored in _one_ahead(chunks()):
            done = min(first + size, len(bars))
            log_p[first:done] = np.asarray(scored)[: done - first]
            if say and time.monotonic() - last > SECONDS_BETWEEN_LINES:
                last = time.monotonic()
                say(f"decoding: {done} of {len(bars)} bars")
        return log_p

    def decode(self, z: np.ndarray, keys: Array, settings: Settings) -> np.ndarray:
        """Renders each bar from its own latent vector, START first: z (N, Z), a key each (N,) -> uint8 (N, T)."""

        def render(z: np.ndarray, keys: Array) -> Array:
            first = _first(self.vae, self.params, z)
            return _one_bar(self.vae, self.params, first, z, keys, 0, settings.cuts)[1]

        return _in_chunks(render, DECODE_CHUNK.here, z, keys)

    def free_run(self, z: np.ndarray, keys: Array, bars: int, settings: Settings) -> np.ndarray:
        """The formal VAE's free run (thesis 6.5): z (N, Z), a key each (N,) -> uint8 (N, bars, T).

        The decoder runs all bars from one z: START stands before the first step alone, and its state goes on from bar
        to bar (an event ends with its bar). It was trained on single bars, so what it does after the first is its own.
        """

        def run(z: np.ndarray, keys: Array) -> Array:
            carry, tokens = _first(self.vae, self.params, z), []
            for bar in range(bars):
                carry, rendered = _one_bar(self.vae, self.params, carry, z, keys, bar, settings.cuts)
                tokens.append(rendered)
            return jnp.stack(tokens, axis=1)

        return _in_chunks(run, FREE_CHUNK.here, z, keys)


@functools.partial(jax.jit, static_argnums=0)
def _first(vae: VAE, params: Any, z: Array) -> Decoder:
    """The decoder before its first step."""
    return applied(vae, VAE.begin, params, z)


@functools.partial(jax.jit, static_argnums=0)
def _one_bar(
    vae: VAE, params: Any, carry: Decoder, z: Array, keys: Array, bar: Array, cuts: Cuts
) -> tuple[Decoder, Array]:
    """The decoder after bar number `bar`, and the bar, uint8 (C, T)."""

    def choose(logits: Array, choice: Array) -> Array:
        of_choice = jax.vmap(jax.random.fold_in, in_axes=(0, None))(keys, bar * vae.choices + choice)
        return sample_tokens(logits, of_choice, *cuts)

    carry, tokens = applied(vae, VAE.render, params, carry, z, choose)
    return carry, tokens.astype(jnp.uint8)


def _in_chunks(run: Callable[[np.ndarray, Array], Array], size: int, z: np.ndarray, keys: Array) -> np.ndarray:
    """run(z (size, Z), keys (size,)) over all rows of z, the last chunk filled up with repeats of its last row."""
    of_rows = rows_of(keys)

    def chunks() -> Iterator[Array]:
        for start in range(0, len(z), size):
            rows = block_rows(start, size, len(z))
            yield run(z[rows], of_rows(rows))

    return np.concatenate([np.asarray(each) for each in _one_ahead(chunks())])[: len(z)]


def _one_ahead(made: Iterator[Each]) -> Iterator[Each]:
    """The same, each asked for before the one before it is taken: the device works on it while that is fetched."""
    waiting: list[Each] = []
    for each in made:
        yield from waiting
        waiting = [each]
    yield from waiting


def posterior(vae: BarModule, params: Any, bars: Array) -> tuple[Array, Array]:
    """mu and log variance (C, Z) of bars (C, T): `VAE.encode`."""
    return applied(vae, VAE.encode, params, bars)


def prediction(vae: BarModule, params: Any, z: Array, bars: Array) -> Prediction:
    """What is predicted of bars (C, T) from z (C, Z): `VAE.predict`."""
    return applied(vae, VAE.predict, params, z, bars)


def likeliest(vae: BarModule, params: Any, z: Array) -> Array:
    """The bars (C, T) that are likeliest token by token from z (C, Z): `VAE.greedy`."""
    return applied(vae, VAE.greedy, params, z)


_encode = jax.jit(posterior, static_argnums=0)


@functools.partial(jax.jit, static_argnums=0)
def _log_likelihood(vae: VAE, params: Any, bars: Array, z: Array) -> Array:
    return jnp.sum(prediction(vae, params, z, bars).log_p, axis=-1)
