"""Scores of composed songs: files beside MIDI, in the page, and by `save`."""

import numpy as np
import pytest

from mcvae_jax import sample
from mcvae_jax.errors import UserError
from mcvae_jax.music.sheet import svg
from mcvae_jax.sampling import page, score_page
from mcvae_jax.sampling.page import write_page
from mcvae_jax.sampling.results import check_folder, write_results
from mcvae_jax.sampling.scores import parse_formats, sheet_of
from mcvae_jax.sampling.song import ComposedSong, Setting, check_song, read_back
from tests.browser import open_browser
from tests.music.sheet.songs import bars_of

TUNE = "zzzzzzzzzzzzG-A- B---G---A---F--- G-------------zz zzzzzzzzzzzzzzzz d-c-B-A-G---G---"
TITLE = '<b>"Tune"</b> & Co %'


def song_of(name="01-x", bars=None, metre=(4, 4), key="", title=TITLE, given=2):
    bars = bars_of(TUNE) if bars is None else bars
    return ComposedSong(name, title, bars, np.arange(len(bars)) < given, Setting(96.0, metre, key), {})


def write(folder, songs, formats=()):
    said = []
    return write_results(folder, songs, "Songs", {}, said.append, formats), said


def test_every_song_is_written_in_every_format_and_reads_back(tmp_path):
    songs = [song_of(), song_of("02-x", metre=(2, 4), key="Em"), song_of("03-x", bars_of(TUNE)[:0])]
    record, _ = write(tmp_path / "out", songs, ("musicxml", "abc"))
    scores = [f"0{n}-x.{suffix}" for n in (1, 2, 3) for suffix in ("abc", "musicxml")]
    assert set(scores) < set(record["files"]) and not record["warnings"]
    for name in scores[:4]:
        np.testing.assert_array_equal(read_back(tmp_path / "out" / name), songs[0].bars)
    assert "K:Em" in (tmp_path / "out" / "02-x.abc").read_text() and record["songs"][1]["key"] == "Em"
    check_folder(tmp_path / "out")  # an earlier call's
    (tmp_path / "out" / "songs.json").write_text("{")
    check_folder(tmp_path / "out")  # also where it is damaged
    assert not [name for name in write(tmp_path / "out", songs)[0]["files"] if name in scores]


def test_a_score_that_does_not_come_back_is_named(tmp_path, monkeypatch):
    wrong = lambda song: sheet_of(song._replace(bars=song.bars[::-1]))  # noqa: E731
    monkeypatch.setattr("mcvae_jax.sampling.scores.sheet_of", wrong)
    record, said = write(tmp_path / "out", [song_of()], ("abc",))
    assert said == [f"Warning: {record['warnings'][0]}"] and "01-x.abc does not read back" in said[0]


@pytest.mark.parametrize("steps, metre", [(16, (3, 4)), (12, (12, 8)), (12, (4, 4))])
def test_metres_that_do_not_fill_bars_are_written_all_the_same(tmp_path, steps, metre):
    song = song_of(bars=bars_of("G---A---B---c---A---B---", steps), metre=metre)
    for suffix in ("musicxml", "abc"):
        assert check_song(song.save(tmp_path / f"x.{suffix}"), song) == ""


def test_where_composed_bars_begin_is_written_over_them():
    labels = [bar.label for bar in sheet_of(song_of()).bars]
    assert labels == ["", "", "composed", "", ""]
    filled = song_of()._replace(given=np.array([1, 1, 0, 0, 1], bool))
    assert [bar.label for bar in sheet_of(filled).bars] == ["", "", "composed", "", "given"]  # and not "seed"


def test_formats_of_the_command(capsys):
    assert parse_formats("midi") == () and parse_formats(" MusicXML,abc,midi,abc ") == ("musicxml", "abc")
    with pytest.raises(UserError, match="'musicxlm' is unknown; did you mean musicxml"):
        sample.parse(["--out=x", "--formats=musicxlm"])
    assert sample.parse(["--out=x"]).formats == "midi"


def test_without_verovio_scores_are_links_and_a_line_says_how_to_see_them(tmp_path, monkeypatch):
    for module in (svg, page, score_page):
        monkeypatch.setattr(module, "can_engrave", lambda: False)
    monkeypatch.setattr("mcvae_jax.sampling.scores.can_engrave", lambda: False)
    write_page(tmp_path / "index.html", [song_of()], "Songs", {})
    text = (tmp_path / "index.html").read_text()
    assert text.count("pip install mcvae_jax[score]") == 1 and "<img" not in text and ">MusicXML</a>" in text
    with pytest.raises(UserError, match=r"--formats=svg: scores are drawn by verovio"):
        parse_formats("svg")


def test_a_large_page_has_the_first_scores_alone(tmp_path, monkeypatch):
    pytest.importorskip("verovio")
    monkeypatch.setattr(score_page, "ENGRAVED_BYTES", 50_000)
    write_page(tmp_path / "index.html", [song_of(f"0{n}") for n in range(1, 6)], "Songs", {})
    text = (tmp_path / "index.html").read_text()
    shown = text.count("<img")
    assert 0 < shown < 5 and f"songs from number {shown + 1} on have their scores as links alone" in text


def test_a_song_is_saved_as_a_score(tmp_path):
    pytest.importorskip("verovio")
    heads = {"musicxml": "<?xml", "abc": "%abc", "svg": "<svg"}
    for suffix, head in heads.items():
        assert song_of().save(tmp_path / f"x.{suffix}").read_text().startswith(head)
    with pytest.raises(UserError, match="saved as one of .mid, .wav, .musicxml, .abc, .svg"):
        song_of().save(tmp_path / "x.pdf")


@pytest.mark.more
def test_the_page_in_a_browser_shows_scores_and_gives_them(tmp_path):
    pytest.importorskip("verovio")
    write(tmp_path / "out", [song_of()], ("abc",))
    browser = open_browser(tmp_path / "profile", tmp_path / "downloads")
    try:
        browser.get((tmp_path / "out" / "index.html").as_uri())
        sizes = "return [...document.querySelectorAll('.sheet img')].map(i => [i.naturalWidth > 0, i.alt])"
        assert browser.execute_script(sizes) == [[True, f"Score of {TITLE}"]]
        links = browser.execute_script("return [...document.querySelectorAll('.files a')].map(a => a.textContent)")
        assert links == ["MIDI", "WAV", "ABC", "MusicXML"]
        held = "return document.querySelector('.files a[download$=musicxml]').href"
        assert browser.execute_script(held).startswith("data:application/vnd.recordare.musicxml+xml;base64,")
        assert not [line for line in browser.get_log("browser") if line["level"] == "SEVERE"]
    finally:
        browser.quit()
