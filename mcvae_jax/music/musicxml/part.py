"""One part of a score: its measures, in order."""

from collections import Counter
from xml.etree.ElementTree import Element

from mcvae_jax.music.measures import MAX_PLAYED
from mcvae_jax.music.musicxml.bar import Bar
from mcvae_jax.music.musicxml.instruments import Instruments
from mcvae_jax.music.musicxml.measure import MeasureReader, State
from mcvae_jax.music.musicxml.values import Number
from mcvae_jax.music.score import Reason, Skip


class Part:
    """Reads the measures of one part."""

    def __init__(self, instruments: Instruments | None, before: "Part | None" = None) -> None:
        """`before` is another part of the score: its divisions are the last resort of one that states none."""
        self._state = State(instruments or Instruments())
        self._before = before
        self.bars: list[Bar] = []

    @property
    def name(self) -> str:
        return self._state.instruments.name

    @property
    def divisions(self) -> Number | None:
        """Those in force; None where none are known."""
        return self._state.attributes.divisions

    @property
    def stated_metres(self) -> int:
        return self._state.attributes.metres

    @property
    def oddities(self) -> Counter[str]:
        """What was not taken as it is written, in words, and how often."""
        return self._state.oddities

    def read(self, measure: Element, number: str, implicit: bool) -> None:
        """The next measure. Raises Skip where it makes no sense, or there are too many."""
        if len(self.bars) == MAX_PLAYED:
            raise Skip(Reason.TOO_LONG, f"more than {MAX_PLAYED:,} measures")
        if self._before and not self._state.attributes.divisions:
            self._state.divisions_elsewhere = self._before.divisions
        try:
            bar = MeasureReader(self._state, Bar(number, implicit)).read(measure)
        except Skip as skip:
            name = f" of {self.name!r}" if self.name else ""
            raise Skip(skip.reason, f"measure {number[:20] or len(self.bars) + 1}{name}: {skip.detail}") from None
        self.bars.append(bar)
        self._state.before = bar
