"""What a book of ABC may ask for, so that a small one with many long repeats takes bounded time and memory."""

from mcvae_jax.music.score import Reason, Skip

WRITTEN_MEASURE, PLAYED_MEASURE, PLAYED_NOTE = 3, 2, 1  # steps, of two to three microseconds
_STEPS = 400_000  # that every book may take
_STEPS_A_CHARACTER = 2  # and so many more for its size; books of dances take about one


class Budget:
    """The steps that are left for measures, each voice by itself, and notes."""

    def __init__(self, characters: int) -> None:
        self._left = _STEPS + _STEPS_A_CHARACTER * characters

    def spend(self, steps: int) -> None:
        """Raises Skip where they are not left."""
        self._left -= steps
        if self._left < 0:
            raise Skip(Reason.TOO_LONG, "its book asks for more than its size allows")
