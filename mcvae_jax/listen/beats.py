"""The clicks and the MIDI clock of a bar."""

import mido

from mcvae_jax.listen.clock import PULSES
from mcvae_jax.listen.manner import OUT, Manner

DOWNBEAT, OTHER = 76, 77  # General MIDI's high and low wood block
_LOUD, _SOFT = 110, 80


def bar_events(start: float, manner: Manner) -> list[tuple[float, mido.Message]]:
    """The messages of a bar that starts at a position, each with its own."""
    events = []
    if manner.click:
        for step in range(0, manner.steps, manner.beat):
            pitch, velocity = (OTHER, _SOFT) if step else (DOWNBEAT, _LOUD)
            click = {"channel": manner.click - 1, "note": pitch}
            events.append((start + step, mido.Message("note_on", velocity=velocity, **click)))
            events.append((start + step + 0.5, mido.Message("note_off", **click)))
    if manner.clock == OUT:
        pulses = manner.steps * PULSES // manner.quarter
        events += [(start + n * manner.quarter / PULSES, mido.Message("clock")) for n in range(pulses)]
    return events


def beat_of(metre: tuple[int, int], quarter: int) -> int:
    """Steps of a beat: of a dotted quarter in 6/8, 9/8 and 12/8, else of the metre's own unit, at least a step."""
    numerator, denominator = metre
    units = 3 if numerator % 3 == 0 and numerator > 3 and denominator >= 8 else 1
    return max(1, 4 * quarter * units // denominator)
