"""Ties of one part, also where a file says only where they start."""

from typing import NamedTuple

from mcvae_jax.music.measures import ROUNDING, Note
from mcvae_jax.music.musicxml.bar import Bar


class _Held(NamedTuple):
    """A note from which a tie leads on."""

    staff: int
    voice: tuple[str, str]
    bar: Bar
    end: int


class Ties:
    """The ties that are open at one place of a part."""

    def __init__(self) -> None:
        self._held: dict[int, _Held] = {}  # by pitch

    def place(self, note: Note, bar: Bar, before: Bar | None, voice: tuple[str, str], staff: int) -> tuple[int, Note]:
        """The staff where a note belongs, and the note, which may go on from one that is tied to it.

        Where no end is stated, a tie leads to the next note of its pitch and voice, if nothing lies between, in its
        measure `bar` or from the one `before`. A note that a tie leads to belongs to the staff where the tie began.
        """
        held = self._held.get(note.pitch)
        if held and not note.continues and held.voice == voice:
            follows = held.bar is bar and abs(note.onset - held.end) <= ROUNDING
            crosses = held.bar is before and note.onset == 0 and held.end >= before.extent() - ROUNDING
            note = note._replace(continues=follows or crosses)
        if held and note.continues:
            staff = self._held.pop(note.pitch).staff
        if note.tied:
            self._held[note.pitch] = _Held(staff, voice, bar, note.onset + note.duration)
        return staff, note
