"""How things show themselves in a notebook, the line of a mistake, and on what the notebook runs."""

import base64
import dataclasses
import io
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image  # matplotlib needs it

import mcvae_jax
from mcvae_jax import versions
from mcvae_jax.command import say
from mcvae_jax.errors import UserError
from mcvae_jax.pages.elements import definitions
from mcvae_jax.text import for_html

DPI = 100
WIDTH = 1000  # pixels that an output has at least on a common screen


@dataclasses.dataclass(frozen=True, repr=False)
class Picture:
    """A picture that a cell shows, as the bytes of a PNG."""

    png: bytes

    @classmethod
    def of(cls, figure: Figure) -> "Picture":
        """Of a figure of matplotlib."""
        FigureCanvasAgg(figure)
        file = io.BytesIO()
        figure.savefig(file, dpi=DPI, format="png")
        return cls(file.getvalue())

    @classmethod
    def read(cls, *paths: str | os.PathLike) -> "Picture":
        """Of a file, or of several: side by side where there is room, else below each other."""
        pictures = [Image.open(path).convert("RGB") for path in paths]
        beside = sum(each.width for each in pictures) <= WIDTH
        ends = np.cumsum([0, *(each.width if beside else each.height for each in pictures)]).tolist()
        widest, highest = (max(sizes) for sizes in zip(*(each.size for each in pictures), strict=True))
        joined = Image.new("RGB", (ends[-1], highest) if beside else (widest, ends[-1]), "white")
        for each, start in zip(pictures, ends, strict=False):
            joined.paste(each, (start, 0) if beside else (0, start))
        file = io.BytesIO()
        joined.save(file, "png", optimize=True)
        return cls(file.getvalue())

    def save(self, path: str | os.PathLike) -> None:
        """Writes the file."""
        Path(path).write_bytes(self.png)

    def _repr_png_(self) -> bytes:
        return self.png

    def __repr__(self) -> str:
        return f"<a picture of {len(self.png):,} bytes>"


@dataclasses.dataclass(frozen=True)
class Facts:
    """Facts by name that a cell shows as a table of two columns."""

    facts: dict[str, Any]

    def _repr_html_(self) -> str:
        return definitions(self.facts)

    def __str__(self) -> str:
        return "\n".join(f"{name}: {value}" for name, value in self.facts.items())


def image(png: bytes, words: str) -> str:
    """A picture within HTML, with words for those who do not see it."""
    data = base64.b64encode(png).decode("ascii")
    return f'<img alt="{for_html(words)}" style="max-width: 100%" src="data:image/png;base64,{data}">'


def preformatted(lines: Iterable[str]) -> str:
    """Lines of text as HTML, as they would stand in a terminal."""
    text = "\n".join(map(for_html, lines))
    return f'<pre style="font-family: monospace; overflow-x: auto">{text}</pre>'


def shell() -> Any:
    """IPython's shell; None outside of it."""
    module = sys.modules.get("IPython")
    return module.get_ipython() if module else None


def start(checkout: str | os.PathLike = "", say: Callable[[str], None] = say) -> None:
    """Says on what the notebook runs; from here on a mistake is a line and no stack trace.

    The experiments, which are no part of the package, can be imported where they lie beside it or in a `checkout`.
    """
    if own := shell():
        own.set_custom_exc((UserError,), _in_one_line)
    for folder in (Path(mcvae_jax.__file__).parents[1], Path(checkout)):
        if (folder / "experiments" / "thesis.py").is_file() and str(folder) not in sys.path:
            sys.path.append(str(folder.absolute()))
    say(f"Runs on {versions.as_text(versions.here())}.")


def _in_one_line(shell: Any, kind: type, error: BaseException, trace: Any, tb_offset: int | None = None) -> list[str]:
    line = f"Error: {' '.join(str(error).splitlines())}"
    print(line, file=sys.stderr)
    return [line]
