"""What the part list says of a part: its name, and which of its instruments are percussion."""

from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from mcvae_jax.music.musicxml.values import whole, words

_DRUM_CHANNEL = 10  # of MIDI, counted from 1


@dataclass
class Instruments:
    """The instruments of one part."""

    name: str = ""
    drums: dict[str, int] = field(default_factory=dict)  # id -> its pitch in General MIDI's drum map; -1: not stated
    all_drums: bool = False


def read_instruments(element: Element | None) -> Instruments:
    """The entry <score-part> of a part; None where the list has none."""
    if element is None:
        return Instruments()
    drums: dict[str, int] = {}
    others = 0
    for midi in element.findall("midi-instrument"):
        channel, unpitched = whole(midi.findtext("midi-channel")), whole(midi.findtext("midi-unpitched"))
        if channel == _DRUM_CHANNEL or 1 <= unpitched <= 128:
            drums[midi.get("id", "")] = unpitched - 1 if 1 <= unpitched <= 128 else -1
        else:
            others += 1
    return Instruments(words(element, "part-name"), drums, bool(drums) and not others)
