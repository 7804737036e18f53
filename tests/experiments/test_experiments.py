"""What each experiment adds to the runs: its arms, its choice of songs, its numbers and figures."""

import csv
from types import SimpleNamespace

import mido
import numpy as np
import pytest

from experiments import bars, capacity, cleaning, encoding, grid, kl_targets
from experiments.results import new_figure
from experiments.trainings import common_songs, panels, runs, scores
from experiments.trainings.panels import by_arm
from experiments.trainings.runs import Result
from experiments.trainings.tables import MISSING
from mcvae_jax.corpus.store import HELD_OUT, TRAIN, Corpus
from mcvae_jax.errors import UserError
from mcvae_jax.evaluation.measures import MEASURES
from mcvae_jax.music.tokens import NOTE_OFF
from mcvae_jax.storage.workdir import Workdir
from tests.small_models import edit_json, save_corpus, save_mdrnn, save_vae


def flags_of(experiment, out, *more):
    return runs.parse(runs.make_parser(experiment, "A test."), [f"--out={out}", *more])


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """60 files of 17 or 18 bars, each a tune of its own: a third has a pickup of half a bar, a third is in 3/4."""
    folder, rng = tmp_path_factory.mktemp("source"), np.random.default_rng(0)
    for number in range(60):
        kind = ("pickup", "three", "plain")[number % 3]
        file = mido.MidiFile(ticks_per_beat=480)
        track = mido.MidiTrack()
        file.tracks.append(track)
        beats = {"pickup": 2, "three": 3, "plain": 4}[kind]
        track.append(mido.MetaMessage("time_signature", numerator=beats, denominator=4))
        for note in range(17 * 4 + 2 * (kind == "pickup")):
            pitch = int(rng.integers(50, 80))
            track.append(mido.Message("note_on", note=pitch, velocity=80))
            track.append(mido.Message("note_off", note=pitch, velocity=0, time=480))
            if kind == "pickup" and note == 1:
                track.append(mido.MetaMessage("time_signature", numerator=4, denominator=4))
        file.save(folder / f"{kind}-{number:03}.mid")
    return folder


@pytest.fixture(scope="module")
def both(source, tmp_path_factory):
    """The corpora of both policies, with the split of experiments.bars."""
    out = tmp_path_factory.mktemp("policies")
    flags = flags_of("bars", out, f"--source={source}", "--config.vae.corpus.held_out=0.4")
    return {policy: bars.read(flags, policy) for policy in ("metre", "fixed16")}


def names_on(corpus: Corpus, side):
    records = corpus.records()
    return {records[i]["name"] for i in corpus.songs(side)}


def test_only_songs_held_out_under_both_policies_are_compared(both):
    metre, fixed = both["metre"], both["fixed16"]
    assert {r["name"].split("-")[0] for r in metre.records()} == {"pickup", "plain"}
    assert {r["name"].split("-")[0] for r in fixed.records()} == {"pickup", "plain", "three"}
    assert names_on(metre, HELD_OUT) == {n for n in names_on(fixed, HELD_OUT) if not n.startswith("three")}
    names = common_songs.held_out_in_all([metre, fixed], 16, 339)
    assert set(names) == names_on(metre, HELD_OUT) and len(names) > 5
    assert not set(names) & (names_on(metre, TRAIN) | names_on(fixed, TRAIN))
    onsets = [
        [np.sum(song < NOTE_OFF) for song in common_songs.songs_by_name(corpus, names)] for corpus in (metre, fixed)
    ]
    assert onsets[0] == onsets[1]  # the same notes in other bars
    a, b = (common_songs.songs_by_name(corpus, names) for corpus in (metre, fixed))
    for name, first, second in zip(names, a, b, strict=True):
        assert np.array_equal(first, second) == (not name.startswith("pickup"))
    with pytest.raises(UserError, match="no song from 400 to 500 bars is held out under every arm"):
        common_songs.held_out_in_all([metre, fixed], 400, 500)


def test_fixed16_on_the_same_songs_is_the_same_but_for_the_others(both, tmp_path):
    metre, fixed = both["metre"], both["fixed16"]
    wanted = {record["name"] for record in metre.records()}
    same = bars.restricted(fixed, wanted, tmp_path / "same")
    assert {record["name"] for record in same.records()} == wanted
    for side in (TRAIN, HELD_OUT):
        assert names_on(same, side) == names_on(fixed, side) & wanted
    name = sorted(wanted)[3]
    np.testing.assert_array_equal(*(common_songs.songs_by_name(corpus, [name])[0] for corpus in (same, fixed)))
    before = (tmp_path / "same" / "corpus.json").stat().st_mtime_ns
    assert bars.restricted(fixed, wanted, tmp_path / "same").identity == same.identity
    assert (tmp_path / "same" / "corpus.json").stat().st_mtime_ns == before
    assert "vae.corpus.bars=fixed16" in bars.changes(same) and f"vae.corpus_folder={same.folder}" in bars.changes(same)


@pytest.mark.slow
def test_bits_of_common_songs_are_kept_and_add_up(tmp_path):
    corpus = save_corpus(tmp_path / "corpus")
    run = tmp_path / "run"
    save_mdrnn(run / "mdrnn", run / "vae", save_vae(run / "vae", corpus))
    edit_json(run / "mdrnn" / "config.json", lambda record: record["config"].update(corpus_folder=""))
    result, names, said = Result("a", 0, run, {"models": ["m"]}), ["song-4.mid", "song-5.mid"], []
    bits = common_songs.song_bits(result, names, said.append)
    assert bits.shape == (2,) and np.all(bits > 0) and len(said) == 1
    np.testing.assert_array_equal(common_songs.song_bits(result, names, said.append), bits)
    assert len(said) == 1  # kept
    other = common_songs.song_bits(result._replace(scores={"models": ["n"]}), names[:1], said.append)
    assert len(said) == 2
    np.testing.assert_allclose(other, bits[:1], rtol=1e-5)


@pytest.mark.parametrize("share", [0.11, 0.5])
def test_the_outlier_has_its_share_and_is_almost_silent(tmp_path, share):
    corpus = save_corpus(tmp_path / "corpus")
    grown = cleaning.with_outlier(corpus, share, tmp_path / "grown")
    added = grown.song(len(corpus))
    assert len(added) / len(grown.tokens) == pytest.approx(share, abs=1 / len(grown.tokens))
    assert grown.records()[-1]["name"] == cleaning.OUTLIER and grown.sides[-1] == TRAIN
    assert np.mean(added < NOTE_OFF) <= 1 / 16 / 2 and np.sum(added < NOTE_OFF) >= 1
    np.testing.assert_array_equal(grown.tokens[: len(corpus.tokens)], corpus.tokens)
    assert cleaning.with_outlier(corpus, share, tmp_path / "grown").identity == grown.identity


def test_arms_of_equal_corpora_are_trained_once(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(cleaning, "say", said.append)
    one, other = (save_corpus(tmp_path / str(shift), shift=shift) for shift in (0, 1))
    arms = cleaning.choose_arms({"no limit": other, "339": one, "226": one})
    assert list(arms) == ["no limit", "339", "339, by song"]
    assert said == ["the limit of 226 bars leaves the corpus of '339' as it is: not trained again"]
    assert arms["339, by song"] == [*arms["339"], "vae.data.sampler=song"]
    assert {"vae.corpus.max_bars=0", "mdrnn.data.max_bars=0"} <= set(arms["no limit"])
    assert list(cleaning.choose_arms({"no limit": one, "339": one, "226": other})) == ["339", "226", "339, by song"]


@pytest.mark.slow
def test_no_song_is_held_out_in_one_arm_of_cleaning_and_trained_on_in_another(source, tmp_path):
    flags = flags_of("cleaning", tmp_path, f"--source={source}", "--config.vae.corpus.held_out=0.3")
    flags.outlier_share = 0.2
    corpora = cleaning.read_corpora(flags)
    assert len(corpora["no limit"]) == len(corpora["339"]) + 1
    names = set(common_songs.held_out_in_all(list(corpora.values()), 16, 226))
    assert names and not any(names & names_on(corpus, TRAIN) for corpus in corpora.values())


def test_arms_of_capacity_differ_in_the_loss_alone(tmp_path):
    flags = flags_of("capacity", tmp_path, "--config.vae.train.steps=100")
    configs = {name: runs.make_config(flags, changes)[0].vae for name, changes in capacity.arms(flags).items()}
    assert list(configs) == ["beta 0.2", "beta 1", "free bits 15", "capacity 15", "capacity 25"]
    losses = {name: config.loss.to_dict() for name, config in configs.items()}
    assert losses["beta 0.2"]["beta"] == 0.2 and losses["beta 1"]["beta_steps"] == 75
    assert losses["free bits 15"] == losses["beta 1"] | {"free_bits": "per_bar", "free_nats": 15.0}
    assert [losses[f"capacity {c}"]["capacity"] for c in (15, 25)] == [15.0, 25.0]
    others = [{k: v for k, v in config.to_dict().items() if k != "loss"} for config in configs.values()]
    assert all(other == others[0] for other in others)
    assert others[0]["train"]["eval_every"] == 100  # so that no checkpoint but the last is the best


def result_of(arm, seed, pitch_range, real=tuple(range(101))):
    def described(ranges):
        values = {name: list(map(float, ranges)) for name in (*MEASURES, "bits per bar")}
        return {"values": values, "repeats_by_lag": [0.1 * (lag % 4 == 0) for lag in range(1, 17)]}

    sets = {scores.REAL: described(real)} | {way: described(pitch_range) for way in scores.SETTINGS}
    figures = {"rate_nats": 10.0 + seed, "reconstruction_nats": 5.0, "bound_bits": 20.0 + seed, "common_bits": 20.0}
    return Result(arm, seed, None, {"sets": sets, "figures": figures})


def test_the_share_in_the_range_of_real_songs(tmp_path):
    scored = result_of("a", 0, [4, 5, 50, 95, 96, 0, 100, 60]).scores  # 5 to 95 is the middle 90 % of 0 to 100
    assert capacity.share_in_range(scored, "defaults") == 4 / 8
    assert capacity.share_in_range(scored, scores.REAL) == 91 / 101


@pytest.mark.more
@pytest.mark.usefixtures("rendered")
def test_figures_are_drawn_with_any_number_of_seeds_and_arms(tmp_path):
    found = [result_of(arm, seed, [10, 20, 30]) for arm in ("beta 0.2", "capacity 15") for seed in (0, 1)]
    found[3] = found[3]._replace(scores={})
    capacity.draw(by_arm(found), tmp_path)
    cleaning.draw(by_arm(found[:1]), tmp_path)
    for name in ("capacity", "cleaning"):
        assert all((tmp_path / f"{name}{suffix}").stat().st_size > 5000 for suffix in (".png", ".pdf"))


def test_shares_end_at_one_and_the_legend_hides_no_curve(tmp_path):
    found = [result_of(arm, 0, [10]) for arm in ("no limit", "339", "226", "339, by song")]
    for run in found:
        run.scores["sets"]["defaults"]["repeats_by_lag"] = [0.97] * 16
    figure = new_figure(5, 4)
    axes = figure.subplots()
    panels.draw_repeats(axes, by_arm(found))
    figure.draw_without_rendering()
    assert 0.97 < axes.get_ylim()[1] <= 1
    legend, frame = axes.get_legend().get_window_extent(), axes.xaxis.get_tightbbox()
    assert legend.y1 < frame.y0 and legend.y0 >= 0 and legend.x0 >= 0 and legend.x1 <= figure.bbox.x1


COSTS = {(u, z): (10.0, u * 1e-5) for u in (32, 64, 128, 256) for z in grid.LATENTS}  # 0.32 to 2.56 s a thousand


def test_a_budget_for_all_is_spent_on_bars(tmp_path):
    seen, cells = grid.choose(COSTS, set(), 8000.0)
    assert set(cells) == set(COSTS) and grid.LEAST_BARS < seen < grid.MOST_BARS
    spent = sum(fixed + seen * each for fixed, each in COSTS.values())
    assert 0.97 * 8000 < spent <= 8000
    assert grid.choose(COSTS, set(), 1e9)[0] == grid.MOST_BARS


def test_cells_that_do_not_fit_are_left_out_and_later_added():
    seen, cells = grid.choose(COSTS, set(), 1500.0)
    assert seen == grid.LEAST_BARS and len(cells) < len(COSTS)
    assert sum(COSTS[c][0] + seen * COSTS[c][1] for c in cells) <= 1500
    assert {(u, z) for u in (32, 64, 128) for z in (64, 16)} <= set(cells)
    again, more = grid.choose(COSTS, set(cells), 1500.0, seen)
    assert again == seen and set(cells) < set(more)


def test_a_budget_that_says_nothing_is_refused_with_what_would_do():
    needed = sum(10 + grid.LEAST_BARS * u * 1e-5 for u in (32, 64, 128) for _ in range(2))
    with pytest.raises(UserError, match=rf"need 100,000 bars each and about {np.ceil(needed / 60):.0f} minutes") as e:
        grid.choose(COSTS, set(), needed - 1)
    assert "\n" not in str(e.value)
    assert len(grid.choose(COSTS, set(), needed + 1)[1]) >= 6


def test_cells_see_the_same_bars_at_the_same_rate(tmp_path):
    flags = flags_of("grid", tmp_path)
    configs = [runs.make_config(flags, grid.changes(cell, 128_000, flags))[0].vae for cell in ((64, 16), (256, 512))]
    assert [(c.model.units, c.model.latent) for c in configs] == [(64, 16), (256, 512)]
    for config in configs:
        assert config.train.steps * config.train.batch_size == 128_000
        assert config.train.steps // config.train.log_every >= grid.WINDOW
    first, second = ({k: v for k, v in c.to_dict().items() if k != "model"} for c in configs)
    assert first == second


def test_smoothing_keeps_cubics_and_the_spread_is_that_of_the_window():
    x = np.linspace(-1, 1, 200)
    line, spread = grid.smooth(x**3 - x)
    np.testing.assert_allclose(line, x**3 - x, atol=1e-10)
    np.testing.assert_allclose(spread, 0, atol=1e-9)
    noisy = x + np.random.default_rng(0).normal(0, 0.5, 200)
    line, spread = grid.smooth(noisy)
    least_squares = np.polynomial.Polynomial.fit(x[75:126], noisy[75:126], 3)  # a cubic through the window of 51
    assert line[100] == pytest.approx(least_squares(x[100]))
    assert spread[100] == pytest.approx(np.sqrt(np.mean((noisy - line)[75:126] ** 2)))
    with pytest.raises(UserError, match="has 50 points and 51 are needed"):
        grid.smooth(x[:50])


@pytest.mark.usefixtures("rendered")
def test_missing_cells_are_said_in_table_and_figures(tmp_path, monkeypatch):
    curve = np.stack([np.arange(1, 101) * 640.0, *grid.smooth(np.linspace(0.3, 0.8, 100))])
    monkeypatch.setattr(grid, "learning_curve", lambda found: curve)
    names = ("bound_bits", "reconstruction_nats", "kl_nats", "token_accuracy", "active_units", "seconds")
    cell = [SimpleNamespace(scores={"figures": dict.fromkeys(names, 0.5)})]
    of_cell = {(64, 16): cell, (128, 16): cell, (64, 32): cell}
    grid.write_cells(of_cell, (64, 128), (16, 32), 100_000, tmp_path)
    with (tmp_path / "grid.csv").open(newline="") as file:
        rows = [list(row.values()) for row in csv.DictReader(file)]
    assert len(rows) == 4 and sum(MISSING in row for row in rows) == 1
    assert rows[3][:4] == ["128", "32", "100000", "missing"]
    grid.draw(of_cell, (64, 128), (16, 32), tmp_path)
    for name in ("fig_6_2", "fig_6_3", "grid_map"):
        assert (tmp_path / f"{name}.png").stat().st_size > 5000


@pytest.mark.parametrize(
    ("main", "argv", "message"),
    [
        (grid.main, [], "--budget"),
        (grid.main, ["--budget=nan"], "--budget is nan; it must be above 0"),
        (grid.main, ["--budget=5", f"--sizes=64,{'9' * 5000}"], "give whole numbers"),
        (grid.main, ["--budget=5", "--sizes=64,x"], "--sizes=64,x: give whole numbers"),
        (cleaning.main, ["--outlier_share=1"], "--outlier_share is 1.0; it must be 0"),
        (capacity.main, ["--source=nowhere"], "there is no 'nowhere'"),
        (bars.main, ["--source=nowhere"], "there is no 'nowhere'"),
        (kl_targets.main, ["--corpus=builtin"], "unrecognized arguments: --corpus=builtin"),
        (kl_targets.main, ["--steps=9"], "--steps is 9; it must be from 600 to"),
    ],
)
def test_mistakes_are_one_line(tmp_path, main, argv, message):
    with pytest.raises(UserError, match=message) as caught:
        main([f"--out={tmp_path / 'out'}", *argv])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("experiment", [bars, capacity, cleaning, encoding, grid])
def test_a_second_process_does_nothing(tmp_path, experiment):
    with Workdir(tmp_path).locked(), pytest.raises(UserError, match="Another process"):  # as the first one has it
        experiment.main([f"--out={tmp_path}", *(["--budget=5"] if experiment is grid else [])])
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


@pytest.mark.slow
def test_the_small_probe_times_a_step(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where the source is not, so that the corpus is opened as it stands
    save_corpus(tmp_path / "corpus")
    fields = ["train.batch_size=4", "model.layers=1", f"corpus_folder={tmp_path / 'corpus'}"]
    fields += ["data.lowest_shift=0", "data.highest_shift=0"]
    argv = ["--source=tests", *(f"--config.vae.{field}" for field in fields)]
    found = grid.probe(flags_of("grid", tmp_path / "out", *argv), 4)
    assert found.compiling > found.step > 0
