"""A page as one file: its head, the style that all pages share, and a policy that lets nothing in from elsewhere."""

import base64
import hashlib
from importlib.resources import files

from mcvae_jax.text import for_html


def document(title: str, body: str, style: str = "", script: str = "", media: str = "", listed: bool = True) -> str:
    """A whole HTML page, which works from a file system, in light and dark, on narrow screens and wide ones.

    Args:
      title: as text.
      body: as HTML.
      style: CSS of this page alone, after the shared one (style.css, whose variables it may set).
      script: JavaScript. It is the only one that runs, whatever a title or a name may hold.
      media: where sounds may come from, as in the policy's media-src; '' allows none.
      listed: False asks search engines to leave the page out.
    """
    script = f"\n{script.strip()}\n" if script else ""
    shared = files("mcvae_jax.pages").joinpath("style.css").read_text("utf-8")
    parts = [
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        "" if listed else '<meta name="robots" content="noindex">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy(script, media)}">',
        '<link rel="icon" href="data:,">',
        f"<title>{for_html(title)}</title>\n<style>\n{shared}{style}</style>\n</head>\n<body>",
        body,
        f"<script>{script}</script>" if script else "",
        "</body>\n</html>\n",
    ]
    return "\n".join(filter(None, parts))


def policy(script: str, media: str) -> str:
    """The Content-Security-Policy of a page with this script, to the letter, and sounds from `media`."""
    rules = [
        "default-src 'none'",
        "style-src 'unsafe-inline'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    if script:
        digest = hashlib.sha256(script.encode("utf-8")).digest()
        rules.append(f"script-src 'sha256-{base64.b64encode(digest).decode('ascii')}'")
    if media:
        rules.append(f"media-src {media}")
    return "; ".join(rules)
