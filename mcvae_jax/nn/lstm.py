"""One LSTM layer (thesis 3.1.4, equations 3.5 to 3.10), with a backward pass that is written by hand.

Every recurrent model of the project runs through `lstm`: replace it here, and all of them are faster. On a CPU its
steps run in native code where that is ready and fits (`nn/native/`), else in a scan. The input projection stays
outside, because for tokens it is a row of a table and for a latent vector it is the same at each step; both are cheaper
than a product per step.

The four gates are four arrays from end to end. One wide array that is split in each step costs XLA on a CPU three
times as much as all tanh and sigmoid together (docs/results.md, "Speed").

Letters: T steps, B sequences, H units, I inputs, V rows of a table. Gates stand in the order of PyTorch: input, forget,
squash (the thesis' name for the candidate), output.
"""

import functools

import jax
import jax.numpy as jnp

from mcvae_jax.nn import native

Array = jax.Array
Gates = tuple[Array, Array, Array, Array]
State = tuple[Array, Array]  # (h, c), each (B, H)
Activations = tuple[Array, ...]  # (T, B, H) each: the cell states, and the four gates after their nonlinearities
Saved = tuple[Array, Activations, Array, Array, Array, Array]  # what the backward pass needs, see `_lstm_forward`

TOGETHER_ON_GPU = 8  # steps of a scan that are compiled one after the other


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def matmul(x: Array, w: Array, dtype: jnp.dtype) -> Array:
    """x (..., I) times w (I, O): operands in `dtype`, sums and result (..., O) in float32, of float64 in float64."""
    return jnp.matmul(x.astype(dtype), w.astype(dtype), preferred_element_type=_of_sums(dtype))


def together(x: Array, w: Array, dtype: jnp.dtype) -> Gates:
    """x (..., I) times the matrix of each gate, w (4, I, O), as one product of four parts: (..., O) each.

    For a few rows that takes less than what XLA on a CPU does for other ways: for four products it copies each matrix
    out of w, and for a wide one all side by side.
    """
    i, f, s, o = jax.vmap(lambda x, w: matmul(x, w, dtype))(jnp.broadcast_to(x, (4, *x.shape)), w)
    return i, f, s, o


def _of_sums(dtype: jnp.dtype) -> jnp.dtype:
    return jnp.promote_types(dtype, jnp.float32)


def _matmul_forward(x: Array, w: Array, dtype: jnp.dtype) -> tuple[Array, tuple[Array, Array]]:
    return matmul(x, w, dtype), (x, w)


def _matmul_backward(dtype: jnp.dtype, saved: tuple[Array, Array], d_y: Array) -> tuple[Array, Array]:
    x, w = saved
    return matmul(d_y, w.T, dtype), _weight_gradient(x, d_y, dtype)


matmul.defvjp(_matmul_forward, _matmul_backward)


def _weight_gradient(x: Array, d_y: Array, dtype: jnp.dtype) -> Array:
    """The sum over all leading axes of the outer products of x (..., I) and d_y (..., O): (I, O)."""
    # A transpose of the flat (N, I) array would be folded into the product, which then misses the fast bfloat16
    # kernel of a CPU (measured: 23 ms against 10 ms); a transpose before the reshape is not folded.
    rows = jnp.moveaxis(x.astype(dtype), -1, 0).reshape(x.shape[-1], -1)
    columns = d_y.astype(dtype).reshape(-1, d_y.shape[-1])
    return jnp.matmul(rows, columns, preferred_element_type=_of_sums(dtype))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def token_rows(table: Array, tokens: Array, dtype: jnp.dtype) -> Array:
    """Rows of a table: what a one-hot vector times the matrix would be, without the one-hot vector.

    Args:
      table: (V, O).
      tokens: integers (...,) below V.
      dtype: of the product in the backward pass.

    Returns:
      (..., O) float32.
    """
    return table[tokens]


def _token_rows_forward(table: Array, tokens: Array, dtype: jnp.dtype) -> tuple[Array, tuple[Array, int]]:
    return table[tokens], (tokens, table.shape[0])


def _token_rows_backward(dtype: jnp.dtype, saved: tuple[Array, int], d_rows: Array) -> tuple[Array, None]:
    # A scatter-add adds in an order that a GPU leaves open; a product gives the same bits each time.
    tokens, rows = saved
    indicator = (jnp.arange(rows)[:, None] == tokens.reshape(-1)).astype(dtype)
    return matmul(indicator, d_rows.reshape(-1, d_rows.shape[-1]), dtype), None


token_rows.defvjp(_token_rows_forward, _token_rows_backward)


def lstm(
    gates: Gates,
    w_h: Array,
    h0: Array,
    c0: Array,
    *,
    dtype: jnp.dtype,
    gate_mask: Array | None = None,
    reverse: bool = False,
) -> tuple[Array, State]:
    """Runs one LSTM layer over a sequence.

    Args:
      gates: four arrays (T, B, H) float32, the projected inputs with the bias.
      w_h: (4, H, H) float32, recurrent weights, one matrix for each gate.
      h0: (B, H) float32, first hidden state.
      c0: (B, H) float32, first cell state.
      dtype: of the operands of all products; sums and states are float32.
      gate_mask: (B, H) or None: multiplies the squash gate at every step, which is dropout on the internal gates and
        not on the cell state (thesis 4.4.8; Semeniuta et al. 2016, arXiv:1603.05118). It is noise: no gradient
        flows into it.
      reverse: runs from the last step to the first; outputs stay in the order of the inputs.

    Returns:
      hidden states (T, B, H), and the final (h, c), each (B, H); all float32.

    Raises:
      ValueError: where the shapes do not fit.
    """
    units = h0.shape[-1]
    if len(gates) != 4 or gates[0].shape[-1] != units or w_h.shape != (4, units, units):
        raise ValueError(f"gates {gates[0].shape} and w_h {w_h.shape} do not fit {units} units")
    if gate_mask is None:
        gate_mask = jnp.ones((), jnp.float32)
    return _lstm(gates, w_h, h0, c0, gate_mask, dtype, reverse)


def step_of_few_rows(
    gates: Gates, w_h: Array, h: Array, c: Array, *, dtype: jnp.dtype, gate_mask: Array | None = None
) -> tuple[Array, State]:
    """`lstm` of one step, gates (1, B, H), whose recurrent products are computed `together`."""
    i, f, s, o = (of_gate[0] for of_gate in gates)
    mask = jnp.ones((), jnp.float32) if gate_mask is None else gate_mask
    (h, c), _ = _cell((i, f, s, o), together(h, w_h, dtype), c, mask)
    return h[None], (h, c)


def _cell(gates: Gates, recurrent: Gates, c: Array, gate_mask: Array) -> tuple[State, Gates]:
    """The next (h, c), and the gates after their nonlinearities: equations 3.5 to 3.10."""
    i, f, s, o = (x + y for x, y in zip(gates, recurrent, strict=True))
    i, f, s, o = sigmoid(i), sigmoid(f), jnp.tanh(s), sigmoid(o)
    c = f * c + i * (gate_mask * s)
    return (o * jnp.tanh(c), c), (i, f, s, o)


def _unrolled() -> int:
    """The `unroll` of scans: a GPU is told of several steps at a time, since telling takes longer than doing them."""
    return TOGETHER_ON_GPU if jax.default_backend() == "gpu" else 1


def sigmoid(x: Array) -> Array:
    """The logistic function as a tanh, which is the faster of the two on a CPU."""
    return 0.5 * jnp.tanh(0.5 * x) + 0.5


@functools.partial(jax.custom_vjp, nondiff_argnums=(5, 6))
def _lstm(
    gates: Gates, w_h: Array, h0: Array, c0: Array, gate_mask: Array, dtype: jnp.dtype, reverse: bool
) -> tuple[Array, State]:
    hidden, final, _ = _run(gates, w_h, h0, c0, gate_mask, dtype, reverse, keep=False)
    return hidden, final


def _run(
    gates: Gates, w_h: Array, h0: Array, c0: Array, gate_mask: Array, dtype: jnp.dtype, reverse: bool, keep: bool
) -> tuple[Array, State, Activations]:
    """The forward pass; `keep`, whether all that the backward pass needs is wanted."""
    if native.fits(gates[0], dtype):
        return native.forward(gates, w_h, h0, c0, gate_mask, dtype=dtype, reverse=reverse, keep=keep)
    wide = jnp.concatenate(list(w_h), axis=-1)

    def step(state: State, gates_t: Gates) -> tuple[State, tuple[Array, Array, Gates]]:
        h, c = state
        i, f, s, o = jnp.split(matmul(h, wide, dtype), 4, axis=-1)
        (h, c), activations = _cell(gates_t, (i, f, s, o), c, gate_mask)
        return (h, c), (h, c, activations)

    final, (hidden, cells, activations) = jax.lax.scan(step, (h0, c0), gates, reverse=reverse, unroll=_unrolled())
    return hidden, final, (cells, *activations)


def _lstm_forward(
    gates: Gates, w_h: Array, h0: Array, c0: Array, gate_mask: Array, dtype: jnp.dtype, reverse: bool
) -> tuple[tuple[Array, State], Saved]:
    hidden, final, activations = _run(gates, w_h, h0, c0, gate_mask, dtype, reverse, keep=True)
    return (hidden, final), (hidden, activations, w_h, h0, c0, gate_mask)


def _lstm_backward(
    dtype: jnp.dtype, reverse: bool, saved: Saved, cotangents: tuple[Array, State]
) -> tuple[Gates, Array, Array, Array, Array]:
    """The gradients of the gates step by step; that of the weights is one product over all steps after it."""
    hidden, activations, w_h, h0, c0, gate_mask = saved
    d_gates, d_h0, d_c0 = _run_back(*cotangents, activations, w_h, c0, gate_mask, dtype, reverse)
    hidden_before = _before(h0, hidden, reverse)
    d_w_h = jnp.stack([_weight_gradient(hidden_before, d, dtype) for d in d_gates])
    return d_gates, d_w_h, d_h0, d_c0, jnp.zeros_like(gate_mask)


def _before(first: Array, later: Array, reverse: bool) -> Array:
    """What each step saw from the step before it."""
    return jnp.concatenate([later[1:], first[None]] if reverse else [first[None], later[:-1]])


def _run_back(
    d_hidden: Array,
    d_final: State,
    activations: Activations,
    w_h: Array,
    c0: Array,
    gate_mask: Array,
    dtype: jnp.dtype,
    reverse: bool,
) -> tuple[Gates, Array, Array]:
    """The backward pass: the gradients of the gates, of h0 and of c0."""
    if native.fits(d_hidden, dtype):
        return native.backward(d_hidden, d_final, activations, w_h, c0, gate_mask, dtype=dtype, reverse=reverse)
    cells, i, f, s, o = activations
    tall = jnp.concatenate([w.T for w in w_h], axis=0)

    def step(carry: State, saved_t: tuple[Array, Array, Array, Gates]) -> tuple[State, Gates]:
        d_h, d_c = carry
        d_hidden_t, c, c_before, (i, f, s, o) = saved_t
        tanh_c = jnp.tanh(c)
        d_h = d_h + d_hidden_t
        d_c = d_c + d_h * o * (1 - tanh_c * tanh_c)
        d_gates = (
            d_c * gate_mask * s * i * (1 - i),
            d_c * c_before * f * (1 - f),
            d_c * gate_mask * i * (1 - s * s),
            d_h * tanh_c * o * (1 - o),
        )
        return (matmul(jnp.concatenate(d_gates, axis=-1), tall, dtype), d_c * f), d_gates

    of_steps = d_hidden, cells, _before(c0, cells, reverse), (i, f, s, o)
    (d_h0, d_c0), d_gates = jax.lax.scan(step, d_final, of_steps, reverse=not reverse, unroll=_unrolled())
    return d_gates, d_h0, d_c0


_lstm.defvjp(_lstm_forward, _lstm_backward)
