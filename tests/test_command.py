"""What all commands share: numbers that cannot be are refused at the start, and --help says what is written where."""

import contextlib
import importlib
import io
import re

import pytest

from mcvae_jax.errors import UserError

COMMANDS = {
    "mcvae_jax.sample": [],
    "mcvae_jax.evaluate": [],
    "mcvae_jax.latents": [],
    "mcvae_jax.studio.__main__": [],
    "mcvae_jax.listen.__main__": [],
    "mcvae_jax.corpus.__main__": ["--source=tunes", "--out=nowhere"],
    "experiments.listening_test": ["make"],
    "experiments.thesis": [],
    "experiments.kl_targets": [],
    "experiments.benchmark": ["--out=o"],
    "experiments.grid": [],
    "experiments.cleaning": [],
    "experiments.bars": [],
    "experiments.capacity": [],
    "experiments.encoding": [],
}
COUNTED = {
    "songs",
    "bars",
    "seed_bars",
    "max_bars",
    "seeds",
    "draws",
    "steps",
    "rounds",
    "workers",
    "jobs",
    "first",
    "port",
    "metronome",
    "channel",
    "instrument",
    "from_channel",
}


def main_of(command):
    return importlib.import_module(command).main


def help_of(command):
    """What --help prints."""
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.suppress(SystemExit):
        main_of(command)([*COMMANDS[command], "--help"])
    return shown.getvalue()


def refused(command, option):
    with pytest.raises(UserError) as caught:
        main_of(command)([*COMMANDS[command], option])
    assert str(caught.value).isprintable() and len(str(caught.value)) < 400
    return str(caught.value)


@pytest.mark.parametrize("command", COMMANDS)
def test_numbers_beyond_all_use_are_refused_with_the_range(command):
    told = dict(re.findall(r"--(\w+) \w+\s[^-]*?\(([\d,]+ to [\d,]+)", " ".join(help_of(command).split())))
    options = COUNTED & set(re.findall(r"--(\w+) (?!\{)", help_of(command)))
    for name in options:
        message = refused(command, f"--{name}=20000000000")
        assert re.match(rf"(--)?{name} is 20000000000; it must be from", message), message
        refused(command, f"--{name}=-1")
        refused(command, f"--{name}=" + "9" * 5000)
        assert "whole number" in refused(command, f"--{name}=many") or name == "max_bars"
    for name, span in told.items():
        if name in options:
            assert span in refused(command, f"--{name}=20000000000")
    assert len(options) >= (0 if command == "mcvae_jax.latents" else 1)


@pytest.mark.parametrize("command", [*COMMANDS, "mcvae_jax.main", "mcvae_jax.inspect"])
def test_help_says_what_is_written_where(command):
    COMMANDS.get(command)
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.suppress(SystemExit):
        main_of(command)(["--help"])
    words = " ".join(shown.getvalue().split())
    assert re.search(r"writes .*(nothing|OUT|--out|into the workdir)|writ.*(goes to --out|temporary folder)", words)
