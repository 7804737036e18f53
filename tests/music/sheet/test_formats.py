"""What is written of a sheet, read back: by our readers to the same bars, by music21 to the same notes."""

import concurrent.futures
from fractions import Fraction
from xml.etree import ElementTree

import numpy as np
import pytest

from experiments.readers import same_notes
from experiments.readers.abc import abc2midi
from mcvae_jax.corpus.builtin import own_tunes
from mcvae_jax.corpus.read import Song, score_to_song
from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.errors import UserError
from mcvae_jax.music.readers import read_scores
from mcvae_jax.music.sheet import svg
from mcvae_jax.music.sheet.sheet import make_sheet
from mcvae_jax.music.sheet.svg import as_svg
from mcvae_jax.music.tokens import NO_EVENT, NOTE_OFF
from tests.music.sheet.songs import METRES, bars_of, check_read_again, notes_of, written

HOSTILE = [
    '<script>alert(1)</script> & "x" \' $title',
    "A\nK:Cm\n|:CDEF:|\r\nX:2\nT:B",
    "100 % of \\'e, \\ss &eacute; &amp; \\& \\",
    "  [r:x] ]]> <!-- {grace} \x00\x1b[2J \u202e \ud800 \u2028",
    "X:1",
    "%%MIDI transpose 5",
    "Ünïcödé 曲 🎵",
    "",
]
LONG = "G---A---B---c--- c---B---A---G--- G---A---B---c--- d-------d------- "


def random_bars(seed, steps, bars=9):
    """Notes of a few pitches, long and short, silences, and bars that come back."""
    random = np.random.default_rng(seed)
    kinds = random.choice(3, (bars, steps), p=random.dirichlet([2, 1, 5]))
    tokens = np.choose(kinds, [random.integers(48, 84, (bars, steps)), NOTE_OFF, NO_EVENT]).astype(np.uint8)
    if seed % 2:
        tokens[bars - bars // 2 :] = tokens[: bars // 2]
        tokens[[0, bars - bars // 2], 0] = 60
    return tokens


def tunes():
    for name, score in own_tunes():
        for steps in (16, 12):
            song = score_to_song(score, name, b"", CorpusSettings("x", steps_per_bar=steps))
            if isinstance(song, Song):
                yield name, song.bars, song.metre, score.keys[0][1]
                break


@pytest.mark.parametrize("steps, metre", METRES)
def test_our_readers_find_the_same_bars(steps, metre):
    for seed in range(6):
        check_read_again(random_bars(seed, steps), metre)


def test_our_readers_find_the_tunes_again():
    found = [check_read_again(bars, metre, key=key, title=name) for name, bars, metre, key in tunes()]
    assert len(found) > 20


def theirs(text, form):
    """The notes as music21 plays them, see `notes_of`."""
    from music21 import converter

    part = converter.parseData(text, format=form).parts[0]
    played = part.expandRepeats() if part.hasMeasures() else part
    whole = played.flatten().stripTies(matchByPitch=False)  # it takes E natural and E for two pitches
    rows = [(each.offset, each.quarterLength, each.pitch.midi) for each in whole.notes]
    return [(Fraction(start) - Fraction(rows[0][0]), Fraction(length), pitch) for start, length, pitch in rows]


@pytest.mark.parametrize("form", ["musicxml", "abc"])
def test_music21_plays_the_same_notes(form):
    pytest.importorskip("music21")
    songs = [(bars, metre, key) for _, bars, metre, key in list(tunes())[::4]]
    songs += [(random_bars(n, steps, 5), metre, "") for n, (steps, metre) in enumerate(METRES) if steps in (12, 16, 24)]
    songs.append((bars_of(LONG * 2), (4, 4), "F#m"))
    for bars, metre, key in songs:
        text = written(bars, metre=metre, key=key)[f".{form}"]
        assert theirs(text, form) == notes_of(bars), text


def test_abc2midi_plays_the_same_notes():
    songs = [(bars, metre, key) for _, bars, metre, key in tunes()]
    songs += [(random_bars(n, steps), metre, "") for n, (steps, metre) in enumerate(METRES)]
    for bars, metre, key in songs:
        text = written(bars, metre=metre, key=key)[".abc"]
        played = abc2midi(text.encode())
        first = min(start for _, start, _ in played)
        heard = [(pitch, start - first, end - first) for pitch, start, end in played]
        assert same_notes(heard, [(p, float(start), float(start + length)) for start, length, p in notes_of(bars)]), (
            text
        )


@pytest.mark.parametrize("title", HOSTILE)
def test_titles_stay_titles(title):
    bars = bars_of(LONG)
    for suffix, text in written(bars, title=title, composer=title, labels=[(2, title)]).items():
        (score,) = read_scores(text.encode(), suffix)
        assert score.title == make_sheet(bars, title=title).title and len(score.tracks[0].pitch) == 14
        assert [name for _, name in score.keys] == ["G"] and not score.remarks


def test_the_head_of_a_score_says_what_it_is():
    bars = bars_of("C-----D-----E-----F-----", 12)
    files = written(bars, metre=(6, 8), key="Dm", quarters_per_minute=99.0, title="A & B", composer="C. D.")
    root = ElementTree.fromstring(files[".musicxml"])
    heads = {"work/work-title": "A & B", "identification/creator": "C. D.", ".//fifths": "-1", ".//mode": "minor"}
    heads |= {".//beats": "6", ".//beat-type": "8", ".//beat-unit": "quarter", ".//per-minute": "66", ".//sign": "G"}
    assert {path: root.findtext(path) for path in heads} == heads
    assert root.find(".//beat-unit-dot") is not None and root.find(".//sound").get("tempo") == "99"
    head = "%abc-2.1\nX:1\nT:A & B\nC:C. D.\nM:6/8\nL:1/8\nQ:3/8=66\nK:Dm\n"
    assert files[".abc"] == head + "C3 D3 | E3 F3 |]\n"
    for suffix, text in files.items():
        (score,) = read_scores(text.encode(), suffix)
        assert score.tempos.tolist() == [[0, 99]] and score.keys == ((0, "Dm"),)


def test_beams_and_tuplets_are_marked_as_the_format_asks():
    bars = bars_of("C-D-E-F--GHIA-----B-----".replace("H", "A").replace("I", "B"), 24)
    root = ElementTree.fromstring(written(bars, key="C")[".musicxml"])
    notes = root.findall(".//note")
    beams = [[beam.text for beam in note.findall("beam")] for note in notes]
    begin, go_on, end = "begin", "continue", "end"
    assert beams == [[begin], [go_on], [end], [begin], [go_on, begin], [go_on, go_on], [end, end], [], []]
    marks = [[mark.get("type") for mark in note.findall(".//tuplet")] for note in notes]
    assert marks == [["start"], [], ["stop"], [], ["start"], [], ["stop"], [], []]
    assert all(
        note.findtext("time-modification/actual-notes") == "3" for note, mark in zip(notes, marks, strict=True) if mark
    )


def test_songs_without_notes_can_be_written_and_are_empty():
    for bars in (np.empty((0, 16), np.uint8), np.full((3, 12), NO_EVENT, np.uint8)):
        for text in written(bars, title="Silence").values():
            assert "Silence" in text and text.count("<pitch>") == 0


def test_the_picture_shows_what_is_written():
    pytest.importorskip("verovio")
    sheet = make_sheet(bars_of(LONG * 2), title="<b>", labels=[(4, "<i>answer</i>")])
    picture = as_svg(sheet)
    root = ElementTree.fromstring(picture)
    kinds = [element.get("class") for element in root.iter() if element.get("class")]
    assert kinds.count("note") == 28 and kinds.count("measure") == len(sheet.bars) == 8
    assert "&lt;i&gt;answer" in picture and "@font-face" not in picture and "\u2669" in picture
    assert picture == as_svg(sheet)


def test_a_picture_without_a_page_around_it_has_its_title():
    pytest.importorskip("verovio")
    sheet = make_sheet(bars_of(LONG), title="Ä <b> & tune")
    texts = ["".join(as_svg(sheet, titled=titled)).count("Ä &lt;b&gt; &amp; tune") for titled in (True, False)]
    assert texts == [1, 0]


def test_bar_numbers_of_three_digits_are_not_cut_off():
    """Each stands in the middle over the left bar line; a digit of Times is half as wide as it is high."""
    pytest.importorskip("verovio")
    root = ElementTree.fromstring(as_svg(make_sheet(random_bars(2, 16, 120))))
    margins = [each.get("transform") for each in root.iter() if each.get("class") == "page-margin"]
    left = float(margins[0].removeprefix("translate(").split(",")[0])
    numbers = [
        (float(text.get("x", 0)), float(digits.get("font-size").removesuffix("px")), digits.text)
        for group in root.iter()
        if "mNum" in group.get("class", "")
        for text in group
        for digits in text.iter()
        if digits.text and digits.text.strip()
    ]
    assert len(numbers[-1][2]) == 3 and all(left + x >= len(text) * size / 4 for x, size, text in numbers)


@pytest.mark.slow
def test_a_song_of_many_bars_is_one_picture():
    pytest.importorskip("verovio")
    bars = random_bars(4, 16, 2_000)
    sheet = make_sheet(bars)
    root = ElementTree.fromstring(as_svg(sheet))
    pages = [page for page in root if page.get("viewBox")]
    assert len(pages) > 1 and len([each for each in root.iter() if each.get("class") == "measure"]) == len(sheet.bars)
    ends = [int(page.get("y")) + int(page.get("height")) for page in pages]
    assert [int(page.get("y")) for page in pages[1:]] == ends[:-1] and root.get("viewBox").endswith(f" {ends[-1]}")


def test_without_verovio_a_line_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(svg, "can_engrave", lambda: False)
    with pytest.raises(UserError, match=r"pip install mcvae_jax\[score\]"):
        as_svg(make_sheet(bars_of(LONG)))


def test_a_picture_is_the_same_in_every_thread():
    pytest.importorskip("verovio", reason="verovio is not installed: no score")
    sheet = make_sheet(np.array([[60, 129, 62, 129] * 4], np.uint8))
    with concurrent.futures.ThreadPoolExecutor(2) as others:
        pictures = [others.submit(svg.as_svg, sheet).result() for _ in range(3)]
    assert {svg.as_svg(sheet)} == set(pictures)
