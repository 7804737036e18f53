"""A tiny listening test, and listeners who answer it: as files, or with real clicks in a browser."""

import json
import time

from experiments import listening_test
from mcvae_jax.corpus.store import HELD_OUT, TRAIN
from tests.browser import wait
from tests.small_models import save_corpus, save_mdrnn, save_vae

TINY = ("--seeds=2", "--bars=3", "--seed_bars=1", "--tempo=240")
NAMES = ("Aurora", "Borealis")  # that stand nowhere else


def save_models(folder):
    """A VAE, and an MDRNN on it, on a corpus of 4 training and 4 held-out songs."""
    corpus = save_corpus(folder / "corpus", lengths=(8,) * 8, sides=[TRAIN] * 4 + [HELD_OUT] * 4)
    save_mdrnn(folder / "mdrnn", folder / "vae", save_vae(folder / "vae", corpus))
    return corpus


def make(folder, out, *options):
    """Makes a test of the two models of `save_models`; its key."""
    models = f"--models={folder / 'mdrnn'}:vae,{folder / 'mdrnn'}"
    listening_test.main(["make", models, f"--names={','.join(NAMES)}", f"--out={out}", *TINY, *options])
    return json.loads((out / "key.json").read_text())


def answers_of(key, code, rate, real, better, **fields):
    """What the page saves for a listener.

    rate(model, statement) is 1 to 5, real(model, seed) a bool, better(model, model, seed) one of the two models.
    """
    of = {(where["model"], where["seed"]): clip for clip, where in key["clips"].items()}
    models = list(key["groups"].values())
    pairs = {}
    for i, a in enumerate(models):
        for b in models[i + 1 :]:
            for seed in range(key["seeds_per_pair"]):
                pairs[f"{of[a, seed]}/{of[b, seed]}"] = of[better(a, b, seed), seed]
    return {
        "format": "mcvae_jax listening answers",
        "version": 1,
        "test": key["test"],
        "code": code,
        "started": "2020-01-01T10:00:00.000Z",
        "finished": "2020-01-01T10:21:00.000Z",
        "consent": "yes",
        "background": "alone",
        "real": {clip: "real" if real(model, seed) else "composed" for (model, seed), clip in of.items()},
        "statements": {
            group: {statement: rate(model, statement) for statement in key["statements"]}
            for group, model in key["groups"].items()
        },
        "pairs": pairs,
        "remarks": {},
        "heard": dict.fromkeys(key["clips"], 1.5),
        "seconds": {},
        "order": [],
    } | fields


def press(browser, selector):
    browser.find_element("css selector", selector).click()


def choose(browser, question, number):
    """Clicks an answer, from 1, of a question of the screen, from 0."""
    press(browser, f"fieldset:nth-of-type({question + 1}) .choice:nth-of-type({number})")


def take_test(browser, key, rate, real, better, remark=""):
    """Answers a page that was just opened, with clicks, to its last screen; arguments as `answers_of` has them."""
    clips, groups, statements = key["clips"], key["groups"], key["statements"]
    choose(browser, 0, 2)
    choose(browser, 1, 1)
    press(browser, "#next")
    while True:
        here = browser.execute_script("return screens[listener.at]")
        if here["kind"] == "done":
            return
        if here["kind"] == "clip":
            choose(browser, 0, 1 if real(clips[here["id"]]["model"], clips[here["id"]]["seed"]) else 2)
        elif here["kind"] == "group":
            for n, statement in enumerate(statements):
                choose(browser, n, rate(groups[here["id"]], statement))
        elif here["kind"] == "pair":
            first, second = (clips[clip] for clip in here["clips"])
            preferred = better(first["model"], second["model"], first["seed"])
            choose(browser, 0, 1 if preferred == first["model"] else 2)
        elif remark:
            browser.find_element("css selector", "textarea").send_keys(remark)
        press(browser, "#next")


def saved(browser, downloads):
    """Saves the answers on the last screen; what the downloaded file holds."""
    code = browser.execute_script("return listener.code")
    press(browser, "#save")
    file, end = downloads / f"answers-{code}.json", time.monotonic() + 10
    while not file.exists() or not file.stat().st_size:  # it is there before its bytes are
        assert time.monotonic() < end, "no file was downloaded"
        time.sleep(0.05)
    return json.loads(file.read_text())


def start_over(browser):
    press(browser, "#over")
    browser.switch_to.alert.accept()
    wait(browser, "return listener.at == 0")
