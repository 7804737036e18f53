"""The form of the kept notebooks: twins in step, outputs small and of no machine, no address and no secret."""

import getpass
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbformat import NotebookNode

HERE = Path(__file__).parent
LARGEST = 400_000  # characters of an output that is kept; what is larger is heard or seen by running the cell
LARGEST_FILE = 1_500_000
PLACES = re.compile(r"(?<![\w.~-])(?:/(?:home|root|Users|tmp|var|opt|usr|mnt|content|work)/[\w.-]+|[A-Z]:\\\\?[\w.-]+)")
SECRETS = re.compile(r"\b(?:gh[pousr]_\w{20,}|github_pat_\w+|hf_\w{20,}|sk-\w{20,}|AKIA\w{12,}|xox[abp]-\w+|glpat-\w+)")
ADDRESSES = re.compile(r"\b(?:https?|ssh|git)://[^\s\"'<>]+|\b\w+@[\w-]+\.\w+")
DATA = re.compile(r"data:[\w/+-]+;base64,[\w+/=]+")  # in which any letters may stand


def source(name: str) -> NotebookNode:
    """The notebook of NAME.py, without outputs."""
    return jupytext.read(HERE / f"{name}.py")


def kept(name: str) -> NotebookNode:
    """NAME.ipynb as it is kept."""
    return nbformat.read(HERE / f"{name}.ipynb", as_version=4)


def cells(notebook: NotebookNode) -> list[tuple[str, str]]:
    """Kind and text of each cell: in which twins are alike."""
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


def cleaned(notebook: NotebookNode, folder: str) -> NotebookNode:
    """An executed notebook as it is kept.

    Out go what one run differs in from another (times, ids of executions), widgets, which live in a kernel alone,
    sounds, where a picture shows the same, and outputs over LARGEST. The `folder` in which it ran is named no more.
    """
    notebook = nbformat.from_dict(notebook)
    notebook.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs = [each for each in map(lambda one: _kept(one, folder), cell.outputs) if each is not None]
            for output in cell.outputs:
                if "execution_count" in output:
                    output.execution_count = cell.execution_count
    return notebook


def _kept(output: NotebookNode, folder: str) -> NotebookNode | None:
    output = _without(output, folder)
    data = output.get("data")
    if data is None:
        return output
    output.metadata = {}
    if "application/vnd.jupyter.widget-view+json" in data:
        return None
    if "image/png" in data:
        data.pop("text/html", None)
    for kind in [kind for kind, content in data.items() if len(str(content)) > LARGEST]:
        del data[kind]
    return output if data else None


def _without(value: Any, folder: str) -> Any:
    """The same JSON value with the folder's name taken out of its texts."""
    if isinstance(value, dict):
        return nbformat.from_dict({name: _without(each, folder) for name, each in value.items()})
    if isinstance(value, list):
        return [_without(each, folder) for each in value]
    return value.replace(f"{folder}/", "").replace(folder, ".") if isinstance(value, str) else value


def problems(notebook: NotebookNode) -> list[str]:
    """What a kept notebook must not have: errors, names of machines, people and places, secrets, addresses."""
    found = []
    names = {name for name in (socket.gethostname(), getpass.getuser()) if len(name) > 2 and name != "root"}
    for number, cell in enumerate(notebook.cells):
        for text in _texts(cell):
            text = DATA.sub("", text)
            for pattern in (PLACES, SECRETS, ADDRESSES):
                found += [f"cell {number}: {match}" for match in pattern.findall(text)]
            found += [f"cell {number}: {name}" for name in names if re.search(rf"\b{re.escape(name)}\b", text)]
        for output in cell.get("outputs", ()):
            if output.output_type == "error" or output.get("name") == "stderr":
                found.append(f"cell {number}: {output.get('ename', 'stderr')} {output.get('text', '')[:200]}")
    return found


def _texts(cell: NotebookNode) -> Iterator[str]:
    """Its source, and all that its outputs say in text."""
    yield cell.source
    for output in cell.get("outputs", ()):
        yield output.get("text", "")
        for kind, content in output.get("data", {}).items():
            if not kind.startswith("image/png"):
                yield content if isinstance(content, str) else str(content)
