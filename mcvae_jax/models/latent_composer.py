"""Composers over the latents of bars: the MCVAE (a bar VAE and a prior over its latents), and the VAE alone.

Letters: S songs, n bars of a song, N bars of all songs, T steps of a bar, Z latent size.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import jax
import numpy as np

from mcvae_jax.models.bar_codec import BarCodec
from mcvae_jax.models.bounds import bounds, encode_songs, song_draws, summarise
from mcvae_jax.models.particles import particle_bounds
from mcvae_jax.models.prior import OneGaussian, fit_one_gaussian, standard_normal
from mcvae_jax.models.sequences import LatentPrior
from mcvae_jax.models.settings import Settings
from mcvae_jax.models.song_model import (
    BOUND,
    FILL,
    LATENTS,
    MEMORY,
    NO_LIKELIHOOD,
    Alone,
    FilledSong,
    Gaps,
    Origin,
    SongModel,
    Songs,
    bars_of,
)
from mcvae_jax.nn import gaussian
from mcvae_jax.nn.keys import Purpose, bar_keys, for_purpose, normal

Array = jax.Array


class OfCodec:
    """What a model has from the bar VAE that writes its bars."""

    codec: BarCodec

    @property
    def steps(self) -> int:
        """T."""
        return self.codec.steps

    @property
    def pitches(self) -> tuple[int, int]:
        """Those of the VAE."""
        return self.codec.vae.pitches

    def encode(self, songs: Songs) -> list[tuple[np.ndarray, np.ndarray]]:
        """q of the bars of each song: mu and log variance, float32 (n, Z) each."""
        mu, log_var, _ = encode_songs(self.codec, songs)
        return list(zip(bars_of(mu, songs), bars_of(log_var, songs), strict=True))

    def render(self, z: Sequence[np.ndarray], keys: Array, settings: Settings) -> list[np.ndarray]:
        """The bars, uint8 (n, T), of each song's z (n, Z), with a key each, (S,)."""
        of_bars = bar_keys(for_purpose(keys, Purpose.TOKENS), [len(each) for each in z])
        return bars_of(self.codec.decode(np.concatenate(z), of_bars, settings), z)

    def drawn_near(self, seeds: Songs, keys: Array) -> list[np.ndarray]:
        """A draw from q of the bars of each seed, float32 (n, Z), with a key each, (S,)."""
        given = [np.empty((0, self.codec.latent), np.float32)] * len(seeds)
        seeded = [i for i, seed in enumerate(seeds) if len(seed)]
        if seeded:
            posteriors, of_given = self.encode([seeds[i] for i in seeded]), for_purpose(keys, Purpose.GIVEN)
            for i, posterior in zip(seeded, posteriors, strict=True):
                given[i] = draw_near(posterior, of_given[i])
        return given


class WithPrior(OfCodec):
    """What a model has beside which its VAE stands without the prior."""

    def baselines(self, training: Songs) -> dict[str, SongModel]:
        """One Gaussian that knows no other bar."""
        return {"one Gaussian": LatentComposer.of_one_gaussian(self.codec, training)}

    def kin(self) -> list[SongModel]:
        """The VAE's free run, and the VAE without memory."""
        return [FreeRun(self.codec), BarByBar(self.codec)]


@dataclasses.dataclass(frozen=True, eq=False)
class LatentComposer(WithPrior):
    """A bar VAE and a prior over its latent sequences: a `SongModel`, and what only latents can do.

    The prior reads draws of q of given bars, predicts the next latent vectors, and the decoder renders each as a bar.
    Bars are independent given their latents, so all are decoded at the same time.
    """

    codec: BarCodec
    prior: LatentPrior
    name: str = "MCVAE"
    prior_name: str = "MDRNN"
    defaults: Settings = Settings()

    likelihood = BOUND
    abilities = frozenset({MEMORY, FILL, LATENTS})
    lacks: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @staticmethod
    def of_one_gaussian(codec: BarCodec, training: Songs) -> "LatentComposer":
        """The VAE with one Gaussian for all bars, that of the training songs."""
        of_training = encode_songs(codec, training)
        one = fit_one_gaussian(of_training.mu, of_training.log_var, np.ones(len(of_training.mu)))
        name = "one Gaussian"
        return LatentComposer(codec, LatentPrior(OneGaussian(codec.latent), one), name, name)

    @property
    def origins(self) -> dict[str, Origin]:
        """Of the VAE and of the prior."""
        known = {"VAE": self.codec.origin, self.prior_name: self.prior.origin}
        return {name: origin for name, origin in known.items() if origin is not None}

    def nats(self, songs: Songs, draws: int = 1, seed: int = 0) -> list[np.ndarray]:
        """See `SongModel`: reconstruction and rate of each bar, which sum to the whole-song bound (`bounds.py`)."""
        drawn = song_draws(self.codec, songs, seed)
        cost = -np.asarray(gaussian.entropy(drawn.posteriors.log_var), np.float64)
        for z, log_x in (drawn[draw] for draw in range(draws)):
            log_z = self.prior.log_densities(z, drawn.posteriors.lengths)
            cost -= (log_x.astype(np.float64) + log_z) / draws
        return bars_of(cost, songs)

    def log_weights(self, songs: Songs, draws: int = 1, seed: int = 0) -> np.ndarray:
        """See `song_model.log_weights`."""
        drawn = song_draws(self.codec, songs, seed)
        mu, log_var, lengths = drawn.posteriors
        rows = []
        for z, log_x in (drawn[draw] for draw in range(draws)):
            log_q = np.asarray(gaussian.log_density(z, mu, log_var), np.float64)
            rows.append(log_x.astype(np.float64) + self.prior.log_densities(z, lengths) - log_q)
        return np.stack(rows)

    def bound_parts(self, songs: Songs, draws: int = 1, seed: int = 0) -> dict[str, float]:
        """Nats per bar: 'reconstruction_nats', 'kl_nats' (under N(0, I)), 'rate_nats' (under the prior)."""
        parts = summarise(bounds(song_draws(self.codec, songs, seed), {"prior": self.prior}, draws), self.steps)
        return {name: parts[name] for name in ("reconstruction_nats", "kl_nats")} | {
            "rate_nats": parts["priors"]["prior"]["rate_nats"]
        }

    def tighter_nats(self, songs: Songs, particles: int, seed: int = 0) -> np.ndarray:
        """A tighter bound of each song, float64 (S,) nats, from so many particles (`particles.py`)."""
        return particle_bounds(song_draws(self.codec, songs, seed), {"prior": self.prior}, particles, seed)["prior"]

    def go_on(
        self, seeds: Songs, keys: Array, bars: int | None, settings: Settings, max_bars: int = 128
    ) -> list[np.ndarray]:
        """See `SongModel`."""
        given = self.drawn_near(seeds, keys)
        z = self.prior.go_on(given, for_purpose(keys, Purpose.LATENTS), bars, settings, max_bars)
        return self.render(z, keys, settings)

    def fill(self, song: np.ndarray, gaps: Gaps, keys: Array, settings: Settings) -> list[FilledSong]:
        """Songs of the bars of `song`, uint8 (n, T), with others composed in its gaps, one for each key (S,).

        Gaps are filled from left to right, each by `LatentPrior.fill` from the bars before it and those up to the next.
        """
        given = np.ones(len(song), bool)
        for start, end in gaps:
            given[start:end] = False
        (posterior,) = self.encode([song])
        of_given, of_gaps = (for_purpose(keys, purpose) for purpose in (Purpose.GIVEN, Purpose.LATENTS))
        made = []
        for i in range(len(keys)):
            z, effective = draw_near(posterior, of_given[i]), []
            for start, end in gaps:
                following = z[end:][: int(np.argmin(np.append(given[end:], False)))]  # up to the next gap
                key = jax.random.fold_in(of_gaps[i], start)
                filled = self.prior.fill(z[:start], following, end - start, key, settings)
                z[start:end] = filled.z
                effective.append(filled.effective)
            (bars,) = self.render([z], keys[i : i + 1], settings)
            made.append(FilledSong(np.where(given[:, None], song, bars), effective))
        return made

    def untrained(self, seed: int) -> dict[str, SongModel]:
        """The trained VAE with a prior as it was before training, and both as they were."""
        fresh = self.prior.untrained(seed)
        return {
            f"untrained {self.prior_name}": dataclasses.replace(self, prior=fresh),
            "untrained composer": dataclasses.replace(self, codec=self.codec.untrained(seed), prior=fresh),
        }


class BarByBar(LatentComposer):
    """The VAE without memory: a z ~ N(0, I) for each bar, and START in each."""

    abilities = frozenset({LATENTS})

    def __init__(self, codec: BarCodec) -> None:
        standard = LatentPrior(OneGaussian(codec.latent), standard_normal(codec.latent))
        folder = codec.origin.folder if codec.origin else "DIR"
        advice = (
            f"{folder} holds a VAE alone: let the command of configs/mcvae.py finish (the same again goes on), or train"
            f" an MDRNN with python -m mcvae_jax.main --config=mdrnn --config.vae_workdir={folder} and give"
            " its workdir"
        )
        super().__init__(codec, standard, "VAE (bar by bar)", "N(0, I)", lacks={MEMORY: advice, FILL: advice})

    def nats(self, songs: Songs, draws: int = 1, seed: int = 0) -> list[np.ndarray]:
        """See `SongModel`: the rate is the KL in closed form."""
        drawn = song_draws(self.codec, songs, seed)
        mu, log_var, _ = drawn.posteriors
        cost = np.asarray(gaussian.kl_to_standard(mu, log_var), np.float64).sum(axis=-1)
        for draw in range(draws):
            cost -= drawn[draw].log_x.astype(np.float64) / draws
        return bars_of(cost, songs)

    def bound_parts(self, songs: Songs, draws: int = 1, seed: int = 0) -> dict[str, float]:
        """As for any composer, but that the rate is the KL, as in `nats`."""
        parts = super().bound_parts(songs, draws, seed)
        return parts | {"rate_nats": parts["kl_nats"]}

    def go_on(
        self, seeds: Songs, keys: Array, bars: int | None, settings: Settings, max_bars: int = 128
    ) -> list[np.ndarray]:
        """See `SongModel`; no bar depends on another, and nothing says where a song ends."""
        of_songs = for_purpose(keys, Purpose.LATENTS)
        return self.render([normal(key, bars or max_bars, self.codec.latent) for key in of_songs], keys, settings)

    def untrained(self, seed: int) -> dict[str, SongModel]:
        """The VAE as it was before training."""
        return {"untrained composer": BarByBar(self.codec.untrained(seed))}

    def baselines(self, training: Songs) -> dict[str, SongModel]:
        """None: it has no memory."""
        return {}

    def kin(self) -> list[SongModel]:
        """Its free run."""
        return [FreeRun(self.codec)]


@dataclasses.dataclass(frozen=True, eq=False)
class FreeRun(OfCodec, Alone):
    """The formal VAE's free run (thesis 6.5): the decoder goes on for bars * T steps from one z ~ N(0, I).

    It was trained on single bars, so that no likelihood of a song belongs to what it does after the first.
    """

    codec: BarCodec
    name: str = "VAE (free run)"

    likelihood = NO_LIKELIHOOD
    defaults = Settings(temperature=1.0)
    abilities: frozenset[str] = frozenset()
    lacks: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def origins(self) -> dict[str, Origin]:
        """Of the VAE."""
        return {"VAE": self.codec.origin} if self.codec.origin else {}

    def nats(self, songs: Songs, draws: int = 1, seed: int = 0) -> list[np.ndarray]:
        """There are none."""
        raise ValueError("a free run has no likelihood")

    def go_on(
        self, seeds: Songs, keys: Array, bars: int | None, settings: Settings, max_bars: int = 128
    ) -> list[np.ndarray]:
        """See `SongModel`; nothing says where a song ends.

        After a seed the run starts from the mean of q of its last bar. What the decoder then renders first is that bar
        again, which is left out.
        """
        of_songs, of_tokens = (for_purpose(keys, purpose) for purpose in (Purpose.LATENTS, Purpose.TOKENS))
        z = np.concatenate([normal(key, 1, self.codec.latent) for key in of_songs])
        seeded = np.array([len(seed) > 0 for seed in seeds])
        if seeded.any():
            z[seeded] = self.codec.encode(np.stack([seed[-1] for seed in seeds if len(seed)]))[0]
        songs = self.codec.free_run(z, of_tokens, (bars or max_bars) + int(seeded.any()), settings)
        return [song[1:] if given else song[: bars or max_bars] for song, given in zip(songs, seeded, strict=True)]


def draw_near(posterior: tuple[np.ndarray, np.ndarray], key: Array, spread: float = 1.0) -> np.ndarray:
    """mu + spread * sigma * eps, float32 (n, Z), of a posterior (mu and log variance): 1 is a draw from q."""
    mu, log_var = posterior
    return mu + np.float32(spread) * np.exp(log_var / 2) * np.asarray(normal(key, *mu.shape))
