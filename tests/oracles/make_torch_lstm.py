"""Writes torch_lstm.npz: a bidirectional pair of PyTorch LSTM layers, their outputs and gradients, in float64.

pip install torch==2.13.0
python tests/oracles/make_torch_lstm.py
"""

from pathlib import Path

import numpy as np
import torch

STEPS, BATCH, INPUTS, UNITS = 5, 3, 4, 6


def make() -> dict[str, np.ndarray]:
    """Weights by PyTorch's own names, inputs, outputs, and gradients of a weighted sum of everything that comes out."""
    torch.manual_seed(0)
    layer = torch.nn.LSTM(INPUTS, UNITS, bidirectional=True, dtype=torch.float64)
    x = torch.randn(STEPS, BATCH, INPUTS, dtype=torch.float64, requires_grad=True)
    h0 = torch.randn(2, BATCH, UNITS, dtype=torch.float64, requires_grad=True)
    c0 = torch.randn(2, BATCH, UNITS, dtype=torch.float64, requires_grad=True)
    hidden, (h, c) = layer(x, (h0, c0))
    weights = [torch.randn_like(part) for part in (hidden, h, c)]
    sum((part * weight).sum() for part, weight in zip((hidden, h, c), weights, strict=True)).backward()
    values = {"x": x, "h0": h0, "c0": c0, "hidden": hidden, "h": h, "c": c}
    values |= dict(zip(("weight_hidden", "weight_h", "weight_c"), weights, strict=True))
    values |= {"grad_x": x.grad, "grad_h0": h0.grad, "grad_c0": c0.grad}
    for name, parameter in layer.named_parameters():
        values |= {name: parameter, f"grad_{name}": parameter.grad}
    return {name: value.detach().numpy() for name, value in values.items()}


if __name__ == "__main__":
    np.savez(Path(__file__).with_name("torch_lstm.npz"), **make())
