"""How music is cut: so many steps a bar, of which so many are a quarter note."""

import functools
from fractions import Fraction
from typing import NamedTuple

from mcvae_jax.music.tokens import BAR, STEPS_PER_QUARTER

FEWEST, MOST = 4, 96  # steps of a bar


class Grid(NamedTuple):
    """Bars of equal length in steps of equal length."""

    bar: int  # steps
    quarter: int  # steps

    def __str__(self) -> str:
        """'16 sixteenths', or '24 steps, 6 a quarter'."""
        return f"{self.bar} sixteenths" if self.quarter == 4 else f"{self.bar} steps, {self.quarter} a quarter"

    @property
    def metre(self) -> tuple[int, int]:
        """The plainest metre of a bar: 4/4 of 16 or 24 steps, 3/4 of 12, 9/8 of 18, 5/16 of 5."""
        length = Fraction(self.bar, 4 * self.quarter)  # in whole notes
        denominator = max(4, length.denominator)
        return int(length * denominator), denominator

    def ticks(self, per_quarter: int) -> int:
        """Ticks of a bar, at least one."""
        return max(1, self.bar * per_quarter // self.quarter)

    def fits(self, numerator: int, denominator: int) -> bool:
        """Whether bars of this metre, one or several, make up bars of the grid, or one of them makes 2, 4, 8 ... bars.

        Of 16 steps: 4/4, 2/2, 2/4, 1/4, 8/4 ... (not 3/4, 6/8); of 12: 3/4, 6/8, 3/8, 12/8 ...
        """
        length, rest = divmod(4 * self.quarter * numerator, denominator)  # asked of every song: Fraction takes longer
        if rest or not length:
            return False
        return self.bar % length == 0 or (length % self.bar == 0 and (length // self.bar).bit_count() == 1)

    def whole(self, numerator: int, denominator: int) -> tuple[int, int]:
        """The metre of one bar of the grid for music in a metre that fits: 6/8 of 12 steps for 3/8, 6/8 and 12/8.

        The plainest one for music that is not in three, so that 2/4 gives 4/4.
        """
        length = self.steps_of(numerator, denominator)
        if length == self.bar:
            return numerator, denominator
        if length and numerator % 3 == 0 and (scaled := numerator * self.bar / length).denominator == 1:
            return int(scaled), denominator
        return self.metre

    def steps_of(self, numerator: int, denominator: int) -> Fraction:
        """The length of a bar of this metre; it need not be whole."""
        return Fraction(4 * self.quarter * numerator, denominator)


SIXTEENTHS = Grid(BAR, STEPS_PER_QUARTER)


@functools.cache
def grid_of(steps_per_bar: int) -> Grid:
    """The grid of bars of so many steps.

    Where a quarter of them is a multiple of 4 or 6 they are bars of four quarters (16 sixteenths, 24 for triplets, 32
    ...), else of as many sixteenths: 12 for 3/4 and 6/8, 8 for 2/4, 20 for 5/4.
    """
    quarter, rest = divmod(steps_per_bar, 4)
    in_four = not rest and quarter and (quarter % 4 == 0 or quarter % 6 == 0)
    return Grid(steps_per_bar, quarter if in_four else STEPS_PER_QUARTER)


def metre_text(metre: tuple[int, int]) -> str:
    """'6/8'."""
    return f"{metre[0]}/{metre[1]}"
