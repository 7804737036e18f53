"""Opens the studio: a page on this machine in which you play or draw a phrase, and a model answers.

Without --workdir the weights play that come with this program: for music in 4/4, and for music in 3/4 and 6/8. The page
is served to this machine alone, at an address with a secret in it that is new each time. Ctrl-C closes it. It writes
nothing: what you save goes where your browser puts what it downloads.

examples:
  python -m mcvae_jax.studio --open
  python -m mcvae_jax.studio --workdir=runs/joint-default --port=8000
"""

import argparse
import errno
import threading
import webbrowser

from mcvae_jax.command import Parser, add_whole, run_command, say
from mcvae_jax.errors import UserError
from mcvae_jax.places import CARRIED, WEIGHTS
from mcvae_jax.storage.compiled import keep_compiled
from mcvae_jax.studio.engine import open_engine
from mcvae_jax.studio.server import Studio


def parse(argv: list[str]) -> argparse.Namespace:
    """The options of the command line; UserError where they cannot be followed."""
    parser = Parser("python -m mcvae_jax.studio", description=__doc__)
    ours = " or ".join(CARRIED)
    text = f"of a trained model, FILE{WEIGHTS} or {ours} (default: both of these)"
    parser.add_argument("--workdir", default="", metavar="DIR", help=text)
    parser.add_argument("--checkpoint", default="best", metavar="WHICH", help="best, newest or a step (default: best)")
    add_whole(parser, "port", 0, 65535, 0, "of the address; 0 takes a free one")
    parser.add_argument("--open", action="store_true", help="opens the page in the browser")
    return parser.parse_args(argv)


def open_studio(argv: list[str]) -> Studio:
    """The server, whose address can be opened; its models are not warm yet."""
    flags = parse(argv)
    engine = open_engine([flags.workdir] if flags.workdir else CARRIED, flags.checkpoint)
    try:
        return Studio(engine, flags.port)
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        raise UserError(
            f"--port={flags.port} cannot be had ({error.strerror}); leave it away to take a free one"
        ) from None


def main(argv: list[str]) -> None:
    """Serves the page until it is stopped."""
    with open_studio(argv) as studio:
        say(studio.address)
        threading.Thread(target=studio.warm, daemon=True).start()
        if parse(argv).open:
            webbrowser.open(studio.address)
        studio.serve_forever()


def as_command() -> None:
    """What the command line runs."""
    keep_compiled()
    run_command(main, go_on="The studio is closed; the same command opens it again.")


if __name__ == "__main__":
    as_command()
