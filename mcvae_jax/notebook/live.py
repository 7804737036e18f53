"""The output of a cell that trains: the last lines, and the learning curves, drawn anew while it goes."""

import tempfile
import time
from pathlib import Path
from typing import Any

from mcvae_jax.command import say
from mcvae_jax.kinds import models_of
from mcvae_jax.notebook.shown import image, preformatted, shell
from mcvae_jax.pages.elements import details
from mcvae_jax.storage.workdir import Workdir
from mcvae_jax.text import for_html
from mcvae_jax.training.curves import draw_learning_curve
from mcvae_jax.training.metrics import read_metrics

SHARE = 0.1  # of the time that may go into drawing
SHOWN = 3  # lines of the progress that are in sight


class Live:
    """The output of a cell that changes while a model is trained: the last lines and the learning curves."""

    def __init__(self, workdir: Path) -> None:
        self.workdir, self.lines, self.curves = workdir, list[str](), dict[str, bytes]()
        self._due = 0.0  # when the curves are drawn again
        self._before = {folder: _state(folder) for folder in self._models()}
        self._handle: Any = None

    def say(self, line: str) -> None:
        """Takes a line of the training."""
        self.lines.append(line)
        if shell() is None:  # a script
            say(line)
        elif time.monotonic() >= self._due:
            self.show()

    def show(self) -> None:
        """Draws the curves as they are now, and changes the output."""
        if shell() is None:
            return
        from IPython.display import DisplayHandle

        started = time.monotonic()
        self._draw()
        if self._handle is None:
            self._handle = DisplayHandle()
            self._handle.display(self)
        else:
            self._handle.update(self)
        now = time.monotonic()
        self._due = now + max(1.0, (now - started) / SHARE)

    def _models(self) -> list[Path]:
        return models_of(self.workdir) or [self.workdir]

    def _draw(self) -> None:
        """The curves of each model that this call trains; those before the last one have come to their end."""
        folders = self._models()
        for folder in folders:
            is_due = folder is folders[-1] or folder.name not in self.curves
            if is_due and _state(folder) != self._before.get(folder):
                if lines := read_metrics(Workdir(folder).metrics):
                    self.curves[folder.name] = _learning_curve(lines)

    def _repr_html_(self) -> str:
        pictures = "".join(
            f"<h4>{for_html(name)}</h4>{image(png, f'learning curves of {name}')}" for name, png in self.curves.items()
        )
        return preformatted(self.lines[-SHOWN:]) + pictures + details("All lines", preformatted(self.lines))


def _state(folder: Path) -> tuple[int, int]:
    """Of its metrics file; another one after training has begun there."""
    metrics = Workdir(folder).metrics
    return (metrics.stat().st_mtime_ns, metrics.stat().st_size) if metrics.exists() else (0, 0)


def _learning_curve(lines: list[dict]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "curves.png"
        draw_learning_curve(path, lines, None)
        return path.read_bytes()
