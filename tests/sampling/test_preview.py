"""The preview sounds what the bars say: pitches by their spectrum, onsets to the sample, silence where it is silent."""

import io
import time
import wave

import numpy as np
import pytest

from mcvae_jax.music.tokens import NO_EVENT, NOTE_OFF
from mcvae_jax.sampling.preview import render_wav, seconds_of

RATE = 11025


def sound_of(data):
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float64), file.getframerate()


def bars_of(*notes, bars=1):
    """Bars with `notes`, each (step, steps, pitch)."""
    tokens = np.full(16 * bars, NO_EVENT, np.uint8)
    for step, steps, _ in notes:
        tokens[step + steps : step + steps + 1] = NOTE_OFF
    for step, _, pitch in notes:
        tokens[step] = pitch
    return tokens.reshape(-1, 16)


def fundamental(sound, rate):
    """The lowest strong peak of the spectrum in Hz, to a twentieth of a semitone of a long note."""
    size = 1 << 18
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), size))
    strong = spectrum > 0.3 * spectrum.max()
    first = int(np.argmax(strong))
    stop = first + int(np.argmin(strong[first:]))
    return (first + np.argmax(spectrum[first:stop])) * rate / size


@pytest.mark.parametrize("pitch", [21, 33, 45, 57, 60, 69, 76, 84, 96, 108])
def test_a_note_has_its_pitch(pitch):
    sound, rate = sound_of(render_wav(bars_of((0, 16, pitch)), 60))
    expected = 440 * 2 ** ((pitch - 69) / 12)
    assert 12 * abs(np.log2(fundamental(sound, rate) / expected)) < 0.1


def test_every_note_of_a_melody_has_its_pitch():
    pitches = [60, 64, 67, 72, 71, 69, 62, 55]
    sound, rate = sound_of(render_wav(bars_of(*[(4 * i, 4, p) for i, p in enumerate(pitches)], bars=2), 90))
    notes = np.split(sound, len(pitches))
    found = [69 + 12 * np.log2(fundamental(note, rate) / 440) for note in notes]
    np.testing.assert_allclose(found, pitches, atol=0.2)


def test_a_pitch_that_the_rate_cannot_carry_sounds_octaves_lower():
    sound, rate = sound_of(render_wav(bars_of((0, 16, 127)), 60))
    assert fundamental(sound, rate) == pytest.approx(440 * 2 ** ((127 - 24 - 69) / 12), rel=1e-3)
    sound, rate = sound_of(render_wav(bars_of((0, 16, 120)), 60, rate=22050))
    assert fundamental(sound, rate) == pytest.approx(440 * 2 ** ((120 - 69) / 12), rel=1e-3)


@pytest.mark.parametrize("tempo", [37.7, 60.0, 110.0, 173.3])
def test_onsets_and_rests_to_the_sample(tempo):
    notes = [(1, 2, 60), (5, 1, 72), (6, 4, 60), (13, 3, 67), (19, 8, 64)]
    sound, rate = sound_of(render_wav(bars_of(*notes, bars=2), tempo))
    per_step = rate * 15 / tempo
    assert len(sound) == round(32 * per_step)
    audible = np.zeros(len(sound), bool)
    for step, steps, _ in notes:
        a, b = round(step * per_step), round((step + steps) * per_step)
        audible[a:b] = True
        assert np.flatnonzero(sound[a:b])[0] <= 2  # a sine starts at zero, under a rising attack
        assert np.abs(sound[a : a + round(0.02 * rate)]).max() > 3000
        assert np.abs(sound[b - 1]) < 50  # ends in silence
    assert not sound[~audible].any()


def test_it_never_clips_or_clicks():
    """A click is a jump that the tone itself does not make: 8 partials of pitch 84 move less than this a sample."""
    random = np.random.default_rng(0)
    tokens = np.where(random.random((20, 16)) < 0.6, random.integers(36, 85, (20, 16)), NOTE_OFF).astype(np.uint8)
    for tempo in (20, 110, 400):
        sound, _ = sound_of(render_wav(tokens, tempo))
        assert 15000 < np.abs(sound).max() < 0.95 * 32767
    low = bars_of(*[(2 * i, 2, 48) for i in range(8)])
    sound, rate = sound_of(render_wav(low, 110))
    inside = np.abs(np.diff(sound))[round(0.01 * rate) : round(0.2 * rate)].max()  # of a note in full swing
    assert np.abs(np.diff(sound)).max() < 1.2 * inside


def test_length_silence_and_sameness():
    bars = bars_of((0, 4, 60), bars=25)
    assert seconds_of(bars, 110) == pytest.approx(25 * 4 * 60 / 110)
    data = render_wav(bars, 110)
    assert data == render_wav(bars, 110) and len(data) == 44 + 2 * round(RATE * seconds_of(bars, 110))
    sound, _ = sound_of(render_wav(np.full((2, 16), NO_EVENT, np.uint8), 110))
    assert len(sound) == round(2 * 4 * 60 / 110 * RATE) and not sound.any()
    assert len(sound_of(render_wav(np.empty((0, 16), np.uint8), 110))[0]) == 0
    assert len(sound_of(render_wav(bars, 110, rate=22050))[0]) == round(22050 * seconds_of(bars, 110))


@pytest.mark.parametrize("tempo", [10, 1000])
def test_dense_songs_are_quick(tempo):
    """25 bars at 110 take about 15 ms; the limit is wide since machines are shared."""
    tokens = np.random.default_rng(1).integers(40, 90, (25, 16)).astype(np.uint8)
    began = time.process_time()
    render_wav(tokens, tempo)
    assert time.process_time() - began < 2
