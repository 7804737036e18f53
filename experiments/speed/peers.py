"""PyTorch's side, as a good PyTorch user writes it: the fused LSTM of oneDNN or cuDNN, fused Adam, autocast.

The models compute the same functions as the project's (tests/experiments/test_benchmark.py loads the same weights into
both and compares losses and gradients). PyTorch's LSTM asks for vectors, so tokens are rows of a unit matrix: an
embedding of another width would be another model.
"""

import contextlib
import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from experiments.speed.work import STEPS, Sizes, Work, random_bars
from mcvae_jax.music.tokens import OUTCOMES, START, VOCABULARY

FLOOR = 1e-3


class BarVAE(nn.Module):
    """A bidirectional encoder whose final states are added, and a decoder that reads z at every step (thesis 4.4)."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        units, layers, latent = sizes.units, sizes.layers, sizes.latent
        self.layers, self.units = layers, units
        self.encoder = nn.LSTM(VOCABULARY, units, layers, bidirectional=True)
        self.moments = nn.Linear(units, 2 * latent)
        self.first = nn.Linear(latent, 2 * layers * units)
        self.decoder = nn.LSTM(VOCABULARY + latent, units, layers)
        self.logits = nn.Linear(units, OUTCOMES)
        self.register_buffer("rows", torch.eye(VOCABULARY))

    def encode(self, bars: Tensor) -> tuple[Tensor, Tensor]:
        """Bars (B, T) -> mu and log variance, (B, Z) each."""
        _, (h, c) = self.encoder(functional.embedding(bars.T, self.rows))
        code = h[-2] + h[-1] + c[-2] + c[-1]
        return self.moments(code).float().chunk(2, dim=-1)

    def begin(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """z (B, Z) -> the first (h, c), (L, B, H) each."""
        states = torch.tanh(self.first(z)).view(-1, self.layers, 2, self.units).permute(2, 1, 0, 3)
        return states[0].contiguous(), states[1].contiguous()

    def forward(self, bars: Tensor, eps: Tensor) -> Tensor:
        """-ELBO of bars (B, T) with noise (B, Z), in nats, their mean."""
        mu, log_var = self.encode(bars)
        z = mu + torch.exp(log_var / 2) * eps
        before = functional.pad(bars.T[:-1], (0, 0, 1, 0), value=START)
        read = torch.cat([functional.embedding(before, self.rows), z.expand(len(before), *z.shape)], dim=-1)
        hidden, _ = self.decoder(read, self.begin(z))
        logits = self.logits(hidden).float()
        nats = functional.cross_entropy(logits.reshape(-1, OUTCOMES), bars.T.reshape(-1), reduction="sum")
        kl = 0.5 * (mu.square() + log_var.exp() - 1 - log_var).sum()
        return (nats + kl) / len(bars)


class MDRNN(nn.Module):
    """LSTM layers over latents, a mixture of diagonal Gaussians, and a stop head (thesis 3.2)."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.latent, self.components = sizes.latent, sizes.components
        self.start = nn.Parameter(torch.randn(sizes.latent))
        self.lstm = nn.LSTM(sizes.latent, sizes.units, sizes.layers)
        self.heads = nn.Linear(sizes.units, sizes.components * (1 + 2 * sizes.latent) + 1)

    def mixture(self, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Hidden (..., H) -> log pi (..., K), mu and log sigma (..., K, Z), and the logit of the end (...)."""
        size = self.components * self.latent
        pi, mu, raw, stop = self.heads(hidden).float().split([self.components, size, size, 1], dim=-1)
        shape = (*hidden.shape[:-1], self.components, self.latent)
        return functional.log_softmax(pi, -1), mu.view(shape), bounded(raw.view(shape)), stop[..., 0]

    def forward(self, mu: Tensor, sigma: Tensor, eps: Tensor) -> Tensor:
        """Nats a bar of draws of z for songs (B, T, Z), with what it costs that the last bar is the last."""
        z = (mu + sigma * eps).transpose(0, 1)
        hidden, _ = self.lstm(torch.cat([self.start.expand(1, *z.shape[1:]), z]))
        log_pi, means, log_sigma, stop = self.mixture(hidden)
        apart = (z[:, :, None] - means[:-1]) * torch.exp(-log_sigma[:-1])
        each = log_pi[:-1] - (0.5 * apart.square() + log_sigma[:-1] + 0.5 * math.log(2 * math.pi)).sum(-1)
        ends = torch.zeros_like(stop[1:])
        ends[-1] = 1
        nll = -torch.logsumexp(each, dim=-1).sum()
        return (nll + functional.binary_cross_entropy_with_logits(stop[1:], ends, reduction="sum")) / ends.numel()


def bounded(raw: Tensor) -> Tensor:
    """The log of standard deviations above FLOOR, as the project's mixture makes them of the same numbers."""
    return torch.log(FLOOR + functional.softplus(raw))


def train(sizes: Sizes, compiled: bool = False) -> Work:
    """Updates of the VAE; items are bars."""
    model = BarVAE(sizes).to(device())
    bars = torch.from_numpy(random_bars(sizes.batch).astype(np.int64)).to(device())
    shape = sizes.batch, sizes.latent
    return _updates(model, sizes, compiled, lambda of: of(bars, torch.randn(shape, device=device())), sizes.batch)


def mdrnn_steps(sizes: Sizes, compiled: bool = False) -> Work:
    """Updates of the MDRNN; items are bars."""
    model = MDRNN(sizes).to(device())
    shape = sizes.batch, sizes.bars, sizes.latent
    mu, sigma = torch.randn(shape, device=device()), torch.full(shape, math.exp(-2), device=device())
    items = sizes.batch * sizes.bars
    return _updates(model, sizes, compiled, lambda of: of(mu, sigma, torch.randn(shape, device=device())), items)


def encode(sizes: Sizes) -> Work:
    """The VAE's encoder over 4,096 bars in chunks; items are bars."""
    model = BarVAE(sizes).to(device()).eval()
    bars = torch.from_numpy(random_bars(4096).astype(np.int64))

    @torch.inference_mode()
    def call() -> None:
        with _products(sizes):
            for chunk in bars.split(1024):
                mu, log_var = model.encode(chunk.to(device()))
                mu.cpu(), log_var.cpu()

    return Work(len(bars), call, _wait)


def compose(sizes: Sizes) -> Work:
    """Songs from nothing: latents bar by bar, then all bars of 160 songs at a time; items are songs."""
    vae, prior = BarVAE(sizes).to(device()).eval(), MDRNN(sizes).to(device()).eval()
    together = 160

    @torch.inference_mode()
    def call() -> None:
        with _products(sizes):
            state, z, drawn = None, prior.start.expand(sizes.songs, -1), []
            for _ in range(sizes.bars):
                hidden, state = prior.lstm(z[None], state)
                log_pi, mu, log_sigma, _ = prior.mixture(hidden[0])
                which = _choice(log_pi)[:, None, None].expand(-1, 1, sizes.latent)
                mu, log_sigma = mu.gather(1, which)[:, 0], log_sigma.gather(1, which)[:, 0]
                z = mu + log_sigma.exp() * torch.randn_like(mu)
                drawn.append(z)
            for part in torch.stack(drawn, dim=1).split(together):
                _rendered(vae, part.flatten(0, 1)).cpu()

    return Work(sizes.songs, call, _wait)


def _rendered(vae: BarVAE, z: Tensor) -> Tensor:
    """The bars (N, T) of z (N, Z)."""
    states, token, bars = vae.begin(z), torch.full((len(z),), START, device=z.device), []
    for _ in range(STEPS):
        read = torch.cat([functional.embedding(token, vae.rows), z], dim=-1)
        hidden, states = vae.decoder(read[None], states)
        token = _choice(vae.logits(hidden[0]).float())
        bars.append(token)
    return torch.stack(bars, dim=1)


def _choice(logits: Tensor) -> Tensor:
    """A draw of each row, by an exponential race: multinomial takes many times as long on a CPU."""
    return (logits.softmax(-1) / torch.empty_like(logits).exponential_()).argmax(-1)


def _updates(model: nn.Module, sizes: Sizes, compiled: bool, loss: Callable[[Callable], Tensor], items: int) -> Work:
    called = torch.compile(model) if compiled else model
    adam = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)

    def call() -> None:
        adam.zero_grad(set_to_none=True)
        with _products(sizes):
            value = loss(called)
        value.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()

    return Work(items, call, _wait)


def _products(sizes: Sizes) -> contextlib.AbstractContextManager:
    """Autocast where products are asked for in bfloat16."""
    if sizes.dtype == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device().type, torch.bfloat16)


def _wait() -> None:
    if device().type == "cuda":
        torch.cuda.synchronize()


def device() -> torch.device:
    """The GPU where there is one, as JAX takes it."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
