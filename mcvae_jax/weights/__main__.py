"""Writes the best parameters of a workdir into one file, which is read wherever a workdir is: to share a model.

The file holds the config, the facts about the data, the figures and the command of the training, with nothing of the
machine in it, and a hash (SHA-256) that is checked whenever it is read. It cannot be trained on, but training can start
from it: --init_from=FILE.npz.

examples:
  python -m mcvae_jax.weights runs/joint-default --out=mine.npz
  python -m mcvae_jax.sample --workdir=mine.npz --out=songs
  python -m mcvae_jax.weights runs/joint-default --out=mine.npz --best_of=2      composes so where nothing else is said
"""

from pathlib import Path

from mcvae_jax.command import Parser, add_settings, run_command, say
from mcvae_jax.errors import UserError
from mcvae_jax.kinds import open_model
from mcvae_jax.models.settings import OWN, Settings, takes_own
from mcvae_jax.places import CARRIED, WEIGHTS, shown
from mcvae_jax.storage.buckets import sending
from mcvae_jax.storage.packed import HERE, Model, write_packed
from mcvae_jax.weights.packing import DTYPES, pack


def main(argv: list[str]) -> None:
    """Writes the file, and says what it holds."""
    parser = Parser("python -m mcvae_jax.weights", description=__doc__)
    parser.add_argument("workdir", nargs="?", metavar="WORKDIR", help="of a trained model, or of configs/mcvae.py")
    parser.add_argument("--workdir", dest="same", default="", metavar="DIR", help="the same, as in other commands")
    parser.add_argument("--out", required=True, metavar=f"FILE{WEIGHTS}", help="what is there is replaced")
    parser.add_argument("--dtype", default=DTYPES[0], choices=DTYPES, help=f"of the numbers (default: {DTYPES[0]})")
    own = parser.add_argument_group("how it composes where a call says nothing else")
    add_settings(own, Settings, {}, "those of its kind", OWN)
    flags = parser.parse_args(argv)
    songs = {name: value for name in OWN if (value := getattr(flags, name)) is not None}
    Settings(**songs)  # what cannot be is said before the model is read
    if bool(flags.workdir) == bool(flags.same):
        raise UserError("give one workdir: python -m mcvae_jax.weights runs/joint-default --out=mine.npz")
    if not flags.out.endswith(WEIGHTS) or flags.out in CARRIED:
        raise UserError(f"--out={flags.out}: files of weights end in {WEIGHTS}")
    models = pack(flags.workdir or flags.same, flags.dtype, songs)
    if songs and not takes_own(model := open_model(flags.workdir or flags.same)):
        raise UserError(
            f"the {model.name} has settings that do not change; leave {', '.join(f'--{n}' for n in songs)} out"
        )
    with sending(flags.out) as path:
        write_packed(path, models)
        size = Path(path).stat().st_size
    for folder, model in models.items():
        say(_line(folder, model))
    say(f"{shown(flags.out)}: {size / 1e6:.2f} MB; give it as --workdir, or as --init_from to train from it.")


def _line(folder: str, model: Model) -> str:
    """'joint MCVAE, step 6000: 2,181,456 parameters, float16'."""
    arrays = model.params.values()
    kinds = ", ".join(sorted({str(array.dtype) for array in arrays}))
    task = model.about.record["config"].get("task", "model")
    where = "" if folder == HERE else f" ({folder})"
    return f"{task}{where}, step {model.about.step}: {sum(array.size for array in arrays):,} parameters, {kinds}"


def as_command() -> None:
    """What the command line runs."""
    run_command(main, go_on="The same command again makes it.")


if __name__ == "__main__":
    as_command()
