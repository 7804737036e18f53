"""The command: every mode from its options to the page, and each mistake in one line."""

import dataclasses
import json
import runpy
import shutil
from pathlib import Path

import pytest

from mcvae_jax import sample
from mcvae_jax.errors import UserError
from mcvae_jax.models.joint.composer import JointComposer
from mcvae_jax.models.settings import DEFAULTS
from mcvae_jax.music.readers import read_scores
from mcvae_jax.sampling.table import MODES, taken_by
from tests.sampling.test_seeds import ABC, scale, track, write
from tests.small_models import edit_json, save_joint, save_mdrnn, save_vae

pytestmark = pytest.mark.usefixtures("read_here")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    save_mdrnn(folder / "mdrnn", folder / "vae", save_vae(folder / "vae"))
    write(folder / "a.mid", track(scale(80)), tempos=((0, 90.0),), metre=(2, 4), keys=((0, "G"),))
    (folder / "b.abc").write_text(ABC)
    return folder


@pytest.fixture
def call(runs, tmp_path, capsys):
    """Runs the command in one of the workdirs; what songs.json holds, and the lines that were printed."""

    def run(workdir, *options):
        sample.main([f"--workdir={runs / workdir}", f"--out={tmp_path / 'out'}", *map(str, options)])
        lines = capsys.readouterr().out.splitlines()
        assert lines[-1] == f"Open {tmp_path / 'out'}/index.html to hear and see them."
        assert (tmp_path / "out" / "index.html").is_file()
        return json.loads((tmp_path / "out" / "songs.json").read_text()), lines

    return run


@pytest.mark.more
def test_continue_from_the_last_bars(call, runs):
    record, lines = call("mdrnn", "--mode=continue", f"--seed_file={runs / 'a.mid'}", "--bars=3", "--songs=2")
    assert [song["bars"] for song in record["songs"]] == [23, 23]
    song = record["songs"][0]
    assert song["given"] == list(range(20)) and song["metre"] == [2, 4] and song["key"] == "G"
    assert round(song["quarters_per_minute"]) == 90
    assert [bar[0] for bar in song["tokens"][:20]] == [60 + 4 * n % 12 for n in range(20)]  # the whole file
    assert any("bars 1 to 40, of which 9 to 40 are heard" in line for line in lines)
    assert any("2 songs, 6 bars composed" in line and "songs a second" in line for line in lines)
    assert record["warnings"] == []


@pytest.mark.slow
def test_chord_symbols_of_the_file_stand_over_its_bars_in_scores_also_after_a_second_call(call, tmp_path):
    chords = ["G", "C", "D7", "G", "Em", "G/B"]
    tune = "|".join(f'"{chord}"GABc "Am"d2cB' for chord in chords)
    (tmp_path / "chords.abc").write_text(f"X:1\nT:Chords\nM:4/4\nL:1/8\nK:G\n{tune}|]\n")
    over = [each for chord in chords for each in (chord, "Am")]
    options = ("mdrnn", f"--seed_file={tmp_path / 'chords.abc'}", "--songs=1", "--formats=abc,musicxml")
    for mode, some, expected in (
        ("continue", ["--bars=2"], over),
        ("infill", ["--missing=3"], over),
        ("continue", ["--bars=2", "--seed_bars=2"], over),  # the whole tune stands before the composed bars
    ):
        record, _ = call(*options, f"--mode={mode}", *some)
        for name in (name for name in record["files"] if name.endswith((".abc", ".musicxml"))):
            (score,) = read_scores((tmp_path / "out" / name).read_bytes(), Path(name).suffix)
            assert [text for _, text in score.chords] == expected, name
    assert [[text for _, text in song["chords"]] for song in record["songs"]] == [over] * 3
    assert record["songs"][0]["chords"][:3] == [[0, "G"], [8, "Am"], [16, "C"]]


@pytest.mark.parametrize(
    "workdir, mode, options, bars",
    [
        ("mdrnn", "compose", ["--bars=3", "--songs=2", "--checkpoint=7"], [3, 3]),
        ("vae", "vae", ["--bars=2", "--songs=1"], [2, 2]),
        ("vae", "reconstruct", ["--seed_file=b.abc", "--temperature=0"], [3, 3]),
        ("vae", "interpolate", ["--seed_file=a.mid", "--seed_file_b=b.abc", "--steps=2"], [3] * 4),
        ("mdrnn", "infill", ["--seed_file=a.mid", "--seed_bars=5", "--missing=3-6", "--songs=1"], [20]),
        ("vae", "vary", ["--seed_file=a.mid", "--seed_bars=4", "--seed_from=last", "--songs=2", "--first=5"], [4, 4]),
    ],
)
def test_every_mode_writes_its_songs(call, runs, monkeypatch, workdir, mode, options, bars):
    monkeypatch.chdir(runs)
    record, _ = call(workdir, f"--mode={mode}", *options)
    assert [song["bars"] for song in record["songs"]] == bars
    assert record["about"]["seed"] == 0 and mode in record["about"]["command"]


def test_the_same_call_writes_the_same_songs(call):
    options = ("mdrnn", "--mode=compose", "--bars=4", "--songs=3", "--seed=5")
    first, again = (call(*options, "--replace")[0] for _ in range(2))
    assert first["songs"] == again["songs"]
    record = call(*options[:-2], "--seed=5", "--songs=1", "--first=3")[0]  # in the place of the one that stands there
    assert sorted(song["name"] for song in record["songs"]) == ["01-compose", "02-compose", "03-compose"]
    assert record["songs"][0]["tokens"][0] == first["songs"][2]["tokens"][0]


def test_a_second_call_adds_the_next_numbers(call, runs, tmp_path):
    options = ("mdrnn", "--mode=compose", "--bars=2", "--songs=2", "--seed=5")
    first = call(*options)[0]["songs"]
    files = {path.name: path.read_bytes() for path in (tmp_path / "out").glob("0*")}
    record, lines = call(*options)
    assert [song["name"] for song in record["songs"]] == [f"0{n}-compose" for n in (3, 4, 1, 2)]
    assert "holds 2 songs, which stay; new ones begin with number 3" in lines[0] and "--replace" in lines[1]
    assert all((tmp_path / "out" / name).read_bytes() == data for name, data in files.items())
    assert [song["tokens"] for song in record["songs"][2:]] == [song["tokens"] for song in first]
    four = call(*options[:-2], "--seed=5", "--songs=4", "--replace")[0]["songs"]  # the same songs as by one call
    assert [song["tokens"] for song in four] == [record["songs"][n]["tokens"] for n in (2, 3, 0, 1)]
    # what somebody threw away stays away; a mode without numbers of its own takes the next ones; who asked is kept
    (tmp_path / "out" / "02-compose.mid").unlink()
    ways = call("vae", "--mode=interpolate", *(f"--seed_file{x}={runs / 'b.abc'}" for x in ("", "_b")), "--steps=2")[0]
    names = [song["name"] for song in ways["songs"]]
    assert names == [*(f"0{n}-interpolate" for n in range(5, 9)), "01-compose", "03-compose", "04-compose"]
    assert ["--replace" in call["command"] for call in ways["earlier"]] == [True]
    assert "Earlier songs" in (tmp_path / "out" / "index.html").read_text()
    assert set(ways["files"]) == {path.name for path in (tmp_path / "out").iterdir()}


def test_of_many_songs_the_first_can_be_heard_while_the_others_are_composed(call, tmp_path, monkeypatch):
    """Also where the call then ends; the songs are those of a call that makes all at a time."""
    options = ("mdrnn", "--mode=compose", "--bars=2", "--songs=6", "--seed=5", "--replace")
    at_a_time, lines = call(*options)
    assert not [line for line in lines if "follow" in line]
    monkeypatch.setattr(sample, "MANY", 6)
    monkeypatch.setattr(sample, "EARLY", 2)
    in_two, lines = call(*options)
    page = f"{tmp_path / 'out'}/index.html"
    assert f"Open {page} to hear and see the first 2 songs; 4 follow." in lines
    assert in_two["songs"] == at_a_time["songs"] and "unfinished" not in in_two and in_two["warnings"] == []

    def make(model, seeds, asked, settings, say):
        if asked.first > 1:
            raise KeyboardInterrupt
        return MODES["compose"].make(model, seeds, asked, settings, say)

    monkeypatch.setattr(sample, "MODES", {**MODES, "compose": MODES["compose"]._replace(make=make)})
    with pytest.raises(KeyboardInterrupt):
        call(*options)
    record = json.loads((tmp_path / "out" / "songs.json").read_text())
    assert record["songs"] == at_a_time["songs"][:2] and record["unfinished"] == 6
    assert "The first 2 of 6 songs" in Path(page).read_text()
    assert set(record["files"]) == {path.name for path in (tmp_path / "out").iterdir()}


def test_damaged_facts_about_earlier_songs_are_one_line(call, runs, tmp_path):
    options = ("mdrnn", "--mode=compose", "--bars=2", "--songs=1")
    call(*options)
    path = tmp_path / "out" / "songs.json"
    path.write_text(path.read_text().replace("01-compose", "01-komposed", 1))
    with pytest.raises(UserError, match="songs.json is damaged.*--replace makes the songs there anew"):
        call(*options)
    call(*options, "--replace")


def refused(*options):
    with pytest.raises(UserError) as caught:
        sample.main([str(option) for option in options])
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_mistakes_in_options_are_one_line_with_near_names(runs, tmp_path):
    rest = (f"--workdir={runs / 'mdrnn'}", f"--out={tmp_path / 'out'}")
    assert "did you mean compose?" in refused("--mode=compse", *rest)
    assert "there are compose, continue" in refused("--mode=xyz", *rest)
    assert "--out" in refused("--mode=compose")
    assert "no option --temprature; did you mean --temperature" in refused("--mode=compose", "--temprature=1", *rest)
    assert "invalid float value: 'hot'" in refused("--mode=compose", "--temperature=hot", *rest)
    assert "temperature is -1" in refused("--mode=compose", "--temperature=-1", *rest)
    assert "songs is 0" in refused("--mode=compose", "--songs=0", *rest)
    assert "give it as --seed_file=FILE" in refused("--mode=continue", *rest)
    assert "give it as --seed_file_b=FILE" in refused("--mode=interpolate", f"--seed_file={runs / 'a.mid'}", *rest)
    assert "takes no --seed_file" in refused("--mode=compose", "--seed_file=a.mid", *rest)
    assert "--missing=5-8" in refused("--mode=infill", f"--seed_file={runs / 'a.mid'}", *rest)
    assert "did you mean last" in refused("--mode=vary", "--seed_from=lst", *rest)
    assert "there is no file" in refused("--mode=vary", "--seed_file=nothing.mid", *rest)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "mode, option",
    [("vary", "--bars=4"), ("reconstruct", "--songs=3"), ("interpolate", "--spread=2"), ("compose", "--missing=3")]
    + [("continue", "--steps=9"), ("vae", "--tau_sigma=1"), ("compose", "--metre=4/4"), ("vary", "--seed_file_b=b")],
)
def test_an_option_that_a_mode_would_ignore_is_refused(runs, tmp_path, mode, option):
    name = option.split("=")[0]
    message = refused(f"--mode={mode}", option, f"--workdir={runs / 'mdrnn'}", f"--out={tmp_path / 'out'}")
    assert f"--mode={mode} takes no {name}; leave it out, or choose --mode=" in message
    for better in message.split("--mode=")[-1].split(" or "):
        assert sample.parse([f"--mode={better}", option, "--workdir=x", "--out=y"])


def test_options_for_some_modes_are_options():
    """A name that no option has would never be refused, and one that the help forgets could not be found."""
    known = vars(sample.parse(["--mode=compose", "--workdir=x", "--out=y"]))
    assert {option for mode in MODES.values() for option in (*mode.takes, *mode.must, *mode.seeds)} < set(known)
    assert set(taken_by("seed")) == set(MODES) and taken_by("spread") == ("vary",)


def test_folders_that_are_no_workdirs_or_not_ready(runs, tmp_path):
    out = f"--out={tmp_path / 'out'}"
    seed = f"--seed_file={runs / 'a.mid'}"
    for mode, more in (("compose", []), ("infill", [seed, "--missing=2"]), ("continue", [seed])):
        assert "holds a VAE alone" in refused(f"--mode={mode}", f"--workdir={runs / 'vae'}", out, *more)
    assert "does not exist" in refused("--mode=vae", f"--workdir={tmp_path / 'none'}", out)
    assert "no workdir" in refused("--mode=vae", f"--workdir={tmp_path}", out)
    copy = shutil.copytree(runs / "vae", tmp_path / "vae")
    assert "no checkpoint of step 9" in refused("--mode=vae", f"--workdir={copy}", out, "--checkpoint=9")
    edit_json(copy / "config.json", lambda record: record["config"]["model"].update(units=12))
    assert "do not belong together" in refused("--mode=vae", f"--workdir={copy}", out)
    shutil.copy(runs / "vae" / "config.json", copy)
    for path in (copy / "checkpoints").rglob("*"):
        if path.is_file() and path.parent.name == "d":
            path.write_bytes(path.read_bytes()[:10])
    assert "cannot be read" in refused("--mode=vae", f"--workdir={copy}", out)
    shutil.rmtree(copy / "checkpoints")
    assert "has no checkpoint yet" in refused("--mode=vae", f"--workdir={copy}", out)


def test_a_folder_of_someone_elses_is_left_alone(runs, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.doc").write_text("mine")
    message = refused("--mode=vae", f"--workdir={runs / 'vae'}", f"--out={tmp_path / 'out'}")
    assert "choose another --out" in message and (tmp_path / "out" / "thesis.doc").read_text() == "mine"


def test_the_songs_of_the_training_command_are_sampled_with_the_same_defaults():
    config = runpy.run_path(str(Path(__file__).parent.parent / "configs" / "mcvae.py"))["get_config"]()
    assert {name: config.songs[name] for name in dataclasses.asdict(DEFAULTS)} == dataclasses.asdict(DEFAULTS)


def test_help_explains_every_option(capsys):
    with pytest.raises(SystemExit) as left:
        sample.main(["--help"])
    assert left.value.code == 0
    text = capsys.readouterr().out
    for word in (*MODES, "--seed_file", "--temperature", "--tau_sigma", "--checkpoint", "examples"):
        assert word in text


@pytest.mark.more
def test_what_is_not_said_is_as_the_model_itself_composes(call, runs):
    save_joint(runs / "joint")
    record, _ = call("joint", "--songs=2", "--bars=3", "--top_k=5")
    own = JointComposer.defaults
    assert own.temperature != DEFAULTS.temperature
    told = {name: record["about"][name] for name in dataclasses.asdict(own)}
    assert told == dataclasses.asdict(dataclasses.replace(own, top_k=5))
    assert not any("draws" in name for name in record["songs"][0]["notes"])
    record, _ = call("joint", "--songs=1", "--bars=3", "--temperature=0", "--best_of=2", "--replace")
    assert record["about"]["temperature"] == 0 and record["about"]["best_of"] == 2
    assert "bits a bar, best of 2 draws" in record["songs"][0]["notes"]


def test_a_mode_that_chooses_among_none_takes_no_number_of_draws(runs, tmp_path):
    with pytest.raises(UserError, match="--mode=vary takes no --best_of"):
        sample.main(["--mode=vary", "--best_of=2", f"--seed_file={runs / 'a.mid'}", f"--out={tmp_path / 'out'}"])
