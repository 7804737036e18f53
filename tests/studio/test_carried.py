"""The weights that the package carries, in the studio as users have it."""

import time

import numpy as np
import pytest

from mcvae_jax.studio.__main__ import open_studio
from mcvae_jax.studio.messages import Continue, Fill, Surprise, Vary
from tests.studio.fake import compiled, some_bars


@pytest.mark.slow  # compiles eight programs
def test_the_carried_models_answer_at_once_when_they_are_ready():
    """Compiled without optimisation here, and beside other tests: experiments/studio_latency.py measures it."""
    with open_studio([]) as studio:
        compiled()
        studio.warm()
        assert studio.state()["share"] == 1 and not studio.state()["trouble"]
        warm = len(compiled())
        for steps in (16, 12):
            bars = some_bars(37, steps)
            for ask, count in (
                (Continue(steps=steps, bars=bars, wanted=4), 4),
                (Fill(steps=steps, bars=bars, chosen=[20, 21]), 37),
                (Vary(steps=steps, bars=bars, chosen=[3]), 37),
                (Surprise(steps=steps, bars=bars), 37),
            ):
                started = time.monotonic()
                answer = studio.engine.answer(ask)
                assert time.monotonic() - started < 3
                assert len(answer.get("bars", answer.get("bits"))) == count
                assert np.all(np.isfinite(answer.get("bits", [0])))
        assert len(compiled()) == warm
