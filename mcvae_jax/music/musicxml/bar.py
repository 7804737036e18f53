"""What one part of a score says in one measure."""

from dataclasses import dataclass, field

from mcvae_jax.music.measures import Note
from mcvae_jax.music.musicxml.attributes import Metre
from mcvae_jax.music.musicxml.marks import Marks


@dataclass(slots=True)
class Bar:
    """What one part says in one measure; times in ticks from its start."""

    number: str
    implicit: bool  # not counted: a pickup, or what a repeat sign leaves of a bar
    metre: Metre | None = None  # in force
    key: str = ""
    notes: list[tuple[int, Note]] = field(default_factory=list)  # staff and note
    drums: list[Note] = field(default_factory=list)
    end: int = 0  # where its notes end, those of cues, too
    rests: int = 0  # where its rests end, those of a whole measure apart
    forward: int = 0  # how far <forward> goes
    whole_rest: int = 0  # what a rest of a whole measure states; 0: there is none
    repeats: dict[int, int] = field(
        default_factory=dict
    )  # staff (0: all) -> it repeats what stands so many bars before
    marks: Marks = field(default_factory=Marks)

    def extent(self) -> int:
        """How far notes and rests go."""
        return max(self.end, self.rests)
