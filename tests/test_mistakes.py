"""What a user types wrong, command by command: one line that says what is wrong, before any work."""

import subprocess
import sys
from pathlib import Path

import pytest

from mcvae_jax import evaluate, inspect, latents, main, sample
from mcvae_jax.corpus import __main__ as corpus
from mcvae_jax.errors import UserError
from tests.small_models import save_corpus, save_vae

CONFIGS = Path(__file__).parent.parent / "configs"
COMMANDS = {"main": main, "sample": sample, "evaluate": evaluate, "inspect": inspect, "latents": latents}
COMMANDS["corpus"] = corpus
BASE = f"""
import runpy
from ml_collections import ConfigDict

def changed(change):
    config = runpy.run_path({str(CONFIGS / "vae.py")!r})["get_config"]("smoke").unlock()
    with config.ignore_type():
        change(config)
    return config

"""
FILES = {  # of the user: name -> what stands in it
    "syntax.py": "def get_config(:\n",
    "indent.py": "def get_config():\nreturn 1\n",
    "bytes.py": "\0",
    "boom.py": "x = 1\ny = 1 / 0\n",
    "inside.py": "def get_config():\n    return undefined\n",
    "exits.py": "import sys\nsys.exit(3)\n",
    "needs.py": "import no_such_module\n",
    "raises.py": "def get_config(preset='default'):\n    raise RuntimeError('nothing works\\ntoday')\n",
    "endless.py": "def get_config():\n    return get_config()\n",
    "empty.py": "",
    "number.py": "get_config = 3\n",
    "none.py": "def get_config():\n    pass\n",
    "dict.py": "def get_config():\n    return {'task': 'vae'}\n",
    "notask.py": BASE + "def get_config():\n    return ConfigDict({'seed': 1})\n",
    "alone.py": BASE + "def get_config():\n    return ConfigDict({'task': 'vae'})\n",
    "preset.py": BASE + "def get_config(preset):\n    return ConfigDict()\n",
    "text.py": BASE + "def get_config():\n    return ConfigDict({'task': 'vae', 'seed': 0, 'optimizer': 'adam'})\n",
    "nosection.py": BASE + "def get_config():\n    return changed(lambda c: c.__delitem__('loss'))\n",
    "nofield.py": BASE + "def get_config():\n    return changed(lambda c: c.train.__delitem__('steps'))\n",
    "typo.py": BASE + "def get_config():\n    return changed(lambda c: c.data.__setitem__('lowest_shfit', 3))\n",
    "many.py": BASE + "def get_config():\n    return changed(lambda c: c.train.__setitem__('steps', 'many'))\n",
    "true.py": BASE + "def get_config():\n    return changed(lambda c: c.train.__setitem__('steps', True))\n",
    "null.py": BASE + "def get_config():\n    return changed(lambda c: c.optimizer.__setitem__('b1', None))\n",
    "windows.py": "def get_config(preset='a'):\r\n    raise ValueError('there is no such preset')\r\n",
    "song.mid": "MThd",
    "empty.abc": "",
    "file": "",
}
VAE, MDRNN, MCVAE = (f"--config={CONFIGS / name}.py:smoke" for name in ("vae", "mdrnn", "mcvae"))
LONG = "x" * 300
TRIES = {
    "config files": [
        ("main", "", "Give --config="),
        ("main", "--config=", "Give --config="),
        ("main", "--config=nowhere.py", "There is no config file nowhere.py"),
        ("main", "--config=.", "There is no config file"),
        ("main", f"--config={LONG * 20}", "There is no config file"),
        ("main", "--config=syntax.py", "syntax.py, line 1: invalid syntax: def get_config"),
        ("main", "--config=indent.py", "indent.py, line 2: expected an indented block"),
        ("main", "--config=bytes.py", "bytes.py.*null bytes"),
        ("main", "--config=song.mid", "song.mid, line 1: NameError"),
        ("main", "--config=boom.py", "boom.py, line 2: ZeroDivisionError"),
        ("main", "--config=inside.py", "inside.py, line 2: NameError: name 'undefined'"),
        ("main", "--config=exits.py", "exits.py, line 2: SystemExit: 3"),
        ("main", "--config=needs.py", "needs.py, line 1: .*'no_such_module'; install it"),
        ("main", "--config=raises.py", "raises.py, line 2: RuntimeError: nothing works$"),
        ("main", "--config=endless.py", "endless.py, line 2: RecursionError"),
        ("main", "--config=empty.py", "no function get_config"),
        ("main", "--config=number.py", "no function get_config"),
        ("main", "--config=none.py", "returns NoneType; it must return a ConfigDict"),
        ("main", "--config=none.py:smoke", "none.py has no presets; leave out ':smoke'"),
        ("main", "--config=preset.py", "preset.py needs a preset: --config=preset.py:PRESET"),
        ("main", "--config=dict.py", "returns dict; it must return a ConfigDict"),
        ("main", "--config=notask.py", "notask.py has no task"),
        ("main", "--config=alone.py", "config has no seed; add it"),
        ("main", "--config=text.py", "config.optimizer is 'adam'; it must be a section"),
        ("main", "--config=nosection.py", "config has no loss; add it"),
        ("main", "--config=nofield.py", "config.train has no steps; add it"),
        ("main", "--config=typo.py", "config.data.lowest_shfit is no field that is read; did you mean lowest_shift?"),
        ("main", "--config=many.py", "config.train.steps is 'many', of type str; it must be of type int"),
        ("main", "--config=true.py", "config.train.steps is True, of type bool; it must be of type int"),
        ("main", "--config=null.py", "config.optimizer.b1 is None, of type NoneType"),
        ("main", "--config=windows.py", "--config=windows.py: there is no such preset"),
    ],
    "options of main": [
        ("main", f"{VAE} --unknown", "Unknown command line flag 'unknown'"),
        ("main", f"{VAE} extra", "Unexpected argument 'extra'"),
        ("main", f"{VAE} -- x", "Unexpected argument 'x'"),
        ("main", f"{VAE} —workdir=x", "Unexpected argument '—workdir=x'"),
        ("main", f"{VAE} --flagfile=nowhere", "Unable to open flagfile"),
        ("main", f"{VAE} --workdir", "Missing value"),
        ("main", f"{VAE} --workdir=file", "file is a file"),
        ("main", f"{VAE} --workdir=file/run", "Cannot write .*file/run: a file stands where"),
        ("main", f"{VAE} --workdir=/proc/run", "Cannot write /proc/run"),
        ("main", f"{VAE} --workdir={LONG}", "Cannot write .*x.*File name too long"),
        ("main", f"{VAE} --init_from=nowhere", "nowhere does not exist"),
        ("main", f"{VAE} --init_from=file", "file is a file, and no workdir"),
        ("main", f"{VAE} --init_from=music", "no config.json, so it is no workdir"),
        ("main", f"{VAE} --distributed=nonsense", "give auto or HOST:PORT,PROCESSES,ID"),
        ("main", f"{VAE} --distributed=a,b,c", "give auto or HOST:PORT,PROCESSES,ID"),
        ("main", f"{VAE} --distributed=localhost:1,2", "give auto or HOST:PORT,PROCESSES,ID"),
        ("main", f"{VAE} --distributed=localhost,2,0", "give auto or HOST:PORT,PROCESSES,ID"),
        ("main", f"{VAE} --distributed=localhost:99999,2,0", "with a port from 1 to 65535"),
        ("main", f"{VAE} --distributed=localhost:9999,2,2", "ID must be from 0 to PROCESSES - 1"),
        ("main", f"{VAE} --distributed=localhost:9,0,0", "ID must be from 0 to PROCESSES - 1"),
        ("main", f"{VAE} --distributed=localhost:9,2,0 --distributed_timeout=soon", "could not convert"),
        ("main", f"{VAE} --distributed=localhost:9,2,0 --distributed_timeout=-1", "not a number in the range"),
    ],
    "values of configs": [
        ("main", f"{VAE} --config.train.steps=1e3", "must be of type int"),
        ("main", f"{VAE} --config.train.steps=", "must be of type int"),
        ("main", f"{VAE} --config.train.tensorboard=2", "must be of type bool"),
        ("main", f"{VAE} --noconfig.train.tensorboard=3", "does not take an argument"),
        ("main", f"{VAE} --config.train=5", "this is a section"),
        ("main", f"{VAE} --config.=5", "no field '' there"),
        ("main", f"{VAE} --config.train..steps=5", "no field '' there"),
        ("main", f"{VAE} --config.task=mcvae", "config has no vae; add it"),
        ("main", f"{VAE} --config.task=mdrnn", "config has no vae_workdir; add it"),
        ("main", f"{VAE} --config.train.steps=-1", "config.train.steps is -1; it must be at least 1"),
        ("main", f"{VAE} --config.train.steps=2147483648", "whole numbers end at"),
        ("main", f"{VAE} --config.train.batch_size=2000000000", "it must be at most 1048576"),
        ("main", f"{VAE} --config.model.units=2000000000", "it must be from 1 to 16384"),
        ("main", f"{VAE} --config.model.latent=0", "it must be from 1 to 16384"),
        ("main", f"{VAE} --config.model.merge=mul", "'add' or 'concat', not 'mul'"),
        ("main", f"{VAE} --config.model.matmul_dtype=float16", "'auto', 'float32' or 'bfloat16'"),
        ("main", f"{VAE} --config.corpus.steps_per_bar=3", "steps_per_bar is 3; it must be from 4 to 96"),
        ("main", f"{VAE} --config.model.encoding=words", "one of steps, events"),
        ("main", f"{VAE} --config.held_out.bars=0", "config.held_out.bars is 0; it must be from 1 to"),
        ("main", f"{VAE} --config.data.lowest_shift=-2000000000", "must be from -127 to 0"),
        ("main", f"{VAE} --config.data.sampler=bars", "one of bar, song"),
        ("main", f"{VAE} --config.dropout.words=1.0", "from 0 to below 1"),
        ("main", f"{VAE} --config.dropout.words=nan", "config.dropout.words is nan; it must be from 0 to below 1"),
        ("main", f"{VAE} --config.loss.kind=vae", "'beta' or 'capacity'"),
        ("main", f"{VAE} --config.optimizer.name=sgd", "one of adam, adamw, lion"),
        ("main", f"{VAE} --config.optimizer.learning_rate=1e400", "must be a finite number"),
        ("main", f"{VAE} --config.optimizer.decay_steps=1", "needs decay_steps above warmup_steps"),
        ("main", f"{VAE} --config.corpus.source=nowhere", "there is no 'nowhere'"),
        ("main", f"{VAE} --config.corpus.source=", "there is no ''"),
        ("main", f"{VAE} --config.corpus.metre=x", "is no metre"),
        ("main", f"{VAE} --config.corpus.melody=name:(", "is not a regular expression"),
        ("main", f"{VAE} --config.corpus.held_out=2", "must lie between 0 and 1"),
        ("main", f"{VAE} --config.corpus_folder=file", "is a file; choose a folder"),
        ("main", f"{MCVAE} --config.mdrnn.data.highest_shift=2000000000", "highest_shift from 0 to 127"),
        ("main", f"{MCVAE} --config.mdrnn.model.memory=0", "config.mdrnn.model.memory is 0"),
        ("main", f"{MCVAE} --config.model.units=3", "no field 'model' there. There are mdrnn, prior, songs, task"),
        ("main", f"{MCVAE} --init_from=vae", "--init_from is for one model"),
        ("main", f"{MCVAE} --workdir=vae", "vae holds other things"),
        ("main", f"{MDRNN} --config.vae_workdir=nowhere", "where no VAE is"),
        ("main", f"{MDRNN} --config.vae_workdir=", "where no VAE is"),
        ("main", f"{MDRNN} --config.vae_workdir=music", "no config.json, so it is no workdir"),
    ],
    "sample": [
        ("sample", "", "required: --out"),
        ("sample", "--workdir=vae --out=o", "has no memory of bars, which compose needs"),
        ("sample", "--workdir=vae --out=o --mode=xyz", "--mode=xyz is unknown"),
        ("sample", "--workdir=nowhere --out=o --mode=vae", "nowhere does not exist"),
        ("sample", "--workdir=music --out=o --mode=vae", "so it is no workdir"),
        ("sample", "--workdir=vae --out=vae --mode=vae", "which this program did not write there"),
        ("sample", "--workdir=vae --out=file --mode=vae", "Cannot write .*file: a file stands"),
        ("sample", f"--workdir=vae --out={LONG} --mode=vae", "File name too long"),
        ("sample", "--workdir=vae --out=o --mode=vae --songs=0", "--songs is 0"),
        ("sample", "--workdir=vae --out=o --mode=vae --songs=x", "invalid whole number value: 'x'"),
        (
            "sample",
            "--workdir=vae --out=o --mode=vae --first=99999999999999",
            "--first is 99999999999999; it must be from 1 to",
        ),
        ("sample", "--workdir=vae --out=o --mode=vae --seed=-1", "seed is -1"),
        ("sample", "--workdir=vae --out=o --mode=vae --temperature=nan", "temperature is nan"),
        ("sample", "--workdir=vae --out=o --mode=vae --top_p=0", "top_p is 0"),
        ("sample", "--workdir=vae --out=o --mode=vae --missing=3", "takes no --missing"),
        ("sample", "--workdir=vae --out=o --mode=vae --sede=3", "did you mean --seed"),
        ("sample", "--workdir=vae --out=o --mode=vae extra", "there is no option extra"),
        ("sample", "--workdir=vae --out=o --mode=vae --checkpoint=x", "choose 'best', 'newest' or a step"),
        ("sample", "--workdir=vae --out=o --mode=vae --checkpoint=99", "no checkpoint of step 99"),
        ("sample", "--workdir=vae --out=o --mode=compose", "has no memory of bars, which compose needs"),
        ("sample", "--workdir=vae --out=o --mode=reconstruct", "give it as --seed_file=FILE"),
        ("sample", "--workdir=vae --out=o --mode=reconstruct --seed_file=nowhere.mid", "there is no file nowhere.mid"),
        ("sample", "--workdir=vae --out=o --mode=reconstruct --seed_file=song.mid", "song.mid cannot be a seed"),
        ("sample", "--workdir=vae --out=o --mode=reconstruct --seed_file=empty.abc", "empty.abc cannot be a seed"),
        ("sample", "--workdir=vae --out=o --mode=reconstruct --seed_file=file", "file is no music file"),
        ("sample", "--workdir=vae --out=o --mode=reconstruct --seed_file=music", "music is a folder"),
        ("sample", "--workdir=vae --out=o --mode=infill --seed_file=song.mid", "say which, as --missing=5-8"),
        ("sample", "--workdir=vae --out=o --mode=interpolate --path=up", "--path=up is unknown"),
    ],
    "evaluate": [
        ("evaluate", "", "required: --out"),
        ("evaluate", "--workdir=nowhere --out=o", "nowhere does not exist"),
        ("evaluate", "--workdir=vae --out=vae", "holds more than a report"),
        ("evaluate", "--workdir=vae --out=o --songs=1", "--songs is 1; it must be from 5 to"),
        ("evaluate", "--workdir=vae --out=o --bars=0", "--bars is 0"),
        ("evaluate", "--workdir=vae --out=o --corpus=nowhere", "The corpus nowhere of vae is gone"),
        ("evaluate", "--workdir=vae --out=o --song=5", "unrecognized arguments: --song=5"),
        ("evaluate", "--workdir=vae --out=o --bars=1000", "give fewer --bars"),
    ],
    "inspect": [
        ("inspect", "", "Give one workdir"),
        ("inspect", "vae vae vae", "Give one workdir"),
        ("inspect", "--workdir=nowhere", "nowhere does not exist"),
        ("inspect", "nowhere", "nowhere does not exist"),
        ("inspect", "file", "file is a file, and no workdir"),
        ("inspect", "music", "so it is no workdir"),
    ],
    "latents": [
        ("latents", "--workdir=vae", "required: --out"),
        ("latents", "--work=vae --out=x.npz", "required: --workdir"),
        ("latents", "--workdir=nowhere --out=x.npz", "nowhere does not exist"),
        ("latents", "--workdir=vae --out=.", "Cannot write"),
        ("latents", "--workdir=vae --out=/proc/x.npz", "Cannot write /proc/x.npz"),
        ("latents", "--workdir=vae --out=x.npz --corpus=nowhere", "nowhere holds no corpus"),
        ("latents", "--workdir=vae --out=x.npz --checkpoint=7", "no checkpoint of step 7"),
    ],
    "corpus": [
        ("corpus", "--source=tunes", "required: --out"),
        ("corpus", "--sorce=tunes --out=o", "required: --source"),
        ("corpus", "--source=nowhere --out=o", "there is no 'nowhere'"),
        ("corpus", "--source=file --out=o", "is no music file"),
        ("corpus", "--source=song.mid --out=o --workers=1", "no song of song.mid is left"),
        ("corpus", "--source=tunes --out=file", "is a file; choose a folder"),
        ("corpus", "--source=tunes --out=vae", "neither empty nor a corpus"),
        ("corpus", "--source=tunes --out=/proc/x/y", "Cannot write /proc/x/y"),
        ("corpus", "--source=tunes --out=o --bars=x", "invalid choice: 'x'"),
        ("corpus", "--source=tunes --out=o --held_out=x", "invalid float value"),
        ("corpus", "--source=tunes --out=o --held_out=5", "must lie between 0 and 1"),
        ("corpus", "--source=tunes --out=o --metre=9", "is no metre"),
        ("corpus", "--source=tunes --out=o --max_bars=1", "no song of tunes is left"),
    ],
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder of a user: files, music, a trained VAE."""
    folder = tmp_path_factory.mktemp("mistakes")
    for name, text in FILES.items():
        (folder / name).write_text(text, newline="")
    save_vae(folder / "vae", save_corpus(folder / "corpus"))
    (folder / "music").mkdir()
    (folder / "music" / "song.mid").write_text("MThd")
    return folder


@pytest.mark.parametrize("kind", TRIES)
def test_every_mistake_is_one_line_before_any_work(kind, place, monkeypatch):
    monkeypatch.chdir(place)
    before = sorted(path.name for path in place.iterdir())
    for command, argv, message in TRIES[kind]:
        with pytest.raises(UserError, match=message) as caught:
            COMMANDS[command].main(argv.split())
        assert "\n" not in str(caught.value) and "\r" not in str(caught.value), argv
    left = {path.name for path in place.iterdir() if not path.name.endswith(".lock")} - set(before)
    assert not left - {"corpora"} and not list(place.glob("corpora/*/corpus.json")), left


def run(*argv, **environment):
    command = ["env", *(f"{name}={value}" for name, value in environment.items()), sys.executable, "-m", *argv]
    return subprocess.run(command, capture_output=True, text=True, cwd=CONFIGS.parent)


@pytest.mark.parametrize(
    "platform", ["cuda", *(pytest.param(name, marks=pytest.mark.slow) for name in ("tpu", "nonsense"))]
)
def test_a_platform_that_is_not_there_is_one_line(platform, tmp_path):
    done = run("mcvae_jax.main", VAE, f"--workdir={tmp_path / 'run'}", JAX_PLATFORMS=platform)
    assert done.returncode == 2 and done.stdout == "" and not (tmp_path / "run").exists()
    lines = [line for line in done.stderr.splitlines() if not line[1:5].isdigit()]  # those of JAX's own libraries
    assert len(lines) == 1 and f"JAX_PLATFORMS is '{platform}', and JAX finds no such device here, but cpu" in lines[0]


def test_line_ends_of_windows_in_a_script_are_named():
    done = run("mcvae_jax.inspect", "runs/x\r")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "Windows line ends" in done.stderr
