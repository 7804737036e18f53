"""What is typed in a notebook is what the package does: the same songs, tunes and files; mistakes are a line."""

import base64
import html
import io
import os
import re
import subprocess
import sys
from datetime import UTC, datetime

import numpy as np
import pytest
from PIL import Image

from mcvae_jax import notebook
from mcvae_jax.corpus.build import build_corpus
from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.errors import UserError
from mcvae_jax.kinds import open_model
from mcvae_jax.models.settings import Settings
from mcvae_jax.notebook import colab
from mcvae_jax.sampling import modes
from mcvae_jax.sampling.song import read_back
from tests.small_models import save_corpus, save_mdrnn, save_vae

pytestmark = pytest.mark.usefixtures("read_here")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    save_mdrnn(folder / "mdrnn", folder / "vae", save_vae(folder / "vae", save_corpus(folder / "corpus")))
    return folder


@pytest.fixture(scope="module")
def composer(runs):
    return notebook.open_composer(runs / "mdrnn")


@pytest.fixture(scope="module")
def tune(composer):
    return composer.tune("Ode to Joy", bars=4)


def same(a, b):
    return [(x.title, x.bars.tobytes(), x.given.tobytes()) for x in a] == [
        (x.title, x.bars.tobytes(), x.given.tobytes()) for x in b
    ]


@pytest.mark.more
def test_each_method_is_a_mode_of_sampling(runs, composer, tune):
    model, wild = open_model(runs / "mdrnn"), Settings(temperature=1.0, seed=3)
    other = composer.tune("Jingle Bells", bars=4)
    how = {"temperature": 1.0, "seed": 3}
    assert same(composer.compose(3, 2, **how), modes.compose(model, 2, 3, wild))
    assert same(composer.continue_(tune, 3, 2, **how), modes.continue_(model, tune, 3, 2, wild))
    assert same(composer.fill(tune, "2-3", 1, **how), modes.infill(model, tune, "2-3", 1, wild))
    assert same(composer.vary(tune, 0.5, 2, **how), modes.vary(model, tune, 0.5, 2, wild))
    assert same(composer.reconstruct(tune, **how), modes.reconstruct(model, tune, wild))
    made = composer.interpolate(tune, other, 3, "linear", **how)
    assert same(made, modes.interpolate(model, tune, other, 3, "linear", wild))


def test_a_composer_says_what_it_is(runs, composer):
    assert composer.folder == runs / "mdrnn"
    assert "MCVAE" in repr(composer) and "step 7" in repr(composer) and "step 5" in composer._repr_html_()
    assert [len(seed.bars) for seed in composer.held_out(2, 4)] == [4, 4]


def test_a_built_in_tune_has_the_bars_that_a_corpus_of_them_has(tmp_path, composer):
    corpus = build_corpus(CorpusSettings(source="tunes", dedupe="none"), tmp_path / "corpus", pictures=False)
    expected = {record["title"]: corpus.song(i) for i, record in enumerate(corpus.records())}
    assert sorted(notebook.tunes()) == sorted(expected)  # those in 3/4 are in neither
    for title, bars in expected.items():
        first, last = (composer.tune(title.upper(), 5, which) for which in ("first", "last"))
        np.testing.assert_array_equal(first.bars, bars[:5])
        np.testing.assert_array_equal(last.bars, bars[-5:])
        assert first.title == title and first.total == len(bars)
    assert composer.tune("Ode to Joy").setting.key == "D"


def test_tunes_of_files_and_of_the_folder_of_uploads(tmp_path, composer, tune):
    first, second = (tune.as_song().save(tmp_path / f"{name}.mid") for name in "ab")
    os.utime(first, (2e9, 2e9))
    assert composer.tune(first, 4).title == composer.tune(tmp_path, 4).title == "a"
    np.testing.assert_array_equal(composer.tune(second, 4).bars, tune.bars)


@pytest.mark.parametrize(
    "mistake, line",
    [
        (lambda c, t, f: c.compose(temprature=1.0), "did you mean temperature"),
        (lambda c, t, f: c.compose(zzz=1.0), "there are temperature, "),
        (lambda c, t, f: c.tune("Ode to Joi"), "did you mean 'Ode to Joy'"),
        (lambda c, t, f: c.tune(f), "no music file is in"),
        (lambda c, t, f: c.tune("Ode to Joy", bars=0), "bars is 0"),
        (lambda c, t, f: c.fill(t, "9"), "bars 1 to 4"),
        (lambda c, t, f: c.compose(2, 1)[0].save(f / "song.mp3"), "one of .mid, .wav, .musicxml"),
        (lambda c, t, f: c.compose(2, 1)[0].save(f / "no" / "song.mid"), "make it first"),
        (lambda c, t, f: notebook.download(f / "song.mid"), "save it first"),
        (lambda c, t, f: notebook.open_composer(f), "no workdir|not a workdir|workdir"),
    ],
)
def test_mistakes_are_a_line(tmp_path, composer, tune, mistake, line):
    with pytest.raises(UserError, match=line) as told:
        mistake(composer, tune, tmp_path)
    assert "\n" not in str(told.value)


def test_songs_save_themselves(tmp_path, composer, tune):
    songs = composer.continue_(tune, 3, 2)
    path = songs[0].save(tmp_path / "song.mid")
    np.testing.assert_array_equal(read_back(path)[:4], tune.bars)
    assert songs[1].save(str(tmp_path / "song.WAV")).read_bytes()[:4] == b"RIFF"
    songs.save(tmp_path / "all")
    assert {"01-continue.mid", "02-continue.wav", "index.html"} <= {each.name for each in (tmp_path / "all").iterdir()}


@pytest.mark.usefixtures("rendered")
def test_songs_show_themselves(tmp_path, composer, tune):
    songs = composer.continue_(tune._replace(title="<b>'\"& tune"), 3, 3)
    assert isinstance(songs[:2], notebook.Songs) and len(songs[:2]) == 2 and songs[2] is list(songs)[2]
    shown = songs._repr_html_()
    assert re.fullmatch(r'<iframe title="3 songs" style="[^"]*" srcdoc="[^"<>]*"></iframe>', shown)  # nothing gets out
    page = html.unescape(re.search(r'srcdoc="([^"]*)"', shown)[1])
    assert "<b>" not in page and page.count("<audio") == page.count('<svg class="notes"') == 3
    held = re.findall(r'href="data:audio/midi;base64,([^"]*)" download="(\d\d-continue.mid)"', page)
    for song, (data, name) in zip(songs, held, strict=True):
        assert base64.b64decode(data) == song.save(tmp_path / name).read_bytes() and name == f"{song.name}.mid"
    for each in (songs, songs[0], tune):
        assert each._repr_png_()[:4] == b"\x89PNG" and len(repr(each)) < 200
    assert "no songs" in notebook.Songs()._repr_html_()


def test_the_output_of_a_cell_is_small(composer, tune):
    assert len(composer.continue_(tune, 25, 8)._repr_html_()) < 2_500_000  # and no sound: 13 MB


def test_files_that_are_uploaded(tmp_path):
    folder = colab.keep({"a.mid": b"1", "b c.abc": b"2"}, tmp_path / "new")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"a.mid": b"1", "b c.abc": b"2"}
    assert notebook.upload(folder, once=True) == folder  # and asks for nothing
    for data in ({}, {"../a.mid": b"1"}, {".hidden": b"1"}):
        with pytest.raises(UserError):
            colab.keep(data, tmp_path / "new")
    assert not (tmp_path / "a.mid").exists() and notebook.drive("mine").parts == ("mine",)


def test_the_upload_button_writes_what_is_chosen(tmp_path):
    pytest.importorskip("ipywidgets")
    button = colab._upload_button(tmp_path / "new")
    button.value = (
        {"name": "a.mid", "type": "", "size": 1, "content": memoryview(b"1"), "last_modified": datetime.now(UTC)},
    )
    assert (tmp_path / "new" / "a.mid").read_bytes() == b"1"


def test_sliders_make_what_they_say(composer, tune):
    pytest.importorskip("ipywidgets")
    panel = composer.panel(tune)
    assert same(panel.songs, composer.continue_(tune, panel.bars.value, panel.count.value))
    assert "iframe" in panel.output.value and panel.missing.layout.display == "none"
    panel.way.value, panel.missing.value, panel.count.value, panel.seed.value = "fill", "2", 1, 5
    panel.draws["tau_sigma"].value = 1.0
    panel.button.click()
    assert same(panel.songs, composer.fill(tune, "2", 1, seed=5, tau_sigma=1.0))
    assert panel.bars.layout.display == "none" and panel.missing.layout.display is None
    panel.way.value, panel.spread.value = "vary", 0.4
    panel.button.click()
    assert same(panel.songs, composer.vary(tune, 0.4, 1, seed=5))
    panel.way.value = "compose"
    panel.button.click()
    assert same(panel.songs, composer.compose(panel.bars.value, 1, seed=5, tau_sigma=1.0))
    panel.way.value, panel.missing.value = "fill", "<9>"
    panel.button.click()
    assert "&lt;9&gt;" in panel.output.value and "<9>" not in panel.output.value and not panel.button.disabled


@pytest.mark.slow
def test_a_mistake_in_a_cell_is_a_line_and_no_stack_trace(tmp_path):
    cell = "from mcvae_jax import notebook; notebook.start(); notebook.open_composer('nowhere')"
    done = subprocess.run(
        [sys.executable, "-m", "IPython", "--no-banner", "--colors=NoColor", "-c", cell],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"IPYTHONDIR": str(tmp_path / "ipython")},
    )
    assert done.stdout.startswith("Runs on python 3.") and "devices: " in done.stdout
    assert "Error: nowhere" in done.stderr and "Traceback" not in done.stdout + done.stderr


def test_pictures_are_joined_where_there_is_room(tmp_path):
    for name, size in (("a", (600, 20)), ("b", (300, 40)), ("c", (500, 10))):
        Image.new("RGB", size, name == "b" and "red" or "blue").save(tmp_path / f"{name}.png")

    def joined(*names):
        return Image.open(io.BytesIO(notebook.Picture.read(*(tmp_path / f"{name}.png" for name in names)).png))

    assert (joined("a").size, joined("a", "b").size, joined("a", "c").size) == ((600, 20), (900, 40), (600, 30))
    assert joined("a", "b").getpixel((600, 39)) == (255, 0, 0) and joined("a", "b").getpixel((0, 39)) == (255, 255, 255)
