"""The registry: every row leads to functions that exist, kinds of one's own are found, and mistakes are one line."""

import ast
import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

from mcvae_jax import kinds
from mcvae_jax.errors import UserError
from mcvae_jax.kinds import KINDS, Kind, kind_of, load, model_folder, open_model
from mcvae_jax.models.latent_composer import BarByBar, LatentComposer
from mcvae_jax.options import code_folder, load_config
from mcvae_jax.sampling.table import MODES
from mcvae_jax.storage.workdir import Record, Workdir
from tests.small_models import save_mdrnn, save_run, save_vae

MINE = """
from mcvae_jax import kinds
from mcvae_jax.errors import UserError
from mcvae_jax.kinds import Kind

KIND = Kind("mine", "of mine", "their_model", "their_model:open_it", "their_model:make")
NOT_ONE = {"name": "mine"}

def check(kind, config):
    if config["units"] < 1:
        raise UserError(f"{kind.label}: config.units is {config['units']}")

def make_task(kind, config, say):
    say(f"making {kind.name}")
    return "task", config["units"]

def open_it(kind, folder, which):
    return kind.name, folder, which

def make(config, latent):
    return latent * config["units"]
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """The folder of a module that this process has not imported yet."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "their_model.py").write_text(MINE)
    yield tmp_path / "code"
    sys.modules.pop("their_model", None)
    importlib.invalidate_caches()


@pytest.mark.parametrize("name", KINDS)
def test_every_row_leads_to_functions(name):
    kind = kind_of(name)
    task = importlib.import_module(kind.task)
    assert kind.name == name and callable(task.check) and callable(task.make_task) and callable(load(kind.opens))
    assert not kind.make or callable(load(kind.make))
    config = load_config(f"configs/{name}.py")
    assert config.task == name and all(field in config and KINDS[of] for field, of in kind.inputs.items())
    kind.check(config)
    wrong = {"dice": "model.phrase", "markov": "model.order", "end_to_end": "held_out.draws"}.get(name, "model.units")
    config.update_from_flattened_dict({wrong: 0})
    with pytest.raises(UserError, match=f"^config.{wrong} is 0"):
        kind.check(config)


@pytest.mark.parametrize("task", ["vea", "", "mcvae", None, 3, ":KIND", ".mine:KIND"])
def test_unknown_tasks_are_one_line_that_lists_the_known(task):
    with pytest.raises(UserError) as error:
        kind_of(task)
    known = ", ".join(sorted([*KINDS, "mcvae"]))
    assert str(error.value).startswith(f"config.task is {task!r}; it must be one of {known}, or 'MODULE:KIND'")


def test_a_kind_of_one_s_own_lies_in_a_folder_that_only_it_needs(mine):
    with pytest.raises(UserError, match="'their_model:KIND', which cannot be found .*No module named 'their_model'"):
        kind_of("their_model:KIND")
    kind = kind_of("their_model:KIND", str(mine))
    assert kind.name == "their_model:KIND" and kind.label == "of mine"  # the name by which it is found again
    assert sys.path[-1] == str(mine), "searched last, so that it hides nothing"
    said = []
    assert kind.make_task({"units": 3}, said.append) == ("task", 3) and said == ["making their_model:KIND"]
    assert load(kind.make)({"units": 3}, 2) == 6
    kind.check({"units": 1})
    with pytest.raises(UserError, match="^of mine: config.units is 0"):
        kind.check({"units": 0})
    assert kind_of("their_model:KIND", str(mine)) == kind and sys.path.count(str(mine)) == 1


def test_a_workdir_of_such_a_kind_opens_by_the_folder_in_its_record(mine, tmp_path):
    workdir = Workdir(tmp_path / "run")
    workdir.folder.mkdir()
    workdir.claim(Record({"task": "their_model:KIND"}, {}, "", "", str(mine)))
    assert open_model(tmp_path / "run", 7) == ("their_model:KIND", tmp_path / "run", 7)


def test_what_is_no_kind_is_one_line(mine):
    with pytest.raises(UserError, match="'their_model:NOT_ONE', which is no mcvae_jax.kinds.Kind; see docs/extending"):
        kind_of("their_model:NOT_ONE", str(mine))
    with pytest.raises(UserError, match="'their_model:KINDD', which cannot be found .*has no attribute 'KINDD'"):
        kind_of("their_model:KINDD", str(mine))
    with pytest.raises(UserError, match="put the folder of its module on PYTHONPATH"):
        kind_of("nobody:KIND")


def test_a_row_added_is_a_kind_like_the_others(monkeypatch):
    row = Kind("toy", "a toy", "tests.test_main", "tests.test_kinds:test_a_row_added_is_a_kind_like_the_others")
    monkeypatch.setitem(KINDS, "toy", row)
    assert kind_of("toy") is row
    known = (
        "bar_codes, dice, diffusion_prior, end_to_end, gan_prior, joint, markov, mcvae, mdrnn, music_vae, note_lstm,"
        " note_transformer, toy, transformer_prior, vae"
    )
    with pytest.raises(UserError, match=f"must be one of {known}, or"):
        kind_of("toys")


@pytest.mark.more
def test_the_root_of_a_pipeline_opens_as_the_last_model_that_was_trained(tmp_path):
    """At every moment of a run: nothing, the VAE alone, and both; `which` is of that model."""
    root = tmp_path / "run"
    (root / "songs").mkdir(parents=True)
    with pytest.raises(UserError, match="run has no config.json, so it is no workdir"):
        open_model(root)
    (root / "stages.json").write_text("{}")
    with pytest.raises(UserError, match="run has no config.json"):
        open_model(root)
    vae_params = save_vae(root / "vae")
    assert model_folder(root) == root / "vae" and isinstance(open_model(root), BarByBar)
    assert open_model(root, 5).origins["VAE"].step == 5
    params = save_mdrnn(tmp_path / "elsewhere", root / "vae", vae_params, step=7)
    record = Workdir(tmp_path / "elsewhere").read()
    save_run(root / "mdrnn", record.config, record.data, {3: params, 9: params})
    model = open_model(root, "newest")
    assert isinstance(model, LatentComposer) and model.origins["MDRNN"].step == 9
    assert open_model(root, 3).origins["MDRNN"].step == 3 and open_model(root).origins["VAE"].step == 5
    with pytest.raises(UserError, match="no checkpoint of step 5; it has steps 3, 9"):
        open_model(root, 5)
    (root / "stages.json").unlink()
    assert np.array_equal(open_model(root).prior.params["params"]["start"], model.prior.params["params"]["start"])


ROOMS = (
    *("main.py", "evaluate.py", "inspect.py", "stages.py", "options.py"),
    *("training", "sampling", "evaluation", "batches"),
)
PACKAGE = Path(kinds.__file__).parent


def constants(path):
    """The texts of a module that are no documentation."""
    tree = ast.parse(path.read_text())
    told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in told}


def test_no_name_of_a_kind_decides_anything_above_the_models():
    names = {*KINDS, *kinds.PIPELINES}
    files = [path for room in ROOMS for path in [PACKAGE / room, *(PACKAGE / room).rglob("*.py")] if path.is_file()]
    assert len(files) > 40
    modes = {PACKAGE / "sampling" / "table.py": set(MODES)}  # one mode is called 'vae', too
    assert [path.name for path in files if names & constants(path) - modes.get(path, set())] == []
    assert names <= constants(PACKAGE / "kinds.py")  # where they are to be found, and would be


@pytest.mark.parametrize(
    "task, folder",
    [
        ("outer.inner.their_model:KIND", ""),  # named from above the outer package
        ("inner.their_model:KIND", "outer"),
        ("their_model:KIND", "outer/inner"),  # beside the config file
        ("elsewhere.their_model:KIND", "outer/inner"),
        ("vae", "outer/inner"),
    ],
)
def test_a_model_of_ones_own_may_lie_in_a_package(tmp_path, task, folder):
    inner = tmp_path / "outer" / "inner"
    inner.mkdir(parents=True)
    for each in (inner, inner.parent):
        (each / "__init__.py").touch()
    assert code_folder(str(inner / "config.py"), task) == str(tmp_path / folder)
