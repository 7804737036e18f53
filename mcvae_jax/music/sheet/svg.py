"""A sheet as a picture, which verovio engraves where it is installed."""

import importlib.resources
import importlib.util
import itertools
import re
from typing import Any

from mcvae_jax.errors import UserError
from mcvae_jax.music.sheet.musicxml import as_musicxml
from mcvae_jax.music.sheet.sheet import Sheet

HOW = "scores are drawn by verovio: pip install mcvae_jax[score]"
"""What to say where `can_engrave` is False."""

_SIGNS = {"\uea64": "\u266d", "\uea65": "\u266e", "\uea66": "\u266f"}  # of chord symbols
_SCALE = 40  # per cent of verovio's own size: a staff is 7 mm high on a screen
_OPTIONS = {
    "adjustPageHeight": True,
    "breaks": "auto",
    "footer": "none",
    "pageHeight": 60000,  # of one page with all systems, the most that there can be
    "pageMarginBottom": 20,
    "pageMarginLeft": 60,  # half of a bar number of three digits stands in it
    "pageMarginRight": 20,
    "pageMarginTop": 20,
    "scale": _SCALE,
    "svgFormatRaw": True,
    "svgViewBox": True,
    "xmlIdChecksum": True,  # names of elements depend on the music alone
}


def can_engrave() -> bool:
    """Whether verovio is installed."""
    return importlib.util.find_spec("verovio") is not None


def as_svg(sheet: Sheet, width: int = 1040, titled: bool = False) -> str:
    """The sheet as one <svg> as wide as the place in which it stands, with systems of so many pixels.

    titled: the title stands above the music, for a picture that has no page around it which says it.
    It has the colour of the text around it. The same sheet gives the same text. Raises UserError without verovio.
    """
    toolkit = _toolkit()
    header = "auto" if titled and sheet.title else "none"
    toolkit.setOptions(_OPTIONS | {"pageWidth": width * 100 // _SCALE, "header": header})
    if not toolkit.loadData(as_musicxml(sheet)):
        raise RuntimeError("verovio does not read what as_musicxml wrote")
    return _in_any_font(_stacked([toolkit.renderToSVG(page) for page in range(1, toolkit.getPageCount() + 1)]))


def _stacked(pages: list[str]) -> str:
    """Pages, which a song of over a thousand bars has, below each other as one."""
    if len(pages) == 1:
        return pages[0]
    sizes = [re.search(r'viewBox="0 0 (\d+) (\d+)"', page) for page in pages]
    widths, heights = zip(*((int(size[1]), int(size[2])) for size in sizes if size), strict=True)
    tops = itertools.accumulate(heights, initial=0)
    below = [
        page.replace("<svg ", f'<svg y="{top}" width="{width}" height="{height}" ', 1)
        for page, top, width, height in zip(pages, tops, widths, heights, strict=False)
    ]
    return f'<svg viewBox="0 0 {max(widths)} {sum(heights)}" xmlns="http://www.w3.org/2000/svg">{"".join(below)}</svg>'


def _in_any_font(picture: str) -> str:
    """The picture with the quarter and the dot of its tempo and the accidentals of its chord symbols as any font has
    them, and without a font of 58 KB.

    The letters of the tempo are made smaller: verovio leaves as much room for them as those of Times take, and where
    there is no Times, wider ones would run into the notes.
    """
    picture = re.sub(r"<style[^>]*>\s*@font-face.*?</style>", "", picture, flags=re.DOTALL)
    small = '</tspan><tspan font-size="405px">.'
    picture = re.sub("\\s*\uecb7", small, picture.replace("\ueca5", "\u2669"))
    sign = r'<tspan font-family="Leipzig" font-size="\d+px">([\uea64-\uea66])</tspan>'
    picture = re.sub(sign, lambda found: f'<tspan font-size="405px">{_SIGNS[found[1]]}</tspan>', picture)
    return re.sub(r'<g [^>]*class="tempo".*?</g>', lambda tempo: tempo[0].replace("405px", "324px"), picture)


def _toolkit() -> Any:
    """A toolkit of this thread: where its fonts lie, verovio remembers for the thread that has imported it alone."""
    if not can_engrave():
        raise UserError(HOW)
    import verovio  # optional

    verovio.enableLog(verovio.LOG_OFF)
    verovio.setDefaultResourcePath(str(importlib.resources.files("verovio") / "data"))
    return verovio.toolkit()
