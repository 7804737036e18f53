"""Clips -> the page that listeners answer, and the key that says which clip is whose.

The page is blind: clips and groups have numbers drawn by chance, and stand in the order of these numbers. Each
listener hears the groups (a group is a model, or the real songs), the clips within a group, and the pairs in an order
of their own.

How the questions of thesis 6.4.1 are asked. The clips of a group come one after the other, and the six statements then
judge the group as a whole, in the thesis' words: "similar" can be asked of several melodies only, each person gives
one answer to each statement for each model, which is what Figs 6.4 and 6.5 count, and a listener is the unit of the
tests. "Real or composed?" (8.2.4) is asked of each clip as it is heard. Which of two clips of the same seed is better
(MusicVAE, arXiv:1803.05428) is asked at the end, PAIRS times or once for each two groups.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from mcvae_jax.pages.document import document

STATEMENTS = {  # thesis 6.4.1, in its order
    "quality": "The compositions had a high musical quality.",
    "creativity": "The compositions showed musical creativity.",
    "melody": "The compositions had a melody.",
    "structure": "The compositions had a good musical structure.",
    "technical structure": "The compositions seem easy to play.",
    "similarity": "The melodies seem similar.",
}
SCALE = ("Strongly disagree", "Disagree", "Neutral", "Agree", "Strongly agree")
PAIRS = 6  # questions that a listener is asked, about: each may take two minutes
SOUNDS = "blob:"  # they are in the page, and browsers can seek in them as blobs


def make_test(sounds: Mapping[str, Sequence[bytes]], seconds: float, seed: int) -> tuple[dict, dict, dict]:
    """What a page holds, and the names of the groups and the clips on it.

    Args:
      sounds: for each model's name the WAV file of each seed, as many for all.
      seconds: length of a clip.
      seed: of the numbers of groups and clips.

    Returns: the test as JSON, {group: name of the model}, {clip: (name of the model, number of the seed from 0)}.
    """
    rng = np.random.default_rng(seed)
    names, seeds = list(sounds), len(next(iter(sounds.values())))
    numbers = iter((rng.permutation(len(names) * seeds) + 1).tolist())
    clips = {f"clip-{next(numbers):03d}": (name, n) for name in names for n in range(seeds)}
    groups = {f"group-{number + 1}": names[i] for number, i in enumerate(rng.permutation(len(names)))}
    of = {where: clip for clip, where in clips.items()}
    pairs = len(names) * (len(names) - 1) // 2
    test = {
        "seconds": round(seconds, 3),
        "statements": STATEMENTS,
        "scale": SCALE,
        "seeds_per_pair": max(1, min(seeds, PAIRS // pairs)),
        "groups": {group: [of[name, n] for n in range(seeds)] for group, name in groups.items()},
        "sounds": {clip: base64.b64encode(sounds[clips[clip][0]][clips[clip][1]]).decode() for clip in sorted(clips)},
    }
    identity = hashlib.blake2b(json.dumps(test).encode(), digest_size=8).hexdigest()
    return {"id": identity} | test, groups, clips


def write_page(path: Path, test: Mapping[str, Any]) -> None:
    """Writes the page: one file, which asks no host for anything and works from a file system."""
    folder = Path(__file__).parent
    parts = {name: (folder / f"page.{name}").read_text("utf-8") for name in ("html", "css", "js")}
    body = Template(parts["html"]).substitute(
        test=json.dumps(test).replace("<", "\\u003c"),
        clips=len(test["sounds"]),
        minutes=5 * round((len(test["sounds"]) * (test["seconds"] + 8) + 45 * len(test["groups"]) + 360) / 300) or 5,
    )
    page = document("Listening test", body, parts["css"], parts["js"], SOUNDS, listed=False)
    path.write_text(page, "utf-8")
