"""Runs in a notebook: the config that is trained, the corpus that is shown, the output that changes, going on."""

import html
import json
import signal

import pytest

from mcvae_jax import notebook
from mcvae_jax.errors import UserError
from mcvae_jax.notebook import live
from mcvae_jax.notebook.live import Live
from mcvae_jax.storage.workdir import Workdir
from tests.small_models import save_corpus, save_vae

SHORT = {
    "vae.model.units": 8,
    "vae.model.latent": 4,
    "vae.train.steps": 6,
    "vae.train.log_every": 2,
    "vae.train.eval_every": 3,
    "vae.train.save_every": 2,
    "mdrnn.model.units": 8,
    "mdrnn.train.steps": 4,
    "mdrnn.train.log_every": 2,
    "mdrnn.train.eval_every": 2,
    "mdrnn.train.save_every": 2,
    "songs.composed": 1,
    "songs.continued": 0,
    "songs.bars": 2,
}


class Handle:
    """Of an output: what it showed."""

    shown: list[str] = []

    def display(self, thing):
        self.shown.append(thing._repr_html_())

    update = display


@pytest.fixture
def in_a_notebook(monkeypatch):
    pytest.importorskip("IPython")
    monkeypatch.setattr("IPython.display.DisplayHandle", Handle)
    monkeypatch.setattr(live, "shell", object)
    monkeypatch.setattr(Handle, "shown", [])
    return Handle


def test_the_config_of_a_run(tmp_path):
    run = notebook.Run("mcvae:smoke", tmp_path / "run", "builtin", {"mdrnn.train.steps": 3})
    config = run._options()[0].config
    assert (config.vae.corpus.source, config.mdrnn.train.steps) == ("builtin", 3)
    assert config.vae.corpus_folder == f"{tmp_path}/run-corpus"
    alone = notebook.Run("vae:smoke", tmp_path / "run", "tunes")._options()[0].config
    assert (alone.corpus.source, alone.corpus_folder) == ("tunes", f"{tmp_path}/run-corpus")
    with pytest.raises(UserError, match="Did you mean"):
        notebook.Run("mcvae:smoke", tmp_path, fields={"mdrnn.train.step": 3})._options()


@pytest.mark.usefixtures("rendered")
def test_the_corpus_shows_its_report(tmp_path):
    view = notebook.Run("mcvae:smoke", tmp_path / "run").corpus()
    assert (tmp_path / "run-corpus" / "report.txt").read_text("utf-8") == str(view)
    assert len(view.corpus) == 22 and html.escape(str(view).splitlines()[-1]) in view._repr_html_()
    assert "data:image/png" in view._repr_html_()


@pytest.mark.more
def test_the_output_shows_what_this_call_trains(tmp_path, in_a_notebook):
    corpus = save_corpus(tmp_path / "corpus")
    for name in ("vae", "mdrnn"):
        save_vae(tmp_path / name, corpus)
    line = json.dumps({"step": 1, "split": "train", "seconds": 1.0, "loss": 3.0}) + "\n"
    Workdir(tmp_path / "vae").metrics.write_text(line)  # an earlier call's
    output = Live(tmp_path)
    output.say("<one>")
    assert "&lt;one&gt;" in in_a_notebook.shown[-1] and "<img" not in in_a_notebook.shown[-1]
    output.say("two")  # at once after the first: not shown yet
    assert len(in_a_notebook.shown) == 1
    Workdir(tmp_path / "mdrnn").metrics.write_text(line + line.replace('"step": 1', '"step": 2'))
    output.show()
    assert "two" in in_a_notebook.shown[-1] and in_a_notebook.shown[-1].count("<img") == 1
    assert "learning curves of mdrnn" in in_a_notebook.shown[-1]


@pytest.mark.slow
def test_a_run_that_is_stopped_goes_on_in_the_next_call_and_ends_with_the_same_bits(
    tmp_path, in_a_notebook, monkeypatch
):
    whole = notebook.Run("mcvae:smoke", tmp_path / "whole", fields=SHORT).train()
    assert "learning curves of vae" in in_a_notebook.shown[-1] and "learning curves of mdrnn" in in_a_notebook.shown[-1]
    cut = notebook.Run("mcvae:smoke", tmp_path / "cut", fields=SHORT)

    class Stopped(Live):
        """Someone presses the stop button at step 2."""

        def say(self, line):
            super().say(line)
            if line.startswith("step 2/6"):
                signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr("mcvae_jax.notebook.run.Live", Stopped)
        with pytest.raises(UserError, match="run the cell again"):
            cut.train()
    assert not (tmp_path / "cut" / "mdrnn").exists() and "Stopped at step" in in_a_notebook.shown[-1]
    composer = cut.train()
    assert [o.identity for o in composer.model.origins.values()] == [o.identity for o in whole.model.origins.values()]
    cut.train()
    assert "is done" in in_a_notebook.shown[-1] and "<img" not in in_a_notebook.shown[-1]
