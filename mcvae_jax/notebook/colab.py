"""What only Colab has: files from the user's computer and to it, and the user's Drive. Elsewhere: widgets and links."""

import importlib.util
import os
from pathlib import Path
from typing import Any

from mcvae_jax.errors import UserError
from mcvae_jax.text import printable

DRIVE, MY_DRIVE = Path("/content/drive"), "MyDrive"


def in_colab() -> bool:
    """Whether this is a notebook of Colab."""
    return bool(importlib.util.find_spec("google")) and bool(importlib.util.find_spec("google.colab"))


def upload(folder: str | os.PathLike = "uploaded", once: bool = False) -> Path:
    """The folder into which the user's files come from his computer.

    In Colab it asks for them, and they are there when it returns. Elsewhere it shows a button that takes them, which
    writes them there as soon as they are chosen. With `once` a folder that has files already is left as it is.
    """
    folder = Path(folder)
    if once and folder.is_dir() and any(folder.iterdir()):
        return folder
    if in_colab():
        from google.colab import files

        return keep(files.upload(), folder)
    from IPython.display import display

    display(_upload_button(folder))
    return folder


def _upload_button(folder: Path) -> Any:
    import ipywidgets

    button = ipywidgets.FileUpload(multiple=True, description="Choose files")
    button.observe(
        lambda change: keep({each["name"]: bytes(each["content"]) for each in change["new"]}, folder), "value"
    )
    return button


def keep(data: dict[str, bytes], folder: Path) -> Path:
    """Writes files by name into a folder; UserError where there are none, or a name is none of a file."""
    if not data:
        raise UserError("no file was chosen; run the cell again, or give the path of a file or folder")
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in data.items():
        if Path(name).name != name or name.startswith("."):
            raise UserError(f"{printable(name)!r} is no name of a file; give it another")
        (folder / name).write_bytes(content)
    return folder


def download(path: str | os.PathLike) -> Any:
    """A file to the user's computer: in Colab at once, elsewhere by the link that is returned."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"there is no file {path} to download; save it first")
    if in_colab():
        from google.colab import files

        return files.download(str(path))
    from IPython.display import FileLink

    return FileLink(str(path))


def drive(folder: str) -> Path:
    """The path of a folder of the user's Drive, which Colab asks leave for; elsewhere the same folder here."""
    if not in_colab():
        return Path(folder)
    from google.colab import drive as of_colab

    of_colab.mount(str(DRIVE))
    return DRIVE / MY_DRIVE / folder
