"""Notation readers against notes written out by hand."""

import io
import os
import re
import subprocess
import sys
import zipfile

import pytest

pytest.importorskip("music21")

from mcvae_jax.music.measures import (  # noqa: E402
    TICKS_PER_QUARTER,
    Measure,
    Note,
    Part,
    Piece,
    piece_to_score,
    play_order,
)
from mcvae_jax.music.melody import choose_melody  # noqa: E402
from mcvae_jax.music.readers import read_scores  # noqa: E402
from mcvae_jax.music.score import Reason, Score, Skip  # noqa: E402

EIGHTH = TICKS_PER_QUARTER // 2
C, D, E, F, G, A, B, C5, D5, E5 = 60, 62, 64, 65, 67, 69, 71, 72, 74, 76


def abc(body: str, metre: str = "4/4", key: str = "C") -> Score:
    (score,) = read_scores(f"X:1\nT:Test\nM:{metre}\nL:1/8\nK:{key}\n{body}\n".encode(), ".abc")
    if isinstance(score, Skip):
        raise score
    return score


def notes(score: Score, unit: int = EIGHTH) -> list[tuple[float, float, int]]:
    """(onset, length, pitch) of the first track, in units of `unit` ticks."""
    track = score.tracks[0]
    columns = (track.start.tolist(), track.end.tolist(), track.pitch.tolist())
    return [(start / unit, (end - start) / unit, pitch) for start, end, pitch in zip(*columns, strict=True)]


def pitches(score: Score) -> list[int]:
    return score.tracks[0].pitch.tolist()


def test_lengths_accidentals_and_headers():
    score = abc("c2 ^f f/ g3/2 | _B4- B>A B2 |", key="G")
    assert score.title == "Test"
    assert score.keys == ((0, "G"),)
    assert score.time_signatures.tolist() == [[0, 4, 4]]
    assert notes(score)[:4] == [(0, 2, 72), (2, 1, 78), (3, 0.5, 78), (3.5, 1.5, 79)]
    # The flat holds through the bar (also for the note that the tie ends), F sharp is the key's.
    assert notes(abc("_B4 B>F A2 |", key="G")) == [(0, 4, 70), (4, 1.5, 70), (5.5, 0.5, 66), (6, 2, 69)]


@pytest.mark.parametrize(
    ("key", "name"),
    [tuple(pair.split(":")) for pair in "C:C Bb:Bb F#m:F#m Ador:Em Dmix:G Cb:Cb Abm:Abm C#:C#".split()],
)
def test_modes_are_named_after_their_signature(key, name):
    assert abc("cdef gabc' |", key=key).keys == ((0, name),)


def test_ties_merge_only_notes_of_one_pitch():
    assert notes(abc("c4 d4- | d4 e4- | f8 |")) == [(0, 4, C5), (4, 8, D5), (12, 4, E5), (16, 8, 77)]


def test_tied_sharp_holds_over_the_barline():
    assert notes(abc("c4 ^f4- | f4 f4 |"))[1:] == [(4, 8, 78), (12, 4, 77)]


def test_tuplets_are_exact():
    score = abc("(3cde (5cdefg c4 |")
    assert [round(n[1] * EIGHTH) for n in notes(score)] == [3360] * 3 + [2016] * 5 + [4 * EIGHTH]
    assert notes(abc("(3:2:3c2d2e2 c4 |"))[-1] == (4, 4, C5)


def test_chords_keep_all_notes_and_grace_notes_are_dropped():
    score = abc('"Am"[CEG]2 {cd}e2 !trill!f2 ~(g.a) |')
    assert notes(score) == [(0, 2, C), (0, 2, E), (0, 2, G), (2, 2, E5), (4, 2, 77), (6, 1, 79), (7, 1, 81)]


def test_repeats_with_endings():
    score = abc("|: C8 | D8 |1 E8 :|2 F8 |: G8 |[1,2 A8 :|[3 B8 |]")
    first = [C, D, E, C, D, F]
    assert pitches(score) == first + [G, A, G, A, G, B]


@pytest.mark.parametrize(
    "signs", ["| {} :||: {} :|", "|: {} :: {} :|", "{} :||:{}:|", "{} :|\n{} :|", "||:{} [|]:|\n|:{}:||"]
)
def test_repeat_signs_in_all_spellings(signs):
    assert pitches(abc(signs.format("C8 | D8", "E8 | F8"))) == [C, D, C, D, E, F, E, F]


def test_a_repeat_without_start_goes_back_to_the_double_bar():
    assert pitches(abc("C8 | D8 || E8 | F8 :|")) == [C, D, E, F, E, F]
    assert pitches(abc("|: C8 | D8 || E8 | F8 :|")) == [C, D, E, F] * 2


def test_play_order_of_an_ending_over_two_measures():
    bar = Measure(4, None)
    one, two = bar._replace(endings=frozenset({1})), bar._replace(endings=frozenset({2}))
    assert play_order([bar, one, one._replace(repeat_times=2), two, bar]) == [0, 1, 2, 0, 3, 4]


def bar_lines(score: Score, first_notes: list[int]) -> None:
    """Every note of these pitches starts on a downbeat."""
    _, numerator, denominator = score.time_signatures[0].tolist()
    bar = 4 * TICKS_PER_QUARTER * numerator // denominator
    track = score.tracks[0]
    for start, pitch in zip(track.start.tolist(), track.pitch.tolist(), strict=True):
        if pitch in first_notes:
            assert (start - score.pickup) % bar == 0


def test_pickup_that_the_short_last_bar_completes():
    score = abc("B2 |: C4 D4 | E6 B2 :|\nB2 | C4 D4 | E6 :|", "C")
    assert score.pickup == 2 * EIGHTH
    assert len(score.time_signatures) == 1
    bar_lines(score, [C])


def test_short_last_bar_without_a_pickup_is_filled():
    score = abc("G2 | C8 | D6 :|\n|: C8 | E8 :|")
    bar_lines(score, [C, D, E])
    assert pitches(score) == [G, C, D, G, C, D, C, E, C, E]
    assert notes(score)[6] == (34, 8, C)  # after two silent eighths


def test_pickup_after_a_full_bar_takes_time_from_its_last_note():
    score = abc("C8 | D4 E4 ||\nG2 | C8 | D8 |]")
    assert notes(score) == [(0, 8, C), (8, 4, D), (12, 2, E), (14, 2, G), (16, 8, C), (24, 8, D)]


def test_pickup_without_room_is_left_out():
    score = abc("C8 | D4 E2 E2 ||\nG2 | C8 | D8 |]")
    assert notes(score)[-2:] == [(16, 8, C), (24, 8, D)]
    assert score.left_out == 1  # and counted


def test_a_bar_that_does_not_fit_is_stated():
    signatures = abc("C8 | D4 E2 | C8 | D8 |").time_signatures
    assert (signatures // [EIGHTH, 1, 1]).tolist() == [[0, 4, 4], [8, 3, 4], [14, 4, 4]]


def piece(*bars: list[Note], lengths: list[int], is_drum: bool = False) -> Piece:
    """One part of 2/4; lengths are those of the bars in ticks."""
    measures = [Measure(length, (2, 4)) for length in lengths]
    return Piece(measures, [Part("", is_drum, list(bars))], [], [], "")


def test_lengths_that_are_out_by_rounding_are_those_of_the_metre():
    bar = 2 * TICKS_PER_QUARTER
    held = [
        [Note(0, length, C, tied)] for length, tied in ((bar, False), (bar - 60, True), (bar + 60, False), (bar, False))
    ]
    score = piece_to_score(piece(*held, lengths=[bar, bar - 60, bar + 60, bar]))
    assert score.time_signatures.tolist() == [[0, 2, 4]]
    assert (score.tracks[0].start / bar).tolist() == [0, 1, 3]  # and the tie holds


def test_a_piece_of_drums_alone_says_so():
    for notes_of_it in ([], [Note(0, EIGHTH, C, False)]):
        drums = piece(notes_of_it, lengths=[2 * TICKS_PER_QUARTER], is_drum=True)
        with pytest.raises(Skip) as caught:
            choose_melody(piece_to_score(drums), "auto")
        assert caught.value.reason == Reason.DRUMS_ONLY


def test_what_repeats_and_parts_multiply_is_bounded():
    bar = 2 * TICKS_PER_QUARTER
    chord = [Note(0, bar, pitch, False) for pitch in range(100)]
    for parts, bars in ((1, 6000), (200, 11_000)):
        drawn = piece(chord, lengths=[bar])
        large = drawn._replace(parts=drawn.parts * parts, order=[0] * bars)
        with pytest.raises(Skip) as caught:
            piece_to_score(large)
        assert caught.value.reason == Reason.TOO_LONG


def test_bars_split_by_a_barline_join_again():
    assert len(abc("C8 | D4 | E4 | C8 | D8 |").time_signatures) == 1


def test_metre_change():
    signatures = abc("C8 | [M:3/4] D6 | E6 |\nM:4/4\nC8 |").time_signatures
    assert (signatures // [EIGHTH, 1, 1]).tolist() == [[0, 4, 4], [8, 3, 4], [20, 4, 4]]


def test_a_book_with_a_damaged_tune():
    book = "%abc\nX:1\nT:One\nM:2/4\nL:1/8\nK:C\nCDEF|\n\nprose about the tune\nX:2\nT:Bad\nL:1/8\nK:C\n[CE|G4\n"
    book += "X:3\nT:Empty\nK:C\n\nX:4\r\nT:Ré\r\nM:2/4\r\nK:C\r\nGABc|\r\n"
    one, bad, empty, last = read_scores(book.encode("latin-1"), ".abc")
    assert pitches(one) == [C, D, E, F]
    assert isinstance(bad, Skip) and bad.reason == Reason.DAMAGED
    assert isinstance(empty, Skip) and empty.reason == Reason.NO_NOTES
    assert (last.title, pitches(last)) == ("Ré", [G, A, B, C5])
    assert notes(last)[1] == (0.5, 0.5, A)  # L is a sixteenth where the metre is under 3/4


def test_tempo():
    assert abc("CDEF|", key="C\nQ:3/8=80").tempos.tolist() == [[0, 120]]
    assert abc("CDEF|", key="C\nQ:nonsense").tempos.tolist() == []


def test_voices_become_tracks():
    high, low = abc("V:1\nc4 d4 | e8 |\nV:2\nC8 | G8 |\nV:1\nf8 |]\nV:2\nF8 |]").tracks
    assert high.pitch.tolist() == [C5, D5, E5, 77]
    assert low.pitch.tolist() == [C, G, F]
    assert low.start.tolist() == [0, 8 * EIGHTH, 16 * EIGHTH]


MUSICXML = """<?xml version="1.0" encoding="UTF-8"?>
<score-partwise version="3.1"><work><work-title>Little</work-title></work>
<part-list>
<score-part id="P1"><part-name>Flute</part-name></score-part>
<score-part id="P2"><part-name>Horn</part-name></score-part></part-list>
<part id="P1">
<measure number="0" implicit="yes">
<attributes><divisions>2</divisions>
<key><fifths>-1</fifths><mode>minor</mode></key>
<time><beats>2</beats><beat-type>4</beat-type></time></attributes>
<direction><sound tempo="96"/></direction>
<note><pitch><step>C</step><octave>5</octave></pitch><duration>1</duration></note></measure>
<measure number="1">
<barline location="left"><repeat direction="forward"/></barline>
<note><pitch><step>F</step><octave>4</octave></pitch><duration>2</duration><tie type="start"/></note>
<note><grace/><pitch><step>B</step><octave>4</octave></pitch></note>
<note><pitch><step>F</step><octave>4</octave></pitch><duration>1</duration><tie type="stop"/></note>
<note><pitch><step>G</step><octave>4</octave></pitch><duration>1</duration></note>
<note><chord/><pitch><step>B</step><alter>-1</alter><octave>4</octave></pitch><duration>1</duration></note></measure>
<measure number="2">
<barline location="left"><ending number="1" type="start"/></barline>
<note><pitch><step>A</step><octave>4</octave></pitch><duration>4</duration></note>
<barline location="right"><ending number="1" type="stop"/><repeat direction="backward"/></barline></measure>
<measure number="3">
<barline location="left"><ending number="2" type="start"/></barline>
<note><rest/><duration>2</duration></note>
<note><pitch><step>C</step><octave>4</octave></pitch><duration>2</duration></note>
<barline location="right"><ending number="2" type="stop"/></barline></measure>
</part>
<part id="P2">
<measure number="0">
<attributes><divisions>1</divisions>
<transpose><diatonic>-4</diatonic><chromatic>-7</chromatic></transpose></attributes>
<note><rest/><duration>0.5</duration></note></measure>
<measure number="1">
<note><pitch><step>C</step><octave>4</octave></pitch><duration>2</duration></note></measure>
<measure number="2">
<note><pitch><step>D</step><octave>4</octave></pitch><duration>2</duration></note></measure>
<measure number="3">
<note><pitch><step>E</step><octave>4</octave></pitch><duration>2</duration></note></measure>
</part>
</score-partwise>
"""


def check_musicxml(score: Score) -> None:
    assert (score.title, score.keys, score.pickup) == ("Little", ((0, "Dm"),), EIGHTH)
    assert score.tempos.tolist() == [[0, 96]]
    assert [track.name for track in score.tracks] == ["Flute", "Horn"]
    played = [(1, 3, F), (4, 1, G), (4, 1, 70), (5, 4, A), (9, 3, F), (12, 1, G), (12, 1, 70), (15, 2, C)]
    assert notes(score) == [(0, 1, C5), *played]
    horn = score.tracks[1]
    assert horn.pitch.tolist() == [53, 55, 53, 57]  # a fifth below what is written
    assert (horn.start // EIGHTH).tolist() == [1, 5, 9, 13]


def test_musicxml():
    (score,) = read_scores(MUSICXML.encode(), ".musicxml")
    check_musicxml(score)


def test_mxl():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("META-INF/container.xml", "<container/>")
        archive.writestr("score.xml", MUSICXML.replace("UTF-8", "UTF-16").encode("utf-16"))
    (score,) = read_scores(buffer.getvalue(), ".mxl")
    check_musicxml(score)


def test_humdrum():
    kern = """!!!OTL: Little
**kern	**kern
*k[f#]	*k[f#]
*G:	*G:
*M2/4	*M2/4
8r	8d
=1!|:	=1!|:
4GG 4D	8g
.	8qb
.	8a
4D	[4b
=2	=2
2G	8b]
.	8a
.	4g
=:|!	=:|!
*-	*-
"""
    (score,) = read_scores(kern.encode(), ".krn")
    assert score.keys == ((0, "G"),) and score.pickup == EIGHTH
    high, low = sorted(score.tracks, key=lambda track: -track.pitch.max())
    assert high.pitch.tolist() == [D, *[G, A, B, A, G] * 2]
    assert (high.start / EIGHTH).tolist() == [0, 1, 2, 3, 6, 7, 9, 10, 11, 14, 15]
    assert low.pitch.tolist() == [43, 50, 50, 55] * 2


@pytest.mark.parametrize("suffix", [".abc", ".musicxml", ".mxl", ".krn"])
@pytest.mark.parametrize("data", [b"", b"\0\xff" * 50, b"PK\x03\x04broken", MUSICXML.encode()[:900]])
def test_bad_files_give_reasons(suffix, data):
    try:
        results = read_scores(data, suffix)
    except Skip as skip:
        results = [skip]
    assert results and all(isinstance(result, Skip) for result in results)


def test_xml_entities_are_refused():
    entities = '<!DOCTYPE s [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><score-partwise '
    bomb = MUSICXML.replace("<score-partwise ", entities).replace("Little", "&b;")
    with pytest.raises(Skip, match="entities"):
        read_scores(bomb.encode(), ".xml")


def test_repeats_without_bound_are_refused():
    endless = re.sub("<ending.*?/>", "", MUSICXML).replace('"backward"', '"backward" times="1000000"')
    with pytest.raises(Skip) as caught:
        read_scores(endless.encode(), ".xml")
    assert caught.value.reason == Reason.TOO_LONG


def test_reading_writes_no_files(tmp_path):
    """music21 has a habit of pickles and settings in the temporary and home folders."""
    script = (
        "import sys; from mcvae_jax.music.readers import read_scores as read;"
        "read(sys.stdin.buffer.read(), '.xml');"
        "read(b'X:1\\nM:4/4\\nK:C\\nCDEF|\\n', '.abc');"
        "read(b'**kern\\n=1\\n4c\\n*-\\n', '.krn')"
    )
    folders = ("HOME", "TMPDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")
    env = os.environ | dict.fromkeys(folders, str(tmp_path))
    env["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, input=MUSICXML.encode(), env=env, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    assert list(tmp_path.iterdir()) == []
