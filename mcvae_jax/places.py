"""Places that users name: a path of this machine, or the address of a bucket, gs://BUCKET/PATH or s3://BUCKET/PATH.

A file of weights, FILE.npz or one that the package carries, named 'pretrained', is a place where a workdir is read.
What a bucket or such a file holds is worked on in a folder of this machine (storage/). Only here is it known which
folder stands for which place, so that whatever is told or recorded names the place.
"""

import os
import re
from pathlib import Path
from typing import NamedTuple

from mcvae_jax.errors import UserError

SCHEMES = ("gs", "s3")
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+(.*)", re.DOTALL)  # as Path has it, too: gs:/BUCKET/PATH

CARRIED = {"pretrained": 16, "pretrained-12": 12}  # weights that the package carries -> steps of their bars
WEIGHTS = ".npz"  # how files of weights end
_OURS = Path(__file__).parent / "weights"

_stand: dict[str, str] = {}  # a folder of this machine -> the place that it stands for


class Address(NamedTuple):
    """A folder, or an object, of a bucket."""

    scheme: str
    bucket: str
    path: str  # 'a/b', without slashes at its ends; '' is the whole bucket

    def __str__(self) -> str:
        return "/".join(filter(None, (f"{self.scheme}://{self.bucket}", self.path)))


def is_address(place: str | os.PathLike[str]) -> bool:
    """Whether a place is meant as an address, known or not; a file of that name would be written ./gs:/..."""
    return bool(_ADDRESS.match(os.fspath(place)))


def parse_address(place: str | os.PathLike[str]) -> Address:
    """The address that a text is; UserError for one of another kind, or without a bucket."""
    found = _ADDRESS.match(os.fspath(place))
    scheme, rest = (found[1].lower(), found[2]) if found else ("", "")
    if scheme not in SCHEMES:
        known = " or ".join(f"{each}://BUCKET/PATH" for each in SCHEMES)
        raise UserError(f"{os.fspath(place)} is no place that this program knows; give a folder, or {known}.")
    bucket, *parts = rest.rstrip("/").split("/")
    if not bucket:
        raise UserError(f"{os.fspath(place)} names no bucket; give {scheme}://BUCKET/PATH.")
    if any(part in ("", ".", "..") for part in parts):
        raise UserError(f"{os.fspath(place)}: an address has no empty parts, '.' or '..'.")
    return Address(scheme, bucket, "/".join(parts))


def on_this_machine(place: str | os.PathLike[str]) -> Path:
    """The path; UserError where an address is given for what can only be a file or folder of this machine."""
    if is_address(place):
        raise UserError(
            f"{os.fspath(place)} is an address, and this cannot be in a bucket; give a path of this machine."
        )
    return Path(place)


def weights_file(place: str | os.PathLike[str]) -> Path | None:
    """The file of weights that a place is, None where it is none; a file or folder of the name of ours comes first."""
    path = Path(place)
    if path.suffix == WEIGHTS and path.is_file():
        return path
    if os.fspath(place) in CARRIED and not path.exists():
        return _OURS / f"{place}{WEIGHTS}"
    return None


def stand_for(folder: Path, place: Address | str) -> None:
    """From now on a folder of this machine stands for another place."""
    _stand[str(folder)] = str(place)


def shown(text: object) -> str:
    """A text, or a path, in which places take the place of the folders that stand for them."""
    text = str(text)
    for folder in sorted(_stand, key=len, reverse=True):
        text = text.replace(folder, _stand[folder])
    return text


def is_of_weights(folder: Path) -> bool:
    """Whether a folder is what a file of weights was unpacked to, or lies in such a one."""
    places = [place for above, place in _stand.items() if folder.is_relative_to(above)]
    return any(place in CARRIED or place.endswith(WEIGHTS) for place in places)


def cache_folder() -> Path:
    """Where this program keeps what it can get or make again: MCVAE_CACHE, or mcvae_jax in the user's cache."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("MCVAE_CACHE") or Path(home) / "mcvae_jax")
