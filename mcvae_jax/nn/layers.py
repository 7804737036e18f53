"""Layers with their weights, and the checks of their sizes, shares and number formats.

Letters: B examples, T steps, H units, I inputs, O outputs.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from mcvae_jax.errors import UserError
from mcvae_jax.nn.lstm import Gates, State, lstm, matmul, step_of_few_rows, together, token_rows
from mcvae_jax.nn.precision import fastest

Array = jax.Array

AUTO = "auto"  # of number formats: see precision.py
LARGEST = 1 << 14  # of any size: beyond it the recurrent weights of one layer pass 4 GiB

States = tuple[State, ...]  # of each layer

Module = TypeVar("Module", bound=nn.Module)
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

_kernel_init = nn.initializers.lecun_normal(in_axis=-2, out_axis=-1, batch_axis=(0,))


class LSTMLayer(nn.Module):
    """The weights of one LSTM layer with one or more inputs, whose projections are added.

    It starts with a forget bias of 1. Recurrent weights are normal, not orthogonal: QR factorisations of several
    matrices at a time hang XLA on a CPU with two threads (BUILD_NOTES.md).
    """

    units: int
    inputs: tuple[int, ...]  # the widths of the inputs
    dtype: jnp.dtype = jnp.float32
    few_rows: int = 0  # up to so many in a call, the products for the four gates are computed together

    def setup(self) -> None:
        self.w_x = [self.param(f"w_x{n}", _kernel_init, (4, width, self.units)) for n, width in enumerate(self.inputs)]
        self.w_h = self.param("w_h", _kernel_init, (4, self.units, self.units))
        self.b = self.param("b", lambda key, shape: jnp.zeros(shape).at[1].set(1.0), (4, self.units))

    def gates(self, *xs: Array | None, masks: tuple[Array | None, ...] = (), onto: Gates | None = None) -> Gates:
        """Projects the inputs, each integers (T, B) for tokens or floats (..., B, I); masks (T, B) weigh tokens.

        Inputs may come in two calls, each with None for those of the other: the second adds `onto` what the first gave.
        """
        masks = masks or (None,) * len(xs)
        total = tuple(self.b[k] for k in range(4)) if onto is None else onto
        for x, w, mask in zip(xs, self.w_x, masks, strict=True):
            if x is None:
                continue
            if jnp.issubdtype(x.dtype, jnp.integer):
                projected = tuple(token_rows(w[k], x, self.dtype) for k in range(4))
            elif self._is_few(x):
                projected = together(x, w, self.dtype)
            else:
                projected = tuple(matmul(x, w[k], self.dtype) for k in range(4))
            if mask is not None:
                projected = tuple(each * mask[..., None] for each in projected)
            total = tuple(so_far + each for so_far, each in zip(total, projected, strict=True))
        i, f, s, o = total
        return i, f, s, o

    def __call__(
        self, gates: Gates, h0: Array, c0: Array, gate_mask: Array | None = None, reverse: bool = False
    ) -> tuple[Array, State]:
        """`mcvae_jax.nn.lstm.lstm` with this layer's weights."""
        if len(gates[0]) == 1 and self._is_few(h0):
            return step_of_few_rows(gates, self.w_h, h0, c0, dtype=self.dtype, gate_mask=gate_mask)
        return lstm(gates, self.w_h, h0, c0, dtype=self.dtype, gate_mask=gate_mask, reverse=reverse)

    def _is_few(self, x: Array) -> bool:
        """Whether x (..., I) has few rows; those that a vmap around this adds are not seen."""
        return math.prod(x.shape[:-1]) <= self.few_rows


def fresh_states(layers: Sequence[LSTMLayer], examples: int) -> States:
    """The (h, c) with which layers begin, zeros (B, H) each."""
    return tuple((jnp.zeros((examples, layer.units)),) * 2 for layer in layers)


def through(
    layers: Sequence[LSTMLayer],
    states: States,
    xs: tuple[Array, ...],
    hidden: Array | None = None,
    gates: Array | None = None,
) -> tuple[States, Array]:
    """One LSTM layer after the other: the final (h, c) of each, and what the last one gives, (T, B, H).

    Args:
      xs: the inputs of the first layer, see `LSTMLayer.gates`, (T, B) or (T, B, I) each.
      hidden: (B, L, T, H), masks of what each of L layers gives to the next and of what the last gives.
      gates: (B, L, H), masks of the squash gates.
    """
    finals = []
    for n, (layer, (h, c)) in enumerate(zip(layers, states, strict=True)):
        x, final = layer(layer.gates(*xs), h, c, None if gates is None else gates[:, n])
        xs = (x if hidden is None else x * hidden[:, n].swapaxes(0, 1),)
        finals.append(final)
    return tuple(finals), xs[0]


def both_ways(
    layers: Sequence[Sequence[LSTMLayer]],
    xs: tuple[Array, ...],
    masks: tuple[Array | None, ...] = (),
    gates: Array | None = None,
) -> list[Array]:
    """Pairs of LSTM layers, the first of each forwards and the second backwards: h, c, h, c of the last, (B, H) each.

    Args:
      xs, masks: of the first pair, see `LSTMLayer.gates`; the others read what both of the pair before give.
      gates: (B, L, 2, H), masks of the squash gates.
    """
    finals: list[Array] = []
    for n, pair in enumerate(layers):
        finals, hidden = [], []
        for d, layer in enumerate(pair):
            zeros = jnp.zeros((xs[0].shape[1], layer.units))
            gate_mask = None if gates is None else gates[:, n, d]
            outputs, final = layer(layer.gates(*xs, masks=masks), zeros, zeros, gate_mask, reverse=d == 1)
            hidden.append(outputs)
            finals.extend(final)
        xs, masks = (jnp.concatenate(hidden, axis=-1),), ()
    return finals


def states_of(flat: Array, layers: int) -> States:
    """The (h, c) of so many layers, (B, H) each, which stand side by side in `flat` (B, 2 L H)."""
    parts = jnp.split(flat, 2 * layers, axis=-1)
    return tuple(zip(parts[0::2], parts[1::2], strict=True))


class Dense(nn.Module):
    """x (..., I) times a matrix plus a bias (..., O)."""

    width: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Array:
        w = self.param("w", nn.initializers.lecun_normal(), (x.shape[-1], self.width))
        b = self.param("b", nn.initializers.zeros_init(), (self.width,))
        return matmul(x, w, self.dtype) + b


def applied(
    module: Module,
    method: Callable[Concatenate[Module, Arguments], Result],
    params: Any,
    *arguments: Arguments.args,
    **keywords: Arguments.kwargs,
) -> Result:
    """What a method of a module, or of its own class where that has another, gives with parameters; with its type."""
    apply: Callable[..., Any] = module.apply
    return apply(params, *arguments, method=method.__name__, **keywords)


def over_slots(body: Callable) -> Callable:
    """lax.scan for a body(module, carry, slot) that uses the module's parameters."""
    return nn.scan(body, variable_broadcast="params", split_rngs={"params": False})


def check_shares(dropout: Any) -> None:
    """UserError where a field of a dataclass of config.dropout is no share from 0 to below 1."""
    for name, share in dataclasses.asdict(dropout).items():
        if not 0 <= share < 1:
            raise UserError(f"config.dropout.{name} is {share}; it must be from 0 to below 1")


def check_sizes(fields: Mapping[str, Any], names: tuple[str, ...]) -> None:
    """UserError where a size of config.model is not from 1 to LARGEST."""
    for name in names:
        if not 1 <= fields[name] <= LARGEST:
            raise UserError(f"config.model.{name} is {fields[name]}; it must be from 1 to {LARGEST}")


def operand_dtype(name: str) -> jnp.dtype:
    """config.model.matmul_dtype; UserError where it is none of 'auto', 'float32' and 'bfloat16'."""
    if name == AUTO:
        name, _ = fastest()
    if name not in ("float32", "bfloat16"):
        raise UserError(f"config.model.matmul_dtype is 'auto', 'float32' or 'bfloat16', not {name!r}")
    return jnp.dtype(name)
