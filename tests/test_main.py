"""The command line: mistakes are one line before any work; inspect reads what a run left."""

import subprocess
import sys
from pathlib import Path

import pytest

from mcvae_jax import inspect, main, options
from mcvae_jax.errors import UserError
from mcvae_jax.kinds import KINDS, Kind
from mcvae_jax.options import default_workdir, load_config, parse
from mcvae_jax.storage.workdir import Record, Workdir
from tests import toy_task

ROOT = Path(__file__).parent.parent
CONFIG = """
from tests import toy_task

def get_config(preset="default"):
    if preset not in ("default", "short"):
        raise ValueError(f"there is no preset {preset!r}; there are default and short")
    config = toy_task.make_config(steps=10 if preset == "short" else 40)
    config.sizes = (1, 2)
    return config
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    """The path of a config file whose task is the toy, in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(KINDS, "toy", Kind("toy", "toy", "tests.test_main", ""))
    Path("toy.py").write_text(CONFIG)
    return "toy.py"


def check(kind, config):
    """Nothing of the toy can be wrong."""


def make_task(kind, config, say):
    """What the row of the toy finds in this module."""
    say("making the toy")
    return toy_task.make_task(units=config.model.units)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "--config=toy.py --config.modle.units=3",
            r"--config.modle.units=3: .* no field 'modle'.* Did you mean model\?",
        ),
        ("--config=toy.py --config.model.unitz=3", r"no field 'unitz' there. Did you mean units\?"),
        ("--config=toy.py --config.model.qqq=3", "no field 'qqq' there. There are units"),
        ("--config=toy.py --config.seed.x=3", "no field 'x'"),
        ("--config=toy.py --config.model=3", "this is a section; give one of its fields: units"),
        (
            "--config=toy.py --config.model.units=many",
            "--config.model.units=many: the value must be of type int",
        ),
        ("--config=toy.py --config.model.units=3.5", "must be of type int"),
        ("--config=toy.py --config.train.tensorboard=maybe", "must be of type bool"),
        ("--config=toy.py --config.model.units", "Missing value for flag --config.model.units"),
        ("--config=toy.py:shrot", "there is no preset 'shrot'; there are default and short"),
        ("--config=toy.py:", "there is no preset ''; there are default and short"),
        ("--config=gs://b/x.py", "--config=gs://b/x.py is an address; a config file is code"),
        (
            "--config=nowhere.py",
            "There is no config file nowhere.py, .*: there are bar_codes, dice, .*, transformer_prior, vae",
        ),
        ("--config=toy.py --wrokdir=x", "Unknown command line flag 'wrokdir'"),
        ("--config=toy.py runs/x", "Unexpected argument 'runs/x'"),
        (
            "",
            r"Give --config=bar_codes\|dice\|diffusion_prior\|end_to_end\|gan_prior\|.*\|transformer_prior\|vae",
        ),
        (
            "--config",
            r"Give --config=bar_codes\|dice\|diffusion_prior\|end_to_end\|gan_prior\|.*\|transformer_prior\|vae",
        ),
        (
            "--config.model.units=3",
            r"Give --config=bar_codes\|dice\|diffusion_prior\|end_to_end\|gan_prior\|.*\|transformer_prior\|vae",
        ),
    ],
)
def test_mistakes_on_the_command_line_are_one_line(config, arguments, message):
    with pytest.raises(UserError, match=message) as caught:
        parse(arguments.split())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--config.train.steps=0", "config.train.steps is 0; it must be at least 1"),
        ("--config.optimizer.schedule=sometimes", "config.optimizer.schedule is 'sometimes'"),
        ("--config.train.parallel=threads", "must be 'jit' or 'pmap'"),
        ("--config.train.steps=99999999999", "config.train.steps is 99999999999; whole numbers end at 2"),
        ("--config.seed=-1", "config.seed is -1; it must not be negative"),
        ("--config.optimizer.clip_norm=nan", "config.optimizer.clip_norm is nan; it must be a finite number"),
        ("--config.optimizer.learning_rate=inf", "learning_rate is inf; it must be a finite number"),
        ("--init_from=nowhere", "nowhere does not exist; give the --workdir of a training run"),
        ("--workdir=toy.py", "toy.py is a file"),
    ],
)
def test_impossible_values_are_refused_before_any_work(config, capsys, arguments, message):
    with pytest.raises(UserError, match=message):
        main.main(["--config=toy.py", *arguments.split()])
    assert "making the toy" not in capsys.readouterr().out and not Path("runs").exists()


def test_unknown_tasks_are_named(config):
    known = (
        "bar_codes, dice, diffusion_prior, end_to_end, gan_prior, joint, markov, mcvae, mdrnn, music_vae, note_lstm,"
        " note_transformer, toy, transformer_prior, vae"
    )
    with pytest.raises(UserError, match=f"config.task is 'vea'; it must be one of {known}, or 'MODULE:KIND'"):
        main.main(["--config=toy.py", "--config.task=vea"])


def test_overrides_reach_the_config(config):
    options = parse("--config toy.py:short --config.model.units=7 --config.sizes=(3,4) --workdir=w".split())
    assert (options.config.model.units, options.config.sizes, options.config.train.steps) == (7, (3, 4), 10)
    assert options.workdir == "w"


@pytest.mark.parametrize("name", ["vae", "mdrnn", "mcvae"])
def test_our_own_configs_are_found_by_name_from_anywhere(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    by_path = load_config(str(ROOT / "configs" / f"{name}.py") + ":smoke")
    for chosen in (f"{name}:smoke", f"{name}.py:smoke"):
        options = parse([f"--config={chosen}", "--config.task=x"])
        assert options.config.to_dict() == by_path.to_dict() | {"task": "x"}
        assert options.workdir == f"runs/{name}-smoke"
    assert load_config(name) == load_config(f"{name}:default")


def test_a_file_comes_before_our_own_config_of_that_name(config):
    Path("toy.py").rename("vae.py")
    assert parse(["--config=vae.py"]).config.task == "toy" and parse(["--config=vae"]).config.task == "vae"


def test_configs_lie_in_an_installed_package(tmp_path, monkeypatch):
    """As a wheel has them; `.ci/run package` installs one."""
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "own.py").write_text(CONFIG)
    (tmp_path / "configs" / "common.py").write_text("def optimizer():\n    pass\n")
    monkeypatch.setattr(options, "__file__", str(tmp_path / "options.py"))
    assert options.config_names() == ["own"] and load_config("own:short").task == "toy"
    with pytest.raises(UserError, match="There is no config file vae, .*: there are own"):
        load_config("vae")


def test_of_two_configs_the_last_holds(config):
    assert parse(["--config=vae", "--config", "toy.py"]).config.task == "toy"


def test_default_workdirs():
    assert default_workdir("configs/vae.py") == "runs/vae-default"
    assert default_workdir("vae:smoke") == "runs/vae-smoke"
    assert default_workdir("/a/b/mdrnn.py:thesis") == "runs/mdrnn-thesis"


def test_a_mistake_prints_one_line_and_exits_with_2(tmp_path):
    (tmp_path / "toy.py").write_text(CONFIG)
    command = [sys.executable, "-m", "mcvae_jax.main", f"--config={tmp_path}/toy.py:shrot"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and "there is no preset 'shrot'" in done.stderr


def test_songs_that_cannot_be_made_are_refused_before_any_work(config, capsys):
    """A config with a section `songs` composes when its model is trained."""
    demo = 'config.songs = runpy.run_path(r"' + str(ROOT / "configs" / "common.py") + '")["demo_songs"]()'
    Path("toy.py").write_text("import runpy\n" + CONFIG.replace("config.sizes = (1, 2)", demo))
    for argument, message in (
        ("--config.songs.bars=0", "config.songs.bars is 0"),
        ("--config.songs.temperature=-1", "config.songs.temperature is -1"),
    ):
        with pytest.raises(UserError, match=message):
            main.main(["--config=toy.py", argument])
    assert "making the toy" not in capsys.readouterr().out and not Path("runs").exists()


def test_a_folder_of_others_in_the_way_of_the_songs_is_told_before_training(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    begun, _ = main._parted(load_config("joint:smoke"))
    Path("run").mkdir()
    Workdir(Path("run")).claim(Record(begun.to_dict(), {}, "", "", ""))
    Path("run/songs").mkdir()
    Path("run/songs/mine.txt").write_text("x")
    with pytest.raises(UserError, match="run/songs holds 'mine.txt', which this program did not write there"):
        main.main(["--config=joint:smoke", "--workdir=run"])
    assert not Path("corpora").exists()


@pytest.mark.slow
def test_a_trained_composer_makes_its_songs_once(tmp_path, monkeypatch, capsys):
    """They are no part of how it was trained: other songs are made of the same run."""
    monkeypatch.chdir(tmp_path)
    small = ("encoder_units", "units", "decoder_units")
    command = ["--config=joint:smoke", "--workdir=run", "--config.train.steps=2", "--config.songs.bars=4"]
    command += [f"--config.model.{name}=6" for name in small]
    assert main.main(command) == 0
    songs = sorted(path.name for path in Path("run/songs").glob("*.mid"))
    assert len(songs) == 4 and "Listen: open run/songs/index.html" in capsys.readouterr().out
    assert "songs" not in Workdir("run").read().config
    assert main.main(command) == 0
    assert "run/songs is done. Nothing is left to do." in capsys.readouterr().out
    assert main.main([*command, "--config.songs.composed=1"]) == 0
    assert len(list(Path("run/songs").glob("*.mid"))) == 3


def test_train_then_inspect(config, capsys):
    assert main.main(["--config=toy.py:short", "--config.model.units=4"]) == 0
    assert "Done: step 10, best at step 10. Results in runs/toy-short/results." in capsys.readouterr().out
    assert main.main(["--config=toy.py:short", "--config.model.units=4"]) == 0
    assert "Nothing is left to do" in capsys.readouterr().out
    with pytest.raises(UserError, match="model.units: 4 -> 5"):
        main.main(["--config=toy.py:short"])
    assert "making the toy" not in capsys.readouterr().out
    inspect.main(["runs/toy-short"])
    report = capsys.readouterr().out
    size = 6 * 4 + 4 * 6 + 3 * 6
    for text in (
        "toy of python -m mcvae_jax.main --config=toy.py:short --config.model.units=4",
        "units 4",
        "identity  toy",
        f"total    {size}",
        "step      10 of 10",
        "best      step 10:  objective",
        "learning_curve.png, norm.txt",
        "--config.train.steps=MORE",
    ):
        assert text in report, text
    assert main.main(["--config=toy.py:short", "--config.model.units=4", "--config.train.steps=12"]) == 0


def test_inspect_of_an_unfinished_run_names_the_command_that_goes_on(config, capsys):
    def stop(params, folder, say):
        raise KeyboardInterrupt

    toy = make_task
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setitem(globals(), "make_task", lambda *arguments: toy(*arguments)._replace(finish=stop))
        main.main(["--config=toy.py:short", "--workdir=w"])
    lines = inspect.describe("w")
    assert lines[-1].strip() == "python -m mcvae_jax.main --config=toy.py:short --workdir=w"
    assert any("none yet" in line for line in lines)


def test_inspect_before_the_first_checkpoint(config):
    with pytest.raises(UserError, match="no held-out"), pytest.MonkeyPatch.context() as patch:
        empty = toy_task.make_task()._replace(held_out_batches=tuple)
        patch.setitem(globals(), "make_task", lambda *arguments: empty)
        main.main(["--config=toy.py:short", "--config.train.save_every=50", "--workdir=w"])
    lines = inspect.describe("w")
    assert any(line.strip().startswith("step") and "0 of 10" in line for line in lines)


def test_inspect_of_other_folders_is_one_clear_line(tmp_path):
    with pytest.raises(UserError, match="has no config.json, so it is no workdir"):
        inspect.describe(tmp_path)
    with pytest.raises(UserError, match="does not exist"):
        inspect.describe(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file is a file, and no workdir"):
        inspect.describe(tmp_path / "file")
    (tmp_path / "config.json").write_text('{"config": ')
    with pytest.raises(UserError, match="config.json is damaged"):
        inspect.describe(tmp_path)
    with pytest.raises(UserError, match="Give one workdir"):
        inspect.main([])


def test_help(capsys):
    assert main.main(["--help"]) == 0
    assert "--init_from=WORKDIR" in capsys.readouterr().out
