"""What every task over the latents of a trained VAE begins with: the VAE, its corpus, the latents, their moments."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mcvae_jax.batches.bars import Batch, check_shifts
from mcvae_jax.batches.songs import Make, Piece, SongSettings, choose_songs, first_bars, latent_maker
from mcvae_jax.corpus.store import Corpus
from mcvae_jax.errors import UserError
from mcvae_jax.latents import Latents, corpus_latents
from mcvae_jax.models.bar_codec import BarCodec
from mcvae_jax.models.bounds import whole_song_bounds
from mcvae_jax.models.prior import Moments, fit_one_gaussian
from mcvae_jax.models.workdirs import open_codec
from mcvae_jax.places import shown
from mcvae_jax.storage.buckets import fetched
from mcvae_jax.trained import DamagedModel, known_origin, open_corpus
from mcvae_jax.training import processes

Say = Callable[[str], None]


class LatentSongs(NamedTuple):
    """The songs of a VAE's corpus as its latents."""

    codec: BarCodec
    corpus: Corpus
    songs: np.ndarray  # int64 (S,), to train on
    scored: np.ndarray  # and held-out ones
    left_out: dict[str, int]  # how many held-out ones are not scored, and why
    make: Make  # pieces -> a batch of latents
    one_gaussian: dict[str, jax.Array]  # of the training bars, parameters of `OneGaussian`

    @property
    def moments(self) -> Moments:
        """Of z ~ q over the training bars."""
        return Moments(self.one_gaussian["mu"], jnp.exp(self.one_gaussian["log_var"] / 2))

    @property
    def facts(self) -> dict[str, Any]:
        """What a workdir records of them."""
        origin = known_origin(self.codec.origin)
        return {
            "corpus": shown(self.corpus.folder),
            "identity": self.corpus.identity,
            "vae_workdir": shown(origin.folder),
            "vae": origin.identity,
            "vae_step": origin.step,
            "latent": self.codec.latent,
        }

    def in_windows(self, window: int) -> Make:
        """Pieces as batches of so many bars, with 'first', the number of the first bar of each in its song."""

        def make(pieces: Sequence[Piece], size: int, bars: int) -> Batch:
            return self.make(pieces, size, window) | {"first": first_bars(pieces, size)}

        return make

    def held_out(self) -> list[np.ndarray]:
        """The bars of the scored songs, uint8 (n, T) each."""
        return [self.corpus.song(i) for i in self.scored]

    def reconstruction(self, seed: int, say: Say) -> dict[int, float]:
        """What the VAE needs for each scored song given its latents, nats, by the song's index."""

        def reconstruct() -> list[float]:
            say(f"reconstructing {len(self.scored)} held-out songs")
            return whole_song_bounds(self.codec, {}, self.held_out(), seed=seed)["reconstruction_nats"].tolist()

        return dict(zip(self.scored.tolist(), processes.by_first("reconstruction", reconstruct), strict=True))


def open_vae(folder: str, settings: SongSettings) -> BarCodec:
    """The VAE of config.vae_workdir; UserError where there is none, or it does not know the pitches of the settings."""
    if not folder or not fetched(folder).is_dir():
        raise UserError(
            f"config.vae_workdir is {folder!r}, where no VAE is; train one there first (python -m mcvae_jax.main"
            " --config=vae --workdir=DIR), or name another."
        )
    try:
        codec = open_codec(folder)
    except DamagedModel as error:
        raise UserError(f"config.vae_workdir: {error.damage} {error.train_on}") from error
    except UserError as error:
        raise UserError(f"config.vae_workdir: {error}") from error
    check_shifts(settings, codec.vae.pitches)
    return codec


def latent_songs(codec: BarCodec, corpus_folder: str, settings: SongSettings, say: Say) -> LatentSongs:
    """The songs of the VAE's corpus; they are encoded where that has not been done yet.

    Raises:
      UserError: not the corpus on which the VAE was trained; no songs.
    """
    corpus = open_corpus(known_origin(codec.origin), corpus_folder)
    songs, scored, left_out = choose_songs(corpus, settings, say)
    encode = functools.partial(corpus_latents, codec, corpus, settings.lowest_shift, settings.highest_shift)
    latents = processes.made_once("latents", lambda: encode(say), encode)
    one_gaussian = fit_training_bars(corpus, latents, songs)
    return LatentSongs(codec, corpus, songs, scored, left_out, latent_maker(corpus, latents), one_gaussian)


def fit_training_bars(corpus: Corpus, latents: Latents, songs: np.ndarray) -> dict[str, jax.Array]:
    """The one Gaussian of z ~ q over the bars of songs as they stand; see `prior.fit_one_gaussian`."""
    in_songs = np.repeat(np.isin(np.arange(len(corpus)), songs), corpus.lengths)
    rows, counts = np.unique(latents.rows[-latents.lowest_shift][in_songs], return_counts=True)
    return fit_one_gaussian(latents.mu[rows], latents.log_var[rows], counts)
