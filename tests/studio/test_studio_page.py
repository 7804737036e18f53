"""The studio in a real browser, by real clicks and keys; its model is a fake that answers at once."""

import http.server
import json
import re
import threading
import time
import wave
from functools import partial

import mido
import music21
import pytest

from mcvae_jax.studio.server import Studio
from tests.browser import wait
from tests.studio.fake import fake_engine
from tests.studio.test_server import TUNE

pytestmark = pytest.mark.more

MACHINE = r"latent|temperature|sigma|model|token|sampl|neural|train|checkpoint|\bbits\b|encod|decod|\bseed"
PHRASE = ((0, 67), (4, 69), (8, 71), (12, 74), (16, 72), (24, 67))


@pytest.fixture(scope="module")
def studio():
    with Studio(fake_engine()) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        threading.Thread(target=server.warm, daemon=True).start()
        yield server
        server.shutdown()


def opened(browser, studio):
    """The page with an empty song."""
    if not browser.current_url.startswith(studio.address):
        browser.get(studio.address)
    browser.execute_script("sessionStorage.clear()")
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.refresh()
    wait(browser, "return document.body.dataset.ready == 'yes'")
    return browser


@pytest.fixture
def page(browser, studio):
    return opened(browser, studio)


def actions(page):
    from selenium.webdriver import ActionChains

    return ActionChains(page, duration=20)


def at(page, step, pitch):
    """The middle of a cell of the roll, in pixels of the window."""
    place = page.execute_script(
        "document.querySelector('#roll').scrollIntoView({block: 'center', inline: 'start', behavior: 'instant'});"
        "Roll.scroller.scrollTo({left: Roll.x(arguments[0]) - 120, behavior: 'instant'});"
        "const r = document.querySelector('#roll svg').getBoundingClientRect();"
        "return [r.left + Roll.x(arguments[0] + .4), r.top + Roll.y(arguments[1]) + 6]",
        step,
        pitch,
    )
    return [round(each) for each in place]


def draw(page, step, pitch, to=None):
    """A click into a cell, or a drag from there to another (step, pitch)."""
    chain = actions(page)
    pointer = chain.w3c_actions.pointer_action
    pointer.move_to_location(*at(page, step, pitch)).pointer_down()
    if to:
        pointer.move_to_location(*at(page, *to))
    pointer.pointer_up()
    chain.perform()


def draw_phrase(page):
    for step, pitch in PHRASE:
        draw(page, step, pitch)


def notes(page):
    return [tuple(each) for each in page.execute_script(
        "return Song.notes(App.song.tokens).map(note => [note.start, note.end, note.pitch])")]  # fmt: skip


def bars(page):
    return page.execute_script("return Song.bars(App.song)")


def press(page, name):
    page.execute_script(
        "document.getElementById(arguments[0]).scrollIntoView({block: 'center', behavior: 'instant'})", name
    )
    page.find_element("id", name).click()


def asked(page, name):
    """Presses a button and waits for the answer."""
    before = page.execute_script("return App.history.place")
    press(page, name)
    wait(page, "return !App.busy && App.history.place == arguments[0]", before + 1)


def choose(page, *numbers):
    for n, number in enumerate(numbers):
        bar = page.find_elements("css selector", ".bar")[number]
        chain = actions(page)
        from selenium.webdriver.common.keys import Keys

        page.execute_script(
            "arguments[0].scrollIntoView({block: 'center', inline: 'center', behavior: 'instant'})", bar
        )
        if n:
            chain.key_down(Keys.SHIFT)
        chain.click(bar)
        if n:
            chain.key_up(Keys.SHIFT)
        chain.perform()


def said(page):
    return page.find_element("id", "said").text


def test_notes_are_drawn_moved_lengthened_and_taken_away(page):
    draw_phrase(page)
    quarter = [(0, 4, 67), (4, 8, 69), (8, 12, 71), (12, 16, 74), (16, 20, 72), (24, 28, 67)]
    assert notes(page) == quarter
    draw(page, 18, 76, to=(22, 76))  # a drag; it cuts the note that sounds there
    assert notes(page)[4:6] == [(16, 18, 72), (18, 23, 76)]
    draw(page, 20, 76, to=(21, 74))
    assert notes(page)[5] == (19, 24, 74)
    draw(page, 20, 74)
    assert notes(page) == [*quarter[:4], (16, 18, 72), quarter[5]]
    for _ in range(3):
        press(page, "undo")
    assert notes(page) == quarter and not page.find_element("id", "redo").get_property("disabled")
    press(page, "redo")
    assert len(notes(page)) == 7


def test_an_answer_is_composed_heard_and_another_one_takes_its_place(page):
    draw_phrase(page)
    own = bars(page)
    asked(page, "continue")
    first = bars(page)
    assert len(first) == 6 and first[:2] == own[:2] and all(bar[0] < 128 for bar in first[2:])
    wait(page, "return Player.isPlaying && Sound.planned.size > 0")
    assert page.find_element("css selector", "#bars [aria-pressed=true]").text.startswith("3")
    assert "Bars 3 to 6 answer you" in said(page)
    asked(page, "another")
    second = bars(page)
    assert second[:2] == own[:2] and second[2:] != first[2:] and len(second) == 6
    for before in (first, own):
        press(page, "undo")
        assert bars(page)[:2] == before[:2] and bars(page)[2:] == before[2:]
    press(page, "redo")
    assert bars(page) == first


def test_locked_bars_stay_whatever_is_asked(page):
    draw_phrase(page)
    asked(page, "continue")
    choose(page, 3)
    press(page, "lock")
    kept = bars(page)
    asked(page, "another")
    made = bars(page)
    assert [n for n in range(6) if made[n] != kept[n]] == [2, 4, 5]
    choose(page, 2, 4)
    asked(page, "fill")
    filled = bars(page)
    assert [n for n in range(6) if filled[n] != made[n]] == [2, 4]
    choose(page, 0, 5)
    asked(page, "vary")
    assert bars(page)[3] == kept[3] and "4" not in said(page)
    press(page, "empty")
    assert bars(page)[3] == kept[3] and page.execute_script("return Song.sounding(App.song)") == 4
    draw(page, 50, 60)
    assert bars(page)[3] == kept[3] and said(page) == "Bar 4 is locked."
    choose(page, 3)
    assert page.find_element("id", "lock").text == "Unlock"


def test_whatever_is_put_beside_a_locked_bar_it_sounds_as_before(page):
    """Songs of chance, in which notes are held over bar lines: filled, emptied, shortened; in a thousand steps."""
    wrong = page.execute_script(
        "const below = n => Math.floor(Math.random() * n), tokens = n => Array.from({ length: n }, () =>"
        "  Math.random() < .6 ? HOLD : Math.random() < .3 ? OFF : 60 + below(5));"
        "for (let round = 0; round < 1000; round++) {"
        "  const song = Song.with(Song.empty(4, 6, {}), { tokens: tokens(24),"
        "    locked: Array.from({ length: 6 }, () => Math.random() < .4) });"
        "  const sound = (made, n) => Song.sound(made.tokens).slice(4 * n, 4 * n + 4).join();"
        "  const put = Song.put(song, below(6), [tokens(4), tokens(4)], true), all = [0, 1, 2, 3, 4, 5];"
        "  const free = all.filter(n => !song.locked[n]), locked = all.filter(n => song.locked[n]);"
        "  for (const made of [put, Song.emptied(song, free)])"
        "    for (const n of locked) if (sound(song, n) !== sound(made, n)) return [song, made, n];"
        "  const gone = free.slice(0, 1), kept = Song.without(song, gone);"
        "  const order = all.filter(n => !gone.includes(n));"
        "  const [before, after] = [song, kept].map(each => Song.sound(each.tokens));"
        "  for (const [k, n] of order.entries()) if (after[4 * k] >= 0 && before[4 * n] < 0) return [song, kept, n];"
        "} return null;"
    )
    assert wrong is None


def test_bars_that_were_chosen_are_filled_and_nothing_else(page):
    draw_phrase(page)
    press(page, "fill")
    assert said(page).startswith("Select the bars")
    asked(page, "continue")
    own = bars(page)
    choose(page, 0)
    asked(page, "fill")
    assert bars(page)[1:] == own[1:] and bars(page)[0] != own[0] and "Bar 1 is filled" in said(page)


def test_kept_songs_stand_side_by_side_and_come_back(page):
    draw_phrase(page)
    asked(page, "continue")
    first = bars(page)
    press(page, "keep")
    asked(page, "another")
    press(page, "keep")
    cards = page.find_elements("css selector", ".kept")
    assert [card.find_element("tag name", "h3").text for card in cards] == ["My song 1", "My song 2"]
    press(page, "new")
    assert notes(page) == []
    cards[0].find_elements("tag name", "button")[1].click()
    assert bars(page) == first
    page.refresh()
    wait(page, "return document.body.dataset.ready == 'yes'")
    cards = page.find_elements("css selector", ".kept")
    assert bars(page) == first and len(cards) == 2
    cards[0].find_elements("tag name", "button")[2].click()
    assert said(page) == "My song 1 is no longer kept." and len(page.find_elements("css selector", ".kept")) == 1


def saved(page, downloads, label, suffix):
    button = next(each for each in page.find_elements("css selector", "#formats button") if label in each.text)
    page.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", button)
    before = set(downloads.glob(f"*{suffix}"))
    button.click()
    end = time.monotonic() + 10
    while not (found := set(downloads.glob(f"*{suffix}")) - before):
        assert time.monotonic() < end
        time.sleep(0.05)
    return found.pop()


def test_the_saved_files_are_opened_by_other_readers(page, downloads):
    from selenium.webdriver.common.keys import Keys

    draw_phrase(page)
    press(page, "title")
    title = page.find_element("id", "title")
    title.send_keys(Keys.CONTROL + "a", Keys.NULL, "Ä/B <b>tune</b>\t")
    asked(page, "continue")
    path = saved(page, downloads, "MIDI", ".mid")
    file = mido.MidiFile(path)
    on, ticks = [], 0
    for message in file.tracks[1]:
        ticks += message.time
        if message.type == "note_on":
            on.append((ticks * 4 // file.ticks_per_beat, message.note))
    assert on == [(start, pitch) for start, _, pitch in notes(page)] and path.name == "ÄB btuneb.mid"
    assert [m.text for m in file.tracks[0] if m.type == "marker"] == ["yours", "answer"]
    for label, suffix in (("MusicXML", ".musicxml"), ("ABC", ".abc")):
        score = music21.converter.parse(saved(page, downloads, label, suffix))
        found = [(4 * float(note.getOffsetInHierarchy(score)), note.pitch.midi) for note in heard(score)]
        assert found == on
    with wave.open(str(saved(page, downloads, "WAV", ".wav"))) as sound:
        assert sound.getnframes() / sound.getframerate() == pytest.approx(6 * 4 * 60 / 110, abs=0.01)


def heard(score):
    """The notes of a score as played: repeats unfolded, tied ones as one."""
    return score.expandRepeats().stripTies().flatten().notes


def test_the_score_is_drawn_and_follows_the_song(page):
    pytest.importorskip("verovio", reason="verovio is not installed: no score")
    draw_phrase(page)
    page.execute_script("document.getElementById('score').open = true")
    image = "const image = document.querySelector('#score img');"
    drawn = "image.complete && image.naturalWidth > 0 && image.clientHeight > 30"
    wait(page, f"{image} return {drawn}")
    before = page.execute_script(f"{image} return image.src")
    asked(page, "continue")
    wait(page, f"{image} return image.src != arguments[0] && {drawn}", before)


def test_metre_key_tempo_and_sound_belong_to_the_song(page):
    from selenium.webdriver.support.ui import Select

    draw_phrase(page)
    before = notes(page)
    for name, value in (("metre", "6/8"), ("key", "Em"), ("instrument", "73")):
        Select(page.find_element("id", name)).select_by_value(value)
    assert notes(page) == before and len(bars(page)[0]) == 12  # the notes stay, the bar lines move
    asked(page, "continue")
    assert page.execute_script("return [App.song.key, App.song.program, App.song.metre]") == ["Em", 73, "6/8"]
    for _ in range(4):
        press(page, "undo")
    assert page.find_element("id", "metre").get_property("value") == "4/4" and len(bars(page)[0]) == 16


def test_by_keyboard_alone(page):
    from selenium.webdriver.common.keys import Keys

    def tab_to(name):
        for _ in range(60):
            actions(page).send_keys(Keys.TAB).perform()
            if page.execute_script("return document.activeElement.id || document.activeElement.className") == name:
                return
        pytest.fail(f"Tab does not reach {name}")

    def keys(*typed):
        actions(page).send_keys(*typed).perform()

    tab_to("roll")
    keys(Keys.ENTER, *[Keys.ARROW_RIGHT] * 4, Keys.ARROW_UP, Keys.ARROW_UP, Keys.ENTER)
    assert notes(page) == [(0, 4, 67), (4, 8, 69)]
    actions(page).key_down(Keys.SHIFT).send_keys(Keys.ARROW_RIGHT).key_up(Keys.SHIFT).perform()
    assert notes(page)[1] == (4, 9, 69)
    assert page.execute_script("return document.getElementById('spot').textContent") == "A4, bar 1, beat 2, a note"
    tab_to("continue")
    keys(Keys.ENTER)
    wait(page, "return !App.busy && Song.count(App.song) == 5")
    actions(page).key_down(Keys.SHIFT).send_keys(*[Keys.TAB] * 5).key_up(Keys.SHIFT).perform()
    page.execute_script("document.querySelector('#bars [tabindex=\"0\"]').focus()")
    keys(Keys.HOME, Keys.ARROW_RIGHT, Keys.SPACE, "l")
    assert page.execute_script("return App.song.locked") == [False, True, False, False, False]
    label = page.switch_to.active_element.get_attribute("aria-label")
    assert label.startswith("Bar 2, the answer, locked")
    actions(page).key_down(Keys.SHIFT).send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT).key_up(Keys.SHIFT).perform()
    assert page.execute_script("return App.chosen") == [1, 2, 3]
    before = bars(page)
    tab_to("fill")
    keys(Keys.ENTER)
    wait(page, "return !App.busy && document.getElementById('said').textContent.includes('filled')")
    assert [n for n in range(5) if bars(page)[n] != before[n]] == [2, 3]
    actions(page).key_down(Keys.CONTROL).send_keys("z").key_up(Keys.CONTROL).perform()
    assert bars(page) == before
    actions(page).key_down(Keys.CONTROL).key_down(Keys.SHIFT).send_keys("z").key_up(Keys.SHIFT).key_up(
        Keys.CONTROL
    ).perform()
    assert bars(page) != before


def quick_tempo(page):
    page.execute_script("App.setting({ tempo: 300 })")  # a bar lasts 0.8 s


def test_what_the_keys_of_the_keyboard_play_is_written_down(page):
    from selenium.webdriver.common.keys import Keys

    quick_tempo(page)
    press(page, "record")
    wait(page, "return App.recording && Sound.now() > App.recording.take.time - .02", seconds=5)
    for key in "adg":
        chain = actions(page).key_down(key).pause(0.12).key_up(key)
        chain.perform()
    press(page, "record")
    assert said(page).startswith("What you played is in the grid")
    pitches = [pitch for *_, pitch in notes(page)]
    assert pitches == [60, 64, 67] and all(end > start for start, end, _ in notes(page))
    assert page.execute_script("return [Sound.live.size, App.recording]") == [0, None]
    actions(page).send_keys("x").perform()
    assert page.find_element("css selector", "#piano [data-pitch]").get_attribute("data-pitch") == "72"
    actions(page).click(page.find_element("css selector", "#piano [data-pitch='74']")).perform()
    assert page.execute_script("return Sound.live.size") == 0
    page.find_element("id", "title").send_keys("add", Keys.TAB)  # text is no music
    assert page.execute_script("return Piano.down.size") == 0


def test_a_midi_keyboard_plays_and_leaves_no_note_sounding(page):
    """The browser's MIDI is replaced by one that sends what it is told."""
    page.execute_script(
        "window.input = { id: 'a', name: 'Keys' };"
        "navigator.requestMIDIAccess = async () => ({ inputs: new Map([['a', window.input]]) })"
    )
    press(page, "midi")
    wait(page, "return typeof window.input.onmidimessage == 'function'")
    assert said(page) == "Connected: Keys."
    send = "for (const data of arguments[0]) window.input.onmidimessage({ data }); return [...Sound.live.keys()]"
    assert page.execute_script(send, [[0x90, 64, 90], [0x93, 67, 1], [0xFE], [0xB0, 64, 127]]) == [64, 67]
    assert page.execute_script(send, [[0x90, 64, 90], [0x90, 64, 0], [0x83, 67, 0], [0x80, 50, 0]]) == []


@pytest.mark.slow  # in real time
def test_call_and_response(page):
    """You play two bars, the answer comes at the bar line, and it is your turn again; then you are silent."""
    from selenium.webdriver.support.ui import Select

    quick_tempo(page)
    Select(page.find_element("id", "turn")).select_by_value("2")
    page.execute_script("window.planned = []; const plan = Sound.plan; Sound.plan = function (pitch, start, ...rest) {"
                        " window.planned.push(start); return plan.call(this, pitch, start, ...rest); }")  # fmt: skip
    press(page, "dialogue")
    wait(page, "return App.dialogue.take && Sound.now() > App.dialogue.take.time", seconds=5)
    begun = page.execute_script("return App.dialogue.take.time")
    actions(page).key_down("a").pause(0.2).key_up("a").key_down("g").pause(0.1).key_up("g").perform()
    wait(page, "return document.getElementById('said').textContent == 'The answer.'", seconds=5)
    assert len(bars(page)) == 4 and page.execute_script("return App.song.composed") == [False, False, True, True]
    assert page.execute_script("return window.planned[0]") == pytest.approx(begun + 2 * 0.8, abs=0.02)
    wait(page, "return !App.dialogue", seconds=8)
    assert said(page).startswith("You played nothing") and page.find_element("id", "dialogue").text == "Start"
    assert [pitch for start, _, pitch in notes(page) if start < 32] == [60, 67]
    press(page, "dialogue")
    wait(page, "return App.dialogue.take && Sound.now() > App.dialogue.take.time", seconds=5)
    actions(page).key_down("d").pause(0.1).key_up("d").send_keys(" ").perform()  # space ends it in the middle of a turn
    assert not page.execute_script("return App.dialogue") and [pitch for *_, pitch in notes(page)][-1] == 64


def test_a_file_is_opened_and_dropped_and_its_title_is_text(page, tmp_path):
    (tmp_path / "jig.abc").write_bytes(TUNE)
    page.find_element("id", "file").send_keys(str(tmp_path / "jig.abc"))
    wait(page, "return App.song.steps == 12")
    title = "<b>A jig</b> & more"
    assert page.find_element("id", "title").get_property("value") == title and title in said(page)
    press(page, "keep")
    assert page.find_element("css selector", ".kept h3").text == f"{title} 1"
    assert not page.find_elements("css selector", "main b:not(.slider b)")
    press(page, "new")
    page.execute_script(
        "const data = new DataTransfer(); data.items.add(new File([arguments[0]], '<img src=x onerror=alert(1)>.abc'));"
        "for (const kind of ['dragover', 'drop'])"
        "  document.body.dispatchEvent(new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true }))",
        TUNE.decode().replace("<b>A jig</b> & more", "Dropped").replace("GAB cde|", "B|GAB cde|"),
    )
    wait(page, "return App.song.title == 'Dropped'")
    choose(page, 0, 1)  # a pickup is bar 0
    assert page.find_element("id", "chosen").text == "bars 0 to 1 selected"
    page.execute_script("Files.drop(new File(['MThd'], '<img src=x onerror=alert(1)>.mid'))")
    wait(page, "return document.getElementById('said').classList.contains('wrong')")
    assert said(page).startswith("<img src=x onerror=alert(1)>.mid cannot be")
    assert not page.find_elements("css selector", "img[src=x], [onerror]")


def test_what_a_file_loses_stands_below_the_line_that_says_what_happens(page, tmp_path):
    swung = b"X:1\nT:Swing\nM:4/4\nL:1/12\nK:C\n" + b"G2AB2cG2AB2c|" * 8
    (tmp_path / "swing.abc").write_bytes(swung)
    page.find_element("id", "file").send_keys(str(tmp_path / "swing.abc"))
    wait(page, "return App.song.title == 'Swing'")
    (line,) = [each.text for each in page.find_elements("css selector", ".ask #notes li")]
    assert line.startswith("50% of onsets moved") and line.endswith("This is swing")
    press(page, "new")
    assert not page.find_elements("css selector", "#notes li")


def test_what_each_button_has_done_is_said(page):
    draw_phrase(page)
    asked(page, "continue")
    choose(page, 3, 4)
    for name, line in (
        ("lock", "Bars 4 to 5 are locked."),
        ("undo", "Undone."),
        ("redo", "Done again."),
        ("lock", "Bars 4 to 5 are unlocked."),
        ("empty", "Bars 4 to 5 are empty."),
        ("remove", "Bars 4 to 5 are taken out."),
        ("new", "A new song. Undo has the old one."),
    ):
        press(page, name)
        assert said(page) == line


def test_the_surprise_of_each_bar_is_a_colour_and_a_word(page):
    draw_phrase(page)
    asked(page, "continue")
    wait(page, "return App.bits.tokens == App.song.tokens")
    labels = [bar.get_attribute("aria-label") for bar in page.find_elements("css selector", ".bar")]
    assert labels[0] == "Bar 1, yours, very surprising" and labels[5] == "Bar 6, the answer, hardly surprising"
    shadows = page.execute_script(
        "return [...document.querySelectorAll('.bar')].map(bar => getComputedStyle(bar).boxShadow)"
    )
    assert shadows[0] != shadows[5]


def test_no_word_of_machines_stands_outside_the_facts(page):
    draw_phrase(page)
    asked(page, "continue")
    text = page.execute_script(
        "const page = document.body.cloneNode(true); page.querySelectorAll('details, script').forEach(e => e.remove());"
        "return page.textContent + [...page.querySelectorAll('[title], [aria-label]')]"
        ".map(e => e.title + e.getAttribute('aria-label')).join(' ')"
    )
    assert not re.findall(MACHINE, text, re.IGNORECASE)
    page.find_element("css selector", ".facts summary").click()
    assert "temperature" in page.find_element("id", "facts").text


def test_everything_has_a_name_for_a_screen_reader(page):
    page.execute_cdp_cmd("Accessibility.enable", {})
    nodes = page.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    parts = [
        (node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node.get("ignored")
    ]
    named = {
        "button",
        "slider",
        "combobox",
        "checkbox",
        "textbox",
        "spinbutton",
        "application",
        "toolbar",
        "group",
        "region",
    }
    assert {role for role, _ in parts} > named - {"spinbutton"}
    assert [role for role, name in parts if role in named and not name.strip()] == []


@pytest.mark.parametrize("width", [1280, 390, 320])
def test_nothing_is_wider_than_the_window_and_a_phone_draws_by_taps(page, width):
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    )
    page.refresh()
    wait(page, "return document.body.dataset.ready == 'yes'")
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    x, y = at(page, 2, 72)
    for kind, points in (("touchStart", [{"x": x, "y": y}]), ("touchEnd", [])):
        page.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    wait(page, "return Song.notes(App.song.tokens).length == 1")
    assert notes(page) == [(2, 6, 72)]
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_two_pages_do_not_mix(page, studio):
    first = page.current_window_handle
    draw(page, 0, 60)
    page.switch_to.new_window("tab")
    opened(page, studio)
    second = page.current_window_handle
    draw(page, 0, 80)
    asked(page, "continue")
    page.switch_to.window(first)
    assert notes(page) == [(0, 4, 60)]
    asked(page, "continue")
    assert notes(page)[0] == (0, 4, 60) and len(bars(page)) == 5
    page.switch_to.window(second)
    assert notes(page)[0] == (0, 4, 80)
    page.close()
    page.switch_to.window(first)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def test_a_page_of_another_origin_can_neither_read_nor_ask(page, studio, tmp_path):
    """Even one that knows the token: it is served by another program of this machine."""
    (tmp_path / "evil.html").write_text("<title>evil</title>")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=tmp_path)) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        page.switch_to.new_window("tab")
        page.get(f"http://127.0.0.1:{other.server_address[1]}/evil.html")
        before = len(studio.engine.models[16].asked)
        found = page.execute_async_script(
            "const [address, done] = arguments, url = path => address.replace('/?', path + '?'),"
            " message = JSON.stringify({ what: 'continue', steps: 16, bars: [], wanted: 1 }), found = [];"
            "const get = (path, how) => fetch(url(path), how).then(r => found.push(r.type), () => found.push('no')),"
            " json = { 'Content-Type': 'application/json' };"
            "(async () => { await get('/state', {}); await get('/state', { mode: 'no-cors' });"
            " await get('/answer', { method: 'POST', mode: 'no-cors', body: message });"
            " await get('/answer', { method: 'POST', headers: json, body: message });"
            " const frame = document.createElement('iframe'); frame.src = address; frame.onload = () => {"
            " let inside = 'no'; try { inside = frame.contentDocument.title; } catch { } done([...found, inside]); };"
            " document.body.append(frame); })()",
            studio.address,
        )
        other.shutdown()
    assert set(found) <= {"no", "opaque"} and "Studio" not in found
    assert len(studio.engine.models[16].asked) == before
    page.close()
    page.switch_to.window(page.window_handles[0])


def test_no_request_leaves_this_machine_and_no_error_is_logged(browser, studio):
    """Comes last: reads what the browser logged through all of the tests above."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    places = {url.split("?")[0].rsplit("/", 1)[0] for url in urls if not url.startswith(("data:", "blob:", "chrome"))}
    assert all(place.startswith("http://127.0.0.1:") for place in places) and len(places) <= 2
    expected = (
        "favicon",
        "evil",
        "422",
        "403",
        "CORS",
        "ERR_FAILED",
        "X-Frame-Options",
        "frame-ancestors",
        "ERR_BLOCKED",
    )
    errors = [e["message"] for e in browser.get_log("browser") if not any(word in e["message"] for word in expected)]
    assert not errors
