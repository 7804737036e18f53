"""`mcvae listen` with a model that answers at once: `python -m tests.listen.live_process OPTIONS`."""

from types import SimpleNamespace

import numpy as np

from mcvae_jax.command import run_command
from mcvae_jax.listen import __main__ as listen
from mcvae_jax.music.tokens import NO_EVENT
from mcvae_jax.studio import engine


class Scale:
    """Each answer is a scale in sixteenths."""

    def __init__(self):
        self.models = {16: SimpleNamespace(name="scale", abilities=(), likelihood="none")}

    def warm(self, wanted):
        yield "Nothing to get ready"

    def answer(self, asked):
        bars = np.full((asked.wanted, 16), NO_EVENT, np.uint8)
        bars[:] = 60 + np.arange(16)
        return {"bars": bars.tolist()}


if __name__ == "__main__":
    listen.open_engine = lambda places, checkpoint: Scale()
    listen.abilities = lambda model: (engine.CONTINUE,)
    run_command(listen.main, go_on=listen.GO_ON)
