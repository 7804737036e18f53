"""The comparison of models: which runs there are, what is made of them, and the files that others hand in."""

import csv
import functools
import importlib
import json

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
import pytest

from experiments import compare
from experiments.rivals import benchmark, collect, findings, picture, plan, probe, work
from experiments.rivals.table import PARAMETERS, PART, RIVALS, TOLERANCE
from experiments.trainings import jobs
from mcvae_jax.corpus.store import EXCLUDED, HELD_OUT, TRAIN
from mcvae_jax.errors import UserError
from mcvae_jax.evaluation import beside, classifiers, framewise, judged, scores
from mcvae_jax.evaluation import compare as sets
from mcvae_jax.evaluation.controls import HALF
from mcvae_jax.evaluation.scores import BASELINE, IN_KEYS
from mcvae_jax.evaluation.sets import interval
from mcvae_jax.evaluation.switch import corpus_switch, with_switch
from mcvae_jax.kinds import kind_of, load
from mcvae_jax.models.prior import Moments
from mcvae_jax.music.tokens import transpose
from mcvae_jax.options import load_config
from mcvae_jax.options import parse as parse_config
from mcvae_jax.storage.jsonfile import write_json
from tests.small_models import save_corpus

pytestmark = pytest.mark.slow
LENGTHS = (20, 16, 18, 33, 18, *([17, 26, 30] * 4))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    sides = [TRAIN] * 5 + [HELD_OUT] * 12 + [EXCLUDED]
    folder = tmp_path_factory.mktemp("corpus") / "it"
    return save_corpus(folder, lengths=(*LENGTHS, 20), sides=sides, source="absent")


@pytest.fixture(autouse=True, scope="module")
def few_resamples():
    with pytest.MonkeyPatch.context() as patch:
        for module in (beside, sets, scores, framewise):
            patch.setattr(module, "interval", functools.partial(interval, resamples=20))
        patch.setattr(classifiers, "ROUNDS", 1)
        yield


@pytest.fixture(scope="module")
def compared(corpus, tmp_path_factory):
    """The command with the models that are counted, each run in this process: its folder and its lines."""
    out, lines = tmp_path_factory.mktemp("compared") / "out", []

    def in_turn(runs, jobs, say, apart):
        for run in runs:
            importlib.import_module(run.module).main(run.arguments)
        return {}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compare, "train_all", in_turn)
        patch.setattr(compare, "say", lines.append)
        argv = [f"--out={out}", f"--corpus={corpus.folder}", "--models=dice,markov", "--tables=parameters", "--songs=6"]
        assert compare.main(argv) == 0
    return out, lines


def rows_of(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_bits_are_those_of_the_models_and_of_the_baseline(compared, corpus):
    out, _ = compared
    found = json.loads((out / "comparison.json").read_text())["tables"]["equal parameters"]
    training, held_out = ([corpus.song(i) for i in np.flatnonzero(corpus.sides == side)] for side in (TRAIN, HELD_OUT))
    ngrams = scores.fit_ngrams(training, [IN_KEYS])
    switched = with_switch(ngrams, corpus_switch(training))[BASELINE]
    bits = sum(each.sum() for each in switched.nats(held_out)) / np.log(2)
    bars = sum(map(len, held_out))
    row = found["bits"][BASELINE]
    assert row["bits_per_bar"]["value"] == pytest.approx(bits / bars, rel=1e-6)
    assert row["bits_per_beat"]["value"] == pytest.approx(bits / bars / 4, rel=1e-6)
    notes = sum(int(np.sum(song < 128)) for song in held_out)
    assert row["bits_per_note"]["value"] == pytest.approx(bits / notes, rel=1e-6)
    assert set(found["bits"]) == {BASELINE, "markov", "markov + copy"}  # dice has no likelihood
    assert {"dice", "markov", "markov + copy"} <= set(found["sets"]["sets"]["sets"])
    assert all(name in found["sets"]["framewise"] for name in found["sets"]["sets"]["sets"])
    by_model = {row["model"]: row for row in rows_of(out / "bits.csv")}
    assert float(by_model["markov"]["bits_per_bar"]) == pytest.approx(found["bits"]["markov"]["bits_per_bar"]["value"])


def test_the_page_says_what_follows_and_links_to_songs_that_are_there(compared):
    out, lines = compared
    page = (out / "index.html").read_text("utf-8")
    assert page.count("<svg") >= 2 and "needs the fewest bits" in page
    assert 'href="songs/equal-parameters/index.html"' in page
    assert (out / "songs" / "equal-parameters" / "index.html").is_file()
    names = [song["title"] for song in json.loads((out / "songs/equal-parameters/songs.json").read_text())["songs"]]
    assert len(names) == work.PLAYED * 3 and names[0].endswith(": as it is")
    assert lines[-1].startswith("Open ")


def test_a_model_of_others_joins_by_its_file(compared, corpus, tmp_path):
    """What the command writes of its own models is what it takes of others."""
    out, _ = compared
    split = benchmark.Split.of(corpus)
    path = out / "results" / "equal-parameters" / "markov.json"
    real = judged.real_songs(corpus, judged.Plan())
    theirs = benchmark.read_submission(path, split)
    found = json.loads((out / "comparison.json").read_text())["tables"]["equal parameters"]["bits"]
    rows = {BASELINE: {"likelihood": "exact", "by_seed": [[np.ones(len(s)) for s in real.held_out]]}}
    table = collect.score_table(rows | collect.added_bits([theirs], real), real, 0)
    assert table["markov"]["bits_per_bar"]["value"] == pytest.approx(found["markov"]["bits_per_bar"]["value"])
    assert table["markov"]["new"]["value"] is None  # it is not known which bars cost what


def broken(theirs, **changes):
    return msgspec.json.encode(msgspec.to_builtins(theirs) | changes)


def test_a_file_that_is_none_or_lacks_songs_is_told(compared, corpus, tmp_path):
    out, _ = compared
    split = benchmark.Split.of(corpus)
    path, bad = out / "results" / "equal-parameters" / "markov.json", tmp_path / "bad.json"
    theirs = benchmark.read_submission(path, split)
    some = dict(list(theirs.bits.items())[1:])
    for content, said in [
        (b"{", "is no file of a model's bits"),
        (broken(theirs, version=2), "version 1"),
        (broken(theirs, split="0" * 32), "of the split 000"),
        (broken(theirs, bits=some), "lacks the bits of 1 of 12"),
        (broken(theirs, bits=theirs.bits | dict.fromkeys(theirs.bits, -1.0)), "negative"),
    ]:
        bad.write_bytes(content)
        with pytest.raises(UserError, match=said):
            benchmark.read_submission(bad, split)
    with pytest.raises(UserError, match="cannot be read"):
        benchmark.read_submission(tmp_path / "none.json", split)


def test_a_split_is_of_the_music_and_not_of_its_key_or_order(corpus, tmp_path):
    split = benchmark.Split.of(corpus)
    again = save_corpus(tmp_path / "again", lengths=(*LENGTHS, 20), sides=[TRAIN] * 5 + [HELD_OUT] * 12 + [EXCLUDED])
    assert benchmark.Split.of(again).digest == split.digest
    song = np.asarray(corpus.song(0))
    assert benchmark.content(transpose(song, 2)) == benchmark.content(song)
    assert len(split.train) == 5 and len(split.held_out) == 12
    benchmark.main([f"--corpus={corpus.folder}", "--name=it", f"--out={tmp_path / 'it.json'}"])
    assert json.loads((tmp_path / "it.json").read_text())["digest"] == split.digest
    assert benchmark.named_split(split) == ""


def test_no_real_song_is_left_out(tmp_path):
    """A plan of an evaluation has 100 songs."""
    lengths = [16] * 3 + [17] * 120
    corpus = save_corpus(tmp_path / "many", lengths=lengths, sides=[TRAIN] * 3 + [HELD_OUT] * 120, source="absent")
    assert len(work.every_real_song(corpus).whole) == 120
    assert len(work.every_real_song(corpus).held_out) == 120


def a_plan(corpus, out, **changes):
    fields = dict(tables=plan.TABLES, names=["markov", "note_lstm", "mcvae"], seeds=2, minutes=3.0, steps=0, songs=8)
    return plan.Plan(out=out, corpus=corpus, **(fields | changes))


def test_runs_of_both_tables_that_are_missing_are_told_apart(corpus, tmp_path):
    """A probe is timed before it is known how many updates fit into the minutes, so the runs of one table are asked."""
    listed = a_plan(corpus, tmp_path, tables=[plan.SIZE], names=["note_lstm"]).trainings(["note_lstm"])
    names = compare.unfinished(listed)
    assert len(names) == len(listed) == 2 and all(
        name.startswith(f"{plan.FOLDERS[plan.SIZE]}/note_lstm-seed") for name in names
    )


def test_a_run_waits_for_what_it_needs(corpus, tmp_path):
    found = [run for _, run in a_plan(corpus, tmp_path, tables=[plan.SIZE], seeds=1).trainings([PART, "mcvae"])]
    vae, prior = found
    assert jobs._next([prior, vae], []) is vae
    assert jobs._next([prior], [vae]) is None
    assert jobs._next([prior], []) is prior  # the VAE has ended, or was done before


def measured(a_plan, name, seconds):
    (run,) = a_plan.probes([name])
    run.folder.mkdir(parents=True)
    write_json(run.folder / "scores.json", {"seconds": seconds, "arguments": run.arguments})


def test_equal_time_is_minutes_of_updates_and_what_needs_a_vae_shares_them(corpus, tmp_path):
    asked = a_plan(corpus, tmp_path)
    assert (asked.without_needs, asked.with_needs) == ([PART, "note_lstm"], ["mcvae"])
    for name, seconds in ((PART, 0.1), ("note_lstm", 0.9), ("mcvae", 0.05)):
        measured(asked, name, seconds)
    assert [run.folder for run in asked.needed_to_probe()] == [asked.folder(PART, plan.TIME, 0)]
    steps = {}
    for table, run in compare.list_runs(asked):
        if table == plan.TIME and run.seed == 1:
            config = parse_config(run.arguments[4:]).config  # every field is one of its config
            steps[run.arm] = config.train.steps
            assert config.seed == 1 and config.corpus_folder == str(corpus.folder)
            if run.arm == "mcvae":
                assert config.vae_workdir == str(asked.folder(PART, plan.TIME, 1))
    assert steps == {PART: 900, "note_lstm": 200, "mcvae": 1800}


def test_a_budget_that_trains_nothing_is_told(corpus, tmp_path):
    asked = a_plan(corpus, tmp_path, minutes=0.1)
    measured(asked, PART, 0.001)
    measured(asked, "note_lstm", 0.9)
    with pytest.raises(UserError, match="note_lstm takes 0.9 s, so that it is trained for 6 updates alone; give 0.3"):
        asked.trainings([PART, "note_lstm"])


def test_a_model_that_was_not_measured_stands_at_equal_parameters_alone(corpus, tmp_path):
    found = a_plan(corpus, tmp_path).trainings(["note_lstm"])
    assert [table for table, _ in found] == [plan.SIZE] * 2


def test_all_that_depends_on_the_update_is_stretched():
    config = load_config("vae")
    changes = dict(change.split("=") for change in plan.stretched(config, config.train.steps * 2))
    assert int(changes["optimizer.decay_steps"]) == 2 * config.optimizer.decay_steps
    assert int(changes["optimizer.warmup_steps"]) == 2 * config.optimizer.warmup_steps
    assert int(changes["loss.beta_steps"]) == 2 * config.loss.beta_steps
    assert int(changes["train.steps"]) == 2 * config.train.steps


@pytest.mark.parametrize(
    "argv, said",
    [
        ([], "give --budget=MINUTES"),
        (["--budget=1", "--models=joint,gpt"], "gpt is none of"),
        (["--budget=nan"], "give --budget"),
    ],
)
def test_a_mistake_is_one_line(argv, said, tmp_path):
    with pytest.raises(UserError, match=said):
        compare.parse([f"--out={tmp_path / 'out'}", *argv])


def a_row(value, low, high, seeds, likelihood="exact", beyond=(0.0, -1.0, 1.0)):
    figure = {"value": value, "interval": [low, high]}
    return {
        "bits_per_bar": figure,
        "of_seeds": seeds,
        "likelihood": likelihood,
        "beyond": {"value": beyond[0], "interval": list(beyond[1:])},
    }


def a_table():
    told = {"a": (0.9, 0.8, 0.95), "b": (0.7, 0.6, 0.8), "c": (0.97, 0.9, 1.0), HALF: (0.5, 0.4, 0.6)}
    distances = {
        name: {"distances": {sets.STRONG: {"value": v, "interval": [low, high]}}}
        for name, (v, low, high) in told.items()
    }
    costs = {"seeds": 3, "steps": 10}
    return {
        "bits": {
            BASELINE: a_row(17.0, 16.0, 18.0, [17.0]),
            "a": a_row(12.0, 11.0, 13.0, [12.1, 11.9], "bound", (-5.0, -6.0, -4.0)),
            "b": a_row(30.0, 29.0, 31.0, [30.0]),
            "b + copy": a_row(12.3, 11.5, 13.2, [12.0, 12.6]),
        },
        "sets": {"sets": {"sets": distances}, "kinds": {"models": ["a", "b", "c"], "controls": []}},
        "costs": {name: costs for name in ("a", "b", "c")},
    }


def test_sentences_say_what_is_settled_and_what_is_not():
    words = " ".join(findings.follows(a_table()))
    assert "a needs the fewest bits: 12.00 (11.00 to 13.00) a bar" in words
    assert "That is 5.00 fewer (4.00 to 6.00) than" in words and "a difference that the songs show" in words
    assert "Next is b + copy" in words and "1 of its 2 trainings lie below the highest of a" in words
    assert "of the songs of b" in words and "The interval of a meets that" in words
    open_ends = " ".join(findings.follows_not(a_table()))
    assert "The figures of a are bounds" in open_ends and "nothing is known of the bits of c" in open_ends


def test_models_stand_from_the_fewest_bits_of_their_cheaper_form_down():
    assert picture.order(a_table()) == ["a", "b", "c"]


def test_a_probe_says_what_an_update_costs(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(probe, "UPDATES", 2)
    sizes = ["--config.model.units=4", "--config.model.layers=1", "--config.train.batch_size=2"]
    argv = [str(tmp_path), "--config=note_lstm:smoke", f"--config.corpus_folder={corpus.folder}", *sizes]
    settings = msgspec.to_builtins(corpus.settings)
    argv += [f"--config.corpus.{name}={value}" for name, value in settings.items()]
    probe.main(argv)
    found = json.loads((tmp_path / "scores.json").read_text())
    assert found["seconds"] > 0 and found["arguments"] == argv and found["parameters"] > 0


def parameters_of(name, corpus):
    """Of a rival at equal parameters."""
    rival = RIVALS[name]
    changes = [*rival.equal, f"corpus_folder={corpus.folder}"]
    if not rival.needs:
        changes += [f"corpus.{field}={value}" for field, value in msgspec.to_builtins(corpus.settings).items()]
    config = parse_config([f"--config={rival.config}", *(f"--config.{change}" for change in changes)]).config
    kind = kind_of(config.task)
    if rival.needs:
        latent = parse_config(["--config=vae", *(f"--config.{c}" for c in RIVALS[PART].equal)]).config.model.latent
        moments = Moments(jnp.zeros(latent), jnp.ones(latent))
        prior = load(kind.make)(config, latent)
        more = (np.ones(1),) if name in ("diffusion_prior", "gan_prior") else ()  # the lengths of songs
        shapes = jax.eval_shape(lambda key: prior.init(key, moments, *more), jax.random.key(0))
    else:
        shapes = jax.eval_shape(kind.make_task(config, lambda line: None).init, jax.random.key(0))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


@pytest.mark.parametrize("name", [name for name, rival in RIVALS.items() if not rival.counts and name != PART])
def test_models_are_of_one_size_at_equal_parameters(name, corpus):
    needs = RIVALS[name].needs
    found = parameters_of(name, corpus) + (parameters_of(needs, corpus) if needs else 0)
    assert found == pytest.approx(PARAMETERS, rel=TOLERANCE)


def test_runs_that_are_done_are_known_by_their_arguments(tmp_path):
    run = jobs.Run("a", 0, tmp_path, ["x"], plan.WORK)
    write_json(tmp_path / "scores.json", {"arguments": ["y"]})
    assert not jobs.read_scores(run)
    write_json(tmp_path / "scores.json", {"arguments": ["x"]})
    assert jobs.read_scores(run)
