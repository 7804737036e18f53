"""Songs in bars of other steps than 16: jigs stay in 6/8, and models, corpora and seeds of two widths do not mix."""

import json
import re

import mido
import numpy as np
import pytest

from mcvae_jax import evaluate, main, sample
from mcvae_jax.corpus.store import HELD_OUT, Corpus
from mcvae_jax.errors import UserError
from mcvae_jax.evaluation.reconstructions import write_reconstructions
from mcvae_jax.kinds import open_model
from mcvae_jax.latents import corpus_latents
from mcvae_jax.models.encodings import make_vae
from mcvae_jax.models.settings import Settings
from mcvae_jax.models.workdirs import open_codec
from mcvae_jax.music.midi import read_midi
from mcvae_jax.music.tokens import NO_EVENT, NOTE_OFF
from mcvae_jax.sampling import demo, modes
from mcvae_jax.sampling.page import write_page
from mcvae_jax.sampling.preview import render_wav, seconds_of
from mcvae_jax.sampling.roll import draw_roll
from mcvae_jax.sampling.seeds import read_seed
from mcvae_jax.sampling.song import ComposedSong, Setting, check_song, read_back, unseeded, write_song
from tests.sampling.test_seeds import ABC
from tests.small_models import VAE_MODEL, save_corpus, save_mdrnn, save_vae
from tests.tasks.test_mcvae import arguments, songs_of

pytestmark = pytest.mark.usefixtures("read_here")

JIG = "X:1\nT:Jig\nM:6/8\nL:1/8\nQ:3/8=120\nK:G\nd|c2e gec|d3 B2G|c2e gec|d3 B2z|]\n"
METRES = {12: [(3, 4), (6, 8), (3, 8), (12, 8), (12, 16), (1, 4)], 24: [(4, 4), (2, 4), (2, 2)], 18: [(9, 8), (3, 8)]}
METRES |= {5: [(5, 16)], 20: [(5, 4)], 96: [(4, 4), (2, 4)], 4: [(1, 4), (4, 4)]}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """An MCVAE of bars of 12 steps, on songs most of which are jigs, one of bars of 16, and seeds of both."""
    folder = tmp_path_factory.mktemp("runs")
    metres = ["6/8", "6/8", "3/4", "6/8", "3/4", "6/8", "3/4"]
    corpus = save_corpus(folder / "corpus", steps=12, metres=metres)
    save_mdrnn(folder / "jigs" / "mdrnn", folder / "jigs" / "vae", save_vae(folder / "jigs" / "vae", corpus))
    sixteen = save_corpus(folder / "corpus16")
    save_mdrnn(folder / "reels" / "mdrnn", folder / "reels" / "vae", save_vae(folder / "reels" / "vae", sixteen))
    (folder / "jig.abc").write_text(JIG)
    (folder / "tune.abc").write_text(ABC)
    return folder


def song_of(bars, metre):
    return ComposedSong("x", "t", bars, np.zeros(len(bars), bool), Setting(90.0, metre), {})


def metres_of(path):
    signatures = read_midi(path.read_bytes()).time_signatures
    return [tuple(row) for row in signatures[:, 1:].tolist()]


def metre_of(path):
    """By mido: (numerator, denominator) of the one time signature of a file."""
    signatures = [event for track in mido.MidiFile(path).tracks for event in track if event.type == "time_signature"]
    (found,) = {(event.numerator, event.denominator) for event in signatures}
    return found


@pytest.mark.parametrize(("steps", "metre"), [(steps, metre) for steps in METRES for metre in METRES[steps]])
def test_songs_come_back_from_their_files(tmp_path, steps, metre):
    """Whatever the first note's step; 1/4 and a late start give way to a metre of whole bars."""
    for seed in range(8):
        rng = np.random.default_rng(seed)
        bars = rng.choice([60, 64, 67, NOTE_OFF, NO_EVENT, NO_EVENT], (4, steps)).astype(np.uint8)
        bars[0, : rng.integers(steps)] = NO_EVENT
        song = song_of(bars, metre)
        write_song(tmp_path / "x.mid", song)
        assert check_song(tmp_path / "x.mid", song) == "", (seed, metre_of(tmp_path / "x.mid"))


def test_a_jig_is_written_in_six_eight(tmp_path):
    seed = read_seed_of(JIG, tmp_path)
    assert seed.setting.metre == (6, 8) and seed.bars.shape == (5, 12)
    write_song(tmp_path / "x.mid", song_of(seed.bars, seed.setting.metre))
    assert metre_of(tmp_path / "x.mid") == (6, 8)
    (track,) = read_midi((tmp_path / "x.mid").read_bytes()).tracks
    assert track.pitch.tolist()[:7] == [74, 72, 76, 79, 76, 72, 74]
    assert (np.diff(track.start[:8]) // 120).tolist() == [2, 4, 2, 2, 2, 2, 6]


def read_seed_of(text, folder, steps=12, **options):
    (folder / "seed.abc").write_text(text)
    return read_seed(folder / "seed.abc", 8, steps=steps, **options)


@pytest.mark.more
def test_songs_of_a_jig_model(runs, tmp_path, capsys):
    """Songs from nothing in the metre of most training songs, the others in that of their seed."""
    for mode, options in [("compose", ["--bars=3"]), ("continue", [f"--seed_file={runs / 'tune.abc'}", "--metre=3/4"])]:
        out = tmp_path / mode
        sample.main([f"--workdir={runs / 'jigs'}", f"--mode={mode}", f"--out={out}", "--songs=2", *options])
        record = json.loads((out / "songs.json").read_text())
        assert record["warnings"] == [] and {len(bar) for song in record["songs"] for bar in song["tokens"]} == {12}
        metre = (6, 8) if mode == "compose" else (3, 4)
        # what the file says of its own bars stays
        stated = [metre] if mode == "compose" else [(4, 4), metre]
        assert all(metres_of(path) == stated for path in out.glob("*.mid"))
        assert f"{metre[0]}/{metre[1]}" in (out / "index.html").read_text()
    capsys.readouterr()


def test_held_out_songs_keep_their_metres(runs, tmp_path):
    corpus = Corpus.open(runs / "corpus")
    seeds = demo.held_out_seeds(corpus, 2, 4)
    assert [seed.setting.metre for seed in seeds] == [(3, 4), (6, 8)]
    codec = open_codec(runs / "jigs" / "vae")
    write_reconstructions(codec.vae, codec.params, corpus, tmp_path, bars=4)
    assert [metre_of(tmp_path / f"{n:02d}-{kind}.mid") for n in (1, 2) for kind in ("original", "reconstruction")] == [
        (3, 4),
        (3, 4),
        (6, 8),
        (6, 8),
    ]
    first = corpus.song(corpus.songs(HELD_OUT)[0])[:4]
    assert (
        read_midi((tmp_path / "01-original.mid").read_bytes()).tracks[0].pitch.tolist() == first[first < 128].tolist()
    )


def test_models_that_say_nothing_of_a_metre_write_the_plainest(runs):
    assert unseeded(open_model(runs / "jigs")).metre == (6, 8)
    assert unseeded(open_model(runs / "reels")).metre == (4, 4)


@pytest.mark.slow
def test_widths_do_not_mix(runs, tmp_path):
    """Seeds, corpora and encoders of other bars than the model's are refused in one line."""
    jigs, reels = open_model(runs / "jigs"), open_model(runs / "reels")
    seed = read_seed(runs / "jig.abc", 4, steps=12)
    calls = {
        "'Jig' was read in bars of 12 sixteenths, and the MCVAE knows bars of 16": lambda: modes.continue_(reels, seed),
        "knows bars of 16 sixteenths; read it again with steps=16": lambda: modes.reconstruct(reels, seed, Settings()),
        "6/8, not 16 steps.*; the model knows bars of 16 sixteenths; --metre=4/4": lambda: read_seed(
            runs / "jig.abc", 4
        ),
        "4/4, not 12 steps.*; the model knows bars of 12 sixteenths; --metre=3/4": lambda: read_seed(
            runs / "tune.abc", 4, steps=12
        ),
        "4/4, not 12 steps.*--metre=3/4": lambda: sample.main(
            [
                f"--workdir={runs / 'jigs'}",
                "--mode=continue",
                f"--seed_file={runs / 'tune.abc'}",
                f"--out={tmp_path / 'o'}",
            ]
        ),
        "the VAE knows bars of 16 steps, and these have 12": lambda: corpus_latents(
            open_codec(runs / "reels" / "vae"), Corpus.open(runs / "corpus"), keep=False
        ),
        "is not the one on which": lambda: evaluate.main(
            [f"--workdir={runs / 'reels'}", f"--corpus={runs / 'corpus'}", f"--out={tmp_path / 'e'}"]
        ),
        "was trained on another corpus": lambda: evaluate.main(
            [f"--models={runs / 'reels'},{runs / 'jigs'}", f"--out={tmp_path / 'e'}"]
        ),
        "--encoder=.* knows bars of 16 steps, and the models were trained on bars of 12": lambda: evaluate.main(
            [f"--workdir={runs / 'jigs'}", f"--encoder={runs / 'reels'}", f"--out={tmp_path / 'e'}"]
        ),
    }
    for match, call in calls.items():
        with pytest.raises(UserError, match=match) as caught:
            call()
        assert "\n" not in str(caught.value)
    assert jigs.steps == make_vae(VAE_MODEL, 12).steps == 12


def test_previews_and_pages_keep_time(tmp_path):
    """A bar of 12 steps at 90 quarters a minute lasts for two seconds, one of 24 for 4 / 1.5."""
    bars = np.full((3, 12), NO_EVENT, np.uint8)
    bars[:, 0] = 60
    assert seconds_of(bars, 90) == pytest.approx(6) and seconds_of(np.tile(bars, 2), 90) == pytest.approx(8)
    assert len(render_wav(bars, 90, 8000)) == 44 + 2 * 6 * 8000
    song = song_of(bars, (6, 8))
    write_page(tmp_path / "x.html", [song], "t", {})
    page = (tmp_path / "x.html").read_text()
    assert 'data-seconds="6.000000"' in page and "· 6/8</p>" in page
    write_page(tmp_path / "y.html", [song_of(bars, (3, 8))], "t", {})
    assert "3/8 in bars of 12 sixteenths" in (tmp_path / "y.html").read_text()


@pytest.mark.parametrize(
    ("steps", "metre", "beats"),
    [(16, (4, 4), [4, 8, 12]), (12, (6, 8), [6]), (12, (3, 4), [4, 8]), (24, (4, 4), [6, 12, 18])],
)
def test_beats_of_a_roll(steps, metre, beats):
    """Dotted quarters in 6/8; a step is a unit of the drawing."""
    drawn = draw_roll(song_of(np.full((1, steps), NO_EVENT, np.uint8), metre))
    path = re.search(r'class="beat" d="([^"]*)"', drawn)[1]
    assert [float(x) for x in re.findall(r"M([\d.]+) ", path)] == pytest.approx(beats, abs=1e-3)


def test_silent_files_have_the_width_that_is_asked_for(tmp_path):
    write_song(tmp_path / "x.mid", song_of(np.full((2, 12), NO_EVENT, np.uint8), (6, 8)))
    assert read_back(tmp_path / "x.mid", steps=12).shape == (0, 12)


@pytest.mark.slow
def test_music21_reads_a_composed_jig_as_six_eight(runs, tmp_path):
    music21 = pytest.importorskip("music21")
    (song,) = modes.compose(open_model(runs / "jigs"), 1, 6, Settings(seed=4, temperature=1.0))
    write_song(tmp_path / "x.mid", song)
    score = music21.converter.parse(tmp_path / "x.mid", quantizePost=False)
    signatures = {each.ratioString for each in score.flatten().getElementsByClass(music21.meter.TimeSignature)}
    assert signatures == {"6/8"}
    onsets = [float(note.offset) * 4 for note in score.flatten().notes if not (note.tie and note.tie.type != "start")]
    assert onsets == np.flatnonzero(song.bars.reshape(-1) < NOTE_OFF).tolist()
    assert all(measure.barDuration.quarterLength == 3 for measure in score.parts[0].getElementsByClass("Measure"))


@pytest.mark.slow
def test_jigs_in_bars_of_12_from_the_corpus_to_the_songs(tmp_path):
    """A book of random jigs and a reel, which is left out: all stages, and songs that mido opens as 6/8."""
    rng, tunes = np.random.default_rng(0), []
    for number in range(14):
        bars = [" ".join("".join(rng.choice(list("GABcde"), 3)) for _ in range(2)) for _ in range(18)]
        tunes.append(f"X:{number}\nT:Jig {number}\nM:6/8\nL:1/8\nK:G\n{'|'.join(bars)}|]\n")
    (tmp_path / "book.abc").write_text("\n".join([*tunes, "X:99\nM:4/4\nL:1/4\nK:G\nGABc|]\n"]))
    fields = [f"vae.corpus.source={tmp_path / 'book.abc'}", "vae.corpus.steps_per_bar=12", "vae.corpus.held_out=0.3"]
    assert main.main(arguments(tmp_path / "run", tmp_path / "corpus", *fields)) == 0
    report = json.loads((tmp_path / "corpus" / "report.json").read_text())
    assert report["left_out"] == {"metre does not fill the bar of 12 steps": 1}
    data = json.loads((tmp_path / "run" / "vae" / "config.json").read_text())["data"]
    assert (data["steps_per_bar"], data["metre"]) == (12, "6/8")
    record = songs_of(tmp_path / "run")
    assert record["warnings"] == [] and {len(bar) for song in record["songs"] for bar in song["tokens"]} == {12}
    assert {metre_of(path) for path in (tmp_path / "run" / "songs").glob("*.mid")} == {(6, 8)}
