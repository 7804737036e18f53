"""What follows, on a report made by hand in which nothing is shown; each test changes what it asks about."""

import html
import re

import numpy as np
import pytest

from mcvae_jax.evaluation import compare, controls
from mcvae_jax.evaluation.answer_page import questions_section
from mcvae_jax.evaluation.bits_page import bits_section
from mcvae_jax.evaluation.conclusions import by_bits, conclusions, questions
from mcvae_jax.evaluation.findings import findings
from mcvae_jax.evaluation.music import ENDING, FIGURES
from mcvae_jax.evaluation.music_page import share_cell
from mcvae_jax.evaluation.scores import BASELINE, IN_KEYS

SONGS = 20
UNSURE = np.where(np.arange(SONGS) % 2, 2.0, -2.0)  # bits a bar more or fewer, by song
SPREAD = 1.96 * 2 / SONGS**0.5  # of their mean, by the normal distribution
NONE = {"value": None, "interval": None}
KEY, LOOPS = "notes out of the key", "bars in A-B-A-B loops"
NO_CHANCE = (0.5, 0.4, 0.6)


def figure(value, low, high):
    return {"value": value, "interval": [low, high]}


def share(value, beyond=(0.0, -0.05, 0.05), times=(1.0, 0.5, 2.0)):
    """A share beside real ones; times: None where these have too little."""
    found = figure(value, 0.9 * value, 1.1 * value) | {"beyond": figure(*beyond)}
    return found | {"times": figure(*times) if times else NONE}


def row(bits, role, likelihood="exact"):
    """A model that costs so many bits for each bar, a number or (SONGS,), in songs of ten bars."""
    of_songs = 10 * np.broadcast_to(bits, SONGS)
    mean = float(np.mean(bits))
    spans = {key: figure(mean, mean - 1, mean + 1) for key in ("bits_per_bar", "new", "repeated", "bits_per_token")}
    return spans | {
        "role": role,
        "likelihood": likelihood,
        "beyond": figure(0, 0, 0),
        "bits_of_songs": of_songs.tolist(),
        "bars_of_songs": [10] * SONGS,
    }


def made(*models):
    """A report of models that cost 16 bits a bar, more or fewer by song, as the baseline does."""
    rows = {name: row(16 + UNSURE, "model") for name in models}
    rows |= {IN_KEYS: row(29, "n-gram"), BASELINE: row(16, "n-gram")}
    sets = [f"{name} (as trained)" for name in models]
    continued = [f"{name} (continued)" for name in models]
    told = {compare.STRONG: figure(*NO_CHANCE), compare.CLASSIFIER: figure(*NO_CHANCE)}
    figures = {name: share(0.1) for name in FIGURES}
    real = ["real that goes on", "held-out songs"]
    groups = zip(real, (continued, sets), strict=True)
    return {
        "models": {
            "rows": rows, "songs": SONGS, "bars": 200, "repeated_bars": 90, "draws": 1, "particles": 8,
            "subject": models[0], "baselines": {},
        },
        "kinds": {"models": sets, "controls": [], "continued": continued, "held_out": "held-out songs"},
        "sets": {"sets": {n: {"distances": dict(told)} for n in (*sets, controls.HALF, controls.SHUFFLED)}},
        "flags": [],
        "copies": {n: {s: share(0.1) for s in compare.SHARES} for n in (*real, *sets, *continued)},
        "music": [
            {"real": name, "sets": {n: {"figures": dict(figures)} for n in (name, *others)}} for name, others in groups
        ],
    }  # fmt: skip


def verdicts(report, model):
    return {question.asked: question.verdict for question in questions(report, model)}


def tell(report, name, *told):
    report["sets"]["sets"][name]["distances"][compare.STRONG] = figure(*told)


def in_music(report, model="A"):
    return report["music"][0]["sets"][f"{model} (continued)"]["figures"]


def text_of(page):
    return html.unescape(re.sub(r"<[^>]+>", " ", page))


def test_where_nothing_is_shown_all_say_so():
    report = made("A")
    said = conclusions(report)
    assert len(said) == 3 and all("It is not shown" in line for line in said)
    words = "It is not shown whether the A beats the n-gram with the copy switch: it needs 0.0 bits fewer"
    ends = re.fullmatch(rf"{re.escape(words)} \((.*) to (.*)\)\.", said[0])
    assert [float(end) for end in ends.groups()] == pytest.approx([-SPREAD, SPREAD], abs=0.25)  # draws lie 0.2 apart
    assert said[1] == (
        "It is not shown that a strong classifier tells songs of the A from real ones: it is right in 50 % of cases"
        " (40 to 60; chance is 50)."
    )
    assert set(verdicts(report, "A").values()) == {"not shown"} and len(verdicts(report, "A")) == 2 + len(FIGURES) + 2
    assert all(re.search("not shown", line) for line in findings(report))
    page = "".join(questions_section(report))
    assert page.count('class="unsure"') == 2 + len(FIGURES) + 2
    assert 'class="good"' not in page and 'class="bad"' not in page


@pytest.mark.parametrize(
    "name, likelihood, bits, said",
    [
        ("A", "exact", 13.0, "The A beats the n-gram with the copy switch by 3.0 (3.0 to 3.0) bits a bar."),
        ("A", "bound", 13.0, "The A beats the n-gram with the copy switch by at least 3.0 (3.0 to 3.0) bits a bar."),
        ("A", "exact", 18.0, "The A loses to the n-gram with the copy switch by 2.0 (2.0 to 2.0) bits a bar."),
        ("A", "bound", 18.0, "The A loses to the n-gram with the copy switch by at most 2.0 (2.0 to 2.0) bits a bar."),
        (
            "A + copy",
            "exact",
            12.0,
            "The A with the copy switch beats the n-gram with it by 4.0 (4.0 to 4.0) bits a bar.",
        ),
    ],
)
def test_bits_beside_the_baseline(name, likelihood, bits, said):
    report = made("A")
    report["models"]["rows"]["A"] = row(30.0, "model")
    report["models"]["rows"][name] = row(bits, "model" if name == "A" else "with copy switch", likelihood)
    assert conclusions(report)[0] == said
    asked = questions(report, "A")[0]
    assert asked.verdict == ("better" if bits < 16 else "worse")
    assert asked.own[0].startswith("≤ ") == (likelihood == "bound")
    assert asked.own[1].endswith(", with the copy switch") == (name != "A")
    assert f"{abs(16 - bits):.1f} bits {'fewer' if bits < 16 else 'more'} (" in asked.by


def test_the_answer_is_that_of_the_best_model_and_the_others_fold():
    report = made("A", "B")
    report["models"]["rows"]["A"] = row(18.0, "model")
    report["models"]["rows"]["B"] = row(20.0, "model")
    report["models"]["rows"]["B + copy"] = row(15.0, "with copy switch")
    assert by_bits(report["models"]) == ["B", "A"]
    assert all("the B" in line or "The B" in line for line in conclusions(report))
    page = "".join(questions_section(report))
    assert page.index(">B</th>") < page.index("<details>") < page.index(">A</th>")
    assert verdicts(report, "A") != verdicts(report, "B")


def test_a_classifier_beside_its_controls():
    asked = "How often does a classifier tell its songs from real ones?"
    report = made("A")
    tell(report, controls.SHUFFLED, 0.8, 0.7, 0.9)
    tell(report, "A (as trained)", 0.89, 0.83, 0.94)
    assert conclusions(report)[1] == (
        "A strong classifier tells songs of the A from real ones in 89 % of cases (83 to 94; chance is 50)."
    )
    tell(report, controls.HALF, 0.9, 0.85, 0.95)
    assert verdicts(report, "A")[asked] == "not shown"  # it tells real songs as well
    tell(report, controls.HALF, *NO_CHANCE)
    tell(report, "A (as trained)", 0.52, 0.45, 0.6)
    assert verdicts(report, "A")[asked] == "as real" and "hardly tells songs of the A" in conclusions(report)[1]
    tell(report, "A (as trained)", 0.52, 0.4, 0.7)
    assert verdicts(report, "A")[asked] == "not shown"  # too few songs
    tell(report, "A (as trained)", 0.52, 0.45, 0.6)
    tell(report, controls.SHUFFLED, *NO_CHANCE)
    assert verdicts(report, "A")[asked] == "not shown"  # it is deaf


def test_songs_are_judged_as_the_sampler_makes_them():
    report = made("A")
    sets = report["sets"]["sets"]
    sets["A (sampler's defaults)"] = {"distances": {compare.STRONG: figure(0.9, 0.8, 0.95)}}
    assert "in 90 % of cases" in conclusions(report)[1]


def test_what_differs_most_from_real_songs():
    report = made("A")
    in_music(report)[KEY] = share(0.035, (0.027, 0.018, 0.037), (4.26, 2.9, 12.4))
    in_music(report)["leaps over a fifth"] = share(0.99, (0.9, -0.1, 1.0))  # far, and not shown
    assert conclusions(report)[2] == (
        "Songs of the A differ from real ones most in notes out of the key: 4.3 times as many (2.9 to 12)."
    )
    found = verdicts(report, "A")
    assert [asked for asked, verdict in found.items() if verdict == "differs"] == ["How many notes leave the key?"]
    in_music(report)[ENDING] = share(0.01, (-0.09, -0.12, -0.05), (0.1, 0.05, 0.3))
    assert conclusions(report)[2].endswith(
        " most in endings on a long tone of the scale: 0.10 times as many (0.05 to 0.30)."
    )
    report["copies"]["A (continued)"]["written"] = share(0.9, (0.8, 0.7, 0.9), (9.0, 8.0, 11.0))
    assert "most in bars that stand in training songs: 9.0 times" in conclusions(report)[2]


def test_what_real_songs_have_none_of_has_no_ratio():
    report = made("A")
    report["music"][0]["sets"]["real that goes on"]["figures"][LOOPS] = figure(0.0, 0.0, 0.0)
    in_music(report)[LOOPS] = share(0.056, (0.056, 0.04, 0.07), None)
    assert conclusions(report)[2] == (
        "Songs of the A differ from real ones most in bars in A-B-A-B loops: 5.6 % (5.0 to 6.2), where these have"
        " 0.0 % (0.0 to 0.0)."
    )
    asked = next(question for question in questions(report, "A") if "A-B-A-B" in question.asked)
    assert (asked.verdict, asked.by) == ("differs", "")


@pytest.mark.parametrize(
    "low, high, verdict", [(0.81, 1.2, "as real"), (0.79, 1.2, "not shown"), (0.9, 1.3, "not shown")]
)
def test_as_real_needs_an_interval_that_is_narrow(low, high, verdict):
    report = made("A")
    in_music(report)[KEY] = share(0.1, (0, -0.01, 0.01), (1.0, low, high))
    assert verdicts(report, "A")["How many notes leave the key?"] == verdict


def test_a_model_that_cannot_go_on_is_asked_about_its_songs_from_nothing():
    report = made("A")
    del report["music"][0]["sets"]["A (continued)"]
    report["music"][1]["sets"]["A (as trained)"]["figures"] = {KEY: share(0.3, (0.2, 0.1, 0.3), (3.0, 2.0, 4.0))}
    assert "most in notes out of the key: 3.0 times" in conclusions(report)[2]
    assert len(questions(report, "A")) == 2 + 1 + 2


def test_memory_and_a_collapsed_vae():
    report = made("A")
    rows = report["models"]["rows"]
    rows["one Gaussian"] = row(21.0, "control") | {"rate_nats": 3.0}
    report["models"]["baselines"] = {"one Gaussian": "A"}
    said = findings(report)
    saved = r"Memory of earlier bars saves the A 5\.0 \(4\.. to [56]\..\) bits a bar over one Gaussian, which .*"
    assert any(re.fullmatch(saved, line) for line in said)
    rows["one Gaussian"] = row(16.1, "control") | {"rate_nats": 3.0}
    assert findings(report)[0].startswith("It is not shown that memory helps the A: it saves 0.1 (")
    report["models"]["baselines"] = {"one Gaussian": "another"}
    assert "memory" not in " ".join(findings(report))
    for kl, collapsed in ((figure(0.01, 0.0, 0.02), True), (figure(0.9, 0.7, 1.1), False)):
        rows["A"]["kl"] = kl
        assert any("has collapsed" in line for line in findings(report)) == collapsed
    rows["A"]["tighter"] = figure(12.0, 11.0, 13.0)
    assert "A tighter bound of the A, from 8 particles, is 12.0 (11.0 to 13.0) bits a bar." in findings(report)


def test_copying_and_what_is_no_music():
    report = made("A")
    name = "A (as trained)"
    assert f"It is not shown that {name} copies more than held-out songs do." in findings(report)
    for copied, what in (("passages", "4 or more in a row"), ("windows", "windows of 8 notes")):
        changed = made("A")
        changed["copies"][name][copied] = share(0.5, (0.4, 0.3, 0.5))
        (line,) = [line for line in findings(changed) if "copies" in line]
        assert line.startswith(f"{name} copies: 50 % (45 to 55) ") and what in line
        assert line.endswith("held-out songs 10 % (9 to 11).")
    report["copies"][name]["passages"] = share(0.01, (-0.09, -0.1, -0.05))  # fewer than real songs
    assert f"It is not shown that {name} copies more than held-out songs do." in findings(report)
    sets = report["sets"]["sets"]
    sets[controls.SILENCE] = {"distances": {"rest share": figure(0.1, 0.05, 0.15)}}
    report["flags"] = [{"model": name, "measure": "rest share", "to": [controls.SILENCE], "to_real": []}]
    sets[name]["distances"]["rest share"] = figure(0.3, 0.25, 0.35)
    farther = (
        f"{name} is farther from real songs than silence by rest share: 0.3 (0.25 to 0.35) against 0.1 (0.05 to 0.15)."
    )
    assert farther in findings(report)
    sets[name]["distances"]["rest share"] = figure(0.12, 0.1, 0.2)
    assert f"It is not shown that {name} is farther than what is no music by rest share." in findings(report)


def test_which_set_is_nearest():
    report = made("A", "B")
    sets = report["sets"]["sets"]
    for name, told in (("A (as trained)", (0.6, 0.5, 0.65)), ("B (as trained)", (0.9, 0.8, 0.95))):
        tell(report, name, *told)
    said = findings(report)
    nearest = (
        f"Of the composed sets A (as trained) is nearest to held-out songs by {compare.STRONG}: 0.6 (0.5 to 0.65)."
    )
    assert nearest in said
    assert "By 1 of 2 distances it is not shown which composed set is nearest." in said
    assert set(sets["A (as trained)"]["distances"]) == {compare.STRONG, compare.CLASSIFIER}


def test_the_table_of_bits_has_a_row_for_each_model_and_marks_the_baseline():
    report = made("A", "B")
    rows = report["models"]["rows"]
    rows["A + copy"] = row(12.0, "with copy switch", "bound")
    rows["B"] = row(NO_SWITCH := 14.0, "model", "bound")
    table = "".join(bits_section(report["models"])).split("<details>")[0]
    lines = [text_of(line).split() for line in table.split("<tr>")[2:]]
    assert [line[0] for line in lines] == ["A", "B", "Kneser-Ney"]
    assert "12.00" in lines[0] and "-4.00" in lines[0] and lines[0].count("≤") == 3
    assert f"{NO_SWITCH:.2f}" in lines[1] and lines[1].count("–") == 3 and "-2.00" in lines[1]
    assert table.count('class="base"') == 3 and "16.00" in lines[2] and "29.00" in lines[2]


def test_shares_beside_real_ones_show_how_many_times():
    marked = share_cell(share(0.035, (0.027, 0.018, 0.037), (4.26, 2.9, 6.4)))
    assert 'class="lost"' in marked and "4.3 times (2.9 to 6.4)" in marked
    assert "lost" not in share_cell(share(0.1)) and "1.0 times (0.50 to 2.0)" in share_cell(share(0.1))
    assert "times" not in share_cell(share(0.1), beside=False)


def test_what_neither_set_has_is_none_found():
    """Nothing that happens in no song tells songs apart; what happens in one of the sets does or is not shown."""
    report = made("A")
    asked = "How many bars are copied, 4 or more in a row?"
    for name, value in (("A (continued)", 0.0), ("real that goes on", 0.0)):
        report["copies"][name]["passages"] = share(value)
        assert (verdicts(report, "A")[asked] == "none found") == (name == "real that goes on")
    assert "none found" in text_of("".join(questions_section(report)))
