"""A file that was dropped on the page -> its melody in bars; it is read in a child process, as all music is."""

import tempfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from mcvae_jax.errors import UserError
from mcvae_jax.music.grid import grid_of, metre_text
from mcvae_jax.music.readers import SUFFIXES
from mcvae_jax.sampling.seeds import read_seed
from mcvae_jax.studio.messages import KEYS, MOST_BARS, MOST_DROPPED, MOST_TITLE, Dropped
from mcvae_jax.text import brief, printable

_STEM = "dropped"  # of the temporary file: the name that the page says is never a path


def read_dropped(dropped: Dropped, steps: Sequence[int]) -> dict[str, Any]:
    """The song as JSON, in bars of the first of `steps` that fits its metre; UserError where there is none."""
    name = PurePosixPath(dropped.name.replace("\\", "/")).name
    suffix = PurePosixPath(name).suffix.lower()
    if suffix not in SUFFIXES:
        raise UserError(f"{brief(name)} is no music file that this reads; they end in {', '.join(SUFFIXES)}")
    if len(dropped.data) > MOST_DROPPED:
        raise UserError(f"{brief(name)} has {len(dropped.data):,} bytes; the studio takes {MOST_DROPPED:,} at most")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{_STEM}{suffix}"
        path.write_bytes(dropped.data)
        try:
            seed = read_seed(path, MOST_BARS, "first", steps=steps)
        except UserError as error:
            raise UserError(_plain(str(error).replace(str(path), brief(name)))) from None
    title = seed.title if seed.title != _STEM else PurePosixPath(name).stem
    notes = [_plain(note) for note in seed.notes if "fewer than" not in note]
    notes += [seed.loses] if seed.loses else []
    if seed.total > MOST_BARS:
        notes.append(f"it has {seed.total:,} bars: the first {MOST_BARS} are taken")
    return {
        "title": printable(title)[:MOST_TITLE],
        "first": min(seed.numbers.first, 1),  # as printed: 0 is a pickup
        "steps": int(seed.bars.shape[1]),
        "bars": seed.bars.tolist(),
        "tempo": min(400.0, max(20.0, seed.setting.quarters_per_minute)),
        "metre": metre_text(grid_of(seed.bars.shape[1]).whole(*seed.setting.metre)),
        "key": seed.setting.key if seed.setting.key in KEYS else "",
        "program": seed.setting.program,
        "notes": notes,
    }


def _plain(line: str) -> str:
    """Without advice about options, which a page has not: what stands after a semicolon in each line of the reader."""
    line = line.replace("cannot be a seed", "cannot be used")
    return "; ".join(part for n, part in enumerate(line.split("; ")) if n == 0 or "--" not in part)
