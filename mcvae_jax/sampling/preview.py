"""Bars -> sound: a WAV preview with a soft, plucked tone like an electric piano's, made with numpy alone."""

import io
import wave
from typing import Any

import numpy as np

from mcvae_jax.music.bars import bars_to_tokens
from mcvae_jax.music.grid import grid_of
from mcvae_jax.music.tokens import tokens_to_notes

# 16 bits, since every player knows them and 8 bits hiss as a note dies away. 11025 Hz, since a page embeds the sound:
# 25 bars at 110 quarters a minute are 1.2 MB, and the tone has next to nothing beyond the 5 kHz that this rate carries.
RATE = 11025
_PARTIALS = np.array([1.0, 0.55, 0.22, 0.16, 0.07, 0.05, 0.03, 0.02], np.float32)  # amplitudes of harmonics 1, 2, ...
_LEVEL = 0.85 / float(_PARTIALS.sum())  # so that partials at their peaks together stay below full scale
_ATTACK, _RELEASE = 0.004, 0.03  # seconds


def tone() -> dict[str, Any]:
    """What page.js needs to make the same sound."""
    partials = [round(float(each), 4) for each in _PARTIALS]
    return {"rate": RATE, "partials": partials, "level": _LEVEL, "attack": _ATTACK, "release": _RELEASE}


def seconds_of(bars: np.ndarray, quarters_per_minute: float) -> float:
    """How long bars, uint8 (n, T), last."""
    return bars.size / grid_of(bars.shape[1]).quarter * 60 / quarters_per_minute


def render_wav(bars: np.ndarray, quarters_per_minute: float, rate: int = RATE) -> bytes:
    """A mono WAV file, 16 bits PCM, of bars, uint8 (n, T).

    The sound is as long as the bars; a note starts at the sample nearest to its time, fades within its own length and
    leaves exact silence after it. Notes whose fundamental `rate` cannot carry (over MIDI pitch 111 at 11025 Hz)
    sound octaves lower.
    """
    per_step = rate * 60 / (quarters_per_minute * grid_of(bars.shape[1]).quarter)
    start, end, pitch = tokens_to_notes(bars_to_tokens(bars))
    first, last = (np.rint(steps * per_step).astype(np.int64) for steps in (start, end))
    sound = np.zeros(round(bars.size * per_step), np.float32)
    for each in np.unique(pitch):
        chosen = pitch == each
        tone = _tone(int(each), int((last - first)[chosen].max()), rate)
        for a, b in zip(first[chosen].tolist(), last[chosen].tolist(), strict=True):
            sound[a:b] = tone[: b - a]
            fade = min(round(_RELEASE * rate), (b - a) // 4)
            sound[b - fade : b] *= np.linspace(1, 0, fade, dtype=np.float32)
    return _to_wav(np.rint(32767 * sound).astype("<i2"), rate)


def _tone(pitch: int, samples: int, rate: int) -> np.ndarray:
    """A struck tone without its release, float32 (samples,), within 0.85; high partials and notes die away sooner."""
    frequency = 440 * 2 ** ((pitch - 69) / 12)
    while frequency > 0.47 * rate:
        frequency /= 2
    time = np.arange(samples) / rate
    turn = 2 * np.pi * frequency * time
    tone = np.zeros(samples, np.float32)
    for k, amplitude in enumerate(_PARTIALS, 1):
        if k * frequency < 0.47 * rate:
            decay = (0.7 + 0.8 * (k - 1)) * (frequency / 440) ** 0.4  # per second
            tone += amplitude * (np.sin(k * turn) * np.exp(-decay * time)).astype(np.float32)
    attack = min(round(_ATTACK * rate), samples // 4)
    tone[:attack] *= np.linspace(0, 1, attack, dtype=np.float32)
    return _LEVEL * tone


def _to_wav(samples: np.ndarray, rate: int) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(samples.tobytes())
    return file.getvalue()
