"""The command, on tiny models: what the report holds, and each mistake in one line."""

import copy
import functools
import html
import json
import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from mcvae_jax import evaluate
from mcvae_jax.corpus.store import EXCLUDED, HELD_OUT, TRAIN
from mcvae_jax.errors import UserError
from mcvae_jax.evaluation import compare, controls, scores
from mcvae_jax.evaluation.conclusions import conclusions
from mcvae_jax.evaluation.measures import MEASURES
from mcvae_jax.evaluation.ngrams import NGrams
from mcvae_jax.evaluation.particles import particle_bounds
from mcvae_jax.evaluation.sets import interval
from mcvae_jax.evaluation.songs import in_latents, summarise, whole_song_bounds
from mcvae_jax.models.prior import OneGaussian, standard_normal
from mcvae_jax.music.tokens import NOTE_OFF, transpose
from mcvae_jax.trained import open_composer, open_corpus
from tests.small_models import save_corpus, save_mdrnn, save_vae

HELD_OUT_LENGTHS = (16, 18, 17, 33, 16, 20, 16, 16, 24, 16, 17)
TRAINING_LENGTHS = (20, 16, 7, 33, 18)
SMALL = ("--songs=5", "--bars=8", "--draws=1")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    sides = [TRAIN] * len(TRAINING_LENGTHS) + [HELD_OUT] * len(HELD_OUT_LENGTHS) + [HELD_OUT, EXCLUDED]
    corpus = save_corpus(folder / "corpus", lengths=TRAINING_LENGTHS + HELD_OUT_LENGTHS + (15, 20), sides=sides)
    save_mdrnn(folder / "mdrnn", folder / "vae", save_vae(folder / "vae", corpus))
    save_vae(folder / "without", save_corpus(folder / "little"))
    return folder


@pytest.fixture(scope="module")
def few_resamples():
    with pytest.MonkeyPatch.context() as patch:
        for module in (compare, scores):
            patch.setattr(module, "interval", functools.partial(interval, resamples=20))
        patch.setattr(compare, "FRECHET_RESAMPLES", 20)
        yield


@pytest.fixture(scope="module")
def report(runs, few_resamples):
    evaluate.main([f"--workdir={runs / 'mdrnn'}", f"--out={runs / 'report'}", *SMALL])
    return json.loads((runs / "report" / "report.json").read_text())


def numbers(value):
    """All numbers of nested lists and dicts."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [number for each in value for number in numbers(each)]
    return [value] if isinstance(value, (int, float)) else []


def test_the_report_says_what_its_numbers_hold_for(report, runs):
    composer = open_composer(runs / "mdrnn")
    about = report["about"]
    assert about["vae"] == {"folder": str(runs / "vae"), "step": 5, "identity": composer.vae.identity}
    assert about["mdrnn"] == {"folder": str(runs / "mdrnn"), "step": 7, "identity": composer.mdrnn.identity}
    assert about["corpus"]["identity"] == open_corpus(composer.vae).identity
    assert (about["seed"], about["songs"], about["bars"], about["draws"]) == (0, 5, 8, 1)
    assert "--songs=5" in about["command"]
    assert about["held-out songs"] == {
        "scored": len(HELD_OUT_LENGTHS),
        "too short or too long": 1,
        "too similar to a training song": 1,
    }


def test_every_set_and_every_number_is_there(report):
    models = ["MCVAE (as trained)", "MCVAE (sampler's defaults)", "VAE (bar by bar)", "VAE (free run)"]
    untrained = ["untrained MDRNN", "untrained composer"]
    names = [controls.HALF, controls.COPIES, controls.SHUFFLED, controls.RANDOM, controls.REPEATED, controls.SILENCE]
    held_out = evaluate.HELD_OUT_SET
    assert report["kinds"] == {"models": models, "controls": names + untrained, "held_out": held_out}
    assert set(report["sets"]["sets"]) == set(models + names + untrained)
    assert set(report["copies"]) == set(models + names + untrained + [evaluate.HELD_OUT_SET])
    wanted = {evaluate.BITS, *MEASURES, compare.CLASSIFIER, compare.FRECHET, compare.MMD}
    for name, each in report["sets"]["sets"].items():
        assert set(each["distances"]) == wanted
        assert each["songs"] == (5 if name not in (controls.HALF, controls.SHUFFLED) else len(HELD_OUT_LENGTHS) // 2)
    assert report["sets"]["reference"]["songs"] == 6
    assert len(report["copies"][evaluate.HELD_OUT_SET]["songs"]) == len(HELD_OUT_LENGTHS)
    found = numbers(report)
    assert len(found) > 1000 and np.isfinite(found).all()


def test_the_page_shows_it_all_and_asks_no_host(report, runs):
    page = (runs / "report" / "report.html").read_text("utf-8")
    text = html.unescape(re.sub(r"<[^>]+>", " ", page))
    for line in conclusions(report):
        assert line in text
    for name, row in report["models"]["rows"].items():
        assert name in text and f"{row['bits_per_bar']['value']:.2f}" in text
    for name in [*report["sets"]["sets"], *MEASURES, report["about"]["mdrnn"]["identity"]]:
        assert name in text
    assert not re.search(r"(src|href)=(?!\"data:)|https?:|url\(|@import", page)
    assert page.count("<svg") == len(MEASURES) + 1
    assert ElementTree.fromstring(re.search("<svg.*?</svg>", page)[0]).tag == "svg"
    assert "nan" not in re.sub("[a-z]nan|nan[a-z]", "", page.lower())


def test_copies_of_training_songs_are_caught(report):
    assert report["copies"][controls.COPIES]["passages"]["value"] == 1
    assert report["copies"][evaluate.HELD_OUT_SET]["passages"]["value"] == 0
    assert report["copies"][controls.COPIES]["songs"][0]["nearest"].startswith("song-")


def test_bits_of_held_out_songs_are_those_of_the_models_themselves(report, runs):
    composer = open_composer(runs / "mdrnn")
    corpus = open_corpus(composer.vae)
    training, held_out = ([corpus.song(i) for i in corpus.songs(side)] for side in (TRAIN, HELD_OUT))
    training, held_out = ([song for song in songs if len(song) >= 16] for songs in (training, held_out))
    rows, bars = report["models"]["rows"], sum(HELD_OUT_LENGTHS)
    assert report["models"]["bars"] == bars and report["models"]["subject"] == "MDRNN"
    ngram = NGrams.fit(training, 5, "kneser_ney").bits_of(held_out)
    assert rows["Kneser-Ney 5-gram"]["bits_of_songs"] == pytest.approx(ngram.tolist())
    assert rows["Kneser-Ney 5-gram"]["bits_per_bar"]["value"] == pytest.approx(ngram.sum() / bars)
    assert len(scores.in_keys(training)) == 12 * len(training)
    in_keys = [transpose(song, shift) for song in training for shift in range(-5, 7)]
    in_keys = NGrams.fit(in_keys, 8, "kneser_ney").bits_of(held_out)
    assert rows["Kneser-Ney 8-gram, 12 keys"]["bits_of_songs"] == pytest.approx(in_keys.tolist())
    assert rows["Kneser-Ney 5-gram"]["bits_per_token"]["value"] == pytest.approx(ngram.sum() / bars / 16)
    latent = composer.vae.vae.latent
    priors = {
        "MDRNN": (composer.mdrnn.prior, composer.mdrnn.params),
        "N(0, I)": (OneGaussian(latent), standard_normal(latent)),
    }
    bounds = whole_song_bounds(composer.vae.vae, composer.vae.params, priors, held_out, 1, 0)
    for name, expected in summarise(bounds)["priors"].items():
        assert rows[name]["bits_per_bar"]["value"] == pytest.approx(expected["bits_per_bar"], rel=1e-5)
        assert rows[name]["rate_nats"] == pytest.approx(expected["rate_nats"], rel=1e-5)
    closed = (bounds["reconstruction_nats"] + bounds["kl_nats"]).sum() / math.log(2) / bars
    assert rows[scores.VAE_BOUND]["bits_per_bar"]["value"] == pytest.approx(closed, rel=1e-5)
    tighter = particle_bounds(*in_latents(composer.vae.vae, composer.vae.params, held_out), priors, 8, 0)
    for name, nats in tighter.items():
        assert rows[name]["tighter"]["value"] == pytest.approx(nats.sum() / math.log(2) / bars, rel=1e-5)
        assert rows[name]["tighter"]["value"] < rows[name]["bits_per_bar"]["value"]
    assert rows["MDRNN"]["beyond"] == {"value": 0, "interval": [0, 0]}
    difference = rows["N(0, I)"]["bits_per_bar"]["value"] - rows["MDRNN"]["bits_per_bar"]["value"]
    assert rows["N(0, I)"]["beyond"]["value"] == pytest.approx(difference)


def test_a_vae_alone_and_the_same_numbers_again(runs, few_resamples):
    reports = []
    for _ in range(2):
        evaluate.main([f"--workdir={runs / 'vae'}", f"--out={runs / 'again'}", *SMALL])
        reports.append(json.loads((runs / "again" / "report.json").read_text()))
    assert reports[0] == reports[1]
    assert reports[0]["kinds"]["models"] == ["VAE (bar by bar)", "VAE (free run)"]
    assert reports[0]["models"]["subject"] == scores.VAE_BOUND and "MDRNN" not in reports[0]["models"]["rows"]
    assert "mdrnn" not in reports[0]["about"]


def test_what_follows_depends_on_the_numbers(report):
    def figure(value, low, high):
        return {"value": value, "interval": [low, high]}

    def said(change):
        changed = copy.deepcopy(report)
        change(changed)
        return " ".join(conclusions(changed))

    def best_ngram(*beyond):
        def change(changed):
            row = changed["models"]["rows"]["Kneser-Ney 5-gram"]
            row |= {"bits_per_bar": figure(1, 1, 1), "beyond": figure(*beyond)}

        return said(change)

    assert "the model tells real songs in fewer bits" in best_ngram(3, 2, 4)
    assert "an n-gram tells real songs in fewer bits" in best_ngram(-3, -4, -2)
    assert "no difference to be sure of" in best_ngram(1, -1, 3)
    assert "best n-gram (Kneser-Ney 5-gram) 1.0 (1.0 to 1.0): n-gram less MDRNN 3.0 (2.0 to 4.0)" in best_ngram(3, 2, 4)
    worth = [
        said(lambda r, b=b: r["models"]["rows"]["one Gaussian"].update(beyond=b))
        for b in (figure(0, -1, 1), figure(5, 4, 6))
    ]
    assert ["learnt nothing" in line for line in worth] == [True, False]
    assert "has collapsed" in said(lambda r: r["models"].update(kl_nats=0.01))
    assert "has collapsed" not in said(lambda r: r["models"].update(kl_nats=20.0))
    model = report["kinds"]["models"][0]
    assert "no sign of copying" in " ".join(conclusions(report))
    copied = said(lambda r: r["copies"][model].update(passages=figure(0.5, 0.4, 0.6)))
    assert f"copied from the training songs by {model}" in copied and f"{model} 50 % (40 to 60)" in copied
    near = said(lambda r: r["copies"][model].update(windows=figure(0.3, 0.2, 0.4)))
    assert f"copied from the training songs by {model}" in near and f"{model} 30 % (20 to 40)" in near
    flag = {"model": model, "measure": "rest share", "to": [controls.SILENCE], "to_real": []}
    assert f"{model} loses to a control that is no real music by 1 of 10: rest share" in said(
        lambda r: r.update(flags=[flag])
    )


def test_songs_that_reach_the_end_of_the_pitches_are_not_moved_beyond():
    song = np.full((2, 16), NOTE_OFF, np.uint8)
    song[0, 0] = 125
    assert [int(moved[0, 0]) for moved in scores.in_keys([song])] == list(range(120, 128))


def refused(*options):
    with pytest.raises(UserError) as caught:
        evaluate.main([str(option) for option in options])
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_mistakes(runs, tmp_path):
    workdir, out = f"--workdir={runs / 'vae'}", f"--out={tmp_path / 'out'}"
    assert "--songs is 4; it must be from 5 to 10,000" in refused(workdir, out, "--songs=4")
    assert "--bars is 0" in refused(workdir, out, "--bars=0")
    assert "seed is -1" in refused(workdir, out, "--seed=-1")
    assert "--colour" in refused(workdir, out, "--colour=red")
    assert "--workdir" in refused(out)
    assert "0 held-out" in refused(workdir, out, "--bars=100") and "fewer --bars" in refused(workdir, out, "--bars=100")
    assert "2 held-out" in refused(f"--workdir={runs / 'without'}", out, "--bars=16")
    assert not (tmp_path / "out").exists()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("mine")
    assert "choose another --out" in refused(workdir, f"--out={tmp_path / 'notes'}")
    for place in ("mine.txt", "mine.txt/below"):
        assert "choose another --out" in refused(workdir, f"--out={tmp_path / 'notes' / place}")
    assert (tmp_path / "notes" / "mine.txt").read_text() == "mine"
