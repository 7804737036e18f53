"""Bars as discrete codes with a transformer over the codes of songs, as a model of models/notes.py: the modern rival.

An autoencoder of single bars has finite scalar quantisation in its middle (nn/fsq.py): each bar is G codes of V kinds.
A transformer, that of models/note_transformer.py with codes in the place of notes, says what the codes of the next bar
may be, one after the other (van den Oord et al. 2017, arXiv:1711.00937, with Mentzer et al. 2024 for its table). Both
are learnt at once: the autoencoder by -log p(x | c), with gradients straight through the rounding, and the transformer
by -log p(c | earlier codes), from which the codes get no gradient.

What a bar costs is an honest bound. The codes c(x) of a bar are a function of the bar, so that those of the past bars
are known where the past bars are, and of the sum over all codes of the next bar one term is left:

    p(x_t | x_<t) = sum over c of p(c | c(x_1), .., c(x_(t-1))) p(x_t | c, last notes) >= the term of c = c(x_t)

Letters: B songs, N bars, P bars of all songs, T steps of a bar, G codes of a bar, d dimensions of a code, V codes.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from mcvae_jax.errors import UserError
from mcvae_jax.models.bar_by_bar import Turn
from mcvae_jax.models.joint.bars import BarDecoder, BarReader, Given
from mcvae_jax.models.joint.pitches import Heard, heard_along, silence
from mcvae_jax.models.note_transformer import NoteTransformer
from mcvae_jax.models.notes import Dropout as OfLayers
from mcvae_jax.models.notes import NoteModel, State, Unrolled
from mcvae_jax.models.song_model import BOUND
from mcvae_jax.music.tokens import BAR, START
from mcvae_jax.nn.categorical import Cuts, sample_tokens
from mcvae_jax.nn.dropout import kept
from mcvae_jax.nn.fsq import Levels, codes_of, count, quantised, values_of
from mcvae_jax.nn.layers import Dense, applied, check_shares, check_sizes, operand_dtype
from mcvae_jax.nn.lstm import Gates
from mcvae_jax.nn.transformer import check_heads

Array = jax.Array

SIZES = ("codes", "encoder_units", "decoder_units", "units", "layers", "heads", "memory")
FIELDS = {
    "model": dict.fromkeys(SIZES, int) | {"levels": str, "matmul_dtype": str},
    "dropout": {"hidden": float, "decoder": float},
}  # the sections that are its own
MOST_CODES = 1 << 14  # V
PLANNED = 32  # numbers that the codes tell the decoder for each step of the bar


@dataclasses.dataclass(frozen=True)
class Dropout(OfLayers):
    """Shares that are dropped in training, each from 0 to below 1; hidden: of what the transformer's layers add."""

    decoder: float = 0.0  # of the outputs of the decoder's layer


class BarCodes(nn.Module):
    """The autoencoder of bars."""

    codes: int = 4  # G
    levels: Levels = (8, 5, 5)  # of the dimensions of each code
    encoder_units: int = 128  # in each direction
    decoder_units: int = 256
    steps: int = BAR
    dtype: jnp.dtype = jnp.float32

    def setup(self) -> None:
        width = self.codes * len(self.levels)
        self.encoder = BarReader(self.encoder_units, self.dtype)
        self.norm = nn.LayerNorm()  # so that the levels are in use from the start
        self.to_levels = Dense(width, self.dtype)
        self.plan = Dense(self.steps * PLANNED, self.dtype)
        self.decoder = BarDecoder(self.decoder_units, PLANNED, self.dtype, latent=width, context=0, heads=1)

    def score(self, bars: Array, heard: Heard, hidden: Array | None = None) -> tuple[Array, Array]:
        """The codes (P, G) of bars (P, T), and log p of their tokens given these and what was heard before, (P, T).

        hidden: (P, T, H), masks of dropout of what the decoder's layer gives.
        """
        values = self._values(bars)
        log_p = self.decoder.log_p(bars, self._given(values, heard), hidden)
        return codes_of(jax.lax.stop_gradient(values), self.levels), log_p

    def encode(self, bars: Array) -> Array:
        """The codes, int32 (P, G) below V, of bars (P, T)."""
        return codes_of(self._values(bars), self.levels)

    def begin(self, codes: Array, heard: Heard) -> tuple[Any, Gates]:
        """See `BarDecoder.begin`, before bars of codes (P, G)."""
        return self.decoder.begin(self._given(values_of(codes, self.levels), heard))

    def step(self, state: Any, before: Array, place: Array, along: Gates) -> tuple[Any, Array]:
        """See `BarDecoder.step`."""
        return self.decoder.step(state, before, place, along)

    def _values(self, bars: Array) -> Array:
        """Quantised, (P, G, d)."""
        z = self.to_levels(self.norm(self.encoder.read(bars)))
        return quantised(z.reshape(-1, self.codes, len(self.levels)), self.levels)

    def _given(self, values: Array, heard: Heard) -> Given:
        flat = values.reshape(len(values), -1)
        plan = self.plan(flat).reshape(-1, 1, self.steps, PLANNED)
        return Given(flat, jnp.zeros((len(flat), 0)), plan, heard)


class CodeTransformer(NoteTransformer):
    """The transformer; its steps are the G codes of a bar. Code v of group g is outcome g * V + v."""

    def logits(self, outputs: Array, place: Array) -> Array:
        """Those of the codes of the group whose turn it is."""
        group = np.arange(self.outcomes) // (self.outcomes // self.steps)
        return jnp.where(group == place[..., None] % self.steps, outputs[..., :-1], -jnp.inf)


class Known(NamedTuple):
    """What is known of songs that are being composed."""

    codes: State  # of the transformer
    heard: Heard  # (B,) each: the last notes


@dataclasses.dataclass(frozen=True)
class CodeModel:
    """Both as a `TrainableNotes`; parameters are {'bars': the autoencoder's, 'codes': the transformer's}."""

    bars: BarCodes
    codes: NoteModel  # over a CodeTransformer
    dropout: float = 0.0  # of the decoder's outputs

    likelihood = BOUND

    @property
    def steps(self) -> int:
        """T."""
        return self.bars.steps

    def init(self, key: Array) -> Any:
        """Fresh parameters."""
        of_bars, of_codes = jax.random.split(key)
        bar = jnp.zeros((1, self.steps), jnp.int32)
        return {"bars": self.bars.init(of_bars, bar, silence(1), method="score"), "codes": self.codes.init(of_codes)}

    def unroll(self, params: Any, bars: Array, first: Array, keys: Array | None) -> Unrolled:
        """See `TrainableNotes`; log_p (B, N, G + T) is that of the codes, then that of the tokens given the codes."""
        songs, count = bars.shape[:2]
        flat = bars.reshape(-1, self.steps).astype(jnp.int32)
        along = heard_along(flat.reshape(songs, -1), silence(songs))
        heard = Heard(*(x[:, : count * self.steps : self.steps].reshape(-1) for x in along))
        of_codes, hidden = None, None
        if keys is not None:
            of_codes, of_bars = jax.vmap(jax.random.split, out_axes=1)(keys)
            hidden = self._masks(of_bars, count)
        codes, log_x = applied(self.bars, BarCodes.score, params["bars"], flat, heard, hidden)
        codes = codes.reshape(songs, count, -1)
        found = self.codes.unroll(params["codes"], self._outcomes(codes), first, of_codes)
        log_x = log_x.reshape(songs, count, -1)
        figures = {
            "code": -jnp.sum(found.log_p, axis=-1),
            "reconstruction": -jnp.sum(log_x, axis=-1),
            "uses": jax.nn.one_hot(codes, self._kinds),
        }
        log_p = jnp.concatenate([found.log_p, log_x], axis=-1)
        return Unrolled(log_p, found.stop_logit, jax.lax.stop_gradient(figures))

    def terms(self, means: Mapping[str, Array]) -> dict[str, Array]:
        """'code' and 'reconstruction', nats per bar; 'used', the perplexity of the codes, in the mean over groups."""
        used = jnp.exp(jnp.sum(jax.scipy.special.entr(means["uses"]), axis=-1))
        return {"code": means["code"], "reconstruction": means["reconstruction"], "used": jnp.mean(used)}

    def begin(self, params: Any, songs: int) -> Known:
        """See `TrainableNotes`."""
        return Known(self.codes.begin(params["codes"], songs), silence(songs))

    def next_bar(self, params: Any, state: Known, turn: Turn, keys: Array, cuts: Cuts) -> tuple[Known, Array, Array]:
        """See `TrainableNotes`. The transformer reads the codes of the bar that was made, as it does of given ones."""
        of_codes, of_bar = jax.vmap(jax.random.split, out_axes=1)(keys)
        drawn = turn._replace(is_given=jnp.zeros(len(keys), bool), bar=jnp.zeros((len(keys), self.codes.steps), int))
        _, outcomes, _ = self.codes.next_bar(params["codes"], state.codes, drawn, of_codes, cuts)
        bar = self._decoded(params["bars"], outcomes % self._kinds, state.heard, of_bar, cuts)
        bar = jnp.where(turn.is_given[:, None], turn.bar, bar)
        codes = applied(self.bars, BarCodes.encode, params["bars"], bar)
        made = turn._replace(is_given=jnp.ones(len(keys), bool), bar=self._outcomes(codes))
        known, _, ends = self.codes.next_bar(params["codes"], state.codes, made, of_codes, cuts)
        return Known(known, Heard(*(x[:, -1] for x in heard_along(bar, state.heard)))), bar, ends

    def _decoded(self, params: Any, codes: Array, heard: Heard, keys: Array, cuts: Cuts) -> Array:
        """Bars (B, T) drawn from codes (B, G)."""
        of_tokens = jax.vmap(lambda key: jax.random.split(key, self.steps))(keys).T
        first, along = applied(self.bars, BarCodes.begin, params, codes, heard)

        def step(carry: Any, inputs: tuple[Array, Array]) -> tuple[Any, Array]:
            (decoder, before), (place, of_token) = carry, inputs
            decoder, logits = applied(self.bars, BarCodes.step, params, decoder, before, place, along)
            token = sample_tokens(logits, of_token, *cuts)
            return (decoder, token), token

        start = jnp.full(len(codes), START, jnp.int32)
        _, tokens = jax.lax.scan(step, (first, start), (jnp.arange(self.steps), of_tokens))
        return tokens.T

    def _masks(self, keys: Array, count: int) -> Array | None:
        """Of dropout of the decoder, (P, T, H), from keys (B,)."""
        shape = count, self.steps, self.bars.decoder_units
        masks = jax.vmap(lambda key: kept(key, self.dropout, shape))(keys)
        return None if masks is None else masks.reshape(-1, *shape[1:])

    @property
    def _kinds(self) -> int:
        """V."""
        return count(self.bars.levels)

    def _outcomes(self, codes: Array) -> Array:
        """Codes (.., G) as the transformer's outcomes."""
        return codes + np.arange(self.bars.codes) * self._kinds


def make_notes(config: Any, steps: int = BAR) -> CodeModel:
    """The model of configs/bar_codes.py; UserError for a size, a share, levels or a format that cannot be."""
    fields = dict(config["model"])
    dtype, levels = operand_dtype(fields.pop("matmul_dtype")), read_levels(fields.pop("levels"))
    check_sizes(fields, SIZES)
    check_heads(fields["units"], fields["heads"])
    of_bars = {name: fields.pop(name) for name in ("codes", "encoder_units", "decoder_units")}
    dropout = Dropout(**config["dropout"])
    check_shares(dropout)
    bars = BarCodes(**of_bars, levels=levels, steps=steps, dtype=dtype)
    outcomes = bars.codes * count(levels)
    network = CodeTransformer(**fields, steps=bars.codes, dtype=dtype, outcomes=outcomes)
    return CodeModel(bars, NoteModel(network, OfLayers(dropout.hidden)), dropout.decoder)


def read_levels(text: str) -> Levels:
    """'8 5 5' -> (8, 5, 5); UserError for what are no levels."""
    words = text.split()
    levels = tuple(int(word) for word in words if word.isascii() and word.isdigit() and len(word) < 6)
    if not levels or len(levels) < len(words) or min(levels) < 2 or count(levels) > MOST_CODES:
        raise UserError(
            f"config.model.levels is {text!r}; it must be numbers of 2 or more, such as '8 5 5', whose product, the"
            f" number of codes, is at most {MOST_CODES}"
        )
    return levels
