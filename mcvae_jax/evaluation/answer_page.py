"""What follows: the verdict at the top of the report, and further down the questions behind it, with details folded."""

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
    headline,
    questions,
)
from mcvae_jax.evaluation.findings import findings
from mcvae_jax.evaluation.music import GIVEN
from mcvae_jax.pages.elements import bullets, cell, details, paragraph, table

KINDS = {BETTER: "good", LIKE: "good", WORSE: "bad", DIFFERS: "bad", NOT_SHOWN: "unsure", NONE: "unsure"}  # classes
STYLE = """
.answer > p { margin: 6px 0; }
.answer > .verdict { margin: 0 0 8px; font-size: 1.35rem; line-height: 1.35; font-weight: 600; }
.asked table { margin-top: 12px; font-size: .9rem; }
.asked th, .asked td { text-align: left; }
.answer { margin-top: 14px; }
td.good, td.bad, td.unsure { font-weight: 600; }
td.good { color: var(--real); }
td.bad { color: var(--bad); }
td.unsure { color: var(--soft); }
td.good small, td.bad small, td.unsure small { font-weight: 400; }
@media (max-width: 600px) {
  .answer > .verdict { font-size: 1.2rem; }
  .asked th, .asked td { padding: 4px; font-size: .8rem; }
  .asked td small { white-space: normal; }
}
"""


def verdict_section(report: Report) -> str:
    """HTML: the verdict, which is read in ten seconds, and the sentences behind it."""
    lines = [paragraph(headline(report), "verdict"), *(paragraph(line) for line in conclusions(report))]
    return f'<div class="card answer">{"".join(lines)}</div>'


def questions_section(report: Report) -> list[str]:
    """HTML: the table of the best model, and below it what unfolds."""
    best, *others = by_bits(report["models"])
    inner = [
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
    return ["<h2>What is asked of its songs</h2>", f'<div class="asked">{"".join(inner)}</div>']


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
