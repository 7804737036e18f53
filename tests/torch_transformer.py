"""The layers of nn/transformer.py by PyTorch in float64, along one sequence, with the mask written out."""

import jax
import numpy as np
import pytest

from tests.nn.test_attention import turned


def leaves_of(params):
    """The parameters as tensors."""
    torch = pytest.importorskip("torch")
    return jax.tree.map(lambda x: torch.tensor(np.float64(x)), params["params"])


def dense(x, layer):
    return x @ layer["w"] + layer["b"]


def norm(x, layer):
    torch = pytest.importorskip("torch")
    return torch.nn.functional.layer_norm(x, x.shape[-1:], layer["scale"], layer["bias"], eps=1e-6)


def through_layers(x, leaves, layers, heads, reach):
    """x (N, H) after all layers."""
    torch = pytest.importorskip("torch")
    functional, units, place = torch.nn.functional, x.shape[-1], np.arange(len(x))
    back = place[:, None] - place
    mask = torch.tensor((back >= 0) & (back < reach))
    for n in range(layers):
        layer = leaves[f"blocks_{n}"]
        q, k, v = dense(norm(x, layer["norms_0"]), layer["sought"]).reshape(-1, 3, heads, units // heads).unbind(1)
        q, k = (torch.tensor(turned(each.numpy(), place)) for each in (q, k))
        of_heads = (each.transpose(0, 1) for each in (q, k, v))
        found = functional.scaled_dot_product_attention(*of_heads, attn_mask=mask).transpose(0, 1)
        x = x + dense(found.reshape(-1, units), layer["found"])
        wide = functional.gelu(dense(norm(x, layer["norms_1"]), layer["wide"]), approximate="tanh")
        x = x + dense(wide, layer["narrow"])
    return x
