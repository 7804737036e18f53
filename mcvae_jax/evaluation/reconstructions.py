"""Held-out bars beside what the VAE makes of them: as MIDI to listen to, and as a picture."""

from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mcvae_jax.corpus.metres import song_metre
from mcvae_jax.corpus.store import HELD_OUT, Corpus
from mcvae_jax.models.bar_codec import BarModule, likeliest, posterior
from mcvae_jax.music.bars import bars_to_score, bars_to_tokens
from mcvae_jax.music.midi import write_midi
from mcvae_jax.music.pianoroll import draw_pianoroll
from mcvae_jax.music.tokens import NOTE_OFF
from mcvae_jax.text import for_figure, printable


def write_reconstructions(
    vae: BarModule, params: Any, corpus: Corpus, folder: Path, songs: int = 6, bars: int = 8
) -> list[dict[str, Any]]:
    """Writes the first bars of held-out songs and their greedy reconstructions from mu into `folder`.

    Files: NN-original.mid, NN-reconstruction.mid, and reconstructions.png with both side by side.

    Returns:
      For each song its 'name' (title and file), 'bars', 'tokens' and 'token_accuracy'; the songs are spread evenly
      over the held-out ones.
    """
    held_out = corpus.songs(HELD_OUT)
    chosen = held_out[np.unique(np.linspace(0, len(held_out) - 1, min(songs, len(held_out))).astype(np.int64))]
    of_song = corpus.records()
    names = [printable(" / ".join(filter(None, (of_song[i]["title"], of_song[i]["name"])))) for i in chosen]
    originals = [np.array(corpus.song(i)[:bars]) for i in chosen]
    padded = np.concatenate([np.pad(song, ((0, bars - len(song)), (0, 0))) for song in originals])
    mu, _ = posterior(vae, params, jnp.asarray(padded))
    decoded = np.asarray(likeliest(vae, params, mu), np.uint8).reshape(-1, bars, vae.steps)
    folder.mkdir(parents=True, exist_ok=True)
    pairs, records = [], []
    for n, (i, name, original, guess) in enumerate(zip(chosen, names, originals, decoded, strict=True), 1):
        guess, metre = guess[: len(original)], song_metre(of_song[i], vae.steps)
        pairs.append((bars_to_tokens(original), bars_to_tokens(guess)))
        write_melody(folder / f"{n:02d}-original.mid", original, name, metre)
        write_melody(folder / f"{n:02d}-reconstruction.mid", guess, f"{name}, reconstructed", metre)
        records.append(
            {
                "name": name,
                "bars": len(original),
                "tokens": original.size,
                "token_accuracy": float(np.mean(guess == original)),
            }
        )
    _draw(pairs, records, vae.steps, folder / "reconstructions.png")
    return records


def write_melody(path: Path, bars: np.ndarray, title: str, metre: tuple[int, int] = (4, 4)) -> None:
    """Writes bars, uint8 (n, T), as a MIDI file with one track, 110 quarters a minute."""
    write_midi(path, bars_to_score(bars, title, time_signatures=np.array([[0, *metre]])))


def _draw(pairs: list[tuple[np.ndarray, np.ndarray]], records: list[dict[str, Any]], steps: int, path: Path) -> None:
    figure = Figure(figsize=(14, 1.9 * len(pairs) + 0.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(pairs), 2, squeeze=False, sharey="row")
    for row, (original, guess), record in zip(axes, pairs, records, strict=True):
        pitches = np.concatenate([t[t < NOTE_OFF] for t in (original, guess)])
        span = (int(pitches.min()), int(pitches.max())) if len(pitches) else (60, 72)
        draw_pianoroll(row[0], original, span, steps_per_bar=steps)
        draw_pianoroll(row[1], guess, span, compare=original, steps_per_bar=steps)
        row[0].set_title(f"{for_figure(record['name'])}: original", fontsize=8)
        row[1].set_title(f"reconstruction: {record['token_accuracy']:.1%} of tokens; red notes differ", fontsize=8)
    figure.supxlabel("bar", fontsize=8)
    figure.savefig(path, dpi=110)
