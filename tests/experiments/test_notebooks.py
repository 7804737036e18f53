"""The notebooks: twins in step, forms, nothing of any machine in them; and run from top to bottom (slow)."""

import ast
import re
import subprocess
import sys

import nbformat
import pytest

from experiments.notebooks import NAMES

form = pytest.importorskip("experiments.notebooks.form", reason="jupytext is not installed", exc_type=ImportError)
command = pytest.importorskip(
    "experiments.notebooks.__main__", reason="nbclient is not installed", exc_type=ImportError
)


def code_of(name):
    return [cell.source for cell in form.source(name).cells if cell.cell_type == "code"]


@pytest.mark.parametrize("name", NAMES)
def test_twins_are_in_step_and_what_is_kept_is_small_and_of_no_machine(name):
    kept = form.kept(name)
    nbformat.validate(kept)
    assert form.cells(kept) == form.cells(form.source(name)), "python -m experiments.notebooks --twins"
    assert form.problems(kept) == []
    assert (form.HERE / f"{name}.ipynb").stat().st_size < form.LARGEST_FILE
    code = [cell for cell in kept.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1)), "--keep runs all of it"
    assert any("image/png" in output.get("data", {}) for cell in code for output in cell.outputs)


@pytest.mark.parametrize("name", NAMES)
def test_choices_are_fields_of_forms(name):
    """What a reader may change stands in capitals, once, in a field; every other cell with a form has a title."""
    setup, *others = code_of(name)
    assert setup == code_of(NAMES[0])[0]  # all begin alike
    for source in (setup, *others):
        fields = re.findall(r"^([A-Z_]+) = .*# @param (?:\{type: \"|\[)", source, re.MULTILINE)
        assigned = [n.targets[0] for n in ast.parse(source).body if isinstance(n, ast.Assign)]
        constants = [each.id for each in assigned if isinstance(each, ast.Name) and each.id.isupper()]
        assert [each for each in constants if each != "CHECKOUT"] == fields
        assert source.startswith("# @title ") == bool(fields)
        assert len([line for line in source.splitlines() if not line.startswith("#")]) <= 8 or source is setup


def test_the_first_cell_installs_and_keeps_jax(tmp_path, monkeypatch):
    """Where the package is not there: a clone, and pip with the jax and numpy that are."""
    calls = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(subprocess, "run", lambda command, check: calls.append(command))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    source = code_of("compose")[0]
    with pytest.raises(SystemExit, match="REPOSITORY"):
        exec(source, {})
    head, tail = source.split("\nfrom mcvae_jax import notebook")
    exec(head.replace('REPOSITORY = ""', 'REPOSITORY = "ADDRESS"'), {})
    from importlib.metadata import version

    clone, install = calls
    assert clone[:2] == ["git", "clone"] and "ADDRESS" in clone and clone[-1] == "mcvae_jax_checkout"
    assert install[:4] == [sys.executable, "-m", "pip", "install"] and "./mcvae_jax_checkout" in install
    assert {f"{name}=={version(name)}" for name in ("jax", "jaxlib", "numpy")} <= set(install)


BAD = {
    "a place": ("stream", "corpus /home/ann/music: 3 songs"),
    "a folder of this run": ("stream", "written to /tmp/compose-x1/song.mid"),
    "an address": ("stream", "see https://example.org/x"),
    "a person": ("stream", "ann@example"),
    "a secret": ("stream", "ghp_" + "a1B2" * 8),
    "an error": ("error", ""),
}


@pytest.mark.parametrize("what", BAD)
def test_what_no_kept_notebook_may_have_is_found(what):
    kind, text = BAD[what]
    text = text.replace("ann@example", "ann@example.org")
    output = nbformat.v4.new_output(kind, **({"text": text} if kind == "stream" else {"ename": "E", "evalue": ""}))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1", outputs=[output])])
    assert len(form.problems(notebook)) == 1
    output = nbformat.v4.new_output("stream", text="step 1/2 of runs/toy/vae; 3/4 and 6/8; songs: 2")
    fine = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1", outputs=[output])])
    assert form.problems(fine) == []


def test_what_is_kept_of_an_executed_notebook(tmp_path):
    new = nbformat.v4.new_output
    outputs = [
        new("stream", text=f"written to {tmp_path}/song.mid, in {tmp_path}"),
        new("display_data", {"text/html": "sound" * 10, "image/png": "iVBO", "text/plain": "<2 songs>"}),
        new("display_data", {"application/vnd.jupyter.widget-view+json": {"model_id": "x"}, "text/plain": "Panel"}),
        new("display_data", {"text/html": "x" * (form.LARGEST + 1), "text/plain": "much"}),
    ]
    cell = nbformat.v4.new_code_cell("1", outputs=outputs, metadata={"execution": {"iopub.execute_input": "2026"}})
    notebook = nbformat.v4.new_notebook(
        cells=[cell], metadata={"widgets": {}, "kernelspec": {"name": "mine", "display_name": "Mine"}}
    )
    kept = form.cleaned(notebook, str(tmp_path))
    assert kept.metadata == {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    (cell,) = kept.cells
    assert cell.metadata == {} and cell.outputs[0].text == "written to song.mid, in ."
    assert [output.data for output in cell.outputs[1:]] == [
        {"image/png": "iVBO", "text/plain": "<2 songs>"},
        {"text/plain": "much"},
    ]
    assert form.cells(notebook) == form.cells(kept) and notebook.metadata.kernelspec.name == "mine"


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_from_top_to_bottom(name, tmp_path):
    assert command.run(name, tmp_path, keep=False)["seconds"] < 300
    assert (tmp_path / f"{name}.ipynb").is_file()
