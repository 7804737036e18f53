"""How a musician wants to be answered."""

from typing import NamedTuple

from mcvae_jax.listen.hearing import DRUMS

OWN, IN, OUT = "own", "in", "out"  # whose clock, and whether it is sent


class Manner(NamedTuple):
    """How the musician wants it."""

    steps: int  # of a bar
    quarter: int  # steps
    beat: int  # steps
    memory: int  # bars of which the model hears
    bars: int = 4  # of a call
    tempo: float = 110.0  # quarters a minute
    clock: str = OWN
    listens: int = 0  # the channel that is heard, from 1; 0: all but the drums'
    channel: int = 1  # of the answer
    program: int = 0  # of General MIDI, from 1; 0: what the instrument plays
    click: int = 0  # the metronome's channel; 0: none
    thru: bool = False
    breaks_off: bool = True

    @property
    def heard(self) -> frozenset[int]:
        """Channels, from 0."""
        return frozenset({self.listens - 1} if self.listens else set(range(16)) - {DRUMS})
