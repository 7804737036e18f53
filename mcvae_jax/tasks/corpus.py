"""The corpus of a config: built where it does not stand yet, checked against the model, described for a workdir."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mcvae_jax.corpus.build import ensure_corpus
from mcvae_jax.corpus.few import lacking
from mcvae_jax.corpus.metres import bar_facts
from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.corpus.store import HELD_OUT, TERMS, TRAIN, Corpus
from mcvae_jax.errors import UserError
from mcvae_jax.kinds import Kind
from mcvae_jax.music.tokens import NOTE_OFF
from mcvae_jax.places import shown
from mcvae_jax.training import processes

Say = Callable[[str], None]


def training_corpus(kind: Kind, config: Any, settings: CorpusSettings, say: Say) -> Corpus:
    """The corpus of config.corpus_folder, or of the folder that its settings name; by one process for all.

    Raises:
      UserError: as `ensure_corpus` has it; or nothing can be trained on it.
    """
    folder = config.corpus_folder or default_folder(settings)
    corpus = processes.made_once(
        "corpus", lambda: ensure_corpus(settings, folder, progress=say), lambda: Corpus.open(folder)
    )
    if missing := lacking(corpus.sides, corpus.settings):
        raise UserError(f"no {kind.label} can be trained on the corpus {corpus.folder}: {missing}")
    say(
        f"corpus {corpus.folder}: {len(corpus.bars(TRAIN))} training bars, {len(corpus.bars(HELD_OUT))} held-out bars,"
        f" identity {corpus.identity[:12]}"
    )
    return corpus


def corpus_facts(corpus: Corpus) -> dict[str, Any]:
    """What a workdir records of the corpus on which its model was trained."""
    facts = {"corpus": shown(corpus.folder), "identity": corpus.identity, "songs": len(corpus)} | bar_facts(corpus)
    return facts | {name: corpus.provenance[name] for name in TERMS if name in corpus.provenance}


def check_pitches(bounds: tuple[int, int], corpus: Corpus) -> None:
    """UserError where a corpus holds a pitch to which a model with such bounds gives no probability."""
    pitches = corpus.distinct[corpus.distinct < NOTE_OFF]
    low, high = int(pitches.min(initial=bounds[1])), int(pitches.max(initial=bounds[0]))
    if low < bounds[0] or high > bounds[1]:
        raise UserError(
            f"the corpus {corpus.folder} holds pitches from {low} to {high}, and config.model.min_pitch and max_pitch"
            f" are {bounds[0]} and {bounds[1]}; give config.corpus.min_pitch and max_pitch the same bounds"
        )


def default_folder(settings: CorpusSettings) -> Path:
    """Where a corpus is kept when the config does not say: corpora/, by its source and a hash of its settings.

    A field that came later changes no name where it has its first default, so that earlier runs find their corpus.
    """
    name = re.sub(r"\W+", "-", Path(settings.source).name).strip("-") or "corpus"
    text = repr(settings)
    for later in (", max_moved=1.0", ", min_pulse=0.35", ", steps_per_bar=16", ", alike='windows'"):
        text = text.replace(later, "")
    digest = hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
    return Path("corpora") / f"{name}-{digest}"
