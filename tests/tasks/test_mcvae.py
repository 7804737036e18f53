"""All stages by one command, at a tiny size: done, done again, cut off anywhere, changed, and every mistake."""

import json
import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from mcvae_jax import evaluate, inspect, latents, main, sample, stages, versions
from mcvae_jax.corpus.store import HELD_OUT
from mcvae_jax.errors import UserError
from mcvae_jax.kinds import open_model
from mcvae_jax.models.song_model import FILL
from mcvae_jax.options import parse
from mcvae_jax.sampling import demo
from mcvae_jax.tasks import mcvae
from tests.small_models import edit_json, save_corpus

pytestmark = [pytest.mark.usefixtures("read_here"), pytest.mark.more]

CONFIG = Path(__file__).parents[2] / "configs" / "mcvae.py"
TINY = """
    vae.model.units=8 vae.model.latent=4 vae.model.layers=1 vae.train.batch_size=8
    vae.train.steps=6 vae.train.log_every=2 vae.train.eval_every=3 vae.train.save_every=2
    vae.held_out.bars=32 vae.held_out.importance_bars=8 vae.held_out.importance_samples=2
    vae.data.lowest_shift=0 vae.data.highest_shift=0
    mdrnn.model.units=8 mdrnn.model.layers=1 mdrnn.model.components=2 mdrnn.model.recall=0 mdrnn.train.batch_size=4
    mdrnn.train.steps=6 mdrnn.train.log_every=2 mdrnn.train.eval_every=3 mdrnn.train.save_every=2
    mdrnn.held_out.draws=1 mdrnn.data.window=16 mdrnn.dropout.hidden=0.0
    songs.composed=1 songs.continued=1 songs.seed_bars=2 songs.bars=4
""".split()


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    return tmp_path_factory.mktemp("corpora") / "tunes"


@pytest.fixture(scope="module")
def command(corpora):
    """command(folder, *changes, at='', do=None) -> exit status and lines; the first line with `at` calls `do`."""

    def run(folder, *changes, at="", do=None):
        lines = []

        def say(line):
            lines.append(line)
            if at and at in line and sum(at in each for each in lines) == 1:
                do()

        typed = arguments(folder, corpora, *changes)
        return main.run(parse(typed), typed, say), lines

    return run


def arguments(folder, corpora, *changes):
    fields = [*TINY, f"vae.corpus_folder={corpora}", *changes]
    return [f"--config={CONFIG}:smoke", f"--workdir={folder}", *(f"--config.{field}" for field in fields)]


def check_start(config, folder):
    stages.check(mcvae.stages(config, folder, print, ""), folder)


@pytest.fixture(scope="module")
def finished(command, tmp_path_factory):
    """A whole run that nothing has cut off: its folder and its lines."""
    folder = tmp_path_factory.mktemp("runs") / "finished"
    status, lines = command(folder)
    assert status == 0
    return folder, lines


@pytest.fixture
def copy(finished, tmp_path):
    return shutil.copytree(finished[0], tmp_path / "copy")


def files(folder):
    """When each file was written; the locks are touched by every start."""
    return {p: p.stat().st_mtime_ns for p in sorted(folder.rglob("*")) if p.is_file() and p.name != "lock"}


def checkpoint(model):
    """Damages some bits of the arrays of the newest checkpoint, which here is the best."""

    def damage(run):
        for path in (run / model / "checkpoints" / "6" / "params").rglob("d/*"):
            data = bytearray(path.read_bytes())
            data[::50] = bytes(byte ^ 1 for byte in data[::50])
            path.write_bytes(data)

    return damage


def songs_of(folder):
    return json.loads((folder / "songs" / "songs.json").read_text())


def test_all_stages_run_and_the_page_stands(finished):
    folder, lines = finished
    assert [line for line in lines if line.startswith("[")] == [
        "[1/5] corpus",
        "[2/5] vae",
        "[3/5] latents",
        "[4/5] mdrnn",
        "[5/5] songs",
    ]
    assert lines[-1] == f"Listen: open {folder / 'songs' / 'index.html'} in a browser."
    assert lines[-2].startswith("Time by stage: corpus 0:") and lines[-2].count(":") == 7
    seconds = json.loads((folder / "stages.json").read_text())
    parts = ["corpus", "vae", "latents", "mdrnn", "songs"]
    assert list(seconds) == [*parts, "check"] and min(seconds[name] for name in parts) > 0
    origins = open_model(folder).origins
    assert origins["MDRNN"].data["vae"] == origins["VAE"].identity
    record = songs_of(folder)
    assert [(len(song["tokens"]), song["given"]) for song in record["songs"]] == [
        (6, [0, 1]),
        (6, [0, 1, 2, 3, 4, 5]),  # how the tune really goes on
        (4, []),
    ]
    page = (folder / "songs" / "index.html").read_text()
    assert all(
        song["title"] in page and (folder / "songs" / f"{song['name']}.mid").exists() for song in record["songs"]
    )


OTHER = """
    prior=transformer_prior transformer_prior.model.units=8 transformer_prior.model.layers=1
    transformer_prior.model.heads=2 transformer_prior.model.components=2 transformer_prior.train.batch_size=4
    transformer_prior.train.steps=4 transformer_prior.train.log_every=2 transformer_prior.train.eval_every=4
    transformer_prior.train.save_every=4 transformer_prior.held_out.draws=1 transformer_prior.data.window=16
""".split()


@pytest.mark.slow
def test_another_prior_takes_the_place_of_the_mdrnn(finished, command, tmp_path):
    """On a VAE that stands there; what the folder opens as is the one prior that it has."""
    folder = tmp_path / "other"
    shutil.copytree(finished[0] / "vae", folder / "vae")
    status, lines = command(folder, *OTHER)
    assert status == 0 and {"[4/5] transformer_prior", "[5/5] songs"} <= set(lines)
    assert not (folder / "mdrnn").exists() and songs_of(folder)["songs"]
    model = open_model(folder)
    assert model.name == "VAE and transformer prior" and set(model.origins) == {"VAE", "transformer prior"}
    assert FILL in model.abilities
    scores = json.loads((folder / "transformer_prior" / "results" / "held_out.json").read_text())
    assert list(scores["priors"]) == ["transformer prior", "one Gaussian", "untrained transformer prior", "N(0, I)"]
    lines = (folder / "transformer_prior" / "metrics.jsonl").read_text().splitlines()
    last = [line for line in map(json.loads, lines) if line["split"] == "held_out"][-1]
    assert scores["priors"]["transformer prior"]["bits_per_bar"] == pytest.approx(last["bound_bits"], rel=0.05)
    with pytest.raises(UserError, match="a prior already, transformer_prior; give --config.prior=transformer_prior"):
        command(folder)
    with pytest.raises(UserError, match="has a prior already, mdrnn; give --config.prior=mdrnn, or another --workdir"):
        command(finished[0], *OTHER)
    with pytest.raises(UserError, match="config.prior is 'lstm'; it must be one of mdrnn, transformer_prior"):
        command(folder, "prior=lstm")


def test_the_same_command_again_does_nothing(finished, command, monkeypatch):
    monkeypatch.setattr(versions, "here", lambda: {"jax": "9.9.9"})  # also not where that has changed
    folder, _ = finished
    before = files(folder)
    assert command(folder) == (
        0,
        [
            f"{folder / 'vae'} is done: step 6.",
            f"{folder / 'mdrnn'} is done: step 6.",
            f"{folder / 'songs'} is done. Nothing is left to do.",
            next(line for line in finished[1] if line.startswith("Time by stage")),
            f"Listen: open {folder / 'songs' / 'index.html'} in a browser.",
        ],
    )
    assert files(folder) == before


@pytest.mark.slow
def test_what_was_cut_off_anywhere_ends_as_what_was_not(finished, command, tmp_path):
    folder = tmp_path / "cut"

    def kill():
        raise Killed

    def signal_us():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.2)  # until the thread that watches has seen it

    for at in ("[2/5]", "step 4/6"):  # before the VAE's first step, and later
        with pytest.raises(Killed):
            command(folder, at=at, do=kill)
    status, lines = command(folder, at="step 4/6", do=signal_us)
    assert status == 128 + signal.SIGTERM and "Going on from step 3" in " ".join(lines)
    with pytest.raises(Killed):
        command(folder, at="[3/5]", do=kill)
    status, lines = command(folder, at="step 2/6", do=signal_us)  # in the MDRNN
    assert status == 128 + signal.SIGTERM and "[2/5] vae" not in lines and "[4/5] mdrnn" in lines
    with pytest.raises(Killed):
        command(folder, at="[5/5]", do=kill)
    assert not (folder / "songs").exists()
    status, lines = command(folder)
    assert status == 0 and [line for line in lines if line.startswith("[")] == ["[5/5] songs"]
    ours, theirs = (open_model(place).origins for place in (folder, finished[0]))
    assert ours.keys() == theirs.keys() == {"VAE", "MDRNN"}
    for part in ours:
        assert (ours[part].step, ours[part].identity) == (theirs[part].step, theirs[part].identity)
    assert songs_of(folder) == songs_of(finished[0])


def test_other_fields_of_songs_make_new_songs_alone(copy, command):
    before = files(copy)
    status, lines = command(copy, "songs.composed=2", "songs.continued=0")
    assert status == 0 and [line for line in lines if line.startswith("[")] == ["[5/5] songs"]
    assert len(songs_of(copy)["songs"]) == 2
    changed = {path.relative_to(copy).parts[0] for path, when in files(copy).items() if before.get(path) != when}
    assert changed == {"songs", "stages.json"}


def test_a_song_that_is_gone_is_made_again(copy, command):
    gone = next((copy / "songs").glob("*.mid"))
    gone.unlink()
    assert "[5/5] songs" in command(copy)[1] and gone.exists()


def test_a_vae_under_a_trained_mdrnn_is_trained_no_further(copy, command, corpora):
    before = files(copy)
    with pytest.raises(UserError, match=r"mdrnn belongs to another state of the VAE than step 9 of .*; delete .*mdrnn"):
        command(copy, "vae.train.steps=9")
    assert files(copy) == before
    edit_json(copy / "mdrnn" / "config.json", lambda record: record["data"].update(vae="0" * 32))
    with pytest.raises(UserError, match="mdrnn belongs to another state of the VAE than step 6"):
        command(copy)
    shutil.rmtree(copy / "mdrnn")  # as it says
    check_start(parse(arguments(copy, corpora, "vae.train.steps=9")).config, copy)


def test_an_mdrnn_may_be_trained_further(copy, corpora):
    check_start(parse(arguments(copy, corpora, "mdrnn.train.steps=9")).config, copy)


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("songs.bars=0", "config.songs.bars is 0; it must be from 1 to 1,000"),
        ("songs.bars=2000000000", "config.songs.bars is 2000000000; it must be from 1 to 1,000"),
        ("songs.composed=2000000000", "config.songs.composed is 2000000000; it must be from 0 to 10,000"),
        ("mdrnn.data.window=2000000000", "config.mdrnn.data.window is 2000000000; it must be from 0 to"),
        ("vae.held_out.importance_samples=2000000000", "config.vae.held_out.importance_samples is 2000000000; it"),
        ("vae.corpus.max_bars=2000000000", "max_bars is 2000000000; it must be from 0 to"),
        ("songs.seed_bars=-1", "config.songs.seed_bars is -1"),
        ("songs.composed=-1", "config.songs.composed is -1"),
        ("songs.temperature=-1.0", "config.songs.temperature is -1.0"),
        ("songs.top_p=0.0", "config.songs.top_p is 0.0"),
        ("vae.train.steps=0", "config.vae.train.steps is 0"),
        ("vae.model.units=0", "config.vae.model.units is 0"),
        ("mdrnn.train.batch_size=0", "config.mdrnn.train.batch_size is 0"),
        ("mdrnn.model.units=0", "config.mdrnn.model.units is 0"),
        ("mdrnn.data.lowest_shift=3", "config.mdrnn.data.lowest_shift must be from -127 to 0"),
        ("mdrnn.dropout.hidden=1.0", "config.mdrnn.dropout.hidden is 1.0"),
        ("mdrnn.held_out.draws=0", "config.mdrnn.held_out.draws is 0; it must be from 1 to"),
        ("mdrnn.vae_workdir=elsewhere", "the config has no field 'vae_workdir' there"),
        ("songs.seed_bars=500", "no held-out song of .* is longer than 500 bars; lower config.songs.seed_bars"),
        (
            "vae.model.min_pitch=9 vae.data.min_pitch=9 mdrnn.data.lowest_shift=-1",
            "config.mdrnn.data.min_pitch and max_pitch, 0 and 127, let transposition leave .* 9 to 127",
        ),
        ("mdrnn.data.min_bars=300", "no training song from 300 to 339 bars; change config.mdrnn.data.min_bars"),
    ],
)
def test_mistakes_are_one_line_before_any_training(finished, corpora, tmp_path, field, message):
    with pytest.raises(UserError, match=message) as caught:
        main.main(arguments(tmp_path / "run", corpora, *field.split()))
    assert "\n" not in str(caught.value) and not (tmp_path / "run" / "vae").exists()


def test_nothing_to_make_and_another_start_are_refused(corpora, tmp_path):
    with pytest.raises(UserError, match="composed and continued are both 0"):
        main.main(arguments(tmp_path / "run", corpora, "songs.composed=0", "songs.continued=0"))
    with pytest.raises(UserError, match="--init_from is for one model"):
        main.main([*arguments(tmp_path / "run", corpora), "--init_from=elsewhere"])
    assert not (tmp_path / "run").exists()


def test_what_a_model_advises_is_said_in_the_fields_of_this_command(copy, command):
    with pytest.raises(UserError, match="model.units: 8 -> 9. Take another --workdir, or give the old values"):
        command(copy, "vae.model.units=9")


def test_a_folder_of_other_things_is_no_workdir(corpora, tmp_path):
    (tmp_path / "vae-alone").mkdir()
    (tmp_path / "vae-alone" / "config.json").write_text("{}")
    (tmp_path / "file").touch()
    for folder, message in (("vae-alone", "holds other things"), ("", "holds other things"), ("file", "is a file")):
        with pytest.raises(UserError, match=message):
            main.main(arguments(tmp_path / folder, corpora))


def test_files_of_others_among_the_songs_are_kept(copy, command, corpora, tmp_path):
    (copy / "songs" / "mine.mid").touch()
    assert command(copy)[0] == 0  # there is nothing to write
    message = "holds 'mine.mid', which this program did not write there; move it away, or take another --workdir"
    with pytest.raises(UserError, match=message):
        command(copy, "songs.composed=2")
    (tmp_path / "new" / "songs").mkdir(parents=True)
    (tmp_path / "new" / "stages.json").write_text("{}")
    (tmp_path / "new" / "songs" / "mine.mid").touch()
    with pytest.raises(UserError, match=message):
        command(tmp_path / "new")
    assert not (tmp_path / "new" / "vae").exists()


def test_inspect_tells_of_all_stages(finished, copy):
    report = "\n".join(inspect.describe(finished[0]))
    for text in (
        f"{finished[0] / 'vae'}: vae of python -m mcvae_jax.main",
        f"{finished[0] / 'mdrnn'}: mdrnn of python -m mcvae_jax.main",
        "--config.mdrnn.train.steps=MORE",
        f"for more steps delete {finished[0] / 'mdrnn'}, which belongs to this one, then: python",
        f"songs  3: open {finished[0] / 'songs' / 'index.html'}",
        "time   corpus 0:",
    ):
        assert text in report, text
    shutil.rmtree(copy / "songs")
    shutil.rmtree(copy / "mdrnn")
    report = "\n".join(inspect.describe(copy))
    assert "songs  none yet" in report and "mdrnn: mdrnn of" not in report and "for more steps: python" in report


def test_seeds_are_held_out_songs_spread_evenly(tmp_path):
    lengths, sides = (20, 9, 30, 4, 12, 9, 50), (0, *[HELD_OUT] * 5, 0)
    corpus = save_corpus(tmp_path / "corpus", lengths=lengths, sides=sides)
    seeds = demo.held_out_seeds(corpus, 3, 4)
    assert [(seed.title, seed.total) for seed in seeds] == [("Song 1", 9), ("Song 2", 30), ("Song 5", 9)]
    np.testing.assert_array_equal(seeds[1].bars, corpus.song(2)[:4])
    assert [len(demo.held_out_seeds(corpus, count, 4)) for count in (1, 4, 9)] == [1, 4, 4]
    with pytest.raises(UserError, match="no held-out song of .* is longer than 30 bars"):
        demo.held_out_seeds(corpus, 1, 30)


# ---- damaged files


@pytest.mark.parametrize("model", ["vae", pytest.param("mdrnn", marks=pytest.mark.slow)])
def test_readers_name_what_is_damaged_and_what_takes_its_place(copy, tmp_path, model):
    checkpoint(model)(copy)
    folder = str(copy / model)
    acts = [
        lambda: sample.main([f"--workdir={folder}", "--mode=vae", f"--out={tmp_path / 'songs'}"]),
        lambda: evaluate.main([f"--workdir={folder}", f"--out={tmp_path / 'report'}"]),
    ]
    if model == "vae":
        acts.append(lambda: latents.main([f"--workdir={folder}", f"--out={tmp_path / 'l.npz'}"]))
    for act in acts:
        with pytest.raises(
            UserError, match="Checkpoint 6 in .* is damaged: .*this trains again from the start: python"
        ):
            act()
    assert not (tmp_path / "songs").exists() and not (tmp_path / "report").exists()


def test_config_json_of_earlier_versions_has_no_copy_and_is_named(copy, command):
    for path in copy.rglob("identity.json"):
        edit_json(path, lambda record: record.update(run={}))
    (copy / "vae" / "config.json").write_bytes(b"{")
    with pytest.raises(
        UserError, match="config.json is damaged .* no checkpoint has a copy of it; restore it, or take"
    ):
        command(copy)
    with pytest.raises(UserError, match="config.json is damaged .*; restore it, or train in another workdir"):
        open_model(copy)
