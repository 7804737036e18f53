"""Runs the notebooks as a user would, from top to bottom in an empty folder, and keeps their twins in step.

It writes executed notebooks and times.csv to --out and, with --keep, NAME.ipynb beside NAME.py. It fails where a cell
fails, or where a kept notebook would name a machine, a person, a place or an address.

examples:
  python -m experiments.notebooks --out=executed            all four
  python -m experiments.notebooks --out=executed compose    one
  python -m experiments.notebooks --keep --out=executed     and their outputs are kept
  python -m experiments.notebooks --twins                   NAME.ipynb anew from NAME.py, without running it
"""

import os
import resource
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

from experiments.notebooks import NAMES, form
from experiments.results import write_csv
from mcvae_jax import versions
from mcvae_jax.command import Parser, run_command, say
from mcvae_jax.errors import UserError

ROOT = Path(__file__).parents[2]
CELL_SECONDS = 900


def execute(name: str, folder: Path, out: Path) -> tuple[NotebookNode, dict[str, float]]:
    """NAME run from top to bottom in a folder of its own, and its seconds; UserError where a cell fails.

    It is written to `out`, also where a cell fails. Beside the seconds by the clock stand those of the CPU, which tell
    what they would be on a machine with nothing else to do.
    """
    notebook = form.source(name)
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    resources = {"metadata": {"path": str(folder)}}
    client = NotebookClient(notebook, timeout=CELL_SECONDS, kernel_name="python3", resources=resources)
    started, computed = time.perf_counter(), _cpu_seconds()
    try:
        client.execute(env=os.environ | {"PYTHONPATH": path})
    except CellExecutionError as error:
        raise UserError(f"{name}: a cell fails with {error.ename}: {error.evalue}; {out} shows where") from error
    finally:
        nbformat.write(notebook, out)
    seconds = {"seconds": time.perf_counter() - started, "cpu_seconds": _cpu_seconds() - computed}
    return notebook, {kind: round(value, 1) for kind, value in seconds.items()}


def _cpu_seconds() -> float:
    """Of all processes that were started here and have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run(name: str, out: Path, keep: bool) -> dict[str, str | float]:
    """Executes a notebook, writes it, and says how long it took."""
    with tempfile.TemporaryDirectory(prefix=f"{name}-") as place:
        folder = Path(place).resolve()
        notebook, seconds = execute(name, folder, out / f"{name}.ipynb")
        clean = form.cleaned(notebook, str(folder))
    if found := form.problems(clean):
        raise UserError(f"{name} would be kept with what no notebook may have: {'; '.join(found[:5])}")
    if keep:
        nbformat.write(clean, form.HERE / f"{name}.ipynb")
    say(f"{name}: {', '.join(f'{kind} {value:.0f}' for kind, value in seconds.items())}")
    return {"notebook": name, **seconds, "on": versions.as_text(versions.here())}


def write_twin(name: str) -> None:
    """NAME.ipynb from NAME.py; outputs stay where the cells are the same."""
    notebook, path = form.source(name), form.HERE / f"{name}.ipynb"
    if path.exists() and form.cells(form.kept(name)) == form.cells(notebook):
        return
    nbformat.write(form.cleaned(notebook, "."), path)
    say(f"{path.name} is new, and without outputs; --keep runs it")


def main(argv: list[str]) -> None:
    """Does what the options ask for."""
    parser = Parser("python -m experiments.notebooks", description=__doc__)
    parser.add_argument("names", nargs="*", default=NAMES, metavar="NAME", help=f"{', '.join(NAMES)} (default: all)")
    parser.add_argument("--out", default="", metavar="DIR", help="folder of the executed notebooks")
    parser.add_argument("--keep", action="store_true", help="also beside the sources, cleaned")
    parser.add_argument("--twins", action="store_true", help="write NAME.ipynb from NAME.py alone")
    flags = parser.parse_args(argv)
    if unknown := set(flags.names) - set(NAMES):
        raise UserError(f"there is no notebook {unknown.pop()}; there are {', '.join(NAMES)}")
    if flags.twins:
        for name in flags.names:
            write_twin(name)
        return
    if not flags.out:
        raise UserError("say where the executed notebooks are written, as --out=executed")
    out = Path(flags.out)
    out.mkdir(parents=True, exist_ok=True)
    rows = [run(name, out, flags.keep) for name in flags.names]
    write_csv(out / "times.csv", rows)


if __name__ == "__main__":
    run_command(main)
