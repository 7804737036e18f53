"""ABC against the standard: small tunes with their notes by hand, whole files, and what is said of what is not read."""

from pathlib import Path

import numpy as np
import pytest

from mcvae_jax.music.abc import book, music, piece, text, tune, voice
from mcvae_jax.music.bars import BAR
from mcvae_jax.music.measures import TICKS_PER_QUARTER
from mcvae_jax.music.readers import read_scores
from mcvae_jax.music.score import Reason, Score, Skip
from tests.written_cases import Case, read_cases

HEADER = "X:1\nM:4/4\nL:1/4\nK:C\n"
STANDARD = read_cases(Path(__file__).parents[1] / "cases" / "abc_standard.txt", HEADER)


def read(source: str | bytes) -> Score:
    """The one score of a file."""
    (score,) = read_scores(source.encode() if isinstance(source, str) else source, ".abc")
    assert isinstance(score, Score), score
    return score


def refusal(source: str) -> Skip:
    with pytest.raises(Skip) as caught:
        read(source)
    return caught.value


def pitches(score: Score) -> list[list[int]]:
    return [track.pitch.tolist() for track in score.tracks]


@pytest.mark.parametrize("name", STANDARD)
def test_the_standard(name):
    case: Case = STANDARD[name]
    score = read(case.data)
    assert len(score.tracks) == len(case.tracks)
    for track, right in zip(score.tracks, case.tracks, strict=True):
        times = np.stack([track.start, track.end], 1) / TICKS_PER_QUARTER
        found = sorted((pitch, *map(float, time)) for pitch, time in zip(track.pitch.tolist(), times, strict=True))
        assert [note[0] for note in found] == [note[0] for note in right]
        np.testing.assert_allclose([note[1:] for note in found], [note[1:] for note in right], atol=1e-3)


# Files.


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
def test_encodings_and_line_ends(newline, encoding):
    score = read("X:1\nT:Ré\nM:4/4\nL:1/4\nK:C\nCDEF|\nGABc|\n".replace("\n", newline).encode(encoding))
    assert (score.title, pitches(score)) == ("Ré", [[60, 62, 64, 65, 67, 69, 71, 72]])


def test_a_book_with_text_between_its_tunes():
    # 'X:|' in the second tune is a rest of one bar and a repeat sign.
    header = "%abc-2.1\n\nL:1/4\nM:2/4\n\nfree text: CDEF|\n\n"
    tunes = "X:1\nK:C\nCD|\n\ntext | GA |\n\nX:2\nM:C\nK:C\nC4|\nX:|\nX:3\nL:1\nK:C\nC|\n"
    scores = read_scores((header + tunes).encode(), ".abc")
    assert [(score.tracks[0].end / TICKS_PER_QUARTER).tolist() for score in scores] == [[1, 2], [4, 12], [4]]
    assert [score.time_signatures.tolist() for score in scores] == [[[0, 2, 4]], [[0, 4, 4]], [[0, 2, 4]]]


def test_a_tune_without_a_number():
    assert pitches(read("T:x\nM:2/4\nL:1/4\nK:C\nCD|\n")) == [[60, 62]]


def test_a_wrong_tune_costs_itself_alone():
    scores = read_scores(b"X:1\nK:C\nC|\nX:2\nM:4/4\nK:H\nC|\nX:3\nK:C\n[CE|\nX:4\nK:C\nD|\n", ".abc")
    assert [getattr(score, "reason", None) for score in scores] == [None, Reason.NOT_UNDERSTOOD, Reason.DAMAGED, None]


def test_no_file_is_read_beside_the_tune(tmp_path):
    other = tmp_path / "other.abc"
    other.write_text("GABc|\n")
    score = read(f"{HEADER}%%abc-include {other}\nI:abc-include {other}\nCDEF|\n")
    assert pitches(score) == [[60, 62, 64, 65]] and score.remarks == (tune.INCLUDED,)


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        (r"Caf\'e \`a la \"Ole", "Café à la Öle"),
        (r"\AA \ss \/o \cc \vs \=a", "Å ß ø ç š ā"),
        ("R&eacute;el &amp; Jig", "Réel & Jig"),
        (r"\\'e \\ss \\% \&eacute; \& \\u0041", r"\'e \ss \% &eacute; & \u0041"),
        (r"\u00e9 100\% \\", "é 100% \\"),
        (r"\ud800 &#xd800;", "\ufffd \ufffd"),
        ("First % comment\nT:Second", "First"),
        ("Long\n+:title", "Long title"),
    ],
)
def test_titles(title, expected):
    assert read(f"X:1\nT:{title}\nM:4/4\nK:C\nC8|\n").title == expected


@pytest.mark.parametrize(
    ("field", "tempo"),
    [
        ("1/4=100", 100),
        ("3/8=60", 90),
        ("1/2 = 60", 120),
        ('"Allegro" 1/4=120', 120),
        ('1/4=66.5 "x"', 66.5),
        ("1/4 3/8 1/4 3/8=40", 200),
        ("C=120", 60),  # 10.1: units, here eighths
        ("C3=40", 60),
        ("120", 60),
        ('"Allegro"', None),
        ("1/4=c. 120", None),
        ("1/0=90", None),
        ("1/4=0", None),
        ("1/4=9999", None),
        ("nonsense", None),
    ],
)
def test_tempos(field, tempo):
    expected = [[0, tempo]] if tempo else []
    assert read(f"X:1\nQ:{field}\nM:4/4\nL:1/8\nK:C\nC8|\n").tempos.tolist() == expected
    later = read(f"X:1\nM:4/4\nL:1/8\nK:C\nC8|[Q:{field}]C8|\n").tempos.tolist()
    assert later == [[4 * TICKS_PER_QUARTER, tempo] for _ in expected]


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("F#m", "F#m"),
        ("Bloc", "Am"),
        ("D mix", "G"),
        ("D exp ^f", None),
        ("HP", None),
        ("none", None),
        ("D ^g", None),
        ("D =c ^c", "D"),
        ("C transpose=-2", "Bb"),
        ("Em shift=CD", "F#m"),
        ("C octave=-1", "C"),
    ],
)
def test_keys_are_named_as_they_sound(field, name):
    assert read(f"X:1\nM:4/4\nK:{field}\nC8|\n").keys == (((0, name),) if name else ())


def test_a_key_change_within_the_first_voice():
    score = read(f"{HEADER}V:1\nC4|[K:D]C4|\nV:2\n[K:Eb]C4|C4|\n")
    assert score.keys == ((0, "C"), (4 * TICKS_PER_QUARTER, "D"))


# Bars.


@pytest.mark.parametrize(
    ("metre", "expected"),
    [("C", (4, 4)), ("C|", (2, 2)), ("2+2/4", (4, 4)), ("(2+3)/8", (5, 8)), ("3/4 + 3/8", (9, 8)), ("2/4+2/4", (4, 4))],
)
def test_metres(metre, expected):
    score = read(f"X:1\nM:{metre}\nL:1/8\nK:C\nC8|\n")
    assert tuple(score.time_signatures[0, 1:]) == expected


def test_pickups_repeats_and_parts_keep_their_downbeats():
    score = read("X:1\nM:4/4\nL:1/4\nP:AB\nK:C\nP:A\nG|c3 G|c3 :|\nP:B\nG|c3 G|c3|]\n")
    assert score.pickup == TICKS_PER_QUARTER and len(score.time_signatures) == 1
    downbeats = (score.tracks[0].start[score.tracks[0].pitch == 72] - score.pickup) // (BAR // 4 * TICKS_PER_QUARTER)
    assert downbeats.tolist() == [0, 1, 2, 3, 4, 5]


def test_a_metre_that_changes_before_the_barline_holds_after_it():
    score = read("X:1\nM:4/4\nL:1/4\nK:C\nC4[M:3/4]|D3|E3|\n")
    assert (score.time_signatures // [TICKS_PER_QUARTER, 1, 1]).tolist() == [[0, 4, 4], [4, 3, 4]]


def test_a_part_that_begins_inside_a_measure():
    score = read("X:1\nM:4/4\nL:1/4\nP:BA\nK:C\nP:A\nC3\nP:B\nD|E4|\n")
    assert pitches(score) == [[62, 64, 60]]


def test_a_voice_without_barlines_is_cut_at_those_of_the_first():
    score = read(f"{HEADER}V:1\n|:C4|D4:|E4|\nV:2\nC,2E,4G,2C,4\n")
    low = score.tracks[1]
    assert low.pitch.tolist() == [48, 52, 55] * 2 + [48]
    assert (low.start / TICKS_PER_QUARTER).tolist() == [0, 2, 6, 8, 10, 14, 16]
    assert score.remarks == ()


def test_voices_that_disagree_are_filled_up():
    score = read(f"{HEADER}V:1\nC4|D4|\nV:2\nC,2|D,4|\n")
    assert (score.tracks[1].start / TICKS_PER_QUARTER).tolist() == [0, 4] and score.remarks == (piece.UNEQUAL,)


def test_names_and_drums():
    score = read(
        'X:1\nM:4/4\nV:1 name="The tune"\nV:B clef=perc\nV:3\n%%MIDI channel 10\nK:C\n[V:1]C8|[V:B]C8|[V:3]C8|\n'
    )
    assert [(track.name, track.is_drum) for track in score.tracks] == [("The tune", False), ("B", True), ("3", True)]


# What is not understood is said.


@pytest.mark.parametrize(
    ("body", "remark"),
    [
        ("C4|\n\nD4|", "music after an empty line, which ends a tune"),
        ("C4|\n%%begintext\nD4|", "a block of text without an end"),
        ("C4 @|", music.UNKNOWN),
        ("C2 (1C D|", music.UNKNOWN),
        (">C4|", music.UNKNOWN),
        ("C4 ] |", music.UNKNOWN),
        ('C4 "text|', music.UNCLOSED),
        ("^/C4|", music.MICROTONES),
        ("C4!D.S.!|", music.JUMPS),
        ('"Da Capo"C4|', music.JUMPS),
        ("[C2E]C2|", music.UNEQUAL),
        ("C2>D1|", voice.UNEQUAL_BROKEN),
        ("C2 Z2|", voice.INNER_Z),
        ("[M:none]Z|C4|", voice.FREE_Z),
        ("C4 x|C4|", voice.SIGN_HOLDER),
        ("C4 C0|", voice.NO_NOTE),
        ("C4 c'''''''|", voice.NO_NOTE),
        ("[Q:fast]C4|", tune.DIRECTIVES),
    ],
)
def test_remarks(body, remark):
    assert read(f"{HEADER}{body}\n").remarks == (remark,)


def test_orders_that_fit_no_parts():
    for order, played in (("AAXB", [60, 60, 62]), ("A(B", [60, 62]), ("!", [60, 62])):
        score = read(f"X:1\nM:4/4\nL:1/4\nP:{order}\nK:C\nP:A\nC4|\nP:B\nD4|\n")
        assert (pitches(score), score.remarks) == ([played], (piece.ORDER,))


@pytest.mark.parametrize(
    "header",
    ["K:H", "K:c", "K:C foo", "K:C octave=x", "K:C shift=XY", "M:22x/4\nK:C", "M:4/3\nK:C", "M:0/4\nK:C"]
    + ["M:999999999/8\nK:C", "M:3+4\nK:C", "L:1/0\nK:C", "L:x\nK:C", "V:1 octave=99\nK:C", "%%MIDI transpose x\nK:C"],
)
def test_fields_on_which_notes_depend_are_refused(header):
    skip = refusal(f"X:1\n{header}\nV:1\nCDEF|\n")
    assert skip.reason == Reason.NOT_UNDERSTOOD and skip.detail[:1] in "KMLVI"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("[CE|", Reason.DAMAGED),
        ("[CE", Reason.DAMAGED),
        ("C/0|", Reason.DAMAGED),
        ("C2D2|E2F2 && c2d2|e2f2|", Reason.NOT_UNDERSTOOD),
        ("z4|", Reason.NO_NOTES),
        ("c'''''''|", Reason.NO_NOTES),
    ],
)
def test_tunes_that_are_refused(body, reason):
    assert refusal(f"{HEADER}{body}\n").reason == reason


def test_a_tune_without_a_key_says_so():
    assert "K:" in refusal("X:1\nM:4/4\nCDEF|\n").detail


def test_too_many_tunes_are_counted(monkeypatch):
    monkeypatch.setattr(book, "MAX_TUNES", 2)
    *scores, last = read_scores(b"X:1\nK:C\nC|\n" * 5, ".abc")
    assert len(scores) == 2 and last.reason == Reason.TOO_LONG and "3 tunes" in last.detail


def test_macros_that_grow_are_refused():
    growing = "".join(f"m:{a}={b * 9}\n" for a, b in zip("ABCDEF", "BCDEFG", strict=True))
    assert refusal(f"X:1\n{growing}K:C\nA|\n").reason == Reason.TOO_LONG
    many = "".join(f"m:~{k}=A\n" for k in range(text.MAX_MACROS + 1))
    assert refusal(f"X:1\n{many}K:C\nA|\n").reason == Reason.TOO_LONG
