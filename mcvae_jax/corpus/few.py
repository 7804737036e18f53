"""What a corpus of few songs lacks, and what to do about it, in a line."""

import numpy as np

from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.corpus.store import EXCLUDED, HELD_OUT, TRAIN

FEW_TO_LEARN, FEW_HELD_OUT = 10, 2  # songs, below which models can be tried out and say nothing


def lacking(sides: np.ndarray, settings: CorpusSettings) -> str:
    """What keeps a VAE from being trained on songs of these sides (S,), and what to do; '' where nothing does.

    It needs a song to learn from and one that is held out, and so does an MDRNN, of the lengths that it takes.
    """
    if TRAIN in sides and HELD_OUT in sides:
        return ""
    if not 0 < settings.held_out < 1:
        side = "to learn from" if settings.held_out else "held out"
        return f"no song is {side}, since held_out is {settings.held_out:g}; give a share between 0 and 1, such as 0.1"
    if len(sides) < 2:
        return f"it has {len(sides)} song, and a model needs 2, one to learn from and one held out; give more music"
    if EXCLUDED in sides:
        return (
            f"each of its {len(sides)} songs that could be held out is like one to learn from; give more music, or"
            f" raise max_similarity above {settings.max_similarity:g}"
        )
    return (
        f"all of its {len(sides)} songs are on one side of the split: they are alike, so that more music is needed, or"
        " it was built by an earlier version; delete it, and it is built anew"
    )


def warning(sides: np.ndarray, settings: CorpusSettings, moved: str = "") -> str:
    """What should be known before models are trained on songs of these sides (S,); '' where all is well.

    moved: the name of a song that is on its side against its hash, '' for none.
    """
    if missing := lacking(sides, settings):
        return f"no model can be trained on this corpus: {missing}"
    learnt, held_out = int(np.sum(sides == TRAIN)), int(np.sum(sides == HELD_OUT))
    told = f"the hashes put all songs on one side, so that {moved!r} was moved to the other; " if moved else ""
    if learnt < FEW_TO_LEARN or held_out < FEW_HELD_OUT:
        return (
            f"{told}{_songs(learnt)} to learn from and {held_out} held out let all stages run, but a model of so few"
            f" says little; give {FEW_TO_LEARN} or more to learn from and {FEW_HELD_OUT} or more held out"
        )
    return told.removesuffix("; ")


def _songs(count: int) -> str:
    return f"{count} song{'' if count == 1 else 's'}"
