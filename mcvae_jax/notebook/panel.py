"""Sliders in a notebook: a tune, a way to make songs, its settings, a button, and the songs below."""

from typing import TYPE_CHECKING, Any

import ipywidgets

from mcvae_jax.errors import UserError
from mcvae_jax.sampling.seeds import Seed
from mcvae_jax.sampling.song import Songs
from mcvae_jax.text import for_html

if TYPE_CHECKING:
    from mcvae_jax.notebook.composer import Composer

WAYS = ("continue", "fill", "vary", "compose")
TEMPERATURES = {
    "tau_sigma": "how freely bars go on",
    "tau_recall": "recalled bars vary",
    "temperature": "notes are drawn",
}  # settings of the model with what their sliders are called


class Panel:
    """Widgets around a composer and a tune; `songs` are those that were made last, with the first values at once."""

    def __init__(self, composer: "Composer", tune: Seed) -> None:
        self.composer, self.tune, self.songs = composer, tune, Songs()
        self.way = ipywidgets.Dropdown(options=WAYS, **_named("what"))
        self.count = ipywidgets.IntSlider(2, 1, 8, **_named("songs"))
        self.bars = ipywidgets.IntSlider(8, 1, 48, **_named("composed bars"))
        self.missing = ipywidgets.Text(f"{max(1, len(tune.bars) // 2)}", **_named("bars to fill"))
        self.spread = ipywidgets.FloatSlider(1.0, min=0.0, max=3.0, step=0.1, **_named("how far"))
        start = composer.model.defaults
        self.draws = {
            name: ipywidgets.FloatSlider(getattr(start, name), min=0.0, max=1.5, step=0.05, **_named(text))
            for name, text in TEMPERATURES.items()
        }
        self.seed = ipywidgets.IntText(start.seed, **_named("seed"))
        self.button = ipywidgets.Button(description="Make songs", button_style="primary", icon="music")
        self.output = ipywidgets.HTML()
        self.button.on_click(lambda _: self.make())
        self.way.observe(lambda _: self._show_what_counts(), "value")
        self._show_what_counts()
        rows = (self.way, self.count, self.bars, self.missing, self.spread, *self.draws.values(), self.seed)
        self.box = ipywidgets.VBox([*rows, self.button, self.output])
        self.make()

    def make(self) -> None:
        """Makes songs as the sliders stand, and shows them; a mistake is a line in their place."""
        self.button.disabled = True
        try:
            self.songs = self._made()
            self.output.value = self.songs._repr_html_()
        except UserError as error:
            self.output.value = f"<p><b>Error:</b> {for_html(error)}</p>"
        finally:
            self.button.disabled = False

    def _made(self) -> Songs:
        settings: dict[str, Any] = {name: slider.value for name, slider in self.draws.items()}
        settings["seed"], count = self.seed.value, self.count.value
        match self.way.value:
            case "fill":
                return self.composer.fill(self.tune, self.missing.value, count, **settings)
            case "vary":
                return self.composer.vary(self.tune, self.spread.value, count, **settings)
            case "compose":
                return self.composer.compose(self.bars.value, count, **settings)
        return self.composer.continue_(self.tune, self.bars.value, count, **settings)

    def _show_what_counts(self) -> None:
        """The rows that belong to another way are not shown."""
        way = self.way.value
        shown = {self.bars: way in ("continue", "compose"), self.missing: way == "fill", self.spread: way == "vary"}
        shown |= {self.draws[name]: way != "vary" for name in ("tau_sigma", "tau_recall")}
        for widget, visible in shown.items():
            widget.layout.display = None if visible else "none"

    def _repr_mimebundle_(self, **how: Any) -> Any:
        return self.box._repr_mimebundle_(**how)


def _named(description: str) -> dict[str, Any]:
    return {"description": description, "style": {"description_width": "150px"}, "layout": {"width": "460px"}}
