"""What follows, at the top of the report: the answer, the questions behind it, and the details folded."""

from mcvae_jax.evaluation.conclusions import (
    BETTER,
    DIFFERS,
    LIKE,
    NONE,
    NOT_SHOWN,
    WORSE,
    Question,
    Report,
    by_bits,
    conclusions,
    questions,
)
from mcvae_jax.evaluation.findings import findings
from mcvae_jax.evaluation.music import GIVEN
from mcvae_jax.pages.elements import bullets, cell, details, paragraph, table

KINDS = {BETTER: "good", LIKE: "good", WORSE: "bad", DIFFERS: "bad", NOT_SHOWN: "unsure", NONE: "unsure"}  # classes
STYLE = """
.answer > p { margin: 0 0 6px; font-size: 1.1rem; }
.answer table { margin-top: 12px; font-size: .9rem; }
.answer th, .answer td { text-align: left; }
.answer { margin-top: 14px; }
td.good, td.bad, td.unsure { font-weight: 600; }
td.good { color: var(--real); }
td.bad { color: var(--bad); }
td.unsure { color: var(--soft); }
td.good small, td.bad small, td.unsure small { font-weight: 400; }
@media (max-width: 600px) {
  .answer th, .answer td { padding: 4px; font-size: .8rem; }
  .answer td small { white-space: normal; }
}
"""


def answer_section(report: Report) -> str:
    """HTML: the sentences, the table of the best model, and below it what unfolds."""
    best, *others = by_bits(report["models"])
    inner = [
        *(paragraph(line) for line in conclusions(report)),
        _questions(best, questions(report, best)),
        details(
            "How to read this table",
            paragraph(
                f"A model that can go on is asked about how it goes on after {GIVEN} bars of real songs; the classifier"
                " is asked about its songs from nothing. In brackets stand 95 % intervals over songs. “Differs” and"
                " “better” mean that the interval of the difference leaves out 0, “as real” that the figure is shown to"
                " be 0.8 to 1.25 times that of real songs, “not shown” that the songs are too few to tell. Of twenty"
                " figures that are as real, one is said to differ by chance."
            ),
        ),
    ]
    if others:
        tables = (_questions(name, questions(report, name)) for name in others)
        inner.append(details("The same questions of the other models", "".join(tables)))
    inner.append(details("More that follows, and what is not shown", bullets(findings(report))))
    return f'<div class="card answer">{"".join(inner)}</div>'


def _questions(model: str, asked: list[Question]) -> str:
    rows = [
        [
            cell(question.asked, "text"),
            cell(question.own[0], below=question.own[1]),
            cell(question.beside[0], below=question.beside[1]),
            cell(question.verdict, KINDS[question.verdict], below=question.by),
        ]
        for question in asked
    ]
    return table(["question", model, "real songs, or the control", "what follows"], rows)
