"""The LSTM layer against PyTorch's, and its hand-written gradient against the one that jax derives."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mcvae_jax.nn.layers import LSTMLayer
from mcvae_jax.nn.lstm import lstm, matmul, together, token_rows

ORACLES = Path(__file__).parents[1] / "oracles"
F32 = jnp.float32


def per_gate(matrix):
    """PyTorch's (4H, I) -> (4, I, H)."""
    return jnp.asarray(np.stack(np.split(matrix, 4)).swapaxes(1, 2), F32)


def torch_numbers():
    with np.load(ORACLES / "torch_lstm.npz") as stored:
        return dict(stored)


@pytest.mark.parametrize("together", [1, 2, 8])
@pytest.mark.parametrize("suffix, direction", [("", 0), ("_reverse", 1)])
def test_values_and_gradients_are_those_of_pytorch(suffix, direction, together, monkeypatch):
    """Also with several steps of the scan compiled one after the other, as a GPU has them."""
    if together > 1:
        monkeypatch.setattr("mcvae_jax.nn.lstm.TOGETHER_ON_GPU", together)
        monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    check_against(torch_numbers(), suffix, direction)


def test_the_stored_numbers_are_what_pytorch_says_today():
    pytest.importorskip("torch", reason="PyTorch is not installed; the stored numbers are tested all the same")
    import importlib.util

    spec = importlib.util.spec_from_file_location("make_torch_lstm", ORACLES / "make_torch_lstm.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    live, stored = script.make(), torch_numbers()
    assert live.keys() == stored.keys()
    for name, value in live.items():
        np.testing.assert_allclose(value, stored[name], rtol=1e-10, atol=1e-12, err_msg=name)


def check_against(numbers, suffix, direction):
    x, h0, c0 = (jnp.asarray(numbers[name], F32) for name in ("x", "h0", "c0"))
    units = h0.shape[-1]
    mine = slice(direction * units, (direction + 1) * units)

    def run(x, w_x, w_h, b, h0, c0):
        gates = tuple(matmul(x, w, F32) + bias for w, bias in zip(w_x, b, strict=True))
        return lstm(gates, w_h, h0, c0, dtype=F32, reverse=bool(direction))

    weights = (
        per_gate(numbers[f"weight_ih_l0{suffix}"]),
        per_gate(numbers[f"weight_hh_l0{suffix}"]),
        jnp.asarray((numbers[f"bias_ih_l0{suffix}"] + numbers[f"bias_hh_l0{suffix}"]).reshape(4, -1), F32),
    )
    arguments = (x, *weights, h0[direction], c0[direction])
    (hidden, (h, c)), pullback = jax.vjp(run, *arguments)
    np.testing.assert_allclose(hidden, numbers["hidden"][..., mine], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(h, numbers["h"][direction], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(c, numbers["c"][direction], rtol=1e-5, atol=1e-6)

    cotangent = (numbers["weight_hidden"][..., mine], (numbers["weight_h"][direction], numbers["weight_c"][direction]))
    _, d_w_x, d_w_h, d_b, d_h0, d_c0 = pullback(jax.tree.map(lambda a: jnp.asarray(a, F32), cotangent))
    expected = {
        "w_x": (d_w_x, per_gate(numbers[f"grad_weight_ih_l0{suffix}"])),
        "w_h": (d_w_h, per_gate(numbers[f"grad_weight_hh_l0{suffix}"])),
        "b": (d_b, numbers[f"grad_bias_ih_l0{suffix}"].reshape(4, -1)),
        "h0": (d_h0, numbers["grad_h0"][direction]),
        "c0": (d_c0, numbers["grad_c0"][direction]),
    }
    for name, (mine_, theirs) in expected.items():
        np.testing.assert_allclose(mine_, theirs, rtol=2e-5, atol=2e-6, err_msg=name)


@pytest.mark.parametrize("dtype", [F32, jnp.bfloat16])
@pytest.mark.parametrize("shape", [(1, 3), (16,), (2, 16)])
def test_products_for_the_gates_and_their_gradients_are_those_of_numpy(shape, dtype):
    """Of operands that are rounded to the format; sums stay in float32."""
    rng = np.random.default_rng(0)
    x, w, d_y = (rng.normal(size=s).astype(np.float32) for s in ((*shape, 5), (4, 5, 7), (4, *shape, 7)))
    found, pullback = jax.vjp(jax.jit(lambda x, w: together(x, w, dtype)), x, w)
    d_x, d_w = pullback(tuple(d_y))
    assert all(each.dtype == F32 for each in (*found, d_x, d_w))
    x, w, d_y = (np.asarray(jnp.asarray(a, dtype), np.float64) for a in (x, w, d_y))
    for mine, expected in (
        (found, np.einsum("...i,kio->k...o", x, w)),
        (d_x, np.einsum("k...o,kio->...i", d_y, w)),
        (d_w, np.einsum("ni,kno->kio", x.reshape(-1, 5), d_y.reshape(4, -1, 7))),
    ):
        np.testing.assert_allclose(mine, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("few_rows", [0, 4])
@pytest.mark.parametrize("rows", [4, 5])
def test_a_layer_of_few_rows_takes_the_same_step(rows, few_rows):
    layer = LSTMLayer(5, (3,), few_rows=few_rows)
    x, (h, c) = jax.random.normal(jax.random.key(0), (1, rows, 3)), jax.random.normal(jax.random.key(1), (2, rows, 5))
    params = layer.init(jax.random.key(2), x, method="gates")
    gates = layer.apply(params, x, method="gates")
    w = params["params"]
    np.testing.assert_allclose(gates, np.einsum("tbi,kio->ktbo", x, w["w_x0"]) + w["b"][:, None, None], atol=1e-5)
    found, expected = layer.apply(params, gates, h, c), plain_lstm(gates, w["w_h"], h, c, 1.0, False)
    jax.tree.map(lambda mine, plain: np.testing.assert_allclose(mine, plain, rtol=1e-5, atol=1e-5), found, expected)
    mask = jnp.arange(5) % 2 * 2.0
    masked, expected = layer.apply(params, gates, h, c, mask), plain_lstm(gates, w["w_h"], h, c, mask, False)
    jax.tree.map(lambda mine, plain: np.testing.assert_allclose(mine, plain, rtol=1e-5, atol=1e-5), masked, expected)


def plain_lstm(gates, w_h, h, c, mask, reverse):
    """Equations 3.5 to 3.10 step by step, without a gradient of its own; mask multiplies the squash gate."""
    steps = range(gates[0].shape[0])
    hidden = {}
    for t in reversed(steps) if reverse else steps:
        i, f, s, o = (g[t] + h @ w for g, w in zip(gates, w_h, strict=True))
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * (mask * jnp.tanh(s))
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        hidden[t] = h
    return jnp.stack([hidden[t] for t in steps]), (h, c)


@pytest.mark.parametrize("reverse", [False, True])
def test_gate_dropout_and_its_gradient(reverse):
    keys = jax.random.split(jax.random.key(0), 8)
    gates = tuple(jax.random.normal(k, (7, 3, 5)) for k in keys[:4])
    w_h = jax.random.normal(keys[4], (4, 5, 5)) * 0.5
    h0, c0 = jax.random.normal(keys[5], (2, 3, 5))
    mask = jax.random.bernoulli(keys[6], 0.5, (3, 5)) * 2.0

    def loss(run):
        def value(gates, w_h, h0, c0):
            hidden, (h, c) = run(gates, w_h, h0, c0)
            return jnp.sum(jnp.sin(hidden)) + jnp.sum(h * h) + jnp.sum(jnp.cos(c))

        return jax.value_and_grad(value, argnums=(0, 1, 2, 3))(gates, w_h, h0, c0)

    mine = loss(lambda *a: lstm(*a, dtype=F32, gate_mask=mask, reverse=reverse))
    plain = loss(lambda *a: plain_lstm(*a, mask, reverse))
    unmasked = loss(lambda *a: lstm(*a, dtype=F32, reverse=reverse))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5), mine, plain)
    assert abs(float(mine[0] - unmasked[0])) > 1e-2


def test_token_rows_are_the_product_with_a_one_hot_vector():
    table = jax.random.normal(jax.random.key(0), (11, 4))
    tokens = jnp.array([[3, 3, 10], [0, 7, 3]])
    weight = jax.random.normal(jax.random.key(1), (2, 3, 4))
    mine = jax.value_and_grad(lambda t: jnp.sum(token_rows(t, tokens, F32) * weight))(table)
    product = jax.value_and_grad(lambda t: jnp.sum(jax.nn.one_hot(tokens, 11) @ t * weight))(table)
    np.testing.assert_allclose(mine[0], product[0], rtol=1e-6)
    np.testing.assert_allclose(mine[1], product[1], rtol=1e-6, atol=1e-6)


def test_bfloat16_products_stay_near_float32():
    keys = jax.random.split(jax.random.key(0), 3)
    gates = tuple(jax.random.normal(keys[0], (4, 6, 2, 8)))
    w_h = jax.random.normal(keys[1], (4, 8, 8)) * 0.3
    zeros = jnp.zeros((2, 8))
    exact, _ = lstm(gates, w_h, zeros, zeros, dtype=F32)
    rough, _ = lstm(gates, w_h, zeros, zeros, dtype=jnp.bfloat16)
    assert rough.dtype == F32
    # bfloat16 keeps 8 bits, so 2^-8 relative for each of 8 summands of size below 1
    assert 0 < float(jnp.max(jnp.abs(exact - rough))) < 8 * 2**-8


def test_wrong_shapes_are_named():
    zeros = jnp.zeros((2, 8))
    with pytest.raises(ValueError, match="do not fit 8 units"):
        lstm((jnp.zeros((3, 2, 7)),) * 4, jnp.zeros((4, 8, 8)), zeros, zeros, dtype=F32)
