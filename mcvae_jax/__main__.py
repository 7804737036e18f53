"""The program `mcvae`: its commands are the modules that `python -m` runs.

Examples:
  mcvae compose --mode=continue --seed_file=TUNE.mid --out=songs
  mcvae train --config=mcvae:smoke                      trains tiny models in a minute: does everything work?
  mcvae train --config=mcvae                            trains on the fiddle tunes that come with it
  mcvae compose --workdir=runs/mcvae-default --out=songs
"""

import importlib
import signal
import sys

from mcvae_jax import versions
from mcvae_jax.command import COMMANDS, PROGRAM, hint, run_command, say
from mcvae_jax.errors import UserError


def main() -> None:
    """Runs the command that the first argument names; libraries that take seconds are imported by it alone."""
    name, *arguments = sys.argv[1:] or [""]
    if name not in COMMANDS:
        run_command(_without_command)
    sys.argv = [f"{PROGRAM} {name}", *arguments]
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while libraries are imported, Ctrl-C ends it without a trace
    module = COMMANDS[name][0]
    found = importlib.import_module(module)
    if hasattr(found, "__path__"):  # a package, whose command is its __main__
        found = importlib.import_module(f"{module}.__main__")
    found.as_command()


def _without_command(argv: list[str]) -> None:
    """Help, versions, or a UserError for what is neither."""
    if not argv:
        raise UserError(f"give a command: {', '.join(COMMANDS)}; {PROGRAM} --help says what each does")
    name = argv[0]
    if name in ("--help", "-h", "help"):
        say(_help())
    elif name == "--version":
        others = versions.versions()
        say(f"{versions.PACKAGE} {others.pop(versions.PACKAGE)}\n{versions.as_text(others)}")
    else:
        modules = {module.rpartition(".")[2]: command for command, (module, _) in COMMANDS.items()}
        near = f"did you mean {modules[name]}?" if name in modules else hint(name, COMMANDS)
        raise UserError(f"there is no command {name}: {near}")


def _help() -> str:
    width = max(map(len, COMMANDS))
    rows = "\n".join(f"  {name:<{width}}  {text}" for name, (_, text) in COMMANDS.items())
    return (
        f"usage: {PROGRAM} COMMAND [options]\n\n{rows}\n\n"
        f"{PROGRAM} COMMAND --help lists the options of a command, {PROGRAM} --version says what is installed.\n\n"
        f"{(__doc__ or '').partition(chr(10) * 2)[2].strip()}"
    )


if __name__ == "__main__":
    main()
