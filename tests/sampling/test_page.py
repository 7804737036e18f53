"""The page in a real browser, from a file system: it sounds as a WAV, follows, seeks, asks no host, escapes."""

import json
import re
from pathlib import Path
from urllib.parse import unquote, urlparse
from urllib.request import url2pathname

import numpy as np
import pytest

from mcvae_jax import versions
from mcvae_jax.music.tokens import NO_EVENT
from mcvae_jax.sampling import page
from mcvae_jax.sampling.earlier import earlier_songs
from mcvae_jax.sampling.page import write_page
from mcvae_jax.sampling.preview import render_wav, seconds_of
from mcvae_jax.sampling.results import write_results
from mcvae_jax.sampling.roll import draw_roll
from mcvae_jax.sampling.song import ComposedSong, Setting
from tests.browser import wait

pytestmark = pytest.mark.more

HOSTILE = '<script>alert(1)</script> & "x" \' $title'


def make_song(n, bars=8, title=HOSTILE, given=2, tempo=110.0, **fields):
    tokens = np.full((bars, 16), NO_EVENT, np.uint8)
    tokens[:, ::4] = np.random.default_rng(n).integers(55, 80, (bars, 4))
    notes = {"mode": HOSTILE, "temperatures": {"tokens": 0.5}, "key": None, "log density": -31.25}
    return ComposedSong(f"{n:02d} a#b", title, tokens, np.arange(bars) < given, Setting(tempo), notes, **fields)


@pytest.fixture(scope="module")
def opened(browser, tmp_path_factory):
    """A page of three songs as a call writes it; the third is long."""
    folder = tmp_path_factory.mktemp("out") / "songs"
    songs = [make_song(1), make_song(2, tempo=61.7), make_song(3, bars=57, title="A long one", given=0, tempo=300)]
    write_results(folder, songs, f"Songs {HOSTILE}", {"command": HOSTILE, "step": 12}, lambda line: None)
    script = (
        "const make = URL.createObjectURL; window.blobs = {};"
        "URL.createObjectURL = blob => { const url = make(blob); window.blobs[url] = blob; return url; }"
    )
    browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
    browser.get((folder / "index.html").as_uri())
    return songs


@pytest.fixture
def fresh(browser, opened):
    browser.execute_script(
        "for (const audio of document.querySelectorAll('audio')) { audio.pause(); audio.currentTime = 0; }"
    )
    wait(browser, "return [...document.querySelectorAll('audio')].every(a => a.readyState > 0 && !a.seeking)")
    return opened


def audio_state(browser, name):
    return browser.execute_script(f"return [...document.querySelectorAll('audio')].map(audio => audio.{name})")


def playhead(browser, i):
    """From the left edge of the notes of song i to its playhead, as a share of their width."""
    return browser.execute_script(
        "const song = document.querySelectorAll('.song')[arguments[0]], of = name =>"
        " song.querySelector(name).getBoundingClientRect();"
        " return (of('.playhead').left - of('.notes').left) / of('.notes').width",
        i,
    )


def test_every_song_plays_and_pauses_the_others(browser, fresh):
    lengths = [seconds_of(song.bars, song.quarters_per_minute) for song in fresh]
    np.testing.assert_allclose(audio_state(browser, "duration"), lengths, atol=1e-3)
    for i in range(len(fresh)):
        before = playhead(browser, i)
        browser.execute_script("document.querySelectorAll('audio')[arguments[0]].play()", i)
        wait(browser, "return document.querySelectorAll('audio')[arguments[0]].currentTime > 0.4", i)
        assert audio_state(browser, "paused") == [j != i for j in range(len(fresh))]
        assert playhead(browser, i) > before + 0.002
        playing = browser.execute_script("return [...document.querySelectorAll('.song')].map(s => s.className)")
        assert [name.split()[-1] == "playing" for name in playing] == [j == i for j in range(len(fresh))]
    assert audio_state(browser, "error") == [None] * len(fresh)


def test_the_playhead_stands_where_the_music_is(browser, fresh):
    for bar in (0, 3, 5.5):
        seconds = bar * 4 * 60 / 61.7
        browser.execute_script("document.querySelectorAll('audio')[1].currentTime = arguments[0]", seconds)
        wait(browser, "return !document.querySelectorAll('audio')[1].seeking")
        assert playhead(browser, 1) == pytest.approx(bar / 8, abs=0.002)


def test_a_click_in_the_roll_plays_from_there(browser, fresh):
    from selenium.webdriver import ActionChains

    notes = browser.find_elements("css selector", ".notes")[0]
    width = notes.size["width"]
    ActionChains(browser).move_to_element_with_offset(notes, round(width / 4), 0).click().perform()  # from the middle
    wait(browser, "return !document.querySelectorAll('audio')[0].paused")
    assert audio_state(browser, "currentTime")[0] == pytest.approx(0.75 * 8 * 4 * 60 / 110, abs=1.0)


def test_the_keyboard_reaches_everything(browser, fresh):
    from selenium.webdriver.common.keys import Keys

    bar = 4 * 60 / 110
    roll = browser.find_elements("css selector", ".roll")[0]
    steps = ((Keys.ARROW_RIGHT * 2, 2), (Keys.ARROW_LEFT, 1), (Keys.END, 7), (Keys.HOME, 0))
    for keys, bars in steps:
        roll.send_keys(keys)
        assert audio_state(browser, "currentTime")[0] == pytest.approx(bars * bar, abs=0.01)
    roll.send_keys(Keys.ARROW_RIGHT)
    wait(browser, "return document.querySelector('.roll').getAttribute('aria-valuetext') == 'bar 2'")
    roll.send_keys(Keys.SPACE)
    wait(browser, "return !document.querySelector('audio').paused")
    roll.send_keys(Keys.SPACE)
    wait(browser, "return document.querySelector('audio').paused")


def test_the_sound_of_the_page_is_that_of_the_wav_files(browser, fresh):
    """The same samples as preview.py renders, to a rounding: two programs in two languages."""
    for i, song in enumerate(fresh):
        data = browser.execute_async_script(
            "const blob = window.blobs[document.querySelectorAll('audio')[arguments[0]].src], done = arguments[1];"
            "blob.arrayBuffer().then(b => done([...new Int16Array(b)]))",
            i,
        )
        found, expected = np.array(data), np.frombuffer(render_wav(song.bars, song.quarters_per_minute), "<i2")
        assert np.array_equal(found[:22], expected[:22])  # the header
        assert np.abs(found[22:] - expected[22:]).max() <= 2 and np.abs(found[22:]).max() > 1000


def test_composed_bars_play_at_a_click(browser, fresh):
    first, _, third = browser.find_elements("css selector", ".song")
    button = first.find_element("css selector", ".from")
    assert button.text.endswith("from composed bar 3") and not third.find_elements("css selector", ".from")
    button.click()
    wait(browser, "return !document.querySelector('audio').paused")
    assert audio_state(browser, "currentTime")[0] == pytest.approx(2 * 4 * 60 / 110, abs=0.5)


@pytest.mark.parametrize("width", [1280, 390])
def test_every_bar_of_a_song_is_in_sight(browser, fresh, width):
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    )
    boxes = browser.execute_script(
        "return [...document.querySelectorAll('.roll')].map(roll => [roll.scrollWidth - roll.clientWidth,"
        " roll.querySelector('.notes').getBoundingClientRect().right, [...roll.querySelectorAll('.number')]"
        ".filter(n => n.offsetWidth).map(n => [n.textContent, n.getBoundingClientRect().left,"
        " n.getBoundingClientRect().right])])"
    )
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    for over, right, numbers in boxes:
        assert over == 0 and right < width
        places = [left for _, left, _ in numbers]
        assert numbers[0][0] == "1" and np.all(np.diff(places) > 18)  # so that numbers do not touch
        assert numbers[-1][2] <= right  # and none is cut off


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_window(browser, fresh, width):
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    )
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_titles_and_facts_are_text(browser, fresh):
    read = "return [...document.querySelectorAll(arguments[0])].map(element => element.textContent)"
    assert browser.title == f"Songs {HOSTILE}"
    assert browser.execute_script(read, "h1") == [f"Songs {HOSTILE}"]
    assert browser.execute_script(read, "h2") == [HOSTILE, HOSTILE, "A long one"]
    assert browser.execute_script(read, "header dd") == [HOSTILE, "12", versions.as_text(versions.here())]
    assert browser.execute_script(read, ".song:first-child dd") == [HOSTILE, "tokens 0.5", "none", "-31.25"]
    assert browser.execute_script("return document.querySelectorAll('script').length") == 1


def test_the_line_below_a_title_is_what_a_musician_reads(browser, fresh):
    lines = [line.text for line in browser.find_elements("css selector", ".plain")]
    assert lines[0] == "bars 1 to 8, 1 to 2 given · 0:17 · ♩=110 · 4/4" and lines[2].startswith("bars 1 to 57 · ")
    words = browser.find_element("tag name", "body").text.lower()  # what is not folded
    assert not re.findall(r"latent|token|temperature|log density|checkpoint|prior\b|sampl", words)


def test_links_lead_to_the_files_beside_the_page(browser, fresh):
    links = [link.get_attribute("href") for link in browser.find_elements("css selector", ".files a")]
    links = [link for link in links if not link.startswith("data:")]  # of scores within the page
    assert [link[-4:] for link in links] == [".mid", ".wav"] * 3
    folder = Path(url2pathname(urlparse(browser.current_url).path)).parent
    assert all((folder / unquote(link.rsplit("/", 1)[1])).is_file() for link in links)


def test_no_request_leaves_the_file_system_and_no_error_is_logged(browser, opened):
    """Comes last: reads what the browser logged through all of the tests above."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    requests = [m["params"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    urls = [r["request"]["url"] for r in requests if not r["documentURL"].startswith("chrome")]  # the empty start page
    assert any(url.startswith("file:") for url in urls)
    assert {url.split(":", 1)[0] for url in urls} <= {"file", "data", "blob"}
    assert not browser.get_log("browser")


def test_a_page_is_small_and_earlier_songs_play_in_it(browser, tmp_path):
    folder = tmp_path / "songs"
    for n in (1, 2):
        write_results(
            folder, [make_song(n, bars=25)], "t", {"call": n}, lambda line: None, earlier=earlier_songs(folder)
        )
    assert (folder / "index.html").stat().st_size < 400_000 < (folder / "01 a#b.wav").stat().st_size
    browser.get((folder / "index.html").as_uri())
    wait(browser, "return [...document.querySelectorAll('audio')].filter(a => a.readyState > 0).length == 2")
    headings = browser.execute_script("return [...document.querySelectorAll('h2')].map(h => h.textContent)")
    assert headings == [HOSTILE, "Earlier songs", HOSTILE]


def test_songs_without_a_preview_are_listed(tmp_path):
    songs = [make_song(n) for n in range(1, 4)]
    write_page(tmp_path / "x.html", songs, "t", {}, {songs[0].name}, ["something & something"])
    html = (tmp_path / "x.html").read_text()
    assert html.count("<audio") == 1 and 'href="03%20a%23b.mid" download>03 a#b: &lt;script' in html
    assert "1 song with players; 2 more" in html and "something &amp; something" in html


def test_no_address_of_any_host_stands_in_a_page(tmp_path):
    write_page(tmp_path / "x.html", [make_song(1, title="t", given=0)], "t", {})
    html = (tmp_path / "x.html").read_text()
    assert not re.findall(r"https?:|//\w+\.\w+|@import|url\(", html)
    assert "given bars (shaded)" not in html


def test_rolls_of_odd_songs():
    """No bars, no notes, all pitches, a label longer than its section."""
    empty = ComposedSong("x", "t", np.empty((0, 16), np.uint8), np.empty(0, bool), Setting(), {})
    silent = empty._replace(bars=np.full((2, 16), NO_EVENT, np.uint8), given=np.zeros(2, bool))
    wide = silent._replace(bars=np.arange(0, 128, 4, dtype=np.uint8).reshape(2, 16), sections=((0, "<" * 99), (1, "b")))
    for song in (empty, silent, wide):
        assert draw_roll(song).count("<svg") == 2
    drawn = draw_roll(wide)
    assert "&lt;&lt;" in drawn and "<<" not in drawn
    (path,) = re.findall(r'class="note" d="([^"]*)"', drawn)
    tops = [int(y) for y in re.findall(r"M\S+ (\d+)", path)]
    assert len(tops) == 32 and np.unique(np.diff(tops)).tolist() == [-28]  # four semitones up each


def test_songs_within_the_output_of_a_cell(browser, tmp_path):
    """The frame is as high as what it shows, its players are ready, and no title gets out of it."""
    songs = [make_song(1), make_song(2, bars=3, title="Short", given=0)]
    output = f"<!DOCTYPE html><style>.song {{ display: none }}</style><body>{page.inline(songs)}</body>"
    (tmp_path / "cell.html").write_text(output, "utf-8")
    browser.get((tmp_path / "cell.html").as_uri())
    inside = "const page = document.querySelector('iframe').contentDocument;"
    wait(browser, f"{inside} return [...page.querySelectorAll('audio')].filter(a => a.readyState > 0).length == 2")
    assert browser.execute_script(f"{inside} return [...page.querySelectorAll('h2')].map(h => h.textContent)") == [
        HOSTILE,
        "Short",
    ]
    wait(browser, f"{inside} return page.documentElement.scrollHeight <= document.querySelector('iframe').clientHeight")
    heights = "return [page.documentElement.offsetHeight, document.querySelector('iframe').clientHeight]"
    content, frame = browser.execute_script(inside + heights)
    assert content <= frame <= content + 10
    links = browser.execute_script(f"{inside} return [...page.querySelectorAll('.files a')].map(a => a.download)")
    assert links == [f"0{n} a#b.{suffix}" for n in (1, 2) for suffix in ("mid", "musicxml", "abc")]
