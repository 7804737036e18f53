"""The listening test but for its page in a browser: the clips and their key, files of answers, and the statistics."""

import base64
import csv
import io
import itertools
import json
import os
import re

import numpy as np
import pytest

from experiments import listening_test
from experiments.listening import analysis, answers, clips
from mcvae_jax.corpus.store import HELD_OUT, TRAIN
from mcvae_jax.errors import UserError
from mcvae_jax.kinds import open_model
from mcvae_jax.sampling.preview import render_wav
from mcvae_jax.sampling.song import read_back
from mcvae_jax.trained import open_corpus
from tests.listening import NAMES, TINY, answers_of, make, save_models
from tests.small_models import save_corpus, save_mdrnn, save_vae

pytestmark = pytest.mark.slow

VAE, MCVAE = NAMES
REAL = "real songs"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    save_models(folder)
    return folder


@pytest.fixture(scope="module")
def key(folder):
    return make(folder, folder / "test", "--real")


def page_of(folder):
    """What the page holds."""
    html = (folder / "test" / "index.html").read_text()
    return html, json.loads(re.search(r'<script type="application/json" id="test">(.*?)</script>', html)[1])


def samples(wav):
    return np.frombuffer(wav, "<i2", offset=44).astype(float)


def test_every_clip_plays_the_song_that_the_key_says(folder, key):
    _, test = page_of(folder)
    assert test["sounds"].keys() == key["clips"].keys() and len(key["clips"]) == 6
    songs = {clip: read_back(folder / "test" / where["song"], "fixed16") for clip, where in key["clips"].items()}
    loudness = []
    for clip, sound in test["sounds"].items():
        # Whole silent bars before the first note and after the last do not come back from MIDI.
        heard, plain = map(np.trim_zeros, map(samples, (base64.b64decode(sound), render_wav(songs[clip], 240.0))))
        both = min(len(heard), len(plain))
        assert abs(len(heard) - len(plain)) <= 2
        assert np.corrcoef(heard[:both], plain[:both])[0, 1] > 0.98  # a note may start a sample sooner
        loudness.append(np.sqrt(np.mean(heard[heard != 0] ** 2)))
    assert len({song.tobytes() for song in songs.values()}) >= 3  # tiny models forget their seeds
    np.testing.assert_allclose(loudness, loudness[0], rtol=1e-3)


def test_the_groups_are_the_models_and_the_clips_of_a_number_have_one_seed(folder, key):
    _, test = page_of(folder)
    assert set(key["groups"].values()) == {*NAMES, REAL} and test["groups"].keys() == key["groups"].keys()
    for group, of_group in test["groups"].items():
        assert [key["clips"][clip]["model"] for clip in of_group] == [key["groups"][group]] * 2
        assert [key["clips"][clip]["seed"] for clip in of_group] == [0, 1]


def test_seeds_are_held_out_and_real_songs_are_their_next_bars(folder, key):
    corpus = open_corpus(open_model(folder / "vae").origins["VAE"])
    names = [record["name"] for record in corpus.records()]
    assert len(set(key["seeds"])) == 2
    for where in key["clips"].values():
        i = names.index(key["seeds"][where["seed"]])
        assert i in corpus.songs(HELD_OUT)
        if where["model"] == REAL:
            back = read_back(folder / "test" / where["song"], "fixed16")
            onsets = corpus.song(i)[1:4] < 128
            np.testing.assert_array_equal(back < 128, onsets[onsets.any(1).argmax() :][: len(back)])


def test_the_vae_runs_free_and_the_mcvae_goes_on(folder):
    models = clips.open_models([f"{folder / 'mdrnn'}:vae", str(folder / "mdrnn"), str(folder / "vae")], [])
    assert [model.composer.name for model in models] == ["VAE (free run)", "MCVAE", "VAE (free run)"]
    assert [model.name for model in models] == ["mdrnn: VAE (free run)", "mdrnn: MCVAE", "vae: VAE (free run)"]
    (other,) = clips.open_models([f"{folder / 'mdrnn'}:alone"], [])
    assert other.name == models[0].name and other.composer.origins == models[0].composer.origins
    seeds = clips.held_out_songs(models, 3, 1, 4, 0)
    alone, composer, same = (clips.go_on(model, seeds, listening_test.Settings()) for model in models)
    assert [song.shape for song in alone + composer] == [(4, 16)] * 6
    np.testing.assert_array_equal(alone, same)
    assert not np.array_equal(alone, composer)


def test_the_page_is_blind(folder, key):
    html, test = page_of(folder)
    without = re.sub(r'"sounds": \{.*?\}', "", html)
    for word in (
        *NAMES,
        "mdrnn",
        "mcvae",
        REAL,
        str(folder),
        *key["seeds"],
        *(m.get("given", "") for m in key["models"]),
    ):
        found = without.replace("mcvae_jax listening answers", "")
        assert not word or word.lower() not in found.lower(), word
    assert list(test["sounds"]) == sorted(test["sounds"]) and list(test["groups"]) == sorted(test["groups"])
    orders = {tuple(make_groups(seed).values()) for seed in range(30)}
    assert len(orders) == 6  # of the three models, no order of the call is left


def make_groups(seed):
    from experiments.listening.page import make_test

    return make_test({name: [name.encode()] for name in "abc"}, 1.0, seed)[1]


def test_the_page_names_no_host(folder, key):
    html, _ = page_of(folder)
    assert "default-src 'none'" in html
    assert not re.findall(r"https?:|//\w+\.\w+|@import|url\(", re.sub(r'"sounds": \{.*?\}', "", html))


def test_a_song_that_another_model_learned_from_is_no_seed(folder, tmp_path):
    """The second corpus has the first one's held-out songs 4 and 5, two semitones higher, among its training songs."""
    other = save_corpus(tmp_path / "other", 2, (8,) * 8, [HELD_OUT] * 2 + [TRAIN] * 2 + [TRAIN] * 2 + [HELD_OUT] * 2)
    save_mdrnn(tmp_path / "mdrnn", tmp_path / "vae", save_vae(tmp_path / "vae", other))
    models = clips.open_models([str(folder / "mdrnn"), str(tmp_path / "mdrnn")], ["a", "b"])
    names = {f"song-{i}.mid" for i in (6, 7)}
    assert {song.name for song in clips.held_out_songs(models, 2, 1, 4, 0)} == names
    with pytest.raises(UserError, match="of which another model was trained on 2, and --seeds asks for 3"):
        clips.held_out_songs(models, 3, 1, 4, 0)


def refused(*options):
    with pytest.raises(UserError) as caught:
        listening_test.main([str(option) for option in options])
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_mistakes_in_making(folder, key, tmp_path):
    two, out = f"--models={folder / 'vae'},{folder / 'mdrnn'}", f"--out={tmp_path / 'out'}"
    assert "names one model;" in refused("make", f"--models={folder / 'vae'}", out, *TINY)
    assert "names no model;" in refused("make", "--models=,", out, *TINY)
    wrong = refused("make", f"--models={folder / 'vae'},{folder / 'vae'}:vea", out, *TINY)
    assert f"{folder / 'vae'}:vea does not exist" in wrong and "--models takes DIR, or DIR:alone" in wrong
    assert "does not exist" in refused("make", f"--models={folder / 'vae'},{folder / 'none'}", out, *TINY)
    assert "--seeds is 0" in refused("make", two, out, "--seeds=0")
    assert "--tempo is 5.0" in refused("make", two, out, "--tempo=5")
    assert "4 held-out songs of 4 bars" in refused("make", two, out, *TINY, "--seeds=5")
    assert "0 held-out songs of 101 bars" in refused("make", two, out, *TINY, "--bars=100")
    assert "names in --names: 1, models: 2;" in refused("make", two, out, *TINY, "--names=a")
    assert "the same name" in refused("make", two, out, *TINY, "--names=a,a")
    assert "named 'real songs'" in refused("make", two, out, *TINY, "--names=a,real songs", "--real")
    assert "is not empty" in refused("make", two, f"--out={folder / 'test'}", *TINY)
    assert "temperature is -1" in refused("make", two, out, *TINY, "--temperature=-1")
    assert "--help lists" in refused("mkae")
    assert not (tmp_path / "out").exists()


# ---- answers


LIKES = {VAE: 2, MCVAE: 4, REAL: 5}
PLAIN = {
    "rate": lambda model, statement: 3 if statement == "creativity" else LIKES[model],
    "real": lambda model, seed: model == REAL,
    "better": lambda a, b, seed: max(a, b, key=LIKES.get),
}


def save(place, name, record):
    place.mkdir(exist_ok=True)
    (place / name).write_text(record if isinstance(record, str) else json.dumps(record))


def test_unusable_files_are_named_and_left_out(key, tmp_path):
    good = answers_of(key, "GOOD", **PLAIN)
    clip, group = next(iter(key["clips"])), next(iter(key["groups"]))
    text = json.dumps(good)
    other = {**good["statements"], group: {**good["statements"][group], "melody": 6}}
    wrong = {
        "damaged": (json.dumps(good)[:200], "damaged"),
        "empty": ("", "damaged"),
        "list": ([], "no page of a listening test"),
        "format": ({**good, "format": "x"}, "no page of a listening test"),
        "version": ({**good, "version": 2}, "version 2"),
        "foreign": ({**good, "test": "another"}, "another test (another, not"),
        "unfinished": ({**good, "finished": None}, "has not finished"),
        "time": ({**good, "finished": "yesterday"}, "finished is yesterday"),
        "lacking": ({**good, "real": {clip: "real"}}, "its 'real' holds other"),
        "rating": ({**good, "statements": other}, "not 1 to 5"),
        "pairs": ({**good, "pairs": dict(list(good["pairs"].items())[1:])}, "the pairs that a page asks"),
        "pair": ({**good, "pairs": {f"{clip}/{clip}": clip}}, "a pair that no page asks"),
        "code": ({**good, "code": "../x"}, "code"),
        "code2": ({**good, "code": ["GOOD"]}, "code"),
        "consent": ({**good, "consent": ""}, "has not agreed"),
        "year1": ({**good, "started": "0001-01-01T00:00:00.000Z"}, "started is 0001"),
        "year1local": ({**good, "started": "0001-01-01T00:00:00+14:00"}, "started is 0001"),
        "year9999": ({**good, "finished": "9999-12-31T23:59:59-14:00"}, "finished is 9999"),
        "backwards": ({**good, "finished": good["started"], "started": good["finished"]}, "within a year"),
        "long": ({**good, "finished": "2022-01-01T10:00:00.000Z"}, "within a year"),
        "nowhere": ({**good, "finished": "2020-01-01T10:21:00"}, "finished is 2020"),
        "huge": (text.replace("1.5", "1" + "0" * 400), "heard for 1000"),
        "elsewhere": ({**good, "heard": {"x": 1}}, "heard what is not on the page"),
        "digits": (text.replace("1.5", "1" * 5000), "damaged"),
        "infinite": (text.replace("1.5", "1e999"), "heard for inf"),
        "nan": (text.replace("1.5", "NaN"), "NaN, which is no number"),
        "negative": (text.replace("1.5", "-1.5"), "heard for -1.5"),
        "words": (text.replace("1.5", '"1.5"'), "heard for 1.5"),
        "truth": (text.replace("1.5", "true"), "heard for True"),
        "deep": ('{"a":' * 100_000, "damaged (RecursionError"),
        "lists": ("[" * 100_000, "damaged (RecursionError"),
        "size": (json.dumps(good | {"x": "x" * answers.MAX_BYTES}), "over 1,048,576 bytes"),
        "twice": (text.replace('"code":', '"code": "A", "code":', 1), "says something twice"),
        "twice deep": (text.replace('"melody":', '"melody": 1, "melody":', 1), "says something twice"),
        "true rating": (
            {**good, "statements": {g: dict.fromkeys(key["statements"], True) for g in key["groups"]}},
            "not 1 to 5",
        ),
        "more": ({**good, "real": {**good["real"], "clip-999": "real"}}, "its 'real' holds other"),
        "judgement": ({**good, "real": dict.fromkeys(good["real"], ["real"])}, "judgement of a clip is"),
        "background": ({**good, "background": "=CMD()"}, "background is =CMD()"),
        "pair list": ({**good, "pairs": []}, "its 'pairs' is no object"),
        "pair of one": ({**good, "pairs": {"a": {}}}, "a pair that no page asks"),
        "remarks": ({**good, "remarks": {"elsewhere": "x"}}, "what is not on the page"),
        "remark": ({**good, "remarks": {"all": ["x"]}}, "no text of 4,000"),
        "long remark": ({**good, "remarks": {"all": "x" * 4001}}, "no text of 4,000"),
        "number": (7, "no page of a listening test"),
        "test": ({**good, "test": "\x1b[2J\ud800" + "x" * 10**5}, r"another test (\x1b[2J\ud800xxx"),
    }
    for name, (record, _) in wrong.items():
        save(tmp_path / "a", f"{name}.json", record)
    save(tmp_path / "a", "good.json", good)
    found, left_out = answers.read_answers([str(tmp_path / "a")], key)
    assert [each.code for each in found] == ["GOOD"]
    assert {each.file for each in left_out} == {str(tmp_path / "a" / f"{name}.json") for name in wrong}
    for each in left_out:
        assert wrong[each.file.rsplit("/", 1)[1][:-5]][1] in each.reason, each
        assert each.reason.isprintable() and len(each.reason) < 250


@pytest.mark.parametrize("field", ["started", "code", "background", "real", "statements", "pairs", "remarks", "heard"])
def test_a_wrong_type_anywhere_costs_its_file_alone(key, tmp_path, field):
    save(tmp_path / "a", "good.json", answers_of(key, "GOOD", **PLAIN))
    wrong = [None, True, -1, 10**400, 1e300, "", "\ud800", "a b", [], [[]], {"x": {}}, {"": None}]
    for n, value in enumerate(wrong):
        save(tmp_path / "a", f"odd-{n}.json", answers_of(key, f"ODD{n}", **PLAIN) | {field: value})
    found, left_out = answers.read_answers([str(tmp_path / "a")], key)
    assert [each.code for each in found] == ["GOOD"] and len(left_out) == len(wrong)


def test_a_file_of_answers_that_is_no_file_is_named(key, tmp_path):
    save(tmp_path / "a", "good.json", answers_of(key, "GOOD", **PLAIN))
    os.mkfifo(tmp_path / "a" / "pipe.json")
    (tmp_path / "a" / "folder.json").mkdir()
    os.symlink("self.json", tmp_path / "a" / "self.json")
    found, left_out = answers.read_answers([str(tmp_path / "a")], key)
    assert len(found) == 1 and len(left_out) == 3


def test_damaged_keys_are_refused_in_one_line(key, tmp_path):
    group, clip = next(iter(key["groups"])), next(iter(key["clips"]))
    for change in (
        {"models": 1},
        {"models": [{"name": 1, "kind": "vae"}]},
        {"groups": {**key["groups"], group: "another"}},
        {"clips": {**key["clips"], clip: {"model": "another", "seed": 0}}},
        {"clips": []},
        {"statements": [1]},
        {"seconds": 0},
        {"seconds": "1"},
        {"seeds_per_pair": 1.5},
        {"test": None},
    ):
        save(tmp_path, "key.json", key | change)
        with pytest.raises(UserError, match="is damaged") as caught:
            answers.read_key(tmp_path / "key.json")
        assert str(caught.value).isprintable()
    save(tmp_path, "key.json", "[" * 100_000)
    with pytest.raises(UserError, match="is damaged"):
        answers.read_key(tmp_path / "key.json")


def test_of_files_of_one_listener_the_last_stays(key, tmp_path):
    of = {"a": "no", "b": "ensemble", "c": "alone"}
    for name, hour in (("a", 11), ("b", 13), ("c", 12)):
        record = answers_of(key, "SAME", **PLAIN, finished=f"2020-01-01T{hour}:00:00.000Z", background=of[name])
        save(tmp_path / "a", f"{name}.json", record)
    (listener,), left_out = answers.read_answers([str(tmp_path / "a")], key)
    assert listener.background == "ensemble" and listener.minutes == 180
    assert [each.file[-6:] for each in left_out] == ["a.json", "c.json"]
    assert all("the same listener, SAME" in each.reason for each in left_out)


def test_the_analysis_finds_what_ten_listeners_prefer(folder, key, tmp_path, capsys):
    rng = np.random.default_rng(0)
    for n in range(10):
        noisy = {**PLAIN, "rate": lambda model, s: int(np.clip(PLAIN["rate"](model, s) + rng.integers(-1, 2), 1, 5))}
        record = answers_of(key, f"L{n}", **noisy, remarks={"all": "fine, really", "group-1": "x\ny"} if n == 0 else {})
        save(tmp_path / "in", f"{n}.json", record)
    save(tmp_path / "in", "bad.json", "{")
    earlier = {"VAE (free run)": "vae", "MCVAE": "mcvae", "real": "real"}  # the kinds of models as keys once had them
    earlier = [model | {"kind": earlier[model["kind"]]} for model in key["models"]]
    save(tmp_path, "earlier.json", {name: key[name] for name in key if name != "check"} | {"models": earlier})
    for key_file in (tmp_path / "earlier.json", folder / "test" / "key.json"):  # the second replaces the first
        arguments = ["analyse", str(tmp_path / "in"), f"--key={key_file}", f"--out={tmp_path / 'out'}"]
        listening_test.main(arguments)
        assert (tmp_path / "out" / "fig_6_4.png").exists() and (tmp_path / "out" / "fig_6_5.png").exists()
    printed = capsys.readouterr().out
    assert "bad.json: it is damaged" in printed and "listeners: 10, files left out: 1" in printed
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert set(summary["files"]) == {path.name for path in (tmp_path / "out").iterdir()}
    assert {"fig_6_4.png", "fig_6_5.pdf", "statements_3.png", "choices.pdf", "results.md"} <= set(summary["files"])
    assert all(sum(row) == 10 for of in summary["counts"].values() for row in of.values())
    for row in summary["statements"]:
        expected = 0 if row["statement"] == "creativity" else np.sign(LIKES[row["first"]] - LIKES[row["second"]])
        close = {row["first"], row["second"]} == {MCVAE, REAL}
        if expected == 0:
            assert row["p (Holm)"] > 0.05
        elif not close:
            assert row["p (Holm)"] < 0.05 and np.sign(row["rank-biserial"]) == expected
    assert all(row["share for the first"] == 0 and row["p"] == 2 / 1024 for row in summary["choices"])
    assert {row["model"]: row["taken for real"] for row in summary["taken for real"]} == {VAE: 0, MCVAE: 0, REAL: 1}
    assert (tmp_path / "out" / "remarks.csv").read_text().count("L0") == 2


def test_remarks_stand_in_the_results_as_they_were_written(folder, key, tmp_path, capsys):
    group, model = next(iter(key["groups"].items()))
    remarks = {group: "too | *loud*\n\n# <b>and</b> [slow](x)", "all": "=nice_one_\n+1;@x\x1b[2J\u202e\ud83d"}
    save(tmp_path / "in", "a.json", answers_of(key, "SAID", **PLAIN, remarks=remarks))
    save(tmp_path / "in", "b.json", answers_of(key, "MUTE", **PLAIN))
    save(tmp_path / "in", "\u202e<b>\x1b[31m.json", "{")
    arguments = [str(tmp_path / "in"), f"--key={folder / 'test' / 'key.json'}"]
    listening_test.main(["analyse", *arguments, f"--out={tmp_path / 'out'}"])
    text = (tmp_path / "out" / "results.md").read_text()
    section = text.split("\n## Remarks\n")[1]
    row = rf"| SAID | {model} | too \| \*loud\* # \<b\>and\</b\> \[slow\](x) |"
    assert row in section.splitlines() and r"| SAID | the test | =nice\_one\_ +1;@x\\x1b\[2J\\u202e\\ud83d |" in section
    assert r"\\u202e\<b\>\\x1b\[31m.json: it is damaged" in section
    table = (tmp_path / "out" / "remarks.csv").read_text("utf-8")
    last = list(csv.DictReader(io.StringIO(table)))[-1]["remark"]
    assert last == "'=nice_one_\n+1;@x\\x1b[2J\\u202e\\ud83d"
    assert not set(table + text) & set("\x1b\u202e") and "\x1b" not in capsys.readouterr().out
    assert "remarks.csv" in section and "MUTE" not in section
    assert "SD strongly disagree, D disagree, N neutral, A agree, SA strongly agree" in text
    save(tmp_path / "in", "a.json", answers_of(key, "SAID", **PLAIN))
    listening_test.main(["analyse", *arguments, f"--out={tmp_path / 'out'}"])
    assert "## Remarks" not in (tmp_path / "out" / "results.md").read_text()
    assert not (tmp_path / "out" / "remarks.csv").exists()


def test_mistakes_in_analysing(folder, key, tmp_path):
    good = f"--key={folder / 'test' / 'key.json'}"
    out = f"--out={tmp_path / 'out'}"
    save(tmp_path / "in", "a.json", answers_of(key, "A", **PLAIN))
    assert "that can be used: 1 of 1; 2 are" in refused("analyse", tmp_path / "in", good, out)
    wrong = refused("analyse", tmp_path / "none", good, out)
    assert f"no file or folder {tmp_path / 'none'}; give the answers-CODE.json" in wrong
    (tmp_path / "bare").mkdir()
    assert "no file of answers" in refused("analyse", tmp_path / "bare", good, out)
    save(tmp_path / "in", "bad.json", "{")
    assert "there is no key" in refused("analyse", tmp_path / "in", f"--key={tmp_path / 'none.json'}", out)
    assert "is damaged" in refused("analyse", tmp_path / "in", f"--key={tmp_path / 'in' / 'bad.json'}", out)
    assert "is no key" in refused("analyse", tmp_path / "in", f"--key={tmp_path / 'in' / 'a.json'}", out)
    assert "no result of a listening test" in refused("analyse", tmp_path / "in", good, f"--out={tmp_path / 'in'}")
    assert not (tmp_path / "out").exists()


# ---- statistics


def exact_p(differences):
    """Two-sided p of Wilcoxon's signed ranks by counting all signs; mean ranks for ties, zeros left out."""
    d = [x for x in differences if x]
    ranks = [sum(abs(y) < abs(x) for y in d) + (1 + sum(abs(y) == abs(x) for y in d)) / 2 for x in d]
    observed = abs(sum(r if x > 0 else -r for r, x in zip(ranks, d, strict=True)))
    sums = [
        abs(sum(s * r for s, r in zip(signs, ranks, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(d))
    ]
    return np.mean([total >= observed - 1e-9 for total in sums])


@pytest.mark.parametrize("d", [[1, 1, 1, 2, 0], [3, -1, 2, 2, 1, -1, 4], [1, -1, 2, -2], [2, 2, 2, 2, 2, 2, 1, 3, -1]])
def test_signed_ranks_count_all_signs(d):
    found = analysis.signed_rank(np.array(d, float))
    assert found["p"] == pytest.approx(exact_p(d))
    assert found["rank-biserial, 95 % low"] <= found["rank-biserial"] <= found["rank-biserial, 95 % high"]


def test_rank_biserial_by_hand():
    assert analysis.rank_biserial(np.array([3.0, -1.0, 2.0, 0.0])) == pytest.approx((3 + 2 - 1) / 6)
    assert analysis.rank_biserial(np.array([1.0, 1.0])) == 1 and analysis.rank_biserial(np.zeros(3)) == 0
    assert analysis.signed_rank(np.zeros(4))["p"] == 1


def test_sign_flips_count_all_signs():
    values = np.array([0.5, 0.3, -0.1, 0.5, 0.1])
    means = [np.mean(values * signs) for signs in itertools.product((1, -1), repeat=5)]
    assert analysis.sign_flip(values) == pytest.approx(np.mean(np.abs(means) >= values.mean() - 1e-9))
    assert analysis.sign_flip(np.zeros(3)) == 1


def test_holm_by_hand():
    assert analysis.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert analysis.holm([0.9, 0.6]) == [1.0, 1.0]


def test_d_prime_by_hand(key, tmp_path):
    """Two clips each: real taken for real 2 of 2, composed 1 of 2: z(2.5 / 3) - z(1.5 / 3)."""
    for code in "AB":
        record = answers_of(key, code, **{**PLAIN, "real": lambda model, seed: model == REAL or seed == 0})
        save(tmp_path / "a", f"{code}.json", record)
    listeners, _ = answers.read_answers([str(tmp_path / "a")], key)
    rows = analysis.detected(listeners, [VAE, MCVAE, REAL], REAL)
    assert [row["model"] for row in rows] == [VAE, MCVAE]
    assert rows[0][analysis.D] == pytest.approx(0.9674215661) and rows[0]["right answers"] == 0.75
