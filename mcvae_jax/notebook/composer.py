"""A trained model in a notebook: each way to make songs is a method, and what it returns shows itself."""

import dataclasses
import difflib
import os
from pathlib import Path
from typing import Any

from mcvae_jax.errors import UserError
from mcvae_jax.kinds import open_model
from mcvae_jax.models.settings import Settings
from mcvae_jax.models.song_model import SongModel, main_origin
from mcvae_jax.notebook.music import read_tune
from mcvae_jax.notebook.shown import Facts
from mcvae_jax.places import shown
from mcvae_jax.sampling import modes
from mcvae_jax.sampling.demo import held_out_seeds
from mcvae_jax.sampling.seeds import Seed
from mcvae_jax.sampling.song import Songs
from mcvae_jax.trained import open_corpus

Music = Seed | str | os.PathLike  # a tune, the title of a built-in one, or the path of a file


@dataclasses.dataclass(frozen=True, eq=False)
class Composer:
    """A model that composes.

    Where a method takes a tune, that is what `tune` returned, a title or a path. `settings` are fields of
    `models.settings.Settings`, as temperature=0.5 or seed=3; those that are not given are the model's own.
    """

    model: SongModel

    @property
    def folder(self) -> Path:
        """The workdir of its last part, by which the commands open all of it."""
        return list(self.model.origins.values())[-1].folder

    def tune(self, name: str | os.PathLike, bars: int = 8, which: str = "first", **how: str | int) -> Seed:
        """The first or last bars of a built-in tune or a file, in bars that the model knows."""
        return read_tune(name, bars, which, self.model.steps, **how)

    def held_out(self, songs: int = 4, bars: int = 4) -> list[Seed]:
        """The beginnings of songs that the model has not seen."""
        return held_out_seeds(open_corpus(main_origin(self.model)), songs, bars)

    def compose(self, bars: int | None = 16, songs: int = 4, **settings: Any) -> Songs:
        """Songs from nothing; bars=None lets the model end them."""
        return modes.compose(self.model, songs, bars, self._settings(settings))

    def continue_(self, tune: Music, bars: int | None = 16, songs: int = 4, **settings: Any) -> Songs:
        """Songs that go on from a tune."""
        return modes.continue_(self.model, self._music(tune), bars, songs, self._settings(settings))

    def fill(self, tune: Music, missing: str, songs: int = 4, **settings: Any) -> Songs:
        """The tune with other bars in place of those missing, as '5-6' or '3,7-8', counted from 1."""
        return modes.infill(self.model, self._music(tune), missing, songs, self._settings(settings))

    def vary(self, tune: Music, spread: float = 1.0, songs: int = 4, **settings: Any) -> Songs:
        """Songs near the tune: spread 0 is what the model keeps of it, 2 goes far."""
        return modes.vary(self.model, self._music(tune), spread, songs, self._settings(settings))

    def interpolate(self, a: Music, b: Music, steps: int = 5, path: str = "spherical", **settings: Any) -> Songs:
        """Songs on the way from a to b; path: 'linear', 'spherical' or 'both'."""
        return modes.interpolate(self.model, self._music(a), self._music(b), steps, path, self._settings(settings))

    def reconstruct(self, tune: Music, **settings: Any) -> Songs:
        """The tune, and what the decoder makes of the latent vectors of its bars."""
        return modes.reconstruct(self.model, self._music(tune), self._settings(settings))

    def panel(self, tune: Music) -> Any:
        """Sliders for all of this, and the songs that they make; needs ipywidgets."""
        try:
            from mcvae_jax.notebook.panel import Panel
        except ModuleNotFoundError as error:
            raise UserError(f"sliders need {error.name}: pip install mcvae_jax[notebook]") from error
        return Panel(self, self._music(tune))

    def _music(self, tune: Music) -> Seed:
        return tune if isinstance(tune, Seed) else self.tune(tune)

    def _settings(self, given: dict[str, Any]) -> Settings:
        known = [field.name for field in dataclasses.fields(Settings)]
        for name in given:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
                raise UserError(f"there is no setting {name!r}; {hint}")
        return dataclasses.replace(self.model.defaults, **given)

    def _repr_html_(self) -> str:
        return Facts({"model": self.model.name} | self._parts())._repr_html_()

    def __repr__(self) -> str:
        return f"<{self.model.name}: {', '.join(f'{name} {text}' for name, text in self._parts().items())}>"

    def _parts(self) -> dict[str, str]:
        return {name: f"step {origin.step} of {shown(origin.folder)}" for name, origin in self.model.origins.items()}


def open_composer(workdir: str | os.PathLike = "pretrained", checkpoint: str = "best") -> Composer:
    """The model of a workdir, a file of weights, or 'pretrained'; checkpoint: 'best', 'newest' or a step's number."""
    return Composer(open_model(os.fspath(workdir), checkpoint))
