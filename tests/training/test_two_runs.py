"""Two runs side by side: what differs, their curves and their figures, as the runs wrote them."""

import json
import re
import shutil

import pytest
from matplotlib.figure import Figure

from mcvae_jax import inspect
from mcvae_jax.errors import UserError
from mcvae_jax.storage.workdir import Workdir
from mcvae_jax.training import curves, loop, two_runs
from tests import toy_task


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two finished runs, of 5 units and 20 steps, and of 4 units and 40."""
    folder = tmp_path_factory.mktemp("runs")
    for name, units, steps in (("a", 5, 20), ("b", 4, 40)):
        config = toy_task.make_config(steps=steps)
        config.model.units = units
        loop.train(toy_task.make_task(units=units), config, folder / name)
    return folder / "a", folder / "b"


def section(lines, head):
    """The cells of a section's rows."""
    start = lines.index(head) + 1
    end = lines.index("", start) if "" in lines[start:] else len(lines)
    return [re.split(" {2,}", line.strip()) for line in lines[start:end]]


def copy_with(folder, place, **changes):
    """A copy of a run whose config.json says something else."""
    shutil.copytree(folder, place)
    record = json.loads((folder / "config.json").read_text())
    record.pop("check")
    (place / "config.json").write_text(json.dumps(record | changes))
    return place


@pytest.mark.more
def test_only_the_fields_that_differ_are_shown(runs):
    lines = two_runs.describe_two(*runs)
    assert section(lines, "config") == [["model.units", "5", "4"], ["train.steps", "20", "40"]]
    assert section(lines, "data") == [["the same"]] and section(lines, "computed on") == [["the same"]]
    assert [["step", "20", "40"], ["of", "20", "40"]] == section(lines, "training")[1:3]


def test_curves_are_those_of_the_metrics_files(runs):
    written = [[json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()] for run in runs]
    wanted = [{e["step"]: e["objective"] for e in lines if e["split"] == "held_out"} for lines in written]
    rows = section(two_runs.describe_two(*runs), "held-out objective")[1:]
    assert [row[0] for row in rows] == ["20", "40"] and rows[1][1] == "-"
    assert float(rows[0][1]) == pytest.approx(wanted[0][20], rel=1e-5)
    assert [float(row[2]) for row in rows] == pytest.approx([wanted[1][20], wanted[1][40]], rel=1e-5)


def test_long_curves_are_thinned_to_equal_distances_and_end_with_the_last_step(runs, tmp_path):
    lines = [json.dumps({"step": s, "split": "held_out", "seconds": 1, "objective": s}) for s in range(1, 101)]
    run = copy_with(runs[0], tmp_path / "long")
    (run / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    steps = [int(row[0]) for row in section(two_runs.describe_two(run, run), "held-out objective")[1:]]
    assert len(steps) <= two_runs.ROWS and steps[-1] == 100
    assert len({later - earlier for earlier, later in zip(steps, steps[1:], strict=False)}) == 1


def test_held_out_figures_stand_side_by_side_with_their_difference(runs):
    norms = [json.loads((run / "results" / "summary.json").read_text())["results"]["norm"] for run in runs]
    rows = section(two_runs.describe_two(*runs), "held-out figures of the best parameters")
    assert rows[0] == ["A", "B", "B - A"] and rows[1][0] == "norm"
    assert [float(cell) for cell in rows[1][1:]] == pytest.approx([*norms, norms[1] - norms[0]], rel=1e-3)


def test_other_versions_and_other_songs_are_told(runs, tmp_path):
    here = Workdir(runs[0]).read()
    on = here.environments[0]["on"]
    environments = [{"from_step": 0, "on": on | {"jax": "0.7.2"}}, {"from_step": 9, "on": on | {"jax": "0.9.0"}}]
    other = copy_with(runs[0], tmp_path / "other", environments=environments, data={"identity": "else"})
    lines = two_runs.describe_two(runs[0], other)
    assert section(lines, "computed on") == [["jax", f'"{on["jax"]}"', '"0.7.2, then 0.9.0"']]
    assert section(lines, "data") == [["identity", '"toy"', '"else"']]
    assert "  The corpora differ, so these are figures of different songs." in lines


def test_an_unfinished_run_has_no_figures_and_damage_is_told(runs, tmp_path):
    cut = copy_with(runs[0], tmp_path / "cut")
    shutil.rmtree(cut / "results")
    assert section(two_runs.describe_two(cut, cut), "held-out figures of the best parameters") == [
        ["neither run is finished"]
    ]
    damaged = copy_with(runs[0], tmp_path / "damaged")
    (damaged / "results" / "summary.json").write_text("{")
    lines = two_runs.describe_two(runs[0], damaged)
    assert section(lines, "damage")[0][0].startswith("B: ") and "summary.json is damaged" in lines[-1]


def test_models_of_pipelines_are_compared_one_by_one(runs, tmp_path):
    for place, names in (("p", ("vae", "mdrnn")), ("q", ("vae",))):
        for name in names:
            shutil.copytree(runs[0], tmp_path / place / name)
    lines = two_runs.describe_two(tmp_path / "p", tmp_path / "q")
    assert "vae" in lines and "mdrnn" not in lines
    with pytest.raises(UserError, match="p holds several models; compare one of them: .*p/vae, .*p/mdrnn"):
        two_runs.describe_two(tmp_path / "p", runs[0])
    with pytest.raises(UserError, match="no config.json|does not exist"):
        two_runs.describe_two(runs[0], tmp_path / "nowhere")


def test_the_picture_has_both_runs_in_every_panel(runs):
    axes = Figure().add_subplot()
    lines = [[json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()] for run in runs]
    drawn = [curves.Curves(each, curves._styles_of("x", color)) for each, color in zip(lines, "rb", strict=True)]
    curves.draw_panel(axes, curves.Panel("loss", "loss", drawn))
    ends = [line.get_xdata()[-1] for line in axes.get_lines()]
    assert ends == [20, 20, 40, 40]


@pytest.mark.usefixtures("rendered")
def test_the_command_compares_and_draws(runs, tmp_path, capsys):
    picture = tmp_path / "curves.png"
    assert inspect.main([*map(str, runs), f"--out={picture}"]) == 0
    assert picture.read_bytes()[:4] == b"\x89PNG" and "model.units" in capsys.readouterr().out
    for arguments, message in (
        (["a", "b", "c"], "Give one workdir, or two"),
        ([str(runs[0]), "--out=x.png"], "--out is the picture of two runs"),
        ([*map(str, runs), f"--out={tmp_path}/x.pdf"], "x.pdf is to be a picture; give a name that ends in .png"),
    ):
        with pytest.raises(UserError, match=message):
            inspect.main(arguments)
