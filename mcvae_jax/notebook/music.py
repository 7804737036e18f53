"""Music to start from: the tunes that the package carries, by title, and files."""

import difflib
import os
from pathlib import Path

from mcvae_jax.corpus.builtin import own_tunes
from mcvae_jax.errors import UserError
from mcvae_jax.music.grid import grid_of
from mcvae_jax.music.readers import SUFFIXES
from mcvae_jax.music.tokens import BAR
from mcvae_jax.places import is_address
from mcvae_jax.sampling.seeds import Seed, read_seed, seed_of_score


def tunes(steps: int = BAR) -> list[str]:
    """The titles of the built-in tunes that fit bars of so many steps."""
    grid = grid_of(steps)
    found = []
    for name, score in own_tunes():
        metres = {(int(above), int(below)) for _, above, below in score.time_signatures}
        if all(grid.fits(*metre) for metre in metres):
            found.append(_title(name))
    return found


def read_tune(name: str | os.PathLike, bars: int, which: str, steps: int, **how: str | int) -> Seed:
    """The first or last bars of a built-in tune, by its title, or of a file, by its path.

    Args:
      name: a folder is the file that was put there last, as by `upload`.
      how: of a file, as `seeds.read_seed` has it: melody, metre, tune.

    Raises UserError where there is neither, or no music in it.
    """
    if bars < 1:
        raise UserError(f"bars is {bars}; it must be 1 or more")
    scores = {_title(each): score for each, score in own_tunes()}
    title = next((each for each in scores if each.casefold() == str(name).casefold()), "")
    if title and not how:
        return seed_of_score(scores[title], title, bars, which, steps)
    if is_address(name):
        return read_seed(name, bars, which, steps=steps, **how)  # type: ignore[arg-type]
    if not Path(name).exists():
        near = difflib.get_close_matches(str(name), scores, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "notebook.tunes() lists the titles"
        raise UserError(f"{str(name)!r} is neither a file here nor the title of a built-in tune; {hint}")
    path = Path(name)
    if path.is_dir():
        files = [file for file in path.iterdir() if file.is_file() and file.suffix.lower() in SUFFIXES]
        if not files:
            raise UserError(f"no music file is in {path} yet; choose one, then run this cell again")
        path = max(files, key=lambda file: file.stat().st_mtime)
    return read_seed(path, bars, which, steps=steps, **how)  # type: ignore[arg-type]


def _title(name: str) -> str:
    return name.partition("/")[2]
