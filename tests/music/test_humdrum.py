"""Humdrum **kern: what the reference manual lets a file say, with its notes written out by hand."""

import pytest

from mcvae_jax.music.humdrum import MAX_LINES, MAX_SEGMENTS
from mcvae_jax.music.readers import read_scores
from mcvae_jax.music.score import Reason, Score, Skip
from mcvae_jax.music.spines import MAX_SPINES

Note = tuple[int, float, float]  # pitch, start and end in quarters


def kern(*lines: str) -> bytes:
    """A file of these lines, with a tab for each space; one spine begins and ends by itself, and ~ is a space."""
    text = "\n".join(line.replace(" ", "\t").replace("~", " ") for line in lines)
    return (text if "**" in text else f"**kern\n{text}\n*-").encode() + b"\n"


def read(*lines: str) -> Score:
    (score,) = read_scores(kern(*lines), ".krn")
    if isinstance(score, Skip):
        raise score
    return score


def notes(score: Score) -> list[Note]:
    """All notes, sorted by start, then pitch."""
    found = []
    for track in score.tracks:
        rows = zip(track.pitch.tolist(), track.start.tolist(), track.end.tolist(), strict=True)
        found += [(p, start / score.ticks_per_quarter, end / score.ticks_per_quarter) for p, start, end in rows]
    return sorted(found, key=lambda note: (note[1], note[0], note[2]))


def run(*pitches: int, length: float = 1.0) -> list[Note]:
    return [(pitch, length * k, length * (k + 1)) for k, pitch in enumerate(pitches)]


# Lines of a file, and its notes.
TOKENS = {
    "octaves and accidentals": (
        ["4CCC", "4c", "4cc##", "4ee-", "4BB--", "4ffn"], run(24, 60, 74, 75, 45, 77),
    ),
    "dots, breves, longs": (["0c", "00d", "2..e", "8f"], [(60, 0, 8), (62, 8, 24), (64, 24, 27.5), (65, 27.5, 28)]),
    "triplets": (["12c", "12d", "12e", "6f", "12g"], [
        (60, 0, 1 / 3), (62, 1 / 3, 2 / 3), (64, 2 / 3, 1), (65, 1, 5 / 3), (67, 5 / 3, 2),
    ]),
    "a third of two wholes": (["3%2c", "3%2d", "3%2e"], run(60, 62, 64, length=8 / 3)),
    "eleven in a half": (["22c"] * 11, run(*[60] * 11, length=2 / 11)),
    "a chord, whose later notes need no duration": (["2c~2e~2g", "2d~f"], [
        (60, 0, 2), (64, 0, 2), (67, 0, 2), (62, 2, 4), (65, 2, 4),
    ]),
    "rests, seen or not, with a place on the staff": (["4c", "4r", "4ryy", "4rggg", "4d"], [(60, 0, 1), (62, 4, 5)]),
    "grace notes and groupettos": (["4c", "qd", "8qqe", "16fQ", "8qa~8qb", "4g"], run(60, 67)),
    "appoggiaturas last as they are written": (["8dP", "8cp"], run(62, 60, length=0.5)),
    "ornaments, articulation, slurs, beams, editorial marks": (
        ["(8cL'", "8dTJ)", "{4e;^}", "4fX/", "&(4gxx~", "4a&)\\"], [(60, 0, 0.5), (62, 0.5, 1), *[
            (p, s, s + 1) for p, s in ((64, 1), (65, 2), (67, 3), (69, 4))
        ]],
    ),
    "ties": (["[4c", "4c_", "4c]", "4c"], [(60, 0, 3), (60, 3, 4)]),
    "ties over a bar line and within chords": (
        ["=1", "[2c~[2e", "=2", "2c]~2e_", "2e]", "="], [(60, 0, 4), (64, 0, 6)],
    ),
    "a tie that nothing ends, and one that nothing begins": (["[4c", "4c", "4d", "4d]"], run(60, 60, 62, 62)),
    "comments, blank lines, tokens that say nothing": (
        ["!!!COM:~Bach", "! a local one", "4c", "", "!!~global", "*", ".", "4d"], run(60, 62),
    ),
}  # fmt: skip
SPINES = {
    "two parts, lyrics and dynamics between them": (
        ["**kern **text **kern **dynam", "4C La 8c p", ". . 8d .", "4D . 4e f", "*- *- *- *-"],
        [(48, 0, 1), (60, 0, 0.5), (62, 0.5, 1), (50, 1, 2), (64, 1, 2)],
    ),
    "a spine splits twice and joins step by step": (
        ["*^", "* *^", "4c 2E 1C", "4d . .", "4e 2F .", "4f . .", "* *v *v", "*v *v", "1g"],
        [(48, 0, 4), (52, 0, 2), (60, 0, 1), (62, 1, 2), (53, 2, 4), (64, 2, 3), (65, 3, 4), (67, 4, 8)],
    ),
    "three join at once": (
        ["*^", "*^ *", "4c 4e 4g", "*v *v *v", "4d"], [(60, 0, 1), (64, 0, 1), (67, 0, 1), (62, 1, 2)],
    ),
    "both parts split and join in the same lines": (
        ["**kern **kern", "*^ *^", "4C 4E 4c 4e", "*v *v *v *v", "4D 4d", "*- *-"],
        [(48, 0, 1), (52, 0, 1), (60, 0, 1), (64, 0, 1), (50, 1, 2), (62, 1, 2)],
    ),
    "a split under a note that sounds": (
        ["**kern **kern", "1C 4c", "* *^", ". 4d 2a", ". 4e .", "* *v *v", ". 4f", "*- *-"],
        [(48, 0, 4), (60, 0, 1), (62, 1, 2), (69, 1, 3), (64, 2, 3), (65, 3, 4)],
    ),
    "a join while one voice still sounds": (
        ["**kern **kern", "*^ *", "2c 8e 4C", ". 8f .", "*v *v *", "4g 4D", "2a 2E", "*- *-"],
        [(48, 0, 1), (60, 0, 2), (64, 0, 0.5), (65, 0.5, 1), (50, 1, 2), (67, 1, 2), (52, 2, 4), (69, 2, 4)],
    ),
    "an exchange": (
        ["**kern **text **kern", "4C la 4c", "* *x *x", "4D 4d la", "*x *x *", "4e 4E la", "*- *- *-"],
        [(48, 0, 1), (60, 0, 1), (50, 1, 2), (62, 1, 2), (52, 2, 3), (64, 2, 3)],
    ),
    "a spine that is added, and one that ends": (
        ["**kern **text", "4c la", "*+ *", "* **kern *", "4d 4D la", "* *- *", "4e la", "*- *-"],
        [(60, 0, 1), (50, 1, 2), (62, 1, 2), (64, 2, 3)],
    ),
    "of alternative strophes the first": (
        ["*strophe", "*^", "*S/sic *S/ossia", "4c 4a", "4d 4b", "*S/fin *S/fin", "*v *v", "*S-", "4e"], run(60, 62, 64),
    ),
    "an excerpt without its end": (["**kern", "4c", "4d"], run(60, 62)),
    "several tabs for one": (["**kern  **kern", "4C  4c", "*-  *-"], [(48, 0, 1), (60, 0, 1)]),
}  # fmt: skip
A, B, C, D, E = (f"1{letter}" for letter in "abcde")
PITCHES = dict(zip("abcde", (69, 71, 60, 62, 64), strict=True))
PLAYED = {
    "an expansion list": (["*>[A,B,A,C]", "*>A", A, "=", "*>B", B, "=", "*>C", C, "=="], "abac"),
    "the list without a name, not the others": (
        ["*>norep[A,B]", "*>[A,A,B,B]", "*>long[A,A,A]", "*>A", A, "=:|!|:", "*>B", B, "=:|!"], "aabb",
    ),
    "what stands before the first section": (["*>[A,A]", E, "=", "*>A", A, "=="], "eaa"),
    "an excerpt of a longer piece": (["*>[A,A,B,B]", "*>A", A, "=", B, "=="], "abab"),
    "a section that begins within a bar": (["*>[A,A,B]", "*>A", "*M4/2", A, "*>B", B, "=="], "aab"),
    "no list: repeat signs": (["=!|:", A, "=:|!|:", B, "=:||:", C, "=:|!", D, "=="], "aabbccd"),
    "no list, other repeat signs": (["=1:|", A, "=2", B, "=3:|", C, "=4|:", D, "=5:|", E, "=|!"], "ababcdde"),
    "no list: endings by their labels": (
        ["*>norep[A,A2]", "*>A", A, "=", "*>A1", B, "=:|!", "*>A2", C, "=", "*>B", D, "=="], "abacd",
    ),
    "labels of several words": (["*>[1st~Theme,Coda]", "*>1st~Theme", A, "=", "*>Coda", B, "=="], "ab"),
}  # fmt: skip


@pytest.mark.parametrize(("lines", "expected"), [*TOKENS.values(), *SPINES.values()], ids=[*TOKENS, *SPINES])
def test_notes(lines, expected):
    found = notes(read(*lines))
    assert [note[0] for note in found] == [note[0] for note in expected]
    for note, right in zip(found, expected, strict=True):
        assert note[1:] == pytest.approx(right[1:], abs=1e-4)


@pytest.mark.parametrize(("lines", "order"), PLAYED.values(), ids=PLAYED)
def test_sections_and_repeats(lines, order):
    assert [note[0] for note in notes(read(*lines))] == [PITCHES[letter] for letter in order]


def test_line_ends_and_encodings():
    lines = kern("!!!OTL:~Étude", "4c", "4d").decode()
    for data in (lines.replace("\n", "\r\n").encode(), lines.replace("\n", "\r").encode(), lines.encode("latin-1")):
        (score,) = read_scores(data, ".krn")
        assert (score.title, notes(score)) == ("Étude", run(60, 62))


def test_what_a_file_states():
    score = read(
        "!!!OTL:~K&ouml;chel",
        '**kern **kern',
        '*I"Cello *Ivox',
        "*M3+2/4 *M3+2/4",
        "*MM72 *MM72",
        "*k[b-e-] *k[b-e-]",
        "*g: *g:",
        "2C [2c",
        "=1 =1",
        "2.D 2c]",
        ". 4d",
        "2D 2d",
        "=2 =2",
        "*k[f#] *k[f#]",
        "*met(c|) *met(c|)",
        "1C 1c",
        "== ==",
        "*- *-",
    )  # fmt: skip
    assert score.title == "Köchel"
    assert [track.name for track in score.tracks] == ["Cello", "vox"]
    quarter = score.ticks_per_quarter
    assert score.pickup == 2 * quarter
    assert (score.time_signatures // [quarter, 1, 1]).tolist() == [[0, 5, 4], [7, 2, 2]]
    assert score.tempos.tolist() == [[0, 72]]
    assert score.keys == ((0, "Gm"), (7 * quarter, "G"))


@pytest.mark.parametrize("mark", ["*k[f#g#]", "*k[c-f-b-e-a-d-g-b-]", "*D#:"])
def test_a_key_without_a_name_is_left_out(mark):
    assert read(mark, "4c").keys == ()


def test_transposing_instruments_are_written_at_concert_pitch():
    assert notes(read("*ITrd1c2", "*Trd-1c-2", "4c")) == run(60)


class TestBars:
    def test_pickup_and_bar_lines_without_number(self):
        score = read("*M4/4", "4c", "=-", "1d", "=||", "1e", "==")
        assert score.pickup == score.ticks_per_quarter
        assert len(score.time_signatures) == 1

    def test_bar_lines_of_one_part_alone(self):
        lines = ["**kern **kern **kern", "*M4/4 *M4/4 *M4/4", "2C 2c 2e", ". = .", "2D 2d 2f", "= = =", "*- *- *-"]
        assert len(read(*lines).time_signatures) == 1

    def test_a_note_sounds_across_the_bar_line_that_its_part_lacks(self):
        score = read("**kern **kern", "*M4/4 *M4/4", "1.C 1c", ". =", ". 2d", "2D 2e", "= =", "*- *-")
        assert notes(score) == [(48, 0, 6), (60, 0, 4), (62, 4, 6), (50, 6, 8), (64, 6, 8)]

    def test_a_note_that_is_too_long_does_not_move_the_bar_line(self):
        score = read("**kern **kern", "*M4/4 *M4/4", "1C 1.c", "= =", "1D 1d", "= =", "*- *-")
        assert notes(score) == [(48, 0, 4), (60, 0, 4), (50, 4, 8), (62, 4, 8)]
        assert len(score.time_signatures) == 1


def test_pieces_that_were_concatenated():
    piece = ["!!!OTL: {}", "**kern", "4{}", "*-"]
    files = [line.format(name) for name in "ab" for line in piece] + ["!!!!SEGMENT: third.krn", "**kern", "4", "*-"]
    first, second, third = read_scores(("\n".join(files) + "\n").encode(), ".krn")
    assert [(score.title, notes(score)) for score in (first, second)] == [("a", run(69)), ("b", run(71))]
    assert isinstance(third, Skip) and third.reason == Reason.DRUMS_ONLY
    (named,) = read_scores(b"!!!!SEGMENT: one.krn\n**kern\n4c\n", ".krn")
    assert named.title == "one.krn"


def test_pieces_may_follow_without_an_end():
    assert [notes(score) for score in read_scores(b"**kern\n4c\n**kern\n4d\n*-\n", ".krn")] == [run(60), run(62)]


DOUBLINGS = [" ".join(["*^"] * 2**k) for k in range(18)]
MANY = [" ".join([token] * 300_000) for token in ("**kern", "4c")]
ADDED = ["**kern", "*+", *["* *+", "* *- *"] * 2000]
LONG = [f"1%32{'~'.join('c' * 99)} 128c", *[". =", ". 128c"] * 4000]

BAD = {
    "no Humdrum": (b"Lorem ipsum\n", Reason.NOT_MUSIC, "no line"),
    "other spines": (kern("**mens **text", "Sc la", "*- *-"), Reason.NO_NOTES, "**mens, **text"),
    "no notes": (kern("4r", "="), Reason.NO_NOTES, ""),
    "drums alone": (kern("*clefX", "4R", "4R"), Reason.DRUMS_ONLY, ""),
    "drums with places on the staff": (kern("*clefX", "4cc", "4aa"), None, ""),
    "too few tokens": (kern("**kern **kern", "4c", "*- *-"), Reason.DAMAGED, "line 2: 1 tokens where 2 spines"),
    "a note without duration": (kern("4c", "d", "4e"), Reason.DAMAGED, "line 3: the note 'd' has no duration"),
    "a note of no pitch": (kern("4" + "c" * 9), Reason.DAMAGED, "no pitch"),
    "a note for ever": (kern("1%99999c"), Reason.DAMAGED, "lasts"),
    "data after the end": (kern("**kern", "4c", "*-", "4d"), Reason.DAMAGED, "line 4"),
    "a list of other sections": (kern("*>[A,C]", "*>A", "1c", "=", "*>B", "1d"), Reason.DAMAGED, "'C', and none 'B'"),
    "18 doublings": (kern(*DOUBLINGS), Reason.TOO_MANY_TRACKS, "spines"),
    "300,000 spines": (kern(*MANY), Reason.TOO_MANY_TRACKS, "spines"),
    "spines added for ever": (kern(*ADDED), Reason.TOO_MANY_TRACKS, "spines"),
    "too many measures": (kern(*["4c", "="] * 20_001), Reason.TOO_LONG, "measures"),
    "a list for ever": (kern(f"*>[{'A,' * 20_001}A]", "*>A", "4c"), Reason.TOO_LONG, "measures"),
    "a list of notes for ever": (kern(f"*>[{'A,' * 10_000}A]", "*>A", *["4c"] * 100), Reason.TOO_LONG, "notes"),
    "notes across thousands of bar lines": (kern("**kern **kern", *LONG * 2), Reason.TOO_LONG, "notes"),
    "a chord of thousands": (kern("4c" + "~c" * 2000), Reason.DAMAGED, "characters"),
    "20,000 measures of 500 parts": (
        kern(" ".join(["**kern"] * 500), " ".join(["4c"] * 500), " ".join(["*-"] * 499 + ["*"]), *["=", "4c"] * 19_000),
        Reason.TOO_LONG, "500 parts of 19,001 measures",
    ),
    "lines for ever": (b"**kern\n" + b"4r\n" * MAX_LINES, Reason.TOO_LONG, "lines"),
    "pieces for ever": (b"**kern\n4c\n*-\n" * (MAX_SEGMENTS + 1), Reason.TOO_LONG, "pieces"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "reason", "detail"), BAD.values(), ids=BAD)
def test_what_cannot_be_read_says_why(data, reason, detail):
    try:
        (result,) = read_scores(data, ".krn")
    except Skip as skip:
        result = skip
    if reason is None:
        assert all(track.is_drum for track in result.tracks)
    else:
        assert isinstance(result, Skip) and result.reason == reason and detail in result.detail


def test_exchanges_for_ever_change_nothing():
    assert notes(read("**kern **kern", *["*x *x"] * 20_000, "4C 4c", "*- *-")) == [(48, 0, 1), (60, 0, 1)]


def test_as_many_spines_as_are_allowed():
    score = read(" ".join(["**kern"] * MAX_SPINES), " ".join(["4c"] * MAX_SPINES))
    assert len(score.tracks) == MAX_SPINES
