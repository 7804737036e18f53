"""The thesis' evaluation on tiny models: its sets, its scores and what they hide, the files, and users' mistakes."""

import csv
import itertools
import json
import re
import shlex
import shutil

import numpy as np
import pytest
from matplotlib.cbook import boxplot_stats
from scipy import stats

from experiments import thesis
from experiments.published import claims as claims_module
from experiments.published import figures, musicvae
from experiments.published.claims import (
    UNCLEANED,
    WORKDIR,
    against,
    claims,
    cleaning,
    controls,
    halfway,
    mean_of,
    overview,
    spread,
    summarise,
)
from experiments.published.sets import (
    ALPHAS,
    BITS,
    HONEST,
    LONG,
    MCVAE_CONDITIONAL,
    MCVAE_FREE,
    MEASURES,
    PUBLISHED,
    REAL,
    SILENCE,
    TRUE,
    VAE_CONDITIONAL,
    VAE_FREE,
    Melodies,
    Pairs,
    Scored,
    Scorer,
    choose_pairs,
    composed,
    latents,
    without_model,
)
from experiments.results import new_figure
from mcvae_jax import versions
from mcvae_jax.corpus.build import build_corpus
from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.corpus.store import HELD_OUT, TRAIN, Corpus
from mcvae_jax.errors import UserError
from mcvae_jax.kinds import open_model
from mcvae_jax.models.latent_composer import BarByBar
from mcvae_jax.models.ngrams import NGrams
from mcvae_jax.models.settings import DEFAULTS, Settings
from mcvae_jax.music.tokens import NO_EVENT
from mcvae_jax.options import parse as parse_training
from tests.small_models import edit_json, save_corpus, save_mdrnn, save_vae

pytestmark = pytest.mark.slow

TRAINING, HELD = (20, 16, 33, 18, 40), (16, 18, 30, 33, 16, 20, 28, 17, 24)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    sides = [TRAIN] * len(TRAINING) + [HELD_OUT] * (len(HELD) + 1)
    corpus = save_corpus(folder / "corpus", lengths=(*TRAINING, *HELD, 15), sides=sides)
    save_mdrnn(folder / "mdrnn", folder / "vae", save_vae(folder / "vae", corpus))
    other = save_vae(folder / "other-vae", save_corpus(folder / "other", shift=1), seed=1)
    save_mdrnn(folder / "other-mdrnn", folder / "other-vae", other, seed=1)
    save_vae(folder / "little-vae", save_corpus(folder / "little"))
    return folder


@pytest.fixture(scope="module", autouse=True)
def few_resamples():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("experiments.published.claims.RESAMPLES", 10)
        yield


@pytest.fixture(scope="module")
def results(runs):
    """The folder of one whole run with both models."""
    build_corpus(CorpusSettings(source="tunes"), runs / "tunes", workers=1, pictures=False)
    (runs / "corpus" / "report.json").write_bytes((runs / "tunes" / "report.json").read_bytes())
    options = [f"--workdir={runs / 'mdrnn'}", f"--uncleaned={runs / 'other-mdrnn'}", f"--out={runs / 'out'}"]
    thesis.main([*options, "--songs=3", "--as_trained"])
    (runs / "corpus" / "report.json").unlink()
    return runs / "out"


def table(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def tunes(rng, songs, bars, notes=(60, 62, 64, 65, 67)):
    """Songs of plain tunes: a few pitches in steady eighths with held notes."""
    made = np.full((songs, bars, 16), NO_EVENT, np.uint8)
    made[..., ::2] = rng.choice([*notes, NO_EVENT], (songs, bars, 8), p=[0.12] * 5 + [0.4])
    return list(made)


def test_the_songs_are_different_held_out_ones_and_a_pair_does_not_depend_on_how_many(runs):
    corpus = Corpus.open(runs / "corpus")
    pairs = choose_pairs(corpus, "held_out", 100, 0)
    assert len(pairs.a) == len(pairs.b) == len(HELD) // 2  # half as many as there are, and not the one of 15 bars
    names = [name for pair in pairs.names for name in pair]
    assert len(set(names)) == len(names)
    assert set(names) <= {f"song-{i}.mid" for i in range(len(TRAINING), len(TRAINING) + len(HELD))}
    assert choose_pairs(corpus, "held_out", 2, 0).names == pairs.names[:2]
    assert choose_pairs(corpus, "held_out", 100, 1).names != pairs.names
    everything = choose_pairs(corpus, "all", 100, 0)
    assert len(everything.a) == (len(TRAINING) + len(HELD)) // 2
    number = int(re.search(r"\d+", pairs.names[1][0])[0])
    assert np.array_equal(pairs.a[1], corpus.song(number))
    assert [len(song) for song in pairs.excerpts(5)[1]] == [5] * len(pairs.b)


def at_first_alpha(composer, pairs, settings=DEFAULTS, with_first=True):
    made = composed(composer, pairs, settings, with_first, lambda line: None)
    return list(itertools.takewhile(lambda m: m.alpha == ALPHAS[0], made))


def test_every_set_has_the_sizes_of_the_algorithms(runs):
    composer, pairs = open_model(runs / "mdrnn"), choose_pairs(Corpus.open(runs / "corpus"), "held_out", 2, 0)

    def shapes(composer, with_first):
        made = at_first_alpha(composer, pairs, with_first=with_first)
        return {(m.method, m.bars): np.shape(m.songs) for m in made}

    for left, found in ((0, shapes(composer, True)), (1, shapes(composer, False))):
        expected = {(VAE_CONDITIONAL, 5), (VAE_FREE, 5), (VAE_FREE, 25), (MCVAE_CONDITIONAL, 5 - left)}
        expected |= {(MCVAE_FREE, 5 - left), (MCVAE_FREE, 25 - left)}
        assert found == {(method, bars): (2, bars, 16) for method, bars in expected}
    alone = shapes(BarByBar(composer.codec), True)
    assert {method for method, _ in alone} == {VAE_CONDITIONAL, VAE_FREE}


def test_the_latents_are_the_means_of_the_first_bars_of_a_and_of_b(runs):
    composer, pairs = open_model(runs / "mdrnn"), choose_pairs(Corpus.open(runs / "corpus"), "held_out", 2, 0)
    for z, songs in zip(latents(composer, pairs), (pairs.a, pairs.b), strict=True):
        for pair in range(2):
            expected, _ = composer.codec.encode(songs[pair][:5])
            np.testing.assert_allclose(z[pair], expected, atol=1e-5)


def test_a_pair_is_the_same_however_many_there_are(runs):
    composer, corpus = open_model(runs / "mdrnn"), Corpus.open(runs / "corpus")
    wild = Settings(temperature=1.0, tau_sigma=1.0)
    few, many = (choose_pairs(corpus, "held_out", n, 0) for n in (2, 4))
    made = [[*without_model(pairs, 0), *at_first_alpha(composer, pairs, wild)] for pairs in (few, many)]
    for ours, theirs in zip(*made, strict=True):
        assert ours[:2] == theirs[:2]
        assert all(np.array_equal(x, y) for x, y in zip(ours.songs, theirs.songs, strict=False))


@pytest.fixture(scope="module")
def scored():
    """Plain tunes as real songs, and sets that are no music or hardly so."""
    rng = np.random.default_rng(0)
    pairs = Pairs(tunes(rng, 20, 30), tunes(rng, 20, 30), [("", "")] * 20)
    scorer = Scorer(tunes(rng, 80, 30), pairs)
    sets = [scorer("", melodies) for melodies in without_model(pairs, 0)]
    for alpha in ALPHAS:
        for method in (VAE_CONDITIONAL, VAE_FREE):
            sets.append(scorer(WORKDIR, Melodies(method, 5, alpha, tunes(rng, 20, 5))))
        sets.append(scorer(WORKDIR, Melodies(MCVAE_FREE, 5, alpha, tunes(rng, 20, 5, (60, 62, 64, 64, 64)))))
    return sets


def test_error_11_silence_wins_in_thesis_mode_and_is_last_by_the_two_sided_measure(scored):
    real = np.concatenate([s.scores[PUBLISHED] for s in scored if (s.method, s.bars) == (REAL, 5)])
    (quiet,) = (s for s in scored if s.method == SILENCE)
    assert np.mean(quiet.scores[PUBLISHED].min() > real) > 0.95
    of_real = np.concatenate([s.scores[BITS] for s in scored if s.method == REAL and s.bars == 5])
    assert quiet.scores[BITS].max() < of_real.min() or quiet.scores[BITS].min() > of_real.max()
    rows = overview(scored, 0)
    assert rows[-1]["method"] == SILENCE
    (drawn_alike,) = (row["wasserstein"] for row in rows if row["method"] == VAE_CONDITIONAL)
    assert rows[-1]["wasserstein"] > 5 * drawn_alike
    assert "beats 40 of 40" in controls(scored, rows)
    last = len(rows) - 2  # real songs are two rows
    assert f"it comes number {last} of {last} sets" in controls(scored, rows)


def test_error_12_the_dip_is_an_artefact_that_the_honest_blend_does_not_have(scored):
    of = {(s.method, s.alpha): s.scores[PUBLISHED] for s in scored if s.bars == 5}
    for alpha, end in ((0.1, 0.0), (0.3, 0.0), (0.7, 1.0), (0.9, 1.0)):
        assert np.array_equal(of[TRUE, alpha], of[REAL, end])
        assert not np.array_equal(of[HONEST, alpha], of[REAL, end])
    assert not np.array_equal(of[TRUE, 0.5], of[REAL, 0.0])


def test_scores_are_those_of_the_formula_by_hand():
    song = np.full((5, 16), NO_EVENT, np.uint8)
    other = np.full((5, 16), 60, np.uint8)
    scorer = Scorer([song], Pairs([song], [other], [("", "")]))
    found = scorer("", Melodies(REAL, 5, 1.0, [song])).scores
    # of 80 tokens 76 grams count, all (129, 129, 129, 129 -> 129); a song that is in training and in A counts once
    for measure in (PUBLISHED, "thesis_training", "thesis_excerpts", "thesis_own_set"):
        assert found[measure][0] == pytest.approx((77 / 206) ** (76 / 80))
    corrected = NGrams.fit([song], 5, "kneser_ney")  # which A and B are not part of, and which predicts all 80
    assert found[BITS][0] == pytest.approx(corrected.bits(song) / 5)
    twice = Scorer([song, song], Pairs([song], [other], [("", "")]))("", Melodies(REAL, 5, 1.0, [song])).scores
    for measure in (PUBLISHED, "thesis_training"):  # a corpus with duplicates counts them
        assert twice[measure][0] == pytest.approx((153 / 282) ** (76 / 80))


@pytest.mark.parametrize("measure, scale", [(PUBLISHED, 100), (BITS, 1)])
def test_the_boxes_go_from_b_to_a(scored, measure, scale):
    axes = new_figure(3, 3).subplots()
    figures.draw_panel(axes, scored, figures.Panel(WORKDIR, VAE_CONDITIONAL), measure)
    means = [float(line.get_ydata()[0]) for line in axes.lines if line.get_marker() == "^"]
    by = {(s.method, s.alpha): s.scores[measure].mean() for s in scored if s.bars == 5}
    expected = [by[REAL, 0.0], *(by[VAE_CONDITIONAL, alpha] for alpha in ALPHAS), by[REAL, 1.0]]
    assert means == pytest.approx([scale * mean for mean in expected])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["B", *map(str, ALPHAS), "A"]


def test_the_summary_is_that_of_scipy(scored):
    rows = {(r["model"], r["method"], r["bars"], r["alpha"], r["measure"]): r for r in summarise(scored, 0)}
    by = {(s.model, s.method, s.bars, s.alpha): s.scores for s in scored}
    a, b = by["", REAL, 5, 1.0][BITS], by["", REAL, 5, 0.0][BITS]
    values = by[WORKDIR, VAE_CONDITIONAL, 5, 0.3][BITS]
    row = rows[WORKDIR, VAE_CONDITIONAL, 5, 0.3, BITS]
    assert row["wasserstein"] == pytest.approx(stats.wasserstein_distance(values, np.concatenate([a, b])))
    assert row["interquartile_range"] == pytest.approx(stats.iqr(values)) and row["mean"] == pytest.approx(
        values.mean()
    )
    assert rows["", REAL, 5, 1.0, BITS]["wasserstein"] == pytest.approx(stats.wasserstein_distance(a, b))
    assert rows["", REAL, 5, "all", BITS]["wasserstein"] == pytest.approx(stats.wasserstein_distance(a, b))
    everything = np.concatenate([by[WORKDIR, VAE_CONDITIONAL, 5, alpha][BITS] for alpha in ALPHAS])
    row = rows[WORKDIR, VAE_CONDITIONAL, 5, "all", BITS]
    assert row["songs"] == 100 and row["median"] == pytest.approx(np.median(everything))
    assert row["wasserstein"] == pytest.approx(stats.wasserstein_distance(everything, np.concatenate([a, b])))


def test_outliers_are_those_that_a_box_plot_shows():
    values = np.append(np.random.default_rng(0).normal(size=50), [9.0, -8.0, 3.5])
    assert spread(values)["outliers"] == len(boxplot_stats(values)[0]["fliers"]) >= 2


def test_what_follows_depends_on_the_numbers(scored):
    def said(change):
        changed = [s._replace(scores={m: change(s, v) for m, v in s.scores.items()}) for s in scored]
        return {row["claim"]: row for row in claims(changed, 0)}["VAE conditional (Fig 6.7)"]["follows"]

    def shifted(by):
        return said(lambda s, v: v + by * (s.method == VAE_CONDITIONAL))

    higher, lower = shifted(0.5), shifted(-0.5)
    assert re.search(r"Thesis mode: higher \(by [\d.]+% to [\d.]+%\) than real", higher)
    assert re.search(r"Thesis mode: lower \(by [\d.]+% to [\d.]+%\) than real", lower) and "silence" not in lower
    assert re.search(r"mean bits, and [\d.]+ \([\d.]+ to [\d.]+\) away, where A and B are [\d.]+ \([\d.]+ to", lower)
    assert "score nearly as silence" in shifted(0.9)
    same = said(lambda s, v: np.full_like(v, 0.5))
    assert "Thesis mode: not shown to differ from (by 0.0% to 0.0%) real songs" in same


def test_scores_are_put_beside_others_by_the_interval_of_a_paired_test():
    rng = np.random.default_rng(1)
    real = rng.normal(30, 5, (40, 2))
    for shift in (-3.0, 0.0, 3.0):
        values = real + shift + rng.normal(0, 4, real.shape)
        test = stats.ttest_rel(values.mean(axis=1), real.mean(axis=1))
        low, high = test.confidence_interval(0.95)
        expected = f"not shown to differ from (by {low:.1f} to {high:.1f})"
        if shift:
            ends = sorted((abs(low), abs(high)))
            expected = f"{'higher' if shift > 0 else 'lower'} (by {ends[0]:.1f} to {ends[1]:.1f}) than"
        assert against(values, real, ".1f") == expected and (test.pvalue < 0.05) == bool(shift)
    low, high = stats.t.interval(0.95, 39, real.mean(), stats.sem(real.mean(axis=1)))
    assert mean_of(real, ".2f") == f"{real.mean():.2f} ({low:.2f} to {high:.2f})"
    assert mean_of(np.ones((3, 2)), ".1f") == "1.0 (1.0 to 1.0)"


def test_cleaned_beside_uncleaned_counts_outliers(monkeypatch):
    monkeypatch.setattr(claims_module, "RESAMPLES", 1000)

    def of(model, extreme):
        values = np.array([*range(20), *extreme], float)
        return [Scored(model, MCVAE_FREE, 5, alpha, dict.fromkeys(MEASURES, values)) for alpha in ALPHAS]

    found = cleaning(of(WORKDIR, [5, 6]) + of(UNCLEANED, [90, -90]), 0)
    assert "; uncleaned: mean 8.6, 10 outliers of 110" in found["corrected"]
    assert "cleaned: mean 9.1, 0 outliers of 110" in found["corrected"].split(";")[0]
    unsure = r"not shown to have more or fewer outliers \(-10, -\d+ to \+0\)"
    assert re.search(f"in thesis mode {unsure}, in bits {unsure}", found["follows"])
    many = cleaning(of(WORKDIR, [5, 6]) + of(UNCLEANED, [90, -90, 95, -95]), 0)["follows"]
    assert re.search(r"in thesis mode fewer outliers \(-20, -\d+ to -\d+\)", many)


def test_at_a_half_the_mcvae_is_put_beside_both_blends_and_the_vae():
    values = {MCVAE_CONDITIONAL: 0.4, VAE_CONDITIONAL: 0.1, TRUE: 0.2, HONEST: 0.4}
    noise = np.linspace(-0.01, 0.01, 20)
    sets = [
        Scored("" if method in (TRUE, HONEST) else WORKDIR, method, 5, alpha, dict.fromkeys(MEASURES, value + noise))
        for method, at_half in values.items()
        for alpha, value in ((0.3, 0.9), (0.5, at_half))
    ]
    found = halfway(sets, WORKDIR)
    means = re.findall(r"(\w+) ([\d.]+%) \(", found["thesis mode"])
    assert means == [("MCVAE", "40.0%"), ("VAE", "10.0%"), ("published", "20.0%"), ("honest", "40.0%")]
    higher, lower = (f"{way} (by {by} to {by}) than" for way, by in (("higher", "20.0%"), ("lower", "10.0%")))
    assert f"MCVAE: {higher} the published, not shown to differ from (by 0.0% to 0.0%) the honest" in found["follows"]
    assert f"; VAE: {lower} the published, lower (by 30.0% to 30.0%) than the honest" in found["follows"]
    assert halfway(sets, UNCLEANED)["thesis mode"] == "not measured"


def test_the_files_hold_every_number(results, runs):
    assert {path.name for path in results.iterdir()} == thesis.FILES
    rows = table(results / "scores.csv")
    per_model = {(VAE_CONDITIONAL, 5), (VAE_FREE, 5), (VAE_FREE, LONG), (MCVAE_CONDITIONAL, 5), (MCVAE_FREE, 5)}
    per_model.add((MCVAE_FREE, LONG))
    for model in (WORKDIR, UNCLEANED):
        found = [(r["method"], int(r["bars"]), float(r["alpha"]), int(r["pair"])) for r in rows if r["model"] == model]
        assert sorted(found) == sorted(
            (*name, alpha, pair) for name in per_model for alpha in ALPHAS for pair in range(3)
        )
    assert all(0 < float(r[m]) <= 1 for r in rows for m in MEASURES if m != BITS)
    assert all(float(r[BITS]) > 0 for r in rows)
    about = json.loads((results / "summary.json").read_text())
    origins, of_other = (open_model(runs / name).origins for name in ("mdrnn", "other-mdrnn"))
    assert about["workdir"]["MDRNN"]["identity"] == origins["MDRNN"].identity
    assert about["uncleaned"]["VAE"]["step"] == 5 and about["settings"]["tau_sigma"] == 1
    assert about["uncleaned"]["VAE"]["identity"] == of_other["VAE"].identity != origins["VAE"].identity
    assert about["seed"] == 0 and about["pairs"] == 3 and about["computed on"] == versions.here()
    assert about["corpus"]["identity"] == Corpus.open(runs / "corpus").identity and "--songs=3" in about["command"]
    assert about["claims"] == table(results / "claims.csv") and len(about["claims"]) == 10
    paths = table(results / "musicvae.csv")
    assert len(paths) == 33
    ends = {float(r["alpha"]): float(r["hamming_to_a"]) for r in paths if r["path"] == "token mixing"}
    assert ends[1.0] == 0 and ends[0.0] == max(ends.values())
    costs = {float(r["alpha"]): float(r["relative_cost"]) for r in paths if r["path"] == "token mixing"}
    assert costs[0.0] == pytest.approx(1) and costs[1.0] == pytest.approx(1) and min(costs.values()) > 0


def test_the_page_shows_every_figure_and_asks_no_host(results):
    page = (results / "index.html").read_text("utf-8")
    assert page.count("data:image/png;base64,") == 2 * 6 + 2
    places = [page.index(part) for part in ('class="verdict"', "data:image/png", "<table")]
    assert places == sorted(places)  # what follows first, then pictures, then tables
    for number in ("5.4", "6.6", "6.7", "6.8", "6.9", "6.10", "6.11", "7.1"):
        assert number in page
    assert "is missing" not in page and "are missing" not in page
    assert not re.search(r"(src|href)=(?!\"data:)|https?:|url\(|@import", page)


def touch_figure(figure, path):
    for suffix in (".png", ".pdf"):
        path.with_name(path.name + suffix).touch()


def test_a_vae_alone_says_what_is_missing(runs, tmp_path, capsys, monkeypatch):
    for module in (figures, musicvae):
        monkeypatch.setattr(module, "save_figure", touch_figure)  # drawing takes most of the time
    thesis.main([f"--workdir={runs / 'vae'}", f"--out={tmp_path / 'out'}", "--songs=9", "--as_printed"])
    said = capsys.readouterr().out
    assert "A and B have 4 songs each, not 9" in said
    assert "Figs 6.8, 6.10 and 6.11 are missing" in said and "Figs 7.1 to 7.4 are missing" in said
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert "fig_6_9_corrected.png" in names and not any("6_8" in name or "6_10" in name for name in names)
    about = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert about["settings"]["tau_sigma"] == 0.5 and about["as_printed"] is True


def edit(workdir, change):
    """Changes the record of a workdir."""
    edit_json(workdir / "config.json", change)


@pytest.mark.parametrize("one_command", [True, False])
def test_the_commands_of_the_twin_can_be_run(runs, tmp_path, one_command):
    both = tmp_path / "both"
    for part, file in (("vae", "mcvae" if one_command else "vae"), ("mdrnn", "mcvae" if one_command else "mdrnn")):
        folder = shutil.copytree(runs / part, both / part)
        command = f"python -m mcvae_jax.main --config=configs/{file}.py --workdir={both if one_command else folder}"
        edit(folder, lambda record, command=command: record.update(command=command))
    commands = thesis.twin_commands(open_model(both / "mdrnn"))
    told = [parse_training(shlex.split(command)[3:]) for command in commands]
    vae = told[0].config.vae if one_command else told[0].config
    assert (vae.corpus.max_bars, vae.corpus.dedupe, vae.corpus_folder) == (0, "none", "")
    mdrnn = told[0].config.mdrnn if one_command else told[1].config
    assert mdrnn.data.max_bars == 0
    if one_command:
        assert len(commands) == 1 and told[0].workdir == f"{both}-uncleaned"
    else:
        assert told[0].workdir == told[1].config.vae_workdir == f"{both / 'vae'}-uncleaned"
        assert told[1].workdir == f"{both / 'mdrnn'}-uncleaned"


def test_a_twin_of_another_split_is_told(runs, tmp_path):
    def missing(**other_corpus):
        models = {}
        for name, prior, vae, settings in (
            (WORKDIR, "mdrnn", "vae", {}),
            (UNCLEANED, "other-mdrnn", "other-vae", other_corpus),
        ):
            for part in (prior, vae):
                shutil.copytree(runs / part, tmp_path / part, dirs_exist_ok=True)
            corpus = {"split_seed": 0, "max_bars": 339} | settings
            edit(tmp_path / vae, lambda record, corpus=corpus: record["config"].update(corpus=corpus))
            models[name] = open_model(tmp_path / prior)
        corpus = Corpus.open(runs / "corpus")
        flags = thesis.parse(["--workdir=x", "--out=x", "--songs=2"])
        return " ".join(thesis.missing(models, choose_pairs(corpus, "held_out", 2, 0), flags))

    assert "--uncleaned" not in missing(max_bars=0)
    assert "split_seed 1, not 0" in missing(split_seed=1)


def refused(*options):
    with pytest.raises(UserError) as caught:
        thesis.main([str(option) for option in options])
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_mistakes(runs, tmp_path):
    workdir, out = f"--workdir={runs / 'mdrnn'}", f"--out={tmp_path / 'out'}"
    assert "--songs is 1" in refused(workdir, out, "--songs=1")
    assert "seed is -1" in refused(workdir, out, "--seed=-1")
    assert "songs_from" in refused(workdir, out, "--songs_from=mars")
    assert "give workdirs with a prior each" in refused(workdir, out, f"--uncleaned={runs / 'other-vae'}")
    assert "are the same model" in refused(workdir, out, f"--uncleaned={runs / 'mdrnn'}")
    assert "2 held-out songs" in refused(f"--workdir={runs / 'little-vae'}", out)
    assert not (tmp_path / "out").exists()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("mine")
    assert "choose another --out" in refused(workdir, f"--out={tmp_path / 'notes'}")
    assert (tmp_path / "notes" / "mine.txt").read_text() == "mine"
