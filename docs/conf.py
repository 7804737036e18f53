"""The project's pages and the API as a site: sphinx-build -W --keep-going -c docs . SITE, in the project's folder.

The pages are README.md, BUILD_NOTES.md and the others of the root, and those of docs/, as they are read without a site.
"""

import re
import sys
import textwrap
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # so that the API is that of this checkout

from mcvae_jax import __version__  # noqa: E402

project, release = "mcvae_jax", __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.apidoc"]
html_theme = "furo"
html_title = f"{project} {release}"
root_doc = "README"
include_patterns = ["*.md", "docs/**", "mcvae_jax/weights/CARD.md"]
exclude_patterns = ["docs/api/modules.rst"]
myst_heading_anchors = 4  # the anchors of headings, as the pages link to them

API = "docs/api"  # made anew each time, and kept out of the repository
apidoc_modules = [{"path": "../mcvae_jax", "destination": API, "separate_modules": True, "module_first": True}]
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "signature"
default_role = "code"  # docstrings write `names` so
suppress_warnings = ["ref.python"]  # napoleon takes the letters of shapes, as songs, for names of types
CONTENTS = """

```{toctree}
:hidden:
:glob:

docs/*
docs/api/mcvae_jax
mcvae_jax/weights/CARD
BUILD_NOTES
*
```
"""


def add_contents(app: Any, name: str, source: list[str]) -> None:
    """The sidebar's table, which README.md itself does without."""
    if name == root_doc:
        source[0] += CONTENTS


def as_written(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Docstrings are plain text: only backticks mark anything, and examples and tables keep their lines."""
    paragraphs = "\n".join(lines).split("\n\n")
    lines[:] = "\n\n".join(map(_literal_or_escaped, paragraphs)).split("\n")


def _literal_or_escaped(paragraph: str) -> str:
    is_section = re.match(r" *(Args|Raises|Returns|Yields|Attributes):\n", paragraph)
    if not is_section and (paragraph.startswith(" ") or re.search(r"\S {3,}\S", paragraph)):
        return "::\n\n" + textwrap.indent(paragraph, "    ")
    paragraph = re.sub(r"(?m)^([^\s-].*)\n(?=- )", r"\1\n\n", paragraph)  # a list follows its head
    paragraph = re.sub(r"(`[^`]+`)(?=\w)", r"\1\\ ", paragraph)  # `option`s
    parts = re.split(r"(`[^`]*`)", paragraph)
    return "".join(part if part.startswith("`") else re.sub(r"([*|])", r"\\\1", part) for part in parts)


def write_index(app: Any, error: Exception | None) -> None:
    """The site opens with the README."""
    if not error:
        Path(app.outdir, "index.html").write_text(f'<meta http-equiv="refresh" content="0; url={root_doc}.html">\n')


def setup(app: Any) -> None:
    app.connect("source-read", add_contents)
    app.connect("autodoc-process-docstring", as_written, priority=400)  # before napoleon, which reads the sections
    app.connect("build-finished", write_index)
