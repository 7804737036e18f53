"""A real browser for the tests of pages: headless Chromium. Where it or selenium is missing they are skipped."""

import shutil
import time

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --disable-background-networking --no-first-run"
    " --mute-audio --autoplay-policy=no-user-gesture-required --window-size=1280,1000"
).split()


def open_browser(profile, downloads=None):
    """A browser that remembers its network requests and errors, and saves files to `downloads`."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: no browser test")
    if not (CHROMIUM and DRIVER):
        pytest.skip("Chromium or its chromedriver is not installed: no browser test")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in [*FLAGS, f"--user-data-dir={profile}"]:
        options.add_argument(flag)
    if downloads:
        options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))


def wait(browser, condition, *arguments, seconds=15):
    end = time.monotonic() + seconds
    while not browser.execute_script(condition, *arguments):
        assert time.monotonic() < end, condition
        time.sleep(0.02)
