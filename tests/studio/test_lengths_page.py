"""How long new notes are, and what is told of a place, in bars of other steps than sixteenths; in a real browser."""

import threading

import pytest

from mcvae_jax.studio.engine import Engine
from mcvae_jax.studio.server import Studio
from tests.studio.fake import FakeModel, fake_engine
from tests.studio.test_studio_page import actions, draw, notes, opened

pytestmark = pytest.mark.more

STRAIGHT = ["sixteenths", "eighths", "dotted eighths", "quarters", "dotted quarters", "halves"]
SIXTHS = ["triplet eighths", "eighths", "triplet quarters", "quarters", "dotted quarters", "halves"]


@pytest.mark.parametrize(
    ("engine", "names", "told"),
    [(fake_engine(), STRAIGHT, "1 sixteenth"), (Engine({24: FakeModel(24)}), SIXTHS, "1 step")],
    ids=["sixteenths", "sixths"],
)
def test_a_quarter_is_a_quarter_whatever_the_steps(browser, engine, names, told):
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import Select

    with Studio(engine) as studio:
        threading.Thread(target=studio.serve_forever, daemon=True).start()
        studio.warm()
        page = opened(browser, studio)
        lengths = Select(page.find_element("id", "length"))
        assert [option.text for option in lengths.options] == names
        assert lengths.first_selected_option.text == "quarters"
        quarter = page.execute_script("return App.model.quarter")
        draw(page, 0, 60)
        lengths.select_by_visible_text("eighths")
        draw(page, quarter, 62)
        assert notes(page) == [(0, quarter, 60), (quarter, quarter + quarter // 2, 62)]
        actions(page).send_keys(Keys.ARROW_RIGHT).perform()
        assert page.execute_script("return document.getElementById('spot').textContent").endswith(
            f"bar 1, beat 2 and {told}, a note"
        )
        page.get("about:blank")
        studio.shutdown()
