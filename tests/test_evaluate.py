"""The command, on tiny models: what the report holds, and each mistake in one line."""

import functools
import html
import json
import math
import re
from xml.etree import ElementTree

import jax
import numpy as np
import pytest

from mcvae_jax import evaluate, versions
from mcvae_jax.corpus.store import EXCLUDED, HELD_OUT, TRAIN
from mcvae_jax.errors import UserError
from mcvae_jax.evaluation import beside, classifiers, compare, controls, scores
from mcvae_jax.evaluation.conclusions import best_form, conclusions, headline
from mcvae_jax.evaluation.findings import findings
from mcvae_jax.evaluation.judged import BITS, GOING_ON, HELD_OUT_SET
from mcvae_jax.evaluation.measures import MEASURES
from mcvae_jax.evaluation.music import GIVEN, loops
from mcvae_jax.evaluation.sets import interval
from mcvae_jax.evaluation.switch import corpus_switch
from mcvae_jax.kinds import open_model
from mcvae_jax.models.bounds import SongDraws, summarise, whole_song_bounds
from mcvae_jax.models.copying import Copying
from mcvae_jax.models.ngrams import NGrams
from mcvae_jax.models.particles import particle_bounds
from mcvae_jax.models.prior import OneGaussian, fit_one_gaussian
from mcvae_jax.models.sequences import LatentPrior
from mcvae_jax.music.tokens import NOTE_OFF, transpose
from mcvae_jax.nn.keys import song_keys
from mcvae_jax.trained import open_corpus
from tests.browser import open_browser
from tests.small_models import save_corpus, save_mdrnn, save_vae

pytestmark = pytest.mark.more

HELD_OUT_LENGTHS = (16, 18, 17, 33, 16, 20, 16, 16, 24, 16, 17)
TRAINING_LENGTHS = (20, 16, 7, 33, 18)
SMALL = ("--songs=5", "--bars=8", "--draws=1")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    sides = [TRAIN] * len(TRAINING_LENGTHS) + [HELD_OUT] * len(HELD_OUT_LENGTHS) + [HELD_OUT, EXCLUDED]
    corpus = save_corpus(folder / "corpus", lengths=TRAINING_LENGTHS + HELD_OUT_LENGTHS + (15, 20), sides=sides)
    save_mdrnn(folder / "mdrnn", folder / "vae", save_vae(folder / "vae", corpus))
    save_mdrnn(folder / "other", folder / "other-vae", save_vae(folder / "other-vae", corpus, seed=1), seed=1)
    save_vae(folder / "without", save_corpus(folder / "little"))
    return folder


@pytest.fixture(scope="module")
def few_resamples():
    with pytest.MonkeyPatch.context() as patch:
        for module in (beside, compare, scores):
            patch.setattr(module, "interval", functools.partial(interval, resamples=20))
        patch.setattr(compare, "FRECHET_RESAMPLES", 20)
        patch.setattr(classifiers, "ROUNDS", 1)
        patch.setattr(classifiers, "TREES", 5)
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
    origins = open_model(runs / "mdrnn").origins
    about = report["about"]
    assert about["VAE"] == {"folder": str(runs / "vae"), "step": 5, "identity": origins["VAE"].identity}
    assert about["MDRNN"] == {"folder": str(runs / "mdrnn"), "step": 7, "identity": origins["MDRNN"].identity}
    assert about["latents of"] == str(runs / "vae")
    assert about["corpus"]["identity"] == open_corpus(origins["VAE"]).identity
    assert (about["seed"], about["songs"], about["bars"], about["draws"]) == (0, 5, 8, 1)
    assert "--songs=5" in about["command"] and about["computed on"] == versions.here()
    assert about["held-out songs"] == {
        "scored": len(HELD_OUT_LENGTHS),
        "too short or too long": 1,
        "too similar to a training song": 1,
    }


def test_every_set_and_every_number_is_there(report):
    models = ["MCVAE (as trained)", "MCVAE (sampler's defaults)", "VAE (free run)", "VAE (bar by bar)"]
    untrained = ["untrained MDRNN", "untrained composer"]
    names = [controls.HALF, controls.COPIES, controls.SHUFFLED, controls.RANDOM, controls.REPEATED, controls.SILENCE]
    kinds = {"models": models, "controls": names + untrained, "continued": ["MCVAE (continued)"]}
    assert report["kinds"] == kinds | {"held_out": HELD_OUT_SET}
    assert set(report["sets"]["sets"]) == set(models + names + untrained)
    assert set(report["copies"]) == set(models + names + untrained + ["MCVAE (continued)", GOING_ON, HELD_OUT_SET])
    wanted = {BITS, *MEASURES, compare.CLASSIFIER, compare.STRONG, compare.FRECHET, compare.MMD}
    for name, each in report["sets"]["sets"].items():
        assert set(each["distances"]) == wanted
        assert each["songs"] == len(each["measures"][BITS]["values"]) == 5, name
    assert report["sets"]["reference"]["songs"] == len(HELD_OUT_LENGTHS) // 2 == 5
    assert len(report["copies"][HELD_OUT_SET]["songs"]) == len(HELD_OUT_LENGTHS)
    copies = report["copies"]
    assert "times" not in copies[GOING_ON]["written"] and "times" in copies["MCVAE (continued)"]["written"]
    found = numbers(report)
    assert len(found) > 1000 and np.isfinite(found).all()


def test_the_page_shows_it_all_and_asks_no_host(report, runs):
    page = (runs / "report" / "report.html").read_text("utf-8")
    text = html.unescape(re.sub(r"<[^>]+>", " ", page))
    for line in (headline(report), *conclusions(report), *findings(report)):
        assert line in text
    for name, row in report["models"]["rows"].items():
        assert name in text and row["role"] in text and row["likelihood"] in text
        assert all(f"{row[figure]['value']:.2f}" in text for figure in ("bits_per_bar", "new", "repeated"))
    for name in [*report["sets"]["sets"], *MEASURES, report["about"]["MDRNN"]["identity"], jax.__version__]:
        assert name in text
    assert not re.search(r"(src|href)=(?!\"data:)|https?:|url\(|@import", page)
    of_music = sum(len(group["sets"]) for group in report["music"])
    assert page.count("<svg") == len(MEASURES) + 1 + of_music == 14
    for name, each in report["music"][0]["sets"].items():
        assert f"{name} (5)" in text
        for figure, share in each["figures"].items():
            assert figure in text and f"{100 * share['value']:.1f} %" in text
    assert ElementTree.fromstring(re.search("<svg.*?</svg>", page)[0]).tag == "svg"
    assert "nan" not in re.sub("[a-z]nan|nan[a-z]", "", page.lower())


def test_the_verdict_comes_first_then_pictures_then_tables(report, runs):
    page = (runs / "report" / "report.html").read_text("utf-8")
    places = [page.index(part) for part in ('class="verdict"', 'class="costs"', "<svg", "<table")]
    assert places == sorted(places)
    words = len(headline(report).split())
    assert words <= 40, words  # ten seconds at 240 words a minute


def test_a_phone_shows_the_answer_without_scrolling_sideways(report, runs, tmp_path):
    browser = open_browser(tmp_path)
    try:
        screen = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        browser.get((runs / "report" / "report.html").as_uri())
        widths = "const e = document.querySelector(arguments[0]); return [e.scrollWidth, e.clientWidth]"
        for part in ("html", ".answer", ".asked", ".asked .wide", ".costs", ".lags"):
            needed, given = browser.execute_script(widths, part)
            assert needed <= given <= 390, part
        opened = "return [...document.querySelectorAll('.answer > p, .asked > .wide')].every(e => e.offsetHeight > 0)"
        assert browser.execute_script(opened)
        assert not browser.execute_script("return document.querySelector('.asked details ul').checkVisibility()")
        assert browser.get_log("browser") == []
    finally:
        browser.quit()


def test_copies_of_training_songs_are_caught(report):
    assert report["copies"][controls.COPIES]["passages"]["value"] == 1
    assert report["copies"][HELD_OUT_SET]["passages"]["value"] == 0
    assert report["copies"][controls.COPIES]["songs"][0]["nearest"].startswith("song-")


@pytest.fixture(scope="module")
def songs(runs):
    """All training songs, and the held-out songs that are scored."""
    corpus = open_corpus(open_model(runs / "vae").origins["VAE"])
    training, held_out = ([corpus.song(i) for i in corpus.songs(side)] for side in (TRAIN, HELD_OUT))
    return training, [song for song in held_out if len(song) >= 16]


def test_bits_of_held_out_songs_are_those_of_the_n_grams(report, songs):
    training, held_out = songs
    rows, bars = report["models"]["rows"], sum(HELD_OUT_LENGTHS)
    assert report["models"]["bars"] == bars and report["models"]["subject"] == "MCVAE"
    ngram = NGrams.fit(training, 5, "kneser_ney").bits_of(held_out)
    assert rows["Kneser-Ney 5-gram"]["bits_of_songs"] == pytest.approx(ngram.tolist())
    assert rows["Kneser-Ney 5-gram"]["bits_per_bar"]["value"] == pytest.approx(ngram.sum() / bars)
    assert len(scores.in_keys(training)) == 12 * len(training)
    in_keys = [transpose(song, shift) for song in training for shift in range(-5, 7)]
    in_keys = NGrams.fit(in_keys, 8, "kneser_ney").bits_of(held_out)
    assert rows["Kneser-Ney 8-gram, 12 keys"]["bits_of_songs"] == pytest.approx(in_keys.tolist())
    assert rows["Kneser-Ney 5-gram"]["bits_per_token"]["value"] == pytest.approx(ngram.sum() / bars / 16)
    assert {name: row["likelihood"] for name, row in rows.items() if row["role"] == scores.NGRAM} == dict.fromkeys(
        (*scores.NGRAMS, f"{scores.IN_KEYS} + copy"), "exact"
    )


def test_the_switch_stands_around_the_models_and_the_best_n_gram(report, runs, songs):
    training, held_out = songs
    rows, switch = report["models"]["rows"], corpus_switch(training, 0)
    models = {
        f"{scores.IN_KEYS} + copy": scores.fit_ngrams(training, [scores.IN_KEYS])[scores.IN_KEYS],
        "MCVAE + copy": open_model(runs / "mdrnn"),
        "VAE (bar by bar) + copy": open_model(runs / "vae"),
    }
    for name, model in models.items():
        bits = [each.sum() / math.log(2) for each in Copying(model, switch).nats(held_out, 1, 0)]
        assert rows[name]["bits_of_songs"] == pytest.approx(bits, rel=1e-5)
    switched, best = rows["MCVAE + copy"], rows[f"{scores.IN_KEYS} + copy"]
    assert switched["repeated"]["value"] < 0.5 * rows["MCVAE"]["repeated"]["value"]
    assert best["bits_per_bar"]["value"] == min(row["bits_per_bar"]["value"] for row in rows.values())
    assert best_form(report["models"], "MCVAE") == "MCVAE + copy"
    lost = switched["bits_per_bar"]["value"] - best["bits_per_bar"]["value"]
    assert (
        f"The MCVAE with the copy switch loses to the n-gram with it by at most {lost:.1f} (" in conclusions(report)[0]
    )


def test_bits_of_held_out_songs_are_those_of_the_models_themselves(report, runs, songs):
    training, held_out = songs
    composer, rows, bars = open_model(runs / "mdrnn"), report["models"]["rows"], sum(HELD_OUT_LENGTHS)
    mu, log_var = composer.codec.encode(np.concatenate([song for song in training if len(song) >= 16]))
    one = LatentPrior(OneGaussian(composer.codec.latent), fit_one_gaussian(mu, log_var, np.ones(len(mu))))
    fresh = composer.untrained(0)["untrained MDRNN"].prior
    priors = {"MCVAE": composer.prior, "one Gaussian": one, "untrained MDRNN": fresh}
    bounds = whole_song_bounds(composer.codec, priors, held_out, 1, 0)
    for name, expected in summarise(bounds, 16)["priors"].items():
        assert rows[name]["bits_per_bar"]["value"] == pytest.approx(expected["bits_per_bar"], rel=1e-5)
        assert rows[name]["rate_nats"] == pytest.approx(expected["rate_nats"], rel=1e-5)
        assert rows[name]["kl_nats"] == pytest.approx(bounds["kl_nats"].sum() / bars, rel=1e-5)
        assert rows[name]["reconstruction_nats"] == pytest.approx(bounds["reconstruction_nats"].sum() / bars, rel=1e-5)
    closed = (bounds["reconstruction_nats"] + bounds["kl_nats"]).sum() / math.log(2) / bars
    alone = rows["VAE (bar by bar)"]
    assert alone["bits_per_bar"]["value"] == pytest.approx(closed, rel=1e-5) and alone["rate_nats"] == alone["kl_nats"]
    tighter = particle_bounds(SongDraws(composer.codec, held_out, 0), priors, 8, 0)["MCVAE"]
    assert rows["MCVAE"]["tighter"]["value"] == pytest.approx(tighter.sum() / math.log(2) / bars, rel=1e-5)
    assert rows["MCVAE"]["tighter"]["value"] < rows["MCVAE"]["bits_per_bar"]["value"]
    assert [name for name, row in rows.items() if "tighter" in row] == ["MCVAE"]
    assert rows["MCVAE"]["beyond"] == {"value": 0, "interval": [0, 0]}
    difference = alone["bits_per_bar"]["value"] - rows["MCVAE"]["bits_per_bar"]["value"]
    assert alone["beyond"]["value"] == pytest.approx(difference)


def test_rows_have_roles_and_a_free_run_has_none_as_it_has_no_likelihood(report):
    rows = report["models"]["rows"]
    roles = {name: row["role"] for name, row in rows.items()}
    assert {name: role for name, role in roles.items() if role != "n-gram"} == {
        "MCVAE": "model",
        "VAE (bar by bar)": "part",
        "MCVAE + copy": "with copy switch",
        "VAE (bar by bar) + copy": "with copy switch",
        "untrained MDRNN": "control",
        "untrained composer": "control",
        "one Gaussian": "control",
    }
    assert all((row["likelihood"] == "bound") == (row["role"] != "n-gram") for row in rows.values())
    assert report["models"]["baselines"] == {"one Gaussian": "MCVAE"}


def test_new_and_repeated_bars_are_counted_apart(report, runs, songs):
    """By a loop over the bars: what stood before in the song, and what each costs."""
    held_out, rows = songs[1], report["models"]["rows"]
    is_repeat = [[bytes(bar) in {bytes(b) for b in song[:n]} for n, bar in enumerate(song)] for song in held_out]
    repeated = sum(map(sum, is_repeat))
    assert report["models"]["repeated_bars"] == repeated and 0 < repeated < sum(HELD_OUT_LENGTHS)
    costs = {"MCVAE": open_model(runs / "mdrnn").nats(held_out, 1, 0)}
    token_bits = NGrams.fit(songs[0], 3, "witten_bell").token_bits(held_out).reshape(-1, 16).sum(axis=1)
    costs["Witten-Bell 3-gram"] = np.split(token_bits * math.log(2), np.cumsum(HELD_OUT_LENGTHS)[:-1])
    for name, nats in costs.items():
        sums = {True: 0.0, False: 0.0}
        for of_song, known in zip(nats, is_repeat, strict=True):
            for cost, stood in zip(of_song, known, strict=True):
                sums[stood] += cost / math.log(2)
        assert rows[name]["repeated"]["value"] == pytest.approx(sums[True] / repeated, rel=1e-5)
        assert rows[name]["new"]["value"] == pytest.approx(sums[False] / (sum(HELD_OUT_LENGTHS) - repeated), rel=1e-5)
    for row in rows.values():
        for figure in ("new", "repeated", "bits_per_bar"):
            low, high = row[figure]["interval"]
            assert low <= row[figure]["value"] <= high


@pytest.mark.slow
def test_a_vae_alone_and_the_same_numbers_again(runs, few_resamples, capsys):
    reports = []
    for _ in range(2):
        evaluate.main([f"--workdir={runs / 'vae'}", f"--out={runs / 'again'}", *SMALL])
        reports.append(json.loads((runs / "again" / "report.json").read_text()))
    assert reports[0] == reports[1]
    *_, progress, first, second, third, last = capsys.readouterr().out.splitlines()
    assert [first, second, third] == conclusions(reports[0]) and last.startswith("Open ")
    assert progress == "what is copied from the training songs"
    (found, _) = reports
    assert found["kinds"]["models"] == ["VAE (bar by bar)", "VAE (free run)"]
    rows = found["models"]["rows"]
    assert found["models"]["subject"] == "VAE (bar by bar)" and "tighter" in rows["VAE (bar by bar)"]
    others = ["VAE (bar by bar)", "VAE (bar by bar) + copy", "untrained composer"]
    assert [name for name, row in rows.items() if row["role"] != "n-gram"] == others
    assert found["models"]["baselines"] == {} and "MDRNN" not in found["about"] and "VAE" in found["about"]


@pytest.mark.slow
def test_two_models_in_one_report(report, runs, few_resamples):
    """Both are called MCVAE, so that their folders tell them apart; one reference, one set of latents for all."""
    models = f"--models={runs / 'mdrnn'},{runs / 'other'}"
    evaluate.main([models, f"--encoder={runs / 'other-vae'}", f"--out={runs / 'two'}", *SMALL])
    found = json.loads((runs / "two" / "report.json").read_text())
    first, second = (f"MCVAE ({runs / name})" for name in ("mdrnn", "other"))
    parts = [f"VAE ({how}) ({runs / vae})" for vae in ("vae", "other-vae") for how in ("free run", "bar by bar")]
    ways = [f"{name} ({how})" for name in (first, second) for how in ("as trained", "sampler's defaults")]
    untrained = ["untrained MDRNN", "untrained composer", "untrained MDRNN (2)", "untrained composer (2)"]
    assert found["kinds"]["models"] == [*ways, *parts] and found["kinds"]["controls"][6:] == untrained
    rows = found["models"]["rows"]
    assert found["models"]["subject"] == first and rows[second]["role"] == "model" and "tighter" in rows[second]
    assert found["models"]["baselines"] == {"one Gaussian": first, "one Gaussian (2)": second}
    for name, single in ((first, "MCVAE"), (parts[1], "VAE (bar by bar)"), ("one Gaussian", "one Gaussian")):
        assert rows[name] == report["models"]["rows"][single] | {"beyond": rows[name]["beyond"]}
    own = open_model(runs / "other").nats(held_out_of(runs), 1, 0)
    bits = sum(each.sum() for each in own) / math.log(2) / sum(HELD_OUT_LENGTHS)
    assert rows[second]["bits_per_bar"]["value"] == pytest.approx(bits)
    about = found["about"]
    assert about["latents of"] == str(runs / "other-vae")
    assert about[f"{second}: MDRNN"]["folder"] == str(runs / "other")
    assert about[f"{first}: VAE"] == report["about"]["VAE"]
    for measure in (*MEASURES, BITS, compare.CLASSIFIER, compare.STRONG):
        alone = report["sets"]["sets"]["MCVAE (as trained)"]["distances"][measure]
        assert found["sets"]["sets"][ways[0]]["distances"][measure] == alone
    frechet = [each["sets"]["bandwidth"] for each in (report, found)]
    assert frechet[0] != frechet[1], "latents of another VAE"
    page = html.unescape((runs / "two" / "report.html").read_text("utf-8"))
    assert f"Evaluation of {first}, {second}" in page
    said = findings(found)
    for name, baseline in ((first, "one Gaussian"), (second, "one Gaussian (2)")):
        assert sum(f"A tighter bound of the {name}, " in line for line in said) == 1
        of_memory = [line for line in said if f"{baseline}, which knows no other bar" in line]
        assert len(of_memory) == 1 and re.search(rf"(saves the|helps the) {re.escape(name)}[ :]", of_memory[0])
    assert all(name in page for name in (first, second, "The same questions of the other models"))


def held_out_of(runs):
    corpus = open_corpus(open_model(runs / "vae").origins["VAE"])
    return [corpus.song(i) for i in corpus.songs(HELD_OUT) if corpus.lengths[i] >= 16]


def test_copies_are_scored_by_an_n_gram_that_has_not_seen_them(report, runs):
    """Songs of random notes: what the n-gram has seen costs it less by far."""
    values = {
        name: report["sets"]["sets"][name]["measures"][BITS]["median"] for name in (controls.HALF, controls.COPIES)
    }
    seen = NGrams.fit([song for song in held_out_of(runs)], 5, "kneser_ney")
    known = np.median([seen.bits(song[:8]) / 8 for song in held_out_of(runs)])
    assert values[controls.COPIES] > 0.8 * values[controls.HALF] > known


def test_songs_that_go_on_are_those_of_the_model(report, runs):
    """Their given bars are real, and their keys those of the seeds: counted here by a loop."""
    model, songs = open_model(runs / "mdrnn"), held_out_of(runs)[:5]
    given = [song[:GIVEN] for song in songs]
    rest = model.go_on(given, song_keys(0, range(1, 6), given), None, model.defaults, 64)
    counted = np.sum([loops(np.concatenate(parts), GIVEN) for parts in zip(given, rest, strict=True)], axis=0)
    figures = report["music"][0]["sets"]["MCVAE (continued)"]["figures"]
    assert figures["bars in A-B-A-B loops"]["value"] == pytest.approx(counted[0] / counted[1])
    assert [group["given"] for group in report["music"]] == [GIVEN, 0]
    assert report["music"][0]["sets"][GOING_ON]["songs"] == 5


def test_songs_that_reach_the_end_of_the_pitches_are_not_moved_beyond():
    song = np.full((2, 16), NOTE_OFF, np.uint8)
    song[0, 0] = 125
    assert [int(moved[0, 0]) for moved in scores.in_keys([song])] == list(range(120, 128))


def refused(*options):
    with pytest.raises(UserError) as caught:
        evaluate.main([str(option) for option in options])
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_models_of_different_corpora_are_not_compared(runs, tmp_path):
    """One may have been trained on what is held out from the other."""
    save_vae(tmp_path / "foreign", save_corpus(tmp_path / "corpus", shift=1))
    out, foreign = f"--out={tmp_path / 'out'}", tmp_path / "foreign"
    said = refused(f"--models={runs / 'mdrnn'},{foreign}", out)
    identities = [open_model(runs / "vae").origins["VAE"].data["identity"][:12]]
    identities.append(open_model(foreign).origins["VAE"].data["identity"][:12])
    assert said.startswith(
        f"{foreign} was trained on another corpus ({identities[1]}) than {runs / 'vae'} ({identities[0]})"
    )
    assert "compare models of one corpus" in said and not (tmp_path / "out").exists()


def test_mistakes(runs, tmp_path):
    workdir, out = f"--workdir={runs / 'vae'}", f"--out={tmp_path / 'out'}"
    assert "--songs is 4; it must be from 5 to 10,000" in refused(workdir, out, "--songs=4")
    assert "--bars is 0" in refused(workdir, out, "--bars=0")
    assert "seed is -1" in refused(workdir, out, "--seed=-1")
    assert "--colour" in refused(workdir, out, "--colour=red")
    for neither_or_both in ((), (workdir, f"--models={runs / 'mdrnn'}")):
        said = refused(out, *neither_or_both)
        assert "give the workdirs of models as --models=DIR,DIR,..., or one as --workdir=DIR" in said
    assert "does not exist" in refused(f"--models={runs / 'vae'},{runs / 'none'}", out)
    assert "does not exist" in refused(workdir, f"--encoder={runs / 'none'}", out)
    assert "0 held-out" in refused(workdir, out, "--bars=100") and "fewer --bars" in refused(workdir, out, "--bars=100")
    assert "2 held-out" in refused(f"--workdir={runs / 'without'}", out, "--bars=16")
    assert not (tmp_path / "out").exists()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("mine")
    assert "choose another --out" in refused(workdir, f"--out={tmp_path / 'notes'}")
    for place in ("mine.txt", "mine.txt/below"):
        assert "choose another --out" in refused(workdir, f"--out={tmp_path / 'notes' / place}")
    assert (tmp_path / "notes" / "mine.txt").read_text() == "mine"
