"""The listening test in a real browser, from the first click to the downloaded file and what is found in it."""

import json

import pytest

from experiments import listening_test
from tests.browser import wait
from tests.listening import NAMES, choose, make, press, save_models, saved, start_over, take_test

pytestmark = pytest.mark.slow

WIDTHS = ((1280, 900), (390, 844))
VAE, MCVAE = NAMES


@pytest.fixture(scope="module")
def key(tmp_path_factory, browser):
    folder = tmp_path_factory.mktemp("models")
    save_models(folder)
    found = make(folder, folder / "test", "--real", "--seeds=1")
    browser.get((folder / "test" / "index.html").as_uri())
    return found


@pytest.fixture
def page(browser, key):
    """The first screen, for a new listener."""
    start_over(browser)
    return key


def keys(browser, *pressed):
    from selenium.webdriver import ActionChains

    for each in pressed:
        ActionChains(browser).send_keys(each).perform()


def here(browser):
    return browser.execute_script("return screens[listener.at]")


def audio(browser, name, number=0):
    return browser.execute_script(f"return players[{number}].audio.{name}")


def likes_the_composer(browser, key, downloads, remark=""):
    """A listener who finds all of the MCVAE better and easy to tell from real songs."""
    take_test(
        browser,
        key,
        rate=lambda model, statement: 2 if model == VAE else 4,
        real=lambda model, seed: model == "real songs",
        better=lambda a, b, seed: MCVAE if MCVAE in (a, b) else a,
        remark=remark,
    )
    return saved(browser, downloads)


def test_three_listeners_with_the_mouse_and_what_is_found(browser, key, page, downloads, tmp_path, capsys):
    files = []
    for n in range(3):
        if n:
            start_over(browser)
        files.append(likes_the_composer(browser, key, downloads, remark="=better" if n == 0 else ""))
    assert len({file["code"] for file in files}) == 3
    assert all(file["pairs"].keys() == {s[5:] for s in file["order"] if s[:4] == "pair"} for file in files)
    options = [f"--key={browser.current_url[7:].replace('index.html', 'key.json')}", f"--out={tmp_path / 'results'}"]
    listening_test.main(["analyse", str(downloads), *options])
    summary = json.loads((tmp_path / "results" / "summary.json").read_text())
    assert len(summary["listeners"]) == 3 and not summary["left out"]
    assert summary["counts"][VAE]["quality"] == [0, 3, 0, 0, 0]
    assert summary["counts"][MCVAE]["similarity"] == [0, 0, 0, 3, 0]
    (pair,) = [row for row in summary["choices"] if (row["first"], row["second"]) == (VAE, MCVAE)]
    assert pair["share for the first"] == 0 and pair["choices"] == 3
    told = {row["model"]: row["right answers"] for row in summary["told from real songs"]}
    assert told == {VAE: 1.0, MCVAE: 1.0}
    assert '"the test","\'=better"' in (tmp_path / "results" / "remarks.csv").read_text()
    assert "listeners: 3, files left out: 0" in capsys.readouterr().out


def test_each_listener_has_an_order_of_their_own(browser, key):
    """Over 600 codes each group comes first, and each clip of a pair stands left, as often as by chance."""
    orders = browser.execute_script(
        "return [...Array(600).keys()].map(n => screensOf(`C${n}`).map(({ kind, id }) => `${kind} ${id}`))"
    )
    again = browser.execute_script("return screensOf('C7').map(({ kind, id }) => `${kind} ${id}`)")
    assert orders[7] == again and len(set(map(tuple, orders))) > 200  # of 3! orders of groups, 3! 2^3 of pairs
    first = [next(s for s in order if s.startswith("group")) for order in orders]
    assert all(150 < first.count(f"group {group}") < 250 for group in key["groups"])  # 200, sd 11.5
    lefts = [s[5:].split("/")[0] for order in orders for s in order if s.startswith("pair")]
    assert all(500 < lefts.count(clip) < 700 for clip in key["clips"])  # 600 of 1,200 appearances, sd 17


def test_by_keyboard_alone(browser, page, downloads):
    from selenium.webdriver.common.keys import Keys

    keys(browser, "3", "1", Keys.ENTER)
    assert here(browser)["kind"] == "clip"
    keys(browser, Keys.SPACE)
    wait(browser, "return players[0].audio.currentTime > 0.2")
    keys(browser, Keys.SPACE)
    assert audio(browser, "paused")
    keys(browser, Keys.ARROW_RIGHT)
    assert audio(browser, "currentTime") == pytest.approx(page["seconds"] - 0.05, abs=0.02)  # 5 s on is past the end
    keys(browser, Keys.ARROW_LEFT)
    assert audio(browser, "currentTime") == 0
    keys(browser, Keys.ENTER)
    assert "Please answer: Is this a real song" in browser.find_element("id", "message").text
    while here(browser)["kind"] != "remarks":
        if here(browser)["kind"] == "group":
            keys(browser, "5", "4", "3", "2", "1", "1", Keys.ENTER)
        else:
            keys(browser, "2", Keys.ENTER)
    keys(browser, Keys.ENTER, Keys.TAB, Keys.ENTER)  # on to the last screen, to the button, and save
    file = saved(browser, downloads)
    assert file["background"] == "ensemble" and set(file["real"].values()) == {"composed"}
    assert [list(each.values()) for each in file["statements"].values()] == [[5, 4, 3, 2, 1, 1]] * 3
    assert all(better == pair.split("/")[1] for pair, better in file["pairs"].items())
    assert max(file["heard"].values()) > 0.1


def test_a_reload_goes_on_where_it_was(browser, page):
    choose(browser, 0, 1)
    choose(browser, 1, 1)
    press(browser, "#next")
    choose(browser, 0, 1)
    press(browser, "#next")
    choose(browser, 0, 2)
    before, place = browser.execute_script("return listener"), here(browser)
    browser.refresh()
    after = browser.execute_script("return listener")
    assert here(browser) == place and after["code"] == before["code"] and after["at"] == 2
    assert after["real"] == before["real"] and list(after["real"].values()) == ["real"]
    assert [list(each.values()) for each in after["statements"].values()] == [[2]]
    assert browser.find_elements("css selector", ".choice input")[1].is_selected()
    press(browser, "#back")
    assert browser.find_elements("css selector", ".choice input")[0].is_selected()
    start_over(browser)
    assert browser.execute_script("return [listener.code, listener.real]") != [before["code"], before["real"]]


def test_one_clip_plays_at_a_time_and_lasts_as_long_as_it_says(browser, page):
    browser.execute_script("go(screens.findIndex(each => each.kind == 'pair'))")
    first, second = browser.find_elements("css selector", ".player button")
    first.click()
    wait(browser, "return players[0].audio.currentTime > 0.1")
    second.click()
    wait(browser, "return players[1].audio.currentTime > 0.1")
    assert audio(browser, "paused", 0) and not audio(browser, "paused", 1)
    assert audio(browser, "duration") == pytest.approx(page["seconds"], abs=1e-3)
    press(browser, "#back")
    assert not browser.execute_script("return players.some(({ audio }) => !audio.paused)")


@pytest.mark.parametrize("width, height", WIDTHS)
def test_every_screen_fits_and_its_targets_are_large(browser, page, width, height):
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    for kind in ("welcome", "clip", "group", "pair", "remarks", "done"):
        browser.execute_script("go(screens.findIndex(each => each.kind == arguments[0]))", kind)
        browser.execute_script("document.querySelector('details')?.setAttribute('open', '')")
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        heights = browser.execute_script(
            "return [...document.querySelectorAll('button, .choice, input[type=range], textarea, summary')]"
            ".map(each => each.getBoundingClientRect().height).filter(each => each > 0)"
        )
        assert min(heights) >= 44, kind
        unnamed = browser.execute_script(
            "return [...document.querySelectorAll('main input, main textarea, main button')]"
            ".filter(each => !each.labels?.length && !each.getAttribute('aria-label') && !each.textContent).length"
        )
        assert unnamed == 0
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_no_request_leaves_the_file_system_and_no_error_is_logged(browser, key):
    """Comes last: reads what the browser logged through all of the tests above."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    requests = [m["params"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    urls = [r["request"]["url"] for r in requests if not r["documentURL"].startswith("chrome")]
    assert any(url.startswith("file:") for url in urls)
    assert {url.split(":", 1)[0] for url in urls} <= {"file", "data", "blob"}
    assert not browser.get_log("browser")
