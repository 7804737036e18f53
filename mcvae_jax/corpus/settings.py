"""The settings that decide what a corpus holds; a corpus records them, and is rebuilt when they change."""

import dataclasses

from mcvae_jax.command import check_range, option
from mcvae_jax.errors import UserError
from mcvae_jax.music import grid

EDITS, WINDOWS = "edits", "windows"
CHOICES = {
    "bars": ("metre", "fixed16"),
    "dedupe": ("tune", "file", "none"),
    "alike": (EDITS, WINDOWS),
    "split": ("content", "name"),
}


MOST_BARS = 1_000_000
MIN_PULSE = 0.35  # chosen by what was measured on real files and performances made of them (docs/music.md)


@dataclasses.dataclass(frozen=True)
class CorpusSettings:
    """Everything that changes the bytes of a corpus; each field with the help of its flag."""

    source: str = option("a folder, .zip, .tar.gz or single file, or a collection by its name; --list shows these")
    melody: str = option("'auto', 'skyline', 'name:REGEX', 'index:N' or 'channel:N'", "auto")
    bars: str = option("'metre' (bars start on the downbeat) or 'fixed16' (cut every steps_per_bar: thesis)", "metre")
    steps_per_bar: int = option(
        "16 for 4/4, 12 for 3/4 and 6/8, 24 for triplets in 4/4, 4 to 96; others are skipped", 16
    )
    metre: str = option("'' takes the metre that each file states; '4/4' says it for every file", "")
    min_pitch: int = option("notes below this MIDI pitch are dropped and counted (thesis 7.2: 21)", 0)
    max_pitch: int = option("notes above this MIDI pitch are dropped and counted (thesis 7.2: 108)", 127)
    max_moved: float = option("songs more of whose onsets move by a quarter of a step are left out; 1 keeps all", 1.0)
    min_pulse: float = option(
        "performances whose onsets agree less on a grid, 0 to 1, are left out; 0 keeps them", MIN_PULSE
    )
    max_bars: int = option("songs over this are dropped (thesis 7.1.1: 3 x 113); 0 is no limit", 339)
    dedupe: str = option("'tune' (the same tune in any key or file), 'file' (the same bytes) or 'none'", "tune")
    alike: str = option(
        "how 'tune' and max_similarity compare: 'edits' (any speed, small changes) or 'windows' (8 notes as written)",
        EDITS,
    )
    held_out: float = option("share of the songs that is held out, 0 to 1", 0.1)
    split: str = option("'content' (copies stay together) or 'name' (leaks; for comparisons alone)", "content")
    split_seed: int = option("another seed is another split", 0)
    max_similarity: float = option("held-out songs more like a training song than this are not scored", 0.5)

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise UserError(f"{name}={getattr(self, name)!r} is unknown; choose {' or '.join(choices)}")
        if not 0 <= self.min_pitch <= self.max_pitch <= 127:
            raise UserError(f"min_pitch={self.min_pitch} and max_pitch={self.max_pitch} must be 0 <= min <= max <= 127")
        for name in ("max_moved", "min_pulse", "held_out", "max_similarity"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"{name}={getattr(self, name)} must lie between 0 and 1")
        if abs(self.split_seed) >= 2**63:
            raise UserError(f"split_seed={self.split_seed} is too large; it must fit into 64 bits")
        check_range("steps_per_bar", self.steps_per_bar, grid.FEWEST, grid.MOST)
        check_range("max_bars", self.max_bars, 0, MOST_BARS)
