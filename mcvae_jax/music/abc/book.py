"""The reader of ABC: a book of tunes -> scores, within bounds."""

from mcvae_jax.music.abc.budget import Budget
from mcvae_jax.music.abc.piece import read_tune
from mcvae_jax.music.abc.text import split_book
from mcvae_jax.music.notation import read_piece, text_of
from mcvae_jax.music.score import Reason, Score, Skip

MAX_TUNES = 20_000  # of a book


def read_abc(data: bytes) -> list[Score | Skip]:
    """The tunes of a book, in order; one that is damaged or too long is a Skip in its place. Raises Skip for a book.

    All notes of chords are kept, grace notes and ornaments dropped, repeats and parts played, ties merged, downbeats
    kept on a grid (measures.lay_out). Score.remarks names what was left out.
    """
    text = text_of(data)
    budget = Budget(len(text))

    tunes = split_book(text)
    scores = [read_piece(lambda tune: read_tune(tune, budget), tune) for tune in tunes[:MAX_TUNES]]
    if len(tunes) > MAX_TUNES:
        scores.append(Skip(Reason.TOO_LONG, f"{len(tunes) - MAX_TUNES:,} tunes after the first {MAX_TUNES:,}"))
    return scores
